//! Finding the end of a DATA body and taking the dot-stuffing out (RFC 5321 §4.1.1.4, §4.5.2).

use crate::scan::{Place, to_dot};
use alloc::vec::Vec;
use core::fmt;

/// What [`DataDecoder::next`] found.
///
/// Its `Debug` output tells how long a piece is, never what is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DataStep<'a> {
    /// The input was used up and the body goes on.
    NeedMore,
    /// A piece of the body, dot-stuffing removed, line ends as they were sent. Never empty.
    Body(&'a [u8]),
    /// CRLF `.` CRLF was seen. What follows in the input is the next command. The CRLF before the dot belongs to the body and was
    /// handed out.
    End,
}

impl fmt::Debug for DataStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore => f.write_str("NeedMore"),
            Self::Body(piece) => write!(f, "Body({} octets)", piece.len()),
            Self::End => f.write_str("End"),
        }
    }
}

/// Line-ending faults seen in a body so far. The body is handed out as it came, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataFaults {
    /// A CR without LF behind it (RFC 5321 §2.3.8).
    pub bare_cr: bool,
    /// An LF without CR before it (RFC 5321 §2.3.8).
    pub bare_lf: bool,
    /// A NUL byte (RFC 5322 §4 calls it obsolete; some programs end a line or a string at it).
    pub nul: bool,
}

impl DataFaults {
    /// Whether a CR or LF stood alone: two programs may then disagree on where lines, and so the message, end.
    #[must_use]
    pub const fn bare_line_end(self) -> bool {
        self.bare_cr || self.bare_lf
    }

    /// Every fault there is.
    pub(crate) const ALL: Self = Self { bare_cr: true, bare_lf: true, nul: true };

    /// These faults and those of `other`.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self { bare_cr: self.bare_cr | other.bare_cr, bare_lf: self.bare_lf | other.bare_lf, nul: self.nul | other.nul }
    }

    /// Whether anything was wrong.
    #[must_use]
    pub const fn any(self) -> bool {
        self.bare_cr || self.bare_lf || self.nul
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Within the body.
    Body(Place),
    /// Behind a dot at a line's start, held back.
    Dot,
    /// Behind dot CR at a line's start, both held back.
    DotCr,
}

/// Cuts a DATA body out of a byte stream.
///
/// Pieces of the body are slices of the input around the removed dots: nothing is copied and nothing is kept but the state. Only
/// CRLF `.` CRLF ends the body; the body's first line counts as following a CRLF (RFC 5321 §4.1.1.4), so `.` CRLF right
/// behind the 354 is the empty message. Every other arrangement of CR, LF and dot is body, and [`faults`](Self::faults) tells of it.
///
/// A dot at the start of a line is removed whenever anything but CRLF follows it (RFC 5321 §4.5.2).
///
/// ```
/// use ehlo_codec::{DataDecoder, DataStep};
///
/// let mut decoder = DataDecoder::new();
/// let mut input = &b"Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n"[..];
/// let mut body = Vec::new();
/// loop {
///     let (used, step) = decoder.next(input);
///     input = &input[used..];
///     match step {
///         DataStep::Body(piece) => body.extend_from_slice(piece),
///         DataStep::End => break,
///         DataStep::NeedMore => unreachable!("the end is there"),
///     }
/// }
/// assert_eq!(body, b"Subject: x\r\n\r\n.\r\n");
/// assert_eq!(input, b"QUIT\r\n");
/// assert!(!decoder.faults().any());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DataDecoder {
    state: State,
    faults: DataFaults,
}

