//! Plays a transcript against a session.

use super::parse::{Action, Begin, Scenario, Step};
use crate::clock::epoch;
use ehlo_client::codec::{ForwardPath, MailParams, RcptParams, ReversePath};
use ehlo_client::{Envelope, Event, Recipient, RecipientOutcome, Session, TlsInfo, TransactionId, Transfer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the server's bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Each block is one piece.
    Whole,
    /// One byte at a time, with calls in between that must do nothing.
    Bytes,
    /// Before this byte of all that the server says, counted from 0.
    At(usize),
}

/// Plays a transcript; panics where the session does anything else. Gives how many bytes the server says.
pub(crate) fn play(file: &str, scenario: &Scenario, cut: Cut) -> usize {
    let now = epoch();
    let mut player = Player {
        place: format!("{file}, scenario {}, cut {cut:?}", scenario.title),
        line: 0,
        session: Session::new(now, Arc::new(scenario.config.clone())),
        now,
        transaction: None,
        ahead: scenario.ahead,
        done: None,
        said: 0,
        cut,
        events: Vec::new(),
        reply: None,
    };
    for step in &scenario.steps {
        player.line = step.line;
        player.act(&step.action);
        player.check(step);
    }
    player.said
}

struct Player {
    place: String,
    line: usize,
    session: Session,
    now: Instant,
    transaction: Option<TransactionId>,
    /// Several transactions may be open, and the last one that is over.
    ahead: bool,
    done: Option<TransactionId>,
    said: usize,
    cut: Cut,
    events: Vec<String>,
    /// The last reply's text, taken when its event came.
    reply: Option<String>,
}

impl Player {
    fn act(&mut self, action: &Action) {
        match action {
            Action::Start => {}
            Action::Server(bytes) => self.server(bytes),
            Action::Begin(begin) => self.begin(begin),
            Action::Body { end, misuse } => {
                let result = self.session.body_finished(self.now, *end);
                assert_eq!(result.is_err(), *misuse, "{}: {result:?}", self.at());
            }
            Action::Chunk(octets, last) => self.session.chunk(self.now, *octets, *last).expect("a chunk is wanted"),
            Action::ChunkFinished => self.session.chunk_finished(self.now).expect("there is a chunk"),
            Action::Tls(None) => self.session.tls_failed(self.now),
            Action::Tls(Some(verified)) => {
                let tls = TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256", *verified);
                self.session.handle_tls(self.now, tls).expect("TLS can begin");
            }
            Action::Auth(mechanism, initial) => {
                self.session.authenticate(self.now, mechanism, initial.as_deref()).expect("the session is ready");
            }
            Action::Respond(response) => self.session.respond(self.now, response).expect("there is a challenge"),
            Action::Cancel => self.session.cancel_auth(self.now).expect("there is a challenge"),
            Action::Abandon => self.session.abandon(self.now),
            Action::Progress => self.session.body_progress(self.now),
            Action::Quit => self.session.quit(self.now),
            Action::Eof => self.session.handle_eof(self.now),
            Action::After(duration) => self.pass(*duration),
            Action::Sent(n) => self.session.output_sent(self.now, *n),
        }
        self.drain();
    }

    fn server(&mut self, bytes: &[u8]) {
        let begin = self.said;
        self.said += bytes.len();
        match self.cut {
            Cut::Whole => self.input(bytes),
            Cut::Bytes => {
                for byte in bytes {
                    self.session.handle_timeout(self.now);
                    self.input(&[]);
                    self.input(&[*byte]);
                }
            }
            Cut::At(at) => {
                let (first, second) = bytes.split_at(at.saturating_sub(begin).min(bytes.len()));
                self.input(first);
                self.input(second);
            }
        }
    }

    fn input(&mut self, mut bytes: &[u8]) {
        loop {
            let step = self.session.handle_input(self.now, bytes);
            assert!(step.used <= bytes.len(), "{}: used more than there was", self.at());
            bytes = &bytes[step.used..];
            let Some(event) = step.event else {
                assert!(bytes.is_empty(), "{}: input was left without an event", self.at());
                return;
            };
            self.note(event);
        }
    }

    fn begin(&mut self, begin: &Begin) {
        let (from, rest) = ReversePath::parse_prefix_utf8(&begin.from).expect("a reverse-path");
        assert!(rest.is_empty(), "{}: {rest:?} behind the sender", self.at());
        let to: Vec<Recipient<'_>> = begin
            .to
            .iter()
            .map(|(to, params)| Recipient {
                to: ForwardPath::parse_prefix_utf8(to).expect("a forward-path").0,
                params: RcptParams::parse(params).expect("parameters of RCPT"),
            })
            .collect();
        let mut envelope = Envelope::new(from, &to).with_body(begin.body).with_utf8(begin.utf8);
        envelope = envelope.with_params(MailParams::parse(&begin.params).expect("parameters of MAIL"));
        if let Some(size) = begin.size {
            envelope = envelope.with_size(size);
        }
        let result = self.session.begin(self.now, &envelope);
        assert_eq!(result.err().map(|e| format!("{e:?}")), begin.error, "{}", self.at());
        self.transaction = result.ok().or(self.transaction);
    }

