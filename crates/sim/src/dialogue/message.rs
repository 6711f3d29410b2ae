//! A message, as it is cut out of what the peer sent.

/// A message that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// With the dots taken out.
    pub(crate) body: Vec<u8>,
    /// It has a CR or an LF that stands alone.
    pub(crate) bare: bool,
}

impl Message {
    /// From what stood between 354 and the last dot.
    pub(super) fn read(raw: &[u8], binary: bool) -> Self {
        let mut body = Vec::with_capacity(raw.len());
        for (i, &byte) in raw.iter().enumerate() {
            let line_start = i == 0 || raw[..i].ends_with(b"\r\n");
            if byte == b'.' && line_start {
                continue;
            }
            body.push(byte);
        }
        Self { body, bare: !binary && has_bare(raw) }
    }
}

/// Whether a CR or an LF stands alone.
pub(super) fn has_bare(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(i, &byte)| match byte {
        b'\r' => text.get(i + 1) != Some(&b'\n'),
        b'\n' => i == 0 || text[i - 1] != b'\r',
        _ => false,
    })
}
