//! Dates, as trace fields and mailboxes have them.

use std::time::{Duration, SystemTime};

/// A time in the form of RFC 5322 §3.3, in UTC. Written by hand: the two formats that are needed are not worth a crate.
pub(super) struct Date(pub(super) SystemTime);

/// A time in the form of `asctime`, in UTC: what stands at the beginning of a message in an mbox (RFC 4155, appendix A).
pub(crate) struct Asctime(pub(crate) SystemTime);

/// What the calendar and the clock show.
struct Parts {
    weekday: &'static str,
    month: &'static str,
    day: u64,
    year: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Parts {
    fn of(time: SystemTime) -> Self {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
        // A clock that stands before 1970 is wrong anyway.
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Count from 1 March of the year 0, so that a leap day is the last of its year: eras of 400 years have 146,097 days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        Self {
            weekday: DAYS[(days % 7) as usize],
            month: MONTHS[month as usize],
            day: day_of_year - (153 * month + 2) / 5 + 1,
            year: era * 400 + year_of_era + u64::from(month >= 10),
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Parts { weekday, month, day, year, hour, minute, second } = Parts::of(self.0);
        write!(f, "{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

impl std::fmt::Display for Asctime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Parts { weekday, month, day, year, hour, minute, second } = Parts::of(self.0);
        write!(f, "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (1_709_208_000, "Thu, 29 Feb 2024 12:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(Date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), date);
        }
        let asctime = |seconds| Asctime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(asctime(951_868_799), "Tue Feb 29 23:59:59 2000");
        assert_eq!(asctime(951_868_800), "Wed Mar  1 00:00:00 2000");
    }
}
