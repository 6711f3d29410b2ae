//! What the name of a mailbox may look like.

/// Rules for local parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameRules {
    /// In small letters.
    pub(crate) forbid: Vec<String>,
    pub(crate) min_length: usize,
    pub(crate) max_length: Option<usize>,
    pub(crate) ascii: bool,
}

impl NameRules {
    /// Whether they allow a local part, which is in small letters.
    pub(crate) fn allow(&self, local: &str) -> bool {
        let length = local.chars().count();
        length >= self.min_length
            && self.max_length.is_none_or(|most| length <= most)
            && (!self.ascii || local.is_ascii())
            && !self.forbid.iter().any(|pattern| matches(pattern, local))
    }
}

/// Whether a text is like the pattern, in which `*` is any characters and `?` one. The time is bounded by the product of their lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`: where its match may begin to end.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((behind, begin)) => {
                    star = Some((behind, begin + 1));
                    (p, t) = (behind, begin + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_they_do_in_a_shell() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("*b*b*", "abcb", true),
            ("*b*b*", "abc", false),
            ("?b", "ä", false),
            ("?", "ä", true),
            ("*a", "aaaaab", false),
            ("-*", "-x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        // What takes exponential time where a star tries everything again.
        assert!(!matches(&"a*".repeat(30), &"b".repeat(64)));
        assert!(!matches(&format!("{}b", "a*".repeat(30)), &"a".repeat(64)));
    }

    #[test]
    fn each_rule_forbids_something() {
        let rules = NameRules { forbid: vec!["*--*".to_owned()], min_length: 2, max_length: Some(5), ascii: true };
        for (local, allowed) in [("ab", true), ("a", false), ("abcdef", false), ("a--b", false), ("äb", false)] {
            assert_eq!(rules.allow(local), allowed, "{local}");
        }
        assert!(NameRules::default().allow(""));
    }
}
