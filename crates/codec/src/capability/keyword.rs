//! From the first bytes of a line of an EHLO reply to its keyword, without a loop over either.

use super::Extension;

/// Bytes of a line that [`find`] looks at: the longest keyword and what follows it.
pub(super) const WINDOW: usize = 24;

const WORDS: usize = WINDOW / 8;

/// Parameters that are kept hold of, so that they can be read without a search: one place for each keyword that has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    Size,
    Auth,
    /// `AUTH=`, which no RFC knows.
    AuthEquals,
    Limits,
    DeliverBy,
    FutureRelease,
    MtPriority,
    NoSoliciting,
    Burl,
    XClient,
    XForward,
    /// Of those that have none.
    Unused,
}

pub(super) const SLOTS: usize = Slot::Unused as usize + 1;

impl Slot {
    const fn of(extension: Extension) -> Self {
        match extension {
            Extension::Size => Self::Size,
            Extension::Auth => Self::Auth,
            Extension::Limits => Self::Limits,
            Extension::DeliverBy => Self::DeliverBy,
            Extension::FutureRelease => Self::FutureRelease,
            Extension::MtPriority => Self::MtPriority,
            Extension::NoSoliciting => Self::NoSoliciting,
            Extension::Burl => Self::Burl,
            Extension::XClient => Self::XClient,
            Extension::XForward => Self::XForward,
            _ => Self::Unused,
        }
    }
}

/// A keyword, in a form that a line is compared with in a few steps.
#[derive(Clone, Copy)]
pub(super) struct Keyword {
    pub(super) extension: Extension,
    pub(super) slot: Slot,
    pub(super) length: usize,
    /// Its capitals and CRLF, little-endian, with zeros behind.
    text: [u64; WORDS],
    /// What of a line is compared with that: all bits of a digit, hyphen, CR and LF, all but that of the case of a letter, none behind.
    mask: [u64; WORDS],
    /// The bytes of the keyword alone, without CRLF.
    bytes: [u64; WORDS],
}

impl Keyword {
    const fn new(extension: Extension) -> Self {
        let keyword = extension.keyword().as_bytes();
        assert!(keyword.len() + 2 <= WINDOW);
        let (mut text, mut mask, mut bytes) = ([0; WORDS], [0; WORDS], [0; WORDS]);
        let mut i = 0;
        while i < keyword.len() + 2 {
            let (word, shift) = (i / 8, 8 * (i % 8));
            let byte = if i < keyword.len() {
                bytes[word] |= 0xff << shift;
                keyword[i]
            } else if i == keyword.len() {
                b'\r'
            } else {
                b'\n'
            };
            text[word] |= (byte as u64) << shift;
            mask[word] |= (if byte.is_ascii_uppercase() { 0xdf } else { 0xff }) << shift;
            i += 1;
        }
        Self { extension, slot: Slot::of(extension), length: keyword.len(), text, mask, bytes }
    }
}

const COUNT: usize = Extension::ALL.len();

static KEYWORDS: [Keyword; COUNT] = {
    let mut keywords = [Keyword::new(Extension::Pipelining); COUNT];
    let mut i = 0;
    while i < COUNT {
        keywords[i] = Keyword::new(Extension::ALL[i]);
        i += 1;
    }
    keywords
};

/// The bits that tell the keywords apart: three characters without their case, and one bit of the fourth, which is not set in what follows
/// a keyword of three letters.
const KEY: u64 = 0x10df_dfdf;

/// The key of a text whose first bytes are these, little-endian.
const fn key(first: u64) -> u32 {
    (first & KEY) as u32
}

/// The key of a keyword.
pub(super) const fn key_of(keyword: &str) -> u32 {
    let keyword = keyword.as_bytes();
    let fourth = if keyword.len() > 3 { keyword[3] } else { 0 };
    key(u32::from_le_bytes([keyword[0], keyword[1], keyword[2], fourth]) as u64)
}

// No two keywords have the same key.
const _: () = {
    let mut i = 0;
    while i < COUNT {
        let mut j = 0;
        while j < i {
            assert!(key_of(Extension::ALL[i].keyword()) != key_of(Extension::ALL[j].keyword()));
            j += 1;
        }
        i += 1;
    }
};

/// The keyword that a line begins with, in any case, and whether CRLF follows it at once. What else follows is for the caller to look at.
#[inline]
pub(super) fn find(line: &[u8; WINDOW]) -> Option<(&'static Keyword, bool)> {
    let (words, _) = line.as_chunks::<8>();
    let &[a, b, c] = words else { return None };
    let line = [u64::from_le_bytes(a), u64::from_le_bytes(b), u64::from_le_bytes(c)];
    // By comparisons and not by a table of keys: a processor that foresees them is at the next line before this one is compared.
    let keyword = &KEYWORDS[Extension::by_key(key(line[0]))? as usize];
    let difference = [
        (line[0] ^ keyword.text[0]) & keyword.mask[0],
        (line[1] ^ keyword.text[1]) & keyword.mask[1],
        (line[2] ^ keyword.text[2]) & keyword.mask[2],
    ];
    if difference[0] | difference[1] | difference[2] == 0 {
        return Some((keyword, true));
    }
    let [a, b, c] = keyword.bytes;
    ((difference[0] & a) | (difference[1] & b) | (difference[2] & c) == 0).then_some((keyword, false))
}

/// The first bytes of `line`, with zeros behind where it is shorter.
pub(super) fn window<const N: usize>(line: &[u8]) -> [u8; N] {
    let mut window = [0; N];
    let length = line.len().min(N);
    window[..length].copy_from_slice(&line[..length]);
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &[u8]) -> Option<Extension> {
        find(&window(line)).map(|(keyword, _)| keyword.extension)
    }

    #[test]
    fn each_keyword_is_found_in_any_case_and_nothing_that_differs_in_one_byte() {
        for extension in Extension::ALL {
            let mut line = *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
            let length = extension.keyword().len();
            line[..length].copy_from_slice(extension.keyword().as_bytes());
            assert_eq!(found(&line), Some(extension));
            assert_eq!(found(&line.to_ascii_lowercase()), Some(extension));
            for i in 0..length {
                for byte in 0..=255_u8 {
                    let mut other = line;
                    other[i] = byte;
                    let same = byte.eq_ignore_ascii_case(&line[i]);
                    assert_eq!(found(&other) == Some(extension), same, "{extension} with {byte} at {i}");
                }
            }
        }
    }

    #[test]
    fn what_follows_a_keyword_does_not_matter() {
        for extension in Extension::ALL {
            for behind in [&b""[..], b"\r\n", b"-*", b"\r", b"\r ", b" ", b" X", b"\tX", b"=", b"=X"] {
                let line = [extension.keyword().as_bytes(), behind].concat();
                // A keyword of three letters is found where it ends, or something else follows it that is no parameter.
                let expected = Some(extension).filter(|_| extension.keyword().len() > 3 || !behind.starts_with(b"="));
                assert_eq!(found(&line), expected, "{}", line.escape_ascii());
                let is_bare = find(&window(&line)).is_some_and(|(_, is_bare)| is_bare);
                assert_eq!(is_bare, behind == b"\r\n", "{}", line.escape_ascii());
            }
        }
    }
}
