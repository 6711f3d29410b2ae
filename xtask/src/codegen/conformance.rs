//! The pages that tell which demand is shown by which test: from `tests/conformance/*.tsv` and the scenarios.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::Generated;
use super::pages::prose;

/// What one page is made of, each path from the root of the workspace.
pub(crate) struct Matrix {
    pub(crate) table: &'static str,
    pub(crate) scenarios: &'static str,
    /// How the name of a file of scenarios ends.
    ending: &'static str,
    /// The rows that a line of such a file names.
    marks: fn(&str) -> Option<&str>,
    page: &'static str,
    /// What stands in front of the tables.
    head: &'static str,
    verdicts: &'static [&'static str],
}

/// The matrices of the server and of the client.
pub(crate) const MATRICES: &[Matrix] = &[
    Matrix {
        table: "tests/conformance/server.tsv",
        scenarios: "tests/scenarios/server",
        ending: ".scenario",
        marks: |line| line.strip_prefix("# rows:"),
        page: "docs/src/reference/conformance-server.md",
        head: "# Conformance of the server\n\n\
            What RFCs and known attacks demand of an SMTP server, demand by demand, and what shows that `ehlo-server` and its driver do it.\n\
            A scenario is a dialogue that is played against the bare session, cut in every way, and against the driver over a socket\n\
            ([how](https://github.com/ehlo-rs/ehlo/blob/main/tests/scenarios/README.md)).\n",
        verdicts: &["tested", "corrected", "not-applicable", "not-judged", "missing"],
    },
    Matrix {
        table: "tests/conformance/client.tsv",
        scenarios: "crates/client/tests/scenarios",
        ending: ".txt",
        // A remark that begins with ids; there may be words behind a colon.
        marks: |line| {
            let ids = line.strip_prefix("# ")?.split(':').next()?;
            ids.split(", ")
                .all(|id| id.len() == 4 && id.starts_with('C') && id[1..].parse::<u16>().is_ok())
                .then_some(ids)
        },
        page: "docs/src/reference/conformance-client.md",
        head: "# Conformance of the client\n\n\
            What RFCs and known attacks demand of an SMTP client, demand by demand, and what shows that `ehlo-client` does it.\n\
            A scenario is a dialogue with a server that is played by hand, cut in every way\n\
            ([how](https://github.com/ehlo-rs/ehlo/blob/main/crates/client/tests/scenarios/README.md)).\n",
        verdicts: &["tested", "corrected", "elsewhere", "not-applicable", "missing"],
    },
];

/// Where a reader of the book finds the sources.
const SOURCES: &str = "https://github.com/ehlo-rs/ehlo/blob/main";

const LEVELS: &[&str] = &["MUST", "SHOULD", "MAY", "SEC"];
/// Each verdict, its name, and what it means.
const VERDICTS: &[(&str, &str, &str)] = &[
    ("tested", "tested", "the test or scenario beside it shows it."),
    (
        "corrected",
        "corrected",
        "tested too; but what is often demanded differs from what the RFC says, and the note tells how.",
    ),
    ("elsewhere", "elsewhere", "another crate's to do, where it is tested."),
    ("not-applicable", "not applicable", "cannot come up here, for the reason beside it."),
    ("not-judged", "not judged", "nobody could tell, for the reason beside it."),
    ("missing", "missing", "no test shows it yet, whether it is so or not."),
];

fn title(verdict: &str) -> &str {
    VERDICTS.iter().find(|(known, ..)| *known == verdict).map_or(verdict, |(_, title, _)| title)
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    id: String,
    reference: String,
    level: String,
    demand: String,
    verdict: String,
    /// Tests in Rust, each as `path#name`.
    by: Vec<String>,
    note: Option<String>,
}

/// The pages.
pub(super) fn files(root: &Path) -> Result<Vec<Generated>, String> {
    MATRICES.iter().map(|matrix| file(root, matrix)).collect()
}

