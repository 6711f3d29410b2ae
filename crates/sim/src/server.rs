//! The server session under watch: driven as a driver does it, checked after every call, and recorded.

mod answers;
mod checks;
mod pace;
mod replay;
mod tls;

pub use answers::How;
pub(crate) use replay::same_said;
pub use replay::{Cut, Op, replay};
pub use tls::Handshake;

use crate::dialogue::{Dialogue, Shape};
use crate::trace::mix;
use ehlo_codec::Reply;
use ehlo_server::{AbortReason, CloseReason, Config, Event, Peer, Protocol, Question, Reason, Session, Shutdown};
use pace::Pace;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A message that is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The reverse-path, as `<...>`.
    pub from: String,
    /// The forward-paths, each as `<...>`.
    pub to: Vec<String>,
    /// The message, dot-stuffing removed.
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Outside,
    Wanted,
    Inside(Handshake),
}

/// A server session and a driver of it, with a store. Each method does one thing to the session, takes what comes of it, and panics
/// where an invariant is broken.
#[derive(Debug)]
pub struct Server {
    session: Session,
    config: Arc<Config>,
    start: Instant,
    model: Dialogue,
    /// What was read and not used.
    carry: Vec<u8>,
    /// How much the session has put out, written or not, and how much was written.
    produced: usize,
    written: usize,
    /// All that was written, digested.
    digest: u64,
    /// The message that is coming.
    incoming: Option<Vec<u8>>,
    pace: Pace,
    store: Vec<Stored>,
    aborted: Vec<AbortReason>,
    /// Questions without an answer.
    questions: BTreeMap<u32, Question>,
    asked: u32,
    /// Those that were not given to anybody yet.
    fresh: Vec<u32>,
    stale: usize,
    authenticated: usize,
    /// Messages that were taken for some of their recipients.
    partly: usize,
    /// The server is nearly full.
    stressed: bool,
    paused: bool,
    tls: Tls,
    end_told: bool,
    closed: Option<CloseReason>,
    said: Vec<String>,
    /// Commands that the session says it has looked at.
    commands: u32,
    ops: Option<Vec<(Instant, Op)>>,
}

