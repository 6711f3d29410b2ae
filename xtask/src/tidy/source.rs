//! Rust source without what is no code: comments, texts, tests. Line breaks stay, so that places stay true.
//!
//! Not a parser: it knows how comments, strings and brackets nest and how `use` and `#[cfg(test)]` look, which is enough to
//! search for words without finding them where they do not count.

/// The source with comments and the contents of strings and characters blanked.
pub(super) fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let before = out.chars().next_back();
        let (length, keep) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (string(rest), false),
            'r' | 'b' | 'c' if !before.is_some_and(is_word) => match prefixed_string(rest) {
                Some(length) => (length, false),
                None => (1, true),
            },
            '\'' => match character(rest) {
                Some(length) => (length, false),
                // A lifetime or a label.
                None => (1, true),
            },
            _ => (first.len_utf8(), true),
        };
        let (part, after) = rest.split_at(length);
        if keep {
            out.push_str(part);
        } else {
            out.extend(part.chars().map(|c| if c == '\n' { c } else { ' ' }));
        }
        rest = after;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Bytes of a string that begins with its quotation mark.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of a string such as `b"..."`, `r"..."` or `br##"..."##`, or of a character such as `b'x'`.
fn prefixed_string(text: &str) -> Option<usize> {
    let quote = text.find(|c: char| !matches!(c, 'r' | 'b' | 'c')).filter(|at| *at <= 2)?;
    let (prefix, rest) = text.split_at(quote);
    if prefix == "b" && rest.starts_with('\'') {
        return character(rest).map(|length| quote + length);
    }
    if !prefix.contains('r') {
        return rest.starts_with('"').then(|| quote + string(rest));
    }
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(quote + hashes + 1 + length)
}

/// Bytes of a character literal, or `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        // The escaped one may be a quotation mark itself.
        letters.next()?;
        return letters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    letters.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

/// Blanked source without its tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) text: String,
    /// Names of modules in files of their own that are tests: `#[cfg(test)] mod NAME;`.
    pub(super) test_modules: Vec<String>,
}

