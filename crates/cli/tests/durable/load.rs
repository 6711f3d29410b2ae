//! Messages that can be told apart, and recognised to the last octet.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// The header field that tells which message it is.
const FIELD: &str = "X-Test-Id: ";

/// A sequence of numbers that only looks random, so that what was seen can be seen again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The message of that number: of one line up to some of the server's buffers, with its number from the first line to the last.
pub(crate) fn message(id: u64) -> String {
    let mut random = Random(id);
    let lines = match random.below(8) {
        0 => random.below(4000),
        1 | 2 => random.below(400),
        _ => random.below(40),
    };
    let mut text = format!("{FIELD}{id}\r\nSubject: {lines} lines\r\n\r\n");
    for line in 0..lines {
        text += &format!("{id} {line} {:x}................................\r\n", random.below(u64::MAX));
    }
    text + &format!("end of {id}\r\n")
}

/// Checks that a file of a maildir is a whole message, with what the server has put in front; gives its number.
pub(crate) fn check(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    check_text(&text, &path.display().to_string())
}

pub(crate) fn check_text(text: &str, name: &str) -> u64 {
    let begin = text.find(FIELD).unwrap_or_else(|| panic!("{name} is torn: {} octets", text.len()));
    let id = text[begin + FIELD.len()..].split("\r\n").next().and_then(|id| id.parse().ok());
    let id = id.unwrap_or_else(|| panic!("{name} is torn in its first line"));
    assert!(text[begin..] == message(id), "{name}, message {id}, is torn: {} octets", text.len());
    assert!(text.starts_with("Return-Path: <a@b.example>\r\n"), "{name}");
    id
}

/// A client that notices when its server is gone.
pub(crate) struct Sender(BufReader<TcpStream>);

impl Sender {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        let mut sender = Self(BufReader::new(stream));
        sender.reply()?;
        sender.say("HELO client.example\r\n")?;
        Ok(sender)
    }

    pub(crate) fn say(&mut self, text: &str) -> io::Result<String> {
        self.0.get_mut().write_all(text.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let before = reply.len();
            if self.0.read_line(&mut reply)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if reply.as_bytes().get(before + 3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    /// Sends the message of that number; gives the reply to it.
    pub(crate) fn send(&mut self, id: u64) -> io::Result<String> {
        for line in ["MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", "DATA\r\n"] {
            let reply = self.say(line)?;
            if !reply.starts_with(['2', '3']) {
                return Ok(reply);
            }
        }
        self.say(&(message(id) + ".\r\n"))
    }
}
