//! The messages that a run sends: made of a seed, or read from a folder or an mbox file, and rendered before the run.
//!
//! Whatever the source, a message goes out with CRLF line ends. Text with LF throughout is converted. Anything else is refused by name
//! unless [`LineEndings::Normalize`] was asked for, because nobody could tell what a server was given. [`Facts`] counts all of it.

mod files;
mod line_endings;
mod random;
mod synthetic;

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use ehlo_client::codec::{StuffError, Stuffed, Stuffer};
use serde::Serialize;

pub use line_endings::{LineEndings, Unsendable, UnsendableKind};

use crate::message::{ID_LINE_LEN, Message, MessageSet};
use files::Found;
use line_endings::Change;
use random::Random;

/// The most bytes of messages that are read. Each is held twice, decoded and as it goes over the wire.
pub const MAX_TOTAL: u64 = 512 << 20;

/// The most messages that are read.
pub const MAX_MESSAGES: usize = 1 << 20;

/// The most levels of folders within a folder.
pub const MAX_DEPTH: usize = 32;

/// The largest synthetic message, in bytes.
pub const MAX_SIZE: usize = 256 << 20;

/// The bytes of a synthetic set of large messages, roughly.
const MAX_SET: usize = 16 << 20;

/// The smallest synthetic message: the line with the id, and the empty line behind the header.
const SMALLEST: usize = ID_LINE_LEN + 2;

/// How many refused files an error names.
const MAX_NAMED: usize = 5;

/// Where the messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Made of the seed: sizes with a median of 4 KiB and a long tail. The same 64 sizes for every seed.
    Mixed,
    /// Made of the seed: all of this size in bytes, the line with the id included.
    Sized(usize),
    /// A folder with one message in each file, or an mbox file.
    Path(PathBuf),
}

/// What the messages of a run are, for its report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Facts {
    /// Where they come from, in words.
    pub source: String,
    /// How many different ones there are. Which goes next is drawn from the seed.
    pub messages: u64,
    /// The bytes of all of them, each once, decoded, with the line that holds the id.
    pub bytes: u64,
    /// The bytes of the smallest.
    pub smallest: u64,
    /// The bytes of the largest.
    pub largest: u64,
    /// Messages with a byte above 127, which need 8BITMIME (RFC 6152).
    pub eight_bit: u64,
    /// Dots that stuffing added, over all of them (RFC 5321 §4.5.2).
    pub dots_stuffed: u64,
    /// Messages that were text with LF line ends and are sent with CRLF.
    pub converted: u64,
    /// Messages with mixed line ends, bare CR or NUL, that were made sendable because the user asked for it.
    pub normalized: u64,
    /// Messages whose last line had no end and got one, as DATA demands (RFC 5321 §4.1.1.4).
    pub completed: u64,
    /// Files that were left out: hidden ones, and lists and notes by the ends of their names.
    pub skipped: u64,
}

/// The messages of a run and what there is to tell about them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Corpus {
    /// The rendered messages.
    pub messages: MessageSet,
    /// What to tell about them.
    pub facts: Facts,
}

/// Why there are no messages to send. All of these are the caller's to mend.
#[derive(Debug)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file or folder could not be read.
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The folder has no message in it.
    Empty {
        /// Which folder.
        path: PathBuf,
    },
    /// The file doesn't begin as an mbox file does.
    NotMailbox {
        /// Which file.
        path: PathBuf,
    },
    /// There are more than [`MAX_MESSAGES`] messages or more than [`MAX_TOTAL`] bytes.
    TooMuch {
        /// What was read last.
        path: PathBuf,
    },
    /// There are folders within folders more than [`MAX_DEPTH`] levels deep.
    TooDeep {
        /// The folder that was one too many.
        path: PathBuf,
    },
    /// A synthetic message cannot have this size.
    Size {
        /// The size in bytes.
        size: usize,
        /// The smallest size there can be, in bytes.
        smallest: usize,
    },
    /// Messages that cannot be sent as they are.
    Unsendable {
        /// The first of them, by file name, with what is wrong.
        first: Vec<(String, Unsendable)>,
        /// How many there are.
        count: usize,
    },
    /// A message that the preparation should have made sendable is not. A fault of this crate.
    Stuff(StuffError),
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Empty { path } => write!(f, "{}: there is no message in this folder", path.display()),
            Self::NotMailbox { path } => {
                write!(
                    f,
                    "{}: not an mbox file: it doesn't begin with a line \"From \"; for single messages give their folder",
                    path.display()
                )
            }
            Self::TooMuch { path } => {
                write!(f, "{}: more than {MAX_MESSAGES} messages or {} MiB", path.display(), MAX_TOTAL >> 20)
            }
            Self::TooDeep { path } => write!(f, "{}: more than {MAX_DEPTH} folders deep", path.display()),
            Self::Size { size, smallest } => {
                write!(f, "a message of {size} bytes cannot be made: {smallest} bytes to {} MiB can", MAX_SIZE >> 20)
            }
            Self::Unsendable { first, count } => {
                for (name, why) in first {
                    writeln!(f, "{name}: {why}")?;
                }
                if *count > first.len() {
                    writeln!(f, "... and {} more", count - first.len())?;
                }
                write!(
                    f,
                    "no message was sent; --line-endings normalize sends CRLF for each of these and leaves NUL out"
                )
            }
            Self::Stuff(error) => write!(f, "a prepared message cannot be sent: {error}"),
        }
    }
}

