//! The engine against servers that do as they are told.

mod common;

use common::{Act, Seen, Server, assert_adds_up, at_rate, message, options};
use ehlo_load::{
    Ended, ErrorKind, Fate, LedgerEntry, MessageId, MessageSet, Observer, Phase, Snapshot, Step, Stop, Target, digest,
    null, run,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn ids(entries: &[LedgerEntry]) -> BTreeSet<MessageId> {
    entries.iter().map(|e| e.id).collect()
}

/// What was stored, by id: length and digest, computed by the server's side.
fn stored(server: &Server) -> BTreeMap<MessageId, (u64, u128)> {
    let stored = server.stored.lock().unwrap();
    let of = |m: &Vec<u8>| (MessageId::parse(m).expect("an id comes first"), (m.len() as u64, digest(b"", m)));
    let all: BTreeMap<_, _> = stored.iter().map(of).collect();
    assert_eq!(all.len(), stored.len(), "no id twice");
    all
}

#[test]
fn every_message_arrives_as_it_is_in_the_account() {
    for pipelining in [false, true] {
        let server = Server::usual();
        let mut options = options(server.address, 203);
        (options.pipelining, options.ledger, options.threads, options.run_id) = (pipelining, true, 2, 77);
        let results = run(&options, &()).unwrap();

        assert_adds_up(&results);
        assert_eq!((results.totals.accepted, results.ended), (203, Ended::Messages));
        assert_eq!(results.ledger.len(), 203);
        assert_eq!(ids(&results.ledger).len(), 203, "ids are unique");
        assert!(ids(&results.ledger).iter().all(|id| id.run == 77));
        let stored = stored(&server);
        for entry in &results.ledger {
            assert_eq!(entry.fate, Fate::Acked);
            assert_eq!(stored.get(&entry.id), Some(&(entry.length, entry.digest)));
        }
        assert_eq!(server.connections(), 4);
        assert_eq!(server.quits.load(Ordering::SeqCst), 4, "connections are closed politely");
        let lengths: BTreeSet<_> = results.ledger.iter().map(|e| e.length).collect();
        assert_eq!(lengths.len(), 2, "both messages of the set are sent");
    }
}

#[test]
fn the_same_seed_sends_the_same_messages() {
    let lengths = |seed| {
        let server = Server::usual();
        let mut options = options(server.address, 40);
        (options.ledger, options.seed) = (true, seed);
        let mut ledger = run(&options, &()).unwrap().ledger;
        ledger.sort_by_key(|e| e.id);
        ledger.iter().map(|e| e.length).collect::<Vec<_>>()
    };
    assert_eq!(lengths(5), lengths(5));
    assert_ne!(lengths(5), lengths(6));
}

#[test]
fn each_phase_is_counted_once_per_message_or_recipient() {
    for pipelining in [false, true] {
        let server = Server::usual();
        let mut options = options(server.address, 50);
        options.pipelining = pipelining;
        options.envelope.to = vec!["one@example.net".to_owned(), "two@example.net".to_owned()];
        let results = run(&options, &()).unwrap();
        let counts = Phase::ALL.map(|phase| results.latency.phase(phase).accepted.len());
        // connect, banner, ehlo, mail, rcpt, data, flight, reply gap, end of data, transaction
        let expected =
            if pipelining { [4, 4, 4, 0, 0, 0, 50, 50, 50, 50] } else { [4, 4, 4, 50, 100, 50, 0, 0, 50, 50] };
        assert_eq!(counts, expected);
        assert_eq!(results.pipelined, pipelining);
        assert_eq!(results.latency.response.accepted.len(), 0, "a closed loop has no intended moment");
        let replies: Vec<_> = results.replies.iter().map(|(code, n)| (*code, *n)).collect();
        assert_eq!(replies, [(220, 4), (221, 4), (250, 4 + 4 * 50), (354, 50)]);
    }
}

#[test]
fn a_connection_for_each_message() {
    let server = Server::usual();
    let mut options = options(server.address, 30);
    options.reconnect = true;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.totals.accepted, 30);
    assert_eq!((server.connections(), results.connections_opened), (30, 30));
    assert_eq!(server.quits.load(Ordering::SeqCst), 30);
    assert!(results.errors.is_empty(), "{:?}", results.errors);
}

#[test]
fn a_connection_for_each_message_at_a_fixed_rate() {
    let server = Server::usual();
    let mut options = at_rate(server.address, 100.0, Duration::from_millis(500));
    options.reconnect = true;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    let arrivals = results.arrivals.unwrap();
    assert_eq!(arrivals.due, 50);
    assert_eq!(server.connections() as u64, arrivals.placed);
    assert_eq!(results.totals.accepted + results.totals.unfinished, arrivals.placed);
}

