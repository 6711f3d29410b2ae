//! What is not as usual.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use ehlo_driver::{Conversation, Options, SendError, Wire as _, block_on, host_of};
use socket2::{Domain, Protocol, Type};

use crate::Client;
use crate::wire::{Blocking, Socket};

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
    pub fn connect(self, target: &str) -> Result<Client, SendError> {
        self.connect_address(target, host_of(target))
    }

    /// Connects to an address, of a server that TLS verifies by that name. The addresses of a name are tried one after the other.
    /// Its look-up is the system's and can't be cut short, but its time counts.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection, no greeting, no TLS where it is required, or no log-in.
    pub fn connect_address(self, address: impl ToSocketAddrs, name: &str) -> Result<Client, SendError> {
        let stream = self.dial(address).map_err(SendError::Connect)?;
        self.over(stream, name)
    }

    /// Connects to a socket in the file system, as delivery agents of the same host have it for LMTP.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no connection or no greeting.
    pub fn connect_unix(self, path: impl AsRef<Path>) -> Result<Client, SendError> {
        let stream = UnixStream::connect(path).map_err(SendError::Connect)?;
        self.begin(Socket::Unix(stream), "localhost")
    }

    /// Begins a session over a connection that has just been made, to a server that TLS verifies by that name.
    ///
    /// # Errors
    ///
    /// [`SendError`] if there is no greeting, no TLS where it is required, or no log-in.
    pub fn over(self, stream: TcpStream, name: &str) -> Result<Client, SendError> {
        // An error shows at the next use.
        let _ = stream.set_nodelay(true);
        self.begin(Socket::Tcp(stream), name)
    }

    fn begin(self, socket: Socket, host: &str) -> Result<Client, SendError> {
        let wire = Blocking::new(socket).map_err(SendError::Connect)?;
        let endings = self.options.endings;
        let (link, login) = self.options.link(wire.now(), host, || wire.name())?;
        let mut client = Client { conversation: block_on(Conversation::begin(link, wire))?, endings };
        if let Some(login) = &login {
            client.login(login)?;
        }
        Ok(client)
    }

    fn dial(&self, address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let end = Instant::now() + self.options.connect_timeout;
        let mut last = None;
        for address in address.to_socket_addrs()? {
            if self.options.source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
                continue;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            if let Some(source) = self.options.source {
                socket.bind(&SocketAddr::new(source, 0).into())?;
            }
            match socket.connect_timeout(&address.into(), left) {
                Ok(()) => return Ok(socket.into()),
                Err(error) => last = Some(error),
            }
        }
        let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "no address to connect to, or no time left");
        Err(last.unwrap_or_else(none))
    }
}
