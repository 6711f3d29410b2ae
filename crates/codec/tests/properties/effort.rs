//! Long inputs take work in proportion to their length. Counted in calls and bytes, not in time.
//!
//! Readers of commands have no calls to count. They are linear by construction: each part of a line is gone through from front to back
//! a fixed number of times. Two things look back, both under a limit: an unknown parameter is compared with those before it, of which there are
//! less than [`Params::MAX`], and the meaning of a domain with labels beyond ASCII is only looked for within [`MAX_DOMAIN`] octets.

use ehlo_codec::{
    DataDecoder, DataStep, Domain, Framed, LineFramer, MAX_DOMAIN, ParamFault, Params, PathFault, ReplyLimits,
    ReplyReader, ReplyStep, Stuffed, Stuffer,
};

const LENGTH: usize = 1 << 20;

/// Bodies that are as hard as they come.
fn bodies() -> Vec<Vec<u8>> {
    ["a", "a\r\n", ".\n", "..\r\n", "\r\n", "\r", "\n", ".", "\r\n.", "\r.", "\0"]
        .into_iter()
        .map(|unit| unit.as_bytes().repeat(LENGTH / unit.len()))
        .collect()
}

#[test]
fn a_body_takes_at_most_two_calls_for_each_dot_at_the_start_of_a_line() {
    for body in bodies() {
        let (mut decoder, mut rest, mut calls, mut out) = (DataDecoder::new(), &body[..], 0, 0);
        loop {
            calls += 1;
            let (used, step) = decoder.next(rest);
            rest = &rest[used..];
            match step {
                DataStep::Body(piece) => out += piece.len(),
                DataStep::NeedMore | DataStep::End => break,
            }
        }
        let dots = body.windows(3).filter(|window| window == b"\r\n.").count();
        assert!(calls <= 2 * dots + 4, "{calls} calls for {:?}...", &body[..4.min(body.len())]);
        assert!(out <= body.len());
    }
}

#[test]
fn a_message_on_its_way_out_takes_at_most_two_calls_for_each_dot_at_the_start_of_a_line() {
    for body in bodies() {
        let (mut stuffer, mut rest, mut calls) = (Stuffer::new(), &body[..], 0);
        while let Ok((used, piece)) = stuffer.next(rest) {
            calls += 1;
            rest = &rest[used..];
            if piece == Stuffed::NeedMore {
                break;
            }
        }
        let dots = body.windows(3).filter(|window| window == b"\r\n.").count();
        assert!(calls <= 2 * dots + 4, "{calls} calls for {:?}...", &body[..4.min(body.len())]);
    }
}

#[test]
fn a_line_without_end_is_looked_at_once_and_given_up() {
    for (byte, piece) in [(b'a', 1), (b'a', 4096), (b'\r', 100), (b' ', 7), (0, 512)] {
        let mut framer = LineFramer::new(512).with_max_discard(LENGTH / 2);
        let chunk = vec![byte; piece];
        let (mut calls, mut taken) = (0, 0);
        loop {
            calls += 1;
            let (used, frame) = framer.next(&chunk);
            assert_eq!(used, piece, "nothing is handed back to be looked at again");
            taken += used;
            if frame == Framed::Hopeless {
                break;
            }
            assert_eq!(frame, Framed::NeedMore);
            assert!(framer.held() <= 512);
            assert!(taken <= LENGTH, "it is given up");
        }
        assert_eq!(calls, (LENGTH / 2) / piece + 1);
    }
}

#[test]
fn what_looks_back_in_a_command_has_a_limit() {
    let many: Vec<String> = (0..LENGTH / 8).map(|i| format!("X{i:06}")).collect();
    assert_eq!(Params::parse(many.join(" ").as_bytes()), Err(ParamFault::TooMany));
    assert!(Params::parse(many[..Params::MAX].join(" ").as_bytes()).is_ok());
    assert_eq!(Domain::parse_utf8(&"\u{e4}.".repeat(LENGTH)), Err(PathFault::DomainTooLong));
    assert!(Domain::parse_utf8(&"\u{e4}".repeat(MAX_DOMAIN / 2 / 2)).is_ok());
}

#[test]
fn lines_take_a_call_each() {
    let stream = b"NOOP\r\n".repeat(10_000);
    let mut framer = LineFramer::new(512);
    let (mut rest, mut calls) = (&stream[..], 0);
    loop {
        calls += 1;
        let (used, frame) = framer.next(rest);
        rest = &rest[used..];
        if frame == Framed::NeedMore {
            break;
        }
        assert_eq!(frame, Framed::Line(b"NOOP"));
    }
    assert_eq!(calls, 10_001);
}

#[test]
fn a_reply_of_many_lines_takes_one_call() {
    let limits = ReplyLimits { lines: 100_000, total: LENGTH, ..ReplyLimits::default() };
    let mut stream = b"250-a\r\n".repeat(50_000);
    stream.extend_from_slice(b"250 b\r\n");
    let (used, step) = ReplyReader::new(limits).next(&stream);
    assert!(used == stream.len() && matches!(step, ReplyStep::Reply(_)));
}
