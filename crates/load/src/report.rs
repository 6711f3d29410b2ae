//! What a run found, for people and for programs.
//!
//! [`Report`] is the whole of it; serialised it is the JSON report. [`text`](fn@text) is the view of it for people. Both say the same.

mod config;
mod environment;
mod quantiles;
mod text;
pub mod units;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use config::Config;
pub use environment::Environment;
pub use quantiles::{LatencyReport, PhaseReport, Quantiles};
pub use text::{Style, text};

use crate::calibrate::Calibration;
use crate::corpus::Facts;
use crate::integrity::Integrity;
use crate::latency::{Latency, new_histogram};
use crate::options::{Mode, Options};
use crate::results::{Counts, Ended, Results};
use crate::verdict::{Reason, Status, Verdict};

/// The name and version of the JSON report's form. A key's meaning changes with the version only; keys may be added without.
pub const SCHEMA: &str = "ehlo-load/1";

/// What became of the messages. Each is in one count but `started`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Messages begun.
    pub started: u64,
    /// The server took them.
    pub accepted: u64,
    /// The server refused them, for now or for good.
    pub refused: u64,
    /// The connection failed before they were sent whole.
    pub failed: u64,
    /// Sent whole, but not answered.
    pub unknown: u64,
    /// Under way when the run ended.
    pub unfinished: u64,
    /// Recipients refused of messages that were taken for others.
    pub recipients_refused: u64,
}

impl Totals {
    fn add(&mut self, counts: &Counts) {
        self.started += counts.started;
        self.accepted += counts.accepted;
        self.refused += counts.refused;
        self.failed += counts.failed;
        self.unknown += counts.unknown;
        self.unfinished += counts.unfinished;
        self.recipients_refused += counts.recipients_refused;
    }
}

/// What went through in the measured part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Throughput {
    /// Messages accepted per second.
    pub messages_per_second: f64,
    /// Their octets per second, as decoded.
    pub bytes_per_second: f64,
    /// The length of the measured part in seconds.
    pub window_s: f64,
}

impl Throughput {
    fn new(results: &Results) -> Self {
        Self {
            messages_per_second: results.messages_per_second(),
            bytes_per_second: results.bytes_per_second(),
            window_s: results.window.as_secs_f64(),
        }
    }
}

/// CPU time of both ends in the measured part, in microseconds per message accepted in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cpu {
    /// Of the generator.
    pub generator_us_per_message: Option<f64>,
    /// Of the server, if its process is known.
    pub target_us_per_message: Option<f64>,
}

/// The closed-loop part before the measured one: how fast it can go at all.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Peak {
    /// Throughput.
    #[serde(flatten)]
    pub throughput: Throughput,
    /// CPU time.
    pub cpu: Cpu,
    /// What became of the messages of this part. They are in the report's totals, too.
    pub totals: Totals,
    /// Always true: with all connections busy, times are those of a queue. They are not told.
    pub saturated: bool,
}

/// What the generator reached against a responder that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ceiling {
    /// Messages per second.
    pub messages_per_second: f64,
    /// CPU microseconds of the generator per message.
    pub generator_us_per_message: f64,
    /// The share of the time that its busiest thread was busy, 0 to 1. Well below 1, the responder was the limit.
    pub busy: f64,
}

impl From<Calibration> for Ceiling {
    fn from(it: Calibration) -> Self {
        Self { messages_per_second: it.messages_per_second, generator_us_per_message: it.us_per_message, busy: it.busy }
    }
}

/// How the schedule of an open loop was kept, in the measured part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArrivalReport {
    /// Messages that were due.
    pub due: u64,
    /// Those that were sent.
    pub placed: u64,
    /// Those that found no idle connection before the end.
    pub unplaced: u64,
}

/// How the generator itself did in the measured part.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratorReport {
    /// The share of the time that each thread was busy, 0 to 1.
    pub busy: Vec<f64>,
    /// The share of the time that each thread waited for a processor, 0 to 1, where the kernel tells.
    pub run_queue_wait: Vec<Option<f64>>,
    /// How late messages were by the generator's own doing; in an open loop.
    pub own_lag: Option<Quantiles>,
    /// From the return of a poll to the end of what it gave to do: no moment is off by more.
    pub batch_span: Quantiles,
    /// The share of the machine's time that a hypervisor took, 0 to 1.
    pub steal: Option<f64>,
}

