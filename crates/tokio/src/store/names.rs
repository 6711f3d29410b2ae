//! What messages are called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes names that no other message has: the time, the process, a counter, and a number drawn at its start
/// against a clock that was set back and a process id that was used before.
#[derive(Debug)]
pub(super) struct Names {
    count: AtomicU64,
    process: u32,
    random: u32,
}

impl Names {
    pub(super) fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        // The hasher's keys are the standard library's only source of randomness.
        let random = RandomState::new().hash_one(()) as u32;
        Self { count: AtomicU64::new(0), process: std::process::id(), random }
    }

    /// What makes the name of a file, and is the id of its message.
    pub(super) fn next(&self, now: SystemTime) -> String {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{}.M{}P{}R{:08x}Q{count}", since.as_secs(), since.subsec_micros(), self.process, self.random)
    }
}
