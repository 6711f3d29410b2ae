//! A message, as it is cut out of what the peer sent.

use super::Shape;
use ehlo_server::BareLineEnds;

/// A message that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// As it has to be handed over: with the dots taken out, and line ends made CRLF where that is the setting.
    pub(crate) body: Vec<u8>,
    /// It has a CR or an LF that stands alone, and is to be refused for that.
    pub(crate) bare: bool,
    /// Its `Received:` fields.
    pub(crate) received: usize,
}

impl Message {
    /// From all that was sent as one, the dots taken out. A `binary` one has no lines.
    pub(super) fn new(text: Vec<u8>, binary: bool, shape: &Shape) -> Self {
        let bare = !binary && has_bare(&text);
        let body = if bare && shape.line_ends == BareLineEnds::Normalize { normalized(&text) } else { text };
        let received = received(&body);
        Self { body, bare: bare && shape.line_ends == BareLineEnds::Reject, received }
    }
}

/// What stood between 354 and the last dot, with the dots taken out.
pub(crate) fn unstuffed(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    for (i, &byte) in raw.iter().enumerate() {
        let line_start = i == 0 || raw[..i].ends_with(b"\r\n");
        if byte == b'.' && line_start {
            continue;
        }
        text.push(byte);
    }
    text
}

/// Whether a CR or an LF stands alone.
fn has_bare(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(i, &byte)| match byte {
        b'\r' => text.get(i + 1) != Some(&b'\n'),
        b'\n' => i == 0 || text[i - 1] != b'\r',
        _ => false,
    })
}

/// With a CRLF for each CR and each LF that stands alone.
pub(crate) fn normalized(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'\r' => {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    out
}

/// How many lines of the header name a `Received` field (RFC 5322 §3.6.7): all up to the first empty line.
fn received(body: &[u8]) -> usize {
    let lines = body.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_one = |line: &&[u8]| {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        let space = name.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        name.len() < line.len() && name[..name.len() - space].eq_ignore_ascii_case(b"received")
    };
    lines.take_while(|line| !line.is_empty()).filter(is_one).count()
}
