//! Each test that the page about hostile clients names is there.

use std::fs;
use std::path::Path;

const PAGE: &str = "docs/src/guide/hostile.md";

/// Where a test of the page is, by the notation that the page explains.
fn file(name: &str) -> String {
    let driver = "crates/tokio";
    match name.split_once('/') {
        _ if name.ends_with(".scenario") => format!("tests/scenarios/server/{name}"),
        Some((krate @ ("server" | "cli"), rest)) => format!("crates/{krate}/tests/{rest}"),
        Some(("src", rest)) => format!("{driver}/src/{rest}"),
        _ => format!("{driver}/tests/{name}"),
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let page = read(PAGE);
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack")) {
        let cell = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test shows this: {row}");
        for name in names {
            let (path, test) = name.split_once('#').map_or((name, None), |(path, test)| (path, Some(test)));
            let source = read(&file(path));
            let is_there = test.is_none_or(|test| source.contains(&format!("fn {test}()")));
            assert!(is_there, "{name} is not in {}", file(path));
            found += 1;
        }
    }
    assert!(found > 30, "only {found} tests were found");
}
