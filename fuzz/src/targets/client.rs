//! The target of `ehlo-client`: a list of things that are done to a session, most of them said by a server that may say anything.

use super::bytes::{Bytes, pieces};
use ehlo_client::codec::{BodyType, ForwardPath, ReplyLimits, ReversePath};
use ehlo_client::{BodyEnd, Config, Envelope, Event, RecipientOutcome, Session, Stage};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a server says, so that a fuzzer need not find it.
const PHRASES: &[&[u8]] = &[
    b"220 mx.example ESMTP\r\n",
    b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n250 ok\r\n354 go\r\n",
    b"354 go\r\n",
    b"550 5.1.1 no\r\n",
    b"451 4.3.0 later\r\n",
    b"421 4.3.2 closing\r\n",
    b"500 what\r\n",
    b"221 bye\r\n",
    b"250-a\r\n",
    b"554 no\r\n",
    b"\r\n",
    b"9",
];

struct Driver {
    session: Session,
    now: Instant,
    cut: Option<u8>,
    /// A transaction is open, or its outcome was told.
    begun: u32,
    done: u32,
    in_body: bool,
    /// The end of data was handed to the connection.
    end_written: bool,
    end_pending: bool,
    closed: bool,
    /// What was sent and is no whole line yet.
    line: Vec<u8>,
    /// For each command that was sent: whether it is DATA.
    commands: Vec<bool>,
    answered: usize,
    log: Vec<String>,
}

impl Driver {
    fn hear(&mut self, said: &[u8]) {
        match self.cut {
            None => self.hear_piece(said),
            Some(seed) => pieces(said, seed).into_iter().for_each(|piece| self.hear_piece(piece)),
        }
    }

    fn hear_piece(&mut self, piece: &[u8]) {
        let mut rest = piece;
        loop {
            let step = self.session.handle_input(self.now, rest);
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.on_event(event);
        }
        assert!(rest.is_empty() || self.closed, "input was left without an event");
    }

    /// A server that likes all that it was sent.
    fn hear_yes(&mut self) {
        let unanswered = &self.commands[self.answered.min(self.commands.len())..];
        let replies: Vec<&[u8]> =
            unanswered.iter().map(|data| if *data { &b"354 go\r\n"[..] } else { b"250 ok\r\n" }).collect();
        self.hear(&replies.concat());
    }

    fn drain(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        assert!(!self.closed, "{event:?} behind the end");
        self.log.push(format!("{event:?}"));
        match event {
            Event::Reply(stage, code) => {
                self.answered += usize::from(stage != Stage::Greeting);
                let reply = self.session.reply().expect("the reply that is told of");
                assert_eq!(reply.code(), code);
                self.log.push(reply.to_string());
            }
            Event::BodyWanted(_) => {
                assert!(!self.in_body && self.begun == self.done + 1, "a body out of place");
                self.in_body = true;
            }
            Event::Done(_, outcome) => {
                self.done += 1;
                assert_eq!(self.begun, self.done, "an outcome for each transaction");
                let recipients = self.session.recipients();
                let count = |outcome| recipients.iter().filter(|r| **r == outcome).count() as u32;
                assert_eq!(count(RecipientOutcome::Pending), 0, "nothing is left open");
                assert_eq!(outcome.accepted, count(RecipientOutcome::Accepted));
                assert_eq!(outcome.unknown, count(RecipientOutcome::Unknown));
                assert_eq!(outcome.unsent, count(RecipientOutcome::Unsent));
                let all = outcome.accepted + outcome.unknown + outcome.unsent + outcome.refused;
                assert_eq!(all as usize, recipients.len());
                assert!(outcome.accepted == 0 || self.end_written, "accepted before it was sent");
                assert!(outcome.unknown == 0 || self.end_written, "a doubt before it was sent");
                assert!(outcome.unsent == 0 || !self.end_written, "no doubt, and it was sent");
                self.log.push(format!("{recipients:?}"));
                (self.in_body, self.end_pending) = (false, false);
            }
            Event::Closed(_) => {
                assert_eq!(self.begun, self.done, "a transaction without an outcome");
                self.closed = true;
                self.in_body = false;
            }
            _ => {}
        }
    }

    fn begin(&mut self, shape: u8) {
        let sender: &[u8] = if shape & 1 == 1 { b"<>" } else { b"<a@b>" };
        let from = ReversePath::parse_prefix(sender).expect("a reverse-path").0;
        let all: [&[u8]; 3] = [b"<c@d>", b"<Postmaster>", b"<\"e f\"@[127.0.0.1]>"];
        let to = all.map(|to| ForwardPath::parse_prefix(to).expect("a forward-path").0);
        let mut envelope = Envelope::new(from, &to[..usize::from(shape >> 1 & 3)]);
        if shape & 8 == 8 {
            envelope = envelope.with_size(u64::from(shape) * 8);
        }
        if shape & 16 == 16 {
            envelope = envelope.with_body(BodyType::EightBitMime);
        }
        let ready = self.session.is_ready();
        match self.session.begin(self.now, &envelope) {
            Ok(_) => {
                assert!(ready);
                self.begun += 1;
                (self.end_written, self.end_pending) = (false, false);
            }
            Err(error) => self.log.push(format!("{error:?}")),
        }
    }

