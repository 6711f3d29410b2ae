//! Whether the figures of a run can be believed.

use crate::{Calibration, Histogram, Mode, Percentile, Phase, Results, percentile, percentile_with};
use std::fmt;
use std::time::Duration;

/// What the figures of a run are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing speaks against them.
    Valid,
    /// Something may have distorted them; the reasons say what.
    Suspect,
    /// They say more about the generator or the machine than about the server.
    Invalid,
}

impl Status {
    /// `VALID`, `SUSPECT` or `INVALID`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
            Self::Invalid => "INVALID",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How bad it is by itself. `Valid` is a remark.
    pub status: Status,
    /// A sentence with its figures.
    pub text: String,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of the reasons.
    pub status: Status,
    /// What was found, the worst first.
    pub reasons: Vec<Reason>,
}

/// Above the first value a figure makes a run suspect, above the second invalid.
#[derive(Clone, Copy, Debug)]
struct Limits {
    suspect: f64,
    invalid: f64,
}

impl Limits {
    fn judge(self, value: f64) -> Status {
        match value {
            v if v > self.invalid => Status::Invalid,
            v if v > self.suspect => Status::Suspect,
            _ => Status::Valid,
        }
    }
}

/// Busy fraction of a thread under a fixed rate. What that costs shows in the own lag; nearer to 1, any disturbance makes a queue
/// that takes long to dissolve.
const BUSY: Limits = Limits { suspect: 0.85, invalid: 0.95 };
/// Busy fraction from which a closed loop says what the generator can do, not the server. It is still a lower bound.
const BUSY_CLOSED: f64 = 0.90;
/// Share of the time that a thread was ready and had no core.
const RUN_QUEUE: Limits = Limits { suspect: 0.10, invalid: 0.25 };
/// Share of the machine that the hypervisor took.
const STEAL: Limits = Limits { suspect: 0.05, invalid: 0.15 };
/// Rate as a share of the generator's own ceiling. Half of it is the aim; both figures are measured, each with its error.
const CEILING: Limits = Limits { suspect: 0.55, invalid: 0.90 };
/// 99th percentile of the generator's own lag, as a share of that of the response time.
const LAG: Limits = Limits { suspect: 0.25, invalid: 0.50 };
/// Own lag that is no matter, whatever its share: a thread's wake-up takes about so long.
const LAG_FLOOR: Duration = Duration::from_micros(200);
/// Own lag that makes no run invalid.
const LAG_TOLERABLE: Duration = Duration::from_millis(1);
/// Share of the messages due whose response time is not known. Below, no percentile that is told is touched.
const OPEN_ENDED: f64 = 0.001;
/// Share of the time that a thread was late for more than a millisecond. Messages that are due meanwhile wait for it, and more of
/// them for those: a hundredth makes the 99th percentile.
const STALLED: Limits = Limits { suspect: 0.005, invalid: 0.05 };
/// Batch span as a share of the service time.
const BATCH: f64 = 0.5;
/// A measured part that is shorter is at the mercy of chance.
const SHORT: Duration = Duration::from_secs(1);
/// Samples below which not even a median is worth much.
const FEW: u64 = 30;
/// Bounds of the times that a delayed acknowledgement causes: 40 ms on Linux, seen with some jitter.
const DELAYED_ACK_NS: (u64, u64) = (38_000_000, 46_000_000);
/// Share of a phase's samples within those bounds that is no accident.
const DELAYED_ACK_SHARE: f64 = 0.05;

/// Judges a run: by the generator's own state, and by what it can reach if that was measured.
#[must_use]
pub fn verdict(results: &Results, calibration: Option<&Calibration>) -> Verdict {
    let mut judge = Judge { results, reasons: Vec::new() };
    judge.amount();
    judge.busy();
    judge.machine();
    if let Some(calibration) = calibration {
        judge.ceiling(calibration);
    }
    judge.lag();
    judge.schedule();
    judge.batches();
    judge.delayed_acks();
    let mut reasons = judge.reasons;
    // Stable: of equal weight, the order above.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.status));
    Verdict { status: reasons.first().map_or(Status::Valid, |reason| reason.status), reasons }
}

struct Judge<'a> {
    results: &'a Results,
    reasons: Vec<Reason>,
}

