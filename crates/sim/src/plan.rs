//! What a seed decides before the run begins: the settings, the mail, and what will go wrong.

use crate::client::{Habits, Login};
use crate::rng::Rng;
use ehlo_client::StartTls;
use ehlo_codec::{BodyType, ForwardPath, ReplyLimits, ReversePath, Stuffed, Stuffer};
use ehlo_server::{AuthMechanism, BareLineEnds, Limits, MechanismNeeds, Questions, Timeouts, TlsMode};
use std::time::Duration;

/// How rough the run is, in percent of the occasions.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Nothing goes wrong: then all mail must be delivered.
    pub(crate) calm: bool,
    /// Delays of minutes.
    pub(crate) long: usize,
    /// Questions answered by no or not now.
    pub(crate) refuse: usize,
    /// Messages that are decided on for each recipient.
    pub(crate) each: usize,
    /// Questions answered late, never, or to another session.
    pub(crate) lose: usize,
    /// Pieces of a body behind which the sink pauses.
    pub(crate) pause: usize,
    /// Pauses of minutes.
    pub(crate) stall: usize,
    /// At this time behind the start.
    pub(crate) fault: Option<(Duration, Fault)>,
    /// When a message is about to be stored: where a doubt can come from.
    pub(crate) ambush: Option<Fault>,
    /// When a body is written and its end is not.
    pub(crate) ambush_at_end: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The connection breaks for both.
    Reset,
    /// The client is gone, without a word.
    ClientDies,
    /// The server is gone, but not what it stored.
    ServerDies,
    /// The server reads an end, and the client is still there.
    HalfClose,
    /// Nothing gets through for a while, both ways.
    Stall,
    ShutdownGraceful,
    ShutdownNow,
    /// The server has no memory left for this session.
    Overload,
    /// The server is nearly full.
    Stress,
    ClientQuits,
    /// The client can't read its message to the end.
    ClientAbandons,
    /// A record that cannot be read, inside of TLS.
    TlsBreaks,
}

impl Weather {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        if rng.percent(25) {
            return Self {
                calm: true,
                long: 0,
                refuse: 0,
                each: 0,
                lose: 0,
                pause: rng.below(20),
                stall: 0,
                fault: None,
                ambush: None,
                ambush_at_end: None,
            };
        }
        const FAULTS: [Fault; 12] = [
            Fault::Reset,
            Fault::ClientDies,
            Fault::ServerDies,
            Fault::HalfClose,
            Fault::Stall,
            Fault::ShutdownGraceful,
            Fault::ShutdownNow,
            Fault::Overload,
            Fault::Stress,
            Fault::ClientQuits,
            Fault::ClientAbandons,
            Fault::TlsBreaks,
        ];
        let spells = [Duration::from_millis(20), Duration::from_secs(2), Duration::from_secs(900)];
        let within = rng.pick(&spells).as_micros() as usize;
        Self {
            calm: false,
            long: if rng.percent(30) { rng.below(10) } else { 0 },
            refuse: if rng.percent(60) { rng.below(40) } else { 0 },
            each: if rng.percent(50) { rng.below(100) } else { 0 },
            lose: if rng.percent(40) { rng.below(30) } else { 0 },
            pause: rng.below(30),
            stall: rng.below(8),
            ambush: rng.percent(60).then(|| *rng.pick(&FAULTS)),
            ambush_at_end: rng.percent(20).then(|| *rng.pick(&FAULTS)),
            fault: rng.percent(40).then(|| (Duration::from_micros(rng.below(within) as u64), *rng.pick(&FAULTS))),
        }
    }
}

/// One message, and what the other end must find of it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The reverse-path, as `<...>`.
    pub from: String,
    /// The forward-paths, each as `<...>`.
    pub to: Vec<String>,
    /// As it is.
    pub raw: Vec<u8>,
    /// As it is stored, if it went with dots: with the end of its last line.
    pub body: Vec<u8>,
    /// As it goes over the wire, without its end.
    pub(crate) wire: Vec<u8>,
    /// What ends it.
    pub(crate) end: &'static [u8],
    /// The size that MAIL declares, in octets.
    pub declared: Option<u64>,
    /// The kind of body that MAIL declares.
    pub kind: BodyType,
}

