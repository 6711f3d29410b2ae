//! Dot-stuffing on the way out (RFC 5321 §4.5.2), without a copy.

use crate::scan::{Place, to_dot_or_fault};
use alloc::vec::Vec;
use core::fmt;

/// A piece of wire output from [`Stuffer::next`].
///
/// Its `Debug` output tells how long a piece is, never what is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stuffed<'a> {
    /// Body bytes, as they are in the input.
    Bytes(&'a [u8]),
    /// An extra dot, to go out before the next bytes.
    Dot,
    /// The input was used up.
    NeedMore,
}

impl fmt::Debug for Stuffed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(piece) => write!(f, "Bytes({} octets)", piece.len()),
            Self::Dot => f.write_str("Dot"),
            Self::NeedMore => f.write_str("NeedMore"),
        }
    }
}

/// How the lines of a message end that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineEnding {
    /// A CR stands alone.
    BareCr,
    /// An LF stands alone.
    BareLf,
}

/// A message cannot be sent by DATA as it is: RFC 5321 §2.3.8 forbids CR and LF but as CRLF.
///
/// Whoever sends has to refuse it or to normalise it by name; stuffing around it would let two receivers read two different messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuffError {
    /// What stands alone.
    pub kind: LineEnding,
    /// Its offset from the body's beginning, in bytes.
    pub offset: u64,
}

impl fmt::Display for StuffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            LineEnding::BareCr => "CR without LF",
            LineEnding::BareLf => "LF without CR",
        };
        write!(f, "{what} at byte {} of the message; lines must end in CRLF", self.offset)
    }
}

impl core::error::Error for StuffError {}

