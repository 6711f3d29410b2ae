//! Mailboxes (RFC 5321 §4.1.2; RFC 6531 §3.3).

use super::{Domain, MAX_LOCAL_PART, PathFault};
use crate::text::{self, ATEXT, Charset, QTEXT, is, run};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, syntax checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mailbox<'a> {
    text: &'a [u8],
    /// Where the `@` stands.
    at: u8,
}

impl<'a> Mailbox<'a> {
    /// Reads a whole mailbox, without brackets.
    ///
    /// # Errors
    ///
    /// [`PathFault`] says which part does not fit the grammar.
    pub fn parse(text: &'a str) -> Result<Self, PathFault> {
        Self::with(text, Charset::Ascii)
    }

    /// The same, with characters beyond ASCII on both sides of the `@` (RFC 6531 §3.3).
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse).
    pub fn parse_utf8(text: &'a str) -> Result<Self, PathFault> {
        Self::with(text, Charset::Utf8)
    }

    pub(crate) fn with(text: &'a str, charset: Charset) -> Result<Self, PathFault> {
        if charset == Charset::Ascii && !text.is_ascii() {
            return Err(PathFault::NonAscii);
        }
        let at = local_part(text.as_bytes(), charset)?;
        match text.as_bytes().get(at) {
            Some(b'@') => {}
            None => return Err(PathFault::NoDomain),
            Some(_) => return Err(PathFault::LocalPart),
        }
        Domain::with(&text.as_bytes()[at + 1..], charset)?;
        Ok(Self::checked(text.as_bytes(), at))
    }

    /// What was checked before; `at` is [`MAX_LOCAL_PART`] at the most.
    pub(crate) const fn checked(text: &'a [u8], at: usize) -> Self {
        Self { text, at: at as u8 }
    }

    /// What [`ordinary`](super::ordinary) has found.
    #[inline(always)]
    pub(crate) fn found(bytes: &'a [u8], at: usize, close: usize) -> Self {
        Self { text: &bytes[1..close], at: (at - 1) as u8 }
    }

    /// The whole, as it was written.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        text::text(self.text)
    }

    /// The same as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// The part before the `@`, as it was written: with quotes, if it had them. Only its own host may interpret it
    /// (RFC 5321 §2.3.11), and upper and lower case are not the same in it (§2.4).
    #[must_use]
    pub fn local_part(&self) -> &'a str {
        text::text(&self.text[..usize::from(self.at)])
    }

    /// What the local part means: without quotes and backslashes.
    #[must_use]
    pub fn unquoted_local_part(&self) -> Cow<'a, str> {
        let local = self.local_part();
        let Some(inner) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) else {
            return Cow::Borrowed(local);
        };
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        let mut plain = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
        }
        Cow::Owned(plain)
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> Domain<'a> {
        Domain::checked(&self.text[usize::from(self.at) + 1..])
    }

    /// Whether it can stand in a command without SMTPUTF8 (RFC 6531 §3.4).
    #[must_use]
    pub const fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Whether the local part is `postmaster` in any case, quoted or not (RFC 5321 §4.5.1).
    #[must_use]
    pub fn is_postmaster(&self) -> bool {
        self.unquoted_local_part().eq_ignore_ascii_case("postmaster")
    }
}

impl fmt::Display for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.as_str()).finish()
    }
}

/// The end of the `Dot-string` that begins at `from`; `None` if there is none.
#[inline(always)]
pub(super) fn dot_string_end(bytes: &[u8], from: usize, classes: u8) -> Option<usize> {
    let mut at = from;
    loop {
        let start = at;
        at = run(bytes, at, classes);
        if at == start {
            return None;
        }
        if bytes.get(at) != Some(&b'.') {
            return Some(at);
        }
        at += 1;
    }
}

/// The length of the `Local-part` at the front: `Dot-string / Quoted-string`.
fn local_part(bytes: &[u8], charset: Charset) -> Result<usize, PathFault> {
    let end = if bytes.first() == Some(&b'"') {
        quoted_string(bytes, charset)?
    } else {
        dot_string_end(bytes, 0, ATEXT | charset.extra()).ok_or(PathFault::LocalPart)?
    };
    if end > MAX_LOCAL_PART { Err(PathFault::LocalPartTooLong) } else { Ok(end) }
}

/// The length of the `Quoted-string = DQUOTE *QcontentSMTP DQUOTE` at the front.
pub(super) fn quoted_string(bytes: &[u8], charset: Charset) -> Result<usize, PathFault> {
    let mut i = 1;
    loop {
        match bytes.get(i) {
            Some(b'"') => return Ok(i + 1),
            Some(b'\\') if matches!(bytes.get(i + 1), Some(32..=126)) => i += 2,
            Some(&b) if is(b, QTEXT | charset.extra()) => i += 1,
            Some(b) if !b.is_ascii() => return Err(PathFault::NonAscii),
            _ => return Err(PathFault::LocalPart),
        }
    }
}
