//! Numbers as people read them.

/// A duration with three digits and the unit that fits: `8.24 µs`, `123 µs`, `1.50 ms`, `12.3 s`.
#[must_use]
pub fn duration(ns: f64) -> String {
    // Rounding first, so that 999.6 µs is 1.00 ms and not 1000 µs.
    let (value, unit) = if ns == 0.0 {
        return "0".to_owned();
    } else if ns < 999.5 {
        (ns, "ns")
    } else if ns < 999_500.0 {
        (ns / 1e3, "µs")
    } else if ns < 999_500_000.0 {
        (ns / 1e6, "ms")
    } else {
        (ns / 1e9, "s")
    };
    format!("{} {unit}", three_digits(value))
}

/// A number of octets in decimal units: `512 B`, `4.10 kB`, `1.05 MB`.
#[must_use]
pub fn bytes(count: f64) -> String {
    let (value, unit) = if count < 999.5 {
        return format!("{count:.0} B");
    } else if count < 999_500.0 {
        (count / 1e3, "kB")
    } else if count < 999_500_000.0 {
        (count / 1e6, "MB")
    } else {
        (count / 1e9, "GB")
    };
    format!("{} {unit}", three_digits(value))
}

/// A rate or another count that may be a fraction: three digits below 100, whole above, in groups of three digits.
#[must_use]
pub fn number(value: f64) -> String {
    if value < 99.95 { three_digits(value) } else { count(value.round() as u64) }
}

/// A count in groups of three digits: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share of one as `12 %`, or `0.4 %` where it is small.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value < 9.95 { format!("{value:.1} %") } else { format!("{value:.0} %") }
}

fn three_digits(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        for (ns, text) in [
            (0.0, "0"),
            (1.0, "1.00 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (8_240.0, "8.24 µs"),
            (99_960.0, "100 µs"),
            (999_600.0, "1.00 ms"),
            (12_340_000.0, "12.3 ms"),
            (999_600_000.0, "1.00 s"),
            (61e9, "61.0 s"),
            (3600e9, "3600 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(number(3.456), "3.46");
        assert_eq!(number(12_345.6), "12,346");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn octets_have_decimal_units() {
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(4096.0), "4.10 kB");
        assert_eq!(bytes(101_400_000.0), "101 MB");
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(percent(0.5), "50 %");
    }
}
