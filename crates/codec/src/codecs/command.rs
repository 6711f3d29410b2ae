//! The server's side: commands and bodies in, replies out.

use super::CodecError;
use crate::{
    ChunkDecoder, ChunkStep, Command, CommandBuf, CommandLine, DataDecoder, DataFaults, DataStep, Framed, LineFault,
    LineFramer, Reply, SyntaxError, Verb,
};
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use tokio_util::codec::{Decoder, Encoder};

/// What [`CommandCodec`] reads. Its `Debug` output shows no body and no line of a login.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandFrame {
    /// A command.
    Command(CommandBuf),
    /// A whole line that is no command; [`SyntaxError::reply`] answers it. If it is a BDAT, that is the last item: see [`CommandCodec`].
    Refused(SyntaxError),
    /// A line that did not end or look as a line has to. It was thrown away whole, and what follows is read as a command: call
    /// [`CommandCodec::expect_line`] again if it was a line of a login and the login is to go on.
    Fault(LineFault),
    /// The line asked for by [`CommandCodec::expect_line`], without its CRLF.
    Line(Bytes),
    /// A piece of the message, behind [`CommandCodec::expect_data`] or within a chunk. Never empty.
    Body(Bytes),
    /// The message sent by DATA is complete; what was wrong with its line ends.
    DataEnd(DataFaults),
    /// The chunk is complete.
    ChunkEnd,
}

impl fmt::Debug for CommandFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => f.debug_tuple("Command").field(command).finish(),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Line(line) => write!(f, "Line({} octets)", line.len()),
            Self::Body(piece) => write!(f, "Body({} octets)", piece.len()),
            Self::DataEnd(faults) => f.debug_tuple("DataEnd").field(faults).finish(),
            Self::ChunkEnd => f.write_str("ChunkEnd"),
        }
    }
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Command,
    Line,
    Data(DataDecoder),
    Chunk(ChunkDecoder),
    /// A chunk, perhaps, of a length that nobody knows.
    Unknown,
}

/// The codec of a server: decodes [`CommandFrame`]s, encodes [`Reply`]s.
///
/// Whether a command is obeyed is the application's to say, so it says what comes next: behind its 354 it calls
/// [`expect_data`](Self::expect_data), and behind its 334 [`expect_line`](Self::expect_line). The octets of a chunk follow BDAT
/// in any case, so they come without a call, and have to be taken even if the chunk is refused (RFC 3030 §2). Behind a BDAT that cannot be
/// read, its chunk may be on its way, and no part of it may be taken for a command: the next item is
/// [`CodecError::Hopeless`](crate::CodecError::Hopeless), whatever came.
///
/// Replies carry no enhanced codes until [`set_enhanced_codes`](Self::set_enhanced_codes).
///
/// ```
/// use ehlo_codec::{BodyPiece, Command, CommandCodec, CommandFrame, Reply, ReplyCodec};
/// use futures_util::{SinkExt, StreamExt};
/// use tokio_util::codec::Framed;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, far) = tokio::io::duplex(4096);
/// let (mut client, mut server) = (Framed::new(near, ReplyCodec::default()), Framed::new(far, CommandCodec::new(512)));
///
/// client.send(Command::parse(b"DATA").map_err(|_| "it is one")?).await?;
/// let Some(Ok(CommandFrame::Command(command))) = server.next().await else { panic!("a command") };
/// assert_eq!(command.as_command(), Command::Data);
///
/// server.send(Reply::fixed(354, None, "Go ahead")).await?;
/// server.codec_mut().expect_data();
/// assert_eq!(client.next().await.ok_or("an end")??.code().get(), 354);
///
/// client.send(BodyPiece::Data(".hidden\r\n".into())).await?;
/// client.send(BodyPiece::DataEnd).await?;
/// let mut message = Vec::new();
/// while let Some(Ok(CommandFrame::Body(piece))) = server.next().await {
///     message.extend_from_slice(&piece);
/// }
/// assert_eq!(message, b".hidden\r\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CommandCodec {
    framer: LineFramer,
    expected: Expected,
    utf8: bool,
    enhanced: bool,
}

impl CommandCodec {
    /// A codec for command lines of at most `max_line` octets, CRLF included; see [`LineFramer::new`].
    #[must_use]
    pub const fn new(max_line: usize) -> Self {
        Self { framer: LineFramer::new(max_line), expected: Expected::Command, utf8: false, enhanced: false }
    }

