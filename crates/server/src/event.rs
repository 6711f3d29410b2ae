//! What a session tells its driver.

use crate::count::CommandCounts;
use crate::question::Question;
use crate::replies;
use ehlo_codec::Reply;
use std::fmt;

/// The result of [`Session::handle_input`](crate::Session::handle_input).
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'i> {
    /// How many bytes of the input were used.
    pub used: usize,
    /// What happened, if anything. While there is an event, call again with the rest of the input.
    pub event: Option<Event<'i>>,
    /// The commands that were looked at, for whoever counts them.
    pub commands: CommandCounts,
}

/// What happened in a session.
///
/// Its `Debug` output tells how long a piece of a message is, never what is in it.
#[non_exhaustive]
pub enum Event<'i> {
    /// The application has to decide. The session waits, under a deadline, for [`Session::resolve`](crate::Session::resolve); what is
    /// asked about is [`Session::pending`](crate::Session::pending).
    Ask(Question),
    /// A message begins: the reply 354 is in the output, or its first chunk comes. Its envelope is [`Session::envelope`](crate::Session::envelope).
    BodyStart,
    /// A piece of the message, dot-stuffing removed: a slice of the input, or a CR of an earlier input that might have been part of
    /// the end, or a CR or LF that [`BareLineEnds::Normalize`](crate::BareLineEnds::Normalize) puts in.
    Body(&'i [u8]),
    /// Begin the TLS handshake, as its server: once all of the [output](crate::Session::output) is written, which ends in 220 if it was
    /// STARTTLS that asked for it, and before anything else is read. Its result goes to
    /// [`Session::handle_tls`](crate::Session::handle_tls) or [`Session::handle_tls_failed`](crate::Session::handle_tls_failed).
    StartTls,
    /// The message will not be committed: throw away what there is of it. It follows [`BodyStart`](Self::BodyStart) instead of the
    /// commit, or an [`Ask`](Self::Ask) for the commit that was not answered in time.
    BodyAborted(AbortReason),
    /// The session is over; told once and last. All output was written, or cannot be: close the connection.
    Closed(CloseReason),
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(question) => f.debug_tuple("Ask").field(question).finish(),
            Self::BodyStart => f.write_str("BodyStart"),
            Self::StartTls => f.write_str("StartTls"),
            Self::Body(piece) => write!(f, "Body({} octets)", piece.len()),
            Self::BodyAborted(reason) => f.debug_tuple("BodyAborted").field(reason).finish(),
            Self::Closed(reason) => f.debug_tuple("Closed").field(reason).finish(),
        }
    }
}

/// Why a message is not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortReason {
    /// It is larger than [`Limits::message_size`](crate::Limits::message_size).
    TooLarge,
    /// A CR or LF stands outside of a CRLF; see [`BareLineEnds`](crate::BareLineEnds).
    BareLineEnd,
    /// It has more `Received:` fields than [`Limits::received`](crate::Limits::received).
    Loop,
    /// The client gave it up between two chunks, by RSET, QUIT or another EHLO (RFC 3030 §2).
    Reset,
    /// The application could not take it: [`Session::body_failed`](crate::Session::body_failed).
    NotStored,
    /// The application had something else said at its end, or in place of one of its chunks: [`Override`](crate::Override).
    Overridden,
    /// The connection ended before the end of data, or was shut down [at once](Shutdown::Now) or because of what the peer did.
    Disconnected,
    /// A deadline passed.
    TimedOut(Reason),
}

