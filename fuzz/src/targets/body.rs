//! Targets of `ehlo-codec`: messages on their way out, and messages in chunks.

use super::bytes::{Bytes, pieces};
use ehlo_codec::{
    ChunkDecoder, ChunkStep, DataDecoder, DataFaults, LineCheck, LineEnding, StuffError, Stuffed, Stuffer,
};

/// The first CR or LF that stands alone.
fn lone(message: &[u8]) -> Option<StuffError> {
    let mut at = 0;
    while at < message.len() {
        let kind = match &message[at..] {
            [b'\r', b'\n', ..] => {
                at += 2;
                continue;
            }
            [b'\r', ..] => LineEnding::BareCr,
            [b'\n', ..] => LineEnding::BareLf,
            _ => {
                at += 1;
                continue;
            }
        };
        return Some(StuffError { kind, offset: at as u64 });
    }
    None
}

fn stuffed(pieces: &[&[u8]]) -> Result<Vec<u8>, StuffError> {
    let (mut stuffer, mut wire) = (Stuffer::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (used, step) = stuffer.next(rest)?;
            rest = &rest[used..];
            match step {
                Stuffed::NeedMore => {
                    assert!(rest.is_empty(), "more is wanted, and there is more");
                    break;
                }
                Stuffed::Bytes(bytes) => {
                    assert!(!bytes.is_empty(), "an empty piece");
                    wire.extend_from_slice(bytes);
                }
                Stuffed::Dot => wire.push(b'.'),
            }
        }
    }
    wire.extend_from_slice(stuffer.finish()?);
    Ok(wire)
}

/// A message is refused at its first lone CR or LF, and if it has none it comes back from the wire as it was (RFC 5321 §4.5.2), in any
/// pieces.
pub fn stuffer(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let seed = bytes.byte();
    let message = bytes.rest();
    let whole = stuffed(&[message]);
    assert_eq!(whole.as_ref().err().copied(), lone(message));
    assert_eq!(stuffed(&pieces(message, seed)), whole);
    assert_eq!(stuffed(&pieces(message, 0)), whole);
    let Ok(wire) = whole else { return };
    let mut expected = message.to_vec();
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        expected.extend_from_slice(b"\r\n");
    }
    let (mut decoder, mut body) = (DataDecoder::new(), Vec::new());
    assert_eq!(decoder.decode_into(&wire, &mut body), (wire.len(), true), "the end is the end");
    assert_eq!(body, expected);
    assert_eq!(decoder.faults(), DataFaults { nul: message.contains(&0), ..DataFaults::default() });
}

/// A chunk has as many octets as were said (RFC 3030 §2), whatever they are, and its lines are judged alike in any pieces.
pub fn chunk_decoder(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (size, seed) = (bytes.below(256), bytes.byte());
    let stream = bytes.rest();
    let (expected, complete) = stream.get(..size).map_or((stream, false), |chunk| (chunk, true));
    let mut checks = Vec::new();
    for pieces in [vec![stream], pieces(stream, seed), pieces(stream, 0)] {
        let (mut decoder, mut check) = (ChunkDecoder::new(size as u64), LineCheck::new());
        let (mut chunk, mut ended) = (Vec::new(), size == 0);
        for piece in pieces {
            let mut rest = piece;
            loop {
                let (used, step) = decoder.next(rest);
                rest = &rest[used..];
                match step {
                    ChunkStep::Body(piece) => {
                        assert!(!piece.is_empty() && used == piece.len() && !ended);
                        check.feed(piece);
                        chunk.extend_from_slice(piece);
                    }
                    ChunkStep::NeedMore => {
                        assert!(rest.is_empty() && !ended, "more is wanted, and there is more");
                        break;
                    }
                    ChunkStep::End => {
                        ended = true;
                        break;
                    }
                }
                assert_eq!(decoder.remaining(), (size - chunk.len()) as u64);
            }
        }
        assert_eq!((&chunk[..], decoder.remaining() == 0), (expected, complete));
        assert_eq!(check.finish().bare_line_end(), lone(expected).is_some());
        assert_eq!(check.finish().nul, expected.contains(&0));
        assert_eq!(check.ends_line(), expected.is_empty() || expected.ends_with(b"\r\n"));
        checks.push((check.faults(), check.finish()));
    }
    assert!(checks.windows(2).all(|pair| pair[0] == pair[1]), "{checks:?}");
}
