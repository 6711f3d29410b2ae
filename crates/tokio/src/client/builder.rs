//! What is not as usual.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use ehlo_driver::{Conversation, Options, SendError, Wire as _, address_literal, host_of};
use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs};

use super::wire::Tokio;
use super::{Client, Socket};

/// Says how a [`Client`] connects and sends.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    options: Options,
}

impl Builder {
    ehlo_driver::builder_methods!();

    /// Connects to `host:port`. TLS verifies the server by the host's name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection, no greeting, no TLS where it is required, or no log-in.
    pub async fn connect(self, target: &str) -> Result<Client, SendError> {
        self.connect_address(target, host_of(target)).await
    }

    /// Connects to an address, of a server that TLS verifies by that name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection, no greeting, no TLS where it is required, or no log-in.
    pub async fn connect_address(self, address: impl ToSocketAddrs, name: &str) -> Result<Client, SendError> {
        let connect = connect(self.options.source, address);
        let stream = match tokio::time::timeout(self.options.connect_timeout, connect).await {
            Ok(result) => result.map_err(SendError::Connect)?,
            Err(_) => {
                let text = format!("no answer within {:?}", self.options.connect_timeout);
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
        let wire = Tokio::new(socket);
        let endings = self.options.endings;
        let (link, login) = self.options.link(wire.now(), &host, || wire.socket.name())?;
        let mut client = Client { conversation: Conversation::begin(link, wire).await?, endings };
        if let Some(login) = &login {
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
    Err(last
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the family of the source")))
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
