//! Codecs for `tokio_util::codec::Framed`, over the framers and the grammar of this crate.
//!
//! They keep what the framers keep and no more: each call takes all that is in the buffer, or gives an item.

mod command;
mod reply;

pub use command::{CommandCodec, CommandFrame};
pub use reply::{BodyPiece, ReplyBuf, ReplyCodec};

use crate::{ReplyFault, StuffError};
use core::fmt;

/// Why a stream of commands or replies cannot go on, or why something cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// What the transport says.
    Io(std::io::Error),
    /// The stream ended within a line, a reply or a body.
    UnexpectedEnd,
    /// A line went on beyond the discard limit, or a BDAT could not be read and its chunk may follow: there is no way to find the next command.
    Hopeless,
    /// What the server sent is no reply.
    Reply(ReplyFault),
    /// The message has a line end that DATA cannot carry. Nothing of the piece was written.
    Stuff(StuffError),
    /// A command, or the other way of sending a body, came before the body or the chunk was whole. Nothing was written.
    BodyOpen,
    /// More octets than the chunk has. Nothing was written.
    ChunkOverrun,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::UnexpectedEnd => f.write_str("the stream ended within a line, a reply or a body"),
            Self::Hopeless => f.write_str("there is no way to find the next command"),
            Self::Reply(fault) => fault.fmt(f),
            Self::Stuff(error) => error.fmt(f),
            Self::BodyOpen => f.write_str("the body or the chunk before it is not complete"),
            Self::ChunkOverrun => f.write_str("the piece has more octets than are left of the chunk"),
        }
    }
}

impl core::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Reply(fault) => Some(fault),
            Self::Stuff(error) => Some(error),
            _ => None,
        }
    }
}

impl From<std::io::Error> for CodecError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StuffError> for CodecError {
    fn from(error: StuffError) -> Self {
        Self::Stuff(error)
    }
}