impl std::error::Error for CorpusError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Stuff(error) => Some(error),
            _ => None,
        }
    }
}

/// Makes or reads the messages and renders them.
///
/// # Errors
///
/// [`CorpusError`] if a file cannot be read or a message cannot be sent as it is.
pub fn build(source: &Source, line_endings: LineEndings, seed: u64) -> Result<Corpus, CorpusError> {
    match source {
        Source::Mixed => {
            let mut random = Random::new(seed);
            let sizes = synthetic::mixed_sizes(&mut random);
            synthesize(&sizes, &mut random, "synthetic, mixed sizes".to_owned())
        }
        Source::Sized(size) => {
            if !(SMALLEST..=MAX_SIZE).contains(size) {
                return Err(CorpusError::Size { size: *size, smallest: SMALLEST });
            }
            // Large messages are few, so that a set stays small.
            let distinct = (MAX_SET / size).clamp(1, synthetic::DISTINCT);
            synthesize(&vec![*size; distinct], &mut Random::new(seed), "synthetic".to_owned())
        }
        Source::Path(path) => read(path, line_endings),
    }
}

fn synthesize(sizes: &[usize], random: &mut Random, source: String) -> Result<Corpus, CorpusError> {
    let mut builder = Builder::default();
    for size in sizes {
        builder.add(&synthetic::message(size - ID_LINE_LEN, random))?;
    }
    builder.finish(source, 0).ok_or(CorpusError::Size { size: 0, smallest: SMALLEST })
}

fn read(path: &Path, line_endings: LineEndings) -> Result<Corpus, CorpusError> {
    let metadata = fs::metadata(path).map_err(|error| CorpusError::Io { path: path.to_owned(), error })?;
    let (found, skipped) = if metadata.is_dir() { files::folder(path)? } else { (files::mailbox(path)?, 0) };
    let mut builder = Builder::default();
    let mut refused = Vec::new();
    let mut count = 0;
    for Found { name, bytes } in found {
        match line_endings::prepare(&bytes, line_endings) {
            Ok((message, change)) => {
                builder.facts.converted += u64::from(change == Change::Converted);
                builder.facts.normalized += u64::from(change == Change::Normalized);
                builder.add(&message)?;
            }
            Err(why) => {
                count += 1;
                if refused.len() < MAX_NAMED {
                    refused.push((name, why));
                }
            }
        }
    }
    if count > 0 {
        return Err(CorpusError::Unsendable { first: refused, count });
    }
    builder.finish(path.display().to_string(), skipped).ok_or_else(|| CorpusError::Empty { path: path.to_owned() })
}

/// Renders messages and counts.
#[derive(Default)]
struct Builder {
    messages: Vec<Message>,
    facts: Facts,
}

impl Builder {
    /// Adds a message whose line ends are CRLF throughout.
    fn add(&mut self, message: &[u8]) -> Result<(), CorpusError> {
        let mut wire = Vec::with_capacity(message.len() + 5);
        let mut stuffer = Stuffer::new();
        let mut rest = message;
        loop {
            let (used, piece) = stuffer.next(rest).map_err(CorpusError::Stuff)?;
            rest = &rest[used..];
            match piece {
                Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
                Stuffed::Dot => {
                    wire.push(b'.');
                    self.facts.dots_stuffed += 1;
                }
                Stuffed::NeedMore => break,
            }
        }
        let end = stuffer.finish().map_err(CorpusError::Stuff)?;
        wire.extend_from_slice(end);
        let mut decoded = message.to_vec();
        if end != b".\r\n" {
            decoded.extend_from_slice(b"\r\n");
            self.facts.completed += 1;
        }

        let length = (ID_LINE_LEN + decoded.len()) as u64;
        let eight_bit = !decoded.is_ascii();
        self.facts.messages += 1;
        self.facts.bytes += length;
        self.facts.smallest = if self.facts.messages == 1 { length } else { self.facts.smallest.min(length) };
        self.facts.largest = self.facts.largest.max(length);
        self.facts.eight_bit += u64::from(eight_bit);
        self.messages.push(Message { wire: wire.into(), decoded: decoded.into(), eight_bit });
        Ok(())
    }

    /// `None` if no message was added.
    fn finish(self, source: String, skipped: u64) -> Option<Corpus> {
        let facts = Facts { source, skipped, ..self.facts };
        MessageSet::new(self.messages).map(|messages| Corpus { messages, facts })
    }
}

#[cfg(test)]
mod tests;
