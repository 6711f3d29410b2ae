//! What the values of parameters are.

use super::rcpt::RcptParams;
use crate::text::{ATEXT, Charset, all, four};
use crate::{Timestamp, XText};
use core::fmt;
use core::ops::BitOr;

/// `1*9DIGIT`, a number of seconds.
pub(super) fn seconds(text: &str) -> Option<u32> {
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// `Solicitation-keywords` (RFC 3865 §2.2): words, with commas between.
pub(super) fn is_solicitation(text: &str) -> bool {
    text.len() <= 1000
        && text.split(',').all(|word| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
        })
}

/// `transid-value` (RFC 1845 §2): `"<" transid-local "@" transid-domain ">"`, 80 characters at the most.
pub(super) fn is_transaction_id(text: &str) -> bool {
    let token = |t: &str| t.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_transaction_atom));
    text.len() <= 80
        && text
            .strip_prefix('<')
            .and_then(|t| t.strip_suffix('>'))
            .and_then(|t| t.split_once('@'))
            .is_some_and(|(local, domain)| token(local) && token(domain))
}

/// A printable character that is neither a dot nor one of RFC 2045's `tspecials`.
const fn is_transaction_atom(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}

/// The value of BODY (RFC 6152 §2, RFC 3030 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// `7BIT`, or no BODY parameter.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`, which needs BDAT.
    BinaryMime,
}

