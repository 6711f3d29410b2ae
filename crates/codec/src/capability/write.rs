//! The reply to EHLO, as a server writes it (RFC 5321 §4.1.1.1 `ehlo-ok-rsp`).

use crate::reply::MAX_REPLY_LINE;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Why a reply to EHLO cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EhloWriteError {
    /// A line has a character other than printable ASCII, space and, in the greeting, TAB.
    Text,
    /// A line would be longer than [`MAX_REPLY_LINE`].
    TooLong,
    /// The greeting does not begin with the server's name, or a line does not begin with a keyword.
    Empty,
}

impl fmt::Display for EhloWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a line of an EHLO reply is printable ASCII",
            Self::TooLong => "a reply line has 512 octets at most",
            Self::Empty => "a line of an EHLO reply begins with a name or a keyword",
        })
    }
}

impl core::error::Error for EhloWriteError {}

/// Appends a reply to EHLO: the greeting, which begins with the server's name, and a line for each capability, which may be a
/// [`Capability`](crate::Capability), an [`Extension`](crate::Extension) or a text.
///
/// ```
/// use ehlo_codec::{Capability, write_ehlo_reply};
///
/// let mut out = Vec::new();
/// write_ehlo_reply(&mut out, "mx.example at your service", [Capability::Size(Some(1000)), Capability::parse("8BITMIME")?])?;
/// assert_eq!(out, b"250-mx.example at your service\r\n250-SIZE 1000\r\n250 8BITMIME\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`EhloWriteError`] tells of the first line that cannot be written. Then nothing was appended: no line is changed to make it fit.
pub fn write_ehlo_reply<I>(out: &mut Vec<u8>, greeting: &str, capabilities: I) -> Result<(), EhloWriteError>
where
    I: IntoIterator,
    I::Item: fmt::Display,
{
    let before = out.len();
    let written = write(out, greeting, capabilities);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn write<I>(out: &mut Vec<u8>, greeting: &str, capabilities: I) -> Result<(), EhloWriteError>
where
    I: IntoIterator,
    I::Item: fmt::Display,
{
    let mut last = out.len();
    line(out, &greeting, true)?;
    for capability in capabilities {
        last = out.len();
        line(out, &capability, false)?;
    }
    // Which line is the last is known only now.
    if let Some(separator) = out.get_mut(last + "250".len()) {
        *separator = b' ';
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, text: &dyn fmt::Display, is_greeting: bool) -> Result<(), EhloWriteError> {
    let begin = out.len();
    out.extend_from_slice(b"250-");
    let mut line = Line { out, begin, fault: None };
    let written = write!(line, "{text}");
    if let Some(fault) = line.fault {
        return Err(fault);
    }
    let text = out.get(begin + "250-".len()..).unwrap_or_default();
    // A `Display` that fails by itself has left its line unfinished.
    let is_text = |&b: &u8| matches!(b, b' '..=b'~') || (is_greeting && b == b'\t');
    if written.is_err() || !text.iter().all(is_text) {
        return Err(EhloWriteError::Text);
    }
    if !text.first().is_some_and(u8::is_ascii_graphic) {
        return Err(EhloWriteError::Empty);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Takes a line up to its limit.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
    fault: Option<EhloWriteError>,
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.out.len() - self.begin + text.len() + "\r\n".len() > MAX_REPLY_LINE {
            self.fault = Some(EhloWriteError::TooLong);
            return Err(fmt::Error);
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extension;

    fn written(greeting: &str, lines: &[&str]) -> Result<Vec<u8>, EhloWriteError> {
        let mut out = b"before".to_vec();
        let result = write_ehlo_reply(&mut out, greeting, lines);
        let behind = out.strip_prefix(b"before").expect("what was there stays").to_vec();
        assert!(result.is_ok() || behind.is_empty(), "nothing is appended with an error");
        result.map(|()| behind)
    }

    #[test]
    fn the_last_line_has_a_space_whichever_it_is() {
        assert_eq!(written("mx", &[]), Ok(b"250 mx\r\n".to_vec()));
        assert_eq!(written("mx hi\tyou", &["A", "B 1"]), Ok(b"250-mx hi\tyou\r\n250-A\r\n250 B 1\r\n".to_vec()));
        let mut out = Vec::new();
        assert_eq!(write_ehlo_reply(&mut out, "mx", Extension::ALL), Ok(()));
        assert!(out.ends_with(b"\r\n250 XFORWARD\r\n"));
    }

    #[test]
    fn a_line_that_cannot_be_written_is_an_error() {
        for line in ["A\r\n250 B", "A\n", "A\0", "\u{e9}", "A\tB", "A\x7f"] {
            assert_eq!(written("mx", &["A", line]), Err(EhloWriteError::Text), "{line:?}");
        }
        assert_eq!(written("mx\r\n", &["A"]), Err(EhloWriteError::Text));
        for (greeting, line) in [("", "A"), (" mx", "A"), ("\tmx", "A"), ("mx", ""), ("mx", " A")] {
            assert_eq!(written(greeting, &[line]), Err(EhloWriteError::Empty));
        }
        let longest = "x".repeat(MAX_REPLY_LINE - "250-\r\n".len());
        assert_eq!(written(&longest, &[&longest]).map(|out| out.len()), Ok(2 * MAX_REPLY_LINE));
        assert_eq!(written("mx", &[&(longest + "x")]), Err(EhloWriteError::TooLong));
    }
}