/// Takes the items behind `#[cfg(test)]` out of blanked source.
pub(super) fn without_tests(blanked: &str) -> Code {
    const MARK: &str = "#[cfg(test)]";
    let mut text = String::with_capacity(blanked.len());
    let mut test_modules = Vec::new();
    let mut rest = blanked;
    while let Some(at) = rest.find(MARK) {
        text.push_str(&rest[..at]);
        let (item, after) = rest[at..].split_at(item(&rest[at..]));
        let mut words = item[MARK.len()..].split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        if item.ends_with(';') && words.any(|word| word == "mod") {
            test_modules.extend(words.next().map(str::to_owned));
        }
        text.extend(item.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    text.push_str(rest);
    Code { text, test_modules }
}

/// Bytes up to the end of an item: a semicolon outside brackets, or the brace that closes its first one.
fn item(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' {
                    let after = &text[at + 1..];
                    let semicolon = after.trim_start().starts_with(';');
                    return at + 1 + if semicolon { after.find(';').unwrap_or(0) + 1 } else { 0 };
                }
                if depth < 0 {
                    return at;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A path that the code names, and the line it is on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) line: usize,
    /// Without spaces: `std::net::TcpStream`.
    pub(super) path: String,
}

/// All paths in the code; a `use` with braces gives one for each leaf.
pub(super) fn paths(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let Some(first) = rest.chars().next() else { break };
        if !is_word(first) && !rest.starts_with("::") {
            at += first.len_utf8();
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let length = path(rest);
        if length == 0 {
            // The `::` of `collect::<Vec<_>>`.
            at += first.len_utf8();
            continue;
        }
        let whole: String = rest[..length].split_whitespace().collect();
        at += length;
        if whole == "use" {
            let end = code[at..].find(';').map_or(code.len(), |end| at + end);
            for leaf in leaves("", &code[at..end]) {
                found.push(Named { line, path: leaf });
            }
            at = end;
        } else {
            found.push(Named { line, path: whole.trim_start_matches("::").to_owned() });
        }
    }
    found
}

/// Bytes of a path: words joined by `::`, with spaces around it.
fn path(text: &str) -> usize {
    let mut end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    loop {
        let joint = text[end..].len() - text[end..].trim_start().len();
        let Some(next) = text[end + joint..].strip_prefix("::") else { return end };
        let word = next.trim_start();
        let length = word.find(|c| !is_word(c)).unwrap_or(word.len());
        if length == 0 {
            return end;
        }
        end = text.len() - word.len() + length;
    }
}

/// The paths that a tree of `use` names.
fn leaves(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        let path: String = path.split_whitespace().collect();
        let whole = format!("{prefix}{}", path.trim_start_matches("::"));
        return vec![whole.trim_end_matches("::self").to_owned()];
    };
    let inner_prefix: String = tree[..open].split_whitespace().collect();
    let prefix = format!("{prefix}{}", inner_prefix.trim_start_matches("::"));
    let inner = &tree[open + 1..tree.rfind('}').filter(|close| *close > open).unwrap_or(tree.len())];
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branch = &inner[start..at];
                if !branch.trim().is_empty() {
                    found.extend(leaves(&prefix, branch));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_blanked_and_lines_stay() {
        let cases = [
            ("a // std::fs\nb", "a           \nb"),
            ("a /* x /* y */ \n z */ b", "a              \n      b"),
            (r#"f("std::fs \" // ", g)"#, "f(                , g)"),
            ("f(r#\"a \" b\"#, g)", "f(          , g)"),
            ("f(br\"\\\", b\"\\\"\", c\"x\")", "f(     ,      ,     )"),
            ("let rb = 'a'; 'x: loop { b'\\'' }", "let rb =    ; 'x: loop {       }"),
            ("fn f<'a>(s: &'a str) -> char { '\"' }", "fn f<'a>(s: &'a str) -> char {     }"),
            ("'\\u{41}' + '\\\\'", "         +     "),
            ("\"ä\n\" é", "  \n  é"),
            ("/* never closed", "               "),
            ("\"never closed", "             "),
        ];
        for (source, expected) in cases {
            assert_eq!(blank(source), expected, "{source}");
        }
    }

    #[test]
    fn items_for_tests_are_taken_out() {
        let code = without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { {} }\n}\nfn c() {}\n");
        assert_eq!(code.text, "fn a() {}\n\n\n\n\nfn c() {}\n");
        let code = without_tests(
            "#[cfg(test)]\nmod tests;\n#[cfg(test)] use x::{a, b};\n#[cfg(test)]\npub(crate) mod util;\nfn c() {}",
        );
        assert_eq!(code.test_modules, ["tests", "util"]);
        assert_eq!(code.text, "\n\n\n\n\nfn c() {}");
        let code = without_tests("struct S {\n    #[cfg(test)]\n    seen: [u8; 4],\n    kept: u8,\n}");
        assert!(code.text.contains('}'), "the brace of the struct stays: {:?}", code.text);
    }

    #[test]
    fn paths_are_found_whole_and_with_their_line() {
        assert_eq!(paths(":: ::<T>::"), [Named { line: 1, path: "T".to_owned() }]);
        let named = paths("fn f() {\n    std :: fs::read(x);\n    ::std::env::args()\n}");
        let named: Vec<(usize, &str)> = named.iter().map(|named| (named.line, named.path.as_str())).collect();
        assert_eq!(named, [(1, "fn"), (1, "f"), (2, "std::fs::read"), (2, "x"), (3, "std::env::args")]);
    }

    #[test]
    fn a_tree_of_use_gives_its_leaves() {
        let named = paths("use std::{fs, net::{self, TcpStream}, time::Instant as Now};\nuse a::b;");
        let named: Vec<(usize, &str)> = named.iter().map(|named| (named.line, named.path.as_str())).collect();
        assert_eq!(
            named,
            [(1, "std::fs"), (1, "std::net"), (1, "std::net::TcpStream"), (1, "std::time::Instant"), (2, "a::b")]
        );
        let named = paths("use std::{a::{b::{c, d}}, e::{f}};");
        let named: Vec<&str> = named.iter().map(|named| named.path.as_str()).collect();
        assert_eq!(named, ["std::a::b::c", "std::a::b::d", "std::e::f"]);
    }
}
