//! What is logged of peers: so much of each at the most, and nothing that could be taken for something else.
//!
//! Events have the span of their connection, and those of a message that of its transaction; the book lists their fields. Neither a message
//! nor a word of an AUTH exchange is ever among them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::hub::network;
use crate::metrics::{Count, Metrics};

/// Characters of a peer's words that are shown.
const SHOWN: usize = 128;

/// Bounds of what is logged of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLimits {
    /// Lines that one address, or one /64 network of IPv6, may cause in an [`interval`](Self::interval); the others are counted, and their number
    /// is told behind it. Default: 1000, which is seventeen a second. 0: any number.
    pub lines: u32,
    /// Default: a minute.
    pub interval: Duration,
    /// Addresses that lines are counted for; when there are more in one interval, all others share one count. Default: 4096.
    pub peers: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { lines: 1000, interval: Duration::from_secs(60), peers: 4096 }
    }
}

impl LogLimits {
    /// With so many lines of one address.
    #[must_use]
    pub const fn lines(mut self, lines: u32) -> Self {
        self.lines = lines;
        self
    }

    /// With intervals of that length.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// With counts for so many addresses.
    #[must_use]
    pub const fn peers(mut self, peers: usize) -> Self {
        self.peers = peers;
        self
    }
}

/// The counts of all peers.
#[derive(Debug)]
pub(crate) struct PeerLogs {
    limits: LogLimits,
    start: Instant,
    peers: Mutex<HashMap<IpAddr, Arc<PeerLog>>>,
    /// Of those for whom there was no room.
    others: Arc<PeerLog>,
}

/// Lines of one peer.
#[derive(Debug)]
pub(crate) struct PeerLog {
    lines: u32,
    /// The number of an interval, and behind it how many lines there were in it.
    count: AtomicU64,
    left_out: AtomicU64,
}

impl PeerLog {
    fn new(lines: u32) -> Arc<Self> {
        Arc::new(Self { lines, count: AtomicU64::new(0), left_out: AtomicU64::new(0) })
    }

    /// Whether one more line may be written in that interval.
    fn allows(&self, interval: u32) -> bool {
        if self.lines == 0 {
            return true;
        }
        let this = u64::from(interval) << 32;
        let mut before = self.count.load(Ordering::Relaxed);
        loop {
            let lines = if before & !0xffff_ffff == this { before & 0xffff_ffff } else { 0 };
            if lines >= u64::from(self.lines) {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            let after = this | (lines + 1);
            match self.count.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => before = other,
            }
        }
    }

    fn is_of(&self, interval: u32) -> bool {
        self.count.load(Ordering::Relaxed) >> 32 == u64::from(interval)
    }

    fn take_left_out(&self) -> u64 {
        // Most have none, and are not written to.
        if self.left_out.load(Ordering::Relaxed) == 0 { 0 } else { self.left_out.swap(0, Ordering::Relaxed) }
    }
}

impl PeerLogs {
    pub(crate) fn new(limits: LogLimits, start: Instant) -> Self {
        let others = PeerLog::new(limits.lines);
        Self { limits, start, peers: Mutex::default(), others }
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.limits.interval
    }

    fn number(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.start).as_millis();
        u32::try_from(passed / self.limits.interval.as_millis().max(1)).unwrap_or(u32::MAX)
    }

    /// The count for a peer.
    pub(crate) fn of(&self, ip: IpAddr) -> Arc<PeerLog> {
        let network = network(ip);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(&network) {
            return Arc::clone(peer);
        }
        if peers.len() >= self.limits.peers {
            return Arc::clone(&self.others);
        }
        let peer = PeerLog::new(self.limits.lines);
        peers.insert(network, Arc::clone(&peer));
        peer
    }

    /// Whether one more line may be written of a peer; if not, it is counted.
    pub(crate) fn allows(&self, peer: &PeerLog, metrics: &Metrics, now: Instant) -> bool {
        let allowed = peer.allows(self.number(now));
        if !allowed {
            metrics.one(Count::LinesLeftOut);
        }
        allowed
    }

    /// Tells how many lines were left out since the last time, and forgets peers that are gone.
    pub(crate) fn sweep(&self, now: Instant) {
        let this = self.number(now);
        let mut left_out = Vec::new();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|ip, peer| {
            let lines = peer.take_left_out();
            if lines > 0 {
                left_out.push((Some(*ip), lines));
            }
            Arc::strong_count(peer) > 1 || peer.is_of(this)
        });
        drop(peers);
        left_out.extend(Some((None, self.others.take_left_out())).filter(|(_, lines)| *lines > 0));
        for (peer, lines) in left_out {
            match peer {
                Some(peer) => tracing::info!(%peer, lines, "log lines of this peer were left out"),
                None => tracing::info!(lines, "log lines of many other peers were left out"),
            }
        }
    }
}