/// A server that handles 200 messages a second freezes for 300 ms. Sixty messages fall due meanwhile. Only those under way see it in
/// their service times, four at most; all others wait for a connection, and their response times must tell.
#[test]
fn a_freeze_shows_in_the_response_times_of_all_that_were_due() {
    let gate = Arc::new(Mutex::new(0));
    let server = Server::start(move |seen| {
        let mut messages = gate.lock().unwrap();
        if matches!(seen, Seen::Message(_)) {
            *messages += 1;
            if *messages == 100 {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        Act::AsUsual
    });
    let results = run(&at_rate(server.address, 200.0, Duration::from_millis(1200)), &()).unwrap();

    assert_adds_up(&results);
    assert!(results.totals.accepted > 200);
    let slow = |h: &ehlo_load::Histogram| h.count_between(100_000_000, u64::MAX);
    let latency = &results.latency;
    let (response, service) = (&latency.response.accepted, &latency.phase(Phase::Transaction).accepted);
    // Forty of the sixty wait for more than 100 ms. This machine may stall, too; each time it does, four services are slow.
    assert!(slow(response) >= 30, "{} responses took more than 100 ms", slow(response));
    assert!(slow(service) <= 4 * 4, "{} services took more than 100 ms", slow(service));
    assert!(slow(&latency.lag.accepted) >= 25, "they waited for a connection");
    assert!(slow(&latency.own_lag) <= 4 * 4, "which was not the generator's doing");
    assert!(response.max() >= 250_000_000);
    // Sixty of 240 are due in it: the percentiles say so, and those of a naive measurement would not.
    assert!(response.value_at_quantile(0.85) > 50_000_000);
    assert!(service.value_at_quantile(0.85) < 50_000_000);
}

#[test]
fn a_fixed_rate_is_kept_by_two_threads() {
    let server = Server::usual();
    let mut options = at_rate(server.address, 300.0, Duration::from_secs(1));
    (options.threads, options.connections, options.ledger) = (2, 8, true);
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    let arrivals = results.arrivals.unwrap();
    assert_eq!(arrivals.due, 300);
    assert!(arrivals.unplaced < 30, "{}", arrivals.unplaced);
    let sequences: BTreeSet<_> = results.ledger.iter().map(|e| e.id.sequence).collect();
    assert_eq!(sequences.len() as u64, arrivals.placed, "each has its own");
    assert!(sequences.iter().all(|s| *s < 300), "a message's number is that of its arrival");
    let latency = &results.latency;
    assert_eq!(latency.response.accepted.len(), arrivals.placed);
    assert!(latency.response.accepted.max() >= latency.phase(Phase::Transaction).accepted.max());
}

#[test]
fn what_a_server_cannot_take_in_time_is_counted_as_unplaced() {
    let server = Server::start(|seen| {
        if matches!(seen, Seen::Message(_)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Act::AsUsual
    });
    // Four connections take 200 messages per second at most.
    let results = run(&at_rate(server.address, 1000.0, Duration::from_millis(600)), &()).unwrap();
    assert_adds_up(&results);
    let arrivals = results.arrivals.as_ref().unwrap();
    assert_eq!(arrivals.due, 600);
    assert_eq!(arrivals.placed, results.totals.started);
    assert!(arrivals.unplaced > 300, "{}", arrivals.unplaced);
    assert_eq!(arrivals.waits.0.len(), arrivals.unplaced + results.measured.unfinished);
    let p90 = ehlo_load::percentile_with(&results.latency.response.accepted, &arrivals.waits, 0.9);
    assert!(matches!(p90, ehlo_load::Percentile::AtLeast(_)), "{p90:?}");
    let verdict = ehlo_load::verdict(&results, None);
    assert!(verdict.reasons.iter().any(|r| r.text.contains("found no idle connection")), "{verdict:?}");
}

#[test]
fn the_warm_up_is_in_the_account_and_in_no_latency() {
    let server = Server::usual();
    let mut options = at_rate(server.address, 200.0, Duration::from_millis(500));
    (options.warm_up, options.ledger) = (Duration::from_millis(500), true);
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    let unplaced = results.arrivals.as_ref().unwrap().unplaced;
    assert_eq!((results.warm_up.started, results.measured.started), (100, 100 - unplaced));
    assert_eq!(results.ledger.len() as u64, 200 - unplaced);
    assert_eq!(results.latency.phase(Phase::Transaction).accepted.len(), 100 - unplaced);
    assert_eq!(results.window, Duration::from_millis(500));
    // Those that were under way when the warm-up ended are in it.
    assert!(results.accepted_in_window <= 104);
}

#[test]
fn refused_messages_have_times_of_their_own() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |seen| match seen {
        Seen::Message(_) if count.fetch_add(1, Ordering::SeqCst) % 2 == 1 => Act::Say("452 4.2.2 mailbox full\r\n"),
        _ => Act::AsUsual,
    });
    let mut options = options(server.address, 60);
    options.ledger = true;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!((results.totals.accepted, results.totals.refused), (30, 30));
    assert_eq!(results.refused_by_code, BTreeMap::from([(452, 30)]));
    for phase in [Phase::Transaction, Phase::EndOfData] {
        let samples = results.latency.phase(phase);
        assert_eq!(samples.accepted.len(), 30);
        assert_eq!(samples.refused.as_ref().map(|h| h.len()), Some(30));
    }
    assert_eq!(results.latency.phase(Phase::Flight).accepted.len(), 60);
    let refused = results.ledger.iter().filter(|e| e.fate == Fate::Refused).count();
    assert_eq!((results.ledger.len(), refused), (60, 30));
    let failure = results.first_failure.unwrap();
    assert_eq!(failure.kind, None);
    assert_eq!(failure.text, "the server answered the end of data with \"452 4.2.2 mailbox full\"");
    assert!(results.errors.is_empty());
}

#[test]
fn a_refused_recipient_is_counted_apart_from_the_message() {
    let server = Server::start(|seen| match seen {
        Seen::Command(c) if c.starts_with("RCPT TO:<bad") => Act::Say("550 5.1.1 unknown\r\n"),
        _ => Act::AsUsual,
    });
    for pipelining in [false, true] {
        let mut options = options(server.address, 10);
        options.pipelining = pipelining;
        options.envelope.to = vec!["good@example.net".to_owned(), "bad@example.net".to_owned()];
        let results = run(&options, &()).unwrap();
        assert_adds_up(&results);
        assert_eq!((results.totals.accepted, results.totals.recipients_refused), (10, 10));

        options.envelope.to = vec!["bad@example.net".to_owned()];
        let results = run(&options, &()).unwrap();
        assert_adds_up(&results);
        assert_eq!((results.totals.accepted, results.totals.refused), (0, 10), "{pipelining}");
    }
}

#[test]
fn a_message_that_goes_out_in_many_pieces_arrives_whole() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Inherited by the connections: a body fills it at once, so the generator must wait for room many times.
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let server = Server::start_on(listener, |seen| {
        if matches!(seen, Seen::BodyBegins) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Act::AsUsual
    });
    let mut options = options(server.address, 6);
    options.messages = Arc::new(MessageSet::new(vec![message(6_000_000)]).unwrap());
    (options.ledger, options.connections) = (true, 2);
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.totals.accepted, 6);
    let stored = stored(&server);
    assert!(results.ledger.iter().all(|e| stored.get(&e.id) == Some(&(e.length, e.digest))));
    assert!(results.octets_sent > 36_000_000);
}

