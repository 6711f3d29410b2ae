//! The session: what its driver does to it. What each reply means is in `replies`, and what comes before a transaction in `hello`.

mod auth;
mod ending;
mod hello;
mod queue;
mod replies;
mod time;
mod transaction;

use self::queue::Queue;
use self::transaction::{Sending, Transaction};
use crate::config::Config;
use crate::event::{CloseReason, Event, Misbehaviour, Reason, Stage, Step, TransactionId};
use crate::offer::Offer;
use crate::outcome::RecipientOutcome;
use crate::script::Script;
use crate::timeouts::deadline;
use crate::tls::TlsInfo;
use ehlo_codec::{Capabilities, DomainBuf, ReplyReader, ReplyStep, ReplyView};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting is awaited.
    Greeting,
    /// The reply to EHLO, HELO, LHLO or STARTTLS is awaited.
    Hello,
    /// The driver makes the TLS handshake.
    Tls,
    /// An exchange of AUTH is going on.
    Auth(auth::Exchange),
    /// Transactions may be begun, and may be open.
    Ready,
    /// QUIT was begun; the session will end for this reason.
    Quitting(CloseReason),
    Closed,
}

/// A sans-I/O SMTP client session over one connection.
///
/// # Contract
///
/// - **Time is an argument** and never goes back. The session reads no clock.
/// - **Input**: [`handle_input`](Self::handle_input) takes bytes and gives one [`Event`] at most; call it with what it left until it
///   gives none. [`handle_eof`](Self::handle_eof) and [`handle_timeout`](Self::handle_timeout) tell of the end and of a deadline;
///   a call of the latter that comes early does nothing.
/// - **After any call**: write [`output`](Self::output) and confirm by [`output_sent`](Self::output_sent), look at
///   [`poll_timeout`](Self::poll_timeout), and drain [`poll_event`](Self::poll_event).
/// - **Confirm what was written before handing in what was read after it.** A reply whose first byte comes before its command was
///   written whole answers nothing, and ends the session: a server that talks ahead would shift every answer by one. So tell the end of a body
///   or a chunk as soon as its last octet was written; of an empty one, when its command was.
/// - **Reading goes on while writing.** A server may stop reading until its replies are read (RFC 2920 §3.1); a driver that
///   writes a flight to its end before it reads can wait for ever.
/// - **Bodies** are the driver's: after [`Event::BodyWanted`] it writes the output, and behind it the body from where it lies, in the form
///   that the event tells; then it calls [`body_finished`](Self::body_finished).
/// - **TLS** is the driver's: after [`Event::TlsWanted`] it hands in what it had read already, which is an error of the server's or
///   an attack, makes the handshake and calls [`handle_tls`](Self::handle_tls). Over a connection that begins with TLS it does so at once.
/// - An open session always has a deadline.
///
/// Its memory is the last reply (bounded by [`ReplyLimits`](ehlo_codec::ReplyLimits)), the commands of the open transactions and a few
/// bytes for each recipient; all of it is used again, so a transaction allocates nothing once the first has been made.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    phase: Phase,
    reader: ReplyReader,
    script: Script,
    events: Queue,
    capabilities: Capabilities,
    tls: Option<TlsInfo>,
    /// Those that are not over, the oldest first: the next reply belongs to it.
    open: VecDeque<Transaction>,
    /// The last one that is over.
    over: Transaction,
    /// Memory of those before it.
    spare: Vec<Vec<RecipientOutcome>>,
    /// What the youngest open transaction waits for.
    sending: Sending,
    /// Until when the next reply is to come, or the driver is to do something.
    reply_by: Option<(Instant, Reason)>,
    /// Until when the driver is to write more of the body.
    block_by: Option<Instant>,
    /// Transactions that were begun.
    transactions: u64,
    /// When the reply that is being read began, a command was waiting for one.
    solicited: bool,
    /// The peer may still hold an envelope: RSET comes first (RFC 5321 §4.1.1.5).
    dirty: bool,
    authenticated: bool,
    quit_wanted: bool,
    /// The challenge that is to be answered, decoded.
    challenge: auth::Secret,
    /// The transaction that the last reply was for.
    replied: Option<TransactionId>,
    /// Domains of recipients so far, where the server has told how many there may be.
    domains: Vec<DomainBuf>,
}

