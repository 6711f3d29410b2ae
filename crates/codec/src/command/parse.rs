//! Reading a command line.

use super::{Base64, BurlUri, Command, DomainList, EtrnNode, MechanismName, ObsoleteVerb, SyntaxError};
use crate::Verb;
use crate::param::{MailParams, ParamFault, RcptParams};
use crate::path::{ClientId, Domain, ForwardPath, Mailbox, PathFault, ReversePath, is_ordinary, ordinary};
use crate::text::{Charset, TEXT, Text, all, four, trim_end};
use core::fmt;

/// A command line cut into its verb and the rest, with no grammar applied to the rest.
///
/// A server looks at the verb first: a command out of sequence is 503 whatever its arguments are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// The verb, or `None` for a word that is none.
    pub verb: Option<Verb>,
    /// The first word, as written.
    pub keyword: &'a [u8],
    /// What stands behind the first word, without spaces at its end. `None` if there is nothing.
    pub argument: Option<&'a [u8]>,
}

impl fmt::Debug for CommandLine<'_> {
    /// Not the argument: it may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandLine({:?}, {} octets behind it)", self.verb, self.argument.map_or(0, <[u8]>::len))
    }
}

impl<'a> CommandLine<'a> {
    /// Cuts a line that [`LineFramer`](crate::LineFramer) gave out. Spaces at the end of the line are dropped
    /// (RFC 5321 §4.1.1), and verbs are the same in any case (§2.4).
    #[must_use]
    #[inline(always)]
    pub fn split(line: &'a [u8]) -> Self {
        let line = trim_end(line);
        if let Some((keyword, [b' ', argument @ ..])) = line.split_first_chunk::<4>()
            && let Some(verb) = usual(keyword)
        {
            return Self { verb: Some(verb), keyword, argument: Some(argument) };
        }
        let (keyword, argument) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        Self { verb: Verb::from_bytes(keyword), keyword, argument }
    }

