//! What a server offers (RFC 5321 §4.1.1.1 `ehlo-ok-rsp`).

mod extension;

pub use extension::Extension;

use crate::reply_reader::ReplyView;
use alloc::string::String;

/// What a server said it offers. Keywords that nobody here knows are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    known: u64,
    size: Option<u64>,
    /// The reply's texts, LF between lines: the server's name and greeting, then a keyword a line.
    text: String,
}

impl Capabilities {
    /// Reads the reply to EHLO. A line that does not fit the grammar is passed over: it offers nothing.
    #[must_use]
    pub fn from_reply(reply: &ReplyView<'_>) -> Self {
        let mut capabilities = Self::default();
        for (i, line) in reply.lines().enumerate() {
            let Some(line) = crate::text::ascii(line) else {
                continue;
            };
            if i > 0 {
                capabilities.text.push('\n');
                capabilities.note(line);
            }
            capabilities.text.push_str(line);
        }
        capabilities
    }

    fn note(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next() else { return };
        let Some(extension) = Extension::parse(keyword) else {
            return;
        };
        self.known |= extension.bit();
        if extension == Extension::Size {
            // RFC 1870 §4: zero, or no number, is no fixed limit. More than 64 bits is more than any message has.
            self.size = words.next().and_then(|w| w.parse().ok()).filter(|&n| n > 0);
        }
    }

    /// Whether the server offers it.
    #[must_use]
    pub const fn has(&self, extension: Extension) -> bool {
        self.known & extension.bit() != 0
    }

    /// The largest message that the server takes, in octets, if it names one (RFC 1870 §4).
    #[must_use]
    pub const fn max_size(&self) -> Option<u64> {
        self.size
    }

    /// The server's own name and greeting: the first line.
    #[must_use]
    pub fn greeting(&self) -> &str {
        self.text.split('\n').next().unwrap_or_default()
    }

    /// Each keyword with its parameters, known or not, as they came.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n').skip(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReplyLimits, ReplyReader};
    use alloc::vec::Vec;

    fn read(wire: &[u8]) -> Capabilities {
        let mut reader = ReplyReader::new(ReplyLimits::default());
        reader.next(wire);
        Capabilities::from_reply(&reader.reply().expect("a whole reply"))
    }

    #[test]
    fn keywords_in_any_case_and_unknown_ones_are_read() {
        let caps =
            read(b"250-mx.example hello\r\n250-pipelining\r\n250-SIZE 1000\r\n250-X-NEW a  b\r\n250 8bitMIME\r\n");
        assert!(caps.has(Extension::Pipelining) && caps.has(Extension::EightBitMime));
        assert!(!caps.has(Extension::EnhancedStatusCodes));
        assert_eq!(caps.max_size(), Some(1000));
        assert_eq!(caps.greeting(), "mx.example hello");
        assert_eq!(caps.lines().collect::<Vec<_>>(), ["pipelining", "SIZE 1000", "X-NEW a  b", "8bitMIME"]);
    }

    #[test]
    fn a_size_of_zero_or_beyond_64_bits_is_no_limit() {
        for wire in [
            &b"250-x\r\n250 SIZE 0\r\n"[..],
            b"250-x\r\n250 SIZE\r\n",
            b"250-x\r\n250 SIZE 99999999999999999999999\r\n",
        ] {
            let caps = read(wire);
            assert!(caps.has(Extension::Size));
            assert_eq!(caps.max_size(), None);
        }
    }

    #[test]
    fn a_reply_without_keywords_offers_nothing() {
        assert_eq!(read(b"250 mx\r\n").lines().count(), 0);
    }
}
