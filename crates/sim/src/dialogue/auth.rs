//! AUTH exchanges (RFC 4954 §4), as far as a session sees them: lines of base64.

use super::{Dialogue, Says};
use ehlo_codec::codes::{ReplyCode, Stage, Verb};

/// What the application has to be asked about next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) mechanism: String,
    /// Decoded; nothing if AUTH came without any.
    pub(crate) response: Option<Vec<u8>>,
    pub(crate) begins: bool,
}

/// What a line of AUTH says: the mechanism, and the initial response if there is one.
pub(super) fn initial(line: &[u8]) -> Says {
    // Space behind a command is let pass (RFC 5321 §4.1.1).
    let mut words = line.trim_ascii_end().split(|b| *b == b' ').skip(1);
    let mechanism = String::from_utf8_lossy(words.next().unwrap_or_default()).to_ascii_uppercase();
    let response = words.next().map(<[u8]>::to_vec);
    // More words than these are malformed, and no question is asked.
    if words.next().is_some() { Says::Other } else { Says::Auth(mechanism, response) }
}

impl Dialogue {
    /// The exchange that a question has to be about, if one may be asked: AUTH out of sequence is none.
    pub(crate) fn exchange(&self) -> Option<Exchange> {
        match &self.owed.get(self.answered)?.says {
            Says::Auth(mechanism, response) => {
                let in_sequence = self.greeted && self.envelope.from.is_none() && !self.identified;
                let response = match response.as_deref() {
                    None => None,
                    // An initial response of no octets.
                    Some(b"=") => Some(Vec::new()),
                    Some(text) => Some(decoded(text).filter(|octets| !octets.is_empty())?),
                };
                in_sequence.then(|| Exchange { mechanism: mechanism.clone(), response, begins: true })
            }
            Says::Response(text) => {
                let mechanism = self.mechanism.clone()?;
                Some(Exchange { mechanism, response: Some(decoded(text)?), begins: false })
            }
            _ => None,
        }
    }

    /// The application has said who the client is.
    pub(crate) fn granted(&mut self) {
        assert!(!self.identified, "a second identity");
        self.granted = true;
    }

    /// The application goes on with these octets.
    pub(crate) fn challenged(&mut self, octets: &[u8]) {
        assert!(self.challenge.replace(octets.to_vec()).is_none(), "a challenge behind a challenge");
    }

    /// A challenge was put out, in answer to AUTH or a response.
    pub(super) fn challenge_told(&mut self, stage: Stage, says: Says, text: &[u8]) {
        let challenge = self.challenge.take().expect("334, and no challenge was given");
        assert_eq!(decoded(text), Some(challenge), "another challenge than was given");
        match (stage, says) {
            (Stage::Verb(Verb::Auth), Says::Auth(mechanism, _)) => self.mechanism = Some(mechanism),
            (Stage::AuthResponse, Says::Response(_)) => {}
            (stage, _) => panic!("334 to {stage:?}"),
        }
    }

    /// An exchange, or an attempt at one, has failed with this. Whether that was one too many is counted for the whole connection.
    pub(super) fn auth_refused(&mut self, stage: Stage, says: &Says, code: ReplyCode) {
        assert!(self.challenge.is_none(), "{code} in place of a challenge");
        let refused = code.get() == 535;
        let no_response = stage == Stage::AuthResponse && matches!(code.get(), 500 | 501);
        if let (true, Says::Response(text)) = (no_response, says) {
            let longest = self.shape.auth_line;
            let reason = match code.get() {
                500 => text.len() + 2 > longest,
                _ => text == b"*" || decoded(text).is_none(),
            };
            assert!(reason, "{code} to the response {}", text.escape_ascii());
        }
        if refused || no_response {
            self.auth_failures += 1;
            assert!(self.auth_failures <= self.shape.auth_failures, "one attempt too many at AUTH");
            // 421 follows.
            self.hopeless |= self.auth_failures == self.shape.auth_failures;
        }
    }
}

/// The octets that this is the base64 of (RFC 4648 §4): without line ends, with padding, and with no bits left over.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::new();
    for (at, group) in text.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|b| **b == b'=').count();
        let last = (at + 1) * 4 == text.len();
        if padding > 2 || (padding > 0 && !last) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &group[..4 - padding] {
            bits = bits << 6 | value(*byte)?;
        }
        let [_, a, b, c] = (bits << (6 * padding)).to_be_bytes();
        let octets = [a, b, c];
        let (whole, left) = octets.split_at(3 - padding);
        if left.iter().any(|b| *b != 0) {
            return None;
        }
        out.extend_from_slice(whole);
    }
    Some(out)
}

fn value(byte: u8) -> Option<u32> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    ALPHABET.iter().position(|b| *b == byte).map(|at| at as u32)
}
