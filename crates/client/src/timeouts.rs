//! How long a client waits.

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
    /// For the reply to STARTTLS, and for the handshake behind it. The RFC names none; 2 minutes.
    pub tls: Duration,
    /// For each reply within AUTH: what RFC 4954 does not name; 5 minutes, as for other commands. For an answer of the driver's, too.
    pub auth: Duration,
    /// For the reply to MAIL (§4.5.3.2.2: 5 minutes).
    pub mail: Duration,
    /// For the reply to a RCPT (§4.5.3.2.3: 5 minutes).
    pub rcpt: Duration,
    /// For the 354 to DATA (§4.5.3.2.4: 2 minutes).
    pub data: Duration,
    /// For a block of the body to be taken (§4.5.3.2.5: 3 minutes).
    pub block: Duration,
    /// For the reply to the end of data or to a chunk (§4.5.3.2.6: 10 minutes); under LMTP, for each of them.
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
            tls: minutes(2),
            auth: minutes(5),
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
