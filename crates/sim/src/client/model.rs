//! A plain model of the client's side: from the commands that it sent and the replies that it heard, what became of each recipient.

mod hears;

use ehlo_client::{RecipientOutcome, Stage};
use ehlo_codec::{ReplyClass, ReplyCode};
use std::time::Duration;

/// No wait of the default settings is longer (RFC 5321 §4.5.3.2.6), and no other ones are used.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// One transaction, in the order in which they were begun.
#[derive(Debug, Default)]
struct Transaction {
    /// MAIL was taken, and so many RCPT.
    sender: bool,
    taken: usize,
    /// RCPT that were sent.
    rcpts: u32,
    /// The server wants a message although it took no recipient.
    empty: bool,
    /// A chunk was refused: no later reply makes a success of it.
    spoilt: bool,
    /// The server closes behind the replies to its recipients.
    leaving: bool,
    /// The last byte of its message was written.
    ended: bool,
    decided: Vec<Option<RecipientOutcome>>,
}

/// What the client is in the middle of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Lines,
    /// Behind 354.
    Body,
    /// So many bytes of the end of a body, which are no command.
    End(usize),
    /// So many octets of a chunk, whose reply is to come behind them.
    Chunk {
        left: u64,
        last: bool,
    },
}

#[derive(Debug)]
pub(super) struct Model {
    /// What was sent, in order, and for which transaction; the greeting answers the connection.
    commands: Vec<(Stage, usize)>,
    /// How many of them have a reply.
    answered: usize,
    mode: Mode,
    /// Of a command that is being sent.
    line: Vec<u8>,
    transactions: Vec<Transaction>,
    /// MAIL that were sent: the last one's is the transaction that is being written.
    mails: usize,
    lmtp: bool,
    /// Lines are responses, up to the end of the exchange; it was given up by `*`.
    in_auth: bool,
    given_up: bool,
    /// The last 334, decoded.
    challenge: Option<Vec<u8>>,
    /// RSET was sent behind the last MAIL, and the server may hold an envelope.
    reset: bool,
    dirty: bool,
    /// Inside TLS, nothing that was said in clear counts.
    offered: Vec<Vec<u8>>,
    pub(super) inside_tls: bool,
    /// The server looks at nothing any more.
    gone: bool,
    /// A chunk without octets ends with its command, since the driver has said so already.
    pub(super) empty_chunks_end: bool,
    hears: hears::Hears,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            commands: vec![(Stage::Greeting, usize::MAX)],
            answered: 0,
            mode: Mode::Lines,
            line: Vec::new(),
            transactions: Vec::new(),
            mails: 0,
            lmtp: false,
            in_auth: false,
            given_up: false,
            challenge: None,
            reset: false,
            dirty: false,
            offered: Vec::new(),
            inside_tls: false,
            gone: false,
            empty_chunks_end: false,
            hears: hears::Hears::default(),
        }
    }
}

impl Model {
    pub(super) fn unanswered(&self) -> Vec<Stage> {
        self.commands.iter().skip(self.answered).map(|(stage, _)| *stage).collect()
    }

    /// Begins the next transaction; gives its place.
    pub(super) fn begin(&mut self, recipients: usize) -> usize {
        self.transactions.push(Transaction { decided: vec![None; recipients], ..Transaction::default() });
        self.transactions.len() - 1
    }

    /// Whether a body may be written: somebody was taken, or it goes out along with its envelope.
    pub(super) fn wants_body(&self, at: usize, fused: bool) -> bool {
        at + 1 == self.transactions.len() && (fused || self.transactions[at].taken > 0)
    }

    /// Whether the server offers that, in the present state.
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let is_it = |line: &Vec<u8>| {
            line.split(|b| *b == b' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
        };
        self.offered.iter().any(is_it)
    }

    pub(super) fn challenge(&self) -> Option<&[u8]> {
        self.challenge.as_deref()
    }

