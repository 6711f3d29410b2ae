//! What a run is told to do.

use crate::{MessageSet, RunError};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

/// The server that a run aims at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the user wrote it; for texts.
    pub name: String,
    /// Its addresses, in order of preference. If there are several, the first that takes a TCP connection is used for the whole
    /// run.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// Looks `HOST:PORT` up. An IPv6 address stands in brackets.
    ///
    /// # Errors
    ///
    /// [`RunError::Target`] if it has no port, or the host has no address.
    pub fn resolve(name: &str) -> Result<Self, RunError> {
        let failed = |why: String| RunError::Target { name: name.to_owned(), why };
        let addresses: Vec<_> = name.to_socket_addrs().map_err(|e| failed(e.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(failed("the host has no address".to_owned()));
        }
        Ok(Self { name: name.to_owned(), addresses })
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { name: address.to_string(), addresses: vec![address] }
    }
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Every connection sends its next message as soon as it has the reply to the last one. Finds the peak; what it says about
    /// latency is about a saturated server, because a slow reply delays the next question.
    Closed,
    /// Messages are due at a constant rate, evenly spaced, whether or not the server keeps up. The schedule belongs to the run:
    /// any idle connection takes the next message that is due.
    Open {
        /// Messages per second over all connections; above zero.
        rate: f64,
    },
}

/// When a run ends. The first limit that is reached ends it; one of them must be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// Messages to try, whatever becomes of them. Those of the warm-up count.
    pub messages: Option<u64>,
    /// How long to send after the warm-up.
    pub duration: Option<Duration>,
}

/// How long the server may take for one step (RFC 5321 §4.5.3.2 names minutes; a load test wants to end sooner).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept the TCP connection.
    pub connect: Duration,
    /// To greet after the TCP connection is made.
    pub greeting: Duration,
    /// To answer any command but the end of data.
    pub command: Duration,
    /// To take some more of a body.
    pub block: Duration,
    /// To answer the end of data.
    pub end_of_data: Duration,
}

impl Default for Timeouts {
    /// 10 s to connect, 30 s for a reply or a block, 60 s for the end of data.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            command: Duration::from_secs(30),
            block: Duration::from_secs(30),
            end_of_data: Duration::from_secs(60),
        }
    }
}

/// Sender and recipients of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSpec {
    /// Address for MAIL FROM, without brackets; empty for the null reverse-path (RFC 5321 §4.5.5).
    pub from: String,
    /// Addresses for RCPT TO, without brackets; at least one.
    pub to: Vec<String>,
}

impl Default for EnvelopeSpec {
    /// Addresses under `example.org` and `example.net`, which nobody owns (RFC 2606 §3).
    fn default() -> Self {
        Self { from: "load@example.org".to_owned(), to: vec!["sink@example.net".to_owned()] }
    }
}

/// Everything about a run. Made by [`new`](Self::new); then set what is to differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The server.
    pub target: Target,
    /// Connections open at the same time, over all threads; at least one. Default 100.
    pub connections: usize,
    /// Threads of the generator, at least one; more than `connections` are not started. Default [`default_threads`].
    pub threads: usize,
    /// Closed or open loop. Default closed.
    pub mode: Mode,
    /// Send MAIL, RCPT and DATA in one flight if the server offers PIPELINING (RFC 2920). Default true.
    pub pipelining: bool,
    /// One message per connection: connect, send, QUIT, connect again. Default false: connections are kept.
    pub reconnect: bool,
    /// When to end. Default: after 10 s.
    pub stop: Stop,
    /// Messages that start (under a rate: that are due) in this time after the connections are made are sent and counted, but
    /// are in no latency figure and no rate. Default 1 s.
    pub warm_up: Duration,
    /// How long messages under way may take after the end before they are counted as unfinished. Default 5 s.
    pub drain: Duration,
    /// Which message goes when is drawn from this.
    pub seed: u64,
    /// Number of the run, in the id of each message. Choose another one for each run.
    pub run_id: u64,
    /// Sender and recipients.
    pub envelope: EnvelopeSpec,
    /// What to send.
    pub messages: Arc<MessageSet>,
    /// Keep an account of every message for the integrity check: 64 bytes of memory per message, and the digest's CPU time.
    pub ledger: bool,
    /// Deadlines of each step.
    pub timeouts: Timeouts,
    /// Name for EHLO (RFC 5321 §4.1.1.1): a domain or an address literal. Default `localhost.localdomain`.
    pub ehlo_name: String,
    /// Connections per thread that may wait for TCP or for their greeting at the same time, so that a backlog does not overflow.
    /// A connection whose greeting takes longer than 100 ms counts no more. Default 64.
    pub connect_window: usize,
    /// Process whose CPU time is read from /proc and told per message, if it runs on this machine.
    pub target_pid: Option<u32>,
}

impl Options {
    /// Defaults for all but what to send and where to.
    #[must_use]
    pub fn new(target: Target, messages: Arc<MessageSet>) -> Self {
        Self {
            target,
            connections: 100,
            threads: default_threads(),
            mode: Mode::Closed,
            pipelining: true,
            reconnect: false,
            stop: Stop { messages: None, duration: Some(Duration::from_secs(10)) },
            warm_up: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            seed: 1,
            run_id: 1,
            envelope: EnvelopeSpec::default(),
            messages,
            ledger: false,
            timeouts: Timeouts::default(),
            ehlo_name: "localhost.localdomain".to_owned(),
            connect_window: 64,
            target_pid: None,
        }
    }
}

/// Threads that leave as many cores to the server as to the generator: half of those of this machine, at least one.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}
