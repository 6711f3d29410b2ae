//! How firmly a registry row stands.

use core::fmt;

/// How firmly a row of the registry stands: who defined it and whether it is still meant to be used.
///
/// More kinds may be told apart later, hence `non_exhaustive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// Defined by a standards-track or best-current-practice RFC that is in force.
    Standard,
    /// Defined by an experimental RFC.
    Experimental,
    /// Listed by the registry of RFC 5248 beside another code, but no RFC defines it.
    RegistryOnly,
    /// Was defined once; deprecated, historic or replaced since. To be understood, not to be sent.
    Obsolete,
    /// Seen in the wild, defined by no RFC. To be understood, not to be sent.
    Nonstandard,
}

impl Standing {
    /// Whether new software may send it: true for [`Standard`](Self::Standard) and [`Experimental`](Self::Experimental).
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(self, Self::Standard | Self::Experimental)
    }

    /// One lower-case word or two, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Experimental => "experimental",
            Self::RegistryOnly => "registry only",
            Self::Obsolete => "obsolete",
            Self::Nonstandard => "nonstandard",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
