//! A conversation with a server that is a list of what it says.

use std::collections::VecDeque;
use std::future::{Future, pending, ready};
use std::io;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Instant;

use ehlo_driver::ehlo_client::codec::ReversePath;
use ehlo_driver::ehlo_client::{BeginError, BodyError, CloseReason, Envelope, Fate, LineEndings, Recipient, Report};
use ehlo_driver::{Body, Bytes, Conversation, Link, Login, Options, SendError, Wire, block_on};

const TEXT: &[u8] = b"Subject: x\r\n\r\nHello.\r\n";

/// Says these, one after the other, whenever there is nothing to be written.
struct Script {
    says: VecDeque<&'static str>,
    heard: Vec<u8>,
    now: Instant,
    /// Waits for ever at the end of the list, instead of failing the test.
    waits: bool,
}

impl Wire for Script {
    fn now(&self) -> Instant {
        self.now
    }

    async fn exchange(&mut self, link: &mut Link) {
        let output = link.output(self.now).concat();
        if !output.is_empty() {
            self.heard.extend_from_slice(&output);
            return link.sent(self.now, output.len());
        }
        if !link.session().wants_input() {
            return;
        }
        match self.says.pop_front() {
            Some("") => link.end(),
            Some(text) => link.receive(self.now, text.as_bytes()),
            None if self.waits => pending().await,
            None => panic!("the client waits, and nobody will say more"),
        }
    }
}

/// A conversation that has begun, with a server that offers these.
fn begin(extensions: &'static [&'static str], says: &[&'static str], options: Options) -> Conversation<Script> {
    let all = ["220 mx.example\r\n"].iter().chain(extensions).chain(says).copied().collect();
    let wire = Script { says: all, heard: Vec::new(), now: Instant::now(), waits: false };
    let (link, _) = options.link(wire.now, "mx.example", || Ok("client.example".to_owned())).unwrap();
    block_on(Conversation::begin(link, wire)).unwrap()
}

const PLAIN: &[&str] = &["250 mx.example\r\n"];
const PIPELINING: &[&str] = &["250-mx.example\r\n250 PIPELINING\r\n"];

fn two() -> [Recipient<'static>; 2] {
    ["bob@mx.example", "eve@mx.example"].map(|name| Recipient::parse(name).unwrap())
}

fn fates(report: &Report) -> Vec<String> {
    report.iter().map(|fate| fate.to_string()).collect()
}

/// Drops a future that has got as far as it gets.
fn give_up<F: Future>(future: F) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// A body that is read once; setting it back fails, or is not possible.
struct Once {
    bytes: Bytes<'static>,
    fails: bool,
    read: bool,
    size: Option<u64>,
}

impl Once {
    fn new(fails: bool) -> Self {
        Self { bytes: Bytes::new(TEXT), fails, read: false, size: None }
    }
}

impl Body for Once {
    fn size(&self) -> Option<u64> {
        self.size
    }

    fn fill(&mut self) -> impl Future<Output = io::Result<&[u8]>> + Send {
        self.read = true;
        self.bytes.fill()
    }

    fn consume(&mut self, n: usize) {
        self.bytes.consume(n);
    }

    fn rewind(&mut self) -> impl Future<Output = io::Result<bool>> + Send {
        ready(match self.read {
            true if self.fails => Err(io::Error::other("the disk is gone")),
            read => Ok(!read),
        })
    }
}

/// The second recipient is one too many for the first transaction.
const FIRST_OF_TWO: [&str; 5] =
    ["250 ok\r\n", "250 ok\r\n", "452 4.5.3 too many\r\n", "354 go on\r\n", "250 2.0.0 first\r\n"];

#[test]
fn a_body_that_is_read_once_leaves_the_other_recipients_unsent_and_the_connection_in_order() {
    let says = [&FIRST_OF_TWO[..], &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n", "250 2.0.0 next\r\n"]].concat();
    let mut conversation = begin(PLAIN, &says, Options::default());
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to);
    let report = block_on(conversation.send(envelope, &mut Once::new(false), LineEndings::Refuse)).unwrap();
    assert_eq!(report.get(1), Some(Fate::Unsent));
    assert_eq!(fates(&report)[0], "accepted: 250 2.0.0 first");
    let envelope = Envelope::new(ReversePath::Null, &to[1..]);
    let report = block_on(conversation.send(envelope, &mut Bytes::new(TEXT), LineEndings::Refuse)).unwrap();
    assert_eq!(fates(&report), ["accepted: 250 2.0.0 next"]);
}

