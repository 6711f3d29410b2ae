//! SASL mechanisms, as AUTH names them: RFC 4422, RFC 4954.

use core::fmt;

use crate::Standing;
use crate::generated::sasl as tables;

/// A SASL mechanism (RFC 4422) that AUTH may name (RFC 4954 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaslMechanism {
    /// In capitals, up to 20 characters (RFC 4422 §3.1).
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// How much it is meant to be used.
    pub usage: Usage,
    /// Whether whoever reads the exchange learns a password or a token: then TLS must be on (RFC 4954 §4).
    pub reveals_secret: bool,
    /// The RFC and section that defines it.
    pub reference: &'static str,
    /// How firmly it stands.
    pub standing: Standing,
}

impl SaslMechanism {
    /// Every row of the registry.
    pub const ALL: &'static [Self] = tables::MECHANISMS;

    /// The mechanism of this name, in any case, or `None`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|row| row.name.eq_ignore_ascii_case(name))
    }
}

/// How much a SASL mechanism is meant to be used, as its registration says.
///
/// Exhaustive on purpose: RFC 4422 §7.1 has these three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// For common use.
    Common,
    /// For limited use.
    Limited,
    /// Not any more.
    Obsolete,
}

impl Usage {
    /// One lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Limited => "limited",
            Self::Obsolete => "obsolete",
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
