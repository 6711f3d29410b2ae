//! The client session under watch: driven as a driver does it, checked after every call, and recorded.

mod bodies;
mod model;
mod replay;

pub use replay::{Op, replay};

use crate::plan::Message;
use crate::trace::mix;
use bodies::Body;
use ehlo_client::{
    AuthOutcome, BeginError, BodyEnd, CloseReason, Config, Envelope, Event, Outcome, RecipientOutcome, Session, Stage,
    TlsInfo, TransactionId, Transfer,
};
use ehlo_codec::Extension;
use model::Model;
use std::collections::VecDeque;
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

/// How a driver goes about its session, beside the settings.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Transactions that the settings allow at once.
    pub ahead: usize,
    /// Authenticates where that is offered.
    pub login: Option<Login>,
    /// Has [`BodyWriter`](ehlo_client::BodyWriter) make the wire form of bodies.
    pub writer: bool,
    /// Nothing is sent outside of TLS.
    pub needs_tls: bool,
    /// The connection begins with TLS.
    pub implicit_tls: bool,
}

/// How a driver authenticates.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// Octets of the initial response, if there is one.
    pub initial: Option<u16>,
    /// Challenges that are answered; the next one is given up.
    pub responses: u8,
}

/// A client session and a driver of it, with mail to send. Each method does one thing to the session, takes what comes of it, and
/// panics where an invariant is broken.
#[derive(Debug)]
pub struct Client {
    session: Session,
    config: Arc<Config>,
    habits: Habits,
    start: Instant,
    model: Model,
    mail: Vec<Message>,
    fates: Vec<Fate>,
    /// Messages whose body went as chunks, exactly as they are.
    chunked: Vec<bool>,
    next: usize,
    /// The transactions that are open, the oldest first: their name, their place in the model, and their message.
    open: VecDeque<(TransactionId, usize, usize)>,
    body: Option<Body>,
    /// What is left to write of the end of a body.
    end_left: usize,
    login_tried: bool,
    challenges: u8,
    challenged: bool,
    authenticated: bool,
    tls_wanted: bool,
    closed: Option<CloseReason>,
    /// All that was put out, digested.
    digest: u64,
    said: Vec<String>,
    ops: Option<Vec<(Instant, Op)>>,
}

