//! No bytes make a reader panic, lose its place, or read the same stream in two ways.

use crate::strategies;

use ehlo_codec::{
    BodyType, Capabilities, Command, CommandLine, DataDecoder, DataFaults, DataStep, Domain, ForwardPath, Framed,
    LineFault, LineFramer, Mailbox, Params, ReplyLimits, ReplyReader, ReplyStep, ReversePath, Stuffed, Stuffer,
};
use proptest::prelude::*;

#[derive(Debug, PartialEq)]
enum Frame {
    Line(Vec<u8>),
    Fault(LineFault),
    Hopeless,
}

/// All frames of a stream, and how many calls that took.
fn frames(max: usize, discard: usize, pieces: &[&[u8]]) -> (Vec<Frame>, usize) {
    let mut framer = LineFramer::new(max).with_max_discard(discard);
    let (mut frames, mut calls) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            calls += 1;
            let (used, frame) = framer.next(rest);
            rest = &rest[used..];
            match frame {
                Framed::NeedMore => {
                    assert!(rest.is_empty(), "all was used");
                    break;
                }
                Framed::Line(line) => {
                    assert!(line.len() + 2 <= max, "a line beyond its limit");
                    frames.push(Frame::Line(line.to_vec()));
                }
                Framed::Fault(fault) => frames.push(Frame::Fault(fault)),
                Framed::Hopeless => {
                    frames.push(Frame::Hopeless);
                    return (frames, calls);
                }
            }
            assert!(used > 0, "a frame uses bytes");
            assert!(framer.held() <= max);
        }
        assert!(framer.held() <= max, "{} of {max} kept", framer.held());
    }
    (frames, calls)
}

/// The body of a stream, what is behind its end, and how many calls that took.
fn body(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>, DataFaults, usize) {
    let mut decoder = DataDecoder::new();
    let (mut body, mut used_up, mut calls) = (Vec::new(), 0, 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            calls += 1;
            let (used, step) = decoder.next(rest);
            rest = &rest[used..];
            used_up += used;
            match step {
                DataStep::NeedMore => break,
                DataStep::Body(bytes) => body.extend_from_slice(bytes),
                DataStep::End => return (body, Some(used_up), decoder.faults(), calls),
            }
        }
        assert!(rest.is_empty(), "all was used");
    }
    (body, None, decoder.faults(), calls)
}

fn replies(limits: ReplyLimits, pieces: &[&[u8]]) -> (Vec<String>, usize) {
    let mut reader = ReplyReader::new(limits);
    let (mut seen, mut calls) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            calls += 1;
            let (used, step) = reader.next(rest);
            rest = &rest[used..];
            match step {
                ReplyStep::NeedMore => {
                    assert!(rest.is_empty(), "all was used");
                    break;
                }
                ReplyStep::Reply(_) => {
                    let view = reader.reply().expect("it is complete");
                    assert!(view.lines().count() <= limits.lines, "more lines than the limit");
                    assert!(view.lines().map(<[u8]>::len).sum::<usize>() <= limits.total, "more text than the limit");
                    let _ = (Capabilities::from_reply(&view), view.enhanced());
                    seen.push(view.to_string());
                }
                ReplyStep::Fault(fault) => {
                    seen.push(format!("{fault:?}"));
                    return (seen, calls);
                }
            }
        }
    }
    (seen, calls)
}

fn stuffed(pieces: &[&[u8]]) -> (Result<Vec<u8>, String>, usize) {
    let (mut stuffer, mut wire, mut calls) = (Stuffer::new(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            calls += 1;
            match stuffer.next(rest) {
                Err(error) => return (Err(error.to_string()), calls),
                Ok((used, piece)) => {
                    rest = &rest[used..];
                    match piece {
                        Stuffed::Bytes(bytes) => wire.extend_from_slice(bytes),
                        Stuffed::Dot => wire.push(b'.'),
                        Stuffed::NeedMore => break,
                    }
                }
            }
        }
    }
    let end = stuffer.finish().map_err(|error| error.to_string());
    (end.map(|end| [&wire, end].concat()), calls)
}

