//! What a peer can make a session keep, and for how long.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::codec::Verb;
use ehlo_server::{CommandCounts, Config, Event, Peer, Question, Session};
use std::sync::Arc;
use std::time::Instant;

/// What an ordinary session may keep from one transaction to the next.
const ORDINARY: usize = 16 * 1024;

fn session(change: impl FnOnce(&mut Config)) -> (Session, Instant) {
    let mut config = Config::new("mx.test").unwrap();
    change(&mut config);
    let now = Instant::now();
    (Session::new(now, Arc::new(config), Peer::new(1)), now)
}

/// Says something to which no question is asked but the commit, which is answered; gives the replies.
fn say(session: &mut Session, now: Instant, text: &str) -> String {
    let (mut input, mut replies) = (text.as_bytes(), String::new());
    loop {
        let step = session.handle_input(now, input);
        input = &input[step.used..];
        if let Some(Event::Ask(Question::Commit(token))) = step.event {
            session.resolve(now, token.accept()).unwrap();
        } else if step.event.is_none() {
            let length = session.output().len();
            replies += std::str::from_utf8(session.output()).unwrap();
            session.output_sent(now, length);
            if input.is_empty() || length == 0 {
                return replies;
            }
        }
    }
}

/// Recipients that fill the envelope.
fn recipients() -> String {
    let label = "d".repeat(63);
    (0..990).map(|n| format!("RCPT TO:<{n:060}@{label}.{label}.test>\r\n")).collect()
}

#[test]
fn what_a_session_keeps_of_a_transaction_is_told_and_given_back_behind_it() {
    let (mut session, now) = session(|_| {});
    say(&mut session, now, "EHLO c.test\r\nMAIL FROM:<s@client.test>\r\n");
    let before = session.memory();
    assert!(before < ORDINARY, "{before}");
    say(&mut session, now, &recipients());
    let held = session.memory();
    let text = 990 * 200;
    assert!(held > text && held < 2 * (text + 64 * 1024), "{held} for {text} octets of addresses");
    for end in ["RSET\r\n", "DATA\r\nx\r\n.\r\n", "EHLO c.test\r\n"] {
        if session.envelope().reverse_path().is_none() {
            say(&mut session, now, "MAIL FROM:<s@client.test>\r\n");
            say(&mut session, now, &recipients());
        }
        assert!(session.memory() > text, "{end:?}");
        say(&mut session, now, end);
        assert!(session.memory() < ORDINARY, "{} behind {end:?}", session.memory());
    }
}

#[test]
fn a_part_of_a_line_and_replies_that_nobody_reads_are_told() {
    let (mut session, now) = session(|_| {});
    say(&mut session, now, "EHLO c.test\r\n");
    let before = session.memory();
    session.handle_input(now, &[b'x'; 400]);
    assert!(session.memory() >= before + 400);
    session.handle_input(now, b"\r\n");
    let mut input = "VRFY bob\r\n".repeat(90);
    while session.wants_input() && !input.is_empty() {
        let used = session.handle_input(now, input.as_bytes()).used;
        input.drain(..used);
    }
    assert!(session.memory() >= session.output().len() && session.output().len() > 3000);
}

#[test]
fn commands_are_counted_by_verb_in_each_call() {
    let (mut session, now) = session(|_| {});
    let input = b"EHLO c.test\r\nNOOP\r\nnoop x\r\nBLURB\r\nDATA\r\nNO\0OP\r\nBURL x\r\nNOO";
    let step = session.handle_input(now, input);
    assert_eq!(step.used, input.len());
    let kinds: Vec<_> = CommandCounts::kinds().collect();
    let counts: Vec<_> = step.commands.iter().map(|(kind, count)| (kinds[kind], count)).collect();
    assert_eq!(counts, [(Some(Verb::Ehlo), 1), (Some(Verb::Data), 1), (Some(Verb::Noop), 2), (None, 3)]);
    assert!(session.handle_input(now, b"P").commands.is_empty());
}
