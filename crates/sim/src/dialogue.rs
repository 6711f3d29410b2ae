//! A plain model of the server's side of a dialogue: from the bytes that a session took, which replies it owes and what they may be.
//!
//! It knows nothing of the session. It looks at one byte after the other, cuts lines at CRLF and a message at CRLF `.` CRLF, the slow way,
//! and keeps the envelope by itself. Only the grammar of an address is the codec's.

use ehlo_codec::codes::{ReplyCode, Stage, Verb};
use ehlo_codec::{BodyType, Command, CommandLine, ReplyClass};

/// The envelope of a message: who sends it, and who gets it, each as `<...>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
}

/// What of the settings decides how a dialogue goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Octets of a command line, CRLF included.
    pub(crate) line_limit: usize,
    /// A message with a bare CR or LF may be taken.
    pub(crate) lenient: bool,
    /// MAIL is for those only who have authenticated.
    pub(crate) needs_identity: bool,
    /// BDAT is known.
    pub(crate) chunks: bool,
    /// LMTP is spoken.
    pub(crate) lmtp: bool,
}

/// A message that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// With the dots taken out.
    pub(crate) body: Vec<u8>,
    /// It has a CR or an LF that stands alone.
    pub(crate) bare: bool,
}

/// What one reply has to answer.
#[derive(Debug)]
struct Owed {
    stage: Stage,
    /// What the line says, if it is one that moves the dialogue.
    says: Says,
}

#[derive(Debug)]
enum Says {
    /// The line itself is no line: a bare CR or LF, a NUL.
    Fault,
    Hello,
    /// The sender, and whether the message is BODY=BINARYMIME.
    Mail(String, bool),
    Rcpt(String),
    Rset,
    Noop,
    /// BDAT that cannot be read.
    Astray,
    /// The end of what DATA began.
    Message(Message),
    /// BDAT, and its chunk.
    Chunk {
        octets: Vec<u8>,
        last: bool,
    },
    Other,
}

#[derive(Debug, PartialEq)]
enum Mode {
    Lines,
    /// Behind a bare LF: no command up to the next CRLF.
    Tail,
    Body,
    /// Behind a 334: the next line is no command (RFC 4954 §4).
    Response,
    /// Behind BDAT: so many octets are no command, whatever becomes of it (RFC 3030 §2).
    Chunk {
        left: u64,
        last: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Dialogue {
    mode: Mode,
    /// What was taken and is not yet a whole line, or a whole message.
    held: Vec<u8>,
    owed: Vec<Owed>,
    /// How many of them have all their replies.
    answered: usize,
    /// Replies that the next of them gets besides the one that is to come: under LMTP a message has one for each recipient.
    more: usize,
    replies: Vec<ReplyCode>,
    /// Of the reply that is being written.
    reply_line: Vec<u8>,
    /// A line of the reply came, and more are to come, with this code.
    within: Option<ReplyCode>,
    greeted: bool,
    /// Nothing but QUIT is answered by anything but 503.
    refused: bool,
    pub(crate) envelope: Envelope,
    /// The message that comes in chunks, as far as they were taken.
    chunks: Option<Vec<u8>>,
    /// A chunk was refused: nothing but RSET or EHLO begins anew.
    failed: bool,
    binary: bool,
    /// The application has said that the message is safe, and the peer was not told yet.
    committed: bool,
    shape: Shape,
    /// The application knows who the client is, and the client was not told yet.
    granted: bool,
    pub(crate) identified: bool,
    /// Nothing but 421 may come.
    hopeless: bool,
    /// 221 or 421 came: nothing else will.
    over: bool,
}

impl Dialogue {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            mode: Mode::Lines,
            held: Vec::new(),
            owed: vec![Owed { stage: Stage::Connect, says: Says::Other }],
            answered: 0,
            more: 0,
            replies: Vec::new(),
            reply_line: Vec::new(),
            within: None,
            greeted: false,
            refused: false,
            envelope: Envelope::default(),
            chunks: None,
            failed: false,
            binary: false,
            committed: false,
            shape,
            granted: false,
            identified: false,
            hopeless: false,
            over: false,
        }
    }