/// One second of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Second {
    /// Its number, from the start of sending.
    pub second: u64,
    /// Messages accepted in it.
    pub accepted: u64,
    /// The median of their service times in microseconds.
    pub p50_us: f64,
    /// The 99th percentile of the same.
    pub p99_us: f64,
    /// The longest of the same.
    pub max_us: f64,
}

/// What was lost, doubled or altered, with the answer to whether anything was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IntegrityReport {
    /// Whether nothing was.
    pub ok: bool,
    /// The findings.
    #[serde(flatten)]
    pub findings: Integrity,
}

/// What the whole run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What it was told.
    pub config: Config,
    /// Where it took place.
    pub environment: Environment,
    /// What was sent.
    pub corpus: Facts,
    /// What the generator can do by itself, if it was calibrated.
    pub calibration: Option<Ceiling>,
    /// The closed-loop part before, if there was one.
    pub peak: Option<Peak>,
    /// All messages of the run: of the peak, the warm-up and the measured part.
    pub totals: Totals,
    /// What went through in the measured part.
    pub throughput: Throughput,
    /// Times in the measured part; of connections, in all of the run's last part.
    pub latency: LatencyReport,
    /// The schedule of an open loop.
    pub arrivals: Option<ArrivalReport>,
    /// Replies of the run by code, greetings and all.
    pub replies: BTreeMap<u16, u64>,
    /// Messages refused, by the code that decided.
    pub refused: BTreeMap<u16, u64>,
    /// Connections that failed, by kind. Empty is good.
    pub errors: BTreeMap<&'static str, u64>,
    /// The first thing that went wrong, in words.
    pub first_failure: Option<String>,
    /// CPU time in the measured part.
    pub cpu: Cpu,
    /// The generator's own state in the measured part.
    pub generator: GeneratorReport,
    /// Second by second.
    pub intervals: Vec<Second>,
    /// Why it ended.
    pub ended: &'static str,
    /// Whether the server's store holds what was acknowledged, if that was looked at.
    pub integrity: Option<IntegrityReport>,
    /// Whether the figures can be believed.
    #[serde(serialize_with = "verdict")]
    pub verdict: Verdict,
}

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// Whether the server was started for the run.
    pub embedded: bool,
    /// What the measured part was told.
    pub options: &'a Options,
    /// What was sent.
    pub corpus: &'a Facts,
    /// The machine, asked before the run.
    pub environment: Environment,
    /// What the generator can do by itself.
    pub calibration: Option<Calibration>,
    /// The closed-loop part before.
    pub peak: Option<&'a Results>,
    /// The measured part.
    pub results: &'a Results,
    /// The comparison with the server's store.
    pub integrity: Option<Integrity>,
    /// The judgement.
    pub verdict: Verdict,
}

