//! One message over as many transactions as its server wants, and what is told of it.

mod clock;

use ehlo_client::codec::{ForwardPath, ReversePath};
use ehlo_client::{
    BeginError, BodyEnd, Config, Envelope, Event, Fate, Job, Next, Recipient, Report, Session, StartTls, Transfer,
};
use std::sync::Arc;
use std::time::Instant;

const FROM: &[u8] = b"<a@client.example>";

fn paths(to: &[String]) -> Vec<Recipient<'_>> {
    to.iter().map(|to| ForwardPath::parse_prefix(to.as_bytes()).expect("a path").0.into()).collect()
}

fn envelope<'a>(to: &'a [Recipient<'a>]) -> Envelope<'a> {
    Envelope::new(ReversePath::parse_prefix(FROM).expect("a path").0, to)
}

fn mailboxes(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("<r{i}@mx.example>")).collect()
}

fn config() -> Config {
    Config::new("client.example").expect("a domain").chunking(false)
}

/// A session and what is said to it.
struct Talk {
    session: Session,
    now: Instant,
    /// MAIL and RCPT as they were sent, a list for each transaction.
    said: Vec<Vec<String>>,
}

impl Talk {
    fn new(config: Config, offers: &str) -> Self {
        let now = clock::epoch();
        let mut talk = Self { session: Session::new(now, Arc::new(config)), now, said: Vec::new() };
        talk.hear("220 mx\r\n", |_, _| {});
        talk.written();
        let lines: Vec<&str> = std::iter::once("mx").chain(offers.split(", ")).collect();
        let (last, lines) = lines.split_last().expect("a line");
        let mut ehlo: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        ehlo += &format!("250 {last}\r\n");
        talk.hear(&ehlo, |_, _| {});
        assert!(talk.session.is_ready());
        talk
    }

    /// What the session puts out is written.
    fn written(&mut self) -> Vec<String> {
        let output = self.session.output().to_vec();
        self.session.output_sent(self.now, output.len());
        let lines: Vec<String> = String::from_utf8(output).expect("text").lines().map(str::to_owned).collect();
        for line in &lines {
            if line.starts_with("MAIL") {
                self.said.push(Vec::new());
            }
            if let (Some(to), Some(said)) = (line.strip_prefix("RCPT TO:"), self.said.last_mut()) {
                said.push(to.to_owned());
            }
        }
        lines
    }

    fn hear(&mut self, bytes: &str, mut tell: impl FnMut(&Session, &Event)) {
        let mut bytes = bytes.as_bytes();
        loop {
            let step = self.session.handle_input(self.now, bytes);
            bytes = &bytes[step.used..];
            let Some(event) = step.event else { return };
            tell(&self.session, &event);
            if let Event::BodyWanted(..) = event {
                self.session.body_finished(self.now, BodyEnd::Dot).expect("a body was wanted");
            }
        }
    }

    /// Plays a job against a server that answers a RCPT by the recipient's place in its transaction.
    fn play(
        &mut self,
        job: &mut Job<'_>,
        rcpt: impl Fn(usize, &str) -> String,
        body: impl Fn(usize) -> String,
    ) -> Next {
        for _ in 0..1000 {
            match job.begin(&mut self.session, self.now).expect("the session is ready") {
                Next::Begun(_) => {}
                next => return next,
            }
            let (mut place, mut over) = (0, false);
            while !over {
                let lines = self.written();
                assert!(!lines.is_empty(), "nobody says anything");
                for line in lines {
                    let reply = match line.get(..4).unwrap_or(&line) {
                        "RCPT" => {
                            place += 1;
                            rcpt(place - 1, &line[8..])
                        }
                        "DATA" => "354 go".to_owned(),
                        "." => body(self.said.len()),
                        _ => "250 ok".to_owned(),
                    };
                    let last = reply.starts_with("421");
                    self.hear(&format!("{reply}\r\n"), |session, event| over |= job.on_event(session, event));
                    if last {
                        return Next::Over;
                    }
                }
            }
        }
        panic!("the job goes round in a loop");
    }
}

