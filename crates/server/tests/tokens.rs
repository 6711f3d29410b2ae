//! Questions are owned tokens: whose they are, how long they are good, and what becomes of those that are lost.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::codec::Reply;
use ehlo_server::{
    AbortReason, Answer, CloseReason, Config, Event, Peer, Pending, Question, Questions, Reason, ResolveError, Session,
    Shutdown,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const REFUSED: Reply = Reply::fixed(550, Some((5, 7, 1)), "No");

fn session(id: u64, questions: Questions) -> (Session, Instant) {
    let mut config = Config::new("mx.test").unwrap();
    config.questions = questions;
    let now = Instant::now();
    let mut session = Session::new(now, Arc::new(config), Peer::new(id));
    session.output_sent(now, session.output().len());
    (session, now)
}

/// Feeds lines until a question comes.
fn until_asked(session: &mut Session, now: Instant, input: &str) -> Question {
    let mut input = input.as_bytes();
    loop {
        let step = session.handle_input(now, input);
        input = &input[step.used..];
        match step.event {
            Some(Event::Ask(question)) => {
                assert!(input.is_empty(), "the question is about the last line");
                session.output_sent(now, session.output().len());
                return question;
            }
            Some(_) => {}
            None => panic!("nothing was asked"),
        }
    }
}

fn asked_about_sender(id: u64) -> (Session, Instant, Answer) {
    let (mut session, now) = session(id, Questions::MAIL);
    let Question::Mail(token) = until_asked(&mut session, now, "HELO c.test\r\nMAIL FROM:<s@client.test>\r\n") else {
        panic!("the question is about the sender")
    };
    (session, now, token.accept())
}

fn asked_to_commit(id: u64) -> (Session, Instant, Question) {
    let (mut session, now) = session(id, Questions::NONE);
    let input = "HELO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<bob@mx.test>\r\nDATA\r\nx\r\n.\r\n";
    let question = until_asked(&mut session, now, input);
    (session, now, question)
}

/// What can be seen of a session.
fn state(session: &Session) -> (Vec<u8>, Option<(Instant, Reason)>, bool, String) {
    let output = session.output().to_vec();
    (output, session.poll_timeout(), session.wants_input(), format!("{:?}", session.pending()))
}

#[test]
fn tokens_and_answers_may_travel_to_another_thread() {
    fn travels<T: Send + 'static>() {}
    travels::<Question>();
    travels::<Answer>();
    travels::<Session>();
    let (mut session, now, answer) = asked_about_sender(1);
    let answer = std::thread::spawn(move || answer).join().unwrap();
    session.resolve(now, answer).unwrap();
    assert_eq!(session.output(), b"250 2.1.0 Sender ok\r\n");
}

#[test]
fn an_answer_of_another_session_is_misuse_and_changes_nothing() {
    let (mut one, now, _) = asked_about_sender(1);
    let (mut other, _, answer) = asked_about_sender(2);
    let before = state(&one);
    assert_eq!(one.resolve(now, answer), Err(ResolveError::ApiMisuse));
    assert_eq!(state(&one), before);
    assert!(matches!(one.pending(), Pending::Mail { .. }), "the own question is still open");
    // A session that has no question open tells it apart as well.
    let (mut idle, _) = session(3, Questions::NONE);
    let (_, _, answer) = asked_about_sender(4);
    assert_eq!(idle.resolve(now, answer), Err(ResolveError::ApiMisuse));
    assert!(matches!(other.pending(), Pending::Mail { .. }));
    other.abandon(now);
    assert_eq!(other.output(), b"451 4.3.0 Local error, try again later\r\n");
}

#[test]
fn an_answer_behind_the_deadline_is_stale_and_changes_nothing() {
    let (mut session, now, answer) = asked_about_sender(1);
    let (at, reason) = session.poll_timeout().unwrap();
    assert_eq!((at, reason), (now + Duration::from_secs(120), Reason::Answer));
    session.handle_timeout(at);
    assert_eq!(session.output(), b"451 4.3.0 Local error, try again later\r\n");
    let before = state(&session);
    assert_eq!(session.resolve(at, answer), Err(ResolveError::Stale));
    assert_eq!(state(&session), before);
}

#[test]
fn an_answer_to_an_earlier_question_does_not_answer_the_next() {
    let (mut session, now, answer) = asked_about_sender(1);
    session.abandon(now);
    let Question::Mail(token) = until_asked(&mut session, now, "MAIL FROM:<t@client.test>\r\n") else {
        panic!("the question is about the sender")
    };
    let before = state(&session);
    assert_eq!(session.resolve(now, answer), Err(ResolveError::Stale));
    assert_eq!(state(&session), before);
    session.resolve(now, token.reject(REFUSED)).unwrap();
    assert_eq!(session.output(), b"550 5.7.1 No\r\n");
}

#[test]
fn a_token_that_is_dropped_leaves_the_session_parked_until_its_deadline() {
    let (mut session, now, answer) = asked_about_sender(1);
    drop(answer);
    let almost = now + Duration::from_secs(120) - Duration::from_nanos(1);
    session.handle_timeout(almost);
    assert!(session.output().is_empty() && !session.wants_input());
    session.handle_timeout(almost + Duration::from_nanos(1));
    assert_eq!(session.output(), b"451 4.3.0 Local error, try again later\r\n");
    assert!(session.wants_input());
}

#[test]
fn abandoning_where_nothing_is_asked_does_nothing() {
    let (mut session, now) = session(1, Questions::NONE);
    let before = state(&session);
    session.abandon(now);
    assert_eq!(state(&session), before);
    assert!(session.poll_event().is_none());
}

#[test]
fn answers_are_stale_once_the_session_is_over() {
    type End = fn(&mut Session, Instant);
    let ends: [(End, CloseReason); 3] = [
        (|session, now| session.handle_eof(now), CloseReason::Disconnected),
        (|session, now| session.handle_reset(now), CloseReason::Disconnected),
        (|session, now| session.shutdown(now, Shutdown::Now), CloseReason::Shutdown),
    ];
    for (end, reason) in ends {
        let (mut session, now, answer) = asked_about_sender(1);
        end(&mut session, now);
        assert_eq!(session.resolve(now, answer), Err(ResolveError::Stale));
        session.output_sent(now, session.output().len());
        let Some(Event::Closed(told)) = session.poll_event() else { panic!("it is over") };
        assert_eq!(told, reason);
        assert!(session.poll_event().is_none() && session.poll_timeout().is_none());
    }
}

#[test]
fn a_commit_that_comes_too_late_is_told_as_an_abort_and_then_stale() {
    let (mut session, now, question) = asked_to_commit(1);
    let Question::Commit(token) = question else { panic!("the question is about the message") };
    let (at, reason) = session.poll_timeout().unwrap();
    assert_eq!((at, reason), (now + Duration::from_secs(9 * 60), Reason::Commit));
    session.handle_timeout(at);
    let Some(Event::BodyAborted(reason)) = session.poll_event() else { panic!("the message is not wanted any more") };
    assert_eq!(reason, AbortReason::TimedOut(Reason::Commit));
    assert_eq!(session.output(), b"451 4.3.0 Local error, try again later\r\n");
    assert_eq!(session.resolve(at, token.accept()), Err(ResolveError::Stale));
    assert_eq!(session.output(), b"451 4.3.0 Local error, try again later\r\n", "there is no 250 behind the 451");
}

#[test]
fn a_question_shows_what_it_is_about_only_while_it_is_open() {
    let (mut session, now, answer) = asked_about_sender(1);
    let Pending::Mail { from, .. } = session.pending() else { panic!("the question is about the sender") };
    assert_eq!(from.to_string(), "<s@client.test>");
    session.resolve(now, answer).unwrap();
    assert_eq!(session.pending(), Pending::Nothing);
    let (session, _, _question) = asked_to_commit(2);
    assert_eq!(session.pending(), Pending::Commit { size: 3 });
}

#[test]
fn the_answer_of_a_driver_that_knows_nothing_is_what_the_session_says_by_itself() {
    for (questions, input) in [
        (Questions::HELLO, "EHLO c.test\r\n"),
        (Questions::MAIL, "HELO c.test\r\nMAIL FROM:<s@client.test>\r\n"),
        (Questions::RCPT, "HELO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<bob@mx.test>\r\n"),
        (Questions::VRFY, "VRFY bob\r\n"),
    ] {
        let (mut one, now) = session(1, questions);
        let question = until_asked(&mut one, now, input);
        one.resolve(now, question.defer()).unwrap();
        let (mut other, now) = session(1, questions);
        drop(until_asked(&mut other, now, input));
        other.abandon(now);
        assert_eq!(one.output(), other.output(), "{input:?}");
        assert!(!one.output().is_empty());
    }
}

#[test]
fn sessions_and_tokens_are_small() {
    assert!(size_of::<Question>() <= 24, "{}", size_of::<Question>());
    assert!(size_of::<Session>() <= 672, "{}", size_of::<Session>());
}
