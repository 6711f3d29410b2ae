//! Enhanced status codes: RFC 3463, carried in replies as RFC 2034 says, registered by RFC 5248.

use core::fmt;
use core::str::FromStr;

use crate::error::{Expected, ParseCodeError};
use crate::generated::enhanced as tables;
use crate::{Advice, ReplyCode, Standing};

/// The largest value of each of the three numbers: RFC 3463 §2 gives subject and detail one to three digits.
const MAX: u16 = 999;

/// An enhanced status code, `class.subject.detail` (RFC 3463 §2): for example `5.7.1`.
///
/// Each number is 0..=999. The standard knows the classes 2, 4 and 5 only; others can be built, so that a
/// strange report can be repeated, but [`parse_prefix`](Self::parse_prefix) does not read them out of a reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedCode {
    class: u16,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// The code of three numbers, or `None` if one of them exceeds 999.
    #[must_use]
    pub const fn new(class: u16, subject: u16, detail: u16) -> Option<Self> {
        if class > MAX || subject > MAX || detail > MAX {
            return None;
        }
        Some(Self { class, subject, detail })
    }

    /// The code of three numbers, for constants: in a `const` a wrong value does not compile.
    ///
    /// ```
    /// use ehlo_codes::EnhancedCode;
    /// const REFUSED: EnhancedCode = EnhancedCode::literal(5, 7, 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If a number exceeds 999. Use [`new`](Self::new) for values that are not written in the source.
    #[must_use]
    pub const fn literal(class: u16, subject: u16, detail: u16) -> Self {
        match Self::new(class, subject, detail) {
            Some(code) => code,
            None => panic!("the numbers of an enhanced status code lie in 0..=999"),
        }
    }

    /// The first number: 2 success, 4 transient, 5 permanent (RFC 3463 §3.1).
    #[must_use]
    pub const fn class(self) -> u16 {
        self.class
    }

    /// The second number: what the status is about (RFC 3463 §3.2).
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number: what happened (RFC 3463 §3.3 to §3.8).
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Subject and detail without the class: the key of the registry.
    #[must_use]
    pub const fn status(self) -> StatusDetail {
        StatusDetail { subject: self.subject, detail: self.detail }
    }

    /// The same status with another class, or `None` if it exceeds 999.
    #[must_use]
    pub const fn with_class(self, class: u16) -> Option<Self> {
        Self::new(class, self.subject, self.detail)
    }

    /// What the registry holds about subject and detail. The class is not looked at: registrations leave it open (`X.7.1`).
    #[must_use]
    pub fn info(self) -> Option<&'static EnhancedInfo> {
        self.status().info()
    }

    /// What the registry holds about the subject: known also where the detail is not.
    #[must_use]
    pub fn subject_info(self) -> Option<&'static SubjectInfo> {
        tables::SUBJECTS.get(usize::from(self.subject))
    }

    /// What the registry holds about the class: `None` unless it is 2, 4 or 5.
    #[must_use]
    pub fn class_info(self) -> Option<&'static ClassInfo> {
        tables::CLASSES.iter().find(|info| info.class == self.class)
    }

    /// Whether the class equals the first digit of the reply, as RFC 2034 §4 demands of 2yz, 4yz and 5yz replies.
    /// Always false for a 3yz reply, which carries no enhanced code.
    #[must_use]
    pub const fn agrees_with(self, code: ReplyCode) -> bool {
        let first = code.get() / 100;
        self.class == first && matches!(first, 2 | 4 | 5)
    }

    /// Reads the code at the start of a reply's text and returns it with its length in bytes; the space behind it is not counted.
    ///
    /// ```text
    /// status-code = class "." subject "." detail      ; RFC 3463 §2, RFC 2034 §4
    /// class       = "2" / "4" / "5"
    /// subject     = 1*3DIGIT
    /// detail      = 1*3DIGIT
    /// ```
    ///
    /// Accepted is this grammar without leading zeros (RFC 3463 §2), followed by a space, a tab or the end of the text.
    /// Everything else is text and gives `None`: other classes, so that `192.0.2 ...` stays what it is, a fourth number
    /// (`5.7.1.1`), other separators behind the code (`5.7.1:`), spaces before it.
    ///
    /// ```
    /// use ehlo_codes::EnhancedCode;
    /// let text = b"5.1.1 no such user";
    /// let (code, length) = EnhancedCode::parse_prefix(text).unwrap();
    /// assert_eq!((code, length), (EnhancedCode::literal(5, 1, 1), 5));
    /// assert_eq!(EnhancedCode::parse_prefix(b"5.1.1.9 is my version"), None);
    /// ```
    #[must_use]
    pub const fn parse_prefix(bytes: &[u8]) -> Option<(Self, usize)> {
        if !matches!(bytes, [b'2' | b'4' | b'5', b'.', ..]) {
            return None;
        }
        let Some((code, length)) = scan(bytes) else {
            return None;
        };
        if length < bytes.len() && !matches!(bytes[length], b' ' | b'\t') {
            return None;
        }
        Some((code, length))
    }

    /// Three numbers joined by dots at the start, of any class and whatever follows, and how many bytes they take.
    pub(crate) const fn scan_prefix(bytes: &[u8]) -> Option<(Self, usize)> {
        scan(bytes)
    }
}

/// Three numbers joined by dots at the start of `bytes`, and how many bytes they take.
const fn scan(bytes: &[u8]) -> Option<(EnhancedCode, usize)> {
    let Some((class, at)) = number(bytes, 0) else {
        return None;
    };
    let Some((subject, at)) = after_dot(bytes, at) else {
        return None;
    };
    let Some((detail, at)) = after_dot(bytes, at) else {
        return None;
    };
    Some((EnhancedCode { class, subject, detail }, at))
}

