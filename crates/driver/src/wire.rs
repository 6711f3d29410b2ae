//! What a driver is made of: something that moves bytes, and something that has a body.

use std::future::{Future, ready};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::link::Link;

/// Moves bytes between a [`Link`] and a socket.
///
/// A driver that waits in futures is one, and one that blocks its thread as well: its future is ready when it is polled first, so that
/// [`block_on`] drives everything that is built on it.
pub trait Wire {
    /// The time.
    fn now(&self) -> Instant;

    /// Waits until something was read or written, or the link's deadline has passed, and tells the link. Reads whether or not there is something to
    /// be written: a server may stop reading until its replies are read (RFC 2920 §3.1).
    ///
    /// Once the session is [over](ehlo_client::Session::wants_input) nothing is waited for: what the link still has to say is written if the socket
    /// takes it.
    fn exchange(&mut self, link: &mut Link) -> impl Future<Output = ()> + Send;
}

/// A message's text, piece by piece.
pub trait Body {
    /// Its octets, if they are known: as they are, with their line ends.
    fn size(&self) -> Option<u64>;

    /// Whether it was looked through as a whole by [`prepare`](crate::prepare), so that it need not be while it is sent.
    fn is_prepared(&self) -> bool {
        false
    }

    /// The next octets, which are given again until they are [consumed](Self::consume); none at its end.
    fn fill(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send;

    /// That many of them were taken.
    fn consume(&mut self, n: usize);

    /// Goes back to its beginning, before each transaction; false if it was read and can't.
    fn rewind(&mut self) -> impl Future<Output = io::Result<bool>> + Send;
}

/// A message in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
    prepared: bool,
}

impl<'a> Bytes<'a> {
    /// That message.
    #[must_use]
    pub const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0, prepared: false }
    }

    /// That message, which [`prepare`](crate::prepare) has looked through; its envelope is the one that came out.
    #[must_use]
    pub const fn prepared(all: &'a [u8]) -> Self {
        Self { all, at: 0, prepared: true }
    }
}

impl Body for Bytes<'_> {
    fn size(&self) -> Option<u64> {
        Some(self.all.len() as u64)
    }

    fn is_prepared(&self) -> bool {
        self.prepared
    }

    fn fill(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        ready(Ok(&self.all[self.at..]))
    }

    fn consume(&mut self, n: usize) {
        self.at += n.min(self.all.len() - self.at);
    }

    fn rewind(&mut self) -> impl Future<Output = io::Result<bool>> + Send {
        self.at = 0;
        ready(Ok(true))
    }
}

/// Runs a future that is never pending, since what it waits for blocks.
///
/// # Panics
///
/// If it is pending: then something in it waits in another way.
pub fn block_on<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a blocking driver is never pending"),
    }
}
