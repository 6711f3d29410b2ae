//! The header that a proxy puts in front of a connection: the PROXY protocol of HAProxy, versions 1 and 2.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a header of version 1, CRLF included: the longest that the specification allows (§2.1).
pub const MAX_PROXY_V1: usize = 107;

/// Octets of a header of version 2 behind the first sixteen: addresses and TLVs. The field that tells their number allows 65,535;
/// addresses of IPv6 take 36 of them, and what proxies add is far from a thousand.
pub const MAX_PROXY_V2: usize = 4096;

/// What a header of version 1 begins with (§2.1).
const V1: &[u8] = b"PROXY ";

/// What a header of version 2 begins with (§2.2).
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The first part of a header of version 2: signature, version and command, family and transport, length (§2.2).
const V2_FIXED: usize = V2.len() + 4;

/// Type and length of a TLV (§2.2).
const TLV_FIXED: u8 = 3;

/// What the proxy said of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `LOCAL`: the proxy speaks for itself, to see whether the server is well (§2.2). The connection's own addresses count.
    Local,
    /// The proxy doesn't know addresses that an IP connection can have: `UNKNOWN` (§2.1), `AF_UNSPEC` or `AF_UNIX` (§2.2). The
    /// connection's own addresses count.
    Unknown,
    /// The proxy passes on a connection between these two.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// What the client has connected to.
        destination: SocketAddr,
    },
}

/// What [`ProxyReader::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyStep {
    /// All of the input is part of the header, which goes on.
    NeedMore,
    /// The header, which ends where the used input ends.
    Header(ProxyHeader),
}

/// Why it is no header. The connection has to be closed: nothing of it may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyError {
    /// It begins like neither version.
    Signature,
    /// Version 1: no CRLF within [`MAX_PROXY_V1`], or a CR or LF of its own.
    Line,
    /// Version 1: not the words that have to stand there (§2.1).
    Syntax,
    /// Version 2: another version, or another command than `LOCAL` and `PROXY`.
    Version,
    /// Version 2: a family or transport that is not assigned, or one of datagrams, which carry no SMTP.
    Family,
    /// Version 2: fewer octets than the addresses take, or more than [`MAX_PROXY_V2`].
    Length,
    /// Version 2: a TLV is longer than what is left of the header.
    Tlv,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "no header of the PROXY protocol",
            Self::Line => "the line has no end where it must",
            Self::Syntax => "the line is malformed",
            Self::Version => "an unknown version or command",
            Self::Family => "an unknown address family or transport",
            Self::Length => "a length out of range",
            Self::Tlv => "a field beyond the end of the header",
        })
    }
}

impl core::error::Error for ProxyError {}

/// Reads one header of the PROXY protocol, of either version, in pieces of any length.
///
/// It keeps at most [`MAX_PROXY_V1`] octets and allocates nothing. It is strict: numbers have no leading zeros, and nothing is guessed.
/// TLVs are passed over; that each ends within the header is checked, a CRC-32c among them is not. The caller has to see to the rest of
/// the specification (§2, §4): a header is read only from peers that are known to send one, it must come at once, and a connection
/// without a valid one is closed.
///
/// ```
/// use ehlo_codec::{ProxyHeader, ProxyReader, ProxyStep};
///
/// let mut reader = ProxyReader::new();
/// let input = b"PROXY TCP4 192.0.2.1 198.51.100.7 40001 25\r\nEHLO client.example\r\n";
/// let (used, step) = reader.next(input)?;
/// let ProxyStep::Header(ProxyHeader::Proxied { source, .. }) = step else { panic!("it is whole") };
/// assert_eq!(source, "192.0.2.1:40001".parse()?);
/// assert!(input[used..].starts_with(b"EHLO"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ProxyReader {
    state: State,
    /// A line of version 1, or the start of version 2 with its addresses.
    held: [u8; MAX_PROXY_V1],
    length: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The signature isn't whole.
    Start,
    Line,
    /// The fixed part of version 2.
    Fixed,
    /// So many octets of addresses are still to come, and then so many of TLVs.
    Addresses {
        missing: usize,
        tlvs: usize,
        header: Family,
    },
    /// Octets of the header that are left, of which nothing is known.
    Opaque {
        left: usize,
        header: ProxyHeader,
    },
    Tlvs {
        left: usize,
        tlv: Tlv,
        header: ProxyHeader,
    },
    Done(Result<ProxyHeader, ProxyError>),
}

/// Addresses of version 2.
#[derive(Clone, Copy, Debug)]
enum Family {
    Inet,
    Inet6,
    Unix,
}

