//! Links in Markdown: to files, to headings, and from the summary of the book to each of its pages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Report, files, read, shown};

/// The folder of the book's pages, and its table of contents.
const BOOK: &str = "docs/src";
const SUMMARY: &str = "docs/src/SUMMARY.md";

pub(super) fn check(root: &Path) -> Result<Report, String> {
    let mut pages = BTreeMap::new();
    for path in files(root, ".md")? {
        pages.insert(path.clone(), page(&read(&path)?));
    }
    let mut report = Report::default();
    let mut count = 0;
    for (path, page) in &pages {
        for link in &page.links {
            if is_foreign(&link.target) {
                continue;
            }
            count += 1;
            if let Some(problem) = broken(root, &pages, path, &link.target) {
                report.problems.push(format!("{}:{}: {problem}", shown(root, path), link.line));
            }
        }
    }
    report.problems.extend(unlisted(root, &pages));
    if count == 0 {
        return Err("there is no relative link in any page".into());
    }
    report.looked_at = format!("{count} links in {} pages", pages.len());
    Ok(report)
}

/// What matters of a Markdown file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    links: Vec<Link>,
    /// What a link can mean by `#anchor`.
    anchors: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// A link that leaves the workspace: it has a scheme.
fn is_foreign(target: &str) -> bool {
    let scheme = target.split(':').next().unwrap_or_default();
    target.contains(':') && !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
}

/// Why a relative link leads nowhere.
fn broken(root: &Path, pages: &BTreeMap<PathBuf, Page>, from: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() {
        from.to_owned()
    } else {
        let Some(path) = resolve(from.parent().unwrap_or(root), &file.replace("%20", " ")) else {
            return Some(format!("{target}: leads out of the workspace"));
        };
        path
    };
    if !path.starts_with(root) {
        return Some(format!("{target}: leads out of the workspace"));
    }
    if !path.exists() {
        return Some(format!("{target}: there is no {}", shown(root, &path)));
    }
    let anchor = anchor?;
    let page = pages.get(&path)?;
    (!page.anchors.contains(anchor))
        .then(|| format!("{target}: {} has no heading with the anchor #{anchor}", shown(root, &path)))
}

/// A relative path applied to a folder, without asking the file system.
fn resolve(folder: &Path, relative: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(relative).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Pages of the book that its summary does not list: mdBook would leave them out.
fn unlisted(root: &Path, pages: &BTreeMap<PathBuf, Page>) -> Vec<String> {
    let summary_path = root.join(SUMMARY);
    let Some(summary) = pages.get(&summary_path) else { return vec![format!("{SUMMARY} is missing")] };
    let listed: BTreeSet<PathBuf> = summary
        .links
        .iter()
        .filter_map(|link| resolve(&root.join(BOOK), link.target.split('#').next().unwrap_or_default()))
        .collect();
    pages
        .keys()
        .filter(|path| path.starts_with(root.join(BOOK)) && **path != summary_path && !listed.contains(*path))
        .map(|path| format!("{} is not listed in {SUMMARY}", shown(root, path)))
        .collect()
}

/// Finds links and anchors; code, in blocks or in a line, has none.
fn page(text: &str) -> Page {
    let mut page = Page::default();
    let mut fence: Option<&str> = None;
    for (position, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => {
                fence = Some(mark);
                continue;
            }
            (Some(open), Some(mark)) if open == mark => {
                fence = None;
                continue;
            }
            (Some(_), _) => continue,
            (None, None) => {}
        }
        let targets = targets(&without_code(line));
        page.links.extend(targets.into_iter().map(|target| Link { line: position + 1, target }));
        page.anchors.extend(html_ids(line));
        if let Some(heading) = heading(line) {
            add_heading(&mut page.anchors, heading);
        }
    }
    page
}

/// The text of a heading.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim())
}

/// A heading's anchor: its own `{#id}`, or its text as mdBook and GitHub make it, with a number from the second one on.
fn add_heading(anchors: &mut BTreeSet<String>, heading: &str) {
    if let Some((_, id)) = heading.strip_suffix('}').and_then(|heading| heading.rsplit_once("{#")) {
        anchors.insert(id.to_owned());
        return;
    }
    let text = link_texts(heading);
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    let base: String = kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
    let mut anchor = base.clone();
    let mut number = 0;
    while !anchors.insert(anchor) {
        number += 1;
        anchor = format!("{base}-{number}");
    }
}

/// A text in which each link is replaced by what one reads of it.
fn link_texts(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The values of `id="..."` and `name="..."` in a line.
fn html_ids(line: &str) -> Vec<String> {
    let marks = [" id=\"", " name=\""];
    let values = marks.into_iter().flat_map(|mark| line.split(mark).skip(1));
    values.filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned()).collect()
}

/// A line with the spans between equally long runs of backticks blanked.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let (before, after) = (&rest[..at], &rest[at + ticks..]);
        out.push_str(before);
        let mut runs = after.match_indices(&rest[at..at + ticks]);
        let close =
            runs.find(|(close, run)| !after[..*close].ends_with('`') && !after[close + run.len()..].starts_with('`'));
        match close {
            Some((close, run)) => rest = &after[close + run.len()..],
            None => rest = after,
        }
    }
    out + rest
}