fn told(report: &Report) -> Vec<String> {
    report.iter().map(|fate| fate.to_string()).collect()
}

fn queued(n: usize) -> String {
    format!("250 2.0.0 queued as {n}")
}

fn yes(_: usize, _: &str) -> String {
    "250 ok".into()
}

// C081
#[test]
fn a_message_is_split_by_the_number_of_recipients_that_the_server_tells() {
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTMAX=3");
    let to = mailboxes(7);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert_eq!(talk.play(&mut job, yes, queued), Next::Over);
    assert!(job.is_over());
    assert_eq!(talk.said.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let report = job.into_report();
    assert!(report.all_accepted());
    let queued: Vec<String> = [1, 1, 1, 2, 2, 2, 3].map(|n| format!("accepted: 250 2.0.0 queued as {n}")).into();
    assert_eq!(told(&report), queued);
}

// C081
#[test]
fn a_message_is_split_by_the_number_of_recipients_that_is_configured() {
    let mut talk = Talk::new(config().max_recipients(2), "PIPELINING");
    let to = mailboxes(4);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert_eq!(talk.play(&mut job, yes, queued), Next::Over);
    assert_eq!(talk.said.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
}

// C081: RFC 9422 §4.3 counts the domains of a session.
#[test]
fn domains_beyond_those_that_a_session_may_have_go_elsewhere() {
    let to: Vec<String> =
        ["<a@one.example>", "<b@two.example>", "<c@ONE.example>", "<d@three.example>", "<Postmaster>"]
            .map(str::to_owned)
            .into();
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTDOMAINMAX=1");
    assert_eq!(talk.play(&mut job, yes, queued), Next::Elsewhere);
    assert_eq!(talk.said, [["<a@one.example>", "<c@ONE.example>", "<Postmaster>"]]);
    assert!(!job.is_over());
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTDOMAINMAX=2");
    assert_eq!(talk.play(&mut job, yes, queued), Next::Over);
    assert_eq!(talk.said, [["<b@two.example>", "<d@three.example>"]]);
    // Another message over the same connection counts on.
    let mut next = Job::new(envelope(&to[..2]));
    assert_eq!(talk.play(&mut next, yes, queued), Next::Elsewhere);
    assert_eq!(talk.said.last().map(Vec::len), Some(1), "{:?}", talk.said);
    assert!(job.into_report().all_accepted());
}

// C081
#[test]
fn domains_beyond_those_of_a_session_are_no_transaction() {
    let to: Vec<String> = ["<a@one.example>", "<b@two.example>"].map(str::to_owned).into();
    let to = paths(&to);
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTDOMAINMAX=1");
    let begun = talk.session.begin(talk.now, &envelope(&to));
    assert_eq!(begun, Err(BeginError::TooManyDomains));
    assert!(!BeginError::TooManyDomains.is_refusal(), "another connection may take it");
}

// C081
#[test]
fn a_message_beyond_the_last_transaction_of_a_session_goes_elsewhere() {
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTMAX=2 MAILMAX=2");
    let to = mailboxes(5);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert_eq!(talk.play(&mut job, yes, queued), Next::Elsewhere);
    let mut talk = Talk::new(config(), "PIPELINING");
    assert_eq!(talk.play(&mut job, yes, |_| "250 over there".into()), Next::Over);
    assert_eq!(talk.said, [["<r4@mx.example>"]]);
    let report = job.into_report();
    assert_eq!(told(&report)[4], "accepted: 250 over there");
    assert!(report.all_accepted());
}

// C034
#[test]
fn whoever_is_one_too_many_gets_another_transaction() {
    for one_too_many in ["452 4.5.3 too many", "452 too many", "552 5.5.3 too many"] {
        let mut talk = Talk::new(config(), "PIPELINING");
        let to = mailboxes(250);
        let to = paths(&to);
        let mut job = Job::new(envelope(&to));
        let rcpt = |place, _: &str| if place < 100 { "250 ok".into() } else { one_too_many.to_owned() };
        assert_eq!(talk.play(&mut job, rcpt, queued), Next::Over, "{one_too_many}");
        assert_eq!(talk.said.iter().map(Vec::len).collect::<Vec<_>>(), [250, 150, 50]);
        assert!(job.into_report().all_accepted(), "{one_too_many}");
    }
}

#[test]
fn a_mailbox_that_is_full_is_not_one_too_many() {
    for full in ["452 4.2.2 full", "552 5.2.2 full", "552 full", "450 4.5.3 no", "451 4.5.3 no"] {
        let mut talk = Talk::new(config(), "PIPELINING");
        let to = mailboxes(3);
        let to = paths(&to);
        let mut job = Job::new(envelope(&to));
        let rcpt = |place, _: &str| if place == 1 { full.to_owned() } else { "250 ok".into() };
        assert_eq!(talk.play(&mut job, rcpt, queued), Next::Over, "{full}");
        assert_eq!(talk.said.len(), 1, "{full}");
        let report = job.into_report();
        let kind = if full.starts_with('4') { "deferred" } else { "refused" };
        assert_eq!(told(&report)[1], format!("{kind}: {full}"));
        assert_eq!(report.accepted(), 2);
    }
}

#[test]
fn a_server_that_takes_nobody_is_not_asked_for_ever() {
    let mut talk = Talk::new(config(), "PIPELINING");
    let to = mailboxes(3);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert_eq!(talk.play(&mut job, |_, _| "452 4.5.3 too many".into(), |_| "554 nobody".into()), Next::Over);
    assert_eq!(talk.said.len(), 1);
    assert!(job.into_report().iter().all(|fate| fate.is_transient()));
    // One that takes one at a time gets as many transactions as there are recipients.
    let mut job = Job::new(envelope(&to));
    let rcpt = |place, _: &str| if place == 0 { "250 ok".into() } else { "452 4.5.3 too many".into() };
    assert_eq!(talk.play(&mut job, rcpt, queued), Next::Over);
    assert_eq!(talk.said.len(), 4);
    assert!(job.into_report().all_accepted());
}

#[test]
fn whom_another_message_had_is_nobody_of_this_one() {
    let mut talk = Talk::new(config().ahead(2), "PIPELINING");
    let to = mailboxes(2);
    let to = paths(&to);
    let (mut first, mut second) = (Job::new(envelope(&to)), Job::new(envelope(&to)));
    assert!(matches!(first.begin(&mut talk.session, talk.now), Ok(Next::Begun(_))));
    talk.written();
    talk.hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", |session, event| {
        first.on_event(session, event);
    });
    talk.written();
    assert!(matches!(second.begin(&mut talk.session, talk.now), Ok(Next::Begun(_))));
    // It is under way: a second transaction of the same message would be a second copy.
    assert_eq!(second.begin(&mut talk.session, talk.now), Err(BeginError::NotReady));
    assert_eq!(first.begin(&mut talk.session, talk.now), Err(BeginError::NotReady));
    talk.written();
    let mut both = |session: &Session, event: &Event| {
        first.on_event(session, event);
        second.on_event(session, event);
    };
    talk.hear("250 queued\r\n250 ok\r\n452 4.5.3 many\r\n452 4.5.3 many\r\n", &mut both);
    talk.hear("503 5.5.1 nobody\r\n", &mut both);
    assert!(first.is_over() && second.is_over(), "nobody was taken, so nobody waits: {second:?}");
    assert!(first.into_report().all_accepted());
    assert_eq!(told(&second.into_report()), ["deferred: 452 4.5.3 many"; 2]);
}

