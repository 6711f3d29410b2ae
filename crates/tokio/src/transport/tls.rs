//! TLS on a socket, by rustls.
//!
//! Records are read into a buffer that all connections of a thread share, decrypted by rustls, and copied to where the driver wants the
//! plaintext. A connection keeps a part of a record that has not come whole (up to 16 KiB), plaintext for which the driver's buffer had
//! no room (up to a record), and, if there is more behind that, records of one read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ehlo_server::{ChannelBinding, ClientCertificate, TlsInfo};
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::{Peer, Tcp};
use crate::tls::{Loaded, subject};

/// Octets that one read from the socket takes while nothing is wanted from it but its end, and in a handshake. It is what rustls takes
/// at a time, too.
const SMALL_READ: usize = 4096;

/// Reads of one poll at the most while the plaintext of none of them is wanted yet.
const READS_PER_POLL: usize = 16;

thread_local! {
    /// What all connections of this thread read records into, one after the other.
    static RECORDS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Why there is no TLS.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// What came is no handshake, or none that both can do.
    Tls(rustls::Error),
    /// The peer has closed the connection.
    Finished,
    /// The connection is broken.
    Gone,
    /// Nobody has begun it.
    NotBegun,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Finished => f.write_str("the peer closed the connection"),
            Self::Gone => f.write_str("the connection is broken"),
            Self::NotBegun => f.write_str("the handshake was not begun"),
        }
    }
}

pub(super) struct Layer {
    rustls: ServerConnection,
    loaded: Arc<Loaded>,
    /// Records that were read and that rustls has had no room for, from an index on.
    unread: Vec<u8>,
    start: usize,
    /// Octets of plaintext that rustls holds.
    plaintext: usize,
    /// Octets that were taken for writing, and of whose records some may be unwritten.
    taken: usize,
    /// Nothing will come any more: the peer has said so, or closed the connection.
    ended: bool,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("plaintext", &self.plaintext).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Calls with the thread's buffer, that long. It is taken out, not borrowed, so that nothing can be called that borrows it again.
fn with_records<T>(length: usize, call: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = RECORDS.take();
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let result = call(&mut buffer[..length]);
    RECORDS.set(buffer);
    result
}

impl Layer {
    pub(super) fn new(loaded: Arc<Loaded>) -> Result<Self, HandshakeError> {
        let rustls = ServerConnection::new(Arc::clone(&loaded.server)).map_err(HandshakeError::Tls)?;
        Ok(Self { rustls, loaded, unread: Vec::new(), start: 0, plaintext: 0, taken: 0, ended: false })
    }

