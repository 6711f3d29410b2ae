//! A server that answers: correctly, or with anything at all.

use super::{Leave, words};
use crate::rng::Rng;
use crate::server::Stored;

#[derive(Debug)]
pub(crate) struct Answerer {
    /// Replies that are not what they should be, in percent.
    chaos: usize,
    /// Commands that are refused properly, in percent.
    refuse: usize,
    pub(crate) greeting: Vec<u8>,
    hello: &'static [u8],
    held: Vec<u8>,
    /// So often it waits for long.
    patience: u8,
    in_body: bool,
    from: String,
    to: Vec<String>,
    /// Messages that it has said 250 to; of use only without chaos.
    pub(crate) store: Vec<Stored>,
}

/// What EHLO may be answered with.
const HELLOS: &[&[u8]] = &[
    b"250 mx.example\r\n",
    b"250-mx.example\r\n250 PIPELINING\r\n",
    b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n",
    b"250-mx.example\r\n250-SIZE\r\n250-8BITMIME\r\n250-X-NEW a=b\r\n250 PIPELINING\r\n",
];

impl Answerer {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let chaos = *rng.pick(&[0, 0, 0, 3, 10, 50]);
        let mut answerer = Self {
            chaos,
            refuse: *rng.pick(&[0, 10, 40]),
            greeting: Vec::new(),
            hello: *rng.pick::<&[u8]>(HELLOS),
            held: Vec::new(),
            patience: 5,
            in_body: false,
            from: String::new(),
            to: Vec::new(),
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

    pub(super) fn hear(&mut self, bytes: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        for &byte in bytes {
            self.held.push(byte);
            let whole = if self.in_body {
                self.held.ends_with(b"\r\n.\r\n") || self.held == b".\r\n"
            } else {
                self.held.ends_with(b"\r\n")
            };
            if whole {
                let held = std::mem::take(&mut self.held);
                let leave = if self.in_body { self.message(&held, rng, out) } else { self.command(&held, rng, out) };
                if leave.is_some() {
                    return leave;
                }
            }
        }
        None
    }

    fn message(&mut self, wire: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        self.in_body = false;
        let text = String::from_utf8_lossy(&wire[..wire.len() - 3]).into_owned();
        let body: String = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
        let (from, to) = (std::mem::take(&mut self.from), std::mem::take(&mut self.to));
        if rng.percent(self.refuse) {
            return self.answer(
                rng.pick::<&[u8]>(&[&b"554 5.6.0 no\r\n"[..], b"451 4.3.0 later\r\n", b"552 big\r\n"]),
                rng,
                out,
            );
        }
        self.store.push(Stored { from, to, body: body.into_bytes() });
        self.answer(b"250 2.0.0 taken\r\n", rng, out)
    }

    fn command(&mut self, line: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Option<Leave> {
        let text = String::from_utf8_lossy(line).into_owned();
        let path = |text: &str| text[text.find('<').unwrap_or(0)..=text.rfind('>').unwrap_or(0)].to_owned();
        let refuse = rng.percent(self.refuse);
        let later = rng.percent(50);
        let no: &[u8] = if later { b"450 4.2.1 later\r\n" } else { b"550 5.1.1 no\r\n" };
        let reply: &[u8] = match text.get(..4).unwrap_or_default() {
            "EHLO" if refuse && later => b"502 what\r\n",
            "EHLO" => self.hello,
            "HELO" => b"250 mx.example\r\n",
            "MAIL" if refuse => no,
            "MAIL" => {
                (self.from, self.to) = (path(&text), Vec::new());
                b"250 2.1.0 ok\r\n"
            }
            _ if self.from.is_empty() && !text.starts_with("RSET") && !text.starts_with("QUIT") => {
                b"503 5.5.1 first\r\n"
            }
            "RCPT" if refuse => no,
            "RCPT" => {
                self.to.push(path(&text));
                b"250 2.1.5 ok\r\n"
            }
            "DATA" if self.to.is_empty() => b"503 5.5.1 nobody\r\n",
            "DATA" if refuse => b"451 4.3.0 later\r\n",
            "DATA" => {
                self.in_body = true;
                b"354 go\r\n"
            }
            "RSET" => {
                (self.from, self.to) = (String::new(), Vec::new());
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
