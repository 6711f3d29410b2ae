//! Finding the end of a command line, before any grammar runs.

use alloc::vec::Vec;
use core::fmt;
use memchr::{memchr, memchr2};

/// What is wrong with a line, found while framing it.
///
/// A line that has one of these never reaches the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineFault {
    /// LF without CR before it. RFC 5321 §2.3.8: only CRLF ends a line.
    ///
    /// Reported at the LF itself, so that a peer that ends its lines with LF alone gets an answer instead of a wait. Nothing up
    /// to the next CRLF is a command; each further bare LF before it is reported again.
    BareLf,
    /// CR without LF behind it, reported at the end of the line.
    BareCr,
    /// A NUL byte, reported at the end of the line (RFC 5321 §4.1.2 has no production with one).
    Nul,
    /// More bytes than the limit, CRLF included; reported at the end of the line (RFC 5321 §4.5.3.1.4).
    TooLong,
}

/// What [`LineFramer::next`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Framed<'a> {
    /// The input was used up and the line is not complete.
    NeedMore,
    /// A complete line without its CRLF. It holds no CR, LF or NUL.
    Line(&'a [u8]),
    /// A line to be refused as a whole.
    Fault(LineFault),
    /// More than the discard limit went by without a CRLF: there is no way to find the next command. Close the connection.
    Hopeless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Collecting a line; what came in earlier calls is in the carry.
    Line,
    /// The last call handed out the carry; it is cleared on the next one.
    Emitted,
    /// The line is too long; its fault is reported at its end.
    TooLong,
    /// The line was answered already (bare LF); silent up to its CRLF.
    Tail,
    /// The discard limit is used up.
    Hopeless,
}

/// Cuts a byte stream into lines that end in CRLF, under a hard cap.
///
/// A line that lies whole in one input is handed out as a slice of it, without a copy; only a partial line is kept, at most `max`
/// bytes. The same bytes give the same frames in any segmentation.
///
/// Neither its `Debug` output nor that of [`Framed`] shows what is in a line: it may be a credential.
#[derive(Clone)]
pub struct LineFramer {
    carry: Vec<u8>,
    state: State,
    max: usize,
    max_discard: usize,
    discarded: usize,
    last_was_cr: bool,
}

impl fmt::Debug for Framed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedMore => f.write_str("NeedMore"),
            Self::Line(line) => write!(f, "Line({} octets)", line.len()),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::Hopeless => f.write_str("Hopeless"),
        }
    }
}

impl fmt::Debug for LineFramer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineFramer")
            .field("state", &self.state)
            .field("held", &self.held())
            .field("max", &self.max)
            .field("discarded", &self.discarded)
            .finish_non_exhaustive()
    }
}

impl LineFramer {
    /// Bytes of one unterminated line that are thrown away, by default, before the framer gives up.
    pub const DEFAULT_DISCARD: usize = 256 * 1024;

