//! Which replies may come at which moment: RFC 5321 §4.3.2 and the extensions.

use crate::generated::sequences;
use crate::{ReplyCode, Verb};

/// A moment at which a server replies.
///
/// Extensions add moments, hence `non_exhaustive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The connection was opened; the server greets (RFC 5321 §3.1).
    Connect,
    /// A command was received. For DATA and AUTH this is the first reply, which may ask for more.
    Verb(Verb),
    /// A command whose verb the server does not know was received.
    UnknownVerb,
    /// The dot that ends the text of DATA was received (RFC 5321 §4.1.1.4).
    DataEnd,
    /// A line that answers a 334 challenge of AUTH was received (RFC 4954 §4).
    AuthResponse,
}

impl Stage {
    /// The replies that any command may get "if the corresponding unusual circumstances are encountered" (RFC 5321 §4.3.2).
    pub const EVERY_COMMAND: &'static [StageReply] = sequences::EVERY_COMMAND;

    /// The replies defined for this stage in particular, by rising code.
    #[must_use]
    pub const fn replies(self) -> &'static [StageReply] {
        sequences::replies(self)
    }

    /// Whether some RFC lets a server send `code` at this stage: it is among [`replies`](Self::replies), or the stage
    /// is a command and it is among [`EVERY_COMMAND`](Self::EVERY_COMMAND).
    ///
    /// RFC 5321 §4.3.2 calls its lists the usual replies and asks clients to bear others, so `false` is a reason to
    /// report a reply, not to refuse it.
    ///
    /// ```
    /// use ehlo_codes::{ReplyCode, Stage, Verb};
    /// assert!(Stage::Verb(Verb::Data).permits(ReplyCode::START_MAIL_INPUT));
    /// assert!(Stage::Verb(Verb::Data).permits(ReplyCode::SERVICE_NOT_AVAILABLE)); // any command may get 421
    /// assert!(!Stage::Verb(Verb::Noop).permits(ReplyCode::MAILBOX_BUSY));
    /// ```
    #[must_use]
    pub fn permits(self, code: ReplyCode) -> bool {
        lists(self.replies(), code) || (self.is_command() && lists(Self::EVERY_COMMAND, code))
    }

    /// Whether the reply answers a command line, as opposed to a connection, message text or an authentication response.
    #[must_use]
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Verb(_) | Self::UnknownVerb)
    }
}

fn lists(replies: &[StageReply], code: ReplyCode) -> bool {
    replies.iter().any(|reply| reply.code == code)
}

/// One reply that may come at a [`Stage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReply {
    /// The code.
    pub code: ReplyCode,
    /// Where it leads.
    pub outcome: Outcome,
    /// The RFC and section that allows it.
    pub reference: &'static str,
}

/// Where a reply leads: the letters I, S and E of RFC 5321 §4.3.2.
///
/// Exhaustive on purpose: follows from the first digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server waits for the rest (3yz).
    Intermediate,
    /// Done (2yz).
    Success,
    /// Not done (4yz or 5yz).
    Error,
}
