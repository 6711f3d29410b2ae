//! Bodies on their way out: any pieces and any room are the same wire, and what does not fit its envelope leaves no octet too many.

mod clock;

use ehlo_client::codec::{BodyType, DataDecoder, ForwardPath, LineEnding, ReversePath, StuffError};
use ehlo_client::{BodyError, BodyWriter, Config, Envelope, Event, LineEndings, Prepared, Session, Transfer};
use std::sync::Arc;
use std::time::Instant;

/// splitmix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// Each CR, LF and CRLF as CRLF, the slow way.
fn normal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' => out.extend_from_slice(b"\r\n"),
            b'\n' if i > 0 && text[i - 1] == b'\r' => {}
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    out
}

/// The first CR or LF that stands alone.
fn lone(text: &[u8]) -> Option<StuffError> {
    (0..text.len()).find_map(|i| {
        let kind = match text[i] {
            b'\r' if text.get(i + 1) != Some(&b'\n') => LineEnding::BareCr,
            b'\n' if i == 0 || text[i - 1] != b'\r' => LineEnding::BareLf,
            _ => return None,
        };
        Some(StuffError { kind, offset: i as u64 })
    })
}

/// A session that wants a body in this form.
fn wanting(now: Instant, transfer: Transfer, size: u64, kind: BodyType) -> Session {
    let config = Config::new("client.example").expect("a domain").chunking(transfer != Transfer::Dots);
    let mut session = Session::new(now, Arc::new(config));
    let from = ReversePath::parse_prefix(b"<a@client.example>").expect("a path").0;
    let to = [ForwardPath::parse_prefix(b"<b@mx.example>").expect("a path").0.into()];
    hear(&mut session, now, b"220 mx\r\n");
    hear(&mut session, now, b"250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 CHUNKING\r\n");
    let mut envelope = Envelope::new(from, &to).with_body(kind);
    if transfer != Transfer::Chunks {
        envelope = envelope.with_size(size);
    }
    session.begin(now, &envelope).expect("the session is ready");
    let said: &[u8] =
        if transfer == Transfer::Dots { b"250 ok\r\n250 ok\r\n354 go\r\n" } else { b"250 ok\r\n250 ok\r\n" };
    let events = hear(&mut session, now, said);
    assert!(
        events.iter().any(|event| matches!(event, Event::BodyWanted(_, wanted) if *wanted == transfer)),
        "{events:?}"
    );
    let n = session.output().len();
    session.output_sent(now, n);
    session
}

fn hear(session: &mut Session, now: Instant, mut bytes: &[u8]) -> Vec<Event> {
    let n = session.output().len();
    session.output_sent(now, n);
    let mut events = Vec::new();
    loop {
        let step = session.handle_input(now, bytes);
        bytes = &bytes[step.used..];
        match step.event {
            Some(event) => events.push(event),
            None => return events,
        }
    }
}

/// Writes a body as a driver does, in pieces and with room as chance has it. Gives all that goes over the wire behind the envelope.
fn write(
    writer: &mut BodyWriter,
    session: &mut Session,
    now: Instant,
    body: &[u8],
    chance: &mut Chance,
    whole: bool,
) -> Result<Vec<u8>, BodyError> {
    let (mut wire, mut rest, mut ended, mut chunks, mut idle) = (Vec::new(), body, false, 0, 0);
    for _ in 0..10_000_000 {
        if !ended && writer.wants_more() {
            if rest.is_empty() {
                writer.end()?;
                ended = true;
            } else {
                let piece = &rest[..if whole { rest.len() } else { 1 + chance.below(rest.len()) }];
                let used = writer.put(piece)?;
                assert!(used > 0 || !writer.wants_more(), "more is wanted and not taken");
                rest = &rest[used..];
            }
        }
        let over = writer.advance(session, now).expect("the session wants it");
        let output = session.output().to_vec();
        chunks += usize::from(output.starts_with(b"BDAT "));
        idle = if output.is_empty() && writer.wire().is_empty() && !writer.wants_more() { idle + 1 } else { 0 };
        wire.extend_from_slice(&output);
        session.output_sent(now, output.len());
        if over {
            return Ok(wire);
        }
        let ready = writer.wire();
        let n = if whole { ready.len() } else { chance.below(ready.len() + 1) };
        wire.extend_from_slice(&ready[..n]);
        writer.sent(n);
        session.body_progress(now);
        if idle > 2 {
            // As many chunks as may wait are under way.
            hear(session, now, &b"250 ok\r\n".repeat(chunks));
            chunks = 0;
        }
    }
    panic!("the body does not end");
}

