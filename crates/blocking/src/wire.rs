//! Bytes between a link and a socket, on the thread that waits for them.

use std::fmt;
use std::future::{Future, ready};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use ehlo_driver::{Link, Wire, address_literal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Octets that are read at a time.
const READ: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, parts: [&[u8]; 2]) -> io::Result<usize> {
        let parts = parts.map(IoSlice::new);
        match self {
            Self::Tcp(stream) => stream.write_vectored(&parts),
            Self::Unix(stream) => stream.write_vectored(&parts),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A socket that does not block, and the thread that waits for it.
pub(crate) struct Blocking {
    socket: Socket,
    input: Box<[u8; READ]>,
    /// The server takes no more bytes: what it said last is read, and no more is waited for.
    broken: bool,
}

/// Without what was read.
impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Blocking {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        match &socket {
            Socket::Tcp(stream) => stream.set_nonblocking(true)?,
            Socket::Unix(stream) => stream.set_nonblocking(true)?,
        }
        Ok(Self { socket, input: Box::new([0; READ]), broken: false })
    }

    /// The name for EHLO of this end.
    pub(crate) fn name(&self) -> io::Result<String> {
        match &self.socket {
            Socket::Tcp(stream) => stream.local_addr().map(|address| address_literal(address.ip())),
            Socket::Unix(_) => Ok("localhost".to_owned()),
        }
    }

    /// Reads what is there. False if nothing is.
    fn read(&mut self, link: &mut Link) -> bool {
        match self.socket.read(&mut *self.input) {
            Ok(length) => link.receive(self.now(), &self.input[..length]),
            Err(error) if is_transient(&error) => return false,
            Err(_) => link.end(),
        }
        true
    }

    fn step(&mut self, link: &mut Link) {
        if self.broken {
            if !self.read(link) {
                link.end();
            }
            return;
        }
        let parts = link.output(self.now());
        let speaks = parts.iter().any(|part| !part.is_empty());
        if speaks {
            match self.socket.write(parts) {
                Ok(length) if length > 0 => return link.sent(self.now(), length),
                Err(error) if is_transient(&error) => {}
                // A reply that explains it may have come before.
                _ => {
                    self.broken = true;
                    return;
                }
            }
        }
        // Nobody waits for more than that.
        if !link.session().wants_input() || self.read(link) {
            return;
        }
        let now = self.now();
        let left = link.deadline().map(|(at, _)| at.saturating_duration_since(now));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let wanted = if speaks { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let ready = poll(&mut [PollFd::new(&self.socket, wanted)], timeout.as_ref());
        match ready {
            Ok(0) => link.timeout(self.now()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => link.end(),
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Wire for Blocking {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn exchange(&mut self, link: &mut Link) -> impl Future<Output = ()> + Send {
        self.step(link);
        ready(())
    }
}