    pub(super) const fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// The handshake is done: what was said in clear is forgotten (RFC 3207 §4.2).
    pub(super) fn inside_tls(&mut self) {
        self.inside_tls = true;
        self.offered.clear();
        // A connection may begin with TLS.
        assert!(self.answered == self.commands.len() || self.commands.len() == 1, "commands in clear behind STARTTLS");
    }

    /// Whether all octets of a chunk were written.
    pub(super) const fn is_chunk_full(&self) -> bool {
        matches!(self.mode, Mode::Chunk { left: 0, .. })
    }

    /// The driver has written so many octets of a body.
    pub(super) fn body_sent(&mut self, octets: usize) {
        match &mut self.mode {
            Mode::Chunk { left, .. } => {
                assert!(*left >= octets as u64, "{octets} octets where the chunk has {left} more");
                *left -= octets as u64;
            }
            Mode::Body => {}
            mode => panic!("a body within {mode:?}"),
        }
    }

    /// The driver has written a body or a chunk; so many bytes of its end are to come.
    pub(super) fn body_finished(&mut self, end: usize) {
        match self.mode {
            Mode::Chunk { left, last } => {
                assert_eq!((left, end), (0, 0), "a chunk is as long as was said");
                self.mode = Mode::Lines;
                if last { self.end() } else { self.push(Stage::Chunk) }
            }
            Mode::Body if end == 0 => {
                self.mode = Mode::Lines;
                self.end();
            }
            Mode::Body => self.mode = Mode::End(end),
            mode => panic!("the end of a body within {mode:?}"),
        }
    }

    fn push(&mut self, stage: Stage) {
        self.commands.push((stage, self.mails.wrapping_sub(1)));
    }

    /// A message was written to its end.
    fn end(&mut self) {
        let transaction = &mut self.transactions[self.mails - 1];
        transaction.ended = true;
        if !self.lmtp {
            return self.push(Stage::Body);
        }
        // RFC 2033 §4.2: a reply for each recipient that was taken, also behind a chunk that was not.
        let waiting = (0..).zip(&transaction.decided).filter(|(_, decided)| decided.is_none()).map(|(i, _)| i);
        for i in waiting.collect::<Vec<u32>>() {
            self.push(Stage::Delivery(i));
        }
    }

