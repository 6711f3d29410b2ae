//! Paths, mailboxes and domains (RFC 5321 §4.1.2, §4.1.3).

mod domain;
mod mailbox;
mod owned;

pub(crate) use domain::is_ordinary;
pub use domain::{ClientId, Domain};
pub use mailbox::Mailbox;
pub use owned::{DomainBuf, ForwardPathBuf, MailboxBuf, ReversePathBuf};

use crate::text::{self, ATEXT, Charset};
use core::fmt;
use domain::domain_end;
use mailbox::{dot_string_end, quoted_string};

/// Most octets of a local part (RFC 5321 §4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Most octets of a domain (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// Why a path, mailbox or domain was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathFault {
    /// No `<` ... `>` where a path has to be.
    Brackets,
    /// The local part does not fit the grammar, or there is none.
    LocalPart,
    /// The local part is longer than [`MAX_LOCAL_PART`].
    LocalPartTooLong,
    /// There is no `@` and domain.
    NoDomain,
    /// The domain does not fit the grammar.
    Domain,
    /// The domain is longer than [`MAX_DOMAIN`].
    DomainTooLong,
    /// The address literal does not fit the grammar, or has a tag that no standard defines.
    AddressLiteral,
    /// The source route before the mailbox does not fit the grammar.
    Route,
    /// A byte outside of ASCII, which needs SMTPUTF8 (RFC 6531).
    NonAscii,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brackets => "the address must stand in < >",
            Self::LocalPart => "the local part is malformed",
            Self::LocalPartTooLong => "the local part is longer than 64 octets",
            Self::NoDomain => "the address has no domain",
            Self::Domain => "the domain is malformed",
            Self::DomainTooLong => "the domain is longer than 255 octets",
            Self::AddressLiteral => "the address literal is malformed",
            Self::Route => "the source route is malformed",
            Self::NonAscii => "a character is not ASCII",
        })
    }
}

impl core::error::Error for PathFault {}

/// The argument of MAIL FROM: a mailbox, or `<>` (RFC 5321 §4.1.2 `Reverse-path`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath<'a> {
    /// `<>`: whoever gets the message must not answer it with a report (RFC 5321 §4.5.5).
    Null,
    /// Where reports go.
    Mailbox(Mailbox<'a>),
}

impl<'a> ReversePath<'a> {
    /// Reads the path at the front of `bytes`; gives it and what follows.
    ///
    /// A source route is read and dropped (RFC 5321 §3.6.1, appendix C).
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), PathFault> {
        Self::with(bytes, Charset::Ascii)
    }

    /// The same, with characters beyond ASCII in the mailbox (RFC 6531 §3.3).
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar.
    pub fn parse_prefix_utf8(text: &'a str) -> Result<(Self, &'a str), PathFault> {
        let (path, rest) = Self::with(text.as_bytes(), Charset::Utf8)?;
        Ok((path, text::text(rest)))
    }

    fn with(bytes: &'a [u8], charset: Charset) -> Result<(Self, &'a [u8]), PathFault> {
        match ordinary(bytes, charset) {
            Some((at, close)) => Ok((Self::Mailbox(Mailbox::found(bytes, at, close)), &bytes[close + 1..])),
            None => Self::odd(bytes, charset),
        }
    }

    /// By the whole grammar, and the fault where there is one.
    #[inline(never)]
    pub(crate) fn odd(bytes: &'a [u8], charset: Charset) -> Result<(Self, &'a [u8]), PathFault> {
        if let Some(rest) = bytes.strip_prefix(b"<>") {
            return Ok((Self::Null, rest));
        }
        let (inner, rest) = bracketed(bytes, charset)?;
        Ok((Self::Mailbox(Mailbox::with(inner, charset)?), rest))
    }

    /// The mailbox, unless it is the null path.
    #[must_use]
    pub const fn mailbox(&self) -> Option<Mailbox<'a>> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(*mailbox),
        }
    }

    /// Without brackets, as bytes; empty for the null path.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Null => &[],
            Self::Mailbox(mailbox) => mailbox.as_bytes(),
        }
    }

    /// Without brackets; empty for the null path.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        match self {
            Self::Null => "",
            Self::Mailbox(mailbox) => mailbox.as_str(),
        }
    }
}

impl fmt::Display for ReversePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

/// The word `Postmaster`, in the case in which it was written: nothing else can be in it, so it cannot end a command early.
///
/// ```
/// use ehlo_codec::{ForwardPath, Postmaster};
/// assert_eq!(Postmaster::parse("postMaster").map(Postmaster::as_str), Some("postMaster"));
/// assert_eq!(Postmaster::parse("Postmaster>\r\nDATA"), None);
/// ```
///
/// ```compile_fail
/// use ehlo_codec::ForwardPath;
/// let unchecked = ForwardPath::Postmaster("Postmaster>\r\nRCPT TO:<eve@example.org");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Postmaster<'a>(&'a str);

