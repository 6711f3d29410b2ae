//! Limits of a session (RFC 9422).

use super::Words;
use core::fmt;

/// One limit that LIMITS tells (RFC 9422 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit<'a> {
    /// MAILMAX: transactions of one session, 1 to 999999.
    MailMax(u32),
    /// RCPTMAX: RCPT commands of one transaction, 1 to 999999.
    RcptMax(u32),
    /// RCPTDOMAINMAX: different domains among the recipients of one session, 1 to 999999.
    RcptDomainMax(u32),
    /// One that is not known here, as it came.
    Other {
        /// Its name.
        name: &'a str,
        /// What is behind the equals sign.
        value: &'a str,
    },
}

impl<'a> Limit<'a> {
    /// Reads `limit-name "=" limit-value`. `None` if it is not of that form, or if the value of one of the three is no number that its
    /// section allows: then nothing was told.
    #[must_use]
    pub fn parse(word: &'a str) -> Option<Self> {
        let (name, value) = word.split_once('=')?;
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        // Visible characters but the semicolon (RFC 9422 §3).
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
            return None;
        }
        if name.eq_ignore_ascii_case("MAILMAX") {
            number(value).map(Self::MailMax)
        } else if name.eq_ignore_ascii_case("RCPTMAX") {
            number(value).map(Self::RcptMax)
        } else if name.eq_ignore_ascii_case("RCPTDOMAINMAX") {
            number(value).map(Self::RcptDomainMax)
        } else {
            Some(Self::Other { name, value })
        }
    }
}

/// Up to six digits, the first of them not zero.
fn number(value: &str) -> Option<u32> {
    if value.len() > 6 || value.starts_with('0') || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    value.parse().ok()
}

impl fmt::Display for Limit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MailMax(most) => write!(f, "MAILMAX={most}"),
            Self::RcptMax(most) => write!(f, "RCPTMAX={most}"),
            Self::RcptDomainMax(most) => write!(f, "RCPTDOMAINMAX={most}"),
            Self::Other { name, value } => write!(f, "{name}={value}"),
        }
    }
}

/// What stands behind LIMITS (RFC 9422 §3), borrowed. None at all, if nothing does or the server does not offer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits<'a>(Words<'a>);

impl<'a> Limits<'a> {
    /// The limits of a text, separated by spaces: `RCPTMAX=100 MAILMAX=10`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(Words::spaced(text))
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that were told, the unknown ones too. What is malformed is passed over.
    pub fn iter(&self) -> impl Iterator<Item = Limit<'a>> + Clone + use<'a> {
        self.0.iter().filter_map(Limit::parse)
    }

    /// Most transactions of this session; with more than one number, the smallest.
    #[must_use]
    pub fn mail_max(&self) -> Option<u32> {
        self.iter().filter_map(|limit| if let Limit::MailMax(most) = limit { Some(most) } else { None }).min()
    }

    /// Most RCPT commands of one transaction; with more than one number, the smallest.
    #[must_use]
    pub fn rcpt_max(&self) -> Option<u32> {
        self.iter().filter_map(|limit| if let Limit::RcptMax(most) = limit { Some(most) } else { None }).min()
    }

    /// Most domains of recipients; with more than one number, the smallest.
    #[must_use]
    pub fn rcpt_domain_max(&self) -> Option<u32> {
        self.iter().filter_map(|limit| if let Limit::RcptDomainMax(most) = limit { Some(most) } else { None }).min()
    }
}

impl fmt::Display for Limits<'_> {
    /// As it came, malformed words too, with one space between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn known_limits_are_numbers_and_unknown_ones_are_kept() {
        let limits = Limits::new("MAILMAX=5 rcptmax=100 RCPTDOMAINMAX=999999 X-NEW=a,b=c");
        assert_eq!(
            limits.iter().collect::<Vec<_>>(),
            [
                Limit::MailMax(5),
                Limit::RcptMax(100),
                Limit::RcptDomainMax(999_999),
                Limit::Other { name: "X-NEW", value: "a,b=c" }
            ]
        );
        assert_eq!(
            (limits.mail_max(), limits.rcpt_max(), limits.rcpt_domain_max()),
            (Some(5), Some(100), Some(999_999))
        );
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        let limits =
            Limits::new("MAILMAX MAILMAX= RCPTMAX=0 RCPTMAX=01 RCPTMAX=1000000 RCPTMAX=+1 =5 A.B=1 C=;x RCPTMAX=7");
        assert_eq!(limits.iter().collect::<Vec<_>>(), [Limit::RcptMax(7)]);
    }

    #[test]
    fn of_a_limit_told_twice_the_smaller_counts() {
        assert_eq!(Limits::new("RCPTMAX=10 RCPTMAX=5 RCPTMAX=20").rcpt_max(), Some(5));
        assert_eq!(Limits::new("").rcpt_max(), None);
    }
}
