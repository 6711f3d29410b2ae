//! The addresses of a header field such as To, all of them or an error (RFC 5322 §3.4, with the obsolete forms of §4.4, and UTF-8 by RFC 6532 §3.2).
//!
//! `send` looks for the one address that it can name in an error, and leaves out what it does not understand. Here a recipient that is left out gets no
//! message, so what can't be read is an error.

use std::fmt;

/// Octets of what could not be read that an error shows.
const SHOWN: usize = 60;

/// Why a field can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    what: &'static str,
    /// The part of the field in which it is.
    near: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in \"{}\"", self.what, self.near.escape_debug())
    }
}

/// A piece of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// An atom, a quoted string with its quotes, an encoded word, or an address literal with its brackets.
    Word(&'a [u8]),
    /// One of `<>,;:@.`.
    Special(u8),
}

/// The addresses of a field's value, folded or not, in their order. Names, comments and groups are left out.
pub(super) fn parse(value: &[u8]) -> Result<Vec<String>, Fault> {
    let tokens = tokens(value)?;
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let rest = &tokens[at..];
        // The name of a group: words and dots, and then a colon.
        let phrase = rest.iter().take_while(|token| matches!(token, Token::Word(_) | Token::Special(b'.'))).count();
        match rest.get(phrase) {
            Some(Token::Special(b':')) if phrase > 0 => {
                at += phrase + 1;
                continue;
            }
            Some(Token::Special(b'<')) => at += phrase + angle(&rest[phrase..], &mut found)?,
            _ => {
                let end = rest.iter().position(|token| is_separator(*token)).unwrap_or(rest.len());
                if end > 0 {
                    found.push(address(&rest[..end])?);
                }
                at += end;
            }
        }
        // Some programs separate by semicolons, which end groups; elements may be empty (RFC 5322 §4.4).
        match tokens.get(at) {
            None => {}
            Some(token) if is_separator(*token) => at += 1,
            Some(_) => return Err(fault("something follows the address", &tokens[at..])),
        }
    }
    Ok(found)
}

const fn is_separator(token: Token<'_>) -> bool {
    matches!(token, Token::Special(b',' | b';'))
}

/// An address in angle brackets; gives how many tokens it is.
fn angle(tokens: &[Token<'_>], found: &mut Vec<String>) -> Result<usize, Fault> {
    let end = tokens.iter().position(|token| *token == Token::Special(b'>'));
    let Some(end) = end else { return Err(fault("an angle bracket is not closed", tokens)) };
    let mut inside = &tokens[1..end];
    // A route, which means nothing any more (RFC 5322 §4.4).
    if matches!(inside.first(), Some(Token::Special(b'@' | b','))) {
        let colon = inside.iter().position(|token| *token == Token::Special(b':'));
        let Some(colon) = colon else { return Err(fault("there is no address behind the route", tokens)) };
        inside = &inside[colon + 1..];
    }
    if inside.is_empty() {
        return Err(fault("there is no address between the angle brackets", tokens));
    }
    found.push(address(inside)?);
    Ok(end + 1)
}

/// Words with dots between, then perhaps an @ and more of them. Space and comments that stood between are gone, as RFC 5322 §4.4 allows.
fn address(tokens: &[Token<'_>]) -> Result<String, Fault> {
    let (mut octets, mut word_before, mut ats) = (Vec::new(), false, 0);
    for token in tokens {
        match token {
            Token::Word(_) if word_before => return Err(fault("that is no address", tokens)),
            Token::Word(word) => octets.extend_from_slice(word),
            Token::Special(special @ (b'.' | b'@')) => {
                ats += usize::from(*special == b'@');
                octets.push(*special);
            }
            Token::Special(_) => return Err(fault("that is no address", tokens)),
        }
        word_before = matches!(token, Token::Word(_));
    }
    if ats > 1 {
        return Err(fault("there is more than one @", tokens));
    }
    String::from_utf8(octets).map_err(|_| fault("that is not UTF-8", tokens))
}

fn fault(what: &'static str, tokens: &[Token<'_>]) -> Fault {
    let mut near = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => {
                if !near.is_empty() && near.last().is_some_and(|last| !b"<.@".contains(last)) {
                    near.push(b' ');
                }
                near.extend_from_slice(word);
            }
            Token::Special(special) => near.push(*special),
        }
    }
    shown(what, &near)
}

