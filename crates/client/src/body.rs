//! Bodies on their way out: checked, and in the form that a [`Transfer`] has.

use crate::event::{ApiMisuse, BodyEnd, Transfer};
use crate::session::Session;
use ehlo_codec::{BodyType, StuffError, Stuffed, Stuffer};
use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

/// What is done with a CR or an LF in a text that stands alone. It must not be sent: receivers that take it for the end of a line read another
/// message than those that don't (RFC 5321 §2.3.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LineEndings {
    /// The message is not sent. The default: whoever signed it did so as it is.
    #[default]
    Refuse,
    /// It becomes CRLF, for messages in the form that files have.
    Normalize,
}

/// What is known of a message that lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared<'a> {
    /// Its octets, with their lines ended by CRLF.
    pub octets: Cow<'a, [u8]>,
    /// Its kind: 7-bit, or 8-bit if it has octets above 127.
    pub kind: BodyType,
}

impl<'a> Prepared<'a> {
    /// Looks through a text, and ends its lines by CRLF if that is wanted.
    ///
    /// ```
    /// use ehlo_client::codec::BodyType;
    /// use ehlo_client::{LineEndings, Prepared};
    ///
    /// let text = Prepared::text(b"Subject: hi\n\nGr\xc3\xbc\xc3\x9fe\n", LineEndings::Normalize)?;
    /// assert_eq!(*text.octets, *b"Subject: hi\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n");
    /// assert_eq!(text.kind, BodyType::EightBitMime);
    /// assert!(Prepared::text(b"a\nb", LineEndings::Refuse).is_err());
    /// # Ok::<(), ehlo_client::codec::StuffError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StuffError`] for a CR or LF that stands alone, unless it may be changed.
    pub fn text(octets: &'a [u8], endings: LineEndings) -> Result<Self, StuffError> {
        let kind = if octets.is_ascii() { BodyType::SevenBit } else { BodyType::EightBitMime };
        let octets = match (check(octets), endings) {
            (Ok(()), _) => Cow::Borrowed(octets),
            (Err(error), LineEndings::Refuse) => return Err(error),
            (Err(_), LineEndings::Normalize) => {
                let (mut normalizer, mut whole) =
                    (Normalizer::default(), Vec::with_capacity(octets.len() + octets.len() / 32));
                normalizer.next(octets, &mut whole);
                Cow::Owned(whole)
            }
        };
        Ok(Self { octets, kind })
    }
}

fn check(octets: &[u8]) -> Result<(), StuffError> {
    let mut check = Stuffer::new();
    let mut rest = octets;
    loop {
        let (used, piece) = check.next(rest)?;
        rest = &rest[used..];
        if piece == Stuffed::NeedMore {
            return check.finish().map(|_| ());
        }
    }
}

/// Makes each CR, LF and CRLF a CRLF.
#[derive(Clone, Copy, Debug, Default)]
struct Normalizer {
    /// A CR came last, for which CRLF was put out.
    after_cr: bool,
}

impl Normalizer {
    fn next(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        if self.after_cr && rest.first() == Some(&b'\n') {
            rest = &rest[1..];
        }
        self.after_cr &= input.is_empty();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(b"\r\n");
            let cr = rest[at] == b'\r';
            rest = &rest[at + 1..];
            match rest.first() {
                Some(b'\n') if cr => rest = &rest[1..],
                None => self.after_cr = cr,
                _ => {}
            }
        }
        out.extend_from_slice(rest);
    }
}

/// Why a body can't be written to its end. The session is to be [abandoned](Session::abandon), unless nothing was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// A CR or LF stands alone.
    LineEnding(StuffError),
    /// The body has another length than its envelope says, in the form in which it is sent: with its line ends [made
    /// CRLF](LineEndings::Normalize), if that is wanted.
    Length {
        /// What the envelope says, in octets.
        declared: u64,
    },
    /// It has octets above 127, and the envelope says that it is 7-bit.
    NotSevenBit {
        /// The first of them, counted from the body's beginning.
        offset: u64,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineEnding(error) => error.fmt(f),
            Self::Length { declared } => {
                write!(f, "the message does not have the {declared} octets that its envelope says")
            }
            Self::NotSevenBit { offset } => {
                write!(f, "byte {offset} of the message is above 127, and its envelope says that it is 7-bit")
            }
        }
    }
}

