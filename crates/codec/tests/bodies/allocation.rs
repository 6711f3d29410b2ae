//! Bodies are passed on, not kept: no step allocates.

use ehlo_codec::{ChunkDecoder, ChunkStep, DataDecoder, DataStep, LineCheck, Stuffed, Stuffer};

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

/// Dots, faults, long lines and short ones.
fn body() -> Vec<u8> {
    [&b"x".repeat(500)[..], b"\r\n..dot\r\n.\r\r\nbare\n\0\r\n.y", &b"line\r\n..".repeat(50)].concat()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(10)))), 1);
}

#[test]
fn unstuffing_allocates_nothing() {
    let (body, mut out) = (body(), Vec::with_capacity(10_000));
    for chunk in [1, 7, 100, 10_000] {
        let mut faults = None;
        let count = allocations(|| {
            let mut decoder = DataDecoder::new();
            for mut input in body.chunks(chunk) {
                while let (used, DataStep::Body(_)) = decoder.next(input) {
                    input = &input[used..];
                }
            }
            faults = Some(decoder.faults());
            let mut decoder = DataDecoder::new();
            out.clear();
            for input in body.chunks(chunk) {
                decoder.decode_into(input, &mut out);
            }
        });
        assert_eq!(count, 0);
        assert!(faults.is_some_and(|faults| faults.bare_cr && faults.bare_lf && faults.nul), "all ways were taken");
    }
}

#[test]
fn stuffing_allocates_nothing() {
    let (mut body, mut out) = (b"long".repeat(100), Vec::with_capacity(10_000));
    body.extend_from_slice(&b"\r\n.".repeat(300));
    for chunk in [1, 7, 100, 10_000] {
        let count = allocations(|| {
            let mut stuffer = Stuffer::new();
            for mut input in body.chunks(chunk) {
                loop {
                    let (used, piece) = stuffer.next(input).expect("lines end in CRLF");
                    input = &input[used..];
                    if piece == Stuffed::NeedMore {
                        break;
                    }
                }
            }
            let mut stuffer = Stuffer::new();
            out.clear();
            for input in body.chunks(chunk) {
                stuffer.stuff_into(input, &mut out).expect("lines end in CRLF");
            }
        });
        assert_eq!(count, 0);
        assert_eq!(out.len(), body.len() + 300);
        // A refusal is a value.
        assert_eq!(allocations(|| assert!(Stuffer::new().next(b"a\n").is_err())), 0);
    }
}

#[test]
fn counting_a_chunk_and_checking_its_lines_allocates_nothing() {
    let body = body();
    let count = allocations(|| {
        let (mut decoder, mut check) = (ChunkDecoder::new(body.len() as u64), LineCheck::new());
        for mut input in body.chunks(100) {
            while let (used, ChunkStep::Body(piece)) = decoder.next(input) {
                check.feed(piece);
                input = &input[used..];
            }
        }
        assert!(decoder.remaining() == 0 && check.faults().bare_line_end());
    });
    assert_eq!(count, 0);
}
