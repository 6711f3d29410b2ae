//! What a client is told before it connects.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ehlo_client::codec::PathFault;
use ehlo_client::{Config, LineEndings, Session, StartTls};

use crate::error::SendError;
use crate::link::{Link, Observer};
use crate::login::Login;
use crate::tls::{Trust, server_name};

/// How long making a connection may take, unless told otherwise. RFC 5321 §4.5.3.2 sets no time for it; the 5 minutes of its §4.5.3.2.1 are for
/// the greeting, and begin when there is a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a connection is inside TLS.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Tls {
    /// It is in clear. The default.
    #[default]
    Off,
    /// It is, by STARTTLS, where the server offers that; elsewhere it stays in clear. A handshake that fails ends the session, as it does with a
    /// server that can't be verified, unless the [`Trust`] [goes on](crate::TrustBuilder::accept_unverified) with those.
    Opportunistic(Trust),
    /// It is, by STARTTLS; a server that does not offer it gets nothing.
    Required(Trust),
    /// It is from its first byte on (RFC 8314), as on port 465.
    Implicit(Trust),
}

type Change = Box<dyn FnOnce(Config) -> Config + Send>;

/// All that a builder of a driver keeps: what its methods say, which [`builder_methods`](crate::builder_methods) writes.
#[must_use]
pub struct Options {
    /// The session's configuration, if it was given as a whole.
    pub config: Option<Arc<Config>>,
    /// The name for EHLO, if it was given.
    pub name: Option<String>,
    /// Inside TLS or not.
    pub tls: Tls,
    /// Credentials.
    pub login: Option<Login>,
    /// Who watches.
    pub observer: Option<Observer>,
    /// What is done with bare CR and LF.
    pub endings: LineEndings,
    /// How long making the connection may take.
    pub connect_timeout: Duration,
    /// From which address of this host.
    pub source: Option<IpAddr>,
    /// What changes the configuration.
    pub change: Vec<Change>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: None,
            name: None,
            tls: Tls::Off,
            login: None,
            observer: None,
            endings: LineEndings::Refuse,
            connect_timeout: CONNECT_TIMEOUT,
            source: None,
            change: Vec::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("tls", &self.tls).field("login", &self.login).finish_non_exhaustive()
    }
}

impl Options {
    /// The link over a connection that has just been made, with what is left to be done over it: a log-in. The name for EHLO is that of this
    /// end, if none was given.
    ///
    /// # Errors
    ///
    /// [`SendError::Connect`] for a name of this end that is none, [`SendError::Tls`] for a host that no server can be verified by.
    pub fn link(
        self,
        now: Instant,
        host: &str,
        this_end: impl FnOnce() -> io::Result<String>,
    ) -> Result<(Link, Option<Login>), SendError> {
        let invalid = |fault: PathFault| SendError::Connect(io::Error::new(io::ErrorKind::InvalidInput, fault));
        let mut config = match (&self.config, &self.name) {
            (Some(config), None) => Config::clone(config),
            (Some(config), Some(name)) => Config::clone(config).with_name(name).map_err(invalid)?,
            (None, Some(name)) => Config::new(name).map_err(invalid)?,
            (None, None) => Config::new(&this_end().map_err(SendError::Connect)?).map_err(invalid)?,
        };
        for change in self.change {
            config = change(config);
        }
        let (starttls, trust, implicit) = match self.tls {
            Tls::Off => (None, None, false),
            Tls::Opportunistic(trust) => (Some(StartTls::Opportunistic), Some(trust), false),
            Tls::Required(trust) => (Some(StartTls::Required), Some(trust), false),
            Tls::Implicit(trust) => (None, Some(trust), true),
        };
        if trust.is_some() {
            // Known before anything is said, and not behind the server's reply to STARTTLS.
            server_name(host).map_err(SendError::Tls)?;
        }
        if let Some(starttls) = starttls {
            config = config.starttls(starttls);
        }
        let session = Session::new(now, Arc::new(config));
        let link = Link::new(session, host, trust, implicit, self.observer).map_err(SendError::Tls)?;
        Ok((link, self.login))
    }
}

/// The name for EHLO of a client that has no domain name: its address (RFC 5321 §4.1.4).
#[must_use]
pub fn address_literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// The host in `host:port`, `[::1]:25` or `host`.
#[must_use]
pub fn host_of(target: &str) -> &str {
    let host = match target.rsplit_once(':') {
        // Two colons without brackets are an IPv6 address without a port.
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
        _ => target,
    };
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The methods of a driver's builder, whose field `options` is [`Options`].
#[macro_export]
macro_rules! builder_methods {
    () => {
        fn change(
            mut self,
            change: impl FnOnce($crate::ehlo_client::Config) -> $crate::ehlo_client::Config + Send + 'static,
        ) -> Self {
            self.options.change.push(Box::new(change));
            self
        }

        /// With the whole configuration of the session. What is said besides changes it.
        pub fn config(mut self, config: std::sync::Arc<$crate::ehlo_client::Config>) -> Self {
            self.options.config = Some(config);
            self
        }

        /// With that name for EHLO: a domain, or an address literal in brackets. Without, the address of this end is said (RFC 5321
        /// §4.1.4).
        pub fn hello(mut self, name: &str) -> Self {
            self.options.name = Some(name.to_owned());
            self
        }

        /// Inside TLS, or not.
        pub fn tls(mut self, tls: $crate::Tls) -> Self {
            self.options.tls = tls;
            self
        }

        /// Logs in.
        pub fn login(mut self, login: $crate::Login) -> Self {
            self.options.login = Some(login);
            self
        }

        /// Tells what goes over the connection.
        pub fn observer(mut self, observer: $crate::Observer) -> Self {
            self.options.observer = Some(observer);
            self
        }

        /// What is done with a CR or LF that stands alone.
        pub const fn line_endings(mut self, endings: $crate::ehlo_client::LineEndings) -> Self {
            self.options.endings = endings;
            self
        }

        /// How long making the connection may take: the look-up of a name, and trying all of its addresses. By default
        /// [`CONNECT_TIMEOUT`]($crate::CONNECT_TIMEOUT).
        pub const fn connect_timeout(mut self, time: std::time::Duration) -> Self {
            self.options.connect_timeout = time;
            self
        }

        /// From that address of this host. Addresses of the server of the other family are not tried.
        pub const fn source(mut self, source: std::net::IpAddr) -> Self {
            self.options.source = Some(source);
            self
        }

        /// With other timeouts than those of RFC 5321 §4.5.3.2.
        pub fn timeouts(self, timeouts: $crate::ehlo_client::Timeouts) -> Self {
            self.change(move |config| config.timeouts(timeouts))
        }

        /// Waits for each reply before the next command, whatever the server offers.
        pub fn no_pipelining(self) -> Self {
            self.change(|config| config.pipelining(false))
        }

        /// Sends bodies by DATA, whatever the server offers.
        pub fn no_chunking(self) -> Self {
            self.change(|config| config.chunking(false))
        }

        /// Speaks LMTP (RFC 2033).
        pub fn lmtp(self) -> Self {
            self.change(|config| config.lmtp(true))
        }

        /// Messages of [`Client::send_all`] that may be under way at once, where the server offers PIPELINING. 1 by default.
        pub fn ahead(self, messages: usize) -> Self {
            self.change(move |config| config.ahead(messages))
        }
    };
}
