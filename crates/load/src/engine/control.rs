//! What passes between the thread that runs a run and those that send. Nothing here is touched for each message.

use crate::{Ended, Histogram};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// When to do what, once all connections are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The first message is due.
    pub(super) start: Instant,
    /// From here on is measured.
    pub(super) opens: Instant,
    /// No message is begun from here on.
    pub(super) ends: Option<Instant>,
}

/// How far one thread is. Alone in its cache lines, because only it writes them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Progress {
    pub(super) started: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) not_accepted: AtomicU64,
    pub(super) open: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Control {
    /// Set once: the plan, or nothing if there is none because the run is off.
    pub(super) plan: OnceLock<Option<Plan>>,
    pub(super) stop: AtomicBool,
    pub(super) progress: Vec<Progress>,
}

impl Control {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            plan: OnceLock::new(),
            stop: AtomicBool::new(false),
            progress: (0..threads).map(|_| Progress::default()).collect(),
        }
    }

    /// The sum over all threads.
    pub(super) fn sum(&self, of: impl Fn(&Progress) -> &AtomicU64) -> u64 {
        self.progress.iter().map(|p| of(p).load(Ordering::Relaxed)).sum()
    }
}

/// What a sending thread tells.
#[derive(Debug)]
pub(super) enum Report {
    /// All its connections were tried; so many are ready.
    Tried { ready: usize },
    /// A second is over, counted from the start.
    Second { number: u64, accepted: u64, service: Box<Histogram> },
    /// It begins no more messages.
    Drains(Ended),
    /// Its measured part is over.
    WindowClosed,
    /// It is done.
    Finished,
}
