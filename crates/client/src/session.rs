//! The session: in which order things happen, and what is waited for. What each reply means is in `replies`.

mod replies;

use crate::config::{Config, deadline};
use crate::envelope::{Envelope, Outcome, RecipientOutcome};
use crate::event::{
    ApiMisuse, BeginError, BodyEnd, CloseReason, Event, Misbehaviour, Reason, Stage, Step, TransactionId,
};
use crate::script::Script;
use ehlo_codec::{
    BodyType, Capabilities, Command, Extension, RcptParams, ReplyCode, ReplyReader, ReplyStep, ReplyView,
};
use std::sync::Arc;
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting is awaited.
    Greeting,
    /// The reply to EHLO, HELO or LHLO is awaited.
    Hello,
    /// No transaction is open.
    Ready,
    /// The commands of a transaction were begun.
    Envelope,
    /// The driver writes the body.
    Body,
    /// The reply to the end of data is awaited.
    Final,
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
///   written whole answers nothing, and ends the session: a server that talks ahead would shift every answer by one.
/// - **Reading goes on while writing.** A server may stop reading until its replies are read (RFC 2920 §3.1); a driver that
///   writes a flight to its end before it reads can wait for ever.
/// - **Bodies** are the driver's: after [`Event::BodyWanted`] it writes the wire form from where it lies and then calls
///   [`body_finished`](Self::body_finished).
/// - An open session always has a deadline.
///
/// Its memory is the last reply (bounded by [`ReplyLimits`](ehlo_codec::ReplyLimits)), the commands of one transaction and a few
/// bytes for each recipient; all of it is used again, so a transaction allocates nothing once the first has been made.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    phase: Phase,
    reader: ReplyReader,
    script: Script,
    events: Queue,
    capabilities: Capabilities,
    recipients: Vec<RecipientOutcome>,
    deadline: Option<(Instant, Reason)>,
    transaction: u64,
    /// The current transaction's MAIL was taken.
    sender_taken: bool,
    /// When the reply that is being read began, a command was waiting for one.
    solicited: bool,
    /// Recipients of the current transaction that were taken so far.
    taken: u32,
    /// The last reply of the current or last transaction.
    last: Option<ReplyCode>,
    /// The peer may still hold an envelope: RSET comes first (RFC 5321 §4.1.1.5).
    dirty: bool,
    quit_wanted: bool,
    /// The driver wrote the end of the body itself.
    end_included: bool,
}

