//! What the generator itself can reach.

use crate::{Mode, Observer, Options, Results, RunError, Stop, run};
use std::net::SocketAddr;
use std::time::Duration;

/// Warm-up of a calibration: enough for caches, and for a clock that has to speed up.
const WARM_UP: Duration = Duration::from_millis(300);

/// What the generator reached against a responder that costs next to nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// Messages per second, closed loop: the ceiling of this generator with this mix on this machine.
    pub messages_per_second: f64,
    /// CPU microseconds of the generator per message at that rate.
    pub us_per_message: f64,
    /// Busy fraction of the busiest thread, 0 to 1. Well below 1, the responder was the limit, and the ceiling is higher than
    /// told.
    pub busy: f64,
}

impl Calibration {
    /// The same with the ceiling raised to what a run has reached since. A machine that was disturbed while the generator was
    /// calibrated puts the ceiling too low, and what the generator did it can do.
    #[must_use]
    pub fn raised_by(mut self, results: &Results) -> Self {
        self.messages_per_second = self.messages_per_second.max(results.messages_per_second());
        self
    }
}

/// Measures the generator's ceiling: a closed loop for `duration` with the same messages, connections, threads and commands as
/// the options say, against a [`null`](crate::null) responder at `responder`, best in a process of its own.
///
/// # Errors
///
/// [`RunError`] as for [`run`]; [`RunError::Calibration`] if not one message came through.
pub fn calibrate(
    options: &Options,
    responder: SocketAddr,
    duration: Duration,
    observer: &dyn Observer,
) -> Result<Calibration, RunError> {
    let options = Options {
        target: responder.into(),
        mode: Mode::Closed,
        stop: Stop { messages: None, duration: Some(duration) },
        warm_up: WARM_UP,
        target_pid: None,
        ..options.clone()
    };
    let results = run(&options, observer)?;
    ceiling(&results).ok_or_else(|| RunError::Calibration {
        why: results.first_failure.map_or_else(|| "it was stopped".to_owned(), |failure| failure.text),
    })
}

fn ceiling(results: &Results) -> Option<Calibration> {
    Some(Calibration {
        messages_per_second: results.messages_per_second(),
        us_per_message: results.generator_us_per_message()?,
        busy: results.generator.busiest(),
    })
}
