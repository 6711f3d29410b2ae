//! What can go wrong for a client.

use std::fmt;

/// Why a client cannot go on, or must not believe the server. It holds no credentials and no text of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The caller's: the credentials do not fit the mechanism, are empty, too long, or have characters that it cannot
    /// carry.
    Credentials,
    /// The caller's: the mechanism binds to TLS, and there is nothing to bind to.
    NoChannelBinding,
    /// The server's message breaks the mechanism's grammar, or has an extension that must be understood.
    Malformed,
    /// The server's message is longer than [`MAX_MESSAGE`](crate::MAX_MESSAGE).
    TooLong,
    /// A message, or success, where the mechanism has no place for it.
    Unexpected,
    /// The server's nonce does not begin with the client's, or adds nothing to it.
    Nonce,
    /// The server wants fewer or more iterations than the client agrees to.
    Iterations(u32),
    /// The server does not know the password, or claims success before it has shown that it does. Somebody else may be
    /// answering.
    ServerUnproven,
    /// The server refused, and says why.
    Refused(ServerError),
}

/// What a SCRAM server can say about its refusal (`server-error-value`, RFC 5802 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerError {
    /// `invalid-encoding`
    InvalidEncoding,
    /// `extensions-not-supported`
    ExtensionsNotSupported,
    /// `invalid-proof`: the password is wrong.
    InvalidProof,
    /// `channel-bindings-dont-match`: the server sees another TLS connection than the client.
    ChannelBindingsDontMatch,
    /// `server-does-support-channel-binding`: its offer of it did not reach the client.
    ServerDoesSupportChannelBinding,
    /// `channel-binding-not-supported`
    ChannelBindingNotSupported,
    /// `unsupported-channel-binding-type`
    UnsupportedChannelBindingType,
    /// `unknown-user`
    UnknownUser,
    /// `invalid-username-encoding`
    InvalidUsernameEncoding,
    /// `no-resources`
    NoResources,
    /// `other-error`, and all that is not known, as the RFC says.
    OtherError,
}

impl ServerError {
    const NAMES: [(Self, &'static str); 11] = [
        (Self::InvalidEncoding, "invalid-encoding"),
        (Self::ExtensionsNotSupported, "extensions-not-supported"),
        (Self::InvalidProof, "invalid-proof"),
        (Self::ChannelBindingsDontMatch, "channel-bindings-dont-match"),
        (Self::ServerDoesSupportChannelBinding, "server-does-support-channel-binding"),
        (Self::ChannelBindingNotSupported, "channel-binding-not-supported"),
        (Self::UnsupportedChannelBindingType, "unsupported-channel-binding-type"),
        (Self::UnknownUser, "unknown-user"),
        (Self::InvalidUsernameEncoding, "invalid-username-encoding"),
        (Self::NoResources, "no-resources"),
        (Self::OtherError, "other-error"),
    ];

    pub(super) fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::OtherError, |(error, _)| *error)
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(error, _)| *error == self).map_or("other-error", |(_, name)| name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => f.write_str("the credentials cannot be used with this mechanism"),
            Self::NoChannelBinding => f.write_str("the mechanism needs channel binding data and there is none"),
            Self::Malformed => f.write_str("the server's message is malformed"),
            Self::TooLong => f.write_str("the server's message is too long"),
            Self::Unexpected => f.write_str("the server's message does not belong here"),
            Self::Nonce => f.write_str("the server's nonce does not extend the client's"),
            Self::Iterations(count) => write!(f, "{count} iterations are outside of what the client agrees to"),
            Self::ServerUnproven => f.write_str("the server has not proven that it knows the password"),
            Self::Refused(error) => write!(f, "the server refused: {}", error.as_str()),
        }
    }
}

impl std::error::Error for Error {}
