//! Domains and address literals (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3).

use super::{MAX_DOMAIN, PathFault};
use crate::text::{self, Charset, LDH, is, run_let_dig};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most octets of a label of a domain (RFC 1035 §2.3.4); of one beyond ASCII, the most characters.
const MAX_LABEL: usize = 63;

/// What stands behind the `@`, or behind EHLO: a domain name or an address literal, syntax checked.
///
/// ```
/// use ehlo_codec::Domain;
///
/// assert!(!Domain::parse("mx.example.com")?.is_literal());
/// assert_eq!(Domain::parse("[IPv6:::1]")?.ip(), Some("::1".parse().unwrap()));
/// assert!(Domain::parse("mx.example.com\r\nRSET").is_err());
/// # Ok::<(), ehlo_codec::PathFault>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain<'a>(&'a [u8]);

/// How a client names itself in EHLO or HELO: a domain, or an address literal (RFC 5321 §4.1.1.1).
pub type ClientId<'a> = Domain<'a>;

impl<'a> Domain<'a> {
    /// Reads a whole domain or address literal.
    ///
    /// ```abnf
    /// Domain          = sub-domain *("." sub-domain)
    /// sub-domain      = Let-dig [Ldh-str]
    /// address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
    /// ```
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what is wrong. A `General-address-literal` is refused: its tag must be one that a standard defines, and
    /// none but `IPv6` is.
    ///
    /// The addresses of literals are read as [`core::net`] reads them. So an IPv4 address with leading zeros (`[010.0.0.1]`) is refused, though
    /// the grammar has it: programs disagree on whether it is octal. And `::` may stand for one group of zeros.
    pub fn parse(text: &'a str) -> Result<Self, PathFault> {
        Self::with(text.as_bytes(), Charset::Ascii)
    }

    /// The same, with labels beyond ASCII (`U-label`, RFC 6531 §3.3). Whether such a label is a valid one of IDNA is not checked: that needs
    /// tables of Unicode, and a resolver does it.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse).
    pub fn parse_utf8(text: &'a str) -> Result<Self, PathFault> {
        Self::with(text.as_bytes(), Charset::Utf8)
    }

    /// Bytes that are ASCII or were checked to be UTF-8 give a domain; others a fault.
    #[inline(always)]
    pub(crate) fn with(bytes: &'a [u8], charset: Charset) -> Result<Self, PathFault> {
        if is_ordinary(bytes) {
            return Ok(Self(bytes));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| PathFault::NonAscii)?;
        Self::odd(text, charset)
    }

    /// Whatever is not made of ordinary labels.
    #[cold]
    fn odd(text: &'a str, charset: Charset) -> Result<Self, PathFault> {
        if text.len() > MAX_DOMAIN {
            return Err(PathFault::DomainTooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(PathFault::AddressLiteral)?;
            literal(inner).ok_or(PathFault::AddressLiteral)?;
            return Ok(Self(text.as_bytes()));
        }
        if charset == Charset::Ascii && !text.is_ascii() {
            return Err(PathFault::NonAscii);
        }
        if text.split('.').all(is_label) { Ok(Self(text.as_bytes())) } else { Err(PathFault::Domain) }
    }

    /// What was checked before.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// As it was written, brackets included.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        text::text(self.0)
    }

    /// The same as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether it is an address literal, in brackets (RFC 5321 §4.1.3).
    #[must_use]
    pub const fn is_literal(&self) -> bool {
        matches!(self.0, [b'[', ..])
    }

    /// The address of an address literal.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        literal(self.as_str().strip_prefix('[')?.strip_suffix(']')?)
    }
}

impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Domain").field(&self.as_str()).finish()
    }
}

/// Whether it is a domain of ordinary ASCII labels that is not long.
#[inline(always)]
pub(crate) fn is_ordinary(bytes: &[u8]) -> bool {
    domain_end(bytes, 0) == Some(bytes.len())
}

/// Where the domain of ordinary ASCII labels that begins at `from` ends; `None` too if it is longer than a label may be, for then one of its
/// labels may be too long.
#[inline(always)]
pub(super) fn domain_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // Letters and digits, with one dot or any number of `-` between them.
    loop {
        let start = at;
        at = run_let_dig(bytes, at);
        if at == start {
            return None;
        }
        match bytes.get(at) {
            Some(b'.') => at += 1,
            Some(b'-') => {
                while bytes.get(at) == Some(&b'-') {
                    at += 1;
                }
            }
            _ => return if at - from <= MAX_LABEL { Some(at) } else { None },
        }
    }
}

/// `sub-domain`, or a label beyond ASCII.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.chars().count() <= MAX_LABEL
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| u8::try_from(c).map_or(true, |b| !b.is_ascii() || is(b, LDH)))
}

fn literal(inner: &str) -> Option<IpAddr> {
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse::<Ipv6Addr>().ok().map(Into::into),
        _ => inner.parse::<Ipv4Addr>().ok().map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, Domain, MAX_LABEL, domain_end};
    use alloc::string::String;
    use alloc::vec::Vec;

    /// The grammar, label by label.
    fn naive(bytes: &[u8]) -> Option<usize> {
        let end = bytes.iter().position(|b| !b.is_ascii_alphanumeric() && !b"-.".contains(b)).unwrap_or(bytes.len());
        let label = |l: &[u8]| l.first().is_some_and(|b| *b != b'-') && l.last() != Some(&b'-');
        bytes[..end].split(|&b| b == b'.').all(label).then_some(end)
    }

    #[test]
    fn all_short_domains_end_where_the_grammar_has_it_wherever_they_begin() {
        const ALPHABET: [u8; 5] = *b"a.->1";
        for length in 0..=7_u32 {
            for mut number in 0..5_usize.pow(length) {
                let mut word = Vec::new();
                for _ in 0..length {
                    word.push(ALPHABET[number % 5]);
                    number /= 5;
                }
                for (in_front, behind) in [(0, 0), (0, 9), (5, 2), (7, 12)] {
                    let text = [&[b'b'; 7][..in_front], &word, &[b'>'; 12][..behind]].concat();
                    assert_eq!(domain_end(&text, 0), naive(&text), "{}", text.escape_ascii());
                    let found = Domain::with(&text, Charset::Ascii).is_ok();
                    assert_eq!(found, naive(&text) == Some(text.len()), "{}", text.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn a_long_domain_goes_by_the_whole_grammar() {
        for (length, short) in [(MAX_LABEL, true), (MAX_LABEL + 1, false)] {
            let text: String = core::iter::repeat_n('a', length).collect();
            assert_eq!(domain_end(text.as_bytes(), 0), short.then_some(length));
            assert_eq!(Domain::parse(&text).is_ok(), short);
            let text = alloc::format!("a.{}", &text[2..]);
            assert!(Domain::parse(&text).is_ok());
        }
    }
}
