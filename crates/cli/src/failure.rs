//! Why a command that talks to servers did nothing, and with which status it exits (sysexits(3)).

use std::fmt;

use ehlo_tokio::client::{LoginError, SendError};
use ehlo_tokio::ehlo_client::CloseReason;
use ehlo_tokio::ehlo_client::codec::{ReplyClass, ReplyCode};

/// Wrong usage.
pub(crate) const EX_USAGE: u8 = 64;
/// A message that can't be sent as it is.
pub(crate) const EX_DATAERR: u8 = 65;
/// A file that can't be read.
pub(crate) const EX_NOINPUT: u8 = 66;
/// Nobody is there by that name.
pub(crate) const EX_NOUSER: u8 = 67;
/// Refused for good.
pub(crate) const EX_UNAVAILABLE: u8 = 69;
/// To be tried again later.
pub(crate) const EX_TEMPFAIL: u8 = 75;
/// The log-in failed, and will again.
pub(crate) const EX_NOPERM: u8 = 77;
/// The configuration is wrong.
pub(crate) const EX_CONFIG: u8 = 78;

/// Why nothing at all was done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(EX_USAGE, message)
    }
}

/// The exit status for a connection that could not be had.
pub(crate) fn exit_code(error: &SendError) -> u8 {
    let of = |code: &ReplyCode, refused| {
        if code.class() == ReplyClass::PermanentFailure { refused } else { EX_TEMPFAIL }
    };
    match error {
        SendError::Closed(CloseReason::Refused(code)) | SendError::Refused(CloseReason::Refused(code), _) => {
            of(code, EX_UNAVAILABLE)
        }
        SendError::Login(LoginError::Refused(code, _)) => of(code, EX_NOPERM),
        SendError::Login(
            LoginError::NotOffered | LoginError::NoMechanism | LoginError::OnlyInClear | LoginError::Exchange(_),
        ) => EX_NOPERM,
        SendError::LineEnding(_) | SendError::Body(..) => EX_DATAERR,
        _ => EX_TEMPFAIL,
    }
}
