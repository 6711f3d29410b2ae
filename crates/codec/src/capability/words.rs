//! Lists of words behind a keyword.

use super::AuthMechanisms;
use core::fmt;

/// Words that stand behind a keyword, borrowed: attributes of XCLIENT, options of BURL, kinds of NO-SOLICITING.
///
/// Two lists are equal if they have the same words in the same order.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    text: &'a str,
    comma: bool,
}

impl<'a> Words<'a> {
    /// The words of a text, separated by spaces or tabs.
    #[must_use]
    pub const fn spaced(text: &'a str) -> Self {
        Self { text, comma: false }
    }

    /// The words of a text, separated by commas (RFC 3865 §2.2).
    #[must_use]
    pub const fn commas(text: &'a str) -> Self {
        Self { text, comma: true }
    }

    /// The words, as they came. An empty one is passed over.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let Self { text, comma } = *self;
        let is_separator = move |byte: u8| matches!(byte, b' ' | b'\t') || (comma && byte == b',');
        let mut rest = text;
        core::iter::from_fn(move || {
            let begin = rest.bytes().position(|byte| !is_separator(byte))?;
            let (_, word) = rest.split_at_checked(begin)?;
            let end = word.bytes().position(is_separator).unwrap_or(word.len());
            let (word, behind) = word.split_at_checked(end)?;
            rest = behind;
            Some(word)
        })
    }

    /// Whether a word is among them, in any case.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.iter().any(|each| each.eq_ignore_ascii_case(word))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Words<'_> {}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Words<'_> {
    /// With one separator between words and none around them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(if self.comma { "," } else { " " })?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

/// The SASL mechanisms that AUTH lists (RFC 4954 §3).
///
/// Some old servers write `AUTH=LOGIN`, as a draft before RFC 2554 did, often beside the line of the RFC. That is read too, and told apart by
/// [`is_old_form`](Self::is_old_form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    mechanisms: Words<'a>,
    old_form: bool,
}

impl<'a> Auth<'a> {
    /// The mechanisms with these names, separated by spaces.
    #[must_use]
    pub const fn new(mechanisms: &'a str) -> Self {
        Self { mechanisms: Words::spaced(mechanisms), old_form: false }
    }

    pub(super) const fn old(mechanisms: &'a str) -> Self {
        Self { mechanisms: Words::spaced(mechanisms), old_form: true }
    }

    /// The names of the mechanisms, as they came, in the server's order.
    pub fn mechanisms(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.mechanisms.iter()
    }

    /// Whether the server has a mechanism, its name in any case.
    #[must_use]
    pub fn contains(&self, mechanism: &str) -> bool {
        self.mechanisms.contains(mechanism)
    }

    /// Those mechanisms that are of the registry.
    #[must_use]
    pub fn known(&self) -> AuthMechanisms {
        AuthMechanisms::of(self.mechanisms)
    }

    /// Whether they stood behind `AUTH=` instead of `AUTH`.
    #[must_use]
    pub const fn is_old_form(&self) -> bool {
        self.old_form
    }
}

impl fmt::Display for Auth<'_> {
    /// The whole line: `AUTH PLAIN LOGIN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.old_form, self.mechanisms.is_empty()) {
            (true, _) => write!(f, "AUTH={}", self.mechanisms),
            (false, true) => f.write_str("AUTH"),
            (false, false) => write!(f, "AUTH {}", self.mechanisms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn words_are_separated_by_any_number_of_spaces() {
        let words = Words::spaced("  a\tB  c ");
        assert_eq!(words.iter().collect::<Vec<_>>(), ["a", "B", "c"]);
        assert_eq!(words.to_string(), "a B c");
        assert_eq!(words, Words::spaced("a B c"));
        assert!(words.contains("b") && !words.contains("d") && !words.is_empty());
        assert!(Words::spaced(" \t").is_empty());
    }

    #[test]
    fn kinds_of_solicitation_are_separated_by_commas() {
        let words = Words::commas("net.example:ADV,org.example:ADV:ADLT");
        assert_eq!(words.iter().collect::<Vec<_>>(), ["net.example:ADV", "org.example:ADV:ADLT"]);
        assert_eq!(words.to_string(), "net.example:ADV,org.example:ADV:ADLT");
    }

    #[test]
    fn mechanisms_are_found_in_any_case() {
        let auth = Auth::new("PLAIN scram-sha-256");
        assert!(auth.contains("plain") && auth.contains("SCRAM-SHA-256") && !auth.contains("SCRAM-SHA-256-PLUS"));
        assert!(!auth.is_old_form());
        assert_eq!(auth.to_string(), "AUTH PLAIN scram-sha-256");
    }
}
