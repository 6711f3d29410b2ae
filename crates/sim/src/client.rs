//! The client session under watch: driven as a driver does it, checked after every call, and recorded.

mod model;
mod replay;

pub use replay::{Op, replay};

use crate::plan::Message;
use crate::trace::mix;
use ehlo_client::{BeginError, BodyEnd, CloseReason, Config, Envelope, Event, RecipientOutcome, Session, Stage};
use model::Model;
use std::sync::Arc;
use std::time::Instant;

/// What became of a message, as far as the client can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Not begun, or refused before anything was sent.
    #[default]
    NotSent,
    /// Begun.
    UnderWay,
    /// What became of each recipient.
    Done(Vec<RecipientOutcome>),
}

/// A body that is being written.
#[derive(Debug)]
struct Body {
    wire: Vec<u8>,
    written: usize,
    end: BodyEnd,
}

/// A client session and a driver of it, with mail to send. Each method does one thing to the session, takes what comes of it, and
/// panics where an invariant is broken.
#[derive(Debug)]
pub struct Client {
    session: Session,
    config: Arc<Config>,
    start: Instant,
    model: Model,
    mail: Vec<Message>,
    fates: Vec<Fate>,
    next: usize,
    /// The transaction that is open or was the last.
    current: usize,
    body: Option<Body>,
    /// The body of the current transaction is written, but for what the session put out behind it.
    body_written: bool,
    /// What is left to write of that.
    end_left: usize,
    closed: Option<CloseReason>,
    /// All that was put out, digested.
    digest: u64,
    said: Vec<String>,
    ops: Option<Vec<(Instant, Op)>>,
}

