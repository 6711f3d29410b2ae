//! Dates with a time (RFC 3339 §5.6), as in HOLDUNTIL (RFC 4865 §4), RRVS (RFC 7293 §3.1) and the FUTURERELEASE keyword.

use core::fmt;

/// Most digits of a fraction of a second that [`Timestamp::parse`] takes. RFC 3339 §5.6 sets no bound; nine are nanoseconds.
pub const MAX_FRACTION_DIGITS: usize = 9;

const SECONDS_PER_DAY: i64 = 86_400;

/// A date with a time and the offset from UTC, as RFC 3339 §5.6 writes it (`date-time`): 2027-02-28T09:30:00Z.
///
/// It can only be built valid: the day exists in its month, and second 60 stands only where a leap second can be, at the end of a month
/// in UTC (RFC 3339 §5.7). Two of them are equal if they are written alike; [`unix_seconds`](Self::unix_seconds) tells which is earlier.
///
/// ```
/// use ehlo_codec::Timestamp;
///
/// let time = Timestamp::parse("2027-02-28t10:30:00.5+01:00")?;
/// assert_eq!(time.unix_seconds(), 1_803_807_000);
/// assert_eq!(time.to_string(), "2027-02-28T10:30:00.5+01:00");
/// # Ok::<(), ehlo_codec::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    fraction_digits: u8,
    /// The fraction's digits as a number; `fraction_digits` says how many there are.
    fraction: u32,
    offset: Offset,
}

/// `time-offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Offset {
    /// `-00:00`: the time is in UTC, and where it is local time is not known (RFC 3339 §4.3).
    Unknown,
    /// Minutes east of Greenwich, less than a day either way.
    Minutes(i16),
}

/// Why a text is no [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampError {
    /// It is not of the form `date-time` (RFC 3339 §5.6).
    Syntax,
    /// There is no such month, or no such day in that month and year (RFC 3339 §5.7).
    Date,
    /// The hour, minute or second is too great, or second 60 stands where no leap second can be (RFC 3339 §5.7).
    Time,
    /// The offset's hours are more than 23 or its minutes more than 59.
    Offset,
    /// The fraction of a second has more than [`MAX_FRACTION_DIGITS`].
    Fraction,
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "a timestamp is written as 2027-02-28T09:30:00Z",
            Self::Date => "there is no such day",
            Self::Time => "there is no such time of day",
            Self::Offset => "an offset from UTC is between -23:59 and +23:59",
            Self::Fraction => "a fraction of a second has nine digits at most",
        })
    }
}

impl core::error::Error for TimestampError {}

