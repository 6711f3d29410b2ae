//! The target of `ehlo-server`: a list of things that are done to a session.

use super::bytes::{Bytes, pieces};
use ehlo_codec::{Reply, ReplyLimits, ReplyReader, ReplyStep};
use ehlo_server::{
    Answer, BareLineEnds, Config, Event, Peer, Pending, Question, Questions, ResolveError, Session, Shutdown,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a client says, so that a fuzzer need not find it.
const PHRASES: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"HELO [127.0.0.1]\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\ntext\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY someone\r\n",
    b"QUIT\r\n",
    b"STARTTLS\r\n",
    b"\n",
    b"\r",
    b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n",
    b"RSET\r\nRSET\r\nRSET\r\nRSET\r\nHELP\r\nHELP\r\nHELP\r\nHELP\r\n",
];

fn config(bytes: &mut Bytes<'_>) -> Config {
    let mut config = Config::new("mx.example").expect("a domain");
    let flags = bytes.byte();
    for (i, question) in
        [Questions::CONNECT, Questions::HELLO, Questions::MAIL, Questions::RCPT, Questions::DATA, Questions::VRFY]
            .into_iter()
            .enumerate()
    {
        if flags >> i & 1 == 1 {
            config.questions = config.questions | question;
        }
    }
    config.enhanced_status_codes = flags >> 6 & 1 == 1;
    config.bare_line_ends = if flags >> 7 == 1 { BareLineEnds::Keep } else { BareLineEnds::Reject };
    let flags = bytes.byte();
    config.pipelining = flags & 1 == 1;
    config.eight_bit_mime = flags & 2 == 2;
    if flags & 4 == 4 {
        config.limits.message_size = 40;
        config.limits.refused_body = 60;
    }
    if flags & 8 == 8 {
        config.limits.recipients = 2;
        config.limits.envelope = 30;
    }
    if flags & 16 == 16 {
        config.limits.bad_commands = 3;
        config.limits.idle_commands = 5;
    }
    if flags & 32 == 32 {
        config.limits.command_line = 40;
        config.limits.discarded_line = 100;
    }
    config.limits.output = 1024;
    config
}

/// Cuts what a session is given, so that two sessions that are given the same in other pieces can be compared.
struct Driver {
    session: Session,
    config: Arc<Config>,
    now: Instant,
    cut: Option<u8>,
    /// Said by the peer, and not yet used.
    carry: Vec<u8>,
    questions: Vec<Question>,
    replies: ReplyReader,
    in_body: bool,
    paused: bool,
    closed: bool,
    /// All that happened, and all that was put out.
    log: Vec<String>,
    body: Vec<u8>,
    output: Vec<u8>,
}

impl Driver {
    fn new(now: Instant, config: Config, cut: Option<u8>) -> Self {
        let config = Arc::new(config);
        Self {
            session: Session::new(now, Arc::clone(&config), Peer::new(7)),
            config,
            now,
            cut,
            carry: Vec::new(),
            questions: Vec::new(),
            replies: ReplyReader::new(ReplyLimits { line: 512, ..ReplyLimits::default() }),
            in_body: false,
            paused: false,
            closed: false,
            log: Vec::new(),
            body: Vec::new(),
            output: Vec::new(),
        }
    }

    fn hear(&mut self, said: &[u8]) {
        if self.closed {
            return;
        }
        match self.cut {
            None => self.hear_piece(said),
            Some(seed) => pieces(said, seed).into_iter().for_each(|piece| self.hear_piece(piece)),
        }
    }

    fn hear_piece(&mut self, piece: &[u8]) {
        // A driver reads no more while it carries something; here the peer has said it at once.
        self.carry.extend_from_slice(piece);
        self.feed();
    }

