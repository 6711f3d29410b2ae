//! A client that says anything: mostly sensible, in batches or not, often wrong, and sometimes noise.

use super::{Leave, words};
use crate::dialogue::unstuffed;
use crate::rng::Rng;
use ehlo_codec::ForwardPath;
use std::collections::VecDeque;

/// What became of a request to say something.
pub(super) enum Said {
    More,
    /// It waits for replies.
    Waits,
    /// This was the last.
    Last(Leave),
}

/// How it talks, in percent of the occasions.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// A line that makes sense where it stands.
    sense: usize,
    /// What it is told is heeded: what was refused is not built on, and what is missing is done.
    heed: usize,
    /// More commands before the replies are read.
    batch: usize,
    /// A body is sent before 354 came.
    blast: usize,
    /// Noise.
    noise: usize,
    /// STARTTLS.
    tls: usize,
    /// AUTH, between EHLO and MAIL.
    auth: usize,
    /// Commands in clear right behind STARTTLS.
    inject: usize,
    /// BDAT, not DATA.
    chunk: usize,
    /// LHLO, not EHLO.
    lmtp: bool,
    /// The server knows BDAT.
    chunks_known: bool,
}

impl Manners {
    fn new(lmtp: bool, chunks_known: bool, rng: &mut Rng) -> Self {
        let chunk = *rng.pick(&[0, 20, 80]);
        if rng.percent(40) {
            // One that means it.
            return Self {
                sense: 100,
                heed: 100,
                batch: *rng.pick(&[0, 0, 30]),
                blast: 0,
                noise: 0,
                tls: *rng.pick(&[0, 5]),
                auth: 5,
                inject: 0,
                chunk,
                lmtp,
                chunks_known,
            };
        }
        Self {
            sense: *rng.pick(&[30, 80, 95, 99]),
            heed: *rng.pick(&[0, 80]),
            batch: *rng.pick(&[0, 30, 80]),
            blast: *rng.pick(&[0, 0, 10, 60]),
            noise: *rng.pick(&[0, 0, 2, 20]),
            tls: *rng.pick(&[0, 5, 15, 30]),
            auth: *rng.pick(&[0, 5, 40, 60]),
            inject: *rng.pick(&[0, 60, 90]),
            chunk,
            lmtp,
            chunks_known,
        }
    }
}

/// Whether a batch goes on.
enum Next {
    Must,
    May,
    Never,
}

/// Where it thinks that it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    New,
    Hello,
    Sender,
    Recipients,
    /// DATA was said.
    Data,
    /// A chunk was sent, and was not the last.
    Chunks,
}

#[derive(Debug)]
enum Asked {
    Sender,
    Recipient(String),
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    /// Dots taken out.
    body: Vec<u8>,
    /// Under LMTP: the recipients whose replies are to come, in their order.
    to: Option<VecDeque<String>>,
}

/// What was told to be safe: a message, and under LMTP for whom.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) body: Vec<u8>,
    pub(crate) to: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Talker {
    manners: Manners,
    stand: Stand,
    /// Things that it will still say.
    left: usize,
    /// Replies that it has to wait for, beginning with the greeting.
    awaited: usize,
    /// The code of the last reply.
    code: [u8; 3],
    line: Vec<u8>,
    /// It knows which reply answers what: it has waited for each, and said nothing that may get none or two.
    certain: bool,
    /// The greeting came.
    greeted: bool,
    /// It waits for a handshake, and says nothing in clear any more.
    handshaking: bool,
    /// It speaks LMTP, and these were surely accepted, if everything since MAIL was waited for by itself.
    recipients: Option<Vec<String>>,
    /// What waits for its reply by itself: MAIL, or RCPT with this path.
    asked: Option<Asked>,
    /// The message that waits for its reply or replies, if everything was waited for up to there.
    sent: Option<Sent>,
    /// What it was told is safe.
    pub(crate) acknowledged: Vec<Acknowledged>,
    serial: usize,
}

