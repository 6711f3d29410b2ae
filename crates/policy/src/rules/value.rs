//! Values of a rule that are written as text or number, each checked where it is read, so that an error tells its place.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The longest wait of a rule; a session waits for its answer twice as long ([`Timeouts::override_answer`](ehlo_tokio::ehlo_server::Timeouts)).
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// One value or several, of which any may fit: `"a"` or `["a", "b"]`.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of<T>(PhantomData<T>);

        impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for Of<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
                text.parse().map(|one| List(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(Text(one)) = list.next_element()? {
                    all.push(one);
                }
                if all.is_empty() { Err(A::Error::custom("an empty list fits nothing")) } else { Ok(List(all)) }
            }
        }

        deserializer.deserialize_any(Of(PhantomData))
    }
}

/// A value that is written as text, or as a number where that reads the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Of<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<T>, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Of(PhantomData))
    }
}

/// A wait: `3s`, `1m30s`, or one between two, drawn anew each time: `1s..5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = (wait(least)?, wait(most)?);
        if least > most {
            return Err(format!("{text} ends before it begins"));
        }
        Ok(Self { least, most })
    }
}

/// One wait.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no time such as 3s, 500ms or 1m30s");
    let (mut rest, mut total) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        total += match &rest[digits..digits + letters] {
            "ms" => Duration::from_millis(count.into()),
            "s" => Duration::from_secs(count.into()),
            "m" => Duration::from_secs(60 * u64::from(count)),
            "h" => Duration::from_secs(3600 * u64::from(count)),
            _ => return Err(wrong()),
        };
        rest = &rest[digits + letters..];
    }
    if total > LONGEST {
        Err(format!("\"{text}\" is longer than the hour that a rule waits at most"))
    } else {
        Ok(total)
    }
}

/// A wait that is the same each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold(pub(super) Duration);

impl FromStr for Hold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        wait(text).map(Self)
    }
}

/// Octets a second: `100/s`, `10K/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub(super) NonZeroU32);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octets = text.trim().strip_suffix("/s").map(str::trim).and_then(octets);
        let rate = octets.and_then(|octets| NonZeroU32::new(u32::try_from(octets).ok()?));
        rate.map(Self).ok_or_else(|| format!("\"{text}\" is no rate such as 100/s or 10K/s"))
    }
}

/// Octets with K, M or G behind them, of 1024 each.
fn octets(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    number.checked_mul(1 << shift)
}

/// Sizes: `10M..`, `..1K`, `1K..1M`; both ends belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    least: u64,
    most: u64,
}

impl Sizes {
    pub(super) fn contains(&self, size: u64) -> bool {
        (self.least..=self.most).contains(&size)
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no range of sizes such as 10M.., ..1K or 1K..1M");
        let (least, most) = text.split_once("..").ok_or_else(wrong)?;
        let end = |text: &str, otherwise| match text.trim() {
            "" => Ok(otherwise),
            text => octets(text).ok_or_else(wrong),
        };
        let sizes = Self { least: end(least, 0)?, most: end(most, u64::MAX)? };
        if sizes.least > sizes.most || text.trim() == ".." { Err(wrong()) } else { Ok(sizes) }
    }
}

/// How often out of 2^64, from a number between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probability(u128);

impl Probability {
    /// Whether a number that was drawn is one of those.
    pub(super) fn takes(self, drawn: u64) -> bool {
        u128::from(drawn) < self.0
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(D::Error::custom(format!("a probability is between 0 and 1, and {share} is not")));
        }
        // Exact: a double has 53 bits, and the product is none of infinity.
        Ok(Self((share * 2f64.powi(64)) as u128))
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Disconnect {
    /// It is closed, and nothing is said.
    Before,
    /// It is closed behind the reply.
    After,
    /// It is reset, behind the reply if there is one.
    Reset,
    /// It stays, behind 421 too.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_times_and_ranges_of_them() {
        let seconds = |n| Duration::from_secs(n);
        assert_eq!("3s".parse(), Ok(Delay { least: seconds(3), most: seconds(3) }));
        assert_eq!("1m30s".parse(), Ok(Delay { least: seconds(90), most: seconds(90) }));
        assert_eq!("500ms..1h".parse(), Ok(Delay { least: Duration::from_millis(500), most: seconds(3600) }));
        for wrong in
            ["", "3", "s", "3x", "-1s", "5s..1s", "..", "1s..", "61m", "1h1s", "4294967296s", "99999999999999999999s"]
        {
            assert!(wrong.parse::<Delay>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_sizes_have_units() {
        assert_eq!("100/s".parse::<Rate>().map(|rate| rate.0.get()), Ok(100));
        assert_eq!("2K/s".parse::<Rate>().map(|rate| rate.0.get()), Ok(2048));
        for wrong in ["", "100", "0/s", "/s", "-1/s", "+1/s", "5G/s", "1/m"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        let sizes: Sizes = "1K..2K".parse().unwrap();
        assert_eq!([1023, 1024, 2048, 2049].map(|size| sizes.contains(size)), [false, true, true, false]);
        assert!("10M..".parse::<Sizes>().unwrap().contains(u64::MAX));
        assert!("..0".parse::<Sizes>().unwrap().contains(0));
        for wrong in ["", "..", "10", "2..1", "x..", "1..2..3", "18446744073709551615K.."] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }
}
