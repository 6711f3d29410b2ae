//! What a server says, for a terminal: harmless, and no longer than that.

/// Characters of one thing that a server says: a line of a reply, a name of a certificate.
pub(super) const MOST: usize = 400;
/// Lines of a reply to EHLO, and names of a certificate.
pub(super) const MOST_LINES: usize = 100;

/// Escapes what a terminal would obey instead of show, and what makes text look like another, and cuts the rest off.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MOST {
            out.push_str("...");
            break;
        }
        if c.is_control() || is_invisible(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// The same for octets; those that are no UTF-8 become U+FFFD.
pub(super) fn octets(text: &[u8]) -> String {
    // No character has more than four octets, so that is enough to see that it is too long.
    shown(&String::from_utf8_lossy(text.get(..4 * MOST + 4).unwrap_or(text)))
}

/// What changes the direction of the text around it, or shows nothing: Unicode's format characters, and its separators of lines.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_letters_are_not() {
        assert_eq!(shown("mx \u{1b}[2J\u{9b}x\t"), "mx \\u{1b}[2J\\u{9b}x\\u{9}");
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown("grüße \\ 郵便"), "grüße \\ 郵便");
        assert_eq!(octets(b"a\xffb\x07"), "a\u{fffd}b\\u{7}");
    }

    #[test]
    fn what_is_longer_than_the_bound_is_cut() {
        assert_eq!(shown(&"x".repeat(MOST)), "x".repeat(MOST));
        assert_eq!(shown(&"x".repeat(MOST + 1)), "x".repeat(MOST) + "...");
        assert_eq!(octets("ü".repeat(100_000).as_bytes()), "ü".repeat(MOST) + "...");
    }
}
