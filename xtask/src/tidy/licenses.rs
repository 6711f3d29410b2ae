//! Licences of all dependencies, against the list in deny.toml.

use std::path::Path;

use serde_json::Value;

use super::{Report, metadata, packages, read, text};

/// The file that lists what is acceptable.
const RULES: &str = "deny.toml";

pub(super) fn check(root: &Path) -> Result<Report, String> {
    let rules = read(&root.join(RULES))?;
    let allowed = allowed(&rules);
    if allowed.is_empty() {
        return Err(format!("{RULES} lists no licence under [licenses] allow"));
    }
    judge(&metadata(root, &[])?, &allowed)
}

/// The quoted words of `allow = [...]` in the table `[licenses]`.
fn allowed(rules: &str) -> Vec<&str> {
    let table = rules.split_once("\n[licenses]\n").map_or("", |(_, rest)| rest);
    let table = table.split("\n[").next().unwrap_or_default();
    let list = table.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).collect()
}

fn judge(metadata: &Value, allowed: &[&str]) -> Result<Report, String> {
    let packages = packages(metadata)?;
    let mut report = Report { looked_at: format!("{} packages", packages.len()), problems: Vec::new() };
    for package in packages {
        let (name, version, license) = (text(package, "name"), text(package, "version"), text(package, "license"));
        let problem = match acceptable(license, allowed) {
            Some(true) => continue,
            Some(false) => format!("{name} {version}: {license} is not acceptable"),
            None if license.is_empty() => format!("{name} {version} names no licence"),
            None => format!("{name} {version}: {license} cannot be read"),
        };
        report.problems.push(problem);
    }
    Ok(report)
}

/// Whether an SPDX expression can be met with the allowed licences alone. The slash is an older way to write OR.
fn acceptable(expression: &str, allowed: &[&str]) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let result = either(&mut rest, allowed)?;
    rest.is_empty().then_some(result)
}

/// `expression = term *("OR" term)`
fn either(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut result = both(words, allowed)?;
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        result |= both(words, allowed)?;
    }
    Some(result)
}

/// `term = factor *("AND" factor)`
fn both(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut result = single(words, allowed)?;
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        result &= single(words, allowed)?;
    }
    Some(result)
}

/// `factor = "(" expression ")" / licence ["WITH" exception]`
fn single(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    match *first {
        "(" => {
            let result = either(words, allowed)?;
            let (close, rest) = words.split_first()?;
            *words = rest;
            (*close == ")").then_some(result)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        license => match *words {
            ["WITH", exception, rest @ ..] => {
                *words = rest;
                let whole = format!("{license} WITH {exception}");
                Some(allowed.contains(&whole.as_str()))
            }
            _ => Some(allowed.contains(&license)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALLOWED: [&str; 4] = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];

    #[test]
    fn expressions_are_judged() {
        let cases = [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-3.0-only", Some(true)),
            ("MIT/Apache-2.0", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", Some(true)),
            ("(GPL-3.0-only OR MIT) AND (ISC OR Zlib)", Some(false)),
            ("GPL-3.0-only OR MIT AND Unicode-3.0", Some(true)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("MIT WITH LLVM-exception", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("MIT Apache-2.0", None),
            ("(MIT", None),
            ("MIT)", None),
            ("AND", None),
        ];
        for (expression, expected) in cases {
            assert_eq!(acceptable(expression, &ALLOWED), expected, "{expression}");
        }
    }

    #[test]
    fn a_package_with_another_licence_or_none_is_named() {
        let metadata = json!({ "packages": [
            { "name": "a", "version": "1.0.0", "license": "MIT" },
            { "name": "b", "version": "2.0.0", "license": "GPL-3.0-only" },
            { "name": "c", "version": "3.0.0", "license": null },
            { "name": "d", "version": "4.0.0", "license": "MIT OR (" },
        ]});
        let report = judge(&metadata, &ALLOWED).unwrap();
        assert_eq!(
            report.problems,
            ["b 2.0.0: GPL-3.0-only is not acceptable", "c 3.0.0 names no licence", "d 4.0.0: MIT OR ( cannot be read"]
        );
        assert_eq!(report.looked_at, "4 packages");
    }

    #[test]
    fn the_list_is_read_from_its_table_only() {
        let rules = "[bans]\nallow = [\"no\"]\n\n[licenses]\n# why\nallow = [\n    \"MIT\",\n    \"ISC\",\n]\nx = [\"no\"]\n\n[more]\nallow = [\"no\"]\n";
        assert_eq!(allowed(rules), ["MIT", "ISC"]);
        assert_eq!(allowed("[licenses]\n"), Vec::<&str>::new());
    }
}