fn file(root: &Path, matrix: &Matrix) -> Result<Generated, String> {
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()));
    let rows = rows(&read(&root.join(matrix.table))?, matrix)?;
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let folder = root.join(matrix.scenarios);
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: cannot be read: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        let Some(name) =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(matrix.ending))
        else {
            continue;
        };
        for ids in read(&path)?.lines().filter_map(matrix.marks) {
            for id in ids.split([' ', ',']).filter(|id| !id.is_empty()) {
                let names = shown.entry(id.to_owned()).or_default();
                if names.last().is_none_or(|last| last != name) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    for names in shown.values_mut() {
        names.sort();
        names.dedup();
    }
    Ok(Generated { path: matrix.page, text: page(matrix, &rows, &shown) })
}

fn rows(text: &str, matrix: &Matrix) -> Result<Vec<Row>, String> {
    let table = matrix.table;
    let mut rows: Vec<Row> = Vec::new();
    for (position, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')).skip(1) {
        let row = row(line, matrix.verdicts).map_err(|error| format!("{table}:{}: {error}", position + 1))?;
        if rows.last().is_some_and(|last| last.id >= row.id) {
            return Err(format!("{table}:{}: {} does not rise above the row before it", position + 1, row.id));
        }
        rows.push(row);
    }
    if rows.is_empty() { Err(format!("{table}: no rows")) } else { Ok(rows) }
}

fn row(line: &str, verdicts: &[&str]) -> Result<Row, String> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [id, reference, level, demand, verdict, by, note] = cells[..] else {
        return Err(format!("{} cells, not 7", cells.len()));
    };
    if cells.iter().any(|cell| cell.is_empty() || cell.trim() != *cell) {
        return Err("a cell is empty or has spaces around it: an empty one is written as -".into());
    }
    if !LEVELS.contains(&level) {
        return Err(format!("unknown level {level:?}"));
    }
    if !verdicts.contains(&verdict) {
        return Err(format!("unknown verdict {verdict:?}"));
    }
    if verdict != "tested" && note == "-" {
        return Err(format!("{verdict} needs a note that says why"));
    }
    if place(reference).is_none() && !reference.starts_with("hardening: ") {
        return Err(format!("reference {reference:?} is neither an RFC with its section nor a hardening"));
    }
    Ok(Row {
        id: id.to_owned(),
        reference: reference.to_owned(),
        level: level.to_owned(),
        demand: demand.to_owned(),
        verdict: verdict.to_owned(),
        by: if by == "-" { Vec::new() } else { by.split(' ').map(str::to_owned).collect() },
        note: (note != "-").then(|| note.to_owned()),
    })
}

/// `RFC 5321 §4.1.4` as numbers, so that sections come in their order.
fn place(reference: &str) -> Option<(u32, Vec<u32>)> {
    let (rfc, section) = reference.strip_prefix("RFC ")?.split_once(" §")?;
    let section = section.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
    Some((rfc.parse().ok()?, section))
}

fn page(matrix: &Matrix, rows: &[Row], shown: &BTreeMap<String, Vec<String>>) -> String {
    let Matrix { table, scenarios, head, verdicts, .. } = matrix;
    let mut out = format!(
        "<!-- Generated by `cargo xtask codegen` from {table} and {scenarios}: do not edit, edit the table and run it again. -->\n\n\
         {head}\n\
         The levels are those of the RFC. SEC is what no RFC says in so many words, and what attacks on other programs have taught.\n\n"
    );
    for (_, title, meaning) in VERDICTS.iter().filter(|(known, ..)| verdicts.contains(known)) {
        line!(out, "- {title}: {meaning}");
    }
    out.push('\n');
    counts(&mut out, rows, verdicts);
    let mut groups: BTreeMap<(u32, Vec<u32>), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(place(&row.reference).unwrap_or((u32::MAX, Vec::new()))).or_default().push(row);
    }
    let mut last = 0;
    for ((rfc, _), rows) in &groups {
        if *rfc != last {
            last = *rfc;
            match rfc {
                &u32::MAX => out.push_str("\n## Hardening {#hardening}\n"),
                rfc => line!(out, "\n## RFC {rfc} {{#rfc{rfc}}}"),
            }
            out.push_str(
                "\n| row | section | level | what is demanded | verdict | shown by |\n|---|---|---|---|---|---|\n",
            );
        }
        for row in rows {
            entry(&mut out, row, matrix, shown.get(&row.id).map_or(&[], Vec::as_slice));
        }
    }
    out
}

/// How many rows of each level have which verdict.
fn counts(out: &mut String, rows: &[Row], verdicts: &[&str]) {
    let titles: Vec<&str> = verdicts.iter().map(|verdict| title(verdict)).collect();
    line!(out, "| level | rows | {} |\n|---|---|{}", titles.join(" | "), "---|".repeat(titles.len()));
    let mut count = |name: &str, of: &dyn Fn(&Row) -> bool| {
        let rows: Vec<&Row> = rows.iter().filter(|row| of(row)).collect();
        let cells: Vec<String> = verdicts
            .iter()
            .map(|verdict| rows.iter().filter(|row| row.verdict == *verdict).count().to_string())
            .collect();
        line!(out, "| {name} | {} | {} |", rows.len(), cells.join(" | "));
    };
    for level in LEVELS {
        count(level, &|row| row.level == *level);
    }
    count("all", &|_| true);
}

