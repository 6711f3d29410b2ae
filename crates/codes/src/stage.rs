//! Which replies may come at which moment: RFC 5321 §4.3.2 and the extensions.

use core::fmt;

use crate::generated::sequences;
use crate::{ReplyCode, ReplyText, Verb};

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
    /// Every stage, those that are no command first.
    pub const ALL: &'static [Self] = sequences::STAGES;

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

    /// What the table has for `code` at this stage, also from [`EVERY_COMMAND`](Self::EVERY_COMMAND).
    #[must_use]
    pub fn reply(self, code: ReplyCode) -> Option<&'static StageReply> {
        let own = self.replies().iter().find(|reply| reply.code == code);
        let shared = || Self::EVERY_COMMAND.iter().find(|reply| reply.code == code);
        own.or_else(|| if self.is_command() { shared() } else { None })
    }

    /// What the text of this reply carries for the client.
    ///
    /// ```
    /// use ehlo_codes::{ReplyCode, ReplyText, Stage, Verb};
    /// assert_eq!(Stage::Verb(Verb::Rcpt).text_of(ReplyCode::USER_NOT_LOCAL), ReplyText::ForwardPath);
    /// assert_eq!(Stage::Verb(Verb::Etrn).text_of(ReplyCode::WILL_FORWARD), ReplyText::Free);
    /// ```
    #[must_use]
    pub fn text_of(self, code: ReplyCode) -> ReplyText {
        self.reply(code).map_or(ReplyText::Free, |reply| reply.text)
    }

    /// Its name: that of the verb, or `connect`, `unknown-verb`, `data-end`, `auth-response`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Verb(verb) => verb.as_str(),
            Self::UnknownVerb => "unknown-verb",
            Self::DataEnd => "data-end",
            Self::AuthResponse => "auth-response",
        }
    }

    /// The stage of this [`name`](Self::name), in any case, or `None`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|stage| stage.name().eq_ignore_ascii_case(name))
    }

    /// Whether the reply answers a command line, as opposed to a connection, message text or an authentication response.
    #[must_use]
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Verb(_) | Self::UnknownVerb)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
    /// What its text carries for the client.
    pub text: ReplyText,
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

impl Outcome {
    /// One lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intermediate => "intermediate",
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
