//! The format "mboxrd": how a message stands in an mbox.
//!
//! Each message begins with a line `From SENDER DATE` and ends with an empty one. Lines end in LF alone. A line of the message that could
//! be taken for the beginning of another one, `From ` behind any number of `>`, gets one `>` more, which readers of mboxrd take away: every
//! message that consists of lines comes out as it came in.

use std::time::SystemTime;

use crate::trace::date::Asctime;

/// What begins a message, behind the beginning of a line.
const FROM: &[u8] = b"From ";

/// Appends the line that begins a message. Of a sender with quoted blanks they become `-`, since a blank ends it here; that of a report,
/// who has no address, is called `MAILER-DAEMON`. The true one stands in `Return-Path`.
pub(super) fn write_from(sender: &str, time: SystemTime, out: &mut Vec<u8>) {
    out.extend_from_slice(FROM);
    if sender.is_empty() {
        out.extend_from_slice(b"MAILER-DAEMON");
    }
    out.extend(sender.bytes().map(|byte| if matches!(byte, b' ' | b'\t') { b'-' } else { byte }));
    out.extend_from_slice(format!(" {}\n", Asctime(time)).as_bytes());
}

/// Turns a message as it came, piece by piece, into what stands in an mbox: CRLF becomes LF, and lines are quoted. A CR or LF that
/// stands alone, which can be in a message only where the server was told to keep it, stays; LF is then a line end like others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quoter {
    at: At,
    /// The last byte was a CR, and is not written yet.
    cr: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// At the beginning of a line.
    #[default]
    Begin,
    /// Behind any number of `>`, and so many bytes of [`FROM`] that are not written yet; one of both at least.
    Start(u8),
    /// Further on in a line.
    Line,
}

impl Quoter {
    /// Appends what becomes of a piece.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(&byte) = bytes.first() {
            if std::mem::take(&mut self.cr) {
                if byte == b'\n' {
                    self.end_line(out);
                    bytes = &bytes[1..];
                    continue;
                }
                self.write(b"\r", out);
            }
            match byte {
                b'\r' => {
                    self.cr = true;
                    bytes = &bytes[1..];
                }
                b'\n' => {
                    self.end_line(out);
                    bytes = &bytes[1..];
                }
                _ if self.at == At::Line => {
                    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[..end]);
                    bytes = &bytes[end..];
                }
                _ => {
                    self.write(&bytes[..1], out);
                    bytes = &bytes[1..];
                }
            }
        }
    }

    /// Appends what ends the message: the end of its last line, should it have none, and the empty line.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.cr) {
            self.write(b"\r", out);
        }
        if self.at != At::Begin {
            self.end_line(out);
        }
        out.push(b'\n');
        *self = Self::default();
    }

    /// A single byte that ends no line.
    fn write(&mut self, byte: &[u8], out: &mut Vec<u8>) {
        let matched = match self.at {
            At::Begin => 0,
            At::Start(matched) => usize::from(matched),
            At::Line => return out.extend_from_slice(byte),
        };
        if byte[0] == FROM[matched] {
            if matched + 1 == FROM.len() {
                // One more of those `>` that may have been written already.
                out.push(b'>');
                out.extend_from_slice(FROM);
                self.at = At::Line;
            } else {
                self.at = At::Start(matched as u8 + 1);
            }
        } else if matched == 0 && byte == b">" {
            out.push(b'>');
            self.at = At::Start(0);
        } else {
            out.extend_from_slice(&FROM[..matched]);
            out.extend_from_slice(byte);
            self.at = At::Line;
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if let At::Start(matched) = self.at {
            out.extend_from_slice(&FROM[..usize::from(matched)]);
        }
        out.push(b'\n');
        self.at = At::Begin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn quoted(pieces: &[&[u8]]) -> String {
        let (mut quoter, mut out) = (Quoter::default(), Vec::new());
        pieces.iter().for_each(|piece| quoter.push(piece, &mut out));
        quoter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_that_look_like_a_beginning_get_one_more_mark() {
        for (message, stored) in [
            ("", "\n"),
            ("a\r\n", "a\n\n"),
            ("From: ada\r\n\r\nx\r\n", "From: ada\n\nx\n\n"),
            ("From ada\r\n>From x\r\n>>>From \r\n", ">From ada\n>>From x\n>>>>From \n\n"),
            (" From x\r\n> From x\r\nfrom x\r\nFrom\r\nFro\r\n", " From x\n> From x\nfrom x\nFrom\nFro\n\n"),
            (">>\r\n>\r\n>F\r\n", ">>\n>\n>F\n\n"),
            ("no end", "no end\n\n"),
            ("From", "From\n\n"),
            (">", ">\n\n"),
            // What stands alone is kept; a reader sees a line behind LF, and so it is quoted.
            ("a\nFrom b\rFrom c\r\n", "a\n>From b\rFrom c\n\n"),
            ("\rFrom a\r\n", "\rFrom a\n\n"),
            ("a\r\r\nb\r", "a\r\nb\r\n\n"),
        ] {
            assert_eq!(quoted(&[message.as_bytes()]), stored, "{message:?}");
            // Wherever it is cut.
            for cut in 0..=message.len() {
                let (one, two) = message.as_bytes().split_at(cut);
                assert_eq!(quoted(&[one, two]), stored, "{message:?} cut at {cut}");
            }
            let bytes: Vec<_> = message.as_bytes().chunks(1).collect();
            assert_eq!(quoted(&bytes), stored, "{message:?} byte by byte");
        }
    }

    #[test]
    fn a_reader_of_mboxrd_gets_every_message_back() {
        // Each message of up to six of these, which are what quoting looks at.
        const PARTS: [&str; 5] = ["\r\n", ">", "From ", "Fro", "x"];
        let mut messages = vec![String::new()];
        for _ in 0..6 {
            let longer = messages.iter().flat_map(|message| PARTS.map(|part| format!("{message}{part}")));
            messages = longer.collect();
        }
        for message in messages {
            let stored = quoted(&[message.as_bytes()]);
            let stored = stored.strip_suffix('\n').unwrap();
            let mut back = String::new();
            for line in stored.split_terminator('\n') {
                assert!(!line.starts_with("From "), "{message:?}");
                let marked = line.trim_start_matches('>').starts_with("From ");
                back += if marked { line.strip_prefix('>').unwrap() } else { line };
                back += "\r\n";
            }
            let ended = message.is_empty() || message.ends_with("\r\n");
            assert_eq!(back, if ended { message.clone() } else { format!("{message}\r\n") });
        }
    }

    #[test]
    fn the_first_line_tells_sender_and_time() {
        for (sender, line) in [
            ("ada@example.org", "From ada@example.org Thu Jan  1 00:01:00 1970\n"),
            ("", "From MAILER-DAEMON Thu Jan  1 00:01:00 1970\n"),
            ("\"a b\tc\"@example.org", "From \"a-b-c\"@example.org Thu Jan  1 00:01:00 1970\n"),
        ] {
            let mut out = Vec::new();
            write_from(sender, UNIX_EPOCH + Duration::from_secs(60), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }
}
