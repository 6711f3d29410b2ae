//! What is wrong with a file, where, and what to do.

use std::fmt;
use std::ops::Range;

/// Most problems that are told of one file; the rest is counted.
const MAX_TOLD: usize = 100;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which bytes of the file it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether it may only follow from another problem: something is not there because it could not be read.
    pub(crate) follows: bool,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { span, what: what.into(), remedy: remedy.into(), follows: false }
    }
}

/// Everything that is wrong with a file. `Display` tells each as `NAME:LINE:COLUMN: what is wrong; what to do`, with the line below it.
///
/// Lines and columns begin with 1; a column is a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    name: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(name: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.start);
        list.dedup();
        Self { name: name.to_owned(), text: text.to_owned(), list }
    }

    /// What could not even be read.
    pub(crate) fn unreadable(name: &str, error: &std::io::Error) -> Self {
        let problem = Problem::new(0..0, format!("the file cannot be read: {error}"), "name one that can");
        Self::new(name, "", vec![problem])
    }

    /// Each of them, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The line and the column of a problem, both from 1 on, and the line itself.
    fn place(&self, problem: &Problem) -> (usize, usize, &str) {
        let mut at = problem.span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        (before.matches('\n').count() + 1, self.text[start..at].chars().count() + 1, line)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().take(MAX_TOLD).enumerate() {
            let (number, column, line) = self.place(problem);
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{number}:{column}: {}; {}", self.name, problem.what, problem.remedy)?;
            if line.is_empty() {
                continue;
            }
            // A secret that stands in the file is not for a log.
            let shown = if line.contains("SCRAM-") { "(a line with a password's verifier)" } else { line };
            let marks = problem.span.len().clamp(1, line.chars().count().saturating_sub(column - 1).max(1));
            write!(f, "\n{number:>5} | {shown}")?;
            if shown == line {
                let pad: String = line.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
                write!(f, "\n      | {pad}{}", "^".repeat(marks))?;
            }
        }
        if self.list.len() > MAX_TOLD {
            write!(f, "\n{}: and {} more", self.name, self.list.len() - MAX_TOLD)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_line_and_a_mark_below() {
        let text = "a = 1\nß = \"x\" # wrong\n";
        let at = text.find("\"x\"").unwrap();
        let problems = Problems::new("ehlo.toml", text, vec![Problem::new(at..at + 3, "it is wrong", "mend it")]);
        let told = "ehlo.toml:2:5: it is wrong; mend it\n    2 | ß = \"x\" # wrong\n      |     ^^^";
        assert_eq!(problems.to_string(), told);
    }

    #[test]
    fn no_verifier_of_a_password_is_shown() {
        let text = "password = \"SCRAM-SHA-256$4096:c2FsdA==$x:y\"\n";
        let problems = Problems::new("f", text, vec![Problem::new(0..8, "it is wrong", "mend it")]);
        assert!(!problems.to_string().contains("4096"), "{problems}");
    }

    #[test]
    fn spans_from_anywhere_do_no_harm() {
        for text in ["", "ß", "ß\nx"] {
            for start in 0..6 {
                for end in start..7 {
                    let problems = Problems::new("f", text, vec![Problem::new(start..end, "a", "b")]);
                    assert!(problems.to_string().starts_with("f:"));
                }
            }
        }
    }
}
