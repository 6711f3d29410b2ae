//! What a session tells its driver, and what it is told.

use crate::outcome::Outcome;
use ehlo_codec::{EnhancedCode, ReplyCode, ReplyFault};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// The server wants TLS to begin: it has answered STARTTLS with 220. Hand in what else was read, which ends the session if there is
    /// anything; then make the handshake, and call [`Session::handle_tls`](crate::Session::handle_tls).
    TlsWanted,
    /// The server's challenge is [`Session::challenge`](crate::Session::challenge), decoded. Answer by
    /// [`Session::respond`](crate::Session::respond), or give up by [`Session::cancel_auth`](crate::Session::cancel_auth).
    Challenge,
    /// The exchange that [`Session::authenticate`](crate::Session::authenticate) began is over.
    Auth(AuthOutcome),
    /// The body of this transaction is wanted. Write [`Session::output`](crate::Session::output) first, and behind it the body in the
    /// form that [`Transfer`] tells.
    BodyWanted(TransactionId, Transfer),
    /// The transaction is over. [`Session::recipients`](crate::Session::recipients) tells of each.
    Done(TransactionId, Outcome),
    /// The session is over; told once and last. Write what is left of the output if the socket takes it, then close it.
    Closed(CloseReason),
}

/// How a body goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Behind DATA (RFC 5321 §4.1.1.4): with its dots stuffed, for which there is [`Stuffer`](ehlo_codec::Stuffer). Then call
    /// [`Session::body_finished`](crate::Session::body_finished).
    Dots,
    /// Behind `BDAT LAST`, which is in the output (RFC 3030 §2): exactly the octets that the envelope's size says, as they are. Then call
    /// [`Session::body_finished`](crate::Session::body_finished) with [`BodyEnd::Included`].
    Whole,
    /// In chunks, since nobody has said how long it is: call [`Session::chunk`](crate::Session::chunk) for each while
    /// [`Session::wants_chunk`](crate::Session::wants_chunk).
    Chunks,
}

/// How an authentication ended (RFC 4954 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthOutcome {
    /// The server says that it succeeded. Whether to believe it, the mechanism must tell.
    Succeeded,
    /// The server refused: 4yz may be tried again later, 5yz not with the same credentials.
    Refused(ReplyCode),
    /// The server's challenge was not Base64; the exchange was given up.
    BadChallenge,
    /// [`Session::cancel_auth`](crate::Session::cancel_auth) gave it up.
    Cancelled,
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
    /// STARTTLS.
    StartTls,
    /// AUTH, or a response within its exchange.
    Auth,
    /// RSET, sent before a transaction that follows a failed one.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT for the recipient of that index.
    Rcpt(u32),
    /// DATA.
    Data,
    /// A chunk that is not the last one.
    Chunk,
    /// The end of data, or the last chunk.
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
    /// The driver makes the TLS handshake.
    TlsHandshake,
    /// The driver answers a challenge.
    AuthResponse,
    /// Nothing to do: QUIT will be sent.
    Idle,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(Stage::Greeting) => f.write_str("waiting for the greeting"),
            Self::Reply(Stage::Rcpt(_)) => f.write_str("waiting for the reply to RCPT"),
            Self::Reply(Stage::Chunk) => f.write_str("waiting for the reply to BDAT"),
            Self::Reply(Stage::Body | Stage::Delivery(_)) => f.write_str("waiting for the reply to the end of data"),
            Self::Reply(stage) => write!(f, "waiting for the reply to {}", format!("{stage:?}").to_uppercase()),
            Self::BodyBlock => f.write_str("writing the body"),
            Self::TlsHandshake => f.write_str("making the TLS handshake"),
            Self::AuthResponse => f.write_str("answering a challenge"),
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
    /// TLS is required, and the server does not offer STARTTLS; or it refused it, and how.
    TlsNotAvailable(Option<ReplyCode>),
    /// The TLS handshake failed.
    TlsFailed,
    /// The driver gave up a message in its middle, of which the server then takes nothing.
    Abandoned,
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
            Self::TlsNotAvailable(None) => f.write_str("TLS is required, and the server does not offer STARTTLS"),
            Self::TlsNotAvailable(Some(code)) => {
                write!(f, "TLS is required, and the server refused STARTTLS with {code}")
            }
            Self::TlsFailed => f.write_str("the TLS handshake failed"),
            Self::Abandoned => f.write_str("the message was given up"),
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
    /// Bytes came in clear behind the 220 that answers STARTTLS: what somebody in between may have put there (RFC 3207 §6, CVE-2011-0411).
    ClearBehindStartTls,
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(fault) => fault.fmt(f),
            Self::Unsolicited(code) => write!(f, "a {code} reply that answers nothing"),
            Self::ClearBehindStartTls => f.write_str("bytes in clear behind the reply to STARTTLS"),
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
    /// More recipients than [`Session::max_recipients`](crate::Session::max_recipients).
    TooManyRecipients,
    /// The server takes no more messages over this connection (RFC 9422, MAILMAX): go on over another one.
    TooManyMessages,
    /// The recipients have more domains than the server takes over this connection (RFC 9422, RCPTDOMAINMAX): go on over another one.
    TooManyDomains,
    /// The message is larger than the server takes (RFC 1870 §6.1).
    TooLarge {
        /// What the server takes, in octets.
        limit: u64,
    },
    /// The body needs an extension that the server does not offer: 8BITMIME (RFC 6152 §3), or BINARYMIME with CHUNKING (RFC 3030 §3).
    BodyNotOffered,
    /// The message needs SMTPUTF8, and the server does not offer it (RFC 6531 §3.2).
    Utf8NotOffered,
    /// The message must go over TLS with a verified server that offers REQUIRETLS (RFC 8689 §4.2.1), and this is none.
    TlsNotAssured,
    /// A parameter whose meaning would be lost needs an extension that the server does not offer: DELIVERBY with return, FUTURERELEASE,
    /// RRVS; or one of an extension that is not known here.
    ParamNotOffered,
    /// The message is to be held longer than the server is willing to (RFC 4865 §4).
    HeldTooLong,
}

