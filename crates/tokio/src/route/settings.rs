//! What bounds and steers the way to a domain.

use std::net::IpAddr;
use std::time::Duration;

use super::address::is_destination;
use crate::client::CONNECT_TIMEOUT;
use crate::dns::folded;
use crate::proxy::Network;

/// Bounds of what one domain can make us try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Hosts of a domain, the best ones. Default: 10; nobody has more that matter.
    pub hosts: usize,
    /// Addresses of a host, the first ones, of both families if it has both. RFC 5321 §5.1 wants two addresses to be tried at least. Default: 6.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { hosts: 10, addresses: 6 }
    }
}

/// How long each part of the way may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For each question to DNS. Default: 30 seconds, in which a resolver asks more than once.
    pub lookup: Duration,
    /// For a connection to one address. RFC 5321 §4.5.3.2 sets no time for it. Default: 30 seconds.
    pub connect: Duration,
    /// From one attempt to connect to the next one at another address of the host, unless the one before fails sooner. Default: 250 ms (RFC 8305 §5).
    pub stagger: Duration,
    /// For all of it, but for what the caller does between two calls of [`Attempts::next`](super::Attempts::next). Default: 5 minutes.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(30),
            connect: CONNECT_TIMEOUT,
            stagger: Duration::from_millis(250),
            total: Duration::from_secs(5 * 60),
        }
    }
}

/// Which addresses are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Families {
    /// IPv6 and IPv4 in turns, IPv6 first (RFC 8305 §4).
    #[default]
    Both,
    /// IPv4 alone. AAAA is not asked for (RFC 5321 §5.2).
    Ipv4,
    /// IPv6 alone. A is not asked for.
    Ipv6,
}

impl Families {
    pub(super) const fn has_ipv4(self) -> bool {
        matches!(self, Self::Both | Self::Ipv4)
    }

    pub(super) const fn has_ipv6(self) -> bool {
        matches!(self, Self::Both | Self::Ipv6)
    }
}

/// All that a way to a domain depends on but DNS.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) families: Families,
    pub(super) port: u16,
    pub(super) allow_loopback: bool,
    /// Names and addresses by which this host is known. Names are folded, addresses canonical.
    pub(super) own_names: Vec<String>,
    pub(super) own_addresses: Vec<IpAddr>,
    /// Where nothing is ever sent to.
    pub(super) refused: Vec<Network>,
    pub(super) seed: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            families: Families::default(),
            port: super::PORT,
            allow_loopback: false,
            own_names: Vec::new(),
            own_addresses: Vec::new(),
            refused: Vec::new(),
            seed: None,
        }
    }
}

impl Settings {
    /// Whether a name is one of this host's.
    pub(super) fn is_own_name(&self, name: &str) -> bool {
        let name = folded(name);
        self.own_names.contains(&name)
    }

    pub(super) fn is_own_address(&self, ip: IpAddr) -> bool {
        self.own_addresses.contains(&ip.to_canonical())
    }

    /// Whether it is ever connected to.
    pub(super) fn may_connect(&self, ip: IpAddr) -> bool {
        is_destination(ip, self.allow_loopback) && !self.refused.iter().any(|network| network.contains(ip))
    }
}
