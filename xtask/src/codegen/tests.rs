//! Tests of the generator: on the tables of the workspace, and on copies of them with one cell wrong.

use std::fs;
use std::path::{Path, PathBuf};

use super::data::Registry;
use super::{DATA, conformance, generate, stale, write};

const TABLES: [&str; 13] = [
    "classes.tsv",
    "enhanced.tsv",
    "extensions.tsv",
    "parameters.tsv",
    "replies.tsv",
    "sasl.tsv",
    "senses.tsv",
    "sequences.tsv",
    "subjects.tsv",
    "texts.tsv",
    "vendor.tsv",
    "verbs.tsv",
    "with.tsv",
];

/// A folder that is removed at the end of a test.
struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// A root that holds a copy of the workspace's tables.
    fn with_tables(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("ehlo-xtask-codegen-{}-{name}", std::process::id()));
        let folder = root.join(DATA);
        fs::create_dir_all(&folder).unwrap();
        for table in TABLES {
            fs::copy(crate::workspace_root().join(DATA).join(table), folder.join(table)).unwrap();
        }
        Self { root }
    }

    /// What the pages of conformance are made of, with one scenario.
    fn add_conformance(&self) {
        for matrix in conformance::MATRICES {
            let (table, scenarios) = (self.root.join(matrix.table), self.root.join(matrix.scenarios));
            fs::create_dir_all(table.parent().unwrap()).unwrap();
            fs::copy(crate::workspace_root().join(matrix.table), table).unwrap();
            fs::create_dir_all(&scenarios).unwrap();
        }
        let one = self.root.join(conformance::MATRICES[0].scenarios).join("one.scenario");
        fs::write(one, "# rows: S001\n").unwrap();
    }

    /// Replaces the first occurrence of a text in a table.
    fn edit(&self, table: &str, from: &str, to: &str) {
        let path = self.root.join(DATA).join(table);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{table} has no {from:?}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A left-over folder in the system's own scratch space is no reason to fail.
        drop(fs::remove_dir_all(&self.root));
    }
}

#[test]
fn what_was_written_is_fresh_until_a_table_or_a_file_changes() {
    let scratch = Scratch::with_tables("fresh");
    scratch.add_conformance();
    let count = generate(&scratch.root).unwrap().len();
    assert_eq!(stale(&scratch.root).unwrap().len(), count, "nothing is written yet");
    assert_eq!(write(&scratch.root).unwrap().len(), count);
    assert_eq!(stale(&scratch.root).unwrap(), Vec::<String>::new());
    assert_eq!(write(&scratch.root).unwrap(), Vec::<String>::new(), "a second run writes nothing");

    scratch.edit("replies.tsv", "You have no mail", "No mail");
    let found = stale(&scratch.root).unwrap();
    assert_eq!(found.len(), 3, "source and two pages: {found:?}");
    assert!(found[0].starts_with("crates/codes/src/generated/replies.rs is stale from line "), "{found:?}");

    write(&scratch.root).unwrap();
    let page = scratch.root.join("docs/src/reference/enhanced-codes.md");
    fs::write(&page, fs::read_to_string(&page).unwrap() + "edited by hand\n").unwrap();
    assert_eq!(stale(&scratch.root).unwrap().len(), 1);
}