impl Family {
    /// Octets that they take (§2.2).
    const fn length(self) -> usize {
        match self {
            Self::Inet => 2 * (4 + 2),
            Self::Inet6 => 2 * (16 + 2),
            Self::Unix => 2 * 108,
        }
    }
}

/// Where it stands in a TLV: octets seen of its type and length, its length as far as it is known, and what is left of its value.
#[derive(Clone, Copy, Debug, Default)]
struct Tlv {
    seen: u8,
    value: usize,
}

impl fmt::Debug for ProxyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyReader").field("state", &self.state).field("held", &self.length).finish()
    }
}

impl Default for ProxyReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ProxyReader {
    /// A reader at the start of a connection.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Start, held: [0; MAX_PROXY_V1], length: 0 }
    }

    /// Takes bytes from the front of `input`; gives how many, and what they made known. Behind a header it gives the header again and
    /// uses nothing.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] as soon as the bytes so far cannot become a header, whatever follows; and again at every further call.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, ProxyStep), ProxyError> {
        let mut used = 0;
        loop {
            if let State::Done(result) = self.state {
                return result.map(|header| (used, ProxyStep::Header(header)));
            }
            // What is complete without a further octet, such as a header without TLVs, is done before more is waited for.
            if let Some(next) = self.without_input() {
                self.state = next;
                continue;
            }
            let Some(&octet) = input.get(used) else { return Ok((used, ProxyStep::NeedMore)) };
            used += match self.state {
                State::Opaque { left, header } => {
                    let taken = left.min(input.len() - used);
                    self.state = State::Opaque { left: left - taken, header };
                    taken
                }
                State::Tlvs { left, tlv, header } if tlv.seen == TLV_FIXED => {
                    let taken = tlv.value.min(input.len() - used);
                    let tlv = Tlv { value: tlv.value - taken, ..tlv };
                    self.state = State::Tlvs { left: left - taken, tlv, header };
                    taken
                }
                _ => {
                    self.state = self.octet(octet);
                    1
                }
            };
        }
    }

    /// The state behind one that needs no more input.
    fn without_input(&self) -> Option<State> {
        match self.state {
            State::Addresses { missing: 0, tlvs, header } => {
                Some(State::Tlvs { left: tlvs, tlv: Tlv::default(), header: self.addresses(header) })
            }
            State::Opaque { left: 0, header } => Some(State::Done(Ok(header))),
            State::Tlvs { left, tlv, header } => match tlv {
                Tlv { seen: TLV_FIXED, value } if value > left => Some(State::Done(Err(ProxyError::Tlv))),
                Tlv { seen: TLV_FIXED, value: 0 } => Some(State::Tlvs { left, tlv: Tlv::default(), header }),
                Tlv { seen: 0, .. } if left == 0 => Some(State::Done(Ok(header))),
                _ if left == 0 => Some(State::Done(Err(ProxyError::Tlv))),
                _ => None,
            },
            _ => None,
        }
    }

    fn octet(&mut self, octet: u8) -> State {
        match self.state {
            State::Start => {
                self.hold(octet);
                let held = &self.held[..self.length];
                if held == V1 {
                    State::Line
                } else if held == V2 {
                    State::Fixed
                } else if V1.starts_with(held) || V2.starts_with(held) {
                    State::Start
                } else {
                    State::Done(Err(ProxyError::Signature))
                }
            }
            State::Line => {
                let behind_cr = self.held[self.length - 1] == b'\r';
                self.hold(octet);
                if behind_cr != (octet == b'\n') {
                    return State::Done(Err(ProxyError::Line));
                }
                match octet {
                    b'\n' => State::Done(line(&self.held[..self.length - 2])),
                    _ if self.length == MAX_PROXY_V1 => State::Done(Err(ProxyError::Line)),
                    _ => State::Line,
                }
            }
            State::Fixed => {
                self.hold(octet);
                match fixed(&self.held[V2.len()..self.length]) {
                    Ok(None) => State::Fixed,
                    Ok(Some(state)) => state,
                    Err(error) => State::Done(Err(error)),
                }
            }
            State::Addresses { missing, tlvs, header } => {
                // Paths of sockets are of no use here.
                if !matches!(header, Family::Unix) {
                    self.hold(octet);
                }
                State::Addresses { missing: missing - 1, tlvs, header }
            }
            State::Tlvs { left, tlv, header } => {
                let value = match tlv.seen {
                    0 => 0,
                    _ => tlv.value << 8 | usize::from(octet),
                };
                State::Tlvs { left: left - 1, tlv: Tlv { seen: tlv.seen + 1, value }, header }
            }
            state @ (State::Opaque { .. } | State::Done(_)) => state,
        }
    }

    /// Keeps an octet. There is room for each: both kinds of header that are kept are bounded by it.
    fn hold(&mut self, octet: u8) {
        if let Some(place) = self.held.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }

    /// Reads the addresses of version 2 (§2.2): both addresses, then both ports.
    fn addresses(&self, family: Family) -> ProxyHeader {
        let octets = &self.held[V2_FIXED..];
        let port = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let (source, destination, ports) = match family {
            Family::Unix => return ProxyHeader::Unknown,
            Family::Inet => {
                let ip = |at: usize| IpAddr::V4(Ipv4Addr::from(array::<4>(&octets[at..])));
                (ip(0), ip(4), 8)
            }
            Family::Inet6 => {
                let ip = |at: usize| IpAddr::V6(Ipv6Addr::from(array::<16>(&octets[at..])));
                (ip(0), ip(16), 32)
            }
        };
        ProxyHeader::Proxied {
            source: SocketAddr::new(source, port(ports)),
            destination: SocketAddr::new(destination, port(ports + 2)),
        }
    }
}

