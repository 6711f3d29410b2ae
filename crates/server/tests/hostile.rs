//! What costs other servers much costs this one its octets and no more.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::{Config, Event, Peer, Question, Session};
use std::sync::Arc;
use std::time::Instant;

/// What a message came to.
struct Outcome {
    /// Octets that were handed out.
    body: usize,
    /// Calls that took them.
    calls: usize,
    replies: String,
}

/// Sends a message in pieces of 64 KiB, as a driver reads them.
fn deliver(message: &[u8]) -> Outcome {
    let now = Instant::now();
    let config = Config::new("mx.test").expect("a name");
    let piece = config.limits.read_chunk;
    let mut session = Session::new(now, Arc::new(config), Peer::new(1));
    let begin = b"HELO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<bob@mx.test>\r\nDATA\r\n";
    let mut outcome = Outcome { body: 0, calls: 0, replies: String::new() };
    for mut input in [&begin[..]].into_iter().chain(message.chunks(piece)).chain([&b"\r\n.\r\n"[..]]) {
        loop {
            let step = session.handle_input(now, input);
            outcome.calls += 1;
            input = &input[step.used..];
            match step.event {
                Some(Event::Body(piece)) => outcome.body += piece.len(),
                Some(Event::Ask(Question::Commit(token))) => {
                    session.resolve(now, token.accept()).expect("the question is open");
                }
                Some(_) => {}
                None => break,
            }
        }
        outcome.replies += std::str::from_utf8(session.output()).expect("replies are ASCII");
        session.output_sent(now, session.output().len());
    }
    outcome
}

#[test]
fn a_hostile_message_costs_no_more_than_its_octets() {
    let folded = format!("Subject: x{}", "\r\n y".repeat(10 * 1024 * 1024 / 4));
    let fields = "X: y\r\n".repeat(100_000);
    let nested: String =
        (0..10_000).map(|n| format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\r\n\r\n--b{n}\r\n")).collect();
    for (name, message) in [("one folded field", folded), ("many fields", fields), ("deep MIME", nested)] {
        let outcome = deliver(message.as_bytes());
        assert!(outcome.replies.ends_with("354 Go ahead; end with <CRLF>.<CRLF>\r\n250 2.0.0 Message accepted\r\n"));
        assert_eq!(outcome.body, message.len() + 2, "{name}");
        // Nothing is looked at twice: a piece that was read is handed out in one, and what the calls are for is a bounded number more.
        let pieces = message.len().div_ceil(64 * 1024);
        assert!(outcome.calls <= 4 * pieces + 32, "{name}: {} calls for {pieces} pieces", outcome.calls);
    }
}

#[test]
fn a_line_without_end_is_given_up_at_its_limit() {
    let now = Instant::now();
    let config = Config::new("mx.test").expect("a name");
    let limit = config.limits.discarded_line;
    let mut session = Session::new(now, Arc::new(config), Peer::new(1));
    let piece = [b'x'; 4096];
    let mut sent = 0;
    while session.wants_input() {
        sent += session.handle_input(now, &piece).used;
        assert!(sent <= limit + 2 * piece.len(), "the session still reads after {sent} octets");
    }
    let replies = String::from_utf8_lossy(session.output()).into_owned();
    assert!(replies.ends_with("421 4.5.0 Line without end, closing\r\n"), "{replies}");
}
