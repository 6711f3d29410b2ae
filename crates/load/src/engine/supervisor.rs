//! The thread that called `run`: it says when to begin and when to stop, tells the observer, and adds everything up.

use super::control::{Plan, Report};
use super::tally::Tally;
use super::worker::Setup;
use crate::latency::{merge, new_histogram};
use crate::system::{Machine, Process};
use crate::{
    Arrivals, Censored, Counts, Ended, GeneratorLoad, Histogram, Interval, Latency, Mode, Observer, Results, Snapshot,
    Step,
};
use mio::Waker;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

/// How often the observer is asked whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// How often it is told how things are.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// Seconds that are kept open for threads that are late to report theirs.
const OPEN_SECONDS: usize = 3;
/// From the moment that the plan is made to its start: the threads must hear of it.
const LEAD: Duration = Duration::from_millis(2);

/// Tells that a thread has ended, however it did.
pub(super) struct Finished(pub(super) Sender<Report>);

impl Drop for Finished {
    fn drop(&mut self) {
        let _ = self.0.send(Report::Finished);
    }
}

/// What the system's accounts say at one moment.
#[derive(Clone, Debug, Default)]
struct Accounts {
    machine: Option<Machine>,
    target: Option<Process>,
}

pub(super) struct Supervisor<'a> {
    setup: &'a Setup<'a>,
    wakers: &'a [Waker],
    reports: &'a Receiver<Report>,
    plan: Option<Plan>,
    /// Threads that have tried all their connections, and connections that are ready.
    tried: usize,
    ready: usize,
    running: usize,
    closed: usize,
    ended: Option<Ended>,
    opening: Option<Accounts>,
    closing: Option<Accounts>,
    /// The last seconds, to which a thread may still add.
    seconds: BTreeMap<u64, (u64, Histogram)>,
    /// Those before.
    intervals: Vec<Interval>,
    last_snapshot: (Instant, u64),
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(setup: &'a Setup<'a>, wakers: &'a [Waker], reports: &'a Receiver<Report>) -> Self {
        Self {
            setup,
            wakers,
            reports,
            plan: None,
            tried: 0,
            ready: 0,
            running: setup.threads,
            closed: 0,
            ended: None,
            opening: None,
            closing: None,
            seconds: BTreeMap::new(),
            intervals: Vec::new(),
            last_snapshot: (setup.origin, 0),
        }
    }

    /// Ends the run before it has begun.
    pub(super) fn call_off(&self) {
        // If a plan was made, its end or the stop takes care of it.
        let _ = self.setup.control.plan.set(None);
        self.stop();
    }

    fn stop(&self) {
        self.setup.control.stop.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        for waker in self.wakers {
            // A thread that has ended needs no waking; any other wakes within a second by itself.
            let _ = waker.wake();
        }
    }

    /// Until all threads have ended.
    pub(super) fn watch(&mut self, observer: &dyn Observer) {
        let mut stopped = false;
        let mut step = None;
        while self.running > 0 {
            let now = Instant::now();
            if !stopped && observer.should_stop() {
                stopped = true;
                if self.plan.is_none() {
                    self.ended = Some(Ended::Stopped);
                }
                self.call_off();
            }
            self.take_accounts(now);
            let current = self.step(now);
            if step.replace(current) != Some(current) || now >= self.last_snapshot.0 + SNAPSHOT {
                observer.snapshot(&self.snapshot(current, now));
            }
            match self.reports.recv_timeout(self.patience(now)) {
                Ok(report) => self.on_report(report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        match self.plan {
            Some(plan) if self.opening.is_none() => plan.opens.saturating_duration_since(now).min(TICK),
            _ => TICK,
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Tried { ready } => {
                self.tried += 1;
                self.ready += ready;
                if self.tried == self.setup.threads {
                    self.begin();
                }
            }
            Report::Second { number, accepted, service } => {
                if let Some(past) = self.intervals.iter_mut().rev().find(|i| i.second == number) {
                    // A thread that was held up for seconds. Its times are in the run's histograms, not in this summary.
                    past.accepted += accepted;
                    return;
                }
                let (count, histogram) = self.seconds.entry(number).or_insert_with(|| (0, new_histogram()));
                *count += accepted;
                merge(histogram, &service);
                if self.seconds.len() > OPEN_SECONDS {
                    self.intervals.extend(self.seconds.pop_first().map(interval));
                }
            }
            // One thread that gives up is more to tell than others that came to their end.
            Report::Drains(Ended::GaveUp) => self.ended = Some(Ended::GaveUp),
            Report::Drains(why) => self.ended = self.ended.or(Some(why)),
            Report::WindowClosed => {
                self.closed += 1;
                if self.closed == self.setup.threads {
                    self.closing = Some(self.accounts());
                }
            }
            Report::Finished => self.running -= 1,
        }
    }

    fn begin(&mut self) {
        if self.ready == 0 {
            self.ended = self.ended.or(Some(Ended::GaveUp));
            return self.call_off();
        }
        let options = self.setup.options;
        let start = Instant::now() + LEAD;
        let opens = start + options.warm_up;
        let plan = Plan { start, opens, ends: options.stop.duration.map(|duration| opens + duration) };
        if self.setup.control.plan.set(Some(plan)).is_ok() {
            self.plan = Some(plan);
        }
        self.wake();
    }

    fn accounts(&self) -> Accounts {
        Accounts { machine: Machine::read(), target: self.setup.options.target_pid.and_then(Process::read) }
    }

    fn take_accounts(&mut self, now: Instant) {
        if self.opening.is_none() && self.plan.is_some_and(|plan| plan.opens <= now) {
            self.opening = Some(self.accounts());
        }
    }

    fn step(&self, now: Instant) -> Step {
        match self.plan {
            _ if self.ended.is_some() => Step::Draining,
            None => Step::Connecting,
            Some(plan) if now < plan.opens => Step::WarmUp,
            Some(_) => Step::Measuring,
        }
    }

    fn snapshot(&mut self, step: Step, now: Instant) -> Snapshot {
        let control = self.setup.control;
        let since_origin = |at: Instant| at.saturating_duration_since(self.setup.origin);
        let acknowledged = control.sum(|p| &p.accepted);
        let (before, then) = self.last_snapshot;
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        let rate = if seconds > 0.0 { (acknowledged - then) as f64 / seconds } else { 0.0 };
        self.last_snapshot = (now, acknowledged);
        let sent = control.sum(|p| &p.started);
        let messages = self.setup.options.stop.messages;
        let elapsed = since_origin(now);
        let by_count = messages.filter(|_| rate > 0.0).and_then(|all| {
            Duration::try_from_secs_f64(all.saturating_sub(sent) as f64 / rate).ok().map(|left| elapsed + left)
        });
        let by_time = self.plan.and_then(|plan| plan.ends).map(since_origin);
        let latest = self.seconds.last_key_value().map(|(_, (_, histogram))| histogram);
        Snapshot {
            step,
            elapsed,
            expected_end: [by_count, by_time].into_iter().flatten().min(),
            messages,
            open: control.sum(|p| &p.open),
            sent,
            acknowledged,
            not_accepted: control.sum(|p| &p.not_accepted),
            rate,
            p50_ns: latest.map(|h| h.value_at_quantile(0.5)),
            p99_ns: latest.map(|h| h.value_at_quantile(0.99)),
        }
    }

    /// Adds up what the threads counted.
    pub(super) fn results(mut self, tallies: Vec<Tally>, started_at: SystemTime) -> Results {
        let options = self.setup.options;
        let mut latency = Latency::new();
        let (mut measured, mut warm_up) = (Counts::default(), Counts::default());
        let mut replies = vec![0; 1000];
        let mut refused_by_code = BTreeMap::new();
        let mut errors = BTreeMap::new();
        let (mut waits, mut batch_span) = (new_histogram(), new_histogram());
        let mut unplaced = 0;
        let (mut accepted_in_window, mut octets_in_window) = (0, 0);
        let (mut octets_sent, mut pipelined) = (0, false);
        let (mut connections_opened, mut connections_ready) = (0, 0);
        let mut spans = Vec::new();
        let mut threads = Vec::new();
        let mut failures = Vec::new();
        let mut ledger = Vec::with_capacity(tallies.iter().map(|t| t.ledger.len()).sum());
        for tally in tallies {
            latency.add(&tally.latency);
            measured.add(&tally.measured);
            warm_up.add(&tally.warm_up);
            replies.iter_mut().zip(tally.replies.iter()).for_each(|(sum, n)| *sum += n);
            add_map(&mut refused_by_code, tally.refused_by_code);
            add_map(&mut errors, tally.errors);
            merge(&mut waits, &tally.waits);
            merge(&mut batch_span, &tally.batch_span);
            unplaced += tally.unplaced;
            accepted_in_window += tally.accepted_in_window;
            octets_in_window += tally.octets_in_window;
            octets_sent += tally.octets_sent;
            connections_opened += tally.connections_opened;
            connections_ready += tally.connections_ready;
            pipelined |= tally.pipelined;
            spans.extend(tally.window.span());
            threads.push(tally.window.load());
            failures.extend(tally.first_failure);
            ledger.extend(tally.ledger);
        }
        let window = match (spans.iter().map(|s| s.0).min(), spans.iter().map(|s| s.1).max()) {
            (Some(opens), Some(closes)) => closes.saturating_duration_since(opens),
            _ => Duration::ZERO,
        };
        let mut totals = measured;
        totals.add(&warm_up);
        let arrivals = match options.mode {
            Mode::Closed => None,
            Mode::Open { rate } => Some(Arrivals {
                rate,
                due: measured.started + unplaced,
                placed: measured.started,
                unplaced,
                waits: Censored(waits),
            }),
        };
        self.intervals.extend(std::mem::take(&mut self.seconds).into_iter().map(interval));
        let accounts = self.opening.zip(self.closing);
        let steal = accounts.as_ref().and_then(|(a, b)| b.machine?.steal_since(a.machine?));
        let target_cpu = accounts.as_ref().and_then(|(a, b)| Some(b.target.as_ref()?.since(a.target.as_ref()?)));
        Results {
            mode: options.mode,
            address: self.setup.address,
            connections: options.connections,
            reconnect: options.reconnect,
            threads: self.setup.threads,
            pipelined,
            started_at,
            elapsed: self.setup.origin.elapsed(),
            window,
            ended: self.ended.unwrap_or(Ended::Stopped),
            totals,
            measured,
            warm_up,
            accepted_in_window,
            octets_in_window,
            octets_sent,
            latency,
            arrivals,
            replies: (0..).zip(replies).filter(|(_, n)| *n > 0).collect(),
            refused_by_code,
            errors,
            first_failure: failures.into_iter().min_by_key(|f| f.at),
            connections_opened,
            connections_ready,
            intervals: self.intervals,
            generator: GeneratorLoad { threads, batch_span, steal },
            target_cpu,
            ledger,
        }
    }
}

fn add_map<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}

fn interval((second, (accepted, service)): (u64, (u64, Histogram))) -> Interval {
    Interval {
        second,
        accepted,
        p50_ns: service.value_at_quantile(0.5),
        p99_ns: service.value_at_quantile(0.99),
        max_ns: service.max(),
    }
}
