//! Plays a scenario against a bare session, with its contract checked after each call.

mod contract;
mod output;
mod questions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ehlo_server::{Event, Peer, Question, ResolveError, Session, Step, TlsInfo};

use self::questions::answer;
pub(crate) use self::questions::{show, show_envelope};
use crate::format::{Act, Scenario, Verdict};
use crate::script::{Script, Seen, View};
use crate::splits::{Cuts, Plan};

/// Most calls between two steps of a scenario; a session that goes on without end is at fault.
const MAX_CALLS: usize = 20_000_000;

/// What a run leaves behind.
pub(crate) struct Run {
    pub(crate) transcript: Vec<String>,
    pub(crate) replies: Vec<LoggedReply>,
}

/// A reply and what led to it.
pub(crate) struct LoggedReply {
    /// Its last line, without CRLF.
    pub(crate) line: String,
    pub(crate) cause: Cause,
    /// The text is the application's, not the session's.
    pub(crate) foreign: bool,
    /// 354 was sent, and no command came since.
    pub(crate) in_message: bool,
    /// 334 was sent, and no reply since.
    pub(crate) in_exchange: bool,
    /// The last line that the session had used, with its line end. Known only if the stream came byte by byte.
    pub(crate) command: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The connection was made.
    Connect,
    /// A command or message, or the answer to a question about it.
    Peer,
    /// A deadline.
    Time,
    Shutdown,
    /// The peer had stopped reading at some time, so that what came when cannot be told.
    Unknown,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    Coming,
    Committing,
}

struct Bare<'s> {
    session: Session,
    scenario: &'s Scenario,
    script: Script<'s>,
    plan: &'s Plan,
    now: Instant,
    flights: usize,
    /// Pieces that the session has not used yet.
    pending: VecDeque<&'s [u8]>,
    eof: Eof,
    /// Whether the peer reads at all.
    reading: bool,
    /// The peer has stopped reading at some time.
    delayed: bool,
    /// The peer has just read something.
    took: bool,
    /// The session is to be called again, if with no input.
    again: bool,
    /// How much of the output has been looked at.
    looked_at: usize,
    /// The code of a reply whose last line has not come.
    open_reply: Option<String>,
    partial: Vec<u8>,
    kept: Option<Question>,
    body: Vec<u8>,
    message: Message,
    /// The session has asked for a TLS handshake, and waits for its end.
    handshaking: bool,
    closed: bool,
    cause: Cause,
    foreign: bool,
    in_message: bool,
    in_exchange: bool,
    command: Vec<u8>,
    next_command: Vec<u8>,
    replies: Vec<LoggedReply>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Eof {
    No,
    Coming,
    Told,
}

/// Plays the scenario.
///
/// # Errors
///
/// What went wrong, with what happened before.
pub(crate) fn play(scenario: &Scenario, plan: &Plan) -> Result<Run, String> {
    let now = Instant::now();
    let peer = if scenario.implicit_tls { Peer::new(1).with_implicit_tls() } else { Peer::new(1) };
    let session = Session::new(now, Arc::new(scenario.config.clone()), peer);
    let mut bare = Bare {
        session,
        scenario,
        script: Script::new(scenario),
        plan,
        now,
        flights: 0,
        pending: VecDeque::new(),
        eof: Eof::No,
        reading: true,
        delayed: false,
        took: false,
        again: false,
        looked_at: 0,
        open_reply: None,
        partial: Vec::new(),
        kept: None,
        body: Vec::new(),
        message: Message::None,
        handshaking: false,
        closed: false,
        cause: Cause::Connect,
        foreign: false,
        in_message: false,
        in_exchange: false,
        command: Vec::new(),
        next_command: Vec::new(),
        replies: Vec::new(),
    };
    bare.run()?;
    Ok(Run { transcript: bare.script.transcript(), replies: bare.replies })
}

