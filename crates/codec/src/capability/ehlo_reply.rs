//! The reply to EHLO, read without a copy.

use super::keyword::{self, SLOTS, Slot, WINDOW};
use super::value::{self, FutureRelease};
use super::{Auth, Capability, Extension, Limits, Words};
use crate::line::LineFault;
use crate::reply_reader::{self, ReplyFault, ReplyLimits, ReplyView};
use core::fmt;
use ehlo_codes::ReplyCode;
use memchr::{memchr, memchr2, memchr3};

/// Octets of a code and what separates it from the text.
const PREFIX: usize = 4;

/// Octets of a line that are looked at first.
const START: usize = PREFIX + WINDOW;

/// Why [`EhloReply::parse`] gives no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EhloError {
    /// The reply's last line is not there yet. Whatever is there is in order.
    Incomplete,
    /// The server answers with another code than 250, so it offers nothing. [`ReplyReader`](crate::ReplyReader) reads such a reply.
    Refused(ReplyCode),
    /// What came is no reply.
    Fault(ReplyFault),
}

impl fmt::Display for EhloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the reply to EHLO is not complete"),
            Self::Refused(code) => write!(f, "EHLO was answered with {code}"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for EhloError {}

/// A server's reply to EHLO: what it offers (RFC 5321 §4.1.1.1 `ehlo-ok-rsp`), borrowed from the bytes that came.
///
/// Reading it finds the lines, checks them, and notes which extensions are there and where their parameters stand; a parameter is read when
/// it is asked for. A line that does not fit the grammar is passed over: it offers nothing. Where a keyword stands twice, the last counts.
///
/// ```
/// use ehlo_codec::{EhloReply, Extension};
///
/// let wire = b"250-mx.example at your service\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n";
/// let (reply, used) = EhloReply::parse(wire)?;
/// assert_eq!(used, wire.len());
/// assert_eq!(reply.domain(), "mx.example");
/// assert!(reply.has(Extension::EightBitMime) && !reply.has(Extension::StartTls));
/// assert_eq!(reply.max_size(), Some(1000));
/// assert!(reply.auth().is_some_and(|auth| auth.contains("plain")));
/// # Ok::<(), ehlo_codec::EhloError>(())
/// ```
#[derive(Clone, Copy)]
pub struct EhloReply<'a> {
    /// The lines: each with its code, and CRLF between them, if `is_wire`; else their texts, LF between them.
    text: &'a [u8],
    is_wire: bool,
    summary: Summary,
}

/// What was found in the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    known: u64,
    /// Where parameters begin, by [`Slot`]; 0 where there are none, since the greeting stands there.
    parameters: [u32; SLOTS],
}

impl Summary {
    /// Notes an extension, and where its parameters begin.
    #[inline]
    fn note(&mut self, extension: Extension, slot: Slot, parameters: usize) {
        self.known |= extension.bit();
        self.place(slot, parameters);
    }

    fn place(&mut self, slot: Slot, parameters: usize) {
        // Beyond 4 GiB nothing is kept hold of; no limit of a reply is near it.
        self.parameters[slot as usize] = u32::try_from(parameters).unwrap_or(0);
    }

    /// Looks at the text of a line, which begins at `at` of the whole.
    fn read(&mut self, line: &[u8], mut at: usize) {
        let blank = line.iter().take_while(|&&b| matches!(b, b' ' | b'\t')).count();
        let line = line.get(blank..).unwrap_or_default();
        at += blank;
        let Some((found, _)) = keyword::find(&keyword::window(line)) else { return };
        let behind = line.get(found.length..).unwrap_or_default();
        self.read_behind(found, behind, behind.is_ascii(), at + found.length);
    }

    /// Looks at what is behind a keyword up to the end of its line.
    #[inline]
    fn read_behind(&mut self, found: &keyword::Keyword, behind: &[u8], is_ascii: bool, at: usize) {
        match behind.first() {
            None => self.note(found.extension, found.slot, 0),
            Some(b' ' | b'\t') if is_ascii => self.note(found.extension, found.slot, at),
            Some(b'=') if found.extension == Extension::Auth && is_ascii => {
                self.place(Slot::AuthEquals, at + 1);
            }
            Some(_) => {}
        }
    }

    pub(super) const fn has(&self, extension: Extension) -> bool {
        self.known & extension.bit() != 0
    }
}