#[test]
fn connections_are_made_a_few_at_a_time() {
    // Per connection: when it came. Each is greeted after 30 ms, and the fourth after that is made only then.
    let waiting = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let (waiting, most) = (Arc::clone(&waiting), Arc::clone(&most));
        move |seen| {
            if matches!(seen, Seen::Connection(_)) {
                most.fetch_max(waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(30));
                waiting.fetch_sub(1, Ordering::SeqCst);
            }
            Act::AsUsual
        }
    });
    let mut options = options(server.address, 24);
    (options.connections, options.connect_window) = (24, 4);
    let results = run(&options, &()).unwrap();
    assert_eq!(results.totals.accepted, 24);
    assert_eq!(server.connections(), 24);
    let most = most.load(Ordering::SeqCst);
    // More only if this machine holds one of them up for longer than the patience for a greeting.
    assert!(most <= 8, "{most} connections waited for their greeting at once");
}

#[test]
fn a_server_that_dies_and_comes_back_is_used_again() {
    let server = Server::start(|seen| match seen {
        Seen::Connection(1..=3) => Act::Close,
        Seen::Command(c) if c.starts_with("MAIL") => {
            // The first connection dies with its first message.
            static FIRST: AtomicUsize = AtomicUsize::new(0);
            if FIRST.fetch_add(1, Ordering::SeqCst) == 0 { Act::Close } else { Act::AsUsual }
        }
        _ => Act::AsUsual,
    });
    let mut options = options(server.address, 20);
    options.connections = 1;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!((results.totals.accepted, results.totals.failed), (19, 1));
    assert_eq!(results.errors.get(&ErrorKind::ClosedMidTransaction), Some(&1));
    assert_eq!(results.errors.get(&ErrorKind::ClosedBeforeGreeting), Some(&3));
    assert_eq!(results.ended, Ended::Messages);
}