/// What chunks hold together, and whether each but the last is full.
fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = wire.windows(2).position(|pair| pair == b"\r\n").expect("a command");
        let line = std::str::from_utf8(&wire[..end]).expect("a command");
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("BDAT"), "{line}");
        let octets: usize = words.next().and_then(|octets| octets.parse().ok()).expect("a count");
        let last = words.next() == Some("LAST");
        wire = &wire[end + 2..];
        assert!(wire.len() >= octets, "{line}: more is announced than there is");
        body.extend_from_slice(&wire[..octets]);
        wire = &wire[octets..];
        if last {
            assert!(wire.is_empty(), "octets behind the last chunk");
            return body;
        }
        assert!(octets > 0, "{line}");
    }
}

const TRANSFERS: [Transfer; 3] = [Transfer::Dots, Transfer::Whole, Transfer::Chunks];

/// What must come of a body: the text that is sent, or why it can't be.
fn expected(body: &[u8], kind: BodyType, endings: LineEndings) -> Result<Vec<u8>, BodyError> {
    if kind == BodyType::BinaryMime {
        return Ok(body.to_vec());
    }
    let high = body.iter().position(|byte| !byte.is_ascii()).filter(|_| kind == BodyType::SevenBit);
    match (endings, lone(body), high) {
        // Which of two faults is told is no matter, but for its place.
        (LineEndings::Refuse, Some(fault), _) => Err(BodyError::LineEnding(fault)),
        (_, _, Some(offset)) => Err(BodyError::NotSevenBit { offset: offset as u64 }),
        (LineEndings::Refuse, None, None) => Ok(body.to_vec()),
        (LineEndings::Normalize, _, None) => Ok(normal(body)),
    }
}

fn check(body: &[u8], kind: BodyType, transfer: Transfer, endings: LineEndings, chance: &mut Chance, whole: bool) {
    let now = clock::epoch();
    let text = expected(body, kind, endings);
    let size = text.as_ref().map_or(2 * body.len(), Vec::len) as u64;
    let mut session = wanting(now, transfer, size, kind);
    let mut writer = BodyWriter::new(transfer, kind, Some(size), endings);
    let place =
        format!("{:?} {kind:?} {transfer:?} {endings:?}", &body[..body.len().min(40)].escape_ascii().to_string());
    let wire = match (write(&mut writer, &mut session, now, body, chance, whole), text) {
        (Ok(wire), Ok(text)) => (wire, text),
        (Err(got), Err(wanted)) => {
            let two = lone(body).is_some() && !body.is_ascii() && kind == BodyType::SevenBit;
            let offset = body.iter().position(|byte| !byte.is_ascii()).unwrap_or(0) as u64;
            assert!(
                got == wanted || (two && got == BodyError::NotSevenBit { offset }),
                "{place}: {got:?}, not {wanted:?}"
            );
            return;
        }
        (got, wanted) => panic!("{place}: {got:?}, not {wanted:?}"),
    };
    let (wire, mut text) = wire;
    match transfer {
        Transfer::Dots => {
            let (mut decoder, mut read) = (DataDecoder::new(), Vec::new());
            assert_eq!(decoder.decode_into(&wire, &mut read), (wire.len(), true), "{place}: the end is the end");
            if !text.is_empty() && !text.ends_with(b"\r\n") {
                text.extend_from_slice(b"\r\n");
            }
            assert!(read == text, "{place}: {}", read.escape_ascii());
            assert!(!decoder.faults().bare_line_end(), "{place}");
        }
        Transfer::Whole => assert!(wire == text, "{place}: {}", wire.escape_ascii()),
        Transfer::Chunks => assert!(unchunked(&wire) == text, "{place}: {}", wire.escape_ascii()),
    }
    let framing = if transfer == Transfer::Whole { 0 } else { wire.len() };
    assert!(writer.written() as usize <= wire.len() && writer.written() as usize + framing >= text.len(), "{place}");
}

