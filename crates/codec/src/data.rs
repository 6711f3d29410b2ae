//! Finding the end of a DATA body and taking the dot-stuffing out (RFC 5321 §4.1.1.4, §4.5.2).

use core::fmt;
use memchr::memchr_iter;

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

    /// Whether anything was wrong.
    #[must_use]
    pub const fn any(self) -> bool {
        self.bare_cr || self.bare_lf || self.nul
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the very beginning, or behind CRLF.
    LineStart,
    /// Within a line.
    Text,
    /// Behind a CR that was handed out.
    Cr,
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
        Self { state: State::LineStart, faults: DataFaults { bare_cr: false, bare_lf: false, nul: false } }
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
            match (self.state, byte) {
                (State::LineStart, b'.') => {
                    self.state = State::Dot;
                    used += 1;
                }
                (State::Dot, b'\r') => {
                    self.state = State::DotCr;
                    used += 1;
                }
                (State::DotCr, b'\n') => {
                    self.state = State::LineStart;
                    return (used + 1, DataStep::End);
                }
                (State::DotCr, _) => {
                    // The dot was stuffing; the CR behind it is body, and a bare one.
                    self.state = State::Text;
                    self.faults.bare_cr = true;
                    return (used, DataStep::Body(b"\r"));
                }
                (State::LineStart | State::Dot | State::Text | State::Cr, _) => {
                    let length = self.body(&input[used..]);
                    return (used + length, DataStep::Body(&input[used..used + length]));
                }
            }
        }
    }

    /// The length of the piece of body at the front of `rest`: up to a line that begins with a dot, or all of it.
    fn body(&mut self, rest: &[u8]) -> usize {
        let mut after_cr = self.state == State::Cr;
        if after_cr && rest[0] != b'\n' {
            self.faults.bare_cr = true;
            after_cr = false;
        }
        let mut end = rest.len();
        let mut pairs = 0;
        for at in memchr_iter(b'\n', rest) {
            let paired = if at == 0 { after_cr } else { rest[at - 1] == b'\r' };
            if !paired {
                self.faults.bare_lf = true;
                continue;
            }
            // A CR of an earlier piece is not counted below.
            pairs += usize::from(at > 0);
            if rest.get(at + 1) == Some(&b'.') {
                end = at + 1;
                break;
            }
        }
        let piece = &rest[..end];
        let (carriage_returns, nul) = census(piece);
        let ends_in_cr = piece.last() == Some(&b'\r');
        if carriage_returns != pairs + usize::from(ends_in_cr) {
            self.faults.bare_cr = true;
        }
        self.faults.nul |= nul;
        self.state = match piece {
            [.., b'\r', b'\n'] => State::LineStart,
            [b'\n'] if after_cr => State::LineStart,
            [.., b'\r'] => State::Cr,
            _ => State::Text,
        };
        end
    }
}

/// Counts CR and looks for NUL. Written in blocks so that the compiler turns it into vector code.
fn census(piece: &[u8]) -> (usize, bool) {
    let mut carriage_returns = 0;
    let mut nul = false;
    // 128 counts at most per lane fit a u8.
    for block in piece.chunks(128) {
        let mut count = 0_u8;
        let mut zeros = 0_u8;
        for &byte in block {
            count += u8::from(byte == b'\r');
            zeros |= u8::from(byte == 0);
        }
        carriage_returns += usize::from(count);
        nul |= zeros != 0;
    }
    (carriage_returns, nul)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// The slow, obvious way: one byte at a time over the whole stream.
    fn naive(stream: &[u8]) -> (Vec<u8>, Option<usize>, DataFaults) {
        let mut body = Vec::new();
        let mut faults = DataFaults::default();
        let mut i = 0;
        let mut line_start = true;
        while i < stream.len() {
            if line_start && stream[i] == b'.' {
                if stream[i..].starts_with(b".\r\n") {
                    return (body, Some(i + 3), faults);
                }
                if b".\r\n".starts_with(&stream[i..]) {
                    break; // may become the end
                }
                i += 1;
                line_start = false;
                continue;
            }
            line_start = false;
            match stream[i] {
                b'\r' if stream.get(i + 1) == Some(&b'\n') => {
                    body.extend_from_slice(b"\r\n");
                    i += 2;
                    line_start = true;
                    continue;
                }
                b'\r' if i + 1 < stream.len() => faults.bare_cr = true,
                b'\n' => faults.bare_lf = true,
                0 => faults.nul = true,
                _ => {}
            }
            body.push(stream[i]);
            i += 1;
        }
        (body, None, faults)
    }

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
    fn agrees_with_the_naive_model_on_all_short_strings() {
        let alphabet = [b'\r', b'\n', b'.', b'a', 0];
        for length in 0..=8_u32 {
            for code in 0..5_usize.pow(length) {
                let mut stream = [0; 8];
                let mut rest = code;
                for byte in &mut stream[..length as usize] {
                    *byte = alphabet[rest % 5];
                    rest /= 5;
                }
                let stream = &stream[..length as usize];
                assert_eq!(decode(&[stream]), naive(stream), "{stream:?}");
            }
        }
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
