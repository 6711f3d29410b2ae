//! Comparing a name with the first bytes of a text, in any case and without a loop.

/// Bytes of a text that are looked at: the longest name and what follows it.
pub(super) const WINDOW: usize = 24;

const WORDS: usize = WINDOW / 8;

/// The first bytes of a text, little-endian, with zeros behind where it is shorter.
#[derive(Clone, Copy)]
pub(super) struct Window {
    words: [u64; WORDS],
}

impl Window {
    #[inline(always)]
    pub(super) fn new(bytes: &[u8; WINDOW]) -> Self {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self { words }
    }

    /// That of a text of any length.
    #[inline(always)]
    pub(super) fn of(text: &[u8]) -> Self {
        match text.first_chunk() {
            Some(bytes) => Self::new(bytes),
            None => Self::of_short(text),
        }
    }

    /// Word by word and not through a buffer, out of which a processor could not read at once what was just written in pieces.
    #[inline]
    fn of_short(text: &[u8]) -> Self {
        let words = [0, 8, 16].map(|at| {
            let rest = text.get(at..).unwrap_or_default();
            match (rest.first_chunk(), rest.first_chunk(), rest.last_chunk()) {
                (Some(whole), ..) => u64::from_le_bytes(*whole),
                (None, Some(first), Some(last)) => {
                    let shift = 8 * (rest.len() - 4);
                    u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << shift
                }
                _ => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
            }
        });
        Self { words }
    }

    /// The first four bytes.
    #[inline(always)]
    pub(super) const fn four(&self) -> u32 {
        self.words[0] as u32
    }

    /// The byte at a place; 0 behind the end.
    #[inline(always)]
    pub(super) const fn byte(&self, at: usize) -> u8 {
        if at < WINDOW { (self.words[at / 8] >> (8 * (at % 8))) as u8 } else { 0 }
    }
}

/// A name in a form that a window is compared with in a few steps. Meant for constants: then those words of a window that are behind the name
/// are not even read.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    text: [u64; WORDS],
    /// What is compared: all bits of a digit, a hyphen and a line end, all but that of the case of a letter, none behind.
    mask: [u64; WORDS],
}

impl Pattern {
    /// Of a name in capitals, and what follows it.
    pub(super) const fn new(name: &str, end: &str) -> Self {
        let (name, end) = (name.as_bytes(), end.as_bytes());
        assert!(name.len() + end.len() <= WINDOW);
        let (mut text, mut mask) = ([0; WORDS], [0; WORDS]);
        let mut i = 0;
        while i < name.len() + end.len() {
            let (word, shift) = (i / 8, 8 * (i % 8));
            let byte = if i < name.len() { name[i] } else { end[i - name.len()] };
            assert!(!byte.is_ascii_lowercase());
            text[word] |= (byte as u64) << shift;
            mask[word] |= (if byte.is_ascii_uppercase() { 0xdf } else { 0xff }) << shift;
            i += 1;
        }
        Self { text, mask }
    }

    /// Whether a text begins so.
    #[inline(always)]
    pub(super) const fn matches(&self, window: &Window) -> bool {
        let mut difference = 0;
        let mut i = 0;
        while i < WORDS {
            difference |= (window.words[i] ^ self.text[i]) & self.mask[i];
            i += 1;
        }
        difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_first_bytes_and_zeros_behind() {
        let text: [u8; 40] = core::array::from_fn(|i| 0x80 | i as u8);
        for length in 0..text.len() {
            let window = Window::of(&text[..length]);
            for (at, &byte) in text.iter().enumerate() {
                let expected = if at < length.min(WINDOW) { byte } else { 0 };
                assert_eq!(window.byte(at), expected, "byte {at} of {length}");
            }
        }
    }
}