impl Default for DataDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DataDecoder {
    /// A decoder that stands right behind the 354 reply.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Body(Place::LineStart), faults: DataFaults { bare_cr: false, bare_lf: false, nul: false } }
    }

    /// What was wrong with the line ends so far.
    #[must_use]
    pub const fn faults(&self) -> DataFaults {
        self.faults
    }

    /// Takes bytes from the front of `input`; gives how many, and what they hold.
    ///
    /// Call again with the rest until [`DataStep::End`] or [`DataStep::NeedMore`]; the latter means that all input was used.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, DataStep<'a>) {
        let mut used = 0;
        loop {
            let Some(&byte) = input.get(used) else {
                return (used, DataStep::NeedMore);
            };
            let place = match (self.state, byte) {
                (State::Body(Place::LineStart), b'.') => {
                    self.state = State::Dot;
                    used += 1;
                    continue;
                }
                (State::Dot, b'\r') => {
                    self.state = State::DotCr;
                    used += 1;
                    continue;
                }
                (State::DotCr, b'\n') => {
                    self.state = State::Body(Place::LineStart);
                    return (used + 1, DataStep::End);
                }
                (State::DotCr, _) => {
                    // The dot was stuffing; the CR behind it is body, and a bare one.
                    self.state = State::Body(Place::Text);
                    self.faults.bare_cr = true;
                    return (used, DataStep::Body(b"\r"));
                }
                (State::Dot, _) => Place::Text,
                (State::Body(place), _) => place,
            };
            let (length, place) = to_dot(place, &input[used..], &mut self.faults);
            self.state = State::Body(place);
            return (used + length, DataStep::Body(&input[used..used + length]));
        }
    }

    /// Takes bytes from the front of `input` and appends what they hold of the body to `out`; gives how many, and whether the end of the
    /// body was among them. If it was not, all input was used.
    ///
    /// For those who want the body in one piece; [`next`](Self::next) copies nothing. `out` grows by no more than the length of
    /// `input`, and one byte: a limit on the size of a message is for the caller to keep.
    ///
    /// ```
    /// use ehlo_codec::DataDecoder;
    ///
    /// let (mut decoder, mut body) = (DataDecoder::new(), Vec::new());
    /// assert_eq!(decoder.decode_into(b"..a\r\n.", &mut body), (6, false));
    /// assert_eq!(decoder.decode_into(b"\r\nQUIT\r\n", &mut body), (2, true));
    /// assert_eq!(body, b".a\r\n");
    /// ```
    pub fn decode_into(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut total = 0;
        loop {
            let (used, step) = self.next(&input[total..]);
            total += used;
            match step {
                DataStep::NeedMore => return (total, false),
                DataStep::Body(piece) => out.extend_from_slice(piece),
                DataStep::End => return (total, true),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn decode(segments: &[&[u8]]) -> (Vec<u8>, Option<usize>, DataFaults) {
        let mut decoder = DataDecoder::new();
        let mut body = Vec::new();
        let mut total = 0;
        for segment in segments {
            let mut rest = *segment;
            loop {
                let (used, step) = decoder.next(rest);
                rest = &rest[used..];
                total += used;
                match step {
                    DataStep::NeedMore => {
                        assert!(rest.is_empty());
                        break;
                    }
                    DataStep::Body(piece) => {
                        assert!(!piece.is_empty());
                        body.extend_from_slice(piece);
                    }
                    DataStep::End => return (body, Some(total), decoder.faults()),
                }
            }
        }
        (body, None, decoder.faults())
    }

    #[test]
    fn every_segmentation_of_short_strings_gives_the_same_body() {
        let alphabet = [b'\r', b'\n', b'.', b'a'];
        for code in 0..4_usize.pow(7) {
            let stream: Vec<u8> = (0..7).map(|i| alphabet[code / 4_usize.pow(i) % 4]).collect();
            let whole = decode(&[&stream]);
            for cuts in 0..1_u32 << 6 {
                let mut segments = Vec::new();
                let mut start = 0;
                for i in 0..6 {
                    if cuts >> i & 1 == 1 {
                        segments.push(&stream[start..=i]);
                        start = i + 1;
                    }
                }
                segments.push(&stream[start..]);
                assert_eq!(decode(&segments), whole, "{stream:?} cut as {cuts:b}");
            }
        }
    }

    #[test]
    fn the_empty_message_ends_at_once() {
        assert_eq!(decode(&[b".\r\nNOOP\r\n"]), (Vec::new(), Some(3), DataFaults::default()));
    }

    #[test]
    fn a_first_line_that_begins_with_a_dot_loses_that_dot_and_no_other() {
        let body = |stream: &[u8]| decode(&[stream]).0;
        assert_eq!(body(b"..\r\n.\r\n"), b".\r\n");
        assert_eq!(body(b".a\r\n.\r\n"), b"a\r\n");
        assert_eq!(body(b"...\r\n.\r\n"), b"..\r\n");
    }

    #[test]
    fn no_line_is_added_behind_a_message_that_ends_in_crlf() {
        assert_eq!(decode(&[b"a\r\n.\r\n"]), (b"a\r\n".to_vec(), Some(6), DataFaults::default()));
        assert_eq!(decode(&[b"\r\n.\r\n"]), (b"\r\n".to_vec(), Some(5), DataFaults::default()));
    }

    #[test]
    fn crlf_dot_cr_cr_lf_is_no_end() {
        let (body, end, faults) = decode(&[b"a\r\n.\r\r\nb\r\n.\r\n"]);
        assert_eq!((&body[..], end), (&b"a\r\n\r\r\nb\r\n"[..], Some(13)));
        assert_eq!(faults, DataFaults { bare_cr: true, ..DataFaults::default() });
    }

    #[test]
    fn no_near_miss_ends_the_message() {
        let near: &[&[u8]] = &[
            b"\n.\n",
            b"\n.\r\n",
            b"\r.\r",
            b"\r.\n",
            b"\r.\r\n",
            b"\n.\r",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
            b"\r\r\n.\r\r\n",
            b"\r\n. \r\n",
            b"\r\n.\t\r\n",
            b"\r\n..\r\n",
        ];
        for variant in near {
            let mut stream = b"a".to_vec();
            stream.extend_from_slice(variant);
            stream.extend_from_slice(b"MAIL FROM:<x@y>\r\n");
            assert_eq!(decode(&[&stream]).1, None, "{variant:?}");
            stream.extend_from_slice(b".\r\n");
            assert_eq!(decode(&[&stream]).1, Some(stream.len()), "{variant:?}");
        }
    }

    #[test]
    fn long_bodies_are_one_slice_until_a_stuffed_dot() {
        let mut stream = b"0123456789\r\n".repeat(1000);
        stream.extend_from_slice(b".\r\n");
        let mut decoder = DataDecoder::new();
        assert_eq!(decoder.next(&stream), (12_000, DataStep::Body(&stream[..12_000])));
        assert_eq!(decoder.next(&stream[12_000..]), (3, DataStep::End));
    }
}
