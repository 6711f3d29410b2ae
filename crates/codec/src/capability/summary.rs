//! What was found in the lines of an EHLO reply.

use super::keyword::{self, Found};
use super::pattern::Window;
use super::{AuthMechanisms, Extension, Words, value};
use crate::reply_line::{PREFIX, text_of};
use crate::text::{TEXT, all};

/// What was found in the lines: SIZE and AUTH, for which nearly every client looks, are read; the others are known to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) known: u64,
    /// 0, if there is none.
    pub(super) max_size: u64,
    /// Those of `AUTH=`, if there is no AUTH.
    pub(super) mechanisms: AuthMechanisms,
    /// Where the parameters of AUTH begin; 0 where there are none, since the greeting stands there.
    pub(super) auth: u32,
    /// Where those of `AUTH=` begin, which no RFC knows; else 0.
    pub(super) auth_equals: u32,
}

/// A place in the text. Beyond 4 GiB nothing is kept hold of; no limit of a reply is near it.
#[inline(always)]
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(0)
}

/// A line without the spaces before its keyword.
fn trim_start(line: &[u8]) -> &[u8] {
    let blank = line.iter().take_while(|&&b| matches!(b, b' ' | b'\t')).count();
    line.get(blank..).unwrap_or_default()
}

impl Summary {
    /// Reads those parameters at once that most servers write as most do: behind the keyword at the front of `text`, which stands at `at` of the
    /// whole. Gives how long all of it is without its line end; `None` says nothing.
    #[inline(always)]
    pub(super) fn read_common(&mut self, found: Found, text: &[u8], at: usize) -> Option<usize> {
        let keyword = usize::from(found.length);
        if found.extension == Extension::Size {
            let (size, length) = value::read_size(text.get(keyword..)?)?;
            self.known |= Extension::Size.bit();
            self.max_size = size;
            Some(keyword + length)
        } else if found.extension == Extension::Auth {
            let (mechanisms, length) = AuthMechanisms::read(text.get(keyword..)?)?;
            self.known |= Extension::Auth.bit();
            self.mechanisms = mechanisms;
            self.auth = place(at + keyword);
            Some(keyword + length)
        } else {
            None
        }
    }

    /// Looks at any line, which is at the front of `rest` and stands at `at` of the whole. Gives how long its text is; `None`, if it is no line.
    #[cold]
    #[inline(never)]
    pub(super) fn read_line(
        &mut self,
        found: Option<Found>,
        is_greeting: bool,
        rest: &[u8],
        at: usize,
    ) -> Option<usize> {
        let text = text_of(rest)?;
        match (found, text) {
            (Some(found), _) => {
                let length = usize::from(found.length);
                self.read_behind(found, text.get(length..).unwrap_or_default(), at + PREFIX + length);
            }
            (None, [b' ' | b'\t', ..]) if !is_greeting => self.read(text, at + PREFIX),
            _ => {}
        }
        Some(text.len())
    }

    /// Looks at the text of a line, which begins at `at` of the whole.
    #[inline(never)]
    pub(super) fn read(&mut self, line: &[u8], mut at: usize) {
        let whole = line.len();
        let line = trim_start(line);
        at += whole - line.len();
        let Some(found) = keyword::find::<true>(&Window::of(line)) else { return };
        let length = usize::from(found.length);
        let behind = line.get(length..).unwrap_or_default();
        self.read_behind(found, behind, at + length);
    }

    /// Looks at what is behind a keyword up to the end of its line. What is no text offers nothing.
    pub(super) fn read_behind(&mut self, found: Found, behind: &[u8], at: usize) {
        if !all(behind, TEXT) {
            return;
        }
        let extension = found.extension;
        let text = || crate::text::ascii(behind.trim_ascii()).unwrap_or_default();
        let begin = match behind.first() {
            None => 0,
            Some(b' ' | b'\t') => place(at),
            Some(b'=') if extension == Extension::Auth => {
                self.auth_equals = place(at + 1);
                if !self.has(Extension::Auth) {
                    self.mechanisms = AuthMechanisms::of(Words::spaced(text().get(1..).unwrap_or_default()));
                }
                return;
            }
            Some(_) => return,
        };
        self.known |= extension.bit();
        match extension {
            Extension::Size => self.max_size = value::size(text()).flatten().unwrap_or(0),
            Extension::Auth => {
                self.auth = begin;
                self.mechanisms = AuthMechanisms::of(Words::spaced(text()));
            }
            _ => {}
        }
    }

    /// The extension that a line offers, and what is behind its keyword.
    pub(super) fn offered(line: &[u8]) -> Option<(Extension, &[u8])> {
        let line = trim_start(line);
        let found = keyword::find::<true>(&Window::of(line))?;
        let behind = line.get(usize::from(found.length)..)?;
        (matches!(behind, [] | [b' ' | b'\t', ..]) && all(behind, TEXT)).then_some((found.extension, behind))
    }

    pub(super) const fn has(&self, extension: Extension) -> bool {
        self.known & extension.bit() != 0
    }
}