impl BodyType {
    /// Reads a BODY value, in any case.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::from_bytes(value.as_bytes())
    }

    #[inline]
    pub(super) fn from_bytes(value: &[u8]) -> Option<Self> {
        // The length decides which it can be.
        let body = match value.len() {
            4 => Self::SevenBit,
            8 => Self::EightBitMime,
            10 => Self::BinaryMime,
            _ => return None,
        };
        body.as_str().as_bytes().eq_ignore_ascii_case(value).then_some(body)
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The value of RET: what a failure report returns (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Return {
    /// `FULL`: the message.
    Full,
    /// `HDRS`: its header.
    Headers,
}

impl Return {
    /// Reads a RET value, in any case.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        [Self::Full, Self::Headers].into_iter().find(|ret| ret.as_str().eq_ignore_ascii_case(value))
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The value of NOTIFY: when a report is wanted (RFC 3461 §4.1). Never none: without the parameter there is no `Notify`.
///
/// ```
/// use ehlo_codec::Notify;
///
/// assert_eq!(Notify::parse("failure,DELAY"), Some(Notify::FAILURE | Notify::DELAY));
/// assert_eq!(Notify::parse("NEVER,DELAY"), None);
/// assert_eq!(Notify::NEVER.to_string(), "NEVER");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// No report, whatever happens. It stands alone.
    pub const NEVER: Self = Self(0);
    /// When the message was delivered.
    pub const SUCCESS: Self = Self(1);
    /// When it could not be.
    pub const FAILURE: Self = Self(1 << 1);
    /// When it takes long.
    pub const DELAY: Self = Self(1 << 2);

    const NAMES: [(&'static str, Self); 3] =
        [("SUCCESS", Self::SUCCESS), ("FAILURE", Self::FAILURE), ("DELAY", Self::DELAY)];

    /// Reads a NOTIFY value, in any case: `NEVER`, or a list with commas between. The same word twice is no value.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::from_bytes(value.as_bytes())
    }

    pub(super) fn from_bytes(value: &[u8]) -> Option<Self> {
        Self::prefix(value).filter(|(_, length)| *length == value.len()).map(|(notify, _)| notify)
    }

    /// The value at the front, and its length. Whether it ends there is for the caller to say.
    #[inline(always)]
    pub(super) fn prefix(value: &[u8]) -> Option<(Self, usize)> {
        const NEVE: u32 = four(b"NEVE");
        const SUCC: u32 = four(b"SUCC");
        const CESS: u32 = four(b"CESS");
        const FAIL: u32 = four(b"FAIL");
        const LURE: u32 = four(b"LURE");
        const DELA: u32 = four(b"DELA");
        let mut seen = 0;
        let mut at = 0;
        loop {
            let word = value.get(at..)?;
            let (bit, length) = match (four(word.first_chunk()?), word) {
                // The last four letters of a word of seven overlap the first four.
                (SUCC, [_, _, _, rest @ ..]) if rest.first_chunk().map(four) == Some(CESS) => (Self::SUCCESS, 7),
                (FAIL, [_, _, _, rest @ ..]) if rest.first_chunk().map(four) == Some(LURE) => (Self::FAILURE, 7),
                (DELA, [_, _, _, _, b'y' | b'Y', ..]) => (Self::DELAY, 5),
                (NEVE, [_, _, _, _, b'r' | b'R', ..]) if at == 0 => return Some((Self::NEVER, 5)),
                _ => return None,
            };
            if seen & bit.0 != 0 {
                return None;
            }
            seen |= bit.0;
            at += length;
            if value.get(at) != Some(&b',') {
                return Some((Self(seen), at));
            }
            at += 1;
        }
    }

    /// Whether all of `other` are asked for; [`NEVER`](Self::NEVER) is in nothing but itself.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        if other.0 == 0 { self.0 == 0 } else { self.0 & other.0 == other.0 }
    }
}

impl BitOr for Notify {
    type Output = Self;

    /// Both; NEVER gives way to any other.
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("NEVER");
        }
        let mut comma = "";
        for (name, bit) in Self::NAMES {
            if self.contains(bit) {
                write!(f, "{comma}{name}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// The value of ORCPT: an address, and of which kind it is (RFC 3461 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient<'a> {
    /// The `addr-type`, such as `rfc822` (RFC 3461 §4.2) or `utf-8` (RFC 6533 §3); the same in any case.
    pub kind: &'a str,
    /// The address. For the kind `utf-8` decode what it decodes to once more by RFC 6533 §3.
    pub address: XText<'a>,
}

impl<'a> OriginalRecipient<'a> {
    /// Reads an ORCPT value of at most [`RcptParams::MAX_ORCPT`] octets. What is encoded in its address must be printable: ASCII, since a
    /// report could not hold it otherwise (RFC 3461 §4.2), or UTF-8, which belongs into transactions with SMTPUTF8 only.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        Self::with(value, Charset::Utf8)
    }

    pub(super) fn with(value: &'a str, charset: Charset) -> Option<Self> {
        let (kind, address) = value.split_once(';')?;
        let fits = !kind.is_empty() && all(kind.as_bytes(), ATEXT) && value.len() <= RcptParams::MAX_ORCPT;
        let address = XText::with(address, charset).filter(|address| fits && !address.as_str().is_empty())?;
        // RFC 6533 §3 has a type for addresses beyond ASCII, and reports that can hold them. Postfix 3.7 sends octets of UTF-8 as xtext of the
        // type rfc822 instead, for each such recipient: to refuse them would be to refuse its mail.
        let printable = address.is_printable() || charset == Charset::Utf8 && is_printable_utf8(address);
        printable.then_some(Self { kind, address })
    }
}

/// Whether the octets of an address that fits into ORCPT are UTF-8 without control characters.
fn is_printable_utf8(address: XText<'_>) -> bool {
    let mut octets = [0; RcptParams::MAX_ORCPT];
    let mut length = 0;
    for (place, octet) in octets.iter_mut().zip(address.bytes()) {
        *place = octet;
        length += 1;
    }
    core::str::from_utf8(&octets[..length]).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\t'))
}

impl fmt::Display for OriginalRecipient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

/// The `by-mode` of BY: what becomes of a message that is late (RFC 2852 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `N`: the sender is notified, and delivery goes on.
    Notify,
    /// `R`: the message is returned.
    Return,
}

/// The value of BY: seconds until a message is to be delivered (RFC 2852 §4).
///
/// ```
/// use ehlo_codec::{ByMode, DeliverBy};
///
/// let by = DeliverBy::parse("120;RT").unwrap();
/// assert_eq!((by.seconds(), by.mode(), by.trace()), (120, ByMode::Return, true));
/// assert_eq!(DeliverBy::parse("-1;R"), None, "there is no time left to return it in");
/// assert_eq!(by.to_string(), "120;RT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: ByMode,
    trace: bool,
}

impl DeliverBy {
    /// A value; `None` beyond nine digits, and for no time left with [`ByMode::Return`].
    #[must_use]
    pub const fn new(seconds: i32, mode: ByMode, trace: bool) -> Option<Self> {
        let fits = seconds.unsigned_abs() <= 999_999_999 && !(seconds <= 0 && matches!(mode, ByMode::Return));
        if fits { Some(Self { seconds, mode, trace }) } else { None }
    }

    /// Reads a BY value: `by-time ";" by-mode [by-trace]`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let (negative, digits) = match time.as_bytes().first()? {
            b'-' => (true, &time[1..]),
            b'+' => (false, &time[1..]),
            _ => (false, time),
        };
        let seconds = i32::try_from(seconds(digits)?).ok()?;
        let (mode, trace) = match mode.as_bytes() {
            [b'N' | b'n'] => (ByMode::Notify, false),
            [b'R' | b'r'] => (ByMode::Return, false),
            [b'N' | b'n', b'T' | b't'] => (ByMode::Notify, true),
            [b'R' | b'r', b'T' | b't'] => (ByMode::Return, true),
            _ => return None,
        };
        Self::new(if negative { -seconds } else { seconds }, mode, trace)
    }

    /// Seconds from now; a deadline that has passed is negative.
    #[must_use]
    pub const fn seconds(self) -> i32 {
        self.seconds
    }

    /// What becomes of the message when it is late.
    #[must_use]
    pub const fn mode(self) -> ByMode {
        self.mode
    }

    /// Whether relays report that they passed it on.
    #[must_use]
    pub const fn trace(self) -> bool {
        self.trace
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == ByMode::Notify { 'N' } else { 'R' };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

/// HOLDFOR or HOLDUNTIL: how long a message is held (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// For so many seconds, 1 to 999,999,999.
    For(u32),
    /// Until then; it must be in UTC.
    Until(Timestamp),
}

