//! Replies as a server builds them (RFC 5321 §4.2, RFC 2034).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ehlo_codes::{EnhancedCode, ReplyClass, ReplyCode};

/// Most octets of a reply line, CRLF included (RFC 5321 §4.5.3.1.5).
pub const MAX_REPLY_LINE: usize = 512;

/// Room for the code, the separator, the longest enhanced code, a space and CRLF.
const MAX_TEXT: usize = MAX_REPLY_LINE - "250 5.999.999 \r\n".len();

/// Why a reply cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplyError {
    /// The text has a character other than printable ASCII, TAB, and LF between its lines (RFC 5321 §4.2 `textstring`).
    Text,
    /// A line of the text does not fit in [`MAX_REPLY_LINE`].
    TooLong,
    /// The class of the enhanced code is not the first digit of the reply code (RFC 2034 §4).
    Class,
    /// The code is not between 200 and 599 (RFC 5321 §4.2).
    Code,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a reply's text is printable ASCII and TAB, with LF between lines",
            Self::TooLong => "a reply line has 512 octets at most",
            Self::Class => "the enhanced code's class must be the reply code's first digit",
            Self::Code => "a reply code is between 200 and 599",
        })
    }
}

impl core::error::Error for ReplyError {}

/// A reply: a code, an enhanced status code, and text of one or more lines. It can only be built valid.
///
/// With a text known at compile time it holds no allocation, and cloning it costs nothing.
///
/// ```
/// use ehlo_codec::Reply;
///
/// const FULL: Reply = Reply::fixed(452, Some((4, 2, 2)), "Mailbox full");
/// let mut wire = Vec::new();
/// FULL.write_to(&mut wire, true);
/// assert_eq!(wire, b"452 4.2.2 Mailbox full\r\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply with a text known at compile time.
    ///
    /// # Panics
    ///
    /// If the parts don't make a valid reply; in a `const`, that is an error of the compiler.
    #[must_use]
    pub const fn fixed(code: u16, enhanced: Option<(u16, u16, u16)>, text: &'static str) -> Self {
        let Some(code) = ReplyCode::new(code) else { panic!("a reply code has three digits") };
        let enhanced = match enhanced {
            None => None,
            Some((class, subject, detail)) => Some(EnhancedCode::literal(class, subject, detail)),
        };
        if check(code, enhanced, text.as_bytes()).is_err() {
            panic!("the parts do not make a valid reply");
        }
        Self { code, enhanced, text: Cow::Borrowed(text) }
    }

    /// A reply with a text made at run time. LF in the text begins a new line.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] says which part is not valid. The text is never changed to make it fit.
    pub fn new(
        code: ReplyCode,
        enhanced: Option<EnhancedCode>,
        text: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ReplyError> {
        let text = text.into();
        check(code, enhanced, text.as_bytes())?;
        Ok(Self { code, enhanced, text })
    }

    /// The same with characters beyond ASCII in its text, for a client that has said that it takes them: in the mailboxes of replies to
    /// VRFY and EXPN, and of 251 and 551 to RCPT (RFC 6531 §3.7.4). A line's octets count, not its characters.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), but for such characters.
    pub fn new_utf8(
        code: ReplyCode,
        enhanced: Option<EnhancedCode>,
        text: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ReplyError> {
        let text = text.into();
        check_text(code, enhanced, text.as_bytes(), true)?;
        Ok(Self { code, enhanced, text })
    }

    /// Whether any client can be sent it. Only [`new_utf8`](Self::new_utf8) makes one that is not.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// Its enhanced status code.
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// Its text, with LF between lines and none at the end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its lines' texts.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Octets that [`write_to`](Self::write_to) appends at the most.
    #[must_use]
    pub fn max_len(&self) -> usize {
        let per_line = MAX_REPLY_LINE - MAX_TEXT;
        self.text.len() + per_line * self.lines().count()
    }

    /// Appends the reply as it goes over the wire.
    ///
    /// The enhanced code stands on each line (RFC 2034 §4), unless `enhanced` is false: for a greeting, for an answer to EHLO or HELO, and
    /// for a server that does not offer ENHANCEDSTATUSCODES. Clients that said HELO are sent codes all the same. A reply of class 2, 4
    /// or 5 that was built without one gets the code that says no more than its class, such as 5.0.0.
    pub fn write_to(&self, out: &mut Vec<u8>, enhanced: bool) {
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.write_line_to(out, from, enhanced);
        }
    }

    /// Appends one line of the reply, for an output that has room for a few at a time: the one that begins at octet `from` of
    /// [`text`](Self::text). Gives where the next one begins, or `None` if this was the last.
    ///
    /// `from` is 0, or what the call before gave, so that each call looks at no more than its own line. At another place within the text
    /// the line begins there; beyond it, or within a character, there is none, and nothing is appended.
    ///
    /// ```
    /// use ehlo_codec::Reply;
    ///
    /// const MOVED: Reply = Reply::fixed(550, None, "No.\nNot here.");
    /// let mut wire = Vec::new();
    /// let next = MOVED.write_line_to(&mut wire, 0, false);
    /// assert_eq!((&wire[..], next), (&b"550-No.\r\n"[..], Some(4)));
    /// assert_eq!(MOVED.write_line_to(&mut wire, 4, false), None);
    /// assert_eq!(wire, b"550-No.\r\n550 Not here.\r\n");
    /// ```
    pub fn write_line_to(&self, out: &mut Vec<u8>, from: usize, enhanced: bool) -> Option<usize> {
        let rest = self.text.get(from..)?;
        let end = line_end(rest.as_bytes());
        self.write(out, &rest[..end.unwrap_or(rest.len())], end.is_none(), enhanced);
        end.map(|end| from + end + 1)
    }

    fn write(&self, out: &mut Vec<u8>, line: &str, last: bool, enhanced: bool) {
        out.extend_from_slice(&self.code.digits());
        out.push(if last { b' ' } else { b'-' });
        if enhanced && let Some(code) = self.enhanced.or_else(|| class_only(self.code)) {
            write_enhanced(out, code);
            out.push(b' ');
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut wire = Vec::new();
        self.write_to(&mut wire, self.enhanced.is_some());
        f.write_str(String::from_utf8_lossy(&wire).trim_end())
    }
}

const fn check(code: ReplyCode, enhanced: Option<EnhancedCode>, text: &[u8]) -> Result<(), ReplyError> {
    check_text(code, enhanced, text, false)
}

const fn check_text(
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    text: &[u8],
    utf8: bool,
) -> Result<(), ReplyError> {
    if code.get() < 200 || code.get() > 599 {
        return Err(ReplyError::Code);
    }
    if let Some(enhanced) = enhanced
        && enhanced.class() != code.get() / 100
    {
        return Err(ReplyError::Class);
    }
    let mut i = 0;
    let mut line = 0;
    while i < text.len() {
        match text[i] {
            b'\n' => line = 0,
            b'\t' | 32..=126 => line += 1,
            128.. if utf8 => line += 1,
            _ => return Err(ReplyError::Text),
        }
        if line > MAX_TEXT {
            return Err(ReplyError::TooLong);
        }
        i += 1;
    }
    Ok(())
}

/// Where the first line of a text ends, if more lines follow it.
fn line_end(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\n', text);
    #[cfg(test)]
    tests::count(end.map_or(text.len(), |end| end + 1));
    end
}

/// `x.0.0` for the classes whose replies carry an enhanced code (RFC 2034 §4, RFC 3463 §3.1).
fn class_only(code: ReplyCode) -> Option<EnhancedCode> {
    match code.class() {
        ReplyClass::Completion | ReplyClass::TransientFailure | ReplyClass::PermanentFailure => {
            EnhancedCode::new(code.get() / 100, 0, 0)
        }
        _ => None,
    }
}

fn write_enhanced(out: &mut Vec<u8>, code: EnhancedCode) {
    write_number(out, code.class());
    out.push(b'.');
    write_number(out, code.subject());
    out.push(b'.');
    write_number(out, code.detail());
}

/// A number below 1000, in decimal without leading zeros.
fn write_number(out: &mut Vec<u8>, number: u16) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    if number >= 100 {
        out.push(digit(number / 100));
    }
    if number >= 10 {
        out.push(digit(number / 10));
    }
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::cell::Cell;

    extern crate std;

    std::thread_local! {
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts octets that were looked at for the end of a line.
    pub(super) fn count(octets: usize) {
        LOOKED_AT.with(|count| count.set(count.get() + octets));
    }

    #[test]
    fn a_reply_that_is_written_line_by_line_is_looked_at_once() {
        for lines in [1, 2, 1000, 10_000] {
            let reply = Reply::new(code(214), None, vec!["a line"; lines].join("\n")).unwrap();
            let (mut wire, mut from, mut calls) = (Vec::new(), Some(0), 0);
            LOOKED_AT.set(0);
            while let Some(at) = from {
                from = reply.write_line_to(&mut wire, at, true);
                calls += 1;
            }
            assert_eq!((calls, LOOKED_AT.get()), (lines, reply.text().len()));
            let mut whole = Vec::new();
            reply.write_to(&mut whole, true);
            assert!(wire == whole, "{lines} lines");
        }
    }

    #[test]
    fn a_line_begins_where_it_is_asked_for_and_nowhere_beyond_the_text() {
        let reply = Reply::new_utf8(code(250), None, "aδ\n").unwrap();
        let line = |from| {
            let mut wire = Vec::new();
            let next = reply.write_line_to(&mut wire, from, false);
            (String::from_utf8(wire).unwrap(), next)
        };
        assert_eq!(line(0), ("250-aδ\r\n".into(), Some(4)));
        assert_eq!(line(1), ("250-δ\r\n".into(), Some(4)));
        assert_eq!(line(4), ("250 \r\n".into(), None));
        assert_eq!(line(2), (String::new(), None));
        assert_eq!(line(5), (String::new(), None));
    }

    fn code(code: u16) -> ReplyCode {
        ReplyCode::new(code).unwrap()
    }

    #[test]
    fn every_line_carries_the_codes() {
        let mut wire = Vec::new();
        let reply = Reply::fixed(550, Some((5, 7, 128)), "No.\nNot here.");
        reply.write_to(&mut wire, true);
        assert_eq!(wire, b"550-5.7.128 No.\r\n550 5.7.128 Not here.\r\n");
        assert!(wire.len() <= reply.max_len());
        wire.clear();
        reply.write_to(&mut wire, false);
        assert_eq!(wire, b"550-No.\r\n550 Not here.\r\n");
    }

    #[test]
    fn a_reply_without_a_code_of_its_own_gets_that_of_its_class() {
        for (reply, wire) in [
            (Reply::fixed(250, None, "ok"), "250 2.0.0 ok\r\n"),
            (Reply::fixed(451, None, "a\nb"), "451-4.0.0 a\r\n451 4.0.0 b\r\n"),
            (Reply::fixed(554, None, "no"), "554 5.0.0 no\r\n"),
            (Reply::fixed(354, None, "go"), "354 go\r\n"),
        ] {
            let mut written = Vec::new();
            reply.write_to(&mut written, true);
            assert_eq!(written, wire.as_bytes());
        }
    }

    #[test]
    fn a_text_cannot_end_the_line_or_overflow_it() {
        for text in ["a\rb", "a\0", "ä", "\x7f"] {
            assert_eq!(Reply::new(code(250), None, text), Err(ReplyError::Text), "{text:?}");
        }
        let longest = "x".repeat(MAX_TEXT);
        let reply = Reply::new(code(250), Some(EnhancedCode::literal(2, 999, 999)), longest.clone()).unwrap();
        let mut wire = Vec::new();
        reply.write_to(&mut wire, true);
        assert_eq!(wire.len(), MAX_REPLY_LINE);
        assert_eq!(Reply::new(code(250), None, longest + "x"), Err(ReplyError::TooLong));
    }

    #[test]
    fn a_text_beyond_ascii_is_asked_for_by_name() {
        let reply = Reply::new_utf8(code(250), None, "δ <δ@mx.test>").unwrap();
        let mut wire = Vec::new();
        reply.write_to(&mut wire, false);
        assert_eq!(wire, "250 δ <δ@mx.test>\r\n".as_bytes());
        assert!(!reply.is_ascii() && Reply::fixed(250, None, "d").is_ascii());
        assert_eq!(Reply::new_utf8(code(250), None, "δ\r\n"), Err(ReplyError::Text));
        assert_eq!(Reply::new_utf8(code(250), None, "δ".repeat(MAX_TEXT / 2 + 1)), Err(ReplyError::TooLong));
    }

    #[test]
    fn class_and_first_digit_must_agree() {
        let enhanced = Some(EnhancedCode::literal(4, 0, 0));
        assert_eq!(Reply::new(code(550), enhanced, "x"), Err(ReplyError::Class));
        assert_eq!(Reply::new(code(199), None, "x"), Err(ReplyError::Code));
    }
}
