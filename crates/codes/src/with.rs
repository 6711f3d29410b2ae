//! Protocol names for the `with` clause of a Received field: RFC 5321 §4.4, RFC 3848, RFC 6531.

use crate::Standing;
use crate::generated::with as tables;

/// A protocol name behind `with` in a Received field (RFC 5321 §4.4): what the session was.
///
/// ```
/// use ehlo_codes::{Protocol, WithProtocol};
/// let secure = WithProtocol::of(Protocol::Esmtp, true, true, false).unwrap();
/// assert_eq!(secure.name, "ESMTPSA");
/// assert_eq!(WithProtocol::by_name("utf8smtps").unwrap().protocol, Protocol::Esmtp);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithProtocol {
    /// In capitals.
    pub name: &'static str,
    /// What it tells.
    pub meaning: &'static str,
    /// How the session began.
    pub protocol: Protocol,
    /// Whether it was under TLS.
    pub tls: bool,
    /// Whether AUTH had succeeded.
    pub auth: bool,
    /// Whether SMTPUTF8 was used.
    pub utf8: bool,
    /// The RFC and section that defines it.
    pub reference: &'static str,
    /// How firmly it stands.
    pub standing: Standing,
}

impl WithProtocol {
    /// Every row of the registry.
    pub const ALL: &'static [Self] = tables::WITH;

    /// The row of this name, in any case, or `None`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|row| row.name.eq_ignore_ascii_case(name))
    }

    /// The row for a session; `None` for SMTP without EHLO but with an extension, which cannot be.
    #[must_use]
    pub fn of(protocol: Protocol, tls: bool, auth: bool, utf8: bool) -> Option<&'static Self> {
        let fits = |row: &&Self| row.protocol == protocol && row.tls == tls && row.auth == auth && row.utf8 == utf8;
        Self::ALL.iter().find(fits)
    }
}

/// How a session began.
///
/// Exhaustive on purpose: these are the three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp,
    /// LHLO.
    Lmtp,
}

impl Protocol {
    /// One upper-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
            Self::Lmtp => "LMTP",
        }
    }
}
