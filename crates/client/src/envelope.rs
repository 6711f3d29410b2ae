//! What is to be sent to whom, and what became of it.

use ehlo_codec::{BodyType, EnhancedCode, ForwardPath, ReplyClass, ReplyCode, ReversePath};

/// The envelope of one message. Its addresses are checked types, so none can end a command early.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// Where reports go.
    pub from: ReversePath<'a>,
    /// Whom the message is for; at least one.
    pub to: &'a [ForwardPath<'a>],
    /// The message's size in octets before dot-stuffing, if known: declared by SIZE where the server offers it (RFC 1870 §5).
    pub size: Option<u64>,
    /// Whether the body has octets above 127: then the server must offer 8BITMIME (RFC 6152).
    pub body: BodyType,
    /// Whether an address or a header field has characters beyond ASCII: then the server must offer SMTPUTF8 (RFC 6531).
    pub utf8: bool,
}

impl<'a> Envelope<'a> {
    /// An envelope for a 7-bit message of unknown size.
    #[must_use]
    pub const fn new(from: ReversePath<'a>, to: &'a [ForwardPath<'a>]) -> Self {
        Self { from, to, size: None, body: BodyType::SevenBit, utf8: false }
    }

    /// With the message's size in octets.
    #[must_use]
    pub const fn with_size(mut self, octets: u64) -> Self {
        self.size = Some(octets);
        self
    }

    /// With SMTPUTF8, or without.
    #[must_use]
    pub const fn with_utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// With the kind of body.
    #[must_use]
    pub const fn with_body(mut self, body: BodyType) -> Self {
        self.body = body;
        self
    }
}

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
}

impl Outcome {
    pub(crate) fn count(recipients: &[RecipientOutcome], code: Option<ReplyCode>) -> Self {
        let mut outcome = Self { code, ..Self::default() };
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