impl Session {
    /// A session over a connection that has just been made. The server speaks first (RFC 5321 §3.1).
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>) -> Self {
        let deadline = deadline(now, config.timeouts.greeting);
        Self {
            phase: Phase::Greeting,
            reader: ReplyReader::new(config.reply_limits),
            script: Script::default(),
            events: Queue::default(),
            capabilities: Capabilities::default(),
            recipients: Vec::new(),
            deadline: Some((deadline, Reason::Reply(Stage::Greeting))),
            transaction: 0,
            sender_taken: false,
            solicited: true,
            taken: 0,
            last: None,
            dirty: false,
            quit_wanted: false,
            end_included: false,
            config,
        }
    }

    /// Takes bytes from the server. Gives how many were used and what happened; call again with the rest until there is no event.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Step {
        if let Some(event) = self.events.pop() {
            return Step { used: 0, event: Some(event) };
        }
        if self.phase == Phase::Closed {
            return Step { used: input.len(), event: None };
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
            _ => self.close(CloseReason::Eof),
        }
    }

    /// Tells that time has passed. Does nothing before the deadline.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((_, reason)) = self.deadline.filter(|(at, _)| *at <= now) else {
            return;
        };
        match (self.phase, reason) {
            (Phase::Quitting(reason), _) => self.close(reason),
            (_, Reason::Idle) => self.start_quit(now, CloseReason::Quit),
            _ => self.close(CloseReason::TimedOut(reason)),
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

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None` only when closed.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.deadline
    }

    /// Whether bytes from the server are wanted: always, until the session is closed.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// Whether [`begin`](Self::begin) may be called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Begins a transaction: [`output`](Self::output) has its first commands.
    ///
    /// # Errors
    ///
    /// [`BeginError`] says why nothing was begun.
    pub fn begin(&mut self, now: Instant, envelope: &Envelope<'_>) -> Result<TransactionId, BeginError> {
        if self.phase != Phase::Ready {
            return Err(BeginError::NotReady);
        }
        if envelope.to.is_empty() {
            return Err(BeginError::NoRecipients);
        }
        if envelope.to.len() > self.config.max_recipients {
            return Err(BeginError::TooManyRecipients);
        }
        if let (Some(size), Some(limit)) = (envelope.size, self.capabilities.max_size())
            && size > limit
        {
            return Err(BeginError::TooLarge { limit });
        }
        match envelope.body {
            BodyType::SevenBit => {}
            BodyType::EightBitMime if self.capabilities.has(Extension::EightBitMime) => {}
            _ => return Err(BeginError::BodyNotOffered),
        }
        if envelope.utf8 && !self.capabilities.has(Extension::SmtpUtf8) {
            return Err(BeginError::Utf8NotOffered);
        }

        let pipelined = self.config.pipelining && self.capabilities.has(Extension::Pipelining);
        self.script.restart(pipelined);
        if self.dirty {
            self.script.push(Stage::Rset, &Command::Rset);
        }
        self.write_mail(envelope);
        for (i, &to) in (0..).zip(envelope.to) {
            self.script.push(Stage::Rcpt(i), &Command::Rcpt { to, params: RcptParams::NONE });
        }
        self.script.push(Stage::Data, &Command::Data);

        self.recipients.clear();
        self.recipients.resize(envelope.to.len(), RecipientOutcome::Pending);
        (self.sender_taken, self.taken, self.end_included, self.last) = (false, 0, false, None);
        self.transaction += 1;
        self.phase = Phase::Envelope;
        self.await_reply(now);
        Ok(TransactionId(self.transaction))
    }

    /// MAIL with the parameters that the server understands (RFC 5321 §2.2.1: no others).
    fn write_mail(&mut self, envelope: &Envelope<'_>) {
        let wire = self.script.wire_mut();
        wire.extend_from_slice(b"MAIL FROM:<");
        wire.extend_from_slice(envelope.from.as_str().as_bytes());
        wire.push(b'>');
        if let Some(size) = envelope.size.filter(|_| self.capabilities.has(Extension::Size)) {
            wire.extend_from_slice(b" SIZE=");
            let mut digits = [0; 20];
            wire.extend_from_slice(decimal(size, &mut digits));
        }
        if envelope.body != BodyType::SevenBit {
            wire.extend_from_slice(b" BODY=");
            wire.extend_from_slice(envelope.body.as_str().as_bytes());
        }
        if envelope.utf8 {
            wire.extend_from_slice(b" SMTPUTF8");
        }
        wire.extend_from_slice(b"\r\n");
        self.script.end_step(Stage::Mail);
    }

    /// The driver has written some of the body: the server is not stuck.
    pub fn body_progress(&mut self, now: Instant) {
        if self.phase == Phase::Body {
            self.deadline = Some((deadline(now, self.config.timeouts.block), Reason::BodyBlock));
        }
    }

    /// The driver has written all of the body.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if no body was wanted.
    pub fn body_finished(&mut self, now: Instant, end: BodyEnd) -> Result<(), ApiMisuse> {
        if self.phase != Phase::Body {
            return Err(ApiMisuse("body_finished without BodyWanted"));
        }
        let wire: &[u8] = match end {
            BodyEnd::Dot => b".\r\n",
            BodyEnd::CrlfDot => b"\r\n.\r\n",
            BodyEnd::Included => b"",
        };
        self.end_included = end == BodyEnd::Included;
        self.send_end(now, wire);
        Ok(())
    }

    fn send_end(&mut self, now: Instant, wire: &[u8]) {
        self.script.wire_mut().extend_from_slice(wire);
        if self.config.lmtp {
            for (i, outcome) in (0..).zip(&self.recipients) {
                if *outcome == RecipientOutcome::Pending {
                    self.script.end_step(Stage::Delivery(i));
                }
            }
        } else {
            self.script.end_step(Stage::Body);
        }
        self.phase = Phase::Final;
        self.await_reply(now);
    }

    /// Ends the session by QUIT as soon as no transaction is open.
    pub fn quit(&mut self, now: Instant) {
        match self.phase {
            Phase::Ready => self.start_quit(now, CloseReason::Quit),
            Phase::Quitting(_) | Phase::Closed => {}
            Phase::Greeting | Phase::Hello | Phase::Envelope | Phase::Body | Phase::Final => self.quit_wanted = true,
        }
    }

    /// The reply that the last [`Event::Reply`] told of. Gone with the next input.
    #[must_use]
    pub fn reply(&self) -> Option<ReplyView<'_>> {
        self.reader.reply()
    }

    /// What the server offers. Empty until [`Event::Ready`], and if it knows HELO only.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What became of each recipient of the current or last transaction, in the order of the envelope.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientOutcome] {
        &self.recipients
    }

    /// Nothing more can come of this transaction: end it, unless commands are under way that will be answered.
    fn skip_or_await(&mut self, now: Instant) {
        let pipelined = self.config.pipelining && self.capabilities.has(Extension::Pipelining);
        if pipelined {
            return self.await_reply(now);
        }
        self.script.cut();
        self.finish(now);
    }

    fn finish(&mut self, now: Instant) {
        let outcome = Outcome::count(&self.recipients, self.last);
        self.events.push(Event::Done(TransactionId(self.transaction), outcome));
        self.rest(now);
    }

    /// No transaction is open any more.
    fn rest(&mut self, now: Instant) {
        self.phase = Phase::Ready;
        self.deadline = Some((deadline(now, self.config.timeouts.idle), Reason::Idle));
        if self.quit_wanted {
            self.start_quit(now, CloseReason::Quit);
        }
    }

    fn start_quit(&mut self, now: Instant, reason: CloseReason) {
        self.script.restart(false);
        self.script.push(Stage::Quit, &Command::Quit);
        self.phase = Phase::Quitting(reason);
        self.await_reply(now);
    }

    fn refusal(&self, code: ReplyCode) -> RecipientOutcome {
        RecipientOutcome::Refused { code, enhanced: self.reader.reply().and_then(|r| r.enhanced()) }
    }

    fn refuse_pending(&mut self, code: ReplyCode) {
        let refusal = self.refusal(code);
        self.recipients.iter_mut().filter(|r| **r == RecipientOutcome::Pending).for_each(|r| *r = refusal);
    }

    fn await_reply(&mut self, now: Instant) {
        let Some(stage) = self.script.next() else {
            return;
        };
        let timeouts = &self.config.timeouts;
        let patience = match stage {
            Stage::Greeting => timeouts.greeting,
            Stage::Ehlo | Stage::Helo | Stage::Lhlo | Stage::Rset => timeouts.ehlo,
            Stage::Mail => timeouts.mail,
            Stage::Rcpt(_) => timeouts.rcpt,
            Stage::Data => timeouts.data,
            Stage::Body | Stage::Delivery(_) => timeouts.end_of_data,
            Stage::Quit => timeouts.quit,
        };
        self.deadline = Some((deadline(now, patience), Reason::Reply(stage)));
    }

    fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        if matches!(self.phase, Phase::Envelope | Phase::Body | Phase::Final) {
            // What was not handed to the connection, the server cannot have.
            let end_written = self.phase == Phase::Final && (self.end_included || self.script.output().is_empty());
            let lost = if end_written && self.taken > 0 { RecipientOutcome::Unknown } else { RecipientOutcome::Unsent };
            self.recipients.iter_mut().filter(|r| **r == RecipientOutcome::Pending).for_each(|r| *r = lost);
            let outcome = Outcome::count(&self.recipients, self.last);
            self.events.push(Event::Done(TransactionId(self.transaction), outcome));
        }
        self.phase = Phase::Closed;
        self.deadline = None;
        self.events.push(Event::Closed(reason));
    }
}

/// The events that one call can cause: a reply, what it decides, and the end.
#[derive(Clone, Debug, Default)]
struct Queue {
    events: [Option<Event>; 4],
    first: usize,
    length: usize,
}

impl Queue {
    fn push(&mut self, event: Event) {
        // Each input is handled only once the queue is empty, and causes three events at the most; EOF or a deadline two more.
        debug_assert!(self.length < self.events.len(), "a call causes few events");
        self.events[(self.first + self.length) % 4] = Some(event);
        self.length = (self.length + 1).min(4);
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events[self.first].take()?;
        self.first = (self.first + 1) % 4;
        self.length -= 1;
        Some(event)
    }
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}