/// What a peer has said, as it may stand in a log: in printable ASCII, with escapes for all else, and cut.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN));
    for (number, character) in text.chars().enumerate() {
        if number == SHOWN {
            shown.push_str("...");
            break;
        }
        match character {
            ' '..='~' => shown.push(character),
            // A string does not fail.
            _ => drop(write!(shown, "{}", character.escape_unicode())),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(lines: u32, peers: usize) -> (PeerLogs, Metrics, Instant) {
        let start = tokio::time::Instant::now().into_std();
        (PeerLogs::new(LogLimits::default().lines(lines).peers(peers), start), Metrics::new(), start)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_may_cause_so_many_lines_in_each_interval() {
        let (logs, metrics, start) = logs(3, 10);
        let (one, two) = (logs.of(ip("192.0.2.1")), logs.of(ip("192.0.2.2")));
        let count = |peer: &PeerLog, now| (0..5).filter(|_| logs.allows(peer, &metrics, now)).count();
        assert_eq!(count(&one, start), 3);
        assert_eq!(count(&one, start + Duration::from_millis(59_999)), 0);
        assert_eq!(count(&two, start), 3, "one peer does not count for another");
        assert_eq!(metrics.get(Count::LinesLeftOut), 9);
        assert_eq!(count(&one, start + Duration::from_secs(60)), 3);
        assert_eq!(one.take_left_out(), 9);
        assert_eq!(one.take_left_out(), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let (logs, ..) = logs(3, 10);
        assert!(Arc::ptr_eq(&logs.of(ip("2001:db8::1")), &logs.of(ip("2001:db8::ffff:1"))));
        assert!(!Arc::ptr_eq(&logs.of(ip("2001:db8::1")), &logs.of(ip("2001:db8:0:1::1"))));
    }

    #[test]
    fn beyond_the_peers_that_are_counted_all_share_one_count() {
        let (logs, metrics, start) = logs(1, 2);
        for last in 0..50 {
            let peer = logs.of(ip(&format!("192.0.2.{last}")));
            assert_eq!(logs.allows(&peer, &metrics, start), last < 3, "{last}");
        }
        assert_eq!(logs.peers.lock().unwrap().len(), 2);
        // Those that are gone make room, but not within the interval, or who came back would begin anew.
        logs.sweep(start);
        assert_eq!(logs.peers.lock().unwrap().len(), 2);
        let here = logs.of(ip("192.0.2.0"));
        logs.sweep(start + Duration::from_secs(60));
        assert_eq!(logs.peers.lock().unwrap().len(), 1);
        drop(here);
    }

    #[test]
    fn no_limit_is_none() {
        let (logs, metrics, start) = logs(0, 2);
        let peer = logs.of(ip("192.0.2.1"));
        assert!((0..100_000).all(|_| logs.allows(&peer, &metrics, start)));
    }

    #[test]
    fn what_a_peer_says_cannot_be_taken_for_something_else() {
        for (said, expected) in [
            ("a@b", "a@b"),
            ("x\r\nlevel=ERROR", "x\\u{d}\\u{a}level=ERROR"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{202e}gnp", "\\u{202e}gnp"),
            ("j\u{f6}rg", "j\\u{f6}rg"),
        ] {
            assert_eq!(shown(said), expected);
        }
        assert_eq!(shown(&"x".repeat(SHOWN)).len(), SHOWN);
        assert_eq!(shown(&"x".repeat(SHOWN + 1)), "x".repeat(SHOWN) + "...");
        assert!(shown(&"\u{10ffff}".repeat(1000)).len() <= SHOWN * 10 + 3);
    }
}