    /// The session's own bytes were written.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Mode::End(left) = &mut self.mode {
                *left -= 1;
                if *left == 0 {
                    self.mode = Mode::Lines;
                    self.end();
                }
                continue;
            }
            self.line.push(byte);
            if self.line.ends_with(b"\r\n") {
                assert_eq!(self.mode, Mode::Lines, "a command within a body: {}", self.line.escape_ascii());
                let line = std::mem::take(&mut self.line);
                self.command(&line);
            }
        }
    }

    fn command(&mut self, line: &[u8]) {
        if self.in_auth {
            self.given_up |= line == b"*\r\n";
            self.challenge = None;
            return self.push(Stage::Auth);
        }
        let stage = match line {
            [b'E', b'H', b'L', b'O', b' ', ..] => Stage::Ehlo,
            [b'H', b'E', b'L', b'O', b' ', ..] => Stage::Helo,
            [b'L', b'H', b'L', b'O', b' ', ..] => {
                self.lmtp = true;
                Stage::Lhlo
            }
            b"STARTTLS\r\n" => {
                assert!(self.offers("STARTTLS") && !self.inside_tls, "STARTTLS where there is none");
                Stage::StartTls
            }
            [b'A', b'U', b'T', b'H', b' ', ..] => {
                (self.in_auth, self.given_up) = (true, false);
                Stage::Auth
            }
            b"RSET\r\n" => {
                self.reset = true;
                // It belongs to what follows.
                return self.commands.push((Stage::Rset, self.mails));
            }
            b"DATA\r\n" => Stage::Data,
            b"QUIT\r\n" => Stage::Quit,
            // The message that is empty, for a server that wants one although it took no recipient.
            b".\r\n" => {
                self.transactions[self.mails - 1].ended = true;
                Stage::Body
            }
            [b'M', b'A', b'I', b'L', b' ', ..] => return self.mail(line),
            [b'R', b'C', b'P', b'T', b' ', ..] => {
                let transaction = &mut self.transactions[self.mails - 1];
                transaction.rcpts += 1;
                Stage::Rcpt(transaction.rcpts - 1)
            }
            [b'B', b'D', b'A', b'T', b' ', rest @ ..] => {
                assert!(self.offers("CHUNKING"), "BDAT where there is none");
                let text = std::str::from_utf8(rest).expect("a count").trim_ascii_end();
                let (count, last) = text.strip_suffix(" LAST").map_or((text, false), |count| (count, true));
                self.mode = Mode::Chunk { left: count.parse().expect("a count"), last };
                if self.empty_chunks_end && self.is_chunk_full() {
                    self.body_finished(0);
                }
                return;
            }
            line => panic!("no command: {}", line.escape_ascii()),
        };
        self.push(stage);
    }

    fn mail(&mut self, line: &[u8]) {
        assert!(self.mails < self.transactions.len(), "MAIL for no transaction");
        // What a transaction behind which nothing was said has left there, RSET takes away (RFC 5321 §4.1.1.5).
        let holds = if self.answered < self.commands.len() { self.may_stay() } else { self.dirty };
        assert!(self.reset || !holds, "MAIL, and the server may hold an envelope");
        for (word, keyword) in [(" SIZE=", "SIZE"), (" BODY=8BITMIME", "8BITMIME"), (" BODY=BINARYMIME", "BINARYMIME")]
        {
            let said = line.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!said || self.offers(keyword), "{} is not on offer", word.escape_debug());
        }
        self.reset = false;
        self.mails += 1;
        self.push(Stage::Mail);
    }

    /// Whether a transaction that is not answered may leave an envelope behind: only the end of DATA, with a recipient, is sure to take it.
    fn may_stay(&self) -> bool {
        let Some(last) = self.mails.checked_sub(1).map(|at| &self.transactions[at]) else { return false };
        let by_data = self.commands.iter().any(|(stage, at)| *stage == Stage::Data && at + 1 == self.mails);
        !(by_data && last.taken > 0)
    }

    /// The session tells of a reply. Gives the transaction that it is for.
    pub(super) fn replied(&mut self, stage: Stage, code: ReplyCode, in_body: bool) -> Option<usize> {
        let told = self.hears.told();
        assert_eq!(told.code, code, "another reply came");
        let refusal = RecipientOutcome::Refused { code, enhanced: told.enhanced };
        let expected = self.commands.get(self.answered).copied();
        self.answered += 1;
        let at = self.mails.wrapping_sub(1);
        let (expected, at) = expected.map_or((None, at), |(stage, at)| (Some(stage), at));
        let no = matches!(code.class(), ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        match expected {
            // A refusal that began before the end of a message is for all of its recipients.
            Some(Stage::Delivery(_)) if stage == Stage::Body && no && !told.solicited => {}
            Some(expected) => assert_eq!(stage, expected, "replies are matched in order"),
            // Half a body: the server has had enough.
            None => {
                let empty = self.transactions.get(at).is_some_and(|transaction| transaction.empty);
                assert!(stage == Stage::Body && (in_body || empty), "{code} for {stage:?}, which was not sent");
            }
        }
        let class = code.class();
        // A server that talks ahead of the command would shift every answer by one.
        assert!(told.solicited || (stage == Stage::Body && no), "{code} began before {stage:?} was sent");
        match stage {
            Stage::Ehlo | Stage::Lhlo if class == ReplyClass::Completion => self.offered = told.lines,
            // The body follows, if there is anybody to have it.
            Stage::Data if class == ReplyClass::Intermediate && self.transactions[at].taken > 0 => {
                self.mode = Mode::Body
            }
            Stage::Auth => {
                self.in_auth = class == ReplyClass::Intermediate;
                self.challenge = self.in_auth.then(|| told.challenge()).flatten();
            }
            Stage::Rset if class == ReplyClass::Completion => self.dirty = false,
            Stage::Mail if class == ReplyClass::Completion => self.dirty = true,
            _ => {}
        }
        let leaves = code == ReplyCode::SERVICE_NOT_AVAILABLE && stage != Stage::Quit;
        let more = matches!(self.commands.get(self.answered), Some((Stage::Delivery(_), next)) if *next == at);
        let transaction = self.transactions.get_mut(at)?;
        if leaves && !matches!(stage, Stage::Delivery(_)) {
            self.gone = true;
            transaction.decide(refusal);
            return Some(at);
        }
        transaction.replied(stage, code, refusal);
        match stage {
            Stage::Body | Stage::Delivery(_) => {
                let accepted = transaction.decided.contains(&Some(RecipientOutcome::Accepted));
                let by_data = self.commands.iter().any(|(stage, of)| *stage == Stage::Data && *of == at);
                self.dirty &= !by_data && !accepted;
                transaction.leaving |= leaves;
                self.gone |= transaction.leaving && !more && class != ReplyClass::Intermediate;
            }
            _ => {}
        }
        matches!(stage, Stage::Mail | Stage::Rcpt(_) | Stage::Data | Stage::Chunk | Stage::Body | Stage::Delivery(_))
            .then_some(at)
    }

    /// What must have become of the recipients, if the transaction ends now.
    pub(super) fn outcomes(&self, at: usize, gone: bool) -> Vec<RecipientOutcome> {
        let transaction = &self.transactions[at];
        // A doubt begins where the last byte of the message is written, and no earlier; and what stands behind a 421 is not looked at.
        let lost =
            if transaction.ended && !gone && !self.gone { RecipientOutcome::Unknown } else { RecipientOutcome::Unsent };
        transaction.decided.iter().map(|decided| decided.unwrap_or(lost)).collect()
    }

    /// A 421 came that answers nothing: what is not answered was not looked at, unless it is malformed and so no reply.
    pub(super) fn is_told_off(&self) -> bool {
        self.hears.untold() == Some(ReplyCode::SERVICE_NOT_AVAILABLE)
    }

    /// The session has used these bytes of the server.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        self.hears.heard(bytes, self.answered, self.commands.len());
    }
}

