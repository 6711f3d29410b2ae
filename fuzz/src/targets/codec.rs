//! Targets of `ehlo-codec`.

use super::bytes::{Bytes, pieces};
use ehlo_codec::{
    AuthResponse, Capabilities, Command, CommandBuf, CommandLine, DataDecoder, DataFaults, DataStep, DomainBuf,
    ForwardPathBuf, Framed, LineFault, LineFramer, MailParam, MailParams, MailParamsBuf, RcptParam, RcptParams,
    RcptParamsBuf, ReplyLimits, ReplyReader, ReplyStep, ReversePathBuf, SyntaxError,
};

#[derive(Debug, PartialEq)]
enum Frame {
    Line(Vec<u8>),
    Fault(LineFault),
    Hopeless,
}

fn frames(max: usize, discard: usize, pieces: &[&[u8]]) -> Vec<Frame> {
    let mut framer = LineFramer::new(max).with_max_discard(discard);
    let mut frames = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, frame) = framer.next(rest);
            rest = &rest[used..];
            match frame {
                Framed::NeedMore => {
                    assert!(rest.is_empty(), "more is wanted, and there is more");
                    break;
                }
                Framed::Line(line) => {
                    assert!(line.len() + 2 <= max, "a line beyond its limit");
                    assert!(!line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "a line with a line end in it");
                    frames.push(Frame::Line(line.to_vec()));
                }
                Framed::Fault(fault) => frames.push(Frame::Fault(fault)),
                Framed::Hopeless => {
                    frames.push(Frame::Hopeless);
                    return frames;
                }
            }
            assert!(used > 0, "a frame out of nothing");
        }
        assert!(framer.held() <= max, "more is kept than a line");
    }
    frames
}

/// The same bytes are the same lines in any pieces, and never more than a line is kept.
pub fn line_framer(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (max, discard, seed) = (2 + bytes.below(80), bytes.below(250), bytes.byte());
    let stream = bytes.rest();
    let whole = frames(max, discard, &[stream]);
    assert_eq!(frames(max, discard, &pieces(stream, seed)), whole);
    assert_eq!(frames(max, discard, &pieces(stream, 0)), whole);
}

/// What DATA means (RFC 5321 §4.1.1.4, §4.5.2), one byte after the other: the body, where the stream goes on behind its end, and
/// what was wrong with it.
fn slow_body(stream: &[u8]) -> (Vec<u8>, Option<usize>, DataFaults) {
    let (mut body, mut faults, mut at, mut line_start) = (Vec::new(), DataFaults::default(), 0, true);
    while at < stream.len() {
        let rest = &stream[at..];
        if line_start && rest[0] == b'.' {
            if rest.starts_with(b".\r\n") {
                return (body, Some(at + 3), faults);
            }
            if b".\r\n".starts_with(rest) {
                // Nobody can tell yet.
                break;
            }
            line_start = false;
            at += 1;
            continue;
        }
        line_start = rest.starts_with(b"\r\n");
        let length = if line_start { 2 } else { 1 };
        match rest[0] {
            b'\r' if !line_start && rest.len() > 1 => faults.bare_cr = true,
            b'\n' => faults.bare_lf = true,
            0 => faults.nul = true,
            _ => {}
        }
        body.extend_from_slice(&rest[..length]);
        at += length;
    }
    (body, None, faults)
}

fn fast_body(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>, DataFaults) {
    let (mut decoder, mut body, mut total) = (DataDecoder::new(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, step) = decoder.next(rest);
            rest = &rest[used..];
            total += used;
            match step {
                DataStep::NeedMore => {
                    assert!(rest.is_empty(), "more is wanted, and there is more");
                    break;
                }
                DataStep::Body(piece) => {
                    assert!(!piece.is_empty(), "an empty piece");
                    body.extend_from_slice(piece);
                }
                DataStep::End => return (body, Some(total), decoder.faults()),
            }
        }
    }
    (body, None, decoder.faults())
}

/// The decoder of DATA agrees with the slow one, in any pieces.
pub fn data_decoder(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let seed = bytes.byte();
    let stream = bytes.rest();
    let expected = slow_body(stream);
    assert_eq!(fast_body(&[stream]), expected);
    assert_eq!(fast_body(&pieces(stream, seed)), expected);
    assert_eq!(fast_body(&pieces(stream, 0)), expected);
}

