//! A message from a file.

use std::fmt;

use ehlo_tokio::ehlo_client::codec::{LineEnding, StuffError, Stuffed, Stuffer};

/// A message that can be sent.
#[derive(Debug)]
pub(crate) struct Message {
    /// The file's name, or - for the standard input.
    pub(crate) name: String,
    /// The message, all lines ended by CRLF.
    pub(crate) bytes: Vec<u8>,
    /// Whether the file's lines ended in LF.
    pub(crate) converted: bool,
}

/// Why a file can't be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is nothing in it.
    Empty,
    /// A CR or LF stands alone although there are CRLFs, or CR alone ends lines.
    Mixed(StuffError),
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
                write!(f, "mixed line ends: {what} at byte {}; nothing was sent", error.offset)
            }
        }
    }
}

impl Message {
    /// Makes a message of a file's contents.
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Result<Self, Fault> {
        if bytes.is_empty() {
            return Err(Fault::Empty);
        }
        let converted = !bytes.contains(&b'\r') && bytes.contains(&b'\n');
        let bytes = if converted { with_crlf(&bytes) } else { bytes };
        check(&bytes).map_err(Fault::Mixed)?;
        Ok(Self { name: name.to_owned(), bytes, converted })
    }
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    let mut bytes = Vec::with_capacity(text.len() + lines);
    for &byte in text {
        if byte == b'\n' {
            bytes.push(b'\r');
        }
        bytes.push(byte);
    }
    bytes
}

/// Sees whether it could be sent.
fn check(mut bytes: &[u8]) -> Result<(), StuffError> {
    let mut stuffer = Stuffer::new();
    loop {
        let (used, piece) = stuffer.next(bytes)?;
        bytes = &bytes[used..];
        if piece == Stuffed::NeedMore {
            return stuffer.finish().map(|_| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> Result<(Vec<u8>, bool), Fault> {
        Message::new("x", bytes.to_vec()).map(|message| (message.bytes, message.converted))
    }

    #[test]
    fn text_is_converted_and_crlf_is_left_alone() {
        assert_eq!(message(b"a\n\nb\n"), Ok((b"a\r\n\r\nb\r\n".to_vec(), true)));
        assert_eq!(message(b"a\r\n\r\nb\r\n"), Ok((b"a\r\n\r\nb\r\n".to_vec(), false)));
        assert_eq!(message(b"a"), Ok((b"a".to_vec(), false)));
    }

    #[test]
    fn mixed_line_ends_are_refused_where_they_stand() {
        assert_eq!(message(b""), Err(Fault::Empty));
        for (bytes, kind, offset) in [
            (&b"a\r\nb\nc\r\n"[..], LineEnding::BareLf, 4),
            (b"a\nb\r\n", LineEnding::BareLf, 1),
            (b"a\rb\n", LineEnding::BareCr, 1),
            (b"a\r", LineEnding::BareCr, 1),
        ] {
            assert_eq!(message(bytes), Err(Fault::Mixed(StuffError { kind, offset })));
        }
    }
}
