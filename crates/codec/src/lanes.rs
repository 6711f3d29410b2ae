//! Sixteen bytes of a command at a time.
//!
//! What a path is made of is short: a local part of a few octets, a domain of some more. To look each octet up in a table costs a load, a
//! test and a branch; here sixteen are compared at once, and what comes out are bits, of which one instruction counts those in front. It is
//! written as loops over arrays of a fixed length, which the compiler turns into vector code on any target.

/// How many bytes there are.
pub(crate) const LANES: usize = 16;

/// Sixteen bytes, of which some at the front may not count.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<'a> {
    /// Where they lie; a copy would not become vector code.
    block: &'a [u8; LANES],
    /// How many at the front do not count.
    skip: u32,
}

impl<'a> Lanes<'a> {
    /// Those of `bytes` from `at` on; fewer near the end. `None` if there are fewer than sixteen bytes in all.
    #[inline(always)]
    pub(crate) fn load(bytes: &'a [u8], at: usize) -> Option<Self> {
        if let Some(block) = bytes.get(at..)?.first_chunk() {
            return Some(Self { block, skip: 0 });
        }
        let block = bytes.last_chunk()?;
        Some(Self { block, skip: (at + LANES - bytes.len()) as u32 })
    }

    /// A bit for each byte that fits. What is added up has a bit of its own for each lane of a half, so the sum is their union; of all ways to
    /// say so it is the one that becomes a single instruction.
    #[inline(never)]
    fn bits(self, fits: impl Fn(u8) -> bool) -> u32 {
        let mut marks = [0_u8; LANES];
        for (lane, mark) in marks.iter_mut().enumerate() {
            *mark = if fits(self.block[lane]) { 1 << (lane % 8) } else { 0 };
        }
        let (mut low, mut high) = (0, 0);
        for lane in 0..8 {
            low += u64::from(marks[lane]);
        }
        for lane in 8..LANES {
            high += u64::from(marks[lane]);
        }
        (high << 8 | low) as u32 >> self.skip
    }

    /// A bit for each byte that may stand in a `Dot-string` (RFC 5321 §4.1.2), dots included; but for `!`, `#` to `'`, `*` and `?`, which hardly ever do.
    #[inline(never)]
    pub(crate) fn atoms(self) -> u32 {
        self.bits(|b| {
            within(b, b'^', b'~') | within(b, b'A', b'Z') | within(b, b'-', b'9') | (b == b'+') | (b == b'=')
        })
    }

    /// A bit for each byte that may stand in a `Domain` of ASCII (RFC 5321 §4.1.2): letters, digits, `-` and dots.
    #[inline(never)]
    pub(crate) fn names(self) -> u32 {
        // With this bit, a capital letter is a small one, and no other byte becomes a letter.
        self.bits(|b| within(b | 0x20, b'a', b'z') | within(b, b'0', b'9') | within(b, b'-', b'.'))
    }

    /// A bit for each dot.
    #[inline(never)]
    pub(crate) fn dots(self) -> u32 {
        self.bits(|b| b == b'.')
    }

    /// A bit for each dot and each `-`.
    #[inline(never)]
    pub(crate) fn marks(self) -> u32 {
        self.bits(|b| within(b, b'-', b'.'))
    }
}

#[inline(always)]
const fn within(byte: u8, first: u8, last: u8) -> bool {
    byte.wrapping_sub(first) <= last - first
}

/// The end of the `Dot-string` that begins at `from`; `None` if there is none, or if it is not made of what [`Lanes::atoms`] finds.
#[inline(always)]
pub(crate) fn dot_string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // Whether what stands before this byte is a dot, or nothing.
    let mut before = 1;
    loop {
        let lanes = Lanes::load(bytes, at)?;
        let (end, dots) = (lanes.atoms().trailing_ones(), lanes.dots());
        let behind_dot = dots << 1 | before;
        // A dot or the end right behind a dot or the start.
        if (dots & inside(end) | 1 << end) & !(1 << LANES) & behind_dot != 0 {
            return None;
        }
        at += end as usize;
        if (end as usize) < LANES {
            return Some(at);
        }
        before = dots >> (LANES - 1);
    }
}

