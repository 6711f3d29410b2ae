//! The table of all keys in the book, made of the types and their documentation.

use std::collections::HashMap;
use std::path::Path;

/// The sources of the types.
const SOURCES: &[&str] =
    &[include_str!("mod.rs"), include_str!("server.rs"), include_str!("mail.rs"), include_str!("access.rs")];

/// The page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/guide/policy.md");

/// What the table begins with.
const HEAD: &str = "| key | what it is |\n|---|---|\n";

/// A field: its name, its type and its documentation.
type Field = (String, String, String);

/// The public fields of all structures.
fn structures() -> HashMap<String, Vec<Field>> {
    let (mut found, mut structure, mut docs) = (HashMap::new(), String::new(), String::new());
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            docs += text;
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            structure = name.to_owned();
            found.insert(structure.clone(), Vec::new());
            docs.clear();
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
            let field = (name.to_owned(), kind.trim_end_matches(',').to_owned(), docs.trim().to_owned());
            found.entry(structure.clone()).or_insert_with(Vec::new).push(field);
            docs.clear();
        } else if !line.starts_with('#') {
            docs.clear();
        }
    }
    found
}

/// A row for each key below a structure, and for the tables in it.
fn rows(structures: &HashMap<String, Vec<Field>>, structure: &str, prefix: &str, out: &mut String) {
    for (name, kind, docs) in &structures[structure] {
        let inner = kind.rsplit('<').next().unwrap_or_default().trim_end_matches('>');
        let key = format!("{prefix}{name}");
        let shown = match (structures.contains_key(inner), kind.contains("Vec<"), prefix) {
            (true, true, "") => format!("`[[{key}]]`"),
            (true, false, "") => format!("`[{key}]`"),
            _ => format!("`{key}`"),
        };
        // What is a word of Rust there is one of the file here.
        *out += &format!("| {shown} | {} |\n", docs.replace(" | ", " / "));
        if structures.contains_key(inner) {
            rows(structures, inner, &format!("{key}."), out);
        }
    }
}

#[test]
fn the_book_has_every_key_with_what_its_type_says_of_it() {
    let structures = structures();
    let mut table = HEAD.to_owned();
    rows(&structures, "ConfigFile", "", &mut table);
    assert!(table.matches('\n').count() > 100, "{table}");
    // Outside of the workspace there is no book.
    let page = Path::new(PAGE);
    let Ok(text) = std::fs::read_to_string(page) else { return };
    let start = text.find(HEAD).expect("the page has the table");
    let end = text[start..].find("\n\n").map_or(text.len(), |end| start + end + 1);
    if text[start..end] == table {
        return;
    }
    assert!(
        std::env::var_os("EHLO_WRITE_BOOK").is_some(),
        "{PAGE} is stale: run this test with EHLO_WRITE_BOOK=1, and look at what it has changed"
    );
    std::fs::write(page, format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
}

/// Every key is in the example, too, so that whoever prints it sees all there is.
#[test]
fn the_example_has_every_key() {
    let structures = structures();
    let example = crate::EXAMPLE;
    let mut missing = Vec::new();
    for (structure, fields) in &structures {
        if ["ConfigFile", "Certificate"].contains(&structure.as_str()) {
            continue;
        }
        for (name, ..) in fields {
            let set = |line: &str| line.trim_start_matches("# ").split(" = ").next() == Some(name.as_str());
            if !example.lines().any(set) {
                missing.push(format!("{structure}.{name}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
