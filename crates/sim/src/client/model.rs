//! A plain model of the client's side: from the commands that it sent and the replies that it heard, what became of each recipient.

use ehlo_client::{RecipientOutcome, Stage};
use ehlo_codec::{EnhancedCode, ReplyClass, ReplyCode};
use std::time::Duration;

/// No wait of the default settings is longer (RFC 5321 §4.5.3.2.6), and no other ones are used.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Model {
    /// What was sent, in order; the greeting answers the connection.
    commands: Vec<Stage>,
    /// How many of them have a reply.
    answered: usize,
    /// Of a command that is being sent.
    line: Vec<u8>,
    /// RCPT since MAIL.
    rcpts: u32,
    /// Bytes of the end of a body that are to come, and are no command.
    end: Option<usize>,
    /// Replies that came whole and were not told of yet.
    replies: Vec<(ReplyCode, Option<EnhancedCode>)>,
    /// A line of a reply that is not whole, and the first line of one with more.
    heard: Vec<u8>,
    first: Option<Vec<u8>>,
    /// When the reply that is being heard began, a command was waiting for one.
    solicited: bool,
    /// MAIL was taken, and so many RCPT.
    sender: bool,
    taken: usize,
    /// The server wants a message although it took no recipient.
    empty: bool,
    decided: Vec<Option<RecipientOutcome>>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            commands: vec![Stage::Greeting],
            answered: 0,
            line: Vec::new(),
            rcpts: 0,
            end: None,
            replies: Vec::new(),
            heard: Vec::new(),
            first: None,
            solicited: false,
            sender: false,
            taken: 0,
            empty: false,
            decided: Vec::new(),
        }
    }
}

impl Model {
    pub(super) fn unanswered(&self) -> &[Stage] {
        self.commands.get(self.answered..).unwrap_or_default()
    }

    pub(super) fn begin(&mut self, recipients: usize) {
        (self.sender, self.taken, self.empty) = (false, 0, false);
        self.decided = vec![None; recipients];
    }

    /// The driver has written a body; so many bytes of its end are to come.
    pub(super) fn body_finished(&mut self, end: usize) {
        if end == 0 {
            self.commands.push(Stage::Body);
        } else {
            self.end = Some(end);
        }
    }

    /// The session's own bytes were written.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(left) = &mut self.end {
                *left -= 1;
                if *left == 0 {
                    self.end = None;
                    self.commands.push(Stage::Body);
                }
                continue;
            }
            self.line.push(byte);
            if self.line.ends_with(b"\r\n") {
                let stage = self.stage();
                self.commands.push(stage);
                self.line.clear();
            }
        }
    }

    fn stage(&mut self) -> Stage {
        match &self.line[..] {
            [b'E', b'H', b'L', b'O', b' ', ..] => Stage::Ehlo,
            [b'H', b'E', b'L', b'O', b' ', ..] => Stage::Helo,
            b"RSET\r\n" => Stage::Rset,
            b"DATA\r\n" => Stage::Data,
            b"QUIT\r\n" => Stage::Quit,
            // The message that is empty, for a server that wants one although it took no recipient.
            b".\r\n" => Stage::Body,
            [b'M', b'A', b'I', b'L', b' ', ..] => {
                self.rcpts = 0;
                Stage::Mail
            }
            [b'R', b'C', b'P', b'T', b' ', ..] => {
                self.rcpts += 1;
                Stage::Rcpt(self.rcpts - 1)
            }
            line => panic!("no command: {}", line.escape_ascii()),
        }
    }

    /// The session has used these bytes of the server.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.heard.is_empty() && self.first.is_none() {
                self.solicited = self.answered + self.replies.len() < self.commands.len();
            }
            self.heard.push(byte);
            if byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.heard);
            if line.get(3) == Some(&b'-') {
                self.first.get_or_insert(line);
                continue;
            }
            let first = self.first.take().unwrap_or(line);
            let digits = first.get(..3).and_then(|digits| digits.try_into().ok());
            // What is no reply ends the session; nothing can be told of it.
            if let Some(code) = digits.and_then(ReplyCode::from_digits) {
                let text = first.get(4..).unwrap_or_default().trim_ascii_end();
                let enhanced = EnhancedCode::parse_prefix(text).map(|(enhanced, _)| enhanced);
                self.replies.push((code, enhanced.filter(|enhanced| enhanced.agrees_with(code))));
            }
        }
    }

    /// The session tells of a reply.
    pub(super) fn replied(&mut self, stage: Stage, code: ReplyCode, in_body: bool) {
        let told = self.replies.pop().expect("a reply is told of that did not come");
        assert_eq!(told.0, code, "another reply came");
        assert!(self.replies.is_empty(), "a reply was not told of: {:?}", self.replies);
        let refusal = RecipientOutcome::Refused { code, enhanced: told.1 };
        let expected = self.commands.get(self.answered).copied();
        self.answered += 1;
        match expected {
            Some(expected) => assert_eq!(stage, expected, "replies are matched in order"),
            // Half a body: the server has had enough.
            None => {
                assert!(stage == Stage::Body && (in_body || self.empty), "{code} for {stage:?}, which was not sent")
            }
        }
        let class = code.class();
        let no = matches!(class, ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        // A server that talks ahead of the command would shift every answer by one.
        assert!(self.solicited || (stage == Stage::Body && no), "{code} began before {stage:?} was sent");
        if code == ReplyCode::SERVICE_NOT_AVAILABLE && stage != Stage::Quit {
            return self.decide(refusal);
        }
        match stage {
            Stage::Mail if no => self.decide(refusal),
            Stage::Mail => self.sender = class == ReplyClass::Completion,
            Stage::Rcpt(i) if no && self.sender => {
                self.decided[i as usize].get_or_insert(refusal);
            }
            Stage::Rcpt(_) => self.taken += usize::from(self.sender && class == ReplyClass::Completion),
            // Half of the message without content that a server gets which wants one for no recipient.
            Stage::Data if code == ReplyCode::START_MAIL_INPUT => self.empty = self.taken == 0,
            Stage::Data | Stage::Body if no => self.decide(refusal),
            Stage::Body if class == ReplyClass::Completion => self.decide(RecipientOutcome::Accepted),
            _ => {}
        }
    }

    fn decide(&mut self, outcome: RecipientOutcome) {
        for decided in &mut self.decided {
            decided.get_or_insert(outcome);
        }
    }

    /// What must have become of the recipients, if the transaction ends now.
    pub(super) fn outcomes(&self, end_written: bool) -> Vec<RecipientOutcome> {
        let doubt = end_written && self.taken > 0;
        let lost = if doubt { RecipientOutcome::Unknown } else { RecipientOutcome::Unsent };
        self.decided.iter().map(|decided| decided.unwrap_or(lost)).collect()
    }
}