/// No bytes make the readers of commands panic, and what they have read they read again from what is written.
pub fn command(data: &[u8]) {
    let _ = (CommandLine::split(data), Command::parse(data), Command::parse_utf8(data), AuthResponse::parse(data));
    let mut framer = LineFramer::new(data.len() + 2);
    let stream = [data, b"\r\n"].concat();
    let mut rest = &stream[..];
    loop {
        let (used, frame) = framer.next(rest);
        rest = &rest[used..];
        match frame {
            Framed::NeedMore | Framed::Hopeless => return,
            Framed::Fault(_) => {}
            Framed::Line(line) => {
                let narrow = reread(line, false);
                let wide = reread(line, true);
                assert!(narrow.is_none() || narrow == wide, "{} is read in two ways", line.escape_ascii());
                assert!(!line.is_ascii() || narrow == wide, "{} is ASCII", line.escape_ascii());
            }
        }
    }
}

fn parse(line: &[u8], utf8: bool) -> Result<Command<'_>, SyntaxError> {
    if utf8 { Command::parse_utf8(line) } else { Command::parse(line) }
}

fn reread(line: &[u8], utf8: bool) -> Option<CommandBuf> {
    let command = match parse(line, utf8) {
        Ok(command) => command,
        Err(error) => {
            assert!(error.reply().code().get() >= 500, "a syntax error is refused for good");
            return None;
        }
    };
    let mut once = Vec::new();
    command.write_to(&mut once);
    let text = once.strip_suffix(b"\r\n").expect("a command ends in CRLF");
    assert!(!text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "a command of two lines");
    let again = parse(text, utf8).expect("what was written is a command");
    assert_eq!(again, command, "{} became {}", line.escape_ascii(), text.escape_ascii());
    let kept = CommandBuf::from(command);
    assert!(kept.as_command() == command && kept.as_bytes() == once, "{} is kept as it is", line.escape_ascii());
    match command {
        Command::Mail { from, params } => {
            assert_eq!(ReversePathBuf::from(from).as_path(), from);
            mail_params(params);
        }
        Command::Rcpt { to, params } => {
            assert_eq!(ForwardPathBuf::from(to).as_path(), to);
            rcpt_params(params);
        }
        Command::Ehlo(id) => assert_eq!(DomainBuf::from(id).as_domain(), id),
        _ => {}
    }
    Some(kept)
}

/// Each parameter that was read can be put together again, and means the same.
fn mail_params(params: MailParams<'_>) {
    let mut made = MailParamsBuf::new();
    for param in params.iter() {
        made.push(param).expect("it was read once");
    }
    assert!(made.as_params().iter().eq(params.iter()), "{params} became {made}");
    assert_eq!((made.as_params().size(), made.as_params().body()), (params.size(), params.body()));
    for param in params.iter() {
        match param {
            MailParam::Size(size) => assert_eq!(params.size(), Some(size)),
            MailParam::Body(body) => assert_eq!(params.body(), Some(body)),
            MailParam::Envid(id) => assert_eq!(id.bytes().count(), id.decode().len()),
            _ => {}
        }
    }
}

fn rcpt_params(params: RcptParams<'_>) {
    let mut made = RcptParamsBuf::new();
    for param in params.iter() {
        made.push(param).expect("it was read once");
    }
    assert!(made.as_params().iter().eq(params.iter()), "{params} became {made}");
    for param in params.iter() {
        if let RcptParam::Notify(notify) = param {
            assert_eq!(params.notify(), Some(notify));
        }
    }
}

fn replies(limits: ReplyLimits, pieces: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut seen) = (ReplyReader::new(limits), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, step) = reader.next(rest);
            rest = &rest[used..];
            match step {
                ReplyStep::NeedMore => {
                    assert!(rest.is_empty(), "more is wanted, and there is more");
                    break;
                }
                ReplyStep::Reply(code) => {
                    let view = reader.reply().expect("it is complete");
                    assert!(view.code() == code && (200..600).contains(&code.get()));
                    assert!(view.lines().count() <= limits.lines, "more lines than the limit");
                    assert!(view.lines().map(<[u8]>::len).sum::<usize>() <= limits.total, "more text than the limit");
                    assert!(view.enhanced().is_none_or(|enhanced| enhanced.agrees_with(code)));
                    seen.push(format!("{view} {:?}", Capabilities::from_reply(&view)));
                }
                ReplyStep::Fault(fault) => {
                    seen.push(format!("{fault:?}"));
                    return seen;
                }
            }
        }
    }
    seen
}

/// The same bytes are the same replies in any pieces, within their limits.
pub fn reply_reader(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let limits = ReplyLimits { line: 8 + bytes.below(80), total: 1 + bytes.below(250), lines: 1 + bytes.below(10) };
    let seed = bytes.byte();
    let stream = bytes.rest();
    let whole = replies(limits, &[stream]);
    assert_eq!(replies(limits, &pieces(stream, seed)), whole);
    assert_eq!(replies(limits, &pieces(stream, 0)), whole);
}
