//! Finding the end of a line of a reply.

use memchr::{memchr2, memchr3};

const HIGH: u64 = 0x8080_8080_8080_8080;

/// Octets of a code and what separates it from the text.
pub(crate) const PREFIX: usize = 4;

/// Where the first byte below `LIMIT` stands, and whether those before it are ASCII. `None`, if there is none in the whole words of `text`.
///
/// Eight bytes at a time: most lines are too short for a search with wide registers to pay.
#[inline(always)]
fn find_below<const LIMIT: u8>(text: &[u8]) -> Option<(usize, bool)> {
    let (words, _) = text.as_chunks::<8>();
    let mut seen = 0;
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is below the limit.
        let low = !(((word & !HIGH) + const { (0x80 - LIMIT as u64) * 0x0101_0101_0101_0101 }) | word) & HIGH;
        if low != 0 {
            seen |= word & (low & low.wrapping_neg()).wrapping_sub(1);
            return Some((8 * i + low.trailing_zeros() as usize / 8, seen & HIGH == 0));
        }
        seen |= word;
    }
    None
}

/// The first of CR, LF, NUL and a few others, as [`find_below`].
#[inline]
fn find_control(text: &[u8]) -> Option<(usize, bool)> {
    find_below::<0x10>(text)
}

/// The end of the first word of an ASCII line, and that of the line, whose CRLF is there. `None` says nothing about others.
#[inline]
pub(crate) fn ends_of_greeting(text: &[u8]) -> Option<(usize, usize)> {
    let (word, true) = find_below::<0x21>(text)? else { return None };
    let rest = text.get(word..)?;
    let (behind, is_ascii) = if rest.starts_with(b" ") { find_control(rest)? } else { (0, true) };
    let end = rest.get(behind..)?;
    (is_ascii && end.starts_with(b"\r\n")).then_some((word, word + behind))
}

/// The text of the line at the front of `rest`, behind its code. `None`, if its CRLF is not there, or something stands
/// before it that may not.
#[inline]
pub(crate) fn text_of(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.get(PREFIX..)?;
    if let Some((end, _)) = find_control(rest) {
        let (text, end) = rest.split_at_checked(end)?;
        if end.starts_with(b"\r\n") {
            return Some(text);
        }
    }
    let (text, end) = rest.split_at_checked(memchr3(b'\r', b'\n', 0, rest)?)?;
    end.starts_with(b"\r\n").then_some(text)
}

/// The length of the line at the front of `rest`, CRLF not counted, where nothing stands in it that may not. `None` says nothing about others.
#[inline]
pub(crate) fn whole_line(rest: &[u8]) -> Option<usize> {
    let (end, _) = find_control(rest)?;
    rest.get(end..)?.starts_with(b"\r\n").then_some(end)
}

/// What stands before the first CR or LF.
#[inline]
pub(crate) fn until_line_end(text: &[u8]) -> &[u8] {
    let end = match find_control(text) {
        Some((end, _)) if matches!(text.get(end), Some(b'\r' | b'\n')) => end,
        _ => memchr2(b'\r', b'\n', text).unwrap_or(text.len()),
    };
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_first_byte_below_a_limit_is_found_at_each_place_and_with_each_value() {
        for at in 0..16 {
            for byte in 0..=255_u8 {
                let mut text = *b"xxxxxxxxxxxxxxxx";
                text[at] = byte;
                assert_eq!(find_below::<0x10>(&text), (byte < 0x10).then_some((at, true)), "{byte} at {at}");
                assert_eq!(find_below::<0x21>(&text), (byte < 0x21).then_some((at, true)), "{byte} at {at}");
            }
        }
        assert_eq!(find_below::<0x10>(b"xx\xe9xx\rxx"), Some((5, false)));
        assert_eq!(find_below::<0x10>(b"xx\rx\xe9xxx"), Some((2, true)));
        assert_eq!(find_below::<0x10>(b"xxxxxx\r"), None);
    }

    #[test]
    fn a_greeting_ends_where_its_line_does() {
        for text in ["", "mx", "mx hello", "mx ", "mail.example.com at your service", "0123456789"] {
            let line = [text, "\r\n250 HELP and what else is behind it"].concat();
            let word = text.split(' ').next().map_or(0, str::len);
            assert_eq!(ends_of_greeting(line.as_bytes()), Some((word, text.len())), "{text:?}");
        }
        for text in ["mx\thello", "mx \tx", "mx \u{e9}", "m\u{e9}", "mx\0", "mx \n", "m\rx"] {
            let line = [text, "\r\n250 HELP and what else is behind it"].concat();
            assert_eq!(ends_of_greeting(line.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_text_ends_at_its_crlf_however_long_it_is() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).map(|i| b'a' + i % 26).collect();
            let line = [b"250 ", &text[..], b"\r\n"].concat();
            assert_eq!(text_of(&line), Some(&text[..]));
            assert_eq!(until_line_end(&line[PREFIX..]), &text[..]);
            let more = [&line[..], b"250 HELP\r\n"].concat();
            assert_eq!(whole_line(&more), Some(line.len() - 2));
            assert_eq!(text_of(&line[..line.len() - 1]), None);
        }
    }
}
