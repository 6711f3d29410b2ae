//! Nothing but CRLF `.` CRLF ends a message that comes by DATA, and nothing but its size a chunk: every short string of what might be
//! taken for an end is put between a text and the commands of a second message, and each is held against a scanner that knows the rule
//! and nothing else.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use ehlo_server::{AbortReason, BareLineEnds, Config, Event, Peer, Question, Session};

/// What might be taken for an end is made of these.
const ALPHABET: [u8; 5] = [b'\r', b'\n', b'.', 0, b'a'];

/// Strings up to this long are cut at every place; those of [`LONGEST`] are sent whole and octet by octet.
const CUT: u32 = 4;
const LONGEST: u32 = 6;

/// What stands before the string: within a line, and at the start of one.
const BEFORE: [&[u8]; 2] = [b"text", b"text\r\n"];

/// What somebody wants obeyed behind it.
const SMUGGLED: &[u8] =
    b"MAIL FROM:<smuggled@client.test>\r\nRCPT TO:<bob@mx.test>\r\nDATA\r\nFrom: <admin@mx.test>\r\n\r\nsmuggled\r\n.\r\n";

const MODES: [BareLineEnds; 3] = [BareLineEnds::Reject, BareLineEnds::Keep, BareLineEnds::Normalize];

/// All strings of that length.
fn strings(length: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..ALPHABET.len().pow(length))
        .map(move |code| (0..length).map(|i| ALPHABET[code / ALPHABET.len().pow(i) % ALPHABET.len()]).collect())
}

/// Where the message ends, its end included: behind the first CRLF `.` CRLF, the one before the first line counted in.
fn end_of_data(stream: &[u8]) -> Option<usize> {
    let behind_354 = [b"\r\n", stream].concat();
    behind_354.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 5 - 2)
}

/// The message in `data`, its end included: without the end, and each line that begins with a dot without that.
fn unstuffed(data: &[u8]) -> Vec<u8> {
    let (mut out, mut line_start, mut at) = (Vec::new(), true, 0);
    let lines = &data[..data.len() - b".\r\n".len()];
    while at < lines.len() {
        if line_start && lines[at] == b'.' {
            line_start = false;
        } else if lines[at..].starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (line_start, at) = (true, at + 1);
        } else {
            out.push(lines[at]);
            line_start = false;
        }
        at += 1;
    }
    out
}

/// The message with a CRLF for each bare CR and LF.
fn normalized(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, &byte) in message.iter().enumerate() {
        let crlf = byte == b'\n' && at > 0 && message[at - 1] == b'\r';
        match byte {
            b'\r' => out.extend_from_slice(b"\r\n"),
            b'\n' if crlf => {}
            b'\n' => out.extend_from_slice(b"\r\n"),
            byte => out.push(byte),
        }
    }
    out
}

fn has_bare_line_end(message: &[u8]) -> bool {
    let pair = |at: usize| message[at..].starts_with(b"\r\n");
    (0..message.len())
        .any(|at| (message[at] == b'\r' && !pair(at)) || (message[at] == b'\n' && (at == 0 || !pair(at - 1))))
}

/// What a session made of the first message of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Octets that were used up to its end; those in front of it not counted.
    used: usize,
    /// The message, as it was handed out.
    body: Vec<u8>,
    /// Whether it was complete and may be stored.
    committed: bool,
    /// Why not.
    aborted: Option<AbortReason>,
    /// The codes of the replies since the recipient was accepted.
    replies: Vec<u16>,
}

/// A session that has accepted a recipient, with nothing to write.
fn session(config: &Arc<Config>, now: Instant) -> Session {
    let mut session = Session::new(now, Arc::clone(config), Peer::new(1));
    let mut input = &b"HELO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<bob@mx.test>\r\n"[..];
    while !input.is_empty() {
        input = &input[session.handle_input(now, input).used..];
    }
    session.output_sent(now, session.output().len());
    session
}

/// Sends the pieces up to the end of the first message, or all of them.
fn play(config: &Arc<Config>, head: &[u8], pieces: &[&[u8]]) -> Outcome {
    let now = Instant::now();
    let mut session = session(config, now);
    let mut outcome = Outcome { used: 0, body: Vec::new(), committed: false, aborted: None, replies: Vec::new() };
    let (mut used, mut begun) = (0, false);
    'stream: for piece in [head].iter().chain(pieces) {
        let mut rest = *piece;
        loop {
            let step = session.handle_input(now, rest);
            (rest, used) = (&rest[step.used..], used + step.used);
            match step.event {
                Some(Event::BodyStart) => begun = true,
                Some(Event::Body(piece)) => outcome.body.extend_from_slice(piece),
                Some(Event::BodyAborted(reason)) => outcome.aborted = Some(reason),
                Some(Event::Ask(Question::Commit(token))) => {
                    outcome.committed = true;
                    session.resolve(now, token.accept()).unwrap();
                }
                Some(other) => panic!("{other:?}"),
                None if rest.is_empty() => break,
                None => panic!("{} octets were left", rest.len()),
            }
            // The transaction is over with the message.
            if begun && session.envelope().recipient_count() == 0 {
                break 'stream;
            }
        }
    }
    outcome.used = used - head.len();
    let output = String::from_utf8(session.output().to_vec()).unwrap();
    outcome.replies = output.lines().map(|line| line[..3].parse().unwrap()).collect();
    outcome
}

