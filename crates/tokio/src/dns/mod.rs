//! What is asked of DNS to find out where mail goes, by a resolver of anybody's making.
//!
//! `SystemResolver` (feature `dns`) asks the servers that this host's settings name, [`Zone`] has its answers in memory.

#[cfg(feature = "dns")]
mod hickory;
mod zone;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "dns")]
pub use hickory::SystemResolver;
pub use zone::{Zone, ZoneError};

/// The most octets of a name without its last dot (RFC 1035 §2.3.4 counts a length before each label, and the root's).
pub(crate) const MAX_NAME: usize = 253;

/// The most octets of a label of a name (RFC 1035 §2.3.4).
pub(crate) const MAX_LABEL: usize = 63;

/// An answer that takes time.
pub type Lookup<T> = Pin<Box<dyn Future<Output = Result<Answer<T>, LookupError>> + Send>>;

/// Asks DNS.
///
/// A name is asked about as it is, with or without a dot at its end, and without a search list (RFC 5321 §5.1). Aliases (CNAME) are followed, as a
/// recursive server does, and [`Answer::name`] tells where they led. Who asks sets a deadline: a resolver need not have one.
pub trait Resolver: Send + Sync + 'static {
    /// The mail exchangers of a domain, in any order.
    fn mx(&self, domain: &str) -> Lookup<Mx>;

    /// The IPv4 addresses of a host, the one to be tried first in front.
    fn ipv4(&self, host: &str) -> Lookup<Ipv4Addr>;

    /// The IPv6 addresses of a host, the one to be tried first in front.
    fn ipv6(&self, host: &str) -> Lookup<Ipv6Addr>;
}

impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    fn mx(&self, domain: &str) -> Lookup<Mx> {
        (**self).mx(domain)
    }

    fn ipv4(&self, host: &str) -> Lookup<Ipv4Addr> {
        (**self).ipv4(host)
    }

    fn ipv6(&self, host: &str) -> Lookup<Ipv6Addr> {
        (**self).ipv6(host)
    }
}

/// A mail exchanger, as a domain names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mx {
    /// The smaller, the better.
    pub preference: u16,
    /// The name of the host as text, with backslashes as in a master file (RFC 1035 §5.1), and whatever the domain's owner wrote there. The root is
    /// `.`: no host at all (RFC 7505).
    pub exchange: String,
}

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The name that it says it of, without a dot at its end: the one that was asked about, or where its aliases lead.
    pub name: String,
    /// The records.
    pub records: Records<T>,
    /// For how long that is good.
    pub ttl: Duration,
}

impl<T> Answer<T> {
    /// What DNS says of that name.
    pub fn new(name: impl Into<String>, records: Records<T>, ttl: Duration) -> Self {
        Self { name: name.into(), records, ttl }
    }
}

/// The records of a name of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Records<T> {
    /// There are some.
    Found(Vec<T>),
    /// The name is there, but has none.
    NoData,
    /// There is no such name, nor any below it (NXDOMAIN).
    NoName,
}

impl<T> Records<T> {
    /// The records; none if there are none, for whatever reason.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Found(records) => records,
            Self::NoData | Self::NoName => Vec::new(),
        }
    }
}

/// Why there is no answer. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// There is none for now: no server answers in time, or it fails, refuses, or talks nonsense.
    Temporary(String),
    /// There is no asking about such a name: a label is empty or too long, or it is none of IDNA.
    BadName(String),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary(why) => f.write_str(why),
            Self::BadName(why) => write!(f, "no name of DNS: {why}"),
        }
    }
}

impl std::error::Error for LookupError {}

/// A name as it is compared: without its last dot, in small letters.
pub(crate) fn folded(name: &str) -> String {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name).to_lowercase()
}
