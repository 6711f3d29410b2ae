//! What the drivers of [`ehlo_client`] share, and what needs no I/O: TLS by rustls, log in by SASL, bodies, and how a message is sent.
//!
//! `ehlo-tokio` and `ehlo-blocking` are drivers on top of it: they bring a [`Wire`] that moves bytes, and have everything else from here, so that
//! both do the same. Whoever brings another runtime does as they do.
//!
//! - [`Link`]: a [`Session`](ehlo_client::Session) with the TLS around it and the body behind it: bytes in, bytes out.
//! - [`Conversation`]: what is done with it, in futures. A driver that blocks runs them by [`block_on`].
//! - [`Trust`]: whose certificates are believed. [`Login`]: with which credentials, and how.

mod conversation;
mod error;
mod link;
mod login;
mod options;
mod tls;
mod wire;

pub use conversation::{Conversation, prepare};
pub use ehlo_client;
pub use ehlo_sasl as sasl;
pub use error::SendError;
pub use link::{Link, Observed, Observer};
pub use login::{Login, LoginError};
pub use options::{CONNECT_TIMEOUT, Options, Tls, address_literal, host_of};
pub use tls::{Trust, TrustBuilder, TrustError};
pub use wire::{Body, Bytes, Wire, block_on};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
