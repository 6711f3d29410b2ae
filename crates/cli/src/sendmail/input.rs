//! The message on the standard input: lines that end in LF or CRLF, up to the end or to a line that is a dot.

use std::io::{self, BufRead, Read};

/// Reads a message with each line ended by CRLF.
///
/// A CR that ends no line becomes a space: programs disagree about what it is, so it may not go out (RFC 5321 §2.3.8), and to make a line end of it would let
/// text become header fields.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    /// Whether a line that is a dot ends it.
    dot: bool,
    /// What was read and not given out yet.
    ready: Vec<u8>,
    at: usize,
    /// A CR that may turn out to be part of CRLF.
    cr: bool,
    line: Line,
    ended: bool,
}

/// What there is of the present line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    /// A dot, which is not in `ready` yet.
    Dot,
    More,
}

impl<R: BufRead> Input<R> {
    pub(super) const fn new(inner: R, dot: bool) -> Self {
        Self { inner, dot, ready: Vec::new(), at: 0, cr: false, line: Line::Nothing, ended: false }
    }

    fn put(&mut self, octet: u8) {
        if octet == b'.' && self.dot && self.line == Line::Nothing {
            self.line = Line::Dot;
            return;
        }
        self.release();
        self.line = Line::More;
        self.ready.push(octet);
    }

    /// Gives a dot out after all.
    fn release(&mut self) {
        if self.line == Line::Dot {
            self.ready.push(b'.');
        }
    }

    /// Whether that was the end.
    fn end_line(&mut self) -> bool {
        if self.line == Line::Dot {
            return true;
        }
        self.ready.extend_from_slice(b"\r\n");
        self.line = Line::Nothing;
        false
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.at = 0;
        let piece = loop {
            match self.inner.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?.to_vec(),
            }
        };
        if piece.is_empty() {
            self.ended = true;
            if std::mem::take(&mut self.cr) {
                self.put(b' ');
            }
            // A dot at the very end needs no line end to be one.
            if self.line == Line::More {
                self.end_line();
            }
            return Ok(());
        }
        let mut used = 0;
        for octet in &piece {
            used += 1;
            let cr = std::mem::take(&mut self.cr);
            if *octet == b'\n' {
                if self.end_line() {
                    self.ended = true;
                    break;
                }
                continue;
            }
            if cr {
                self.put(b' ');
            }
            if *octet == b'\r' {
                self.cr = true;
            } else {
                self.put(*octet);
            }
        }
        self.inner.consume(used);
        Ok(())
    }
}

impl<R: BufRead> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.ended {
            self.read_more()?;
        }
        let length = (self.ready.len() - self.at).min(buffer.len());
        buffer[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one piece, and in all others.
    fn read(text: &[u8], dot: bool) -> Vec<u8> {
        let mut results = (1..=text.len().max(1)).map(|length| {
            let mut out = Vec::new();
            Input::new(io::BufReader::with_capacity(length, text), dot).read_to_end(&mut out).unwrap();
            out
        });
        let first = results.next().unwrap();
        assert!(results.all(|result| result == first));
        first
    }

    #[test]
    fn lines_end_in_crlf_whatever_they_ended_in() {
        assert_eq!(read(b"a\nb\r\n\n\r\nc", true), b"a\r\nb\r\n\r\n\r\nc\r\n");
        assert_eq!(read(b"a\rBcc: x\r\r\nb\r", true), b"a Bcc: x \r\nb \r\n");
        assert_eq!(read(b"", true), b"");
    }

    #[test]
    fn a_dot_alone_ends_the_message_unless_it_is_to_be_text() {
        for end in ["\n", "\r\n"] {
            let text = format!("a\n..\n.b\n. \n.{end}c\n");
            assert_eq!(read(text.as_bytes(), true), b"a\r\n..\r\n.b\r\n. \r\n");
            assert_eq!(read(text.as_bytes(), false), b"a\r\n..\r\n.b\r\n. \r\n.\r\nc\r\n");
        }
        assert_eq!(read(b"a\n.", true), b"a\r\n");
        assert_eq!(read(b".\n", true), b"");
        assert_eq!(read(b"a\n.", false), b"a\r\n.\r\n");
    }
}
