//! Message bodies: taking the dot-stuffing out and putting it in (RFC 5321 §4.5.2), beside `smtp-proto`.
//!
//! Each body has 16 MiB and comes in chunks of 16 KiB. The names say what a variant makes:
//!
//! - `slices`: slices of the input, nothing copied, nothing allocated. What the server of this workspace does.
//! - `copied`: the body in one `Vec` that has the room already. Nothing is allocated.
//! - `one Vec, warm`: the same for the peer. Nothing is allocated.
//! - `one Vec, new for each message`: the peer with a `Vec` that begins empty, as its own example does. ALLOCATES.
//!
//! Stuffing has no peer: `smtp-proto` only reads. It is compared with the peer's un-stuffing of the same body.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ehlo_codec::{ChunkDecoder, ChunkStep, DataDecoder, DataStep, LineCheck, Stuffed, Stuffer};
use smtp_proto::request::receiver::DataReceiver;
use std::hint::black_box;
use std::time::Duration;

const BODY: usize = 16 << 20;
const CHUNK: usize = 16 << 10;

/// A body of this line and no other, whole lines only.
fn body(line: &[u8]) -> Vec<u8> {
    line.repeat(BODY / line.len())
}

/// A line of 72 octets, CRLF included, that begins so.
fn line(start: &[u8]) -> Vec<u8> {
    let mut line = start.to_vec();
    line.resize(70, b'x');
    line.extend_from_slice(b"\r\n");
    line
}

/// Bodies as they are on the wire, each without an end: the end of one would be a fault of the benchmark.
fn wire_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let mut nul = line(b"");
    nul[35] = 0;
    vec![
        ("72-octet lines", body(&line(b""))),
        ("72-octet lines, each begins with a dot", body(&line(b".."))),
        ("empty lines", body(b"\r\n")),
        ("lines of one dot", body(b"..\r\n")),
        ("bare LF behind each octet", body(b"a\n")),
        ("LF and dot", body(b"\n.")),
        ("bare CR", body(b"\r")),
        ("NUL", body(b"\0")),
        ("72-octet lines, a NUL in each", body(&nul)),
    ]
}

fn unstuff(c: &mut Criterion) {
    for (name, wire) in wire_bodies() {
        let mut group = group(c, &format!("unstuff/{name}"), &wire);
        group.bench_function("slices", |b| b.iter(|| unstuff_slices(black_box(&wire))));
        let mut out = Vec::with_capacity(BODY + CHUNK);
        group.bench_function("copied", |b| b.iter(|| unstuff_copied(black_box(&wire), &mut out)));
        group.bench_function("smtp-proto, one Vec, warm", |b| b.iter(|| unstuff_peer(black_box(&wire), &mut out)));
        group.bench_function("smtp-proto, one Vec, new for each message (allocates)", |b| {
            b.iter(|| unstuff_peer(black_box(&wire), &mut Vec::new()));
        });
        group.finish();
    }
}

fn unstuff_slices(wire: &[u8]) -> usize {
    let (mut decoder, mut length) = (DataDecoder::new(), 0);
    for mut chunk in wire.chunks(CHUNK) {
        loop {
            let (used, step) = decoder.next(chunk);
            chunk = &chunk[used..];
            match step {
                DataStep::Body(piece) => length += black_box(piece).len(),
                DataStep::NeedMore | DataStep::End => break,
            }
        }
    }
    length
}

fn unstuff_copied(wire: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut decoder = DataDecoder::new();
    for chunk in wire.chunks(CHUNK) {
        decoder.decode_into(chunk, out);
    }
    black_box(&*out).len()
}

fn unstuff_peer(wire: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut receiver = DataReceiver::new();
    for chunk in wire.chunks(CHUNK) {
        receiver.ingest(&mut chunk.iter(), out);
    }
    black_box(&*out).len()
}

fn stuff(c: &mut Criterion) {
    let bodies = [
        ("72-octet lines", body(&line(b""))),
        ("72-octet lines, each begins with a dot", body(&line(b"."))),
        ("empty lines", body(b"\r\n")),
        ("lines of one dot", body(b".\r\n")),
    ];
    for (name, message) in bodies {
        let mut group = group(c, &format!("stuff/{name}"), &message);
        group.bench_function("slices", |b| b.iter(|| stuff_slices(black_box(&message))));
        let mut out = Vec::with_capacity(2 * BODY);
        group.bench_function("copied", |b| b.iter(|| stuff_copied(black_box(&message), &mut out)));
        group.finish();
    }
}

fn stuff_slices(message: &[u8]) -> usize {
    let (mut stuffer, mut length) = (Stuffer::new(), 0);
    for mut chunk in message.chunks(CHUNK) {
        loop {
            let (used, piece) = stuffer.next(chunk).expect("lines end in CRLF");
            chunk = &chunk[used..];
            match piece {
                Stuffed::Bytes(bytes) => length += black_box(bytes).len(),
                Stuffed::Dot => length += 1,
                Stuffed::NeedMore => break,
            }
        }
    }
    length
}

fn stuff_copied(message: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    let mut stuffer = Stuffer::new();
    for chunk in message.chunks(CHUNK) {
        stuffer.stuff_into(chunk, out).expect("lines end in CRLF");
    }
    black_box(&*out).len()
}

/// BDAT (RFC 3030): counting alone, and with a look at the line ends.
fn bdat(c: &mut Criterion) {
    let message = body(&line(b""));
    let mut group = group(c, "bdat/72-octet lines", &message);
    group.bench_function("counted", |b| b.iter(|| bdat_slices(black_box(&message), false)));
    group.bench_function("counted, line ends checked", |b| b.iter(|| bdat_slices(black_box(&message), true)));
    group.finish();
}

fn bdat_slices(message: &[u8], checked: bool) -> usize {
    let (mut decoder, mut check, mut length) = (ChunkDecoder::new(message.len() as u64), LineCheck::new(), 0);
    for mut chunk in message.chunks(CHUNK) {
        loop {
            let (used, step) = decoder.next(chunk);
            chunk = &chunk[used..];
            let ChunkStep::Body(piece) = step else { break };
            if checked {
                check.feed(piece);
            }
            length += black_box(piece).len();
        }
    }
    black_box(check);
    length
}

fn group<'a>(c: &'a mut Criterion, name: &str, body: &[u8]) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

criterion_group!(benches, unstuff, stuff, bdat);
criterion_main!(benches);
