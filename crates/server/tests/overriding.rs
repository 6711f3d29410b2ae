//! Whatever is said in place of whatever reply, a session keeps its contract, and does the same however its bytes are cut.

#![expect(clippy::disallowed_methods, reason = "a test is its own driver, and begins with some instant")]

use ehlo_server::codec::{Reply, ReplyCode};
use ehlo_server::{
    Answer, AuthMechanism, Config, Event, MechanismNeeds, Override, Peer, Pending, Protocol, Question, Questions,
    Session, TlsInfo, TlsMode,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PHRASES: &[&str] = &[
    "EHLO client.example\r\n",
    "LHLO client.example\r\n",
    "MAIL FROM:<a@b>\r\n",
    "RCPT TO:<c@d>\r\n",
    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n",
    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4\r\nabcdBDAT 0\r\nBDAT 3 LAST\r\nx\r\n",
    "DATA\r\n",
    "Subject: x\r\n\r\ntext\r\n.\r\n",
    ".\r\n",
    "BDAT 3\r\nabc",
    "BDAT 0 LAST\r\n",
    "BDAT many\r\n",
    "RSET\r\n",
    "NOOP\r\nXYZZY\r\n\n",
    "AUTH PLAIN\r\nAGEAYg==\r\n",
    "AUTH PLAIN AGEAYg==\r\n",
    "*\r\n",
    "VRFY bob\r\nHELP\r\n",
    "STARTTLS\r\n",
    "QUIT\r\n",
];

/// A generator of numbers, the same everywhere (xorshift).
#[derive(Clone)]
struct Rng(u64);

impl Rng {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % most
    }
}

fn config(rng: &mut Rng) -> Config {
    let mut config = Config::new("mx.example").unwrap();
    config.questions = Questions::OVERRIDE;
    if rng.below(2) == 0 {
        config.questions = config.questions | Questions::ALL;
    }
    if rng.below(4) == 0 {
        config.protocol = Protocol::Lmtp;
    }
    if rng.below(2) == 0 {
        config.tls = TlsMode::StartTls;
        config.auth.mechanisms = AuthMechanism::new("PLAIN", MechanismNeeds::Nothing).into_iter().collect();
    }
    if rng.below(3) == 0 {
        config.limits.message_size = 8;
        (config.limits.idle_commands, config.limits.bad_commands, config.limits.recipients) = (9, 3, 2);
    }
    config.enhanced_status_codes = rng.below(2) == 0;
    config.limits.output = 1024;
    config
}

fn overriding(rng: &mut Rng) -> Override {
    let code = ReplyCode::new([200, 220, 235, 250, 334, 354, 421, 450, 521, 550, 554, 599][rng.below(12)]).unwrap();
    let with = match rng.below(6) {
        0 => Override::silence(),
        1 => Override::usual(),
        2 => Override::octets(b"1 what\r\n2".repeat(1 + rng.below(200))),
        _ => Override::reply(Reply::new(code, None, "x\n".repeat(rng.below(40)) + "end").unwrap()),
    };
    let with = if rng.below(2) == 0 { with.obey() } else { with };
    if rng.below(12) == 0 { with.close() } else { with }
}

fn answer(question: Question, rng: &mut Rng) -> Answer {
    let yes = rng.below(4) > 0;
    match question {
        Question::Override(token) if rng.below(2) == 0 => token.proceed(),
        Question::Override(token) => token.answer(overriding(rng)),
        Question::Connect(token) if yes => token.accept(),
        Question::Hello(token) if yes => token.accept(),
        Question::Mail(token) if yes => token.accept(),
        Question::Rcpt(token) if yes => token.accept(),
        Question::Data(token) if yes => token.accept(),
        Question::Commit(token) if yes => token.accept(),
        Question::Commit(token) => token.per_recipient(vec![Ok(None), Err(Reply::fixed(450, None, "x"))]),
        Question::Vrfy(token) if yes => token.accept(),
        Question::Auth(token) if yes => token.accept("bob"),
        Question::Auth(token) => token.challenge(b"x"),
        question => question.defer(),
    }
}

struct Play {
    session: Session,
    now: Instant,
    config: Arc<Config>,
    rng: Rng,
    /// What was said, what happened, and what of messages came: each by itself, since what comes first of them depends on how the bytes are cut.
    said: Vec<u8>,
    done: String,
    body: Vec<u8>,
    in_message: bool,
    handshake: bool,
    closed: bool,
    late: Option<Question>,
}

impl Play {
    /// The peer reads all that is said. Gives whether that is anything.
    fn read(&mut self) -> bool {
        let before = self.said.len();
        while !self.session.output().is_empty() {
            let output = self.session.output();
            assert!(output.len() <= self.config.limits.output + 512, "{} octets wait", output.len());
            self.said.extend_from_slice(output);
            self.session.output_sent(self.now, output.len());
        }
        self.said.len() > before
    }