    /// The session took these bytes.
    pub(crate) fn taken(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.held.push(byte);
            if let Mode::Chunk { left, last } = &mut self.mode {
                *left -= 1;
                if *left == 0 {
                    let last = *last;
                    self.end_chunk(last);
                }
                continue;
            }
            if byte != b'\n' {
                continue;
            }
            let after_cr = self.held.ends_with(b"\r\n");
            match self.mode {
                Mode::Body => {
                    if self.held.ends_with(b"\r\n.\r\n") || self.held == b".\r\n" {
                        self.mode = Mode::Lines;
                        let raw = std::mem::take(&mut self.held);
                        let message = Message::read(&raw[..raw.len() - 3], self.binary);
                        self.owe(Stage::DataEnd, Says::Message(message));
                    }
                    continue;
                }
                Mode::Lines if after_cr => {
                    let line = std::mem::take(&mut self.held);
                    self.line(&line[..line.len() - 2]);
                }
                Mode::Chunk { .. } => unreachable!("chunks have no lines"),
                Mode::Response if after_cr => {
                    self.mode = Mode::Lines;
                    self.owe(Stage::AuthResponse, Says::Other);
                }
                Mode::Response => {
                    self.mode = Mode::Tail;
                    self.owe(Stage::AuthResponse, Says::Fault);
                }
                Mode::Tail if after_cr => self.mode = Mode::Lines,
                Mode::Lines | Mode::Tail => {
                    self.mode = Mode::Tail;
                    self.owe(Stage::UnknownVerb, Says::Fault);
                }
            }
            self.held.clear();
        }
    }

    fn line(&mut self, line: &[u8]) {
        if line.contains(&b'\r') || line.contains(&0) {
            return self.owe(Stage::UnknownVerb, Says::Fault);
        }
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let Some(verb) = Verb::from_bytes(word) else { return self.owe(Stage::UnknownVerb, Says::Other) };
        // Whether SMTPUTF8 is on offer is for the session to know; one that is not takes no such line.
        let command = Command::parse(line).or_else(|_| CommandLine::split(line).parse_utf8());
        let says = match command {
            Ok(Command::Ehlo(_) | Command::Helo(_) | Command::Lhlo(_)) => Says::Hello,
            Ok(Command::Bdat { size, last }) if self.shape.chunks && line.len() + 2 <= self.shape.line_limit => {
                if size == 0 {
                    return self.end_chunk(last);
                }
                self.mode = Mode::Chunk { left: size, last };
                return;
            }
            // Its chunk may be on its way, and nobody knows how long it is: that ends the session.
            _ if verb == Verb::Bdat && self.shape.chunks => Says::Astray,
            Ok(Command::Mail { from, params }) => {
                Says::Mail(from.to_string(), params.body() == Some(BodyType::BinaryMime))
            }
            Ok(Command::Rcpt { to, .. }) => Says::Rcpt(to.to_string()),
            Ok(Command::Rset) => Says::Rset,
            Ok(Command::Noop(_)) if line.len() + 2 <= self.shape.line_limit => Says::Noop,
            _ => Says::Other,
        };
        self.owe(Stage::Verb(verb), says);
    }

    fn end_chunk(&mut self, last: bool) {
        self.mode = Mode::Lines;
        let octets = std::mem::take(&mut self.held);
        self.owe(Stage::Verb(Verb::Bdat), Says::Chunk { octets, last });
    }

    /// The message that is to be answered next, if it came whole.
    pub(crate) fn message(&self) -> Option<Message> {
        match &self.owed.get(self.answered)?.says {
            Says::Message(message) => Some(message.clone()),
            Says::Chunk { octets, last: true } => {
                let body = [self.chunks.as_deref().unwrap_or_default(), octets].concat();
                let bare = !self.binary && has_bare(&body);
                Some(Message { body, bare })
            }
            _ => None,
        }
    }

    /// RFC 2033 §4.3: a last chunk has a reply for each recipient, and so none if there is none.
    pub(crate) fn pass_silent(&mut self) {
        while let Some(Owed { says: Says::Chunk { last: true, .. }, .. }) = self.owed.get(self.answered)
            && self.shape.lmtp
            && self.envelope.from.is_some()
            && self.envelope.to.is_empty()
        {
            self.answered += 1;
            self.end_transaction();
        }
    }

    fn end_transaction(&mut self) {
        self.envelope = Envelope::default();
        (self.chunks, self.failed, self.binary) = (None, false, false);
    }

    fn owe(&mut self, stage: Stage, says: Says) {
        self.owed.push(Owed { stage, says });
    }

    /// The application has said that the message is safe.
    pub(crate) fn committed(&mut self) {
        assert!(!self.committed, "two commits for one message");
        self.committed = true;
    }

    /// The application has said who the client is.
    pub(crate) fn granted(&mut self) {
        assert!(!self.identified, "a second identity");
        self.granted = true;
    }

    /// The handshake of TLS is done: nothing that was said before it counts (RFC 3207 §4.2).
    pub(crate) fn inside_tls(&mut self) {
        (self.greeted, self.identified) = (false, false);
        self.end_transaction();
        assert!(self.held.is_empty(), "a line in clear is left");
    }

    /// The reply that came last was taken back. Gives its length.
    pub(crate) fn retracted(&mut self) {
        let code = self.replies.pop().expect("a reply was given");
        assert_eq!(code, ReplyCode::READY, "only 220 to STARTTLS may be taken back");
        self.answered -= 1;
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
            // RFC 4954 §4: challenges are longer than other replies.
            let most = if code == ReplyCode::AUTH_CHALLENGE { 12_288 + 6 } else { 512 };
            assert!(line.len() <= most, "a reply line of {} octets", line.len());
            assert!(self.within.is_none_or(|within| within == code), "two codes in one reply");
            match line[3] {
                b' ' => {
                    self.within = None;
                    self.replied(code);
                }
                b'-' => self.within = Some(code),
                _ => panic!("no reply: {}", line.escape_ascii()),
            }
        }
    }

    fn replied(&mut self, code: ReplyCode) {
        assert!(!self.over, "{code} behind the last reply");
        self.pass_silent();
        let closing = code == ReplyCode::SERVICE_NOT_AVAILABLE;
        let at = self.answered;
        self.replies.push(code);
        // A response without end gets its 500 when it is given up, and then 421.
        assert!(closing || !self.hopeless, "{code} where only 421 may come");
        if at == self.owed.len() && self.mode == Mode::Response && code == ReplyCode::SYNTAX_ERROR {
            self.hopeless = true;
            self.owe(Stage::AuthResponse, Says::Fault);
        }
        let Some(owed) = self.owed.get_mut(at) else {
            // RFC 5321 §3.8: a server that gives up says 421, asked or not.
            assert!(closing, "{code} answers nothing");
            self.over = true;
            return;
        };
        let stage = owed.stage;
        let message = matches!(owed.says, Says::Message(_) | Says::Chunk { last: true, .. });
        if message && self.shape.lmtp && self.more == 0 {
            self.more = self.envelope.to.len();
        }
        self.more = self.more.saturating_sub(1);
        if closing {
            // A 421 may be repeated for each recipient, but nothing else follows it.
            self.hopeless = true;
            // What was committed is told by 250 and nothing else.
            assert!(!self.committed, "a message is safe, and the peer is told that it is not");
            self.over = self.more == 0;
            return;
        }
        assert_eq!(code == ReplyCode::AUTHENTICATED, std::mem::take(&mut self.granted), "{code} to {stage:?}");
        let fault = matches!(owed.says, Says::Fault) && matches!(code.get(), 500 | 501);
        assert!(fault || stage.permits(code), "{code} is no reply to {stage:?}");
        if self.more > 0 {
            let yes = code.class() == ReplyClass::Completion;
            assert_eq!(yes, self.committed, "{code} for one of the recipients");
            return;
        }
        self.answered += 1;
        let says = std::mem::replace(&mut owed.says, Says::Other);
        self.over = stage == Stage::Verb(Verb::Quit) && code.class() == ReplyClass::Completion;
        self.moved(stage, says, code);
    }

    /// What a reply changes, and whether it may have come at all.
    fn moved(&mut self, stage: Stage, says: Says, code: ReplyCode) {
        let yes = code.class() == ReplyClass::Completion;
        let sender = self.envelope.from.is_some();
        match says {
            Says::Astray => self.over = true,
            Says::Fault => assert!(!yes, "{code} for what is no line"),
            Says::Hello if yes => {
                assert!(!self.refused, "a session that was refused is greeted");
                self.greeted = true;
                self.end_transaction();
            }
            Says::Mail(from, binary) if yes => {
                self.binary = binary;
                assert!(self.identified || !self.shape.needs_identity, "MAIL is taken of nobody");
                assert!(self.greeted && !sender, "MAIL out of sequence is taken");
                self.envelope.from = Some(from);
            }
            Says::Rcpt(to) if yes => {
                assert!(sender && self.chunks.is_none() && !self.failed, "RCPT out of sequence is taken");
                self.envelope.to.push(to);
            }
            Says::Rset if yes => self.end_transaction(),
            Says::Noop => assert!(yes || self.refused, "{code} to NOOP"),
            Says::Message(message) => self.message_answered(message.bare, code),
            Says::Chunk { octets, last } => {
                // Out of sequence it is read over, and nothing else changes.
                if self.envelope.to.is_empty() || (self.failed && !last) {
                    assert!(!yes, "a chunk out of sequence is taken");
                    return;
                }
                assert!(!yes || !self.failed, "a chunk is taken behind one that was refused");
                let body = self.chunks.get_or_insert_default();
                body.extend_from_slice(&octets);
                if last {
                    let bare = !self.binary && has_bare(body);
                    self.message_answered(bare, code);
                } else if !yes {
                    (self.chunks, self.failed) = (None, true);
                }
            }
            _ if code == ReplyCode::AUTH_CHALLENGE => {
                assert!(self.held.is_empty(), "334 comes late");
                assert!(matches!(stage, Stage::Verb(Verb::Auth) | Stage::AuthResponse), "334 to {stage:?}");
                self.mode = Mode::Response;
            }
            _ if code == ReplyCode::AUTHENTICATED => {
                assert!(self.greeted && !sender, "AUTH out of sequence is taken");
                self.identified = true;
            }
            _ if stage == Stage::Connect => self.refused = !yes,
            _ if stage == Stage::Verb(Verb::Data) && code == ReplyCode::START_MAIL_INPUT => {
                assert!(!self.envelope.to.is_empty(), "354 without a recipient");
                assert!(self.chunks.is_none() && !self.failed && !self.binary, "354 out of sequence");
                assert!(self.held.is_empty(), "354 comes late");
                self.mode = Mode::Body;
            }
            // What these do is modelled above: a command that was not understood may not have done it.
            _ => {
                let moves = [Verb::Ehlo, Verb::Helo, Verb::Mail, Verb::Rcpt, Verb::Rset].map(Stage::Verb);
                assert!(!yes || !moves.contains(&stage), "{code} to a malformed {stage:?}");
            }
        }
    }

    fn message_answered(&mut self, bare: bool, code: ReplyCode) {
        let yes = code.class() == ReplyClass::Completion;
        assert!(!yes || !bare || self.shape.lenient, "a message with a bare CR or LF is taken");
        assert!(!yes || self.committed, "acknowledged before the commit");
        assert!(yes || !self.committed, "committed and refused with {code}");
        self.committed = false;
        self.end_transaction();
    }

    /// Whether the last reply was given, or nothing but 421 can come.
    pub(crate) const fn is_over(&self) -> bool {
        self.over || self.hopeless
    }

    /// Octets of a message that is on its way.
    pub(crate) const fn body_taken(&self) -> usize {
        if matches!(self.mode, Mode::Body | Mode::Chunk { .. }) { self.held.len() } else { 0 }
    }

    /// One reply a command, in order: at the most one is missing, and only while a question is open or the session is over.
    pub(crate) fn check(&self, may_owe_one: bool) {
        // What the last reply answers, if it answers anything, may not be what it is for.
        let owed = self.owed.len();
        let missing = owed - self.answered - usize::from(self.over && self.answered < owed);
        assert!(missing <= usize::from(may_owe_one), "{missing} of {owed} commands have no reply: {:?}", self.replies);
    }
}

impl Message {
    /// From what stood between 354 and the last dot.
    fn read(raw: &[u8], binary: bool) -> Self {
        let mut body = Vec::with_capacity(raw.len());
        for (i, &byte) in raw.iter().enumerate() {
            let line_start = i == 0 || raw[..i].ends_with(b"\r\n");
            if byte == b'.' && line_start {
                continue;
            }
            body.push(byte);
        }
        Self { body, bare: !binary && has_bare(raw) }
    }
}

/// Whether a CR or an LF stands alone.
fn has_bare(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(i, &byte)| match byte {
        b'\r' => text.get(i + 1) != Some(&b'\n'),
        b'\n' => i == 0 || text[i - 1] != b'\r',
        _ => false,
    })
}
