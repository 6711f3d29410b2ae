//! A line of an EHLO reply, typed.

use super::{Auth, Extension, Limits, Words};
use crate::{Timestamp, text};
use core::fmt;

/// How far ahead a message may be held (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureRelease {
    /// Seconds that HOLDFOR may ask for at the most: 1 to 999,999,999.
    pub max_interval: u32,
    /// The latest time that HOLDUNTIL may ask for.
    pub max_until: Timestamp,
}

impl FutureRelease {
    /// `max-future-release-interval SP max-future-release-date-time`
    fn parse(parameters: &str) -> Option<Self> {
        let mut words = Words::spaced(parameters).iter();
        let (interval, until) = (words.next()?, words.next()?);
        if words.next().is_some() || interval.starts_with('0') {
            return None;
        }
        Some(Self { max_interval: nine_digits(interval)?, max_until: Timestamp::parse(until).ok()? })
    }
}

/// What one line of an EHLO reply offers: `ehlo-line = ehlo-keyword *( SP ehlo-param )` (RFC 5321 §4.1.1.1).
///
/// What is not known, and what is known but has parameters that its document does not allow, is kept as [`Other`](Self::Other).
///
/// ```
/// use ehlo_codec::{Capability, Extension};
///
/// assert_eq!(Capability::parse("size 1000")?, Capability::Size(Some(1000)));
/// assert_eq!(Capability::parse("pipelining")?, Capability::Plain(Extension::Pipelining));
/// assert_eq!(Capability::parse("X-NEW a b")?, Capability::Other { keyword: "X-NEW", parameters: "a b" });
/// # Ok::<(), ehlo_codec::CapabilityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability<'a> {
    /// A known keyword alone.
    Plain(Extension),
    /// SIZE with the greatest size of a message in octets, where 0 is no fixed limit; without, if none is told, or one beyond 64 bits, which no
    /// message reaches (RFC 1870 §4).
    Size(Option<u64>),
    /// AUTH with its mechanisms (RFC 4954 §3).
    Auth(Auth<'a>),
    /// LIMITS (RFC 9422 §3).
    Limits(Limits<'a>),
    /// DELIVERBY with the least time in seconds that may be asked for with return, if one is told (RFC 2852 §2). Extension tokens behind a
    /// comma are passed over: none is registered.
    DeliverBy(Option<u32>),
    /// FUTURERELEASE (RFC 4865 §3).
    FutureRelease(FutureRelease),
    /// MT-PRIORITY with the name of its policy, if one is told (RFC 6710 §3).
    MtPriority(Option<&'a str>),
    /// NO-SOLICITING with the kinds of solicitation that are not wanted; without any it restricts nothing (RFC 3865 §2.2).
    NoSoliciting(Words<'a>),
    /// BURL with its options; `imap` is the one of RFC 4468 §3.3. Without, a log-in is needed first (RFC 4468 §3.1).
    Burl(Words<'a>),
    /// XCLIENT with the attributes that the server takes (Postfix).
    XClient(Words<'a>),
    /// XFORWARD with the attributes that the server takes (Postfix).
    XForward(Words<'a>),
    /// A keyword that is not known, or parameters that it should not have, as they came.
    Other {
        /// The first word of the line.
        keyword: &'a str,
        /// The rest, without spaces around it.
        parameters: &'a str,
    },
}

/// Why a line of an EHLO reply is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CapabilityError {
    /// It does not begin with a keyword.
    Empty,
    /// It has a character other than printable ASCII, space and TAB.
    Text,
}

impl fmt::Display for CapabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a line of an EHLO reply begins with a keyword",
            Self::Text => "a line of an EHLO reply is printable ASCII",
        })
    }
}

impl core::error::Error for CapabilityError {}

impl<'a> Capability<'a> {
    /// Reads a line of an EHLO reply, without its code and line end. Keywords are known in any case; what follows them may be separated by
    /// more than one space, or by TAB, and spaces before them are passed over.
    ///
    /// # Errors
    ///
    /// [`CapabilityError`], if it has no keyword or is no text.
    pub fn parse(line: &'a str) -> Result<Self, CapabilityError> {
        if text::run(line.as_bytes(), 0, text::TEXT) < line.len() {
            return Err(CapabilityError::Text);
        }
        let line = line.trim_ascii_start();
        // Up to a space or TAB: `VALUE` has all other characters but `=`, which is in `ATEXT`.
        let end = text::run(line.as_bytes(), 0, text::VALUE | text::ATEXT);
        let (keyword, parameters) = line.split_at(end);
        if keyword.is_empty() {
            return Err(CapabilityError::Empty);
        }
        let parameters = parameters.trim_ascii();
        let other = Self::Other { keyword, parameters };
        let Some(extension) = Extension::parse(keyword) else {
            return Ok(match keyword.split_at_checked("AUTH=".len()) {
                Some((auth, _)) if auth.eq_ignore_ascii_case("AUTH=") => Self::Auth(Auth::old(&line[auth.len()..])),
                _ => other,
            });
        };
        Ok(match extension {
            Extension::Size => size(parameters).map_or(other, Self::Size),
            Extension::Auth => Self::Auth(Auth::new(parameters)),
            Extension::Limits => Self::Limits(Limits::new(parameters)),
            Extension::DeliverBy => deliver_by(parameters).map_or(other, Self::DeliverBy),
            Extension::FutureRelease => FutureRelease::parse(parameters).map_or(other, Self::FutureRelease),
            Extension::MtPriority if parameters.is_empty() => Self::MtPriority(None),
            Extension::MtPriority => policy(parameters).map_or(other, |name| Self::MtPriority(Some(name))),
            Extension::NoSoliciting => Self::NoSoliciting(Words::commas(parameters)),
            Extension::Burl => Self::Burl(Words::spaced(parameters)),
            Extension::XClient => Self::XClient(Words::spaced(parameters)),
            Extension::XForward => Self::XForward(Words::spaced(parameters)),
            _ if parameters.is_empty() => Self::Plain(extension),
            _ => other,
        })
    }

    /// The extension that it offers, if it is of the registry. That of `AUTH=` is none: no RFC knows it.
    #[must_use]
    pub fn extension(&self) -> Option<Extension> {
        Some(match self {
            Self::Plain(extension) => *extension,
            Self::Size(_) => Extension::Size,
            Self::Auth(auth) if auth.is_old_form() => return None,
            Self::Auth(_) => Extension::Auth,
            Self::Limits(_) => Extension::Limits,
            Self::DeliverBy(_) => Extension::DeliverBy,
            Self::FutureRelease(_) => Extension::FutureRelease,
            Self::MtPriority(_) => Extension::MtPriority,
            Self::NoSoliciting(_) => Extension::NoSoliciting,
            Self::Burl(_) => Extension::Burl,
            Self::XClient(_) => Extension::XClient,
            Self::XForward(_) => Extension::XForward,
            Self::Other { keyword, .. } => return Extension::parse(keyword),
        })
    }
}

impl fmt::Display for Capability<'_> {
    /// As it stands in a reply, without code and line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, extension: Extension, parameters: &dyn fmt::Display, none: bool| {
            if none { write!(f, "{extension}") } else { write!(f, "{extension} {parameters}") }
        };
        match self {
            Self::Plain(extension) => write!(f, "{extension}"),
            Self::Size(None) => write!(f, "{}", Extension::Size),
            Self::Size(Some(size)) => line(f, Extension::Size, size, false),
            Self::Auth(auth) => write!(f, "{auth}"),
            Self::Limits(limits) => line(f, Extension::Limits, limits, limits.is_empty()),
            Self::DeliverBy(None) => write!(f, "{}", Extension::DeliverBy),
            Self::DeliverBy(Some(seconds)) => line(f, Extension::DeliverBy, seconds, false),
            Self::FutureRelease(FutureRelease { max_interval, max_until }) => {
                write!(f, "{} {max_interval} {max_until}", Extension::FutureRelease)
            }
            Self::MtPriority(None) => write!(f, "{}", Extension::MtPriority),
            Self::MtPriority(Some(policy)) => line(f, Extension::MtPriority, policy, false),
            Self::NoSoliciting(words) => line(f, Extension::NoSoliciting, words, words.is_empty()),
            Self::Burl(words) => line(f, Extension::Burl, words, words.is_empty()),
            Self::XClient(words) => line(f, Extension::XClient, words, words.is_empty()),
            Self::XForward(words) => line(f, Extension::XForward, words, words.is_empty()),
            Self::Other { keyword, parameters: "" } => f.write_str(keyword),
            Self::Other { keyword, parameters } => write!(f, "{keyword} {parameters}"),
        }
    }
}

