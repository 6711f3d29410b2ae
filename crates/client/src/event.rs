//! What a session tells its driver, and what it is told.

use crate::envelope::Outcome;
use ehlo_codec::{ReplyCode, ReplyFault};
use std::fmt;

/// The result of [`Session::handle_input`](crate::Session::handle_input).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input were used.
    pub used: usize,
    /// What happened, if anything. While there is an event, call again with the rest of the input.
    pub event: Option<Event>,
}

/// Names one transaction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub(crate) u64);

/// What happened in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A reply came. Every reply that answers something is told of, in order, before the event that it causes. Its text is
    /// [`Session::reply`](crate::Session::reply) until the next input is handled.
    Reply(Stage, ReplyCode),
    /// The server has greeted and answered EHLO, HELO or LHLO: [`Session::begin`](crate::Session::begin) may be called.
    Ready,
    /// The server waits for the body of this transaction. Write [`Session::output`](crate::Session::output) and then the body's wire
    /// form; then call [`Session::body_finished`](crate::Session::body_finished).
    BodyWanted(TransactionId),
    /// The transaction is over. [`Session::recipients`](crate::Session::recipients) tells of each.
    Done(TransactionId, Outcome),
    /// The session is over; told once and last. Write what is left of the output if the socket takes it, then close it.
    Closed(CloseReason),
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// The connection.
    Greeting,
    /// EHLO.
    Ehlo,
    /// HELO, after EHLO was not understood.
    Helo,
    /// LHLO, in place of EHLO under LMTP.
    Lhlo,
    /// RSET, sent before a transaction that follows a failed one.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT for the recipient of that index.
    Rcpt(u32),
    /// DATA.
    Data,
    /// The end of data.
    Body,
    /// The end of data, for the recipient of that index: under LMTP (RFC 2033 §4.2).
    Delivery(u32),
    /// QUIT.
    Quit,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The reply to this.
    Reply(Stage),
    /// The server takes no more of the body.
    BodyBlock,
    /// Nothing to do: QUIT will be sent.
    Idle,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(Stage::Greeting) => f.write_str("waiting for the greeting"),
            Self::Reply(Stage::Rcpt(_)) => f.write_str("waiting for the reply to RCPT"),
            Self::Reply(Stage::Body | Stage::Delivery(_)) => f.write_str("waiting for the reply to the end of data"),
            Self::Reply(stage) => write!(f, "waiting for the reply to {}", format!("{stage:?}").to_uppercase()),
            Self::BodyBlock => f.write_str("writing the body"),
            Self::Idle => f.write_str("idle"),
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// QUIT was sent, and answered or the connection closed.
    Quit,
    /// The greeting, EHLO, HELO or LHLO was answered with a refusal.
    Refused(ReplyCode),
    /// The server said 421: try another host, or later (RFC 5321 §4.2.3).
    ServiceNotAvailable,
    /// The server closed the connection unasked.
    Eof,
    /// A deadline passed.
    TimedOut(Reason),
    /// The server broke the protocol.
    PeerMisbehaved(Misbehaviour),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quit => f.write_str("done"),
            Self::Refused(code) => write!(f, "the server refused the session with {code}"),
            Self::ServiceNotAvailable => f.write_str("the server closed the session with 421"),
            Self::Eof => f.write_str("the server closed the connection"),
            Self::TimedOut(reason) => write!(f, "timed out {reason}"),
            Self::PeerMisbehaved(what) => write!(f, "the server broke the protocol: {what}"),
        }
    }
}

/// How a server broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// What came is no reply.
    Reply(ReplyFault),
    /// A reply came that answers nothing.
    Unsolicited(ReplyCode),
    /// A reply's code has no meaning here: 2yz to DATA, 3yz to MAIL (RFC 5321 §4.3.2).
    OutOfPlace(Stage, ReplyCode),
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(fault) => fault.fmt(f),
            Self::Unsolicited(code) => write!(f, "a {code} reply that answers nothing"),
            Self::OutOfPlace(stage, code) => write!(f, "{code} is no answer to {stage:?}"),
        }
    }
}

/// How the driver ended a body, in [`Session::body_finished`](crate::Session::body_finished).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyEnd {
    /// The body ended in CRLF, or was empty: `.` CRLF is put into the output.
    Dot,
    /// The body's last line had no CRLF: CRLF `.` CRLF is put into the output.
    CrlfDot,
    /// The driver wrote the end itself.
    Included,
}

/// The driver broke the contract of the session; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApiMisuse(pub(crate) &'static str);

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ApiMisuse {}

/// Why a transaction was not begun. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BeginError {
    /// The session is not ready: not greeted yet, within a transaction, or closed.
    NotReady,
    /// No recipient.
    NoRecipients,
    /// More recipients than [`Config::max_recipients`](crate::Config::max_recipients).
    TooManyRecipients,
    /// The message is larger than the server takes (RFC 1870 §6.1).
    TooLarge {
        /// What the server takes, in octets.
        limit: u64,
    },
    /// The body needs an extension that the server does not offer (RFC 6152 §3).
    BodyNotOffered,
    /// The message needs SMTPUTF8, and the server does not offer it (RFC 6531 §3.2).
    Utf8NotOffered,
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the session is not ready for a transaction"),
            Self::NoRecipients => f.write_str("a message needs a recipient"),
            Self::TooManyRecipients => f.write_str("too many recipients for one transaction"),
            Self::TooLarge { limit } => {
                write!(f, "the server takes messages of {limit} octets at most")
            }
            Self::BodyNotOffered => f.write_str("the message is not 7-bit and the server does not offer 8BITMIME"),
            Self::Utf8NotOffered => {
                f.write_str("the message is internationalized and the server does not offer SMTPUTF8")
            }
        }
    }
}

impl std::error::Error for BeginError {}