impl<'a> EhloReply<'a> {
    /// Reads a whole reply to EHLO from the front of `wire`, in one pass and without a copy; gives it and how many bytes it has.
    ///
    /// The rules of [`ReplyReader`](crate::ReplyReader) with the default [`ReplyLimits`] apply.
    ///
    /// # Errors
    ///
    /// [`EhloError::Incomplete`], if its end is not there: call again with the same bytes and more. Else why it is none.
    pub fn parse(wire: &'a [u8]) -> Result<(Self, usize), EhloError> {
        Self::parse_within(wire, ReplyLimits::default())
    }

    /// Like [`parse`](Self::parse), with other limits.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse).
    pub fn parse_within(wire: &'a [u8], limits: ReplyLimits) -> Result<(Self, usize), EhloError> {
        let mut summary = Summary::default();
        let (mut at, mut lines) = (0, 0);
        // Up to here no limit can have been passed: no line has fewer octets than those five, and no line or text more than all.
        let within_limits = limits.line.min(limits.total).min(limits.lines.saturating_mul(b"250\r\n".len()));
        // Lines are looked at through a window, behind the end of which there are zeros.
        let mut rest = wire;
        let end = padded_end(wire);
        let mut in_end = false;
        loop {
            let Some(start) = rest.first_chunk::<START>() else {
                // At the most once: `end` has a whole window behind each place of the input's end.
                if in_end {
                    return Err(EhloError::Incomplete);
                }
                in_end = true;
                rest = end.get(START - rest.len()..).unwrap_or_default();
                continue;
            };
            let Some((prefix, window)) = start.split_first_chunk::<PREFIX>() else { return Err(EhloError::Incomplete) };
            let is_last = *prefix == *b"250 ";
            if !is_last && *prefix != *b"250-" {
                // `Reply-code [ SP textstring ] CRLF`: the last line may be a code alone.
                let line = wire.get(at..).unwrap_or_default();
                if !line.starts_with(b"250\r\n") {
                    return Err(diagnose(line, lines > 0, limits));
                }
                at += 5;
                check_limits(at, lines + 1, 5, limits)?;
                let text = wire.get(..at - 2).unwrap_or_default();
                return Ok((Self { text, is_wire: true, summary }, at));
            }
            let found = if lines == 0 { None } else { window.first_chunk().and_then(keyword::find) };
            let length = match found {
                // Without parameters the end is seen at once.
                Some((found, true)) => {
                    summary.note(found.extension, found.slot, 0);
                    PREFIX + found.length + 2
                }
                _ => {
                    let line = wire.get(at..).unwrap_or_default();
                    let Some((text, is_ascii)) = text_of(line) else { return Err(diagnose(line, lines > 0, limits)) };
                    match (found, text) {
                        (Some((found, _)), _) => {
                            let behind = text.get(found.length..).unwrap_or_default();
                            summary.read_behind(found, behind, is_ascii, at + PREFIX + found.length);
                        }
                        (None, [b' ' | b'\t', ..]) if lines > 0 => summary.read(text, at + PREFIX),
                        _ => {}
                    }
                    PREFIX + text.len() + 2
                }
            };
            at += length;
            lines += 1;
            if at > within_limits {
                check_limits(at, lines, length, limits)?;
            }
            if is_last {
                let text = wire.get(..at - 2).unwrap_or_default();
                return Ok((Self { text, is_wire: true, summary }, at));
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The reply that a [`ReplyReader`](crate::ReplyReader) has read. Whether its code is 250 is for the caller to look at.
    #[must_use]
    pub fn from_view(view: &ReplyView<'a>) -> Self {
        Self::from_bytes(view.text())
    }

    /// A reply whose lines' texts, without codes, stand in `text` with LF between them.
    #[must_use]
    pub fn from_text(text: &'a str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    fn from_bytes(text: &'a [u8]) -> Self {
        let mut summary = Summary::default();
        let mut at = memchr(b'\n', text).map_or(text.len(), |end| end + 1);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            summary.read(&rest[..end], at);
            at += end + 1;
        }
        Self { text, is_wire: false, summary }
    }

    /// The reply whose summary was kept beside its text.
    pub(super) const fn with_summary(text: &'a str, summary: Summary) -> Self {
        Self { text: text.as_bytes(), is_wire: false, summary }
    }

    pub(super) const fn summary(&self) -> Summary {
        self.summary
    }

    /// Whether the server offers it.
    #[must_use]
    pub const fn has(&self, extension: Extension) -> bool {
        self.summary.has(extension)
    }

    /// The largest message that the server takes, in octets, if it names one that is more than 0 and fits in 64 bits (RFC 1870 §4).
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        value::size(self.parameters(Slot::Size)?).flatten().filter(|&size| size > 0)
    }

    /// The mechanisms of AUTH, if the server offers it (RFC 4954 §3). Where only the old form `AUTH=` is there, that is given, though
    /// [`has`](Self::has) says no: it is of no RFC.
    #[must_use]
    pub fn auth(&self) -> Option<Auth<'a>> {
        if self.has(Extension::Auth) {
            return Some(Auth::new(self.parameters(Slot::Auth).unwrap_or_default()));
        }
        self.parameters(Slot::AuthEquals).map(Auth::old)
    }