    pub(super) fn poll_handshake(
        &mut self,
        tcp: &mut Tcp,
        cx: &mut Context<'_>,
    ) -> Poll<Result<TlsInfo, HandshakeError>> {
        for _ in 0..READS_PER_POLL {
            if ready!(self.poll_flush(tcp, cx)).is_err() {
                return Poll::Ready(Err(HandshakeError::Gone));
            }
            if !self.rustls.is_handshaking() {
                return Poll::Ready(Ok(self.info()));
            }
            let read = with_records(SMALL_READ, |records| match ready!(tcp.poll_read(cx, records)) {
                Ok(0) => Poll::Ready(Err(HandshakeError::Finished)),
                Ok(length) => Poll::Ready(self.give_all(&records[..length]).map_err(HandshakeError::Tls)),
                Err(_) => Poll::Ready(Err(HandshakeError::Gone)),
            });
            if let Err(error) = ready!(read) {
                // The alert that says why.
                let _ = self.poll_flush(tcp, cx);
                return Poll::Ready(Err(error));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the handshake has come to.
    fn info(&mut self) -> TlsInfo {
        let version = match self.rustls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        };
        let suite = self.rustls.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = match suite {
            // rustls has names of its own for these.
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
            Some(suite) => suite.as_str().unwrap_or("unknown"),
            None => "unknown",
        };
        let mut info = TlsInfo::new(version, cipher);
        let name = self.rustls.server_name();
        if let Some(name) = name {
            info = info.with_server_name(name);
        }
        let mut binding = ChannelBinding::default();
        if let Some(hash) = self.loaded.certificates.choose(name).end_point() {
            binding = binding.with_end_point(hash);
        }
        // RFC 9266 §4.2: under TLS 1.2 only with the extended master secret, without which rustls exports nothing that is safe to use.
        if version == "TLSv1.3"
            && let Ok(octets) = self.rustls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)
        {
            binding = binding.with_exporter(octets);
        }
        if let Some([certificate, ..]) = self.rustls.peer_certificates() {
            // rustls keeps none that it has not verified.
            info = info.with_client(ClientCertificate::new(subject(certificate).as_deref()));
        }
        info.with_binding(binding)
    }

    /// Gives rustls records, as many as it takes at a time; gives how many octets that was.
    fn give(&mut self, mut records: &[u8]) -> Result<usize, rustls::Error> {
        let length = records.len();
        // It refuses only while plaintext waits, and none does, or after close_notify, behind which nothing counts.
        if self.rustls.read_tls(&mut records).is_err() {
            return Err(rustls::Error::General("a record that is too large".to_owned()));
        }
        let state = self.rustls.process_new_packets()?;
        self.plaintext = state.plaintext_bytes_to_read();
        if state.peer_has_closed() {
            self.ended = true;
            return Ok(length);
        }
        Ok(length - records.len())
    }

    /// Gives rustls records until there is plaintext, and keeps the rest of them.
    fn give_all(&mut self, mut records: &[u8]) -> Result<(), rustls::Error> {
        while !records.is_empty() && self.plaintext == 0 {
            records = &records[self.give(records)?..];
        }
        self.unread.extend_from_slice(records);
        Ok(())
    }

    /// Copies plaintext to the buffer; gives how much.
    fn take_plaintext(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while self.plaintext > 0 && filled < buffer.len() {
            match self.rustls.reader().read(&mut buffer[filled..]) {
                Ok(length) if length > 0 => {
                    filled += length;
                    self.plaintext = self.plaintext.saturating_sub(length);
                }
                _ => self.plaintext = 0,
            }
        }
        filled
    }

    pub(super) fn poll_read(
        &mut self,
        tcp: &mut Tcp,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..READS_PER_POLL {
            let filled = self.read_held(buffer).map_err(|error| self.broken(tcp, cx, error))?;
            if filled > 0 || self.ended {
                return Poll::Ready(Ok(filled));
            }
            let read = with_records(buffer.len().max(1), |records| match ready!(tcp.poll_read(cx, records)) {
                // Without close_notify somebody may have cut the connection off. What a message is ends in itself, so that nothing
                // depends on it here: it is an end like any other.
                Ok(0) => {
                    self.ended = true;
                    Poll::Ready(Ok(Ok(0)))
                }
                Ok(length) => {
                    let mut records = &records[..length];
                    let mut filled = 0;
                    while !records.is_empty() && !self.ended && filled < buffer.len() {
                        match self.give(records) {
                            Ok(used) => records = &records[used..],
                            Err(error) => return Poll::Ready(Ok(Err(error))),
                        }
                        filled += self.take_plaintext(&mut buffer[filled..]);
                    }
                    if !self.ended {
                        self.unread.extend_from_slice(records);
                    }
                    Poll::Ready(Ok(Ok(filled)))
                }
                Err(error) => Poll::Ready(Err(error)),
            });
            match ready!(read)? {
                Ok(0) => {}
                Ok(filled) => return Poll::Ready(Ok(filled)),
                Err(error) => return Poll::Ready(Err(self.broken(tcp, cx, error))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads from what was read from the socket before.
    fn read_held(&mut self, buffer: &mut [u8]) -> Result<usize, rustls::Error> {
        let mut filled = self.take_plaintext(buffer);
        while filled < buffer.len() && self.start < self.unread.len() && !self.ended {
            let unread = std::mem::take(&mut self.unread);
            let used = self.give(&unread[self.start..]);
            self.unread = unread;
            self.start += used?;
            filled += self.take_plaintext(&mut buffer[filled..]);
        }
        if self.start == self.unread.len() || self.ended {
            (self.unread, self.start) = (Vec::new(), 0);
        }
        Ok(filled)
    }

    /// Tells the peer of what is wrong with its records, if it can be told, and gives the error for the driver.
    fn broken(&mut self, tcp: &mut Tcp, cx: &mut Context<'_>, error: rustls::Error) -> io::Error {
        let _ = self.poll_flush(tcp, cx);
        io::Error::new(ErrorKind::InvalidData, error)
    }

    pub(super) fn poll_write(&mut self, tcp: &mut Tcp, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = self.rustls.writer().write(bytes)?;
        }
        ready!(self.poll_flush(tcp, cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken).min(bytes.len())))
    }

    /// Writes records that wait.
    fn poll_flush(&mut self, tcp: &mut Tcp, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rustls.wants_write() {
            match self.rustls.write_tls(&mut Writer { tcp, cx }) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// As that of the socket. But the end of TLS is a record, and cannot be seen without reading: so while nothing waits to be looked
    /// at, one small read goes ahead. If it holds plaintext, that is kept for when it is wanted, and from then on the socket alone is
    /// watched, as it is where octets wait in it in clear.
    pub(super) fn poll_peer(&mut self, tcp: &mut Tcp, cx: &mut Context<'_>, drained: bool) -> Poll<Peer> {
        if !drained || self.holds() {
            return tcp.poll_peer(cx, false);
        }
        for _ in 0..READS_PER_POLL {
            if self.ended {
                return Poll::Ready(Peer::Finished);
            }
            let read = with_records(SMALL_READ, |records| match ready!(tcp.poll_read(cx, records)) {
                Ok(0) => {
                    self.ended = true;
                    Poll::Ready(Ok(()))
                }
                Ok(length) => Poll::Ready(self.give_all(&records[..length]).map_err(|_| Peer::Broken)),
                Err(_) => Poll::Ready(Err(Peer::Gone)),
            });
            if let Err(peer) = ready!(read) {
                let _ = self.poll_flush(tcp, cx);
                return Poll::Ready(peer);
            }
            if self.holds() {
                return tcp.poll_peer(cx, false);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Octets of records and plaintext that wait, what rustls has for itself not among them.
    pub(super) fn held(&self) -> usize {
        self.plaintext + self.unread.capacity()
    }

    /// Whether there is something to read without the socket.
    fn holds(&self) -> bool {
        self.plaintext > 0 || self.start < self.unread.len()
    }

    pub(super) fn say_goodbye(&mut self, tcp: &mut Tcp, cx: &mut Context<'_>) {
        if !self.rustls.is_handshaking() {
            self.rustls.send_close_notify();
        }
        // A peer that reads nothing isn't waited for.
        let _ = self.poll_flush(tcp, cx);
    }
}

/// The socket as rustls writes to it.
struct Writer<'t, 'c, 'w> {
    tcp: &'t mut Tcp,
    cx: &'c mut Context<'w>,
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl io::Write for Writer<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(self.tcp.poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        now(self.tcp.poll_write_vectored(self.cx, pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
