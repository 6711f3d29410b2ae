//! The proof that codes and codec need no std: a static library with its own panic handler links them.
//!
//! If one of them pulled in std, there would be two panic handlers, which the compiler refuses. The proof is tried on
//! itself too: with the feature `with-std` it must be refused for exactly that.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::{Report, cargo, text};

/// The folder of the library: a workspace of its own, since its panic strategy and its allocator are.
const PROOF: &str = "tests/no_std";

/// What the compiler says when std comes in.
const REFUSAL: &str = "found duplicate lang item `panic_impl`";

pub(super) fn check(root: &Path, metadata: &Value) -> Result<Report, String> {
    let target = Path::new(text(metadata, "target_directory")).join("no_std");
    let plain = build(root, &target, &[])?;
    let mut report = Report { looked_at: "built with and without std".into(), problems: Vec::new() };
    if !plain.status.success() {
        report.problems.push(format!("{PROOF} does not build: {}", first_error(&plain)));
        return Ok(report);
    }
    let with_std = build(root, &target, &["--features", "with-std"])?;
    if with_std.status.success() {
        report.problems.push(format!("{PROOF} builds even with std: it proves nothing"));
    } else if !String::from_utf8_lossy(&with_std.stderr).contains(REFUSAL) {
        report.problems.push(format!(
            "{PROOF} with std fails for another reason than two panic handlers: {}",
            first_error(&with_std)
        ));
    }
    Ok(report)
}

fn build(root: &Path, target: &Path, arguments: &[&str]) -> Result<Output, String> {
    let folder = root.join(PROOF);
    let mut command = cargo();
    command.args(["build", "--quiet", "--target-dir"]).arg(target).args(arguments).current_dir(&folder);
    // The flags of an outer build, such as those for coverage, need std.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.output().map_err(|error| format!("cargo build cannot be run in {PROOF}: {error}"))
}

/// The first line of the compiler's output that tells an error.
fn first_error(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().find(|line| line.starts_with("error")).or_else(|| stderr.lines().next());
    line.unwrap_or("no message").to_owned()
}
