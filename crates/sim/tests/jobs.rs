//! One message to many, against a server that keeps a book of what it took: over as many transactions and connections as it asks for, each
//! recipient has the fate that the book says. `EHLO_SIM_SEED=n` runs one seed alone.

#![expect(
    clippy::disallowed_methods,
    reason = "a run begins with some instant, and a failing seed is named by the environment"
)]

use ehlo_client::{
    BodyEnd, Config, Envelope, Event, Fate, Job, LineEndings, Next, Prepared, Recipient, Report, Session, Transfer,
};
use ehlo_sim::Rng;
use std::sync::Arc;
use std::time::Instant;

const SEEDS: u64 = 10_000;
const BODY: &[u8] = b"Subject: to many\r\n\r\n.\r\n";

/// The server's settings, and what it took over all connections.
struct Book {
    /// Recipients of a transaction, and how one too many is told.
    most: usize,
    too_many: &'static str,
    offers: String,
    refuse: usize,
    lose: usize,
    lmtp: bool,
    /// For whom it has said yes, and for whom it took the message without a word since the connection was lost.
    taken: Vec<String>,
    silent: Vec<String>,
    transactions: usize,
}

#[derive(Default)]
struct Connection {
    from: bool,
    to: Vec<String>,
    domains: Vec<String>,
    lost: bool,
}

impl Book {
    fn new(rng: &mut Rng) -> Self {
        let mut offers = String::new();
        for (word, percent) in [("PIPELINING", 80), ("CHUNKING", 50), ("8BITMIME", 50)] {
            if rng.percent(percent) {
                offers += &format!("250-{word}\r\n");
            }
        }
        let mut limits: Vec<String> = Vec::new();
        for name in ["RCPTMAX", "MAILMAX", "RCPTDOMAINMAX"] {
            if rng.percent(25) {
                limits.push(format!("{name}={}", rng.between(1, 4)));
            }
        }
        if !limits.is_empty() {
            offers += &format!("250-LIMITS {}\r\n", limits.join(" "));
        }
        Self {
            most: *rng.pick(&[1, 3, 100]),
            too_many: rng.pick::<&str>(&["452 4.5.3 too many", "452 too many", "552 5.5.3 too many"]),
            offers,
            refuse: *rng.pick(&[0, 0, 10, 50]),
            lose: *rng.pick(&[0, 0, 2, 10]),
            lmtp: rng.percent(20),
            taken: Vec::new(),
            silent: Vec::new(),
            transactions: 0,
        }
    }

    fn limit(&self, name: &str) -> usize {
        let at = self.offers.split([' ', '\r']).find_map(|word| word.strip_prefix(&format!("{name}=")));
        at.map_or(usize::MAX, |most| most.parse().expect("a number"))
    }

    /// Answers one command, or the end of a message. Nothing, where the connection is lost instead.
    fn answer(&mut self, at: &mut Connection, line: &str, rng: &mut Rng) -> String {
        let refuse = rng.percent(self.refuse);
        let code = if rng.percent(50) { "450 4.2.1" } else { "550 5.1.1" };
        let reply = match line.get(..4).unwrap_or_default() {
            "EHLO" | "LHLO" => format!("250-mx\r\n{}250 HELP\r\n", self.offers),
            "RSET" => {
                (at.from, at.to) = (false, Vec::new());
                "250 ok\r\n".into()
            }
            "MAIL" => {
                self.transactions += 1;
                assert!(!at.from, "MAIL within a transaction");
                at.from = !refuse;
                if refuse { format!("{code} message {}\r\n", self.transactions) } else { "250 ok\r\n".into() }
            }
            _ if line == "end" => return self.end(at, refuse, code, rng),
            _ if !at.from => "503 5.5.1 first\r\n".into(),
            "RCPT" => {
                let to = line[8..].to_owned();
                let domain = to.split_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
                if !at.domains.contains(&domain) {
                    at.domains.push(domain);
                }
                assert!(at.domains.len() <= self.limit("RCPTDOMAINMAX"), "domains beyond the limit");
                if at.to.len() >= self.most {
                    format!("{}\r\n", self.too_many)
                } else if refuse {
                    format!("{code} nobody {to}\r\n")
                } else {
                    at.to.push(to);
                    assert!(at.to.len() <= self.limit("RCPTMAX"), "recipients beyond the limit");
                    "250 ok\r\n".into()
                }
            }
            "DATA" if at.to.is_empty() => "503 5.5.1 nobody\r\n".into(),
            "DATA" => "354 go\r\n".into(),
            "QUIT" => "221 bye\r\n".into(),
            _ => "500 what\r\n".into(),
        };
        at.lost |= rng.percent(self.lose);
        if at.lost { String::new() } else { reply }
    }

