//! The measured part of a run, as one thread sees it.

use super::tally::nanos;
use crate::{ThreadLoad, system};
use std::time::{Duration, Instant};

/// Lateness that counts as a stall: more than any wake-up or batch takes on a machine that has a core for the thread.
const STALL: Duration = Duration::from_millis(1);

/// A thread's accounts at one moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    cpu: Duration,
    busy: Duration,
    stalled: Duration,
    run_queue_wait: Option<Duration>,
}

impl Mark {
    fn now(busy: Duration, stalled: Duration) -> Self {
        Self {
            at: Instant::now(),
            cpu: system::thread_cpu(),
            busy,
            stalled,
            run_queue_wait: system::thread_run_queue_wait(),
        }
    }
}

/// The measured part: from the end of the warm-up until no more messages are begun, or, if their number ended the run, until the
/// last of them is done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    opens: Option<Instant>,
    closes: Option<Instant>,
    first: Option<Mark>,
    last: Option<Mark>,
    /// Time spent outside of polls, since the thread began.
    busy: Duration,
    /// Time by which the thread was late when it was late for more than [`STALL`].
    stalled: Duration,
}

impl Window {
    pub(super) const fn set_opening(&mut self, at: Instant) {
        self.opens = Some(at);
    }

    /// Whether a message that starts at `at` is measured.
    pub(super) fn measures(&self, at: Instant) -> bool {
        self.opens.is_some_and(|opens| at >= opens)
    }

    /// Whether what happens at `at` counts as throughput.
    pub(super) fn contains(&self, at: Instant) -> bool {
        self.measures(at) && self.closes.is_none_or(|closes| at <= closes)
    }

    pub(super) fn add_busy(&mut self, span: Duration) {
        self.busy += span;
    }

    /// The thread was late by so much.
    #[inline]
    pub(super) fn add_late(&mut self, late: Duration) {
        if late > STALL {
            self.stalled += late;
        }
    }

    /// When this must be looked at next: to open it.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.first.is_none() { self.opens } else { None }
    }

    /// Takes the accounts at its opening, once that moment is there.
    #[inline]
    pub(super) fn open_if_due(&mut self, now: Instant) {
        if self.first.is_none() && self.measures(now) {
            self.first = Some(Mark::now(self.busy, self.stalled));
        }
    }

    /// Nothing after `at` counts.
    pub(super) fn close(&mut self, at: Instant) {
        if self.closes.is_none() {
            self.closes = Some(at);
            self.last = Some(Mark::now(self.busy, self.stalled));
        }
    }

    /// When it opened and closed, if it ever opened.
    pub(super) fn span(&self) -> Option<(Instant, Instant)> {
        let (opens, closes) = (self.opens?, self.closes?);
        (opens < closes).then_some((opens, closes))
    }

    /// What the thread did meanwhile.
    pub(super) fn load(&self) -> ThreadLoad {
        let (Some(first), Some(last)) = (self.first, self.last) else { return ThreadLoad::default() };
        let waits = last.run_queue_wait.zip(first.run_queue_wait);
        ThreadLoad {
            wall: last.at.saturating_duration_since(first.at),
            busy: last.busy.saturating_sub(first.busy),
            cpu: last.cpu.saturating_sub(first.cpu),
            stalled: last.stalled.saturating_sub(first.stalled),
            run_queue_wait: waits.map(|(last, first)| last.saturating_sub(first)),
        }
    }
}

/// Time between two moments in nanoseconds; zero if they are the wrong way round, as the two clocks of a batch can be.
#[inline]
pub(super) fn between(from: Instant, to: Instant) -> u64 {
    nanos(to.saturating_duration_since(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_accounts_at_both_ends() {
        let start = Instant::now();
        let mut window = Window::default();
        window.add_busy(Duration::from_secs(1));
        assert!(!window.measures(start));
        window.set_opening(start);
        assert_eq!(window.next(), Some(start));
        window.open_if_due(start);
        assert_eq!(window.next(), None);
        window.add_busy(Duration::from_millis(3));
        window.add_late(Duration::from_millis(1));
        window.add_late(Duration::from_millis(2));
        std::thread::sleep(Duration::from_millis(5));
        let end = Instant::now();
        window.close(end);
        window.add_busy(Duration::from_secs(1));
        assert!(window.contains(end) && !window.contains(end + Duration::from_nanos(1)));
        let load = window.load();
        assert_eq!((load.busy, load.stalled), (Duration::from_millis(3), Duration::from_millis(2)));
        assert!(load.wall >= Duration::from_millis(5) && load.cpu < load.wall);
        assert_eq!(window.span(), Some((start, end)));
    }

    #[test]
    fn a_window_that_closed_before_it_opened_is_none() {
        let start = Instant::now();
        let mut window = Window::default();
        window.set_opening(start + Duration::from_secs(9));
        window.close(start);
        assert_eq!(window.span(), None);
        assert_eq!(window.load(), ThreadLoad::default());
    }
}
