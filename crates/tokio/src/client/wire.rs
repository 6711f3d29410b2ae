//! Bytes between a link and a socket, in the time of tokio.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use ehlo_driver::{Link, Wire};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::socket::Socket;

/// Octets that are read at a time: a session's replies, and TLS records that carry them.
const READ: usize = 4 * 1024;

/// A socket, and the memory that is read into.
pub(super) struct Tokio {
    pub(super) socket: Socket,
    input: Box<[u8; READ]>,
    /// The server takes no more bytes: what it said last is read, to the end of the connection or the session's deadline.
    broken: bool,
}

/// Without what was read.
impl fmt::Debug for Tokio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokio").field("socket", &self.socket).finish_non_exhaustive()
    }
}

enum Happened {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    TimedOut,
}

impl Tokio {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, input: Box::new([0; READ]), broken: false }
    }

    /// Takes some of what has come already, without waiting.
    pub(super) fn look(&mut self, link: &mut Link) {
        let now = self.now();
        let mut buffer = ReadBuf::new(&mut *self.input);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(read) = Pin::new(&mut self.socket).poll_read(&mut cx, &mut buffer) {
            match read {
                Ok(()) => link.receive(now, buffer.filled()),
                Err(_) => link.end(),
            }
        }
    }
}

impl Wire for Tokio {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn exchange(&mut self, link: &mut Link) {
        let now = self.now();
        let deadline = link.deadline().map(|(at, _)| at);
        let closed = !link.session().wants_input();
        let parts = link.output(now);
        if closed {
            // A last word may wait; whether it arrives makes no difference.
            poll_fn(|cx| {
                let _ = write(&mut self.socket, cx, parts);
                Poll::Ready(())
            })
            .await;
            return;
        }
        let speaks = !self.broken && parts.iter().any(|part| !part.is_empty());
        let Self { socket, input, .. } = self;
        let mut sleep = pin!(sleep_until(deadline));
        let mut buffer = ReadBuf::new(&mut **input);
        let happened = poll_fn(|cx| {
            // What is to be said is said first: nothing can have come in answer to it.
            if speaks && let Poll::Ready(written) = write(socket, cx, parts) {
                return Poll::Ready(Happened::Written(written));
            }
            if let Poll::Ready(read) = Pin::new(&mut *socket).poll_read(cx, &mut buffer) {
                return Poll::Ready(Happened::Read(read.map(|()| buffer.filled().len())));
            }
            sleep.as_mut().poll(cx).map(|()| Happened::TimedOut)
        })
        .await;
        let now = self.now();
        match happened {
            Happened::Read(Ok(length)) => link.receive(now, &self.input[..length]),
            Happened::Read(Err(_)) => link.end(),
            Happened::Written(Ok(length)) if length > 0 => link.sent(now, length),
            // A reply that explains it may have come before, and the end has come or is about to. It is waited for: the runtime may know already
            // that nothing can be written, and not yet that there is something to read.
            Happened::Written(_) => self.broken = true,
            Happened::TimedOut => link.timeout(now),
        }
    }
}

fn write(socket: &mut Socket, cx: &mut std::task::Context<'_>, parts: [&[u8]; 2]) -> Poll<io::Result<usize>> {
    match parts {
        [one, []] | [[], one] => Pin::new(socket).poll_write(cx, one),
        [one, other] => Pin::new(socket).poll_write_vectored(cx, &[IoSlice::new(one), IoSlice::new(other)]),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
