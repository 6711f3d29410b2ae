//! BDAT: a message in counted chunks (RFC 3030 §2), and a look at its line ends.

use crate::DataFaults;
use crate::scan::{Place, line_ends};
use core::fmt;

/// What [`ChunkDecoder::next`] found.
///
/// Its `Debug` output tells how long a piece is, never what is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChunkStep<'a> {
    /// The input was used up and the chunk goes on.
    NeedMore,
    /// A piece of the chunk, as it was sent: BDAT knows no stuffing. Never empty.
    Body(&'a [u8]),
    /// All octets of the chunk were handed out. What follows in the input is the next command.
    End,
}

impl fmt::Debug for ChunkStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore => f.write_str("NeedMore"),
            Self::Body(piece) => write!(f, "Body({} octets)", piece.len()),
            Self::End => f.write_str("End"),
        }
    }
}

/// Cuts one chunk out of a byte stream, from right behind the CRLF of its BDAT command (RFC 3030 §2).
///
/// It counts and does nothing else: any octet may stand in a chunk (§3), and CRLF `.` CRLF means nothing there. A size of zero is a
/// chunk of its own (§2 allows it with `LAST`), whose first step is [`ChunkStep::End`]. A chunk that is refused has to be taken off the
/// stream all the same before its reply is given (§2): run the decoder and drop the pieces.
///
/// There is no limit on the size but that of a `u64`, since nothing is kept; a limit on messages is for the caller to keep.
///
/// ```
/// use ehlo_codec::{ChunkDecoder, ChunkStep};
///
/// let mut decoder = ChunkDecoder::new(7);
/// assert_eq!(decoder.next(b"a\r\n."), (4, ChunkStep::Body(b"a\r\n.")));
/// assert_eq!(decoder.next(b""), (0, ChunkStep::NeedMore));
/// assert_eq!(decoder.remaining(), 3);
/// let rest = b"\r\nbBDAT 0 LAST\r\n";
/// assert_eq!(decoder.next(rest), (3, ChunkStep::Body(b"\r\nb")));
/// assert_eq!(decoder.next(&rest[3..]), (0, ChunkStep::End));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChunkDecoder {
    remaining: u64,
}

impl ChunkDecoder {
    /// A decoder for a chunk of `size` octets: the number in the BDAT command.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { remaining: size }
    }

    /// How many octets of the chunk are still to come.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Takes bytes from the front of `input`; gives how many, and what they hold.
    ///
    /// Call again with the rest until [`ChunkStep::End`] or [`ChunkStep::NeedMore`]; the latter means that all input was used.
    /// Behind the end it gives [`ChunkStep::End`] again and uses nothing.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, ChunkStep<'a>) {
        if self.remaining == 0 {
            return (0, ChunkStep::End);
        }
        // What is beyond a usize is beyond the input.
        let length = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(input.len());
        if length == 0 {
            return (0, ChunkStep::NeedMore);
        }
        self.remaining -= length as u64;
        (length, ChunkStep::Body(&input[..length]))
    }
}

/// Looks at the line ends of a message that is not framed by them, such as one that came in chunks.
///
/// A message sent by BDAT has lines that end in CRLF as well (RFC 3030 §2), unless it is `BODY=BINARYMIME` (§3); but nothing in the
/// framing sees to it. This tells what [`DataDecoder::faults`](crate::DataDecoder::faults) tells of a message sent by DATA. One value
/// serves for the whole message: a CRLF may be cut by the end of a chunk.
///
/// ```
/// use ehlo_codec::LineCheck;
///
/// let mut check = LineCheck::new();
/// check.feed(b"a\r");
/// assert!(!check.faults().any() && check.finish().bare_cr);
/// check.feed(b"\nb\n");
/// assert!(check.faults().bare_lf && !check.faults().bare_cr);
/// assert!(!check.ends_line());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LineCheck {
    place: Place,
    faults: DataFaults,
}

