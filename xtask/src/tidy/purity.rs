//! The core crates compute: bytes, time and answers in, bytes and events out.
//!
//! What they must not name is found by words in their source, apart from comments, texts and tests; each crate's
//! clippy.toml forbids the same where clippy can see through a renamed import.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{Named, blank, paths, without_tests};
use super::{Report, files, read, shown};

/// The folders of the core crates.
const CORE: &[&str] = &["crates/codes", "crates/codec", "crates/server", "crates/client", "crates/sasl", "crates/sim"];

/// A path that may not be named, from its first segment, and why.
const PATHS: &[(&str, &str)] = &[
    ("std::env", "the environment is global state"),
    ("std::fs", "files are for a driver"),
    ("std::io", "I/O is for a driver"),
    ("std::net", "sockets are for a driver"),
    ("std::os", "the operating system is for a driver"),
    ("std::process", "processes are for a driver"),
    ("std::sync::Condvar", "nothing here may wait"),
    ("std::sync::LazyLock", "global state"),
    ("std::sync::Mutex", "a session is used by one thread at a time"),
    ("std::sync::OnceLock", "global state"),
    ("std::sync::RwLock", "a session is used by one thread at a time"),
    ("std::sync::mpsc", "channels are for a driver"),
    ("std::thread", "threads are for a driver"),
];

/// Paths below those that are values and nothing more.
const VALUES: &[&str] = &["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr", "std::net::SocketAddr"];

/// Paths that a trait of another crate asks for, and the only place where they may be named.
const ASKED_FOR: &[(&str, &str)] = &[
    // `tokio_util::codec::Decoder::Error` must be made of one. Behind a feature.
    ("crates/codec/src/codecs/", "std::io::Error"),
];

/// A word that may not occur as a segment of any path, and why.
const WORDS: &[(&str, &str)] = &[
    ("HashMap", "its order differs from run to run; BTreeMap's does not"),
    ("HashSet", "its order differs from run to run; BTreeSet's does not"),
    ("RandomState", "a random number; take a seed as an argument"),
    ("SystemTime", "a clock; take the time as an argument"),
    ("UNIX_EPOCH", "a clock; take the time as an argument"),
    ("async", "async lives in the drivers"),
    ("await", "async lives in the drivers"),
    ("dbg", "nothing here may print"),
    ("eprint", "nothing here may print"),
    ("eprintln", "nothing here may print"),
    ("getrandom", "a random number; take a seed as an argument"),
    ("log", "logging belongs to a driver, which knows what is secret"),
    ("print", "nothing here may print"),
    ("println", "nothing here may print"),
    ("rand", "a random number; take a seed as an argument"),
    ("thread_local", "global state"),
    ("tokio", "a runtime is for a driver"),
    ("tracing", "logging belongs to a driver, which knows what is secret"),
];

/// Calls that read a clock, as they end.
const CALLS: &[(&str, &str)] = &[("Instant::now", "a clock; take the time as an argument")];

/// Methods that read a clock, after a dot.
const METHODS: &[(&str, &str)] = &[("elapsed", "reads a clock; use now.saturating_duration_since(then)")];

/// Types of `static` items that make them mutable.
const CELLS: &[&str] = &["Atomic", "Cell", "Lock", "Mutex", "Once"];

pub(super) fn check(root: &Path) -> Result<Report, String> {
    let mut report = Report::default();
    let mut count = 0;
    for krate in CORE {
        let folder = root.join(krate);
        let sources = files(&folder.join("src"), ".rs")?;
        let mut scans = Vec::new();
        let mut tests = BTreeSet::new();
        for path in &sources {
            let code = without_tests(&blank(&read(path)?));
            tests.extend(code.test_modules.iter().flat_map(|name| module_files(path, name)));
            scans.push((path, code.text));
        }
        for (path, text) in scans {
            if tests.iter().any(|test: &PathBuf| path.starts_with(test)) {
                continue;
            }
            count += 1;
            let name = shown(root, path);
            let asked_for = |problem: &str| {
                ASKED_FOR.iter().any(|(place, path)| {
                    name.starts_with(place) && problem.strip_prefix(path).is_some_and(|why| why.starts_with(": "))
                })
            };
            report.problems.extend(
                problems(&text)
                    .into_iter()
                    .filter(|(_, problem)| !asked_for(problem))
                    .map(|(line, problem)| format!("{name}:{line}: {problem}")),
            );
        }
        report.problems.extend(clippy(root, &folder)?);
    }
    if count == 0 {
        return Err("the core crates have no source".into());
    }
    report.looked_at = format!("{count} files of {} crates", CORE.len());
    Ok(report)
}

