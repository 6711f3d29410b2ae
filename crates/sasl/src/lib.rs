//! SASL (RFC 4422) mechanisms as sans-I/O state machines, for servers and for clients.
//!
//! | mechanism | reference | server asks for |
//! |---|---|---|
//! | PLAIN | RFC 4616 | a yes to a password |
//! | LOGIN | draft-murchison-sasl-login | the same |
//! | CRAM-MD5 | RFC 2195 | the password |
//! | SCRAM-SHA-1, SCRAM-SHA-256 | RFC 5802, RFC 7677 | [`ScramCredentials`] |
//! | SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS | with RFC 9266, RFC 5929 | the same |
//! | OAUTHBEARER | RFC 7628 | whose token it is |
//! | XOAUTH2 | providers' documents | the same |
//! | EXTERNAL | RFC 4422 appendix A | whom the layer below has established |
//!
//! [`ServerExchange`] and [`ClientExchange`] take raw bytes and give raw bytes; there is no socket, no clock, no randomness but a
//! [`Nonce`] of the caller's. What only the application knows is a [`Request`] that it answers when it can. How messages travel
//! is the protocol's: for SMTP (RFC 4954), [`base64`] has the strict coding and the `=` of an empty initial response.
//!
//! # Example
//!
//! ```
//! use ehlo_sasl::{ClientExchange, ClientOptions, Credentials, Failure, Mechanism, Nonce};
//! use ehlo_sasl::{ServerExchange, ServerOptions, StaticUsers, Step};
//!
//! let mut users = StaticUsers::new("random bytes that are kept");
//! users.add("ada", "correct horse")?;
//!
//! // Of the operating system's randomness in earnest.
//! let (ours, theirs) = (Nonce::from_random([1; 18]), Nonce::from_random([2; 18]));
//! let credentials = Credentials::password("ada", "correct horse");
//! let mut client = ClientExchange::new(Mechanism::ScramSha256, credentials, ClientOptions::new(theirs))?;
//!
//! let initial = client.initial_response();
//! let options = ServerOptions::new(ours, users.unknown_users());
//! let initial = initial.as_ref().map(|message| message.as_bytes());
//! let (mut server, mut step) = ServerExchange::start(Mechanism::ScramSha256, options, initial);
//! let identity = loop {
//!     step = match step {
//!         Step::Challenge(challenge) => server.respond(client.respond(&challenge)?.as_bytes()),
//!         Step::Ask(request) => server.answer(users.answer(&request)),
//!         Step::Done(identity) => break identity,
//!         Step::Failed(failure) => return Err(failure.into()),
//!     };
//! };
//! assert_eq!(identity.authorization_id, "ada");
//! // Success is the server's claim. Has it shown that it knows the password too?
//! client.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - No byte of a peer makes it panic; each message, name, password, nonce and salt has a limit; the iterations that a server may
//!   ask of a client too.
//! - Secrets are wiped when dropped, compared in constant time, and shown by no `Debug` or error.
//! - A SCRAM user that does not exist is given the same made-up salt each time and fails at the end, like one with a wrong
//!   password.
//! - Anything unexpected ends an exchange in failure.
//!
//! # Deliberately absent
//!
//! Security layers, `tls-unique` (RFC 9266 replaces it), DIGEST-MD5, NTLM, GSSAPI, OAUTH10A, and the verification of tokens.

pub mod base64;
mod bearer;
mod channel_binding;
mod client;
mod cram_md5;
mod mechanism;
mod nonce;
mod prep;
mod scram;
mod secret;
mod server;
mod users;

pub use bearer::BearerError;
pub use channel_binding::{
    ChannelBindingType, ChannelBindings, EXPORTER_LABEL, EXPORTER_LENGTH, MAX_BINDING, server_end_point,
};
pub use client::{ClientExchange, ClientOptions, Credentials, Error, Policy, ServerError, choose};
pub use mechanism::{Mechanism, UnknownMechanism};
pub use nonce::{MAX_NONCE, NONCE_BYTES, Nonce};
pub use scram::{InvalidCredentials, MAX_ITERATIONS, MAX_SALT, MIN_ITERATIONS, ScramCredentials, ScramHash};
pub use secret::Secret;
pub use server::{
    Answer, BearerRequest, Failure, Identity, Request, ServerExchange, ServerOptions, Step, UnknownUsers,
};
pub use users::StaticUsers;

/// A user's name in the form in which each [`Request`] has it, by SASLprep (RFC 4013): for a database that is looked up by it. `None` if the name
/// is empty, longer than [`MAX_NAME`], or has characters that no name may have.
#[must_use]
pub fn prepare_name(name: &str) -> Option<String> {
    prep::name(name.as_bytes()).ok()
}

/// Characters of a message in Base64: what RFC 4954 §4 considers to be enough for all mechanisms in use.
pub const MAX_ENCODED: usize = 12_288;

/// Bytes of a message: what [`MAX_ENCODED`] can hold.
pub const MAX_MESSAGE: usize = MAX_ENCODED / 4 * 3;

/// Bytes of a user name, as it is sent and as it is prepared (RFC 4013). RFC 4616 §2 asks for 255 at least.
pub const MAX_NAME: usize = 1024;

/// Bytes of a password. RFC 4616 §2 asks for 255 at least.
pub const MAX_PASSWORD: usize = 1024;

/// Bytes of a bearer token: as much as a message has room for beside names, host and port.
pub const MAX_TOKEN: usize = MAX_MESSAGE - 2 * MAX_NAME - 128;

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
