//! SCRAM (RFC 5802, RFC 7677): keys and messages, for both sides.

mod keys;
pub(crate) mod message;

pub use keys::{InvalidCredentials, MAX_ITERATIONS, MAX_SALT, MIN_ITERATIONS, ScramCredentials, ScramHash};
pub(crate) use keys::{Key, fake_salt};
