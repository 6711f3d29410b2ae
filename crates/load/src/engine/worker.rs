//! One sending thread: its event loop, and what it does when.

use super::conn::{Conn, Link};
use super::connect::Making;
use super::control::{Control, Plan, Report};
use super::schedule::Schedule;
use super::tally::Tally;
use super::timer::{Deadlines, Timer};
use crate::latency::new_histogram;
use crate::{Ended, Mode, Options};
use ehlo_client::codec::ReversePath;
use ehlo_client::{Config, Recipient};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

pub(super) const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// Events taken from one poll. More would save few calls and make the moments of the last ones less exact.
const EVENTS: usize = 64;
/// Octets of the read buffer that all connections of a thread share. Replies are far shorter.
const BUFFER: usize = 16 * 1024;
/// How long the start is held up for connections that are not ready, when some are and nothing has changed for as long.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// What an event may cost, generously: a large message is written.
const SERVICE: Duration = Duration::from_micros(50);
/// How long QUIT may stay unanswered once nothing else is under way.
pub(super) const QUIT_PATIENCE: Duration = Duration::from_secs(1);
/// What all threads of a run share.
pub(super) struct Setup<'a> {
    pub(super) options: &'a Options,
    pub(super) address: SocketAddr,
    pub(super) threads: usize,
    pub(super) from: ReversePath<'a>,
    pub(super) to: &'a [Recipient<'a>],
    pub(super) config: Arc<Config>,
    pub(super) control: &'a Control,
    pub(super) origin: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Course {
    /// Connections are made; no message is sent.
    Connecting,
    Sending(Plan),
    /// No message is begun any more.
    Draining {
        /// When what is under way is given up.
        until: Option<Instant>,
        /// Since when no message is under way.
        quiet: Option<Instant>,
    },
}

pub(super) struct Worker<'a> {
    pub(super) setup: &'a Setup<'a>,
    pub(super) thread: usize,
    pub(super) poll: Poll,
    timer: Timer,
    pub(super) deadlines: Deadlines,
    pub(super) conns: Vec<Conn>,
    /// Idle connections, the longest idle first.
    idle: VecDeque<usize>,
    pub(super) making: Making,
    pub(super) course: Course,
    pub(super) schedule: Option<Schedule>,
    /// Messages that this thread may take on, and those it has.
    pub(super) share: u64,
    pub(super) taken_on: u64,
    /// Connections that are up or coming up.
    pub(super) up: usize,
    /// Connections that were neither ready nor failed yet.
    pub(super) unresolved: usize,
    /// When one last was.
    pub(super) last_resolved: Instant,
    pub(super) tally: Tally,
    reports: Sender<Report>,
    buffer: Vec<u8>,
    /// Number of the second under way, and when it ends.
    pub(super) second: (u64, Option<Instant>),
    pub(super) window_told: bool,
}

/// Splits off what a connection needs, so that it can be borrowed beside it.
macro_rules! cx {
    ($worker:expr) => {
        $crate::engine::conn::Cx {
            tally: &mut $worker.tally,
            set: $worker.setup.options.messages.messages(),
            pipelining: $worker.setup.options.pipelining,
            ledger: $worker.setup.options.ledger,
        }
    };
}
pub(super) use cx;

impl<'a> Worker<'a> {
    pub(super) fn new(setup: &'a Setup<'a>, thread: usize, poll: Poll, reports: Sender<Report>) -> io::Result<Self> {
        let share_of = |whole: u64| {
            let (threads, thread) = (setup.threads as u64, thread as u64);
            whole / threads + u64::from(thread < whole % threads)
        };
        let connections = usize::try_from(share_of(setup.options.connections as u64)).unwrap_or(usize::MAX);
        let timer = Timer::new()?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let now = Instant::now();
        Ok(Self {
            setup,
            thread,
            poll,
            timer,
            deadlines: Deadlines::new(connections),
            conns: (0..connections).map(|_| Conn::new(now)).collect(),
            idle: VecDeque::with_capacity(connections),
            making: Making::new(setup.address, setup.threads, setup.options.connect_window),
            course: Course::Connecting,
            schedule: None,
            share: setup.options.stop.messages.map_or(u64::MAX, share_of),
            taken_on: 0,
            up: 0,
            unresolved: connections,
            last_resolved: now,
            tally: Tally::new(setup.origin),
            reports,
            buffer: vec![0; BUFFER],
            second: (0, None),
            window_told: false,
        })
    }

