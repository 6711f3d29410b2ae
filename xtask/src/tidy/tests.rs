//! Shared fixtures, and tests of what all checks have in common.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder that is removed at the end of a test.
pub(super) struct Scratch {
    pub(super) root: PathBuf,
}

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let root = env::temp_dir().join(format!("ehlo-xtask-tidy-{}-{name}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        Self { root }
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A left-over folder in the system's own scratch space is no reason to fail.
        drop(fs::remove_dir_all(&self.root));
    }
}

const CHECK: Check = Check { name: "sky", holds: "the sky is blue", remedy: "wait", run: |_| Ok(Report::default()) };

#[test]
fn a_passed_check_is_one_line_that_says_how_much_was_looked_at() {
    let outcome = Ok(Report { looked_at: "1 sky".into(), problems: Vec::new() });
    assert_eq!(describe(&CHECK, &outcome), "ok      sky        the sky is blue (1 sky)");
}

#[test]
fn a_failed_check_names_each_problem_and_what_to_do() {
    let problems = vec!["a cloud".to_owned(), "night".to_owned()];
    let text = describe(&CHECK, &Ok(Report { looked_at: "1 sky".into(), problems }));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        ["FAILED  sky        it should hold that the sky is blue", "a cloud", "night", "what to do: wait"]
    );
    let text = describe(&CHECK, &Err("no window".into()));
    assert!(text.starts_with("FAILED") && text.contains("no window"));
}

#[test]
fn build_output_and_hidden_folders_are_not_walked() {
    let scratch = Scratch::new("walk");
    for path in
        ["a.md", "docs/b.md", "docs/src/book/c.md", "docs/book/x.md", "target/x.md", ".git/x.md", "fuzz/target/x.md"]
    {
        scratch.write(path, "");
    }
    let found = files(&scratch.root, ".md").unwrap();
    let found: Vec<String> = found.iter().map(|path| shown(&scratch.root, path)).collect();
    assert_eq!(found, ["a.md", "docs/b.md", "docs/src/book/c.md"]);
}

#[test]
fn names_of_checks_differ() {
    let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}