    /// Gives the session what it wants of the carry.
    fn feed(&mut self) {
        let carry = std::mem::take(&mut self.carry);
        let mut rest = &carry[..];
        loop {
            let wants = self.session.wants_input();
            let step = self.session.handle_input(self.now, rest);
            assert!(wants || step.used == 0, "{} bytes were used and none wanted", step.used);
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.on_event(event);
        }
        assert!(rest.is_empty() || !self.session.wants_input(), "wanted input was left without an event");
        self.carry = rest.to_vec();
    }

    fn drain(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        assert!(!self.closed, "{event:?} behind the end");
        match event {
            Event::Body(piece) => {
                assert!(self.in_body && !piece.is_empty() && !self.paused, "a piece out of place");
                self.body.extend_from_slice(piece);
            }
            Event::Ask(question) => {
                assert_ne!(self.session.pending(), Pending::Nothing);
                if let (Question::Commit(_), Pending::Commit { size }) = (&question, self.session.pending()) {
                    assert!(self.in_body);
                    assert_eq!(size, self.body.len() as u64, "the size of the message");
                }
                self.flush_body();
                self.log.push(format!("{question:?}"));
                self.questions.push(question);
            }
            Event::BodyStart => {
                assert!(!self.in_body, "a body within a body");
                self.in_body = true;
                self.log.push("body".into());
            }
            Event::BodyAborted(reason) => {
                assert!(self.in_body, "a body was aborted that had not begun");
                (self.in_body, self.paused) = (false, false);
                self.flush_body();
                self.log.push(format!("{reason:?}"));
            }
            Event::Closed(reason) => {
                assert!(!self.in_body, "a body is left open");
                self.closed = true;
                self.log.push(format!("{reason:?}"));
            }
            other => panic!("{other:?} is new"),
        }
    }

    fn flush_body(&mut self) {
        let body = std::mem::take(&mut self.body);
        self.log.push(body.escape_ascii().to_string());
    }

