//! Connections that a proxy passes on: whom to believe, and reading what it says (PROXY protocol).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ehlo_server::codec::{ProxyError, ProxyHeader, ProxyReader, ProxyStep, begins_proxy_header};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::hub::{Phase, Slot};

/// Octets that are looked at in one go. Most headers have fewer.
const LOOK: usize = 512;

/// Addresses that begin alike, such as `192.0.2.0/24`, `2001:db8::/32`, or a single one (RFC 4632 §3.1, RFC 4291 §2.3).
///
/// ```
/// use ehlo_tokio::Network;
///
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.77".parse()?));
/// assert!(network.contains("::ffff:192.0.2.77".parse()?));
/// assert!(!network.contains("192.0.3.77".parse()?));
/// // Bits behind the prefix are taken for a mistake, and not for noise.
/// assert!("192.0.2.1/24".parse::<Network>().is_err());
/// assert!("127.0.0.1".parse::<Network>()?.contains("127.0.0.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The addresses that share their first `prefix` bits with this one.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] if the prefix is longer than the address, or the address has bits behind it.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        // Addresses are looked up by what they are, not by what they are mapped into.
        let (address, prefix) = match (address.to_canonical(), prefix.checked_sub(96)) {
            (canonical @ IpAddr::V4(_), Some(prefix)) if address.is_ipv6() => (canonical, prefix),
            _ => (address, prefix),
        };
        let (bits, width) = bits(address);
        if u32::from(prefix) > width {
            return Err(NetworkError::Prefix);
        }
        // A shift by all bits is none that an integer can do.
        if bits.checked_shl(u32::from(prefix) + (128 - width)).unwrap_or(0) != 0 {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { address, prefix })
    }

    /// Whether the address is one of them. An IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2) is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (network, width) = bits(self.address);
        let (address, its_width) = bits(address.to_canonical());
        let behind = width - u32::from(self.prefix);
        width == its_width && (network ^ address).checked_shr(behind).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
        IpAddr::V6(ip) => (ip.to_bits(), Ipv6Addr::BITS),
    }
}

impl From<IpAddr> for Network {
    /// That address alone.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().map(IpAddr::into).map_err(|_| NetworkError::Address);
        };
        let address = address.parse().map_err(|_| NetworkError::Address)?;
        if !prefix.bytes().all(|b| b.is_ascii_digit()) || (prefix.len() > 1 && prefix.starts_with('0')) {
            return Err(NetworkError::Prefix);
        }
        Self::new(address, prefix.parse().map_err(|_| NetworkError::Prefix)?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why it is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetworkError {
    /// It begins with no IP address.
    Address,
    /// The number behind the slash is none, or more than the address has bits.
    Prefix,
    /// The address has bits behind the prefix: is it a network that is meant, or this one address?
    HostBits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "a network is an IP address, or one with /BITS behind it, such as 192.0.2.0/24",
            Self::Prefix => "the number behind the slash is 0 to 32, or 0 to 128 for IPv6",
            Self::HostBits => "the address has bits behind its prefix; for a single address, leave the prefix out",
        })
    }
}

impl std::error::Error for NetworkError {}

/// Whose headers are believed, and how long they may take.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    pub(crate) from: Vec<Network>,
    pub(crate) patience: Duration,
}

impl Proxies {
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.from.iter().any(|network| network.contains(address))
    }
}

/// Why a connection of a proxy has no valid header.
#[derive(Debug)]
pub(crate) enum Failure {
    Header(ProxyError),
    /// A second header stands behind the first.
    Twice,
    Late,
    Ended,
    Broken(io::Error),
    /// The server is stopping, and is to blame itself.
    Stopping,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Twice => f.write_str("there are two headers"),
            Self::Late => f.write_str("the header did not come in time"),
            Self::Ended => f.write_str("the connection ended before its header"),
            Self::Broken(error) => error.fmt(f),
            Self::Stopping => f.write_str("the server is stopping"),
        }
    }
}

/// Reads the header of a connection and nothing behind it: what follows stays in the socket, be it commands or TLS.
pub(crate) async fn read_header(stream: &TcpStream, slot: &Slot, patience: Duration) -> Result<ProxyHeader, Failure> {
    let mut late = pin!(tokio::time::sleep(patience));
    let mut reader = ProxyReader::new();
    poll_fn(|cx| {
        slot.watch(cx.waker());
        if slot.hub().phase() != Phase::Running {
            return Poll::Ready(Err(Failure::Stopping));
        }
        match poll_header(cx, stream, &mut reader) {
            Poll::Pending => late.as_mut().poll(cx).map(|()| Err(Failure::Late)),
            ready => ready,
        }
    })
    .await
}

fn poll_header(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    reader: &mut ProxyReader,
) -> Poll<Result<ProxyHeader, Failure>> {
    let mut octets = [0; LOOK];
    loop {
        let length = ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut octets))).map_err(Failure::Broken)?;
        if length == 0 {
            return Poll::Ready(Err(Failure::Ended));
        }
        let (used, step) = reader.next(&octets[..length]).map_err(Failure::Header)?;
        let twice = begins_proxy_header(&octets[used..length]);
        // They are there, so this takes them all.
        let taken = stream.try_read(&mut octets[..used]).map_err(Failure::Broken)?;
        debug_assert_eq!(taken, used, "what was seen can be read");
        match step {
            ProxyStep::NeedMore => {}
            ProxyStep::Header(_) if twice => return Poll::Ready(Err(Failure::Twice)),
            ProxyStep::Header(header) => return Poll::Ready(Ok(header)),
        }
    }
}

/// The address that counts as the peer's: the one that the header tells, or else the connection's own.
pub(crate) fn source(header: ProxyHeader, own: SocketAddr) -> SocketAddr {
    match header {
        ProxyHeader::Proxied { source, .. } => source,
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.128/25", "::ffff:192.0.2.128", "192.0.2.127"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("::ffff:192.0.2.0/120", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.3"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("0.0.0.0/1", "127.0.0.1", "128.0.0.0"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::/127", "2001:db8::1", "2001:db8::2"),
            ("::1", "::1", "::2"),
            ("8000::/1", "ffff::", "7fff::"),
        ] {
            let network = network(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
            assert_eq!(self::network(&network.to_string()), network);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("localhost", NetworkError::Address),
            ("192.0.2", NetworkError::Address),
            ("192.0.2.1:25", NetworkError::Address),
            ("/24", NetworkError::Address),
            ("192.0.2.0/", NetworkError::Prefix),
            ("192.0.2.0/33", NetworkError::Prefix),
            ("192.0.2.0/+24", NetworkError::Prefix),
            ("192.0.2.0/024", NetworkError::Prefix),
            ("192.0.2.0/300", NetworkError::Prefix),
            ("2001:db8::/129", NetworkError::Prefix),
            ("::ffff:192.0.2.0/129", NetworkError::Prefix),
            ("192.0.2.1/24", NetworkError::HostBits),
            ("192.0.2.1/0", NetworkError::HostBits),
            ("192.0.2.1/31", NetworkError::HostBits),
            ("128.0.0.0/0", NetworkError::HostBits),
            ("2001:db8::1/64", NetworkError::HostBits),
            ("8000::/0", NetworkError::HostBits),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
