//! The session does what the table of transitions says, in each of its cells.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::codec::Verb;
use ehlo_server::table::{Cell, ROWS, State, look_up, row_of};
use ehlo_server::{
    AuthMechanism, Config, Event, MechanismNeeds, Peer, Protocol, Question, Questions, Session, TlsMode,
};
use std::sync::Arc;
use std::time::Instant;

/// A line that is well-formed, and accepted where it is allowed.
fn line(verb: Verb) -> String {
    match verb {
        Verb::Ehlo | Verb::Helo | Verb::Lhlo => format!("{verb} client.test\r\n"),
        Verb::Mail => "MAIL FROM:<s@client.test>\r\n".to_owned(),
        Verb::Rcpt => "RCPT TO:<bob@mx.test>\r\n".to_owned(),
        Verb::Vrfy => "VRFY bob\r\n".to_owned(),
        Verb::Expn => "EXPN list\r\n".to_owned(),
        Verb::Etrn => "ETRN client.test\r\n".to_owned(),
        Verb::Auth => "AUTH PLAIN\r\n".to_owned(),
        Verb::Bdat => "BDAT 3\r\nabc".to_owned(),
        verb => format!("{verb}\r\n"),
    }
}

/// Octets of the largest message.
const LIMIT: usize = 64 * 1024;

/// A session in that state that knows the verb, with nothing left to write.
fn session_in(state: State, verb: Verb) -> Session {
    let mut config = Config::new("mx.test").unwrap();
    config.limits.message_size = LIMIT as u64;
    if verb == Verb::Lhlo {
        config.protocol = Protocol::Lmtp;
    }
    let hello = if verb == Verb::Lhlo { Verb::Lhlo } else { Verb::Ehlo };
    config.tls = TlsMode::StartTls;
    (config.expn, config.etrn) = (true, true);
    config.auth.mechanisms = vec![AuthMechanism::new("PLAIN", MechanismNeeds::Nothing).unwrap()];
    if state == State::Refused {
        config.questions = Questions::CONNECT;
    }
    let now = Instant::now();
    let mut session = Session::new(now, Arc::new(config), Peer::new(1));
    if let Some(Event::Ask(Question::Connect(token))) = session.poll_event() {
        let refusal = ehlo_server::codec::Reply::fixed(554, None, "No service");
        session.resolve(now, token.reject(refusal)).unwrap();
    }
    let steps = match state {
        State::Refused | State::Greeted => 0,
        State::Ready => 1,
        State::Sender => 2,
        State::Recipients | State::Failed => 3,
        State::Chunks => 4,
    };
    for verb in [hello, Verb::Mail, Verb::Rcpt, Verb::Bdat].into_iter().take(steps) {
        tell(&mut session, &line(verb));
    }
    if state == State::Failed {
        assert_eq!(tell(&mut session, &format!("BDAT {}\r\n{}", LIMIT + 1, "x".repeat(LIMIT + 1))), 552);
    }
    session.output_sent(now, session.output().len());
    session
}

/// Sends a line and gives the last code of what comes back.
fn tell(session: &mut Session, line: &str) -> u16 {
    let now = Instant::now();
    session.output_sent(now, session.output().len());
    let mut input = line.as_bytes();
    loop {
        let step = session.handle_input(now, input);
        input = &input[step.used..];
        match step.event {
            None => break,
            Some(Event::Ask(Question::Expn(token))) => session.resolve(now, token.accept()).unwrap(),
            Some(Event::Ask(Question::Etrn(token))) => session.resolve(now, token.accept()).unwrap(),
            Some(Event::Ask(Question::Auth(token))) => session.resolve(now, token.accept("ada")).unwrap(),
            Some(_) => {}
        }
    }
    assert!(input.is_empty(), "{line:?} was not used up");
    let output = String::from_utf8(session.output().to_vec()).unwrap();
    output.lines().last().and_then(|line| line[..3].parse().ok()).unwrap_or_else(|| panic!("no reply to {line:?}"))
}

/// The state that a command leads to where it is allowed and accepted; `None` where the session leaves the table: a message, or the end.
fn next(verb: Verb, state: State) -> Option<State> {
    match verb {
        Verb::Ehlo | Verb::Helo | Verb::Lhlo => Some(State::Ready),
        Verb::Mail => Some(State::Sender),
        Verb::Rcpt => Some(State::Recipients),
        Verb::Bdat => Some(State::Chunks),
        Verb::Rset if state == State::Greeted => Some(State::Greeted),
        Verb::Rset => Some(State::Ready),
        Verb::Data | Verb::Quit | Verb::Starttls => None,
        _ => Some(state),
    }
}

