//! Runs the bodies of the fuzz targets over pseudo-random input: not a search, but they stay true and they stay compilable.
//!
//! `EHLO_FUZZ_INPUTS=n` runs n inputs of each instead of 20000.

#[allow(unreachable_pub, reason = "the modules of the fuzz crate, taken in as they are")]
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::panic::{catch_unwind, resume_unwind};

const INPUTS: u64 = 20_000;

/// What a stream of SMTP is made of.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"\0",
    b" ",
    b"250 ",
    b"250-",
    b"250-a\r\n250-b\r\n",
    b"250-mx\r\n250-SIZE 10\r\n",
    b"250-AUTH=LOGIN\r\n250 STARTTLS\r\n",
    b"MAIL FROM:<a@b> SIZE=1 X-Y=z\r\n",
    b"354",
    b"5.1.1 ",
    b"EHLO ",
    b"40001 25\r\n",
    b" 2001:db8::2 1 0\r\n",
    b"\x04\0\x01",
    b"mx.example",
    b"[IPv6:::1]",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"<a@b>",
    b"<\"a\\\"b\"@c>",
    b"<@a,@b:c@d>",
    b"<>",
    b"<Postmaster>",
    b" SIZE=1",
    b" BODY=8BITMIME",
    b" X=",
    b" BODY=BINARYMIME",
    b" SIZE=99999999999999999999",
    b" SMTPUTF8",
    b" NOTIFY=SUCCESS,DELAY",
    b" ORCPT=rfc822;a+2Bb@c",
    b" RRVS=2014-04-03T23:01:00Z;C",
    b" ENVID=a AUTH=<> BY=1;RT",
    b"RCPT TO:<",
    b"\xc3\xa4",
    b"BDAT 5 LAST",
    b"AUTH PLAIN =",
    b"VRFY a SMTPUTF8",
    b"ETRN @a.b",
    b"ATRN a,b",
    b"DATA",
    b"NOOP ",
];

/// splitmix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes, words, or both.
fn input(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let (length, words) = (next(&mut state) % 300, next(&mut state) % 3);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        let draw = next(&mut state);
        if draw % 3 < words {
            bytes.extend_from_slice(WORDS[(draw >> 8) as usize % WORDS.len()]);
        } else {
            bytes.push((draw >> 8) as u8);
        }
    }
    bytes
}

#[expect(clippy::print_stderr, reason = "the one who looks into a failure wants the input")]
fn run(target: fn(&[u8])) {
    let inputs = std::env::var("EHLO_FUZZ_INPUTS")
        .map_or(INPUTS, |n| n.parse().unwrap_or_else(|_| panic!("EHLO_FUZZ_INPUTS is a number, not {n:?}")));
    for seed in 0..inputs {
        let input = input(seed);
        if let Err(panic) = catch_unwind(|| target(&input)) {
            eprintln!("input {seed} fails: {}", input.escape_ascii());
            resume_unwind(panic);
        }
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(targets::$name);
            }
        )*

        #[test]
        fn seeds_are_run() {
            let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds"));
            let mut without = vec![$(stringify!($name)),*];
            for entry in std::fs::read_dir(folder).expect("the folder of seeds") {
                let entry = entry.expect("an entry");
                without.retain(|name| entry.file_name() != *name);
                let target: fn(&[u8]) = match entry.file_name().to_str() {
                    $(Some(stringify!($name)) => targets::$name,)*
                    other => panic!("seeds of no target: {other:?}"),
                };
                for seed in std::fs::read_dir(entry.path()).expect("a folder of seeds") {
                    target(&std::fs::read(seed.expect("an entry").path()).expect("a seed"));
                }
            }
            assert!(without.is_empty(), "targets without seeds: {without:?}");
        }

        #[test]
        fn every_target_is_run() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/fuzz_targets");
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder of targets")
                .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
                .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
                .collect();
            found.sort();
            let mut run = vec![$(stringify!($name)),*];
            run.sort_unstable();
            assert_eq!(found, run);
        }
    };
}

targets! { line_framer data_decoder stuffer chunk_decoder command reply_reader ehlo_reply proxy_header server_session client_session }