impl AbortReason {
    /// The reply that tells the client so, at the end of the message or at once. `None` where nobody is there to be told, where the client
    /// has given the message up itself, and where the reply was the application's.
    #[must_use]
    pub const fn reply(self) -> Option<&'static Reply> {
        const TOO_LARGE: &Reply = &replies::TOO_LARGE;
        const BARE_LINE_END: &Reply = &replies::BARE_LINE_END;
        const LOOP: &Reply = &replies::LOOP;
        const LATE: &Reply = &replies::LOCAL_ERROR;
        match self {
            Self::TooLarge => Some(TOO_LARGE),
            Self::BareLineEnd => Some(BARE_LINE_END),
            Self::Loop => Some(LOOP),
            Self::TimedOut(Reason::Commit) => Some(LATE),
            Self::TimedOut(reason) => reason.reply(),
            Self::Reset | Self::NotStored | Self::Overridden | Self::Disconnected => None,
        }
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The peer's next command.
    Command,
    /// More of a body.
    Body,
    /// The peer reads no replies.
    Flush,
    /// The application's answer to a question about the connection or envelope.
    Answer,
    /// The application's word that a message is safe.
    Commit,
    /// The sink takes no more of a body.
    Sink,
    /// The TLS handshake.
    Handshake,
    /// The whole session.
    Session,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Command,
        Self::Body,
        Self::Flush,
        Self::Answer,
        Self::Commit,
        Self::Sink,
        Self::Handshake,
        Self::Session,
    ];

    /// Its name, as counters and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Body => "body",
            Self::Flush => "flush",
            Self::Answer => "answer",
            Self::Commit => "commit",
            Self::Sink => "sink",
            Self::Handshake => "handshake",
            Self::Session => "session",
        }
    }

    /// The reply that ends a wait of the session for its peer, or for a sink. There is none to a peer that reads nothing, nor within a
    /// handshake; and to a question that is not answered in time the reply depends on the question.
    pub(crate) const fn reply(self) -> Option<&'static Reply> {
        const COMMAND: &Reply = &replies::IDLE;
        const BODY: &Reply = &replies::BODY_STALLED;
        const SINK: &Reply = &replies::SINK_STALLED;
        const SESSION: &Reply = &replies::SESSION_OVER;
        match self {
            Self::Command => Some(COMMAND),
            Self::Body => Some(BODY),
            Self::Sink => Some(SINK),
            Self::Session => Some(SESSION),
            Self::Flush | Self::Answer | Self::Commit | Self::Handshake => None,
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer said QUIT.
    Quit,
    /// The peer closed the connection without QUIT.
    Disconnected,
    /// The application refused the session, or answered a command with 421, or [closed](crate::Override::close) it.
    Refused,
    /// A deadline passed.
    TimedOut(Reason),
    /// Too many commands that were refused ([`Limits::bad_commands`](crate::Limits::bad_commands)).
    TooManyErrors,
    /// Too many commands that do nothing, or senders and messages that are refused
    /// ([`Limits::idle_commands`](crate::Limits::idle_commands)).
    TooManyCommands,
    /// One transaction more than [`Limits::transactions`](crate::Limits::transactions).
    TooManyTransactions,
    /// Too many AUTH exchanges that failed ([`Limits::auth_failures`](crate::Limits::auth_failures)).
    TooManyAuthFailures,
    /// A line without end ([`Limits::discarded_line`](crate::Limits::discarded_line)), or a refused message or chunk without end
    /// ([`Limits::refused_body`](crate::Limits::refused_body)).
    Endless,
    /// A BDAT that could not be read: where its chunk ends, and the next command begins, is not known.
    OutOfStep,
    /// The server is shutting down.
    Shutdown,
    /// The server has no memory left for this session ([`Shutdown::Overload`]).
    Overload,
    /// Something came in clear behind STARTTLS, where only a handshake may come: commands that somebody has put there to have them
    /// obeyed inside TLS (RFC 3207 §4: STARTTLS is the last command of a group). None of it was looked at.
    ClearBehindStartTls,
    /// The TLS handshake failed, or a later record of TLS was broken.
    TlsFailed,
    /// A line was the request of another protocol: HTTP (RFC 9112 §3). Somebody's page may have sent a browser here to have its words
    /// obeyed as SMTP.
    AnotherProtocol,
}

impl CloseReason {
    /// The names of all of them, in the order of the type.
    pub const NAMES: [&'static str; 15] = [
        "quit",
        "disconnected",
        "refused",
        "timed_out",
        "too_many_errors",
        "too_many_commands",
        "too_many_transactions",
        "too_many_auth_failures",
        "endless",
        "out_of_step",
        "shutdown",
        "overload",
        "clear_behind_starttls",
        "tls_failed",
        "another_protocol",
    ];

    /// Its name, as counters and logs have it: one for all deadlines, which [`Reason`] tells apart.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// Its place in [`NAMES`](Self::NAMES).
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Quit => 0,
            Self::Disconnected => 1,
            Self::Refused => 2,
            Self::TimedOut(_) => 3,
            Self::TooManyErrors => 4,
            Self::TooManyCommands => 5,
            Self::TooManyTransactions => 6,
            Self::TooManyAuthFailures => 7,
            Self::Endless => 8,
            Self::OutOfStep => 9,
            Self::Shutdown => 10,
            Self::Overload => 11,
            Self::ClearBehindStartTls => 12,
            Self::TlsFailed => 13,
            Self::AnotherProtocol => 14,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quit => "quit",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::TimedOut(Reason::Command) => "timed out waiting for a command",
            Self::TimedOut(Reason::Body) => "timed out within a message",
            Self::TimedOut(Reason::Flush) => "timed out because replies were not read",
            Self::TimedOut(Reason::Handshake) => "timed out within the TLS handshake",
            Self::TimedOut(Reason::Session) => "timed out as a whole",
            Self::TimedOut(Reason::Answer | Reason::Commit | Reason::Sink) => "timed out on our side",
            Self::TooManyErrors => "too many errors",
            Self::TooManyCommands => "too many commands without a message",
            Self::TooManyTransactions => "too many transactions",
            Self::TooManyAuthFailures => "too many failed authentications",
            Self::Endless => "a line or message without end",
            Self::OutOfStep => "a chunk of unknown size",
            Self::Shutdown => "shutdown",
            Self::Overload => "no memory left",
            Self::ClearBehindStartTls => "clear text behind STARTTLS",
            Self::TlsFailed => "TLS failed",
            Self::AnotherProtocol => "another protocol",
        })
    }
}

/// How to shut a session down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shutdown {
    /// 421 at the next command boundary; a message that is on its way is read to its end and answered first (RFC 5321 §3.8), all of its
    /// chunks if it comes by BDAT.
    Graceful,
    /// 421 at once; a message that is on its way is lost to the peer, who will send it again.
    Now,
    /// As [`Now`](Self::Now), since the server has no memory left for this session, and 421 says so. But a message that is being
    /// committed is answered first: it may be safe already, and would be sent again.
    Overload,
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveError {
    /// The question was answered by the session itself: its deadline passed, the peer went away, or its token was abandoned.
    Stale,
    /// The answer is another session's. The driver is at fault.
    ApiMisuse,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the answer came too late",
            Self::ApiMisuse => "the answer belongs to another session",
        })
    }
}

impl std::error::Error for ResolveError {}