impl std::error::Error for BodyError {}

/// Brings a body that comes in pieces into the form that its [`Transfer`] has.
///
/// Its driver calls [`put`](Self::put) for each piece and [`end`](Self::end) behind the last one; between, it writes
/// [`wire`](Self::wire) behind the session's output and confirms by [`sent`](Self::sent). It keeps [`ROOM`](Self::ROOM) octets, and
/// half as many at the most that were written already. An octet that can't be sent, or that would be one too many for the envelope, never
/// gets onto the wire.
#[derive(Debug)]
pub struct BodyWriter {
    transfer: Transfer,
    kind: BodyType,
    declared: Option<u64>,
    endings: LineEndings,
    normalizer: Normalizer,
    /// Puts dots in, or only checks.
    stuffer: Stuffer,
    /// It was looked through before.
    prepared: bool,
    scratch: Vec<u8>,
    wire: Vec<u8>,
    start: usize,
    /// Octets that were handed in, which places are counted in; and what became of them, without the dots.
    taken: u64,
    octets: u64,
    /// Octets of the wire form that were written.
    written: u64,
    /// The chunk in `wire` is announced.
    announced: bool,
    ended: bool,
}

impl BodyWriter {
    /// Octets of a body that are kept at once, and of one chunk of it; a few more where dots or ends of lines are put in.
    pub const ROOM: usize = 64 * 1024;

    /// Octets that are looked at together. What is put in makes twice of them at the most.
    const STEP: usize = 8 * 1024;

    /// A writer for the body of that kind and, if it is known, of that length.
    #[must_use]
    pub const fn new(transfer: Transfer, kind: BodyType, declared: Option<u64>, endings: LineEndings) -> Self {
        Self {
            transfer,
            kind,
            declared,
            endings,
            normalizer: Normalizer { after_cr: false },
            stuffer: Stuffer::new(),
            prepared: false,
            scratch: Vec::new(),
            wire: Vec::new(),
            start: 0,
            taken: 0,
            octets: 0,
            written: 0,
            announced: false,
            ended: false,
        }
    }

    /// The same for another body, with the memory of this one.
    pub fn restart(&mut self, transfer: Transfer, kind: BodyType, declared: Option<u64>, endings: LineEndings) {
        let (mut wire, scratch) = (std::mem::take(&mut self.wire), std::mem::take(&mut self.scratch));
        wire.clear();
        *self = Self { wire, scratch, ..Self::new(transfer, kind, declared, endings) };
    }

    /// The body that begins was looked through as a whole, by [`Prepared::text`] or because a binary one may have anything in it, and is of the kind
    /// that was said: only its length is looked at, and dots are put in where they are needed. For one whose line ends are
    /// [refused](LineEndings::Refuse), not changed.
    pub const fn trust(&mut self) {
        self.prepared = true;
    }

    /// Whether the pieces go on as they come.
    fn goes_as_it_is(&self) -> bool {
        self.kind == BodyType::BinaryMime || (self.prepared && self.transfer != Transfer::Dots)
    }

    /// Whether another piece is wanted: there is room, and the end was not told.
    #[must_use]
    pub const fn wants_more(&self) -> bool {
        !self.ended && !self.announced && self.wire.len() - self.start < Self::ROOM
    }

