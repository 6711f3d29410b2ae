//! An SMTP load generator that measures latency and throughput over many connections, and judges its own measurement.
//!
//! - [`run`] drives a server: closed loop (every connection sends as soon as it may) or open loop (messages at a fixed rate,
//!   whatever the server does), and returns [`Results`].
//! - [`calibrate`] runs the same mix against a [`null`] responder and tells what the generator itself can reach.
//! - [`verdict`] says whether the figures can be believed, and why not.
//!
//! # Clocks
//!
//! Every message has three moments: *intended* (when the schedule wanted it sent), *sent* (just before the first byte of MAIL
//! was written) and *complete* (when the reply to the end of data was there). Service time is sent to complete, response time is
//! intended to complete, lag is intended to sent. They are kept in histograms of their own and never mixed; a closed loop has no
//! intended moment, so it has service times only.
//!
//! A reply's moment is when the poll that reported it returned, so it does not depend on how many other connections were served
//! before it. How long such a batch took is recorded too ([`GeneratorLoad::batch_span`]): it bounds what a moment is off by.

mod calibrate;
pub mod corpus;
mod engine;
mod error;
pub mod integrity;
mod latency;
pub mod ledger;
mod message;
pub mod null;
mod observer;
mod options;
pub mod report;
mod results;
mod system;
mod verdict;

pub use calibrate::{Calibration, calibrate};
pub use engine::run;
pub use error::RunError;
pub use latency::{
    Censored, Histogram, Latency, Percentile, Phase, Samples, new_histogram, percentile, percentile_with,
};
pub use message::{Fate, ID_LINE_LEN, LedgerEntry, Message, MessageId, MessageSet, digest};
pub use observer::{Observer, Snapshot, Step};
pub use options::{EnvelopeSpec, Mode, Options, Stop, Target, Timeouts, default_threads};
pub use results::{Arrivals, Counts, Ended, ErrorKind, Failure, GeneratorLoad, Interval, Results, ThreadLoad};
pub use verdict::{Reason, Status, Verdict, verdict};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
