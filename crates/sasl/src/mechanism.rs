//! The mechanisms by name.

use std::fmt;
use std::str::FromStr;

use crate::ScramHash;

/// A SASL mechanism of this crate. `Display` and [`Mechanism::as_str`] give its registered name, `FromStr` reads it without
/// regard to case.
///
/// The order is that of strength as a client sees it, weakest first. Channel binding counts for more than the hash: it is
/// what a machine in the middle with a certificate cannot pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// User name and password, each after a prompt (draft-murchison-sasl-login, obsolete and still in use).
    Login,
    /// User name and password in one message (RFC 4616).
    Plain,
    /// A digest of a challenge, keyed with a secret that the server must keep in clear (RFC 2195).
    CramMd5,
    /// SCRAM with SHA-1 (RFC 5802).
    ScramSha1,
    /// SCRAM with SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM with SHA-1, bound to the TLS connection (RFC 5802).
    ScramSha1Plus,
    /// SCRAM with SHA-256, bound to the TLS connection (RFC 7677).
    ScramSha256Plus,
    /// An OAuth 2.0 bearer token, as large providers did before there was a standard.
    XOAuth2,
    /// An OAuth 2.0 bearer token (RFC 7628).
    OAuthBearer,
    /// What the layer below has established, such as a client's certificate (RFC 4422 appendix A).
    External,
}

/// Text that names no mechanism of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMechanism;

impl Mechanism {
    /// All of them, weakest first.
    pub const ALL: [Self; 10] = [
        Self::Login,
        Self::Plain,
        Self::CramMd5,
        Self::ScramSha1,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha256Plus,
        Self::XOAuth2,
        Self::OAuthBearer,
        Self::External,
    ];

    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::External => "EXTERNAL",
        }
    }

    /// The mechanism with this name, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the client sends the password or token itself, so that whoever reads along has it.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Login | Self::Plain | Self::XOAuth2 | Self::OAuthBearer)
    }

    /// Whether it has no place outside of TLS: it sends the secret itself, or binds to TLS. EXTERNAL is not among them,
    /// since it may rest on something else than TLS.
    #[must_use]
    pub const fn needs_tls(self) -> bool {
        self.is_plaintext() || self.needs_channel_binding()
    }

    /// Whether it binds the exchange to the TLS connection (the `-PLUS` mechanisms).
    #[must_use]
    pub const fn needs_channel_binding(self) -> bool {
        matches!(self, Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// Whether the client speaks first, so that an initial response makes sense (RFC 4422 §5). LOGIN does not, though
    /// [`ServerExchange`](crate::ServerExchange) takes its user name as one.
    #[must_use]
    pub const fn is_client_first(self) -> bool {
        !matches!(self, Self::Login | Self::CramMd5)
    }

    /// The hash of a SCRAM mechanism.
    #[must_use]
    pub const fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha1 | Self::ScramSha1Plus => Some(ScramHash::Sha1),
            Self::ScramSha256 | Self::ScramSha256Plus => Some(ScramHash::Sha256),
            _ => None,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        Self::from_name(name.as_bytes()).ok_or(UnknownMechanism)
    }
}

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no known SASL mechanism has this name")
    }
}

impl std::error::Error for UnknownMechanism {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_in_one() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.as_str().to_ascii_lowercase().parse(), Ok(mechanism));
            assert_eq!(mechanism.to_string().parse(), Ok(mechanism));
        }
        for name in ["", "PLAIN ", "SCRAM-SHA-512", "SCRAM-SHA-256-PLU", "PLAIN\0"] {
            assert_eq!(name.parse::<Mechanism>(), Err(UnknownMechanism), "{name:?}");
        }
    }

    #[test]
    fn all_are_listed_once_and_weakest_first() {
        assert!(Mechanism::ALL.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn what_sends_a_secret_or_binds_to_tls_needs_tls() {
        let free: Vec<_> = Mechanism::ALL.into_iter().filter(|mechanism| !mechanism.needs_tls()).collect();
        assert_eq!(free, [Mechanism::CramMd5, Mechanism::ScramSha1, Mechanism::ScramSha256, Mechanism::External]);
    }
}
