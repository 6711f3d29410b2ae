//! How long a message may take, until more of it comes and on the whole.

use ehlo_server::Config;
use std::time::{Duration, Instant};

/// A message that is coming.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    begin: Instant,
    /// Some of it came, or its sink went on.
    last: Instant,
    /// So long its sink took no more.
    paused: Duration,
    since: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(begin: Instant) -> Self {
        Self { begin, last: begin, paused: Duration::ZERO, since: None }
    }

    pub(super) const fn came(&mut self, now: Instant) {
        self.last = now;
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.paused += now - since;
            self.last = now;
        }
    }

    /// When it is given up, if no more than these octets of it come.
    pub(super) fn end(&self, config: &Config, octets: usize) -> Instant {
        let next = self.last + config.timeouts.body;
        let Some(seconds) = (octets as u64).checked_div(config.limits.data_rate.into()) else { return next };
        next.min(self.begin + config.timeouts.slow_body + self.paused + Duration::from_secs(seconds))
    }
}