/// `size-param ::= [1*DIGIT]` (RFC 1870 §4). RFC 1870 has up to 20 digits; more are no greater harm.
pub(super) fn size(parameters: &str) -> Option<Option<u64>> {
    // Only digits, so what fails is no number at all or one beyond 64 bits.
    parameters.bytes().all(|b| b.is_ascii_digit()).then(|| parameters.parse().ok())
}

/// Reads ` 52428800` up to its CRLF, which is not taken: the number and how many octets it has. Only for one to eight digits behind one space;
/// `None` says nothing about others.
#[inline(always)]
pub(super) fn read_size(bytes: &[u8]) -> Option<(u64, usize)> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (b" ", text) = bytes.split_first_chunk()? else { return None };
    let word = u64::from_le_bytes(*text.first_chunk()?);
    // Digits become 0 to 9; of the others the high bit is told.
    let digits = word ^ (0x30 * EACH);
    let others = (((digits & (0x7f * EACH)) + (0x76 * EACH)) | digits) & (0x80 * EACH);
    let count = others.trailing_zeros() / 8;
    if count == 0 || text.get(count as usize..)?.first_chunk() != Some(b"\r\n") {
        return None;
    }
    // Zeros in front, and then two, four and eight digits at once.
    let digits = digits << (64 - 8 * count);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((fours * 10_000 + (fours >> 32)) & 0xffff_ffff, 1 + count as usize))
}

