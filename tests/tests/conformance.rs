//! The tables in `tests/conformance` say the truth: what is said to be tested has a test, and no scenario shows what its table does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rows that the tables began with; none may go.
const LEAST: usize = 262;
const LEAST_OF_CLIENT: usize = 86;

struct Row {
    id: String,
    verdict: String,
    by: Vec<String>,
    note: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(file: &str) -> Vec<Row> {
    let text = read(&root().join("tests/conformance").join(file));
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("id\treference\tlevel\trequirement\tverdict\tby\tnote"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [id, _, _, _, verdict, by, note] = cells[..] else { panic!("seven cells, not {line:?}") };
            Row {
                id: id.to_owned(),
                verdict: verdict.to_owned(),
                by: by.split(' ').filter(|by| *by != "-").map(str::to_owned).collect(),
                note: note.to_owned(),
            }
        })
        .collect()
}

/// The rows that scenarios name, each with the scenarios.
fn claims() -> BTreeMap<String, Vec<String>> {
    let folder = root().join("tests/scenarios/server");
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_none_or(|ending| ending != "scenario") {
            continue;
        }
        count += 1;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for line in read(&path).lines() {
            let Some(ids) = line.strip_prefix("# rows:") else {
                assert!(!line.starts_with("# row"), "{name}: {line:?} names no rows, and looks as if it did");
                continue;
            };
            for id in ids.split_whitespace() {
                claims.entry(id.to_owned()).or_default().push(name.clone());
            }
        }
    }
    assert!(count >= 100, "the scenarios are not in {}", folder.display());
    claims
}

/// The rows that the remarks of the client's scenarios name: `# C009, C053: words`.
fn claims_of_client() -> BTreeMap<String, Vec<String>> {
    let folder = root().join("crates/client/tests/scenarios");
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_none_or(|ending| ending != "txt") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = read(&path);
        for ids in text.lines().filter_map(|line| line.strip_prefix("# C0")) {
            let ids = ids.split(':').next().unwrap_or_default();
            for id in ids.split(", ").map(|id| id.trim_start_matches("C0")) {
                assert!(
                    id.len() == 2 && id.parse::<u8>().is_ok(),
                    "{name}: C0{ids} names no rows, and looks as if it did"
                );
                claims.entry(format!("C0{id}")).or_default().push(name.clone());
            }
        }
    }
    assert!(claims.len() >= 50, "the scenarios are not in {}", folder.display());
    claims
}

/// Why a test that is named is none.
fn no_test(by: &str) -> Option<String> {
    let Some((path, name)) = by.split_once('#') else { return Some(format!("{by} is not like path#name")) };
    let Ok(source) = fs::read_to_string(root().join(path)) else { return Some(format!("there is no {path}")) };
    let mut before = source.split(&format!("fn {name}(")).next()?.lines().rev().take(3);
    let is_there = source.contains(&format!("fn {name}("));
    (!is_there || !before.any(|line| line.contains("test]") || line.contains("test(")))
        .then(|| format!("{path} has no test {name}"))
}

#[test]
fn every_demand_has_a_verdict_that_is_true() {
    check("server.tsv", LEAST, &claims());
}

#[test]
fn every_demand_on_the_client_has_a_verdict_that_is_true() {
    check("client.tsv", LEAST_OF_CLIENT, &claims_of_client());
}

fn check(file: &str, least: usize, claims: &BTreeMap<String, Vec<String>>) {
    let rows = table(file);
    assert!(rows.len() >= least, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let Row { id, verdict, by, note } = row;
        wrong.extend(by.iter().filter_map(|by| no_test(by)).map(|why| format!("{id}: {why}")));
        let shown = claims.get(id);
        let tests = by.len() + shown.map_or(0, Vec::len);
        match verdict.as_str() {
            "tested" | "corrected" if tests == 0 => wrong.push(format!("{id} is {verdict}, and nothing shows it")),
            // What is done may be shown although nobody could hold it against the text.
            "not-applicable" | "missing" | "elsewhere" if tests > 0 => {
                wrong.push(format!("{id} is {verdict}, and is shown by {shown:?} {by:?}: say `tested` or `corrected`"));
            }
            "tested" => {}
            // With the RFC's own words.
            "corrected" | "not-applicable" if note.split('"').any(|part| part.split(' ').count() > 3) => {}
            "not-judged" | "missing" if note != "-" => {}
            // With the place.
            "elsewhere" if note.contains("crates/") => {}
            // No RFC has words for what there is not.
            "not-applicable" if file == "client.tsv" && note != "-" => {}
            _ => wrong.push(format!("{id} has the verdict {verdict:?} with the note {note:?}")),
        }
    }
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
    for (id, names) in claims.iter().filter(|(id, _)| !ids.contains(id.as_str())) {
        wrong.push(format!("{id} is no row, and {names:?} name it"));
    }
    assert!(wrong.is_empty(), "tests/conformance/{file}:\n{}", wrong.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_seen() {
    assert_eq!(no_test("tests/tests/conformance.rs#a_test_that_is_not_there_is_seen"), None);
    for by in ["tests/tests/conformance.rs#no_test", "tests/tests/conformance.rs#nothing", "tests/none.rs#x", "x"] {
        assert!(no_test(by).is_some(), "{by}");
    }
}