/// Turns a message into what goes over the wire between 354 and the final reply.
///
/// It changes no byte and adds only dots at line starts and, by [`finish`](Self::finish), the end. The input may come in any pieces.
///
/// ```
/// use ehlo_codec::{Stuffed, Stuffer};
///
/// let mut stuffer = Stuffer::new();
/// let (mut rest, mut wire) = (&b".hidden\r\nend"[..], Vec::new());
/// loop {
///     let (used, piece) = stuffer.next(rest)?;
///     rest = &rest[used..];
///     match piece {
///         Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
///         Stuffed::Dot => wire.push(b'.'),
///         Stuffed::NeedMore => break,
///     }
/// }
/// wire.extend_from_slice(stuffer.finish()?);
/// assert_eq!(wire, b"..hidden\r\nend\r\n.\r\n");
/// # Ok::<(), ehlo_codec::StuffError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stuffer {
    place: Place,
    offset: u64,
    dotted: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Stuffer {
    /// A stuffer at the beginning of a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: Place::LineStart, offset: 0, dotted: false }
    }

    /// Takes bytes from the front of `input`; gives how many, and what to send.
    ///
    /// # Errors
    ///
    /// [`StuffError`] at a CR or LF that stands alone; nothing of the piece that holds it was given out.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Stuffed<'a>), StuffError> {
        let Some(&first) = input.first() else {
            return Ok((0, Stuffed::NeedMore));
        };
        if self.place == Place::LineStart && first == b'.' && !self.dotted {
            self.dotted = true;
            return Ok((0, Stuffed::Dot));
        }
        self.dotted = false;
        if self.place == Place::Cr && first != b'\n' {
            return Err(StuffError { kind: LineEnding::BareCr, offset: self.offset - 1 });
        }
        let (length, place) = to_dot_or_fault(self.place, input)
            .map_err(|(kind, at)| StuffError { kind, offset: self.offset + at as u64 })?;
        self.place = place;
        self.offset += length as u64;
        Ok((length, Stuffed::Bytes(&input[..length])))
    }

    /// Appends what to send for all of `input` to `out`.
    ///
    /// For those who want the message in one piece; [`next`](Self::next) copies nothing. `out` grows by the length of `input` and a dot
    /// for each of its lines that begins with one.
    ///
    /// ```
    /// use ehlo_codec::Stuffer;
    ///
    /// let (mut stuffer, mut wire) = (Stuffer::new(), Vec::new());
    /// stuffer.stuff_into(b".hidden\r\nend", &mut wire)?;
    /// wire.extend_from_slice(stuffer.finish()?);
    /// assert_eq!(wire, b"..hidden\r\nend\r\n.\r\n");
    /// # Ok::<(), ehlo_codec::StuffError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StuffError`] at a CR or LF that stands alone; `out` then holds a beginning of the message, which is not to be sent.
    pub fn stuff_into(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), StuffError> {
        let mut rest = input;
        loop {
            let (used, piece) = self.next(rest)?;
            rest = &rest[used..];
            match piece {
                Stuffed::Bytes(bytes) => out.extend_from_slice(bytes),
                Stuffed::Dot => out.push(b'.'),
                Stuffed::NeedMore => return Ok(()),
            }
        }
    }

    /// What ends the message: `.` CRLF, behind a CRLF if its last line has none.
    ///
    /// # Errors
    ///
    /// [`StuffError`] if the message ends in a CR.
    pub const fn finish(self) -> Result<&'static [u8], StuffError> {
        match self.place {
            Place::LineStart => Ok(b".\r\n"),
            Place::Text => Ok(b"\r\n.\r\n"),
            Place::Cr => Err(StuffError { kind: LineEnding::BareCr, offset: self.offset - 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataDecoder, DataStep};
    use alloc::vec::Vec;

    fn stuff(segments: &[&[u8]]) -> Result<Vec<u8>, StuffError> {
        let mut stuffer = Stuffer::new();
        let mut wire = Vec::new();
        for segment in segments {
            let mut rest = *segment;
            loop {
                let (used, piece) = stuffer.next(rest)?;
                rest = &rest[used..];
                match piece {
                    Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
                    Stuffed::Dot => wire.push(b'.'),
                    Stuffed::NeedMore => break,
                }
            }
        }
        wire.extend_from_slice(stuffer.finish()?);
        Ok(wire)
    }

    fn unstuff(wire: &[u8]) -> Vec<u8> {
        let (mut decoder, mut rest, mut body) = (DataDecoder::new(), wire, Vec::new());
        loop {
            let (used, step) = decoder.next(rest);
            rest = &rest[used..];
            match step {
                DataStep::Body(piece) => body.extend_from_slice(piece),
                DataStep::End => break,
                DataStep::NeedMore => panic!("the wire form of a message ends"),
            }
        }
        assert!(rest.is_empty() && !decoder.faults().any());
        body
    }

    #[test]
    fn unstuffing_gives_back_every_short_message_in_any_two_pieces() {
        // Lines are built of these, so that most strings are legal.
        let atoms: [&[u8]; 4] = [b"\r\n", b".", b"a", b"\r"];
        for code in 0..4_usize.pow(6) {
            let body: Vec<u8> = (0..6).flat_map(|i| atoms[code / 4_usize.pow(i) % 4].iter().copied()).collect();
            let whole = stuff(&[&body]);
            let bare = body.iter().enumerate().any(|(i, &b)| b == b'\r' && body.get(i + 1) != Some(&b'\n'));
            assert_eq!(whole.is_err(), bare, "{body:?}");
            for cut in 0..=body.len() {
                assert_eq!(stuff(&[&body[..cut], &body[cut..]]), whole, "{body:?} cut at {cut}");
            }
            if let Ok(wire) = whole {
                let mut expected = body.clone();
                if !body.is_empty() && !body.ends_with(b"\r\n") {
                    expected.extend_from_slice(b"\r\n");
                }
                assert_eq!(unstuff(&wire), expected, "{body:?}");
            }
        }
    }

    #[test]
    fn no_line_is_added_to_a_message_that_ends_in_crlf() {
        assert_eq!(stuff(&[b"a\r\n"]).unwrap(), b"a\r\n.\r\n");
        assert_eq!(stuff(&[b""]).unwrap(), b".\r\n");
    }

    #[test]
    fn a_lone_cr_or_lf_is_refused_with_its_place() {
        assert_eq!(stuff(&[b"ab\n"]), Err(StuffError { kind: LineEnding::BareLf, offset: 2 }));
        assert_eq!(stuff(&[b"ab\r", b"c"]), Err(StuffError { kind: LineEnding::BareCr, offset: 2 }));
        assert_eq!(stuff(&[b"ab\r"]), Err(StuffError { kind: LineEnding::BareCr, offset: 2 }));
    }
}
