//! STARTTLS and implicit TLS, with the handshake done by the test (RFC 3207, RFC 8314 §3.3).

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::{
    AbortReason, ChannelBinding, ClientCertificate, CloseReason, Config, Event, Peer, Pending, Question, Questions,
    Reason, Session, Shutdown, TlsInfo, TlsMode,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const EHLO: &str = "EHLO client.test\r\n";

fn info() -> TlsInfo {
    TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256")
}

struct Client {
    session: Session,
    now: Instant,
    events: Vec<String>,
}

impl Client {
    fn new(peer: Peer, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("mx.test").unwrap();
        config.tls = TlsMode::StartTls;
        change(&mut config);
        let now = Instant::now();
        Self { session: Session::new(now, Arc::new(config), peer), now, events: Vec::new() }
    }

    /// A client that was greeted in clear.
    fn greeted(change: impl FnOnce(&mut Config)) -> Self {
        let mut client = Self::new(Peer::new(1), change);
        assert_eq!(client.read(), "220 mx.test ESMTP\r\n");
        client
    }

    /// One that is inside TLS.
    fn secured(change: impl FnOnce(&mut Config)) -> Self {
        let mut client = Self::greeted(change);
        client.say(EHLO);
        assert_eq!(client.say("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
        client.session.handle_tls(client.now, info());
        client
    }

    /// Gives the session bytes; what it makes of them goes to `events`.
    fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let step = self.session.handle_input(self.now, rest);
            rest = &rest[step.used..];
            match step.event {
                Some(event) => self.note(event),
                None => return,
            }
        }
    }

    fn note(&mut self, event: Event<'_>) {
        if let Event::Ask(Question::Commit(token)) = event {
            self.session.resolve(self.now, token.accept()).unwrap();
            return self.events.push("commit".to_owned());
        }
        self.events.push(format!("{event:?}"));
    }

    fn read(&mut self) -> String {
        while let Some(event) = self.session.poll_event() {
            self.note(event);
        }
        let output = String::from_utf8(self.session.output().to_vec()).unwrap();
        self.session.output_sent(self.now, output.len());
        while let Some(event) = self.session.poll_event() {
            self.note(event);
        }
        output
    }

    fn say(&mut self, line: &str) -> String {
        self.feed(line.as_bytes());
        self.read()
    }

    fn take_events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}

#[test]
fn starttls_is_offered_outside_of_tls_only() {
    let mut client = Client::greeted(|_| {});
    assert!(client.say(EHLO).lines().any(|line| &line[4..] == "STARTTLS"));
    let mut client = Client::secured(|_| {});
    assert!(!client.say(EHLO).contains("STARTTLS"));
    let mut client = Client::greeted(|config| config.tls = TlsMode::Off);
    assert!(!client.say(EHLO).contains("STARTTLS"));
    assert_eq!(client.say("STARTTLS\r\n"), "502 5.5.1 Command not implemented\r\n");
}

#[test]
fn the_handshake_is_asked_for_behind_220_and_nothing_is_read_meanwhile() {
    let mut client = Client::greeted(|_| {});
    client.say(EHLO);
    client.feed(b"STARTTLS\r\n");
    assert_eq!(client.take_events(), ["StartTls"]);
    assert_eq!(client.session.output(), b"220 2.0.0 Ready to start TLS\r\n");
    assert!(!client.session.wants_input());
    client.read();
    assert!(!client.session.wants_input());
    assert_eq!(client.session.poll_timeout(), Some((client.now + Duration::from_secs(60), Reason::Handshake)));
    client.session.handle_tls(client.now, info());
    assert!(client.session.wants_input() && client.session.output().is_empty());
    assert_eq!(client.session.tls().unwrap().version, "TLSv1.3");
    assert_eq!(client.session.poll_timeout().unwrap().1, Reason::Command);
}

#[test]
fn everything_that_was_said_before_the_handshake_is_forgotten() {
    let mut client = Client::secured(|_| {});
    assert_eq!(client.session.envelope().client_name(), None);
    assert!(!client.session.envelope().is_extended());
    assert!(client.say("MAIL FROM:<a@client.test>\r\n").starts_with("503 5.5.1 Say EHLO"));
    assert!(client.say(EHLO).starts_with("250-mx.test"));
    assert!(client.say("DATA\r\n").starts_with("503 "));
    assert!(client.say("MAIL FROM:<a@client.test>\r\n").starts_with("250 "));
}

#[test]
fn a_second_starttls_is_out_of_sequence() {
    let mut client = Client::secured(|_| {});
    client.say(EHLO);
    assert_eq!(client.say("STARTTLS\r\n"), "503 5.5.1 TLS is active already\r\n");
    assert_eq!(client.say("STARTTLS x\r\n"), "503 5.5.1 TLS is active already\r\n");
    assert!(client.say("NOOP\r\n").starts_with("250 "));
}

#[test]
fn starttls_has_its_replies_to_argument_transaction_and_unavailability() {
    let mut client = Client::greeted(|_| {});
    assert!(client.say("STARTTLS\r\n").starts_with("503 5.5.1 Say EHLO"));
    client.say(EHLO);
    assert!(client.say("STARTTLS now\r\n").starts_with("501 5.5.4 "));
    client.session.set_tls_available(false);
    assert!(client.say("STARTTLS\r\n").starts_with("454 4.7.0 "));
    assert!(client.say("NOOP\r\n").starts_with("250 "), "the session goes on in clear");
    client.session.set_tls_available(true);
    client.say("MAIL FROM:<a@client.test>\r\n");
    assert!(client.say("STARTTLS\r\n").starts_with("503 5.5.1 Not within a transaction"));
    client.say("RSET\r\n");
    assert!(client.say("STARTTLS\r\n").starts_with("220 "));
}

/// Whatever stands behind STARTTLS in clear, and however the stream is cut, none of it is obeyed, and the connection ends.
#[test]
fn what_is_injected_behind_starttls_is_never_obeyed() {
    for injected in ["R", "EHL", "RSET\r\n", "EHLO x\r\nMAIL FROM:<evil@x>\r\n", "QUIT\r\n", "STARTTLS\r\n", "\r\n"] {
        let stream = format!("{EHLO}NOOP\r\nSTARTTLS\r\n{injected}");
        let behind = stream.len() - injected.len();
        for first in 0..stream.len() {
            for second in first..stream.len() {
                for written in [false, true] {
                    let mut client = Client::greeted(|_| {});
                    let mut replies = String::new();
                    for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                        client.feed(piece.as_bytes());
                        if written {
                            replies += &client.read();
                        }
                    }
                    replies += &client.read();
                    let what = format!("{injected:?} cut at {first} and {second}, replies written: {written}");
                    let events = client.take_events();
                    assert_eq!(events, ["StartTls", "Closed(ClearBehindStartTls)"], "{what}");
                    let last: Vec<&str> =
                        replies.lines().skip_while(|line| !line.starts_with("250 2.0.0 Ok")).collect();
                    // 220 is taken back while it can be.
                    let alone = written && [first, second].contains(&behind);
                    let expected = if alone {
                        "220 2.0.0 Ready to start TLS"
                    } else {
                        "421 4.7.0 Commands in clear behind STARTTLS, closing"
                    };
                    assert_eq!(last, ["250 2.0.0 Ok", expected], "{what}");
                    // And the handshake, should it come all the same, changes nothing.
                    client.session.handle_tls(client.now, info());
                    assert!(client.session.tls().is_none() && client.session.poll_event().is_none(), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_failed_or_endless_handshake_ends_the_session_without_a_word() {
    type Act = fn(&mut Client);
    let failed: [(Act, &str); 5] = [
        (|c| c.session.handle_tls_failed(c.now), "Closed(TlsFailed)"),
        (|c| c.session.handle_eof(c.now), "Closed(Disconnected)"),
        (|c| c.session.handle_reset(c.now), "Closed(Disconnected)"),
        (|c| c.session.handle_timeout(c.now + Duration::from_secs(60)), "Closed(TimedOut(Handshake))"),
        (|c| c.session.shutdown(c.now, Shutdown::Now), "Closed(Shutdown)"),
    ];
    for (act, expected) in failed {
        for implicit in [false, true] {
            let mut client = if implicit {
                Client::new(Peer::new(1).with_implicit_tls(), |_| {})
            } else {
                let mut client = Client::greeted(|_| {});
                client.say(EHLO);
                client.say("STARTTLS\r\n");
                client
            };
            assert_eq!(client.read(), "");
            assert_eq!(client.take_events(), ["StartTls"]);
            let just_before = client.now + Duration::from_secs(60) - Duration::from_nanos(1);
            client.session.handle_timeout(just_before);
            assert!(client.session.poll_event().is_none());
            act(&mut client);
            assert_eq!(client.read(), "");
            assert_eq!(client.take_events(), [expected]);
            assert_eq!(client.session.poll_timeout(), None);
        }
    }
}

#[test]
fn an_orderly_shutdown_waits_for_the_handshake_and_speaks_inside_of_it() {
    let mut client = Client::greeted(|_| {});
    client.say(EHLO);
    client.say("STARTTLS\r\n");
    client.session.shutdown(client.now, Shutdown::Graceful);
    assert_eq!(client.read(), "");
    client.session.handle_tls(client.now, info());
    assert!(client.read().starts_with("421 4.3.2 "));
}

#[test]
fn implicit_tls_greets_behind_the_handshake() {
    let mut client = Client::new(Peer::new(1).with_implicit_tls(), |config| config.questions = Questions::CONNECT);
    assert_eq!(client.read(), "");
    assert_eq!(client.take_events(), ["StartTls"]);
    assert!(!client.session.wants_input());
    client.session.handle_tls(client.now, info().with_server_name("mx.test"));
    assert_eq!(client.session.pending(), Pending::Connect);
    let Some(Event::Ask(question)) = client.session.poll_event() else { panic!("the connection is asked about") };
    let Question::Connect(token) = question else { panic!("{question:?}") };
    assert_eq!(client.session.tls().unwrap().server_name.as_deref(), Some("mx.test"));
    client.session.resolve(client.now, token.accept()).unwrap();
    assert_eq!(client.read(), "220 mx.test ESMTP\r\n");
    assert!(!client.say(EHLO).contains("STARTTLS"));
    assert!(client.say("STARTTLS\r\n").starts_with("503 "));
}

#[test]
fn clear_text_to_a_session_that_begins_with_a_handshake_is_not_obeyed() {
    let mut client = Client::new(Peer::new(1).with_implicit_tls(), |_| {});
    assert_eq!(client.say(EHLO), "");
    assert_eq!(client.take_events(), ["StartTls", "Closed(ClearBehindStartTls)"]);
}

#[test]
fn where_tls_is_required_four_commands_are_obeyed_before_it() {
    let mut client = Client::greeted(|config| config.tls = TlsMode::Required);
    for line in ["MAIL FROM:<a@b.test>\r\n", "RCPT TO:<a@b.test>\r\n", "DATA\r\n", "RSET\r\n", "VRFY x\r\n", "HELP\r\n"]
    {
        assert_eq!(client.say(line), "530 5.7.0 Must issue a STARTTLS command first\r\n", "{line}");
    }
    // No reply to HELO has an enhanced code (RFC 2034 §4).
    assert_eq!(client.say("HELO x\r\n"), "530 Must issue a STARTTLS command first\r\n");
    assert!(client.say("NOOP\r\n").starts_with("250 "));
    assert!(client.say(EHLO).contains("250-STARTTLS") || client.say(EHLO).contains("250 STARTTLS"));
    assert!(client.say("MAIL FROM:<a@b.test>\r\n").starts_with("530 5.7.0 "));
    assert!(client.say("STARTTLS\r\n").starts_with("220 "));
    client.session.handle_tls(client.now, info());
    client.say(EHLO);
    assert!(client.say("MAIL FROM:<a@b.test>\r\n").starts_with("250 "));
    let mut client = Client::greeted(|config| config.tls = TlsMode::Required);
    assert!(client.say("QUIT\r\n").starts_with("221 "));
}

#[test]
fn tls_that_breaks_within_a_message_aborts_it() {
    for broken in [true, false] {
        let mut client = Client::secured(|_| {});
        for line in [EHLO, "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<a@b.test>\r\n", "DATA\r\n", "half a mess"] {
            client.say(line);
        }
        client.take_events();
        if broken {
            client.session.handle_tls_failed(client.now);
        } else {
            // close_notify, or the end without it.
            client.session.handle_eof(client.now);
        }
        client.read();
        let end = if broken { CloseReason::TlsFailed } else { CloseReason::Disconnected };
        let aborted = format!("BodyAborted({:?})", AbortReason::Disconnected);
        assert_eq!(client.take_events(), [aborted, format!("Closed({end:?})")]);
    }
}

#[test]
fn what_is_counted_against_the_peer_is_not_forgotten() {
    let mut client = Client::greeted(|config| config.limits.bad_commands = 3);
    client.say(EHLO);
    client.say("X\r\nX\r\n");
    client.say("STARTTLS\r\n");
    client.session.handle_tls(client.now, info());
    assert!(client.say("X\r\n").contains("421 4.7.0 Too many errors"));
}

#[test]
fn nothing_secret_is_shown() {
    let binding = ChannelBinding::default().with_exporter([0xA7; 32]).with_end_point(&[0xB9; 32]);
    let info = info().with_binding(binding).with_client(ClientCertificate::new(Some("CN=ada")));
    let mut client = Client::greeted(|_| {});
    client.say(EHLO);
    client.say("STARTTLS\r\n");
    client.session.handle_tls(client.now, info);
    let shown = format!("{:?}", client.session);
    assert!(!shown.contains("167, 167") && !shown.contains("185, 185"));
    let tls = client.session.tls().unwrap();
    assert_eq!(tls.binding.exporter(), Some(&[0xA7; 32]));
    assert_eq!(tls.client.as_ref().unwrap().subject.as_deref(), Some("CN=ada"));
}
