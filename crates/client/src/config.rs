//! What a client session is told before it begins.

use ehlo_codec::{ClientId, Domain, DomainBuf, PathFault, ReplyLimits};
use std::time::{Duration, Instant};

/// How long the client waits for the server, at the least, before it gives up. The defaults are those of RFC 5321 §4.5.3.2.
///
/// Each is for a whole reply: a server that sends one byte at a time does not buy itself more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the 220 greeting (§4.5.3.2.1: 5 minutes).
    pub greeting: Duration,
    /// For the reply to EHLO, HELO, LHLO or RSET. The RFC names none; 5 minutes as for the others.
    pub ehlo: Duration,
    /// For the reply to MAIL (§4.5.3.2.2: 5 minutes).
    pub mail: Duration,
    /// For the reply to a RCPT (§4.5.3.2.3: 5 minutes).
    pub rcpt: Duration,
    /// For the 354 to DATA (§4.5.3.2.4: 2 minutes).
    pub data: Duration,
    /// For a block of the body to be taken (§4.5.3.2.5: 3 minutes).
    pub block: Duration,
    /// For the reply to the end of data (§4.5.3.2.6: 10 minutes); under LMTP, for each of them.
    pub end_of_data: Duration,
    /// For the reply to QUIT. The message is delivered by then, so half a minute is patience enough.
    pub quit: Duration,
    /// How long a greeted session may be left without a transaction until it sends QUIT by itself. 4 minutes: servers close after
    /// 5 (§4.5.3.2.7).
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            greeting: minutes(5),
            ehlo: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(30),
            idle: minutes(4),
        }
    }
}

/// The end of a wait. A wait too long for the clock to tell ends in a hundred years.
pub(crate) fn deadline(now: Instant, patience: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now.checked_add(patience).unwrap_or_else(|| now + FAR)
}

/// The settings of a [`Session`](crate::Session), shared by any number of them.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) name: DomainBuf,
    pub(crate) lmtp: bool,
    pub(crate) pipelining: bool,
    pub(crate) timeouts: Timeouts,
    pub(crate) reply_limits: ReplyLimits,
    pub(crate) max_recipients: usize,
}

impl Config {
    /// The most recipients of one transaction, unless told otherwise: what RFC 5321 §4.5.3.1.8 wants any server to take is 100;
    /// common servers take 1000.
    pub const DEFAULT_MAX_RECIPIENTS: usize = 1000;

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
            timeouts: Timeouts::default(),
            reply_limits: ReplyLimits::default(),
            max_recipients: Self::DEFAULT_MAX_RECIPIENTS,
        })
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