    /// Where its reports go.
    pub(super) fn reports(&self) -> Sender<Report> {
        self.reports.clone()
    }

    /// Sends until the end, and gives what was counted.
    pub(super) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(EVENTS);
        let mut now = Instant::now();
        if self.setup.options.reconnect {
            // Each message makes its own connection.
            for index in 0..self.conns.len() {
                self.enqueue_idle(index, now);
            }
            self.unresolved = 0;
            self.tell(Report::Tried { ready: self.conns.len() });
        } else {
            self.making.line.extend(0..self.conns.len());
        }
        loop {
            let worked = Instant::now();
            if self.housekeeping(worked) {
                break;
            }
            let ready = Instant::now();
            self.tally.window.add_busy(ready.saturating_duration_since(now));
            self.wait(&mut events, ready)?;
            now = Instant::now();
            self.tally.window.add_late(self.timer.late(now));
            self.tally.window.open_if_due(now);
            let mut clock = now;
            let mut served = 0;
            for event in &events {
                served += 1;
                match event.token() {
                    WAKER | TIMER => {}
                    Token(index) => {
                        self.on_event(index, event, now);
                        // Arrivals that fall due within a batch do not wait for its end.
                        clock = clock.max(self.conns[index].sent_at);
                        if self.schedule.as_ref().is_some_and(|s| s.next() <= clock) {
                            self.dispatch(clock);
                        }
                    }
                }
            }
            let span = Instant::now().saturating_duration_since(now);
            // What it may take is no stall: after one of the server's, many replies come at once.
            self.tally.window.add_late(span.saturating_sub(SERVICE * served));
            if self.tally.window.contains(now) {
                self.tally.batch_span.saturating_record(super::tally::nanos(span));
            }
        }
        self.finish(Instant::now());
        Ok(self.tally)
    }

    /// Waits for events, or until something is due.
    fn wait(&mut self, events: &mut Events, now: Instant) -> io::Result<()> {
        let arrival = match (&self.schedule, self.course) {
            (Some(schedule), Course::Sending(_)) if !self.idle.is_empty() => Some(schedule.next()),
            _ => None,
        };
        let course = match self.course {
            Course::Connecting => match self.setup.control.plan.get() {
                None => self.start_due(),
                Some(plan) => plan.map(|plan| plan.start),
            },
            Course::Sending(plan) => plan.ends,
            Course::Draining { until, quiet, .. } => {
                [until, quiet.map(|q| q + QUIT_PATIENCE)].into_iter().flatten().min()
            }
        };
        let due = [arrival, course, self.deadlines.next(), self.tally.window.next(), self.second.1, self.making.next()];
        if let Some(at) = due.into_iter().flatten().min() {
            self.timer.wake_at(at, now)?;
        }
        match self.poll.poll(events, None) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    /// Does what is due. True when all is done.
    fn housekeeping(&mut self, now: Instant) -> bool {
        while let Some(index) = self.deadlines.pop(now) {
            self.on_deadline(index, now);
        }
        if matches!(self.course, Course::Connecting) {
            self.begin_sending(now);
        }
        self.check_end(now);
        self.dispatch(now);
        self.pump_connects(now);
        self.end_second(now);
        self.publish();
        self.is_done(now)
    }

    fn begin_sending(&mut self, now: Instant) {
        match self.setup.control.plan.get() {
            None if self.start_due().is_some_and(|at| at <= now) => self.all_tried(),
            None => {}
            Some(None) => self.drain(Ended::Stopped, now),
            Some(Some(plan)) if now < plan.start => {}
            Some(Some(plan)) => {
                self.course = Course::Sending(*plan);
                self.tally.window.set_opening(plan.opens);
                self.tally.window.open_if_due(now);
                self.tally.last_answer = now;
                self.tally.failures_since_answer = 0;
                self.second.1 = Some(plan.start + Duration::from_secs(1));
                match self.setup.options.mode {
                    Mode::Open { rate } => {
                        self.schedule = Some(Schedule::new(plan.start, rate, self.thread, self.setup.threads));
                    }
                    Mode::Closed => self.start_idle(now),
                }
            }
        }
    }

    /// When the run begins without the connections that are not ready: a server may greet only so many at a time.
    fn start_due(&self) -> Option<Instant> {
        let waits = self.unresolved > 0 && !self.idle.is_empty();
        waits.then(|| self.last_resolved + START_PATIENCE)
    }

    /// Tells that this thread can begin.
    pub(super) fn all_tried(&mut self) {
        self.unresolved = 0;
        let ready = self.conns.iter().filter(|conn| conn.is_ready()).count();
        self.tell(Report::Tried { ready });
    }

    /// Closed loop: every idle connection gets a message.
    fn start_idle(&mut self, now: Instant) {
        for _ in 0..self.idle.len() {
            if self.may_take_on()
                && let Some(index) = self.next_idle()
            {
                self.take_on(index, None, now);
            }
        }
    }

    pub(super) fn may_take_on(&self) -> bool {
        matches!(self.course, Course::Sending(_)) && self.taken_on < self.share
    }

    /// Open loop: gives the messages that are due to idle connections.
    pub(super) fn dispatch(&mut self, now: Instant) {
        let Course::Sending(plan) = self.course else { return };
        let mut clock = now;
        while self.taken_on < self.share {
            let Some(schedule) = &self.schedule else { return };
            let due = schedule.next();
            if due > clock || plan.ends.is_some_and(|ends| due >= ends) {
                return;
            }
            let Some(index) = self.next_idle() else { return };
            let Some(schedule) = &mut self.schedule else { return };
            let Some(intended) = schedule.take(clock) else { return };
            self.take_on(index, Some(intended), clock);
            clock = clock.max(self.conns[index].sent_at);
        }
    }

    fn next_idle(&mut self) -> Option<usize> {
        while let Some(index) = self.idle.pop_front() {
            let conn = &mut self.conns[index];
            conn.in_line = false;
            if mem::take(&mut conn.idle) {
                return Some(index);
            }
        }
        None
    }

    pub(super) fn enqueue_idle(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        (conn.idle, conn.idle_since) = (true, now);
        if !mem::replace(&mut conn.in_line, true) {
            self.idle.push_back(index);
        }
    }

    fn on_event(&mut self, index: usize, event: &Event, now: Instant) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        // A message may have been given to it within this batch: a session's time never goes back.
        let now = now.max(conn.sent_at);
        match conn.link {
            Link::Down => return,
            Link::Connecting { .. } => {
                if !(event.is_writable() || event.is_error() || event.is_read_closed()) {
                    return;
                }
                self.connected(index, now);
            }
            Link::Open { .. } if event.is_writable() => conn.write_blocked = false,
            Link::Open { .. } => {}
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed() || event.is_error(), now);
        } else {
            self.go_on(index, now);
        }
    }

    /// Reads what is there: once, unless more is known to be.
    fn read(&mut self, index: usize, to_the_end: bool, now: Instant) {
        let mut buffer = mem::take(&mut self.buffer);
        let conn = &mut self.conns[index];
        let closed = loop {
            let Link::Open { stream, .. } = &mut conn.link else { break None };
            match stream.read(&mut buffer) {
                Ok(0) => break conn.eof(&mut cx!(self), now),
                Ok(n) => {
                    let closed = conn.feed(&mut cx!(self), now, &buffer[..n]);
                    // A short read has emptied the socket; what comes later is an event of its own, but an end that was told of
                    // already is not.
                    if closed.is_some() || (n < buffer.len() && !to_the_end) {
                        break closed;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break None,
                Err(e) => {
                    conn.broken = Some(e);
                    break conn.eof(&mut cx!(self), now);
                }
            }
        };
        self.buffer = buffer;
        match closed {
            Some(reason) => self.closed(index, reason, now),
            None => self.go_on(index, now),
        }
    }

    /// After anything that can have changed a session: the next message, output, the deadline.
    pub(super) fn go_on(&mut self, index: usize, now: Instant) {
        if self.conns[index].is_ready() && !self.conns[index].idle {
            self.on_ready(index, now);
        }
        self.flush(index, now);
    }

    pub(super) fn flush(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        if let Err(error) = conn.flush(&mut cx!(self)) {
            // The server may have said why before it closed.
            conn.broken = Some(error);
            let now = now.max(conn.sent_at);
            return self.read_last_words(index, now);
        }
        if let Some(at) = conn.deadline() {
            self.deadlines.set(index, at);
        }
    }

    fn read_last_words(&mut self, index: usize, now: Instant) {
        let mut buffer = mem::take(&mut self.buffer);
        let conn = &mut self.conns[index];
        let mut closed = None;
        while let (Link::Open { stream, .. }, None) = (&mut conn.link, closed) {
            match stream.read(&mut buffer) {
                Ok(n) if n > 0 => closed = conn.feed(&mut cx!(self), now, &buffer[..n]),
                _ => break,
            }
        }
        self.buffer = buffer;
        if let Some(reason) = closed.or_else(|| self.conns[index].eof(&mut cx!(self), now)) {
            self.closed(index, reason, now);
        }
    }

    fn on_deadline(&mut self, index: usize, now: Instant) {
        let conn = &mut self.conns[index];
        let now = now.max(conn.sent_at);
        if conn.rests_until.is_some_and(|until| until <= now) {
            conn.rests_until = None;
            self.rested(index, now);
        }
        let conn = &mut self.conns[index];
        match conn.link {
            Link::Connecting { until, .. } if until <= now => return self.connect_timed_out(index, now),
            Link::Open { .. } => {
                if let Some(reason) = conn.timeout(&mut cx!(self), now) {
                    return self.closed(index, reason, now);
                }
                // A session that was idle for too long says QUIT by itself.
                conn.idle &= conn.is_ready();
                return self.flush(index, now);
            }
            _ => {}
        }
        if let Some(at) = self.conns[index].deadline() {
            self.deadlines.set(index, at);
        }
    }

    fn end_second(&mut self, now: Instant) {
        while let (number, Some(at)) = self.second {
            if now < at {
                return;
            }
            self.send_second(number);
            self.second = (number + 1, Some(at + Duration::from_secs(1)));
        }
    }

    pub(super) fn send_second(&mut self, number: u64) {
        let accepted = mem::take(&mut self.tally.second_accepted);
        if accepted > 0 {
            let service = Box::new(mem::replace(&mut self.tally.second, new_histogram()));
            self.tell(Report::Second { number, accepted, service });
        }
    }

    pub(super) fn tell(&self, report: Report) {
        // Nobody listens any more only if the run was abandoned.
        let _ = self.reports.send(report);
    }

    pub(super) fn publish(&self) {
        let progress = &self.setup.control.progress[self.thread];
        let (a, b) = (&self.tally.warm_up, &self.tally.measured);
        progress.started.store(a.started + b.started, Ordering::Relaxed);
        progress.accepted.store(a.accepted + b.accepted, Ordering::Relaxed);
        let not_accepted = a.refused + a.failed + a.unknown + b.refused + b.failed + b.unknown;
        progress.not_accepted.store(not_accepted, Ordering::Relaxed);
        progress.open.store(self.up as u64, Ordering::Relaxed);
    }
}