    /// Lets time pass, and tells of each deadline on its way. A call a moment before it must do nothing.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((deadline, _)) = self.session.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = deadline.checked_sub(Duration::from_millis(1)).map_or(self.now, |before| before.max(self.now));
            self.session.handle_timeout(self.now);
            self.drain();
            self.now = deadline;
            self.session.handle_timeout(deadline);
            self.drain();
            let later = self.session.poll_timeout();
            assert!(later.is_none_or(|(at, _)| at > deadline), "{}: a deadline that stays: {later:?}", self.at());
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: Event) {
        let current = |id: TransactionId| assert_eq!(Some(id), self.transaction, "{}: another transaction", self.at());
        let ahead = self.ahead;
        let text = match event {
            Event::Reply(stage, code) => {
                let reply = self.session.reply().expect("the reply that the event tells of");
                assert_eq!(reply.code(), code, "{}", self.at());
                self.reply = Some(reply.to_string().replace('\n', "|"));
                format!("reply {stage:?} {code}")
            }
            Event::Ready => "ready".to_owned(),
            Event::BodyWanted(id, transfer) => {
                current(id);
                match transfer {
                    Transfer::Dots => "body wanted".to_owned(),
                    other => format!("body wanted {other:?}").to_lowercase(),
                }
            }
            Event::Challenge => format!("challenge {}", self.session.challenge().escape_ascii()),
            Event::Auth(outcome) => format!("auth {outcome:?}"),
            Event::TlsWanted => "tls wanted".to_owned(),
            Event::Done(id, outcome) => {
                if ahead {
                    self.done = Some(id);
                } else {
                    current(id);
                }
                let mut text = "done:".to_owned();
                for (count, what) in [
                    (outcome.accepted, "accepted"),
                    (outcome.refused, "refused"),
                    (outcome.unsent, "unsent"),
                    (outcome.unknown, "unknown"),
                ] {
                    if count > 0 {
                        text += &format!(" {count} {what},");
                    }
                }
                if outcome.without_dsn {
                    text += " without DSN,";
                }
                let code = outcome.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
                format!("{text} code {code}")
            }
            Event::Closed(reason) => format!("closed {reason:?}"),
            other => format!("{other:?}"),
        };
        assert!(
            !self.events.last().is_some_and(|last| last.starts_with("closed")),
            "{}: {text} behind the end",
            self.at()
        );
        self.events.push(text);
    }

    fn check(&mut self, step: &Step) {
        let expected = &step.expected;
        assert_eq!(self.events, expected.events, "{}: events", self.at());
        self.events.clear();
        let output = self.session.output().to_vec();
        if matches!(step.action, Action::Sent(_)) && expected.output.is_empty() {
            // What is left of the output is the matter of the step that follows.
        } else {
            assert_eq!(output.escape_ascii().to_string(), expected.output.escape_ascii().to_string(), "{}", self.at());
            if !expected.held {
                self.session.output_sent(self.now, output.len());
            }
        }
        self.drain();
        assert!(self.events.is_empty(), "{}: sending caused {:?}", self.at(), self.events);
        if let Some(recipients) = &expected.recipients {
            let got: Vec<String> = self
                .session
                .recipients(self.done.or(self.transaction).unwrap_or_default())
                .iter()
                .map(recipient)
                .collect();
            assert_eq!(got.join(", "), *recipients, "{}: recipients", self.at());
        }
        let deadline = self.session.poll_timeout();
        if let Some(expected) = &expected.deadline {
            let got = deadline.map(|(at, reason)| (at - self.now, format!("{reason:?}")));
            assert_eq!(got, *expected, "{}: deadline", self.at());
        }
        if let Some(expected) = &expected.reply {
            assert_eq!(self.reply.as_ref(), Some(expected), "{}: reply", self.at());
        }
        // An open session has a deadline; a closed one has none, wants nothing and says nothing.
        assert_eq!(self.session.wants_input(), deadline.is_some(), "{}: {deadline:?}", self.at());
        assert!(deadline.is_some() || self.session.output().is_empty(), "{}: a closed session speaks", self.at());
    }

    fn at(&self) -> String {
        format!("{}, line {}", self.place, self.line)
    }
}

fn recipient(outcome: &RecipientOutcome) -> String {
    match outcome {
        RecipientOutcome::Pending => "pending".into(),
        RecipientOutcome::Accepted => "accepted".into(),
        RecipientOutcome::Refused { code, enhanced: None } => format!("refused {code}"),
        RecipientOutcome::Refused { code, enhanced: Some(enhanced) } => format!("refused {code} {enhanced}"),
        RecipientOutcome::Unsent => "unsent".into(),
        RecipientOutcome::Unknown => "unknown".into(),
    }
}
