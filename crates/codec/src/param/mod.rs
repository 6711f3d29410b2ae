//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2 `Mail-parameters`, §4.1.1.11).

mod known;
mod mail;
mod owned;
mod rcpt;
mod value;

pub use mail::{MailParam, MailParams};
pub use owned::{MailParamsBuf, RcptParamsBuf};
pub use rcpt::{RcptParam, RcptParams};
pub use value::{
    BodyType, ByMode, DeliverBy, Expiry, Notify, OriginalRecipient, Priority, RecipientValidSince, Return, Tracking,
};

use crate::text::{self, Charset, LDH, VALUE, is, run};
use core::fmt;

/// One `esmtp-param`: a keyword, and a value if there was `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Param<'a> {
    /// As it was written; keywords are the same in any case.
    pub keyword: &'a str,
    /// What stood behind `=`.
    pub value: Option<&'a str>,
}

impl fmt::Display for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword)?;
        match self.value {
            None => Ok(()),
            Some(value) => write!(f, "={value}"),
        }
    }
}

/// Why parameters were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamFault {
    /// A keyword, or a value, with a character that it may not have; or more than one space between parameters.
    Syntax,
    /// The same keyword twice.
    Duplicate,
    /// The value of a known parameter does not fit the grammar of its extension, is missing, or stands where there is none. Which one is
    /// told by its keyword in capitals.
    Value(&'static str),
    /// More parameters than [`Params::MAX`].
    TooMany,
}

impl fmt::Display for ParamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("a parameter is malformed"),
            Self::Duplicate => f.write_str("a parameter stands twice"),
            Self::Value(keyword) => write!(f, "the value of {keyword} is malformed"),
            Self::TooMany => f.write_str("there are too many parameters"),
        }
    }
}

impl core::error::Error for ParamFault {}

/// The parameters of a MAIL or RCPT command, syntax checked, in the order in which they came. Unknown ones are kept.
///
/// [`MailParams`] and [`RcptParams`] know in addition what the parameters of the extensions mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// No parameters.
    pub const NONE: Self = Self(&[]);

    /// Most parameters of one command: more than all extensions of the registry have together.
    pub const MAX: usize = 64;

    /// Reads what stands behind the path.
    ///
    /// ```abnf
    /// Mail-parameters = esmtp-param *(SP esmtp-param)
    /// esmtp-param     = esmtp-keyword ["=" esmtp-value]
    /// esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
    /// esmtp-value     = 1*(%d33-60 / %d62-126)
    /// ```
    ///
    /// # Errors
    ///
    /// [`ParamFault`] if one does not fit the grammar or stands twice.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParamFault> {
        scan(bytes, Charset::Ascii, &mut NoneKnown)?;
        Ok(Self(bytes))
    }

    /// The same, with characters beyond ASCII in values (RFC 6531 §3.3).
    ///
    /// # Errors
    ///
    /// [`ParamFault`] if one does not fit the grammar or stands twice.
    pub fn parse_utf8(text: &'a str) -> Result<Self, ParamFault> {
        scan(text.as_bytes(), Charset::Utf8, &mut NoneKnown)?;
        Ok(Self(text.as_bytes()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + Clone + use<'a> {
        self.as_str().split(' ').filter(|p| !p.is_empty()).map(|p| match p.split_once('=') {
            Some((keyword, value)) => Param { keyword, value: Some(value) },
            None => Param { keyword: p, value: None },
        })
    }

    /// The parameter of that keyword, in any case.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<Param<'a>> {
        self.iter().find(|p| p.keyword.eq_ignore_ascii_case(keyword))
    }

    /// As they were written.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        text::text(self.0)
    }
}

/// What is known of keywords.
trait Visit {
    /// Takes the parameter at `at` if it is one that comes every day, and gives where it ends: at the end, or at a space.
    #[inline(always)]
    fn usual(&mut self, _bytes: &[u8], _at: usize) -> Option<usize> {
        None
    }

    /// Takes a parameter: its keyword and its value. Gives whether the keyword is known, and sees to duplicates of those
    /// that are.
    fn note(&mut self, keyword: &[u8], value: Option<&[u8]>) -> Result<bool, ParamFault>;
}

