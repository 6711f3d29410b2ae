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
    /// Its capitals, little-endian, with zeros behind.
    text: [u64; WORDS],
    /// What of a line is compared: all bits of a digit or hyphen, all but that of the case of a letter, none behind the keyword.
    mask: [u64; WORDS],
}

impl Keyword {
    const fn new(extension: Extension) -> Self {
        let keyword = extension.keyword().as_bytes();
        assert!(keyword.len() < WINDOW);
        let (mut text, mut mask) = ([0; WORDS], [0; WORDS]);
        let mut i = 0;
        while i < keyword.len() {
            let shift = 8 * (i % 8);
            text[i / 8] |= (keyword[i] as u64) << shift;
            mask[i / 8] |= (if keyword[i].is_ascii_uppercase() { 0xdf } else { 0xff }) << shift;
            i += 1;
        }
        Self { extension, slot: Slot::of(extension), length: keyword.len(), text, mask }
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

/// Where a keyword stands in the table.
const fn place(first: u64, factor: u32) -> usize {
    ((first & KEY) as u32).wrapping_mul(factor) as usize >> 24
}

/// A factor by which no two keywords have the same place, and the table that it makes: the index of a keyword, or `COUNT`.
static TABLE: [u8; 256] = table(FACTOR);

const FACTOR: u32 = {
    let mut factor = 0x9e37_79b1;
    while !is_perfect(factor) {
        factor = factor.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) | 1;
    }
    factor
};

const fn is_perfect(factor: u32) -> bool {
    let mut seen = [false; 256];
    let mut i = 0;
    while i < COUNT {
        let place = place(Keyword::new(Extension::ALL[i]).text[0], factor);
        if seen[place] {
            return false;
        }
        seen[place] = true;
        i += 1;
    }
    true
}

const fn table(factor: u32) -> [u8; 256] {
    let mut table = [COUNT as u8; 256];
    let mut i = 0;
    while i < COUNT {
        table[place(Keyword::new(Extension::ALL[i]).text[0], factor)] = i as u8;
        i += 1;
    }
    table
}

/// The keyword that a line begins with, in any case. What follows it is for the caller to look at.
pub(super) fn find(line: &[u8; WINDOW]) -> Option<&'static Keyword> {
    let (words, _) = line.as_chunks::<8>();
    let &[a, b, c] = words else { return None };
    let (a, b, c) = (u64::from_le_bytes(a), u64::from_le_bytes(b), u64::from_le_bytes(c));
    let keyword = KEYWORDS.get(usize::from(TABLE[place(a, FACTOR)]))?;
    let difference = ((a & keyword.mask[0]) ^ keyword.text[0])
        | ((b & keyword.mask[1]) ^ keyword.text[1])
        | ((c & keyword.mask[2]) ^ keyword.text[2]);
    (difference == 0).then_some(keyword)
}

/// The first bytes of `line`, with zeros behind where it is shorter.
pub(super) fn window<const N: usize>(line: &[u8]) -> [u8; N] {
    if let Some(window) = line.first_chunk::<N>() {
        return *window;
    }
    let mut window = [0; N];
    window[..line.len()].copy_from_slice(line);
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &[u8]) -> Option<Extension> {
        find(&window(line)).map(|keyword| keyword.extension)
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
            for behind in [&b""[..], b"\r\n", b" ", b" X", b"\tX", b"=", b"=X"] {
                let line = [extension.keyword().as_bytes(), behind].concat();
                // A keyword of three letters is found where it ends, or something else follows it that is no parameter.
                let expected = Some(extension).filter(|_| extension.keyword().len() > 3 || !behind.starts_with(b"="));
                assert_eq!(found(&line), expected, "{}", line.escape_ascii());
            }
        }
    }
}
