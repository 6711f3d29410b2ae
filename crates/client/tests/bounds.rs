//! What a session keeps, and that a server cannot make it keep more.

mod clock;

use allocation_counter::measure;
use ehlo_client::codec::{BodyType, ForwardPath, ReplyLimits, ReversePath};
use ehlo_client::{
    BodyEnd, BodyWriter, CloseReason, Config, Envelope, Event, LineEndings, Misbehaviour, RecipientOutcome, Session,
    Stage, TransactionId, Transfer,
};
use std::sync::Arc;
use std::time::Instant;

const SENDER: &[u8] = b"<ada@client.example>";
const RECIPIENTS: [&[u8]; 3] = [b"<bob@mx.example>", b"<Postmaster>", b"<\"eve e\"@mx.example>"];

/// Feeds bytes, a piece at a time; gives the last event.
fn feed(session: &mut Session, now: Instant, bytes: &[u8], piece: usize) -> Option<Event> {
    let mut last = None;
    for mut rest in bytes.chunks(piece) {
        loop {
            let step = session.handle_input(now, rest);
            rest = &rest[step.used..];
            match step.event {
                Some(event) => last = Some(event),
                None => break,
            }
        }
    }
    last
}

fn write(session: &mut Session, now: Instant) {
    let n = session.output().len();
    session.output_sent(now, n);
}

fn ready(now: Instant) -> Session {
    let config = Config::new("client.example").expect("a domain");
    let mut session = Session::new(now, Arc::new(config));
    feed(&mut session, now, b"220 mx.example\r\n", 1);
    write(&mut session, now);
    let ehlo = b"250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000\r\n";
    assert_eq!(feed(&mut session, now, ehlo, 7), Some(Event::Ready));
    session
}

fn transaction(session: &mut Session, now: Instant, piece: usize) {
    let from = ReversePath::parse_prefix(SENDER).expect("a reverse-path").0;
    let to = RECIPIENTS.map(|to| ForwardPath::parse_prefix(to).expect("a forward-path").0.into());
    let envelope = Envelope::new(from, &to).with_size(1234).with_body(BodyType::EightBitMime);
    let id = session.begin(now, &envelope).expect("the session is ready");
    write(session, now);
    let replies =
        b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 we have nobody\r\n550 5.1.1 of that name\r\n250 ok\r\n354 go\r\n";
    assert!(matches!(feed(session, now, replies, piece), Some(Event::BodyWanted(..))));
    session.body_progress(now);
    session.body_finished(now, BodyEnd::Dot).expect("a body was wanted");
    write(session, now);
    let done = feed(session, now, b"250 2.0.0 queued as 0123456789\r\n", piece);
    assert!(matches!(done, Some(Event::Done(_, outcome)) if outcome.accepted == 2 && outcome.refused == 1));
    assert_eq!(session.recipients(id)[2], RecipientOutcome::Accepted);
}

#[test]
fn a_transaction_allocates_nothing_once_one_was_made() {
    let now = clock::epoch();
    for piece in [1, 3, 1000] {
        let mut session = ready(now);
        let first = measure(|| transaction(&mut session, now, piece));
        assert!(first.count_total > 0, "the counter counts");
        let rest = measure(|| {
            for _ in 0..100 {
                transaction(&mut session, now, piece);
            }
        });
        assert_eq!(rest.count_total, 0, "pieces of {piece}");
    }
}

#[test]
fn a_failed_transaction_and_the_one_behind_it_allocate_nothing_once_one_was_made() {
    let now = clock::epoch();
    let mut session = ready(now);
    let mut round = || {
        let from = ReversePath::parse_prefix(SENDER).expect("a reverse-path").0;
        let to = RECIPIENTS.map(|to| ForwardPath::parse_prefix(to).expect("a forward-path").0.into());
        session.begin(now, &Envelope::new(from, &to)).expect("the session is ready");
        let reset = session.output().starts_with(b"RSET\r\n");
        write(&mut session, now);
        if reset {
            feed(&mut session, now, b"250 ok\r\n", 100);
        }
        let replies = b"250 ok\r\n550 no\r\n550 no\r\n550 no\r\n503 no recipient\r\n";
        assert!(matches!(feed(&mut session, now, replies, 5), Some(Event::Done(_, outcome)) if outcome.refused == 3));
    };
    round();
    round();
    assert_eq!(measure(|| (0..100).for_each(|_| round())).count_total, 0);
}

