//! `cargo xtask plant`: puts faults into the sessions on purpose, one at a time, and sees whether the tests find them.
//!
//! A test that has never failed has shown nothing. Each row of `crates/sim/planted.tsv` is a mistake that could be made in a session; the tests of
//! the package that it names must fail with it. It is made in a copy of the sources, never in the sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The list, from the root of the workspace.
const LIST: &str = "crates/sim/planted.tsv";
/// Where the copy is, and what is built of it.
const COPY: &str = "target/planted/copy";
const BUILD: &str = "target/planted/build";

/// Plant each fault of crates/sim/planted.tsv in a copy of the sources, and see whether the tests find it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only faults whose name has this in it.
    only: Option<String>,
}

/// One fault.
#[derive(Debug)]
struct Fault {
    name: String,
    /// The package whose tests find it.
    package: String,
    file: String,
    from: String,
    to: String,
}

#[expect(clippy::print_stderr, reason = "its purpose is to tell")]
pub(crate) fn main(root: &Path, arguments: &Arguments) -> ExitCode {
    match run(root, arguments) {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("not found: {}", missed.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the names of those that no test has found.
#[expect(clippy::print_stdout, reason = "its purpose is to tell")]
fn run(root: &Path, arguments: &Arguments) -> Result<Vec<String>, String> {
    let faults = faults(root)?;
    let copy = root.join(COPY);
    drop(fs::remove_dir_all(&copy));
    for file in sources(root)? {
        let (from, to) = (root.join(&file), copy.join(&file));
        fs::create_dir_all(to.parent().unwrap_or(&copy)).map_err(|error| format!("{}: {error}", to.display()))?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    // Without a fault they pass, or nothing that follows says anything.
    for package in ["ehlo-client", "ehlo-sim"] {
        if !test(root, package, &[])? {
            return Err(format!("the tests of {package} fail as they are"));
        }
    }
    let mut missed = Vec::new();
    for fault in faults.iter().filter(|fault| arguments.only.as_ref().is_none_or(|only| fault.name.contains(only))) {
        let path = copy.join(&fault.file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let write = |text: &str| fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()));
        write(&fault.apply(&text)?)?;
        let built = test(root, &fault.package, &["--no-run"])?;
        let passed = test(root, &fault.package, &[])?;
        write(&text)?;
        if !built {
            return Err(format!("{}: does not compile", fault.name));
        }
        println!("{:9} {}", if passed { "NOT FOUND" } else { "found" }, fault.name);
        if passed {
            missed.push(fault.name.clone());
        }
    }
    Ok(missed)
}

/// Whether the tests of a package in the copy pass.
fn test(root: &Path, package: &str, more: &[&str]) -> Result<bool, String> {
    Command::new(env!("CARGO"))
        .current_dir(root.join(COPY))
        .env("CARGO_TARGET_DIR", root.join(BUILD))
        .args(["test", "--quiet", "--tests", "--package", package])
        .args(more)
        .output()
        .map(|output| output.status.success())
        .map_err(|error| format!("cargo: {error}"))
}

/// Files of the workspace that git knows.
fn sources(root: &Path) -> Result<Vec<PathBuf>, String> {
    const WHERE: [&str; 6] = ["Cargo.*", "crates", "xtask", "tests", "benches", ".cargo"];
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--"]).args(WHERE);
    let output = git.output().map_err(|error| format!("git: {error}"))?;
    let list = String::from_utf8(output.stdout).map_err(|error| format!("git: {error}"))?;
    Ok(list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .filter(|path| root.join(path).is_file())
        .collect())
}

fn faults(root: &Path) -> Result<Vec<Fault>, String> {
    let text = fs::read_to_string(root.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [name, package, file, from, to] = cells[..] else {
                return Err(format!("{LIST}:{}: {} cells, not 5", at + 1, cells.len()));
            };
            let [name, package, file, from, to] = [name, package, file, from, to].map(str::to_owned);
            Ok(Fault { name, package, file, from, to })
        })
        .collect()
}

impl Fault {
    /// The text with the fault in it.
    fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.from).count() {
            1 => Ok(text.replacen(&self.from, &self.to, 1)),
            count => Err(format!("{}: {:?} is in {} {count} times, not once", self.name, self.from, self.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the sources have changed, so must the list.
    #[test]
    fn each_fault_can_be_planted() {
        let root = crate::workspace_root();
        let faults = faults(&root).expect("the list");
        assert!(faults.len() >= 10, "only {} faults", faults.len());
        let wrong: Vec<String> = faults
            .iter()
            .filter_map(|fault| fault.apply(&fs::read_to_string(root.join(&fault.file)).unwrap_or_default()).err())
            .collect();
        assert!(wrong.is_empty(), "{LIST}:\n{}", wrong.join("\n"));
    }
}