/// The value of MT-PRIORITY, -9 to 9, higher numbers first (RFC 6710 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// A priority; `None` beyond nine.
    #[must_use]
    pub const fn new(priority: i8) -> Option<Self> {
        if priority >= -9 && priority <= 9 { Some(Self(priority)) } else { None }
    }

    /// Reads a value: `(["-"] NZDIGIT) / "0"`.
    #[must_use]
    pub const fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'0'..=b'9'] => Some(Self((*digit - b'0') as i8)),
            [b'-', digit @ b'1'..=b'9'] => Some(Self(-((*digit - b'0') as i8))),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The value of MTRK: a proof for later questions, and for how long they may come (RFC 3885 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tracking<'a> {
    /// The `mtrk-certifier`, in base64.
    pub certifier: &'a str,
    /// Seconds for which what is known of the message is kept, as the client asks.
    pub timeout: Option<u32>,
}

impl<'a> Tracking<'a> {
    /// Reads an MTRK value: `mtrk-certifier [ ":" mtrk-timeout ]`.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let (certifier, timeout) = match value.split_once(':') {
            Some((certifier, timeout)) => (certifier, Some(seconds(timeout)?)),
            None => (value, None),
        };
        let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        (!certifier.is_empty() && certifier.bytes().all(is_base64)).then_some(Self { certifier, timeout })
    }
}

impl fmt::Display for Tracking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.certifier)?;
        match self.timeout {
            None => Ok(()),
            Some(seconds) => write!(f, ":{seconds}"),
        }
    }
}

/// The value of RRVS: since when the mailbox must have had its owner (RFC 7293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecipientValidSince {
    /// The time, without a fraction of a second.
    pub since: Timestamp,
    /// If a next hop cannot test it, the message is refused (`R`) and not passed on (`C`). `None`: the parameter does not say.
    pub reject: Option<bool>,
}

impl RecipientValidSince {
    /// Reads an RRVS value: `date-time [ ";" ( "C" / "R" ) ]`, without a fraction of a second.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (time, reject) = match value.split_once(';') {
            None => (value, None),
            Some((time, "C" | "c")) => (time, Some(false)),
            Some((time, "R" | "r")) => (time, Some(true)),
            Some(_) => return None,
        };
        if time.contains('.') {
            return None;
        }
        Some(Self { since: Timestamp::parse(time).ok()?, reject })
    }
}

impl fmt::Display for RecipientValidSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.reject {
            None => "",
            Some(false) => ";C",
            Some(true) => ";R",
        };
        write!(f, "{}{action}", self.since)
    }
}