    /// The limits of this session (RFC 9422 §3); none, if the server does not tell any.
    #[must_use]
    pub fn limits(&self) -> Limits<'a> {
        Limits::new(self.parameters(Slot::Limits).unwrap_or_default())
    }

    /// The least time in seconds that may be asked for with DELIVERBY and return, if the server tells one (RFC 2852 §2).
    #[must_use]
    pub fn deliver_by(&self) -> Option<u32> {
        value::deliver_by(self.parameters(Slot::DeliverBy)?).flatten()
    }

    /// How far ahead a message may be held, if the server offers that and says so (RFC 4865 §3).
    #[must_use]
    pub fn future_release(&self) -> Option<FutureRelease> {
        value::future_release(self.parameters(Slot::FutureRelease)?)
    }

    /// The name of the server's priority policy, if it tells one (RFC 6710 §3).
    #[must_use]
    pub fn mt_priority(&self) -> Option<&'a str> {
        value::policy(self.parameters(Slot::MtPriority)?)
    }

    /// The kinds of solicitation that the server does not want, if it offers NO-SOLICITING; with an empty list, any (RFC 3865 §2.2).
    #[must_use]
    pub fn no_soliciting(&self) -> Option<Words<'a>> {
        self.words(Extension::NoSoliciting, Slot::NoSoliciting).map(Words::commas)
    }

    /// The options of BURL, if the server offers it (RFC 4468 §3.1).
    #[must_use]
    pub fn burl(&self) -> Option<Words<'a>> {
        self.words(Extension::Burl, Slot::Burl).map(Words::spaced)
    }

    /// The attributes that XCLIENT takes, if the server offers it.
    #[must_use]
    pub fn xclient(&self) -> Option<Words<'a>> {
        self.words(Extension::XClient, Slot::XClient).map(Words::spaced)
    }

    /// The attributes that XFORWARD takes, if the server offers it.
    #[must_use]
    pub fn xforward(&self) -> Option<Words<'a>> {
        self.words(Extension::XForward, Slot::XForward).map(Words::spaced)
    }

    /// The first line: the server's own name and greeting. Empty, if it is not ASCII.
    #[must_use]
    pub fn greeting(&self) -> &'a str {
        let text = if self.is_wire { self.text.get(PREFIX..) } else { Some(self.text) };
        text.map(until_line_end).and_then(crate::text::ascii).unwrap_or_default()
    }

    /// The server's own name, as it gives it: the first word of the greeting, which should be its domain or address literal. Not checked.
    #[must_use]
    pub fn domain(&self) -> &'a str {
        Words::spaced(self.greeting()).iter().next().unwrap_or_default()
    }

    /// Each line behind the greeting, known or not, as it came. One that is not ASCII is passed over.
    pub fn lines(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.all_lines().skip(1).filter_map(crate::text::ascii)
    }

    /// What each line behind the greeting offers. One that does not fit the grammar is passed over.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability<'a>> + Clone + use<'a> {
        self.lines().filter_map(|line| Capability::parse(line).ok())
    }

    fn all_lines(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let is_wire = self.is_wire;
        self.text.split(|&b| b == b'\n').map(move |line| {
            if is_wire {
                // The lines were checked: each has a code, and CR before its LF.
                line.strip_suffix(b"\r").unwrap_or(line).get(PREFIX..).unwrap_or_default()
            } else {
                line
            }
        })
    }

    /// The parameters of a keyword, without spaces around them. `None`: nothing is behind it, or it is not there.
    fn parameters(&self, slot: Slot) -> Option<&'a str> {
        let at = usize::try_from(self.summary.parameters[slot as usize]).ok().filter(|&at| at > 0)?;
        crate::text::ascii(until_line_end(self.text.get(at..)?).trim_ascii())
    }

    fn words(&self, extension: Extension, slot: Slot) -> Option<&'a str> {
        self.has(extension).then(|| self.parameters(slot).unwrap_or_default())
    }
}

impl PartialEq for EhloReply<'_> {
    /// Whether their lines are the same.
    fn eq(&self, other: &Self) -> bool {
        self.all_lines().eq(other.all_lines())
    }
}