/// Where a module may be that a file declares: `name.rs`, and the folder `name`.
fn module_files(declared_in: &Path, name: &str) -> Vec<PathBuf> {
    let stem = declared_in.file_stem().unwrap_or_default();
    let folder = if stem == "lib" || stem == "mod" || stem == "main" {
        declared_in.parent().unwrap_or(declared_in).to_owned()
    } else {
        declared_in.with_extension("")
    };
    vec![folder.join(format!("{name}.rs")), folder.join(name)]
}

/// Each forbidden thing in code without comments and tests, with its line.
fn problems(code: &str) -> Vec<(usize, String)> {
    let named = paths(code);
    let mut found: Vec<(usize, String)> =
        named.iter().filter_map(|named| forbidden(named).map(|why| (named.line, why))).collect();
    for (position, line) in code.lines().enumerate() {
        for (method, why) in METHODS {
            if line.split('.').skip(1).any(|call| {
                call.trim_start().strip_prefix(method).is_some_and(|rest| rest.trim_start().starts_with('('))
            }) {
                found.push((position + 1, format!(".{method}(): {why}")));
            }
        }
        let item = line.trim_start().trim_start_matches("pub").trim_start_matches("(crate)").trim_start();
        let changes = |item: &str| item.starts_with("mut ") || CELLS.iter().any(|cell| item.contains(cell));
        if item.strip_prefix("static ").is_some_and(changes) {
            found.push((position + 1, "a static that can change: global state".to_owned()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Why a path may not be named.
fn forbidden(named: &Named) -> Option<String> {
    let path = named.path.as_str();
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    let ends = |suffix: &str| path.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with("::"));
    if VALUES.iter().any(|value| below(value)) {
        return None;
    }
    let by_path = PATHS.iter().find(|(prefix, _)| below(prefix));
    let by_call = CALLS.iter().find(|(suffix, _)| ends(suffix));
    let by_word = WORDS.iter().find(|(word, _)| path.split("::").any(|segment| segment == *word));
    by_path.or(by_call).or(by_word).map(|(_, why)| format!("{path}: {why}"))
}

/// What a crate's clippy.toml lacks.
fn clippy(root: &Path, folder: &Path) -> Result<Vec<String>, String> {
    let path = folder.join("clippy.toml");
    let name = shown(root, &path);
    let Ok(text) = read(&path) else { return Ok(vec![format!("{name} is missing")]) };
    let needed = ["std::time::Instant::now", "std::time::Instant::elapsed", "std::time::SystemTime"];
    let missing = needed.iter().filter(|path| !text.contains(&format!("path = \"{path}\"")));
    Ok(missing.map(|path| format!("{name} does not disallow {path}")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    const CLIPPY: &str = "disallowed-methods = [\n{ path = \"std::time::Instant::now\" },\n{ path = \"std::time::Instant::elapsed\" },\n]\n\
                          disallowed-types = [{ path = \"std::time::SystemTime\" }]\n";

    fn scratch(name: &str, source: &str) -> Scratch {
        let scratch = Scratch::new(name);
        for krate in CORE {
            scratch.write(&format!("{krate}/src/lib.rs"), "pub fn f() {}\n");
            scratch.write(&format!("{krate}/clippy.toml"), CLIPPY);
        }
        scratch.write("crates/server/src/lib.rs", source);
        scratch
    }

    fn found(code: &str) -> Vec<String> {
        problems(&without_tests(&blank(code)).text)
            .into_iter()
            .map(|(line, problem)| format!("{line}: {problem}"))
            .collect()
    }

    #[test]
    fn each_forbidden_thing_is_found() {
        let cases = [
            "use std::fs;",
            "use std::{collections::BTreeMap, net::TcpStream};",
            "fn f() { std :: env :: var(X); }",
            "fn f(e: std::io::Error) {}",
            "use std::thread;",
            "use std::net::{self, IpAddr};",
            "fn f() { let t = Instant::now(); }",
            "fn f() { let t = std::time::Instant::now(); }",
            "fn f() -> u64 { start.elapsed().as_secs() }",
            "fn f() { start\n    .elapsed() }",
            "use std::time::SystemTime;",
            "async fn f() {}",
            "fn f() { g().await }",
            "fn f() { println!(X) }",
            "fn f() { tracing::info!(X) }",
            "use tokio::net::TcpStream;",
            "use std::collections::HashMap;",
            "static COUNT: AtomicU64 = AtomicU64::new(0);",
            "pub(crate) static X: OnceLock<u8> = OnceLock::new();",
            "static mut X: u8 = 0;",
            "thread_local! { static X: u8 = 0; }",
            "use std::sync::Mutex;",
        ];
        for code in cases {
            assert!(!found(code).is_empty(), "{code}");
        }
    }

    #[test]
    fn what_only_looks_forbidden_is_left_alone() {
        let cases = [
            "// std::fs\n/// calls `Instant::now`\nfn f() {}",
            "fn f() -> &str { \"std::io, async, println!\" }",
            "use std::time::{Duration, Instant};",
            "use core::net::IpAddr;",
            "use std::net::{IpAddr, SocketAddr};",
            "fn f(now: Instant) -> Duration { now.saturating_duration_since(self.elapsed_at) }",
            "use std::sync::Arc;",
            "fn log_line(printer: u8) {}",
            "fn f() { crate::net::dial(); self::fs::x() }",
            "static TABLE: [u8; 2] = [0, 1];",
            "fn f(x: &'static str) {}",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn f() { Instant::now(); }\n}\n",
        ];
        for code in cases {
            assert_eq!(found(code), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn the_place_is_file_and_line() {
        let scratch = scratch("purity", "//! std::fs is fine here\nfn f() {\n    std::fs::read(X);\n}\n");
        let report = check(&scratch.root).unwrap();
        assert_eq!(report.problems, ["crates/server/src/lib.rs:3: std::fs::read: files are for a driver"]);
        assert_eq!(report.looked_at, format!("{0} files of {0} crates", CORE.len()));
    }

    #[test]
    fn what_a_foreign_trait_asks_for_is_allowed_in_its_place_only() {
        let scratch = scratch("purity-asked", "fn f(e: std::io::Error) {}\n");
        scratch.write("crates/codec/src/codecs/mod.rs", "fn f(e: std::io::Error) {}\nfn g(e: std::io::ErrorKind) {}\n");
        let problems = check(&scratch.root).unwrap().problems;
        assert_eq!(
            problems,
            [
                "crates/codec/src/codecs/mod.rs:2: std::io::ErrorKind: I/O is for a driver",
                "crates/server/src/lib.rs:1: std::io::Error: I/O is for a driver",
            ]
        );
    }

    #[test]
    fn test_modules_in_their_own_files_are_left_out() {
        let scratch = scratch("purity-tests", "#[cfg(test)]\nmod tests;\nmod session;\n");
        scratch.write("crates/server/src/tests.rs", "use std::fs;\nmod deep;\n");
        scratch.write("crates/server/src/tests/deep.rs", "use std::fs;\n");
        scratch.write("crates/server/src/session.rs", "#[cfg(test)]\nmod checks;\n");
        scratch.write("crates/server/src/session/checks.rs", "use std::fs;\n");
        assert_eq!(check(&scratch.root).unwrap().problems, Vec::<String>::new());
        scratch.write("crates/server/src/session/other.rs", "use std::fs;\n");
        assert_eq!(check(&scratch.root).unwrap().problems.len(), 1);
    }

    #[test]
    fn a_clippy_toml_that_allows_the_clock_is_named() {
        let scratch = scratch("purity-clippy", "");
        scratch.write("crates/client/clippy.toml", "disallowed-methods = []\n");
        let problems = check(&scratch.root).unwrap().problems;
        assert_eq!(problems.len(), 3);
        assert_eq!(problems[0], "crates/client/clippy.toml does not disallow std::time::Instant::now");
    }

    #[test]
    fn a_core_crate_without_source_is_an_error() {
        assert!(check(&Scratch::new("purity-empty").root).is_err());
    }
}
