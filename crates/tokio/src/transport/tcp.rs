//! The socket of a connection: reading, writing, and seeing that the peer is gone without reading.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::Peer;

/// A TCP connection.
///
/// Reads go through `poll_read`, not `try_read`: after a read that did not fill the buffer, tokio knows on epoll that the socket is
/// empty, and the next read waits at once, without a system call that would only say so.
#[derive(Debug)]
pub(crate) struct Tcp {
    stream: TcpStream,
    peer: SocketAddr,
    /// Nothing was written yet.
    fresh: bool,
    /// There may be bytes in the socket although tokio was told that there are none; see [`poll_peer`](Self::poll_peer).
    hidden: bool,
    /// The peer's end was seen behind bytes that are still in the socket or in the carry.
    finished: bool,
}

impl Tcp {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream, peer, fresh: true, hidden: false, finished: false }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Reads into the buffer; 0 is the peer's end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.hidden {
            // Not through tokio, whose readiness is not to be believed here.
            match (&*SockRef::from(&self.stream)).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.hidden = false,
                result => {
                    self.hidden = matches!(result, Ok(n) if n == buffer.len());
                    return Poll::Ready(result);
                }
            }
        }
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.fresh) {
            // A new socket takes the greeting. To be told so by epoll first would be one wake-up more for each connection.
            match (&*SockRef::from(&self.stream)).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    /// Writes several pieces at once.
    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fresh = false;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    /// Watches the peer of a connection that isn't read from. Its end counts only when `drained`: when the connection has no bytes that
    /// were read and are still to be looked at.
    ///
    /// tokio tells of an event once, and a socket with unread bytes stays "ready to read", so that there would be nothing to wait for.
    /// The readiness is therefore cleared, as if a read had found nothing; the next event, be it more bytes, the end or a reset, wakes
    /// the task. [`poll_read`](Self::poll_read) makes up for it by reading without asking tokio first.
    pub(super) fn poll_peer(&mut self, cx: &mut Context<'_>, drained: bool) -> Poll<Peer> {
        if self.finished {
            // The end stands behind unread bytes. It is sticky in tokio's readiness, so a reset is no longer told apart from it.
            return if drained && self.is_at_end() { Poll::Ready(Peer::Finished) } else { Poll::Pending };
        }
        loop {
            if ready!(self.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Peer::Gone);
            }
            // It is ready, so this doesn't wait.
            let mut readiness = pin!(self.stream.ready(Interest::READABLE | Interest::WRITABLE));
            match readiness.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(ready)) if ready.is_write_closed() => return Poll::Ready(Peer::Gone),
                Poll::Ready(Ok(ready)) if ready.is_read_closed() => {
                    if drained && self.is_at_end() {
                        return Poll::Ready(Peer::Finished);
                    }
                    self.finished = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Peer::Gone),
                Poll::Pending => {
                    // tokio's budget for this task is used up.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            let _ = self.stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            self.hidden = true;
        }
    }

    /// Whether a read would give the end.
    fn is_at_end(&self) -> bool {
        matches!(SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]), Ok(0))
    }

    /// Has the connection reset when it is dropped: what the peer has not read by then is lost to it.
    pub(super) fn reset(&mut self) {
        // An error means that there is no connection any more.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Closes our side behind what was written.
    pub(super) fn close(&mut self) {
        // An error means that there is nobody to tell.
        let _ = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
    }
}
