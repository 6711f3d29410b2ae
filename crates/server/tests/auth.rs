//! AUTH, with the mechanism played by the test (RFC 4954). What needs no look behind the wire is in the scenarios.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::auth::MAX_IDENTITY;
use ehlo_server::codec::{Base64, Reply};
use ehlo_server::{
    AuthMechanism, AuthToken, ChannelBinding, ClientCertificate, CloseReason, Config, Event, MechanismNeeds, Peer,
    Pending, Question, ResolveError, Session, TlsInfo, TlsMode,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const EHLO: &str = "EHLO client.test\r\n";

fn mechanism(name: &str, needs: MechanismNeeds) -> AuthMechanism {
    AuthMechanism::new(name, needs).unwrap()
}

fn info() -> TlsInfo {
    TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256")
}

struct Client {
    session: Session,
    now: Instant,
    asked: Option<AuthToken>,
    closed: Option<CloseReason>,
    /// What `Debug` shows, of events and wherever the test looked.
    log: String,
}

impl Client {
    /// One that has said EHLO in clear.
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("mx.test").unwrap();
        config.tls = TlsMode::StartTls;
        config.auth.allow_plaintext_auth = true;
        config.auth.mechanisms = vec![
            mechanism("PLAIN", MechanismNeeds::Confidentiality),
            mechanism("LOGIN", MechanismNeeds::Confidentiality),
        ];
        change(&mut config);
        let now = Instant::now();
        let session = Session::new(now, Arc::new(config), Peer::new(1));
        let mut client = Self { session, now, asked: None, closed: None, log: String::new() };
        client.read();
        client
    }

    fn greeted(change: impl FnOnce(&mut Config)) -> Self {
        let mut client = Self::new(change);
        client.say(EHLO);
        client
    }

    /// One that has said EHLO inside TLS.
    fn secured(info: TlsInfo, change: impl FnOnce(&mut Config)) -> (Self, String) {
        let mut client = Self::greeted(change);
        client.say("STARTTLS\r\n");
        client.session.handle_tls(client.now, info);
        let ehlo = client.say(EHLO);
        (client, ehlo)
    }

    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let step = self.session.handle_input(self.now, &bytes[used..]);
            used += step.used;
            match step.event {
                Some(event) => self.note(event),
                None => return used,
            }
        }
    }

    fn note(&mut self, event: Event<'_>) {
        self.log += &format!("{event:?}\n");
        match event {
            Event::Ask(Question::Auth(token)) => self.asked = Some(token),
            Event::Closed(reason) => self.closed = Some(reason),
            _ => {}
        }
    }

    fn read(&mut self) -> String {
        let mut text = String::new();
        while !self.session.output().is_empty() {
            text += std::str::from_utf8(self.session.output()).unwrap();
            self.session.output_sent(self.now, self.session.output().len());
        }
        while let Some(event) = self.session.poll_event() {
            self.note(event);
        }
        text
    }

    fn say(&mut self, text: &str) -> String {
        self.feed(text.as_bytes());
        self.read()
    }

    fn look(&mut self) {
        self.log += &format!("{:?} {:?} {:?}\n", self.session, self.session.pending(), self.asked);
    }

    fn token(&mut self) -> AuthToken {
        self.asked.take().expect("a question about AUTH is open")
    }

    fn challenge(&mut self, octets: &[u8]) -> String {
        let answer = self.token().challenge(octets);
        self.session.resolve(self.now, answer).unwrap();
        self.read()
    }

    fn accept(&mut self, identity: &str) -> String {
        let answer = self.token().accept(identity);
        self.session.resolve(self.now, answer).unwrap();
        self.read()
    }
}

