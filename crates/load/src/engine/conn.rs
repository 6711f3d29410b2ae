//! One connection: its session, the message it carries, and the times of each exchange.

use super::tally::{Tally, quote};
use super::window::between;
use crate::message::ID_LINE_LEN;
use crate::{Fate, LedgerEntry, Message, MessageId, Phase, digest};
use ehlo_client::codec::{Extension, ReplyCode};
use ehlo_client::{BodyEnd, CloseReason, Event, Outcome, Session, Stage};
use mio::net::TcpStream;
use std::io::{self, IoSlice, Write as _};
use std::time::Instant;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all connections are open nearly always")]
pub(super) enum Link {
    Down,
    Connecting { stream: TcpStream, since: Instant, until: Instant },
    Open { stream: TcpStream, session: Session },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    NotBegun,
    /// So many octets of id line and wire form were written.
    Writing(usize),
    Written,
}

/// A message that was taken on.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) id: MessageId,
    /// Which of the set it is.
    pub(super) index: usize,
    /// When it was due; open loop only.
    pub(super) intended: Option<Instant>,
    pub(super) measured: bool,
    /// When it was due and there was a connection for it. Taken once its sending has begun.
    pub(super) could_begin: Option<Instant>,
    body: Body,
    id_line: [u8; ID_LINE_LEN],
    digest: Option<u128>,
}

impl Current {
    pub(super) fn new(id: MessageId, index: usize) -> Self {
        Self {
            id,
            index,
            intended: None,
            measured: false,
            could_begin: None,
            body: Body::NotBegun,
            id_line: id.line(),
            digest: None,
        }
    }

    fn ledger_entry(&mut self, message: &Message, fate: Fate) -> LedgerEntry {
        let digest = *self.digest.get_or_insert_with(|| digest(&self.id_line, &message.decoded));
        LedgerEntry { id: self.id, length: message.size(), digest, fate }
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) link: Link,
    /// What it carries or is to carry.
    pub(super) message: Option<Current>,
    /// Waits for a message; without a connection, if each message gets one of its own.
    pub(super) idle: bool,
    pub(super) idle_since: Instant,
    /// Stands in the line of idle ones; may be there although it is idle no more.
    pub(super) in_line: bool,
    /// Rests until then.
    pub(super) rests_until: Option<Instant>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Failed or became ready at least once.
    pub(super) resolved: bool,
    /// Was ready for a message at least once in the run.
    pub(super) was_ready: bool,
    /// Counts as one that is being made.
    pub(super) in_window: bool,
    /// Has carried a message.
    pub(super) served: bool,
    pub(super) established_at: Instant,
    /// When the last write began.
    pub(super) sent_at: Instant,
    pub(super) write_blocked: bool,
    /// What the system reported, if that ended it.
    pub(super) broken: Option<io::Error>,
    pub(super) mail_sent: Option<Instant>,
    first_of_flight: Option<Instant>,
    pipelined: bool,
    pub(super) greeted: bool,
    /// What the server said when it refused; kept only until the run's first failure is told.
    pub(super) words: Option<String>,
}

/// What a connection needs of its thread.
pub(super) struct Cx<'a> {
    pub(super) tally: &'a mut Tally,
    pub(super) set: &'a [Message],
    pub(super) pipelining: bool,
    pub(super) ledger: bool,
}