/// `deliverby-param = min-by-time *( ',' extension-token )`, `min-by-time = [1*9DIGIT]` (RFC 2852 §2).
pub(super) fn deliver_by(parameters: &str) -> Option<Option<u32>> {
    match parameters.split(',').next()? {
        "" => Some(None),
        digits => nine_digits(digits).map(Some),
    }
}

pub(super) fn future_release(parameters: &str) -> Option<FutureRelease> {
    FutureRelease::parse(parameters)
}

/// The name of a priority policy: 1 to 20 letters, digits, hyphens, underscores and dots (RFC 6710 §3).
pub(super) fn policy(parameters: &str) -> Option<&str> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    Some(parameters).filter(|name| (1..=20).contains(&name.len()) && name.bytes().all(is_name))
}

/// `1*9DIGIT`
fn nine_digits(digits: &str) -> Option<u32> {
    let fits = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn other<'a>(keyword: &'a str, parameters: &'a str) -> Capability<'a> {
        Capability::Other { keyword, parameters }
    }

    #[test]
    fn each_line_is_what_it_says_and_is_written_the_same() {
        let until = Timestamp::parse("2027-02-28T09:30:00Z").unwrap();
        for (line, capability) in [
            ("PIPELINING", Capability::Plain(Extension::Pipelining)),
            ("8BITMIME", Capability::Plain(Extension::EightBitMime)),
            ("SIZE", Capability::Size(None)),
            ("SIZE 0", Capability::Size(Some(0))),
            ("SIZE 52428800", Capability::Size(Some(52_428_800))),
            ("SIZE 18446744073709551615", Capability::Size(Some(u64::MAX))),
            ("AUTH PLAIN LOGIN", Capability::Auth(Auth::new("PLAIN LOGIN"))),
            ("AUTH", Capability::Auth(Auth::new(""))),
            ("AUTH=LOGIN PLAIN", Capability::Auth(Auth::old("LOGIN PLAIN"))),
            ("LIMITS RCPTMAX=100 X=y", Capability::Limits(Limits::new("RCPTMAX=100 X=y"))),
            ("LIMITS", Capability::Limits(Limits::new(""))),
            ("DELIVERBY", Capability::DeliverBy(None)),
            ("DELIVERBY 240", Capability::DeliverBy(Some(240))),
            (
                "FUTURERELEASE 86400 2027-02-28T09:30:00Z",
                Capability::FutureRelease(FutureRelease { max_interval: 86_400, max_until: until }),
            ),
            ("MT-PRIORITY", Capability::MtPriority(None)),
            ("MT-PRIORITY STANAG4406", Capability::MtPriority(Some("STANAG4406"))),
            ("NO-SOLICITING net.example:ADV", Capability::NoSoliciting(Words::commas("net.example:ADV"))),
            ("NO-SOLICITING", Capability::NoSoliciting(Words::commas(""))),
            ("BURL imap", Capability::Burl(Words::spaced("imap"))),
            ("XCLIENT NAME ADDR", Capability::XClient(Words::spaced("NAME ADDR"))),
            ("XFORWARD NAME", Capability::XForward(Words::spaced("NAME"))),
            ("X-NEW a  b=c", other("X-NEW", "a  b=c")),
            ("X-NEW", other("X-NEW", "")),
            ("SMTPUTF8 x", other("SMTPUTF8", "x")),
        ] {
            assert_eq!(Capability::parse(line), Ok(capability), "{line}");
            assert_eq!(capability.to_string(), line);
        }
    }

    #[test]
    fn keywords_are_known_in_any_case_and_spaces_do_not_matter() {
        assert_eq!(Capability::parse("8bitMIME "), Ok(Capability::Plain(Extension::EightBitMime)));
        assert_eq!(Capability::parse("size\t 7 "), Ok(Capability::Size(Some(7))));
        assert_eq!(Capability::parse(" \tSIZE 7"), Ok(Capability::Size(Some(7))));
        assert_eq!(Capability::parse("Auth=Login"), Ok(Capability::Auth(Auth::old("Login"))));
    }

    #[test]
    fn parameters_that_a_keyword_cannot_have_are_kept_as_they_came() {
        for (keyword, parameters) in [
            ("SIZE", "10M"),
            ("SIZE", "-1"),
            ("SIZE", "1 2"),
            ("DELIVERBY", "1234567890"),
            ("DELIVERBY", "x"),
            ("FUTURERELEASE", ""),
            ("FUTURERELEASE", "60"),
            ("FUTURERELEASE", "060 2027-02-28T09:30:00Z"),
            ("FUTURERELEASE", "60 2027-02-30T09:30:00Z"),
            ("MT-PRIORITY", "a b"),
            ("MT-PRIORITY", "a23456789b123456789c1"),
            ("PIPELINING", "x"),
        ] {
            let line = [keyword, parameters].join(" ");
            let read = Capability::parse(&line).unwrap();
            assert_eq!(read, other(keyword, parameters));
            assert_eq!(read.extension(), Extension::parse(keyword));
        }
    }

    #[test]
    fn a_size_beyond_64_bits_is_no_limit() {
        assert_eq!(Capability::parse("SIZE 18446744073709551616"), Ok(Capability::Size(None)));
        assert_eq!(Capability::parse("SIZE 99999999999999999999999"), Ok(Capability::Size(None)));
    }

    #[test]
    fn a_size_that_is_read_at_once_is_its_number() {
        for digits in ["0", "7", "10", "999", "1234", "00001", "123456", "9999999", "52428800", "99999999", "00000000"]
        {
            let wire = [" ", digits, "\r\n250 HELP\r\n"].concat();
            assert_eq!(read_size(wire.as_bytes()), Some((digits.parse().unwrap(), 1 + digits.len())));
        }
        for text in [
            "",
            " ",
            "  1",
            "\t1",
            " 1 ",
            " 1x",
            " x",
            " 123456789",
            " -1",
            " 1\r",
            " \u{b1}",
            " 1\u{b1}",
            "=1",
            " :",
            " /",
        ] {
            assert_eq!(read_size([text, "\r\n250 HELP\r\n"].concat().as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn deliver_by_tokens_are_passed_over() {
        assert_eq!(Capability::parse("DELIVERBY 240,x"), Ok(Capability::DeliverBy(Some(240))));
        assert_eq!(Capability::parse("DELIVERBY ,x"), Ok(Capability::DeliverBy(None)));
    }

    #[test]
    fn what_is_no_text_or_has_no_keyword_is_an_error() {
        for line in ["", " ", "\t"] {
            assert_eq!(Capability::parse(line), Err(CapabilityError::Empty));
        }
        for line in ["X \u{e9}", "X\r", "X\nY", "X\0", "\x7f", "X \x1b[2J"] {
            assert_eq!(Capability::parse(line), Err(CapabilityError::Text));
        }
    }
}
