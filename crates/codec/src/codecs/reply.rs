//! The client's side: replies in, commands and bodies out.

use super::CodecError;
use crate::{Command, CommandBuf, ReplyCode, ReplyLimits, ReplyReader, ReplyStep, ReplyView, Stuffed, Stuffer};
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use tokio_util::codec::{Decoder, Encoder};

/// An owned reply, as [`ReplyCodec`] reads it.
#[derive(Clone)]
pub struct ReplyBuf {
    code: ReplyCode,
    /// It stands behind a complete reply.
    reader: ReplyReader,
}

impl ReplyBuf {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// Its text and its enhanced code.
    #[must_use]
    pub fn view(&self) -> ReplyView<'_> {
        match self.reader.reply() {
            Some(view) => view,
            None => unreachable!("it was complete when it was taken, and nothing was read since"),
        }
    }
}

impl fmt::Debug for ReplyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplyBuf").field(&self.code).finish()
    }
}

impl fmt::Display for ReplyBuf {
    /// As [`ReplyView`] prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A part of a message on its way out. Its `Debug` output shows no body.
#[derive(Clone, PartialEq, Eq)]
pub enum BodyPiece {
    /// A piece of a message that goes by DATA: dots are doubled on the way. Behind 354 only.
    Data(Bytes),
    /// The end of that message; alone, the empty message.
    DataEnd,
    /// A piece of the chunk that the last BDAT announced, sent as it is.
    Chunk(Bytes),
}

impl fmt::Debug for BodyPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(piece) => write!(f, "Data({} octets)", piece.len()),
            Self::DataEnd => f.write_str("DataEnd"),
            Self::Chunk(piece) => write!(f, "Chunk({} octets)", piece.len()),
        }
    }
}

/// What the stream stands in.
#[derive(Clone, Copy, Debug)]
enum Sending {
    Commands,
    Data(Stuffer),
    Chunk(u64),
}

/// The codec of a client: decodes [`ReplyBuf`]s, encodes [`Command`]s and [`BodyPiece`]s.
///
/// It sends nothing that would be read as something else: no command within a body or a chunk, and no more octets than a chunk has.
/// Which replies allow which step is not known here. [`CommandCodec`](crate::CommandCodec) has an example.
#[derive(Clone, Debug)]
pub struct ReplyCodec {
    reader: ReplyReader,
    limits: ReplyLimits,
    sending: Sending,
}

impl Default for ReplyCodec {
    fn default() -> Self {
        Self::new(ReplyLimits::default())
    }
}

impl ReplyCodec {
    /// A codec at the beginning of a connection.
    #[must_use]
    pub const fn new(limits: ReplyLimits) -> Self {
        Self { reader: ReplyReader::new(limits), limits, sending: Sending::Commands }
    }

    /// Octets of the chunk that are still to be sent.
    #[must_use]
    pub const fn chunk_remaining(&self) -> u64 {
        match self.sending {
            Sending::Chunk(left) => left,
            _ => 0,
        }
    }

    fn command(&mut self, command: Command<'_>, wire: &[u8], dst: &mut BytesMut) -> Result<(), CodecError> {
        if !matches!(self.sending, Sending::Commands) {
            return Err(CodecError::BodyOpen);
        }
        if let Command::Bdat { size, .. } = command
            && size > 0
        {
            self.sending = Sending::Chunk(size);
        }
        dst.extend_from_slice(wire);
        Ok(())
    }

    fn data(&mut self, piece: &[u8], end: bool, dst: &mut BytesMut) -> Result<(), CodecError> {
        let mut stuffer = match self.sending {
            Sending::Commands => Stuffer::new(),
            Sending::Data(stuffer) => stuffer,
            Sending::Chunk(_) => return Err(CodecError::BodyOpen),
        };
        let before = dst.len();
        let mut rest = piece;
        loop {
            match stuffer.next(rest) {
                Ok((used, piece)) => {
                    rest = &rest[used..];
                    match piece {
                        Stuffed::Bytes(bytes) => dst.extend_from_slice(bytes),
                        Stuffed::Dot => dst.extend_from_slice(b"."),
                        Stuffed::NeedMore => break,
                    }
                }
                Err(error) => {
                    dst.truncate(before);
                    return Err(error.into());
                }
            }
        }
        if end {
            dst.extend_from_slice(stuffer.finish()?);
        }
        self.sending = if end { Sending::Commands } else { Sending::Data(stuffer) };
        Ok(())
    }
}

impl Decoder for ReplyCodec {
    type Item = ReplyBuf;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<ReplyBuf>, CodecError> {
        let (used, step) = self.reader.next(src);
        src.advance(used);
        match step {
            ReplyStep::NeedMore => Ok(None),
            ReplyStep::Fault(fault) => Err(CodecError::Reply(fault)),
            ReplyStep::Reply(code) => {
                let reader = core::mem::replace(&mut self.reader, ReplyReader::new(self.limits));
                Ok(Some(ReplyBuf { code, reader }))
            }
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<ReplyBuf>, CodecError> {
        match self.decode(src)? {
            None if self.reader.is_mid_reply() => Err(CodecError::UnexpectedEnd),
            item => Ok(item),
        }
    }
}

impl Encoder<Command<'_>> for ReplyCodec {
    type Error = CodecError;

    fn encode(&mut self, command: Command<'_>, dst: &mut BytesMut) -> Result<(), CodecError> {
        let mut wire = Vec::new();
        command.write_to(&mut wire);
        self.command(command, &wire, dst)
    }
}

impl Encoder<&CommandBuf> for ReplyCodec {
    type Error = CodecError;

    fn encode(&mut self, command: &CommandBuf, dst: &mut BytesMut) -> Result<(), CodecError> {
        self.command(command.as_command(), command.as_bytes(), dst)
    }
}

impl Encoder<BodyPiece> for ReplyCodec {
    type Error = CodecError;

    fn encode(&mut self, piece: BodyPiece, dst: &mut BytesMut) -> Result<(), CodecError> {
        match piece {
            BodyPiece::Data(piece) => self.data(&piece, false, dst),
            BodyPiece::DataEnd => self.data(&[], true, dst),
            BodyPiece::Chunk(piece) => {
                if matches!(self.sending, Sending::Data(_)) {
                    return Err(CodecError::BodyOpen);
                }
                let left = self.chunk_remaining().checked_sub(piece.len() as u64).ok_or(CodecError::ChunkOverrun)?;
                self.sending = if left == 0 { Sending::Commands } else { Sending::Chunk(left) };
                dst.extend_from_slice(&piece);
                Ok(())
            }
        }
    }
}
