//! Where a run took place.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What the machine of the generator is. Whatever the system doesn't tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Environment {
    /// The version of this program.
    pub ehlo: &'static str,
    /// The operating system and the processor's architecture.
    pub os: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor's model.
    pub cpu: Option<String>,
    /// The processors that this process may use.
    pub cpus: usize,
    /// The memory of the machine in bytes.
    pub memory_bytes: Option<u64>,
    /// The load average of the last minute, when the run began: what else the machine was doing.
    pub load_average: Option<f64>,
    /// Whether the server is on this machine, as far as its address tells: then it shares the processors with the generator.
    pub target_is_local: bool,
    /// When the run began, in UTC (RFC 3339).
    pub started_at: String,
}

impl Environment {
    /// Asks the system. To be called before the run, because of the load average.
    #[must_use]
    pub fn now() -> Self {
        Self {
            ehlo: env!("CARGO_PKG_VERSION"),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel: line("/proc/sys/kernel/osrelease"),
            cpu: field("/proc/cpuinfo", "model name"),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|it| it.strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)),
            load_average: line("/proc/loadavg").and_then(|it| it.split(' ').next()?.parse().ok()),
            target_is_local: false,
            started_at: utc(SystemTime::now()),
        }
    }
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned())
}

/// The value of the first line `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// A time of day in UTC, whole seconds.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day counted from 1970-01-01.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_810_200, "2025-01-02T09:30:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_machine_has_a_processor() {
        let environment = Environment::now();
        assert!(environment.cpus > 0 && environment.started_at.len() == 20);
    }
}
