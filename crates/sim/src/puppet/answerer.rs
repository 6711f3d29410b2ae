//! A server that answers: correctly, or with anything at all.

use super::{Leave, words};
use crate::rng::Rng;
use crate::server::Stored;

#[derive(Debug, PartialEq)]
enum Mode {
    Lines,
    Body,
    /// So many octets of a chunk are to come; whether it is the last, and whether it was answered before it came.
    Chunk {
        left: u64,
        last: bool,
        answered: bool,
    },
    /// A response is to come.
    Auth,
}

#[derive(Debug)]
pub(crate) struct Answerer {
    lmtp: bool,
    /// Replies that are not what they should be, in percent.
    chaos: usize,
    /// Commands that are refused properly, in percent.
    refuse: usize,
    /// Puts clear text behind the 220 that answers STARTTLS.
    injects: bool,
    pub(crate) greeting: Vec<u8>,
    offers: Vec<&'static str>,
    held: Vec<u8>,
    /// So often it waits for long.
    patience: u8,
    mode: Mode,
    /// It waits for a handshake.
    pub(crate) handshaking: bool,
    inside: bool,
    from: String,
    to: Vec<String>,
    /// What came in chunks so far, and whether one was refused.
    chunks: Vec<u8>,
    failed: bool,
    /// Messages that it has said 250 to; of use only without chaos.
    pub(crate) store: Vec<Stored>,
}

/// What EHLO may offer.
const OFFERS: &[&str] = &[
    "PIPELINING",
    "SIZE 100000",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    "CHUNKING",
    "BINARYMIME",
    "STARTTLS",
    "AUTH PLAIN LOGIN",
    "X-NEW a=b",
];

impl Answerer {
    pub(crate) fn new(lmtp: bool, rng: &mut Rng) -> Self {
        let chaos = *rng.pick(&[0, 0, 0, 3, 10, 50]);
        let most = *rng.pick(&[10, 70, 95]);
        let mut offers: Vec<&'static str> = OFFERS.iter().copied().filter(|_| rng.percent(most)).collect();
        if rng.percent(15) {
            offers.push(rng.pick::<&str>(&[
                "LIMITS RCPTMAX=2",
                "LIMITS MAILMAX=2",
                "LIMITS RCPTDOMAINMAX=1 X=y",
                "SIZE 0",
                "SIZE 100",
            ]));
        }
        let mut answerer = Self {
            lmtp,
            chaos,
            refuse: *rng.pick(&[0, 10, 40]),
            injects: rng.percent(25),
            greeting: Vec::new(),
            offers,
            held: Vec::new(),
            patience: 5,
            mode: Mode::Lines,
            handshaking: false,
            inside: false,
            from: String::new(),
            to: Vec::new(),
            chunks: Vec::new(),
            failed: false,
            store: Vec::new(),
        };
        let mut greeting = Vec::new();
        // Where it leaves at once, it does so a little later.
        let _ = answerer.answer(b"220 mx.example\r\n", rng, &mut greeting);
        answerer.greeting = greeting;
        answerer
    }

    /// Whether what it stored can be relied on.
    pub(crate) const fn is_honest(&self) -> bool {
        self.chaos == 0
    }

    /// A handshake was made, or has failed.
    pub(crate) fn handshaken(&mut self) {
        (self.handshaking, self.inside) = (false, true);
        (self.from, self.to) = (String::new(), Vec::new());
        self.held.clear();
        // What it offers inside need not be what it offered outside.
        if self.store.len() + self.offers.len() % 2 == 0 {
            self.offers.retain(|offer| *offer != "CHUNKING" && *offer != "PIPELINING");
        }
    }

    pub(super) fn hear(&mut self, bytes: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        for &byte in bytes {
            self.held.push(byte);
            let leave = match &mut self.mode {
                Mode::Chunk { left, .. } => {
                    *left -= 1;
                    if *left == 0 { self.chunk(rng, out) } else { None }
                }
                Mode::Body if self.held.ends_with(b"\r\n.\r\n") || self.held == b".\r\n" => self.message(rng, out),
                Mode::Lines | Mode::Auth if self.held.ends_with(b"\r\n") => {
                    let held = std::mem::take(&mut self.held);
                    if self.mode == Mode::Auth { self.auth(&held, rng, out) } else { self.command(&held, rng, out) }
                }
                _ => None,
            };
            if leave.is_some() {
                return leave;
            }
        }
        None
    }

