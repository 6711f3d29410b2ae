//! Messages that are read while they are sent.

use std::io::{self, SeekFrom};

use ehlo_driver::Body;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};

/// Octets that are read at a time.
const PIECE: usize = 32 * 1024;

/// A message that comes from a reader. What it takes of memory does not depend on how long the message is.
///
/// One whose reader can't be set back to its beginning can be sent in one transaction only: recipients that a server does not take along with the
/// others are left unsent.
#[derive(Debug)]
pub struct Reader<R> {
    reader: R,
    size: Option<u64>,
    piece: Vec<u8>,
    at: usize,
    /// Something was read, or may have been.
    used: bool,
}

impl<R: AsyncRead + Unpin + Send> Reader<R> {
    /// A message of unknown length.
    pub const fn new(reader: R) -> Self {
        Self { reader, size: None, piece: Vec::new(), at: 0, used: false }
    }

    /// A message that has so many octets, as it is read. If it turns out to have another length, it is not sent.
    #[must_use]
    pub const fn with_size(mut self, octets: u64) -> Self {
        self.size = Some(octets);
        self
    }

    async fn read(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() {
            // Whoever gives up waiting, or fails, leaves no octets behind that were not read.
            (self.at, self.used) = (0, true);
            self.piece.clear();
            self.piece.reserve_exact(PIECE);
            self.reader.read_buf(&mut self.piece).await?;
        }
        Ok(&self.piece[self.at..])
    }
}

impl<R: AsyncRead + Unpin + Send> Body for Reader<R> {
    fn size(&self) -> Option<u64> {
        self.size
    }

    async fn fill(&mut self) -> io::Result<&[u8]> {
        self.read().await
    }

    fn consume(&mut self, n: usize) {
        self.at += n.min(self.piece.len() - self.at);
    }

    async fn rewind(&mut self) -> io::Result<bool> {
        Ok(!self.used)
    }
}

/// The same for a reader that can be set back, such as a file.
#[derive(Debug)]
pub struct SeekReader<R>(Reader<R>);

impl<R: AsyncRead + AsyncSeek + Unpin + Send> SeekReader<R> {
    /// A message from there, as long as its reader has more.
    ///
    /// # Errors
    ///
    /// If its end can't be found.
    pub async fn new(mut reader: R) -> io::Result<Self> {
        let octets = reader.seek(SeekFrom::End(0)).await?;
        reader.rewind().await?;
        Ok(Self(Reader::new(reader).with_size(octets)))
    }
}

impl<R: AsyncRead + AsyncSeek + Unpin + Send> Body for SeekReader<R> {
    fn size(&self) -> Option<u64> {
        self.0.size
    }

    async fn fill(&mut self) -> io::Result<&[u8]> {
        self.0.read().await
    }

    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }

    async fn rewind(&mut self) -> io::Result<bool> {
        if self.0.used {
            self.0.at = 0;
            self.0.piece.clear();
            self.0.reader.rewind().await?;
            self.0.used = false;
        }
        Ok(true)
    }
}