impl Judge<'_> {
    fn say(&mut self, status: Status, text: String) {
        self.reasons.push(Reason { status, text });
    }

    const fn is_open(&self) -> bool {
        matches!(self.results.mode, Mode::Open { .. })
    }

    fn transactions(&self) -> &Histogram {
        &self.results.latency.phase(Phase::Transaction).accepted
    }

    /// Whether there is enough to speak of.
    fn amount(&mut self) {
        let samples = self.transactions().len();
        if self.results.accepted_in_window == 0 || samples == 0 {
            return self.say(
                Status::Invalid,
                "No message was accepted in the measured part: there is nothing to judge.".to_owned(),
            );
        }
        let (ready, asked) = (self.results.connections_ready, self.results.connections as u64);
        // With one connection per message, as many are used as are needed.
        if ready < asked && !self.results.reconnect {
            self.say(
                Status::Suspect,
                format!(
                    "Only {ready} of {asked} connections ever became ready: the load came over fewer than asked for."
                ),
            );
        }
        let window = self.results.window;
        if window < SHORT {
            self.say(Status::Suspect, format!("The measured part lasted {:.2} s only.", window.as_secs_f64()));
        }
        if samples < FEW {
            self.say(Status::Suspect, format!("There are {samples} samples only."));
        }
        let withheld: Vec<_> = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")]
            .into_iter()
            .filter(|(quantile, _)| percentile(self.transactions(), *quantile) == Percentile::Withheld)
            .map(|(_, name)| name)
            .collect();
        if !withheld.is_empty() {
            let names = withheld.join(", ");
            self.say(Status::Valid, format!("With {samples} samples, fewer than ten lie beyond {names}: withheld."));
        }
        if !self.is_open() {
            self.say(
                Status::Valid,
                "Closed loop: the server was saturated by as many messages at a time as there are connections. Service times \
                 are those of a saturated server, and there are no response times."
                    .to_owned(),
            );
        }
    }

    fn busy(&mut self) {
        let busy = self.results.generator.busiest();
        let percent = busy * 100.0;
        if self.is_open() {
            match BUSY.judge(busy) {
                Status::Valid => {}
                status => self.say(
                    status,
                    format!(
                        "A thread of the generator was busy for {percent:.0} % of the time: messages waited for it."
                    ),
                ),
            }
        } else if busy > BUSY_CLOSED {
            self.say(
                Status::Suspect,
                format!(
                    "The generator was busy for {percent:.0} % of the time and was the limit: the server can do more."
                ),
            );
        }
    }

    fn machine(&mut self) {
        let threads = self.results.generator.threads.iter();
        if let Some(wait) = threads.filter_map(|t| t.run_queue_fraction()).max_by(f64::total_cmp) {
            match RUN_QUEUE.judge(wait) {
                Status::Valid => {}
                // Of a moment: the threads had hardly begun. That it was a moment is said above.
                _ if self.results.window < SHORT => {}
                status => self.say(
                    status,
                    format!(
                        "A thread of the generator waited for a core for {:.0} % of the time: the machine was too busy.",
                        wait * 100.0
                    ),
                ),
            }
        }
        let stalled = self.results.generator.threads.iter().map(|t| t.stalled_fraction()).fold(0.0, f64::max);
        match STALLED.judge(stalled) {
            Status::Invalid | Status::Suspect if !self.is_open() => {}
            Status::Valid => {}
            status => self.say(
                status,
                format!(
                    "A thread of the generator was late by more than a millisecond for {:.1} % of the time: the slowest response \
                     times may be its own.",
                    stalled * 100.0
                ),
            ),
        }
        if let Some(steal) = self.results.generator.steal {
            match STEAL.judge(steal) {
                Status::Valid => {}
                status => self.say(
                    status,
                    format!("The hypervisor took {:.0} % of the machine's CPU time for others.", steal * 100.0),
                ),
            }
        }
    }

    fn ceiling(&mut self, calibration: &Calibration) {
        let ceiling = calibration.messages_per_second;
        // What was asked for counts if it was more: the generator had to try.
        let (rate, what) = match self.results.mode {
            Mode::Open { rate } => (rate, "The rate asked for"),
            Mode::Closed => (self.results.messages_per_second(), "The throughput"),
        };
        let share = rate / ceiling;
        let status = match CEILING.judge(share) {
            // It still bounds the server from below.
            Status::Invalid if !self.is_open() => Status::Suspect,
            status => status,
        };
        if status > Status::Valid {
            self.say(
                status,
                format!(
                    "{what}, {rate:.0} messages/s, is {:.0} % of the {ceiling:.0} that the generator itself can do: above half, \
                     its own queue is part of the figures.",
                    share * 100.0
                ),
            );
        }
    }

    /// How much of the response times is the generator's doing.
    fn lag(&mut self) {
        let Some(arrivals) = &self.results.arrivals else { return };
        let response = percentile_with(&self.results.latency.response.accepted, &arrivals.waits, 0.99);
        let lag = percentile(&self.results.latency.own_lag, 0.99);
        let (Some(lag), Some(response)) = (lag.ns(), response.ns()) else { return };
        if lag <= ns(LAG_FLOOR) || response == 0 {
            return;
        }
        let share = lag as f64 / response as f64;
        let status = match LAG.judge(share) {
            Status::Invalid if lag <= ns(LAG_TOLERABLE) => Status::Suspect,
            status => status,
        };
        if status > Status::Valid {
            self.say(
                status,
                format!(
                    "The generator's own lag (p99 {}) is {:.0} % of the response time (p99 {}).",
                    ms(lag),
                    share * 100.0,
                    ms(response)
                ),
            );
        }
    }

    /// Whether the schedule was kept.
    fn schedule(&mut self) {
        let unfinished = self.results.measured.unfinished;
        let Some(arrivals) = &self.results.arrivals else {
            if unfinished > 0 {
                self.say(
                    Status::Suspect,
                    format!("{unfinished} messages were not finished when the run ended: their times are missing."),
                );
            }
            return;
        };
        let (unplaced, due) = (arrivals.unplaced, arrivals.due);
        let open_ended = unplaced + unfinished;
        if open_ended == 0 || due == 0 {
            return;
        }
        let share = open_ended as f64 / due as f64;
        let status = if share > OPEN_ENDED { Status::Suspect } else { Status::Valid };
        // Rounded down: a bound, not an estimate.
        let known = ((1.0 - share) * 1e4).floor() / 1e2;
        let cause = match status {
            Status::Valid => "",
            _ => " The server did not keep up, or there are too few connections.",
        };
        self.say(
            status,
            format!(
                "Of {due} messages due, {unplaced} found no idle connection and {unfinished} were not finished when the run \
                 ended: response times beyond p{known} are lower bounds.{cause}"
            ),
        );
    }

    /// How exact the moments are.
    fn batches(&mut self) {
        // Quantile by quantile: a long batch matters among short times, and a long one among long ones does not.
        let exceeds = [0.5, 0.99].into_iter().find_map(|quantile| {
            let span = percentile(&self.results.generator.batch_span, quantile).ns()?;
            let service = percentile(self.transactions(), quantile).ns()?;
            (span as f64 > service as f64 * BATCH).then_some((quantile, span, service))
        });
        let Some((quantile, span, service)) = exceeds else { return };
        let status = if self.is_open() { Status::Suspect } else { Status::Valid };
        self.say(
            status,
            format!(
                "Replies were served in batches that took {} (p{:.0}) beside a service time of {}: single times are no more \
                 exact than that.",
                ms(span),
                quantile * 100.0,
                ms(service)
            ),
        );
    }

    /// Whether a phase bears the mark of delayed acknowledgements.
    fn delayed_acks(&mut self) {
        for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Transaction) {
            if let Some(share) = delayed_ack_share(&self.results.latency.phase(phase).accepted) {
                self.say(
                    Status::Valid,
                    format!(
                        "{:.0} % of the times of {} are about 40 ms: the server seems to write in pieces and to wait for the \
                         acknowledgement of the first (Nagle's algorithm; TCP_NODELAY helps).",
                        share * 100.0,
                        phase.as_str()
                    ),
                );
            }
        }
    }
}