impl Report {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { embedded, options, corpus, environment, calibration, peak, results, integrity, verdict } = parts;
        let mut totals = Totals::default();
        let (mut replies, mut refused, mut errors) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for part in peak.into_iter().chain([results]) {
            totals.add(&part.totals);
            for (code, count) in &part.replies {
                *replies.entry(*code).or_default() += count;
            }
            for (code, count) in &part.refused_by_code {
                *refused.entry(*code).or_default() += count;
            }
            for (kind, count) in &part.errors {
                *errors.entry(kind.as_str()).or_default() += count;
            }
        }
        let failure = peak.and_then(|it| it.first_failure.as_ref()).or(results.first_failure.as_ref());
        let waits = results.arrivals.as_ref().map(|it| &it.waits);
        Self {
            schema: SCHEMA,
            config: Config::new(options, results.address.to_string(), results.pipelined, embedded),
            environment: Environment { target_is_local: results.address.ip().is_loopback(), ..environment },
            corpus: corpus.clone(),
            calibration: calibration.map(Ceiling::from),
            peak: peak.map(Peak::new),
            totals,
            throughput: Throughput::new(results),
            latency: LatencyReport::new(&results.latency, results.pipelined, waits),
            arrivals: results.arrivals.as_ref().map(|it| ArrivalReport {
                due: it.due,
                placed: it.placed,
                unplaced: it.unplaced,
            }),
            replies,
            refused,
            errors,
            first_failure: failure.map(|it| it.text.clone()),
            cpu: Cpu::new(results),
            generator: GeneratorReport::new(results),
            intervals: results.intervals.iter().map(Second::new).collect(),
            ended: ended(results.ended),
            integrity: integrity.map(|findings| IntegrityReport { ok: findings.ok(), findings }),
            verdict,
        }
    }

    /// The report of a run that could not begin, because of what it was aimed at: one error of this kind, told in this text.
    #[must_use]
    pub fn unreached(
        options: &Options,
        corpus: &Facts,
        environment: Environment,
        kind: &'static str,
        text: String,
    ) -> Self {
        let nothing = "nothing was measured".to_owned();
        Self {
            schema: SCHEMA,
            config: Config::new(options, String::new(), false, false),
            environment,
            corpus: corpus.clone(),
            calibration: None,
            peak: None,
            totals: Totals::default(),
            throughput: Throughput { messages_per_second: 0.0, bytes_per_second: 0.0, window_s: 0.0 },
            latency: LatencyReport::new(&Latency::new(), options.pipelining, None),
            arrivals: None,
            replies: BTreeMap::new(),
            refused: BTreeMap::new(),
            errors: [(kind, 1)].into(),
            first_failure: Some(text),
            cpu: Cpu { generator_us_per_message: None, target_us_per_message: None },
            generator: GeneratorReport {
                busy: Vec::new(),
                run_queue_wait: Vec::new(),
                own_lag: None,
                batch_span: Quantiles::of(&new_histogram()),
                steal: None,
            },
            intervals: Vec::new(),
            ended: ended(Ended::GaveUp),
            integrity: None,
            verdict: Verdict {
                status: Status::Invalid,
                reasons: vec![Reason { status: Status::Invalid, text: nothing }],
            },
        }
    }

    /// The report as JSON, for people to read, too. It ends in a line end.
    ///
    /// # Errors
    ///
    /// None that is known: every key is a text.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Whether every message was accepted and stored as it should, and nothing went wrong on the way.
    ///
    #[must_use]
    pub fn ok(&self) -> bool {
        let Totals { accepted, refused, failed, unknown, unfinished, recipients_refused, .. } = self.totals;
        accepted > 0
            && refused + failed + unknown + unfinished + recipients_refused == 0
            && self.errors.is_empty()
            && self.integrity.as_ref().is_none_or(|it| it.ok)
    }
}

impl Cpu {
    fn new(results: &Results) -> Self {
        Self {
            generator_us_per_message: results.generator_us_per_message(),
            target_us_per_message: results.target_us_per_message(),
        }
    }
}

impl Peak {
    fn new(results: &Results) -> Self {
        let mut totals = Totals::default();
        totals.add(&results.totals);
        Self { throughput: Throughput::new(results), cpu: Cpu::new(results), totals, saturated: true }
    }
}

impl GeneratorReport {
    fn new(results: &Results) -> Self {
        let load = &results.generator;
        let own_lag = matches!(results.mode, Mode::Open { .. }).then(|| Quantiles::of(&results.latency.own_lag));
        Self {
            busy: load.threads.iter().map(|it| it.busy_fraction()).collect(),
            run_queue_wait: load.threads.iter().map(|it| it.run_queue_fraction()).collect(),
            own_lag,
            batch_span: Quantiles::of(&load.batch_span),
            steal: load.steal,
        }
    }
}

impl Second {
    fn new(it: &crate::results::Interval) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        Self {
            second: it.second,
            accepted: it.accepted,
            p50_us: us(it.p50_ns),
            p99_us: us(it.p99_ns),
            max_us: us(it.max_ns),
        }
    }
}

const fn ended(why: Ended) -> &'static str {
    match why {
        Ended::Messages => "messages",
        Ended::Duration => "duration",
        Ended::Stopped => "stopped",
        Ended::GaveUp => "gave_up",
        Ended::LedgerFull => "ledger_full",
    }
}

/// `{"status": "VALID", "reasons": ["..."]}`. A reason that is no mere remark begins with its own status.
fn verdict<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told {
        status: &'static str,
        reasons: Vec<String>,
    }
    let tell = |Reason { status, text }: &Reason| match status {
        Status::Valid => text.clone(),
        Status::Suspect | Status::Invalid => format!("{status}: {text}"),
    };
    Told { status: verdict.status.as_str(), reasons: verdict.reasons.iter().map(tell).collect() }.serialize(serializer)
}

#[cfg(test)]
mod tests;
