//! The server session under watch: driven as a driver does it, checked after every call, and recorded.

mod checks;
mod replay;

pub(crate) use replay::same_said;
pub use replay::{Cut, Op, replay};

use crate::dialogue::{Dialogue, Shape};
use crate::trace::mix;
use ehlo_codec::Reply;
use ehlo_server::{
    AbortReason, Answer, BareLineEnds, CloseReason, Config, Event, Peer, Protocol, Question, Reason, ResolveError,
    Session, Shutdown, TlsInfo,
};
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

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// Yes.
    Accept,
    /// No, for good.
    Reject,
    /// Not now.
    Defer,
    /// Not now, with 421.
    Leave,
    /// Go on, where AUTH is asked about; yes, everywhere else.
    Challenge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Outside,
    Wanted,
    Inside,
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
    store: Vec<Stored>,
    aborted: Vec<AbortReason>,
    /// Questions without an answer.
    questions: BTreeMap<u32, Question>,
    asked: u32,
    /// Those that were not given to anybody yet.
    fresh: Vec<u32>,
    stale: usize,
    authenticated: usize,
    paused: bool,
    tls: Tls,
    end_told: bool,
    closed: Option<CloseReason>,
    said: Vec<String>,
    ops: Option<Vec<(Instant, Op)>>,
}

