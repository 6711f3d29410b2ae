//! The session: time, and the contract with the driver. What commands do is in `commands`, what answers do in `answers`, how it ends in
//! `ending`.

mod answers;
mod auth;
mod body;
mod commands;
mod ending;
mod overriding;
mod phase;
mod queue;
mod time;
mod tls;

use crate::auth::Exchange;
use crate::config::{Config, Peer, Protocol};
use crate::count::CommandCounts;
use crate::envelope::{Envelope, EnvelopeView};
use crate::event::{Event, Reason, Step};
use crate::limits::{Domains, Temper, deadline};
use crate::output::Output;
use crate::overriding::Override;
use crate::question::{ConnectToken, Question, Questions, Token};
use crate::received::ReceivedCount;
use crate::table::State;
use crate::tls::TlsInfo;
use body::{Normalizer, Source};
use ehlo_codec::{DataDecoder, LineCheck, LineFramer, Reply, ReplyCode};
use overriding::Spot;
use phase::{Asked, Kind, Phase, Subject};
use queue::Queue;
use std::sync::Arc;
use std::time::Instant;

/// A sans-I/O SMTP server session over one connection.
///
/// # Contract
///
/// - **Time is an argument** and never goes back. The session reads no clock.
/// - **Input**: [`handle_input`](Self::handle_input) gives one [`Event`] at most and says how much it used; call it with the rest until
///   there is no event, even if nothing is left: a chunk of BDAT ends with its last octet, so that its end needs none behind it. For the
///   same reason call it, if with no input, after [`body_resumed`](Self::body_resumed) and [`body_failed`](Self::body_failed). A
///   [`Body`](Event::Body) slice borrows from the input, and nothing else does. While
///   [`wants_input`](Self::wants_input) is false (a question is open, a sink is paused, the peer reads no replies) it uses nothing:
///   the driver keeps what it has read, and reads no more.
/// - **Decisions** come as [`Event::Ask`] and go back by [`resolve`](Self::resolve). What a decision, a deadline or the end of the
///   connection causes comes from [`poll_event`](Self::poll_event).
/// - **After any call**: write [`output`](Self::output) and confirm by [`output_sent`](Self::output_sent), look at
///   [`poll_timeout`](Self::poll_timeout), and drain [`poll_event`](Self::poll_event).
/// - **Deadlines**: an open session always has one; call [`handle_timeout`](Self::handle_timeout) when it has passed. A call that comes
///   early does nothing.
/// - **TLS** is the driver's: [`Event::StartTls`] asks for a handshake, once the output is written, and
///   [`handle_tls`](Self::handle_tls) or [`handle_tls_failed`](Self::handle_tls_failed) tells how it went. Meanwhile no input is
///   wanted. What the driver has read along with STARTTLS came in clear, behind a command that must be the last: it is still
///   given to [`handle_input`](Self::handle_input), as after any event, and then ends the session; what it has not read yet when 220
///   was written belongs to TLS. That is the one exception to the rule on how bytes are cut.
/// - **A slow sink is not the peer's fault**: between [`body_paused`](Self::body_paused) and [`body_resumed`](Self::body_resumed) the
///   peer's deadline is swapped for the sink's.
/// - The same bytes and answers give the same events and replies however the bytes are cut (adjacent body slices put together).
///
/// Its memory is one partial command line, replies up to [`Limits::output`](crate::Limits::output) and addresses up to
/// [`Limits::envelope`](crate::Limits::envelope).
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    peer: Peer,
    phase: Phase,
    framer: LineFramer,
    /// Where the octets of the message come from, from its command on.
    source: Source,
    /// The line ends of a message that comes in chunks.
    check: LineCheck,
    normalizer: Normalizer,
    output: Output,
    events: Queue,
    envelope: Envelope,
    asked: Option<Asked>,
    sequence: u32,
    /// What the open question is about, if that is not in the envelope.
    subject: Subject,
    temper: Temper,
    /// Transactions that were begun.
    transactions: u32,
    domains: Domains,
    deadline: (Instant, Reason),
    /// When the connection was made.
    begun: Instant,
    /// The server is nearly full.
    stressed: bool,
    /// When replies that wait must have moved.
    flush: Option<Instant>,
    /// Octets of the current message.
    size: u64,
    /// Octets of the current message behind the point where it was refused.
    refused: u64,
    /// `Received:` fields of the current message.
    received: ReceivedCount,
    paused: bool,
    pace: body::Pace,
    /// A message was begun, and neither answered nor given up.
    message: bool,
    shutdown: bool,
    /// It is because of the server's memory.
    overload: bool,
    /// The peer has closed its side while a message was being committed.
    ended: bool,
    /// The greeting was 521: the host never takes mail (RFC 7504 §3).
    takes_no_mail: bool,
    tls: Option<Box<TlsInfo>>,
    tls_available: bool,
    /// What the client has sent of an AUTH exchange.
    exchange: Option<Box<Exchange>>,
    /// There was no greeting yet: the connection begins with a handshake.
    greeting_due: bool,
    /// What the application wants said in place of the next reply.
    overriding: Option<Box<Override>>,
    /// That was said, and is the last word.
    leaving: bool,
}

