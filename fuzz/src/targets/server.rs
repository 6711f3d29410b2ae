//! The target of `ehlo-server`: a list of things that are done to a session under watch.

use super::bytes::Bytes;
use ehlo_server::{AuthMechanism, BareLineEnds, Config, MechanismNeeds, Peer, Protocol, Questions, Shutdown, TlsMode};
use ehlo_sim::server::{Cut, Handshake, How, replay};
use ehlo_sim::{Rng, Server};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a client says, so that a fuzzer need not find it.
const PHRASES: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"HELO [127.0.0.1]\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\ntext\r\n",
    b"\r\n.\r\n",
    b".\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY someone\r\n",
    b"QUIT\r\n",
    b"STARTTLS\r\n",
    b"\n",
    b"\r",
    b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n",
    b"RSET\r\nRSET\r\nRSET\r\nRSET\r\nHELP\r\nHELP\r\nHELP\r\nHELP\r\n",
    b"STARTTLS\r\nEHLO client.example\r\n",
    b"MAIL FROM:<a@b> SMTPUTF8 BODY=8BITMIME MT-PRIORITY=4 RET=FULL\r\n",
    b"RCPT TO:<c@d> NOTIFY=NEVER ORCPT=rfc822;x@y\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGEAYg==\r\n",
    b"AUTH CRAM-MD5\r\n",
    b"AGEAYg==\r\n*\r\n",
    b"LHLO client.example\r\n",
    b"BDAT 8\r\nSubject:",
    b"BDAT 4 LAST\r\n x\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 60\r\n",
    b"ETRN x.example\r\nEXPN list\r\n",
    b"AUTH EXTERNAL =\r\n",
    b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\n",
    b"Received: from a by b\r\nRECEIVED : x\n",
    b"a\r\r\n\n.\r\n.\n.\r\n",
    b"BDAT 4\r\na\n\r\r",
    b"BDAT 4 LAST\r\n\n\r.\n",
    b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n",
];

fn config(bytes: &mut Bytes<'_>) -> Config {
    let mut config = Config::new("mx.example").expect("a domain");
    let flags = bytes.byte();
    for (i, question) in
        [Questions::CONNECT, Questions::HELLO, Questions::MAIL, Questions::RCPT, Questions::DATA, Questions::VRFY]
            .into_iter()
            .enumerate()
    {
        if flags >> i & 1 == 1 {
            config.questions = config.questions | question;
        }
    }
    config.enhanced_status_codes = flags >> 6 & 1 == 1;
    let keeps = flags >> 7 == 1;
    let flags = bytes.byte();
    config.bare_line_ends = match (keeps, flags & 1 == 1) {
        (false, _) => BareLineEnds::Reject,
        (true, false) => BareLineEnds::Keep,
        (true, true) => BareLineEnds::Normalize,
    };
    config.pipelining = flags & 1 == 1;
    config.eight_bit_mime = flags & 2 == 2;
    if flags & 4 == 4 {
        config.limits.message_size = 40;
        config.limits.refused_body = 60;
    }
    if flags & 8 == 8 {
        config.limits.recipients = 2;
        config.limits.envelope = 30;
    }
    if flags & 16 == 16 {
        config.limits.bad_commands = 3;
        config.limits.idle_commands = 5;
    }
    if flags & 32 == 32 {
        config.limits.command_line = 40;
        config.limits.discarded_line = 100;
    }
    config.tls = [TlsMode::Off, TlsMode::StartTls, TlsMode::StartTls, TlsMode::Required][usize::from(flags >> 6)];
    config.limits.output = 1024;
    config.chunking = flags & 2 == 2;
    if flags & 129 == 129 {
        config.protocol = Protocol::Lmtp;
    }
    if flags & 128 == 128 {
        let mechanism = |name, needs| AuthMechanism::new(name, needs).expect("a name");
        config.auth.mechanisms = vec![
            mechanism("PLAIN", MechanismNeeds::Nothing),
            mechanism("CRAM-MD5", MechanismNeeds::Confidentiality).server_first(),
            mechanism("EXTERNAL", MechanismNeeds::ClientCertificate),
        ];
        config.auth.allow_plaintext_auth = flags & 4 == 4;
        config.auth.require_auth = flags & 1 == 1;
        config.limits.auth_line = 60;
        config.limits.auth_failures = 3;
    }
    if flags & 8 == 8 {
        config.limits.received = Some(1);
        config.limits.data_rate = 1;
        config.timeouts.slow_body = Duration::from_secs(300);
    }
    (config.etrn, config.expn) = (flags & 1 == 1, flags & 2 == 2);
    config.mt_priority = flags & 4 == 4;
    config
}

