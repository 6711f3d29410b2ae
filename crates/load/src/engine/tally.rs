//! What one thread counts.

use super::window::Window;
use crate::latency::new_histogram;
use crate::{Counts, ErrorKind, Failure, Histogram, Latency, LedgerEntry};
use ehlo_client::codec::ReplyCode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Entries of one thread's account for the integrity check; the run ends before there are more. Some 3 GiB.
pub(super) const MAX_LEDGER: usize = 50_000_000;
/// Octets of a peer's words that are quoted.
const MAX_QUOTE: usize = 160;

#[derive(Debug)]
pub(super) struct Tally {
    /// Start of the run: failures are told relative to it.
    origin: Instant,
    pub(super) window: Window,
    pub(super) latency: Latency,
    pub(super) warm_up: Counts,
    pub(super) measured: Counts,
    /// Indexed by code.
    pub(super) replies: Box<[u64; 1000]>,
    pub(super) refused_by_code: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<ErrorKind, u64>,
    pub(super) first_failure: Option<Failure>,
    pub(super) accepted_in_window: u64,
    pub(super) octets_in_window: u64,
    pub(super) octets_sent: u64,
    pub(super) connections_opened: u64,
    pub(super) connections_ready: u64,
    pub(super) pipelined: bool,
    pub(super) batch_span: Histogram,
    pub(super) ledger: Vec<LedgerEntry>,
    /// Service times of this second, whether measured or not, and how many messages were accepted.
    pub(super) second: Histogram,
    pub(super) second_accepted: u64,
    /// When the last message was done with, in whichever way.
    pub(super) last_done: Instant,
    /// When a message was last answered, and what has failed since.
    pub(super) last_answer: Instant,
    pub(super) failures_since_answer: u64,
    pub(super) answered: bool,
    /// Arrivals of the measured part that were not sent, and how long each had waited.
    pub(super) unplaced: u64,
    pub(super) waits: Histogram,
}

impl Tally {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            window: Window::default(),
            latency: Latency::new(),
            warm_up: Counts::default(),
            measured: Counts::default(),
            replies: Box::new([0; 1000]),
            refused_by_code: BTreeMap::new(),
            errors: BTreeMap::new(),
            first_failure: None,
            accepted_in_window: 0,
            octets_in_window: 0,
            octets_sent: 0,
            connections_opened: 0,
            connections_ready: 0,
            pipelined: false,
            batch_span: new_histogram(),
            ledger: Vec::new(),
            second: new_histogram(),
            second_accepted: 0,
            last_done: origin,
            last_answer: origin,
            failures_since_answer: 0,
            answered: false,
            unplaced: 0,
            waits: new_histogram(),
        }
    }

    /// The counts of messages that started in the measured part, or of the others.
    pub(super) const fn counts(&mut self, measured: bool) -> &mut Counts {
        if measured { &mut self.measured } else { &mut self.warm_up }
    }

    pub(super) fn reply(&mut self, code: ReplyCode) {
        if let Some(count) = self.replies.get_mut(usize::from(code.get())) {
            *count += 1;
        }
    }

    /// A connection failed.
    pub(super) fn error(&mut self, now: Instant, kind: ErrorKind, text: impl FnOnce() -> String) {
        *self.errors.entry(kind).or_default() += 1;
        self.failures_since_answer += 1;
        self.failure(now, Some(kind), text);
    }

    /// Keeps the words of the first failure.
    pub(super) fn failure(&mut self, now: Instant, kind: Option<ErrorKind>, text: impl FnOnce() -> String) {
        if self.first_failure.is_none() {
            let at = now.saturating_duration_since(self.origin);
            self.first_failure = Some(Failure { kind, text: text(), at });
        }
    }

    /// A message was accepted.
    pub(super) fn accepted(&mut self, now: Instant, octets: u64, service: Duration) {
        self.second_accepted += 1;
        self.second.saturating_record(nanos(service));
        if self.window.contains(now) {
            self.accepted_in_window += 1;
            self.octets_in_window += octets;
        }
    }

    /// A message was answered, for good or ill, and the connection goes on: the server works.
    pub(super) const fn answer(&mut self, now: Instant) {
        self.last_answer = now;
        self.failures_since_answer = 0;
        self.answered = true;
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a peer said, as it may be shown: its first line, printable ASCII, cut short.
pub(super) fn quote(bytes: &[u8]) -> String {
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let shown: String =
        line.iter().take(MAX_QUOTE).map(|b| if matches!(b, b' '..=b'~') { char::from(*b) } else { '?' }).collect();
    if line.len() > MAX_QUOTE { shown + "..." } else { shown }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quote_is_one_short_line_of_printable_characters() {
        assert_eq!(quote(b"550 no \x1b[31mred\xff\r\nmore"), "550 no ?[31mred?");
        assert_eq!(quote(&[b'x'; 500]).len(), 163);
        assert_eq!(quote(b""), "");
    }
}