    /// Applies the verb's grammar to the rest, of which all must be ASCII.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    #[inline(always)]
    pub fn parse(&self) -> Result<Command<'a>, SyntaxError> {
        self.with(Charset::Ascii)
    }

    /// The same with characters beyond ASCII where RFC 6531 §3.3 allows them; see [`Command::parse_utf8`].
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    pub fn parse_utf8(&self) -> Result<Command<'a>, SyntaxError> {
        self.with(Charset::Utf8)
    }

    #[inline(always)]
    fn with(&self, charset: Charset) -> Result<Command<'a>, SyntaxError> {
        match self.verb {
            None => Err(SyntaxError::UnknownCommand),
            Some(Verb::Mail) => {
                let bytes = self.path(behind_from, charset, SyntaxError::ReversePath)?;
                let Some((at, close)) = ordinary(bytes, charset) else { return odd_mail(bytes, charset) };
                let text = params(&bytes[close + 1..])?;
                match MailParams::usual(text) {
                    Some(params) => {
                        let from = ReversePath::Mailbox(Mailbox::found(bytes, at, close));
                        Ok(Command::Mail { from, params })
                    }
                    None => mail(ReversePath::Mailbox(Mailbox::found(bytes, at, close)), text, charset),
                }
            }
            Some(Verb::Rcpt) => {
                let bytes = self.path(behind_to, charset, SyntaxError::ForwardPath)?;
                let Some((at, close)) = ordinary(bytes, charset) else { return odd_rcpt(bytes, charset) };
                let text = params(&bytes[close + 1..])?;
                match RcptParams::usual(text) {
                    Some(params) => {
                        let to = ForwardPath::Mailbox(Mailbox::found(bytes, at, close));
                        Ok(Command::Rcpt { to, params })
                    }
                    None => rcpt(ForwardPath::Mailbox(Mailbox::found(bytes, at, close)), text, charset),
                }
            }
            Some(Verb::Ehlo) => match self.argument {
                Some(name) if is_ordinary(name) => Ok(Command::Ehlo(Domain::checked(name))),
                _ => self.other(Verb::Ehlo, charset),
            },
            Some(Verb::Data) => self.no_argument(Command::Data),
            Some(verb) => self.other(verb, charset),
        }
    }

    #[inline(never)]
    fn other(&self, verb: Verb, charset: Charset) -> Result<Command<'a>, SyntaxError> {
        match verb {
            Verb::Ehlo => Ok(Command::Ehlo(self.client_id(charset)?)),
            Verb::Helo => Ok(Command::Helo(self.client_id(charset)?)),
            Verb::Lhlo => Ok(Command::Lhlo(self.client_id(charset)?)),
            Verb::Rset => self.no_argument(Command::Rset),
            Verb::Quit => self.no_argument(Command::Quit),
            Verb::Starttls => self.no_argument(Command::StartTls),
            Verb::Noop => Ok(Command::Noop(self.text(charset)?)),
            Verb::Help => Ok(Command::Help(self.text(charset)?)),
            Verb::Vrfy => {
                let (text, smtputf8) = self.name(charset)?;
                Ok(Command::Vrfy { text, smtputf8 })
            }
            Verb::Expn => {
                let (text, smtputf8) = self.name(charset)?;
                Ok(Command::Expn { text, smtputf8 })
            }
            Verb::Bdat => {
                let (size, last) = self.with_end_marker()?;
                Ok(Command::Bdat { size: octets(size)?, last })
            }
            Verb::Burl => {
                let (uri, last) = self.with_end_marker()?;
                Ok(Command::Burl { uri: BurlUri::parse(uri).ok_or(SyntaxError::Uri)?, last })
            }
            Verb::Auth => {
                let text = self.required(Charset::Ascii)?.as_str();
                let (mechanism, response) = match text.split_once(' ') {
                    Some((mechanism, response)) => (mechanism, Some(response)),
                    None => (text, None),
                };
                Ok(Command::Auth {
                    mechanism: MechanismName::parse(mechanism).ok_or(SyntaxError::Mechanism)?,
                    initial_response: response.map(|r| Base64::parse(r).ok_or(SyntaxError::Base64)).transpose()?,
                })
            }
            Verb::Etrn => {
                EtrnNode::with(self.required(charset)?.as_str(), charset).map(Command::Etrn).ok_or(SyntaxError::Domain)
            }
            Verb::Atrn => {
                let text = self.text(charset)?.map_or("", Text::as_str);
                DomainList::with(text, charset).map(Command::Atrn).ok_or(SyntaxError::Domain)
            }
            Verb::Send => self.obsolete(ObsoleteVerb::Send, charset),
            Verb::Soml => self.obsolete(ObsoleteVerb::Soml, charset),
            Verb::Saml => self.obsolete(ObsoleteVerb::Saml, charset),
            Verb::Turn => self.obsolete(ObsoleteVerb::Turn, charset),
            // A verb that the registry got and this crate did not.
            _ => Err(SyntaxError::UnknownCommand),
        }
    }

    fn obsolete(&self, verb: ObsoleteVerb, charset: Charset) -> Result<Command<'a>, SyntaxError> {
        Ok(Command::Obsolete { verb, argument: self.text(charset)? })
    }

    fn no_argument(&self, command: Command<'a>) -> Result<Command<'a>, SyntaxError> {
        if self.argument.is_none() { Ok(command) } else { Err(SyntaxError::UnexpectedArgument) }
    }

    /// The argument, if there is one.
    fn text(&self, charset: Charset) -> Result<Option<Text<'a>>, SyntaxError> {
        let Some(bytes) = self.argument else { return Ok(None) };
        let text = core::str::from_utf8(bytes).map_err(|_| SyntaxError::Characters)?;
        Text::with(text, charset).map(Some).ok_or(SyntaxError::Characters)
    }

    fn required(&self, charset: Charset) -> Result<Text<'a>, SyntaxError> {
        self.text(charset)?.ok_or(SyntaxError::MissingArgument)
    }

    /// What VRFY and EXPN ask about: `String [SP "SMTPUTF8"]` (RFC 6531 §3.7.4.2). The word is no part of the string in either way of
    /// reading: without quotes a string has no space (RFC 5321 §4.1.2).
    fn name(&self, charset: Charset) -> Result<(Text<'a>, bool), SyntaxError> {
        let text = self.required(charset)?;
        if let Some((name, word)) = text.as_str().rsplit_once(' ')
            && word.eq_ignore_ascii_case("SMTPUTF8")
            && let Some(name) = Text::with(name, charset)
        {
            return Ok((name, true));
        }
        Ok((text, false))
    }

    fn client_id(&self, charset: Charset) -> Result<ClientId<'a>, SyntaxError> {
        let bytes = self.argument.ok_or(SyntaxError::MissingArgument)?;
        Domain::with(bytes, charset).map_err(|fault| wrong_name(bytes, charset, fault))
    }

    /// What stands behind `FROM:` or `TO:`.
    #[inline(always)]
    fn path(
        &self,
        is_word: fn(&[u8]) -> Option<&[u8]>,
        charset: Charset,
        fault: fn(PathFault) -> SyntaxError,
    ) -> Result<&'a [u8], SyntaxError> {
        match self.argument.and_then(is_word) {
            Some(rest) if !rest.is_empty() => {
                if charset == Charset::Utf8 && core::str::from_utf8(rest).is_err() {
                    return Err(fault(PathFault::NonAscii));
                }
                Ok(rest)
            }
            _ => Err(SyntaxError::MissingArgument),
        }
    }

    /// A word, and `LAST` behind it or not (RFC 3030 §2, RFC 4468 §3).
    fn with_end_marker(&self) -> Result<(&'a str, bool), SyntaxError> {
        let text = self.required(Charset::Ascii)?.as_str();
        match text.split_once(' ') {
            None => Ok((text, false)),
            Some((word, marker)) if marker.eq_ignore_ascii_case("LAST") => Ok((word, true)),
            Some(_) => Err(SyntaxError::EndMarker),
        }
    }
}

