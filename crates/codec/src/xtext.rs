//! `xtext`: any octets as characters that a parameter may have (RFC 3461 §4).

use crate::text::{Charset, TEXT, XCHAR, is};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A value in `xtext`, syntax checked and still encoded.
///
/// ```abnf
/// xtext   = *( xchar / hexchar )
/// xchar   = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
/// hexchar = "+" followed by two hexadecimal digits, letters in capitals
/// ```
///
/// In an internationalized session characters beyond ASCII may stand in it, too (RFC 6531 §3.3 `esmtp-value`, RFC 6533 §3).
///
/// ```
/// use ehlo_codec::XText;
///
/// let sender = XText::parse("e+3Dmc2@example.com").unwrap();
/// assert_eq!(&*sender.decode(), b"e=mc2@example.com");
/// assert_eq!(XText::encode(b"e=mc2@example.com"), "e+3Dmc2@example.com");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct XText<'a>(&'a str);

impl<'a> XText<'a> {
    /// Checks a text; `None` if it isn't `xtext`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::with(text, Charset::Utf8)
    }

    pub(crate) fn with(text: &'a str, charset: Charset) -> Option<Self> {
        let classes = XCHAR | charset.extra();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let fits = if byte == b'+' {
                bytes.next().and_then(digit).is_some() && bytes.next().and_then(digit).is_some()
            } else {
                is(byte, classes)
            };
            if !fits {
                return None;
            }
        }
        Some(Self(text))
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The octets that it stands for. They may be anything, line ends and NUL too: whoever prints them has to escape them.
    #[must_use]
    pub fn decode(self) -> Cow<'a, [u8]> {
        if !self.0.contains('+') {
            return Cow::Borrowed(self.0.as_bytes());
        }
        Cow::Owned(self.bytes().collect())
    }

    /// The same without an allocation, one after the other.
    pub fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut bytes = self.0.bytes();
        core::iter::from_fn(move || match bytes.next()? {
            // Two digits stand behind it: that was checked.
            b'+' => Some(bytes.next().and_then(digit)? << 4 | bytes.next().and_then(digit)?),
            byte => Some(byte),
        })
    }

    /// Whether no octet in it was encoded but printable ASCII, space and TAB: it may then stand in a report (RFC 3461 §4.2, §4.4).
    pub(crate) fn is_printable(self) -> bool {
        let mut bytes = self.0.bytes();
        while let Some(byte) = bytes.next() {
            // Two digits stand behind it.
            if byte == b'+'
                && let (Some(high), Some(low)) = (bytes.next().and_then(digit), bytes.next().and_then(digit))
                && !is(high << 4 | low, TEXT)
            {
                return false;
            }
        }
        true
    }

    /// Writes octets as `xtext`; only what may stand for itself does.
    #[must_use]
    pub fn encode(octets: &[u8]) -> String {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = Vec::with_capacity(octets.len());
        for &octet in octets {
            if is(octet, XCHAR) {
                text.push(octet);
            } else {
                text.extend_from_slice(&[b'+', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
            }
        }
        // Nothing but ASCII was written.
        String::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Display for XText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A hexadecimal digit; small letters are none (RFC 3461 §4).
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_comes_back() {
        let octets: Vec<u8> = (0..=255).collect();
        let text = XText::encode(&octets);
        assert!(text.is_ascii());
        assert_eq!(XText::with(&text, Charset::Ascii).expect("it is xtext").decode(), &octets[..]);
    }

    #[test]
    fn what_is_no_xtext_is_refused() {
        for text in ["a=b", "a b", "+", "+4", "+4g", "+4a", "a\r", "\u{7f}"] {
            assert_eq!(XText::parse(text), None, "{text:?}");
        }
        assert_eq!(XText::with("ä", Charset::Ascii), None);
        assert_eq!(XText::parse("ä").map(XText::as_str), Some("ä"));
        assert_eq!(XText::parse("").map(XText::as_str), Some(""));
    }
}
