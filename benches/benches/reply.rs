//! The reply to EHLO, read by `ehlo-codec` and by its peers.
//!
//! `smtp-proto` and `smtp-codec` allocate: the latter a list of lines, the former the name of the host. Like `smtp-proto`, `ehlo-codec` looks at
//! all that the reply says: which extensions are there, the number of SIZE, which mechanisms of AUTH, and the server's name.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ehlo_codec::{Capabilities, EhloReply, Extension, ReplyLimits, ReplyReader, ReplyStep};
use std::hint::black_box;

/// Twelve lines, as a common server sends them.
const REPLY: &[u8] = b"250-mail.example.com at your service\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-DSN\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n\
    250-REQUIRETLS\r\n250 HELP\r\n";

/// What it offers.
const OFFERED: [Extension; 11] = [
    Extension::Pipelining,
    Extension::Size,
    Extension::EightBitMime,
    Extension::EnhancedStatusCodes,
    Extension::StartTls,
    Extension::Auth,
    Extension::Dsn,
    Extension::Chunking,
    Extension::SmtpUtf8,
    Extension::RequireTls,
    Extension::Help,
];

fn ehlo_reply(c: &mut Criterion) {
    let mut group = c.benchmark_group("ehlo reply of 12 lines");
    group.throughput(Throughput::Bytes(REPLY.len() as u64));
    group.bench_function("ehlo-codec, whole parse, and SIZE, AUTH, name and each keyword asked for", |b| {
        b.iter(|| {
            let (reply, _) = EhloReply::parse(black_box(REPLY)).expect("it is a reply");
            black_box(OFFERED.map(|extension| reply.has(extension)));
            black_box((reply.max_size(), reply.mechanisms(), reply.domain()));
        });
    });
    group.bench_function("ehlo-codec, whole parse, nothing asked for", |b| {
        b.iter(|| black_box(EhloReply::parse(black_box(REPLY)).expect("it is a reply")));
    });
    group.bench_function("ehlo-codec, whole parse, and the names of AUTH as they came", |b| {
        b.iter(|| {
            let (reply, _) = EhloReply::parse(black_box(REPLY)).expect("it is a reply");
            for mechanism in reply.auth().expect("it is offered").mechanisms() {
                black_box(mechanism);
            }
        });
    });
    group.bench_function("ehlo-codec, whole parse, and then every line as a Capability", |b| {
        b.iter(|| {
            let (reply, _) = EhloReply::parse(black_box(REPLY)).expect("it is a reply");
            for capability in reply.capabilities() {
                black_box(capability);
            }
        });
    });
    // The way of a client, which does not know beforehand where the reply ends.
    group.bench_function("ehlo-codec, ReplyReader and EhloReply, nothing asked for", |b| {
        let mut reader = ReplyReader::new(ReplyLimits::default());
        b.iter(|| {
            let (_, ReplyStep::Reply(_)) = reader.next(black_box(REPLY)) else { panic!("it is a reply") };
            black_box(EhloReply::from_view(&reader.reply().expect("it is complete")));
        });
    });
    group.bench_function("ehlo-codec, ReplyReader and Capabilities (allocates)", |b| {
        let mut reader = ReplyReader::new(ReplyLimits::default());
        b.iter(|| {
            let (_, ReplyStep::Reply(_)) = reader.next(black_box(REPLY)) else { panic!("it is a reply") };
            black_box(Capabilities::from_reply(&reader.reply().expect("it is complete")));
        });
    });
    group.bench_function("smtp-proto, whole parse (allocates)", |b| {
        b.iter(|| black_box(smtp_proto::EhloResponse::parse(&mut black_box(REPLY).iter()).expect("it is a reply")));
    });
    group.bench_function("smtp-codec, list of lines (allocates)", |b| {
        b.iter(|| {
            black_box(&smtp_codec::parse::response::ehlo_ok_rsp(black_box(REPLY)).expect("it is a reply"));
        });
    });
    group.finish();
}

criterion_group!(benches, ehlo_reply);
criterion_main!(benches);
