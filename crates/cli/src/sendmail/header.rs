//! The header of a message: what is read out of it, what is missing, and what does not go out.

use std::io::{self, BufRead, Read as _};

use super::address;
use crate::failure::{EX_DATAERR, EX_NOINPUT, Failure};

/// Octets of a header, which is kept in memory. Anything longer is no message that a server would take.
const MAX_HEADER: usize = 1024 * 1024;
/// Recipients that are taken out of a header.
const MAX_RECIPIENTS: usize = 10_000;

/// Fields that do not go out: blind copies are for nobody to see (RFC 5322 §3.6.3), and a return path is the last server's to write (RFC 5321 §4.4).
const DROPPED: [&str; 3] = ["Bcc", "Resent-Bcc", "Return-Path"];

/// A field with its folds and its line end.
#[derive(Debug)]
struct Field {
    octets: Vec<u8>,
    /// Where the colon is.
    colon: usize,
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    fn name(&self) -> &[u8] {
        self.octets[..self.colon].trim_ascii_end()
    }

    fn value(&self) -> &[u8] {
        &self.octets[self.colon + 1..]
    }

    fn is_resent(&self) -> bool {
        self.name().get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"Resent-"))
    }
}

/// The fields of a message.
#[derive(Debug, Default)]
pub(super) struct Header {
    fields: Vec<Field>,
    /// A line that is no field, with which the body begins although no empty line is before it.
    body: Vec<u8>,
}

