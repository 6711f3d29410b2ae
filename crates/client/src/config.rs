//! What a client session is told before it begins.

use crate::timeouts::Timeouts;
use ehlo_codec::{ClientId, Domain, DomainBuf, PathFault, ReplyLimits};

/// Whether a session asks for TLS by STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartTls {
    /// Never: the connection stays in clear, or is inside TLS already. The default.
    #[default]
    Off,
    /// Where the server offers it. Where it does not, or refuses it, the session goes on in clear; whoever can change what goes over
    /// the wire can bring that about (RFC 3207 §6). A handshake that fails ends the session.
    Opportunistic,
    /// Always: a session that cannot have it ends before AUTH and MAIL.
    Required,
}

/// The settings of a [`Session`](crate::Session), shared by any number of them.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) name: DomainBuf,
    pub(crate) lmtp: bool,
    pub(crate) pipelining: bool,
    pub(crate) chunking: bool,
    pub(crate) starttls: StartTls,
    pub(crate) fuse: u64,
    pub(crate) ahead: usize,
    pub(crate) timeouts: Timeouts,
    pub(crate) reply_limits: ReplyLimits,
    pub(crate) max_recipients: usize,
}

impl Config {
    /// The most recipients of one transaction, unless told otherwise: what RFC 5321 §4.5.3.1.8 wants any server to take is 100;
    /// common servers take 1000.
    pub const DEFAULT_MAX_RECIPIENTS: usize = 1000;

    /// The octets of a message that is sent before the replies to its envelope are there, unless told otherwise. It is about what goes over a path of
    /// 20 Mbit/s while a reply comes back in 100 ms: waiting for the replies would cost every message as much time as a refused one
    /// costs in vain. Mail with attachments that are larger waits.
    pub const DEFAULT_FUSE: u64 = 256 * 1024;

    /// Defaults, with the name that EHLO is to give: a domain, or an address literal in brackets (RFC 5321 §4.1.1.1).
    ///
    /// # Errors
    ///
    /// [`PathFault`] if it is neither.
    pub fn new(name: &str) -> Result<Self, PathFault> {
        Ok(Self {
            name: DomainBuf::from(Domain::parse(name)?),
            lmtp: false,
            pipelining: true,
            chunking: true,
            starttls: StartTls::Off,
            fuse: Self::DEFAULT_FUSE,
            ahead: 1,
            timeouts: Timeouts::default(),
            reply_limits: ReplyLimits::default(),
            max_recipients: Self::DEFAULT_MAX_RECIPIENTS,
        })
    }

    /// The same with another name for EHLO.
    ///
    /// # Errors
    ///
    /// [`PathFault`] if it is neither a domain nor an address literal.
    pub fn with_name(mut self, name: &str) -> Result<Self, PathFault> {
        self.name = DomainBuf::from(Domain::parse(name)?);
        Ok(self)
    }

    /// Whether the server speaks LMTP (RFC 2033): LHLO is said in place of EHLO, and behind a message a reply is awaited for each recipient
    /// that was taken. Off by default.
    #[must_use]
    pub const fn lmtp(mut self, on: bool) -> Self {
        self.lmtp = on;
        self
    }

    /// Whether to batch commands where the server offers PIPELINING. On by default.
    #[must_use]
    pub const fn pipelining(mut self, on: bool) -> Self {
        self.pipelining = on;
        self
    }

    /// Whether to send bodies by BDAT where the server offers CHUNKING (RFC 3030), and not by DATA. On by default; a binary body can go
    /// no other way.
    #[must_use]
    pub const fn chunking(mut self, on: bool) -> Self {
        self.chunking = on;
        self
    }

    /// Whether to ask for TLS by STARTTLS. Off by default.
    #[must_use]
    pub const fn starttls(mut self, starttls: StartTls) -> Self {
        self.starttls = starttls;
        self
    }

    /// Messages up to this size go out in one flight with their envelope, MAIL, RCPT and BDAT, where the server offers PIPELINING and
    /// CHUNKING and the size is known. Larger ones wait for the replies to RCPT.
    #[must_use]
    pub const fn fuse(mut self, octets: u64) -> Self {
        self.fuse = octets;
        self
    }

    /// How many transactions may be open at once, each begun behind the end of the last one's body (RFC 2920 §3.1), where the server offers
    /// PIPELINING. 1 by default: each is over before the next one begins. A session keeps the outcomes of all.
    #[must_use]
    pub const fn ahead(mut self, transactions: usize) -> Self {
        self.ahead = if transactions == 0 { 1 } else { transactions };
        self
    }

    /// Other timeouts.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Other bounds on what is read of a reply.
    #[must_use]
    pub const fn reply_limits(mut self, limits: ReplyLimits) -> Self {
        self.reply_limits = limits;
        self
    }

    /// Another cap on the recipients of one transaction, and so on the memory of a session.
    #[must_use]
    pub const fn max_recipients(mut self, most: usize) -> Self {
        self.max_recipients = most;
        self
    }

    pub(crate) fn client_id(&self) -> ClientId<'_> {
        self.name.as_domain()
    }
}