impl<'a> Postmaster<'a> {
    /// Reads the word; `None` for any other.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        text.eq_ignore_ascii_case("postmaster").then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The argument of RCPT TO: a mailbox, or `<Postmaster>` (RFC 5321 §4.1.1.3 `Forward-path`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath<'a> {
    /// `<Postmaster>` without a domain. Every server takes it (RFC 5321 §4.5.1).
    Postmaster(Postmaster<'a>),
    /// A mailbox.
    Mailbox(Mailbox<'a>),
}

impl<'a> ForwardPath<'a> {
    /// Reads the path at the front of `bytes`; gives it and what follows.
    ///
    /// A source route is read and dropped (RFC 5321 §3.6.1, appendix C).
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar; `<>` is no forward-path.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), PathFault> {
        Self::with(bytes, Charset::Ascii)
    }

    /// The same, with characters beyond ASCII in the mailbox (RFC 6531 §3.3).
    ///
    /// # Errors
    ///
    /// [`PathFault`] says what does not fit the grammar; `<>` is no forward-path.
    pub fn parse_prefix_utf8(text: &'a str) -> Result<(Self, &'a str), PathFault> {
        let (path, rest) = Self::with(text.as_bytes(), Charset::Utf8)?;
        Ok((path, text::text(rest)))
    }

    fn with(bytes: &'a [u8], charset: Charset) -> Result<(Self, &'a [u8]), PathFault> {
        match ordinary(bytes, charset) {
            Some((at, close)) => Ok((Self::Mailbox(Mailbox::found(bytes, at, close)), &bytes[close + 1..])),
            None => Self::odd(bytes, charset),
        }
    }

    /// By the whole grammar, and the fault where there is one.
    #[inline(never)]
    pub(crate) fn odd(bytes: &'a [u8], charset: Charset) -> Result<(Self, &'a [u8]), PathFault> {
        let (inner, rest) = bracketed(bytes, charset)?;
        if let Some(postmaster) = Postmaster::parse(inner) {
            return Ok((Self::Postmaster(postmaster), rest));
        }
        Ok((Self::Mailbox(Mailbox::with(inner, charset)?), rest))
    }

    /// The mailbox, unless it is `<Postmaster>` alone.
    #[must_use]
    pub const fn mailbox(&self) -> Option<Mailbox<'a>> {
        match self {
            Self::Postmaster(_) => None,
            Self::Mailbox(mailbox) => Some(*mailbox),
        }
    }

    /// Without brackets, as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Postmaster(postmaster) => postmaster.as_str().as_bytes(),
            Self::Mailbox(mailbox) => mailbox.as_bytes(),
        }
    }

    /// Without brackets.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        match self {
            Self::Postmaster(postmaster) => postmaster.as_str(),
            Self::Mailbox(mailbox) => mailbox.as_str(),
        }
    }
}

impl fmt::Display for ForwardPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

/// Where `"<" Dot-string "@" Domain ">"`, which is nearly every path there is, has its `@` and its `>`.
///
/// Numbers and not a mailbox: what a command is made of is built in the place where it stays, since each move of it costs more than to
/// find these. In [`Charset::Utf8`] the bytes must be UTF-8.
#[inline(always)]
pub(crate) fn ordinary(bytes: &[u8], charset: Charset) -> Option<(usize, usize)> {
    if bytes.first() != Some(&b'<') {
        return None;
    }
    let at = dot_string_end(bytes, 1, ATEXT | charset.extra())?;
    if bytes.get(at) != Some(&b'@') || at > MAX_LOCAL_PART + 1 {
        return None;
    }
    let close = domain_end(bytes, at + 1)?;
    if bytes.get(close) != Some(&b'>') {
        return None;
    }
    Some((at, close))
}

/// What stands in the brackets behind a source route, and what follows the path: `Path = "<" [ A-d-l ":" ] Mailbox ">"`.
fn bracketed(bytes: &[u8], charset: Charset) -> Result<(&str, &[u8]), PathFault> {
    let inner = bytes.strip_prefix(b"<").ok_or(PathFault::Brackets)?;
    let inner = if inner.first() == Some(&b'@') { &inner[route(inner, charset)?..] } else { inner };
    // A `>` within quotes is part of the local part.
    let quoted = if inner.first() == Some(&b'"') { quoted_string(inner, charset)? } else { 0 };
    let close = inner[quoted..].iter().position(|&b| b == b'>').ok_or(PathFault::Brackets)? + quoted;
    let text = core::str::from_utf8(&inner[..close]).map_err(|_| PathFault::NonAscii)?;
    if charset == Charset::Ascii && !text.is_ascii() {
        return Err(PathFault::NonAscii);
    }
    Ok((text, &inner[close + 1..]))
}

