//! What a session is told before it begins.

use crate::limits::{Limits, Timeouts};
use crate::question::Questions;
use ehlo_codec::{Domain, PathFault};
use std::net::IpAddr;

/// What to do with a message that has a CR or LF outside of a CRLF.
///
/// Such a message never ends early: only CRLF `.` CRLF ends it. But programs further on may see other lines in it than this one
/// does, and other message ends; that is how messages are smuggled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BareLineEnds {
    /// Refuse it with 550 5.6.0 once its true end was read (RFC 5321 §2.3.8).
    #[default]
    Reject,
    /// Take it as it came. For an application that is known to treat them as what they are: not line ends.
    Keep,
}

/// Whether a session that began in clear can go on inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsMode {
    /// STARTTLS is neither offered nor known: 502.
    #[default]
    Off,
    /// STARTTLS is offered outside of TLS (RFC 3207).
    StartTls,
    /// As [`StartTls`](Self::StartTls), and before it nothing but NOOP, EHLO, STARTTLS and QUIT is obeyed: 530 5.7.0 (RFC 3207 §4).
    /// Not for a server that is named in a domain's MX records: it must take mail without TLS (same section).
    Required,
}

impl TlsMode {
    /// Whether STARTTLS is known.
    #[must_use]
    pub const fn has_starttls(self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// The settings of a [`Session`](crate::Session), shared by any number of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    pub(crate) hostname: String,
    /// Bounds of each session.
    pub limits: Limits,
    /// Patience of each session.
    pub timeouts: Timeouts,
    /// Which decisions are asked for; the others are taken by the session, in the peer's favour.
    pub questions: Questions,
    /// What becomes of bare CR and LF in a message.
    pub bare_line_ends: BareLineEnds,
    /// Whether PIPELINING is offered (RFC 2920). Batches are read whether or not.
    pub pipelining: bool,
    /// Whether 8BITMIME is offered (RFC 6152). Octets above 127 are taken whether or not.
    pub eight_bit_mime: bool,
    /// Whether ENHANCEDSTATUSCODES is offered, and replies carry them (RFC 2034).
    pub enhanced_status_codes: bool,
    /// Whether STARTTLS is offered, or required. The driver must be able to do the handshake.
    pub tls: TlsMode,
}

impl Config {
    /// Defaults for a server of that name: a domain, or an address literal in brackets (RFC 5321 §4.2, `Greeting`).
    ///
    /// # Errors
    ///
    /// [`PathFault`] if it is neither.
    pub fn new(hostname: &str) -> Result<Self, PathFault> {
        Domain::parse(hostname)?;
        Ok(Self {
            hostname: hostname.to_owned(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            questions: Questions::NONE,
            bare_line_ends: BareLineEnds::default(),
            pipelining: true,
            eight_bit_mime: true,
            enhanced_status_codes: true,
            tls: TlsMode::Off,
        })
    }

    /// The server's name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// A number that no other session of the same driver has: tokens carry it, so that an answer cannot reach the wrong session.
    pub id: u64,
    /// The address that the connection came from.
    pub address: Option<IpAddr>,
    /// Whether the connection begins with a TLS handshake (implicit TLS, RFC 8314 §3.3), behind which the greeting comes.
    pub implicit_tls: bool,
}

impl Peer {
    /// A peer whose address is not known.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, address: None, implicit_tls: false }
    }

    /// With the address that the connection came from.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// On a connection that begins with a TLS handshake.
    #[must_use]
    pub const fn with_implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }
}
