//! How many times as fast as its peers the codec is: one table, for a machine that others use, too.
//!
//! `cargo bench -p ehlo-benches --bench versus`
//!
//! criterion measures one function for seconds and then the next; what else the machine does meanwhile falls on one of them. Here the
//! contenders take turns in batches of a fraction of a millisecond, and of each the best batch counts: the time that the work takes when
//! nothing disturbs it. The ratio of two such times is steady where the times themselves are not.

use ehlo_codec::{Command, DataDecoder, DataStep, EhloReply, Extension, Framed, LineFramer, Stuffed, Stuffer};
use smtp_proto::request::receiver::DataReceiver;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Rounds: each contender once in each.
const ROUNDS: usize = 400;
/// About so long is one batch.
const BATCH: Duration = Duration::from_micros(200);

/// Somebody who does the work once.
struct Contender<'a> {
    name: &'static str,
    work: Box<dyn FnMut() + 'a>,
}

fn contender<'a>(name: &'static str, work: impl FnMut() + 'a) -> Contender<'a> {
    Contender { name, work: Box::new(work) }
}

/// Prints the best time of each, and how many times as fast the first is.
fn compare(title: &str, mut contenders: Vec<Contender<'_>>) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{title}");
    let mut repeats = Vec::new();
    for one in &mut contenders {
        let begin = Instant::now();
        let mut count = 0_u32;
        while begin.elapsed() < BATCH {
            (one.work)();
            count += 1;
        }
        repeats.push(count.max(1));
    }
    let mut best = vec![f64::MAX; contenders.len()];
    // A batch of a whole body takes long, and fewer of them do.
    let rounds = if repeats.iter().all(|&count| count > 1) { ROUNDS } else { ROUNDS / 20 };
    for _ in 0..rounds {
        for ((one, &count), best) in contenders.iter_mut().zip(&repeats).zip(&mut best) {
            let begin = Instant::now();
            for _ in 0..count {
                (one.work)();
            }
            *best = best.min(begin.elapsed().as_secs_f64() * 1e9 / f64::from(count));
        }
    }
    for (one, time) in contenders.iter().zip(&best) {
        let _ = writeln!(out, "  {:44} {time:14.1} ns   {:6.2}", one.name, time / best[0]);
    }
}

#[inline(always)]
fn look(command: &Command<'_>) {
    match command {
        Command::Mail { from, params } => {
            black_box((from.as_bytes(), params.size(), params.body()));
        }
        Command::Rcpt { to, params } => {
            black_box((to.as_bytes(), params.notify()));
        }
        Command::Ehlo(name) => {
            black_box(name.as_bytes());
        }
        // Not the command: to format it would have it written to memory in every case.
        other => unreachable!("{:?}", other.verb()),
    }
}

fn commands() {
    for wire in [
        "MAIL FROM:<john.doe@example.com> SIZE=12345 BODY=8BITMIME\r\n",
        "RCPT TO:<jane.roe@example.org> NOTIFY=SUCCESS,FAILURE\r\n",
        "EHLO mail.example.com\r\n",
    ] {
        let (title, wire) = (wire.trim_end(), wire.as_bytes());
        let line = title.as_bytes();
        let mut framer = LineFramer::new(1024);
        compare(
            title,
            vec![
                contender("ehlo-codec", || look(&Command::parse(black_box(line)).expect("a command"))),
                contender("ehlo-codec, framed too", || match framer.next(black_box(wire)).1 {
                    Framed::Line(line) => look(&Command::parse(line).expect("a command")),
                    other => unreachable!("{other:?}"),
                }),
                contender("smtp-proto (allocates)", || {
                    black_box(&smtp_proto::Request::parse(&mut black_box(wire).iter()).expect("a command"));
                }),
                contender("smtp-codec (allocates)", || {
                    black_box(&smtp_codec::parse::command::command(black_box(wire)).expect("a command"));
                }),
            ],
        );
    }
}