/// An answer that the bytes name.
fn how(bytes: &mut Bytes<'_>) -> How {
    match bytes.byte() % 8 {
        0 => How::Defer,
        1 => How::Reject,
        2 => How::Leave,
        3 => How::Challenge(u16::from(bytes.byte())),
        // Long enough to fill the output more than once.
        4 => How::Challenge(36 * u16::from(bytes.byte())),
        5 => How::Each(u32::from(bytes.byte())),
        _ => How::Accept,
    }
}

/// Does one thing that the bytes name.
fn act(server: &mut Server, now: &mut Instant, asked: &mut Vec<u32>, bytes: &mut Bytes<'_>) {
    let mut never = || false;
    match bytes.byte() % 18 {
        0..=4 => server.hear(*now, bytes.pick(PHRASES), &mut never),
        5 => {
            let length = bytes.below(64);
            server.hear(*now, bytes.take(length), &mut never);
        }
        6 | 7 => {
            let (index, how) = (bytes.below(4), how(bytes));
            if !asked.is_empty() {
                let serial = asked.remove(index % asked.len());
                let _ = server.answer(*now, serial, how);
            }
        }
        8 => {
            let most = bytes.below(256);
            server.send(*now, most);
        }
        9 => {
            server.send(*now, usize::MAX);
        }
        10 => {
            *now += Duration::from_secs(u64::from(bytes.byte()));
            server.timeout(*now);
        }
        11 => match bytes.below(8) {
            0 => server.eof(*now),
            1 => server.reset(*now),
            2 => server.shutdown(*now, Shutdown::Graceful),
            3 => server.shutdown(*now, Shutdown::Now),
            4 => server.shutdown(*now, Shutdown::Overload),
            5 => server.stress(*now),
            6 => asked.drain(..).for_each(|serial| server.abandon(*now, serial)),
            _ => asked.drain(..).for_each(|serial| server.lose(serial)),
        },
        12 => expire(server, now),
        13 => server.pause(*now),
        14 if bytes.below(4) == 0 => server.fail_body(*now),
        14 => server.resume(*now),
        15 if server.wants_handshake() => {
            let how = bytes.pick(&Handshake::ALL);
            server.handshaken(*now, how);
        }
        15 => match bytes.below(4) {
            // TLS can also break later.
            0 if server.in_tls() => server.handshaken(*now, Handshake::Failed),
            1 => server.set_tls_available(*now, bytes.below(2) == 0),
            _ => server.poke_closed(*now),
        },
        16 => server.send(*now, 1).clear(),
        _ => server.hear(*now, &b"x".repeat(bytes.below(200)), &mut never),
    }
    // What was parked goes on as soon as it may.
    server.feed(*now, &mut never);
    asked.append(&mut server.take_asked());
}

fn expire(server: &mut Server, now: &mut Instant) {
    if let Some(at) = server.deadline() {
        *now = at.max(*now);
        server.timeout(*now);
    }
}

/// Any list of bytes, answers, deadlines, handshakes, pauses and ends: the session keeps its contract, and the pieces in which the bytes
/// came make no difference.
pub fn server_session(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let cut = bytes.byte();
    let mut now = Instant::now();
    let mut config = config(&mut bytes);
    if cut & 8 == 8 {
        config.protocol = Protocol::Lmtp;
    }
    let peer = if cut % 8 == 7 { Peer::new(7).with_implicit_tls() } else { Peer::new(7) };
    let mut server = Server::new(now, Arc::new(config), peer).recorded();
    let mut asked = server.take_asked();
    // Each step takes a byte at least, so the input's length bounds the run.
    while !bytes.is_empty() {
        act(&mut server, &mut now, &mut asked, &mut bytes);
    }
    // Whatever was done, time ends it.
    for _ in 0..20 {
        expire(&mut server, &mut now);
    }
    assert!(!server.is_open(), "the session never ends");
    server.poke_closed(now);
    for cut in [Cut::Whole, Cut::Bytes, Cut::Random(Rng::new(u64::from(cut)))] {
        replay(&server, peer, cut);
    }
}