impl Eq for EhloReply<'_> {}

impl fmt::Debug for EhloReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.greeting()).entries(self.lines()).finish()
    }
}

const HIGH: u64 = 0x8080_8080_8080_8080;

/// Where the first byte below 16 stands, which are CR, LF, NUL and a few others, and whether those before it are ASCII. `None`, if there is
/// none in the whole words of `text`.
///
/// Eight bytes at a time: most lines are too short for a search with wide registers to pay.
#[inline]
fn find_control(text: &[u8]) -> Option<(usize, bool)> {
    let (words, _) = text.as_chunks::<8>();
    let mut seen = 0;
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is below 16.
        let low = !(((word & !HIGH) + 0x7070_7070_7070_7070) | word) & HIGH;
        if low != 0 {
            seen |= word & (low & low.wrapping_neg()).wrapping_sub(1);
            return Some((8 * i + low.trailing_zeros() as usize / 8, seen & HIGH == 0));
        }
        seen |= word;
    }
    None
}

/// The text of the line at the front of `rest`, and whether it is ASCII. `None`, if its CRLF is not there, or something stands before it that
/// may not.
#[inline]
fn text_of(rest: &[u8]) -> Option<(&[u8], bool)> {
    let rest = rest.get(PREFIX..)?;
    if let Some((end, is_ascii)) = find_control(rest) {
        let (text, end) = rest.split_at_checked(end)?;
        if end.starts_with(b"\r\n") {
            return Some((text, is_ascii));
        }
    }
    let (text, end) = rest.split_at_checked(memchr3(b'\r', b'\n', 0, rest)?)?;
    end.starts_with(b"\r\n").then(|| (text, text.is_ascii()))
}

/// What stands before the first CR or LF.
#[inline]
fn until_line_end(text: &[u8]) -> &[u8] {
    let end = match find_control(text) {
        Some((end, _)) if matches!(text.get(end), Some(b'\r' | b'\n')) => end,
        _ => memchr2(b'\r', b'\n', text).unwrap_or(text.len()),
    };
    text.get(..end).unwrap_or_default()
}

/// The last bytes of `wire`, up to the middle, and zeros.
#[inline]
fn padded_end(wire: &[u8]) -> [u8; 2 * START] {
    let mut padded = [0; 2 * START];
    if let Some((end, padded)) = wire.last_chunk::<START>().zip(padded.first_chunk_mut::<START>()) {
        *padded = *end;
    } else if let Some(padded) = padded.get_mut(START.saturating_sub(wire.len())..START) {
        padded.copy_from_slice(wire);
    }
    padded
}

/// Whether a reply of so many octets and lines, the last of so many octets, is within its limits.
#[cold]
fn check_limits(octets: usize, lines: usize, last: usize, limits: ReplyLimits) -> Result<(), EhloError> {
    if last > limits.line {
        return Err(EhloError::Fault(ReplyFault::Line(LineFault::TooLong)));
    }
    // As a `ReplyReader` counts them: the texts, and an LF between those before the last.
    let line_ends = lines.saturating_sub(2);
    let texts = (octets + usize::from(last < PREFIX + 2)).saturating_sub(lines * (PREFIX + 2));
    if lines > limits.lines || texts + line_ends >= limits.total {
        return Err(EhloError::Fault(ReplyFault::TooLong));
    }
    Ok(())
}

/// What keeps `line`, which stands at the front of the rest of the input, from being a line of a 250 reply. The order of the questions is that
/// of [`ReplyReader`](crate::ReplyReader), so that both say the same.
#[cold]
#[inline(never)]
fn diagnose(line: &[u8], has_begun: bool, limits: ReplyLimits) -> EhloError {
    let fault = |fault| EhloError::Fault(ReplyFault::Line(fault));
    let end = memchr(b'\n', line);
    if end.map_or(line.len(), |end| end + 1) > limits.line {
        return fault(LineFault::TooLong);
    }
    let Some(end) = end else { return EhloError::Incomplete };
    let Some(line) = line[..end].strip_suffix(b"\r") else { return fault(LineFault::BareLf) };
    match memchr2(b'\r', 0, line) {
        Some(at) if line[at] == b'\r' => return fault(LineFault::BareCr),
        Some(_) => return fault(LineFault::Nul),
        None => {}
    }
    match reply_reader::split(line) {
        None => EhloError::Fault(ReplyFault::Syntax),
        Some(_) if has_begun => EhloError::Fault(ReplyFault::CodesDiffer),
        Some((code, ..)) => EhloError::Refused(code),
    }
}
