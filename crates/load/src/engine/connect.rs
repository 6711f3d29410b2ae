//! A connection's life beside its messages: how it is made, how it ends, and what comes then.

use super::conn::{Current, Link, own_lag};
use super::source::{Source, classify};
use super::worker::{Course, Worker, cx};
use crate::{ErrorKind, MessageId, Mode, Phase};
use ehlo_client::codec::BodyType;
use ehlo_client::{BeginError, CloseReason, Envelope, Reason, Session, Stage};
use mio::{Interest, Token};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The pause after a first failure; doubled by each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Failures after which a connection no longer holds up the start of the run...
const FAILURES_BEFORE_START: u32 = 3;
/// ...and the age of the run from which one is enough.
const SLOW_FAILURE: Duration = Duration::from_secs(1);
/// A connection that has waited longer for its greeting no longer counts as being made: the server takes its time.
const GREETING_PATIENCE: Duration = Duration::from_millis(100);

/// The connections that are to be made and being made.
#[derive(Debug)]
pub(super) struct Making {
    source: Source,
    /// Those whose turn will come.
    pub(super) line: VecDeque<usize>,
    /// How many may be in the making, and are.
    window: usize,
    in_window: usize,
    /// Those that are established and wait for their greeting, with the time since when.
    greeting: VecDeque<(Instant, usize)>,
}

impl Making {
    pub(super) fn new(address: SocketAddr, threads: usize, window: usize) -> Self {
        Self {
            source: Source::new(address, threads),
            line: VecDeque::new(),
            window: window.max(1),
            in_window: 0,
            greeting: VecDeque::new(),
        }
    }

    /// When room may come about by the passing of time.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.line.is_empty() {
            return None;
        }
        self.greeting.front().map(|(since, _)| *since + GREETING_PATIENCE)
    }
}