impl Server {
    /// A session over a connection that has just been made.
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>, peer: Peer) -> Self {
        let mut server = Self {
            session: Session::new(now, Arc::clone(&config), peer),
            model: Dialogue::new(shape(&config), peer.implicit_tls),
            config,
            start: now,
            carry: Vec::new(),
            produced: 0,
            written: 0,
            digest: 0,
            incoming: None,
            pace: Pace::new(now),
            store: Vec::new(),
            aborted: Vec::new(),
            questions: BTreeMap::new(),
            asked: 0,
            fresh: Vec::new(),
            stale: 0,
            authenticated: 0,
            partly: 0,
            stressed: false,
            paused: false,
            tls: Tls::Outside,
            end_told: false,
            closed: None,
            said: Vec::new(),
            commands: 0,
            ops: None,
        };
        server.settle(now);
        server
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

    fn record_input(&mut self, now: Instant, bytes: &[u8]) {
        match self.ops.as_mut().map(|ops| (ops.last_mut(), bytes.is_empty())) {
            None | Some((_, true)) => {}
            Some((Some((at, Op::Input(kept))), _)) if *at == now => kept.extend_from_slice(bytes),
            Some(_) => self.record(now, || Op::Input(bytes.to_vec())),
        }
    }

    /// The peer has sent this. After each piece of a message `pause` says whether the sink pauses.
    pub fn hear(&mut self, now: Instant, bytes: &[u8], pause: &mut dyn FnMut() -> bool) {
        self.carry.extend_from_slice(bytes);
        self.feed(now, pause);
    }

    /// Gives the session what was read and not used, one event at a time, until it wants no more.
    pub fn feed(&mut self, now: Instant, pause: &mut dyn FnMut() -> bool) {
        let carry = std::mem::take(&mut self.carry);
        let mut rest = &carry[..];
        loop {
            let (used, piece) = self.give(now, rest);
            self.record_input(now, &rest[..used]);
            rest = &rest[used..];
            match piece {
                Given::Nothing => break,
                Given::Piece if pause() => {
                    self.drain(now);
                    // A message that has become too large by the same piece is given up.
                    if self.incoming.is_some() {
                        self.pause_as(now, Op::PauseBehind);
                        break;
                    }
                }
                Given::Piece | Given::Event => {}
            }
        }
        assert!(rest.is_empty() || !self.session.wants_input() || self.paused, "input was left without an event");
        self.carry = rest.to_vec();
        self.settle(now);
    }

    /// One call of `handle_input`.
    fn give(&mut self, now: Instant, rest: &[u8]) -> (usize, Given) {
        let wanted = self.session.wants_input();
        // In clear, while only a handshake may come: it is not looked at, and ends the session.
        let surplus = self.tls == Tls::Wanted && !rest.is_empty() && self.closed.is_none();
        let before = surplus.then(|| self.session.output().to_vec());
        let step = self.session.handle_input(now, rest);
        self.commands += step.commands.iter().map(|(_, count)| count).sum::<u32>();
        let used = step.used;
        assert!(wanted || used == 0, "a parked session used {used} bytes");
        if let Some(before) = before {
            self.note_retracted(&before);
            let over = self.session.poll_timeout().is_none_or(|(_, reason)| reason == Reason::Flush);
            assert!(over && !self.session.wants_input(), "clear text behind STARTTLS is not the end");
            self.record(now, || Op::Surplus(rest.to_vec()));
        }
        self.model.taken(&rest[..used]);
        if used > 0 {
            self.pace.came(now);
        }
        self.note_output();
        let given = match step.event {
            None => Given::Nothing,
            Some(Event::Body(piece)) => {
                assert!(!piece.is_empty(), "an empty piece");
                self.incoming.as_mut().expect("a body has begun").extend_from_slice(piece);
                Given::Piece
            }
            Some(event) => {
                self.on_event(now, event);
                Given::Event
            }
        };
        (used, given)
    }

    /// A reply of which nothing was sent may be taken back, if clear text follows STARTTLS.
    fn note_retracted(&mut self, before: &[u8]) {
        let after = self.session.output();
        if self.session.poll_timeout().is_some() && !after.starts_with(before) {
            let line = before[..before.len() - 2].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            assert!(after.starts_with(&before[..line]), "more than one reply was taken back");
            self.model.retracted();
            self.produced -= before.len() - line;
        }
    }

    /// Takes what the session has to tell, and checks it.
    fn settle(&mut self, now: Instant) {
        self.drain(now);
        self.check(now);
    }

    fn drain(&mut self, now: Instant) {
        self.note_output();
        while let Some(event) = self.session.poll_event() {
            self.on_event(now, event);
        }
    }

    fn on_event(&mut self, now: Instant, event: Event<'_>) {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        match event {
            Event::Ask(question) => {
                self.model.pass_silent();
                self.check_pending(&question);
                self.asked += 1;
                self.say(format!("{question:?} {:?}", self.session.pending()));
                self.questions.insert(self.asked, question);
                self.fresh.push(self.asked);
            }
            Event::BodyStart => {
                assert!(self.incoming.replace(Vec::new()).is_none(), "a body within a body");
                self.pace = Pace::new(now);
                self.say("BodyStart".into());
            }
            Event::BodyAborted(reason) => {
                let body = self.incoming.take().expect("a body was aborted that had not begun");
                let digest = body.iter().fold(0, |digest, byte| mix(digest, u64::from(*byte)));
                self.say(match reason {
                    AbortReason::TooLarge | AbortReason::BareLineEnd => {
                        format!("aborted: {reason:?}, {} octets, {digest:x}", body.len())
                    }
                    // The session may hold a CR of it back, or not yet: that depends on what it has seen of what follows.
                    _ => format!("aborted: {reason:?}"),
                });
                self.aborted.push(reason);
                self.paused = false;
            }
            Event::StartTls => {
                assert_eq!(self.tls, Tls::Outside, "a handshake within TLS");
                self.tls = Tls::Wanted;
                self.say("StartTls".into());
            }
            Event::Closed(reason) => {
                assert!(self.incoming.is_none(), "a body is left open");
                self.closed = Some(reason);
                self.paused = false;
                assert!(self.session.output().is_empty(), "a closed session has something to say");
                self.say(format!("closed: {reason:?}"));
            }
            other => panic!("{other:?} does not come here"),
        }
    }

    fn say(&mut self, text: String) {
        self.said.push(text);
    }

    /// Shows the model what the session has put out since it was last looked at.
    fn note_output(&mut self) {
        let output = self.session.output();
        let Some(fresh) = output.get(self.produced - self.written..) else {
            // What was put out and not written is gone with the connection.
            assert!(output.is_empty() && self.session.poll_timeout().is_none(), "replies are taken back");
            self.produced = self.written;
            return;
        };
        assert!(fresh.is_empty() || self.closed.is_none(), "{} bytes behind the end", fresh.len());
        self.produced += fresh.len();
        self.digest = fresh.iter().fold(self.digest, |digest, byte| mix(digest, u64::from(*byte)));
        self.model.written(fresh);
    }

    /// The first `most` bytes of the output are written; gives them.
    pub fn send(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let n = most.min(self.session.output().len());
        let bytes = self.session.output()[..n].to_vec();
        self.record(now, || Op::Sent(n));
        self.session.output_sent(now, n);
        self.written += n;
        self.settle(now);
        bytes
    }

    /// Time has passed. If it is not the deadline yet, nothing may change.
    pub fn timeout(&mut self, now: Instant) {
        self.record(now, || Op::Timeout);
        let before = self.session.poll_timeout();
        let output = self.session.output().len();
        let early = before.is_none_or(|(at, _)| at > now);
        if !early && before.is_some_and(|(_, reason)| reason == Reason::Commit) {
            self.model.undecided();
        }
        self.session.handle_timeout(now);
        if early {
            assert_eq!((self.session.poll_timeout(), self.session.output().len()), (before, output), "told too early");
            assert!(self.session.poll_event().is_none(), "told too early");
        }
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at > now), "the server's deadline stays");
        self.settle(now);
    }

    /// The peer has closed its side.
    pub fn eof(&mut self, now: Instant) {
        self.end_told = true;
        self.record(now, || Op::Eof);
        let committing = self.is_committing();
        self.session.handle_eof(now);
        self.settle(now);
        // A message that is complete is committed all the same, and its reply offered to a peer that may still read.
        assert_eq!(self.is_committing(), committing, "the end of the connection takes back a message that is complete");
    }

    /// The connection is broken.
    pub fn reset(&mut self, now: Instant) {
        self.end_told = true;
        self.record(now, || Op::Reset);
        self.session.handle_reset(now);
        self.settle(now);
        assert!(self.closed.is_some(), "a session without a connection");
    }

    /// The server shuts down.
    pub fn shutdown(&mut self, now: Instant, how: Shutdown) {
        self.record(now, || Op::Shutdown(how));
        self.session.shutdown(now, how);
        self.settle(now);
    }

    /// The server is nearly full from now on.
    pub fn stress(&mut self, now: Instant) {
        self.record(now, || Op::Stress);
        self.say("stress".into());
        self.stressed = true;
        self.session.set_stressed(now, true);
        self.settle(now);
    }

    /// The sink takes no more for now.
    pub fn pause(&mut self, now: Instant) {
        self.pause_as(now, Op::Pause);
    }

    fn pause_as(&mut self, now: Instant, op: Op) {
        self.record(now, || op);
        self.say("sink pauses".into());
        self.session.body_paused(now);
        // A message that was refused in the meantime is not paused.
        self.paused = self.session.in_message() && !self.is_committing() && !self.session.wants_input();
        if self.paused {
            self.pace.pause(now);
        }
        self.settle(now);
    }

    /// The sink takes more again.
    pub fn resume(&mut self, now: Instant) {
        self.record(now, || Op::Resume);
        self.say("sink resumes".into());
        self.paused = false;
        self.pace.resume(now);
        self.session.body_resumed(now);
        self.go_on(now);
    }

    /// The sink has failed: the message is refused once it has come.
    pub fn fail_body(&mut self, now: Instant) {
        self.record(now, || Op::Fail);
        self.say("sink fails".into());
        self.paused = false;
        if self.incoming.is_some() {
            self.model.not_stored();
        }
        self.session.body_failed(now, Reply::fixed(452, Some((4, 3, 1)), "Disk full"));
        self.go_on(now);
    }

    /// A chunk that has come whole needs no input behind it to end.
    fn go_on(&mut self, now: Instant) {
        while !matches!(self.give(now, &[]), (_, Given::Nothing)) {}
        self.settle(now);
    }
}

enum Given {
    Nothing,
    Piece,
    Event,
}

fn shape(config: &Config) -> Shape {
    Shape {
        line_limit: config.limits.command_line,
        line_ends: config.bare_line_ends,
        message_size: config.limits.message_size,
        received: config.limits.received,
        needs_identity: config.auth.require_auth,
        auth_line: config.limits.auth_line,
        auth_failures: config.limits.auth_failures.max(1),
        tls: config.tls,
        chunks: config.chunking,
        lmtp: config.protocol == Protocol::Lmtp,
    }
}