impl Client {
    /// A session over a connection that has just been made.
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>, mail: Vec<Message>) -> Self {
        Self {
            session: Session::new(now, Arc::clone(&config)),
            config,
            start: now,
            model: Model::default(),
            fates: vec![Fate::default(); mail.len()],
            mail,
            next: 0,
            current: 0,
            body: None,
            body_written: false,
            end_left: 0,
            closed: None,
            digest: 0,
            said: Vec::new(),
            ops: None,
        }
    }

    /// The same, keeping a record of all that is done to it, for [`replay`].
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.ops = Some(Vec::new());
        self
    }

    fn record(&mut self, now: Instant, op: impl FnOnce() -> Op) {
        if let Some(ops) = &mut self.ops {
            ops.push((now, op()));
        }
    }

    /// Whether the session is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Why it is over.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether there is anything to write: of the session's, or of a body.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.body.is_some() || !self.session.output().is_empty()
    }

    /// Whether a body is written and its end is not.
    #[must_use]
    pub const fn end_left(&self) -> usize {
        self.end_left
    }

    /// Whether a transaction can be begun, or the session be ended.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// Whether a transaction was begun for each message.
    #[must_use]
    pub const fn is_through(&self) -> bool {
        self.next == self.mail.len()
    }

    /// When time must be told at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|(at, _)| at)
    }

    /// The mail, and what became of it.
    pub fn fates(&self) -> impl Iterator<Item = (&Message, &Fate)> {
        self.mail.iter().zip(&self.fates)
    }

    /// What was sent and has no reply, in order; the greeting answers the connection.
    #[must_use]
    pub fn unanswered(&self) -> &[Stage] {
        self.model.unanswered()
    }

    /// How many octets of the server a recorded session was given.
    #[must_use]
    pub fn octets(&self) -> usize {
        let input = |op: &Op| if let Op::Input(bytes) = op { bytes.len() } else { 0 };
        self.ops.iter().flatten().map(|(_, op)| input(op)).sum()
    }

    /// What has happened.
    #[must_use]
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// Begins the next transaction, or quits behind the last.
    pub fn work(&mut self, now: Instant) {
        if self.is_through() {
            return self.quit(now);
        }
        self.record(now, || Op::Work);
        let message = &self.mail[self.next];
        let to = message.recipients();
        let mut envelope = Envelope::new(message.sender(), &to).with_body(message.kind);
        if let Some(size) = message.declared {
            envelope = envelope.with_size(size);
        }
        let ready = self.session.is_ready();
        match self.session.begin(now, &envelope) {
            Ok(_) => {
                assert!(ready, "a transaction was begun and the session was not ready");
                self.fates[self.next] = Fate::UnderWay;
                (self.body_written, self.end_left) = (false, 0);
                self.model.begin(to.len());
                self.current = self.next;
            }
            Err(BeginError::NotReady) => {
                assert!(!ready, "a ready session is not ready");
                return self.settle(now);
            }
            Err(BeginError::TooLarge { .. } | BeginError::BodyNotOffered) => {}
            Err(error) => panic!("a ready session refused: {error}"),
        }
        self.said.push(format!("begin {}: {:?}", self.next, self.fates[self.next]));
        self.next += 1;
        self.settle(now);
    }

    /// Ends the session as soon as no transaction is open.
    pub fn quit(&mut self, now: Instant) {
        self.record(now, || Op::Quit);
        self.said.push("quit".into());
        self.session.quit(now);
        self.settle(now);
    }

    /// The server has sent this.
    pub fn hear(&mut self, now: Instant, bytes: &[u8]) {
        match self.ops.as_mut().and_then(|ops| ops.last_mut()) {
            Some((at, Op::Input(kept))) if *at == now => kept.extend_from_slice(bytes),
            _ => self.record(now, || Op::Input(bytes.to_vec())),
        }
        let mut rest = bytes;
        loop {
            let step = self.session.handle_input(now, rest);
            self.model.heard(&rest[..step.used]);
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.on_event(event);
        }
        assert!(rest.is_empty() || self.closed.is_some(), "input was left without an event");
        self.settle(now);
    }

    /// The server has closed its side.
    pub fn eof(&mut self, now: Instant) {
        self.record(now, || Op::Eof);
        self.session.handle_eof(now);
        self.settle(now);
        assert!(self.closed.is_some(), "a session without a connection");
    }

    /// Time has passed. If it is not the deadline yet, nothing may change.
    pub fn timeout(&mut self, now: Instant) {
        self.record(now, || Op::Timeout);
        let before = self.session.poll_timeout();
        let output = self.session.output().len();
        self.session.handle_timeout(now);
        if before.is_none_or(|(at, _)| at > now) {
            assert_eq!((self.session.poll_timeout(), self.session.output().len()), (before, output), "told too early");
            assert_eq!(self.session.poll_event(), None, "told too early");
        }
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at > now), "the client's deadline stays");
        self.settle(now);
    }

    /// Takes what the session has to tell, and checks it.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
        let open = self.closed.is_none();
        assert_eq!(
            self.session.poll_timeout().is_some(),
            open,
            "an open session has a deadline, a closed one has none"
        );
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at >= self.start), "a deadline before the start");
        assert!(
            self.deadline().is_none_or(|at| at.saturating_duration_since(now) <= model::LONGEST),
            "too long a wait"
        );
        assert_eq!(self.session.wants_input(), open);
        let output = self.session.output();
        assert!(open || output.is_empty(), "a closed client speaks");
        assert!(self.body.is_none() || output.is_empty(), "commands within a body");
        let recipients = self.mail.get(self.current).map_or(0, |message| message.to.len());
        assert!(output.len() <= (recipients + 4) * 600, "{} bytes wait", output.len());
        let broken = output.windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n'));
        assert!(!broken, "a CR or LF that stands alone: {}", output.escape_ascii());
    }

    fn on_event(&mut self, event: Event) {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        self.said.push(format!("{event:?}"));
        match event {
            Event::Reply(stage, code) => {
                let reply = self.session.reply().expect("the reply that is told of");
                assert_eq!(reply.code(), code);
                self.said.push(reply.to_string());
                self.model.replied(stage, code, self.body.is_some() || self.end_left > 0);
            }
            Event::BodyWanted(_) => {
                assert!(self.body.is_none() && self.fates[self.current] == Fate::UnderWay, "a body out of place");
                let message = &self.mail[self.current];
                let mut wire = message.wire.clone();
                // Either the driver writes the end, or the session does.
                let end = match message.end {
                    _ if self.current % 2 == 1 => {
                        wire.extend_from_slice(message.end);
                        BodyEnd::Included
                    }
                    b".\r\n" => BodyEnd::Dot,
                    _ => BodyEnd::CrlfDot,
                };
                self.body = Some(Body { wire, written: 0, end });
            }
            Event::Done(_, outcome) => {
                let recipients = self.session.recipients().to_vec();
                let count =
                    |wanted: fn(&RecipientOutcome) -> bool| recipients.iter().filter(|r| wanted(r)).count() as u32;
                assert_eq!(outcome.accepted, count(|r| *r == RecipientOutcome::Accepted));
                assert_eq!(outcome.refused, count(|r| matches!(r, RecipientOutcome::Refused { .. })));
                assert_eq!(outcome.unsent, count(|r| *r == RecipientOutcome::Unsent));
                assert_eq!(outcome.unknown, count(|r| *r == RecipientOutcome::Unknown));
                assert_eq!(count(|r| *r == RecipientOutcome::Pending), 0, "nothing is left open");
                // A doubt begins where the last byte of the message is written, and no earlier.
                let end_written = self.body_written && self.end_left == 0;
                assert_eq!(recipients, self.model.outcomes(end_written), "what the replies say");
                self.said.push(format!("{recipients:?}"));
                let fate = &mut self.fates[self.current];
                assert_eq!(*fate, Fate::UnderWay, "a transaction ends once");
                *fate = Fate::Done(recipients);
                self.body = None;
            }
            Event::Closed(reason) => {
                assert!(!self.fates.contains(&Fate::UnderWay), "a transaction is left open");
                self.closed = Some(reason);
                self.body = None;
            }
            _ => {}
        }
    }

    /// Writes some of what there is, at most so many bytes. Gives them.
    pub fn send(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let output = self.session.output();
        let bytes = if output.is_empty() {
            self.send_body(now, most)
        } else {
            let bytes = output[..most.min(output.len())].to_vec();
            self.record(now, || Op::Sent(bytes.len()));
            self.model.sent(&bytes);
            self.session.output_sent(now, bytes.len());
            self.end_left = self.end_left.saturating_sub(bytes.len());
            bytes
        };
        self.digest = bytes.iter().fold(self.digest, |digest, byte| mix(digest, u64::from(*byte)));
        self.settle(now);
        bytes
    }

    fn send_body(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let Some(body) = &mut self.body else { return Vec::new() };
        let rest = &body.wire[body.written..];
        let bytes = rest[..most.min(rest.len())].to_vec();
        body.written += bytes.len();
        let end = (body.written == body.wire.len()).then_some(body.end);
        self.record(now, || Op::Sent(bytes.len()));
        self.session.body_progress(now);
        if let Some(end) = end {
            self.session.body_finished(now, end).expect("a body was wanted");
            self.body = None;
            self.body_written = true;
            self.end_left = self.session.output().len();
            self.model.body_finished(self.end_left);
        }
        bytes
    }

    /// A body is not ended where none is wanted.
    pub fn misuse(&mut self, now: Instant) {
        if self.body.is_none() {
            assert!(self.session.body_finished(now, BodyEnd::Dot).is_err(), "the end of no body");
            self.settle(now);
        }
    }
}
