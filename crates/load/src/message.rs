//! What is sent: messages rendered before the run, and the id that makes each of them unique.

use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// Name of the header field that carries the id, with colon and space.
const ID_FIELD: &[u8; 11] = b"X-Ehlo-Id: ";
/// Octets of the id line: field name, 32 hexadecimal digits, CRLF.
pub const ID_LINE_LEN: usize = ID_FIELD.len() + 32 + 2;

/// Identity of one message: unique over a run by its sequence, and over runs by the number of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Number of the run ([`Options::run_id`](crate::Options::run_id)).
    pub run: u64,
    /// Number of the message within the run. Under a fixed rate it is the number of the arrival.
    pub sequence: u64,
}

impl MessageId {
    /// The header line that a message starts with: `X-Ehlo-Id: `, 16 hexadecimal digits of the run, 16 of the sequence, CRLF.
    #[must_use]
    pub fn line(self) -> [u8; ID_LINE_LEN] {
        let mut line = [0; ID_LINE_LEN];
        self.write_line(&mut line);
        line
    }

    pub(crate) fn write_line(self, line: &mut [u8; ID_LINE_LEN]) {
        let (field, rest) = line.split_at_mut(ID_FIELD.len());
        field.copy_from_slice(ID_FIELD);
        hex(self.run, &mut rest[..16]);
        hex(self.sequence, &mut rest[16..32]);
        rest[32..].copy_from_slice(b"\r\n");
    }

    /// Reads the id line at the start of a message; `None` if there is none.
    ///
    /// It must be the very first line: what a server stored under headers of its own is looked at from behind those.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let line = message.get(..ID_LINE_LEN)?;
        let digits = line.strip_prefix(ID_FIELD)?.strip_suffix(b"\r\n")?;
        Some(Self { run: unhex(&digits[..16])?, sequence: unhex(&digits[16..])? })
    }
}

impl From<u128> for MessageId {
    /// An id's 32 digits as one number: those of the run come first.
    fn from(id: u128) -> Self {
        Self { run: (id >> 64) as u64, sequence: id as u64 }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.run, self.sequence)
    }
}

fn hex(number: u64, digits: &mut [u8]) {
    for (position, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * position) & 15) as usize];
    }
}

fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// One message, ready to be sent many times: all but its id line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What follows the id line on the wire: dot-stuffed (RFC 5321 §4.5.2), every line ended by CRLF, and the `.` CRLF of the end
    /// of data. It starts at the start of a line: with further header fields, or with the empty line before a body.
    pub wire: Box<[u8]>,
    /// The same as the server decodes it: without stuffing and without the final `.` CRLF.
    pub decoded: Box<[u8]>,
    /// Contains octets above 127, so it is declared as `BODY=8BITMIME` (RFC 6152).
    pub eight_bit: bool,
}

impl Message {
    /// Octets of the whole message as decoded, id line included.
    #[must_use]
    pub fn size(&self) -> u64 {
        (ID_LINE_LEN + self.decoded.len()) as u64
    }
}

/// The messages of a run. Which of them goes next is drawn from the seed, each with the same odds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSet {
    messages: Vec<Message>,
}

impl MessageSet {
    /// A set of at least one message; `None` if there is none.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Option<Self> {
        (!messages.is_empty()).then_some(Self { messages })
    }

    /// The messages, never empty.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Octets of a message on average, id line included.
    #[must_use]
    pub fn mean_size(&self) -> f64 {
        self.messages.iter().map(|m| m.size() as f64).sum::<f64>() / self.messages.len() as f64
    }

    /// Octets of the largest message, id line included.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.messages.iter().map(Message::size).max().unwrap_or(0)
    }
}

/// XXH3-128 of a message as decoded: of its id line, then of the rest. The same as of both in one piece.
#[must_use]
pub fn digest(id_line: &[u8], decoded: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(id_line);
    hasher.update(decoded);
    hasher.digest128()
}

/// What is known of a message whose body was at least begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The server took it: 2xx to the end of data. It must be stored, once.
    Acked,
    /// The server answered 4xx or 5xx to the end of data. It must not be stored.
    Refused,
    /// The connection ended before the end of data was written. It must not be stored.
    Failed,
    /// The end of data was written and no reply came: the server may or may not have it.
    Unknown,
}

/// One message in the account that the generator keeps for the integrity check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its id.
    pub id: MessageId,
    /// Octets as decoded, id line included.
    pub length: u64,
    /// [`digest`] of the same octets.
    pub digest: u128,
    /// What became of it.
    pub fate: Fate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_line_reads_back() {
        let id = MessageId { run: 0xfeed_0000_0000_0001, sequence: 0x0123_4567_89ab_cdef };
        let line = id.line();
        assert_eq!(&line[..], b"X-Ehlo-Id: feed0000000000010123456789abcdef\r\n");
        assert_eq!(MessageId::parse(&line), Some(id));
        assert_eq!(id.to_string(), "feed0000000000010123456789abcdef");
    }

    #[test]
    fn a_line_that_is_no_id_line_is_not_read_as_one() {
        let good = MessageId { run: 1, sequence: 2 }.line();
        for at in 0..ID_LINE_LEN {
            let mut bad = good;
            bad[at] = b'!';
            assert_eq!(MessageId::parse(&bad), None, "octet {at}");
        }
        assert_eq!(MessageId::parse(&good[..ID_LINE_LEN - 1]), None);
    }

    #[test]
    fn the_digest_does_not_depend_on_where_the_message_is_cut() {
        let id = MessageId { run: 1, sequence: 2 }.line();
        for length in [0, 1, 200, 70_000] {
            let rest = vec![b'x'; length];
            let whole = [&id[..], &rest[..]].concat();
            assert_eq!(digest(&id, &rest), xxhash_rust::xxh3::xxh3_128(&whole));
        }
    }
}
