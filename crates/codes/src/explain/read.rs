//! Finding the codes in what people paste.
//!
//! More lenient than [`EnhancedCode::parse_prefix`], which reads replies for programs: there everything doubtful is text.

use crate::{EnhancedCode, ReplyCode, StatusDetail};

/// The codes, and what stands behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'t> {
    pub(super) reply: Option<ReplyCode>,
    /// The class of the enhanced code.
    pub(super) class: Option<u16>,
    pub(super) status: Option<StatusDetail>,
    /// The enhanced code comes out of the text.
    pub(super) within: bool,
    /// From the codes on, with further lines.
    pub(super) input: &'t [u8],
    /// Behind the codes, on the first line.
    pub(super) text: &'t [u8],
}

/// What a field of a report has in front of a reply (RFC 3464 §2.3.4, §2.3.6), in small letters.
const LABELS: &[&[u8]] = &[b"diagnostic-code:", b"status:", b"smtp;", b"x-status:"];

/// What may stand between a reply code and an enhanced code, or in front of one that stands alone.
const fn is_filler(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'-' | b'#' | b'(' | b'[' | b'<' | b':' | b',' | b'"' | b'\'')
}

pub(super) fn read(input: &[u8]) -> Option<Reading<'_>> {
    let mut input = input.trim_ascii();
    // Each label at most once, in this order.
    for label in LABELS {
        if input.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label)) {
            input = input[label.len()..].trim_ascii_start();
        }
    }
    at_start(input).or_else(|| quoted(input))
}

/// Codes at the start.
fn at_start(input: &[u8]) -> Option<Reading<'_>> {
    let line = first_line(input);
    if let Some((reply, rest)) = reply_code(line) {
        return Some(with_enhanced(reply, rest, input));
    }
    let start = line.iter().take_while(|byte| is_filler(**byte)).count();
    let (class, status, rest) = enhanced(&line[start..]).or_else(|| open_class(&line[start..]))?;
    Some(Reading { reply: None, class, status: Some(status), within: false, input, text: rest.trim_ascii() })
}

/// A reply code at the start was found: looks for the enhanced code that belongs to it.
fn with_enhanced<'t>(reply: ReplyCode, rest: &'t [u8], input: &'t [u8]) -> Reading<'t> {
    if let Some((class, status, text)) = adjoining(rest) {
        return Reading { reply: Some(reply), class, status: Some(status), within: false, input, text: trim(text) };
    }
    let text = trim(rest);
    // Some put it elsewhere, like "(#5.1.1)". One of another class is more likely a quotation.
    let found = places(text).find_map(|at| {
        enhanced(&text[at..])
            .filter(|(class, ..)| *class == Some(reply.get() / 100) && matches!(class, Some(2 | 4 | 5)))
    });
    match found {
        Some((class, status, _)) => {
            Reading { reply: Some(reply), class, status: Some(status), within: true, input, text }
        }
        None => Reading { reply: Some(reply), class: None, status: None, within: false, input, text },
    }
}

/// Codes somewhere in the text: "host mx.example.org said: 550 5.1.1 no such user".
///
/// At each place only what adjoins is looked at, so that the time stays linear.
fn quoted(input: &[u8]) -> Option<Reading<'_>> {
    for at in places(input) {
        let Some((reply, rest)) = reply_code(&input[at..]) else { continue };
        let introduced = introduces(input[..at].trim_ascii_end());
        let usual = matches!(reply.get(), 200..=299 | 400..=599) && reply.info().is_some();
        let seconded = || adjoining(rest).is_some_and(|(class, ..)| class == Some(reply.get() / 100));
        if introduced && usual || seconded() {
            let input = &input[at..];
            return Some(with_enhanced(reply, first_line(input).get(3..).unwrap_or_default(), input));
        }
    }
    places(input).find_map(|at| {
        let input = &input[at..];
        let (class, status, text) = enhanced(input).filter(|(class, ..)| matches!(class, Some(2 | 4 | 5)))?;
        Some(Reading { reply: None, class, status: Some(status), within: true, input, text: trim(first_line(text)) })
    })
}

/// Whether what stands in front of a number says that it is a code.
fn introduces(before: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[b"code", b"error", b"reply", b"response", b"returned", b"said", b"status"];
    let ends = |word: &&[u8]| {
        let at = before.len().checked_sub(word.len());
        at.is_some_and(|at| before[at..].eq_ignore_ascii_case(word))
    };
    before.last().is_none_or(|byte| b":;([<\"'=,".contains(byte)) || WORDS.iter().any(ends)
}

/// Where a number begins that is not the rest of a longer word, address or name.
fn places(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    (0..text.len()).filter(move |at| {
        let before = at.checked_sub(1).map(|before| text[before]);
        text[*at].is_ascii_digit()
            && before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_' | b'@' | b'+'))
    })
}

/// The enhanced code that a reply code is followed by.
fn adjoining(rest: &[u8]) -> Option<Enhanced<'_>> {
    let start = rest.iter().take_while(|byte| is_filler(**byte)).count();
    enhanced(&rest[start..]).filter(|(class, ..)| matches!(class, Some(2 | 4 | 5)))
}

/// Three digits that no longer word continues.
fn reply_code(text: &[u8]) -> Option<(ReplyCode, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<3>()?;
    let ends =
        rest.first().is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"._@".contains(byte));
    ReplyCode::from_digits(*digits).filter(|_| ends || rest == b".").map(|code| (code, rest))
}

type Enhanced<'t> = (Option<u16>, StatusDetail, &'t [u8]);

/// `class.subject.detail`, not part of a longer number or word such as an address.
fn enhanced(text: &[u8]) -> Option<Enhanced<'_>> {
    let (code, length) = EnhancedCode::scan_prefix(text)?;
    whole(&text[length..]).then(|| (Some(code.class()), code.status(), &text[length..]))
}

/// `X.subject.detail`.
fn open_class(text: &[u8]) -> Option<Enhanced<'_>> {
    let (status, length) = StatusDetail::scan_prefix(text)?;
    whole(&text[length..]).then(|| (None, status, &text[length..]))
}

/// Whether a code may end in front of this.
fn whole(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b'.', next, ..] => !next.is_ascii_alphanumeric(),
        [b'@' | b'_' | b'/', ..] => false,
        [next, ..] => !next.is_ascii_alphanumeric() && next.is_ascii(),
    }
}

/// The text without what separates it from the codes.
fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'-' | b':')).count();
    text[start..].trim_ascii_end()
}

/// Up to the line end.
fn first_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(text.len());
    &text[..end]
}

/// A reply code and an enhanced code of later lines that differ from those of the first.
pub(super) fn other_lines(reading: &Reading<'_>) -> (Option<ReplyCode>, Option<EnhancedCode>) {
    let Some(reply) = reading.reply else { return (None, None) };
    let lines = reading.input.split(|byte| matches!(byte, b'\r' | b'\n')).skip(1);
    let (mut other_reply, mut other_enhanced) = (None, None);
    for (code, rest) in lines.filter_map(|line| reply_code(line.trim_ascii())) {
        if code != reply {
            other_reply = other_reply.or(Some(code));
            continue;
        }
        let text = rest.get(1..).unwrap_or_default();
        if let Some((found, _)) = EnhancedCode::parse_prefix(text)
            && !reading.within
            && Some(found.status()) != reading.status
        {
            other_enhanced = other_enhanced.or(Some(found));
        }
    }
    (other_reply, other_enhanced)
}
