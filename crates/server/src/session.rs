//! The session: phases, time, and the contract with the driver. What commands do is in `commands`, what answers do in `answers`.

mod answers;
mod auth;
mod body;
mod commands;
mod time;
mod tls;

use crate::auth::Exchange;
use crate::config::{Config, Peer, Protocol};
use crate::count::CommandCounts;
use crate::envelope::{Envelope, EnvelopeView};
use crate::event::{AbortReason, CloseReason, Event, Reason, Shutdown, Step};
use crate::limits::{Domains, Temper, deadline};
use crate::output::Output;
use crate::question::{ConnectToken, Question, Questions, Token};
use crate::received::ReceivedCount;
use crate::replies;
use crate::table::State;
use crate::tls::TlsInfo;
use body::{Normalizer, Source};
use ehlo_codec::{DataDecoder, LineCheck, LineFramer, Reply, ReplyCode};
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The application has yet to say whether there is a greeting.
    Connecting,
    Command(State),
    /// An AUTH exchange is under way: the client's next line is a response (RFC 4954 §4).
    Authenticating,
    /// The driver is to do a TLS handshake, once the output is written.
    Handshaking,
    /// A message, or a chunk of one, is coming.
    Body,
    /// The rest of a message or chunk that was refused is coming; its reply waits for the true end. There may be none to give.
    Refusing(Option<Reply>),
    /// A message is complete, and the application has to say that it is safe.
    Committing,
    /// The last reply is on its way.
    Closing(CloseReason),
    Closed,
}

/// An open question.
#[derive(Clone, Copy, Debug)]
struct Asked {
    sequence: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Hello { extended: bool },
    Mail,
    Rcpt,
    Data,
    Commit,
    Vrfy,
    Expn,
    Etrn,
    Auth,
}

/// The argument that a question is about: kept as text, read again when somebody looks.
#[derive(Clone, Default)]
struct Subject(Vec<u8>);

impl std::fmt::Debug for Subject {
    /// Not what the peer has said: it may be a credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({} octets)", self.0.len())
    }
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
            pace: body::Pace::begin(now),
            message: false,
            shutdown: false,
            overload: false,
            ended: false,
            takes_no_mail: false,
            tls: None,
            tls_available: true,
            exchange: None,
            greeting_due: peer.implicit_tls,
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

    /// Greets, or asks whether to.
    fn begin(&mut self, now: Instant) {
        if self.config.questions.contains(Questions::CONNECT) {
            self.phase = Phase::Connecting;
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

    /// The peer has closed its side: no byte will come behind those that were given.
    ///
    /// A message that is not complete is aborted, at whatever chunk it is. One that is complete is still committed, and its reply offered to
    /// the peer, who may have closed one direction only.
    pub fn handle_eof(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed => {}
            Phase::Closing(_) => self.settle(),
            Phase::Committing => self.ended = true,
            Phase::Body if self.has_whole_message() => self.ended = true,
            Phase::Handshaking => self.finish(CloseReason::Disconnected),
            _ => {
                self.asked = None;
                self.abort(AbortReason::Disconnected);
                self.close(now, CloseReason::Disconnected);
            }
        }
    }

    /// The connection is broken: nothing can be read or written any more.
    pub fn handle_reset(&mut self, _now: Instant) {
        self.asked = None;
        self.abort(AbortReason::Disconnected);
        self.finish(CloseReason::Disconnected);
    }

    /// Shuts the session down: 421, and the end.
    pub fn shutdown(&mut self, now: Instant, how: Shutdown) {
        let overload = how == Shutdown::Overload;
        if !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            self.overload |= overload;
        }
        self.shutdown = true;
        let graceful = how == Shutdown::Graceful || (overload && self.phase == Phase::Committing);
        match self.phase {
            Phase::Closing(_) | Phase::Closed => {}
            _ if graceful => self.shutdown_if_asked(now),
            Phase::Handshaking => self.finish(self.reason_of_shutdown()),
            _ => {
                self.asked = None;
                self.abort(AbortReason::Disconnected);
                self.shut(now);
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

    /// Replies to write now.
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
        self.output.push_plain(&greeting);
        self.enter(now, State::Greeted);
        self.note_output(now);
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
            _ => (deadline(now, self.patience(|t| t.answer)), Reason::Answer),
        };
        Token { session: self.peer.id, sequence: self.sequence }
    }

    fn reply(&mut self, now: Instant, reply: &Reply) {
        self.output.push(reply);
        self.note_output(now);
    }

    /// Replies without an enhanced code.
    fn reply_plain(&mut self, now: Instant, reply: &Reply) {
        self.output.push_plain(reply);
        self.note_output(now);
    }

    fn note_output(&mut self, now: Instant) {
        if self.flush.is_none() {
            self.flush = Some(deadline(now, self.patience(|t| t.flush)));
        }
    }

    /// The message that is coming, if one is, will not be committed.
    fn abort(&mut self, reason: AbortReason) {
        if std::mem::take(&mut self.message) {
            self.events.push(Event::BodyAborted(reason));
        }
    }

    fn shutdown_if_asked(&mut self, now: Instant) {
        let at_boundary = match self.phase {
            // Between two chunks a message is on its way.
            Phase::Command(state) => state != State::Chunks,
            Phase::Authenticating => true,
            _ => false,
        } && self.asked.is_none();
        if self.shutdown && at_boundary {
            self.shut(now);
        }
    }

    fn shut(&mut self, now: Instant) {
        let reply = if self.overload { replies::OVERLOAD } else { replies::SHUTTING_DOWN };
        self.close_with(now, &reply, self.reason_of_shutdown());
    }

    const fn reason_of_shutdown(&self) -> CloseReason {
        if self.overload { CloseReason::Overload } else { CloseReason::Shutdown }
    }

    fn close_with(&mut self, now: Instant, reply: &Reply, reason: CloseReason) {
        // A greeting has no enhanced code (RFC 2034 §4).
        if self.phase == Phase::Connecting {
            self.reply_plain(now, reply);
        } else {
            self.reply(now, reply);
        }
        self.close(now, reason);
    }

    /// Closes once the output is written.
    fn close(&mut self, now: Instant, reason: CloseReason) {
        self.asked = None;
        self.abort(AbortReason::Disconnected);
        self.phase = Phase::Closing(reason);
        self.exchange = None;
        self.envelope.clear();
        self.deadline = (deadline(now, self.patience(|t| t.flush)), Reason::Flush);
        self.settle();
    }

    fn settle(&mut self) {
        if let Phase::Closing(reason) = self.phase
            && self.output.is_empty()
        {
            self.finish(reason);
        }
    }

    fn finish(&mut self, reason: CloseReason) {
        if self.phase != Phase::Closed {
            self.abort(AbortReason::Disconnected);
            self.phase = Phase::Closed;
            self.flush = None;
            self.exchange = None;
            self.events.push(Event::Closed(reason));
        }
    }
}

/// The events that one call can cause.
#[derive(Debug, Default)]
struct Queue {
    events: [Option<Event<'static>>; 3],
    first: usize,
    length: usize,
}

impl Queue {
    fn push(&mut self, event: Event<'static>) {
        debug_assert!(self.length < self.events.len(), "a call causes few events");
        self.events[(self.first + self.length) % 3] = Some(event);
        self.length = (self.length + 1).min(3);
    }

    fn pop(&mut self) -> Option<Event<'static>> {
        if self.length == 0 {
            return None;
        }
        let event = self.events[self.first].take();
        self.first = (self.first + 1) % 3;
        self.length -= 1;
        event
    }
}
