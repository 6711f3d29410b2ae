//! Values that are written as people write them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use ehlo_tokio::{Network, NetworkError};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes: an integer, or a text with K, M, G or T behind the number, which are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a number of bytes is an integer, or a text such as \"64K\", \"50M\" or \"2G\"";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match &text[digits.len()..] {
            "" => 0,
            "k" | "K" => 10,
            "m" | "M" => 20,
            "g" | "G" => 30,
            "t" | "T" => 40,
            _ => return Err(WRONG),
        };
        let number = whole(digits).ok_or(WRONG)?;
        number.checked_mul(1 << shift).map(Self).ok_or("there are not so many bytes")
    }
}

/// A time to wait: an integer of seconds, or a text with ms, s, m, h or d behind the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "a time is an integer of seconds, or a text such as \"500ms\", \"30s\", \"5m\", \"1h\" or \"2d\"";
        const FOREVER: u64 = 100 * 365 * 24 * 3600;
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number = whole(digits).ok_or(WRONG)?;
        let unit = match &text[digits.len()..] {
            "ms" => return Ok(Self(Duration::from_millis(number.min(FOREVER)))),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return Err(WRONG),
        };
        let seconds = number.checked_mul(unit).filter(|&seconds| seconds <= FOREVER);
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or("that is more than a hundred years")
    }
}

/// Digits only: no sign, and nothing that only some programs take for a number.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// A network: an address, or one with the number of its leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net(pub Network);

impl FromStr for Net {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Reads what is a text, or an integer that stands for a text with the unit that goes without saying.
struct TextOrInteger<T> {
    unit: &'static str,
    expected: &'static str,
    kind: PhantomData<T>,
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextOrInteger<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        format!("{number}{}", self.unit).parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        format!("{number}{}", self.unit).parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of bytes, such as 1000, \"64K\" or \"50M\"";
        deserializer.deserialize_any(TextOrInteger { unit: "", expected, kind: PhantomData })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a time, such as 30, \"30s\" or \"5m\"";
        deserializer.deserialize_any(TextOrInteger { unit: "s", expected, kind: PhantomData })
    }
}

impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a network, such as \"192.0.2.0/24\" or \"2001:db8::1\"";
        deserializer.deserialize_str(TextOrInteger { unit: "", expected, kind: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_have_units() {
        for (text, bytes) in [("0", 0), ("7", 7), ("64k", 65_536), ("50M", 52_428_800), ("2T", 2 << 40)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for wrong in ["", "M", "-1", "+1", "1.5M", "1 M", "1MB", "16777216T", "99999999999999999999"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
        for (text, milliseconds) in
            [("500ms", 500), ("3s", 3000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(milliseconds))), "{text}");
        }
        for wrong in ["", "s", "-1s", "1", "1w", "1 s", "36501d", "99999999999999999999s"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