    fn event(&mut self, event: Event<'_>) {
        assert!(!self.closed, "{event:?} behind the end");
        self.read();
        match event {
            Event::Ask(question) => {
                assert!(!self.session.wants_input());
                let pending = format!("{:?}", self.session.pending());
                self.done += &format!("{pending}\n");
                if let Question::Commit(_) = question {
                    assert!(self.in_message, "a commit of nothing");
                }
                if self.rng.below(20) == 0 {
                    self.late = Some(question);
                    let (at, _) = self.session.poll_timeout().expect("a deadline");
                    self.now = at;
                    self.in_message &= !matches!(self.session.pending(), Pending::Commit { .. });
                    self.session.handle_timeout(at);
                } else {
                    self.in_message &= !matches!(question, Question::Commit(_));
                    let answer = answer(question, &mut self.rng);
                    self.session.resolve(self.now, answer).expect("the question is open");
                }
            }
            Event::BodyStart => assert!(!std::mem::replace(&mut self.in_message, true), "a message within a message"),
            Event::Body(piece) => self.body.extend_from_slice(piece),
            Event::BodyAborted(reason) => {
                // A late commit is aborted behind the count above.
                self.in_message = false;
                self.done += &format!("{reason:?}\n");
            }
            Event::StartTls => self.handshake = true,
            Event::Closed(reason) => {
                self.closed = true;
                self.done += &format!("{reason:?}\n");
            }
            other => panic!("{other:?}"),
        }
    }

    fn go_on(&mut self, mut input: &[u8]) {
        loop {
            let wanted = self.session.wants_input() || self.handshake;
            let step = self.session.handle_input(self.now, input);
            assert!(wanted || step.used == 0, "input is used while none is wanted");
            input = &input[step.used..];
            let again = step.event.is_some();
            if let Some(event) = step.event {
                self.event(event);
            }
            while let Some(event) = self.session.poll_event() {
                self.event(event);
            }
            let read = self.read();
            while let Some(event) = self.session.poll_event() {
                self.event(event);
            }
            if self.handshake && self.session.output().is_empty() && input.is_empty() && !self.closed {
                self.handshake = false;
                self.session.handle_tls(self.now, TlsInfo::new("TLSv1.3", "x"));
                continue;
            }
            assert_eq!(self.session.poll_timeout().is_none(), self.closed, "an open session has a deadline");
            if self.closed || (!again && !read && (input.is_empty() || !self.session.wants_input())) {
                return;
            }
        }
    }
}

/// Plays a dialogue of that seed, in pieces of so many octets.
fn play(seed: u64, piece: usize) -> (String, String, String) {
    let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let config = Arc::new(config(&mut rng));
    let now = Instant::now();
    let session = Session::new(now, Arc::clone(&config), Peer::new(1));
    let answers = Rng(rng.0 ^ 0x5555);
    let mut play = Play {
        session,
        now,
        config,
        rng: answers,
        said: Vec::new(),
        done: String::new(),
        body: Vec::new(),
        in_message: false,
        handshake: false,
        closed: false,
        late: None,
    };
    play.go_on(b"");
    for _ in 0..30 {
        let phrase = PHRASES[rng.below(PHRASES.len())].as_bytes();
        // What is read along with STARTTLS depends on how the stream is cut.
        for piece in phrase.chunks(piece) {
            play.go_on(piece);
        }
        if play.closed {
            break;
        }
    }
    if let Some(question) = play.late.take() {
        assert!(play.session.resolve(play.now, question.defer()).is_err(), "an answer that is late is taken");
    }
    for _ in 0..40 {
        let Some((at, _)) = play.session.poll_timeout() else { break };
        play.now = at + Duration::from_millis(1);
        play.session.handle_timeout(play.now);
        play.go_on(b"");
    }
    assert!(play.closed, "it never ends");
    assert!(!play.in_message, "a message is left open");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&play.said), play.done, text(&play.body))
}

#[test]
fn a_session_keeps_its_contract_whatever_is_said_in_its_place() {
    let mut met = String::new();
    for seed in 0..4000 {
        let whole = std::panic::catch_unwind(|| play(seed, usize::MAX)).unwrap_or_else(|_| panic!("seed {seed}"));
        for piece in [1, 3] {
            let cut =
                std::panic::catch_unwind(|| play(seed, piece)).unwrap_or_else(|_| panic!("seed {seed} in {piece}"));
            assert!(cut == whole, "seed {seed} in pieces of {piece}\n{cut:#?}\n---\n{whole:#?}");
        }
        met += &whole.1;
    }
    for what in [
        "Override(Message",
        "Override(Response",
        "Overridden",
        "Refused",
        "OutOfStep",
        "TooManyCommands",
        "Commit {",
        "Auth {",
    ] {
        assert!(met.contains(what), "no dialogue has {what}");
    }
}