fn base64(octets: &[u8]) -> String {
    let mut text = Vec::new();
    Base64::encode(octets, &mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn what_is_offered_depends_on_the_tls_around_it() {
    let change = |config: &mut Config| {
        config.auth.allow_plaintext_auth = false;
        config.auth.mechanisms = vec![
            mechanism("SCRAM-SHA-256-PLUS", MechanismNeeds::ChannelBinding),
            mechanism("PLAIN", MechanismNeeds::Confidentiality),
            mechanism("EXTERNAL", MechanismNeeds::ClientCertificate),
        ];
    };
    let mut clear = Client::new(change);
    let ehlo = clear.say(EHLO);
    assert!(!ehlo.contains("AUTH"), "{ehlo}");
    assert_eq!(clear.say("AUTH PLAIN AGEAYg==\r\n"), "504 5.5.4 Mechanism needs an encrypted connection\r\n");
    assert_eq!(clear.say("MAIL FROM:<a@b.test> AUTH=<>\r\n")[..3], *"555");
    let bound = info().with_binding(ChannelBinding::default().with_exporter([1; 32]));
    let known = info().with_client(ClientCertificate::new(Some("CN=client")));
    for (tls, offered) in
        [(info(), "AUTH PLAIN\r\n"), (bound, "AUTH SCRAM-SHA-256-PLUS PLAIN\r\n"), (known, "AUTH PLAIN EXTERNAL\r\n")]
    {
        let (mut client, ehlo) = Client::secured(tls, change);
        assert!(ehlo.contains(offered), "{ehlo}");
        // One that needs what is not there is not available, and that is all.
        for name in ["SCRAM-SHA-256-PLUS", "EXTERNAL"].into_iter().filter(|name| !offered.contains(name)) {
            assert_eq!(client.say(&format!("AUTH {name} =\r\n")), "504 5.5.4 Mechanism not available\r\n");
        }
    }
}

#[test]
fn what_the_client_sent_is_there_decoded_while_the_question_is_open() {
    let mut client = Client::greeted(|_| {});
    for (line, expected) in [
        ("AUTH PLAIN\r\n", None),
        ("AUTH PLAIN =\r\n", Some(&b""[..])),
        ("auth plain AGFkYQBzZWNyZXQ=\r\n", Some(b"\0ada\0secret")),
    ] {
        client.say(line);
        let Pending::Auth { mechanism, response, begins } = client.session.pending() else { panic!("{line}") };
        assert_eq!((mechanism, response.map(|r| r.as_bytes()), begins), ("PLAIN", expected, true));
        assert_eq!(client.challenge(b"more?"), "334 bW9yZT8=\r\n");
        assert_eq!(client.session.pending(), Pending::Nothing);
        client.say("AA==\r\n");
        let Pending::Auth { mechanism, response, begins } = client.session.pending() else { panic!("{line}") };
        assert_eq!((mechanism, response.map(|r| r.as_bytes()), begins), ("PLAIN", Some(&b"\0"[..]), false));
        let answer = client.token().defer(Reply::fixed(454, Some((4, 7, 0)), "Later"));
        client.session.resolve(client.now, answer).unwrap();
        assert_eq!(client.read(), "454 4.7.0 Later\r\n");
    }
}

#[test]
fn who_the_client_is_stays_known_until_starttls() {
    let mut client = Client::greeted(|_| {});
    assert_eq!(client.session.identity(), None);
    client.say("AUTH PLAIN =\r\n");
    assert_eq!(client.accept("ada"), "235 2.7.0 Authentication successful\r\n");
    client.say("MAIL FROM:<a@b.test>\r\nRSET\r\nEHLO other.test\r\n");
    assert_eq!((client.session.identity(), client.session.envelope().identity()), (Some("ada"), Some("ada")));
    client.say("STARTTLS\r\n");
    client.session.handle_tls(client.now, info());
    assert_eq!((client.session.identity(), client.session.envelope().identity()), (None, None));
    client.say(EHLO);
    client.say("AUTH PLAIN =\r\n");
    assert_eq!(client.accept("bob"), "235 2.7.0 Authentication successful\r\n");
    assert_eq!(client.session.identity(), Some("bob"));
}

#[test]
fn the_submitter_is_believed_of_an_authenticated_client_only() {
    let mut client = Client::greeted(|_| {});
    let mail = "MAIL FROM:<a@b.test> AUTH=e+3Dmc2@example.com\r\n";
    assert_eq!(client.say(mail), "250 2.1.0 Sender ok\r\n");
    assert_eq!(client.session.envelope().submitter(), None);
    client.say("RSET\r\nAUTH PLAIN =\r\n");
    client.accept("ada");
    client.say(mail);
    let submitter = client.session.envelope().submitter().unwrap();
    assert_eq!(&*submitter.decode(), b"e=mc2@example.com");
    client.say("RSET\r\nMAIL FROM:<a@b.test> AUTH=<>\r\n");
    assert_eq!(client.session.envelope().submitter(), None);
    client.say("RSET\r\nMAIL FROM:<a@b.test>\r\n");
    assert_eq!(client.session.envelope().submitter(), None);
}

#[test]
fn a_long_challenge_fits_through_a_small_output() {
    let mut client = Client::greeted(|config| config.limits.output = 1024);
    client.say("AUTH PLAIN\r\n");
    let line = client.challenge(&[7; 9216]);
    assert_eq!(line, format!("334 {}\r\n", base64(&[7; 9216])));
    client.say(&format!("{}\r\n", base64(&[8; 9216])));
    let Pending::Auth { response: Some(response), .. } = client.session.pending() else { panic!("no response") };
    assert_eq!(response.as_bytes(), &[8; 9216]);
}

/// RFC 4954 §4: 12,288 octets are enough; what is longer is not kept.
#[test]
fn lines_of_an_exchange_are_bounded() {
    let mut client = Client::greeted(|_| {});
    client.say("AUTH PLAIN\r\n");
    client.challenge(b"");
    let long = "A".repeat(1024 * 1024) + "\r\n";
    let mut most = 0;
    let mut replies = String::new();
    for piece in long.as_bytes().chunks(1000) {
        client.feed(piece);
        most = most.max(client.session.held());
        replies += &client.read();
        if client.closed.is_some() {
            break;
        }
    }
    assert!((12_000..=12_290).contains(&most), "{most}");
    // That is further than the limit on what is skipped goes.
    assert_eq!(
        replies,
        "500 5.5.6 Authentication exchange line is too long\r\n421 4.5.0 Line without end, closing\r\n"
    );
    let mut client = Client::greeted(|_| {});
    client.say("AUTH PLAIN\r\n");
    client.challenge(b"");
    assert_eq!(client.say(&("A".repeat(12_289) + "\r\n")), "500 5.5.6 Authentication exchange line is too long\r\n");
    assert_eq!(client.say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

#[test]
fn a_lost_or_late_answer_is_454_and_the_session_goes_on() {
    for lost in [false, true] {
        let mut client = Client::greeted(|_| {});
        client.say("AUTH PLAIN\r\n");
        client.challenge(b"");
        client.say("AGEAYg==\r\n");
        let answer = client.token().accept("ada");
        if lost {
            client.session.abandon(client.now);
        } else {
            client.now = client.session.poll_timeout().unwrap().0;
            client.session.handle_timeout(client.now);
        }
        assert_eq!(client.read(), "454 4.7.0 Authentication not available at the moment\r\n");
        assert_eq!(client.session.resolve(client.now, answer), Err(ResolveError::Stale));
        assert_eq!(client.session.identity(), None);
        assert_eq!(client.say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
    }
}

#[test]
fn what_stands_behind_an_answer_of_421_is_not_read() {
    let mut client = Client::greeted(|_| {});
    assert_eq!(client.feed(b"AUTH PLAIN =\r\nNOOP\r\n"), b"AUTH PLAIN =\r\n".len());
    let answer = client.token().defer(Reply::fixed(421, Some((4, 7, 0)), "Go away"));
    client.session.resolve(client.now, answer).unwrap();
    assert_eq!(client.read(), "421 4.7.0 Go away\r\n");
    assert_eq!(client.closed, Some(CloseReason::Refused));
}

/// Not what the client says, nor what it is challenged with, in any state of an exchange.
#[test]
fn no_debug_output_shows_what_is_said_in_an_exchange() {
    const CANARY: &str = "kanarienvogel-4711";
    let encoded = base64(format!("\0ada\0{CANARY}").as_bytes());
    let alone = base64(CANARY.as_bytes());
    let mut client = Client::greeted(|config| config.limits.auth_failures = 100);
    // Part of a line is kept, then the whole; the same within the exchange.
    for piece in ["AUTH PLAIN ", &encoded[..10], &encoded[10..], "\r\n"] {
        client.say(piece);
        client.look();
    }
    client.challenge(CANARY.as_bytes());
    client.look();
    for piece in [&encoded[..10], &encoded[10..], "\r\n"] {
        client.say(piece);
        client.look();
    }
    let answer = client.token().challenge(CANARY.as_bytes());
    client.log += &format!("{answer:?}");
    client.session.resolve(client.now, answer).unwrap();
    client.read();
    // What is no base64, where a command is wanted and where a response is, and a command that is too long.
    let long = "A".repeat(13_000);
    for line in [
        CANARY,
        &format!("AUTH PLAIN {CANARY}"),
        &format!("AUTH {CANARY}-{CANARY} {encoded}"),
        &format!("AUTH PLAIN {encoded}{long}"),
        &format!("AUTH LOGIN {alone}"),
    ] {
        client.say(&format!("{line}\r\n"));
        client.look();
    }
    client.challenge(b"Password:");
    client.say(&format!("{alone}\r\n"));
    client.look();
    let answer = client.token().fail();
    client.log += &format!("{answer:?}");
    client.session.resolve(client.now, answer).unwrap();
    client.look();
    client.read();
    client.look();
    assert!(client.log.contains("Auth") && client.log.contains("SaslResponse(..)"), "{}", client.log);
    let listed = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
    for secret in [CANARY, &encoded, &alone, &listed(CANARY), &listed(&encoded), &listed(&alone)] {
        assert!(!client.log.contains(secret), "{secret} is in\n{}", client.log);
    }
}

#[test]
fn the_longest_identity_is_kept_whole() {
    let mut client = Client::greeted(|_| {});
    client.say("AUTH PLAIN =\r\n");
    let name = "x".repeat(MAX_IDENTITY);
    client.accept(&name);
    assert_eq!(client.session.identity(), Some(&*name));
}

#[test]
fn the_wait_for_a_response_is_that_for_a_command() {
    let mut client = Client::greeted(|_| {});
    client.say("AUTH PLAIN\r\n");
    client.challenge(b"");
    client.now += Duration::from_secs(299);
    client.session.handle_timeout(client.now);
    assert_eq!(client.read(), "");
    client.now += Duration::from_secs(1);
    client.session.handle_timeout(client.now);
    assert_eq!(client.read(), "421 4.4.2 Idle for too long, closing\r\n");
}
