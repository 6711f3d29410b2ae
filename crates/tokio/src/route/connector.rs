//! Making connections.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

/// Makes a connection to an address. [`Tcp`] is the ordinary one; another one may go through a proxy, or be a test's.
pub trait Connector: Send + Sync {
    /// A connection.
    type Stream: Send;

    /// Connects. The caller sets a deadline, and drops the future of a connection that is not wanted any more.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Connects by TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcp {
    /// The address to connect to IPv4 addresses from. Default: the one that the system chooses by its routes.
    pub ipv4: Option<Ipv4Addr>,
    /// The address to connect to IPv6 addresses from. Default: as well.
    pub ipv6: Option<Ipv6Addr>,
}

impl Tcp {
    fn source(&self, to: SocketAddr) -> Option<SocketAddr> {
        match to {
            SocketAddr::V4(_) => self.ipv4.map(|ip| SocketAddr::new(ip.into(), 0)),
            SocketAddr::V6(_) => self.ipv6.map(|ip| SocketAddr::new(ip.into(), 0)),
        }
    }
}

impl Connector for Tcp {
    type Stream = TcpStream;

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source(to) {
            socket.bind(source).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot connect from {}: {error}", source.ip()))
            })?;
        }
        socket.connect(to).await
    }
}
