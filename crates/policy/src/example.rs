//! A file with every key in it.

/// A complete file, with what each key means. It is checked as any other: as it stands it serves a domain of tests.
pub const EXAMPLE: &str = include_str!("example.toml");