impl Session {
    /// A session over a connection that has just been made. The server speaks first (RFC 5321 §3.1).
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>) -> Self {
        let by = deadline(now, config.timeouts.greeting);
        Self {
            phase: Phase::Greeting,
            reader: ReplyReader::new(config.reply_limits),
            script: Script::default(),
            events: Queue::default(),
            capabilities: Capabilities::default(),
            tls: None,
            open: VecDeque::new(),
            over: Transaction::default(),
            spare: Vec::new(),
            sending: Sending::Nothing,
            reply_by: Some((by, Reason::Reply(Stage::Greeting))),
            block_by: None,
            transactions: 0,
            solicited: true,
            dirty: false,
            authenticated: false,
            quit_wanted: false,
            challenge: auth::Secret::default(),
            replied: None,
            domains: Vec::new(),
            config,
        }
    }

    /// Takes bytes from the server. Gives how many were used and what happened; call again with the rest until there is no event.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Step {
        if let Some(event) = self.events.pop() {
            return Step { used: 0, event: Some(event) };
        }
        match self.phase {
            Phase::Closed => return Step { used: input.len(), event: None },
            Phase::Tls if !input.is_empty() => {
                self.close(CloseReason::PeerMisbehaved(Misbehaviour::ClearBehindStartTls));
                return Step { used: input.len(), event: self.events.pop() };
            }
            _ => {}
        }
        if !self.reader.is_mid_reply() {
            self.solicited = self.phase == Phase::Greeting || self.script.awaited().is_some();
        }
        let (used, step) = self.reader.next(input);
        match step {
            ReplyStep::NeedMore => {}
            ReplyStep::Reply(code) => self.on_reply(now, code),
            ReplyStep::Fault(fault) => match self.phase {
                // What it ends for is decided: a refusal stays one, and a message that was taken is taken.
                Phase::Quitting(reason) => self.close(reason),
                _ => self.close(CloseReason::PeerMisbehaved(Misbehaviour::Reply(fault))),
            },
        }
        Step { used, event: self.events.pop() }
    }

    /// The server has closed its side.
    pub fn handle_eof(&mut self, _now: Instant) {
        match self.phase {
            Phase::Closed => {}
            Phase::Quitting(reason) => self.close(reason),
            Phase::Tls => self.close(CloseReason::TlsFailed),
            _ => self.close(CloseReason::Eof),
        }
    }

    /// The next thing that happened, if anything.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// What is to be written now: a whole flight, if the server takes one.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        if self.phase == Phase::Closed { &[] } else { self.script.output() }
    }

    /// The first `n` bytes of [`output`](Self::output) were written.
    pub fn output_sent(&mut self, _now: Instant, n: usize) {
        debug_assert!(n <= self.output().len(), "more was sent than there was");
        self.script.sent(n.min(self.output().len()));
    }

    /// Whether bytes from the server are wanted: always, until the session is closed.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// Whether [`begin`](Self::begin) may be called: no transaction is open; or the body of the youngest is behind, and one more may be
    /// open by [`Config::ahead`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
            && self.sending == Sending::Nothing
            && (self.open.is_empty() || self.may_run_ahead())
            && !self.quit_wanted
    }

    fn may_run_ahead(&self) -> bool {
        // One whose body is not wanted any more has no end behind which the next could begin.
        let ended = self.open.back().is_some_and(|transaction| transaction.end.is_some());
        ended && self.offer().pipelining() && self.open.len() < self.config.ahead
    }

    /// Whether the output has credentials, which nobody is to write down.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.script.is_secret()
    }

    /// Whether the driver is in the middle of a body.
    #[must_use]
    pub const fn wants_body(&self) -> bool {
        matches!(self.sending, Sending::Body | Sending::Chunks | Sending::Chunk { .. })
    }

    /// The transaction that was begun last.
    #[must_use]
    pub const fn latest(&self) -> TransactionId {
        TransactionId(self.transactions)
    }

    /// Ends the session by QUIT as soon as no transaction is open.
    pub fn quit(&mut self, now: Instant) {
        match self.phase {
            Phase::Ready if self.open.is_empty() => self.start_quit(now, CloseReason::Quit),
            Phase::Quitting(_) | Phase::Closed => {}
            _ => self.quit_wanted = true,
        }
    }

    /// Ends the session at once, without QUIT: the driver can't go on, since a body can't be read to its end, or nobody waits any more. Of a
    /// message whose end was not written the server takes nothing (RFC 5321 §4.1.1.10); close the connection.
    pub fn abandon(&mut self, _now: Instant) {
        self.close(CloseReason::Abandoned);
    }

    /// The reply that the last [`Event::Reply`] told of. Gone with the next input.
    #[must_use]
    pub fn reply(&self) -> Option<ReplyView<'_>> {
        self.reader.reply()
    }

    /// The transaction that this reply was for; `None` if it was for none. Where several are open, [`Event::Reply`] alone does not tell.
    #[must_use]
    pub const fn replied(&self) -> Option<TransactionId> {
        self.replied
    }

    /// What the server offers. Empty until [`Event::Ready`], and if it knows HELO only.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The TLS that the session is inside of, if it is.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// Whether the server has said that an authentication succeeded.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Most recipients of one transaction: as the configuration says, and as the server does (RFC 9422, RCPTMAX).
    #[must_use]
    pub fn max_recipients(&self) -> usize {
        let theirs = self.capabilities.limits().rcpt_max().and_then(|most| usize::try_from(most).ok());
        self.config.max_recipients.min(theirs.unwrap_or(usize::MAX))
    }

    /// Most domains that the recipients of all transactions of this session may have, if the server has told (RFC 9422, RCPTDOMAINMAX).
    #[must_use]
    pub fn max_domains(&self) -> Option<u32> {
        self.capabilities.limits().rcpt_domain_max()
    }

    /// Domains of recipients so far, where there is a most of them.
    pub(crate) fn domains(&self) -> &[DomainBuf] {
        &self.domains
    }

    /// Transactions that may still be begun over this connection, if the server has told (RFC 9422, MAILMAX).
    #[must_use]
    pub fn transactions_left(&self) -> Option<u64> {
        self.capabilities.limits().mail_max().map(|most| u64::from(most).saturating_sub(self.transactions))
    }

    /// What became of each recipient of a transaction, in the order of its envelope: of one that is open, or of the last one that is over, until
    /// the next is begun or over. Nothing for any other.
    #[must_use]
    pub fn recipients(&self, id: TransactionId) -> &[RecipientOutcome] {
        let all = self.open.iter().chain([&self.over]);
        all.into_iter().find(|transaction| transaction.id == id).map_or(&[], |found| &found.recipients)
    }

    fn offer(&self) -> Offer<'_> {
        Offer {
            config: &self.config,
            capabilities: &self.capabilities,
            verified: self.tls.is_some_and(|tls| tls.verified),
        }
    }
}