    /// Takes a piece from the front of `input`, no more than there is room for; gives its length.
    ///
    /// A binary body goes as it is, whatever is to be done with line ends: it has no lines.
    ///
    /// # Errors
    ///
    /// [`BodyError`] if it can't be sent. Places are those in what was handed in.
    pub fn put(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        let mut used = 0;
        while used < input.len() && self.wants_more() {
            let room = (Self::ROOM - (self.wire.len() - self.start)).min(Self::STEP);
            let piece = &input[used..];
            let piece = &piece[..piece.len().min(room)];
            self.take(piece)?;
            used += piece.len();
        }
        Ok(used)
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        if self.kind == BodyType::SevenBit
            && !self.prepared
            && !piece.is_ascii()
            && let Some(at) = piece.iter().position(|byte| !byte.is_ascii())
        {
            return Err(BodyError::NotSevenBit { offset: self.taken + at as u64 });
        }
        // What was written goes once it is much, so that what is left is not moved often.
        if self.start >= Self::ROOM / 2 {
            self.wire.drain(..self.start);
            self.start = 0;
        }
        self.taken += piece.len() as u64;
        if self.endings == LineEndings::Refuse || self.kind == BodyType::BinaryMime {
            return self.append(piece);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.normalizer.next(piece, &mut scratch);
        let appended = self.append(&scratch);
        self.scratch = scratch;
        appended
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        self.octets += piece.len() as u64;
        match self.declared {
            // The server would take what is too much for its next command.
            Some(declared) if self.transfer == Transfer::Whole && self.octets > declared => {
                return Err(BodyError::Length { declared });
            }
            _ => {}
        }
        if self.transfer == Transfer::Dots {
            return self.stuffer.stuff_into(piece, &mut self.wire).map_err(BodyError::LineEnding);
        }
        if !self.goes_as_it_is() {
            let mut rest = piece;
            loop {
                let (used, stuffed) = self.stuffer.next(rest).map_err(BodyError::LineEnding)?;
                rest = &rest[used..];
                if stuffed == Stuffed::NeedMore {
                    break;
                }
            }
        }
        self.wire.extend_from_slice(piece);
        Ok(())
    }

    /// The body has no more pieces.
    ///
    /// # Errors
    ///
    /// [`BodyError`] if it can't end here.
    pub fn end(&mut self) -> Result<(), BodyError> {
        if !self.goes_as_it_is() {
            self.stuffer.finish().map_err(BodyError::LineEnding)?;
        }
        match self.declared {
            Some(declared) if self.transfer == Transfer::Whole && self.octets != declared => {
                return Err(BodyError::Length { declared });
            }
            _ => {}
        }
        self.ended = true;
        Ok(())
    }

    /// Tells the session what there is to tell: call it behind [`put`](Self::put), [`end`](Self::end) and [`sent`](Self::sent), and when a reply
    /// has come, which a chunk may wait for. True once the session knows that the body is at its end; do not call it again then, nor when
    /// the transaction is over.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if the session wants no such body.
    pub fn advance(&mut self, session: &mut Session, now: Instant) -> Result<bool, ApiMisuse> {
        let empty = self.start == self.wire.len();
        if self.transfer == Transfer::Chunks {
            if self.announced && empty {
                session.chunk_finished(now)?;
                self.announced = false;
                if self.ended {
                    return Ok(true);
                }
            }
            let full = self.wire.len() - self.start >= Self::ROOM;
            if !self.announced && (full || self.ended) && session.wants_chunk() {
                session.chunk(now, (self.wire.len() - self.start) as u64, self.ended)?;
                self.announced = true;
                if self.wire.len() == self.start {
                    return self.advance(session, now);
                }
            }
            return Ok(false);
        }
        if !(self.ended && empty) {
            return Ok(false);
        }
        let end = match self.transfer {
            Transfer::Dots if self.stuffer.finish().is_ok_and(|end| end.len() == 3) => BodyEnd::Dot,
            Transfer::Dots => BodyEnd::CrlfDot,
            Transfer::Whole | Transfer::Chunks => BodyEnd::Included,
        };
        session.body_finished(now, end)?;
        Ok(true)
    }

    /// What is to be written behind the session's output.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        match self.transfer {
            // A chunk that is not announced has no place on the wire yet.
            Transfer::Chunks if !self.announced => &[],
            // With the last octet that was announced the server has the message, and may say so at once: it waits until it is known to be the
            // last. A body that is longer than was said is not taken for a whole one.
            Transfer::Whole if !self.ended => &self.wire[self.start..self.wire.len().max(self.start + 1) - 1],
            _ => &self.wire[self.start..],
        }
    }

    /// The first `n` octets of [`wire`](Self::wire) were written.
    pub fn sent(&mut self, n: usize) {
        let n = n.min(self.wire().len());
        self.start += n;
        self.written += n as u64;
        if self.start == self.wire.len() {
            self.wire.clear();
            self.start = 0;
        }
    }

    /// Octets of the wire form that were written: all of the body, and its extra dots.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }
}
