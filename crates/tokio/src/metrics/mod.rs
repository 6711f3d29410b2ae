//! What a server counts, and telling it to Prometheus.
//!
//! ```
//! use ehlo_tokio::metrics::{Endpoint, Metrics};
//! use ehlo_tokio::store::Discard;
//! use ehlo_tokio::{AcceptAll, Server};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let metrics = Metrics::new();
//! let endpoint = Endpoint::new(TcpListener::bind("127.0.0.1:0").await?, metrics.clone());
//! let server = Server::builder(AcceptAll(Discard)).metrics(metrics.clone());
//! tokio::spawn(endpoint.serve());
//! # drop(server);
//! assert!(metrics.render().contains("ehlo_smtp_connections_total 0\n"));
//! # Ok(())
//! # }
//! ```

mod http;
mod text;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ehlo_server::{CloseReason, CommandCounts, Question, Reason};

pub use self::http::Endpoint;
use crate::hub::Hub;

/// Sets of counters. Each thread counts in one of them, so that threads, up to so many, do not fight for a line of the cache.
const SHARDS: usize = 16;

/// The reply codes that are counted: 200 to 599 (RFC 5321 §4.2).
const FIRST_CODE: u16 = 200;
const CODES: usize = 400;

/// What is counted one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    Connections,
    Closed,
    RefusedTotal,
    RefusedPerAddress,
    Accepted,
    AcceptedBytes,
    Refused,
    Aborted,
    Handshakes,
    FailedHandshakes,
    Authentications,
    FailedAuthentications,
    StartTlsViolations,
    BadProxyHeaders,
    Shed,
    ReceivedBytes,
    SentBytes,
    LinesLeftOut,
    AcceptErrors,
}

const COUNTS: usize = Count::AcceptErrors as usize + 1;

/// The questions that are told apart.
pub(crate) const QUESTIONS: [&str; 10] =
    ["connect", "hello", "mail", "rcpt", "data", "vrfy", "expn", "etrn", "auth", "commit"];

/// The place of a question in [`QUESTIONS`].
pub(crate) const fn number(question: &Question) -> u8 {
    match question {
        Question::Connect(_) => 0,
        Question::Hello(_) => 1,
        Question::Mail(_) => 2,
        Question::Rcpt(_) => 3,
        Question::Vrfy(_) => 5,
        Question::Expn(_) => 6,
        Question::Etrn(_) => 7,
        Question::Auth(_) => AUTH,
        Question::Commit(_) => COMMIT,
        // Those that are to come are asked at DATA.
        _ => 4,
    }
}

pub(crate) const AUTH: u8 = 8;
pub(crate) const COMMIT: u8 = 9;

/// Counters of one or more threads, on lines of the cache of their own.
#[repr(align(128))]
struct Shard {
    counts: [AtomicU64; COUNTS],
    commands: Vec<AtomicU64>,
    replies: Vec<AtomicU64>,
    closes: [AtomicU64; CloseReason::NAMES.len()],
    timeouts: [AtomicU64; Reason::ALL.len()],
    /// Questions whose answer was not there at once, and those of them that are over.
    asked: [AtomicU64; QUESTIONS.len()],
    answered: [AtomicU64; QUESTIONS.len()],
}

impl Default for Shard {
    fn default() -> Self {
        let some = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            commands: some(CommandCounts::kinds().count()),
            replies: some(CODES),
            closes: [const { AtomicU64::new(0) }; CloseReason::NAMES.len()],
            timeouts: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            asked: [const { AtomicU64::new(0) }; QUESTIONS.len()],
            answered: [const { AtomicU64::new(0) }; QUESTIONS.len()],
        }
    }
}

#[derive(Default)]
struct Shared {
    shards: [Shard; SHARDS],
    /// The servers that count here: what they hold now is asked of them.
    hubs: Mutex<Vec<Weak<Hub>>>,
}

/// The counters of a server, or of several that are to be one. A clone shares them.
///
/// Counting costs an addition on a line of the cache that hardly any other thread writes to; adding up is for who asks.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Shared>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The set of this thread.
fn own() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

fn add(counter: Option<&AtomicU64>, n: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counters that are all 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self) -> &Shard {
        &self.0.shards[own()]
    }

    pub(crate) fn add(&self, count: Count, n: u64) {
        self.shard().counts[count as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn one(&self, count: Count) {
        self.add(count, 1);
    }

    pub(crate) fn commands(&self, counts: &CommandCounts) {
        let shard = self.shard();
        for (kind, count) in counts.iter() {
            add(shard.commands.get(kind), u64::from(count));
        }
    }

    /// A reply of that code was given. A code that is none of SMTP counts for nothing.
    pub(crate) fn reply(&self, code: u16) {
        let place = code.checked_sub(FIRST_CODE).map(usize::from);
        add(place.and_then(|place| self.shard().replies.get(place)), 1);
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        add(self.shard().closes.get(reason.number()), 1);
    }

    pub(crate) fn timeout(&self, reason: Reason) {
        let place = Reason::ALL.iter().position(|it| *it == reason);
        add(place.and_then(|place| self.shard().timeouts.get(place)), 1);
    }

    /// A question has to be waited for. A number that is none's counts for nothing.
    pub(crate) fn asked(&self, question: u8) {
        add(self.shard().asked.get(usize::from(question)), 1);
    }

    /// It is waited for no more.
    pub(crate) fn answered(&self, question: u8) {
        add(self.shard().answered.get(usize::from(question)), 1);
    }

    /// A server counts here from now on.
    pub(crate) fn join(&self, hub: &Arc<Hub>) {
        let mut hubs = self.0.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|hub| hub.strong_count() > 0);
        hubs.push(Arc::downgrade(hub));
    }

    fn hubs(&self) -> Vec<Arc<Hub>> {
        let hubs = self.0.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn get(&self, count: Count) -> u64 {
        self.sum(|shard| shard.counts.get(count as usize))
    }

    fn sum<'s>(&'s self, of: impl Fn(&'s Shard) -> Option<&'s AtomicU64>) -> u64 {
        let shards = self.0.shards.iter();
        shards.filter_map(of).fold(0, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
    }

    /// What was counted, and what is held now, in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        text::render(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_adds_up() {
        let metrics = Metrics::new();
        std::thread::scope(|scope| {
            for _ in 0..3 * SHARDS {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        metrics.one(Count::Accepted);
                        metrics.reply(250);
                    }
                });
            }
        });
        assert_eq!(metrics.get(Count::Accepted), 3 * SHARDS as u64 * 1000);
        assert!(metrics.render().contains("ehlo_smtp_replies_total{code=\"250\"} 48000\n"));
    }

    #[test]
    fn codes_that_are_none_are_not_counted() {
        let metrics = Metrics::new();
        for code in [0, 199, 600, u16::MAX] {
            metrics.reply(code);
        }
        assert!(!metrics.render().contains("ehlo_smtp_replies_total{"));
    }
}