#[test]
fn whom_a_message_in_front_has_got_is_nobody_of_the_one_behind_it() {
    let mut talk = Talk::new(config().chunking(true).ahead(2), "PIPELINING, CHUNKING");
    let to = mailboxes(2);
    let to = paths(&to);
    let (mut first, mut second) = (Job::new(envelope(&to).with_size(4)), Job::new(envelope(&to).with_size(4)));
    for job in [&mut first, &mut second] {
        let Ok(Next::Begun(id)) = job.begin(&mut talk.session, talk.now) else { panic!("the session is ready") };
        assert_eq!(talk.session.poll_event(), Some(Event::BodyWanted(id, Transfer::Whole)));
        talk.written();
        talk.session.body_finished(talk.now, BodyEnd::Included).expect("a body was wanted");
    }
    let mut both = |session: &Session, event: &Event| {
        first.on_event(session, event);
        second.on_event(session, event);
    };
    talk.hear("250 ok\r\n250 ok\r\n250 ok\r\n250 queued\r\n250 reset\r\n", &mut both);
    talk.hear("250 ok\r\n452 4.5.3 many\r\n452 4.5.3 many\r\n503 nobody\r\n", &mut both);
    assert!(second.is_over(), "nobody was taken, so nobody waits: {second:?}");
    assert!(first.into_report().all_accepted());
    assert_eq!(told(&second.into_report()), ["deferred: 452 4.5.3 many"; 2]);
}

