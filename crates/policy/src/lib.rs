//! What an SMTP server accepts, told by a file.
//!
//! A file in TOML says which domains and mailboxes there are, who may relay, and how much of what; its `[[rule]]`s answer a client with any reply,
//! for tests of clients. What is read from it is a [`Policy`](ehlo_tokio::Policy) for [`Server`](ehlo_tokio::Server).
//!
//! ```
//! use std::path::Path;
//!
//! use ehlo_policy::{FilePolicy, Loaded, Places};
//! use ehlo_tokio::Server;
//!
//! let text = r#"
//!     [server]
//!     hostname = "mx.example.org"
//!     postmaster = "ada@example.org"
//!
//!     [store]
//!     place = "memory:1M"
//!
//!     [[domain]]
//!     name = "example.org"
//!     mailboxes = ["ada", "bob"]
//! "#;
//! let places = Places::default();
//! let loaded = Loaded::parse("ehlo.toml", text, Path::new(""), &places)?;
//! let session = loaded.session().clone();
//! let policy = FilePolicy::builder(loaded, places).build()?;
//! let server = Server::builder(policy).config(session).build();
//! # drop(server);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The file is described in the book: `docs/src/guide/policy.md`. Its types are in [`config`].

mod address;
mod check;
pub mod config;
mod deliver;
mod directory;
pub mod dns;
mod example;
mod grants;
mod loaded;
mod names;
mod path;
mod place;
mod plan;
mod policy;
mod rates;
mod repeats;
mod reply;
pub mod rules;
#[cfg(test)]
mod testing;
mod usage;
mod users;

pub use config::Problems;
pub use deliver::PolicySink;
pub use ehlo_tokio;
pub use example::EXAMPLE;
pub use grants::grant;
pub use loaded::Loaded;
pub use place::{Place, Places};
pub use policy::{Builder, FilePolicy};
pub use rules::{Rule, Ruled, Rules};
pub use users::{ITERATIONS, hash_password};

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
