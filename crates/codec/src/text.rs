//! Character classes of RFC 5321 §4.1.2, RFC 5234 appendix B and RFC 6531 §3.3, and checked text.

use core::fmt;

/// `atext` (RFC 5322 §3.2.3).
pub(crate) const ATEXT: u8 = 1;
/// `Let-dig`.
pub(crate) const LET_DIG: u8 = 1 << 1;
/// `Let-dig` and `-`: what a label or an `esmtp-keyword` is made of.
pub(crate) const LDH: u8 = 1 << 2;
/// `esmtp-value`: 33-60 and 62-126.
pub(crate) const VALUE: u8 = 1 << 3;
/// `qtextSMTP`: 32-33, 35-91 and 93-126.
pub(crate) const QTEXT: u8 = 1 << 4;
/// Printable ASCII, space and TAB.
pub(crate) const TEXT: u8 = 1 << 5;
/// `xchar` (RFC 3461 §4): 33-126 without `+` and `=`.
pub(crate) const XCHAR: u8 = 1 << 6;
/// A byte of a character beyond ASCII.
pub(crate) const HIGH: u8 = 1 << 7;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= LET_DIG | LDH | ATEXT;
        }
        if b == b'-' {
            class |= LDH;
        }
        if matches!(
            b,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^' | b'_' | b'`' | b'{'..=b'~'
        ) {
            class |= ATEXT;
        }
        if matches!(b, 33..=60 | 62..=126) {
            class |= VALUE;
            if b != b'+' {
                class |= XCHAR;
            }
        }
        if matches!(b, 32..=33 | 35..=91 | 93..=126) {
            class |= QTEXT;
        }
        if matches!(b, b'\t' | 32..=126) {
            class |= TEXT;
        }
        if !b.is_ascii() {
            class = HIGH;
        }
        classes[i] = class;
        i += 1;
    }
    classes
};

/// Whether a byte is of one of the classes.
#[inline(always)]
pub(crate) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// The end of the run of bytes of those classes that begins at `from`.
#[inline(always)]
pub(crate) fn run(bytes: &[u8], from: usize, classes: u8) -> usize {
    let mut i = from;
    // Four at a time: a jump back for each byte would cost as much as the look-up.
    while let Some([a, b, c, d]) = bytes.get(i..).and_then(<[u8]>::first_chunk) {
        if !is(*a, classes) {
            return i;
        }
        if !is(*b, classes) {
            return i + 1;
        }
        if !is(*c, classes) {
            return i + 2;
        }
        if !is(*d, classes) {
            return i + 3;
        }
        i += 4;
    }
    while let Some(&byte) = bytes.get(i)
        && is(byte, classes)
    {
        i += 1;
    }
    i
}

/// The end of the run of letters and digits (`Let-dig`) that begins at `from`, eight at a time: in the labels of a domain there are seldom more.
#[inline(always)]
pub(crate) fn run_let_dig(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let end = not_let_dig(u64::from_le_bytes(*chunk)).trailing_zeros() / 8;
        at += end as usize;
        if end < 8 {
            return at;
        }
    }
    while let Some(&byte) = bytes.get(at)
        && is(byte, LET_DIG)
    {
        at += 1;
    }
    at
}

/// The high bit of each of eight bytes that is neither a letter nor a digit.
#[inline(always)]
const fn not_let_dig(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    const fn from(first: u8) -> u64 {
        ONES * (0x80 - first as u64)
    }
    // Without their high bits, no byte carries into the next one.
    let low = word & !HIGH;
    let digits = (low + from(b'0')) & !(low + from(b'9' + 1));
    // With this bit, a capital letter is a small one, and no other byte becomes a letter.
    let small = low | (0x20 * ONES);
    let letters = (small + from(b'a')) & !(small + from(b'z' + 1));
    (!(digits | letters) | word) & HIGH
}

/// Whether all bytes are of those classes.
pub(crate) fn all(bytes: &[u8], classes: u8) -> bool {
    bytes.iter().all(|&b| is(b, classes))
}

/// Which characters an argument may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// RFC 5321.
    Ascii,
    /// RFC 6531 §3.3.
    Utf8,
}

impl Charset {
    /// What is allowed beside the classes of ASCII.
    #[inline(always)]
    pub(crate) const fn extra(self) -> u8 {
        match self {
            Self::Ascii => 0,
            Self::Utf8 => HIGH,
        }
    }
}

/// What was checked to be text, as text. To look at it again costs less than to do so in every parse, of which few need it.
#[inline]
pub(crate) const fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Four letters in small form, for a comparison at once. Only the two forms of a letter become that letter.
#[inline(always)]
pub(crate) const fn four(letters: &[u8; 4]) -> u32 {
    u32::from_be_bytes(*letters) | 0x2020_2020
}

/// Bytes as text, if all of them are ASCII.
pub(crate) fn ascii(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() { core::str::from_utf8(bytes).ok() } else { None }
}

/// Splits trailing spaces off. RFC 5321 §4.1.1: receivers SHOULD tolerate white space before the CRLF.
#[inline]
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len();
    while end > 0 && matches!(bytes[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    &bytes[..end]
}

/// The argument of NOOP, HELP, VRFY or EXPN: text that cannot end its line early.
///
/// One or more printable characters, spaces and TABs, without white space at its end (RFC 5321 §4.1.1.6 to §4.1.1.9). In a command of
/// an internationalized session also UTF-8 (RFC 6531 §3.7.4).
///
/// ```
/// use ehlo_codec::Text;
///
/// assert_eq!(Text::new("Ada Lovelace").map(Text::as_str), Some("Ada Lovelace"));
/// assert_eq!(Text::new("ada\r\nRSET"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Checks a text; `None` if it is empty, ends in white space, or has a control character.
    #[must_use]
    pub fn new(text: &'a str) -> Option<Self> {
        Self::with(text, Charset::Utf8)
    }

    pub(crate) fn with(text: &'a str, charset: Charset) -> Option<Self> {
        let bytes = text.as_bytes();
        let ends_well = bytes.last().is_some_and(|b| !matches!(b, b' ' | b'\t'));
        (ends_well && all(bytes, TEXT | charset.extra())).then_some(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{LET_DIG, is, run, run_let_dig};

    #[test]
    fn letters_and_digits_are_told_from_each_other_byte_in_each_place() {
        for place in 0..8 {
            for byte in 0..=255 {
                let mut bytes = *b"aZ0zA9mX";
                bytes[place] = byte;
                let expected = if is(byte, LET_DIG) { 8 } else { place };
                assert_eq!(run_let_dig(&bytes, 0), expected, "{byte:#04x} in place {place}");
            }
        }
    }

    #[test]
    fn a_run_ends_in_the_same_place_however_it_is_looked_for() {
        for length in 0..=40 {
            for end in 0..=length {
                let mut bytes = [b'x'; 40];
                bytes[end.min(39)] = if end < 40 { b'-' } else { b'x' };
                for from in 0..=end {
                    let there = &bytes[..length];
                    assert_eq!(run_let_dig(there, from), run(there, from, LET_DIG), "{length}, {end}, {from}");
                }
            }
        }
    }
}
