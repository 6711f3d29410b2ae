//! Replies as a client reads them (RFC 5321 §4.2, §4.2.1).

use crate::line::{Framed, LineFault, LineFramer};
use crate::reply_line::whole_line;
use alloc::vec::Vec;
use core::fmt;
use ehlo_codes::{EnhancedCode, ReplyClass, ReplyCode};

/// How much of a reply is read. A server that goes beyond is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Octets of one line, CRLF included. RFC 5321 §4.5.3.1.5 says 512; some servers go beyond it, so the default is 2048.
    pub line: usize,
    /// Octets of all texts of one reply. Default: 64 KiB, several times the longest EHLO reply seen.
    pub total: usize,
    /// Lines of one reply. Default: 256.
    pub lines: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self { line: 2048, total: 64 * 1024, lines: 256 }
    }
}

/// Why what a server sent is no reply. There is no way to go on: the connection is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplyFault {
    /// The line's ending or length.
    Line(LineFault),
    /// The line does not begin with three digits, the first of them 2 to 5, and a space, hyphen or the end.
    Syntax,
    /// The lines of one reply carry different codes (RFC 5321 §4.2.1).
    CodesDiffer,
    /// More lines or octets than [`ReplyLimits`] allow.
    TooLong,
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line(LineFault::BareLf) => "a reply line ends in LF without CR",
            Self::Line(LineFault::BareCr) => "a reply line has a CR without LF",
            Self::Line(LineFault::Nul) => "a reply line has a NUL",
            Self::Line(LineFault::TooLong) => "a reply line is too long",
            Self::Syntax => "what came is not an SMTP reply",
            Self::CodesDiffer => "the lines of one reply carry different codes",
            Self::TooLong => "a reply is too long",
        })
    }
}

impl core::error::Error for ReplyFault {}

/// What [`ReplyReader::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStep {
    /// The input was used up and the reply is not complete.
    NeedMore,
    /// A reply is complete; [`ReplyReader::reply`] shows it until the next call.
    Reply(ReplyCode),
    /// What came is no reply.
    Fault(ReplyFault),
}

/// Reads replies out of a byte stream, each of any number of lines, under [`ReplyLimits`].
#[derive(Clone, Debug)]
pub struct ReplyReader {
    framer: LineFramer,
    limits: ReplyLimits,
    code: Option<ReplyCode>,
    complete: bool,
    lines: usize,
    /// The texts of the lines so far, LF between them.
    text: Vec<u8>,
}

impl ReplyReader {
    /// A reader at the beginning of a connection.
    #[must_use]
    pub const fn new(limits: ReplyLimits) -> Self {
        Self {
            framer: LineFramer::new(limits.line).with_max_discard(limits.line),
            limits,
            code: None,
            complete: false,
            lines: 0,
            text: Vec::new(),
        }
    }

    /// The last complete reply.
    #[must_use]
    pub fn reply(&self) -> Option<ReplyView<'_>> {
        let code = self.code.filter(|_| self.complete)?;
        Some(ReplyView { code, text: &self.text })
    }

    /// Whether a reply has begun and is not complete.
    #[must_use]
    pub fn is_mid_reply(&self) -> bool {
        !self.framer.is_at_line_start() || (self.code.is_some() && !self.complete)
    }

    /// Takes bytes from the front of `input`; gives how many, and what they complete.
    pub fn next(&mut self, input: &[u8]) -> (usize, ReplyStep) {
        if self.complete {
            self.complete = false;
            self.code = None;
            self.lines = 0;
            self.text.clear();
        }
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            // A short line that is whole needs no search for its end and then another for what may not stand in it.
            let short = if self.framer.is_at_line_start() { whole_line(rest) } else { None };
            let (length, frame) = match short.filter(|length| length + 2 <= self.limits.line) {
                Some(length) => (length + 2, Framed::Line(rest.get(..length).unwrap_or_default())),
                None => self.framer.next(rest),
            };
            used += length;
            let line = match frame {
                Framed::NeedMore => return (used, ReplyStep::NeedMore),
                Framed::Fault(fault) => return (used, ReplyStep::Fault(ReplyFault::Line(fault))),
                Framed::Hopeless => {
                    return (used, ReplyStep::Fault(ReplyFault::Line(LineFault::TooLong)));
                }
                Framed::Line(line) => line,
            };
            let Some((code, last, text)) = split(line) else {
                return (used, ReplyStep::Fault(ReplyFault::Syntax));
            };
            if self.code.is_some_and(|first| first != code) {
                return (used, ReplyStep::Fault(ReplyFault::CodesDiffer));
            }
            self.lines += 1;
            if self.lines > self.limits.lines || self.text.len() + text.len() >= self.limits.total {
                return (used, ReplyStep::Fault(ReplyFault::TooLong));
            }
            if self.code.is_some() {
                self.text.push(b'\n');
            }
            self.code = Some(code);
            self.text.extend_from_slice(text);
            if last {
                self.complete = true;
                return (used, ReplyStep::Reply(code));
            }
        }
    }
}

/// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`
pub(crate) fn split(line: &[u8]) -> Option<(ReplyCode, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    let code = ReplyCode::new(code).filter(|c| !matches!(c.class(), ReplyClass::Preliminary | ReplyClass::Other))?;
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// A complete reply, borrowed from its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyView<'a> {
    code: ReplyCode,
    text: &'a [u8],
}

impl<'a> ReplyView<'a> {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code at the front of its text, if one of the reply code's class stands there (RFC 2034 §4).
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        EnhancedCode::parse_prefix(self.text).map(|(code, _)| code).filter(|code| code.agrees_with(self.code))
    }

    /// The texts of its lines, LF between them.
    pub(crate) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The texts of its lines, without codes but with an enhanced code where there is one. Any byte but CR, LF and NUL may stand here.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.text.split(|&b| b == b'\n')
    }
}

impl fmt::Display for ReplyView<'_> {
    /// As on the wire, LF between lines; bytes that are no text are shown as U+FFFD, control characters as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines().peekable();
        while let Some(line) = lines.next() {
            let more = lines.peek().is_some();
            write!(f, "{}{}", self.code, if more { '-' } else { ' ' })?;
            for c in alloc::string::String::from_utf8_lossy(line).chars() {
                fmt::Write::write_char(f, if c.is_control() && c != '\t' { '?' } else { c })?;
            }
            if more {
                f.write_str("\n")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};

    fn read(stream: &[u8], segment: usize) -> Vec<Result<String, ReplyFault>> {
        let mut reader = ReplyReader::new(ReplyLimits::default());
        let mut seen = Vec::new();
        for mut rest in stream.chunks(segment.max(1)) {
            loop {
                let (used, step) = reader.next(rest);
                rest = &rest[used..];
                match step {
                    ReplyStep::NeedMore => break,
                    ReplyStep::Reply(_) => seen.push(Ok(reader.reply().expect("it is complete").to_string())),
                    ReplyStep::Fault(fault) => {
                        seen.push(Err(fault));
                        return seen;
                    }
                }
            }
        }
        seen
    }

    #[test]
    fn replies_are_the_same_in_any_segmentation() {
        let stream = b"220 mx ready\r\n250-mx\r\n250-SIZE 10\r\n250 HELP\r\n250\r\n354 \r\n";
        let whole = read(stream, stream.len());
        assert_eq!(whole, ["220 mx ready", "250-mx\n250-SIZE 10\n250 HELP", "250 ", "354 "].map(|s| Ok(s.to_string())));
        for segment in 1..stream.len() {
            assert_eq!(read(stream, segment), whole, "segments of {segment}");
        }
    }

    #[test]
    fn what_is_no_reply_is_a_fault() {
        for (stream, fault) in [
            (&b"abc\r\n"[..], ReplyFault::Syntax),
            (b"\r\n", ReplyFault::Syntax),
            (b"25 x\r\n", ReplyFault::Syntax),
            (b"999 x\r\n", ReplyFault::Syntax),
            (b"199 x\r\n", ReplyFault::Syntax),
            (b"250x\r\n", ReplyFault::Syntax),
            (b"250-a\r\n251 b\r\n", ReplyFault::CodesDiffer),
            (b"250 a\n", ReplyFault::Line(LineFault::BareLf)),
        ] {
            assert_eq!(read(stream, stream.len()), [Err(fault)], "{stream:?}");
        }
        assert_eq!(read(&b"250-x\r\n".repeat(300), 7), [Err(ReplyFault::TooLong)]);
        assert_eq!(read(&b"2".repeat(10_000), 100), [Err(ReplyFault::Line(LineFault::TooLong))]);
    }

    #[test]
    fn an_enhanced_code_counts_only_with_the_class_of_the_reply() {
        let view =
            |text: &'static str| ReplyView { code: ReplyCode::new(550).unwrap(), text: text.as_bytes() }.enhanced();
        assert_eq!(view("5.7.300 no").map(|e| e.detail()), Some(300));
        assert_eq!(view("4.7.1 no"), None);
        assert_eq!(view("no"), None);
    }

    #[test]
    fn control_characters_of_a_peer_are_not_printed() {
        let view = ReplyView { code: ReplyCode::new(250).unwrap(), text: b"\x1b[2Jhi\xff" };
        assert_eq!(format!("{view}"), "250 ?[2Jhi\u{fffd}");
    }
}