fn config(mode: BareLineEnds) -> Arc<Config> {
    let mut config = Config::new("mx.test").unwrap();
    config.bare_line_ends = mode;
    Arc::new(config)
}

/// What has to become of a message that was sent like this.
fn expected(mode: BareLineEnds, message: Vec<u8>, used: usize, before: &[u16]) -> Outcome {
    let refused = mode == BareLineEnds::Reject && has_bare_line_end(&message);
    Outcome {
        used,
        body: if mode == BareLineEnds::Normalize { normalized(&message) } else { message },
        committed: !refused,
        aborted: refused.then_some(AbortReason::BareLineEnd),
        replies: [before, &[if refused { 550 } else { 250 }]].concat(),
    }
}

/// A stream whole, octet by octet, and cut at each of the places.
fn cuts(stream: &[u8], places: Range<usize>) -> Vec<Vec<&[u8]>> {
    let halves = places.map(|at| vec![&stream[..at], &stream[at..]]);
    halves.chain([vec![stream], stream.chunks(1).collect()]).collect()
}

/// The places around the string where a stream is cut; none for a long one.
fn places(before: usize, length: u32) -> Range<usize> {
    let length = length as usize;
    if length <= CUT as usize { before - 1..before + length + 2 } else { 0..0 }
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_data() {
    let (mut streams, mut smuggled) = (0, 0);
    for (mode, length) in MODES.into_iter().flat_map(|mode| (0..=LONGEST).map(move |length| (mode, length))) {
        let config = config(mode);
        for (string, before) in strings(length).flat_map(|string| BEFORE.map(|before| (string.clone(), before))) {
            let stream = [before, &string, SMUGGLED, b"\r\n.\r\n"].concat();
            let end = end_of_data(&stream).expect("it ends in CRLF . CRLF");
            let message = unstuffed(&stream[..end]);
            let within = end < before.len() + string.len() + SMUGGLED.len();
            let expected = expected(mode, message, end, &[354]);
            for pieces in cuts(&stream, places(before.len(), length)) {
                assert_eq!(play(&config, b"DATA\r\n", &pieces), expected, "{mode:?}, {string:?} cut to {pieces:?}");
            }
            streams += 1;
            smuggled += usize::from(within);
        }
    }
    // A third of them with each mode; and a few strings do end the message, where what is behind them is commands by right.
    assert!(
        streams > 100_000 && smuggled > 100 && smuggled < streams / 50,
        "{streams} streams, {smuggled} ended early"
    );
}

#[test]
fn nothing_but_its_size_ends_a_chunk() {
    let mut streams = 0;
    for (mode, length) in MODES.into_iter().flat_map(|mode| (0..=LONGEST).map(move |length| (mode, length))) {
        let config = config(mode);
        for (string, before) in strings(length).flat_map(|string| BEFORE.map(|before| (string.clone(), before))) {
            let message = [before, &string, SMUGGLED].concat();
            let head = format!("BDAT {} LAST\r\n", message.len());
            let whole = expected(mode, message.clone(), message.len(), &[]);
            for pieces in cuts(&message, places(before.len(), length)) {
                assert_eq!(play(&config, head.as_bytes(), &pieces), whole, "{mode:?}, {string:?} cut to {pieces:?}");
            }
            // In two chunks, parted at each place.
            for at in places(before.len(), length) {
                let (first, last) = message.split_at(at);
                let head = format!("BDAT {}\r\n", first.len());
                let next = format!("BDAT {} LAST\r\n", last.len());
                let used = message.len() + next.len();
                let expected = expected(mode, message.clone(), used, &[250]);
                let stream = [first, next.as_bytes(), last].concat();
                for pieces in [vec![&stream[..]], stream.chunks(1).collect()] {
                    assert_eq!(
                        play(&config, head.as_bytes(), &pieces),
                        expected,
                        "{mode:?}, {string:?} parted at {at}"
                    );
                }
            }
            streams += 1;
        }
    }
    assert!(streams > 100_000, "{streams} streams");
}

#[test]
fn the_scanner_knows_what_an_end_is() {
    assert_eq!(end_of_data(b".\r\nx"), Some(3));
    assert_eq!(end_of_data(b"a\r\n.\r\nx"), Some(6));
    for none in [&b"a\n.\n"[..], b"a\r.\r", b"a\n.\r\n", b"a\r\n.\n", b"a\r\n\0.\r\n", b"a\r\n.\0\r\n", b"a\r\n..\r\n"]
    {
        assert_eq!(end_of_data(none), None, "{none:?}");
    }
    assert_eq!(unstuffed(b"..a\r\n.b\n.\r\n.\r\n"), b".a\r\nb\n.\r\n");
    assert_eq!(normalized(b"\ra\n\r\n\n\r"), b"\r\na\r\n\r\n\r\n\r\n");
}