impl BeginError {
    /// Whether the message itself can't go to this server, over this or another connection: what is said by
    /// [`enhanced`](Self::enhanced) is then what its recipients were refused for. False for errors of the moment and of the caller.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.enhanced().is_some()
    }

    /// The enhanced status code that a report about it has, if the message can't go to this server (RFC 3463).
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        Some(match self {
            Self::NotReady
            | Self::NoRecipients
            | Self::TooManyRecipients
            | Self::TooManyMessages
            | Self::TooManyDomains => {
                return None;
            }
            Self::TooLarge { .. } => EnhancedCode::literal(5, 3, 4),
            Self::BodyNotOffered => EnhancedCode::literal(5, 6, 3),
            Self::Utf8NotOffered => EnhancedCode::literal(5, 6, 7),
            Self::TlsNotAssured => EnhancedCode::literal(5, 7, 30),
            Self::ParamNotOffered => EnhancedCode::literal(5, 3, 3),
            Self::HeldTooLong => EnhancedCode::literal(5, 3, 0),
        })
    }
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the session is not ready for a transaction"),
            Self::NoRecipients => f.write_str("a message needs a recipient"),
            Self::TooManyRecipients => f.write_str("too many recipients for one transaction"),
            Self::TooManyMessages => f.write_str("the server takes no more messages over this connection"),
            Self::TooManyDomains => f.write_str("the server takes recipients of no more domains over this connection"),
            Self::TlsNotAssured => f.write_str(
                "the message requires TLS all the way, and the server does not offer REQUIRETLS or was not verified",
            ),
            Self::ParamNotOffered => f.write_str("a parameter needs an extension that the server does not offer"),
            Self::HeldTooLong => f.write_str("the message is to be held longer than the server is willing to"),
            Self::TooLarge { limit } => {
                write!(f, "the server takes messages of {limit} octets at most")
            }
            Self::BodyNotOffered => f.write_str(
                "the body is not 7-bit and the server does not offer 8BITMIME, or BINARYMIME if it is binary",
            ),
            Self::Utf8NotOffered => {
                f.write_str("the message is internationalized and the server does not offer SMTPUTF8")
            }
        }
    }
}

impl std::error::Error for BeginError {}
