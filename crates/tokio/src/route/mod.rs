//! Finding the host that takes mail for a domain, and connecting to it (RFC 5321 §5.1).
//!
//! A [`Router`] asks a [`Resolver`] for the MX of a domain, sorts them by preference, equal ones by chance, and takes the domain itself where there is none.
//! It asks for the addresses of the best hosts and tries them, IPv6 and IPv4 in turns, each a moment after the one before (RFC 8305), until one answers. What
//! it hands over is a connection and the name of its host; SMTP begins there. If that host takes no mail after all, [`Attempts`] goes on to the next.
//!
//! Where mail can't go, a [`RouteError`] has the reply for it: a domain that takes no mail (RFC 7505), one that there is not, one whose mail would come back
//! here, one that names hosts which nobody should connect to, and all that may be better later.
//!
//! ```
//! use ehlo_tokio::dns::Zone;
//! use ehlo_tokio::route::{Reason, Router};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let zone: Zone = "
//!     example.org      MX  10 away.example.org
//!     example.org      MX  20 mx.example.org
//!     mx.example.org   A   127.0.0.1
//!     null.example     MX  0 .
//! "
//! .parse()?;
//! // `SystemResolver` in place of the zone asks DNS. The port and the loopback are for this test.
//! let router = Router::builder(zone).port(listener.local_addr()?.port()).allow_loopback(true).build();
//!
//! let connected = router.connect("example.org").await?;
//! assert_eq!((connected.host.name.as_str(), connected.host.preference), ("mx.example.org", 20));
//! // From here on it is the client's: `Client::builder().over(connected.stream, &connected.host.server_name())`.
//!
//! let error = router.connect("null.example").await.unwrap_err();
//! assert_eq!(error.reason(), Reason::NullMx);
//! assert_eq!(error.reply().to_string(), "556 5.1.10 The domain takes no mail");
//! # Ok(())
//! # }
//! ```
//!
//! # What it decides
//!
//! | what DNS says | what follows |
//! |---|---|
//! | MX records | their hosts, by preference, equal ones shuffled; the domain's own addresses never count |
//! | no MX, but the domain is there | the domain is its own host, with preference 0 |
//! | an alias (CNAME) for the domain | where it leads is taken for the domain |
//! | an alias for a host | followed, though RFC 5321 §5.1 leaves it open and RFC 2181 §10.3 forbids it |
//! | nothing but `.` as hosts | [`Reason::NullMx`], without a connection |
//! | `.` beside others, an address or nonsense in place of a name | that record is left out |
//! | this host, by name or address | it and all that are not better than it are left out; [`Reason::Loop`] if none is better |
//! | `localhost`, addresses of loopback | left out, unless [`Builder::allow_loopback`] |
//! | addresses that are unspecified, multicast, link-local, broadcast or reserved, or [refused](Builder::refuse) | left out |
//! | no such domain | [`Reason::NoSuchDomain`] |
//! | no answer, or a failing server | [`Reason::Lookup`], or another host if it was about a host |
//!
//! An address literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`) is a host of its own, about which DNS is not asked. Addresses of a private network are ordinary
//! ones: [`Builder::refuse`] is for who sends on behalf of strangers.

mod address;
mod attempts;
mod connector;
mod error;
#[cfg(test)]
mod fake;
mod plan;
mod race;
mod random;
mod settings;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use attempts::{Attempts, Connected};
pub use connector::{Connector, Tcp};
pub use error::{Cause, Failure, Reason, RouteError};
pub use plan::Host;
pub use settings::{Families, Limits, Timeouts};

use self::settings::Settings;
use crate::dns::{Resolver, folded};
use crate::proxy::Network;

/// The port of servers that take mail for their domain (RFC 5321 §4.5.4.2).
const PORT: u16 = 25;

/// Finds the hosts of domains and connects to them. It has no state: clones are one, and one is for any number of deliveries at a time.
pub struct Router<C: Connector = Tcp> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    resolver: Arc<dyn Resolver>,
    connector: C,
    settings: Settings,
}

impl<C: Connector> Clone for Router<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C: Connector> fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Router {
    /// A router that asks this resolver.
    pub fn builder(resolver: impl Resolver) -> Builder {
        Builder { resolver: Arc::new(resolver), connector: Tcp::default(), settings: Settings::default() }
    }
}

impl<C: Connector> Router<C> {
    /// Connects to the best host of a domain that answers. For a delivery that is to go on with the next one, [`attempts`](Self::attempts).
    ///
    /// # Errors
    ///
    /// [`RouteError`] if there is none.
    pub async fn connect(&self, domain: &str) -> Result<Connected<C::Stream>, RouteError> {
        self.attempts(domain).await?.next().await
    }

    /// Finds the hosts of a domain: what stands right of the `@` of a recipient, a domain name or an address literal. Nothing is connected to.
    ///
    /// # Errors
    ///
    /// [`RouteError`] if there is no host that can be tried.
    pub async fn attempts(&self, domain: &str) -> Result<Attempts<C>, RouteError> {
        Attempts::begin(Arc::clone(&self.shared), domain).await
    }
}

/// Makes a [`Router`].
#[must_use]
pub struct Builder<C: Connector = Tcp> {
    resolver: Arc<dyn Resolver>,
    connector: C,
    settings: Settings,
}

impl<C: Connector> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Builder {
    /// Connects to IPv4 addresses from this one. Default: the one that the system chooses by its routes.
    pub fn source_ipv4(mut self, source: Ipv4Addr) -> Self {
        self.connector.ipv4 = Some(source);
        self
    }

    /// Connects to IPv6 addresses from this one. Default: the one that the system chooses by its routes.
    pub fn source_ipv6(mut self, source: Ipv6Addr) -> Self {
        self.connector.ipv6 = Some(source);
        self
    }
}

impl<C: Connector> Builder<C> {
    /// Bounds of what one domain can make us try.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How long each part may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// Which addresses are tried. Default: both families.
    pub fn families(mut self, families: Families) -> Self {
        self.settings.families = families;
        self
    }

    /// The port to connect to. Default: 25.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = port;
        self
    }

    /// Whether addresses of loopback are ones to connect to, for tests: a domain of the Internet that names them means no host of its own. The others that
    /// mail never goes to stay out. Default: no.
    pub fn allow_loopback(mut self, allow: bool) -> Self {
        self.settings.allow_loopback = allow;
        self
    }

    /// Adds a name by which this host is known to those who send it mail, so that mail is not sent to itself: its own, and each that an MX may have for it
    /// (RFC 5321 §5.1).
    pub fn own_name(mut self, name: &str) -> Self {
        self.settings.own_names.push(folded(name));
        self
    }

    /// Adds an address under which this host takes mail, the one outside of a translator (NAT) too.
    pub fn own_address(mut self, address: IpAddr) -> Self {
        self.settings.own_addresses.push(address.to_canonical());
        self
    }

    /// Adds a network to whose addresses nothing is ever sent.
    pub fn refuse(mut self, network: Network) -> Self {
        self.settings.refused.push(network);
        self
    }

    /// Has equal hosts of a domain in an order that depends on this number alone, so that a test can be repeated. Default: another order each time.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Makes connections by this, in place of [`Tcp`].
    pub fn connector<D: Connector>(self, connector: D) -> Builder<D> {
        Builder { resolver: self.resolver, connector, settings: self.settings }
    }

    /// Makes it.
    pub fn build(self) -> Router<C> {
        let Self { resolver, connector, settings } = self;
        Router { shared: Arc::new(Shared { resolver, connector, settings }) }
    }
}
