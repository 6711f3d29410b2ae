//! Basic reply codes: RFC 5321 §4.2.

use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;

use crate::error::{Expected, ParseCodeError};
use crate::generated::replies;
use crate::{ReplyMeaning, Standing, StatusDetail};

/// The three-digit code of a reply (RFC 5321 §4.2), 100..=999.
///
/// A newtype and not a closed enum: the wire may carry any three digits, and a client must then go by the first one
/// (RFC 5321 §4.3.2). RFC 5321 lets a server send only 2yz to 5yz; anything else is kept here too, so that it can be reported.
///
/// The associated constants are the codes that the registry can name.
/// `Option<ReplyCode>` is no larger than `ReplyCode`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(NonZeroU16);

impl ReplyCode {
    /// The code with this value, or `None` outside 100..=999.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match NonZeroU16::new(code) {
            Some(value) if code >= 100 && code <= 999 => Some(Self(value)),
            _ => None,
        }
    }

    /// The code with this value, for constants: in a `const` a wrong value does not compile.
    ///
    /// ```
    /// use ehlo_codes::ReplyCode;
    /// const TRY_LATER: ReplyCode = ReplyCode::literal(451);
    /// ```
    ///
    /// # Panics
    ///
    /// Outside 100..=999. Use [`new`](Self::new) for a value that is not written in the source.
    #[must_use]
    pub const fn literal(code: u16) -> Self {
        match Self::new(code) {
            Some(code) => code,
            None => panic!("a reply code lies in 100..=999"),
        }
    }

    /// The code read from exactly three ASCII digits, or `None`.
    #[must_use]
    pub const fn from_digits(digits: [u8; 3]) -> Option<Self> {
        let [a, b, c] = digits;
        if !a.is_ascii_digit() || !b.is_ascii_digit() || !c.is_ascii_digit() {
            return None;
        }
        Self::new((a - b'0') as u16 * 100 + (b - b'0') as u16 * 10 + (c - b'0') as u16)
    }

    /// The value, 100..=999.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The three ASCII digits as they go on the wire.
    #[must_use]
    pub const fn digits(self) -> [u8; 3] {
        let value = self.get();
        [b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
    }

    /// What the first digit says: all that a client needs to go on (RFC 5321 §4.2.1).
    #[must_use]
    pub const fn class(self) -> ReplyClass {
        match self.get() / 100 {
            1 => ReplyClass::Preliminary,
            2 => ReplyClass::Completion,
            3 => ReplyClass::Intermediate,
            4 => ReplyClass::TransientFailure,
            5 => ReplyClass::PermanentFailure,
            _ => ReplyClass::Other,
        }
    }

    /// Whether the server agreed: 2yz or 3yz.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        matches!(self.get() / 100, 2 | 3)
    }

    /// What the registry holds about this code; one table look-up.
    #[must_use]
    pub fn info(self) -> Option<&'static ReplyInfo> {
        let position = replies::INDEX.get(usize::from(self.get() - 100))?;
        replies::REPLIES.get(usize::from(*position))
    }

    /// Every row of the registry, by rising code.
    #[must_use]
    pub const fn registered() -> &'static [ReplyInfo] {
        replies::REPLIES
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}

/// The three digits alone, also under `{:#?}`: transcripts and assertions stay readable.
impl fmt::Debug for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exactly three digits, nothing around them.
impl FromStr for ReplyCode {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.as_bytes().try_into().ok().and_then(Self::from_digits).ok_or(ParseCodeError { expected: Expected::Reply })
    }
}

impl From<ReplyCode> for u16 {
    fn from(code: ReplyCode) -> Self {
        code.get()
    }
}

/// What the first digit of a reply says (RFC 5321 §4.2.1).
///
/// Exhaustive on purpose: a client must decide on the first digit alone, there are ten of them, and
/// [`Other`](Self::Other) takes what is no SMTP reply, so no new class can appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyClass {
    /// 1yz: accepted, wait for the outcome. FTP has it; SMTP has no command that allows it, so a server must not send it.
    Preliminary,
    /// 2yz: done.
    Completion,
    /// 3yz: agreed so far, the server waits for more (message text, an authentication response).
    Intermediate,
    /// 4yz: not done; the same request may succeed later.
    TransientFailure,
    /// 5yz: not done; the same request will fail again.
    PermanentFailure,
    /// 6yz to 9yz: not an SMTP reply.
    Other,
}

impl ReplyClass {
    /// A few lower-case words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preliminary => "preliminary",
            Self::Completion => "completion",
            Self::Intermediate => "intermediate",
            Self::TransientFailure => "transient failure",
            Self::PermanentFailure => "permanent failure",
            Self::Other => "no SMTP reply",
        }
    }
}

impl fmt::Display for ReplyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row of the registry of basic reply codes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyInfo {
    /// The code.
    pub code: ReplyCode,
    /// A few words: what a person reads first.
    pub title: &'static str,
    /// When a server sends it, in a sentence or two.
    pub meaning: &'static str,
    /// What the one who received it can do.
    pub advice: &'static str,
    /// What lists of codes get wrong about it, or what else is worth knowing.
    pub note: Option<&'static str>,
    /// Its meanings, the usual one first; at least one. Which one it is, the enhanced code tells, or the stage, or only the text:
    /// [`meaning_of`](Self::meaning_of).
    pub meanings: &'static [ReplyMeaning],
    /// The RFC and section that defines it, for example `RFC 5321 §4.2.3`; other documents where no RFC does.
    pub reference: &'static str,
    /// How firmly it stands.
    pub standing: Standing,
    /// Enhanced codes whose registration names this code (RFC 5248 §2), by rising subject and detail.
    pub enhanced: &'static [StatusDetail],
}
