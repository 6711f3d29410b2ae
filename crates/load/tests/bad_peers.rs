//! Peers that are no good: the run always ends, each failure is counted by its kind, and the first is told in words.

mod common;

use common::{Act, Seen, Server, assert_adds_up, options};
use ehlo_load::{Ended, ErrorKind, Fate, Results, Stop, run};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Runs a few messages, kept connections and one for each, and checks what all runs have in common.
fn against(address: SocketAddr, kind: ErrorKind, check: impl Fn(&Results)) {
    for reconnect in [false, true] {
        let mut options = options(address, 40);
        (options.reconnect, options.ledger) = (reconnect, true);
        let short = Duration::from_millis(200);
        options.timeouts.greeting = short;
        options.timeouts.command = short;
        options.timeouts.end_of_data = short;
        options.timeouts.block = short;
        let start = Instant::now();
        let results = run(&options, &()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(60), "the run ends");
        assert_adds_up(&results);
        assert!(results.errors.get(&kind).is_some_and(|n| *n > 0), "{kind} in {:?}", results.errors);
        assert_eq!(results.totals.accepted, 0);
        let failure = results.first_failure.as_ref().expect("a failure is told");
        assert_eq!(failure.kind, Some(kind), "{}", failure.text);
        check(&results);
    }
}

fn says(words: &'static str) -> impl Fn(&Results) {
    move |results| {
        let failure = results.first_failure.as_ref().unwrap();
        assert!(failure.text.contains(words), "{}", failure.text);
        assert_eq!(results.ended, Ended::GaveUp);
        assert!(results.ledger.is_empty());
    }
}

#[test]
fn a_closed_port() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    against(address, ErrorKind::ConnectRefused, says("refused"));
}

#[test]
fn a_peer_that_accepts_and_closes() {
    let server = Server::start(|_| Act::Close);
    against(server.address, ErrorKind::ClosedBeforeGreeting, says("before it was ready for mail"));
}

#[test]
fn a_peer_that_never_greets() {
    let server = Server::start(|_| Act::Silence);
    against(server.address, ErrorKind::GreetingTimeout, says("waiting for the greeting"));
}

#[test]
fn a_peer_that_never_accepts() {
    // The kernel takes the connection; nobody else does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    against(listener.local_addr().unwrap(), ErrorKind::GreetingTimeout, says("waiting for the greeting"));
}

