//! How a thread comes to its end: when, and what it waits for.

use super::control::Report;
use super::tally::MAX_LEDGER;
use super::window::between;
use super::worker::{Course, QUIT_PATIENCE, Worker, cx};
use crate::{Counts, Ended};
use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Failures without one message answered in between after which a thread looks whether to give up.
const GIVE_UP_FAILURES: u64 = 10;
/// How long it goes on failing before it gives up, if messages were answered earlier.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

impl Worker<'_> {
    /// Looks whether it is time to end.
    pub(super) fn check_end(&mut self, now: Instant) {
        let stopped = self.setup.control.stop.load(Ordering::Relaxed);
        match &mut self.course {
            Course::Connecting => {}
            Course::Sending(plan) => {
                let ends = plan.ends.filter(|ends| *ends <= now);
                if ends.is_some() {
                    // What was due just before the end, and for which there is a connection, has not failed to find one.
                    self.dispatch(now);
                }
                let tally = &self.tally;
                let failing = tally.failures_since_answer >= GIVE_UP_FAILURES.max(3 * self.conns.len() as u64);
                let in_vain = !tally.answered || now.saturating_duration_since(tally.last_answer) > GIVE_UP_AFTER;
                if let Some(ends) = ends {
                    self.drain(Ended::Duration, ends);
                } else if stopped {
                    self.drain(Ended::Stopped, now);
                } else if self.taken_on >= self.share {
                    self.drain(Ended::Messages, now);
                } else if failing && in_vain {
                    self.drain(Ended::GaveUp, now);
                } else if tally.ledger.len() >= MAX_LEDGER {
                    self.drain(Ended::LedgerFull, now);
                }
            }
            Course::Draining { until, .. } => {
                if stopped && until.is_none() {
                    *until = Some(now + self.setup.options.drain);
                }
            }
        }
    }

    /// No message is begun any more: for this reason, since then.
    pub(super) fn drain(&mut self, why: Ended, end: Instant) {
        // The last messages of a given number are waited for as all before them were: until their own deadlines.
        let until = (why != Ended::Messages).then(|| end + self.setup.options.drain);
        if let (Some(schedule), Course::Sending(plan)) = (&self.schedule, self.course) {
            // All were taken that could be; what is left was due and found no connection.
            for (due, count) in schedule.untaken(plan.opens, end, self.share) {
                self.tally.unplaced += count;
                self.tally.waits.saturating_record_n(between(due, end), count);
            }
        }
        self.course = Course::Draining { until, quiet: None };
        if why != Ended::Messages {
            self.close_window(end);
        }
        self.tell(Report::Drains(why));
        let now = Instant::now();
        if !self.setup.options.reconnect {
            self.making.line.clear();
        }
        for index in 0..self.conns.len() {
            self.wind_up(index, now);
        }
    }

    fn close_window(&mut self, at: Instant) {
        self.tally.window.close(at);
        if !mem::replace(&mut self.window_told, true) {
            self.tell(Report::WindowClosed);
        }
    }

    fn messages_under_way(&self) -> u64 {
        let open = |c: &Counts| c.started - c.accepted - c.refused - c.failed - c.unknown;
        open(&self.tally.measured) + open(&self.tally.warm_up)
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_done(&mut self, now: Instant) -> bool {
        let under_way = self.messages_under_way();
        let last_done = self.tally.last_done;
        let Course::Draining { until, quiet, .. } = &mut self.course else { return false };
        if under_way == 0 {
            let since = *quiet.get_or_insert(now);
            let (until, up) = (*until, self.up);
            self.close_window(last_done);
            return up == 0 || now >= since + QUIT_PATIENCE || until.is_some_and(|until| now >= until);
        }
        until.is_some_and(|until| now >= until)
    }

    /// Gives up what is still under way.
    pub(super) fn finish(&mut self, now: Instant) {
        for index in 0..self.conns.len() {
            self.conns[index].abandon(&mut cx!(self), now);
        }
        self.close_window(now);
        self.publish();
        self.send_second(self.second.0);
    }
}