impl Timestamp {
    /// Reads `date-time = full-date "T" full-time`. The letters may be small ones (RFC 3339 §5.6).
    ///
    /// # Errors
    ///
    /// [`TimestampError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let (time, rest) = text.as_bytes().split_first_chunk::<19>().ok_or(TimestampError::Syntax)?;
        let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't', h0, h1, b':', n0, n1, b':', s0, s1] = *time
        else {
            return Err(TimestampError::Syntax);
        };
        let year = u16::from(two(y0, y1)?) * 100 + u16::from(two(y2, y3)?);
        let (month, day) = (two(m0, m1)?, two(d0, d1)?);
        let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
        let (fraction, fraction_digits, rest) = fraction(rest)?;
        let offset = Offset::parse(rest)?;
        if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
            return Err(TimestampError::Date);
        }
        if hour > 23 || minute > 59 || second > 60 {
            return Err(TimestampError::Time);
        }
        let this = Self { year, month, day, hour, minute, second, fraction_digits, fraction, offset };
        if second == 60 && !this.may_be_leap_second() {
            return Err(TimestampError::Time);
        }
        Ok(this)
    }

    /// The time in UTC that is so many seconds after 1970-01-01T00:00:00Z, leap seconds not counted. `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let (days, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = date(days)?;
        Some(Self {
            year,
            month,
            day,
            hour: u8::try_from(rest / 3600).ok()?,
            minute: u8::try_from(rest / 60 % 60).ok()?,
            second: u8::try_from(rest % 60).ok()?,
            fraction_digits: 0,
            fraction: 0,
            offset: Offset::Minutes(0),
        })
    }

    /// Seconds after 1970-01-01T00:00:00Z, leap seconds not counted and the fraction cut off; negative before. A leap second is the same as
    /// the second that follows it.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        days_since_1970(self.year, self.month, self.day) * SECONDS_PER_DAY + time
            - i64::from(self.offset_minutes()) * 60
    }

    /// The fraction of its second, in nanoseconds: less than 1,000,000,000.
    #[must_use]
    pub fn subsec_nanos(&self) -> u32 {
        self.fraction * 10_u32.pow((MAX_FRACTION_DIGITS as u32).saturating_sub(u32::from(self.fraction_digits)))
    }

    /// Minutes by which its local time is ahead of UTC; 0 too if the local time is not known (`-00:00`, RFC 3339 §4.3).
    #[must_use]
    pub const fn offset_minutes(&self) -> i16 {
        match self.offset {
            Offset::Unknown => 0,
            Offset::Minutes(minutes) => minutes,
        }
    }

    /// RFC 3339 §5.7: a leap second is 23:59:60 in UTC on the last day of a month.
    fn may_be_leap_second(&self) -> bool {
        // The second behind it is then midnight of the first day of a month.
        let behind = self.unix_seconds();
        behind % SECONDS_PER_DAY == 0
            && date(behind / SECONDS_PER_DAY).map_or(self.month == 12 && self.day == 31, |(_, _, day)| day == 1)
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 §5.6 writes it, with capitals, with `Z` for an offset of zero, and with the digits of the fraction that were given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.fraction_digits > 0 {
            write!(f, ".{:0width$}", self.fraction, width = usize::from(self.fraction_digits))?;
        }
        match self.offset {
            Offset::Unknown => f.write_str("-00:00"),
            Offset::Minutes(0) => f.write_str("Z"),
            Offset::Minutes(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

impl core::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        Self::parse(text)
    }
}

impl Offset {
    /// `time-offset = "Z" / ("+" / "-") time-hour ":" time-minute`
    fn parse(text: &[u8]) -> Result<Self, TimestampError> {
        let (sign, h0, h1, m0, m1) = match *text {
            [b'Z' | b'z'] => return Ok(Self::Minutes(0)),
            [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => (sign, h0, h1, m0, m1),
            _ => return Err(TimestampError::Syntax),
        };
        let (hours, minutes) = (two(h0, h1)?, two(m0, m1)?);
        if hours > 23 || minutes > 59 {
            return Err(TimestampError::Offset);
        }
        Ok(match (sign, i16::from(hours) * 60 + i16::from(minutes)) {
            (b'-', 0) => Self::Unknown,
            (b'-', east) => Self::Minutes(-east),
            (_, east) => Self::Minutes(east),
        })
    }
}

/// Two digits.
fn two(tens: u8, ones: u8) -> Result<u8, TimestampError> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Ok((tens - b'0') * 10 + (ones - b'0'))
    } else {
        Err(TimestampError::Syntax)
    }
}

/// `[time-secfrac]`, `time-secfrac = "." 1*DIGIT`: its digits as a number, how many, and what is behind.
fn fraction(text: &[u8]) -> Result<(u32, u8, &[u8]), TimestampError> {
    let [b'.', text @ ..] = text else { return Ok((0, 0, text)) };
    let (mut number, mut digits, mut rest) = (0, 0, text);
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        if usize::from(digits) == MAX_FRACTION_DIGITS {
            return Err(TimestampError::Fraction);
        }
        number = number * 10 + u32::from(digit - b'0');
        digits += 1;
        rest = behind;
    }
    if digits == 0 { Err(TimestampError::Syntax) } else { Ok((number, digits, rest)) }
}

/// RFC 3339 appendix C.
const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days before the first of January of a year, counted from that of year 0.
const fn days_before_year(year: i64) -> i64 {
    if year == 0 {
        return 0;
    }
    let past = year - 1;
    // Year 0 is a leap year.
    year * 365 + 1 + past / 4 - past / 100 + past / 400
}

const DAYS_BEFORE_1970: i64 = days_before_year(1970);

fn days_since_1970(year: u16, month: u8, day: u8) -> i64 {
    let months: i64 = (1..month).map(|month| i64::from(days_in(year, month))).sum();
    days_before_year(i64::from(year)) + months + i64::from(day) - 1 - DAYS_BEFORE_1970
}

