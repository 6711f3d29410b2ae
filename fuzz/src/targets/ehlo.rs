//! The target of replies to EHLO.

use super::bytes::{Bytes, pieces};
use ehlo_codec::{
    Capabilities, Capability, EhloError, EhloReply, Extension, ReplyLimits, ReplyReader, ReplyStep, write_ehlo_reply,
};

/// All that a reply tells.
fn told(reply: &EhloReply<'_>) -> String {
    let known: Vec<_> = Extension::ALL.into_iter().filter(|&extension| reply.has(extension)).collect();
    let values = (reply.max_size(), reply.auth(), reply.limits(), reply.deliver_by(), reply.future_release());
    let lists = (reply.mt_priority(), reply.no_soliciting(), reply.burl(), reply.xclient(), reply.xforward());
    format!("{known:?} {values:?} {lists:?} {} {reply:?}", reply.domain())
}

fn by_reader(limits: ReplyLimits, pieces: &[&[u8]]) -> Result<(String, usize), EhloError> {
    let mut reader = ReplyReader::new(limits);
    let mut used = 0;
    for piece in pieces {
        let (length, step) = reader.next(piece);
        used += length;
        match step {
            ReplyStep::NeedMore => {}
            ReplyStep::Fault(fault) => return Err(EhloError::Fault(fault)),
            ReplyStep::Reply(code) if code.get() != 250 => return Err(EhloError::Refused(code)),
            ReplyStep::Reply(_) => {
                let view = reader.reply().expect("it is complete");
                let told_kept = told(&Capabilities::from_reply(&view).as_reply());
                let told = told(&EhloReply::from_view(&view));
                assert_eq!(told_kept, told, "kept, it is another reply");
                return Ok((told, used));
            }
        }
    }
    Err(EhloError::Incomplete)
}

/// Bytes are the same reply to EHLO from the wire and by a reader, in any pieces, within their limits; and what it offers can be written
/// and is read as the same.
pub fn ehlo_reply(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let limits = if bytes.below(2) == 0 {
        ReplyLimits::default()
    } else {
        ReplyLimits { line: 8 + bytes.below(80), total: 1 + bytes.below(250), lines: 1 + bytes.below(10) }
    };
    let seed = bytes.byte();
    let stream = bytes.rest();
    let parsed = EhloReply::parse_within(stream, limits);
    if !matches!(parsed, Err(EhloError::Refused(_))) {
        let parsed = parsed.map(|(reply, used)| (told(&reply), used));
        assert_eq!(by_reader(limits, &[stream]), parsed);
        assert_eq!(by_reader(limits, &pieces(stream, seed)), parsed);
        assert_eq!(by_reader(limits, &pieces(stream, 0)), parsed);
    }
    let Ok((reply, _)) = parsed else { return };
    let capabilities: Vec<Capability<'_>> = reply.capabilities().collect();
    let mut wire = Vec::new();
    if write_ehlo_reply(&mut wire, "mx.example", &capabilities).is_ok() {
        let (again, used) = EhloReply::parse_within(&wire, ReplyLimits { lines: usize::MAX, ..ReplyLimits::default() })
            .unwrap_or_else(|error| panic!("{error}: {}", wire.escape_ascii()));
        assert_eq!(used, wire.len());
        assert_eq!(again.capabilities().collect::<Vec<_>>(), capabilities);
    }
}
