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
        let Some(found) = keyword::find(&keyword::window::<WINDOW>(line)) else { return };
        let behind = line.get(found.length..).unwrap_or_default();
        self.read_behind(found, behind, at + found.length);
    }

    /// Looks at what is behind a keyword up to the end of its line.
    #[inline]
    fn read_behind(&mut self, found: &keyword::Keyword, behind: &[u8], at: usize) {
        match behind.first() {
            None => self.note(found.extension, found.slot, 0),
            Some(b' ' | b'\t') if behind.is_ascii() => self.note(found.extension, found.slot, at),
            Some(b'=') if found.extension == Extension::Auth && behind.is_ascii() => {
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
        let mut rest = wire;
        loop {
            let padded;
            let start = if let Some(start) = rest.first_chunk::<{ PREFIX + WINDOW }>() {
                start
            } else {
                padded = keyword::window(rest);
                &padded
            };
            let Some((prefix, window)) = start.split_first_chunk::<PREFIX>() else { return Err(EhloError::Incomplete) };
            let mut is_last = *prefix == *b"250 ";
            let end;
            if !is_last && *prefix != *b"250-" {
                // `Reply-code [ SP textstring ] CRLF`: the last line may be a code alone.
                if !rest.starts_with(b"250\r\n") {
                    return Err(diagnose(rest, lines > 0, limits));
                }
                is_last = true;
                end = PREFIX - 1;
            } else if let Some(found) = first_chunk(window).and_then(keyword::find).filter(|_| lines > 0) {
                let behind = rest.get(PREFIX + found.length..).unwrap_or_default();
                // Without parameters the end is seen at once.
                if behind.starts_with(b"\r\n") {
                    summary.note(found.extension, found.slot, 0);
                    end = PREFIX + found.length;
                } else if let Some(length) = line_end(behind) {
                    summary.read_behind(found, &behind[..length], at + PREFIX + found.length);
                    end = PREFIX + found.length + length;
                } else {
                    return Err(diagnose(rest, lines > 0, limits));
                }
            } else {
                let text = rest.get(PREFIX..).unwrap_or_default();
                let Some(length) = line_end(text) else { return Err(diagnose(rest, lines > 0, limits)) };
                if lines > 0 && matches!(text.first(), Some(b' ' | b'\t')) {
                    summary.read(&text[..length], at + PREFIX);
                }
                end = PREFIX + length;
            }
            lines += 1;
            if end + 2 > limits.line {
                return Err(EhloError::Fault(ReplyFault::Line(LineFault::TooLong)));
            }
            at += end + 2;
            // A line of text counts with the LF that a `ReplyReader` keeps before it: two octets less a line than CRLF and code have.
            let is_code_alone = end < PREFIX;
            let held = at - lines * (PREFIX + 1) + usize::from(is_code_alone) - 1;
            if lines > limits.lines || held >= limits.total + usize::from(lines > 1) {
                return Err(EhloError::Fault(ReplyFault::TooLong));
            }
            if is_last {
                let text = wire.get(..at - 2).unwrap_or_default();
                return Ok((Self { text, is_wire: true, summary }, at));
            }
            rest = wire.get(at..).unwrap_or_default();
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
        self.all_lines().next().and_then(crate::text::ascii).unwrap_or_default()
    }

    /// The server's own name, as it gives it: the first word of the greeting, which should be its domain or address literal. Not checked.
    #[must_use]
    pub fn domain(&self) -> &'a str {
        self.greeting().split_ascii_whitespace().next().unwrap_or_default()
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
        let rest = self.text.get(at..)?;
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        crate::text::ascii(rest[..end].trim_ascii())
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

/// Where the CRLF at the end of a line begins. `None`, if it is not there, or something stands before it that may not.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    memchr3(b'\r', b'\n', 0, text).filter(|&at| text.get(at..).is_some_and(|end| end.starts_with(b"\r\n")))
}

fn first_chunk(window: &[u8]) -> Option<&[u8; WINDOW]> {
    window.first_chunk()
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