    /// All of a message came: it is stored, or is not.
    fn decide(&mut self, body: Vec<u8>, rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        const NO: &[&[u8]] = &[b"554 5.6.0 no\r\n", b"451 4.3.0 later\r\n", b"552 big\r\n"];
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        if !self.lmtp {
            if rng.percent(self.refuse) {
                return self.answer(rng.pick::<&[u8]>(NO), rng, out);
            }
            // The message for nobody is none.
            if !to.is_empty() {
                self.store.push(Stored { from, to, body });
            }
            return self.answer(b"250 2.0.0 taken\r\n", rng, out);
        }
        let (mut kept, mut leave) = (Vec::new(), None);
        for one in to {
            let yes = !rng.percent(self.refuse);
            if yes {
                kept.push(one);
            }
            // RFC 2033 §4.2: what is said to one is nothing to the others.
            let no = if rng.percent(10) { b"421 4.3.2 not for you\r\n" } else { *rng.pick::<&[u8]>(NO) };
            leave = leave.or(self.answer(if yes { b"250 2.0.0 kept\r\n" } else { no }, rng, out));
        }
        if !kept.is_empty() {
            self.store.push(Stored { from, to: kept, body });
        }
        leave
    }

    fn message(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        self.mode = Mode::Lines;
        let wire = std::mem::take(&mut self.held);
        let body: Vec<u8> = wire[..wire.len() - 3]
            .split_inclusive(|b| *b == b'\n')
            .flat_map(|line| line.strip_prefix(b".").unwrap_or(line))
            .copied()
            .collect();
        self.decide(body, rng, out)
    }

    /// A chunk came whole.
    fn chunk(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        let octets = std::mem::take(&mut self.held);
        let Mode::Chunk { last, answered, .. } = std::mem::replace(&mut self.mode, Mode::Lines) else { return None };
        if answered {
            return None;
        }
        if self.failed || self.to.is_empty() {
            self.failed = true;
            let times = if self.lmtp && last { self.to.len() } else { 1 };
            return (0..times).fold(None, |leave, _| leave.or(self.answer(b"503 5.5.1 no\r\n", rng, out)));
        }
        self.chunks.extend_from_slice(&octets);
        if last {
            let body = std::mem::take(&mut self.chunks);
            return self.decide(body, rng, out);
        }
        if rng.percent(self.refuse) {
            self.failed = true;
            return self.answer(b"452 4.3.1 full\r\n", rng, out);
        }
        self.answer(b"250 2.0.0 more\r\n", rng, out)
    }

    /// A line within an exchange of AUTH, or what begins one.
    fn auth(&mut self, line: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        self.mode = Mode::Lines;
        if line == b"*\r\n" {
            // One may take it for a secret, and have nobody logged in.
            let no = if rng.percent(80) { &b"501 5.7.0 as you like\r\n"[..] } else { b"235 2.7.0 welcome\r\n" };
            return self.answer(no, rng, out);
        }
        let reply = *rng.pick::<&[u8]>(&[
            b"235 2.7.0 welcome\r\n",
            b"235 2.7.0 welcome\r\n",
            b"334 VXNlcm5hbWU6\r\n",
            b"334 VXNlcm5hbWU6\r\n",
            b"334 \r\n",
            b"334 no base64!\r\n",
            b"334-AAAA\r\n334 AAAA\r\n",
            b"535 5.7.8 no\r\n",
            b"454 4.7.0 later\r\n",
        ]);
        if reply.starts_with(b"334") {
            self.mode = Mode::Auth;
        }
        self.answer(reply, rng, out)
    }

    fn reset(&mut self) {
        (self.from, self.to) = (String::new(), Vec::new());
        (self.chunks, self.failed) = (Vec::new(), false);
    }

