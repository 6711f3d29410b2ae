//! What can go wrong for whoever sends.

use std::{fmt, io};

use ehlo_client::codec::StuffError;
use ehlo_client::{BeginError, BodyError, CloseReason, Report};

use crate::login::LoginError;

/// Why nothing could be sent, or not to the end. What a server refuses is no error: it stands in the [`Report`].
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// No connection could be made.
    Connect(io::Error),
    /// TLS can't be had: what was wrong.
    Tls(String),
    /// The session ended before or instead of the transaction.
    Closed(CloseReason),
    /// The server refused the session: its words.
    Refused(CloseReason, String),
    /// The log-in failed. The session goes on without.
    Login(LoginError),
    /// The caller asked for what can't be done.
    Begin(BeginError),
    /// The message has a CR or LF that stands alone: it can't be sent as it is.
    LineEnding(StuffError),
    /// The message can't be sent to its end: what was found in its middle, and what had become of its recipients till then. The connection is closed,
    /// since there is no other way to take back what was sent.
    Body(BodyError, Box<Report>),
    /// The message can't be read to its end; likewise.
    Read(io::Error, Box<Report>),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Closed(reason) => reason.fmt(f),
            Self::Refused(reason, words) => write!(f, "{reason}: {words}"),
            Self::Login(error) => error.fmt(f),
            Self::Begin(error) => error.fmt(f),
            Self::LineEnding(error) => error.fmt(f),
            Self::Body(error, _) => error.fmt(f),
            Self::Read(error, _) => write!(f, "the message can't be read: {error}"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Read(error, _) => Some(error),
            Self::Login(error) => Some(error),
            Self::Begin(error) => Some(error),
            Self::LineEnding(error) => Some(error),
            Self::Body(error, _) => Some(error),
            Self::Tls(_) | Self::Closed(_) | Self::Refused(..) => None,
        }
    }
}
