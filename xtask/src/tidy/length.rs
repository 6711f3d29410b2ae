//! How long source files are.

use std::path::Path;

use super::{Report, files, read, shown};

/// Lines of a Rust file. Long enough for a table of transitions with its theory; a generated table is not read by people.
const MAX_LINES: usize = 900;

pub(super) fn check(root: &Path) -> Result<Report, String> {
    let mut report = Report::default();
    let mut count = 0;
    for path in files(root, ".rs")? {
        let name = shown(root, &path);
        if name.contains("/generated/") {
            continue;
        }
        count += 1;
        let lines = read(&path)?.lines().count();
        if lines > MAX_LINES {
            report.problems.push(format!("{name} has {lines} lines, at most {MAX_LINES} are allowed"));
        }
    }
    if count == 0 {
        return Err("there is no Rust file".into());
    }
    report.looked_at = format!("{count} files");
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    #[test]
    fn a_file_is_too_long_from_the_first_line_above_the_limit() {
        let scratch = Scratch::new("length");
        scratch.write("src/good.rs", &"\n".repeat(MAX_LINES));
        scratch.write("src/bad.rs", &"\n".repeat(MAX_LINES + 1));
        scratch.write("src/generated/table.rs", &"\n".repeat(MAX_LINES * 9));
        scratch.write("target/debug/built.rs", &"\n".repeat(MAX_LINES * 9));
        let report = check(&scratch.root).unwrap();
        assert_eq!(report.problems, ["src/bad.rs has 901 lines, at most 900 are allowed"]);
        assert_eq!(report.looked_at, "2 files");
    }

    #[test]
    fn nothing_to_look_at_is_an_error() {
        let scratch = Scratch::new("length-empty");
        scratch.write("readme.md", "");
        assert!(check(&scratch.root).is_err());
    }
}