#[test]
fn a_peer_that_never_answers_ehlo() {
    let server = Server::start(|seen| match seen {
        Seen::Command(_) => Act::Silence,
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::EhloTimeout, says("EHLO"));
}

#[test]
fn a_peer_that_greets_with_421() {
    let server = Server::start(|_| Act::SayAndClose("421 4.3.2 come back later\r\n"));
    against(server.address, ErrorKind::ServiceNotAvailable, says("421 4.3.2 come back later"));
}

#[test]
fn a_peer_that_greets_with_554() {
    let server = Server::start(|seen| match seen {
        Seen::Connection(_) => Act::Say("554 no mail here\r\n"),
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::SessionRefused, says("554 no mail here"));
}

#[test]
fn a_peer_that_is_no_smtp_server() {
    let server = Server::start(|_| Act::SayAndClose("HTTP/1.1 400 Bad Request\r\n\r\n"));
    against(server.address, ErrorKind::NotSmtp, says("HTTP/1.1 400 Bad Request"));
}

#[test]
fn a_peer_that_answers_mail_with_421() {
    let server = Server::start(|seen| match seen {
        Seen::Command(c) if c.starts_with("MAIL") => Act::SayAndClose("421 4.3.2 shutting down\r\n"),
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::ServiceNotAvailable, |results| {
        assert!(results.totals.refused > 0);
        assert!(results.refused_by_code.contains_key(&421));
        assert!(results.first_failure.as_ref().unwrap().text.contains("shutting down"));
    });
}

#[test]
fn a_peer_that_never_answers_mail() {
    let server = Server::start(|seen| match seen {
        Seen::Command(c) if c.starts_with("MAIL") => Act::Silence,
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::MailTimeout, |results| {
        assert!(results.totals.failed > 0 && results.totals.unknown == 0);
        assert!(results.ledger.is_empty(), "no body was begun");
    });
}

#[test]
fn a_peer_that_closes_within_a_message() {
    let server = Server::start(|seen| match seen {
        Seen::BodyBegins => Act::Close,
        _ => Act::AsUsual,
    });
    // A server that closes with bytes unread resets the connection; then it is chance which of the two is seen.
    for reconnect in [false, true] {
        let mut options = options(server.address, 40);
        options.reconnect = reconnect;
        let results = run(&options, &()).unwrap();
        assert_adds_up(&results);
        let count = |kind| results.errors.get(&kind).copied().unwrap_or(0);
        assert!(count(ErrorKind::ClosedMidTransaction) + count(ErrorKind::Reset) > 0, "{:?}", results.errors);
        assert_eq!(results.totals.accepted, 0);
        assert!(results.first_failure.unwrap().text.contains("while a message was under way"));
    }
}

#[test]
fn a_peer_that_resets() {
    let server = Server::start(|seen| match seen {
        Seen::Message(_) => Act::Reset,
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::Reset, |results| {
        assert!(results.totals.unknown > 0);
        assert!(results.ledger.iter().all(|e| e.fate == Fate::Unknown));
    });
}

#[test]
fn a_peer_that_never_answers_the_end_of_data() {
    let server = Server::start(|seen| match seen {
        Seen::Message(_) => Act::Silence,
        _ => Act::AsUsual,
    });
    against(server.address, ErrorKind::EndOfDataTimeout, |results| {
        assert_eq!(results.totals.failed, 0);
        assert_eq!(results.ledger.len() as u64, results.totals.unknown);
        assert!(results.ledger.iter().all(|e| e.fate == Fate::Unknown));
    });
}

#[test]
fn a_peer_that_does_not_read_a_message() {
    let server = Server::start(|seen| {
        if matches!(seen, Seen::BodyBegins) {
            std::thread::sleep(Duration::from_secs(2));
        }
        Act::AsUsual
    });
    let mut options = options(server.address, 4);
    let set = ehlo_load::MessageSet::new(vec![common::message(20_000_000)]).unwrap();
    options.messages = set.into();
    options.timeouts.block = Duration::from_millis(200);
    options.ledger = true;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.totals.failed, 4);
    assert_eq!(results.errors.get(&ErrorKind::BlockTimeout), Some(&4));
    assert!(results.ledger.iter().all(|e| e.fate == Fate::Failed));
}

#[test]
fn a_peer_that_speaks_out_of_turn() {
    let server = Server::start(|seen| match seen {
        Seen::Message(_) => Act::Say("250 stored\r\n250 and again\r\n250 and again\r\n"),
        _ => Act::AsUsual,
    });
    let mut options = options(server.address, 20);
    options.ledger = true;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert!(results.errors.get(&ErrorKind::NotSmtp).is_some_and(|n| *n > 0), "{:?}", results.errors);
    assert_eq!(results.ledger.iter().filter(|e| e.fate == Fate::Acked).count() as u64, results.totals.accepted);
}

#[test]
fn a_stall_at_the_end_is_unfinished_after_the_drain() {
    let server = Server::start(|seen| match seen {
        Seen::Message(_) => Act::Silence,
        _ => Act::AsUsual,
    });
    let mut options = options(server.address, 0);
    options.stop = Stop { messages: None, duration: Some(Duration::from_millis(300)) };
    options.drain = Duration::from_millis(200);
    options.ledger = true;
    let start = Instant::now();
    let results = run(&options, &()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_adds_up(&results);
    assert_eq!((results.totals.started, results.totals.unfinished), (4, 4));
    assert_eq!(results.ledger.len(), 4);
    assert!(results.ledger.iter().all(|e| e.fate == Fate::Unknown));
    assert_eq!(results.ended, Ended::Duration);
}
