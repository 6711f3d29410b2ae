//! What an exchange gives and wants: steps, requests, answers.

use std::fmt;

use crate::{BearerError, ScramCredentials, ScramHash, Secret};

/// What comes next in a [`ServerExchange`](crate::ServerExchange).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Send this to the client, encoded, and wait for its response. May be empty. SCRAM's last message is one too, to which
    /// the client's response is empty; a protocol that carries data along with success may put it there instead and respond
    /// with nothing itself.
    Challenge(Vec<u8>),
    /// The application has to decide or to look something up.
    Ask(Request),
    /// The client is who it says it is, and may act for whom it wants to.
    Done(Identity),
    /// Authentication failed.
    Failed(Failure),
}

/// Who authenticated, and who that one acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose credentials these were. Prepared by SASLprep where the client gave it.
    pub authentication_id: String,
    /// Whom to act for; the same where the client asked for nobody else. RFC 4954 §5's authenticated mailbox is derived from it.
    pub authorization_id: String,
}

/// What only the application knows. It owns its data, so that it can be moved to where the answer is found.
///
/// Names are prepared by SASLprep (RFC 4013). Any request can be answered by [`Answer::Reject`] and, if the answer cannot
/// be found just now, by [`Answer::Unavailable`].
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Is this the user's password (PLAIN, LOGIN)? [`Answer::Accept`], or [`Answer::AcceptAs`] with the user's canonical name.
    ///
    /// The password is as it was sent, neither empty nor with NUL. [`ScramCredentials::verify`] prepares and compares it; a
    /// comparison of one's own should take the same time for users that do not exist.
    Password {
        /// Who it is said to be.
        authentication_id: String,
        /// The password to verify.
        password: Secret,
    },
    /// What is kept of this user for SCRAM? [`Answer::Scram`]. [`Answer::Reject`], if there is no such user, does not end the
    /// exchange: the client is given made-up credentials and fails at its end.
    Scram {
        /// Who it is said to be.
        authentication_id: String,
        /// The hash that the credentials must be for.
        hash: ScramHash,
    },
    /// What is the user's password, in clear (CRAM-MD5)? [`Answer::SharedSecret`].
    SharedSecret {
        /// Who it is said to be.
        authentication_id: String,
    },
    /// Whose token is this, and is it good (OAUTHBEARER, XOAUTH2)? [`Answer::AcceptAs`] with whom it was issued for,
    /// or [`Answer::Accept`] if that is the named user. [`Answer::RejectToken`] says why not.
    Bearer(BearerRequest),
    /// Whom has the layer below established (EXTERNAL)? [`Answer::AcceptAs`].
    External {
        /// Whom the client wants to act for, if it says so. [`Request::Authorize`] follows where that is somebody else.
        authorization_id: Option<String>,
    },
    /// May the one act for the other? They differ; that the first is who it says is proven. [`Answer::Accept`].
    Authorize(Identity),
}

/// A bearer token, and what came with it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BearerRequest {
    /// Whose mailbox the client wants; always there under XOAUTH2. [`Request::Authorize`] follows where the token is somebody else's.
    pub user: Option<String>,
    /// The token: visible ASCII.
    pub token: Secret,
    /// The host that the client connected to, as it says. The same as [`ServerOptions::host`](crate::ServerOptions::host) where
    /// that is set.
    pub host: Option<String>,
    /// The port that the client connected to, as it says. The same as [`ServerOptions::port`](crate::ServerOptions::port) where
    /// that is set.
    pub port: Option<u16>,
}

/// The application's answer to a [`Request`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Yes.
    Accept,
    /// Yes, and this is the user's name.
    AcceptAs(String),
    /// No, or no such user.
    Reject,
    /// No, and this is what to tell the client ([`Request::Bearer`] only).
    RejectToken(BearerError),
    /// Here is what is kept of the user ([`Request::Scram`] only).
    Scram(ScramCredentials),
    /// Here is the user's password ([`Request::SharedSecret`] only).
    SharedSecret(Secret),
    /// It cannot be found out now: the database is away.
    Unavailable,
}

/// Why authentication failed. It says nothing about who tried with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The client's message breaks the mechanism's grammar. SMTP: `501 5.5.2`.
    Malformed,
    /// An initial response to a mechanism that has none. SMTP: `501 5.7.0` (RFC 4954 §4).
    UnexpectedInitialResponse,
    /// A message, or a part of it, is above its limit. SMTP: `500 5.5.6` (RFC 4954 §4).
    TooLong,
    /// Wrong credentials, no such user, not authorized, wrong or missing channel binding: it is not said which. SMTP: `535 5.7.8`.
    Rejected,
    /// The application could not find out. SMTP: `454 4.7.0`.
    TemporaryFailure,
    /// The caller's mistake: a call or an answer that does not fit the last step.
    Misuse,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the client's message is malformed",
            Self::UnexpectedInitialResponse => "this mechanism has no initial response",
            Self::TooLong => "the client's message is too long",
            Self::Rejected => "the credentials were not accepted",
            Self::TemporaryFailure => "the credentials could not be verified now",
            Self::Misuse => "the exchange was called out of turn",
        })
    }
}

impl std::error::Error for Failure {}