impl Conn {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            link: Link::Down,
            message: None,
            idle: false,
            idle_since: now,
            in_line: false,
            rests_until: None,
            failures: 0,
            resolved: false,
            was_ready: false,
            in_window: false,
            served: false,
            established_at: now,
            sent_at: now,
            write_blocked: false,
            broken: None,
            mail_sent: None,
            first_of_flight: None,
            pipelined: false,
            greeted: false,
            words: None,
        }
    }

    /// The TCP connection is there.
    pub(super) fn open(&mut self, stream: TcpStream, session: Session, now: Instant) {
        self.link = Link::Open { stream, session };
        (self.established_at, self.sent_at) = (now, now);
        (self.served, self.write_blocked, self.greeted, self.pipelined) = (false, false, false, false);
        (self.mail_sent, self.words, self.broken) = (None, None, None);
    }

    /// A transaction was begun with the session.
    pub(super) const fn begun(&mut self) {
        self.mail_sent = None;
        self.first_of_flight = None;
        self.idle = false;
    }

    /// Whether the session waits for a message.
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.link, Link::Open { session, .. } if session.is_ready())
    }

    /// When its deadline is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match &self.link {
            Link::Down => None,
            Link::Connecting { until, .. } => Some(*until),
            Link::Open { session, .. } => session.poll_timeout().map(|(at, _)| at),
        };
        [own, self.rests_until].into_iter().flatten().min()
    }

    /// Bytes came.
    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, now: Instant, input: &[u8]) -> Option<CloseReason> {
        let (mut rest, mut line) = (input, input);
        loop {
            let Link::Open { session, .. } = &mut self.link else { return None };
            let step = session.handle_input(now, rest);
            if step.used > 0 {
                line = rest;
                rest = rest.get(step.used..).unwrap_or_default();
            }
            let closed = self.event(cx, step.event?, now, line);
            if closed.is_some() {
                return closed;
            }
        }
    }

    /// The peer closed, or the connection is lost.
    pub(super) fn eof(&mut self, cx: &mut Cx<'_>, now: Instant) -> Option<CloseReason> {
        if let Link::Open { session, .. } = &mut self.link {
            session.handle_eof(now);
        }
        self.drain_events(cx, now)
    }

    /// Time has passed.
    pub(super) fn timeout(&mut self, cx: &mut Cx<'_>, now: Instant) -> Option<CloseReason> {
        if let Link::Open { session, .. } = &mut self.link {
            session.handle_timeout(now);
        }
        self.drain_events(cx, now)
    }

    fn drain_events(&mut self, cx: &mut Cx<'_>, now: Instant) -> Option<CloseReason> {
        loop {
            let Link::Open { session, .. } = &mut self.link else { return None };
            let event = session.poll_event()?;
            let closed = self.event(cx, event, now, b"");
            if closed.is_some() {
                return closed;
            }
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: Event, now: Instant, line: &[u8]) -> Option<CloseReason> {
        match event {
            Event::Reply(stage, code) => self.reply(cx.tally, stage, code, now),
            Event::Ready => {
                self.greeted = true;
                if let Link::Open { session, .. } = &self.link {
                    self.pipelined = cx.pipelining && session.capabilities().has(Extension::Pipelining);
                    cx.tally.pipelined |= self.pipelined;
                }
            }
            Event::BodyWanted(..) => {
                if let Some(message) = &mut self.message {
                    message.body = Body::Writing(0);
                }
            }
            Event::Done(_, outcome) => self.done(cx, &outcome, now),
            Event::Closed(reason) => {
                if matches!(reason, CloseReason::PeerMisbehaved(_)) && cx.tally.first_failure.is_none() {
                    self.words = Some(quote(line));
                }
                return Some(reason);
            }
            _ => {}
        }
        None
    }

    fn reply(&mut self, tally: &mut Tally, stage: Stage, code: ReplyCode, now: Instant) {
        tally.reply(code);
        let taken = code.is_positive();
        if !taken && tally.first_failure.is_none() {
            self.remember_words(tally, stage, code, now);
        }
        let measured = self.message.as_ref().is_some_and(|m| m.measured);
        let phase = match stage {
            Stage::Greeting => {
                let ns = between(self.established_at, now);
                return tally.latency.phase_mut(Phase::Banner).record(taken, ns);
            }
            Stage::Ehlo | Stage::Helo => {
                let ns = between(self.sent_at, now);
                return tally.latency.phase_mut(Phase::Ehlo).record(taken, ns);
            }
            Stage::Rset => {
                // The message's own time begins with its MAIL, which in a flight was sent along.
                if !self.pipelined {
                    self.mail_sent = None;
                }
                return;
            }
            Stage::Mail | Stage::Rcpt(_) if self.pipelined => {
                self.first_of_flight.get_or_insert(now);
                return;
            }
            Stage::Data if self.pipelined => {
                if measured {
                    let sent = self.mail_sent.unwrap_or(self.sent_at);
                    let first = self.first_of_flight.unwrap_or(now);
                    tally.latency.phase_mut(Phase::Flight).record(taken, between(sent, now));
                    tally.latency.phase_mut(Phase::ReplyGap).record(taken, between(first, now));
                }
                return;
            }
            Stage::Mail => Phase::Mail,
            Stage::Rcpt(_) => Phase::Rcpt,
            Stage::Data => Phase::Data,
            Stage::Body => Phase::EndOfData,
            _ => return,
        };
        if measured {
            tally.latency.phase_mut(phase).record(taken, between(self.sent_at, now));
        }
    }

    #[cold]
    fn remember_words(&mut self, tally: &mut Tally, stage: Stage, code: ReplyCode, now: Instant) {
        let Link::Open { session, .. } = &self.link else { return };
        let text = session.reply().and_then(|r| r.lines().next().map(quote)).unwrap_or_default();
        let words = format!("{code} {text}");
        match stage {
            Stage::Greeting | Stage::Ehlo | Stage::Helo => {}
            // The connection's own failure tells of it.
            _ if code == ReplyCode::SERVICE_NOT_AVAILABLE => {}
            _ => tally.failure(now, None, || format!("the server answered {} with \"{words}\"", name(stage))),
        }
        self.words = Some(words);
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: &Outcome, now: Instant) {
        let Some(mut message) = self.message.take() else { return };
        self.served = true;
        let wire = &cx.set[message.index];
        let tally = &mut *cx.tally;
        tally.last_done = now;
        let counts = tally.counts(message.measured);
        let code = outcome.code;
        let fate = if outcome.accepted > 0 {
            counts.accepted += 1;
            counts.recipients_refused += u64::from(outcome.refused);
            Fate::Acked
        } else if outcome.unknown > 0 {
            counts.unknown += 1;
            Fate::Unknown
        } else if outcome.refused > 0 {
            counts.refused += 1;
            *tally.refused_by_code.entry(code.map_or(0, ReplyCode::get)).or_default() += 1;
            Fate::Refused
        } else {
            counts.failed += 1;
            Fate::Failed
        };
        let answered = matches!(fate, Fate::Acked | Fate::Refused);
        if let (Some(sent), true) = (self.mail_sent, answered) {
            let accepted = fate == Fate::Acked;
            let service = now.saturating_duration_since(sent);
            if accepted {
                tally.accepted(now, wire.size(), service);
            }
            if message.measured {
                tally.latency.phase_mut(Phase::Transaction).record(accepted, between(sent, now));
                if let Some(intended) = message.intended {
                    tally.latency.response.record(accepted, between(intended, now));
                    tally.latency.lag.record(accepted, between(intended, sent));
                }
            }
        }
        if answered && code != Some(ReplyCode::SERVICE_NOT_AVAILABLE) {
            self.failures = 0;
            tally.answer(now);
        }
        if cx.ledger && message.body != Body::NotBegun {
            let entry = message.ledger_entry(wire, fate);
            tally.ledger.push(entry);
        }
    }

    /// The run is over and the message is not: what the server may have of it. How long it had been due.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>, now: Instant) {
        let Some(mut message) = self.message.take() else { return };
        cx.tally.counts(message.measured).unfinished += 1;
        if let (true, Some(intended)) = (message.measured, message.intended) {
            cx.tally.waits.saturating_record(between(intended, now));
        }
        let fate = match message.body {
            Body::NotBegun => return,
            Body::Writing(_) => Fate::Failed,
            Body::Written => Fate::Unknown,
        };
        if cx.ledger {
            let entry = message.ledger_entry(&cx.set[message.index], fate);
            cx.tally.ledger.push(entry);
        }
    }

    /// The message was not begun and will not be.
    pub(super) fn drop_message(&mut self, cx: &mut Cx<'_>, now: Instant) {
        if let Some(message) = self.message.take() {
            cx.tally.counts(message.measured).failed += 1;
            cx.tally.last_done = now;
            self.served = true;
        }
    }

    /// Writes what is to be written: one call, if the socket takes it.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Link::Open { stream, session } = &mut self.link else { return Ok(()) };
        while !self.write_blocked {
            let output = session.output();
            let mut carried = self.message.as_mut().and_then(|m| match m.body {
                Body::Writing(offset) => Some((m, offset)),
                _ => None,
            });
            if output.is_empty() && carried.is_none() {
                break;
            }
            let stamp = Instant::now();
            let (written, length) = if let Some((message, offset)) = &carried {
                let wire = &cx.set[message.index].wire;
                let line = &message.id_line[(*offset).min(ID_LINE_LEN)..];
                let rest = &wire[offset.saturating_sub(ID_LINE_LEN).min(wire.len())..];
                let slices = [IoSlice::new(output), IoSlice::new(line), IoSlice::new(rest)];
                (stream.write_vectored(&slices), output.len() + line.len() + rest.len())
            } else {
                (stream.write(output), output.len())
            };
            let written = match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.write_blocked = true;
                    break;
                }
                Err(e) => return Err(e),
            };
            self.sent_at = stamp;
            // A short write has filled the socket: the next event tells when there is room.
            self.write_blocked = written < length;
            cx.tally.octets_sent += written as u64;
            let of_output = written.min(output.len());
            session.output_sent(stamp, of_output);
            if let Some((message, offset)) = &mut carried {
                let offset = *offset + (written - of_output);
                if offset == ID_LINE_LEN + cx.set[message.index].wire.len() {
                    message.body = Body::Written;
                    // It was wanted, or the body would not be in writing.
                    let _ = session.body_finished(stamp, BodyEnd::Included);
                    if cx.ledger {
                        // The server is at work now: nobody waits for this.
                        message.digest = Some(digest(&message.id_line, &cx.set[message.index].decoded));
                    }
                } else {
                    message.body = Body::Writing(offset);
                    session.body_progress(stamp);
                }
            } else if self.mail_sent.is_none()
                && let Some(message) = &mut self.message
            {
                self.mail_sent = Some(stamp);
                own_lag(cx.tally, message, stamp);
            }
        }
        Ok(())
    }
}

/// The generator has begun to send a message: how late, by its own fault.
pub(super) fn own_lag(tally: &mut Tally, message: &mut Current, now: Instant) {
    if let Some(could_begin) = message.could_begin.take()
        && message.measured
    {
        tally.latency.own_lag.saturating_record(between(could_begin, now));
    }
}

const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Greeting => "the connection",
        Stage::Ehlo => "EHLO",
        Stage::Helo => "HELO",
        Stage::Rset => "RSET",
        Stage::Mail => "MAIL",
        Stage::Rcpt(_) => "RCPT",
        Stage::Data => "DATA",
        Stage::Body => "the end of data",
        Stage::Quit => "QUIT",
        _ => "a command",
    }
}