/// The first octets of a slice that has as many.
fn array<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&octets[..N]);
    array
}

/// Judges what has come of the four octets behind the signature of version 2 (§2.2).
fn fixed(octets: &[u8]) -> Result<Option<State>, ProxyError> {
    let local = match octets[0] {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Version),
    };
    let family = match octets.get(1) {
        None => return Ok(None),
        // The family of LOCAL is ignored.
        Some(_) if local => None,
        Some(0x00) => None,
        Some(0x11) => Some(Family::Inet),
        Some(0x21) => Some(Family::Inet6),
        Some(0x31) => Some(Family::Unix),
        Some(_) => return Err(ProxyError::Family),
    };
    let &[_, _, high, low] = octets else { return Ok(None) };
    let left = usize::from(u16::from_be_bytes([high, low]));
    if left > MAX_PROXY_V2 {
        return Err(ProxyError::Length);
    }
    let Some(family) = family else {
        let header = if local { ProxyHeader::Local } else { ProxyHeader::Unknown };
        return Ok(Some(State::Opaque { left, header }));
    };
    let missing = family.length();
    let tlvs = left.checked_sub(missing).ok_or(ProxyError::Length)?;
    Ok(Some(State::Addresses { missing, tlvs, header: family }))
}

/// Reads a line of version 1 (§2.1), without its CRLF:
///
/// ```text
/// PROXY SP ( TCP4 / TCP6 ) SP source SP destination SP source-port SP destination-port
/// PROXY SP UNKNOWN [ anything ]
/// ```
fn line(line: &[u8]) -> Result<ProxyHeader, ProxyError> {
    let rest = line.strip_prefix(V1).ok_or(ProxyError::Syntax)?;
    if rest == b"UNKNOWN" || rest.starts_with(b"UNKNOWN ") {
        return Ok(ProxyHeader::Unknown);
    }
    let rest = core::str::from_utf8(rest).map_err(|_| ProxyError::Syntax)?;
    let mut words = rest.split(' ');
    let mut word = || words.next().ok_or(ProxyError::Syntax);
    let family = word()?;
    let addresses = [address(family, word()?)?, address(family, word()?)?];
    let ports = [port(word()?)?, port(word()?)?];
    if word().is_ok() {
        return Err(ProxyError::Syntax);
    }
    let [source, destination] = [0, 1].map(|i| SocketAddr::new(addresses[i], ports[i]));
    Ok(ProxyHeader::Proxied { source, destination })
}

/// An address of that family. `core` takes none with leading zeros or with a zone.
fn address(family: &str, text: &str) -> Result<IpAddr, ProxyError> {
    match family {
        "TCP4" => text.parse().map(IpAddr::V4).map_err(|_| ProxyError::Syntax),
        "TCP6" => text.parse().map(IpAddr::V6).map_err(|_| ProxyError::Syntax),
        _ => Err(ProxyError::Syntax),
    }
}

/// 0 to 65535 without leading zeros.
fn port(text: &str) -> Result<u16, ProxyError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(ProxyError::Syntax);
    }
    text.parse().map_err(|_| ProxyError::Syntax)
}

/// Whether the bytes begin with the signature of a header, of either version: a second header behind the first one, say, which nobody
/// has a reason to send.
#[must_use]
pub fn begins_proxy_header(bytes: &[u8]) -> bool {
    bytes.starts_with(V1) || bytes.starts_with(V2)
}

#[cfg(test)]
mod tests;