/// What tells the states apart: the replies to RCPT, MAIL and DATA, on fresh sessions that had the same commands.
fn state_of(mut make: impl FnMut() -> Session) -> State {
    let mut answer = |verb| {
        let mut session = make();
        let code = tell(&mut session, &line(verb));
        let text = String::from_utf8_lossy(session.output()).into_owned();
        (code, text)
    };
    let (mail, text) = answer(Verb::Mail);
    match (mail, answer(Verb::Rcpt).0, answer(Verb::Data).0) {
        (503, 503, 503) if text.contains("QUIT") => State::Refused,
        (503, 503, 503) if text.contains("BDAT") => State::Chunks,
        (503, 503, 503) if text.contains("chunk") => State::Failed,
        (503, 503, 503) => State::Greeted,
        (250, 503, 503) => State::Ready,
        (503, 250, 503) => State::Sender,
        (503, 250, 354) => State::Recipients,
        other => panic!("no state answers like that: {other:?}"),
    }
}

#[test]
fn each_state_is_reached() {
    for state in State::ALL {
        for verb in [Verb::Ehlo, Verb::Lhlo] {
            assert_eq!(state_of(|| session_in(state, verb)), state);
        }
    }
}

#[test]
fn each_cell_says_what_the_session_answers_and_where_it_goes() {
    for row in ROWS {
        for (state, cell) in State::ALL.into_iter().zip(row.cells) {
            let what = format!("{} in {state:?}", row.verb);
            assert_eq!(look_up(row.verb, state), Some(cell));
            let mut session = session_in(state, row.verb);
            let code = tell(&mut session, &line(row.verb));
            if cell == Cell::Allow {
                assert!(code < 400, "{what}: {code}");
            } else {
                assert_eq!(code, 503, "{what}");
            }
            // RFC 5321 §4.3.2, and the replies of the registry.
            let code = ehlo_server::codec::ReplyCode::new(code).unwrap();
            assert!(row.verb.may_answer(code), "{what}: {code:?}");
            let expected = if cell == Cell::Allow { next(row.verb, state) } else { Some(state) };
            let Some(expected) = expected else { continue };
            let reached = state_of(|| {
                let mut session = session_in(state, row.verb);
                tell(&mut session, &line(row.verb));
                session
            });
            assert_eq!(reached, expected, "{what}");
        }
    }
}

#[test]
fn a_command_out_of_sequence_is_503_whatever_its_arguments_are() {
    for row in ROWS {
        for (state, cell) in State::ALL.into_iter().zip(row.cells) {
            if cell != Cell::Allow {
                let code = tell(&mut session_in(state, row.verb), &format!("{} \x01 nonsense <\r\n", row.verb));
                // Behind a BDAT of unknown size nothing is a command.
                let expected = if row.verb == Verb::Bdat { 501 } else { 503 };
                assert_eq!(code, expected, "{} in {state:?}", row.verb);
            }
        }
    }
}

#[test]
fn verbs_without_a_row_are_502_in_each_state() {
    let without = ["BURL", "TURN"];
    for name in without {
        let verb = Verb::from_bytes(name.as_bytes()).unwrap();
        assert!(row_of(verb).is_none(), "{name} has a row by now: take it out of this list");
        for state in State::ALL {
            assert_eq!(tell(&mut session_in(state, verb), &format!("{name} x\r\n")), 502, "{name} in {state:?}");
        }
    }
}

#[test]
fn what_the_protocol_and_the_settings_do_not_have_is_refused_in_each_state() {
    for state in State::ALL {
        // RFC 2033 §4.1.
        for name in ["EHLO", "HELO"] {
            assert_eq!(tell(&mut session_in(state, Verb::Lhlo), &format!("{name} client.test\r\n")), 500, "{name}");
        }
        assert_eq!(tell(&mut session_in(state, Verb::Ehlo), "LHLO client.test\r\n"), 502, "{state:?}");
    }
    let mut config = Config::new("mx.test").unwrap();
    config.chunking = false;
    let mut session = Session::new(Instant::now(), Arc::new(config), Peer::new(1));
    assert_eq!(tell(&mut session, "BDAT 0 LAST\r\n"), 502);
}
