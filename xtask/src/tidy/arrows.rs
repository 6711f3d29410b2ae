//! Which crate may depend on which: the picture in docs/src/architecture.md as a table.

use serde_json::Value;

use super::{Report, packages, text};

/// What a package may depend on.
struct Place {
    package: &'static str,
    /// Packages of this workspace.
    inside: &'static [&'static str],
    /// Packages from elsewhere, for normal and build dependencies. `None`: any.
    outside: Option<&'static [&'static str]>,
}

/// Every package of the workspace. Server and client never see each other; left of the drivers nothing comes from elsewhere
/// but what finds, holds and codes bytes.
const PLACES: &[Place] = &[
    Place { package: "ehlo-codes", inside: &[], outside: Some(&["serde"]) },
    Place {
        package: "ehlo-codec",
        inside: &["ehlo-codes"],
        outside: Some(&["base64ct", "bytes", "memchr", "tokio-util"]),
    },
    Place {
        package: "ehlo-sasl",
        inside: &[],
        outside: Some(&["base64ct", "hmac", "md-5", "pbkdf2", "sha1", "sha2", "stringprep", "subtle", "zeroize"]),
    },
    Place { package: "ehlo-server", inside: &["ehlo-codec", "ehlo-codes"], outside: Some(&[]) },
    Place { package: "ehlo-client", inside: &["ehlo-codec", "ehlo-codes"], outside: Some(&["zeroize"]) },
    Place {
        package: "ehlo-driver",
        inside: &["ehlo-client", "ehlo-codec", "ehlo-codes", "ehlo-sasl"],
        outside: Some(&["ring", "rustls", "rustls-native-certs", "rustls-pki-types"]),
    },
    Place {
        package: "ehlo-blocking",
        inside: &["ehlo-client", "ehlo-codec", "ehlo-codes", "ehlo-driver", "ehlo-sasl"],
        outside: Some(&["rustix", "socket2"]),
    },
    Place {
        package: "ehlo-sim",
        inside: &["ehlo-client", "ehlo-codec", "ehlo-codes", "ehlo-server"],
        outside: Some(&[]),
    },
    Place {
        package: "ehlo-tokio",
        inside: &["ehlo-client", "ehlo-codec", "ehlo-codes", "ehlo-driver", "ehlo-sasl", "ehlo-server"],
        outside: Some(&[
            "bytes",
            "hickory-resolver",
            "memchr",
            "rcgen",
            "ring",
            "rustix",
            "rustls",
            "rustls-pki-types",
            "socket2",
            "tokio",
            "tokio-rustls",
            "tracing",
            "xxhash-rust",
        ]),
    },
    Place {
        package: "ehlo-policy",
        inside: &["ehlo-codec", "ehlo-codes", "ehlo-sasl", "ehlo-server", "ehlo-tokio"],
        outside: None,
    },
    Place { package: "ehlo-stats", inside: &[], outside: Some(&[]) },
    Place {
        package: "ehlo-load",
        inside: &["ehlo-client", "ehlo-codec", "ehlo-codes", "ehlo-stats"],
        outside: Some(&[
            "comfy-table",
            "hdrhistogram",
            "memchr",
            "mio",
            "rustix",
            "rustls",
            "rustls-pki-types",
            "serde",
            "serde_json",
            "slab",
            "socket2",
            "xxhash-rust",
        ]),
    },
    Place {
        package: "ehlo",
        inside: &[
            "ehlo-client",
            "ehlo-codec",
            "ehlo-codes",
            "ehlo-load",
            "ehlo-policy",
            "ehlo-server",
            "ehlo-stats",
            "ehlo-tokio",
        ],
        outside: None,
    },
    // No code that a task generates, so that a task can be run while that code is broken.
    Place { package: "xtask", inside: &["ehlo-stats"], outside: None },
    Place { package: "ehlo-benches", inside: ALL, outside: None },
    Place { package: "ehlo-tests", inside: ALL, outside: None },
];

const ALL: &[&str] = &[
    "ehlo",
    "ehlo-blocking",
    "ehlo-client",
    "ehlo-codec",
    "ehlo-codes",
    "ehlo-driver",
    "ehlo-load",
    "ehlo-policy",
    "ehlo-sasl",
    "ehlo-server",
    "ehlo-sim",
    "ehlo-stats",
    "ehlo-tokio",
];

