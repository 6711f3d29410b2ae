//! Where the octets of a message lie, and how they are read: without ever keeping more than a piece of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;
/// What comes over a pipe is kept in memory up to so many octets, and beyond in a file that has no name.
const IN_MEMORY: u64 = 1024 * 1024;

/// Octets that can be read any number of times.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Memory(Arc<[u8]>),
    /// Opened when it is read, since there may be more files than a process may have open.
    Path(PathBuf),
    Spool(Arc<File>),
}

impl Place {
    /// Takes all of a stream.
    pub(crate) fn spool(mut input: impl Read) -> io::Result<Self> {
        let mut memory = Vec::new();
        input.by_ref().take(IN_MEMORY).read_to_end(&mut memory)?;
        if (memory.len() as u64) < IN_MEMORY {
            return Ok(Self::Memory(memory.into()));
        }
        let mut file = nameless()?;
        io::Write::write_all(&mut file, &memory)?;
        io::copy(&mut input, &mut file)?;
        Ok(Self::Spool(Arc::new(file)))
    }

    pub(crate) fn open(&self) -> io::Result<Opened> {
        Ok(match self {
            Self::Memory(memory) => Opened::Memory(Arc::clone(memory)),
            Self::Path(path) => Opened::File(Arc::new(File::open(path)?)),
            Self::Spool(file) => Opened::File(Arc::clone(file)),
        })
    }
}

/// A file for this process alone, which is gone with it.
fn nameless() -> io::Result<File> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..100 {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ehlo-{}-{number}", std::process::id()));
        match File::options().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return std::fs::remove_file(&path).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The same, opened.
#[derive(Debug)]
pub(crate) enum Opened {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Opened {
    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Memory(memory) => {
                let rest = usize::try_from(at).ok().and_then(|at| memory.get(at..)).unwrap_or_default();
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                Ok(length)
            }
            Self::File(file) => loop {
                match file.read_at(buffer, at) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => return other,
                }
            },
        }
    }
}

/// Pieces of a part of a place, from its beginning.
#[derive(Debug)]
pub(crate) struct Pieces {
    place: Opened,
    start: u64,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl Pieces {
    /// From `start` to `end`, or to where there is no more.
    pub(crate) fn new(place: Opened, start: u64, end: u64) -> Self {
        Self { place, start, at: start, end, buffer: Vec::new() }
    }

    /// The next piece; empty at the end.
    pub(crate) fn next(&mut self) -> io::Result<&[u8]> {
        let length = usize::try_from(self.end - self.at).map_or(PIECE, |left| left.min(PIECE));
        self.buffer.resize(length, 0);
        let read = self.place.read_at(&mut self.buffer, self.at)?;
        self.at += read as u64;
        Ok(&self.buffer[..read])
    }

    pub(crate) const fn rewind(&mut self) {
        self.at = self.start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stream_is_kept_outside_of_memory_and_is_the_same() {
        let octets: Vec<u8> = (0..IN_MEMORY + 70_001).map(|n| (n % 251) as u8).collect();
        let place = Place::spool(&octets[..]).unwrap();
        assert!(matches!(place, Place::Spool(_)));
        let mut pieces = Pieces::new(place.open().unwrap(), 3, u64::MAX);
        for _ in 0..2 {
            let mut read = Vec::new();
            loop {
                let piece = pieces.next().unwrap();
                if piece.is_empty() {
                    break;
                }
                read.extend_from_slice(piece);
            }
            assert_eq!(read, octets[3..]);
            pieces.rewind();
        }
    }
}
