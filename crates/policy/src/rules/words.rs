//! The reply of a rule, as it is written down.

use std::str::FromStr;

use ehlo_codes::{EnhancedCode, ReplyClass, ReplyCode};
use ehlo_tokio::ehlo_server::codec::Reply;

/// A reply: `550`, `550 5.1.1`, `550 5.1.1 No such mailbox`. Further lines are its lines, with the codes in front of them or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words(pub(super) Reply);

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let digits = text.get(..3).unwrap_or(text);
        let code: ReplyCode = digits
            .parse()
            .map_err(|_| format!("a reply begins with a code of three digits, and not with \"{digits}\""))?;
        let rest = &text[3..];
        let written_out = rest.starts_with('-');
        let mut lines = rest.split('\n').enumerate().map(|(index, line)| match (index, written_out) {
            (0, _) => {
                line.strip_prefix(if written_out { '-' } else { ' ' }).or((line.is_empty()).then_some(line)).ok_or(line)
            }
            (_, false) => Ok(line),
            (_, true) => line.strip_prefix(digits).and_then(|line| line.strip_prefix(['-', ' '])).ok_or(line),
        });
        let lines: Vec<&str> = lines.by_ref().collect::<Result<_, _>>().map_err(|line| {
            format!("each line of this reply begins with {digits}- or {digits} and a space, and \"{line}\" does not")
        })?;
        let first = EnhancedCode::parse_prefix(lines[0].as_bytes()).filter(|(enhanced, length)| {
            enhanced.agrees_with(code) && matches!(lines[0].as_bytes().get(*length), None | Some(b' '))
        });
        // A code of another class than the reply's is text, which says the same on the wire.
        let (enhanced, prefix) = first.map_or((None, ""), |(enhanced, length)| (Some(enhanced), &lines[0][..length]));
        let stripped = |line: &str| {
            let behind = line.strip_prefix(prefix).filter(|_| !prefix.is_empty());
            behind.map_or(line, |behind| behind.strip_prefix(' ').unwrap_or(behind)).to_owned()
        };
        let mut body = lines.iter().map(|line| stripped(line)).collect::<Vec<_>>().join("\n");
        if body.is_empty() && !text.ends_with(' ') {
            title(code, enhanced).clone_into(&mut body);
        }
        Reply::new_utf8(code, enhanced, body).map(Self).map_err(|error| format!("{error}; `raw` sends any octets"))
    }
}

/// What the registry calls it.
fn title(code: ReplyCode, enhanced: Option<EnhancedCode>) -> &'static str {
    let status = enhanced.and_then(EnhancedCode::info).map(|info| info.title);
    status.or_else(|| code.info().map(|info| info.title)).unwrap_or_default()
}

/// Whether a client that is told so takes it that its command was obeyed, and goes on from there.
pub(super) fn says_yes(code: ReplyCode) -> bool {
    match code.class() {
        ReplyClass::Completion => true,
        // A challenge asks for a response before anything is done.
        ReplyClass::Intermediate => code != ReplyCode::AUTH_CHALLENGE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> String {
        let Words(reply) = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut wire = Vec::new();
        reply.write_to(&mut wire, reply.enhanced().is_some());
        String::from_utf8(wire).unwrap()
    }

    #[test]
    fn a_reply_is_sent_as_it_is_written() {
        for text in [
            "550 5.1.1 No such mailbox",
            "550 No such mailbox",
            "250 2.0.0 ",
            "354 Go ahead",
            "550 4.1.1 Of another class",
            "299 x",
        ] {
            assert_eq!(wire(text), format!("{text}\r\n"));
        }
        assert_eq!(wire("550 5.1.1 a\n"), "550 5.1.1 a\r\n", "the last line end of a text block");
    }

    #[test]
    fn the_codes_stand_on_each_line() {
        let two = "550-5.7.1 No.\r\n550 5.7.1 Not here.\r\n";
        assert_eq!(wire("550 5.7.1 No.\nNot here."), two);
        assert_eq!(wire("550-5.7.1 No.\n550 5.7.1 Not here."), two);
        assert_eq!(wire("250 mx.test\nSIZE 10\n8BITMIME"), "250-mx.test\r\n250-SIZE 10\r\n250 8BITMIME\r\n");
        assert_eq!(wire("250-mx.test\n250-SIZE 10\n250 8BITMIME"), "250-mx.test\r\n250-SIZE 10\r\n250 8BITMIME\r\n");
    }

    #[test]
    fn a_code_alone_gets_the_text_of_the_registry() {
        assert_eq!(wire("421"), "421 Service not available, closing\r\n");
        assert!(wire("550 5.1.1").starts_with("550 5.1.1 B"), "{}", wire("550 5.1.1"));
        assert_eq!(wire("567"), "567 \r\n");
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for (text, told) in [
            ("", "three digits"),
            ("55", "three digits"),
            ("5x0 No", "three digits"),
            ("550No", "begins with"),
            ("199 x", "between 200 and 599"),
            ("600 x", "`raw` sends"),
            ("250-a\nb", "does not"),
            ("250 a\rb", "printable"),
        ] {
            let error = text.parse::<Words>().unwrap_err();
            assert!(error.contains(told), "{text:?}: {error}");
        }
    }
}