    fn resolve(&mut self, index: usize, verdict: u8) {
        if self.questions.is_empty() {
            return;
        }
        let question = self.questions.remove(index % self.questions.len());
        let commit = matches!(question, Question::Commit(_));
        let open = self.session.pending() != Pending::Nothing;
        match self.session.resolve(self.now, answer(question, verdict)) {
            Ok(()) => {
                assert!(open, "an answer to no question");
                if commit {
                    self.in_body = false;
                }
            }
            Err(ResolveError::Stale) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn timeout(&mut self) {
        let Some((at, reason)) = self.session.poll_timeout() else { return };
        self.now = self.now.max(at);
        self.log.push(format!("{reason:?}"));
        self.session.handle_timeout(self.now);
        assert!(self.session.poll_timeout().is_none_or(|(at, _)| at > self.now), "a deadline that stays");
    }

    /// A deadline that has not come does nothing.
    fn early_timeout(&mut self) {
        let before = self.session.poll_timeout();
        if before.is_none_or(|(at, _)| at > self.now) {
            self.session.handle_timeout(self.now);
            assert_eq!(self.session.poll_timeout(), before);
        }
    }

    fn send(&mut self, most: usize) {
        let output = self.session.output();
        let n = most.min(output.len());
        self.output.extend_from_slice(&output[..n]);
        let mut rest = &output[..n];
        loop {
            let (used, step) = self.replies.next(rest);
            rest = &rest[used..];
            match step {
                ReplyStep::NeedMore => break,
                ReplyStep::Reply(_) => {}
                ReplyStep::Fault(fault) => panic!("{fault}: {}", output.escape_ascii()),
            }
        }
        self.session.output_sent(self.now, n);
    }

    fn settle(&mut self) {
        self.drain();
        // What was parked goes on as soon as it may.
        if !self.closed {
            self.feed();
        }
        self.early_timeout();
        self.drain();
        let limits = &self.config.limits;
        assert_eq!(self.session.poll_timeout().is_none(), self.closed, "an open session has a deadline");
        assert!(!self.closed || !self.session.wants_input(), "a closed session listens");
        assert!(self.session.output().len() <= limits.output + 512, "{} bytes wait", self.session.output().len());
        // DSN alone lets the line of MAIL be longer by 524 octets (RFC 3461 §5.4), and the others by less than as much together.
        assert!(self.session.held() <= limits.command_line + 2 * 524, "{} bytes are kept", self.session.held());
        assert!(self.session.envelope().recipient_count() <= limits.recipients);
    }
}

fn answer(question: Question, verdict: u8) -> Answer {
    const NO: Reply = Reply::fixed(554, Some((5, 7, 1)), "No");
    const LEAVE: Reply = Reply::fixed(421, Some((4, 3, 2)), "Enough");
    macro_rules! each {
        ($($kind:ident)*) => {
            match (verdict % 8, question) {
                (0, question) => question.defer(),
                $(
                    (1, Question::$kind(token)) => token.reject(NO),
                    (2, Question::$kind(token)) => token.defer(LEAVE),
                    (_, Question::$kind(token)) => token.accept(),
                )*
                (_, question) => panic!("{question:?} is new"),
            }
        };
    }
    each! { Connect Hello Mail Rcpt Data Commit Vrfy }
}

/// Does to a session what the bytes say; gives what came of it.
fn drive(now: Instant, data: &[u8], cut: Option<u8>) -> (Vec<String>, Vec<u8>) {
    let mut bytes = Bytes::new(data);
    let config = config(&mut bytes);
    let mut driver = Driver::new(now, config, cut);
    driver.settle();
    // Each step takes a byte at least, so the input's length bounds the run.
    while !bytes.is_empty() {
        match bytes.byte() % 16 {
            0..=4 => driver.hear(bytes.pick(PHRASES)),
            5 => {
                let length = bytes.below(64);
                driver.hear(bytes.take(length));
            }
            6 | 7 => {
                let (index, verdict) = (bytes.below(4), bytes.byte());
                driver.resolve(index, verdict);
            }
            8 => {
                let most = bytes.below(256);
                driver.send(most);
            }
            9 => driver.send(usize::MAX),
            10 => {
                driver.now += Duration::from_secs(u64::from(bytes.byte()));
                driver.session.handle_timeout(driver.now);
            }
            11 => match bytes.below(6) {
                0 => driver.session.handle_eof(driver.now),
                1 => driver.session.handle_reset(driver.now),
                2 => driver.session.shutdown(driver.now, Shutdown::Graceful),
                3 => driver.session.shutdown(driver.now, Shutdown::Now),
                4 => driver.session.abandon(driver.now),
                _ => drop(driver.questions.pop()),
            },
            12 => driver.timeout(),
            13 if driver.in_body => {
                driver.session.body_paused(driver.now);
                // A message that is being committed cannot be paused.
                driver.paused = driver.session.pending() == Pending::Nothing && !driver.session.wants_input();
            }
            13 => driver.session.body_paused(driver.now),
            14 => {
                driver.paused = false;
                driver.session.body_resumed(driver.now);
            }
            _ => driver.hear(&b"x".repeat(bytes.below(200))),
        }
        driver.settle();
    }
    // Whatever was done, time ends it.
    for _ in 0..20 {
        driver.timeout();
        driver.drain();
    }
    assert!(driver.closed, "the session never ends");
    driver.flush_body();
    (driver.log, driver.output)
}

/// Any list of bytes, answers, deadlines, pauses and ends: the session keeps its contract, and the pieces in which the bytes came make
/// no difference.
pub fn server_session(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let cut = bytes.byte();
    let now = Instant::now();
    let whole = drive(now, bytes.clone().rest(), None);
    let in_pieces = drive(now, bytes.rest(), Some(cut));
    assert_eq!(whole.0, in_pieces.0, "events");
    assert!(whole.1 == in_pieces.1, "{}\n{}", whole.1.escape_ascii(), in_pieces.1.escape_ascii());
}
