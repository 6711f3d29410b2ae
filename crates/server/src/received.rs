//! Loops, found by counting `Received:` fields (RFC 5321 §6.3).

/// What a trace field begins with, in lower case.
const NAME: &[u8] = b"received";

/// Counts the `Received:` header fields of a message while it comes in, in pieces of any length.
///
/// It keeps no byte of the message, only how far into a field's name it is; the name is compared without regard to case, and space or
/// TAB may stand in front of the colon, as messages of old had it (RFC 5322 §4.5). Folded lines are part of their field. The header
/// ends at the first empty line (RFC 5322 §2.1), and what comes behind it costs nothing. An LF ends a line here with a CR before it or
/// without: where bare ones are [taken](crate::BareLineEnds::Keep), a loop is found all the same.
///
/// A [`Session`](crate::Session) has one built in, see [`Limits::received`](crate::Limits::received). It is there by itself for
/// whoever gets messages in another way.
///
/// ```
/// use ehlo_server::ReceivedCount;
///
/// let mut count = ReceivedCount::new();
/// count.feed(b"Received: from a.example by b.example; Thu, 1 Jan 1970 00:00:00 +0000\r\nRECEI");
/// count.feed(b"VED: from c.example by a.example;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n\r\nReceived: yesterday\r\n");
/// assert_eq!(count.get(), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReceivedCount {
    count: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many octets of the name stand at the start of the line, and nothing else.
    Name(u8),
    /// Space behind the whole name.
    Space,
    /// A CR at the start of the line, which ends the header if LF follows.
    Cr,
    /// Somewhere in a line that counts no more.
    Line,
    /// Behind the header.
    Body,
}

impl Default for ReceivedCount {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceivedCount {
    /// A count at the start of a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, place: Place::Name(0) }
    }

    /// How many there were so far.
    #[must_use]
    pub const fn get(&self) -> u32 {
        self.count
    }

    /// Looks at the next bytes of the message, dot-stuffing removed.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while self.place != Place::Body {
            if self.place == Place::Line {
                let Some(end) = bytes.iter().position(|&b| b == b'\n') else { return };
                self.place = Place::Name(0);
                bytes = &bytes[end + 1..];
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            self.place = self.start_of_line(byte);
            bytes = rest;
        }
    }

    /// The place behind an octet of a line of which nothing else than the name has been seen.
    fn start_of_line(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            (Place::Name(0) | Place::Cr, b'\n') => Place::Body,
            (_, b'\n') => Place::Name(0),
            (Place::Name(0), b'\r') => Place::Cr,
            (Place::Name(at), byte) if NAME.get(usize::from(at)) == Some(&byte.to_ascii_lowercase()) => {
                Place::Name(at + 1)
            }
            (Place::Name(at), b' ' | b'\t') if usize::from(at) == NAME.len() => Place::Space,
            (Place::Space, b' ' | b'\t') => Place::Space,
            (Place::Name(at), b':') if usize::from(at) == NAME.len() => self.found(),
            (Place::Space, b':') => self.found(),
            _ => Place::Line,
        }
    }

    fn found(&mut self) -> Place {
        self.count = self.count.saturating_add(1);
        Place::Line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pieces: &[&[u8]]) -> u32 {
        let mut count = ReceivedCount::new();
        pieces.iter().for_each(|piece| count.feed(piece));
        count.get()
    }

    /// The same, by definition: on the whole message.
    fn slow_count(message: &[u8]) -> u32 {
        let mut lines = message.split_inclusive(|&b| b == b'\n');
        let header = lines.by_ref().take_while(|line| *line != b"\n" && *line != b"\r\n");
        let counts = |line: &&[u8]| {
            let Some((name, rest)) = line.split_at_checked(NAME.len()) else { return false };
            let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            name.eq_ignore_ascii_case(NAME) && rest.get(space) == Some(&b':')
        };
        u32::try_from(header.filter(counts).count()).unwrap()
    }

    const MESSAGES: &[(&[u8], u32)] = &[
        (b"", 0),
        (b"\r\n", 0),
        (b"\r\nReceived: x\r\n", 0),
        (b"Received: x\r\n", 1),
        (b"Received:\r\nreceived:\r\nRECEIVED:x\r\n", 3),
        (b"Received : x\r\nReceived \t : y\r\n\r\n", 2),
        (b"Received: x\r\n\tReceived: folded\r\n Received: folded\r\n\r\n", 1),
        (b"X-Received: x\r\nReceived-SPF: pass\r\nReceive: x\r\nReceivedd: x\r\nReceived\r\n", 0),
        (b"Received\r\n: x\r\nReceived \r\n: x\r\n", 0),
        (b"Subject: Received: x\r\n Received: y\r\nReceived: z\r\n\r\nReceived: w\r\n", 1),
        (b"no header at all\r\nReceived: x\r\n", 1),
        (b"Received: x\nReceived: y\n\nReceived: z\n", 2),
        (b"Received: x\r\n\rReceived: y\r\n\r\nReceived: z\r\n", 1),
        (b"Received: x\r\r\nReceived: y\r\n\r\r\nReceived: z\r\n\r\nReceived: w\r\n", 3),
        (b"\0Received: x\r\nRe\0ceived: x\r\n\xffReceived: x\r\n", 0),
    ];

    #[test]
    fn fields_are_counted_in_the_header_and_nowhere_else_at_every_split() {
        for &(message, expected) in MESSAGES {
            let text = message.escape_ascii();
            assert_eq!(slow_count(message), expected, "{text}");
            assert_eq!(count(&[message]), expected, "{text}");
            assert_eq!(count(&message.chunks(1).collect::<Vec<_>>()), expected, "{text}");
            for first in 0..=message.len() {
                for second in first..=message.len() {
                    let pieces = [&message[..first], &message[first..second], &message[second..]];
                    assert_eq!(count(&pieces), expected, "{text} cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn short_messages_of_all_kinds_are_counted_as_by_definition() {
        const WORDS: &[&[u8]] = &[b"Received", b"re", b"ceived", b":", b" ", b"\r\n", b"\n", b"\r", b"x"];
        for number in 0..WORDS.len().pow(6) {
            let mut message = Vec::new();
            let mut rest = number;
            for _ in 0..6 {
                message.extend_from_slice(WORDS[rest % WORDS.len()]);
                rest /= WORDS.len();
            }
            assert_eq!(count(&[&message]), slow_count(&message), "{}", message.escape_ascii());
        }
    }
}