impl Talker {
    /// `lmtp` if it is LMTP that it talks, to a server that knows BDAT or does not.
    pub(crate) fn new(lmtp: bool, chunks_known: bool, rng: &mut Rng) -> Self {
        let manners = Manners::new(lmtp, chunks_known, rng);
        let least = if manners.heed == 100 { 15 } else { 1 };
        Self {
            manners,
            stand: Stand::New,
            left: rng.between(least, 40),
            awaited: 1,
            code: [0; 3],
            line: Vec::new(),
            certain: true,
            greeted: false,
            handshaking: false,
            recipients: None,
            asked: None,
            sent: None,
            acknowledged: Vec::new(),
            serial: 0,
        }
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.line.push(byte);
            if byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.get(3) == Some(&b'-') || line.len() < 5 {
                continue;
            }
            self.code.copy_from_slice(&line[..3]);
            self.awaited = self.awaited.saturating_sub(1);
            if self.code == *b"220" {
                self.handshaking = self.greeted && self.manners.inject == 0;
                self.greeted = true;
            }
            let yes = self.code[0] == b'2';
            match (self.asked.take(), &mut self.recipients) {
                (Some(Asked::Sender), _) => self.recipients = yes.then(Vec::new),
                (Some(Asked::Recipient(to)), Some(recipients)) if yes => recipients.push(to),
                _ => {}
            }
            // The first reply behind a message that was the first thing to wait for is its own; under LMTP there is one for each recipient.
            let Some(sent) = &mut self.sent else { continue };
            let to = sent.to.as_mut().and_then(VecDeque::pop_front);
            if yes {
                self.acknowledged.push(Acknowledged { body: sent.body.clone(), to });
            }
            if sent.to.as_ref().is_none_or(VecDeque::is_empty) {
                self.sent = None;
            }
        }
    }

    /// The handshake is over.
    pub(crate) fn handshaken(&mut self) {
        self.handshaking = false;
        self.stand = Stand::New;
        // Where the connection begins with it, the greeting comes behind it.
        self.awaited = usize::from(!self.greeted);
    }

    pub(super) fn say(&mut self, impatient: bool, rng: &mut Rng, out: &mut Vec<u8>) -> Said {
        if self.handshaking {
            return Said::Waits;
        }
        if self.awaited > 0 && !impatient {
            return Said::Waits;
        }
        // It did not wait, so the next reply may answer anything.
        if self.awaited > 0 {
            self.certain = false;
            (self.sent, self.asked, self.recipients) = (None, None, None);
        }
        if self.left == 0 {
            if rng.percent(70) {
                out.extend_from_slice(b"QUIT\r\n");
            }
            return Said::Last(*rng.pick(&[Leave::Close, Leave::HalfClose, Leave::Reset, Leave::Sleep]));
        }
        self.awaited = 0;
        loop {
            self.left = self.left.saturating_sub(1);
            match self.one(rng, out) {
                Next::Must if self.left > 0 => {}
                Next::May if self.left > 0 && rng.percent(self.manners.batch) => {}
                _ => return Said::More,
            }
        }
    }

    /// One command, or a body. Gives whether anything follows it in its batch.
    fn one(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> Next {
        if self.stand == Stand::Data {
            self.stand = Stand::Hello;
            if self.code == *b"354" || rng.percent(self.manners.blast) {
                // Unasked for, its lines are commands.
                self.certain &= self.code == *b"354";
                self.body(out.is_empty(), rng, out);
                return Next::May;
            }
        }
        if out.is_empty() && self.awaited == 0 && rng.percent(self.manners.heed) && self.heed(rng, out) {
            return Next::Never;
        }
        if self.code == *b"334" && out.is_empty() {
            self.code = [0; 3];
            words::response(rng, out);
            self.certain &= !out.contains(&b'\n');
            self.end(rng, out);
            return Next::May;
        }
        // Whatever is said now is part of a message.
        self.certain &= self.code != *b"354";
        if rng.percent(self.manners.noise) {
            words::junk(rng, out, 200);
            self.end(rng, out);
            self.certain = false;
            return Next::May;
        }
        if self.stand == Stand::Hello && rng.percent(self.manners.auth) {
            words::auth(rng, out);
            self.end(rng, out);
            return if rng.percent(self.manners.batch) { Next::May } else { Next::Never };
        }
        if rng.percent(self.manners.tls) {
            out.extend_from_slice(b"STARTTLS\r\n");
            self.awaited += 1;
            return if rng.percent(self.manners.inject) { Next::Must } else { Next::Never };
        }
        if !rng.percent(self.manners.sense) {
            let start = out.len();
            words::any_line(rng, out);
            self.certain &= !out[start..].contains(&b'\n');
            // What it takes for commands behind this one is a message.
            self.certain &= !out.ends_with(b"DATA") && !out.windows(4).any(|word| word == b"BDAT");
            self.end(rng, out);
            return Next::May;
        }
        let chance = rng.below(10);
        // Under LMTP each recipient of a message has a reply, so it gets more of them.
        let enough = chance < if self.manners.lmtp { 2 } else { 6 };
        match self.stand {
            Stand::New => {
                let verb: &[u8] = match chance {
                    0 => b"HELO",
                    1 => b"LHLO",
                    _ if self.manners.lmtp => b"LHLO",
                    _ => b"EHLO",
                };
                out.extend_from_slice(verb);
                out.extend_from_slice(b" client.example");
                self.stand = Stand::Hello;
            }
            Stand::Hello => {
                // A transaction whose beginning is not known for sure has recipients that nobody knows.
                self.recipients = None;
                self.asked = (out.is_empty() && self.certain).then_some(Asked::Sender);
                out.extend_from_slice(b"MAIL FROM:");
                out.extend_from_slice(if chance == 0 { "<>" } else { words::path(rng) }.as_bytes());
                if rng.percent(self.manners.chunk / 4) {
                    out.extend_from_slice(b" BODY=BINARYMIME");
                }
                words::params(rng, out);
                self.stand = Stand::Sender;
            }
            Stand::Chunks | Stand::Recipients if enough && rng.percent(self.manners.chunk) => {
                self.chunk(rng, out);
                return Next::May;
            }
            Stand::Chunks => {
                self.chunk(rng, out);
                return Next::May;
            }
            Stand::Recipients if enough => {
                out.extend_from_slice(b"DATA");
                self.stand = Stand::Data;
            }
            Stand::Recipients if chance == 9 => {
                out.extend_from_slice(b"RSET");
                self.stand = Stand::Hello;
            }
            Stand::Sender | Stand::Recipients => {
                let path = words::path(rng);
                if out.is_empty() && self.certain {
                    // A route is not kept (RFC 5321 §4.1.1.3).
                    let path =
                        ForwardPath::parse_prefix(path.as_bytes()).map_or(path.into(), |(path, _)| path.to_string());
                    self.asked = Some(Asked::Recipient(path));
                } else {
                    (self.recipients, self.asked) = (None, None);
                }
                out.extend_from_slice(b"RCPT TO:");
                out.extend_from_slice(path.as_bytes());
                words::params(rng, out);
                self.stand = Stand::Recipients;
            }
            Stand::Data => out.extend_from_slice(b"NOOP"),
        }
        self.end(rng, out);
        // A body that does not wait goes out with its DATA.
        let waits = self.stand == Stand::Data && !rng.percent(self.manners.blast);
        if waits { Next::Never } else { Next::May }
    }

    /// Does not build on what was refused. Gives whether it has said what was missing.
    fn heed(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> bool {
        let refused = matches!(self.code[0], b'4' | b'5');
        match self.stand {
            Stand::Sender if refused && self.code != *b"503" => self.stand = Stand::Hello,
            Stand::Sender | Stand::Chunks if refused => {
                out.extend_from_slice(b"RSET");
                self.stand = Stand::Hello;
                self.end(rng, out);
                return true;
            }
            _ => {}
        }
        // TLS or AUTH comes first, and it does not say which.
        if self.code != *b"530" {
            return false;
        }
        self.code = [0; 3];
        self.stand = Stand::Hello;
        if rng.percent(50) {
            out.extend_from_slice(b"STARTTLS\r\n");
            self.awaited += 1;
        } else {
            words::auth(rng, out);
            self.end(rng, out);
        }
        true
    }

    /// BDAT with its chunk. Nearly always as long as it says.
    fn chunk(&mut self, rng: &mut Rng, out: &mut Vec<u8>) {
        let first = self.stand == Stand::Recipients;
        let alone = out.is_empty() && first;
        let mut octets = Vec::new();
        // The CR and LF of one line end may be in two chunks.
        if !first && rng.percent(20) {
            octets.push(b'\n');
        }
        if !rng.percent(10) {
            self.serial += 1;
            octets.extend_from_slice(format!("Serial: {}\r\n", self.serial).as_bytes());
            words::body(rng, &mut octets);
        }
        let last = rng.percent(50);
        if !last && rng.percent(20) {
            octets.push(b'\r');
        }
        let wrong = rng.percent(3);
        let said = if wrong { rng.below(2 * octets.len() + 2) } else { octets.len() };
        out.extend_from_slice(format!("BDAT {said}{}\r\n", if last { " LAST" } else { "" }).as_bytes());
        out.extend_from_slice(&octets);
        self.awaited += 1;
        // Where there is no BDAT, what follows it is commands.
        self.certain &= !wrong && self.manners.chunks_known;
        self.stand = if last { Stand::Hello } else { Stand::Chunks };
        if last {
            self.expect(alone, octets);
        } else if self.manners.lmtp {
            self.recipients = None;
        }
    }

    /// A message is on its way: alone in its batch, or with other things to wait for.
    fn expect(&mut self, alone: bool, body: Vec<u8>) {
        let alone = alone && self.certain && self.awaited == 1;
        if !self.manners.lmtp {
            self.sent = alone.then_some(Sent { body, to: None });
            return;
        }
        // A message has as many replies there as recipients.
        let to = self.recipients.take().filter(|to| alone && !to.is_empty());
        self.certain &= to.is_some();
        self.awaited += to.as_ref().map_or(0, |to| to.len() - 1);
        self.sent = to.map(|to| Sent { body, to: Some(to.into()) });
    }

    fn end(&mut self, rng: &mut Rng, out: &mut Vec<u8>) {
        let end = words::end(rng);
        out.extend_from_slice(end);
        self.certain &= end == b"\r\n";
        self.awaited += 1;
    }

    fn body(&mut self, alone: bool, rng: &mut Rng, out: &mut Vec<u8>) {
        let start = out.len();
        self.serial += 1;
        out.extend_from_slice(format!("Serial: {}\r\n", self.serial).as_bytes());
        words::body(rng, out);
        if !rng.percent(97) {
            // No end: the rest of the dialogue is part of the message.
            self.certain = false;
            return;
        }
        if !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        let whole = out[start..].to_vec();
        out.extend_from_slice(b".\r\n");
        self.awaited += 1;
        // Only what surely is one message, and the only thing that a reply is awaited for.
        self.certain &= !whole.windows(5).any(|w| w == b"\r\n.\r\n");
        self.expect(alone && self.code == *b"354", unstuffed(&whole));
    }
}
