//! Paths, mailboxes and domains (RFC 5321 §4.1.2, §4.1.3).

use crate::text::{ascii, is_atext};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Most octets of a local part (RFC 5321 §4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Most octets of a domain (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;
/// Most octets of a label of a domain (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

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
            Self::NonAscii => "the address is not ASCII",
        })
    }
}

impl core::error::Error for PathFault {}

/// What stands behind the `@`: a domain name or an address literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain<'a> {
    /// `Domain`: labels with dots between them, as written.
    Name(&'a str),
    /// `address-literal`: with its brackets, as written (RFC 5321 §4.1.3).
    Literal(&'a str),
}

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
    pub fn parse(text: &'a str) -> Result<Self, PathFault> {
        if text.len() > MAX_DOMAIN {
            return Err(PathFault::DomainTooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(PathFault::AddressLiteral)?;
            literal(inner).ok_or(PathFault::AddressLiteral)?;
            return Ok(Self::Literal(text));
        }
        if text.is_empty() || !text.split('.').all(is_sub_domain) {
            return Err(PathFault::Domain);
        }
        Ok(Self::Name(text))
    }

    /// As it was written, brackets included.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        match self {
            Self::Name(text) | Self::Literal(text) => text,
        }
    }

    /// The address of an address literal.
    #[must_use]
    pub fn ip(&self) -> Option<core::net::IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Literal(text) => literal(text.strip_prefix('[')?.strip_suffix(']')?),
        }
    }
}

impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_sub_domain(label: &str) -> bool {
    let bytes = label.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= MAX_LABEL
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn literal(inner: &str) -> Option<core::net::IpAddr> {
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner[5..].parse::<Ipv6Addr>().ok().map(Into::into),
        _ => inner.parse::<Ipv4Addr>().ok().map(Into::into),
    }
}

/// How a client names itself in EHLO or HELO: a domain, or an address literal (RFC 5321 §4.1.1.1).
pub type ClientId<'a> = Domain<'a>;

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, syntax checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Mailbox<'a> {
    /// Reads a whole mailbox, without brackets.
    ///
    /// # Errors
    ///
    /// [`PathFault`] says which part does not fit the grammar.
    pub fn parse(text: &'a str) -> Result<Self, PathFault> {
        if !text.is_ascii() {
            return Err(PathFault::NonAscii);
        }
        let at = local_part(text.as_bytes())?;
        match text.as_bytes().get(at) {
            Some(b'@') => {}
            None => return Err(PathFault::NoDomain),
            Some(_) => return Err(PathFault::LocalPart),
        }
        Domain::parse(&text[at + 1..])?;
        Ok(Self { text, at })
    }

    /// The whole, as it was written.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The part before the `@`, as it was written: with quotes, if it had them. Only its own host may interpret it
    /// (RFC 5321 §2.3.11), and upper and lower case are not the same in it (§2.4).
    #[must_use]
    pub fn local_part(&self) -> &'a str {
        &self.text[..self.at]
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
        let text = &self.text[self.at + 1..];
        if text.starts_with('[') { Domain::Literal(text) } else { Domain::Name(text) }
    }

    /// Whether the local part is `postmaster` in any case, quoted or not (RFC 5321 §4.5.1).
    #[must_use]
    pub fn is_postmaster(&self) -> bool {
        self.unquoted_local_part().eq_ignore_ascii_case("postmaster")
    }
}

impl fmt::Display for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The length of the `Local-part` at the front: `Dot-string / Quoted-string`.
fn local_part(bytes: &[u8]) -> Result<usize, PathFault> {
    let end = if bytes.first() == Some(&b'"') { quoted_string(bytes)? } else { dot_string(bytes)? };
    if end > MAX_LOCAL_PART { Err(PathFault::LocalPartTooLong) } else { Ok(end) }
}

/// `Dot-string = Atom *("." Atom)`
fn dot_string(bytes: &[u8]) -> Result<usize, PathFault> {
    let mut after_dot = true;
    let mut end = 0;
    for &byte in bytes {
        match byte {
            b'.' if after_dot => return Err(PathFault::LocalPart),
            b'.' => after_dot = true,
            byte if is_atext(byte) => after_dot = false,
            _ => break,
        }
        end += 1;
    }
    if after_dot { Err(PathFault::LocalPart) } else { Ok(end) }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`
fn quoted_string(bytes: &[u8]) -> Result<usize, PathFault> {
    let mut i = 1;
    loop {
        match bytes.get(i) {
            Some(b'"') => return Ok(i + 1),
            Some(b'\\') if matches!(bytes.get(i + 1), Some(32..=126)) => i += 2,
            Some(32..=33 | 35..=91 | 93..=126) => i += 1,
            _ => return Err(PathFault::LocalPart),
        }
    }
}

/// The argument of MAIL FROM: a mailbox, or `<>` (RFC 5321 §4.1.2 `Reverse-path`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        if let Some(rest) = bytes.strip_prefix(b"<>") {
            return Ok((Self::Null, rest));
        }
        let (inner, rest) = bracketed(bytes)?;
        Ok((Self::Mailbox(Mailbox::parse(inner)?), rest))
    }

    /// The mailbox, unless it is the null path.
    #[must_use]
    pub const fn mailbox(&self) -> Option<Mailbox<'a>> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(*mailbox),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let (inner, rest) = bracketed(bytes)?;
        if let Some(postmaster) = Postmaster::parse(inner) {
            return Ok((Self::Postmaster(postmaster), rest));
        }
        Ok((Self::Mailbox(Mailbox::parse(inner)?), rest))
    }

    /// The mailbox, unless it is `<Postmaster>` alone.
    #[must_use]
    pub const fn mailbox(&self) -> Option<Mailbox<'a>> {
        match self {
            Self::Postmaster(_) => None,
            Self::Mailbox(mailbox) => Some(*mailbox),
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

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`: gives the mailbox's text, and what follows the path.
fn bracketed(bytes: &[u8]) -> Result<(&str, &[u8]), PathFault> {
    let inner = bytes.strip_prefix(b"<").ok_or(PathFault::Brackets)?;
    let inner = if inner.first() == Some(&b'@') { &inner[route(inner)?..] } else { inner };
    // A `>` within quotes is part of the local part.
    let quoted = if inner.first() == Some(&b'"') { quoted_string(inner)? } else { 0 };
    let close = inner[quoted..].iter().position(|&b| b == b'>').ok_or(PathFault::Brackets)? + quoted;
    let text = ascii(&inner[..close]).ok_or(PathFault::NonAscii)?;
    Ok((text, &inner[close + 1..]))
}

/// The length of `A-d-l ":"`, where `A-d-l = At-domain *( "," At-domain )` and `At-domain = "@" Domain`.
fn route(bytes: &[u8]) -> Result<usize, PathFault> {
    let colon = bytes.iter().position(|&b| b == b':').ok_or(PathFault::Route)?;
    let text = ascii(&bytes[..colon]).ok_or(PathFault::NonAscii)?;
    let well_formed = text
        .split(',')
        .all(|hop| hop.strip_prefix('@').is_some_and(|d| matches!(Domain::parse(d), Ok(Domain::Name(_)))));
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