/// MAIL whose path is not of the form that nearly all have.
#[inline(never)]
fn odd_mail(bytes: &[u8], charset: Charset) -> Result<Command<'_>, SyntaxError> {
    let (from, rest) = ReversePath::odd(bytes, charset).map_err(SyntaxError::ReversePath)?;
    mail(from, params(rest)?, charset)
}

/// MAIL whose parameters are not those that nearly all have.
#[inline(never)]
fn mail<'a>(from: ReversePath<'a>, text: &'a [u8], charset: Charset) -> Result<Command<'a>, SyntaxError> {
    let params = MailParams::with(text, charset).map_err(SyntaxError::Params)?;
    Ok(Command::Mail { from, params })
}

/// RCPT whose path is not of the form that nearly all have.
#[inline(never)]
fn odd_rcpt(bytes: &[u8], charset: Charset) -> Result<Command<'_>, SyntaxError> {
    let (to, rest) = ForwardPath::odd(bytes, charset).map_err(SyntaxError::ForwardPath)?;
    rcpt(to, params(rest)?, charset)
}

/// RCPT whose parameters are not those that nearly all have.
#[inline(never)]
fn rcpt<'a>(to: ForwardPath<'a>, text: &'a [u8], charset: Charset) -> Result<Command<'a>, SyntaxError> {
    let params = RcptParams::with(text, charset).map_err(SyntaxError::Params)?;
    Ok(Command::Rcpt { to, params })
}

/// The verbs of every day that have an argument.
#[inline(always)]
fn usual(keyword: &[u8; 4]) -> Option<Verb> {
    const EHLO: u32 = four(b"EHLO");
    const MAIL: u32 = four(b"MAIL");
    const RCPT: u32 = four(b"RCPT");
    match four(keyword) {
        EHLO => Some(Verb::Ehlo),
        MAIL => Some(Verb::Mail),
        RCPT => Some(Verb::Rcpt),
        _ => None,
    }
}

#[cold]
fn wrong_name(bytes: &[u8], charset: Charset, fault: PathFault) -> SyntaxError {
    if core::str::from_utf8(bytes).is_ok() && all(bytes, TEXT | charset.extra()) {
        SyntaxError::ClientId(fault)
    } else {
        SyntaxError::Characters
    }
}

/// `chunk-size ::= 1*DIGIT` (RFC 3030 §2), up to 64 bits.
fn octets(digits: &str) -> Result<u64, SyntaxError> {
    let number = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
    number.ok_or(SyntaxError::ChunkSize)
}

/// What stands behind a path: nothing, or a space and parameters.
#[inline(always)]
fn params(rest: &[u8]) -> Result<&[u8], SyntaxError> {
    match rest {
        [] => Ok(rest),
        [b' ', params @ ..] if !params.is_empty() => Ok(params),
        _ => Err(SyntaxError::Params(ParamFault::Syntax)),
    }
}

#[inline(always)]
fn behind_from(argument: &[u8]) -> Option<&[u8]> {
    match argument {
        [f, r, o, m, b':', rest @ ..] if four(&[*f, *r, *o, *m]) == four(b"FROM") => Some(rest),
        _ => None,
    }
}

#[inline(always)]
fn behind_to(argument: &[u8]) -> Option<&[u8]> {
    match argument {
        [b'T' | b't', b'O' | b'o', b':', rest @ ..] => Some(rest),
        _ => None,
    }
}