/// Says the same again and again, up to a gibibyte; gives how much was taken, the most memory that it took, and why it ended.
fn endless(piece: &[u8]) -> (usize, u64, Option<Event>) {
    let now = clock::epoch();
    let mut session = ready(now);
    let chunk = piece.repeat(65_536 / piece.len());
    let (mut taken, mut last) = (0, None);
    let memory = measure(|| {
        while session.wants_input() && taken < 1 << 30 {
            taken += chunk.len();
            last = feed(&mut session, now, &chunk, chunk.len());
        }
    });
    (taken, memory.bytes_max, last)
}

// C016
#[test]
fn a_line_without_end_is_given_up_with_little_memory() {
    let (taken, memory, last) = endless(b"2");
    assert!(matches!(last, Some(Event::Closed(CloseReason::PeerMisbehaved(Misbehaviour::Reply(_))))), "{last:?}");
    assert!(taken <= 65_536 && memory <= 4096, "{taken} bytes taken, {memory} kept");
}

// C017
#[test]
fn lines_without_end_are_given_up_with_little_memory() {
    let limits = ReplyLimits::default();
    let long = [b"250-".as_slice(), &vec![b'x'; limits.line - 6], b"\r\n"].concat();
    for line in [&b"250-\r\n"[..], b"250-x\r\n", &long] {
        let (taken, memory, last) = endless(line);
        assert!(matches!(last, Some(Event::Closed(CloseReason::PeerMisbehaved(Misbehaviour::Reply(_))))), "{last:?}");
        // A vector that grows to the limit may hold twice of it, and once more while it moves.
        let most = 4 * limits.total as u64;
        assert!(taken <= 3 * 65_536 && memory <= most, "{taken} bytes taken, {memory} kept of at most {most}");
    }
}

// C074
#[test]
fn no_credentials_are_in_what_is_logged_of_a_session() {
    let now = clock::epoch();
    let secret = [0xA7; 600];
    let mut session = ready(now);
    session.authenticate(now, "XOAUTH2", Some(&secret)).expect("the session is ready");
    // As text, as octets, and as Base64 in either way.
    let shown = |session: &Session| {
        let text = format!("{session:?} {session:#?}");
        ["p6en", "112, 54, 101, 110", "167, 167", "cGFzc3dvcmQ", "99, 71, 70, 122", "112, 97, 115, 115"]
            .iter()
            .filter(|form| text.contains(*form))
            .count()
    };
    assert_eq!(shown(&session), 0, "before the command is written: {session:?}");
    write(&mut session, now);
    assert_eq!(shown(&session), 0);
    feed(&mut session, now, b"334 \r\n", 1);
    assert_eq!(shown(&session), 0, "before the response is written");
    write(&mut session, now);
    assert_eq!(feed(&mut session, now, b"334 cGFzcw==\r\n", 100), Some(Event::Challenge));
    session.respond(now, b"password").expect("there is a challenge");
    assert_eq!(shown(&session), 0);
}

fn ready_for(config: Config, ehlo: &[u8], now: Instant) -> Session {
    let mut session = Session::new(now, Arc::new(config));
    feed(&mut session, now, b"220 mx.example\r\n", 100);
    write(&mut session, now);
    assert_eq!(feed(&mut session, now, ehlo, 100), Some(Event::Ready));
    session
}

/// One transaction in one flight; its replies are not heard yet.
fn fused(session: &mut Session, now: Instant) -> TransactionId {
    let from = ReversePath::parse_prefix(SENDER).expect("a reverse-path").0;
    let to = RECIPIENTS.map(|to| ForwardPath::parse_prefix(to).expect("a forward-path").0.into());
    let id = session.begin(now, &Envelope::new(from, &to).with_size(4)).expect("the session is ready");
    assert_eq!(session.poll_event(), Some(Event::BodyWanted(id, Transfer::Whole)));
    write(session, now);
    session.body_finished(now, BodyEnd::Included).expect("a body was wanted");
    id
}