// C021, C022, C023, C024, C056
#[test]
fn every_short_body_is_the_same_on_the_wire_in_any_pieces() {
    const ALPHABET: [u8; 5] = *b"a.\r\n\xff";
    let mut chance = Chance(1);
    for length in 0..=5_u32 {
        for number in 0..ALPHABET.len().pow(length) {
            let body: Vec<u8> =
                (0..length).map(|place| ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()]).collect();
            for transfer in TRANSFERS {
                for endings in [LineEndings::Refuse, LineEndings::Normalize] {
                    for kind in [BodyType::SevenBit, BodyType::EightBitMime] {
                        check(&body, kind, transfer, endings, &mut chance, number % 2 == 0);
                    }
                    if transfer != Transfer::Dots {
                        check(&body, BodyType::BinaryMime, transfer, endings, &mut chance, false);
                    }
                }
            }
        }
    }
}

#[test]
fn a_long_body_is_the_same_on_the_wire_in_any_pieces() {
    let mut chance = Chance(2);
    for round in 0..24 {
        let length = chance.below(4 * BodyWriter::ROOM);
        let pieces: &[&[u8]] = &[b"\n", b"\n.", b"\r", b"\r\n", b".\n", b"text and more", b"a"];
        let mut body = Vec::new();
        while body.len() < length {
            // The densest kind of all, in which each octet becomes two, or a common one.
            let piece = if round % 3 == 0 { pieces[chance.below(2)] } else { pieces[chance.below(pieces.len())] };
            body.extend_from_slice(piece);
        }
        for transfer in TRANSFERS {
            check(&body, BodyType::SevenBit, transfer, LineEndings::Normalize, &mut chance, round % 2 == 0);
            let text = normal(&body);
            check(&text, BodyType::SevenBit, transfer, LineEndings::Refuse, &mut chance, round % 2 == 0);
        }
    }
}

#[test]
fn a_writer_keeps_its_room_and_a_little_whatever_it_is_given() {
    let mut chance = Chance(3);
    let body = b"\n.".repeat(4 * BodyWriter::ROOM);
    let mut writer = BodyWriter::new(Transfer::Dots, BodyType::SevenBit, None, LineEndings::Normalize);
    let (mut rest, mut written) = (&body[..], 0);
    let memory = allocation_counter::measure(|| {
        while !rest.is_empty() {
            let used =
                writer.put(&rest[..rest.len().min(1 + chance.below(100_000))]).expect("nothing is wrong with it");
            rest = &rest[used..];
            // A connection that never takes all that there is.
            let n = writer.wire().len().saturating_sub(1);
            writer.sent(n);
            written += n;
        }
    });
    assert!(written > 3 * body.len() / 2, "it was written");
    // A vector that grows may hold twice of it, and once more while it moves.
    assert!(memory.bytes_max <= 4 * BodyWriter::ROOM as u64 + 100_000, "{} bytes", memory.bytes_max);
}

#[test]
fn a_normalized_text_is_normal_and_stays_what_it_is() {
    const ALPHABET: [u8; 3] = *b"a\r\n";
    for length in 0..=8_u32 {
        for number in 0..ALPHABET.len().pow(length) {
            let text: Vec<u8> =
                (0..length).map(|place| ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()]).collect();
            let once = Prepared::text(&text, LineEndings::Normalize).expect("any text can be made normal");
            assert_eq!(*once.octets, normal(&text)[..], "{}", text.escape_ascii());
            assert_eq!(lone(&once.octets), None);
            let twice = Prepared::text(&once.octets, LineEndings::Normalize).expect("a normal text");
            assert!(twice.octets == once.octets && matches!(twice.octets, std::borrow::Cow::Borrowed(_)));
            assert_eq!(Prepared::text(&text, LineEndings::Refuse).err(), lone(&text), "{}", text.escape_ascii());
        }
    }
    assert_eq!(Prepared::text(b"\xe9", LineEndings::Refuse).map(|text| text.kind), Ok(BodyType::EightBitMime));
}

