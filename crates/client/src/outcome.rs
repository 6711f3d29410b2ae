//! What became of a message.

use ehlo_codec::{EnhancedCode, ReplyClass, ReplyCode};

/// What became of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientOutcome {
    /// The transaction goes on; nothing is decided.
    Pending,
    /// The server has taken responsibility for it (RFC 5321 §4.2.5).
    Accepted,
    /// The server refused it, alone or with the whole message.
    Refused {
        /// The reply's code: 4yz may be tried again later, 5yz not in the same form.
        code: ReplyCode,
        /// The enhanced status code, if the reply had one.
        enhanced: Option<EnhancedCode>,
    },
    /// Surely not accepted: the connection ended before the end of data was written. May be sent again.
    Unsent,
    /// The end of data was written and no reply came. Whoever sends again may send twice; whoever does not may lose it
    /// (RFC 5321 §6.1, RFC 1047).
    Unknown,
}

impl RecipientOutcome {
    /// Whether trying again later can help: a 4yz reply, or the connection was lost.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Pending | Self::Accepted => false,
            Self::Refused { code, .. } => code.class() == ReplyClass::TransientFailure,
            Self::Unsent | Self::Unknown => true,
        }
    }
}

/// What became of a transaction, counted in recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Recipients that the server took.
    pub accepted: u32,
    /// Recipients that it refused.
    pub refused: u32,
    /// Recipients for whom nothing was sent.
    pub unsent: u32,
    /// Recipients of whom nobody can tell.
    pub unknown: u32,
    /// The last reply to a command of the transaction, or to its body; `None` if there was none.
    pub code: Option<ReplyCode>,
    /// Parameters of DSN were left out, since the server does not offer it: whoever asked for a report of success is to be told that the
    /// message was relayed there (RFC 3461 §5.2.2).
    pub without_dsn: bool,
}

impl Outcome {
    pub(crate) fn count(recipients: &[RecipientOutcome], code: Option<ReplyCode>, without_dsn: bool) -> Self {
        let mut outcome = Self { code, without_dsn, ..Self::default() };
        for recipient in recipients {
            match recipient {
                RecipientOutcome::Accepted => outcome.accepted += 1,
                RecipientOutcome::Refused { .. } => outcome.refused += 1,
                RecipientOutcome::Pending | RecipientOutcome::Unsent => outcome.unsent += 1,
                RecipientOutcome::Unknown => outcome.unknown += 1,
            }
        }
        outcome
    }
}
