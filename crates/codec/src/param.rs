//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2 `Mail-parameters`, §4.1.1.11).

use crate::text::{ascii, is_esmtp_value};

/// One `esmtp-param`: a keyword, and a value if there was `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// As it was written; keywords are the same in any case.
    pub keyword: &'a str,
    /// What stood behind `=`.
    pub value: Option<&'a str>,
}

/// Why parameters were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamFault {
    /// A keyword, or a value, with a character that it may not have.
    Syntax,
    /// The same keyword twice.
    Duplicate,
}

/// The parameters of a MAIL or RCPT command, syntax checked, in the order in which they came. Unknown ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// No parameters.
    pub const NONE: Self = Self("");

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
        let params = Self(ascii(bytes).ok_or(ParamFault::Syntax)?);
        for (i, param) in params.iter().enumerate() {
            let mut keyword = param.keyword.bytes();
            let starts_well = keyword.next().is_some_and(|b| b.is_ascii_alphanumeric());
            if !starts_well || !keyword.all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(ParamFault::Syntax);
            }
            if param.value.is_some_and(|v| v.is_empty() || !v.bytes().all(is_esmtp_value)) {
                return Err(ParamFault::Syntax);
            }
            if params.iter().take(i).any(|other| other.keyword.eq_ignore_ascii_case(param.keyword)) {
                return Err(ParamFault::Duplicate);
            }
        }
        Ok(params)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.0.split(' ').filter(|p| !p.is_empty()).map(|p| match p.split_once('=') {
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
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parameters_are_kept_in_order() {
        let params = Params::parse(b"SIZE=10 X-Future BODY=8BITMIME").unwrap();
        let keywords: alloc::vec::Vec<_> = params.iter().map(|p| p.keyword).collect();
        assert_eq!(keywords, ["SIZE", "X-Future", "BODY"]);
        assert_eq!(params.get("body").unwrap().value, Some("8BITMIME"));
        assert_eq!(params.get("x-future").unwrap().value, None);
    }

    #[test]
    fn syntax_and_duplicates_are_told_apart() {
        for bad in [&b"=1"[..], b"A=", b"-A=1", b"A_B", b"A=b=c", b"A=\xff", b"A=\x7f"] {
            assert_eq!(Params::parse(bad), Err(ParamFault::Syntax), "{bad:?}");
        }
        assert_eq!(Params::parse(b"SIZE=1 size=2"), Err(ParamFault::Duplicate));
        assert!(Params::parse(b"  ").unwrap().is_empty());
    }
}
