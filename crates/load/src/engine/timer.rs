//! One timerfd per thread, and the deadlines of its connections.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A timer that wakes a poll, exact to the nanosecond: a poll's own timeout is rounded up to whole milliseconds.
///
/// Registered edge-triggered it need not be read: setting it clears it, and each expiry is a new edge.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
    /// When it will fire.
    armed: Option<Instant>,
}

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { fd, armed: None })
    }

    /// Makes it fire at `at` or earlier. An earlier time that it is set to already stays: waking for nothing once is cheaper than
    /// setting it each time that a moment is put off.
    pub(super) fn wake_at(&mut self, at: Instant, now: Instant) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= at && armed > now) {
            return Ok(());
        }
        // Zero would disarm it.
        let wait = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let value =
            Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: never, it_value: value })?;
        self.armed = Some(now + wait);
        Ok(())
    }

    /// How long ago it was to fire, if that is past.
    pub(super) fn late(&self, now: Instant) -> Duration {
        self.armed.map_or(Duration::ZERO, |armed| now.saturating_duration_since(armed))
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Deadlines of connections, each by its index. A connection's deadline moves later with each command, and that costs nothing: its
/// entry stays where it is, and is looked at again when it is due.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The earliest entry of each connection that counts.
    earliest: Vec<Option<Instant>>,
}

impl Deadlines {
    pub(super) fn new(connections: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(connections), earliest: vec![None; connections] }
    }

    /// The deadline of connection `index` is `at`.
    #[inline]
    pub(super) fn set(&mut self, index: usize, at: Instant) {
        if self.earliest[index].is_none_or(|earliest| at < earliest) {
            self.earliest[index] = Some(at);
            self.heap.push(Reverse((at, index)));
        }
    }

    /// When the first entry is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a connection whose entry is due; its deadline must be looked at and set again.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((at, index))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            if self.earliest[index] == Some(at) {
                self.earliest[index] = None;
                return Some(index);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moves_later_is_looked_at_when_it_was_due_first() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new(2);
        deadlines.set(0, at(10));
        deadlines.set(0, at(20));
        deadlines.set(1, at(15));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(15)), Some(0));
        deadlines.set(0, at(20));
        assert_eq!(deadlines.pop(at(15)), Some(1));
        assert_eq!(deadlines.pop(at(15)), None);
        assert_eq!(deadlines.pop(at(20)), Some(0));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_earlier_fires_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new(1);
        deadlines.set(0, at(20));
        deadlines.set(0, at(10));
        assert_eq!(deadlines.pop(at(30)), Some(0));
        assert_eq!(deadlines.pop(at(30)), None);
    }

    #[test]
    fn a_timer_wakes_a_poll_each_time_it_is_set() {
        let mut poll = mio::Poll::new().unwrap();
        let mut timer = Timer::new().unwrap();
        let fd = timer.as_raw_fd();
        poll.registry().register(&mut mio::unix::SourceFd(&fd), mio::Token(0), mio::Interest::READABLE).unwrap();
        let mut events = mio::Events::with_capacity(4);
        for _ in 0..3 {
            let now = Instant::now();
            timer.wake_at(now + Duration::from_micros(300), now).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty());
            assert!(now.elapsed() >= Duration::from_micros(300));
        }
    }
}
