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

/// Gives a session these bytes, cut to pieces, has it take each message, and reads what it says.
fn give(session: &mut Session, now: Instant, bytes: &[u8], piece: usize) {
    for mut rest in bytes.chunks(piece) {
        loop {
            let step = session.handle_input(now, rest);
            rest = &rest[step.used..];
            match step.event {
                Some(Event::Ask(ehlo_server::Question::Commit(token))) => session.resolve(now, token.accept()).unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        assert!(rest.is_empty());
    }
    session.output_sent(now, session.output().len());
}

#[test]
fn how_a_message_is_cut_does_not_change_how_long_the_rest_of_it_may_take() {
    let deadline = |piece| {
        let (mut session, now) = session(|config| config.timeouts.slow_body = MINUTE);
        give(&mut session, now, b"HELO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n", 100);
        give(&mut session, now, &[b'x'; 1000], piece);
        session.poll_timeout().unwrap().0 - now
    };
    // 100 octets a second.
    assert_eq!([1, 7, 100, 1000].map(deadline), [MINUTE + Duration::from_secs(10); 4]);
}

#[test]
fn a_chunk_that_is_part_of_no_message_has_time_of_its_own() {
    let opening: [&[u8]; 3] = [
        b"HELO c.test\r\n",
        b"HELO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@mx.test>\r\nBDAT 1 LAST\r\nx",
        // This one is part of a message, but of one that is too large to begin.
        b"HELO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@mx.test>\r\n",
    ];
    for opening in opening {
        let (mut session, now) = session(|config| config.limits.message_size = 20);
        give(&mut session, now, opening, 1000);
        let mut later = now;
        for _ in 0..20 {
            later += MINUTE;
            give(&mut session, later, b"NOOP\r\n", 6);
        }
        give(&mut session, later, b"BDAT 30\r\nx", 100);
        assert_eq!(session.poll_timeout(), Some((later + 5 * MINUTE, Reason::Body)), "{}", opening.escape_ascii());
    }
}

#[test]
fn a_session_that_is_over_has_nothing_left_to_write() {
    let ends: [fn(&mut Session, Instant); 3] = [
        |session, now| session.handle_reset(now),
        |session, _| session.handle_timeout(session.poll_timeout().unwrap().0),
        |session, now| session.handle_tls_failed(now),
    ];
    for end in ends {
        // More than the output holds at a time.
        let (mut session, now) = session(|config| config.set_help_text(&"a line\n".repeat(2000)).unwrap());
        assert_eq!(session.handle_input(now, b"HELP\r\n").used, 6);
        assert!(session.output().len() > 4000);
        end(&mut session, now);
        assert!(matches!(session.poll_event(), Some(Event::Closed(_))));
        assert!(session.output().is_empty());
        session.output_sent(now, 0);
        assert!(session.output().is_empty() && session.poll_timeout().is_none());
    }
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