fn shown(what: &'static str, near: &[u8]) -> Fault {
    Fault { what, near: String::from_utf8_lossy(&near[..near.len().min(SHOWN)]).into_owned() }
}

fn tokens(value: &[u8]) -> Result<Vec<Token<'_>>, Fault> {
    let (mut tokens, mut rest) = (Vec::new(), value);
    while let Some(&octet) = rest.first() {
        let length = match octet {
            b' ' | b'\t' | b'\r' | b'\n' => 1,
            b'(' => comment(rest)?,
            b'"' => delimited(rest, b'"').ok_or_else(|| shown("a quotation mark is not closed", rest))?,
            b'[' => delimited(rest, b']').ok_or_else(|| shown("a bracket is not closed", rest))?,
            b'<' | b'>' | b',' | b';' | b':' | b'@' | b'.' => {
                tokens.push(Token::Special(octet));
                1
            }
            b')' | b']' | b'\\' | 0..=31 | 127 => return Err(shown("a character stands where none may", rest)),
            _ => encoded_word(rest).unwrap_or_else(|| atom(rest)),
        };
        if !b" \t\r\n(<>,;:@.".contains(&octet) {
            tokens.push(Token::Word(&rest[..length]));
        }
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// Octets up to the next special. More of them are taken than RFC 5322 §3.2.3 knows: what is in an address is checked where it goes into an envelope.
fn atom(text: &[u8]) -> usize {
    let end = |octet: &u8| {
        matches!(
            octet,
            0..=b' ' | 127 | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b'\\' | b',' | b'.' | b'"'
        )
    };
    text.iter().position(end).unwrap_or(text.len()).max(1)
}

/// An encoded word (RFC 2047 §2), in which some programs leave commas and the like as they are: `=?charset?q?Lovelace,_Ada?=`.
fn encoded_word(text: &[u8]) -> Option<usize> {
    const MOST: usize = 300;
    let text = &text[..text.len().min(MOST)];
    let mut parts = text.strip_prefix(b"=?")?.split(|octet| *octet == b'?');
    let (charset, encoding, coded, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = encoding.len() == 1 && b"bBqQ".contains(&encoding[0]);
    let plain = |part: &[u8]| part.iter().all(|octet| octet.is_ascii_graphic());
    (known && end.starts_with(b"=") && plain(charset) && plain(coded)).then(|| 2 + charset.len() + 3 + coded.len() + 2)
}

/// The length of a comment, in which there may be others. They are counted and not entered, so none is too deep.
fn comment(text: &[u8]) -> Result<usize, Fault> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(octet) = text.get(at) {
        match octet {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(shown("a comment is not closed", text))
}

/// The length of what ends with that octet, unless a backslash is before it.
fn delimited(text: &[u8], end: u8) -> Option<usize> {
    let mut at = 1;
    while let Some(&octet) = text.get(at) {
        match octet {
            // A string that is folded has spaces where the fold was, which no mailbox has.
            b'\r' | b'\n' if end == b']' => return None,
            b'\\' => at += 1,
            _ if octet == end => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_field_is_found() {
        for (value, addresses) in [
            ("a@b", &["a@b"][..]),
            ("", &[]),
            (" , ,a@b,, c@d ,", &["a@b", "c@d"]),
            ("root", &["root"]),
            ("Ada <a@b>", &["a@b"]),
            ("Ada B. Lovelace <a@b>, c@d (me, (too) \\) <x@y>)", &["a@b", "c@d"]),
            ("\"Lovelace, Ada <x@y>\" <a@b>", &["a@b"]),
            ("\"quote \\\" , here\" <a@b>", &["a@b"]),
            ("\"a b\"@c", &["\"a b\"@c"]),
            ("\"a@b\"@c, \"\\\"\"@d", &["\"a@b\"@c", "\"\\\"\"@d"]),
            ("Friends: a@b, Bob <c@d>;, e@f", &["a@b", "c@d", "e@f"]),
            ("undisclosed-recipients:;", &[]),
            ("undisclosed recipients: ;", &[]),
            ("a@b; c@d;e@f", &["a@b", "c@d", "e@f"]),
            ("a@b,\r\n\tc@d,\n <e@f>", &["a@b", "c@d", "e@f"]),
            ("a (x) . b @ c . d", &["a.b@c.d"]),
            ("<@x,@y:a@b>", &["a@b"]),
            ("a@[192.0.2.1], <b@[IPv6:2001:db8::1]>", &["a@[192.0.2.1]", "b@[IPv6:2001:db8::1]"]),
            ("=?utf-8?Q?Lovelace,_Ada?= <a@b>", &["a@b"]),
            ("=?utf-8?B?QQ==?= =?utf-8?q?<x@y>?= <a@b>", &["a@b"]),
            ("=?odd <a@b>", &["a@b"]),
            ("Bücher <bücher@bücher.example>, ü@x", &["bücher@bücher.example", "ü@x"]),
            ("a+b=c/d!e%f@g", &["a+b=c/d!e%f@g"]),
        ] {
            let expected = addresses.iter().map(|address| (*address).to_owned()).collect();
            assert_eq!(parse(value.as_bytes()), Ok(expected), "{value}");
        }
        // A name in another character set is no address.
        assert_eq!(parse(b"B\xfccher <a@b>").as_deref(), Ok(&["a@b".to_owned()][..]));
    }

    #[test]
    fn what_is_no_address_is_an_error_and_not_left_out() {
        for (value, what) in [
            (&b"Ada Lovelace, a@b"[..], "that is no address in \"Ada Lovelace\""),
            (b"Ada a@b", "that is no address in \"Ada a@b\""),
            (b"<a@b", "an angle bracket is not closed in \"<a@b\""),
            (b"<>", "there is no address between the angle brackets in \"<>\""),
            (b"<@x>", "there is no address behind the route in \"<@x>\""),
            (b"<a@b> c", "something follows the address in \"c\""),
            (b"<a@b> <c@d>", "something follows the address in \"<c@d>\""),
            (b"a@b@c", "there is more than one @ in \"a@b@c\""),
            (b"a@b (x", "a comment is not closed in \"(x\""),
            (b"a@b) x", "a character stands where none may in \") x\""),
            (b"\"a@b", "a quotation mark is not closed in \"\\\"a@b\""),
            (b"a@[1.2", "a bracket is not closed in \"[1.2\""),
            (b"\xfc@x", "that is not UTF-8 in \"\u{fffd}@x\""),
            (b"a\0b@c", "a character stands where none may in \"\\0b@c\""),
        ] {
            assert_eq!(parse(value).map_err(|fault| fault.to_string()), Err(what.to_owned()), "{value:?}");
        }
    }

    #[test]
    fn no_octets_make_it_panic_or_go_deep() {
        let octets = b"a@\",(\\)<>:;.[]=? \r\n\0\xff";
        for first in octets {
            for second in octets {
                for third in octets {
                    let _ = parse(&[*first, *second, *third, b'a', *second, *first]);
                }
            }
        }
        assert!(parse(&vec![b'('; 1_000_000]).is_err());
        assert!(parse(&[vec![b'('; 100_000], vec![b')'; 100_000], b"a@b".to_vec()].concat()).is_ok());
    }
}
