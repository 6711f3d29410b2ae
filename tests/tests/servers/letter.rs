//! Messages that a careless client or server would change.

/// What every message has, so that no server has a reason to add it.
const HEAD: &str = "From: <ada@client.example>\r\nTo: bob@mx.example\r\nSubject: to others\r\n\
Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <servers@client.example>\r\nMIME-Version: 1.0\r\n\
Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

/// Lines of dots, empty lines at both ends, a line that looks like a command and one that looks like mbox's.
pub(crate) fn dots() -> Vec<u8> {
    format!("{HEAD}\r\n.\r\n..\r\n.hidden\r\nQUIT\r\nFrom here on\r\n \r\n\t.\r\n.\r\n\r\n").into_bytes()
}

/// The same with octets above 127.
pub(crate) fn eight_bit() -> Vec<u8> {
    format!("{HEAD}.Gr\u{fc}\u{df}e\r\n\u{1f4ec}\r\n").into_bytes()
}

/// Lines of 998 octets, as many as RFC 5321 §4.5.3.1.6 allows with CRLF; with a dot in front, and a last one that is nothing but dots.
pub(crate) fn long_lines() -> Vec<u8> {
    let full = "x".repeat(998);
    let dotted = format!(".{}", "y".repeat(997));
    format!("{HEAD}{full}\r\n{dotted}\r\n{full}\r\n{}\r\n", ".".repeat(998)).into_bytes()
}

/// A line of so many octets, more than is allowed.
pub(crate) fn too_long(octets: usize) -> Vec<u8> {
    format!("{HEAD}short\r\n{}\r\nend\r\n", "z".repeat(octets)).into_bytes()
}

/// 5 MB of lines, each of which is another.
pub(crate) fn big() -> Vec<u8> {
    let mut text = HEAD.as_bytes().to_vec();
    let mut number = 0_u32;
    while text.len() < 5_000_000 {
        let dot = if number.is_multiple_of(5) { "." } else { "" };
        text.extend_from_slice(format!("{dot}line {number} of very many, none of which may be lost\r\n").as_bytes());
        number += 1;
    }
    text
}