const REPLY: &[u8] = b"250-mail.example.com at your service\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-DSN\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n\
    250-REQUIRETLS\r\n250 HELP\r\n";

fn reply() {
    compare(
        "an EHLO reply of 12 lines",
        vec![
            contender("ehlo-codec, with SIZE, AUTH and the host", || {
                let (reply, _) = EhloReply::parse(black_box(REPLY)).expect("a reply");
                black_box(Extension::ALL.map(|extension| reply.has(extension)));
                black_box((reply.max_size(), reply.mechanisms(), reply.domain()));
            }),
            contender("smtp-proto (allocates)", || {
                black_box(&smtp_proto::EhloResponse::parse(&mut black_box(REPLY).iter()).expect("a reply"));
            }),
            contender("smtp-codec (allocates)", || {
                black_box(&smtp_codec::parse::response::ehlo_ok_rsp(black_box(REPLY)).expect("a reply"));
            }),
        ],
    );
}

const BODY: usize = 16 << 20;
const CHUNK: usize = 16 << 10;

fn line(start: &str) -> Vec<u8> {
    let mut line = start.as_bytes().to_vec();
    line.resize(70, b'x');
    line.extend_from_slice(b"\r\n");
    line
}

fn unstuff(body: &[u8], mut piece: impl FnMut(&[u8])) {
    let mut decoder = DataDecoder::new();
    for mut chunk in body.chunks(CHUNK) {
        while let (used, DataStep::Body(bytes)) = decoder.next(chunk) {
            piece(bytes);
            chunk = &chunk[used..];
        }
    }
}

fn stuff(body: &[u8], mut piece: impl FnMut(&[u8])) {
    let mut stuffer = Stuffer::new();
    for mut chunk in body.chunks(CHUNK) {
        loop {
            let (used, step) = stuffer.next(chunk).expect("only CRLF ends its lines");
            chunk = &chunk[used..];
            match step {
                Stuffed::Bytes(bytes) => piece(bytes),
                Stuffed::Dot => piece(b"."),
                Stuffed::NeedMore => break,
            }
        }
    }
}

fn bodies() {
    for (title, line) in [
        ("16 MiB of 72-octet lines", line("")),
        ("16 MiB of 72-octet lines that begin with a dot", line("..")),
        ("16 MiB of empty lines", b"\r\n".to_vec()),
    ] {
        let body = line.repeat(BODY / line.len());
        let mut own = Vec::with_capacity(BODY + CHUNK);
        let mut peer = Vec::with_capacity(BODY + CHUNK);
        compare(
            title,
            vec![
                contender("un-stuffed, slices", || {
                    unstuff(black_box(&body), |piece| {
                        black_box(piece);
                    });
                }),
                contender("stuffed, slices", || {
                    stuff(black_box(&body), |piece| {
                        black_box(piece);
                    });
                }),
                contender("un-stuffed, copied into one Vec", || {
                    own.clear();
                    unstuff(black_box(&body), |piece| own.extend_from_slice(piece));
                    black_box(&own);
                }),
                contender("smtp-proto, into one Vec", || {
                    peer.clear();
                    let mut receiver = DataReceiver::new();
                    for chunk in black_box(&body).chunks(CHUNK) {
                        receiver.ingest(&mut chunk.iter(), &mut peer);
                    }
                    black_box(&peer);
                }),
                contender("smtp-proto, a new Vec (allocates)", || {
                    let mut peer = Vec::new();
                    let mut receiver = DataReceiver::new();
                    for chunk in black_box(&body).chunks(CHUNK) {
                        receiver.ingest(&mut chunk.iter(), &mut peer);
                    }
                    black_box(&peer);
                }),
            ],
        );
    }
}

fn main() {
    // `cargo test --benches` runs this program as well, and wants no figures.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let _ = writeln!(
        std::io::stdout(),
        "best time of one operation, and how many times that of the first line of its group"
    );
    commands();
    reply();
    bodies();
}
