//! Commands: a full typed parse, beside the peers.
//!
//! `cargo bench -p ehlo-benches --bench command`. ehlo-codec and smtp-proto read the same line; smtp-codec as well. The peers allocate
//! (their names say so); ehlo-codec does not, which a test proves.

use criterion::{Criterion, criterion_group, criterion_main};
use ehlo_codec::{Command, Framed, LineFramer};
use std::hint::black_box;

const LINES: [(&str, &[u8]); 3] = [
    ("mail", b"MAIL FROM:<john.doe@example.com> SIZE=12345 BODY=8BITMIME\r\n"),
    ("rcpt", b"RCPT TO:<jane.roe@example.org> NOTIFY=SUCCESS,FAILURE\r\n"),
    ("ehlo", b"EHLO mail.example.com\r\n"),
];

/// Everything that the line says, looked at as a server would.
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

fn commands(criterion: &mut Criterion) {
    for (name, wire) in LINES {
        let line = wire.strip_suffix(b"\r\n").expect("a line");
        let mut group = criterion.benchmark_group(name);
        group.bench_function("ehlo-codec", |b| {
            b.iter(|| look(&Command::parse(black_box(line)).expect("a command")));
        });
        group.bench_function("ehlo-codec, framed too", |b| {
            let mut framer = LineFramer::new(1024);
            b.iter(|| match framer.next(black_box(wire)).1 {
                Framed::Line(line) => look(&Command::parse(line).expect("a command")),
                other => unreachable!("{other:?}"),
            });
        });
        group.bench_function("smtp-proto (allocates)", |b| {
            b.iter(|| black_box(smtp_proto::Request::parse(&mut black_box(wire).iter()).expect("a command")));
        });
        group.bench_function("smtp-codec (allocates)", |b| {
            b.iter(|| black_box(smtp_codec::parse::command::command(black_box(wire)).expect("a command")));
        });
        group.finish();
    }
}

criterion_group!(benches, commands);
criterion_main!(benches);
