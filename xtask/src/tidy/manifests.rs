//! What each Cargo.toml must say, and what must lie beside that of a published crate.

use std::path::Path;

use serde_json::Value;

use super::{Report, packages, read, shown, text};

/// Lints that the workspace must set to these levels, for all crates at once.
const LINTS: &[(&str, &str)] = &[("unsafe_code", "forbid"), ("missing_docs", "warn")];

pub(super) fn check(root: &Path, metadata: &Value) -> Result<Report, String> {
    let mut report = Report::default();
    let workspace = read(&root.join("Cargo.toml"))?;
    for (lint, level) in LINTS {
        if value(&workspace, "workspace.lints.rust", lint) != Some(format!("{level:?}").as_str()) {
            report.problems.push(format!("Cargo.toml: [workspace.lints.rust] does not set {lint} to {level:?}"));
        }
    }
    let packages = packages(metadata)?;
    for package in packages {
        let manifest = Path::new(text(package, "manifest_path"));
        let name = shown(root, manifest);
        let mut problem = |what: &str| report.problems.push(format!("{name}: {what}"));
        if value(&read(manifest)?, "lints", "workspace") != Some("true") {
            problem("[lints] does not say workspace = true");
        }
        // Cargo prints null for "anywhere" and an empty list for "nowhere".
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        for key in ["description", "license", "repository", "rust_version"] {
            if text(package, key).trim().is_empty() {
                problem(&format!("{} is missing", key.replace('_', "-")));
            }
        }
        let readme = manifest.with_file_name("README.md");
        let readme = read(&readme).unwrap_or_default();
        if readme.trim().is_empty() {
            problem("README.md is missing beside it, or empty");
        } else if is_library(package) && !has_example(package) && !readme.contains("```rust\n") {
            problem("there is no example, neither in examples/ nor as ```rust in README.md");
        }
    }
    report.looked_at = format!("{} packages", packages.len());
    Ok(report)
}

fn is_library(package: &Value) -> bool {
    has_target(package, "lib")
}

fn has_example(package: &Value) -> bool {
    has_target(package, "example")
}

fn has_target(package: &Value, kind: &str) -> bool {
    let kinds = package["targets"].as_array().into_iter().flatten().flat_map(|target| target["kind"].as_array());
    kinds.flatten().any(|found| found == kind)
}

/// The value of a key in a table of a manifest, as it is written there. Enough for keys on one line.
fn value<'t>(manifest: &'t str, table: &str, key: &str) -> Option<&'t str> {
    let header = format!("[{table}]");
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    lines.find_map(|line| {
        let (found, value) = line.split_once('=')?;
        (found.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::Scratch;
    use super::*;

    const WORKSPACE: &str =
        "[workspace]\n\n[workspace.lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"forbid\"\n";
    const MANIFEST: &str = "[package]\nname = \"ehlo-x\"\n\n[lints]\nworkspace = true\n";

    fn scratch(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.write("Cargo.toml", WORKSPACE);
        scratch.write("crates/x/Cargo.toml", MANIFEST);
        scratch.write("crates/x/README.md", "# ehlo-x\n\n```rust\nassert!(true);\n```\n");
        scratch
    }

    fn package(scratch: &Scratch) -> Value {
        json!({
            "name": "ehlo-x",
            "manifest_path": scratch.root.join("crates/x/Cargo.toml"),
            "publish": null,
            "description": "x",
            "license": "MIT",
            "repository": "https://example.org",
            "rust_version": "1.88",
            "targets": [{ "kind": ["lib"] }],
        })
    }

    fn problems(scratch: &Scratch, package: &Value) -> Vec<String> {
        check(&scratch.root, &json!({ "packages": [package] })).unwrap().problems
    }

    #[test]
    fn a_complete_crate_passes() {
        let scratch = scratch("manifest-good");
        assert_eq!(problems(&scratch, &package(&scratch)), Vec::<String>::new());
    }

    #[test]
    fn each_missing_field_is_named() {
        let scratch = scratch("manifest-field");
        for key in ["description", "license", "repository", "rust_version"] {
            let mut package = package(&scratch);
            package[key] = Value::Null;
            let found = problems(&scratch, &package);
            assert_eq!(found, [format!("crates/x/Cargo.toml: {} is missing", key.replace('_', "-"))]);
        }
    }

    #[test]
    fn a_crate_without_the_lints_of_the_workspace_is_named() {
        let scratch = scratch("manifest-lints");
        for manifest in
            ["[package]\nworkspace = true\n", "[lints]\nworkspace = false\n", "[lints]\n[x]\nworkspace = true\n"]
        {
            scratch.write("crates/x/Cargo.toml", manifest);
            assert_eq!(
                problems(&scratch, &package(&scratch)),
                ["crates/x/Cargo.toml: [lints] does not say workspace = true"],
                "{manifest}"
            );
        }
    }

    #[test]
    fn a_workspace_that_allows_unsafe_code_is_named() {
        let scratch = scratch("manifest-unsafe");
        scratch.write("Cargo.toml", &WORKSPACE.replace("forbid", "deny"));
        let found = problems(&scratch, &package(&scratch));
        assert_eq!(found, ["Cargo.toml: [workspace.lints.rust] does not set unsafe_code to \"forbid\""]);
    }

    #[test]
    fn a_published_crate_needs_a_readme_and_an_example() {
        let scratch = scratch("manifest-readme");
        scratch.write("crates/x/README.md", "# ehlo-x\n");
        let mut package = package(&scratch);
        assert_eq!(problems(&scratch, &package).len(), 1, "no example");
        package["targets"] = json!([{ "kind": ["lib"] }, { "kind": ["example"] }]);
        assert_eq!(problems(&scratch, &package), Vec::<String>::new());
        scratch.write("crates/x/README.md", " \n");
        assert_eq!(problems(&scratch, &package), ["crates/x/Cargo.toml: README.md is missing beside it, or empty"]);
        package["publish"] = json!([]);
        assert_eq!(problems(&scratch, &package), Vec::<String>::new(), "unpublished");
    }
}
