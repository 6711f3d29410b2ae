//! What the lines of a file end in, and how a message with CRLF throughout is made of it.

use std::borrow::Cow;
use std::fmt;

/// What to do with a file that has neither CRLF alone nor LF alone as line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LineEndings {
    /// Refuse it: whatever were sent for it, the user would have to wonder what it was.
    #[default]
    Strict,
    /// Send every CRLF, bare CR and bare LF as CRLF, and leave NUL bytes out.
    Normalize,
}

/// What a message had to undergo before it could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// Nothing: it had CRLF throughout.
    None,
    /// It was text with LF throughout; each LF was sent as CRLF.
    Converted,
    /// It had something that no message may have, and that was replaced because the user asked for it.
    Normalized,
}

/// Something that is counted, and where it was seen first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sightings {
    count: u64,
    /// The offset of the first, in bytes.
    first: usize,
}

impl Sightings {
    fn add(&mut self, at: usize) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += 1;
    }
}

/// The line ends of some bytes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Census {
    crlf: Sightings,
    lf: Sightings,
    cr: Sightings,
    nul: Sightings,
}

impl Census {
    fn of(bytes: &[u8]) -> Self {
        let mut census = Self::default();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => {
                    census.crlf.add(at);
                    at += 1;
                }
                b'\r' => census.cr.add(at),
                b'\n' => census.lf.add(at),
                0 => census.nul.add(at),
                _ => {}
            }
            at += 1;
        }
        census
    }
}

/// Why a message isn't sent as it is: what was found, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// What was found.
    pub kind: UnsendableKind,
    /// How many of them.
    pub count: u64,
    /// The line of the first one, from 1. A line is counted at each LF, and at each CR without one.
    pub line: u64,
    /// The offset of the first one, in bytes.
    pub offset: u64,
}

/// What a message may not have. See [`Unsendable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsendableKind {
    /// A NUL byte (RFC 5321 §4.5.3.1.6 and RFC 5322 §4 leave it to the past).
    Nul,
    /// A CR without LF (RFC 5321 §2.3.8).
    BareCr,
    /// Lines that end in LF beside this many that end in CRLF; the rarer kind is the one that is located.
    LfAmongCrlf {
        /// How many lines end in CRLF.
        crlf: u64,
    },
    /// Lines that end in CRLF beside this many that end in LF; the rarer kind is the one that is located.
    CrlfAmongLf {
        /// How many lines end in LF.
        lf: u64,
    },
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count;
        match self.kind {
            UnsendableKind::Nul => write!(f, "{count} NUL byte{}", plural(count))?,
            UnsendableKind::BareCr => write!(f, "{count} CR without LF")?,
            UnsendableKind::LfAmongCrlf { crlf } => {
                write!(f, "mixed line endings: {count} LF among {crlf} CRLF")?;
            }
            UnsendableKind::CrlfAmongLf { lf } => {
                write!(f, "mixed line endings: {count} CRLF among {lf} LF")?;
            }
        }
        write!(f, ", the first in line {} (byte {})", self.line, self.offset)
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Makes the message that is sent of the bytes that were found.
pub(super) fn prepare(bytes: &[u8], policy: LineEndings) -> Result<(Cow<'_, [u8]>, Change), Unsendable> {
    let census = Census::of(bytes);
    let fault = if census.nul.count > 0 {
        Some((UnsendableKind::Nul, census.nul))
    } else if census.cr.count > 0 {
        Some((UnsendableKind::BareCr, census.cr))
    } else if census.crlf.count > 0 && census.lf.count > 0 {
        Some(if census.lf.count <= census.crlf.count {
            (UnsendableKind::LfAmongCrlf { crlf: census.crlf.count }, census.lf)
        } else {
            (UnsendableKind::CrlfAmongLf { lf: census.lf.count }, census.crlf)
        })
    } else {
        None
    };
    match fault {
        None if census.lf.count == 0 => Ok((Cow::Borrowed(bytes), Change::None)),
        None => Ok((Cow::Owned(normalize(bytes)), Change::Converted)),
        Some(_) if policy == LineEndings::Normalize => Ok((Cow::Owned(normalize(bytes)), Change::Normalized)),
        Some((kind, seen)) => {
            Err(Unsendable { kind, count: seen.count, line: line_of(bytes, seen.first), offset: seen.first as u64 })
        }
    }
}