    /// A framer for lines of at most `max` bytes, CRLF included. RFC 5321 §4.5.3.1.4 asks for 512 at least for a command.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            carry: Vec::new(),
            state: State::Line,
            max,
            max_discard: Self::DEFAULT_DISCARD,
            discarded: 0,
            last_was_cr: false,
        }
    }

    /// How many bytes of an unterminated line may be thrown away until [`Framed::Hopeless`].
    #[must_use]
    pub const fn with_max_discard(mut self, bytes: usize) -> Self {
        self.max_discard = bytes;
        self
    }

    /// Changes the cap, also for a line that has begun. Extensions raise it (RFC 5321 §4.1.1.11).
    pub const fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Bytes kept of a line that is not complete.
    #[must_use]
    pub fn held(&self) -> usize {
        if self.state == State::Emitted { 0 } else { self.carry.len() }
    }

    /// Whether the framer stands at the beginning of a line.
    #[must_use]
    pub fn is_at_line_start(&self) -> bool {
        match self.state {
            State::Emitted => true,
            State::Line => self.carry.is_empty(),
            State::TooLong | State::Tail | State::Hopeless => false,
        }
    }

    /// Forgets a partial line, and its memory.
    pub fn clear(&mut self) {
        self.carry = Vec::new();
        self.state = State::Line;
        self.discarded = 0;
        self.last_was_cr = false;
    }

    /// Takes bytes from the front of `input`; gives how many, and what they complete.
    ///
    /// Call again with the rest until [`Framed::NeedMore`], which is given only when all of `input` was used.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> (usize, Framed<'a>) {
        let mut used = 0;
        loop {
            match self.state {
                State::Emitted => {
                    self.carry.clear();
                    self.state = State::Line;
                }
                State::Line => {
                    let rest = &input[used..];
                    return match memchr(b'\n', rest) {
                        Some(at) => self.complete(input, used, at),
                        None => {
                            self.keep(rest);
                            (
                                input.len(),
                                if self.state == State::Hopeless { Framed::Hopeless } else { Framed::NeedMore },
                            )
                        }
                    };
                }
                State::TooLong | State::Tail => {
                    let rest = &input[used..];
                    let Some(at) = memchr(b'\n', rest) else {
                        self.discard(rest);
                        return (
                            input.len(),
                            if self.state == State::Hopeless { Framed::Hopeless } else { Framed::NeedMore },
                        );
                    };
                    let after_cr = if at == 0 { self.last_was_cr } else { rest[at - 1] == b'\r' };
                    self.discard(&rest[..=at]);
                    used += at + 1;
                    if self.state == State::Hopeless {
                        return (used, Framed::Hopeless);
                    }
                    if !after_cr {
                        self.state = State::Tail;
                        return (used, Framed::Fault(LineFault::BareLf));
                    }
                    let answered = self.state == State::Tail;
                    self.state = State::Line;
                    self.discarded = 0;
                    self.last_was_cr = false;
                    if !answered {
                        return (used, Framed::Fault(LineFault::TooLong));
                    }
                }
                State::Hopeless => return (input.len(), Framed::Hopeless),
            }
        }
    }

    /// An LF stands at `input[start + at]`: the line is complete, or the LF is a bare one.
    fn complete<'a>(&'a mut self, input: &'a [u8], start: usize, at: usize) -> (usize, Framed<'a>) {
        let used = start + at + 1;
        let fresh = &input[start..used];
        let after_cr = match at {
            0 => self.carry.last() == Some(&b'\r'),
            _ => fresh[at - 1] == b'\r',
        };
        let length = self.carry.len() + fresh.len();
        if !after_cr {
            self.carry.clear();
            self.discarded = length;
            self.last_was_cr = false;
            self.state = if length > self.max_discard { State::Hopeless } else { State::Tail };
            let frame = if self.state == State::Hopeless { Framed::Hopeless } else { Framed::Fault(LineFault::BareLf) };
            return (used, frame);
        }
        if length > self.max {
            self.carry.clear();
            let hopeless = length > self.max_discard;
            self.state = if hopeless { State::Hopeless } else { State::Line };
            return (used, if hopeless { Framed::Hopeless } else { Framed::Fault(LineFault::TooLong) });
        }
        let line = if self.carry.is_empty() {
            &fresh[..at - 1]
        } else {
            self.carry.extend_from_slice(fresh);
            self.state = State::Emitted;
            &self.carry[..length - 2]
        };
        let frame = match memchr2(b'\r', 0, line) {
            None => Framed::Line(line),
            Some(i) if line[i] == b'\r' => Framed::Fault(LineFault::BareCr),
            Some(_) => Framed::Fault(LineFault::Nul),
        };
        (used, frame)
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.carry.len() + rest.len() <= self.max {
            self.carry.extend_from_slice(rest);
            return;
        }
        self.last_was_cr = self.carry.last() == Some(&b'\r');
        let kept = self.carry.len();
        self.carry = Vec::new();
        self.state = State::TooLong;
        self.discarded = kept;
        self.discard(rest);
    }

    fn discard(&mut self, bytes: &[u8]) {
        self.discarded = self.discarded.saturating_add(bytes.len());
        if let Some(last) = bytes.last() {
            self.last_was_cr = *last == b'\r';
        }
        if self.discarded > self.max_discard {
            self.state = State::Hopeless;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[derive(Debug, PartialEq, Clone)]
    enum Seen {
        Line(Vec<u8>),
        Fault(LineFault),
        Hopeless,
    }

    fn run(framer: &mut LineFramer, segments: &[&[u8]]) -> Vec<Seen> {
        let mut seen = vec![];
        for segment in segments {
            let mut rest = *segment;
            loop {
                let (used, frame) = framer.next(rest);
                match frame {
                    Framed::NeedMore => {
                        assert_eq!(used, rest.len());
                        break;
                    }
                    Framed::Line(line) => seen.push(Seen::Line(line.to_vec())),
                    Framed::Fault(fault) => seen.push(Seen::Fault(fault)),
                    Framed::Hopeless => {
                        seen.push(Seen::Hopeless);
                        return seen;
                    }
                }
                rest = &rest[used..];
            }
        }
        seen
    }

    fn all_splits(max: usize, discard: usize, stream: &[u8]) -> Vec<Seen> {
        let new = || LineFramer::new(max).with_max_discard(discard);
        let whole = run(&mut new(), &[stream]);
        for i in 0..=stream.len() {
            assert_eq!(run(&mut new(), &[&stream[..i], &stream[i..]]), whole, "split at {i}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(run(&mut new(), &bytes), whole, "one byte at a time");
        whole
    }

    fn line(bytes: &[u8]) -> Seen {
        Seen::Line(bytes.to_vec())
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(all_splits(64, 1024, b"NOOP\r\n\r\nQUIT\r\n"), [line(b"NOOP"), line(b""), line(b"QUIT")]);
    }

    #[test]
    fn a_bare_lf_is_reported_at_once_and_nothing_behind_it_is_a_line() {
        let seen = all_splits(64, 1024, b"EHLO a\nMAIL FROM:<x@y>\r\nNOOP\r\n");
        assert_eq!(seen, [Seen::Fault(LineFault::BareLf), line(b"NOOP")]);
    }

    #[test]
    fn each_bare_lf_is_reported() {
        let seen = all_splits(64, 1024, b"a\nb\n\r\nNOOP\r\n");
        assert_eq!(seen, [Seen::Fault(LineFault::BareLf), Seen::Fault(LineFault::BareLf), line(b"NOOP")]);
    }

    #[test]
    fn bare_cr_and_nul_spoil_the_whole_line() {
        let seen = all_splits(64, 1024, b"a\rb\r\nc\0d\r\n\r\r\nx\r\n");
        let (cr, nul) = (Seen::Fault(LineFault::BareCr), Seen::Fault(LineFault::Nul));
        assert_eq!(seen, [cr.clone(), nul, cr, line(b"x")]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
        assert_eq!(all_splits(8, 1024, b"123456\r\nok\r\n"), [line(b"123456"), line(b"ok")]);
        assert_eq!(all_splits(8, 1024, b"1234567\r\nok\r\n"), [Seen::Fault(LineFault::TooLong), line(b"ok")]);
    }

    #[test]
    fn a_line_without_end_is_hopeless_after_the_discard_limit() {
        let mut framer = LineFramer::new(8).with_max_discard(32);
        let long = [b'x'; 33];
        assert_eq!(run(&mut framer, &[&long[..32]]), []);
        assert_eq!(framer.held(), 0, "an over-long line is not kept");
        assert_eq!(run(&mut framer, &[&long[32..]]), [Seen::Hopeless]);
        assert_eq!(run(&mut framer, &[b"\r\nNOOP\r\n"]), [Seen::Hopeless], "it stays so");
    }

    #[test]
    fn every_short_string_frames_alike_in_any_segmentation() {
        let alphabet = [b'\r', b'\n', b'a', 0];
        for length in 0..=7_u32 {
            for code in 0..4_usize.pow(length) {
                let mut stream: Vec<u8> = (0..length).map(|i| alphabet[code / 4_usize.pow(i) % 4]).collect();
                stream.extend_from_slice(b"\r\nend\r\n");
                all_splits(6, 64, &stream);
            }
        }
    }
}