impl Worker<'_> {
    /// Takes a message on: connection `index` is to send it.
    pub(super) fn take_on(&mut self, index: usize, intended: Option<Instant>, now: Instant) {
        let sequence = self.taken_on * self.setup.threads as u64 + self.thread as u64;
        self.taken_on += 1;
        let id = MessageId { run: self.setup.options.run_id, sequence };
        let set = self.setup.options.messages.messages();
        let mut message = Current::new(id, pick(self.setup.options.seed, sequence, set.len()));
        let conn = &mut self.conns[index];
        message.intended = intended;
        message.measured = self.tally.window.measures(intended.unwrap_or(now));
        message.could_begin = intended.map(|due| due.max(conn.idle_since));
        self.tally.counts(message.measured).started += 1;
        conn.message = Some(message);
        conn.idle = false;
        if matches!(conn.link, Link::Open { .. }) {
            self.begin(index, now);
            self.flush(index, now);
        } else {
            self.making.line.push_back(index);
            self.pump_connects(now);
        }
    }

    /// Hands the message that a connection carries to its session.
    fn begin(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        let (Link::Open { session, .. }, Some(message)) = (&mut conn.link, &conn.message) else { return };
        let wire = &self.setup.options.messages.messages()[message.index];
        let body = if wire.eight_bit { BodyType::EightBitMime } else { BodyType::SevenBit };
        let envelope = Envelope::new(self.setup.from, self.setup.to).with_size(wire.size()).with_body(body);
        match session.begin(now, &envelope) {
            Ok(_) => conn.begun(),
            Err(error) => self.cannot_begin(index, &error, now),
        }
    }

    #[cold]
    fn cannot_begin(&mut self, index: usize, error: &BeginError, now: Instant) {
        let conn = &mut self.conns[index];
        conn.drop_message(&mut cx!(self), now);
        conn.failures += 1;
        self.tally.error(now, ErrorKind::Unsupported, || format!("a message was not sent: {error}"));
        if self.setup.options.reconnect {
            return self.on_ready(index, now);
        }
        // Not at once again: this would go on as fast as the generator can.
        self.rest(index, now + FIRST_PAUSE);
    }

    fn rest(&mut self, index: usize, until: Instant) {
        self.conns[index].rests_until = Some(until);
        self.deadlines.set(index, until);
    }

    /// The pause after a failure is over.
    pub(super) fn rested(&mut self, index: usize, now: Instant) {
        if matches!(self.course, Course::Draining { .. }) {
            return;
        }
        if self.conns[index].is_ready() {
            self.go_on(index, now);
        } else if matches!(self.conns[index].link, Link::Down) {
            self.revive(index, now);
        }
    }

    /// A connection that is down is to be of use again.
    fn revive(&mut self, index: usize, now: Instant) {
        if !self.setup.options.reconnect {
            self.making.line.push_back(index);
        } else if self.setup.options.mode == Mode::Closed && self.may_take_on() {
            self.take_on(index, None, now);
        } else {
            self.enqueue_idle(index, now);
        }
    }

    /// The session of a connection waits for a message.
    pub(super) fn on_ready(&mut self, index: usize, now: Instant) {
        self.leave_window(index);
        self.resolve(index, now);
        let draining = matches!(self.course, Course::Draining { .. });
        let conn = &mut self.conns[index];
        self.tally.connections_ready += u64::from(!std::mem::replace(&mut conn.was_ready, true));
        if conn.message.is_some() {
            self.begin(index, now);
        } else if draining || (self.setup.options.reconnect && conn.served) {
            if let Link::Open { session, .. } = &mut conn.link {
                session.quit(now);
            }
        } else if conn.rests_until.is_some() {
            // Its turn comes when that is over.
        } else if self.setup.options.mode == Mode::Closed && self.may_take_on() {
            self.take_on(index, None, now);
        } else {
            self.enqueue_idle(index, now);
        }
    }

    /// No more messages: a connection that carries none is closed, politely if it is ready.
    pub(super) fn wind_up(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        conn.idle = false;
        if conn.message.is_some() {
            return;
        }
        match &mut conn.link {
            Link::Open { session, .. } if session.is_ready() => {
                session.quit(now.max(conn.sent_at));
                self.flush(index, now);
            }
            // It carried a message and says goodbye already.
            Link::Open { .. } if conn.served => {}
            Link::Down => {}
            Link::Open { .. } | Link::Connecting { .. } => self.drop_link(index),
        }
    }

    /// Makes connections, as many at once as may be.
    pub(super) fn pump_connects(&mut self, now: Instant) {
        if self.making.line.is_empty() {
            return;
        }
        while let Some((since, index)) = self.making.greeting.front().copied() {
            let waits = self.conns[index].in_window && self.conns[index].established_at == since;
            if waits && now < since + GREETING_PATIENCE {
                break;
            }
            self.making.greeting.pop_front();
            if waits {
                self.leave_window(index);
            }
        }
        while self.making.in_window < self.making.window {
            let Some(index) = self.making.line.pop_front() else { return };
            self.connect(index, now);
        }
    }

    fn connect(&mut self, index: usize, now: Instant) {
        let since = Instant::now();
        let mut stream = match self.making.source.connect() {
            Ok(stream) => stream,
            Err((kind, error)) => return self.not_connected(index, kind, &error.to_string(), now),
        };
        if let Err(error) =
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
        {
            return self.not_connected(index, ErrorKind::Io, &error.to_string(), now);
        }
        let until = since + self.setup.options.timeouts.connect;
        let conn = &mut self.conns[index];
        conn.link = Link::Connecting { stream, since, until };
        conn.sent_at = since;
        conn.in_window = true;
        if let Some(message) = &mut conn.message {
            own_lag(&mut self.tally, message, since);
        }
        self.making.in_window += 1;
        self.up += 1;
        self.deadlines.set(index, until);
    }

    /// The attempt to connect has come to an end, good or bad.
    pub(super) fn connected(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        match std::mem::replace(&mut conn.link, Link::Down) {
            Link::Connecting { stream, since, .. } => match stream.take_error() {
                Ok(None) => {
                    let ns = super::window::between(since, now);
                    self.tally.latency.phase_mut(Phase::Connect).record(true, ns);
                    self.tally.connections_opened += 1;
                    let session = Session::new(now, std::sync::Arc::clone(&self.setup.config));
                    conn.open(stream, session, now);
                    self.making.greeting.push_back((now, index));
                    if let Some(at) = self.conns[index].deadline() {
                        self.deadlines.set(index, at);
                    }
                }
                Ok(Some(error)) | Err(error) => {
                    drop(stream);
                    self.leave_window(index);
                    self.up -= 1;
                    self.not_connected(index, classify(&error), &error.to_string(), now);
                }
            },
            other => conn.link = other,
        }
    }

    pub(super) fn connect_timed_out(&mut self, index: usize, now: Instant) {
        self.drop_link(index);
        let waited = self.setup.options.timeouts.connect.as_secs_f64();
        self.not_connected(index, ErrorKind::ConnectTimeout, &format!("no answer for {waited} s"), now);
    }

    fn not_connected(&mut self, index: usize, kind: ErrorKind, why: &str, now: Instant) {
        self.conns[index].drop_message(&mut cx!(self), now);
        let address = self.setup.address;
        self.failed(index, kind, || format!("no connection to {address}: {why}"), now);
    }

    /// A session has ended.
    pub(super) fn closed(&mut self, index: usize, reason: CloseReason, now: Instant) {
        let timeouts = &self.setup.options.timeouts;
        let patience = |reason| match reason {
            Reason::Reply(Stage::Greeting) => timeouts.greeting,
            Reason::Reply(Stage::Body) => timeouts.end_of_data,
            Reason::BodyBlock => timeouts.block,
            _ => timeouts.command,
        };
        let conn = &mut self.conns[index];
        let failure = conn.verdict(reason, patience);
        // A message for which the connection was made and that was never begun.
        conn.drop_message(&mut cx!(self), now);
        self.drop_link(index);
        match failure {
            Some((kind, text)) => self.failed(index, kind, || text, now),
            None if matches!(self.course, Course::Draining { .. }) => {}
            None => self.revive(index, now),
        }
    }

    fn failed(&mut self, index: usize, kind: ErrorKind, text: impl FnOnce() -> String, now: Instant) {
        self.tally.error(now, kind, text);
        let conn = &mut self.conns[index];
        conn.failures += 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (conn.failures - 1).min(16)).min(LONGEST_PAUSE);
        let slow = now.saturating_duration_since(self.setup.origin) > SLOW_FAILURE;
        if conn.failures >= FAILURES_BEFORE_START || slow {
            self.resolve(index, now);
        }
        if !matches!(self.course, Course::Draining { .. }) {
            self.rest(index, now + pause);
        }
    }

    /// Whether all connections have been tried decides when the run begins.
    fn resolve(&mut self, index: usize, now: Instant) {
        if !std::mem::replace(&mut self.conns[index].resolved, true) && self.unresolved > 0 {
            self.last_resolved = now;
            self.unresolved -= 1;
            if self.unresolved == 0 {
                self.all_tried();
            }
        }
    }

    fn drop_link(&mut self, index: usize) {
        self.leave_window(index);
        let conn = &mut self.conns[index];
        conn.idle = false;
        if !matches!(std::mem::replace(&mut conn.link, Link::Down), Link::Down) {
            self.up -= 1;
        }
    }

    fn leave_window(&mut self, index: usize) {
        if std::mem::take(&mut self.conns[index].in_window) {
            self.making.in_window -= 1;
        }
    }
}

/// Which of `count` messages is the one of this sequence: drawn from the seed, whatever thread sends it.
fn pick(seed: u64, sequence: u64, count: usize) -> usize {
    if count == 1 {
        return 0;
    }
    // SplitMix64's finalizer over a Weyl sequence.
    let mut z = seed.wrapping_add(sequence.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // The high half of the product: no division, and even up to one in 2^64.
    usize::try_from((u128::from(z) * count as u128) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::pick;

    #[test]
    fn messages_are_drawn_evenly_and_by_seed() {
        let mut drawn = [0_u32; 10];
        for sequence in 0..10_000 {
            drawn[pick(7, sequence, 10)] += 1;
        }
        assert!(drawn.iter().all(|n| (850..1150).contains(n)), "{drawn:?}");
        let of_seed = |seed| (0..32).map(|s| pick(seed, s, 10)).collect::<Vec<_>>();
        assert_eq!(of_seed(7), of_seed(7));
        assert_ne!(of_seed(7), of_seed(8));
    }
}