// C056
#[test]
fn a_body_of_another_length_than_was_said_never_puts_out_an_octet_too_many() {
    let now = clock::epoch();
    for (declared, body, endings) in [
        (3, &b"a\r\n\r\n"[..], LineEndings::Refuse),
        // Three octets in the file are four on the wire.
        (3, b"a\n\n", LineEndings::Normalize),
        (0, b"a", LineEndings::Refuse),
    ] {
        let mut writer = BodyWriter::new(Transfer::Whole, BodyType::SevenBit, Some(declared), endings);
        let mut wire = Vec::new();
        let put = body.chunks(1).try_for_each(|piece| {
            writer.put(piece)?;
            wire.extend_from_slice(writer.wire());
            writer.sent(writer.wire().len());
            Ok(())
        });
        assert_eq!(put, Err(BodyError::Length { declared }));
        wire.extend_from_slice(writer.wire());
        assert!(wire.len() as u64 <= declared, "{} octets for {declared}: {}", wire.len(), wire.escape_ascii());
    }
    let mut session = wanting(now, Transfer::Whole, 4, BodyType::SevenBit);
    let mut writer = BodyWriter::new(Transfer::Whole, BodyType::SevenBit, Some(4), LineEndings::Refuse);
    writer.put(b"abc").expect("it is not too long");
    assert_eq!(writer.end(), Err(BodyError::Length { declared: 4 }));
    assert_eq!(writer.advance(&mut session, now), Ok(false), "the end was not told");
}

#[test]
fn the_last_octet_of_an_only_chunk_waits_until_it_is_known_to_be_the_last() {
    let now = clock::epoch();
    let mut session = wanting(now, Transfer::Whole, 4, BodyType::SevenBit);
    let mut writer = BodyWriter::new(Transfer::Whole, BodyType::SevenBit, Some(4), LineEndings::Refuse);
    assert_eq!(writer.put(b"a\r\nb"), Ok(4));
    assert_eq!(writer.wire(), b"a\r\n");
    writer.sent(3);
    assert!(writer.wire().is_empty());
    assert_eq!(writer.advance(&mut session, now), Ok(false));
    writer.end().expect("it has its octets");
    assert_eq!(writer.wire(), b"b");
    writer.sent(1);
    assert_eq!(writer.advance(&mut session, now), Ok(true));
    // A message that is longer than was said is not taken for a whole one.
    writer.restart(Transfer::Whole, BodyType::SevenBit, Some(4), LineEndings::Refuse);
    writer.put(b"abcd").expect("it is not too long");
    assert_eq!(writer.put(b"e"), Err(BodyError::Length { declared: 4 }));
    assert_eq!(writer.wire(), b"abc");
}

#[test]
fn a_place_in_a_body_is_the_one_in_what_was_handed_in() {
    let mut writer = BodyWriter::new(Transfer::Dots, BodyType::SevenBit, None, LineEndings::Normalize);
    writer.put(b"a\n\n\n").expect("nothing is wrong with it");
    assert_eq!(writer.put(b"b\xff"), Err(BodyError::NotSevenBit { offset: 5 }));
    let mut writer = BodyWriter::new(Transfer::Chunks, BodyType::SevenBit, None, LineEndings::Refuse);
    writer.put(b"ab").expect("nothing is wrong with it");
    let fault = StuffError { kind: LineEnding::BareLf, offset: 3 };
    assert_eq!(writer.put(b"c\n"), Err(BodyError::LineEnding(fault)));
}

#[test]
fn a_writer_that_is_used_again_begins_anew() {
    let mut writer = BodyWriter::new(Transfer::Dots, BodyType::SevenBit, None, LineEndings::Normalize);
    writer.put(b"half a line\r").expect("nothing is wrong with it");
    writer.restart(Transfer::Dots, BodyType::SevenBit, None, LineEndings::Normalize);
    writer.put(b"\n.").expect("nothing is wrong with it");
    assert_eq!(writer.wire(), b"\r\n..");
}