impl Default for LineCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl LineCheck {
    /// A check that stands at the beginning of a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: Place::LineStart, faults: DataFaults { bare_cr: false, bare_lf: false, nul: false } }
    }

    /// Looks at the next bytes of the message, in pieces of any length.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.place = line_ends(self.place, bytes, &mut self.faults);
    }

    /// What was wrong so far. A CR that came last is not judged yet: the LF may follow.
    #[must_use]
    pub const fn faults(&self) -> DataFaults {
        self.faults
    }

    /// What was wrong, if nothing follows: a CR that came last stands alone then.
    #[must_use]
    pub const fn finish(&self) -> DataFaults {
        let mut faults = self.faults;
        faults.bare_cr |= matches!(self.place, Place::Cr);
        faults
    }

    /// Whether the message so far is empty or ends in CRLF. One that doesn't gets a CRLF more where it goes on by DATA.
    #[must_use]
    pub const fn ends_line(&self) -> bool {
        matches!(self.place, Place::LineStart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_no_octets_ends_at_once() {
        let mut decoder = ChunkDecoder::new(0);
        assert_eq!(decoder.next(b""), (0, ChunkStep::End));
        assert_eq!(decoder.next(b"QUIT\r\n"), (0, ChunkStep::End));
    }

    #[test]
    fn a_chunk_is_its_octets_in_any_two_pieces_and_what_follows_is_left() {
        let stream = b"\r\n.\r\n\0QUIT\r\n";
        for size in 0..=stream.len() {
            for cut in 0..=stream.len() {
                let (mut decoder, mut taken) = (ChunkDecoder::new(size as u64), 0);
                for piece in [&stream[..cut], &stream[cut..]] {
                    let mut rest = piece;
                    loop {
                        assert_eq!(decoder.remaining(), (size - taken) as u64);
                        let (used, step) = decoder.next(rest);
                        match step {
                            ChunkStep::Body(body) => {
                                assert!(!body.is_empty());
                                assert_eq!(body, &stream[taken..taken + used]);
                            }
                            ChunkStep::NeedMore => {
                                assert!(rest.is_empty() && taken < size && used == 0);
                                break;
                            }
                            ChunkStep::End => {
                                assert!(taken == size && used == 0);
                                break;
                            }
                        }
                        (rest, taken) = (&rest[used..], taken + used);
                    }
                }
                assert_eq!(taken, size, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_chunk_may_be_larger_than_all_memory() {
        let mut decoder = ChunkDecoder::new(u64::MAX);
        assert_eq!(decoder.next(b"abc"), (3, ChunkStep::Body(b"abc")));
        assert_eq!(decoder.remaining(), u64::MAX - 3);
    }

    #[test]
    fn a_check_finds_the_faults_of_each_short_message_in_any_two_pieces() {
        let alphabet = [b'\r', b'\n', b'.', b'a', 0];
        for code in 0..5_usize.pow(6) {
            let message: [u8; 6] = core::array::from_fn(|i| alphabet[code / 5_usize.pow(i as u32) % 5]);
            let pair = |i: usize| message[i..].starts_with(b"\r\n");
            let expected = DataFaults {
                bare_cr: (0..6).any(|i| message[i] == b'\r' && !pair(i)),
                bare_lf: (0..6).any(|i| message[i] == b'\n' && (i == 0 || !pair(i - 1))),
                nul: message.contains(&0),
            };
            for cut in 0..=message.len() {
                let mut check = LineCheck::new();
                assert!(check.ends_line());
                check.feed(&message[..cut]);
                check.feed(&message[cut..]);
                assert_eq!(check.finish(), expected, "{message:?} cut at {cut}");
                assert_eq!(check.ends_line(), message.ends_with(b"\r\n"), "{message:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_crlf_that_is_cut_by_the_end_of_a_chunk_is_a_line_end() {
        let mut check = LineCheck::new();
        check.feed(&[b'a'; 200]);
        check.feed(b"\r");
        check.feed(b"");
        check.feed(b"\n");
        assert!(check.ends_line() && !check.finish().any());
    }
}