impl Client {
    /// A session over a connection that has just been made.
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>, habits: Habits, mail: Vec<Message>) -> Self {
        Self {
            session: Session::new(now, Arc::clone(&config)),
            config,
            start: now,
            model: Model::default(),
            fates: vec![Fate::default(); mail.len()],
            chunked: vec![false; mail.len()],
            mail,
            next: 0,
            open: VecDeque::new(),
            body: None,
            end_left: 0,
            login_tried: false,
            challenges: 0,
            challenged: false,
            authenticated: false,
            tls_wanted: habits.implicit_tls,
            closed: None,
            digest: 0,
            said: Vec::new(),
            ops: None,
            habits,
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
        !self.session.output().is_empty() || self.body.as_ref().is_some_and(|body| body.has_output(&self.session))
    }

    /// Whether a body is written and its end is not.
    #[must_use]
    pub const fn end_left(&self) -> usize {
        self.end_left
    }

    /// Whether something can be begun or answered, or the session be ended.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.challenged || (self.session.is_ready() && (!self.is_through() || self.open.is_empty()))
    }

    /// Whether a transaction was begun for each message.
    #[must_use]
    pub const fn is_through(&self) -> bool {
        self.next == self.mail.len()
    }

    /// Whether the handshake of TLS is to be made.
    #[must_use]
    pub const fn wants_handshake(&self) -> bool {
        self.tls_wanted && self.closed.is_none()
    }

    /// Whether the server has said that it knows who this is.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// When time must be told at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|(at, _)| at)
    }

    /// The mail, what became of it, and whether its octets went as they are.
    pub fn fates(&self) -> impl Iterator<Item = (&Message, &Fate, bool)> {
        self.mail.iter().zip(&self.fates).zip(&self.chunked).map(|((message, fate), chunked)| (message, fate, *chunked))
    }

    /// What was sent and has no reply, in order; the greeting answers the connection.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Stage> {
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

    /// Answers a challenge, authenticates, begins the next transaction, or quits behind the last.
    pub fn work(&mut self, now: Instant) {
        if self.challenged || !self.login_tried && self.session.is_ready() && self.habits.login.is_some() {
            self.record(now, || Op::Work);
            self.authenticate(now);
            return self.settle(now);
        }
        if self.is_through() {
            return self.quit(now);
        }
        self.record(now, || Op::Work);
        self.begin(now);
        self.settle(now);
    }

    fn authenticate(&mut self, now: Instant) {
        let login = self.habits.login.expect("it authenticates");
        if self.challenged {
            self.challenged = false;
            self.challenges += 1;
            if self.challenges > login.responses {
                self.said.push("cancels".into());
                self.session.cancel_auth(now).expect("there is a challenge");
            } else {
                let response = vec![self.challenges; usize::from(self.challenges) * 11 % 40];
                self.session.respond(now, &response).expect("there is a challenge");
            }
            return;
        }
        self.login_tried = true;
        if self.session.capabilities().has(Extension::Auth) {
            assert!(self.model.offers("AUTH"), "capabilities that were not offered");
            let initial = login.initial.map(|octets| vec![0xA7; octets.into()]);
            self.session.authenticate(now, login.mechanism, initial.as_deref()).expect("the session is ready");
        }
    }

    fn begin(&mut self, now: Instant) {
        let message = &self.mail[self.next];
        let to: Vec<_> = message.recipients().into_iter().map(Into::into).collect();
        let mut envelope = Envelope::new(message.sender(), &to).with_body(message.kind);
        if let Some(size) = message.declared {
            envelope = envelope.with_size(size);
        }
        let ready = self.session.is_ready();
        match self.session.begin(now, &envelope) {
            Ok(id) => {
                assert!(ready, "a transaction was begun and the session was not ready");
                assert!(self.open.len() < self.habits.ahead.max(1), "too many transactions at once");
                assert!(!self.habits.needs_tls || self.model.inside_tls, "a transaction in clear");
                self.fates[self.next] = Fate::UnderWay;
                let place = self.model.begin(to.len());
                self.open.push_back((id, place, self.next));
            }
            Err(BeginError::NotReady) => return assert!(!ready, "a ready session is not ready"),
            Err(BeginError::TooManyRecipients) => assert!(to.len() > self.session.max_recipients()),
            Err(BeginError::TooManyMessages) => assert_eq!(self.session.transactions_left(), Some(0)),
            Err(BeginError::TooManyDomains) => assert!(self.session.max_domains().is_some()),
            Err(BeginError::TooLarge { limit }) => assert!(message.declared.is_some_and(|size| size > limit)),
            Err(BeginError::BodyNotOffered) => {}
            Err(error) => panic!("a ready session refused: {error}"),
        }
        self.said.push(format!("begin {}: {:?}", self.next, self.fates[self.next]));
        self.next += 1;
    }

    /// Ends the session as soon as no transaction is open.
    pub fn quit(&mut self, now: Instant) {
        self.record(now, || Op::Quit);
        self.said.push("quit".into());
        self.session.quit(now);
        self.settle(now);
    }

    /// The driver gives up: a body can't be read to its end.
    pub fn abandon(&mut self, now: Instant) {
        self.record(now, || Op::Abandon);
        self.session.abandon(now);
        self.settle(now);
        assert!(self.closed.is_some(), "a session that was given up goes on");
    }

    /// The server has sent this.
    pub fn hear(&mut self, now: Instant, bytes: &[u8]) {
        match self.ops.as_mut().and_then(|ops| ops.last_mut()) {
            Some((at, Op::Input(kept))) if *at == now => kept.extend_from_slice(bytes),
            _ => self.record(now, || Op::Input(bytes.to_vec())),
        }
        let surplus = self.wants_handshake() && !bytes.is_empty();
        let mut rest = bytes;
        loop {
            let step = self.session.handle_input(now, rest);
            self.model.heard(&rest[..step.used]);
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.on_event(event);
        }
        assert!(rest.is_empty() || self.closed.is_some(), "input was left without an event");
        assert!(!surplus || self.closed.is_some(), "clear text in place of a handshake");
        self.settle(now);
    }

    /// The server has closed its side.
    pub fn eof(&mut self, now: Instant) {
        self.record(now, || Op::Eof);
        self.session.handle_eof(now);
        self.settle(now);
        assert!(self.closed.is_some(), "a session without a connection");
    }

    /// The handshake that was wanted is made, with a server that was verified or not; or it failed.
    pub fn handshaken(&mut self, now: Instant, verified: Option<bool>) {
        self.record(now, || Op::Tls(verified));
        self.tls_wanted = false;
        self.said.push(format!("TLS: {verified:?}"));
        match verified {
            None => self.session.tls_failed(now),
            Some(verified) => {
                self.model.inside_tls();
                self.session
                    .handle_tls(now, TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256", verified))
                    .expect("it was wanted");
                assert!(self.session.capabilities().lines().next().is_none(), "what was offered in clear is kept");
            }
        }
        self.settle(now);
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
        let recipients: usize = self.open.iter().map(|(_, _, message)| self.mail[*message].to.len() + 4).sum();
        // A response of AUTH is as long as the driver makes it.
        let response = self.habits.login.and_then(|login| login.initial).map_or(0, |octets| 2 * usize::from(octets));
        assert!(output.len() <= (recipients + 4) * 600 + response, "{} bytes wait", output.len());
        let broken = output.windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n'));
        assert!(!broken, "a CR or LF that stands alone: {}", output.escape_ascii());
    }

    fn on_event(&mut self, event: Event) {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        self.said.push(format!("{event:?}"));
        match event {
            Event::Reply(stage, code) => self.on_reply(stage, code),
            Event::Ready => {
                assert!(!self.habits.needs_tls || self.model.inside_tls, "ready in clear, where TLS is required");
            }
            Event::TlsWanted => {
                assert!(!self.model.inside_tls, "a handshake within TLS");
                self.tls_wanted = true;
            }
            Event::Challenge => {
                assert_eq!(Some(self.session.challenge()), self.model.challenge(), "the challenge");
                self.challenged = true;
            }
            Event::Auth(outcome) => {
                self.challenged = false;
                self.authenticated |= outcome == AuthOutcome::Succeeded;
                assert_eq!(self.authenticated, self.session.is_authenticated());
                let given_up = matches!(outcome, AuthOutcome::Cancelled | AuthOutcome::BadChallenge);
                assert_eq!(given_up, self.model.is_given_up(), "{outcome:?}");
            }
            Event::BodyWanted(id, transfer) => self.on_body_wanted(id, transfer),
            Event::Done(id, outcome) => self.on_done(id, outcome),
            Event::Closed(reason) => {
                assert!(!self.fates.contains(&Fate::UnderWay) && self.open.is_empty(), "a transaction is left open");
                self.closed = Some(reason);
                self.body = None;
                (self.challenged, self.tls_wanted) = (false, false);
            }
            _ => {}
        }
    }

    fn on_reply(&mut self, stage: Stage, code: ehlo_codec::ReplyCode) {
        let reply = self.session.reply().expect("the reply that is told of");
        assert_eq!(reply.code(), code);
        self.said.push(reply.to_string());
        let of = self.model.replied(stage, code, self.body.is_some() || self.end_left > 0);
        if let Some(of) = of {
            let front = self.open.front().expect("a reply to a transaction that is over");
            assert_eq!((front.1, self.session.replied()), (of, Some(front.0)), "whose reply it is");
        }
    }

    fn on_body_wanted(&mut self, id: TransactionId, transfer: Transfer) {
        assert!(self.body.is_none(), "a body within a body");
        let (last, place, message) = *self.open.back().expect("a body for no transaction");
        assert_eq!(last, id, "a body out of its turn");
        // Only a chunk whose length is known can go out along with its envelope.
        assert!(self.model.wants_body(place, transfer == Transfer::Whole), "a body for nobody");
        self.chunked[message] = transfer != Transfer::Dots;
        self.model.empty_chunks_end = transfer == Transfer::Chunks && self.habits.writer;
        self.body = Some(Body::new(&self.mail[message], message, transfer, self.habits.writer));
    }

    fn on_done(&mut self, id: TransactionId, outcome: Outcome) {
        let (oldest, place, message) = self.open.pop_front().expect("the end of no transaction");
        assert_eq!(oldest, id, "the oldest is over first");
        let recipients = self.session.recipients(id).to_vec();
        let count = |wanted: fn(&RecipientOutcome) -> bool| recipients.iter().filter(|r| wanted(r)).count() as u32;
        assert_eq!(outcome.accepted, count(|r| *r == RecipientOutcome::Accepted));
        assert_eq!(outcome.refused, count(|r| matches!(r, RecipientOutcome::Refused { .. })));
        assert_eq!(outcome.unsent, count(|r| *r == RecipientOutcome::Unsent));
        assert_eq!(outcome.unknown, count(|r| *r == RecipientOutcome::Unknown));
        assert_eq!(count(|r| *r == RecipientOutcome::Pending), 0, "nothing is left open");
        let gone = self.model.is_told_off() && recipients != self.model.outcomes(place, false);
        assert_eq!(recipients, self.model.outcomes(place, gone), "what the replies say");
        self.said.push(format!("{recipients:?}"));
        let fate = &mut self.fates[message];
        assert_eq!(*fate, Fate::UnderWay, "a transaction ends once");
        *fate = Fate::Done(recipients);
        if self.body.as_ref().is_some_and(|body| body.message() == message) {
            self.body = None;
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
            self.end_empty(now);
            bytes
        };
        self.digest = bytes.iter().fold(self.digest, |digest, byte| mix(digest, u64::from(*byte)));
        self.settle(now);
        bytes
    }

    /// A body is not ended where none is wanted, nor a chunk begun, nor a challenge answered.
    pub fn misuse(&mut self, now: Instant) {
        if self.body.is_none() {
            assert!(self.session.body_finished(now, BodyEnd::Dot).is_err(), "the end of no body");
            assert!(self.session.chunk(now, 1, false).is_err(), "a chunk of no body");
            assert!(self.session.chunk_finished(now).is_err(), "the end of no chunk");
        }
        if !self.challenged {
            assert!(self.session.respond(now, b"x").is_err(), "an answer to no challenge");
            assert!(self.session.cancel_auth(now).is_err(), "the end of no exchange");
        }
        self.settle(now);
    }
}