#[test]
fn a_body_that_can_not_be_set_back_does_not_hide_who_was_accepted() {
    let mut conversation = begin(PLAIN, &FIRST_OF_TWO, Options::default());
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to);
    let error = block_on(conversation.send(envelope, &mut Once::new(true), LineEndings::Refuse)).unwrap_err();
    let SendError::Read(_, report) = error else { panic!("{error}") };
    assert_eq!(fates(&report), ["accepted: 250 2.0.0 first", "not sent: the connection was lost before"]);
}

#[test]
fn a_body_that_was_read_before_is_not_sent_from_its_middle() {
    let mut conversation =
        begin(PLAIN, &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n", "250 taken\r\n"], Options::default());
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to[..1]);
    let mut body = Once::new(false);
    block_on(body.fill()).unwrap();
    body.consume(5);
    let error = block_on(conversation.send(envelope, &mut body, LineEndings::Refuse)).unwrap_err();
    assert!(matches!(error, SendError::Read(..)), "{error}");
    // One that can be set back is.
    let mut body = Bytes::new(TEXT);
    body.consume(5);
    assert!(block_on(conversation.send(envelope, &mut body, LineEndings::Refuse)).unwrap().all_accepted());
    let heard = String::from_utf8_lossy(&conversation.wire().heard).into_owned();
    assert!(heard.ends_with("DATA\r\nSubject: x\r\n\r\nHello.\r\n.\r\n"), "{heard}");
}