#[test]
fn the_recipients_of_two_messages_at_once_are_told_apart() {
    let mut talk = Talk::new(config().ahead(2), "PIPELINING");
    let to = mailboxes(3);
    let to = paths(&to);
    let (mut first, mut second) = (Job::new(envelope(&to)), Job::new(envelope(&to)));
    let (now, mut said) = (talk.now, String::from("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n"));
    assert!(matches!(first.begin(&mut talk.session, now), Ok(Next::Begun(_))));
    talk.written();
    talk.hear(&said, |session, event| {
        first.on_event(session, event);
        second.on_event(session, event);
    });
    talk.written();
    assert!(matches!(second.begin(&mut talk.session, now), Ok(Next::Begun(_))));
    talk.written();
    said = "451 4.3.0 one\r\n250 ok\r\n250 ok\r\n250 ok\r\n452 4.5.3 many\r\n354 go\r\n".into();
    talk.hear(&said, |session, event| {
        first.on_event(session, event);
        second.on_event(session, event);
    });
    talk.written();
    talk.hear("250 two\r\n", |session, event| {
        first.on_event(session, event);
        second.on_event(session, event);
    });
    assert_eq!(
        told(&first.into_report()),
        ["deferred: 451 4.3.0 one", "refused: 550 5.1.1 no", "deferred: 451 4.3.0 one"]
    );
    assert!(!second.is_over(), "one waits");
    assert_eq!(told(&second.into_report())[..2], ["accepted: 250 two", "accepted: 250 two"]);
}

#[test]
fn a_421_is_kept_for_all_that_it_decides_about() {
    let mut talk = Talk::new(config(), "PIPELINING");
    let to = mailboxes(3);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    talk.play(&mut job, |place, _| if place == 1 { "421 4.3.2 enough".into() } else { "250 ok".into() }, queued);
    assert_eq!(told(&job.into_report()), ["deferred: 421 4.3.2 enough"; 3]);
}

#[test]
fn a_lost_connection_leaves_each_with_what_is_known_of_it() {
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTMAX=2");
    let to = mailboxes(3);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert!(matches!(job.begin(&mut talk.session, talk.now), Ok(Next::Begun(_))));
    talk.written();
    talk.hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", |session, event| {
        job.on_event(session, event);
    });
    talk.written();
    talk.session.handle_eof(talk.now);
    while let Some(event) = talk.session.poll_event() {
        job.on_event(&talk.session, &event);
    }
    let report = job.into_report();
    assert_eq!(report.iter().collect::<Vec<_>>(), [Fate::Unknown, Fate::Unknown, Fate::Unsent]);
    assert_eq!(report.unsent().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_job_that_is_dropped_in_its_middle_claims_nothing() {
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTMAX=1");
    let to = mailboxes(2);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    assert!(matches!(job.begin(&mut talk.session, talk.now), Ok(Next::Begun(_))));
    assert_eq!(job.into_report().iter().collect::<Vec<_>>(), [Fate::Unknown, Fate::Unsent]);
}

#[test]
fn a_message_that_cannot_go_there_is_told_of_for_whoever_is_left() {
    let mut talk = Talk::new(config(), "PIPELINING, SIZE 10, LIMITS RCPTMAX=1");
    let to = mailboxes(2);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to).with_size(11));
    assert_eq!(talk.play(&mut job, yes, queued), Next::Over);
    assert!(job.is_over());
    let report = job.into_report();
    assert_eq!(report.iter().collect::<Vec<_>>(), [Fate::Impossible(BeginError::TooLarge { limit: 10 }); 2]);
    assert!(!report.get(0).is_some_and(|fate| fate.is_transient()));
}

