//! The reply to EHLO, read without a copy.

use super::keyword;
use super::pattern::Window;
use super::summary::Summary;
use super::value::{self, FutureRelease};
use super::{Auth, AuthMechanisms, Capability, Extension, Limits, Words};
use crate::line::LineFault;
use crate::reply_line::{PREFIX, ends_of_greeting, until_line_end};
use crate::reply_reader::{self, ReplyFault, ReplyLimits, ReplyView};
use core::fmt;
use ehlo_codes::ReplyCode;
use memchr::{memchr, memchr2};

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
/// Reading it finds the lines, checks them, notes which extensions are there, and reads the number of SIZE and the mechanisms of AUTH; those of
/// the others are looked for when they are asked for. A line that does not fit the grammar is passed over: it offers nothing. Where a keyword stands twice, the last counts.
///
/// ```
/// use ehlo_codec::{AuthMechanism, EhloReply, Extension};
///
/// let wire = b"250-mx.example at your service\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n";
/// let (reply, used) = EhloReply::parse(wire)?;
/// assert_eq!(used, wire.len());
/// assert_eq!(reply.domain(), "mx.example");
/// assert!(reply.has(Extension::EightBitMime) && !reply.has(Extension::StartTls));
/// assert_eq!(reply.max_size(), Some(1000));
/// assert!(reply.mechanisms().contains(AuthMechanism::Plain));
/// # Ok::<(), ehlo_codec::EhloError>(())
/// ```
#[derive(Clone, Copy)]
pub struct EhloReply<'a> {
    /// The lines: each with its code, and CRLF between them, if `is_wire`; else their texts, LF between them.
    text: &'a [u8],
    is_wire: bool,
    /// The server's name, if it was found at once; else empty.
    domain: &'a str,
    summary: Summary,
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
        let (mut known, mut lines) = (0, 0);
        let (mut rest, mut name) = (wire, "");
        // Up to here no limit can have been passed: no line has fewer octets than those five, and no line or text more than all.
        let within_limits = limits.line.min(limits.total).min(limits.lines.saturating_mul(b"250\r\n".len()));
        let enough_left = wire.len().saturating_sub(within_limits);
        if let Some((domain, length)) = read_greeting(wire)
            && length <= within_limits
        {
            name = domain;
            lines = 1;
            rest = wire.get(length..).unwrap_or_default();
        }
        loop {
            let Some((prefix, text)) = rest.split_first_chunk::<PREFIX>() else {
                return Err(diagnose(rest, lines > 0, limits));
            };
            let is_last = *prefix == *b"250 ";
            if !is_last && *prefix != *b"250-" {
                // `Reply-code [ SP textstring ] CRLF`: the last line may be a code alone.
                let Some(behind) = rest.strip_prefix(b"250\r\n") else { return Err(diagnose(rest, lines > 0, limits)) };
                let used = wire.len() - behind.len();
                check_limits(used, lines + 1, 5, limits)?;
                summary.known |= known;
                let text = wire.get(..used - 2).unwrap_or_default();
                return Ok((Self { text, is_wire: true, domain: name, summary }, used));
            }
            let found = if lines == 0 { None } else { keyword::find::<true>(&Window::of(text)) };
            let at = wire.len() - rest.len();
            let length = if let Some(found) = found
                && found.is_whole
            {
                known |= found.extension.bit();
                usize::from(found.length)
            } else if let Some(found) = found
                && let Some(length) = summary.read_common(found, text, at + PREFIX)
            {
                length
            } else if let Some(length) = summary.read_line(found, lines == 0, rest, at) {
                length
            } else {
                return Err(diagnose(rest, lines > 0, limits));
            };
            let length = PREFIX + length + 2;
            rest = rest.get(length..).unwrap_or_default();
            lines += 1;
            if rest.len() < enough_left {
                check_limits(wire.len() - rest.len(), lines, length, limits)?;
            }
            if is_last {
                summary.known |= known;
                let used = wire.len() - rest.len();
                let text = wire.get(..used - 2).unwrap_or_default();
                return Ok((Self { text, is_wire: true, domain: name, summary }, used));
            }
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
        let (mut summary, mut known) = (Summary::default(), 0);
        let mut at = memchr(b'\n', text).map_or(text.len(), |end| end + 1);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let found = keyword::find::<false>(&Window::of(rest));
            let length = if let Some(found) = found
                && found.is_whole
            {
                known |= found.extension.bit();
                usize::from(found.length)
            } else {
                let line = memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
                summary.read(line, at);
                line.len()
            };
            at += length + 1;
        }
        summary.known |= known;
        Self { text, is_wire: false, domain: "", summary }
    }

    /// The reply whose summary was kept beside its text.
    pub(super) const fn with_summary(text: &'a str, summary: Summary) -> Self {
        Self { text: text.as_bytes(), is_wire: false, domain: "", summary }
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
    pub const fn max_size(&self) -> Option<u64> {
        match self.summary.max_size {
            0 => None,
            size => Some(size),
        }
    }

    /// Those mechanisms of [`auth`](Self::auth) that are of the registry.
    #[must_use]
    pub const fn mechanisms(&self) -> AuthMechanisms {
        self.summary.mechanisms
    }

    /// The mechanisms of AUTH, if the server offers it (RFC 4954 §3). Where only the old form `AUTH=` is there, that is given, though
    /// [`has`](Self::has) says no: it is of no RFC.
    #[must_use]
    pub fn auth(&self) -> Option<Auth<'a>> {
        if self.has(Extension::Auth) {
            return Some(Auth::new(self.at(self.summary.auth).unwrap_or_default()));
        }
        self.at(self.summary.auth_equals).map(Auth::old)
    }

    /// The limits of this session (RFC 9422 §3); none, if the server does not tell any.
    #[must_use]
    pub fn limits(&self) -> Limits<'a> {
        Limits::new(self.parameters(Extension::Limits).unwrap_or_default())
    }

    /// The least time in seconds that may be asked for with DELIVERBY and return, if the server tells one (RFC 2852 §2).
    #[must_use]
    pub fn deliver_by(&self) -> Option<u32> {
        value::deliver_by(self.parameters(Extension::DeliverBy)?).flatten()
    }

    /// How far ahead a message may be held, if the server offers that and says so (RFC 4865 §3).
    #[must_use]
    pub fn future_release(&self) -> Option<FutureRelease> {
        value::future_release(self.parameters(Extension::FutureRelease)?)
    }

    /// The name of the server's priority policy, if it tells one (RFC 6710 §3).
    #[must_use]
    pub fn mt_priority(&self) -> Option<&'a str> {
        value::policy(self.parameters(Extension::MtPriority)?)
    }

    /// The kinds of solicitation that the server does not want, if it offers NO-SOLICITING; an empty list names none
    /// in particular and restricts nothing (RFC 3865 §2.2).
    #[must_use]
    pub fn no_soliciting(&self) -> Option<Words<'a>> {
        self.words(Extension::NoSoliciting).map(Words::commas)
    }

    /// The options of BURL, if the server offers it (RFC 4468 §3.1).
    #[must_use]
    pub fn burl(&self) -> Option<Words<'a>> {
        self.words(Extension::Burl).map(Words::spaced)
    }

    /// The attributes that XCLIENT takes, if the server offers it.
    #[must_use]
    pub fn xclient(&self) -> Option<Words<'a>> {
        self.words(Extension::XClient).map(Words::spaced)
    }

    /// The attributes that XFORWARD takes, if the server offers it.
    #[must_use]
    pub fn xforward(&self) -> Option<Words<'a>> {
        self.words(Extension::XForward).map(Words::spaced)
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
        if !self.domain.is_empty() {
            return self.domain;
        }
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

    /// The parameters of AUTH that begin at a place, without spaces around them. `None`: nothing is behind it, or it is not there.
    fn at(&self, place: u32) -> Option<&'a str> {
        let at = usize::try_from(place).ok().filter(|&at| at > 0)?;
        crate::text::ascii(until_line_end(self.text.get(at..)?).trim_ascii())
    }

    /// The parameters of the last line with a keyword, without spaces around them. `None`: nothing is behind it, or it is not there.
    fn parameters(&self, extension: Extension) -> Option<&'a str> {
        if !self.has(extension) {
            return None;
        }
        let behind = |line: &'a [u8]| Summary::offered(line).filter(|found| found.0 == extension).map(|found| found.1);
        let behind = self.all_lines().skip(1).filter_map(behind).last()?;
        crate::text::ascii(behind.trim_ascii()).filter(|_| !behind.is_empty())
    }

    fn words(&self, extension: Extension) -> Option<&'a str> {
        self.has(extension).then(|| self.parameters(extension).unwrap_or_default())
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

/// The server's name and the length of its line, where that is one like most: of ASCII, and with more behind it. `None` says nothing about
/// others.
#[inline(never)]
fn read_greeting(wire: &[u8]) -> Option<(&str, usize)> {
    let greeting = wire.strip_prefix(b"250-")?;
    let (domain, text) = ends_of_greeting(greeting)?;
    Some((crate::text::text(greeting.get(..domain)?), PREFIX + text + 2))
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
