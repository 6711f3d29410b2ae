//! Latencies as a report tells them.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::latency::{Censored, Histogram, Latency, Percentile, Phase, Samples, percentile, percentile_with};

/// The percentiles that are told, with their names in JSON.
const TOLD: [(f64, &str); 4] = [(0.5, "p50_us"), (0.9, "p90_us"), (0.99, "p99_us"), (0.999, "p999_us")];

/// Percentiles of one kind of duration.
///
/// In JSON: `count`, then `p50_us`, `p90_us`, `p99_us`, `p999_us` and `max_us`, in microseconds, `null` where fewer than ten samples lie
/// beyond. `at_least` names those that are lower bounds, because some of what they are about had not ended when the run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The number of samples.
    pub count: u64,
    /// 50, 90, 99 and 99.9 %.
    pub percentiles: [Percentile; 4],
    /// The longest.
    pub max: Percentile,
}

impl Quantiles {
    /// Those of durations that have all ended.
    #[must_use]
    pub fn of(samples: &Histogram) -> Self {
        Self {
            count: samples.len(),
            percentiles: TOLD.map(|(quantile, _)| percentile(samples, quantile)),
            max: if samples.is_empty() { Percentile::Withheld } else { Percentile::Value(samples.max()) },
        }
    }

    /// Those of durations of which some had not ended.
    #[must_use]
    pub fn with(samples: &Histogram, censored: &Censored) -> Self {
        if censored.0.is_empty() {
            return Self::of(samples);
        }
        Self {
            count: samples.len() + censored.0.len(),
            percentiles: TOLD.map(|(quantile, _)| percentile_with(samples, censored, quantile)),
            max: Percentile::AtLeast(samples.max().max(censored.0.max())),
        }
    }
}

impl Serialize for Quantiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("count", &self.count)?;
        let told = || TOLD.iter().map(|(_, name)| *name).zip(self.percentiles).chain([("max_us", self.max)]);
        for (name, percentile) in told() {
            map.serialize_entry(name, &percentile.ns().map(|ns| ns as f64 / 1e3))?;
        }
        let bounds: Vec<&str> =
            told().filter(|(_, it)| matches!(it, Percentile::AtLeast(_))).map(|(name, _)| name).collect();
        if !bounds.is_empty() {
            map.serialize_entry("at_least", &bounds)?;
        }
        map.end()
    }
}

/// The durations of one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseReport {
    /// Which phase.
    pub phase: Phase,
    /// Service times of what ended in a positive reply.
    pub service: Quantiles,
    /// Service times of what was refused, if anything was.
    pub refused: Option<Quantiles>,
    /// Response times, of transactions in an open loop.
    pub response: Option<Quantiles>,
    /// Lags, of the same.
    pub lag: Option<Quantiles>,
}

impl PhaseReport {
    fn new(phase: Phase, samples: &Samples) -> Self {
        Self {
            phase,
            service: Quantiles::of(&samples.accepted),
            refused: samples.refused.as_deref().map(Quantiles::of),
            response: None,
            lag: None,
        }
    }
}

impl Serialize for PhaseReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("service", &self.service)?;
        if self.phase == Phase::Transaction {
            map.serialize_entry("response", &self.response)?;
            map.serialize_entry("lag", &self.lag)?;
        }
        if let Some(refused) = &self.refused {
            map.serialize_entry("refused", refused)?;
        }
        map.end()
    }
}

/// The durations of a run. In JSON a map from the phase's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyReport(pub Vec<PhaseReport>);

impl LatencyReport {
    /// Of the phases that a transaction has, with or without flights, and of any other that was seen.
    ///
    /// `waits` is what had not ended, in an open loop. Without it there are no response times.
    #[must_use]
    pub fn new(latency: &Latency, pipelined: bool, waits: Option<&Censored>) -> Self {
        let usual = |phase| match phase {
            Phase::Connect | Phase::Banner | Phase::Ehlo | Phase::EndOfData | Phase::Transaction => true,
            Phase::Mail | Phase::Rcpt | Phase::Data => !pipelined,
            Phase::Flight | Phase::ReplyGap => pipelined,
        };
        let mut phases: Vec<_> = Phase::ALL
            .iter()
            .map(|&phase| PhaseReport::new(phase, latency.phase(phase)))
            .filter(|it| usual(it.phase) || it.service.count > 0 || it.refused.is_some())
            .collect();
        if let (Some(waits), Some(last)) = (waits, phases.iter_mut().find(|it| it.phase == Phase::Transaction)) {
            last.response = Some(Quantiles::with(&latency.response.accepted, waits));
            last.lag = Some(Quantiles::of(&latency.lag.accepted));
        }
        Self(phases)
    }
}

impl Serialize for LatencyReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|it| (it.phase.as_str(), it)))
    }
}
