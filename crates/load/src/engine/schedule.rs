//! When messages are due, for one thread.

use std::time::{Duration, Instant};

/// Most groups that overdue arrivals are told in.
const MAX_GROUPS: u64 = 10_000;

/// The arrivals of one thread: every `threads`-th of the run's, which are evenly spaced. They are numbered, so any number of them
/// can be overdue and no memory is needed for it.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    /// Nanoseconds between two arrivals of the run.
    spacing: f64,
    thread: u64,
    threads: u64,
    /// Arrivals of this thread that were taken.
    taken: u64,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: f64, thread: usize, threads: usize) -> Self {
        Self { start, spacing: 1e9 / rate, thread: thread as u64, threads: threads as u64, taken: 0 }
    }

    /// When the next message is due.
    pub(super) fn next(&self) -> Instant {
        self.due_at(self.taken)
    }

    fn due_at(&self, index: u64) -> Instant {
        // 53 bits of a float hold a hundred days in nanoseconds.
        let offset = (index * self.threads + self.thread) as f64 * self.spacing;
        self.start + Duration::from_nanos(offset as u64)
    }

    /// Takes the next arrival, if it is due: when it was.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next();
        (due <= now).then(|| {
            self.taken += 1;
            due
        })
    }

    /// The arrivals from `from` on and before `end`, at most `limit` of this thread's in all, that were not taken: as groups of (when
    /// due, how many).
    ///
    /// Any number can be overdue, so there are at most [`MAX_GROUPS`] groups, each with the latest of its moments.
    pub(super) fn untaken(&self, from: Instant, end: Instant, limit: u64) -> impl Iterator<Item = (Instant, u64)> + '_ {
        let first = self.before(from).max(self.taken);
        let last = self.before(end).min(limit);
        let group = last.saturating_sub(first).div_ceil(MAX_GROUPS).max(1);
        (first..last).step_by(usize::try_from(group).unwrap_or(usize::MAX)).map(move |first| {
            let count = group.min(last - first);
            (self.due_at(first + count - 1), count)
        })
    }

    /// How many of this thread's arrivals are due before `end`.
    fn before(&self, end: Instant) -> u64 {
        let ns = end.saturating_duration_since(self.start).as_nanos() as f64;
        let arrivals = (ns / self.spacing).ceil() as u64;
        let mut count = arrivals.saturating_sub(self.thread).div_ceil(self.threads);
        // The division may be off by one where the multiplication of `due_at` is not.
        while self.due_at(count) < end {
            count += 1;
        }
        while count > 0 && self.due_at(count - 1) >= end {
            count -= 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_together_keep_the_rate() {
        let start = Instant::now();
        let mut all: Vec<_> = (0..3)
            .flat_map(|thread| {
                let mut schedule = Schedule::new(start, 300.0, thread, 3);
                std::iter::from_fn(move || schedule.take(start + Duration::from_millis(999))).collect::<Vec<_>>()
            })
            .collect();
        all.sort();
        assert_eq!(all.len(), 300);
        for (i, pair) in all.windows(2).enumerate() {
            let gap = (pair[1] - pair[0]).as_nanos();
            assert!((3_333_332..=3_333_334).contains(&gap), "{i}: {gap}");
        }
    }

    #[test]
    fn arrivals_that_were_not_taken_keep_their_times() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000.0, 0, 1);
        assert_eq!(schedule.take(start), Some(start));
        assert_eq!(schedule.take(start), None);
        let end = start + Duration::from_millis(10);
        assert_eq!(schedule.untaken(start, end, u64::MAX).count(), 9);
        assert_eq!(schedule.untaken(start, end, 4).count(), 3);
        assert_eq!(schedule.untaken(start, end, u64::MAX).next(), Some((start + Duration::from_millis(1), 1)));
    }

    #[test]
    fn any_number_of_overdue_arrivals_is_told_in_few_groups() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1e6, 1, 2);
        let end = start + Duration::from_secs(3600);
        let groups: Vec<_> = schedule.untaken(start, end, u64::MAX).collect();
        assert!(groups.len() as u64 <= MAX_GROUPS);
        assert_eq!(groups.iter().map(|g| g.1).sum::<u64>(), 3600 * 500_000);
        let from = start + Duration::from_secs(1);
        assert_eq!(schedule.untaken(from, end, u64::MAX).map(|g| g.1).sum::<u64>(), 3599 * 500_000);
        assert!(groups.iter().all(|g| g.0 < end));
    }

    #[test]
    fn a_long_run_does_not_drift() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 7000.0, 0, 1);
        assert_eq!(schedule.due_at(7000 * 86_400) - start, Duration::from_secs(86_400));
    }
}
