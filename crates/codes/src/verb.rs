//! Commands, by their verbs.

use core::fmt;

use crate::generated::verbs;
use crate::{ReplyCode, Stage, StageReply, Standing, Verb};

impl Verb {
    /// The verb these bytes spell, in any case (RFC 5321 §2.4), or `None`. Neither space nor line end may be part of it.
    ///
    /// ```
    /// use ehlo_codes::Verb;
    /// assert_eq!(Verb::from_bytes(b"StartTLS"), Some(Verb::Starttls));
    /// assert_eq!(Verb::from_bytes(b"HELOO"), None);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let packed = match *bytes {
            // The usual length, without a loop.
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]) as u64,
            _ => {
                if bytes.len() > 8 {
                    return None;
                }
                let mut packed = 0;
                let mut at = 0;
                while at < bytes.len() {
                    packed = packed << 8 | bytes[at] as u64;
                    at += 1;
                }
                packed
            }
        };
        // Clearing the case bit maps two bytes onto each capital letter: itself and its small form. It maps a space onto
        // NUL, which is also what fills a short word, so the length is compared too.
        verbs::lookup(bytes.len(), packed & 0xDFDF_DFDF_DFDF_DFDF)
    }

    /// The verb in capitals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.info().name
    }

    /// What the registry holds about it.
    #[must_use]
    pub fn info(self) -> &'static VerbInfo {
        // The generator numbers the variants by their row.
        &verbs::VERBS[self as usize]
    }

    /// The replies defined for it, without those that any command may get ([`Stage::EVERY_COMMAND`]).
    #[must_use]
    pub fn replies(self) -> &'static [StageReply] {
        Stage::Verb(self).replies()
    }

    /// Whether a server may answer this command with `code`: see [`Stage::permits`].
    #[must_use]
    pub fn may_answer(self, code: ReplyCode) -> bool {
        Stage::Verb(self).permits(code)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row of the registry of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerbInfo {
    /// The verb.
    pub verb: Verb,
    /// In capitals, as commands are usually written.
    pub name: &'static str,
    /// What it asks for.
    pub meaning: &'static str,
    /// The EHLO keyword whose presence offers it, or `None` if each server has it or could (RFC 5321 §4.5.1).
    pub keyword: Option<&'static str>,
    /// The RFC and section that defines it.
    pub reference: &'static str,
    /// How firmly it stands.
    pub standing: Standing,
}
