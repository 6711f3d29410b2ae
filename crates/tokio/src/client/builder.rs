//! What is not as usual.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ehlo_client::codec::PathFault;
use ehlo_client::{Config, LineEndings, Session, StartTls, Timeouts};
use ehlo_driver::{Conversation, Link, Login, Observer, SendError, Trust, Wire as _};
use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs};

use super::wire::Tokio;
use super::{CONNECT_TIMEOUT, Client, Socket, address_literal};

/// Whether a connection is inside TLS.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Tls {
    /// It is in clear. The default.
    #[default]
    Off,
    /// It is, by STARTTLS, where the server offers that; elsewhere it stays in clear.
    Opportunistic(Trust),
    /// It is, by STARTTLS; a server that does not offer it gets nothing.
    Required(Trust),
    /// It is from its first byte on (RFC 8314), as on port 465.
    Implicit(Trust),
}

/// Says how a [`Client`] connects and sends.
#[must_use]
pub struct Builder {
    config: Option<Arc<Config>>,
    name: Option<String>,
    tls: Tls,
    login: Option<Login>,
    observer: Option<Observer>,
    endings: LineEndings,
    connect_timeout: Duration,
    source: Option<IpAddr>,
    change: Vec<Change>,
}

type Change = Box<dyn FnOnce(Config) -> Config + Send>;

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("tls", &self.tls).field("login", &self.login).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new() -> Self {
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

    fn change(mut self, change: impl FnOnce(Config) -> Config + Send + 'static) -> Self {
        self.change.push(Box::new(change));
        self
    }

    /// With the whole configuration of the session. What is said besides changes it.
    pub fn config(mut self, config: Arc<Config>) -> Self {
        self.config = Some(config);
        self
    }

    /// With that name for EHLO: a domain, or an address literal in brackets. Without, the address of this end is said (RFC 5321 §4.1.4).
    pub fn hello(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Inside TLS, or not.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Logs in.
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// Tells what goes over the connection.
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What is done with a CR or LF that stands alone.
    pub const fn line_endings(mut self, endings: LineEndings) -> Self {
        self.endings = endings;
        self
    }

    /// How long making the connection may take: the look-up of a name, and trying all of its addresses. [`CONNECT_TIMEOUT`] by default.
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// From that address of this host. Addresses of the server of the other family are not tried.
    pub const fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// With other timeouts than those of RFC 5321 §4.5.3.2.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
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

    /// Connects to `host:port`. TLS verifies the server by the host's name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection, no greeting, no TLS where it is required, or no log-in.
    pub async fn connect(self, target: &str) -> Result<Client, SendError> {
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        self.connect_address(target, &host).await
    }

    /// Connects to an address, of a server that TLS verifies by that name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection, no greeting, no TLS where it is required, or no log-in.
    pub async fn connect_address(self, address: impl ToSocketAddrs, name: &str) -> Result<Client, SendError> {
        let connect = connect(self.source, address);
        let stream = match tokio::time::timeout(self.connect_timeout, connect).await {
            Ok(result) => result.map_err(SendError::Connect)?,
            Err(_) => {
                let text = format!("no answer within {:?}", self.connect_timeout);
                return Err(SendError::Connect(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
        };
        self.over(stream, name).await
    }

    /// Begins a session over a connection that has just been made, to a server that TLS verifies by that name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no greeting, no TLS where it is required, or no log-in.
    pub fn over(self, stream: impl Into<Socket>, name: &str) -> impl Future<Output = Result<Client, SendError>> + Send {
        let (socket, name) = (stream.into(), name.to_owned());
        self.begin(socket, name)
    }

    async fn begin(self, socket: Socket, host: String) -> Result<Client, SendError> {
        socket.set_nodelay();
        let invalid = |fault: PathFault| SendError::Connect(io::Error::new(io::ErrorKind::InvalidInput, fault));
        let mut config = match (&self.config, &self.name) {
            (Some(config), None) => Config::clone(config),
            // What it was is changed to that name.
            (Some(config), Some(name)) => Config::clone(config).with_name(name).map_err(invalid)?,
            (None, Some(name)) => Config::new(name).map_err(invalid)?,
            (None, None) => Config::new(&socket.name().map_err(SendError::Connect)?).map_err(invalid)?,
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
        if let Some(starttls) = starttls {
            config = config.starttls(starttls);
        }
        let wire = Tokio::new(socket);
        let session = Session::new(wire.now(), Arc::new(config));
        let link = Link::new(session, &host, trust, implicit, self.observer).map_err(SendError::Tls)?;
        let mut client = Client { conversation: Conversation::begin(link, wire).await?, endings: self.endings };
        if let Some(login) = &self.login {
            client.login(login).await?;
        }
        Ok(client)
    }
}

async fn connect(source: Option<IpAddr>, address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address).await };
    let mut last = None;
    for address in tokio::net::lookup_host(address).await?.filter(|address| address.is_ipv4() == source.is_ipv4()) {
        let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(source, 0))?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the family of the source")))
}

impl Socket {
    /// The name for EHLO of this end: its address, or for a socket in the file system the host that everyone is on.
    fn name(&self) -> io::Result<String> {
        match self {
            Self::Tcp(stream) => stream.local_addr().map(|address| address_literal(address.ip())),
            #[cfg(unix)]
            Self::Unix(_) => Ok("localhost".to_owned()),
        }
    }
}
