//! A message that can be sent, and what is found out about it before anything is.

use std::fmt;
use std::io;

use ehlo_tokio::client::MessageBody;
use ehlo_tokio::ehlo_client::codec::{BodyType, LineEnding, StuffError, Stuffed, Stuffer};

use super::form::{Ends, Form};
use super::octets::{Pieces, Place};

/// Octets of a header that are looked at for its sender.
const HEADER: usize = 64 * 1024;

/// Where a message lies.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What it is called: a file, a message of an mbox, or - for the standard input.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) start: u64,
    /// Where it ends at the latest.
    pub(crate) end: u64,
    /// It comes from an mbox, whose quotes are taken off.
    pub(crate) quoted: bool,
    /// The sender that an mbox tells.
    pub(crate) sender: Option<String>,
}

/// A message that can be sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) source: Source,
    ends: Ends,
    /// Its octets, all lines ended by CRLF.
    pub(crate) size: u64,
    pub(crate) kind: BodyType,
    /// Its header has text beyond ASCII (RFC 6532).
    pub(crate) utf8: bool,
    /// Whom its header names as the sender: what Return-Path says, or From.
    pub(crate) header_sender: Option<String>,
}

/// Why a file can't be sent.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is nothing in it.
    Empty,
    /// A CR or LF stands alone although there are CRLFs, or CR alone ends lines.
    Mixed(StuffError),
    /// It can't be read.
    Read(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::Mixed(error) => {
                let what = match error.kind {
                    LineEnding::BareCr => "a CR without LF",
                    LineEnding::BareLf => "an LF without CR beside lines that end in CRLF",
                };
                write!(
                    f,
                    "mixed line ends: {what} at byte {}; nothing was sent; --line-endings normalize makes CRLF of each",
                    error.offset
                )
            }
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl Message {
    /// Looks through a message, all of it.
    pub(crate) fn look(source: Source, normalize: bool) -> Result<Self, Fault> {
        let mut pieces = source.pieces().map_err(Fault::Read)?;
        let (mut any, mut cr, mut lf) = (false, false, false);
        loop {
            let piece = pieces.next().map_err(Fault::Read)?;
            if piece.is_empty() {
                break;
            }
            any = true;
            cr |= piece.contains(&b'\r');
            lf |= piece.contains(&b'\n');
        }
        if !any {
            return Err(Fault::Empty);
        }
        let ends = match (normalize, cr, lf) {
            (true, ..) => Ends::Normalize,
            (false, false, true) => Ends::FromLf,
            (false, ..) => Ends::Keep,
        };
        let mut message = Self { source, ends, size: 0, kind: BodyType::SevenBit, utf8: false, header_sender: None };
        let mut body = message.body().map_err(Fault::Read)?;
        let (mut stuffer, mut header, mut in_header) = (Stuffer::new(), Vec::new(), true);
        let mut last_lines = [0; 4];
        loop {
            let piece = body.piece().map_err(Fault::Read)?;
            if piece.is_empty() {
                break;
            }
            check(&mut stuffer, piece).map_err(Fault::Mixed)?;
            message.size += piece.len() as u64;
            if !piece.is_ascii() {
                message.kind = BodyType::EightBitMime;
            }
            if in_header {
                let end = header_end(&mut last_lines, piece);
                let part = &piece[..end.unwrap_or(piece.len())];
                message.utf8 |= !part.is_ascii();
                header.extend_from_slice(&part[..part.len().min(HEADER - header.len())]);
                in_header = end.is_none();
            }
            let length = piece.len();
            body.consume(length);
        }
        stuffer.finish().map_err(Fault::Mixed)?;
        message.header_sender = sender(&header);
        Ok(message)
    }

    /// Whether the file's lines ended in LF.
    pub(crate) fn is_converted(&self) -> bool {
        self.ends == Ends::FromLf
    }

    /// Its octets as they go out.
    pub(crate) fn body(&self) -> io::Result<Body> {
        let form = Form::new(self.source.quoted, self.ends);
        let pieces = self.source.pieces()?;
        Ok(Body { pieces, fresh: form.clone(), form, size: self.size, out: Vec::new(), at: 0, last: 0, ended: false })
    }
}

impl Source {
    fn pieces(&self) -> io::Result<Pieces> {
        Ok(Pieces::new(self.place.open()?, self.start, self.end))
    }
}

/// Sees whether it could be sent.
fn check(stuffer: &mut Stuffer, mut octets: &[u8]) -> Result<(), StuffError> {
    loop {
        let (used, piece) = stuffer.next(octets)?;
        octets = &octets[used..];
        if piece == Stuffed::NeedMore {
            return Ok(());
        }
    }
}

/// Where the header ends in a piece, by the empty line. `last` are the octets before it.
fn header_end(last: &mut [u8; 4], piece: &[u8]) -> Option<usize> {
    piece.iter().position(|&octet| {
        last.rotate_left(1);
        last[3] = octet;
        // A message that begins with an empty line has no header.
        last == b"\r\n\r\n" || last == b"\0\0\r\n"
    })
}

/// The address in Return-Path, or else in From.
fn sender(header: &[u8]) -> Option<String> {
    let header = String::from_utf8_lossy(header);
    let field = |name: &str| {
        let mut lines = header
            .split("\r\n")
            .skip_while(|line| !line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let mut value = lines.next()?[name.len()..].to_owned();
        lines.take_while(|line| line.starts_with([' ', '\t'])).for_each(|line| value.push_str(line));
        Some(value)
    };
    let value = field("Return-Path:").or_else(|| field("From:"))?;
    super::address::of_field(&value).into_iter().next()
}

/// A message's octets, as they go out.
#[derive(Debug)]
pub(crate) struct Body {
    pieces: Pieces,
    form: Form,
    fresh: Form,
    size: u64,
    out: Vec<u8>,
    at: usize,
    /// The octet that came last.
    last: u8,
    ended: bool,
}

impl Body {
    fn piece(&mut self) -> io::Result<&[u8]> {
        while self.at == self.out.len() && !self.ended {
            self.out.clear();
            self.at = 0;
            let piece = self.pieces.next()?;
            if piece.is_empty() {
                self.ended = true;
                self.form.finish(&mut self.out);
                // DATA would end the last line, so BDAT is to do it, too.
                if self.out.last().copied().unwrap_or(self.last) != b'\n' {
                    self.out.extend_from_slice(b"\r\n");
                }
            } else {
                self.form.next(piece, &mut self.out);
                self.last = self.out.last().copied().unwrap_or(self.last);
            }
        }
        Ok(&self.out[self.at..])
    }
}

impl MessageBody for Body {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    async fn fill(&mut self) -> io::Result<&[u8]> {
        self.piece()
    }

    fn consume(&mut self, n: usize) {
        self.at += n.min(self.out.len() - self.at);
    }

    async fn rewind(&mut self) -> io::Result<bool> {
        self.pieces.rewind();
        self.form = self.fresh.clone();
        (self.at, self.last, self.ended) = (0, 0, false);
        self.out.clear();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(octets: &[u8], normalize: bool) -> Result<Message, Fault> {
        let place = Place::Memory(octets.into());
        let source = Source { name: "x".to_owned(), place, start: 0, end: u64::MAX, quoted: false, sender: None };
        Message::look(source, normalize)
    }

    fn sent(octets: &[u8]) -> (Vec<u8>, bool) {
        let message = message(octets, false).unwrap();
        let mut body = message.body().unwrap();
        let mut all = Vec::new();
        loop {
            let piece = body.piece().unwrap().to_vec();
            if piece.is_empty() {
                break;
            }
            body.consume(piece.len());
            all.extend(piece);
        }
        assert_eq!(message.size, all.len() as u64);
        (all, message.is_converted())
    }

    #[test]
    fn text_is_converted_and_crlf_is_left_alone() {
        assert_eq!(sent(b"a\n\nb\n"), (b"a\r\n\r\nb\r\n".to_vec(), true));
        assert_eq!(sent(b"a\r\n\r\nb\r\n"), (b"a\r\n\r\nb\r\n".to_vec(), false));
        assert_eq!(sent(b"a"), (b"a\r\n".to_vec(), false));
    }

    #[test]
    fn mixed_line_ends_are_refused_where_they_stand_unless_they_may_be_changed() {
        assert!(matches!(message(b"", false), Err(Fault::Empty)));
        for (bytes, kind, offset) in [
            (&b"a\r\nb\nc\r\n"[..], LineEnding::BareLf, 4),
            (b"a\nb\r\n", LineEnding::BareLf, 1),
            (b"a\rb\n", LineEnding::BareCr, 1),
            (b"a\rb", LineEnding::BareCr, 1),
        ] {
            let Err(Fault::Mixed(error)) = message(bytes, false) else { panic!("{bytes:?}") };
            assert_eq!(error, StuffError { kind, offset });
            assert!(message(bytes, true).is_ok());
        }
    }

    #[test]
    fn the_header_tells_of_utf8_and_of_the_sender() {
        let body = message("Subject: x\n\n\u{e4}\n".as_bytes(), false).unwrap();
        assert_eq!((body.kind, body.utf8, body.header_sender), (BodyType::EightBitMime, false, None));
        let header = message("From: \u{e4}\n  <Ada@x.example>\n\nFrom: b@c\n".as_bytes(), false).unwrap();
        assert!(header.utf8);
        assert_eq!(header.header_sender.as_deref(), Some("Ada@x.example"));
        let none = message("\nFrom: \u{e4}@b\n".as_bytes(), false).unwrap();
        assert_eq!((none.utf8, none.header_sender), (false, None));
    }
}