fn entry(out: &mut String, row: &Row, matrix: &Matrix, scenarios: &[String]) {
    let section = row.reference.split_once('§').map_or_else(
        || row.reference.trim_start_matches("hardening: ").to_owned(),
        |(_, section)| format!("§{section}"),
    );
    let mut by: Vec<String> = scenarios
        .iter()
        .map(|name| format!("[{name}]({SOURCES}/{}/{name}{})", matrix.scenarios, matrix.ending))
        .collect();
    by.extend(row.by.iter().map(|test| {
        let (path, name) = test.split_once('#').unwrap_or((test, test));
        format!("[`{name}`]({SOURCES}/{path})")
    }));
    let verdict = title(&row.verdict);
    let note = row.note.as_deref().map(|note| format!(" *{}*", prose(note))).unwrap_or_default();
    let (id, level, demand) = (&row.id, &row.level, prose(&row.demand));
    line!(out, "| {id} | {section} | {level} | {demand}{note} | {verdict} | {} |", by.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# A comment.\nid\treference\tlevel\trequirement\tverdict\tby\tnote\n";

    #[test]
    fn a_wrong_row_is_refused_with_its_place() {
        let server = &MATRICES[0];
        for (row, complaint) in [
            ("S001\tRFC 5321 §3.1\tMUST\tx\ttested\t-", "6 cells"),
            ("S001\tRFC 5321 §3.1\tMUST\t\ttested\t-\t-", "empty"),
            ("S001\tRFC 5321\tMUST\tx\ttested\t-\t-", "neither an RFC"),
            ("S001\tRFC 5321 §3.1\tOUGHT\tx\ttested\t-\t-", "unknown level"),
            ("S001\tRFC 5321 §3.1\tMUST\tx\tpassed\t-\t-", "unknown verdict"),
            ("S001\tRFC 5321 §3.1\tMUST\tx\tnot-judged\t-\t-", "needs a note"),
            ("S001\tRFC 1 §1\tMUST\tx\ttested\t-\t-\nS001\tRFC 1 §1\tMUST\tx\ttested\t-\t-", "does not rise"),
        ] {
            let error = rows(&format!("{HEAD}{row}\n"), server).err();
            assert!(
                error.as_deref().is_some_and(|e| e.contains(complaint) && e.starts_with(server.table)),
                "{row}: {error:?}"
            );
        }
        assert!(rows(HEAD, server).is_err());
    }

    #[test]
    fn a_remark_with_ids_names_rows_and_another_none() {
        let marks = MATRICES[1].marks;
        for (line, ids) in [
            ("# C001", Some("C001")),
            ("# C005, C011", Some("C005, C011")),
            ("# C009: nothing was offered.", Some("C009")),
            ("# CHUNKING and BINARYMIME (RFC 3030).", None),
            ("# Cabc", None),
            ("C: QUIT", None),
        ] {
            assert_eq!(marks(line), ids, "{line}");
        }
    }

    #[test]
    fn sections_come_in_their_order_and_each_row_names_its_tests() {
        let table = "S001\tRFC 5321 §4.10\tMUST\tone\ttested\tcrates/a.rs#a_test\t-\n\
                     S002\tRFC 5321 §4.9\tSHOULD\ttwo\tcorrected\t-\ta reason\n\
                     S003\thardening: flow\tSEC\tthree\tmissing\t-\tnobody did\n";
        let shown = BTreeMap::from([("S002".to_owned(), vec!["a-dialogue".to_owned()])]);
        let server = &MATRICES[0];
        let page = page(server, &rows(&format!("{HEAD}{table}"), server).unwrap(), &shown);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in\n{page}"));
        assert!(at("| S002 | §4.9 | SHOULD | two *a reason* | corrected | [a-dialogue](") < at("| S001 | §4.10 |"));
        assert!(at("[`a_test`](https://github.com/ehlo-rs/ehlo/blob/main/crates/a.rs)") < at("| S003 | flow | SEC |"));
        assert!(at("| all | 3 | 1 | 1 | 0 | 0 | 1 |") < at("## RFC 5321"));
    }
}
