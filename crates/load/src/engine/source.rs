//! Where connections come from: making them, and spreading them over source addresses before ports run out.

use crate::{ErrorKind, Options, RunError, system};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Loopback addresses used as sources: 127.0.0.1 and those that follow.
const LOOPBACK_SOURCES: u64 = 250;

/// Makes connections to one address.
#[derive(Debug)]
pub(super) struct Source {
    target: SocketAddr,
    /// Connections that one source address may serve before it is the next one's turn; `None` if there is one address only.
    ///
    /// It is half of an address's ports, this thread's share of them. A port that was used stays reserved for a minute
    /// (TIME_WAIT), and until the first address has its turn again all others must use up theirs.
    turn: Option<u64>,
    made: u64,
}

impl Source {
    pub(super) fn new(target: SocketAddr, threads: usize) -> Self {
        let turn = can_spread(target).then(|| (usable_ports() / threads as u64).max(1));
        Self { target, turn, made: 0 }
    }

    /// Begins a connection; the socket becomes writable when it is made.
    pub(super) fn connect(&mut self) -> Result<mio::net::TcpStream, (ErrorKind, io::Error)> {
        let unusual = |e: io::Error| (ErrorKind::Io, e);
        // Both set non-blocking and close-on-exec in the same call.
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new_raw(Domain::for_address(self.target), kind, Some(Protocol::TCP)).map_err(unusual)?;
        // Without it a command that follows an unacknowledged one would wait for the peer's delayed acknowledgement.
        socket.set_tcp_nodelay(true).map_err(unusual)?;
        // The first turn is the system's own choice of address and port.
        if let Some(turn) = self.turn.map(|turn| self.made / turn % LOOPBACK_SOURCES).filter(|turn| *turn > 0) {
            let address = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + u32::try_from(turn).unwrap_or(0));
            socket.bind(&SocketAddr::from((address, 0)).into()).map_err(|e| (classify(&e), e))?;
        }
        self.made += 1;
        match socket.connect(&self.target.into()) {
            Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err((classify(&e), e)),
            _ => Ok(mio::net::TcpStream::from_std(socket.into())),
        }
    }
}

/// What a failed connect is counted as.
pub(super) fn classify(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorKind::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => ErrorKind::NoLocalPort,
        io::ErrorKind::ConnectionReset => ErrorKind::Reset,
        _ => ErrorKind::ConnectFailed,
    }
}

/// Half of the ports: the rest is left to others, and to those that are still reserved.
fn usable_ports() -> u64 {
    let (first, last) = system::local_ports();
    u64::from(last.saturating_sub(first)) / 2
}

fn can_spread(target: SocketAddr) -> bool {
    matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback())
}

/// Whether there are ports enough for all connections at once.
pub(super) fn check_ports(options: &Options, target: SocketAddr) -> Result<(), RunError> {
    let (first, last) = system::local_ports();
    let of_one = u64::from(last.saturating_sub(first)) + 1;
    let ports = if can_spread(target) { usable_ports() * LOOPBACK_SOURCES } else { of_one };
    let needed = options.connections as u64;
    if needed <= ports {
        return Ok(());
    }
    Err(RunError::Limit {
        what: "the number of local ports for connections to one address (net.ipv4.ip_local_port_range)",
        value: ports,
        needed,
        remedy: format!(
            "widen it (sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"), or use at most {ports} connections"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_change_when_one_has_served_its_share() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut source = Source::new(listener.local_addr().unwrap(), 1);
        source.turn = Some(2);
        let peers: Vec<_> = (0..6)
            .map(|_| {
                let stream = source.connect().unwrap();
                let (_, peer) = listener.accept().unwrap();
                drop(stream);
                peer.ip()
            })
            .collect();
        let expected = [1, 1, 2, 2, 3, 3].map(|n| IpAddr::from([127, 0, 0, n]));
        assert_eq!(peers, expected);
    }

    #[test]
    fn a_target_elsewhere_is_reached_from_the_address_that_the_system_chooses() {
        let target = SocketAddr::from(([192, 0, 2, 1], 25));
        assert!(Source::new(target, 1).turn.is_none());
        let messages = crate::MessageSet::new(vec![crate::Message {
            wire: b"\r\n.\r\n".as_slice().into(),
            decoded: b"\r\n".as_slice().into(),
            eight_bit: false,
        }]);
        let mut options = Options::new(target.into(), messages.unwrap().into());
        options.connections = 70_000;
        let error = check_ports(&options, target).unwrap_err().to_string();
        assert!(error.contains("ip_local_port_range"), "{error}");
        assert!(check_ports(&options, SocketAddr::from(([127, 0, 0, 1], 25))).is_ok());
    }
}
