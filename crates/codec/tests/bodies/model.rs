//! RFC 5321 §4.1.1.4 and §4.5.2 once more: slow, by definition instead of by state, over a whole stream. And the readers under test.

use ehlo_codec::{DataDecoder, DataFaults, DataStep, LineCheck, LineEnding, StuffError, Stuffed, Stuffer};

/// A body that was cut out of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unstuffed {
    pub(crate) body: Vec<u8>,
    /// How many bytes of the stream are before the next command, if the end was there.
    pub(crate) end: Option<usize>,
    pub(crate) faults: DataFaults,
}

fn at_line_start(stream: &[u8], at: usize) -> bool {
    at == 0 || stream[..at].ends_with(b"\r\n")
}

/// A CR that the byte behind it proves to stand alone.
fn bare_cr(stream: &[u8], at: usize) -> bool {
    stream[at] == b'\r' && stream.get(at + 1).is_some_and(|&next| next != b'\n')
}

fn bare_lf(stream: &[u8], at: usize) -> bool {
    stream[at] == b'\n' && (at == 0 || stream[at - 1] != b'\r')
}

/// What is wrong with the line ends of `body`, where `stream` goes on behind it.
fn faults(stream: &[u8], body: usize) -> DataFaults {
    DataFaults {
        bare_cr: (0..body).any(|at| bare_cr(stream, at)),
        bare_lf: (0..body).any(|at| bare_lf(stream, at)),
        nul: stream[..body].contains(&0),
    }
}

pub(crate) fn unstuffed(stream: &[u8]) -> Unstuffed {
    let dot = |at: usize| stream[at] == b'.' && at_line_start(stream, at);
    let end = (0..stream.len()).find(|&at| dot(at) && stream[at..].starts_with(b".\r\n"));
    // What may yet become the end is not handed out.
    let held = (0..stream.len()).find(|&at| dot(at) && b".\r\n".starts_with(&stream[at..]));
    let body = end.or(held).unwrap_or(stream.len());
    Unstuffed {
        body: (0..body).filter(|&at| !dot(at)).map(|at| stream[at]).collect(),
        end: end.map(|at| at + 3),
        faults: faults(stream, body),
    }
}

/// Un-stuffs a stream that comes in pieces, into `into`.
pub(crate) fn unstuff_into(pieces: &[&[u8]], into: &mut Unstuffed) {
    into.body.clear();
    into.end = None;
    let (mut decoder, mut total) = (DataDecoder::new(), 0);
    'stream: for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, step) = decoder.next(rest);
            (rest, total) = (&rest[used..], total + used);
            match step {
                DataStep::Body(bytes) => {
                    assert!(!bytes.is_empty(), "a piece of the body is never empty");
                    into.body.extend_from_slice(bytes);
                }
                DataStep::NeedMore => {
                    assert!(rest.is_empty(), "all was used");
                    break;
                }
                DataStep::End => {
                    into.end = Some(total);
                    break 'stream;
                }
            }
        }
    }
    into.faults = decoder.faults();
}

pub(crate) fn unstuff(pieces: &[&[u8]]) -> Unstuffed {
    let mut unstuffed = Unstuffed::default();
    unstuff_into(pieces, &mut unstuffed);
    unstuffed
}

/// What goes over the wire for a message, or where it has a CR or LF that stands alone.
pub(crate) fn stuffed(message: &[u8]) -> Result<Vec<u8>, StuffError> {
    for at in 0..message.len() {
        let offset = at as u64;
        if bare_cr(message, at) || message[at..] == *b"\r" {
            return Err(StuffError { kind: LineEnding::BareCr, offset });
        }
        if bare_lf(message, at) {
            return Err(StuffError { kind: LineEnding::BareLf, offset });
        }
    }
    let mut wire = Vec::new();
    for at in 0..message.len() {
        if message[at] == b'.' && at_line_start(message, at) {
            wire.push(b'.');
        }
        wire.push(message[at]);
    }
    if !at_line_start(message, message.len()) {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    Ok(wire)
}

/// Stuffs a message that comes in pieces.
pub(crate) fn stuff(pieces: &[&[u8]]) -> Result<Vec<u8>, StuffError> {
    let (mut stuffer, mut wire) = (Stuffer::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, step) = stuffer.next(rest)?;
            rest = &rest[used..];
            match step {
                Stuffed::Bytes(bytes) => {
                    assert!(!bytes.is_empty(), "a piece of the message is never empty");
                    wire.extend_from_slice(bytes);
                }
                Stuffed::Dot => wire.push(b'.'),
                Stuffed::NeedMore => {
                    assert!(rest.is_empty(), "all was used");
                    break;
                }
            }
        }
    }
    wire.extend_from_slice(stuffer.finish()?);
    Ok(wire)
}

/// Holds all that is said of a stream in these pieces against the model.
pub(crate) fn judge(pieces: &[&[u8]], unstuffed: &Unstuffed, stuffed: &Result<Vec<u8>, StuffError>) {
    let tell = || pieces.iter().map(|piece| piece.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(unstuff(pieces), *unstuffed, "un-stuffing {:?}", tell());
    assert_eq!(stuff(pieces), *stuffed, "stuffing {:?}", tell());

    let (mut decoder, mut body, mut used, mut ended) = (DataDecoder::new(), Vec::new(), 0, false);
    let (mut stuffer, mut wire, mut fault) = (Stuffer::new(), Vec::new(), None);
    for piece in pieces {
        if !ended {
            let taken;
            (taken, ended) = decoder.decode_into(piece, &mut body);
            assert!(ended || taken == piece.len(), "all was used");
            used += taken;
        }
        if fault.is_none() {
            fault = stuffer.stuff_into(piece, &mut wire).err();
        }
    }
    assert_eq!((&body, ended.then_some(used)), (&unstuffed.body, unstuffed.end), "decode_into {:?}", tell());
    let wire = fault.map_or_else(|| stuffer.finish(), Err).map(|end| [&wire, end].concat());
    assert_eq!(wire, *stuffed, "stuff_into {:?}", tell());
}

/// Holds the check of line ends against the model.
pub(crate) fn judge_line_ends(pieces: &[&[u8]]) {
    let whole = pieces.concat();
    let mut check = LineCheck::new();
    for piece in pieces {
        check.feed(piece);
    }
    let mut expected = faults(&whole, whole.len());
    assert_eq!(check.faults(), expected, "{}", whole.escape_ascii());
    expected.bare_cr |= whole.ends_with(b"\r");
    assert_eq!(check.finish(), expected, "{}", whole.escape_ascii());
    assert_eq!(check.ends_line(), at_line_start(&whole, whole.len()), "{}", whole.escape_ascii());
}

/// Un-stuffing what was stuffed gives the message back, with a CRLF where it had none at its end.
pub(crate) fn judge_return(message: &[u8], stuffed: &Result<Vec<u8>, StuffError>) {
    let Ok(wire) = stuffed else { return };
    let mut body = message.to_vec();
    if !at_line_start(message, message.len()) {
        body.extend_from_slice(b"\r\n");
    }
    let faults = DataFaults { nul: message.contains(&0), ..DataFaults::default() };
    assert_eq!(unstuff(&[wire]), Unstuffed { body, end: Some(wire.len()), faults });
}