impl Server {
    /// A session over a connection that has just been made.
    #[must_use]
    pub fn new(now: Instant, config: Arc<Config>, peer: Peer) -> Self {
        let mut server = Self {
            session: Session::new(now, Arc::clone(&config), peer),
            model: Dialogue::new(shape(&config)),
            config,
            start: now,
            carry: Vec::new(),
            produced: 0,
            written: 0,
            digest: 0,
            incoming: None,
            store: Vec::new(),
            aborted: Vec::new(),
            questions: BTreeMap::new(),
            asked: 0,
            fresh: Vec::new(),
            stale: 0,
            authenticated: 0,
            paused: false,
            tls: Tls::Outside,
            end_told: false,
            closed: None,
            said: Vec::new(),
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
                    self.drain();
                    // A message that has become too large by the same piece is given up.
                    if self.incoming.is_some() {
                        self.pause(now);
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
        let used = step.used;
        assert!(wanted || used == 0, "a parked session used {used} bytes");
        if let Some(before) = before {
            self.note_retracted(&before);
            let over = self.session.poll_timeout().is_none_or(|(_, reason)| reason == Reason::Flush);
            assert!(over && !self.session.wants_input(), "clear text behind STARTTLS is not the end");
            self.record(now, || Op::Surplus(rest.to_vec()));
        }
        self.model.taken(&rest[..used]);
        self.note_output();
        let given = match step.event {
            None => Given::Nothing,
            Some(Event::Body(piece)) => {
                assert!(!piece.is_empty(), "an empty piece");
                self.incoming.as_mut().expect("a body has begun").extend_from_slice(piece);
                Given::Piece
            }
            Some(event) => {
                self.on_event(event);
                Given::Event
            }
        };
        (used, given)
    }

    /// A reply of which nothing was sent may be taken back, if clear text follows STARTTLS.
    fn note_retracted(&mut self, before: &[u8]) {
        let after = self.session.output();
        if !after.starts_with(before) {
            let line = before[..before.len() - 2].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            assert!(after.starts_with(&before[..line]), "more than one reply was taken back");
            self.model.retracted();
            self.produced -= before.len() - line;
        }
    }

    /// Takes what the session has to tell, and checks it.
    fn settle(&mut self, now: Instant) {
        self.drain();
        self.check(now);
    }

    fn drain(&mut self) {
        self.note_output();
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        assert!(self.closed.is_none(), "{event:?} behind the end");
        match event {
            Event::Ask(question) => {
                self.check_pending(&question);
                self.asked += 1;
                self.say(format!("{question:?} {:?}", self.session.pending()));
                self.questions.insert(self.asked, question);
                self.fresh.push(self.asked);
            }
            Event::BodyStart => {
                assert!(self.incoming.replace(Vec::new()).is_none(), "a body within a body");
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
        let fresh = &output[self.produced - self.written..];
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
        self.session.handle_timeout(now);
        if early {
            assert_eq!((self.session.poll_timeout(), self.session.output().len()), (before, output), "told too early");
            assert!(self.session.poll_event().is_none(), "told too early");
        }
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at > now), "the server's deadline stays");
        self.settle(now);
    }

    /// Gives an answer to a question. Gives what the session said of it; `None` if the question was answered before.
    pub fn answer(&mut self, now: Instant, serial: u32, how: How) -> Option<Result<(), ResolveError>> {
        let question = self.questions.remove(&serial)?;
        self.record(now, || Op::Answer(serial, how));
        let open = self.is_open_question(serial);
        let commit = matches!(question, Question::Commit(_));
        let view = self.session.envelope();
        let envelope = (view.reverse_path_text().to_owned(), view.recipients().map(|to| to.to_string()).collect());
        let how = if how == How::Challenge && !matches!(question, Question::Auth(_)) { How::Accept } else { how };
        if commit && open && how == How::Accept {
            self.model.committed();
        }
        if open && how == How::Accept && matches!(question, Question::Auth(_)) {
            self.model.granted();
            self.authenticated += 1;
        }
        let result = self.session.resolve(now, verdict(how, question));
        assert_eq!(result.is_ok(), open, "{result:?} for {how:?}");
        match result {
            Err(error) => {
                assert_eq!(error, ResolveError::Stale);
                self.stale += 1;
            }
            Ok(()) if commit => {
                let body = self.incoming.take().expect("a body was complete");
                if how == How::Accept {
                    self.store.push(Stored { from: envelope.0, to: envelope.1, body });
                }
            }
            Ok(()) => {}
        }
        self.settle(now);
        Some(result)
    }

    /// The question is lost, and nobody knows.
    pub fn lose(&mut self, serial: u32) {
        self.questions.remove(&serial);
    }

    /// The question is lost, and the driver knows.
    pub fn abandon(&mut self, now: Instant, serial: u32) {
        let open = self.questions.remove(&serial).is_some() && self.is_open_question(serial);
        if open {
            self.record(now, || Op::Abandon);
            self.session.abandon(now);
            self.settle(now);
        }
    }

    /// Gives the answer to this session's question to another one, which must not take it.
    pub fn misdirect(&mut self, serial: u32, other: &mut Self, now: Instant) {
        if let Some(question) = self.questions.remove(&serial) {
            let result = other.session.resolve(now, question.defer());
            assert_eq!(result, Err(ResolveError::ApiMisuse), "another session's answer");
            other.settle(now);
        }
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
        self.session.set_stressed(now, true);
        self.settle(now);
    }

    /// The sink takes no more for now.
    pub fn pause(&mut self, now: Instant) {
        self.record(now, || Op::Pause);
        self.say("sink pauses".into());
        self.session.body_paused(now);
        // A message that was refused in the meantime is not paused.
        self.paused = self.session.in_message() && !self.is_committing() && !self.session.wants_input();
        self.settle(now);
    }

    /// The sink takes more again.
    pub fn resume(&mut self, now: Instant) {
        self.record(now, || Op::Resume);
        self.say("sink resumes".into());
        self.paused = false;
        self.session.body_resumed(now);
        self.go_on(now);
    }

    /// The sink has failed: the message is refused once it has come.
    pub fn fail_body(&mut self, now: Instant) {
        self.record(now, || Op::Fail);
        self.say("sink fails".into());
        self.paused = false;
        self.session.body_failed(now, Reply::fixed(452, Some((4, 3, 1)), "Disk full"));
        self.go_on(now);
    }

    /// A chunk that has come whole needs no input behind it to end.
    fn go_on(&mut self, now: Instant) {
        while !matches!(self.give(now, &[]), (_, Given::Nothing)) {}
        self.settle(now);
    }

    /// The handshake that was asked for is over, well or not.
    pub fn handshaken(&mut self, now: Instant, well: bool) {
        self.record(now, || Op::Handshaken(well));
        if well {
            assert!(self.wants_handshake(), "a handshake that nobody asked for");
            self.tls = Tls::Inside;
            self.model.inside_tls();
            self.session.handle_tls(now, TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256"));
        } else {
            self.session.handle_tls_failed(now);
        }
        self.settle(now);
    }

    /// Questions that were asked since this was last called, by their numbers.
    pub fn take_asked(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.fresh)
    }

    /// Whether this is the question that is open.
    #[must_use]
    pub fn is_open_question(&self, serial: u32) -> bool {
        serial == self.asked && self.session.pending() != ehlo_server::Pending::Nothing
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
        lenient: config.bare_line_ends == BareLineEnds::Keep,
        needs_identity: config.auth.require_auth,
        chunks: config.chunking,
        lmtp: config.protocol == Protocol::Lmtp,
    }
}

/// Who every client is that authenticates.
const IDENTITY: &str = "ada";

/// An answer to a question, as an application gives it.
fn verdict(how: How, question: Question) -> Answer {
    // RFC 5321 §4.3.2 lists 550 for none of these.
    let no = match question {
        Question::Connect(_) | Question::Data(_) => Reply::fixed(554, Some((5, 7, 1)), "No"),
        _ => Reply::fixed(550, Some((5, 7, 1)), "No"),
    };
    const NOT_NOW: Reply = Reply::fixed(451, Some((4, 7, 1)), "Not now\nTry again\nlater");
    const NOT_YOURS: Reply = Reply::fixed(459, Some((4, 7, 1)), "Not for you");
    const LEAVE: Reply = Reply::fixed(421, Some((4, 3, 2)), "Enough");
    // RFC 5321 §4.3.2 lets a server put EHLO, VRFY and a connection off by nothing but the replies that these give.
    if how == How::Defer
        && matches!(question, Question::Hello(_) | Question::Vrfy(_) | Question::Expn(_) | Question::Etrn(_))
    {
        return question.defer();
    }
    let question = match question {
        // RFC 1985 §5.1: there is no 5yz to say that this peer may not.
        Question::Etrn(token) if how == How::Reject => return token.defer(NOT_YOURS),
        Question::Auth(token) => {
            return match how {
                How::Accept => token.accept(IDENTITY),
                How::Challenge => token.challenge(b"a challenge"),
                How::Reject => token.fail(),
                How::Leave => token.defer(LEAVE),
                How::Defer => Question::Auth(token).defer(),
            };
        }
        question => question,
    };
    macro_rules! each {
        ($($kind:ident)*) => {
            match (how, question) {
                $(
                    (How::Accept | How::Challenge, Question::$kind(token)) => token.accept(),
                    (How::Reject, Question::$kind(token)) => token.reject(no),
                    (How::Leave, Question::$kind(token)) => token.defer(LEAVE),
                    (How::Defer, Question::$kind(token)) => token.defer(NOT_NOW),
                )*
                (how, question) => panic!("{how:?} for {question:?}"),
            }
        };
    }
    each! { Connect Hello Mail Rcpt Data Commit Vrfy Expn Etrn }
}