#[test]
fn a_body_of_another_length_than_it_says_is_not_sent_by_data_either() {
    for size in [TEXT.len() as u64 - 1, TEXT.len() as u64 + 1] {
        let mut conversation = begin(PLAIN, &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"], Options::default());
        let to = two();
        let envelope = Envelope::new(ReversePath::Null, &to[..1]);
        let mut body = Once { size: Some(size), ..Once::new(false) };
        let error = block_on(conversation.send(envelope, &mut body, LineEndings::Refuse)).unwrap_err();
        let SendError::Body(BodyError::Length { declared }, report) = error else { panic!("{error}") };
        assert_eq!((declared, report.get(0)), (size, Some(Fate::Unsent)));
        let heard = String::from_utf8_lossy(&conversation.wire().heard).into_owned();
        assert!(!heard.contains("\r\n.\r\n"), "{heard}");
    }
}

#[test]
fn writing_or_finishing_a_message_that_was_not_begun_is_refused_at_once() {
    let mut conversation = begin(PLAIN, &["250 ok\r\n", "550 no\r\n"], Options::default());
    let to = two();
    for _ in 0..2 {
        let error = block_on(conversation.write(TEXT)).unwrap_err();
        assert!(matches!(error, SendError::Begin(BeginError::NotReady)), "{error}");
        let error = block_on(conversation.finish()).unwrap_err();
        assert!(matches!(error, SendError::Begin(BeginError::NotReady)), "{error}");
        if conversation.link().session().is_ready() && conversation.wire().says.len() == 2 {
            // Neither may what was over before its body.
            let outcome = block_on(conversation.begin_message(&Envelope::new(ReversePath::Null, &to[..1]))).unwrap();
            assert_eq!(outcome.unwrap().refused, 1);
        }
    }
}

#[test]
fn a_message_that_ended_while_nobody_wrote_takes_no_more() {
    let mut conversation = begin(PLAIN, &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"], Options::default());
    let to = two();
    assert!(block_on(conversation.begin_message(&Envelope::new(ReversePath::Null, &to[..1]))).unwrap().is_none());
    let now = conversation.wire().now;
    conversation.link_mut().receive(now, b"421 4.3.2 going down\r\n");
    assert!(conversation.ensure_open().is_err());
    for error in [block_on(conversation.write(TEXT)).unwrap_err(), block_on(conversation.finish()).unwrap_err()] {
        assert!(matches!(error, SendError::Closed(CloseReason::ServiceNotAvailable)), "{error}");
    }
}

#[test]
fn quitting_in_the_middle_of_a_message_gives_it_up_at_once() {
    let mut conversation = begin(PLAIN, &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"], Options::default());
    let to = two();
    assert!(block_on(conversation.begin_message(&Envelope::new(ReversePath::Null, &to[..1]))).unwrap().is_none());
    assert!(block_on(conversation.write(b"Subject: x\r\n")).unwrap().is_none());
    let error = block_on(conversation.quit()).unwrap_err();
    assert!(matches!(error, SendError::Closed(CloseReason::Abandoned)), "{error}");
}

#[test]
fn a_message_is_not_told_the_outcome_of_one_whose_sender_gave_up() {
    let mut options = Options::default();
    options.change.push(Box::new(|config| config.ahead(2)));
    let mut conversation = begin(PIPELINING, &["250 ok\r\n250 ok\r\n354 go on\r\n"], options);
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to[..1]);
    conversation.parts_mut().1.waits = true;
    give_up(conversation.send(envelope, &mut Bytes::new(TEXT), LineEndings::Refuse));
    let says = ["250 2.0.0 first\r\n", "250 ok\r\n250 ok\r\n354 go on\r\n", "550 no\r\n"];
    conversation.parts_mut().1.says.extend(says);
    assert_eq!(block_on(conversation.begin_message(&envelope)).unwrap(), None);
    assert_eq!(block_on(conversation.write(TEXT)).unwrap(), None);
    let outcome = block_on(conversation.finish()).unwrap();
    assert_eq!((outcome.accepted, outcome.refused), (0, 1));
}

#[test]
fn what_can_not_go_on_behind_a_message_that_was_given_up_says_so_at_once() {
    let mut conversation = begin(PIPELINING, &["250 ok\r\n250 ok\r\n"], Options::default());
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to[..1]);
    conversation.parts_mut().1.waits = true;
    give_up(conversation.send(envelope, &mut Bytes::new(TEXT), LineEndings::Refuse));
    let error = block_on(conversation.send_all([(envelope, TEXT)], |_, _| panic!("nothing was begun"))).unwrap_err();
    assert!(matches!(error, SendError::Begin(BeginError::NotReady)), "{error}");
}

#[test]
fn a_text_that_was_not_prepared_ends_the_session_and_waits_for_nobody() {
    let mut conversation = begin(PLAIN, &["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"], Options::default());
    let to = two();
    let envelope = Envelope::new(ReversePath::Null, &to[..1]);
    let mut reports = Vec::new();
    block_on(conversation.send_all([(envelope, &b"a\nb"[..]), (envelope, TEXT)], |number, report| {
        reports.push((number, report.get(0) == Some(Fate::Unsent)));
    }))
    .unwrap();
    assert_eq!(reports, [(0, true), (1, true)]);
}

#[test]
fn the_words_of_a_refusal_are_those_of_its_reply() {
    let offers = &["500 what?\r\n", "250 mx.example\r\n"];
    let mut conversation = begin(offers, &["421 4.3.2 going down\r\n"], Options::default());
    let error = block_on(conversation.login(&Login::password("ada", "secret"))).unwrap_err();
    assert!(matches!(error, SendError::Login(_)), "{error}");
    let offers = &["502 no EHLO\r\n", "250 mx.example\r\n"];
    drop(begin(offers, &[], Options::default()));
    let offers = &["250-mx.example\r\n250 AUTH PLAIN\r\n"];
    let mut conversation = begin(offers, &["421 4.3.2 going down\r\n"], Options::default());
    let login = Login::password("ada", "secret").plaintext_without_tls(true);
    let error = block_on(conversation.login(&login)).unwrap_err();
    assert_eq!(error.to_string(), "the server closed the session with 421: 421 4.3.2 going down");
    assert_eq!(conversation.link().closed(), Some(CloseReason::ServiceNotAvailable));
}