/// The targets of `[text](target)`, `![text](target "title")`, `[label]: target`, `href="target"` and `src="target"`.
fn targets(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in line.split("](").skip(1) {
        if let Some(inner) = rest.strip_prefix('<') {
            found.extend(inner.split_once('>').map(|(target, _)| target.to_owned()));
            continue;
        }
        let mut depth = 0;
        let end = rest.find(|c: char| match c {
            '(' => {
                depth += 1;
                false
            }
            ')' if depth == 0 => true,
            ')' => {
                depth -= 1;
                false
            }
            c => c.is_whitespace(),
        });
        found.push(rest[..end.unwrap_or(rest.len())].to_owned());
    }
    if let Some((label, target)) = line.trim_start().strip_prefix('[').and_then(|line| line.split_once("]: ")) {
        // `[^1]: text` is a footnote, `[x] [y]: z` a sentence.
        if !label.starts_with('^') && !label.contains(']') {
            found.extend(target.split_whitespace().next().map(|target| target.trim_matches(['<', '>']).to_owned()));
        }
    }
    for mark in ["href=\"", "src=\""] {
        found.extend(
            line.split(mark).skip(1).filter_map(|rest| rest.split_once('"')).map(|(target, _)| target.to_owned()),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    fn book(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.write(SUMMARY, "# Summary\n\n- [One](one.md)\n- [Two](deep/two.md)\n");
        scratch
            .write("docs/src/one.md", "# One\n\n## Part {#part-of-one}\n\nSee [two](deep/two.md#a-b), [here](#one).\n");
        scratch.write(
            "docs/src/deep/two.md",
            "# Two\n\n## A & `B`?\n\n[one](../one.md#part-of-one) [root](../../../README.md)\n",
        );
        scratch.write(
            "README.md",
            "[book](docs/src/) <https://example.org> [x](https://example.org/a(b)#c) `[no](no.md)`\n",
        );
        scratch
    }

    #[test]
    fn a_book_whose_links_hold_passes() {
        let scratch = book("links-good");
        // Two spaces are left where a sign between them falls away.
        scratch.write("docs/src/one.md", "# One\n\n## Part {#part-of-one}\n\n[two](deep/two.md#a--b) [here](#one)\n");
        let report = check(&scratch.root).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(report.looked_at, "7 links in 4 pages");
    }

    #[test]
    fn each_broken_link_is_named_with_its_place() {
        let scratch = book("links-broken");
        scratch.write(
            "docs/src/one.md",
            "# One\n[a](gone.md)\n[b](deep/two.md#gone)\n[c](#gone)\n[d]: gone.md\n<a href=\"gone.html\">e</a>\n[f](../../../../../x.md)\n![g](gone.png \"t\")\n",
        );
        let problems = check(&scratch.root).unwrap().problems;
        let expected = [
            "docs/src/deep/two.md:5: ../one.md#part-of-one: docs/src/one.md has no heading with the anchor #part-of-one",
            "docs/src/one.md:2: gone.md: there is no docs/src/gone.md",
            "docs/src/one.md:3: deep/two.md#gone: docs/src/deep/two.md has no heading with the anchor #gone",
            "docs/src/one.md:4: #gone: docs/src/one.md has no heading with the anchor #gone",
            "docs/src/one.md:5: gone.md: there is no docs/src/gone.md",
            "docs/src/one.md:6: gone.html: there is no docs/src/gone.html",
            "docs/src/one.md:7: ../../../../../x.md: leads out of the workspace",
            "docs/src/one.md:8: gone.png: there is no docs/src/gone.png",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_page_that_the_summary_forgets_is_named() {
        let scratch = book("links-summary");
        scratch.write("docs/src/three.md", "# Three\n");
        let problems = check(&scratch.root).unwrap().problems;
        assert!(
            problems.contains(&"docs/src/three.md is not listed in docs/src/SUMMARY.md".to_owned()),
            "{problems:?}"
        );
    }

    #[test]
    fn a_book_without_a_summary_is_named() {
        let scratch = Scratch::new("links-no-summary");
        scratch.write("README.md", "[self](README.md)\n");
        assert_eq!(check(&scratch.root).unwrap().problems, ["docs/src/SUMMARY.md is missing"]);
    }

    #[test]
    fn no_link_at_all_is_an_error() {
        let scratch = Scratch::new("links-none");
        scratch.write("README.md", "text\n");
        assert!(check(&scratch.root).is_err());
    }

    #[test]
    fn anchors_are_those_of_the_book() {
        let text = "# One two\n## One two\n### Über `x_y`: (z)\n## With [a link](x.md)\n```\n# not this\n```\n## Own {#own-id}\n<a id=\"html\"></a>\n#no\n";
        let anchors = page(text).anchors;
        let anchors: Vec<String> = anchors.into_iter().collect();
        assert_eq!(anchors, ["html", "one-two", "one-two-1", "own-id", "with-a-link", "über-x_y-z"]);
    }

    #[test]
    fn code_holds_no_link() {
        for text in ["`[a](b.md)`", "``[a](b.md) ` ``", "```\n[a](b.md)\n```", "~~~text\n```\n[a](b.md)\n~~~"] {
            assert_eq!(page(text).links, [], "{text}");
        }
        assert_eq!(page("`a` [a](b.md) `c`").links.len(), 1);
        assert_eq!(page("a ` tick [a](b.md)").links.len(), 1);
    }
}