/// All keywords are the same to it.
struct NoneKnown;

impl Visit for NoneKnown {
    fn note(&mut self, _: &[u8], _: Option<&[u8]>) -> Result<bool, ParamFault> {
        Ok(false)
    }
}

/// Goes through parameters, and shows each to `visit`.
#[inline(always)]
fn scan(bytes: &[u8], charset: Charset, visit: &mut impl Visit) -> Result<(), ParamFault> {
    if bytes.is_empty() {
        return Ok(());
    }
    let (mut at, mut count) = (0, 0);
    loop {
        count += 1;
        if count > Params::MAX {
            return Err(ParamFault::TooMany);
        }
        at = match visit.usual(bytes, at) {
            Some(end) => end,
            None => one(bytes, at, charset, visit)?,
        };
        match bytes.get(at) {
            None => return Ok(()),
            Some(b' ') => at += 1,
            Some(_) => return Err(ParamFault::Syntax),
        }
    }
}

/// Reads one parameter, and gives where it ends.
fn one(bytes: &[u8], start: usize, charset: Charset, visit: &mut impl Visit) -> Result<usize, ParamFault> {
    let mut at = run(bytes, start, LDH);
    if at == start || bytes[start] == b'-' {
        return Err(ParamFault::Syntax);
    }
    let keyword = &bytes[start..at];
    let value = if bytes.get(at) == Some(&b'=') {
        let value = at + 1;
        at = run(bytes, value, VALUE | charset.extra());
        if at == value {
            return Err(ParamFault::Syntax);
        }
        Some(&bytes[value..at])
    } else {
        None
    };
    if !visit.note(keyword, value)? && stands_before(&bytes[..start], keyword) {
        return Err(ParamFault::Duplicate);
    }
    Ok(at)
}

/// Whether a keyword that nobody knows is among the parameters before it. [`Params::MAX`] bounds how often this is asked.
#[cold]
fn stands_before(before: &[u8], keyword: &[u8]) -> bool {
    Params(before).iter().any(|p| p.keyword.as_bytes().eq_ignore_ascii_case(keyword))
}

/// Whether this can be one parameter: for those that are made, not read.
fn is_param(param: &Param<'_>) -> bool {
    let keyword = param.keyword.as_bytes();
    let value = |v: &str| !v.is_empty() && v.bytes().all(|b| is(b, VALUE | Charset::Utf8.extra()));
    keyword.first().is_some_and(|b| *b != b'-') && keyword.iter().all(|&b| is(b, LDH)) && param.value.is_none_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn unknown_parameters_are_kept_in_order() {
        let params = Params::parse(b"SIZE=10 X-Future BODY=8BITMIME").unwrap();
        let keywords: Vec<_> = params.iter().map(|p| p.keyword).collect();
        assert_eq!(keywords, ["SIZE", "X-Future", "BODY"]);
        assert_eq!(params.get("body").unwrap().value, Some("8BITMIME"));
        assert_eq!(params.get("x-future").unwrap().value, None);
        assert_eq!(params.iter().map(|p| format!("{p}")).collect::<Vec<_>>().join(" "), params.as_str());
    }

    #[test]
    fn syntax_and_duplicates_are_told_apart() {
        for bad in
            [&b"=1"[..], b"A=", b"-A=1", b"A_B", b"A=b=c", b"A=\xff", b"A=\x7f", b"  ", b"A  B", b" A", b"A ", b"A\tB"]
        {
            assert_eq!(Params::parse(bad), Err(ParamFault::Syntax), "{}", bad.escape_ascii());
        }
        assert_eq!(Params::parse(b"SIZE=1 size=2"), Err(ParamFault::Duplicate));
        assert!(Params::parse(b"").unwrap().is_empty());
        assert_eq!(Params::parse("A=ä".as_bytes()), Err(ParamFault::Syntax));
        assert!(Params::parse_utf8("A=ä").is_ok());
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let many = |n: usize| (0..n).map(|i| format!("X{i}")).collect::<Vec<String>>().join(" ");
        assert!(Params::parse(many(Params::MAX).as_bytes()).is_ok());
        assert_eq!(Params::parse(many(Params::MAX + 1).as_bytes()), Err(ParamFault::TooMany));
    }
}
