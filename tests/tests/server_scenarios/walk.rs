//! A walk through all that the session can be asked: each verb with each kind of argument, in each state and setting, with answers,
//! with none, with deadlines. Each reply that it gets must be one that the registry allows there, enhanced code included.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ehlo_server::codec::codes::{Fault, Stage};
use ehlo_server::codec::{EnhancedCode, FutureRelease, Reply, ReplyCode, Timestamp, Verb};
use ehlo_server::{
    AuthMechanism, Config, Event, MechanismNeeds, Peer, Protocol, Question, Questions, Session, Shutdown,
    Solicitations, TlsInfo, TlsMode,
};

/// What stands behind the verb.
const ARGUMENTS: &[&str] = &[
    "",
    " ",
    " x",
    " now then",
    " \u{e4}",
    " \0",
    " a\rb",
    " client.test",
    " [127.0.0.1]",
    " [IPv6:zz]",
    " -bad-.test",
    " <bob@mx.test>",
    " FROM:<s@client.test>",
    " FROM:<>",
    " FROM:s",
    " FROM:<s@client.test> SIZE=1",
    " FROM:<s@client.test> SIZE=x",
    " FROM:<s@client.test> SIZE=99999999999999999999",
    " FROM:<s@client.test> SIZE=1 SIZE=1",
    " FROM:<s@client.test> BODY=8BITMIME",
    " FROM:<s@client.test> BODY=BINARYMIME",
    " FROM:<s@client.test> BODY=x",
    " FROM:<s@client.test> =",
    " FROM:<s@client.test> XNOSUCH=1",
    " FROM:<s@client.test> SMTPUTF8",
    " FROM:<\u{e4}@client.test> SMTPUTF8",
    " FROM:<\u{e4}@client.test>",
    " FROM:<s@client.test> SMTPUTF8=1",
    " FROM:<s@client.test> RET=FULL ENVID=a",
    " FROM:<s@client.test> RET=SOME",
    " FROM:<s@client.test> ENVID=+",
    " FROM:<s@client.test> AUTH=<>",
    " FROM:<s@client.test> AUTH=+",
    " FROM:<s@client.test> REQUIRETLS",
    " FROM:<s@client.test> BY=1;R",
    " FROM:<s@client.test> BY=0;R",
    " FROM:<s@client.test> HOLDFOR=1",
    " FROM:<s@client.test> HOLDFOR=999999999",
    " FROM:<s@client.test> HOLDFOR=x",
    " FROM:<s@client.test> HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:00Z",
    " FROM:<s@client.test> MT-PRIORITY=3",
    " FROM:<s@client.test> MT-PRIORITY=10",
    " FROM:<s@client.test> SOLICIT=a.b",
    " FROM:<s@client.test> SOLICIT=1",
    " FROM:<s@client.test> HOLDFOR=60 BY=1;N",
    " FROM:<s@client.test> HOLDUNTIL=2030-01-01T00:00:00Z",
    " TO:<bob@mx.test>",
    " TO:<bob@other.test>",
    " TO:<\u{e4}@mx.test>",
    " TO:<>",
    " TO:bob",
    " TO:<Postmaster>",
    " TO:<nodomain>",
    " TO:<bob@mx.test> XNOSUCH=1",
    " TO:<bob@mx.test> NOTIFY=NEVER",
    " TO:<bob@mx.test> NOTIFY=NEVER,SUCCESS",
    " TO:<bob@mx.test> NOTIFY=NEVER NOTIFY=NEVER",
    " TO:<bob@mx.test> ORCPT=rfc822;a@b",
    " TO:<bob@mx.test> ORCPT=bad",
    " TO:<bob@mx.test> RRVS=2014-04-03T23:01:00Z",
    " TO:<bob@mx.test> RRVS=x",
    " 0",
    " 0 LAST",
    " 3 LAST",
    " -1",
    " 99999999999999999999 LAST",
    " 99999999999 LAST",
    " 3 LASTX",
    " PLAIN",
    " PLAIN AGEAYg==",
    " PLAIN =",
    " PLAIN !",
    " NOSUCH",
    " LOGIN",
    " LOGIN Ym9i",
    " CRAM-MD5 Ym9i",
    " SCRAM-SHA-256",
    " EXTERNAL =",
    " @client.test",
    " imap://bob@mx.test/INBOX/;uid=1 LAST",
    " imap LAST",
];