impl Transaction {
    fn replied(&mut self, stage: Stage, code: ReplyCode, refusal: RecipientOutcome) {
        let class = code.class();
        let no = matches!(class, ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        let yes = class == ReplyClass::Completion;
        match stage {
            Stage::Mail if no => self.decide(refusal),
            Stage::Mail => self.sender = yes,
            Stage::Rcpt(i) if no && self.sender => {
                self.decided[i as usize].get_or_insert(refusal);
            }
            Stage::Rcpt(_) => self.taken += usize::from(self.sender && yes),
            // Half of the message without content that a server gets which wants one for no recipient.
            Stage::Data if class == ReplyClass::Intermediate => self.empty = self.taken == 0,
            Stage::Chunk if no => {
                self.spoilt = true;
                self.decide(refusal);
            }
            Stage::Data | Stage::Body if no => self.decide(refusal),
            Stage::Body if yes && self.taken > 0 => self.decide(RecipientOutcome::Accepted),
            Stage::Delivery(i) if yes || no => {
                self.decided[i as usize].get_or_insert(if yes { RecipientOutcome::Accepted } else { refusal });
            }
            _ => {}
        }
    }

    fn decide(&mut self, outcome: RecipientOutcome) {
        for decided in &mut self.decided {
            decided.get_or_insert(outcome);
        }
    }
}