const FUSED: &[u8] = b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n";
const TAKEN: &[u8] = b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 2.0.0 queued\r\n";

#[test]
fn a_transaction_in_one_flight_allocates_nothing_once_one_was_made() {
    let now = clock::epoch();
    let mut session = ready_for(Config::new("client.example").expect("a domain"), FUSED, now);
    let mut round = |pieces| {
        fused(&mut session, now);
        assert!(
            matches!(feed(&mut session, now, TAKEN, pieces), Some(Event::Done(_, outcome)) if outcome.accepted == 2)
        );
    };
    round(3);
    assert_eq!(measure(|| (0..100).for_each(|_| round(3))).count_total, 0);
}

#[test]
fn transactions_behind_each_other_allocate_nothing_once_some_were_made() {
    let now = clock::epoch();
    for ahead in [2, 4] {
        let config = Config::new("client.example").expect("a domain").ahead(ahead);
        let mut session = ready_for(config, FUSED, now);
        let replies = [&b"250 reset\r\n"[..], TAKEN].concat();
        fused(&mut session, now);
        let mut first = true;
        let mut round = || {
            // As many as may be open, and then the oldest is over.
            while session.is_ready() {
                fused(&mut session, now);
            }
            let said = if std::mem::take(&mut first) { TAKEN } else { &replies };
            assert!(matches!(feed(&mut session, now, said, 7), Some(Event::Done(_, outcome)) if outcome.accepted == 2));
        };
        (0..2 * ahead).for_each(|_| round());
        assert_eq!(measure(|| (0..100).for_each(|_| round())).count_total, 0, "{ahead} at once");
    }
}

#[test]
fn a_recipient_costs_its_outcome_and_its_command() {
    let now = clock::epoch();
    let config = Config::new("client.example").expect("a domain").max_recipients(10_000);
    let mut session = ready_for(config, FUSED, now);
    let from = ReversePath::parse_prefix(SENDER).expect("a reverse-path").0;
    let path = ForwardPath::parse_prefix(RECIPIENTS[0]).expect("a forward-path").0;
    let to: Vec<_> = (0..10_000).map(|_| path.into()).collect();
    let replies = [b"250 ok\r\n".repeat(10_001), b"250 queued\r\n".to_vec()].concat();
    let mut round = || {
        let id = session.begin(now, &Envelope::new(from, &to).with_size(4)).expect("the session is ready");
        assert_eq!(session.poll_event(), Some(Event::BodyWanted(id, Transfer::Whole)));
        write(&mut session, now);
        session.body_finished(now, BodyEnd::Included).expect("a body was wanted");
        assert!(
            matches!(feed(&mut session, now, &replies, 4096), Some(Event::Done(_, outcome)) if outcome.accepted == 10_000)
        );
    };
    let first = measure(&mut round);
    // What grows by doubling does so some twenty times; the outcomes are one allocation.
    assert!(first.count_total < 60, "{} allocations for 10,000 recipients", first.count_total);
    let one = size_of::<RecipientOutcome>() + 2 * (size_of::<(u64, Stage)>() + "RCPT TO:<bob@mx.example>\r\n".len());
    // A vector that grows may hold twice of what it has, and once more while it moves.
    assert!(first.bytes_max <= 2 * 10_000 * one as u64, "{} bytes for 10,000 recipients", first.bytes_max);
    assert_eq!(measure(round).count_total, 0);
}

#[test]
fn a_body_that_a_connection_never_takes_all_of_is_kept_in_bounded_memory() {
    for transfer in [Transfer::Whole, Transfer::Dots] {
        let piece = b"0123456789 of a line\r\n".repeat(1000);
        let memory = measure(|| {
            let mut body = BodyWriter::new(transfer, BodyType::SevenBit, None, LineEndings::Refuse);
            for _ in 0..10_000 {
                let mut rest = &piece[..];
                while !rest.is_empty() {
                    let taken = body.put(rest).expect("a text");
                    rest = &rest[taken..];
                    // All but a little.
                    body.sent(body.wire().len().saturating_sub(100));
                }
            }
        });
        let most = 4 * BodyWriter::ROOM as u64;
        assert!(memory.bytes_max <= most, "{} octets at most, {transfer:?}", memory.bytes_max);
    }
}
