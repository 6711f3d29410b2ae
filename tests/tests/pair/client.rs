//! A driver of the client session, and a caller with mail to send.

use crate::net::Pipe;
use crate::plan::Message;
use crate::rng::Rng;
use ehlo_client::{BeginError, BodyEnd, CloseReason, Envelope, Event, RecipientOutcome, Session};
use std::sync::Arc;
use std::time::Instant;

/// What became of a message, as far as the client can tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Fate {
    /// Not begun, or refused before anything was sent.
    #[default]
    NotSent,
    UnderWay,
    Done(Vec<RecipientOutcome>),
}

/// A body that is being written.
#[derive(Debug)]
struct Body {
    wire: Vec<u8>,
    written: usize,
    end: BodyEnd,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) mail: Vec<Message>,
    pub(crate) fates: Vec<Fate>,
    next: usize,
    current: usize,
    body: Option<Body>,
    /// The body of the current transaction is written, but for what the session put out behind it.
    body_written: bool,
    /// What is left to write of that.
    pub(crate) end_left: usize,
    /// No write, read or new transaction before these.
    pub(crate) write_at: Instant,
    pub(crate) read_at: Instant,
    pub(crate) work_at: Instant,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) end_told: bool,
    /// The process is gone.
    pub(crate) dead: bool,
    /// The connection was let go of.
    pub(crate) gone: bool,
    /// Leaves the session idle behind its mail, until it quits by itself.
    lazy: bool,
    pub(crate) said: Vec<String>,
}

impl Client {
    pub(crate) fn new(now: Instant, config: ehlo_client::Config, mail: Vec<Message>, lazy: bool) -> Self {
        Self {
            session: Session::new(now, Arc::new(config)),
            fates: vec![Fate::default(); mail.len()],
            mail,
            next: 0,
            current: 0,
            body: None,
            body_written: false,
            end_left: 0,
            write_at: now,
            read_at: now,
            work_at: now,
            closed: None,
            end_told: false,
            dead: false,
            gone: false,
            lazy,
            said: Vec::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.dead && self.closed.is_none()
    }

    pub(crate) fn has_output(&self) -> bool {
        self.body.is_some() || !self.session.output().is_empty()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.session.is_ready() && !(self.lazy && self.next == self.mail.len())
    }

    /// Begins the next transaction, or quits.
    pub(crate) fn work(&mut self, now: Instant) {
        let Some(message) = self.mail.get(self.next) else {
            self.said.push("quit".into());
            return self.session.quit(now);
        };
        let to = message.recipients();
        let mut envelope = Envelope::new(message.sender(), &to).with_body(message.kind);
        if let Some(size) = message.declared {
            envelope = envelope.with_size(size);
        }
        match self.session.begin(now, &envelope) {
            Ok(_) => {
                self.fates[self.next] = Fate::UnderWay;
                self.body_written = false;
            }
            Err(BeginError::TooLarge { .. } | BeginError::BodyNotOffered) => {}
            Err(error) => panic!("a ready session refused: {error}"),
        }
        self.said.push(format!("begin {}: {:?}", self.next, self.fates[self.next]));
        self.current = self.next;
        self.next += 1;
    }

    pub(crate) fn read(&mut self, now: Instant, bytes: &[u8], rng: &mut Rng) {
        let mut rest = bytes;
        loop {
            let step = self.session.handle_input(now, rest);
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.on_event(event, rng);
        }
        assert!(rest.is_empty() || self.closed.is_some(), "input was left without an event");
    }

    /// Takes what the session has to tell.
    pub(crate) fn drain(&mut self, rng: &mut Rng) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event, rng);
        }
    }

    fn on_event(&mut self, event: Event, rng: &mut Rng) {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        self.said.push(format!("{event:?}"));
        match event {
            Event::BodyWanted(_) => {
                let message = &self.mail[self.current];
                let mut wire = message.wire.clone();
                let end = match message.end {
                    _ if rng.percent(50) => {
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
                assert!(outcome.unknown == 0 || end_written, "a doubt about a message that was not written");
                assert!(outcome.unsent == 0 || !end_written, "no doubt about a message that was written");
                let fate = &mut self.fates[self.current];
                assert_eq!(*fate, Fate::UnderWay, "a transaction ends once");
                *fate = Fate::Done(recipients);
                self.body = None;
            }
            Event::Closed(reason) => {
                assert!(!matches!(reason, CloseReason::PeerMisbehaved(_)), "{reason}");
                assert!(!self.fates.contains(&Fate::UnderWay), "a transaction is left open");
                self.closed = Some(reason);
                self.body = None;
            }
            _ => {}
        }
    }

    /// Writes some of what there is. Gives how many bytes.
    pub(crate) fn write(&mut self, now: Instant, up: &mut Pipe, rng: &mut Rng) -> usize {
        let latency = rng.delay(0);
        let output = self.session.output();
        if !output.is_empty() {
            let n = rng.portion(output.len().min(up.room()));
            up.write(now, latency, &output[..n]);
            self.session.output_sent(now, n);
            self.end_left = self.end_left.saturating_sub(n);
            return n;
        }
        let Some(body) = &mut self.body else { return 0 };
        let rest = &body.wire[body.written..];
        let n = if rest.is_empty() { 0 } else { rng.portion(rest.len().min(up.room())) };
        up.write(now, latency, &rest[..n]);
        body.written += n;
        self.session.body_progress(now);
        if body.written == body.wire.len() {
            self.session.body_finished(now, body.end).expect("a body was wanted");
            self.body = None;
            self.body_written = true;
            self.end_left = self.session.output().len();
        }
        n
    }
}
