//! Commands (RFC 5321 §4.1.1 and its extensions).

mod argument;
mod base64;
mod error;
mod owned;
mod parse;
#[cfg(test)]
mod tests;

pub use argument::{AuthResponse, Base64, BurlUri, DomainList, EtrnNode, EtrnOption, MechanismName, ObsoleteVerb};
pub use error::SyntaxError;
pub use owned::CommandBuf;
pub use parse::CommandLine;

use crate::Verb;
use crate::param::{MailParams, RcptParams};
use crate::path::{ClientId, ForwardPath, ReversePath};
use crate::text::Text;
use alloc::vec::Vec;

/// A command, borrowed from its line.
///
/// It can only be built valid: nothing in it can end its line early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command<'a> {
    /// `EHLO` (RFC 5321 §4.1.1.1).
    Ehlo(ClientId<'a>),
    /// `HELO` (RFC 5321 §4.1.1.1).
    Helo(ClientId<'a>),
    /// `LHLO`, which is EHLO under its LMTP name (RFC 2033 §4.1).
    Lhlo(ClientId<'a>),
    /// `MAIL FROM:` (RFC 5321 §4.1.1.2).
    Mail {
        /// Where reports go.
        from: ReversePath<'a>,
        /// What stands behind the path.
        params: MailParams<'a>,
    },
    /// `RCPT TO:` (RFC 5321 §4.1.1.3).
    Rcpt {
        /// Whom the message is for.
        to: ForwardPath<'a>,
        /// What stands behind the path.
        params: RcptParams<'a>,
    },
    /// `DATA` (RFC 5321 §4.1.1.4).
    Data,
    /// `BDAT`: that many octets of the message follow the line, which are not counted here; see
    /// [`ChunkDecoder`](crate::ChunkDecoder) (RFC 3030 §2).
    Bdat {
        /// Octets of the chunk.
        size: u64,
        /// Whether it is the message's last one.
        last: bool,
    },
    /// `BURL`: the server fetches a part of the message (RFC 4468 §3).
    Burl {
        /// From where.
        uri: BurlUri<'a>,
        /// Whether it is the message's last part.
        last: bool,
    },
    /// `RSET` (RFC 5321 §4.1.1.5).
    Rset,
    /// `VRFY` (RFC 5321 §4.1.1.6).
    Vrfy {
        /// A user's name or a mailbox. A last word SMTPUTF8 in it is read back as the flag beside it.
        text: Text<'a>,
        /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `EXPN` (RFC 5321 §4.1.1.7).
    Expn {
        /// The name of a mailing list. A last word SMTPUTF8 in it is read back as the flag beside it.
        text: Text<'a>,
        /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help(Option<Text<'a>>),
    /// `NOOP` (RFC 5321 §4.1.1.9).
    Noop(Option<Text<'a>>),
    /// `QUIT` (RFC 5321 §4.1.1.10).
    Quit,
    /// `STARTTLS` (RFC 3207 §4).
    StartTls,
    /// `AUTH` (RFC 4954 §4). Its `Debug` output hides the response.
    Auth {
        /// The SASL mechanism.
        mechanism: MechanismName<'a>,
        /// The first response, if it comes with the command; `=` for an empty one, which is what an empty text is written as.
        initial_response: Option<Base64<'a>>,
    },
    /// `ETRN` (RFC 1985 §5.1).
    Etrn(EtrnNode<'a>),
    /// `ATRN` (RFC 2645 §5.2.1).
    Atrn(DomainList<'a>),
    /// A verb that no client should send any more: `SEND`, `SOML`, `SAML` (RFC 5321 appendix F.6) and `TURN` (appendix F.1). Its
    /// argument is not looked into.
    Obsolete {
        /// Which.
        verb: ObsoleteVerb,
        /// What stands behind it.
        argument: Option<Text<'a>>,
    },
}

impl<'a> Command<'a> {
    /// Reads a line without its CRLF, as [`LineFramer`](crate::LineFramer) gives it out. All of it must be ASCII.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    // The way of nearly all commands is short, the rest is a call. Where it is part of its caller, what it builds need not go through memory.
    #[inline(always)]
    pub fn parse(line: &'a [u8]) -> Result<Self, SyntaxError> {
        CommandLine::split(line).parse()
    }

    /// The same where SMTPUTF8 is on offer: addresses and values may have characters beyond ASCII (RFC 6531 §3.3).
    ///
    /// Whether they may in this transaction is the caller's to check: MAIL must have the parameter
    /// ([`MailParams::smtputf8`]), and a path with such characters is refused otherwise (RFC 6531 §3.4).
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    #[inline]
    pub fn parse_utf8(line: &'a [u8]) -> Result<Self, SyntaxError> {
        CommandLine::split(line).parse_utf8()
    }

    /// Its verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Helo(_) => Verb::Helo,
            Self::Lhlo(_) => Verb::Lhlo,
            Self::Mail { .. } => Verb::Mail,
            Self::Rcpt { .. } => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat { .. } => Verb::Bdat,
            Self::Burl { .. } => Verb::Burl,
            Self::Rset => Verb::Rset,
            Self::Vrfy { .. } => Verb::Vrfy,
            Self::Expn { .. } => Verb::Expn,
            Self::Help(_) => Verb::Help,
            Self::Noop(_) => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::StartTls => Verb::Starttls,
            Self::Auth { .. } => Verb::Auth,
            Self::Etrn(_) => Verb::Etrn,
            Self::Atrn(_) => Verb::Atrn,
            Self::Obsolete { verb, .. } => verb.verb(),
        }
    }

    /// Appends the command with its CRLF. What it holds was checked when it was made, so no value can end the line early.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verb().as_str().as_bytes());
        match self {
            Self::Ehlo(id) | Self::Helo(id) | Self::Lhlo(id) => word(out, id.as_str()),
            Self::Mail { from, params } => path(out, b" FROM:<", from.as_str(), params.as_str()),
            Self::Rcpt { to, params } => path(out, b" TO:<", to.as_str(), params.as_str()),
            Self::Bdat { size, last } => {
                word(out, &alloc::format!("{size}"));
                end_marker(out, *last);
            }
            Self::Burl { uri, last } => {
                word(out, uri.as_str());
                end_marker(out, *last);
            }
            Self::Vrfy { text, smtputf8 } | Self::Expn { text, smtputf8 } => {
                word(out, text.as_str());
                if *smtputf8 {
                    word(out, "SMTPUTF8");
                }
            }
            Self::Help(text) | Self::Noop(text) | Self::Obsolete { argument: text, .. } => {
                if let Some(text) = text {
                    word(out, text.as_str());
                }
            }
            Self::Auth { mechanism, initial_response } => {
                word(out, mechanism.as_str());
                if let Some(response) = initial_response {
                    // An empty one has a sign of its own (RFC 4954 §4).
                    word(out, if response.as_str().is_empty() { "=" } else { response.as_str() });
                }
            }
            Self::Etrn(node) => word(out, node.as_str()),
            Self::Atrn(domains) => {
                if !domains.is_empty() {
                    word(out, domains.as_str());
                }
            }
            Self::Data | Self::Rset | Self::Quit | Self::StartTls => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn word(out: &mut Vec<u8>, text: &str) {
    out.push(b' ');
    out.extend_from_slice(text.as_bytes());
}

fn end_marker(out: &mut Vec<u8>, last: bool) {
    if last {
        word(out, "LAST");
    }
}

fn path(out: &mut Vec<u8>, open: &[u8], text: &str, params: &str) {
    out.extend_from_slice(open);
    out.extend_from_slice(text.as_bytes());
    out.push(b'>');
    if !params.is_empty() {
        word(out, params);
    }
}