impl Session {
    /// A session over a connection that has just been made. Its greeting is in the output, unless
    /// [`Questions::CONNECT`](crate::Questions::CONNECT) is asked first; and before either comes [`Event::StartTls`], if the connection
    /// begins with a handshake.
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>, peer: Peer) -> Self {
        let limits = &config.limits;
        let mut session = Self {
            peer,
            phase: Phase::Connecting,
            framer: LineFramer::new(0),
            source: Source::Data(DataDecoder::new()),
            check: LineCheck::new(),
            normalizer: Normalizer::default(),
            output: Output::new(limits.output, config.enhanced_status_codes),
            events: Queue::default(),
            envelope: Envelope::default(),
            asked: None,
            sequence: 0,
            subject: Subject::default(),
            temper: Temper::new(limits),
            transactions: 0,
            domains: Domains::default(),
            deadline: (deadline(now, config.timeouts.answer), Reason::Answer),
            begun: now,
            stressed: false,
            flush: None,
            size: 0,
            refused: 0,
            received: ReceivedCount::new(),
            paused: false,
            pace: body::Pace::begin(now, 0),
            message: false,
            shutdown: false,
            overload: false,
            ended: false,
            takes_no_mail: false,
            tls: None,
            tls_available: true,
            exchange: None,
            greeting_due: peer.implicit_tls,
            overriding: None,
            leaving: false,
            config,
        };
        session.framer = session.new_framer();
        if peer.implicit_tls {
            session.handshake(now);
        } else {
            session.begin(now);
        }
        session
    }

    /// Greets, or asks before.
    fn begin(&mut self, now: Instant) {
        self.phase = Phase::Connecting;
        if self.asks_override() {
            self.ask_override(now, Spot::Greeting);
        } else {
            self.ask_or_greet(now);
        }
    }

    /// Greets, or asks whether to.
    fn ask_or_greet(&mut self, now: Instant) {
        if self.config.questions.contains(Questions::CONNECT) {
            let token = self.ask(now, Kind::Connect);
            self.events.push(Event::Ask(Question::Connect(ConnectToken(token))));
        } else {
            self.greet(now);
        }
    }

    /// Takes bytes from the peer. Gives how many were used and what happened; call again with the rest until there is no event.
    pub fn handle_input<'i>(&mut self, now: Instant, input: &'i [u8]) -> Step<'i> {
        let mut used = 0;
        let mut commands = CommandCounts::default();
        loop {
            if let Some(event) = self.events.pop() {
                return Step { used, event: Some(event), commands };
            }
            if used < input.len() && self.phase == Phase::Handshaking {
                self.clear_behind_starttls(now);
                continue;
            }
            if !self.wants_input() || (used == input.len() && !self.has_whole_chunk()) {
                return Step { used, event: None, commands };
            }
            let rest = &input[used..];
            match self.phase {
                Phase::Body | Phase::Refusing(_) => {
                    let (length, piece) = self.handle_body(now, rest);
                    used += length;
                    if let Some(piece) = piece {
                        return Step { used, event: Some(Event::Body(piece)), commands };
                    }
                }
                _ => used += self.handle_line(now, rest, &mut commands),
            }
        }
    }

    /// The sink takes no more of the body for now.
    pub fn body_paused(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Body) && !self.paused {
            self.paused = true;
            self.pace.paused_at = now;
            self.deadline = (deadline(now, self.patience(|t| t.sink)), Reason::Sink);
        }
    }

    /// The sink takes the body again. Then call [`handle_input`](Self::handle_input), even without input.
    pub fn body_resumed(&mut self, now: Instant) {
        // A session that has given the message up in the meantime has another deadline.
        let paused = self.paused;
        self.unpause(now);
        if paused && self.phase == Phase::Body {
            self.deadline = (self.body_deadline(now), Reason::Body);
            self.end_if_over(now);
        }
    }

    /// The next thing that happened, if anything.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.events.pop()
    }

    /// Replies to write now; none when closed.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// The first `n` bytes of [`output`](Self::output) were written.
    pub fn output_sent(&mut self, now: Instant, n: usize) {
        debug_assert!(n <= self.output.bytes().len(), "more was sent than there was");
        self.output.sent(n.min(self.output.bytes().len()));
        if self.output.is_empty() {
            self.flush = None;
        } else if n > 0 {
            self.flush = Some(deadline(now, self.patience(|t| t.flush)));
        }
        if matches!(self.phase, Phase::Closing(_)) {
            self.settle();
        }
    }

    /// Whether bytes from the peer are wanted.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Body => !self.paused,
            Phase::Refusing(_) => true,
            Phase::Command(_) | Phase::Authenticating => self.asked.is_none() && self.output.has_room(),
            Phase::Connecting | Phase::Handshaking | Phase::Committing | Phase::Closing(_) | Phase::Closed => false,
        }
    }

    /// Whether a message, or a chunk of one, is coming, complete or being committed. Between two chunks it is not.
    #[must_use]
    pub fn in_message(&self) -> bool {
        matches!(self.phase, Phase::Body | Phase::Refusing(_) | Phase::Committing)
    }

    /// Octets of a partial line that the session keeps.
    #[must_use]
    pub fn held(&self) -> usize {
        self.framer.held()
    }

    /// Octets of memory that the peer has made the session take, about: of a partial line, the addresses of a transaction, replies that
    /// were not read, and an AUTH exchange. What every session takes is not in it.
    #[must_use]
    pub fn memory(&self) -> usize {
        let exchange = self.exchange.as_ref().map_or(0, |exchange| exchange.memory());
        self.framer.held()
            + self.output.memory()
            + self.envelope.memory()
            + self.subject.0.capacity()
            + self.domains.memory()
            + exchange
    }

    /// When the connection was made.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The peer's name, and the envelope of the open transaction.
    #[must_use]
    pub fn envelope(&self) -> EnvelopeView<'_> {
        self.envelope.view()
    }

    fn greet(&mut self, now: Instant) {
        let protocol = if self.config.protocol == Protocol::Lmtp { "LMTP" } else { "ESMTP" };
        let text = format!("{} {protocol}", self.config.hostname);
        // A hostname fits a line and is printable; it was checked when the configuration was made.
        let greeting = Reply::new(ReplyCode::READY, None, text).unwrap_or(Reply::fixed(220, None, "Ready"));
        self.reply_plain(now, &greeting);
        self.enter(now, State::Greeted);
    }

    /// Waits for a command.
    fn enter(&mut self, now: Instant, state: State) {
        self.phase = Phase::Command(state);
        self.deadline = (deadline(now, self.patience(|t| t.command)), Reason::Command);
    }

    /// Waits for a line of an AUTH exchange.
    fn await_response(&mut self, now: Instant) {
        self.phase = Phase::Authenticating;
        self.deadline = (deadline(now, self.patience(|t| t.command)), Reason::Command);
    }

    fn ask(&mut self, now: Instant, kind: Kind) -> Token {
        self.sequence = self.sequence.wrapping_add(1);
        self.asked = Some(Asked { sequence: self.sequence, kind });
        self.deadline = match kind {
            Kind::Commit => (deadline(now, self.patience(|t| t.commit)), Reason::Commit),
            Kind::Override(_) => (deadline(now, self.patience(|t| t.override_answer)), Reason::Answer),
            _ => (deadline(now, self.patience(|t| t.answer)), Reason::Answer),
        };
        Token { session: self.peer.id, sequence: self.sequence }
    }

    fn reply(&mut self, now: Instant, reply: &Reply) {
        if self.overriding.is_some() {
            return self.reply_overridden(now, reply, true, 1);
        }
        self.output.push(reply);
        self.note_output(now);
    }

    /// Replies without an enhanced code.
    fn reply_plain(&mut self, now: Instant, reply: &Reply) {
        if self.overriding.is_some() {
            return self.reply_overridden(now, reply, false, 1);
        }
        self.output.push_plain(reply);
        self.note_output(now);
    }

    fn note_output(&mut self, now: Instant) {
        if self.flush.is_none() {
            self.flush = Some(deadline(now, self.patience(|t| t.flush)));
        }
    }
}