/// Dependencies from elsewhere that a package has only where a feature asks for them.
const OPTIONAL: &[(&str, &str)] = &[
    ("ehlo-codes", "serde"),
    ("ehlo-codec", "bytes"),
    ("ehlo-codec", "tokio-util"),
    ("ehlo-tokio", "rcgen"),
    ("ehlo-tokio", "hickory-resolver"),
];

/// Compares the dependencies of each package with its place. Dev-dependencies may come from anywhere, but inside the
/// workspace they follow the same arrows.
pub(super) fn check(metadata: &Value) -> Result<Report, String> {
    let packages = packages(metadata)?;
    let mut report = Report::default();
    let mut arrows = 0;
    for package in packages {
        let name = text(package, "name");
        let Some(place) = PLACES.iter().find(|place| place.package == name) else {
            report.problems.push(format!("{name} has no place in the table of arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            arrows += 1;
            let target = text(dependency, "name");
            let inside = packages.iter().any(|package| text(package, "name") == target);
            let kind = match text(dependency, "kind") {
                "" => "",
                "dev" => "dev-",
                "build" => "build-",
                other => {
                    return Err(format!("{name}: cargo metadata knows a kind of dependency unknown here: {other:?}"));
                }
            };
            let allowed = if inside {
                place.inside.contains(&target)
            } else {
                kind == "dev-" || place.outside.is_none_or(|outside| outside.contains(&target))
            };
            if !allowed {
                report
                    .problems
                    .push(format!("{name} may not have the {kind}dependency {target}: {}", permitted(place, inside)));
            } else if kind != "dev-" && OPTIONAL.contains(&(name, target)) && dependency["optional"] != true {
                report.problems.push(format!("{name} may have the {kind}dependency {target} only behind a feature"));
            }
        }
    }
    report.looked_at = format!("{arrows} dependencies of {} packages", packages.len());
    Ok(report)
}

/// What would be allowed instead.
fn permitted(place: &Place, inside: bool) -> String {
    let list = if inside { place.inside } else { place.outside.unwrap_or_default() };
    let whence = if inside { "from this workspace" } else { "from elsewhere" };
    if list.is_empty() {
        format!("it may have none {whence}")
    } else {
        format!("{whence} it may have {}", list.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "dependencies": dependencies })
    }

    fn problems(packages: &[Value]) -> Vec<String> {
        check(&json!({ "packages": packages })).unwrap().problems
    }

    #[test]
    fn arrows_of_the_picture_pass() {
        let found = problems(&[
            package("ehlo-codes", &[]),
            package("ehlo-codec", &[("ehlo-codes", None), ("memchr", None), ("proptest", Some("dev"))]),
            package("ehlo-server", &[("ehlo-codec", None)]),
            package("xtask", &[("clap", None)]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_arrow_against_the_picture_is_named() {
        let codec = package("ehlo-codec", &[]);
        let server = package("ehlo-server", &[("ehlo-client", None)]);
        let client = package("ehlo-client", &[("ehlo-server", Some("dev"))]);
        let found = problems(&[codec, server, client]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0]
                .starts_with("ehlo-server may not have the dependency ehlo-client: from this workspace it may have")
        );
        assert!(found[1].starts_with("ehlo-client may not have the dev-dependency ehlo-server"));
    }

    #[test]
    fn a_foreign_crate_in_the_core_is_named() {
        let found =
            problems(&[package("ehlo-server", &[("tokio", None)]), package("ehlo-codes", &[("cc", Some("build"))])]);
        assert_eq!(
            found,
            [
                "ehlo-server may not have the dependency tokio: it may have none from elsewhere",
                "ehlo-codes may not have the build-dependency cc: from elsewhere it may have serde",
            ]
        );
    }

    #[test]
    fn a_dependency_for_a_feature_must_be_optional() {
        let mut codes = package("ehlo-codes", &[("serde", None)]);
        assert_eq!(problems(&[codes.clone()]), ["ehlo-codes may have the dependency serde only behind a feature"]);
        codes["dependencies"][0]["optional"] = json!(true);
        assert_eq!(problems(&[codes]), Vec::<String>::new());
    }

    #[test]
    fn a_package_without_a_place_is_named() {
        assert_eq!(problems(&[package("ehlo-novel", &[])]), ["ehlo-novel has no place in the table of arrows"]);
    }

    #[test]
    fn no_package_at_all_is_an_error() {
        assert!(check(&json!({ "packages": [] })).is_err());
        assert!(check(&json!({})).is_err());
    }
}
