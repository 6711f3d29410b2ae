//! `cargo xtask loadtest`: builds `ehlo` for speed and runs `ehlo load`.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

/// Hammer a server with mail, and measure: builds `ehlo` with optimisation and runs `ehlo load`.
///
/// All options are those of `ehlo load`. Without --target HOST:PORT a server is started for the run, and what it has stored is
/// compared with what was sent.
#[derive(clap::Args)]
// --help shows that of `ehlo load`.
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Options of `ehlo load`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

/// Runs the task. It only comes back if that fails.
pub(crate) fn main(workspace: &Path, arguments: &Arguments) -> ExitCode {
    let program = match build(workspace) {
        Ok(program) => program,
        Err(message) => return failed(&message),
    };
    // In place of this process, so that signals and the exit status are those of the run.
    let error = Command::new(&program).arg("load").args(&arguments.options).exec();
    failed(&format!("cannot run {}: {error}", program.display()))
}

fn failed(message: &str) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "cargo xtask loadtest: {message}");
    ExitCode::FAILURE
}

/// Builds the program, and gives its path as cargo tells it: that depends on the user's configuration.
fn build(workspace: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--package",
            "ehlo",
            "--bin",
            "ehlo",
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(workspace)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let mut program = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| format!("cannot read what cargo says: {error}"))?;
            program = executable(&line).or(program);
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    if !status.success() {
        return Err("`ehlo` doesn't build".to_owned());
    }
    program.ok_or_else(|| "cargo built `ehlo` and didn't say where".to_owned())
}

/// The program that a line of cargo's messages tells of.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    (message["target"]["name"] == "ehlo").then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says() {
        let built = r#"{"reason":"compiler-artifact","target":{"name":"ehlo"},"executable":"/x/release/ehlo"}"#;
        assert_eq!(executable(built), Some("/x/release/ehlo".into()));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"ehlo_load"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("Compiling"), None);
    }
}
