//! From the first bytes of a line of an EHLO reply to its keyword, without a loop over either.

use super::Extension;
use super::pattern::{Pattern, Window};

/// Whether a keyword may have parameters that are read here.
const fn has_parameters(extension: Extension) -> bool {
    matches!(
        extension,
        Extension::Size
            | Extension::Auth
            | Extension::Limits
            | Extension::DeliverBy
            | Extension::FutureRelease
            | Extension::MtPriority
            | Extension::NoSoliciting
            | Extension::Burl
            | Extension::XClient
            | Extension::XForward
    )
}

/// The keyword that a line begins with.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) extension: Extension,
    pub(super) length: u8,
    /// Whether the end of the line follows at once. Not told of a keyword that may have parameters; what else follows is for the caller to look
    /// at.
    pub(super) is_whole: bool,
}

/// The bits that tell the keywords apart: three characters without their case, and one bit of the fourth, which is not set in what follows
/// a keyword of three letters.
const KEY: u32 = 0x10df_dfdf;

/// The key of a text whose first bytes are these, little-endian.
const fn key(first: u32) -> u32 {
    first & KEY
}

/// The key of a keyword.
pub(super) const fn key_of(keyword: &str) -> u32 {
    let keyword = keyword.as_bytes();
    let fourth = if keyword.len() > 3 { keyword[3] } else { 0 };
    key(u32::from_le_bytes([keyword[0], keyword[1], keyword[2], fourth]))
}

// No two keywords have the same key.
const _: () = {
    let mut i = 0;
    while i < Extension::ALL.len() {
        let mut j = 0;
        while j < i {
            assert!(key_of(Extension::ALL[i].keyword()) != key_of(Extension::ALL[j].keyword()));
            j += 1;
        }
        i += 1;
    }
};

/// The keyword that a line begins with, in any case. Lines end in CRLF, or in LF alone.
#[inline(always)]
pub(super) fn find<const CRLF: bool>(line: &Window) -> Option<Found> {
    // By comparisons and not by a table of keys: a processor that foresees them is at the next line before this one is compared.
    Extension::visit_key(key(line.four()), Compare::<CRLF>(line))
}

/// Compares a line with the keyword that it may begin with.
pub(super) struct Compare<'a, const CRLF: bool>(&'a Window);

impl<const CRLF: bool> Compare<'_, CRLF> {
    #[inline(always)]
    pub(super) const fn with<const EXTENSION: usize>(&self) -> Option<Found> {
        let extension = const { Extension::ALL[EXTENSION] };
        let length = const { Extension::ALL[EXTENSION].keyword().len() as u8 };
        let may_be_whole = const { !has_parameters(Extension::ALL[EXTENSION]) };
        let whole = const { Pattern::new(Extension::ALL[EXTENSION].keyword(), if CRLF { "\r\n" } else { "\n" }) };
        let alone = const { Pattern::new(Extension::ALL[EXTENSION].keyword(), "") };
        if may_be_whole && whole.matches(self.0) {
            return Some(Found { extension, length, is_whole: true });
        }
        if alone.matches(self.0) { Some(Found { extension, length, is_whole: false }) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &[u8]) -> Option<Extension> {
        find::<true>(&Window::of(line)).map(|found| found.extension)
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
            for behind in [&b""[..], b"\r\n", b"\n", b"-*", b"\r", b"\r ", b" ", b" X", b"\tX", b"=", b"=X"] {
                let line = [extension.keyword().as_bytes(), behind].concat();
                // A keyword of three letters is found where it ends, or something else follows it that is no parameter.
                let expected = Some(extension).filter(|_| extension.keyword().len() > 3 || !behind.starts_with(b"="));
                assert_eq!(found(&line), expected, "{}", line.escape_ascii());
                let has_parameters = has_parameters(extension);
                let whole = |found: Option<Found>| found.is_some_and(|found| found.is_whole);
                let (crlf, lf) = (find::<true>(&Window::of(&line)), find::<false>(&Window::of(&line)));
                assert_eq!(whole(crlf), behind == b"\r\n" && !has_parameters, "{}", line.escape_ascii());
                assert_eq!(whole(lf), behind == b"\n" && !has_parameters, "{}", line.escape_ascii());
            }
        }
    }
}