#[test]
fn a_session_that_is_not_ready_leaves_the_job_as_it_is() {
    let to = mailboxes(3);
    let to = paths(&to);
    let mut job = Job::new(envelope(&to));
    let now = clock::epoch();
    let mut fresh = Session::new(now, Arc::new(config().starttls(StartTls::Required)));
    assert_eq!(job.begin(&mut fresh, now), Err(BeginError::NotReady));
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS RCPTMAX=2");
    assert_eq!(talk.play(&mut job, yes, queued), Next::Over);
    assert_eq!(talk.said, [vec!["<r0@mx.example>", "<r1@mx.example>"], vec!["<r2@mx.example>"]]);
}

#[test]
fn a_reply_is_kept_once_whomever_it_decides_about() {
    let mut talk = Talk::new(config(), "PIPELINING");
    let to = mailboxes(1000);
    let to = paths(&to);
    let long = "x".repeat(1500);
    let mut job = Job::new(envelope(&to));
    talk.play(&mut job, |place, _| if place % 2 == 0 { format!("550 5.1.1 {long}") } else { "250 ok".into() }, queued);
    let report = job.into_report();
    let texts: std::collections::BTreeSet<*const u8> = report
        .iter()
        .map(|fate| match fate {
            Fate::Accepted(reply) | Fate::Refused(reply) => reply.as_str().as_ptr(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts.len(), 2);
}

#[test]
fn a_server_that_has_another_text_for_each_recipient_is_not_kept_in_full() {
    let mut talk = Talk::new(config(), "PIPELINING");
    let to = mailboxes(1000);
    let to = paths(&to);
    let long = "x".repeat(1500);
    let mut job = Job::new(envelope(&to));
    talk.play(&mut job, |place, _| format!("550 5.1.{} {place}{long}", place % 10), |_| "554 nobody".into());
    let report = job.into_report();
    let mut octets = 0;
    for (i, fate) in report.iter().enumerate() {
        let Fate::Refused(reply) = fate else { panic!("{fate:?}") };
        octets += reply.as_str().len();
        let enhanced = reply.enhanced().map(|enhanced| enhanced.to_string());
        assert_eq!((reply.code().get(), enhanced), (550, Some(format!("5.1.{}", i % 10))), "its codes are kept");
        assert!(reply.as_str().is_empty() || reply.as_str().contains(&format!("{i}x")));
        assert!(fate.to_string().starts_with("refused: 550 5.1."));
    }
    assert!(octets <= Report::MAX_TEXT && octets > Report::MAX_TEXT / 2, "{octets} octets");
}

#[test]
fn a_report_about_some_is_put_in_its_places() {
    let to = mailboxes(4);
    let to = paths(&to);
    let mut talk = Talk::new(config(), "PIPELINING, LIMITS MAILMAX=1 RCPTMAX=2");
    let mut job = Job::new(envelope(&to));
    assert_eq!(
        talk.play(&mut job, |place, _| if place == 1 { "550 no".into() } else { "250 ok".into() }, queued),
        Next::Elsewhere
    );
    let mut report = job.into_report();
    let places: Vec<usize> = report.unsent().collect();
    assert_eq!(places, [2, 3]);
    let rest: Vec<Recipient<'_>> = places.iter().map(|place| to[*place]).collect();
    let mut job = Job::new(envelope(&rest));
    let mut talk = Talk::new(config(), "PIPELINING");
    talk.play(
        &mut job,
        |place, _| if place == 0 { "450 later".into() } else { "250 ok".into() },
        |_| "250 there".into(),
    );
    report.merge(&places, &job.into_report());
    assert_eq!(
        told(&report),
        ["accepted: 250 2.0.0 queued as 1", "refused: 550 no", "deferred: 450 later", "accepted: 250 there"]
    );
    assert_eq!(report.unsent().count(), 0);
}
