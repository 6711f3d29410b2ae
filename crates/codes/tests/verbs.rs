//! Verbs in any case, and nothing that only resembles one.

use std::collections::BTreeSet;

use ehlo_codes::Verb;

#[test]
fn every_verb_is_found_in_every_case() {
    for verb in Verb::ALL.iter().copied() {
        let name = verb.as_str();
        for pattern in 0..1u32 << name.len() {
            let text: String = name
                .chars()
                .enumerate()
                .map(|(at, c)| if pattern >> at & 1 == 1 { c.to_ascii_lowercase() } else { c })
                .collect();
            assert_eq!(Verb::from_bytes(text.as_bytes()), Some(verb), "{text}");
        }
    }
}

#[test]
fn a_verb_with_any_other_byte_is_not_found() {
    for verb in Verb::ALL.iter().copied() {
        let name = verb.as_str().as_bytes();
        for at in 0..name.len() {
            for byte in 0..=u8::MAX {
                let mut text = name.to_vec();
                text[at] = byte;
                let found = Verb::from_bytes(&text);
                let expected =
                    Verb::ALL.iter().copied().find(|verb| verb.as_str().as_bytes().eq_ignore_ascii_case(&text));
                assert_eq!(found, expected, "{text:?}");
            }
        }
    }
}

#[test]
fn a_verb_with_more_or_less_around_it_is_not_found() {
    for verb in Verb::ALL.iter().copied() {
        let name = verb.as_str();
        for filler in ["\0", " ", "\r\n", "X", ":", "\t"] {
            for text in [format!("{filler}{name}"), format!("{name}{filler}")] {
                assert_eq!(Verb::from_bytes(text.as_bytes()), None, "{text:?}");
            }
        }
        assert_eq!(Verb::from_bytes(&name.as_bytes()[1..]), None);
        assert_eq!(Verb::from_bytes(&name.as_bytes()[..name.len() - 1]), None);
    }
    assert_eq!(Verb::from_bytes(b""), None);
    assert_eq!(Verb::from_bytes(&[b' '; 8]), None);
    assert_eq!(Verb::from_bytes(&[0; 8]), None);
    assert_eq!(Verb::from_bytes(&[b'A'; 4096]), None);
}

#[test]
fn the_row_of_a_verb_is_its_own() {
    let names: BTreeSet<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
    assert_eq!(names.len(), Verb::ALL.len());
    for (position, verb) in Verb::ALL.iter().copied().enumerate() {
        assert_eq!(verb as usize, position);
        assert_eq!(verb.info().verb, verb);
        assert_eq!(verb.to_string(), verb.as_str());
        assert_eq!(format!("{verb:?}").to_ascii_uppercase(), verb.as_str());
        assert!(!verb.info().meaning.is_empty());
    }
}

#[test]
fn verbs_can_be_found_in_constants() {
    const QUIT: Option<Verb> = Verb::from_bytes(b"QUIT");
    assert_eq!(QUIT, Some(Verb::Quit));
}