/// A command that was read, written and read again is the same. A line has no CR, LF or NUL: the framer sees to that.
fn reread(line: &[u8]) {
    let split = CommandLine::split(line);
    assert!(split.keyword.len() <= line.len());
    let Ok(command) = Command::parse(line) else { return };
    assert_eq!(Some(command.verb()), split.verb);
    let mut once = Vec::new();
    command.write_to(&mut once);
    let text = once.strip_suffix(b"\r\n").expect("it ends in CRLF");
    assert!(!text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "one line: {}", text.escape_ascii());
    let again = Command::parse(text).unwrap_or_else(|error| panic!("{error:?}: {}", text.escape_ascii()));
    assert_eq!(again, command, "{}", line.escape_ascii());
}

/// Lines that come close to a command.
fn near_command() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just("MAIL FROM:"),
        Just("mail from:<"),
        Just("RCPT TO:"),
        Just("RCPT TO:<@a,@b:"),
        Just("EHLO "),
        Just("NOOP "),
        Just("ETRN "),
        Just("XFORWARD "),
        Just(""),
    ];
    let middle = prop_oneof![
        strategies::reverse_path(),
        strategies::forward_path(),
        strategies::domain(),
        "[ -~]{0,20}",
        "<[\"\\\\@<>a. ]{0,12}>",
    ];
    (start, middle, "( {0,2}[A-Za-z0-9-]{0,4}=?[!-~]{0,6}){0,3}", proptest::collection::vec(any::<u8>(), 0..3))
        .prop_map(|(start, middle, end, noise)| [start.as_bytes(), middle.as_bytes(), end.as_bytes(), &noise].concat())
}

fn clean(mut line: Vec<u8>) -> Vec<u8> {
    line.retain(|b| !matches!(b, b'\r' | b'\n' | 0));
    line
}

proptest! {
    #[test]
    fn parsers_take_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (ReversePath::parse_prefix(&bytes), ForwardPath::parse_prefix(&bytes), Params::parse(&bytes));
        let _ = (CommandLine::split(&bytes), Command::parse(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Mailbox::parse(&text), Domain::parse(&text), BodyType::parse(&text));
        reread(&clean(bytes));
    }

    #[test]
    fn parsers_take_what_is_nearly_a_command(line in near_command()) {
        let _ = Command::parse(&line);
        reread(&clean(line));
    }

    #[test]
    fn lines_are_the_same_in_any_pieces(
        stream in strategies::stream(),
        cuts in strategies::cuts(),
        max in 2_usize..60,
        discard in 60_usize..200,
    ) {
        let (whole, calls) = frames(max, discard, &[&stream]);
        prop_assert!(calls <= stream.len() + 1);
        let pieces = strategies::cut(&stream, &cuts);
        let (cut, calls) = frames(max, discard, &pieces);
        prop_assert_eq!(cut, whole);
        prop_assert!(calls <= stream.len() + pieces.len());
    }

    #[test]
    fn bodies_are_the_same_in_any_pieces(stream in strategies::stream(), cuts in strategies::cuts()) {
        let (whole, end, faults, calls) = body(&[&stream]);
        prop_assert!(calls <= stream.len() + 1);
        let pieces = strategies::cut(&stream, &cuts);
        let (cut, cut_end, cut_faults, calls) = body(&pieces);
        prop_assert_eq!((cut, cut_end, cut_faults), (whole, end, faults));
        // A dot that was held back, and the CR behind it, may come out in a call of their own.
        prop_assert!(calls <= 2 * stream.len() + pieces.len());
    }

    #[test]
    fn replies_are_the_same_in_any_pieces(stream in strategies::stream(), cuts in strategies::cuts()) {
        let limits = ReplyLimits { line: 64, total: 200, lines: 8 };
        let (whole, calls) = replies(limits, &[&stream]);
        prop_assert!(calls <= stream.len() + 1);
        prop_assert_eq!(replies(limits, &strategies::cut(&stream, &cuts)).0, whole);
    }

    #[test]
    fn messages_on_their_way_out_are_the_same_in_any_pieces_and_come_back(
        stream in strategies::stream(),
        cuts in strategies::cuts(),
    ) {
        let (whole, calls) = stuffed(&[&stream]);
        prop_assert!(calls <= 2 * stream.len() + 1);
        prop_assert_eq!(&stuffed(&strategies::cut(&stream, &cuts)).0, &whole);
        if let Ok(wire) = whole {
            let (mut expected, (read, end, faults, _)) = (stream, body(&[&wire]));
            if !expected.is_empty() && !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!((read, end, faults.bare_line_end()), (expected, Some(wire.len()), false));
        }
    }
}
