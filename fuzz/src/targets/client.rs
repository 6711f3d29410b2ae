//! The target of `ehlo-client`: a list of things that are done to a session under watch, most of them said by a server that may say
//! anything.

use super::bytes::Bytes;
use ehlo_client::codec::ReplyLimits;
use ehlo_client::{Config, Stage, StartTls};
use ehlo_sim::client::{Habits, Login, replay};
use ehlo_sim::server::Cut;
use ehlo_sim::{Client, Message, Rng};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a server says, so that a fuzzer need not find it.
const PHRASES: &[&[u8]] = &[
    b"220 mx.example ESMTP\r\n",
    b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n",
    b"250 ok\r\n250 ok\r\n354 go\r\n",
    b"354 go\r\n",
    b"550 5.1.1 no\r\n",
    b"451 4.3.0 later\r\n",
    b"421 4.3.2 closing\r\n",
    b"500 what\r\n",
    b"221 bye\r\n",
    b"250-a\r\n",
    b"554 no\r\n",
    b"\r\n",
    b"9",
    b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 STARTTLS\r\n",
    b"250-mx.example\r\n250-CHUNKING\r\n250-AUTH PLAIN\r\n250 LIMITS RCPTMAX=3 MAILMAX=5 RCPTDOMAINMAX=2\r\n",
    b"250 ok\r\n250 ok\r\n250 ok\r\n",
    b"334 VXNlcm5hbWU6\r\n",
    b"235 welcome\r\n",
    b"220 go\r\n",
    b"503 no\r\n",
];

/// Messages that the client has to send.
const MAIL: usize = 12;

/// A server that likes all that it was sent.
fn yes(client: &Client) -> Vec<u8> {
    let replies = client.unanswered().into_iter().map(|stage| match stage {
        Stage::Data => &b"354 go\r\n"[..],
        Stage::Greeting | Stage::StartTls => b"220 hello\r\n",
        Stage::Auth => b"334 QQ==\r\n",
        _ => b"250 ok\r\n",
    });
    replies.collect::<Vec<_>>().concat()
}

fn expire(client: &mut Client, now: &mut Instant) {
    if let Some(at) = client.deadline() {
        *now = at.max(*now);
        client.timeout(*now);
    }
}

/// Does one thing that the bytes name.
fn act(client: &mut Client, now: &mut Instant, bytes: &mut Bytes<'_>) {
    match bytes.byte() % 20 {
        0..=2 => client.hear(*now, bytes.pick(PHRASES)),
        3 | 4 => {
            let replies = yes(client);
            client.hear(*now, &replies);
        }
        5 => {
            let length = bytes.below(64);
            client.hear(*now, bytes.take(length));
        }
        6..=8 => client.send(*now, usize::MAX).clear(),
        9 => {
            let most = bytes.below(64);
            client.send(*now, most);
        }
        // Behind the last message the session would be ended.
        10 | 11 if !client.is_through() => client.work(*now),
        10 | 11 => {}
        12 => expire(client, now),
        13 => {
            *now += Duration::from_secs(u64::from(bytes.byte()));
            client.timeout(*now);
        }
        14 if bytes.below(4) == 0 => client.eof(*now),
        14 => client.misuse(*now),
        15 | 16 if client.wants_handshake() => {
            let how = bytes.pick(&[Some(true), Some(true), Some(false), None]);
            client.handshaken(*now, how);
        }
        15 | 16 => {
            // A body to its end.
            for _ in 0..8 {
                client.send(*now, usize::MAX);
            }
        }
        17 | 18 => client.hear(*now, bytes.pick(PHRASES)),
        19 if bytes.below(8) == 0 => client.abandon(*now),
        _ if bytes.below(4) == 0 => client.quit(*now),
        _ => {}
    }
}

/// A server that says anything: each transaction has the outcome that the replies give it, no doubt is told where there is none, and the
/// pieces in which the bytes came make no difference.
pub fn client_session(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut now = Instant::now();
    let (cut, flags, more) = (bytes.byte(), bytes.byte(), bytes.byte());
    let limits = if flags & 1 == 1 { ReplyLimits { line: 40, total: 100, lines: 5 } } else { ReplyLimits::default() };
    let habits = Habits {
        ahead: usize::from(more & 3),
        login: (more & 4 == 4).then_some(Login {
            mechanism: "PLAIN",
            initial: Some(u16::from(more) * 2),
            responses: more >> 6,
        }),
        writer: more & 8 == 8,
        needs_tls: more & 48 == 48,
        implicit_tls: flags & 4 == 0 && more & 128 == 128,
    };
    let starttls = match more & 48 {
        48 => StartTls::Required,
        16 => StartTls::Opportunistic,
        _ => StartTls::Off,
    };
    let config = Config::new("client.example")
        .expect("a domain")
        .pipelining(flags & 2 == 0)
        .lmtp(flags & 8 == 8)
        .ahead(habits.ahead)
        .fuse(if flags & 16 == 16 { 0 } else { Config::DEFAULT_FUSE })
        .starttls(starttls)
        .reply_limits(limits);
    let mut chance = Rng::new(u64::from(flags >> 5));
    let mail = (0..MAIL).map(|i| Message::new(&mut chance, &format!("m{i}"), i % 2 == 0, 100)).collect();
    let implicit_tls = habits.implicit_tls;
    let mut client = Client::new(now, Arc::new(config), habits, mail).recorded();
    if implicit_tls {
        client.handshaken(now, Some(more & 64 == 64));
    }
    if flags & 4 == 4 {
        // Most lists are about what comes behind EHLO.
        client.hear(now, PHRASES[0]);
        client.send(now, usize::MAX);
        client.hear(now, PHRASES[if flags & 32 == 32 { 15 } else { 1 }]);
    }
    // Each step takes a byte at least, so the input's length bounds the run.
    while !bytes.is_empty() {
        act(&mut client, &mut now, &mut bytes);
    }
    // Whatever was done, time ends it.
    for _ in 0..60 {
        expire(&mut client, &mut now);
        client.send(now, usize::MAX);
    }
    assert!(!client.is_open(), "the session never ends");
    for cut in [Cut::Whole, Cut::Bytes, Cut::Random(Rng::new(u64::from(cut)))] {
        replay(&client, cut);
    }
}
