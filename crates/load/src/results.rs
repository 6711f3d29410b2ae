//! What a run found.

use crate::{Censored, Histogram, Latency, LedgerEntry, Mode};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

/// What went wrong with a connection. One connection counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The target refused the TCP connection.
    ConnectRefused,
    /// No TCP connection within the time allowed.
    ConnectTimeout,
    /// The TCP connection failed in another way: no route, for example.
    ConnectFailed,
    /// This machine had no port left for a connection to the target.
    NoLocalPort,
    /// TCP was there, but no greeting within the time allowed.
    GreetingTimeout,
    /// The reply to EHLO or HELO did not come in time.
    EhloTimeout,
    /// The reply to MAIL did not come in time.
    MailTimeout,
    /// The reply to RCPT did not come in time.
    RcptTimeout,
    /// The reply to DATA did not come in time.
    DataTimeout,
    /// The server did not take more of a message in time.
    BlockTimeout,
    /// The reply to the end of data did not come in time.
    EndOfDataTimeout,
    /// The reply to QUIT or RSET did not come in time.
    QuitTimeout,
    /// The server greeted with, or answered EHLO with, 4xx or 5xx; or it broke off a message with one.
    SessionRefused,
    /// The server said 421 and closed (RFC 5321 §3.8).
    ServiceNotAvailable,
    /// The server closed the connection before it had greeted and answered EHLO.
    ClosedBeforeGreeting,
    /// The server closed an idle connection, or one that had no message under way.
    Closed,
    /// The server closed the connection while a message was under way.
    ClosedMidTransaction,
    /// The connection was reset.
    Reset,
    /// What the server sent is not an SMTP reply, or answers nothing.
    NotSmtp,
    /// The message cannot be sent to this server as it is: it needs an extension that the server lacks.
    Unsupported,
    /// Another error from the operating system.
    Io,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::NoLocalPort,
        Self::GreetingTimeout,
        Self::EhloTimeout,
        Self::MailTimeout,
        Self::RcptTimeout,
        Self::DataTimeout,
        Self::BlockTimeout,
        Self::EndOfDataTimeout,
        Self::QuitTimeout,
        Self::SessionRefused,
        Self::ServiceNotAvailable,
        Self::ClosedBeforeGreeting,
        Self::Closed,
        Self::ClosedMidTransaction,
        Self::Reset,
        Self::NotSmtp,
        Self::Unsupported,
        Self::Io,
    ];

    /// Its name in reports, as in `errors.connect_refused`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::NoLocalPort => "no_local_port",
            Self::GreetingTimeout => "greeting_timeout",
            Self::EhloTimeout => "ehlo_timeout",
            Self::MailTimeout => "mail_timeout",
            Self::RcptTimeout => "rcpt_timeout",
            Self::DataTimeout => "data_timeout",
            Self::BlockTimeout => "block_timeout",
            Self::EndOfDataTimeout => "end_of_data_timeout",
            Self::QuitTimeout => "quit_timeout",
            Self::SessionRefused => "session_refused",
            Self::ServiceNotAvailable => "service_not_available",
            Self::ClosedBeforeGreeting => "closed_before_greeting",
            Self::Closed => "closed",
            Self::ClosedMidTransaction => "closed_mid_transaction",
            Self::Reset => "reset",
            Self::NotSmtp => "not_smtp",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of messages. Each message that was started is in exactly one of the other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages taken on: a connection was ready and MAIL was due, or, with one connection per message, it was to be connected.
    pub started: u64,
    /// 2xx to the end of data.
    pub accepted: u64,
    /// 4xx or 5xx to MAIL, to every RCPT, to DATA or to the end of data.
    pub refused: u64,
    /// The connection failed before the end of data was written: the server surely does not have the message.
    pub failed: u64,
    /// The end of data was written, and the connection failed before a reply: nobody knows.
    pub unknown: u64,
    /// Still under way when the run ended, after the time to drain.
    pub unfinished: u64,
    /// Recipients refused of messages that were accepted for others.
    pub recipients_refused: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.unfinished += other.unfinished;
        self.recipients_refused += other.recipients_refused;
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All messages were tried.
    Messages,
    /// Its time was over.
    Duration,
    /// The observer asked for it.
    Stopped,
    /// Nothing was accepted any more, and errors repeated: see [`Results::first_failure`].
    GaveUp,
    /// The account for the integrity check was full.
    LedgerFull,
}

/// One thing that went wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is counted as; `None` for a message that the server refused.
    pub kind: Option<ErrorKind>,
    /// A sentence with what the server said or the system reported. Printable ASCII only, and short.
    pub text: String,
    /// When, since the start of the run.
    pub at: Duration,
}

/// What happened in one second of a run, counted from the start of sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Number of the second, from 0.
    pub second: u64,
    /// Messages accepted in it.
    pub accepted: u64,
    /// Median service time of those, in nanoseconds; 0 if there are none.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Longest of the same.
    pub max_ns: u64,
}

/// How the schedule of an open loop was kept, over the measured part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arrivals {
    /// Messages per second asked for.
    pub rate: f64,
    /// Messages that were due.
    pub due: u64,
    /// Those that found a connection and were sent.
    pub placed: u64,
    /// Those that did not before the end: no connection was idle.
    pub unplaced: u64,
    /// How long those and the unfinished ones had waited since they were due. For [`percentile_with`](crate::percentile_with)
    /// on response times.
    pub waits: Censored,
}