    fn end(&mut self, at: &mut Connection, refuse: bool, code: &str, rng: &mut Rng) -> String {
        if !at.from || at.to.is_empty() {
            return if at.lost { String::new() } else { "503 5.5.1 nobody\r\n".into() };
        }
        at.from = false;
        let to = std::mem::take(&mut at.to);
        at.lost |= rng.percent(self.lose);
        let mut replies = String::new();
        for one in to {
            let refuse = if self.lmtp { rng.percent(self.refuse) } else { refuse };
            match (refuse, at.lost) {
                (true, _) => replies += &format!("{code} message {}\r\n", self.transactions),
                (false, true) => self.silent.push(one),
                (false, false) => {
                    self.taken.push(one);
                    replies += &format!("250 2.0.0 kept {}\r\n", self.transactions);
                }
            }
        }
        match (at.lost, self.lmtp) {
            (true, _) => String::new(),
            (false, true) => replies,
            (false, false) => replies.split_inclusive('\n').next().unwrap_or_default().to_owned(),
        }
    }
}

/// One connection, as far as it goes. Gives what is to be done next.
fn connection(book: &mut Book, job: &mut Job<'_>, config: Config, now: Instant, rng: &mut Rng) -> Option<Next> {
    let mut session = Session::new(now, Arc::new(config.lmtp(book.lmtp)));
    let (mut at, mut next) = (Connection::default(), None);
    let mut incoming = b"220 mx\r\n".to_vec();
    for _ in 0..10_000 {
        let mut wanted = None;
        let mut note = |session: &Session, event: Event, job: &mut Job<'_>| {
            job.on_event(session, &event);
            if let Event::BodyWanted(_, transfer) = event {
                wanted = Some(transfer);
            }
            matches!(event, Event::Closed(_))
        };
        let mut bytes = &incoming[..];
        loop {
            // In pieces of any length: the same replies.
            let piece = &bytes[..bytes.len().min(rng.between(1, 40))];
            let step = session.handle_input(now, piece);
            bytes = &bytes[step.used..];
            match step.event {
                Some(event) if note(&session, event, job) => return next,
                None if bytes.is_empty() => break,
                _ => {}
            }
        }
        incoming.clear();
        if at.lost {
            session.handle_eof(now);
            while let Some(event) = session.poll_event() {
                job.on_event(&session, &event);
            }
            return None;
        }
        if session.is_ready() && next.is_none() {
            match job.begin(&mut session, now).expect("the session is ready") {
                Next::Begun(_) => {}
                over => {
                    next = Some(over);
                    session.quit(now);
                }
            }
            while let Some(event) = session.poll_event() {
                note(&session, event, job);
            }
        }
        let output = String::from_utf8(session.output().to_vec()).expect("commands are text");
        session.output_sent(now, output.len());
        for line in output.lines() {
            // Its octets follow, and then its reply.
            if !line.starts_with("BDAT") {
                let line = if line == "." { "end" } else { line };
                incoming.extend_from_slice(book.answer(&mut at, line, rng).as_bytes());
            }
        }
        if let Some(transfer) = wanted {
            let end = if transfer == Transfer::Dots { BodyEnd::Dot } else { BodyEnd::Included };
            session.body_finished(now, end).expect("a body was wanted");
            let rest = session.output().len();
            session.output_sent(now, rest);
            incoming.extend_from_slice(book.answer(&mut at, "end", rng).as_bytes());
        }
    }
    panic!("the connection goes on for ever");
}