/// The length of `A-d-l ":"`, where `A-d-l = At-domain *( "," At-domain )` and `At-domain = "@" Domain`.
fn route(bytes: &[u8], charset: Charset) -> Result<usize, PathFault> {
    let colon = bytes.iter().position(|&b| b == b':').ok_or(PathFault::Route)?;
    let well_formed = bytes[..colon]
        .split(|&b| b == b',')
        .all(|hop| hop.strip_prefix(b"@").is_some_and(|d| Domain::with(d, charset).is_ok_and(|d| !d.is_literal())));
    if well_formed { Ok(colon + 1) } else { Err(PathFault::Route) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    fn forward(text: &str) -> Result<&str, PathFault> {
        ForwardPath::parse_prefix(text.as_bytes()).map(|(path, rest)| {
            assert!(rest.is_empty(), "{text}: all of it is the path");
            path.as_str()
        })
    }

    #[test]
    fn ordinary_and_odd_mailboxes_are_kept_as_written() {
        for mailbox in [
            "a@b",
            "John.Doe+tag@Example.ORG",
            "\"a b\"@c",
            "\"a\\\"b>c\"@d.example",
            "!#$%&'*+-/=?^_`{|}~@x",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@[ipv6:2001:db8::25]",
            "a@[IPv6:1:2:3:4:5:6:7::]",
            "user%remote@here",
            "\"\"@x",
        ] {
            assert_eq!(forward(&format!("<{mailbox}>")), Ok(mailbox));
        }
    }

    #[test]
    fn each_fault_is_named() {
        for (text, fault) in [
            ("a@b", PathFault::Brackets),
            ("<a@b", PathFault::Brackets),
            ("<>", PathFault::LocalPart),
            ("<@b>", PathFault::Route),
            ("<@[1.2.3.4]:a@b>", PathFault::Route),
            ("<a>", PathFault::NoDomain),
            ("<a@>", PathFault::Domain),
            ("<a..b@c>", PathFault::LocalPart),
            ("<.a@c>", PathFault::LocalPart),
            ("<a.@c>", PathFault::LocalPart),
            ("<a b@c>", PathFault::LocalPart),
            ("<a(c)@d>", PathFault::LocalPart),
            ("<a@b@c>", PathFault::Domain),
            ("<a@-b>", PathFault::Domain),
            ("<a@b..c>", PathFault::Domain),
            ("<a@b.>", PathFault::Domain),
            ("<a@[999.1.1.1]>", PathFault::AddressLiteral),
            ("<a@[x-unknown:zz]>", PathFault::AddressLiteral),
            ("<a@[010.0.0.1]>", PathFault::AddressLiteral),
            ("<a@[::1]>", PathFault::AddressLiteral),
            ("<a@[1.2.3.4>", PathFault::AddressLiteral),
            ("<\"a@b>", PathFault::LocalPart),
            ("<@a,b:c@d>", PathFault::Route),
            ("<ä@b>", PathFault::NonAscii),
        ] {
            assert_eq!(forward(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn lengths_are_checked_to_the_octet() {
        let local = "l".repeat(64);
        let label = "d".repeat(63);
        let domain = format!("{label}.{label}.{label}.{}", "d".repeat(63));
        assert!(forward(&format!("<{local}@{domain}>")).is_ok());
        assert_eq!(forward(&format!("<{local}l@{domain}>")), Err(PathFault::LocalPartTooLong));
        assert_eq!(forward(&format!("<a@{domain}.d>")), Err(PathFault::DomainTooLong));
        assert_eq!(forward(&format!("<a@d{label}>")), Err(PathFault::Domain));
    }

    #[test]
    fn routes_are_dropped() {
        assert_eq!(forward("<@a.example,@b.example:c@d.example>"), Ok("c@d.example"));
        let (path, rest) = ReversePath::parse_prefix(b"<@a.example:c@d.example> SIZE=1").unwrap();
        assert_eq!((path.to_string().as_str(), rest), ("<c@d.example>", &b" SIZE=1"[..]));
    }

    #[test]
    fn postmaster_needs_no_domain() {
        assert_eq!(
            ForwardPath::parse_prefix(b"<pOstMaster>").unwrap().0,
            ForwardPath::Postmaster(Postmaster("pOstMaster"))
        );
        assert!(Mailbox::parse("\"Post\\master\"@x").unwrap().is_postmaster());
    }

    #[test]
    fn quotes_do_not_change_what_a_local_part_means() {
        assert_eq!(Mailbox::parse("\"a\\ b\\\"c\"@d").unwrap().unquoted_local_part(), "a b\"c");
        assert_eq!(Mailbox::parse("plain@d").unwrap().unquoted_local_part(), "plain");
    }
}