#[test]
fn a_wrong_table_is_refused_with_its_place() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("replies.tsv", "\n250\t", "\n251\t", "replies.tsv: row"),
        ("replies.tsv", "\n250\t", "\n650\t", "begins with another digit"),
        ("replies.tsv", "\tOK\t", "\tREADY\t", "name READY occurs twice"),
        ("replies.tsv", "\tOK\t", "\tok\t", "not a constant's name"),
        ("replies.tsv", "\tstandard\n", "\tstandart\n", "unknown standing"),
        ("replies.tsv", "\tstandard\n", "\n", "too few cells"),
        ("replies.tsv", "\tstandard\n", "\tstandard\tmore\n", "one cell too many"),
        ("replies.tsv", "\tRFC 5321 §4.2.3\t", "\tRFC 5321\t", "without its section"),
        ("replies.tsv", "\tSystem status\t", "\t\t", "written as -"),
        ("enhanced.tsv", "\t451 550\t", "\t550 451\t", "does not rise"),
        ("enhanced.tsv", "\t451 550\t", "\t451 599\t", "X.1.1: 599 is not in replies.tsv"),
        ("enhanced.tsv", "X.1.1\t", "X.8.1\t", "does not rise above"),
        ("enhanced.tsv", "X.7.30\t", "X.8.0\t", "subject not in subjects.tsv"),
        ("enhanced.tsv", "X.7.30\t", "5.7.30\t", "is not like X.1.1"),
        ("enhanced.tsv", "X.7.30\t", "X.7.1000\t", "not a number from 0 to 999"),
        ("enhanced.tsv", "\t5\t451 550\t", "\t6\t451 550\t", "class 6 is not in classes.tsv"),
        ("subjects.tsv", "\n3\t", "\n9\t", "without a gap"),
        ("verbs.tsv", "\nNOOP\t", "\nNO-OP\t", "capital letters"),
        ("verbs.tsv", "\nNOOP\t", "\nQUIT\t", "verb QUIT occurs twice"),
        ("sequences.tsv", "\nQUIT\t221\t", "\nQUIT\t299\t", "QUIT: 299 is not in replies.tsv"),
        ("sequences.tsv", "\nQUIT\t221\t", "\nQUIT\t221 220\t", "does not rise"),
        ("sequences.tsv", "\nMAIL\t355\t", "\nMAIL\t250\t", "MAIL: 250 occurs twice"),
        ("sequences.tsv", "\nMAIL\t355\t", "\nMALE\t355\t", "neither a verb nor a special stage"),
        ("sequences.tsv", "commands -QUIT", "commands -QUITE", "not a verb with a minus sign"),
        ("sequences.tsv", "\ndata-end\t421\t", "\ndata-end\t421 \t", "spaces around it"),
        ("replies.tsv", "\n120\t", "\n99\t", "begins with another digit"),
        ("replies.tsv", "RFC 780 §5.2.2\tobsolete", "RFC 780 §5.2.2\tstandard", "begins with another digit"),
        ("senses.tsv", "\n211\t", "\n210\t", "210: is not in replies.tsv"),
        ("senses.tsv", "\n211\t", "\n214\t", "211: no row"),
        ("senses.tsv", "\n221\t-\t-\t", "\n220\t-\t-\t", "220: one meaning of several lacks a title"),
        ("senses.tsv", "\n221\t-\t-\t", "\n221\tClosing\t-\t", "given or left out together"),
        ("senses.tsv", "\n221\t", "\n219\t", "219: does not rise"),
        ("senses.tsv", "\t-\t-\tQUIT\t", "\t-\t-\tQUITE\t", "\"QUITE\" is not a stage"),
        ("senses.tsv", "\tX.2.4\t", "\tX.2.9\t", "X.2.9 is not in enhanced.tsv"),
        ("senses.tsv", "\tyes\tnobody\t", "\tmaybe\tnobody\t", "none of yes, no and -"),
        ("senses.tsv", "\tyes\tnobody\t", "\tyes\tanybody\t", "unknown party"),
        ("texts.tsv", "\nRCPT\t251\t", "\nRCPT\t252\t", "RCPT 252: not a reply of that stage"),
        ("texts.tsv", "\nRCPT\t551\t", "\nRCPT\t251\t", "RCPT 251: occurs twice"),
        ("texts.tsv", "\tforward-path\t", "\tpath\t", "unknown kind of text"),
        ("texts.tsv", "\nconnect\t", "\nconnected\t", "unknown stage"),
        ("extensions.tsv", "\nSIZE\t", "\nsize\t", "not a keyword in capital letters"),
        ("extensions.tsv", "\nSIZE\t", "\nPIPELINING\t", "keyword PIPELINING occurs twice"),
        ("extensions.tsv", "\t26\t", "\t-26\t", "not a number of octets"),
        ("extensions.tsv", "\tyes\tshould\t", "\tyes\tought\t", "unknown word"),
        ("extensions.tsv", "\t-\tBDAT\t", "\t-\t-\t", "verbs.tsv: BDAT: CHUNKING in extensions.tsv does not add it"),
        ("parameters.tsv", "\tDSN\t", "\tDNS\t", "RET of MAIL: its extension is not in extensions.tsv"),
        ("parameters.tsv", "\tMAIL\tDSN\t", "\tMALE\tDSN\t", "RET of MALE: its verb is not in verbs.tsv"),
        ("sasl.tsv", "\nPLAIN\t", "\nPLAINER-THAN-ALL-THE-REST\t", "longer than the 20 characters"),
        ("with.tsv", "\tno\tyes\tno\t", "\tno\tmaybe\tno\t", "neither yes nor no"),
        ("vendor.tsv", "\t5.7.606-649\t", "\t5.7.649-606\t", "is not like 5.7.1 or 5.7.606-649"),
        ("vendor.tsv", "\t421\t4.3.0\t", "\t521\t4.3.0\t", "does not agree with the reply code"),
        ("vendor.tsv", "\t421\t4.4.5\t", "\t421\t4.9.5\t", "does not rise"),
    ];
    for (position, (table, from, to, complaint)) in cases.iter().enumerate() {
        let scratch = Scratch::with_tables(&format!("wrong-{position}"));
        scratch.edit(table, from, to);
        let error = Registry::read(&scratch.root.join(DATA)).err();
        assert!(
            error.as_deref().is_some_and(|error| error.contains(complaint) && error.contains(".tsv")),
            "{table}: {from:?} -> {to:?} gives {error:?}"
        );
    }
}

#[test]
fn a_missing_table_is_named() {
    let scratch = Scratch::with_tables("missing");
    fs::remove_file(scratch.root.join(DATA).join("verbs.tsv")).unwrap();
    let error = generate(&scratch.root).err().unwrap();
    assert!(error.starts_with("crates/codes/data/verbs.tsv: cannot be read"), "{error}");
}

#[test]
fn shared_rows_leave_out_what_they_name_and_what_is_listed() {
    let registry = Registry::read(&crate::workspace_root().join(DATA)).unwrap();
    let replies = |name: &str| &registry.stages.iter().find(|stage| stage.stage == name).unwrap().replies;
    let reference = |name: &str, code: u16| {
        replies(name).iter().find(|(known, _)| *known == code).map(|(_, reference)| reference.as_str())
    };
    assert_eq!(reference("QUIT", 503), None);
    assert_eq!(reference("NOOP", 503), Some("RFC 5321 §3.1"));
    assert_eq!(reference("MAIL", 503), Some("RFC 5321 §4.3.2"), "its own row wins");
    assert_eq!(reference("data-end", 530), None, "not a command");
    assert_eq!(reference("unknown-verb", 530), Some("RFC 3207 §4, RFC 4954 §6"));
}

#[test]
fn the_workspace_is_where_the_tests_think() {
    assert!(crate::workspace_root().join(Path::new("Cargo.toml")).is_file());
}
