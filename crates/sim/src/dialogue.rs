//! A plain model of the server's side of a dialogue: from the bytes that a session took, which replies it owes and what they may be.
//!
//! It knows nothing of the session. It looks at one byte after the other, cuts lines at CRLF and a message at CRLF `.` CRLF, the slow way,
//! and keeps the envelope by itself. Only the grammar of an address is the codec's.

mod auth;
mod message;
mod replies;

pub(crate) use auth::Exchange;
use ehlo_codec::codes::{ReplyCode, Stage, Verb};
use ehlo_codec::{BodyType, Command, CommandLine};
use ehlo_server::{BareLineEnds, TlsMode};
pub(crate) use message::{Message, normalized, unstuffed};
use std::collections::VecDeque;

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
    /// What becomes of a message with a bare CR or LF.
    pub(crate) line_ends: BareLineEnds,
    /// Octets of a message.
    pub(crate) message_size: u64,
    /// `Received:` fields of a message.
    pub(crate) received: Option<u32>,
    /// MAIL is for those only who have authenticated.
    pub(crate) needs_identity: bool,
    /// Octets of a response in an AUTH exchange, CRLF included.
    pub(crate) auth_line: usize,
    /// Exchanges that may fail.
    pub(crate) auth_failures: u32,
    pub(crate) tls: TlsMode,
    /// BDAT is known.
    pub(crate) chunks: bool,
    /// LMTP is spoken.
    pub(crate) lmtp: bool,
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
    /// AUTH with this mechanism, and with this initial response if there was one.
    Auth(String, Option<Vec<u8>>),
    /// A line of an exchange.
    Response(Vec<u8>),
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
    /// Of the reply that is being written: the lines before this one, and this one.
    reply_lines: Vec<Vec<u8>>,
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
    /// What the application has said of the message, and the peer was not told yet: one reply, or one for each recipient.
    decided: Option<VecDeque<ReplyCode>>,
    /// One of these was 421.
    leaves: bool,
    /// The sink has failed, or nobody has decided in time: reasons for a session to refuse a message by itself.
    not_stored: bool,
    undecided: bool,
    shape: Shape,
    /// The application knows who the client is, and the client was not told yet.
    granted: bool,
    pub(crate) identified: bool,
    /// The mechanism of the exchange that is under way.
    mechanism: Option<String>,
    /// The application goes on with this, and the client was not told yet.
    challenge: Option<Vec<u8>>,
    auth_failures: u32,
    /// What the last reply to EHLO offers, if nobody has looked at it yet.
    pub(crate) offered: Option<Vec<String>>,
    /// Nothing may be said before the handshake is over.
    handshaking: bool,
    inside: bool,
    /// The driver can do handshakes.
    pub(crate) tls_available: bool,
    /// Nothing but 421 may come.
    hopeless: bool,
    /// 221 or 421 came: nothing else will.
    over: bool,
}

impl Dialogue {
    pub(crate) fn new(shape: Shape, implicit_tls: bool) -> Self {
        Self {
            mode: Mode::Lines,
            held: Vec::new(),
            owed: vec![Owed { stage: Stage::Connect, says: Says::Other }],
            answered: 0,
            more: 0,
            replies: Vec::new(),
            reply_lines: Vec::new(),
            reply_line: Vec::new(),
            within: None,
            greeted: false,
            refused: false,
            envelope: Envelope::default(),
            chunks: None,
            failed: false,
            binary: false,
            decided: None,
            leaves: false,
            not_stored: false,
            undecided: false,
            shape,
            granted: false,
            identified: false,
            mechanism: None,
            challenge: None,
            auth_failures: 0,
            offered: None,
            handshaking: implicit_tls,
            inside: false,
            tls_available: true,
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
                        let message = Message::new(unstuffed(&raw[..raw.len() - 3]), self.binary, &self.shape);
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
                    let line = self.held[..self.held.len() - 2].to_vec();
                    self.owe(Stage::AuthResponse, Says::Response(line));
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
            Ok(Command::Auth { .. }) => auth::initial(line),
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
                let text = [self.chunks.as_deref().unwrap_or_default(), octets].concat();
                Some(Message::new(text, self.binary, &self.shape))
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
        (self.not_stored, self.undecided) = (false, false);
    }

    fn owe(&mut self, stage: Stage, says: Says) {
        self.owed.push(Owed { stage, says });
    }

    /// The application has decided on the message: these are the replies to it.
    pub(crate) fn decided(&mut self, replies: Vec<ReplyCode>) {
        assert!(self.decided.is_none(), "two decisions on one message");
        self.decided = Some(replies.into());
    }

    /// The handshake of TLS is done: nothing that was said before it counts (RFC 3207 §4.2).
    pub(crate) fn inside_tls(&mut self) {
        (self.greeted, self.identified) = (false, false);
        (self.handshaking, self.inside) = (false, true);
        self.end_transaction();
        assert!(self.held.is_empty(), "a line in clear is left");
    }

    /// The reply that came last was taken back. Gives its length.
    pub(crate) fn retracted(&mut self) {
        let code = self.replies.pop().expect("a reply was given");
        assert_eq!(code, ReplyCode::READY, "only 220 to STARTTLS may be taken back");
        self.handshaking = false;
        self.answered -= 1;
    }

    /// The sink of the message has failed.
    pub(crate) const fn not_stored(&mut self) {
        self.not_stored = true;
    }

    /// The question about the message is over without an answer.
    pub(crate) const fn undecided(&mut self) {
        self.undecided = true;
    }

    /// Whether some replies to a message were given, and more of them are to come.
    pub(crate) const fn is_answering(&self) -> bool {
        self.more > 0 || self.decided.is_some()
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