/// What has been said before.
const BEFORE: &[&[&str]] = &[
    &[],
    &["EHLO client.test"],
    &["HELO client.test"],
    &["LHLO client.test"],
    &["EHLO client.test", "STARTTLS"],
    &["EHLO client.test", "STARTTLS", "EHLO client.test"],
    &["LHLO client.test", "STARTTLS", "LHLO client.test"],
    &["EHLO client.test", "MAIL FROM:<s@client.test>"],
    &["EHLO client.test", "MAIL FROM:<s@client.test>", "RCPT TO:<bob@mx.test>"],
    &["LHLO client.test", "MAIL FROM:<s@client.test>"],
    &["LHLO client.test", "MAIL FROM:<s@client.test>", "RCPT TO:<bob@mx.test>", "RCPT TO:<ada@mx.test>"],
    &["EHLO client.test", "MAIL FROM:<s@client.test>", "RCPT TO:<bob@mx.test>", "BDAT 3\r\nabc"],
];

/// What is sent where a message is asked for.
const MESSAGES: &[&str] = &[".\r\n", "x\r\n.\r\n", "x\ny\r\n.\r\n", "more than ten octets\r\n.\r\n"];

/// What is sent where a response of AUTH is asked for.
const RESPONSES: &[&str] = &["*\r\n", "\r\n", "=\r\n", "AGEAYg==\r\n", "!\r\n", "Y\0Q\r\n", "Y\n\r\n"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Yes,
    /// To the connection only; the other questions are lost, and their deadlines pass.
    Never,
    /// To nothing.
    Silence,
    /// To everything but credentials.
    No,
    /// The connection is refused with this code, everything else accepted.
    Refused(u16),
}

struct Walk {
    session: Session,
    now: Instant,
    answers: Answers,
    enhanced: bool,
    stage: Stage,
    /// What was sent is no line of the grammar, so that it depends on how far it was read whether its verb is known.
    no_line: bool,
    faults: BTreeSet<String>,
    checked: usize,
    last: u16,
}

impl Walk {
    fn new(config: &Arc<Config>, answers: Answers) -> Self {
        let now = Instant::now();
        let enhanced = config.enhanced_status_codes;
        let session = Session::new(now, Arc::clone(config), Peer::new(1));
        let (faults, checked) = (BTreeSet::new(), 0);
        let mut walk =
            Self { session, now, answers, enhanced, stage: Stage::Connect, no_line: false, faults, checked, last: 0 };
        walk.go_on(b"");
        walk
    }