/// The mark that Nagle's algorithm leaves where it meets delayed acknowledgements (RFC 9293 §3.7.4, RFC 1122 §4.2.3.2): the share
/// of times about 40 ms, if so many are no accident.
fn delayed_ack_share(samples: &Histogram) -> Option<f64> {
    let (low, high) = DELAYED_ACK_NS;
    let marked = samples.count_between(low, high);
    // In a spread of slow times, some lie there by chance.
    let around = samples.count_between(low / 2, high * 2).saturating_sub(marked);
    let share = marked as f64 / samples.len().max(1) as f64;
    (share > DELAYED_ACK_SHARE && marked >= FEW && around * 2 < marked).then_some(share)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn ms(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::delayed_ack_share;
    use crate::new_histogram;

    #[test]
    fn a_mass_at_forty_milliseconds_is_seen_and_a_spread_is_not() {
        let mut samples = new_histogram();
        samples.saturating_record_n(300_000, 900);
        assert_eq!(delayed_ack_share(&samples), None);
        samples.saturating_record_n(40_500_000, 50);
        samples.saturating_record_n(43_900_000, 50);
        assert_eq!(delayed_ack_share(&samples), Some(0.1));
        let mut spread = new_histogram();
        for ms in 20..90 {
            spread.saturating_record_n(ms * 1_000_000, 100);
        }
        assert_eq!(delayed_ack_share(&spread), None);
    }
}