/// Every kind of line end as CRLF, and no NUL.
fn normalize(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 2);
    let mut after_cr = false;
    for &byte in bytes {
        match byte {
            b'\n' if after_cr => {}
            b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
            0 => {}
            _ => out.push(byte),
        }
        after_cr = byte == b'\r';
    }
    out
}

fn line_of(bytes: &[u8], offset: usize) -> u64 {
    let before = Census::of(&bytes[..offset]);
    1 + before.crlf.count + before.lf.count + before.cr.count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(bytes: &[u8]) -> Result<(Vec<u8>, Change), String> {
        prepare(bytes, LineEndings::Strict).map(|(b, c)| (b.into_owned(), c)).map_err(|e| e.to_string())
    }

    #[test]
    fn crlf_is_sent_as_it_is() {
        assert_eq!(strict(b"a\r\nb\r\n").unwrap(), (b"a\r\nb\r\n".to_vec(), Change::None));
        assert_eq!(strict(b"a\r\nb").unwrap(), (b"a\r\nb".to_vec(), Change::None));
        assert_eq!(strict(b"").unwrap(), (Vec::new(), Change::None));
    }

    #[test]
    fn lf_throughout_is_text() {
        assert_eq!(strict(b"a\n\nb\n").unwrap(), (b"a\r\n\r\nb\r\n".to_vec(), Change::Converted));
        assert_eq!(strict(b"a\nb").unwrap(), (b"a\r\nb".to_vec(), Change::Converted));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(
            strict(b"a\r\nb\nc\r\n").unwrap_err(),
            "mixed line endings: 1 LF among 2 CRLF, the first in line 2 (byte 4)"
        );
        assert_eq!(
            strict(b"a\nb\r\nc\n").unwrap_err(),
            "mixed line endings: 1 CRLF among 2 LF, the first in line 2 (byte 3)"
        );
        assert_eq!(strict(b"a\r\nb\rc\r\n").unwrap_err(), "1 CR without LF, the first in line 2 (byte 4)");
        assert_eq!(strict(b"a\r\n\0\0\r\n").unwrap_err(), "2 NUL bytes, the first in line 2 (byte 3)");
        assert_eq!(strict(b"a\r\r\n").unwrap_err(), "1 CR without LF, the first in line 1 (byte 1)");
        assert_eq!(strict(b"a\r").unwrap_err(), "1 CR without LF, the first in line 1 (byte 1)");
    }

    #[test]
    fn normalising_makes_crlf_of_every_line_end() {
        let (bytes, change) = prepare(b"a\rb\nc\r\nd\n\re\0\r\r\n", LineEndings::Normalize).unwrap();
        assert_eq!(*bytes, *b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n");
        assert_eq!(change, Change::Normalized);
        // A file that needs none isn't counted as normalised.
        assert_eq!(prepare(b"a\r\n", LineEndings::Normalize).unwrap().1, Change::None);
        assert_eq!(prepare(b"a\n", LineEndings::Normalize).unwrap().1, Change::Converted);
    }

    #[test]
    fn normalising_twice_changes_nothing_more() {
        let alphabet = [b'\r', b'\n', b'a', 0];
        for code in 0..4_usize.pow(6) {
            let bytes: Vec<u8> = (0..6).map(|i| alphabet[code / 4_usize.pow(i) % 4]).collect();
            let once = prepare(&bytes, LineEndings::Normalize).unwrap().0.into_owned();
            assert_eq!(strict(&once).unwrap(), (once.clone(), Change::None), "{bytes:?}");
        }
    }
}
