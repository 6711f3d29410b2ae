//! What a run was told, as a report repeats it.

use serde::Serialize;

use crate::options::{Mode, Options};

/// What the run was told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// The server, as the user named it.
    pub target: String,
    /// The server's address, empty if it has none.
    pub address: String,
    /// Whether the server was started for the run.
    pub embedded: bool,
    /// `open` or `closed`.
    pub mode: &'static str,
    /// Messages per second in an open loop.
    pub rate: Option<f64>,
    /// Connections open at the same time.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Whether PIPELINING was to be used if offered.
    pub pipelining: bool,
    /// Whether it was used.
    pub pipelined: bool,
    /// One message for each connection.
    pub reconnect: bool,
    /// The most messages to send.
    pub messages: Option<u64>,
    /// How long to send, in seconds.
    pub duration_s: Option<f64>,
    /// How long messages were sent before any was measured, in seconds.
    pub warm_up_s: f64,
    /// The seed of all that is drawn.
    pub seed: u64,
    /// The first half of the ids of the messages, in hexadecimal digits.
    pub run_id: String,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
}

impl Config {
    pub(super) fn new(options: &Options, address: String, pipelined: bool, embedded: bool) -> Self {
        let (mode, rate) = match options.mode {
            Mode::Closed => ("closed", None),
            Mode::Open { rate } => ("open", Some(rate)),
        };
        Self {
            target: options.target.name.clone(),
            address,
            embedded,
            mode,
            rate,
            connections: options.connections,
            threads: options.threads.min(options.connections),
            pipelining: options.pipelining,
            pipelined,
            reconnect: options.reconnect,
            messages: options.stop.messages,
            duration_s: options.stop.duration.map(|it| it.as_secs_f64()),
            warm_up_s: options.warm_up.as_secs_f64(),
            seed: options.seed,
            run_id: format!("{:016x}", options.run_id),
            from: options.envelope.from.clone(),
            to: options.envelope.to.clone(),
        }
    }
}
