//! Watching a run while it is under way.

use std::time::Duration;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connections are being made; no message is sent yet.
    Connecting,
    /// Messages are sent whose times are not recorded.
    WarmUp,
    /// Messages are sent and measured.
    Measuring,
    /// No new message is sent; those under way are waited for, and connections are closed.
    Draining,
}

impl Step {
    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::WarmUp => "warm-up",
            Self::Measuring => "measuring",
            Self::Draining => "draining",
        }
    }
}

/// How far a run has come. All counts are since its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it is doing.
    pub step: Step,
    /// Time since the start of the run.
    pub elapsed: Duration,
    /// When it is expected to end, measured like `elapsed`; `None` while that cannot be told.
    pub expected_end: Option<Duration>,
    /// Messages that it is to send, if that is limited.
    pub messages: Option<u64>,
    /// Connections that are ready to send or sending.
    pub open: u64,
    /// Messages begun.
    pub sent: u64,
    /// Messages accepted.
    pub acknowledged: u64,
    /// Messages refused, failed, or of unknown fate.
    pub not_accepted: u64,
    /// Messages accepted per second since the last snapshot.
    pub rate: f64,
    /// Median service time of the messages accepted in the last whole second, in nanoseconds.
    pub p50_ns: Option<u64>,
    /// 99th percentile of the same, in nanoseconds.
    pub p99_ns: Option<u64>,
}

/// Is told once a second how a run goes, and may end it.
pub trait Observer {
    /// Called about once a second and at changes of the step, on the thread that called [`run`](crate::run).
    fn snapshot(&self, snapshot: &Snapshot) {
        let _ = snapshot;
    }

    /// Asked some ten times a second. True ends the run as its own limit would: messages under way are waited for, and the
    /// results so far are returned.
    fn should_stop(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Observer for () {}
