//! What an SMTP server accepts, told by a file.
//!
//! A file in TOML says which domains and mailboxes there are, who may relay, and how much of what; its `[[rule]]`s answer a client with any reply,
//! for tests of clients. What is read from it is a [`Policy`](ehlo_tokio::Policy) for [`Server`](ehlo_tokio::Server).

pub mod rules;

pub use rules::{Rule, Ruled, Rules};

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