impl<'s> Bare<'s> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            self.settle()?;
            let envelope = self.envelope();
            let view = View { body: &self.body, envelope: Some(&envelope), closed: self.closed };
            match self.script.rest(&view)? {
                Some(act) => self.act(act)?,
                None => return self.finish(),
            }
        }
    }

    fn fail<T>(&self, happened: &str, expected: &str) -> Result<T, String> {
        Err(self.script.describe(happened, expected))
    }

    fn ensure(&self, holds: bool, invariant: &str) -> Result<(), String> {
        if holds { Ok(()) } else { self.fail("something else", invariant) }
    }

    fn act(&mut self, act: &'s Act) -> Result<(), String> {
        match act {
            Act::Send(bytes) => {
                self.pending.extend(self.plan.cuts.pieces(self.flights, bytes));
                self.flights += 1;
            }
            Act::After(wait) => self.wait(*wait)?,
            Act::Eof => self.eof = Eof::Coming,
            Act::Reset => {
                self.pending.clear();
                self.session.handle_reset(self.now);
                // Nobody reads what is left.
                self.looked_at = self.session.output().len();
                self.reading = false;
            }
            Act::Shutdown(how) => {
                self.cause = Cause::Shutdown;
                self.session.shutdown(self.now, *how);
            }
            Act::PauseBody => self.session.body_paused(self.now),
            Act::ResumeBody => {
                self.session.body_resumed(self.now);
                self.again = true;
            }
            Act::FailBody(reply) => {
                self.session.body_failed(self.now, reply.clone());
                self.again = true;
            }
            Act::StopReading => (self.reading, self.delayed) = (false, true),
            Act::Read => self.reading = true,
            Act::Tls => {
                self.ensure(self.handshaking, "a handshake that was asked for")?;
                self.handshaking = false;
                self.cause = Cause::Connect;
                self.session.handle_tls(self.now, TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256"));
            }
            Act::TlsFailed => {
                self.ensure(self.handshaking, "a handshake that was asked for")?;
                self.handshaking = false;
                self.session.handle_tls_failed(self.now);
            }
            Act::Stressed(stressed) => self.session.set_stressed(self.now, *stressed),
            Act::TlsUnavailable => self.session.set_tls_available(false),
            Act::Answer(verdict, late) => {
                let Some(question) = self.kept.take() else {
                    return self.fail("no question that was answered `later`", "a question to answer");
                };
                let result = self.resolve(question, verdict)?;
                let expected = if *late { Err(ResolveError::Stale) } else { Ok(()) };
                self.ensure(result == expected, "an answer that is taken, or is stale, as the scenario says")?;
            }
        }
        Ok(())
    }

    /// Lets time pass, with each deadline on the way.
    fn wait(&mut self, wait: Duration) -> Result<(), String> {
        let end = self.now + wait;
        for _ in 0..10_000 {
            self.settle()?;
            let Some((at, _)) = self.session.poll_timeout().filter(|(at, _)| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            // Right before the deadline nothing happens.
            let before = at.checked_sub(Duration::from_nanos(1)).filter(|before| *before > self.now);
            if let Some(before) = before {
                self.now = before;
                self.check_quiet()?;
            }
            self.now = at;
            self.cause = Cause::Time;
            self.session.handle_timeout(at);
        }
        self.fail("deadline upon deadline", "an end of them")
    }

    /// Lets everything happen that happens by itself.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MAX_CALLS {
            self.look()?;
            if let Some(event) = self.session.poll_event() {
                self.event(event, &[])?;
                continue;
            }
            let again = std::mem::take(&mut self.again);
            if !again {
                self.check_quiet()?;
            }
            // Byte by byte it is called without any first, so that the end of a chunk and the next command can be told apart.
            if again && matches!(self.plan.cuts, Cuts::Every(1)) {
                self.feed(b"")?;
                continue;
            }
            if let Some(piece) = self.pending.front().copied() {
                if self.closed {
                    self.pending.clear();
                } else {
                    self.took = false;
                    let changed = self.feed(piece)?;
                    if !changed && !self.took && !self.release() {
                        return Ok(());
                    }
                }
                continue;
            }
            if again {
                self.feed(b"")?;
                continue;
            }
            if self.eof == Eof::Coming {
                self.eof = Eof::Told;
                self.session.handle_eof(self.now);
                continue;
            }
            if !self.release() {
                return Ok(());
            }
        }
        self.fail("call upon call", "an end of them")
    }

    /// Gives a piece to the session. Gives whether that changed anything.
    fn feed(&mut self, piece: &'s [u8]) -> Result<bool, String> {
        let (wanted, in_body) = (self.session.wants_input(), self.session.in_message());
        let Step { used, event, .. } = self.session.handle_input(self.now, piece);
        self.ensure(used <= piece.len(), "no more used than there was")?;
        let rest = &piece[used..];
        // What is in a message or chunk is no command.
        if let (Cuts::Every(1), [byte], false) = (&self.plan.cuts, &piece[..used], in_body) {
            self.in_message = false;
            self.next_command.push(*byte);
            if *byte == b'\n' {
                self.command = std::mem::take(&mut self.next_command);
            }
        }
        if used > 0 {
            self.cause = Cause::Peer;
        }
        let changed = used > 0 || event.is_some();
        self.again = event.is_some();
        let stopped = event.is_none() && !rest.is_empty();
        self.ensure(!stopped || !self.session.wants_input(), "all input used unless something is waited for")?;
        self.ensure(wanted || !changed, "no input used while none is wanted")?;
        if !piece.is_empty() {
            self.pending.pop_front();
        }
        if !rest.is_empty() {
            self.pending.push_front(rest);
        }
        let event = match event {
            // A reply may be to the body that comes with it.
            Some(event @ Event::Body(_)) => {
                self.event(event, piece)?;
                return self.look().map(|()| true);
            }
            event => event,
        };
        self.look()?;
        if let Some(event) = event {
            self.event(event, piece)?;
        }
        Ok(changed)
    }

    fn event(&mut self, event: Event<'_>, input: &[u8]) -> Result<(), String> {
        self.ensure(!self.closed, "nothing after the end")?;
        match event {
            Event::Ask(question) => return self.ask(question),
            Event::BodyStart => {
                self.ensure(self.message == Message::None, "one message at a time")?;
                self.message = Message::Coming;
                self.body.clear();
            }
            Event::StartTls => {
                self.ensure(!self.session.wants_input(), "no input wanted before a handshake")?;
                self.handshaking = true;
            }
            Event::Body(piece) => {
                self.ensure(self.message == Message::Coming, "a body within a message")?;
                self.ensure(!piece.is_empty(), "no empty piece of a body")?;
                let (all, part) = (input.as_ptr_range(), piece.as_ptr_range());
                let inside = all.start <= part.start && part.end <= all.end;
                // A CR behind a stuffed dot is held back until it is clear that it does not end the message; and either is put in where
                // bare line ends are made CRLF.
                let put_in = matches!(piece, b"\r" | b"\n");
                self.ensure(inside || put_in, "a piece of a body that lies in the input")?;
                self.body.extend_from_slice(piece);
            }
            Event::BodyAborted(reason) => {
                self.ensure(self.message != Message::None, "an abort within a message")?;
                self.message = Message::None;
                self.see(&Seen::Aborted(Some(reason)))?;
            }
            Event::Closed(reason) => {
                self.closed = true;
                self.ensure(self.message == Message::None, "each message committed or aborted before the end")?;
                self.see(&Seen::Closed(Some(reason)))?;
            }
            other => return self.fail(&format!("{other:?}"), "an event that the runner knows"),
        }
        Ok(())
    }

    fn ask(&mut self, question: Question) -> Result<(), String> {
        self.ensure(!self.session.wants_input(), "no input wanted while a question is open")?;
        let shown = show(self.session.pending());
        if let Question::Commit(_) = question {
            self.ensure(self.message == Message::Coming, "a commit at the end of a message")?;
            self.message = Message::Committing;
        }
        let Some(verdict) = self.see(&Seen::Ask(shown))? else {
            return self.fail("a question without an answer", "an answer");
        };
        match verdict {
            Verdict::Later => self.kept = Some(question),
            Verdict::Never => drop(question),
            Verdict::Drop => {
                drop(question);
                self.session.abandon(self.now);
            }
            verdict => {
                let result = self.resolve(question, verdict)?;
                self.ensure(result.is_ok(), "an answer at once that is taken")?;
            }
        }
        Ok(())
    }

    fn resolve(&mut self, question: Question, verdict: &Verdict) -> Result<Result<(), ResolveError>, String> {
        let commit = matches!(question, Question::Commit(_));
        let Some(answer) = answer(question, verdict) else {
            return self.fail("another one", "an answer that this question can have");
        };
        self.foreign =
            matches!(verdict, Verdict::AcceptWith(_) | Verdict::Reject(_) | Verdict::Defer(_) | Verdict::Each(_));
        let result = self.session.resolve(self.now, answer);
        if commit && result.is_ok() {
            self.message = Message::None;
        }
        self.look()?;
        self.foreign = false;
        Ok(result)
    }

    fn see(&mut self, seen: &Seen) -> Result<Option<&'s Verdict>, String> {
        let envelope = self.envelope();
        self.script.see(seen, &View { body: &self.body, envelope: Some(&envelope), closed: self.closed })
    }

    fn envelope(&self) -> String {
        show_envelope(self.session.envelope())
    }
}
