//! A plain model of the server's side of a dialogue: from the bytes that it took, which replies it owes.
//!
//! It knows nothing of the session. It cuts lines at CRLF, and a body at CRLF `.` CRLF, the slow way.

use ehlo_server::codec::codes::{ReplyCode, Stage, Verb};

#[derive(Debug)]
pub(crate) struct Dialogue {
    /// What was taken and is not yet a whole line.
    line: Vec<u8>,
    in_body: bool,
    body: Vec<u8>,
    /// What has to be answered, in order.
    owed: Vec<Stage>,
    replies: Vec<ReplyCode>,
    /// Of the reply that is being written.
    reply_line: Vec<u8>,
}

impl Dialogue {
    pub(crate) fn new() -> Self {
        Self {
            line: Vec::new(),
            in_body: false,
            body: Vec::new(),
            owed: vec![Stage::Connect],
            replies: Vec::new(),
            reply_line: Vec::new(),
        }
    }

    /// The session took these bytes.
    pub(crate) fn taken(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_body {
                self.body.push(byte);
                if self.body.ends_with(b"\r\n.\r\n") || self.body == b".\r\n" {
                    self.in_body = false;
                    self.body.clear();
                    self.owed.push(Stage::DataEnd);
                }
                continue;
            }
            self.line.push(byte);
            if self.line.ends_with(b"\r\n") {
                let word = self.line.split(|b| b" \r".contains(b)).next().unwrap_or_default();
                self.owed.push(Verb::from_bytes(word).map_or(Stage::UnknownVerb, Stage::Verb));
                self.line.clear();
            }
        }
    }

    /// The session put out these bytes.
    pub(crate) fn written(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.reply_line.push(byte);
            if !self.reply_line.ends_with(b"\r\n") {
                continue;
            }
            let line = std::mem::take(&mut self.reply_line);
            let digits = line[..3].try_into().ok().and_then(ReplyCode::from_digits);
            let code = digits.unwrap_or_else(|| panic!("no reply: {}", line.escape_ascii()));
            assert!(line.len() <= 512, "a reply line of {} octets", line.len());
            match line[3] {
                b' ' => self.replied(code),
                b'-' => {}
                _ => panic!("no reply: {}", line.escape_ascii()),
            }
        }
    }

    fn replied(&mut self, code: ReplyCode) {
        let answered = self.owed.get(self.replies.len()).copied();
        self.replies.push(code);
        match answered {
            // RFC 5321 §3.8: a server that gives up says 421, asked or not.
            None => assert_eq!(code, ReplyCode::SERVICE_NOT_AVAILABLE, "a reply that answers nothing"),
            Some(stage) => {
                let anywhere = code == ReplyCode::SERVICE_NOT_AVAILABLE;
                assert!(anywhere || stage.permits(code), "{code} is no reply to {stage:?}");
                self.in_body = stage == Stage::Verb(Verb::Data) && code == ReplyCode::START_MAIL_INPUT;
            }
        }
    }

    /// One reply a command, in order: at the most one is missing, and only while a question is open or the session is over.
    pub(crate) fn check(&self, may_owe_one: bool) {
        let (owed, replies) = (self.owed.len(), self.replies.len());
        let unasked = usize::from(replies > owed);
        assert!(replies <= owed + 1, "{replies} replies to {owed} commands: {:?}", self.replies);
        if unasked == 1 {
            assert_eq!(self.replies.last(), Some(&ReplyCode::SERVICE_NOT_AVAILABLE), "an unasked reply");
        }
        let missing = owed + unasked - replies;
        assert!(missing <= usize::from(may_owe_one), "{missing} of {owed} commands have no reply: {:?}", self.replies);
    }
}
