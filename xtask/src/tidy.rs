//! `cargo xtask tidy`: what the compiler cannot see about the shape of the workspace.
//!
//! Each check is a function from the workspace to a [`Report`]; it looks at something, says how much it looked at, and
//! names every problem with its place. A check that finds nothing to look at has failed.

mod arrows;
mod length;
mod licenses;
mod links;
mod manifests;
mod no_std;
mod purity;
mod source;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use crate::codegen;

/// Check the shape of the workspace: what the compiler cannot see.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only these checks.
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(CHECKS.iter().map(|check| check.name)))]
    checks: Vec<String>,
}

/// What all checks start from.
struct Workspace {
    root: PathBuf,
    /// The output of `cargo metadata --no-deps`.
    metadata: Value,
}

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// How much was looked at: `12 files`.
    looked_at: String,
    /// One line each, with its place.
    problems: Vec<String>,
}

struct Check {
    name: &'static str,
    /// What holds when it passes.
    holds: &'static str,
    /// What to do when it does not.
    remedy: &'static str,
    run: fn(&Workspace) -> Result<Report, String>,
}

const CHECKS: &[Check] = &[
    Check {
        name: "arrows",
        holds: "every crate depends only on what its place allows",
        remedy: "move the code to the crate that may have the dependency; if the architecture has changed, change docs/src/architecture.md \
                 and the table in xtask/src/tidy/arrows.rs together",
        run: |workspace| arrows::check(&workspace.metadata),
    },
    Check {
        name: "purity",
        holds: "the core crates do no I/O, read no clock, know no async, draw no random number, keep no global state",
        remedy: "take the value as an argument and let a driver (crates/tokio, crates/load) do it",
        run: |workspace| purity::check(&workspace.root),
    },
    Check {
        name: "generated",
        holds: "generated files are what the tables give",
        remedy: "run `cargo xtask codegen` and commit the result",
        run: |workspace| {
            let problems = codegen::stale(&workspace.root)?;
            Ok(Report { looked_at: format!("{} files", codegen::count(&workspace.root)?), problems })
        },
    },
    Check {
        name: "links",
        holds: "relative links lead to a file and a heading, and SUMMARY.md lists every page",
        remedy: "correct the link, or the heading it means",
        run: |workspace| links::check(&workspace.root),
    },
    Check {
        name: "manifests",
        holds: "every crate takes the workspace's lints, and a published one can be found and understood on its own",
        remedy: "complete the Cargo.toml, README.md or example that is named",
        run: |workspace| manifests::check(&workspace.root, &workspace.metadata),
    },
    Check {
        name: "licenses",
        holds: "every dependency has a licence that deny.toml allows",
        remedy: "use another crate; if the licence is as permissive as those in deny.toml, add it there",
        run: |workspace| licenses::check(&workspace.root),
    },
    Check {
        name: "length",
        holds: "no source file is too long to be read",
        remedy: "split the file by concern, with the longest part's tests beside it",
        run: |workspace| length::check(&workspace.root),
    },
    Check {
        name: "no_std",
        holds: "codes and codec link without std, and the proof would see it if they did not",
        remedy: "use core and alloc there; `cargo build --manifest-path tests/no_std/Cargo.toml` shows the whole error",
        run: |workspace| no_std::check(&workspace.root, &workspace.metadata),
    },
];

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
pub(crate) fn main(root: &Path, arguments: &Arguments) -> ExitCode {
    let workspace = match metadata(root, &["--no-deps"]) {
        Ok(metadata) => Workspace { root: root.to_owned(), metadata },
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    for check in CHECKS {
        if !arguments.checks.is_empty() && arguments.checks.iter().all(|name| name != check.name) {
            continue;
        }
        let outcome = (check.run)(&workspace);
        failed += usize::from(!matches!(&outcome, Ok(report) if report.problems.is_empty()));
        println!("{}", describe(check, &outcome));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The lines to print for a check: one if it passed.
fn describe(check: &Check, outcome: &Result<Report, String>) -> String {
    let problems = match outcome {
        Ok(report) if report.problems.is_empty() => {
            return format!("ok      {:<10} {} ({})", check.name, check.holds, report.looked_at);
        }
        Ok(report) => report.problems.as_slice(),
        Err(error) => std::slice::from_ref(error),
    };
    let mut text = format!("FAILED  {:<10} it should hold that {}", check.name, check.holds);
    for problem in problems {
        text += "\n            ";
        text += problem;
    }
    text + "\n        what to do: " + check.remedy
}

/// What cargo knows about the packages of the workspace and, without `--no-deps`, about all they depend on.
fn metadata(root: &Path, arguments: &[&str]) -> Result<Value, String> {
    let output = cargo()
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata printed no JSON: {error}"))
}

/// The cargo that runs this task, or the one on the path.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The packages in the output of `cargo metadata`.
fn packages(metadata: &Value) -> Result<&Vec<Value>, String> {
    metadata["packages"]
        .as_array()
        .filter(|packages| !packages.is_empty())
        .ok_or("cargo metadata lists no package".into())
}

/// A string in a JSON object, or an empty one.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// All files below a folder whose names end with `suffix`, sorted. Hidden folders and build output are left out.
fn files(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type().map_err(|error| format!("{}: {error}", entry.path().display()))?;
            if kind.is_dir() {
                let build_output = name == "target" || (name == "book" && folder.ends_with("docs"));
                if !name.starts_with('.') && !build_output {
                    open.push(entry.path());
                }
            } else if kind.is_file() && name.ends_with(suffix) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A path for people: from the root, with slashes.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests;
