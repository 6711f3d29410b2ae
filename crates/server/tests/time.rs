//! Deadlines: which counts, and what moves it.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::{CloseReason, Config, Event, Peer, Reason, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

fn session(change: impl FnOnce(&mut Config)) -> (Session, Instant) {
    let mut config = Config::new("mx.test").unwrap();
    change(&mut config);
    let now = Instant::now();
    (Session::new(now, Arc::new(config), Peer::new(1)), now)
}

#[test]
fn of_two_deadlines_at_one_instant_the_one_that_is_told_is_the_one_that_counts() {
    let (mut session, now) = session(|_| {});
    let (at, reason) = session.poll_timeout().unwrap();
    assert_eq!((at, reason), (now + 5 * MINUTE, Reason::Flush), "a peer that reads nothing need not be written to");
    session.handle_timeout(at);
    let Some(Event::Closed(closed)) = session.poll_event() else { panic!("it is over") };
    assert_eq!(closed, CloseReason::TimedOut(reason));
}

#[test]
fn writing_nothing_is_no_progress() {
    let (mut session, now) = session(|config| config.timeouts.flush = MINUTE);
    session.output_sent(now + MINUTE / 2, 0);
    assert_eq!(session.poll_timeout(), Some((now + MINUTE, Reason::Flush)));
    session.output_sent(now + MINUTE / 2, 1);
    assert_eq!(session.poll_timeout(), Some((now + MINUTE / 2 + MINUTE, Reason::Flush)));
}

#[test]
fn confirming_output_where_there_is_none_changes_nothing() {
    let (mut session, now) = session(|_| {});
    session.output_sent(now, session.output().len());
    let before = session.poll_timeout();
    session.output_sent(now + MINUTE, 0);
    assert_eq!(session.poll_timeout(), before);
}

#[test]
fn a_piece_of_a_line_does_not_move_the_deadline() {
    let (mut session, now) = session(|_| {});
    session.output_sent(now, session.output().len());
    for (minute, byte) in (1..).zip(b"NOOP") {
        let later = now + minute * MINUTE;
        assert!(session.handle_input(later, &[*byte]).event.is_none());
        assert_eq!(session.poll_timeout(), Some((now + 5 * MINUTE, Reason::Command)));
    }
}

#[test]
fn a_wait_without_end_is_a_deadline_far_away() {
    let (mut session, now) = session(|config| {
        config.timeouts.command = Duration::MAX;
        config.timeouts.flush = Duration::MAX;
        config.timeouts.session = Duration::MAX;
    });
    session.output_sent(now, session.output().len());
    let (at, _) = session.poll_timeout().expect("an open session always has a deadline");
    assert!(at > now + 1000 * MINUTE);
}

#[test]
fn what_a_peer_says_is_not_in_the_debug_output() {
    let (mut session, now) = session(|config| config.questions = ehlo_server::Questions::ALL);
    let Some(Event::Ask(ehlo_server::Question::Connect(token))) = session.poll_event() else { panic!("it asks") };
    session.resolve(now, token.accept()).unwrap();
    let step = session.handle_input(now, b"VRFY secret-name\r\nNOOP hidden");
    assert!(matches!(step.event, Some(Event::Ask(ehlo_server::Question::Vrfy(_)))));
    let shown = format!("{session:?} {:?}", Event::Body(b"secret"));
    let bytes = format!("{:?}", b"secret");
    for word in ["secret", "hidden", bytes.trim_matches(['[', ']'])] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    assert!(shown.contains("Body(6 octets)"));
}