const fn after_dot(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    if at < bytes.len() && bytes[at] == b'.' { number(bytes, at + 1) } else { None }
}

/// One to three digits from `start`, without a leading zero: the value and the position behind it.
const fn number(bytes: &[u8], start: usize) -> Option<(u16, usize)> {
    let mut at = start;
    let mut value = 0;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        if at - start == 3 || (at > start && value == 0) {
            return None;
        }
        value = value * 10 + (bytes[at] - b'0') as u16;
        at += 1;
    }
    if at == start { None } else { Some((value, at)) }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Three numbers with dots, as on the wire, also under `{:#?}`.
impl fmt::Debug for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The inverse of `Display`: any class up to 999, no leading zeros, nothing around it.
impl FromStr for EnhancedCode {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match scan(text.as_bytes()) {
            Some((code, length)) if length == text.len() => Ok(code),
            _ => Err(ParseCodeError { expected: Expected::Enhanced }),
        }
    }
}

/// Subject and detail of an enhanced code without its class, as the registry lists them: `X.7.1`.
///
/// The [`enhanced`](crate::enhanced) module names all registered ones; a class turns one into an [`EnhancedCode`]:
///
/// ```
/// use ehlo_codes::{EnhancedCode, enhanced};
/// assert_eq!(enhanced::MAILBOX_FULL.transient(), EnhancedCode::literal(4, 2, 2));
/// assert_eq!(enhanced::MAILBOX_FULL.permanent(), EnhancedCode::literal(5, 2, 2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusDetail {
    subject: u16,
    detail: u16,
}

impl StatusDetail {
    /// Subject and detail, or `None` if one of them exceeds 999.
    #[must_use]
    pub const fn new(subject: u16, detail: u16) -> Option<Self> {
        if subject > MAX || detail > MAX {
            return None;
        }
        Some(Self { subject, detail })
    }

    /// For the generated tables, whose values the generator has checked.
    pub(crate) const fn literal(subject: u16, detail: u16) -> Self {
        match Self::new(subject, detail) {
            Some(status) => status,
            None => panic!("subject and detail lie in 0..=999"),
        }
    }

    /// The second number of the code.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number of the code.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Class 2: it worked (RFC 3463 §3.1).
    #[must_use]
    pub const fn success(self) -> EnhancedCode {
        EnhancedCode { class: 2, subject: self.subject, detail: self.detail }
    }

    /// Class 4: it may work later (RFC 3463 §3.1).
    #[must_use]
    pub const fn transient(self) -> EnhancedCode {
        EnhancedCode { class: 4, subject: self.subject, detail: self.detail }
    }

    /// Class 5: it will not work as it is (RFC 3463 §3.1).
    #[must_use]
    pub const fn permanent(self) -> EnhancedCode {
        EnhancedCode { class: 5, subject: self.subject, detail: self.detail }
    }

    /// What the registry holds; two table look-ups.
    #[must_use]
    pub fn info(self) -> Option<&'static EnhancedInfo> {
        let position = tables::INDEX.get(usize::from(self.subject))?.get(usize::from(self.detail))?;
        tables::DETAILS.get(usize::from(*position))
    }

    /// `X.7.1` at the start, whatever follows, and how many bytes it takes.
    pub(crate) const fn scan_prefix(bytes: &[u8]) -> Option<(Self, usize)> {
        if !matches!(bytes, [b'X' | b'x', ..]) {
            return None;
        }
        let Some((subject, at)) = after_dot(bytes, 1) else {
            return None;
        };
        let Some((detail, at)) = after_dot(bytes, at) else {
            return None;
        };
        Some((Self { subject, detail }, at))
    }

    /// Every row of the registry, by rising subject and detail.
    #[must_use]
    pub const fn registered() -> &'static [EnhancedInfo] {
        tables::DETAILS
    }
}

/// `X.7.1`, as registrations are written.
impl fmt::Display for StatusDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X.{}.{}", self.subject, self.detail)
    }
}

impl fmt::Debug for StatusDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The inverse of `Display`; the X may be small.
impl FromStr for StatusDetail {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::scan_prefix(text.as_bytes()) {
            Some((status, length)) if length == text.len() => Ok(status),
            _ => Err(ParseCodeError { expected: Expected::Status }),
        }
    }
}

/// A row of the registry of enhanced status codes (RFC 5248).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnhancedInfo {
    /// Subject and detail.
    pub status: StatusDetail,
    /// A few words: what a person reads first.
    pub title: &'static str,
    /// What it tells, in a sentence or two.
    pub meaning: &'static str,
    /// The classes its definition has in mind, rising: some of 2, 4 and 5.
    pub classes: &'static [u16],
    /// Basic reply codes that the registration names, rising. Empty where it names none.
    pub replies: &'static [ReplyCode],
    /// Who can do what.
    pub advice: Advice,
    /// The RFC and section that defines it.
    pub reference: &'static str,
    /// How firmly it stands.
    pub standing: Standing,
}

/// A subject of enhanced status codes: the second number (RFC 3463 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectInfo {
    /// The number.
    pub subject: u16,
    /// A few words.
    pub title: &'static str,
    /// What belongs here and who can usually do something about it.
    pub meaning: &'static str,
    /// The RFC and section that defines it.
    pub reference: &'static str,
}

/// A class of enhanced status codes: the first number (RFC 3463 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassInfo {
    /// The number: 2, 4 or 5.
    pub class: u16,
    /// A few words.
    pub title: &'static str,
    /// What it tells.
    pub meaning: &'static str,
    /// The RFC and section that defines it.
    pub reference: &'static str,
}
