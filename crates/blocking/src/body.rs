//! Messages that are read while they are sent.

use std::future::{Future, ready};
use std::io::{self, Read, Seek, SeekFrom};

use ehlo_driver::Body;

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

impl<R: Read + Send> Reader<R> {
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

    fn read(&mut self) -> io::Result<&[u8]> {
        while self.at == self.piece.len() {
            self.used = true;
            self.piece.resize(PIECE, 0);
            let read = self.reader.read(&mut self.piece);
            self.piece.truncate(*read.as_ref().unwrap_or(&0));
            self.at = 0;
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.piece[self.at..])
    }
}

impl<R: Read + Send> Body for Reader<R> {
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn fill(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        ready(self.read())
    }

    fn consume(&mut self, n: usize) {
        self.at += n.min(self.piece.len() - self.at);
    }

    fn rewind(&mut self) -> impl Future<Output = io::Result<bool>> + Send {
        ready(Ok(!self.used))
    }
}

/// The same for a reader that can be set back, such as a file.
#[derive(Debug)]
pub struct SeekReader<R>(Reader<R>);

impl<R: Read + Seek + Send> SeekReader<R> {
    /// A message from the reader's beginning to its end.
    ///
    /// # Errors
    ///
    /// If its end can't be found.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let octets = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        Ok(Self(Reader::new(reader).with_size(octets)))
    }
}

impl<R: Read + Seek + Send> Body for SeekReader<R> {
    fn size(&self) -> Option<u64> {
        self.0.size
    }

    fn fill(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        ready(self.0.read())
    }

    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }

    fn rewind(&mut self) -> impl Future<Output = io::Result<bool>> + Send {
        if !self.0.used {
            return ready(Ok(true));
        }
        self.0.at = 0;
        self.0.piece.clear();
        let rewound = self.0.reader.rewind();
        self.0.used = rewound.is_err();
        ready(rewound.map(|()| true))
    }
}
