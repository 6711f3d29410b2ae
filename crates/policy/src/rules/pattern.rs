//! Patterns for names and addresses: `*` stands for any characters, `?` for one.

use std::convert::Infallible;
use std::str::FromStr;

/// A pattern for a name; letters match in either case.
#[derive(Clone, Debug)]
pub(super) struct Glob(String);

impl FromStr for Glob {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Glob {
    pub(super) fn fits(&self, text: &[u8]) -> bool {
        glob(self.0.as_bytes(), text, |a, b| a.eq_ignore_ascii_case(&b))
    }
}

/// A pattern for an address. The local part matches as it is written (RFC 5321 §2.4), the domain in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `<>`: no address, which is the sender of a report.
    Null,
    /// `*`: any, the one that is none too.
    Any,
    /// `ada@example.org`, `*@*.example.org`; without a part, that part does not matter: `ada@`, `@example.org`, `example.org`.
    Of { local: String, domain: String },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("an address has some characters; <> is none".to_owned()),
            "<>" => Ok(Self::Null),
            "*" => Ok(Self::Any),
            _ if text.starts_with('<') || text.contains(char::is_whitespace) => {
                Err(format!("an address is written without <> and spaces: {text}"))
            }
            _ => {
                let (local, domain) = text.rsplit_once('@').unwrap_or(("", text));
                let any = |part: &str| if part.is_empty() { "*".to_owned() } else { part.to_owned() };
                Ok(Self::Of { local: any(local), domain: any(domain) })
            }
        }
    }
}

impl Address {
    /// Whether it fits an address without its brackets. One without a domain is `Postmaster` (RFC 5321 §4.5.1).
    pub(super) fn fits(&self, address: &str) -> bool {
        match self {
            Self::Null => address.is_empty(),
            Self::Any => true,
            Self::Of { .. } if address.is_empty() => false,
            Self::Of { local, domain } => {
                let (its_local, its_domain) = address.rsplit_once('@').unwrap_or((address, ""));
                glob(domain.as_bytes(), its_domain.as_bytes(), |a, b| a.eq_ignore_ascii_case(&b))
                    && glob(local.as_bytes(), its_local.as_bytes(), |a, b| a == b)
            }
        }
    }
}

/// Whether the pattern fits the whole text. It looks at each place of the text once for each `*`, and never goes further back than to the last one.
fn glob(pattern: &[u8], text: &[u8], same: fn(u8, u8) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`, and what it stands for up to now ends there.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(&c) if c == b'?' || same(c, text[t]) => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((behind, end)) => {
                    *end += 1;
                    (p, t) = (*behind, *end);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, address: &str) -> bool {
        pattern.parse::<Address>().unwrap().fits(address)
    }

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        let fits = |pattern: &str, text: &str| Glob(pattern.to_owned()).fits(text.as_bytes());
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("?b?", "abc"),
            ("A*", "abc"),
            ("a*b*c", "aXbYbZc"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a*c", "abcd"), ("a", "ab"), ("*a", "ab"), ("a*b*c", "acb")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        assert!(!Glob("*a".repeat(200) + "b").fits("a".repeat(5000).as_bytes()));
    }

    #[test]
    fn the_domain_of_an_address_matches_in_either_case_and_the_local_part_does_not() {
        assert!(fits("ada@example.org", "ada@EXAMPLE.org") && !fits("ada@example.org", "Ada@example.org"));
        assert!(fits("example.org", "anybody@example.org") && fits("@example.org", "anybody@example.org"));
        assert!(fits("ada@", "ada@any.where") && fits("Postmaster@", "Postmaster") && !fits("ada@", "bob@any.where"));
        assert!(fits("*@*.example.org", "x@a.b.example.org") && !fits("*@*.example.org", "x@example.org"));
        assert!(fits("\"a@b\"@c", "\"a@b\"@c") && fits("c", "\"a@b\"@c"));
    }

    #[test]
    fn no_address_is_something_that_only_its_own_pattern_and_the_one_for_all_fit() {
        assert!(fits("<>", "") && fits("*", "") && fits("*", "a@b"));
        assert!(!fits("<>", "a@b") && !fits("*@*", "") && !fits("?*", ""));
        for wrong in ["", "<a@b>", "a b@c"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