/// The end of the `Domain` of ordinary labels that begins at `from`; `None` if there is none, or if it is so long that a label of it may be
/// longer than [63 octets](MAX_LABEL).
#[inline(always)]
pub(crate) fn domain_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let (mut dot_before, mut mark_before) = (1, 1);
    loop {
        let lanes = Lanes::load(bytes, at)?;
        let (end, dots, marks) = (lanes.names().trailing_ones(), lanes.dots(), lanes.marks());
        let (inside, end_bit) = (inside(end), 1 << end & !(1 << LANES));
        let begins_wrong = (marks & inside | end_bit) & (dots << 1 | dot_before);
        let ends_wrong = (dots & inside | end_bit) & (marks << 1 | mark_before);
        if begins_wrong | ends_wrong != 0 {
            return None;
        }
        at += end as usize;
        if at - from > MAX_LABEL {
            return None;
        }
        if (end as usize) < LANES {
            return Some(at);
        }
        (dot_before, mark_before) = (dots >> (LANES - 1), marks >> (LANES - 1));
    }
}

/// Most octets of a label of a domain (RFC 1035 §2.3.4); of one beyond ASCII, the most characters.
pub(crate) const MAX_LABEL: usize = 63;

/// The bits in front of that one.
#[inline(always)]
const fn inside(end: u32) -> u32 {
    (1 << end) - 1
}

#[cfg(test)]
mod tests {
    use super::{LANES, Lanes, domain_end, dot_string_end};
    use crate::text::{ATEXT, LDH, is};
    use alloc::vec::Vec;

    #[test]
    fn each_byte_in_each_lane_is_found_as_the_tables_have_it() {
        for lane in 0..LANES {
            for byte in 0..=255_u8 {
                let mut bytes = [0; LANES];
                bytes[lane] = byte;
                let lanes = Lanes::load(&bytes, 0).unwrap();
                let rare = matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'?');
                let atom = (is(byte, ATEXT) && !rare) || byte == b'.';
                let name = is(byte, LDH) || byte == b'.';
                for (found, expected) in [
                    (lanes.atoms(), atom),
                    (lanes.names(), name),
                    (lanes.dots(), byte == b'.'),
                    (lanes.marks(), matches!(byte, b'.' | b'-')),
                ] {
                    assert_eq!(found, u32::from(expected) << lane, "{byte:#04x} in lane {lane}");
                }
            }
        }
    }

    #[test]
    fn what_lies_beyond_the_end_is_in_no_lane() {
        let text: Vec<u8> = core::iter::repeat_n(b'a', 40).collect();
        for length in 0..text.len() {
            for at in 0..=length {
                let there = (length - at).min(LANES) as u32;
                assert_eq!(Lanes::load(&text[..length], at).atoms(), ((1_u64 << there) - 1) as u32, "{length}, {at}");
            }
        }
    }

    /// The grammar, octet by octet.
    fn naive(bytes: &[u8], may_stand: fn(u8) -> bool, label: fn(&[u8]) -> bool) -> Option<usize> {
        let end = bytes.iter().position(|&b| !may_stand(b) && b != b'.').unwrap_or(bytes.len());
        bytes[..end].split(|&b| b == b'.').all(label).then_some(end)
    }

    #[test]
    fn ends_are_where_the_grammar_has_them_in_all_short_texts_wherever_they_begin() {
        const ALPHABET: [u8; 5] = [b'a', b'.', b'-', b'>', b'@'];
        let mut text = Vec::new();
        for length in 0..=6_u32 {
            for mut number in 0..5_usize.pow(length) {
                let word: Vec<u8> = (0..length)
                    .map(|_| {
                        let byte = ALPHABET[number % 5];
                        number /= 5;
                        byte
                    })
                    .collect();
                // Across the border between two blocks, too; what is in front may not matter, nor what is behind.
                for (in_front, behind) in [(0, 0), (0, 30), (12, 0), (14, 3), (15, 20)] {
                    text.clear();
                    text.resize(1, b'<');
                    text.resize(1 + in_front, b'b');
                    text.extend_from_slice(&word);
                    text.resize(text.len() + behind, b'>');
                    let inner = &text[1..];
                    let label = |l: &[u8]| !l.is_empty() && l[0] != b'-' && l[l.len() - 1] != b'-';
                    let moved = |end: Option<usize>| end.map(|end| end + 1);
                    assert_eq!(dot_string_end(&text, 1), moved(naive(inner, |b| matches!(b, b'a' | b'b' | b'-'), |l| !l.is_empty())));
                    assert_eq!(domain_end(&text, 1), moved(naive(inner, |b| matches!(b, b'a' | b'b' | b'-'), label)));
                }
            }
        }
    }

    #[test]
    fn a_domain_that_may_have_too_long_a_label_is_left_to_the_whole_grammar() {
        for (length, found) in [(62, true), (63, true), (64, false), (80, false)] {
            let mut text: Vec<u8> = core::iter::repeat_n(b'a', length).collect();
            text.push(b'>');
            assert_eq!(domain_end(&text, 0), found.then_some(length), "{length}");
        }
    }
}