/// What one thread of the generator did in the measured part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ThreadLoad {
    /// Length of the measured part.
    pub wall: Duration,
    /// Time that it spent outside of the wait for events: at work, or waiting for a core to go on working.
    pub busy: Duration,
    /// CPU time.
    pub cpu: Duration,
    /// Time it was ready to run and had no core, from /proc; `None` where the kernel does not tell.
    pub run_queue_wait: Option<Duration>,
    /// Time by which it was late when it was late for more than a millisecond: for a moment that it had set its timer to, or with
    /// the end of a batch.
    pub stalled: Duration,
}

impl ThreadLoad {
    /// Share of the time that it was late by more than a millisecond, 0 to 1.
    #[must_use]
    pub fn stalled_fraction(&self) -> f64 {
        share(self.stalled, self.wall)
    }

    /// Share of the time that it was busy, 0 to 1.
    #[must_use]
    pub fn busy_fraction(&self) -> f64 {
        share(self.busy, self.wall)
    }

    /// Share of the time that it waited for a core, 0 to 1.
    #[must_use]
    pub fn run_queue_fraction(&self) -> Option<f64> {
        self.run_queue_wait.map(|wait| share(wait, self.wall))
    }
}

pub(crate) fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

/// What the generator did in the measured part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GeneratorLoad {
    /// Each thread.
    pub threads: Vec<ThreadLoad>,
    /// Time from a poll's return until its last event was served: no moment is off by more.
    pub batch_span: Histogram,
    /// Share of this machine's CPU time that the hypervisor took, 0 to 1; `None` where the kernel does not tell.
    pub steal: Option<f64>,
}

impl GeneratorLoad {
    /// CPU time of all threads.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.threads.iter().map(|t| t.cpu).sum()
    }

    /// Busy fraction of the busiest thread, 0 to 1.
    #[must_use]
    pub fn busiest(&self) -> f64 {
        self.threads.iter().map(ThreadLoad::busy_fraction).fold(0.0, f64::max)
    }
}

/// What a run found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Results {
    /// As asked for.
    pub mode: Mode,
    /// Address that was used.
    pub address: std::net::SocketAddr,
    /// Connections asked for.
    pub connections: usize,
    /// Each message had a connection of its own.
    pub reconnect: bool,
    /// Threads that ran.
    pub threads: usize,
    /// Whether at least one connection sent in flights (RFC 2920).
    pub pipelined: bool,
    /// When it started.
    pub started_at: SystemTime,
    /// From the first connect to the end.
    pub elapsed: Duration,
    /// Length of the measured part: after the warm-up, before the drain.
    pub window: Duration,
    /// Why it ended.
    pub ended: Ended,
    /// Messages of the whole run.
    pub totals: Counts,
    /// Messages that started in the measured part: what the latencies are of.
    pub measured: Counts,
    /// Messages that started in the warm-up: in no latency.
    pub warm_up: Counts,
    /// Messages accepted within the measured part, whenever they started: what the throughput is of.
    pub accepted_in_window: u64,
    /// Octets of those, as decoded.
    pub octets_in_window: u64,
    /// Octets written to the network in the whole run, commands included.
    pub octets_sent: u64,
    /// Durations.
    pub latency: Latency,
    /// How the schedule was kept; open loop only.
    pub arrivals: Option<Arrivals>,
    /// Replies of the whole run by code, each counted: greetings, too.
    pub replies: BTreeMap<u16, u64>,
    /// Messages refused, by the code that decided.
    pub refused_by_code: BTreeMap<u16, u64>,
    /// Connections that failed, by kind. Kinds that did not happen are absent.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// The first thing that went wrong.
    pub first_failure: Option<Failure>,
    /// TCP connections made.
    pub connections_opened: u64,
    /// Connections, of those asked for, that were ready to carry a message at least once.
    pub connections_ready: u64,
    /// Second by second.
    pub intervals: Vec<Interval>,
    /// The generator's own state.
    pub generator: GeneratorLoad,
    /// CPU time of [`Options::target_pid`](crate::Options::target_pid) in the measured part.
    pub target_cpu: Option<Duration>,
    /// The account for the integrity check, if it was asked for; in no particular order.
    pub ledger: Vec<LedgerEntry>,
}

impl Results {
    /// Messages accepted per second in the measured part.
    #[must_use]
    pub fn messages_per_second(&self) -> f64 {
        per_second(self.accepted_in_window, self.window)
    }

    /// Octets of messages (as decoded) accepted per second in the measured part.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        per_second(self.octets_in_window, self.window)
    }

    /// CPU microseconds of the generator per message accepted in the measured part; `None` if there is none.
    #[must_use]
    pub fn generator_us_per_message(&self) -> Option<f64> {
        self.us_per_message(self.generator.cpu())
    }

    /// The same of the target, if its process is known.
    #[must_use]
    pub fn target_us_per_message(&self) -> Option<f64> {
        self.us_per_message(self.target_cpu?)
    }

    fn us_per_message(&self, cpu: Duration) -> Option<f64> {
        (self.accepted_in_window > 0).then(|| cpu.as_secs_f64() * 1e6 / self.accepted_in_window as f64)
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}
