//! How long a message may take on the whole.

use ehlo_server::Config;
use std::time::{Duration, Instant};

/// A message that is coming.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    begin: Instant,
    /// So long its sink took no more.
    paused: Duration,
    since: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(begin: Instant) -> Self {
        Self { begin, paused: Duration::ZERO, since: None }
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.paused += now - since;
        }
    }

    /// When it is too slow, if no more than these octets of it come.
    pub(super) fn end(&self, config: &Config, octets: usize) -> Option<Instant> {
        let seconds = (octets as u64).checked_div(config.limits.data_rate.into())?;
        Some(self.begin + config.timeouts.slow_body + self.paused + Duration::from_secs(seconds))
    }
}
