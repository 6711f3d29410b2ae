//! Arguments of the commands that extensions bring.

use crate::Verb;
use crate::path::Domain;
use crate::text::{Charset, Text};
use core::fmt;

/// The name of a SASL mechanism: 1 to 20 letters, digits, `-` and `_` (RFC 4422 §3.1). The same in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MechanismName<'a>(&'a str);

impl<'a> MechanismName<'a> {
    /// Most characters.
    pub const MAX: usize = 20;

    /// Checks a name.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fits.then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is that mechanism.
    #[must_use]
    pub fn is(self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for MechanismName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A SASL response on its way: characters of base64, not decoded (RFC 4954 §4, RFC 4648 §4).
///
/// It may be a credential, so its `Debug` output tells its length only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Base64<'a>(&'a str);

impl<'a> Base64<'a> {
    /// Checks the characters: letters, digits, `+`, `/`, and `=` at the end. Whether they decode is for the decoder to say.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        text.trim_end_matches('=').bytes().all(fits).then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is `=`: an initial response that is there and empty (RFC 4954 §4).
    #[must_use]
    pub fn is_empty_response(self) -> bool {
        self.0 == "="
    }
}

impl fmt::Debug for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} octets)", self.0.len())
    }
}

/// A line that answers a 334 (RFC 4954 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthResponse<'a> {
    /// `*`: the client gives up.
    Cancel,
    /// A response; the line may be empty.
    Response(Base64<'a>),
}

impl<'a> AuthResponse<'a> {
    /// Reads a line without its CRLF; `None` if it is not base64, to be answered with 501 5.5.2.
    ///
    /// ```
    /// use ehlo_codec::AuthResponse;
    ///
    /// assert_eq!(AuthResponse::parse(b"*"), Some(AuthResponse::Cancel));
    /// assert!(AuthResponse::parse(b"AGFkYQBzZWNyZXQ=").is_some());
    /// assert!(AuthResponse::parse(b"not base64").is_none());
    /// ```
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        if line == b"*" {
            return Some(Self::Cancel);
        }
        Base64::parse(core::str::from_utf8(line).ok()?).map(Self::Response)
    }
}

/// From where BURL fetches: an absolute URI (RFC 4468 §3, RFC 3986 §4.3). It may hold a token, so its `Debug` output tells its length only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BurlUri<'a>(&'a str);

impl<'a> BurlUri<'a> {
    /// Checks that it begins with a scheme and has no characters but those of RFC 3986 §2.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b));
        fits.then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The scheme, such as `imap`.
    #[must_use]
    pub fn scheme(self) -> &'a str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Debug for BurlUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BurlUri({}:, {} octets)", self.scheme(), self.0.len())
    }
}

/// What ETRN asks to be sent: a host, a domain with all below it, or a queue (RFC 1985 §5.1, §5.3).
///
/// ```
/// use ehlo_codec::{EtrnNode, EtrnOption};
///
/// let node = EtrnNode::parse("@example.org").unwrap();
/// assert_eq!((node.option(), node.name()), (EtrnOption::Subdomains, "example.org"));
/// assert!(EtrnNode::parse("no domain").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EtrnNode<'a>(&'a str);

/// The character before the node name of ETRN (RFC 1985 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EtrnOption {
    /// None: mail for a host or domain.
    Host,
    /// `@`: mail for a domain and for all below it.
    Subdomains,
    /// `#`: what is in a queue, by its name, whatever that means to the server.
    Queue,
}

impl<'a> EtrnNode<'a> {
    /// Reads an argument of ETRN.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::with(text, Charset::Utf8)
    }

    pub(super) fn with(text: &'a str, charset: Charset) -> Option<Self> {
        let node = Self(text);
        let fits = match node.option() {
            EtrnOption::Host | EtrnOption::Subdomains => {
                Domain::with(node.name().as_bytes(), charset).is_ok_and(|domain| !domain.is_literal())
            }
            EtrnOption::Queue => {
                Text::with(node.name(), charset).is_some_and(|name| !name.as_str().contains([' ', '\t']))
            }
        };
        fits.then_some(node)
    }

    /// The option character.
    #[must_use]
    pub const fn option(self) -> EtrnOption {
        match self.0.as_bytes() {
            [b'@', ..] => EtrnOption::Subdomains,
            [b'#', ..] => EtrnOption::Queue,
            _ => EtrnOption::Host,
        }
    }

    /// The domain, or the name of the queue.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0.strip_prefix(['@', '#']).unwrap_or(self.0)
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The domains of ATRN, with commas between; empty where the client means all of its own (RFC 2645 §5.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DomainList<'a>(&'a str);

impl<'a> DomainList<'a> {
    /// Reads a list.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::with(text, Charset::Utf8)
    }

    pub(super) fn with(text: &'a str, charset: Charset) -> Option<Self> {
        let fits = text.is_empty()
            || text
                .split(',')
                .all(|name| Domain::with(name.as_bytes(), charset).is_ok_and(|domain| !domain.is_literal()));
        fits.then_some(Self(text))
    }

    /// Whether no domain is named.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Domain<'a>> + use<'a> {
        self.0.split(',').filter(|name| !name.is_empty()).map(|name| Domain::checked(name.as_bytes()))
    }
}

/// A verb that no client should send any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObsoleteVerb {
    /// `SEND` (RFC 821 §3.4, RFC 5321 appendix F.6).
    Send,
    /// `SOML` (RFC 821 §3.4, RFC 5321 appendix F.6).
    Soml,
    /// `SAML` (RFC 821 §3.4, RFC 5321 appendix F.6).
    Saml,
    /// `TURN` (RFC 821 §3.8, RFC 5321 appendix F.1).
    Turn,
}

impl ObsoleteVerb {
    /// The verb in the registry.
    #[must_use]
    pub const fn verb(self) -> Verb {
        match self {
            Self::Send => Verb::Send,
            Self::Soml => Verb::Soml,
            Self::Saml => Verb::Saml,
            Self::Turn => Verb::Turn,
        }
    }
}