fn run(seed: u64, now: Instant) -> (Report, usize) {
    let mut rng = Rng::new(seed);
    let mut book = Book::new(&mut rng);
    let count = rng.between(1, *rng.clone().pick(&[2, 10, 40]));
    let to: Vec<String> =
        (0..count).map(|i| format!("<r{i}@{}.example>", rng.pick::<&str>(&["one", "TWO", "two", "three"]))).collect();
    let paths: Vec<Recipient<'_>> = to.iter().map(|to| Recipient::parse(to).expect("a path")).collect();
    let body = Prepared::text(BODY, LineEndings::Refuse).expect("lines end in CRLF");
    let envelope = Envelope::parse("ada@client.example", &paths)
        .expect("a path")
        .with_size(body.octets.len() as u64)
        .with_body(body.kind);
    let mut job = Job::new(envelope);
    let mut connections = 0;
    loop {
        connections += 1;
        assert!(connections <= 10 + 2 * count, "connections without end");
        let config = Config::new("client.example").expect("a domain").max_recipients(*rng.pick(&[1, 5, 1000]));
        let config = config.pipelining(rng.percent(80)).fuse(*rng.pick(&[0, 1000]));
        match connection(&mut book, &mut job, config, now, &mut rng) {
            Some(Next::Elsewhere) => {}
            _ => break,
        }
    }
    let report = job.into_report();
    for (to, fate) in to.iter().zip(report.iter()) {
        let times = |list: &[String]| list.iter().filter(|one| *one == to).count();
        let (taken, silent) = (times(&book.taken), times(&book.silent));
        assert!(taken + silent <= 1, "{to} got it {} times", taken + silent);
        match fate {
            Fate::Accepted(reply) => {
                assert!(taken == 1 && reply.as_str().starts_with("250 2.0.0 kept"), "{to}: {fate}")
            }
            Fate::Refused(reply) => {
                let text = reply.as_str();
                let own =
                    text.ends_with(&format!("nobody {to}")) || text.contains("message") || text.contains("too many");
                assert!(taken + silent == 0 && own, "{to}: {fate}");
            }
            Fate::Unsent => assert_eq!(taken + silent, 0, "{to}: {fate}"),
            Fate::Unknown => assert_eq!(taken, 0, "{to}: {fate}, and it was acknowledged"),
            other => panic!("{to}: {other}"),
        }
    }
    (report, book.transactions)
}

#[test]
#[expect(clippy::print_stderr, reason = "the one who runs it wants the seed")]
fn each_recipient_has_the_fate_that_the_book_says() {
    let now = Instant::now();
    if let Ok(seed) = std::env::var("EHLO_SIM_SEED") {
        eprintln!("{:?}", run(seed.parse().expect("a number"), now));
        return;
    }
    let (mut accepted, mut refused, mut unsent, mut unknown, mut divided) = (0, 0, 0, 0, 0);
    for seed in 0..SEEDS {
        let played = std::panic::catch_unwind(|| run(seed, now));
        let (report, transactions) = played.unwrap_or_else(|panic| {
            eprintln!("EHLO_SIM_SEED={seed} runs it alone");
            std::panic::resume_unwind(panic)
        });
        divided += usize::from(transactions > 1);
        for fate in report.iter() {
            match fate {
                Fate::Accepted(_) => accepted += 1,
                Fate::Refused(_) => refused += 1,
                Fate::Unsent => unsent += 1,
                _ => unknown += 1,
            }
        }
    }
    eprintln!(
        "{accepted} accepted, {refused} refused, {unsent} unsent, {unknown} unknown; {divided} messages were divided"
    );
    assert!([accepted, refused, unsent, unknown, divided].iter().all(|count| *count > 500));
}
