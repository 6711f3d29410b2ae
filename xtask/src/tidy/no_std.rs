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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::Scratch;
    use super::*;

    /// Checks a proof with this manifest and source. It has no dependency, so nothing is fetched.
    fn problems(name: &str, manifest: &str, source: &str) -> Vec<String> {
        let scratch = Scratch::new(name);
        scratch.write(&format!("{PROOF}/Cargo.toml"), manifest);
        scratch.write(&format!("{PROOF}/src/lib.rs"), source);
        check(&scratch.root, &json!({ "target_directory": scratch.root.join("target") })).unwrap().problems
    }

    const MANIFEST: &str = "[package]\nname = \"proof\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[features]\nwith-std = []\n\
                            [lib]\ncrate-type = [\"staticlib\"]\n[profile.dev]\npanic = \"abort\"\n";
    const SOURCE: &str = "#![no_std]\n#[cfg(feature = \"with-std\")]\nextern crate std;\n\
                          #[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! {\n    loop {}\n}\n";

    #[test]
    fn a_proof_that_tells_std_from_no_std_passes() {
        assert_eq!(problems("no-std-good", MANIFEST, SOURCE), Vec::<String>::new());
    }

    #[test]
    fn std_in_what_is_linked_is_seen() {
        let found = problems("no-std-std", MANIFEST, &SOURCE.replace("#[cfg(feature = \"with-std\")]\n", ""));
        assert_eq!(found, ["tests/no_std does not build: error[E0152]: found duplicate lang item `panic_impl`"]);
    }

    #[test]
    fn a_proof_that_std_cannot_spoil_is_seen() {
        let found = problems("no-std-blind", MANIFEST, &SOURCE.replace("extern crate std;\n", "const _: () = ();\n"));
        assert_eq!(found, ["tests/no_std builds even with std: it proves nothing"]);
        let found =
            problems("no-std-other", MANIFEST, &SOURCE.replace("extern crate std;\n", "compile_error!(\"x\");\n"));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("fails for another reason"), "{found:?}");
    }

    #[test]
    fn no_proof_is_an_error() {
        assert!(check(&Scratch::new("no-std-none").root, &json!({})).is_err());
    }
}
