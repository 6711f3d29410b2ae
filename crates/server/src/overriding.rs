//! A door for servers that say what servers must not: tests of clients need them.
//!
//! The tokens of the other questions build legal answers only, so that no application says anything else by mistake. This one builds any, and is asked
//! only where [`Questions::OVERRIDE`](crate::Questions::OVERRIDE) is set, which is not among [`ALL`](crate::Questions::ALL).

use crate::question::{Answer, Token, Verdict};
use ehlo_codec::{Reply, ReplyCode, Verb};
use std::fmt;

/// What comes next, unless it is overridden.
///
/// Its `Debug` output has nothing of a line, which may hold a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment<'s> {
    /// The connection was made, and has had its handshake if it begins with one: the greeting.
    Greeting,
    /// A command was read, whatever it is and wherever it comes: what it does, and its reply. A line that breaks the framing (with an LF or CR of its
    /// own, a NUL, or too long for any command) is none, and the session's.
    Command {
        /// The verb, if it is one that is known to exist.
        verb: Option<Verb>,
        /// The line as it came, without CRLF.
        line: &'s [u8],
    },
    /// A line came that answers a challenge of AUTH.
    Response,
    /// A message is complete, and neither too large nor malformed: it is about to be [committed](crate::Question::Commit).
    Message {
        /// Its octets, dot-stuffing removed.
        size: u64,
    },
}

impl fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting => f.write_str("Greeting"),
            Self::Command { verb, line } => write!(f, "Command({verb:?}, {} octets)", line.len()),
            Self::Response => f.write_str("Response"),
            Self::Message { size } => write!(f, "Message({size} octets)"),
        }
    }
}

/// What is done in place of what a session does by itself.
///
/// What comes next is either [obeyed](Self::obey), or has no effect; and this is said in place of its reply, exactly as it was built, be it legal or
/// not. Where nothing has an effect:
///
/// - a greeting opens no session: nothing but QUIT is obeyed behind it (RFC 5321 §3.1);
/// - a command leaves the session as it was, but for BDAT: its chunk is thrown away, and with it the message;
/// - an AUTH or response that is answered with 334 goes on with a response; one that is answered with anything else is over;
/// - a message is thrown away, and its transaction over. Under LMTP each recipient gets the same reply.
///
/// What is overridden without effect counts as something that does [nothing for a message](crate::Limits::idle_commands), or, where it is RCPT, DATA
/// or BDAT, as one that [was refused](crate::Limits::bad_commands).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub(crate) words: Words,
    pub(crate) obey: bool,
    pub(crate) close: bool,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// What would have been said.
    Usual,
    /// With its enhanced code if it has one, whatever it answers and whether or not ENHANCEDSTATUSCODES is on.
    Reply(Reply),
    Octets(Vec<u8>),
}

impl Override {
    /// Has no effect, and this is said.
    #[must_use]
    pub const fn reply(reply: Reply) -> Self {
        Self { words: Words::Reply(reply), obey: false, close: false }
    }

    /// Has no effect, and these octets are said, which need not be a reply. They end in CRLF, if they are to. Under LMTP a message gets them once, however
    /// many recipients it has.
    #[must_use]
    pub const fn octets(octets: Vec<u8>) -> Self {
        Self { words: Words::Octets(octets), obey: false, close: false }
    }

    /// Has no effect, and nothing is said: the client waits.
    #[must_use]
    pub const fn silence() -> Self {
        Self::octets(Vec::new())
    }

    /// Is obeyed, and what comes of it is said. Of use with [`close`](Self::close).
    #[must_use]
    pub const fn usual() -> Self {
        Self { words: Words::Usual, obey: true, close: false }
    }

    /// Is obeyed as well, as far as it can be. Whatever comes of it, it is answered by these words: those who build them say yes where the session, or
    /// another question, says no. But where the session ends by itself, it says 421.
    #[must_use]
    pub const fn obey(mut self) -> Self {
        self.obey = true;
        self
    }

    /// Closes the session behind the words: [`CloseReason::Refused`](crate::CloseReason::Refused). A message that was obeyed has been committed then.
    #[must_use]
    pub const fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The code that is said, if it is known.
    pub(crate) fn code(&self) -> Option<ReplyCode> {
        match &self.words {
            Words::Reply(reply) => Some(reply.code()),
            Words::Usual | Words::Octets(_) => None,
        }
    }
}

/// Asks whether a session is to be overridden. What comes next is [`Pending::Override`](crate::Pending::Override).
///
/// A question that is not answered [in time](crate::Timeouts::override_answer) lets the session go on.
#[derive(Debug)]
#[must_use = "the session waits for an answer"]
pub struct OverrideToken(pub(crate) Token);

impl OverrideToken {
    /// No: the session goes on.
    pub fn proceed(self) -> Answer {
        Answer { token: self.0, verdict: Verdict::Accept }
    }

    /// Yes, by this.
    pub fn answer(self, with: Override) -> Answer {
        Answer { token: self.0, verdict: Verdict::Override(Box::new(with)) }
    }
}
