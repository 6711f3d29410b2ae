//! Forwarding to a server that speaks LMTP.

mod forward;
mod sink;
mod verdict;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ehlo_client::Config;
use ehlo_client::codec::PathFault;
use tokio::sync::Semaphore;

use self::forward::Forward;
pub use self::sink::LmtpSink;
use super::Store;
use super::names::Names;
use crate::client::CONNECT_TIMEOUT;

/// Connections to the LMTP server at the same time, unless told otherwise.
const CONNECTIONS: usize = 100;

/// Where an LMTP server listens. As text, `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LmtpAddress {
    /// A host and a port. A name is looked up for each connection.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for LmtpAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "the address of an LMTP server is HOST:PORT or unix:PATH";
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(WANTED) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
        match port.parse::<u16>() {
            // RFC 2033 §5.
            Ok(25) => Err("LMTP must not be spoken on port 25 (RFC 2033 §5)"),
            Ok(port) if port > 0 && !host.is_empty() => Ok(Self::Tcp(text.to_owned())),
            _ => Err(WANTED),
        }
    }
}

impl fmt::Display for LmtpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Hands every message to an LMTP server (RFC 2033), and acknowledges it when that server has taken it: this one keeps nothing, and has no
/// queue.
///
/// A message gets a `Received` field and is otherwise sent as it came. It is streamed: what is kept of it is 128 KiB at the most. A connection is
/// made for each message, when it is whole or 64 KiB of it have come, so that a slow client with a small message occupies none.
///
/// # What a client is told
///
/// Where this server speaks LMTP itself, each recipient gets the answer that the LMTP server gave for it.
///
/// SMTP has one reply for all recipients of a message, so **the worst answer counts**. Were it 250 although one recipient did not get the message, then
/// this server would have to send that report itself (RFC 5321 §6.1), and it can't.
///
/// - If the LMTP server refuses a recipient *before* the message, nobody gets it, since nothing was sent yet. A refusal for good makes it a
///   refusal for good, for the same message to the same recipients can never succeed; otherwise it is one for now, and the client's next
///   attempt doubles nothing.
/// - If it refuses a recipient *behind* the message, others have it already. The refusal is passed on in the same way, with a text that tells how
///   many have it. After a 4yz the client sends it again, to those others, too: they get it twice, which is better than never.
///
/// A server that lets a client name one recipient for each message ([`Limits::recipients`](ehlo_server::Limits::recipients) of 1) has exact
/// answers for each, at the price of as many messages; RFC 5321 §4.5.3.1.8 wants servers to take 100.
///
/// When the LMTP server can't be reached, breaks off or misbehaves, the answer is 451. If it broke off behind the end of the message, nobody can tell
/// whether it has it, and the client's next attempt may double it (RFC 1047).
///
/// # What it can't carry
///
/// Parameters of DSN are not passed on, nor those of other extensions but SIZE, BODY and SMTPUTF8: don't offer them (they are switches of
/// [`Config`](ehlo_server::Config)). A message with REQUIRETLS is refused, since this hop has no TLS; so is one in BINARYMIME.
#[derive(Clone, Debug)]
pub struct Lmtp {
    shared: Arc<Shared>,
}

/// What all sinks share.
#[derive(Debug)]
struct Shared {
    address: LmtpAddress,
    connect_timeout: Duration,
    config: Arc<Config>,
    connections: Arc<Semaphore>,
    names: Names,
}

impl Lmtp {
    /// Forwards to that server, over up to 100 connections at the same time. `name` is what this one calls itself in LHLO.
    ///
    /// # Errors
    ///
    /// [`PathFault`] if the name is no domain and no address literal.
    pub fn new(address: LmtpAddress, name: &str) -> Result<Self, PathFault> {
        Ok(Self::with(address, Config::new(name)?, CONNECTIONS))
    }

    /// Forwards to that server over so many connections at the same time, with these settings of the client. Messages for which
    /// there is no connection wait.
    #[must_use]
    pub fn with(address: LmtpAddress, config: Config, connections: usize) -> Self {
        // How many recipients there may be is this server's limit, and not the client's; and how long a message is, a client's SIZE does not
        // say well enough for BDAT.
        let config = Arc::new(config.lmtp(true).chunking(false).max_recipients(usize::MAX));
        let connections = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        let shared = Shared { address, connect_timeout: CONNECT_TIMEOUT, config, connections, names: Names::new() };
        Self { shared: Arc::new(shared) }
    }
}

impl Store for Lmtp {
    type Sink = LmtpSink;

    fn sink(&self) -> LmtpSink {
        LmtpSink::new(Arc::clone(&self.shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_a_host_with_a_port_or_a_path() {
        for good in ["127.0.0.1:24", "[::1]:2424", "mail.example:24", "unix:/run/lmtp", "unix:relative"] {
            assert_eq!(good.parse::<LmtpAddress>().map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for wrong in [
            "",
            "mail.example",
            ":24",
            "mail.example:",
            "mail.example:0",
            "mail.example:99999",
            "unix:",
            "mail.example:25",
        ] {
            assert!(wrong.parse::<LmtpAddress>().is_err(), "{wrong}");
        }
    }
}