    fn finish_body(&mut self, shape: u8) {
        let end = [BodyEnd::Dot, BodyEnd::CrlfDot, BodyEnd::Included][usize::from(shape % 3)];
        let result = self.session.body_finished(self.now, end);
        assert_eq!(result.is_ok(), self.in_body, "{result:?}");
        if result.is_ok() {
            self.in_body = false;
            self.end_pending = true;
            self.note_end();
        }
    }

    fn note_end(&mut self) {
        if self.end_pending && self.session.output().is_empty() {
            self.end_written = true;
        }
    }

    fn send(&mut self, most: usize) {
        let n = most.min(self.session.output().len());
        let sent = &self.session.output()[..n];
        self.log.push(sent.escape_ascii().to_string());
        for &byte in sent {
            self.line.push(byte);
            if byte == b'\n' {
                // The CRLF before the dot that ends a body is no command.
                if self.line != b"\r\n" {
                    self.commands.push(self.line == b"DATA\r\n");
                }
                self.line.clear();
            }
        }
        self.session.output_sent(self.now, n);
        self.note_end();
    }

    fn timeout(&mut self) {
        let Some((at, reason)) = self.session.poll_timeout() else { return };
        self.now = self.now.max(at);
        self.log.push(format!("{reason:?}"));
        self.session.handle_timeout(self.now);
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at > self.now), "a deadline that stays");
    }

    fn settle(&mut self) {
        self.drain();
        let before = self.session.poll_timeout();
        if before.is_none_or(|(at, _)| at > self.now) {
            self.session.handle_timeout(self.now);
            assert_eq!(self.session.poll_timeout(), before, "a deadline told too early");
        }
        assert!(self.session.poll_event().is_none());
        assert_eq!(before.is_none(), self.closed, "an open session has a deadline");
        assert_eq!(self.session.wants_input(), !self.closed);
        let output = self.session.output();
        assert!(!self.closed || output.is_empty(), "a closed session speaks");
        assert!(!self.in_body || output.is_empty(), "commands within a body");
        assert!(output.len() <= 1024, "{} bytes wait", output.len());
        assert!(!output.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'), "a line without CR");
    }
}

fn drive(now: Instant, data: &[u8], cut: Option<u8>) -> Vec<String> {
    let mut bytes = Bytes::new(data);
    let flags = bytes.byte();
    let limits = if flags & 1 == 1 { ReplyLimits { line: 40, total: 100, lines: 5 } } else { ReplyLimits::default() };
    let config = Config::new("client.example").expect("a domain").pipelining(flags & 2 == 0).reply_limits(limits);
    let mut driver = Driver {
        session: Session::new(now, Arc::new(config)),
        now,
        cut,
        begun: 0,
        done: 0,
        in_body: false,
        end_written: false,
        end_pending: false,
        closed: false,
        line: Vec::new(),
        commands: Vec::new(),
        answered: 0,
        log: Vec::new(),
    };
    if flags & 4 == 4 {
        // Most lists are about what comes behind EHLO.
        driver.hear(PHRASES[0]);
        driver.send(usize::MAX);
        driver.hear(PHRASES[1]);
    }
    // Each step takes a byte at least, so the input's length bounds the run.
    while !bytes.is_empty() {
        match bytes.byte() % 16 {
            0..=3 => driver.hear(bytes.pick(PHRASES)),
            4 => driver.hear_yes(),
            5 => {
                let length = bytes.below(64);
                driver.hear(bytes.take(length));
            }
            6 | 7 => driver.send(usize::MAX),
            8 => {
                let most = bytes.below(64);
                driver.send(most);
            }
            9 | 10 => {
                let shape = bytes.byte();
                driver.begin(shape);
            }
            11 => {
                let shape = bytes.byte();
                driver.finish_body(shape);
            }
            12 => driver.timeout(),
            13 => {
                driver.now += Duration::from_secs(u64::from(bytes.byte()));
                driver.session.handle_timeout(driver.now);
                driver.session.body_progress(driver.now);
            }
            14 if bytes.below(4) == 0 => driver.session.handle_eof(driver.now),
            14 => {}
            _ if bytes.below(4) == 0 => driver.session.quit(driver.now),
            _ => {}
        }
        driver.settle();
    }
    // Whatever was done, time ends it.
    for _ in 0..20 {
        driver.timeout();
        driver.drain();
        driver.send(usize::MAX);
    }
    assert!(driver.closed, "the session never ends");
    driver.log
}

/// A server that says anything: each transaction has an outcome, no doubt is told where there is none, and the pieces in which the
/// bytes came make no difference.
pub fn client_session(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let cut = bytes.byte();
    let now = Instant::now();
    let whole = drive(now, bytes.clone().rest(), None);
    assert_eq!(drive(now, bytes.rest(), Some(cut)), whole);
}
