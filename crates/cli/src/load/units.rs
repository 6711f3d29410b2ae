//! Sizes, times and rates as they stand on a command line.

use std::time::Duration;

/// A number of bytes: `4096`, `4k`, `1M`. The units are powers of 1024.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("\"{text}\" is not a size such as 4096, 4k or 1M");
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        _ => return Err(wrong()),
    };
    let value: usize = whole(digits).and_then(|it| it.try_into().ok()).ok_or_else(wrong)?;
    value.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A time: `5s`, `500ms`, `2m`, `1h`; a bare number is seconds. Fractions are allowed.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a time such as 5s, 500ms or 2m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = if plain { digits.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    // A run of more than a year is a slip of the pen.
    let seconds = value * unit;
    if seconds > 366.0 * 86_400.0 { Err(wrong()) } else { Duration::try_from_secs_f64(seconds).map_err(|_| wrong()) }
}

/// `HOST:PORT`; whether the host exists is found out later.
pub(super) fn target(text: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("{why}; a target is HOST:PORT, such as mx.example.org:25 or [::1]:2525"));
    let Some((host, port)) = text.rsplit_once(':') else { return wrong("the port is missing") };
    if host.is_empty() {
        return wrong("the host is missing");
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return wrong("an IPv6 address stands in brackets");
    }
    match whole(port).and_then(|it| u16::try_from(it).ok()) {
        Some(1..) => Ok(text.to_owned()),
        _ => wrong("the port is a number from 1 to 65535"),
    }
}

/// A time above zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|it| if it.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(it) })
}

/// A number of messages or connections: `5000`, `5k`, `1M`. The units are powers of 1000.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not a number such as 5000, 5k or 1M");
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let value = whole(digits).and_then(|it| it.checked_mul(unit)).ok_or_else(wrong)?;
    if value == 0 { Err("must be at least 1".to_owned()) } else { Ok(value) }
}

/// A rate in messages per second: `1500`, `2.5k`, `0.5`; `/s` may follow.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("\"{text}\" is not a rate in messages per second such as 1500, 2.5k or 0.5");
    let bare = text.strip_suffix("/s").unwrap_or(text);
    let (digits, unit) = match bare.as_bytes().last() {
        Some(b'k' | b'K') => (&bare[..bare.len() - 1], 1e3),
        _ => (bare, 1.0),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = if plain { digits.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    let rate = value * unit;
    if rate > 0.0 && rate <= 1e8 { Ok(rate) } else { Err(wrong()) }
}

/// Digits only: the standard parser would take a sign, too.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("4k"), Ok(4096));
        assert_eq!(size("4KiB"), Ok(4096));
        assert_eq!(size("1M"), Ok(1 << 20));
        for wrong in ["", "k", "-1", "+1", "4x", "1.5k", "99999999999999999999", "18446744073709551615k"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets_have_a_host_and_a_port() {
        for right in ["localhost:25", "127.0.0.1:2525", "[::1]:25"] {
            assert_eq!(target(right).as_deref(), Ok(right));
        }
        for wrong in ["localhost", "localhost:", "localhost:smtp", ":25", "::1", "::1:25", "a:0", "a:65536", "a:+1", ""]
        {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(positive_duration("0ms").is_err());
        for wrong in ["", "s", "-1s", "1d", "inf", "nan", "1e9", "1000h 5m", "99999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_rates_are_read() {
        assert_eq!(count("5k"), Ok(5_000));
        assert_eq!(count("1M"), Ok(1_000_000));
        assert!(count("0").is_err() && count("1.5").is_err() && count("").is_err() && count("-3").is_err());
        assert_eq!(rate("1500"), Ok(1500.0));
        assert_eq!(rate("2.5k"), Ok(2500.0));
        assert_eq!(rate("0.5/s"), Ok(0.5));
        assert!(rate("0").is_err() && rate("inf").is_err() && rate("-1").is_err() && rate("").is_err());
    }
}