    /// Sends bytes and deals with all that follows.
    fn go_on(&mut self, mut input: &[u8]) {
        loop {
            let step = self.session.handle_input(self.now, input);
            input = &input[step.used..];
            let asked = match step.event {
                Some(Event::Ask(question)) => Some(question),
                Some(Event::StartTls) => {
                    self.read();
                    self.session.handle_tls(self.now, TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256"));
                    continue;
                }
                Some(_) => None,
                None => {
                    self.read();
                    return;
                }
            };
            if let Some(question) = asked {
                self.answer(question);
            }
        }
    }

    fn answer(&mut self, question: Question) {
        let refusal = |code| Reply::fixed(code, None, "No");
        let answer = match (self.answers, question) {
            (Answers::Refused(code), Question::Connect(token)) => token.reject(refusal(code)),
            (Answers::Silence, _) => return self.wait(),
            (_, Question::Connect(token)) => token.accept(),
            (Answers::Never, _) => return self.wait(),
            (_, Question::Hello(token)) => token.accept(),
            (_, Question::Mail(token)) => token.accept(),
            (_, Question::Rcpt(token)) => token.accept(),
            (_, Question::Data(token)) => token.accept(),
            (_, Question::Commit(token)) => token.accept(),
            (_, Question::Vrfy(token)) => token.accept(),
            (_, Question::Expn(token)) => token.accept(),
            (_, Question::Etrn(token)) => token.accept(),
            // A challenge for the command, and the decision for the response to it.
            (_, Question::Auth(token)) if self.stage == Stage::Verb(Verb::Auth) => token.challenge(b""),
            (Answers::No, Question::Auth(token)) => token.fail(),
            (_, Question::Auth(token)) => token.accept("bob"),
            // Those that are not known here are left to their deadline.
            _ => return self.wait(),
        };
        self.session.resolve(self.now, answer).expect("the question is open");
    }

    /// The next deadline passes.
    fn wait(&mut self) {
        if let Some((at, _)) = self.session.poll_timeout() {
            self.now = at;
            self.session.handle_timeout(at);
        }
    }

    /// Reads what the session says, and looks at each line of it.
    fn read(&mut self) {
        let output = String::from_utf8(self.session.output().to_vec()).expect("replies are ASCII");
        self.session.output_sent(self.now, output.len());
        for line in output.lines() {
            let code: ReplyCode = line[..3].parse().expect("three digits");
            self.last = code.get();
            let enhanced: Option<EnhancedCode> = line[4..].split(' ').next().and_then(|word| word.parse().ok());
            self.look_at(line, code, enhanced);
        }
        if !output.is_empty() && !self.session.output().is_empty() {
            self.read();
        }
    }

    fn look_at(&mut self, line: &str, code: ReplyCode, enhanced: Option<EnhancedCode>) {
        self.checked += 1;
        // Where LHLO is no command, its refusal is that of an unknown one.
        let no_line = self.no_line || (self.stage == Stage::Verb(Verb::Lhlo) && code.get() >= 500);
        let due = self.enhanced && !no_line && code.get() / 100 != 3 && !self.stage.has_no_enhanced_codes();
        // A server that closes without being asked says 421 (RFC 5321 §3.8), and has not said yet what it thought of a command.
        if code != ReplyCode::SERVICE_NOT_AVAILABLE && enhanced.is_none() && due {
            self.faults.insert(format!("{line} answers {:?} without enhanced code", self.stage));
        }
        if let Err(faults) = self.stage.check(code, enhanced, None) {
            let unasked = code == ReplyCode::SERVICE_NOT_AVAILABLE;
            let grave = faults.iter().filter(|fault| match fault {
                // RFC 5248 §2.4: what a registration names are examples.
                Fault::OtherReplyNamed => false,
                Fault::NotAtThisStage => !unasked,
                Fault::EnhancedOutOfPlace => !unasked && !no_line,
                _ => true,
            });
            self.faults.extend(grave.map(|fault| format!("{line} answers {:?}: {fault}", self.stage)));
        }
    }

    fn command(&mut self, line: &str) {
        let verb = line.split([' ', '\r', '\n']).next().unwrap_or_default();
        let text = line.strip_suffix("\r\n");
        self.no_line = line.len() > 512 || text.is_none_or(|text| text.contains(['\0', '\r', '\n']));
        self.stage = Verb::from_bytes(verb.as_bytes()).map_or(Stage::UnknownVerb, Stage::Verb);
        self.go_on(line.as_bytes());
    }

    /// Says a command, and what the session then wants to hear.
    fn say(mut self, line: &str, then: &str) -> Self {
        self.command(line);
        match (self.stage, self.last) {
            (Stage::Verb(Verb::Data), 354) => self.stage = Stage::DataEnd,
            (Stage::Verb(Verb::Auth), 334) => self.stage = Stage::AuthResponse,
            _ => return self,
        }
        self.go_on(then.as_bytes());
        self
    }
}

/// Turns on what is off by default, and asks everything.
fn switch_on(config: &mut Config) {
    config.questions = Questions::ALL;
    config.tls = TlsMode::StartTls;
    (config.requiretls, config.mt_priority, config.rrvs, config.etrn, config.expn) = (true, true, true, true, true);
    config.deliver_by = Some(1);
    config.future_release =
        Some(FutureRelease { max_interval: 100, max_until: Timestamp::parse("2029-12-31T23:59:59Z").expect("a date") });
    config.no_soliciting = Solicitations::parse("a.b");
    config.auth.mechanisms = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"]
        .into_iter()
        .filter_map(|name| AuthMechanism::new(name, MechanismNeeds::Confidentiality))
        .map(|mechanism| if mechanism.name() == "CRAM-MD5" { mechanism.server_first() } else { mechanism })
        .collect();
    config.auth.allow_plaintext_auth = true;
}

/// The settings, each with a name.
fn settings() -> Vec<(&'static str, Config, Answers)> {
    let base = || {
        let mut config = Config::new("mx.test").expect("a name");
        config.limits.message_size = 10;
        config
    };
    let with = |change: &dyn Fn(&mut Config)| {
        let mut config = base();
        change(&mut config);
        config
    };
    vec![
        ("default", base(), Answers::Yes),
        ("everything on", with(&switch_on), Answers::Yes),
        ("everything on, nobody known", with(&switch_on), Answers::No),
        (
            "authentication required",
            with(&|c| {
                switch_on(c);
                c.auth.require_auth = true
            }),
            Answers::Yes,
        ),
        (
            "AUTH only inside TLS",
            with(&|c| {
                switch_on(c);
                c.auth.allow_plaintext_auth = false
            }),
            Answers::Yes,
        ),
        ("everything on, nothing answered", with(&switch_on), Answers::Never),
        ("LMTP", with(&|c| c.protocol = Protocol::Lmtp), Answers::Yes),
        (
            "LMTP, everything on",
            with(&|c| {
                switch_on(c);
                c.protocol = Protocol::Lmtp
            }),
            Answers::Yes,
        ),
        (
            "LMTP, nothing answered",
            with(&|c| {
                switch_on(c);
                c.protocol = Protocol::Lmtp
            }),
            Answers::Never,
        ),
        ("no chunks", with(&|c| c.chunking = false), Answers::Yes),
        ("one domain", with(&|c| c.limits.recipient_domains = Some(1)), Answers::Yes),
        ("no enhanced codes", with(&|c| c.enhanced_status_codes = false), Answers::Yes),
        ("STARTTLS", with(&|c| c.tls = TlsMode::StartTls), Answers::Yes),
        ("TLS required", with(&|c| c.tls = TlsMode::Required), Answers::Yes),
        ("one recipient", with(&|c| c.limits.recipients = 1), Answers::Yes),
        ("one bad command", with(&|c| c.limits.bad_commands = 1), Answers::Yes),
        ("one idle command", with(&|c| c.limits.idle_commands = 1), Answers::Yes),
        ("short lines", with(&|c| c.limits.command_line = 40), Answers::Yes),
        ("everything asked", with(&|c| c.questions = Questions::ALL), Answers::Yes),
        ("nothing answered", with(&|c| c.questions = Questions::ALL), Answers::Never),
        ("no greeting", with(&|c| c.questions = Questions::ALL), Answers::Silence),
        ("refused", with(&|c| c.questions = Questions::CONNECT), Answers::Refused(554)),
        ("never takes mail", with(&|c| c.questions = Questions::CONNECT), Answers::Refused(521)),
    ]
}

#[test]
fn every_reply_to_every_command_in_every_state_is_legal() {
    let (mut faults, mut checked) = (BTreeSet::new(), 0);
    let mut note = |name: &str, walk: Walk| {
        faults.extend(walk.faults.into_iter().map(|fault| format!("{name}: {fault}")));
        checked += walk.checked;
    };
    let verbs: Vec<String> = Verb::ALL.iter().map(Verb::to_string).chain(["FROB".to_owned(), String::new()]).collect();
    for (name, config, answers) in settings() {
        let config = Arc::new(config);
        for before in BEFORE {
            let begun = || {
                let mut walk = Walk::new(&config, answers);
                before.iter().for_each(|line| walk.command(&format!("{line}\r\n")));
                walk
            };
            for verb in &verbs {
                for argument in ARGUMENTS {
                    let then = match verb.as_str() {
                        "AUTH" => RESPONSES,
                        "DATA" => MESSAGES,
                        _ => &[""],
                    };
                    for then in then {
                        note(name, begun().say(&format!("{verb}{argument}\r\n"), then));
                    }
                }
                note(name, begun().say(&format!("{verb}\n"), ""));
                note(name, begun().say(&format!("{verb} {}\r\n", "x".repeat(5000)), ""));
                note(name, begun().say(&format!("{verb} {}", "x".repeat(300 * 1024)), ""));
            }
            // What comes unasked.
            for how in [Shutdown::Graceful, Shutdown::Now] {
                let mut walk = begun();
                walk.session.shutdown(walk.now, how);
                walk.go_on(b"");
                note(name, walk);
            }
            let mut walk = begun();
            walk.wait();
            walk.go_on(b"");
            note(name, walk);
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(checked > 100_000, "only {checked} reply lines were looked at");
}
