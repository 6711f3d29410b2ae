//! `cargo xtask codegen`: from the tables in `crates/codes/data` and `tests/conformance` to Rust source and documentation pages.
//!
//! What is generated is checked in: who builds the crates needs no generator, and a review sees what a changed row means.
//! `--check` writes nothing and fails if a file differs from what would be written.

/// Writes to a `String`, which cannot fail.
macro_rules! line {
    ($out:expr, $($argument:tt)*) => {{
        let _: std::fmt::Result = writeln!($out, $($argument)*);
    }};
}

pub(crate) mod conformance;
pub(crate) mod data;
mod pages;
mod rust;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use data::Registry;

/// Where the tables are, from the root of the workspace.
pub(crate) const DATA: &str = "crates/codes/data";

/// Generate the registry's source and pages from crates/codes/data, and the page of conformance from tests/conformance.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a generated file is stale.
    #[arg(long)]
    check: bool,
}

/// A file to be written: its path from the root of the workspace, and its text.
pub(crate) struct Generated {
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
pub(crate) fn main(root: &Path, arguments: &Arguments) -> ExitCode {
    let outcome = if arguments.check { stale(root) } else { write(root) };
    match outcome {
        Ok(paths) if paths.is_empty() => {
            println!("generated files are up to date");
            ExitCode::SUCCESS
        }
        Ok(paths) if arguments.check => {
            for path in paths {
                eprintln!("{path}");
            }
            eprintln!("run `cargo xtask codegen` and commit the result");
            ExitCode::FAILURE
        }
        Ok(paths) => {
            for path in paths {
                println!("wrote {path}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that comes out of the tables under `root`.
fn generate(root: &Path) -> Result<Vec<Generated>, String> {
    let registry = Registry::read(&root.join(DATA))?;
    let mut files = rust::files(&registry);
    files.extend(pages::files(&registry));
    files.extend(conformance::files(root)?);
    Ok(files)
}

/// How many files come out of the tables under `root`.
pub(crate) fn count(root: &Path) -> Result<usize, String> {
    generate(root).map(|files| files.len())
}

/// The generated files under `root` that are missing or differ, each with the first line that does.
pub(crate) fn stale(root: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for file in generate(root)? {
        match fs::read_to_string(root.join(file.path)) {
            Ok(text) if text == file.text => {}
            Ok(text) => found.push(format!("{} is stale from line {}", file.path, first_difference(&text, &file.text))),
            Err(error) => found.push(format!("{} cannot be read: {error}", file.path)),
        }
    }
    Ok(found)
}

/// Writes what is missing or differs, and returns the paths.
fn write(root: &Path) -> Result<Vec<String>, String> {
    let mut written = Vec::new();
    for file in generate(root)? {
        let path = root.join(file.path);
        if fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        let parent = path.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        fs::write(&path, file.text).map_err(|error| format!("{}: {error}", path.display()))?;
        written.push(file.path.to_owned());
    }
    Ok(written)
}

/// The number of the first line that differs, from 1.
fn first_difference(a: &str, b: &str) -> usize {
    a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count() + 1
}

#[cfg(test)]
mod tests;