#[test]
fn a_server_that_greets_a_few_only_is_measured_with_those() {
    let server = Server::start(|seen| match seen {
        Seen::Connection(number) if number >= 2 => Act::Silence,
        _ => Act::AsUsual,
    });
    let mut options = options(server.address, 30);
    options.timeouts.greeting = Duration::from_secs(120);
    let start = Instant::now();
    let results = run(&options, &()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(60), "it does not wait for the others");
    assert_eq!((results.totals.accepted, results.connections_ready), (30, 2));
    let verdict = ehlo_load::verdict(&results, None);
    assert!(verdict.reasons.iter().any(|r| r.text.contains("Only 2 of 4 connections")), "{verdict:?}");
}

struct StopAfter {
    asked: AtomicUsize,
    steps: Mutex<Vec<Step>>,
}

impl Observer for StopAfter {
    fn snapshot(&self, snapshot: &Snapshot) {
        self.steps.lock().unwrap().push(snapshot.step);
    }

    fn should_stop(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst) > 6
    }
}

#[test]
fn an_observer_can_end_a_run_and_gets_what_was_found() {
    let server = Server::usual();
    let mut options = options(server.address, 0);
    options.stop = Stop { messages: None, duration: Some(Duration::from_secs(600)) };
    let observer = StopAfter { asked: AtomicUsize::new(0), steps: Mutex::new(Vec::new()) };
    let start = Instant::now();
    let results = run(&options, &observer).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_adds_up(&results);
    assert_eq!(results.ended, Ended::Stopped);
    assert!(results.totals.accepted > 0 && results.accepted_in_window > 0);
    assert_eq!(results.totals.unfinished, 0, "what was under way is waited for");
    let steps = observer.steps.lock().unwrap();
    assert!(steps.contains(&Step::Measuring) && steps.contains(&Step::Draining), "{steps:?}");
}

#[test]
fn the_first_address_that_takes_connections_is_used() {
    let server = Server::usual();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = options(server.address, 5);
    options.target = Target { name: "both".to_owned(), addresses: vec![closed, server.address] };
    let results = run(&options, &()).unwrap();
    assert_eq!((results.totals.accepted, results.address), (5, server.address));
}

#[test]
fn an_eight_bit_message_is_not_sent_where_it_is_not_taken() {
    let server = Server::start(|seen| match seen {
        Seen::Command(c) if c.starts_with("EHLO") => Act::Say("250 test.invalid\r\n"),
        _ => Act::AsUsual,
    });
    let mut eight_bit = message(100);
    eight_bit.eight_bit = true;
    let mut options = options(server.address, 50);
    options.messages = Arc::new(MessageSet::new(vec![eight_bit]).unwrap());
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.totals.accepted, 0);
    assert!(results.totals.failed > 0);
    assert!(results.errors[&ErrorKind::Unsupported] > 0);
    assert!(results.first_failure.unwrap().text.contains("8BITMIME"));
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let server = Server::usual();
    let refused = |change: &dyn Fn(&mut ehlo_load::Options)| {
        let mut options = options(server.address, 1);
        change(&mut options);
        run(&options, &()).unwrap_err().to_string()
    };
    let rate = |rate| refused(&move |o| o.mode = ehlo_load::Mode::Open { rate });
    assert!(rate(0.0).starts_with("rate:") && rate(f64::NAN).starts_with("rate:") && rate(1e9).starts_with("rate:"));
    assert!(refused(&|o| o.connections = 0).starts_with("connections:"));
    assert!(refused(&|o| o.envelope.to.clear()).starts_with("recipients:"));
    assert!(refused(&|o| o.envelope.from = "a@b>\r\nRCPT TO:<c".to_owned()).starts_with("envelope:"));
    assert!(refused(&|o| o.ehlo_name = "no name".to_owned()).starts_with("ehlo_name:"));
    assert!(refused(&|o| o.stop = Stop::default()).starts_with("stop:"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn five_thousand_connections() {
    const CONNECTIONS: u64 = 5000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let needed = 2 * CONNECTIONS + 300;
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        let maximum = limit.maximum;
        // Not by a macro: of a test that passes, its text would not be shown. And whole, since other tests write, too.
        let _ = std::io::stderr().write_all(
            format!("\nnot run: the hard limit of open files is {maximum:?}, and both ends need {needed}\n").as_bytes(),
        );
        return;
    }
    let raised = rustix::process::Rlimit { current: Some(needed), maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let responder = null::Thread::spawn().unwrap();
    let mut options = options(responder.address(), 2 * CONNECTIONS);
    options.connections = CONNECTIONS as usize;
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.totals.accepted, 2 * CONNECTIONS);
    assert_eq!(results.connections_opened, CONNECTIONS, "{:?}", results.errors);
    assert!(results.errors.is_empty());
}
