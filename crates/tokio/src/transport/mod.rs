//! The bytes of a connection: a socket, and perhaps TLS on top of it.

mod tcp;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use ehlo_server::TlsInfo;

pub(crate) use self::tcp::Tcp;
pub(crate) use self::tls::HandshakeError;
use self::tls::Layer;
use crate::tls::Loaded;

/// What is seen of a peer from whom nothing is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It has closed its side, and everything that it sent was read.
    Finished,
    /// The connection is broken.
    Gone,
    /// What came is no TLS, or was changed on its way.
    Broken,
}

/// A connection, in clear or inside TLS. In clear it costs one test more than the socket alone.
#[derive(Debug)]
pub(crate) struct Transport {
    tcp: Tcp,
    tls: Option<Box<Layer>>,
}

impl Transport {
    pub(crate) fn new(tcp: Tcp) -> Self {
        Self { tcp, tls: None }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.tcp.peer()
    }

    /// Octets of input that TLS holds.
    pub(crate) fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.held())
    }

    /// Begins TLS, as its server. Everything that is read or written from now on is part of it.
    pub(crate) fn start_tls(&mut self, loaded: Arc<Loaded>) -> Result<(), HandshakeError> {
        debug_assert!(self.tls.is_none(), "there is one TLS on a connection");
        self.tls = Some(Box::new(Layer::new(loaded)?));
        Ok(())
    }

    /// Goes on with the handshake.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<TlsInfo, HandshakeError>> {
        match &mut self.tls {
            Some(tls) => tls.poll_handshake(&mut self.tcp, cx),
            None => Poll::Ready(Err(HandshakeError::NotBegun)),
        }
    }

    /// Reads into the buffer; 0 is the peer's end. An error of the kind `InvalidData` is one of TLS.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => self.tcp.poll_read(cx, buffer),
            Some(tls) => tls.poll_read(&mut self.tcp, cx, buffer),
        }
    }

    /// Writes. Inside TLS it may be pending after a part was taken; then it wants the same bytes first when it is called again, and
    /// more may stand behind them.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => self.tcp.poll_write(cx, bytes),
            Some(tls) => tls.poll_write(&mut self.tcp, cx, bytes),
        }
    }

    /// Watches the peer of a connection that isn't read from. Its end counts only when `drained`: when the connection has no bytes that
    /// were read and are still to be looked at.
    pub(crate) fn poll_peer(&mut self, cx: &mut Context<'_>, drained: bool) -> Poll<Peer> {
        match &mut self.tls {
            None => self.tcp.poll_peer(cx, drained),
            Some(tls) => tls.poll_peer(&mut self.tcp, cx, drained),
        }
    }

    /// Reads what nobody looks at any more: the octets of the socket, whatever they mean.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.tcp.poll_read(cx, buffer)
    }

    /// Says inside TLS that nothing more will come, so that the peer can tell this end from one that somebody else has made
    /// (RFC 8446 §6.1).
    pub(crate) fn say_goodbye(&mut self, cx: &mut Context<'_>) {
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye(&mut self.tcp, cx);
        }
    }

    /// Has the connection reset when it is dropped.
    pub(crate) fn reset(&mut self) {
        self.tcp.reset();
    }

    /// Closes our side behind what was written.
    pub(crate) fn close(&mut self) {
        self.tcp.close();
    }
}
