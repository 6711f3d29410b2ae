//! Replies, cut out of what the server says, the slow way.

use ehlo_codec::{Base64, EnhancedCode, ReplyCode};

/// A reply that came whole.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) code: ReplyCode,
    pub(super) enhanced: Option<EnhancedCode>,
    /// The texts of its lines but the first, which is a greeting where the others are extensions.
    pub(super) lines: Vec<Vec<u8>>,
    first: Vec<u8>,
    /// When it began, a command was waiting for one.
    pub(super) solicited: bool,
}

impl Told {
    /// What a 334 wants an answer to, if it is one line of Base64.
    pub(super) fn challenge(&self) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(&self.first).ok().filter(|_| self.lines.is_empty())?;
        let mut octets = Vec::new();
        Base64::parse(text)?.decode(&mut octets).then_some(octets)
    }
}

#[derive(Debug, Default)]
pub(super) struct Hears {
    /// A line that is not whole, and the lines before it.
    line: Vec<u8>,
    lines: Vec<Vec<u8>>,
    solicited: bool,
    /// Those that were not told of yet.
    replies: Vec<Told>,
}

impl Hears {
    pub(super) fn heard(&mut self, bytes: &[u8], answered: usize, commands: usize) {
        for &byte in bytes {
            if self.line.is_empty() && self.lines.is_empty() {
                self.solicited = answered + self.replies.len() < commands;
            }
            self.line.push(byte);
            if byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let goes_on = line.get(3) == Some(&b'-');
            self.lines.push(line);
            if goes_on {
                continue;
            }
            let lines = std::mem::take(&mut self.lines);
            let code = lines[0].get(..3).and_then(|digits| digits.try_into().ok()).and_then(ReplyCode::from_digits);
            // What is no reply ends the session; nothing can be told of it.
            let Some(code) = code else { continue };
            let text = |line: &Vec<u8>| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                line.strip_suffix(b"\r").unwrap_or(line).get(4..).unwrap_or_default().to_vec()
            };
            let mut texts = lines.iter().map(text);
            let first = texts.next().unwrap_or_default();
            let enhanced = EnhancedCode::parse_prefix(&first).map(|(enhanced, _)| enhanced);
            let enhanced = enhanced.filter(|enhanced| enhanced.agrees_with(code));
            self.replies.push(Told { code, enhanced, lines: texts.collect(), first, solicited: self.solicited });
        }
    }

    /// The reply that is told of now.
    pub(super) fn told(&mut self) -> Told {
        let told = self.replies.pop().expect("a reply is told of that did not come");
        assert!(self.replies.is_empty(), "a reply was not told of: {:?}", self.replies);
        told
    }

    /// The code of one that was not told of.
    pub(super) fn untold(&self) -> Option<ReplyCode> {
        self.replies.last().map(|told| told.code)
    }
}