impl Message {
    /// A message of at most about so many octets. `id` is in its first line, so that no two messages are the same; a `calm` one is such that
    /// every server takes it.
    #[must_use]
    pub fn new(rng: &mut Rng, id: &str, calm: bool, most: usize) -> Self {
        const PIECES: [&[u8]; 10] = [
            b"\r\n",
            b".",
            b"\r\n.",
            b"\r\n..\r\n",
            b"a",
            b"text and more of it",
            b"\t ",
            b"=",
            b"\r\n\r\n",
            b"MAIL FROM:<x@y>",
        ];
        let length = if rng.percent(15) { most } else { most.min(600) };
        let length = rng.below(length + 1);
        let mut raw = format!("Id: {id}\r\n").into_bytes();
        let head = raw.len();
        while raw.len() < length {
            let piece = *rng.pick(&PIECES);
            let most = if rng.percent(3) { 200 } else { 2 };
            for _ in 0..rng.between(1, most) {
                raw.extend_from_slice(piece);
            }
        }
        let kind = match rng.below(if calm { 1 } else { 20 }) {
            1..4 => BodyType::EightBitMime,
            4..6 => BodyType::BinaryMime,
            _ => BodyType::SevenBit,
        };
        let (mut wire, mut stuffer, mut rest) = (Vec::new(), Stuffer::new(), &raw[..]);
        loop {
            let (used, stuffed) = stuffer.next(rest).expect("lines end in CRLF");
            rest = &rest[used..];
            match stuffed {
                Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
                Stuffed::Dot => wire.push(b'.'),
                Stuffed::NeedMore => break,
            }
        }
        let mut body = raw.clone();
        if kind == BodyType::BinaryMime {
            // It has no lines behind its first one, and goes in chunks or not at all.
            raw[head..].iter_mut().for_each(|octet| *octet = rng.next() as u8);
        }
        if !body.ends_with(b"\r\n") {
            body.extend_from_slice(b"\r\n");
        }
        let declared = rng.percent(60).then_some(raw.len() as u64);
        let recipients = if rng.percent(10) { rng.between(1, 80) } else { rng.between(1, 5) };
        let to = (0..recipients)
            .map(|i| match rng.below(6) {
                0 => format!("<\"r {i}\"@{id}.example>"),
                1 if i == 0 => "<Postmaster>".to_owned(),
                _ => format!("<r{i}@{id}.example>"),
            })
            .collect();
        Self {
            from: if rng.percent(10) { "<>".to_owned() } else { format!("<{id}@client.example>") },
            to,
            raw,
            wire,
            end: stuffer.finish().expect("lines end in CRLF"),
            declared,
            body,
            kind,
        }
    }

    pub(crate) fn sender(&self) -> ReversePath<'_> {
        ReversePath::parse_prefix(self.from.as_bytes()).expect("a reverse-path").0
    }

    pub(crate) fn recipients(&self) -> Vec<ForwardPath<'_>> {
        self.to.iter().map(|to| ForwardPath::parse_prefix(to.as_bytes()).expect("a forward-path").0).collect()
    }
}