/// The way back: year, month and day.
fn date(days_since_1970: i64) -> Option<(u16, u8, u8)> {
    let days =
        days_since_1970.checked_add(DAYS_BEFORE_1970).filter(|days| (0..days_before_year(10_000)).contains(days))?;
    // A year has 365 days at least, so this is not too small, and too great by the leap days of 9999 years at the most: some seven years.
    let mut year = days / 365;
    while days_before_year(year) > days {
        year -= 1;
    }
    let mut day = days - days_before_year(year);
    let year = u16::try_from(year).ok()?;
    for month in 1..=12 {
        let length = i64::from(days_in(year, month));
        if day < length {
            return Some((year, month, u8::try_from(day + 1).ok()?));
        }
        day -= length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_date_is_so_many_seconds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("1985-04-12T23:20:50.52Z", 482_196_050),
            ("1996-12-19T16:39:57-08:00", 851_042_397),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2038-01-19T03:14:08Z", 1 << 31),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("1990-12-31T23:59:60Z", 662_688_000),
            ("1990-12-31T15:59:60-08:00", 662_688_000),
            ("2027-01-01T00:00:00-00:00", 1_798_761_600),
        ] {
            let time = Timestamp::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(time.unix_seconds(), seconds, "{text}");
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        use TimestampError::{Date, Fraction, Offset, Syntax, Time};
        for (text, error) in [
            ("", Syntax),
            ("2027-02-28", Syntax),
            ("2027-02-28 09:30:00Z", Syntax),
            ("2027-02-28T09:30:00", Syntax),
            ("2027-02-28T09:30:00.Z", Syntax),
            ("2027-02-28T09:30:00+0100", Syntax),
            ("2027-02-28T09:30:00Z ", Syntax),
            ("+027-02-28T09:30:00Z", Syntax),
            ("2027-02-2\u{664}T09:30:00Z", Syntax),
            ("2027-02-29T09:30:00Z", Date),
            ("2100-02-29T09:30:00Z", Date),
            ("2027-00-01T09:30:00Z", Date),
            ("2027-13-01T09:30:00Z", Date),
            ("2027-04-31T09:30:00Z", Date),
            ("2027-04-00T09:30:00Z", Date),
            ("2027-02-28T24:00:00Z", Time),
            ("2027-02-28T09:60:00Z", Time),
            ("2027-02-28T09:30:61Z", Time),
            ("2027-02-28T09:30:60Z", Time),
            ("2027-06-29T23:59:60Z", Time),
            ("2027-06-30T23:59:60+01:00", Time),
            ("2027-02-28T09:30:00+24:00", Offset),
            ("2027-02-28T09:30:00-00:60", Offset),
            ("2027-02-28T09:30:00.0123456789Z", Fraction),
        ] {
            assert_eq!(Timestamp::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn it_is_written_with_capitals_and_with_its_digits() {
        let written = |text| Timestamp::parse(text).map(|time| (time.to_string(), time.subsec_nanos()));
        assert_eq!(written("2027-02-28t09:30:00z"), Ok(("2027-02-28T09:30:00Z".to_string(), 0)));
        assert_eq!(
            written("2027-02-28T09:30:00.0500+00:00"),
            Ok(("2027-02-28T09:30:00.0500Z".to_string(), 50_000_000))
        );
        assert_eq!(
            written("9999-12-31T23:59:60.999999999Z").map(|(_, nanos)| nanos),
            Ok(999_999_999),
            "the last second that can be written"
        );
    }

    #[test]
    fn seconds_are_a_date_and_back() {
        // Steps of a prime number of seconds, through all years; and both ends.
        let mut seconds = -62_167_219_200;
        while seconds < 253_402_300_800 {
            let time = Timestamp::from_unix_seconds(seconds).expect("a year of four digits");
            assert_eq!(time.unix_seconds(), seconds);
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            seconds += 9_999_991;
        }
        for beyond in [-62_167_219_201, 253_402_300_800, i64::MIN, i64::MAX] {
            assert_eq!(Timestamp::from_unix_seconds(beyond), None);
        }
    }
}