    /// Reads commands by [`Command::parse_utf8`] from now on, or by [`Command::parse`].
    pub const fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// Writes enhanced codes into replies from now on, or none. Those to EHLO have none (RFC 2034 §4).
    pub const fn set_enhanced_codes(&mut self, enhanced: bool) {
        self.enhanced = enhanced;
    }

    /// Changes the cap on lines, also on one that has begun.
    pub const fn set_max_line(&mut self, max: usize) {
        self.framer.set_max(max);
    }

    /// What comes next is a message in the form of DATA.
    pub const fn expect_data(&mut self) {
        self.expected = Expected::Data(DataDecoder::new());
    }

    /// What comes next is one line that is no command: a response of a SASL exchange (RFC 4954 §4).
    pub const fn expect_line(&mut self) {
        self.expected = Expected::Line;
    }

    fn line(&mut self, src: &mut BytesMut) -> Result<Option<CommandFrame>, CodecError> {
        let (used, frame) = self.framer.next(src);
        let item = match frame {
            Framed::NeedMore => None,
            Framed::Hopeless => return Err(CodecError::Hopeless),
            Framed::Fault(fault) => {
                self.expected = Expected::Command;
                Some(CommandFrame::Fault(fault))
            }
            Framed::Line(line) if matches!(self.expected, Expected::Line) => {
                self.expected = Expected::Command;
                Some(CommandFrame::Line(Bytes::copy_from_slice(line)))
            }
            Framed::Line(line) => {
                let read = if self.utf8 { Command::parse_utf8(line) } else { Command::parse(line) };
                match read {
                    Ok(Command::Bdat { size, .. }) => self.expected = Expected::Chunk(ChunkDecoder::new(size)),
                    Err(_) if CommandLine::split(line).verb == Some(Verb::Bdat) => self.expected = Expected::Unknown,
                    _ => {}
                }
                Some(match read {
                    Ok(command) => CommandFrame::Command(command.into()),
                    Err(error) => CommandFrame::Refused(error),
                })
            }
        };
        src.advance(used);
        Ok(item)
    }

    /// Whether the stream may end here.
    fn is_between(&self) -> bool {
        matches!(self.expected, Expected::Command | Expected::Line) && self.framer.is_at_line_start()
    }
}

impl Decoder for CommandCodec {
    type Item = CommandFrame;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<CommandFrame>, CodecError> {
        match &mut self.expected {
            Expected::Command | Expected::Line => self.line(src),
            Expected::Unknown => Err(CodecError::Hopeless),
            Expected::Data(decoder) => {
                let (used, step) = decoder.next(src);
                match step {
                    DataStep::NeedMore => {
                        src.advance(used);
                        Ok(None)
                    }
                    DataStep::Body(piece) => {
                        let length = piece.len();
                        // Nearly every piece is the end of what was used; what was held back before is not in the buffer.
                        let start = used
                            .checked_sub(length)
                            .filter(|&start| core::ptr::eq(src[start..].as_ptr(), piece.as_ptr()));
                        let held_back = if start.is_none() { Bytes::copy_from_slice(piece) } else { Bytes::new() };
                        let taken = src.split_to(used).freeze();
                        Ok(Some(CommandFrame::Body(start.map_or(held_back, |start| taken.slice(start..)))))
                    }
                    DataStep::End => {
                        let faults = decoder.faults();
                        src.advance(used);
                        self.expected = Expected::Command;
                        Ok(Some(CommandFrame::DataEnd(faults)))
                    }
                }
            }
            Expected::Chunk(decoder) => match decoder.next(src) {
                (_, ChunkStep::NeedMore) => Ok(None),
                (used, ChunkStep::Body(_)) => Ok(Some(CommandFrame::Body(src.split_to(used).freeze()))),
                (_, ChunkStep::End) => {
                    self.expected = Expected::Command;
                    Ok(Some(CommandFrame::ChunkEnd))
                }
            },
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<CommandFrame>, CodecError> {
        match self.decode(src)? {
            None if !self.is_between() => Err(CodecError::UnexpectedEnd),
            item => Ok(item),
        }
    }
}

impl Encoder<&Reply> for CommandCodec {
    type Error = CodecError;

    fn encode(&mut self, reply: &Reply, dst: &mut BytesMut) -> Result<(), CodecError> {
        let mut wire = Vec::with_capacity(reply.max_len());
        reply.write_to(&mut wire, self.enhanced);
        dst.extend_from_slice(&wire);
        Ok(())
    }
}

impl Encoder<Reply> for CommandCodec {
    type Error = CodecError;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), CodecError> {
        Encoder::<&Reply>::encode(self, &reply, dst)
    }
}