impl Header {
    /// Reads lines that end in CRLF, up to the empty line.
    pub(super) fn read(input: &mut impl BufRead) -> Result<Self, Failure> {
        let mut header = Self::default();
        let (mut line, mut size, mut first) = (Vec::new(), 0, true);
        loop {
            line.clear();
            let most = (MAX_HEADER - size) as u64;
            let read = input.by_ref().take(most).read_until(b'\n', &mut line).map_err(unread)?;
            size += read;
            let is_first = std::mem::take(&mut first);
            match (line.first(), header.fields.last_mut()) {
                (None, _) if size < MAX_HEADER => return Ok(header),
                _ if line == b"\r\n" => return Ok(header),
                // A line that a mailbox's file had before the message.
                _ if is_first && line.starts_with(b"From ") && line.ends_with(b"\n") => {}
                (Some(b' ' | b'\t'), Some(last)) => last.octets.extend_from_slice(&line),
                _ => match colon(&line) {
                    Some(colon) => header.fields.push(Field { octets: line.clone(), colon }),
                    None if !line.is_empty() => {
                        header.body.clone_from(&line);
                        return Ok(header);
                    }
                    None => {}
                },
            }
            if size == MAX_HEADER {
                let what = format!("the header is longer than {MAX_HEADER} octets; no server would take that");
                return Err(Failure::new(EX_DATAERR, what));
            }
        }
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is(name))
    }

    /// The fields of the last time that the message was sent again, which stand first: up to one whose name was there before (RFC 5322 §3.6.6).
    fn resent(&self) -> Vec<&Field> {
        let mut block: Vec<&Field> = Vec::new();
        for field in self.fields.iter().filter(|field| field.is_resent()) {
            if block.iter().any(|other| other.name().eq_ignore_ascii_case(field.name())) {
                break;
            }
            block.push(field);
        }
        block
    }

    /// The addresses in To, Cc and Bcc; if the message is sent again, those to whom it is.
    pub(super) fn recipients(&self) -> Result<Vec<String>, Failure> {
        const NAMES: [&str; 3] = ["To", "Cc", "Bcc"];
        const RESENT: [&str; 3] = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
        let resent = self.resent();
        let of = |fields: Vec<&'_ Field>, names: [&str; 3]| -> Result<Vec<String>, Failure> {
            let mut found = Vec::new();
            for field in fields.into_iter().filter(|field| names.iter().any(|name| field.is(name))) {
                let name = String::from_utf8_lossy(field.name()).into_owned();
                let fail = |fault| Failure::new(EX_DATAERR, format_args!("{name}: {fault}; nothing was sent"));
                found.extend(address::parse(field.value()).map_err(fail)?);
                if found.len() > MAX_RECIPIENTS {
                    let what = format!("the header has more than {MAX_RECIPIENTS} recipients; nothing was sent");
                    return Err(Failure::new(EX_DATAERR, what));
                }
            }
            Ok(found)
        };
        if resent.iter().any(|field| RESENT.iter().any(|name| field.is(name))) {
            of(resent, RESENT)
        } else {
            of(self.fields.iter().collect(), NAMES)
        }
    }

    /// What goes out, up to where the rest of the input follows: with Date, Message-ID and From where they are missing, or those of Resent- where it is
    /// sent again, and without what is not for others to see.
    pub(super) fn finish(&self, date: &str, id: &str, from: &str) -> Vec<u8> {
        let resent = self.resent();
        let prefix = if resent.is_empty() { "" } else { "Resent-" };
        let mut out = Vec::new();
        for (name, value) in [("Date", date), ("Message-ID", id), ("From", from)] {
            let name = format!("{prefix}{name}");
            let is_there =
                if resent.is_empty() { self.find(&name).is_some() } else { resent.iter().any(|field| field.is(&name)) };
            if !is_there {
                out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        for field in self.fields.iter().filter(|field| !DROPPED.iter().any(|name| field.is(name))) {
            out.extend_from_slice(&field.octets);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// What becomes of a message that can't be read.
pub(super) fn unread(error: io::Error) -> Failure {
    Failure::new(EX_NOINPUT, format_args!("the message can't be read: {error}"))
}

/// Where the colon of a field is (RFC 5322 §2.2, and §4.5 for space before it).
fn colon(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(colon)
}

/// The value of From.
pub(super) fn from(name: Option<&str>, address: &str) -> String {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return address.to_owned() };
    let plain = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
    if name.chars().all(plain) && !name.contains("=?") {
        return format!("{name} <{address}>");
    }
    if name.chars().all(|c| matches!(c, ' '..='~')) && !name.contains("=?") {
        return format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("{} <{address}>", encoded(name))
}

/// Encoded words (RFC 2047), each on a line of its own, and no character in two of them.
fn encoded(text: &str) -> String {
    // 75 for all of it, of which the frame takes 12 (§2).
    const MOST: usize = 63;
    let mut words = vec![String::new()];
    for c in text.chars() {
        let code = match c {
            ' ' => "_".to_owned(),
            'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_string(),
            _ => c.to_string().bytes().map(|octet| format!("={octet:02X}")).collect(),
        };
        match words.last_mut() {
            Some(word) if word.len() + code.len() <= MOST => word.push_str(&code),
            _ => words.push(code),
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?UTF-8?Q?{word}?=")).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(text: &str) -> String {
        let header = Header::read(&mut text.replace('\n', "\r\n").as_bytes()).unwrap();
        String::from_utf8(header.finish("D", "I", "F")).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn what_is_missing_is_added_and_blind_copies_are_taken_out() {
        for (text, result) in [
            ("Subject: x\n\nb\n", "Date: D\nMessage-ID: I\nFrom: F\nSubject: x\n\n"),
            ("from: a@b\nDATE: x\nMessage-Id: y\n\n", "from: a@b\nDATE: x\nMessage-Id: y\n\n"),
            (
                "From: a\nDate: b\nMessage-ID: c\nBcc: x,\n y\nbcc : z\nTo: w\n",
                "From: a\nDate: b\nMessage-ID: c\nTo: w\n\n",
            ),
            (
                "From a@b Mon\nReturn-Path: <a@b>\nFrom: a\nDate: b\nMessage-ID: c\n\n",
                "From: a\nDate: b\nMessage-ID: c\n\n",
            ),
            ("just text\nmore\n", "Date: D\nMessage-ID: I\nFrom: F\n\njust text\n"),
            (" indented\n", "Date: D\nMessage-ID: I\nFrom: F\n\n indented\n"),
            ("two words: x\n", "Date: D\nMessage-ID: I\nFrom: F\n\ntwo words: x\n"),
            ("", "Date: D\nMessage-ID: I\nFrom: F\n\n"),
            (
                "Resent-To: a\nResent-Bcc: b\nSubject: x\n\n",
                "Resent-Date: D\nResent-Message-ID: I\nResent-From: F\nResent-To: a\nSubject: x\n\n",
            ),
            (
                "Resent-To: a\nResent-To: c\nResent-Date: d\n\n",
                "Resent-Date: D\nResent-Message-ID: I\nResent-From: F\nResent-To: a\nResent-To: c\nResent-Date: d\n\n",
            ),
        ] {
            assert_eq!(finish(text), result, "{text}");
        }
    }

    #[test]
    fn recipients_are_those_of_the_last_sending() {
        for (text, recipients) in [
            (
                "To: a@b,\r\n c@d\r\nCC: e@f\r\nbcc: g@h\r\nReply-To: x@y\r\n\r\nTo: z@z\r\n",
                &["a@b", "c@d", "e@f", "g@h"][..],
            ),
            ("To: a@b\r\nTo: c@d\r\n", &["a@b", "c@d"]),
            ("To: a@b\r\nResent-Bcc: c@d\r\nResent-To: e@f\r\n", &["c@d", "e@f"]),
            (
                "Resent-From: x@y\r\nResent-To: a@b\r\nResent-From: z@y\r\nResent-To: old@b\r\nResent-Cc: old@c\r\n",
                &["a@b"],
            ),
            ("Resent-From: x@y\r\nTo: a@b\r\n", &["a@b"]),
            ("Subject: x\r\n", &[]),
        ] {
            let header = Header::read(&mut text.as_bytes()).unwrap();
            assert_eq!(header.recipients().unwrap(), recipients, "{text}");
        }
        let wrong = Header::read(&mut &b"To: a@b\r\nCc: Ada Lovelace\r\n"[..]).unwrap().recipients().unwrap_err();
        assert_eq!(
            (wrong.code, wrong.message.as_str()),
            (65, "Cc: that is no address in \"Ada Lovelace\"; nothing was sent")
        );
    }

    #[test]
    fn headers_and_recipients_have_bounds() {
        let long = [b"To: a@b\r\n".repeat(MAX_HEADER / 9), b"To: c@d\r\n\r\n".to_vec()].concat();
        assert_eq!(Header::read(&mut &long[..]).unwrap_err().code, EX_DATAERR);
        let many = b"To: a@b\r\n".repeat(MAX_RECIPIENTS + 1);
        assert_eq!(Header::read(&mut &many[..]).unwrap().recipients().unwrap_err().code, EX_DATAERR);
        // A body of one long line is no header.
        let text = vec![b'x'; 3 * MAX_HEADER];
        let mut rest = &text[..];
        let header = Header::read(&mut rest).unwrap();
        assert_eq!(header.body.len() + rest.len(), text.len());
    }

    #[test]
    fn names_are_quoted_or_encoded_as_they_need() {
        for (name, value) in [
            (None, "a@b"),
            (Some(" "), "a@b"),
            (Some("Ada Lovelace"), "Ada Lovelace <a@b>"),
            (Some("Lovelace, \"A\\.\""), "\"Lovelace, \\\"A\\\\.\\\"\" <a@b>"),
            (Some("Zoë\r\nBcc: x@y"), "=?UTF-8?Q?Zo=C3=AB=0D=0ABcc=3A_x=40y?= <a@b>"),
            (Some("=?x?="), "=?UTF-8?Q?=3D=3Fx=3F=3D?= <a@b>"),
        ] {
            assert_eq!(from(name, "a@b"), value);
        }
        let long = from(Some(&"ü".repeat(40)), "a@b");
        assert!(long.split("\r\n ").all(|line| line.len() <= 75 + " <a@b>".len()), "{long}");
    }
}
