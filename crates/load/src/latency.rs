//! Latencies: what is measured, and what may be said about it.

/// Counts of durations in nanoseconds, three significant digits, up to one hour: what is longer counts as an hour.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// The longest duration that is kept as such; longer ones count as this. One hour, in nanoseconds.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Percentiles beyond which fewer samples lie are not told: they would be an anecdote.
const MIN_BEYOND: f64 = 10.0;

/// An empty histogram with the bounds that all of a run have.
#[must_use]
pub fn new_histogram() -> Histogram {
    #[expect(clippy::expect_used, reason = "constant bounds, tested")]
    Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("bounds are valid")
}

/// What a duration is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From `connect` to the TCP connection.
    Connect,
    /// From the TCP connection to the greeting. Zero if the first poll that told of the connection told of the greeting, too.
    Banner,
    /// EHLO to its reply.
    Ehlo,
    /// MAIL to its reply, not pipelined.
    Mail,
    /// Each RCPT to its reply, not pipelined.
    Rcpt,
    /// DATA to its reply, not pipelined.
    Data,
    /// MAIL, RCPT and DATA in one write, to the reply to DATA.
    Flight,
    /// From the first to the last reply of a flight. Zero if both came in one read.
    ReplyGap,
    /// From the write of the last part of the message to the reply to it.
    EndOfData,
    /// MAIL written to the reply to the end of data: service time.
    Transaction,
}

impl Phase {
    /// All, in the order they happen.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Banner,
        Self::Ehlo,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Flight,
        Self::ReplyGap,
        Self::EndOfData,
        Self::Transaction,
    ];

    /// Its name in reports, as in `latency.end_of_data`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Flight => "flight",
            Self::ReplyGap => "reply_gap",
            Self::EndOfData => "end_of_data",
            Self::Transaction => "transaction",
        }
    }
}

/// Durations of one kind, told apart by what the server answered.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Those that ended in a positive reply (2xx or 3xx), or in a connection.
    pub accepted: Histogram,
    /// Those that ended in 4xx or 5xx; `None` if none did.
    pub refused: Option<Box<Histogram>>,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self { accepted: new_histogram(), refused: None }
    }

    pub(crate) fn record(&mut self, accepted: bool, ns: u64) {
        if accepted {
            self.accepted.saturating_record(ns);
        } else {
            self.refused.get_or_insert_with(|| Box::new(new_histogram())).saturating_record(ns);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        merge(&mut self.accepted, &other.accepted);
        if let Some(refused) = &other.refused {
            merge(self.refused.get_or_insert_with(|| Box::new(new_histogram())), refused);
        }
    }
}

#[expect(clippy::expect_used, reason = "all histograms have the same bounds")]
pub(crate) fn merge(into: &mut Histogram, from: &Histogram) {
    into.add(from).expect("the bounds are the same");
}

/// All durations of a run's measured part.
///
/// Connections are made before that part and seldom in it, so connect, banner and EHLO are recorded from the start of the run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Latency {
    phases: Vec<Samples>,
    /// Intended to complete, of whole messages; open loop only.
    pub response: Samples,
    /// Intended to sent, of the same messages; open loop only. Contains the wait for an idle connection, which is the server's
    /// doing when it is slow.
    pub lag: Samples,
    /// The part of the lag that is the generator's own doing: sent, less when the message was due *and* there was an idle
    /// connection for it; open loop only. Of all messages sent, whatever became of them.
    pub own_lag: Histogram,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            phases: Phase::ALL.iter().map(|_| Samples::new()).collect(),
            response: Samples::new(),
            lag: Samples::new(),
            own_lag: new_histogram(),
        }
    }

    /// Service times of a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> &Samples {
        &self.phases[phase as usize]
    }

    pub(crate) fn phase_mut(&mut self, phase: Phase) -> &mut Samples {
        &mut self.phases[phase as usize]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (into, from) in self.phases.iter_mut().zip(&other.phases) {
            into.add(from);
        }
        self.response.add(&other.response);
        self.lag.add(&other.lag);
        merge(&mut self.own_lag, &other.own_lag);
    }
}