    fn command(&mut self, line: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        let text = String::from_utf8_lossy(line).into_owned();
        let path = |text: &str| text[text.find('<').unwrap_or(0)..=text.rfind('>').unwrap_or(0)].to_owned();
        let refuse = rng.percent(self.refuse);
        let later = rng.percent(50);
        let no: &[u8] = if later { b"450 4.2.1 later\r\n" } else { b"550 5.1.1 no\r\n" };
        let verb = text.get(..4).unwrap_or_default();
        let offers = |keyword: &str| self.offers.iter().any(|offer| offer.split(' ').next() == Some(keyword));
        let reply: &[u8] = match verb {
            "EHLO" if refuse && later => b"502 what\r\n",
            "EHLO" | "LHLO" => {
                let hello = self.hello();
                return self.answer(&hello, rng, out);
            }
            "HELO" => b"250 mx.example\r\n",
            "STAR" if refuse => b"454 4.7.0 not now\r\n",
            "STAR" => {
                let leave = self.answer(b"220 go\r\n", rng, out);
                self.handshaking = true;
                if self.injects {
                    out.extend_from_slice(rng.pick::<&[u8]>(&[
                        b"250-mx\r\n250 AUTH LOGIN\r\n",
                        b"250-X",
                        b"2",
                        b"\r\n",
                    ]));
                }
                return leave;
            }
            "AUTH" if offers("AUTH") => return self.auth(line, rng, out),
            "MAIL" if !self.from.is_empty() => b"503 5.5.1 within a transaction\r\n",
            "MAIL" if refuse => no,
            "MAIL" => {
                self.reset();
                self.from = path(&text);
                b"250 2.1.0 ok\r\n"
            }
            "BDAT" if offers("CHUNKING") => return self.bdat(&text, rng, out),
            _ if self.from.is_empty() && !text.starts_with("RSET") && !text.starts_with("QUIT") => {
                b"503 5.5.1 first\r\n"
            }
            "RCPT" if refuse => no,
            "RCPT" => {
                self.to.push(path(&text));
                b"250 2.1.5 ok\r\n"
            }
            // RFC 2920 §3.1: some want a message although nobody gets it.
            "DATA" if self.to.is_empty() && !(self.refuse == 40 && later && !self.lmtp) => b"503 5.5.1 nobody\r\n",
            "DATA" if refuse && !self.to.is_empty() => b"451 4.3.0 later\r\n",
            "DATA" => {
                self.mode = Mode::Body;
                b"354 go\r\n"
            }
            "RSET" => {
                self.reset();
                b"250 ok\r\n"
            }
            "QUIT" => {
                let _ = self.answer(b"221 bye\r\n", rng, out);
                return Some(Leave::Close);
            }
            _ => b"500 what\r\n",
        };
        self.answer(reply, rng, out)
    }

    fn hello(&self) -> Vec<u8> {
        let mut lines = vec!["mx.example"];
        lines.extend(self.offers.iter().filter(|offer| **offer != "STARTTLS" || !self.inside));
        let (last, lines) = lines.split_last().expect("a line");
        let mut reply: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        reply += &format!("250 {last}\r\n");
        reply.into_bytes()
    }

    fn bdat(&mut self, text: &str, rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        let text = text.trim_end();
        let last = text.ends_with(" LAST");
        let left: u64 = text[5..].trim_end_matches(" LAST").parse().unwrap_or(0);
        // A server need not have a chunk to know that it does not want it.
        let early = left > 0 && !(self.lmtp && last) && rng.percent(self.refuse / 4);
        self.mode = Mode::Chunk { left, last, answered: early };
        if early {
            self.failed = true;
            return self.answer(b"552 5.3.4 too large\r\n", rng, out);
        }
        if left == 0 { self.chunk(rng, out) } else { None }
    }

    /// Puts out a reply, or something else.
    fn answer(&mut self, reply: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        if !rng.percent(self.chaos) {
            out.extend_from_slice(reply);
            return None;
        }
        match rng.below(16) {
            // None at all.
            0 => {}
            // Twice.
            1 => {
                out.extend_from_slice(reply);
                out.extend_from_slice(reply);
            }
            // Before the one that comes before it.
            2 => {
                let kept = std::mem::take(out);
                out.extend_from_slice(reply);
                out.extend_from_slice(&kept);
            }
            3 => out.extend_from_slice(b"250-a\r\n251 b\r\n"),
            4 => {
                words::junk(rng, out, 100);
                out.extend_from_slice(b"\r\n");
            }
            5 => out.extend_from_slice(&reply[..rng.below(reply.len())]),
            6 => {
                out.extend_from_slice(&reply[..rng.below(reply.len())]);
                return Some(*rng.pick(&[Leave::Close, Leave::HalfClose, Leave::Reset, Leave::Sleep]));
            }
            7 => {
                out.extend_from_slice(b"250 ");
                out.resize(out.len() + rng.between(400, 5000), b'x');
                out.extend_from_slice(b"\r\n");
            }
            8 => {
                for _ in 0..rng.between(1, 300) {
                    out.extend_from_slice(b"250-more\r\n");
                }
                out.extend_from_slice(b"250 end\r\n");
            }
            9 => {
                out.extend_from_slice(b"421 4.3.2 enough\r\n");
                return Some(Leave::Close);
            }
            10 => out.extend_from_slice(b"250 lf\n"),
            11 => out.extend_from_slice(b"250"),
            // Any code.
            _ => out.extend_from_slice(format!("{} any\r\n", rng.between(100, 620)).as_bytes()),
        }
        None
    }

    /// Nobody has said anything for long. Gives whether it will not be waited for any more.
    pub(super) fn mumble(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> bool {
        if self.chaos > 0 && rng.percent(self.chaos) {
            let _ = self.answer(b"250 ok\r\n", rng, out);
        }
        self.patience = self.patience.saturating_sub(1);
        self.patience == 0
    }
}
