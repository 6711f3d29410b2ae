//! The folder of a mailbox: nothing of an address leads out of where it is to be.

use std::path::{Component, Path, PathBuf};

/// Octets of the name of a file or folder on the file systems that there are.
const MAX_NAME: usize = 255;

/// A part of an address as the name of a folder.
///
/// Letters, digits, `-`, `_`, `+`, `=` and dots that are not the first stay; every other octet becomes `%` and two digits. So no two texts
/// get the same name, and none is empty, `.`, `..`, hidden, or has a separator in it.
pub(crate) fn component(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=') || (byte == b'.' && index > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// A path in which `{domain}` and `{local}` stand for the parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(String);

impl Template {
    /// Reads it; the error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("the path is empty");
        }
        let plain = text.replace("{domain}", "").replace("{local}", "");
        if plain.contains(['{', '}']) {
            return Err("only {domain} and {local} can stand in braces");
        }
        if Path::new(text).components().any(|part| part == Component::ParentDir) {
            return Err("the path has a .. in it");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether an address is a part of it.
    pub(crate) fn has_parts(&self) -> bool {
        self.0.contains('{')
    }

    /// Whether each mailbox has a folder of its own.
    pub(crate) fn tells_apart(&self) -> bool {
        self.0.contains("{domain}") && self.0.contains("{local}")
    }

    /// The folder of a mailbox; `None` if the file system has no name that is so long.
    pub(crate) fn fill(&self, domain_key: &str, local_key: &str) -> Option<PathBuf> {
        let path =
            PathBuf::from(self.0.replace("{domain}", &component(domain_key)).replace("{local}", &component(local_key)));
        path.components().all(|part| part.as_os_str().len() <= MAX_NAME).then_some(path)
    }

    /// The folder that all mailboxes are below.
    pub(crate) fn root(&self) -> PathBuf {
        Path::new(&self.0).components().take_while(|part| !part.as_os_str().to_string_lossy().contains('{')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_octet_of_an_address_leads_out_of_the_folder() {
        let template = Template::parse("/var/mail/{domain}/{local}").unwrap();
        let mut seen = HashMap::new();
        // All texts of up to three characters out of those that could do harm, and some names.
        let alphabet = ["", ".", "/", "\\", "%", "\0", "a", "A", "~", " ", "ä", "2", "F", "\n", ":", "-"];
        for a in alphabet {
            for b in alphabet {
                for c in alphabet {
                    let text = format!("{a}{b}{c}");
                    let name = component(&text);
                    assert!(!name.is_empty() && !name.starts_with('.'), "{text:?}: {name}");
                    assert!(!name.contains(['/', '\\', '\0']), "{text:?}: {name}");
                    if let Some(other) = seen.insert(name, text.clone()) {
                        assert_eq!(other, text, "two texts have one name");
                    }
                    let path = template.fill(&text, &text).unwrap();
                    assert_eq!(path.components().count(), 5, "{path:?}");
                    assert!(path.starts_with("/var/mail"), "{path:?}");
                    assert!(path.components().all(|part| part != Component::ParentDir), "{path:?}");
                }
            }
        }
        assert_eq!(component("ada.lovelace+list"), "ada.lovelace+list");
        assert_eq!(component("../../etc"), "%2E.%2F..%2Fetc");
    }

    #[test]
    fn names_too_long_for_a_file_system_are_none() {
        let template = Template::parse("m/{domain}/{local}").unwrap();
        assert!(template.fill(&"d".repeat(255), "x").is_some());
        assert!(template.fill(&"d".repeat(256), "x").is_none());
        assert!(template.fill("d", &"ä".repeat(43)).is_none());
    }

    #[test]
    fn a_template_says_what_is_wrong_with_it() {
        for wrong in ["", "/x/{user}", "/x/}", "../x", "/a/../b/{local}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        let template = Template::parse("/var/mail/x{domain}/{local}/m").unwrap();
        assert!(template.has_parts() && template.tells_apart());
        assert_eq!(template.root(), Path::new("/var/mail"));
        let fixed = Template::parse("/var/all").unwrap();
        assert!(!fixed.has_parts() && !fixed.tells_apart());
        assert_eq!(fixed.root(), Path::new("/var/all"));
    }
}