pub(crate) fn client_config(rng: &mut Rng, calm: bool, lmtp: bool) -> (ehlo_client::Config, Habits) {
    let name = *rng.pick(&["client.example", "[192.0.2.1]"]);
    let habits = Habits {
        ahead: *rng.pick(&[1, 1, 2, 3]),
        login: rng.percent(25).then(|| Login {
            mechanism: rng.pick::<&str>(&["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "X-NEW"]),
            // About where it no longer fits into the command, too.
            initial: rng.percent(60).then(|| *rng.pick(&[0, 1, 30, 370, 371, 372, 373, 374, 375, 600])),
            responses: rng.below(4) as u8,
        }),
        writer: rng.percent(30),
        needs_tls: !calm && rng.percent(10),
        implicit_tls: false,
    };
    let starttls = match rng.below(3) {
        _ if habits.needs_tls => StartTls::Required,
        0 => StartTls::Off,
        _ => StartTls::Opportunistic,
    };
    let mut config = ehlo_client::Config::new(name)
        .expect("a name")
        .lmtp(lmtp)
        .pipelining(rng.percent(80))
        .chunking(rng.percent(75))
        .fuse(*rng.pick(&[0, 30, 300, 300, ehlo_client::Config::DEFAULT_FUSE]))
        .ahead(habits.ahead)
        .starttls(starttls);
    if habits.login.is_some() {
        // RFC 4954 §4: challenges are longer than other replies.
        config = config.reply_limits(ReplyLimits { line: 12_288 + 6, ..ReplyLimits::default() });
    }
    (config, habits)
}

pub(crate) fn server_config(rng: &mut Rng, calm: bool) -> ehlo_server::Config {
    const ALL: [Questions; 6] =
        [Questions::CONNECT, Questions::HELLO, Questions::MAIL, Questions::RCPT, Questions::DATA, Questions::VRFY];
    let mut config = ehlo_server::Config::new("mx.example").expect("a name");
    config.questions = ALL.into_iter().filter(|_| rng.percent(50)).fold(Questions::NONE, Questions::with);
    config.pipelining = rng.percent(80);
    config.enhanced_status_codes = rng.percent(70);
    config.eight_bit_mime = rng.percent(70);
    config.limits.output = *rng.pick(&[1024, 2048, Limits::default().output]);
    config.limits.read_chunk = *rng.pick(&[64, 1024, 64 * 1024]);
    config.chunking = rng.percent(80);
    config.tls = *rng.pick(&[TlsMode::Off, TlsMode::StartTls]);
    if !calm {
        if rng.percent(40) {
            auth(&mut config, rng);
        }
        config.binary_mime = rng.percent(80);
        config.smtputf8 = rng.percent(70);
        config.dsn = rng.percent(70);
        config.requiretls = rng.percent(30);
        config.deliver_by = rng.percent(30).then_some(60);
        config.mt_priority = rng.percent(30);
        config.rrvs = rng.percent(30);
        config.etrn = rng.percent(30);
        config.expn = rng.percent(30);
        config.help = rng.percent(70);
        if rng.percent(20) {
            // Longer than the output may be.
            let lines = vec!["a line of a long text that an operator has written"; rng.between(2, 80)];
            config.set_help_text(&lines.join("\n")).expect("a text");
        }
        if rng.percent(10) {
            config.limits.transactions = Some(rng.between(1, 3) as u32);
            config.limits.recipient_domains = Some(rng.between(1, 3) as u32);
        }
        if rng.percent(45) {
            config.tls = *rng.pick(&[TlsMode::StartTls, TlsMode::StartTls, TlsMode::Required]);
        }
        config.bare_line_ends = *rng.pick(&[
            BareLineEnds::Reject,
            BareLineEnds::Reject,
            BareLineEnds::Keep,
            BareLineEnds::Normalize,
            BareLineEnds::Normalize,
        ]);
        config.limits.received = *rng.pick(&[None, Some(0), Some(2), Limits::default().received]);
        if rng.percent(20) {
            config.limits.command_line = rng.between(60, 512);
            config.limits.discarded_line = rng.between(600, 3000);
        }
        if rng.percent(20) {
            config.limits.bad_commands = rng.between(1, 8) as u32;
            config.limits.idle_commands = rng.between(1, 12) as u32;
        }
        if rng.percent(20) {
            config.limits.message_size = rng.between(10, 2000) as u64;
            config.limits.refused_body = rng.between(10, 100_000) as u64;
        }
        if rng.percent(20) {
            config.limits.recipients = rng.between(1, 3);
            config.limits.envelope = rng.between(60, 400);
        }
        if rng.percent(20) {
            let seconds = |n| Duration::from_secs(n);
            config.timeouts = Timeouts::default();
            config.timeouts.answer = seconds(rng.between(1, 60) as u64);
            config.timeouts.commit = seconds(rng.between(1, 60) as u64);
            config.timeouts.sink = seconds(rng.between(1, 60) as u64);
            config.timeouts.command = seconds(rng.between(1, 600) as u64);
            config.timeouts.body = seconds(rng.between(1, 600) as u64);
            config.timeouts.slow_body = seconds(rng.between(1, 600) as u64);
            config.limits.data_rate = *rng.pick(&[0, 1, 100, 5000]);
            config.timeouts.flush = seconds(rng.between(1, 600) as u64);
            config.timeouts.handshake = seconds(rng.between(1, 60) as u64);
            config.timeouts.session = seconds(rng.between(1, 1200) as u64);
        }
    }
    config
}

/// AUTH with mechanisms of every kind.
fn auth(config: &mut ehlo_server::Config, rng: &mut Rng) {
    let needs = *rng.pick(&[MechanismNeeds::Nothing, MechanismNeeds::Confidentiality]);
    let mechanism = |name, needs| AuthMechanism::new(name, needs).expect("a name");
    config.auth.mechanisms = vec![
        mechanism("PLAIN", needs),
        mechanism("LOGIN", MechanismNeeds::Nothing),
        mechanism("CRAM-MD5", MechanismNeeds::Nothing).server_first(),
        mechanism("EXTERNAL", MechanismNeeds::ClientCertificate),
        mechanism("SCRAM-SHA-256-PLUS", MechanismNeeds::ChannelBinding),
    ];
    config.auth.allow_plaintext_auth = rng.percent(50);
    config.auth.require_auth = rng.percent(30);
    config.limits.auth_failures = rng.between(1, 5) as u32;
    config.limits.auth_line = *rng.pick(&[102, Limits::default().auth_line]);
}