/// A percentile, as far as it may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// This many nanoseconds.
    Value(u64),
    /// At least this many nanoseconds: some of the durations beyond it were still going on when the run ended.
    AtLeast(u64),
    /// Fewer than ten samples lie beyond it.
    Withheld,
}

impl Percentile {
    /// The nanoseconds, if they are told.
    #[must_use]
    pub const fn ns(self) -> Option<u64> {
        match self {
            Self::Value(ns) | Self::AtLeast(ns) => Some(ns),
            Self::Withheld => None,
        }
    }
}

/// Durations that had not ended when the run did: each is known to be longer than what is recorded here.
#[derive(Clone, Debug)]
pub struct Censored(pub Histogram);

/// The value that the share `quantile` (0 to 1) of the samples does not exceed.
#[must_use]
pub fn percentile(samples: &Histogram, quantile: f64) -> Percentile {
    // 1 - 0.9 is a little less than 0.1 in binary; ten samples of a hundred are ten.
    let beyond = samples.len() as f64 * (1.0 - quantile) + 1e-6;
    if samples.is_empty() || beyond < MIN_BEYOND {
        return Percentile::Withheld;
    }
    Percentile::Value(samples.value_at_quantile(quantile))
}

/// The same over samples and over what had not ended.
///
/// What had not ended may have gone on for a moment or for ever. If that makes no difference to the percentile, it is told as a
/// value; else as a lower bound.
#[must_use]
pub fn percentile_with(samples: &Histogram, censored: &Censored, quantile: f64) -> Percentile {
    /// A difference that is none, as one part in so many.
    const SAME: u64 = 100;
    if censored.0.is_empty() {
        return percentile(samples, quantile);
    }
    let mut all = samples.clone();
    merge(&mut all, &censored.0);
    // If all of it had ended when the run did...
    let Percentile::Value(lowest) = percentile(&all, quantile) else { return Percentile::Withheld };
    // ...and if none of it ever would.
    let rank = quantile * all.len() as f64 / samples.len() as f64;
    if rank <= 1.0 && samples.value_at_quantile(rank) <= lowest.saturating_add(lowest / SAME) {
        return Percentile::Value(lowest);
    }
    Percentile::AtLeast(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_with_few_samples_beyond_is_withheld() {
        let mut samples = new_histogram();
        for ns in 1..=999 {
            samples.saturating_record(ns);
        }
        assert_eq!(percentile(&samples, 0.5), Percentile::Value(500));
        assert_eq!(percentile(&samples, 0.99), Percentile::Withheld);
        samples.saturating_record(1000);
        assert_eq!(percentile(&samples, 0.99), Percentile::Value(990));
        assert_eq!(percentile(&new_histogram(), 0.5), Percentile::Withheld);
    }

    #[test]
    fn what_had_not_ended_makes_the_percentiles_beyond_it_lower_bounds() {
        let mut samples = new_histogram();
        samples.saturating_record_n(100, 900);
        let mut waits = new_histogram();
        waits.saturating_record_n(1500, 100);
        let censored = Censored(waits);
        assert_eq!(percentile_with(&samples, &censored, 0.5), Percentile::Value(100));
        assert_eq!(percentile_with(&samples, &censored, 0.95), Percentile::AtLeast(1500));
        assert_eq!(percentile_with(&new_histogram(), &censored, 0.5), Percentile::AtLeast(1500));
    }

    #[test]
    fn one_that_had_hardly_begun_leaves_the_percentiles_of_many_as_they_are() {
        let mut samples = new_histogram();
        for us in 1..=100_000 {
            samples.saturating_record(us * 1000);
        }
        let mut waits = new_histogram();
        waits.saturating_record(5);
        let censored = Censored(waits);
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            assert!(matches!(percentile_with(&samples, &censored, quantile), Percentile::Value(_)), "{quantile}");
        }
    }

    #[test]
    fn a_duration_beyond_the_bounds_is_kept_as_the_longest() {
        let mut samples = new_histogram();
        samples.saturating_record(u64::MAX);
        assert_eq!(samples.len(), 1);
        assert!(samples.max() >= HIGHEST_NS);
    }
}
