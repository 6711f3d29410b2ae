//! What the server has kept of a delivery.

use crate::common::text;

/// A file of the maildir, taken apart: the lines that the server has put in front, and what the client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    /// In `Return-Path:`, without the angle brackets.
    pub(crate) from: String,
    /// The word behind `with` in `Received:`.
    pub(crate) with: String,
    /// What `X-Envelope-To:` lines hold, without the angle brackets.
    pub(crate) to: Vec<String>,
    pub(crate) message: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Takes a file apart that has so many recipients. The message may begin with fields of the same names.
    pub(crate) fn of(file: &'a [u8], recipients: usize) -> Self {
        let mut rest = file;
        let from = path(&field(&mut rest, "Return-Path"));
        let received = field(&mut rest, "Received");
        let mut words = received.split_ascii_whitespace().skip_while(|&word| word != "with");
        let with = words.nth(1).unwrap_or_else(|| panic!("Received without with: {received}")).to_owned();
        let to = (0..recipients).map(|_| path(&field(&mut rest, "X-Envelope-To"))).collect();
        Self { from, with, to, message: rest }
    }
}

/// Takes the first field, which must have that name, and gives its body with its folding.
fn field(rest: &mut &[u8], name: &str) -> String {
    let bytes = *rest;
    let mut end = 0;
    loop {
        end += bytes[end..].windows(2).position(|two| two == b"\r\n").expect("a line ends") + 2;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let (field, after) = bytes.split_at(end);
    *rest = after;
    let field = text(field);
    let body = field.strip_prefix(name).and_then(|body| body.strip_prefix(':'));
    body.unwrap_or_else(|| panic!("{name} was expected: {field}")).to_owned()
}

fn path(body: &str) -> String {
    let path = body.trim().strip_prefix('<').and_then(|path| path.strip_suffix('>'));
    path.unwrap_or_else(|| panic!("no path: {body}")).to_owned()
}

#[test]
fn a_stored_message_begins_behind_the_lines_of_the_server() {
    let file = b"Return-Path: <a@a.example>\r\nReceived: from a\r\n\tby b with ESMTPS (TLSv1.3) id x;\r\n\tnow\r\n\
                 X-Envelope-To: <b@b.example>\r\nX-Envelope-To: <forged>\r\n\r\nbody\r\n";
    let stored = Stored {
        from: "a@a.example".into(),
        with: "ESMTPS".into(),
        to: vec!["b@b.example".into()],
        message: b"X-Envelope-To: <forged>\r\n\r\nbody\r\n",
    };
    assert_eq!(Stored::of(file, 1), stored);
}
