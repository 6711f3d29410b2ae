//! The ledger of a verifying store: what `ehlo serve --store verify` writes when it ends, and what a load test reads.
//!
//! It is text, one line for each stored message, in any order:
//!
//! ```text
//! ehlo-ledger 1
//! 00000000000000070000000000000001 2048 9c1f...  (id, length in bytes, digest; ids and digests are 32 hexadecimal digits)
//! - 311 41aa...                                  (a message without a readable id)
//! end 2
//! ```
//!
//! The first line names the format and its version. The last gives the number of messages: a ledger without it was cut short. The digest
//! is XXH3-128 over the message's decoded bytes, without trace lines that the server adds; the length is that of the same bytes. The id
//! is what [`MessageId::parse`](crate::MessageId::parse) reads at the beginning of the message.

use std::fmt;
use std::io::{self, BufRead, Read as _, Write};

use crate::integrity::Stored;

/// The first line.
const HEADER: &str = "ehlo-ledger 1";

/// The longest line that is read, its LF included: an id, a length of 20 digits and a digest make 87.
const MAX_LINE: u64 = 96;

/// Writes a whole ledger and flushes it. The writer should have a buffer.
///
/// # Errors
///
/// What the writer said.
pub fn write(mut to: impl Write, entries: impl IntoIterator<Item = Stored>) -> io::Result<()> {
    writeln!(to, "{HEADER}")?;
    let mut count = 0_u64;
    for Stored { id, length, digest } in entries {
        match id {
            Some(id) => writeln!(to, "{id} {length} {digest:032x}")?,
            None => writeln!(to, "- {length} {digest:032x}")?,
        }
        count += 1;
    }
    writeln!(to, "end {count}")?;
    to.flush()
}

/// Why a ledger cannot be believed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LedgerError {
    /// It could not be read.
    Io(io::Error),
    /// A line isn't what the format has at its place. Lines are counted from 1.
    Line {
        /// The line's number.
        number: u64,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read the ledger: {error}"),
            Self::Line { number, wrong } => write!(f, "ledger, line {number}: {wrong}"),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Line { .. } => None,
        }
    }
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a whole ledger.
///
/// # Errors
///
/// [`LedgerError`] if it cannot be read, or isn't a whole ledger of this version.
pub fn read(mut from: impl BufRead) -> Result<Vec<Stored>, LedgerError> {
    let mut entries = Vec::new();
    let mut line = Vec::with_capacity(MAX_LINE as usize);
    let mut number = 0;
    loop {
        number += 1;
        let fail = |wrong| LedgerError::Line { number, wrong };
        line.clear();
        from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        let text = match line.strip_suffix(b"\n") {
            Some(text) => std::str::from_utf8(text).map_err(|_| fail("not text"))?,
            None if line.is_empty() => {
                return Err(fail("the last line, `end COUNT`, is missing: the ledger was cut short"));
            }
            None if line.len() as u64 == MAX_LINE => return Err(fail("too long")),
            None => return Err(fail("cut short")),
        };
        if number == 1 {
            if text != HEADER {
                return Err(fail("not a ledger of this version"));
            }
        } else if let Some(count) = text.strip_prefix("end ") {
            if count.parse() != Ok(entries.len() as u64) {
                return Err(fail("the count differs from the number of lines"));
            }
            if !from.fill_buf()?.is_empty() {
                return Err(fail("something follows the last line"));
            }
            return Ok(entries);
        } else {
            entries.push(entry(text).ok_or_else(|| fail("not `ID LENGTH DIGEST`"))?);
        }
    }
}

fn entry(text: &str) -> Option<Stored> {
    let mut fields = text.split(' ');
    let (id, length, digest) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let id = if id == "-" { None } else { Some(hexadecimal(id)?.into()) };
    Some(Stored { id, length: decimal(length)?, digest: hexadecimal(digest)? })
}

/// 32 hexadecimal digits. The standard parser alone would take a sign and other lengths, too.
fn hexadecimal(text: &str) -> Option<u128> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    const ENTRIES: [Stored; 3] = [
        Stored { id: Some(MessageId { run: 7, sequence: 8 }), length: 0, digest: u128::MAX },
        Stored { id: None, length: u64::MAX, digest: 1 },
        Stored { id: Some(MessageId { run: u64::MAX, sequence: 0 }), length: 12, digest: 0 },
    ];

    fn written(entries: &[Stored]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, entries.iter().copied()).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(read(&written(&ENTRIES)[..]).unwrap(), ENTRIES);
        assert_eq!(read(&written(&[])[..]).unwrap(), []);
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = Stored { id: Some(u128::MAX.into()), length: u64::MAX, digest: u128::MAX };
        assert_eq!(read(&written(&[longest])[..]).unwrap(), [longest]);
    }

    #[test]
    fn a_ledger_cut_anywhere_is_refused() {
        let whole = written(&ENTRIES);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn wrong_lines_are_named_by_number() {
        let id = "0123456789abcdef0123456789abcdef";
        for (text, line) in [
            ("ehlo-ledger 2\nend 0\n".to_owned(), 1),
            (format!("ehlo-ledger 1\n{id} 1 {id}\n{id} 1\nend 2\n"), 3),
            (format!("ehlo-ledger 1\n{id} +1 {id}\nend 1\n"), 2),
            (format!("ehlo-ledger 1\n+{} 1 {id}\nend 1\n", &id[1..]), 2),
            (format!("ehlo-ledger 1\n{id} 1 {id} \nend 1\n"), 2),
            (format!("ehlo-ledger 1\n{id} 1 {id}\nend 2\n"), 3),
            (format!("ehlo-ledger 1\nend 0\n{id} 1 {id}\n"), 2),
            (format!("ehlo-ledger 1\n{}\nend 1\n", "a".repeat(1000)), 2),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}:")), "{text}: {error}");
        }
    }
}
