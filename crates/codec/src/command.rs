//! Commands (RFC 5321 §4.1.1).

use crate::Verb;
use crate::param::{ParamFault, Params};
use crate::path::{ClientId, Domain, ForwardPath, PathFault, ReversePath};
use crate::reply::Reply;
use crate::text::{ascii, trim_end};
use alloc::vec::Vec;

/// A command line cut into its verb and the rest, with no grammar applied to the rest.
///
/// A server looks at the verb first: a command out of sequence is 503 whatever its arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// The verb, or `None` for a word that is none.
    pub verb: Option<Verb>,
    /// The first word, as written.
    pub keyword: &'a [u8],
    /// What stands behind the first word, without spaces at its end. `None` if there is nothing.
    pub argument: Option<&'a [u8]>,
}

impl<'a> CommandLine<'a> {
    /// Cuts a line that [`LineFramer`](crate::LineFramer) gave out. Spaces at the end of the line are dropped
    /// (RFC 5321 §4.1.1), and verbs are the same in any case (§2.4).
    #[must_use]
    pub fn split(line: &'a [u8]) -> Self {
        let line = trim_end(line);
        let (keyword, argument) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        Self { verb: Verb::from_bytes(keyword), keyword, argument }
    }

    /// Applies the verb's grammar to the rest.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    pub fn parse(&self) -> Result<Command<'a>, SyntaxError> {
        let Some(verb) = self.verb else {
            return Err(SyntaxError::UnknownCommand);
        };
        match verb {
            Verb::Ehlo => Ok(Command::Ehlo(self.client_id()?)),
            Verb::Helo => Ok(Command::Helo(self.client_id()?)),
            Verb::Mail => {
                let (from, rest) =
                    ReversePath::parse_prefix(self.path_argument(b"FROM:")?).map_err(SyntaxError::ReversePath)?;
                Ok(Command::Mail { from, params: params(rest)? })
            }
            Verb::Rcpt => {
                let (to, rest) =
                    ForwardPath::parse_prefix(self.path_argument(b"TO:")?).map_err(SyntaxError::ForwardPath)?;
                Ok(Command::Rcpt { to, params: params(rest)? })
            }
            Verb::Data => self.no_argument(Command::Data),
            Verb::Rset => self.no_argument(Command::Rset),
            Verb::Quit => self.no_argument(Command::Quit),
            Verb::Noop => Ok(Command::Noop(self.text()?)),
            Verb::Help => Ok(Command::Help(self.text()?)),
            Verb::Vrfy => Ok(Command::Vrfy(self.text()?.ok_or(SyntaxError::MissingArgument)?)),
            Verb::Expn => Ok(Command::Expn(self.text()?.ok_or(SyntaxError::MissingArgument)?)),
            other => Ok(Command::Other { verb: other, argument: self.argument }),
        }
    }

    fn no_argument(&self, command: Command<'a>) -> Result<Command<'a>, SyntaxError> {
        if self.argument.is_none() { Ok(command) } else { Err(SyntaxError::UnexpectedArgument) }
    }

    fn text(&self) -> Result<Option<&'a str>, SyntaxError> {
        match self.argument {
            None => Ok(None),
            Some(bytes) => {
                let text = ascii(bytes).ok_or(SyntaxError::Characters)?;
                if text.bytes().all(|b| matches!(b, 32..=126 | b'\t')) {
                    Ok(Some(text))
                } else {
                    Err(SyntaxError::Characters)
                }
            }
        }
    }

    fn client_id(&self) -> Result<ClientId<'a>, SyntaxError> {
        let text = self.text()?.ok_or(SyntaxError::MissingArgument)?;
        Domain::parse(text).map_err(SyntaxError::ClientId)
    }

    fn path_argument(&self, word: &[u8]) -> Result<&'a [u8], SyntaxError> {
        let argument = self.argument.ok_or(SyntaxError::MissingArgument)?;
        match argument.split_at_checked(word.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(word) => {
                if rest.is_empty() {
                    Err(SyntaxError::MissingArgument)
                } else {
                    Ok(rest)
                }
            }
            _ => Err(SyntaxError::MissingArgument),
        }
    }
}

fn params(rest: &[u8]) -> Result<Params<'_>, SyntaxError> {
    match rest {
        [] => Ok(Params::NONE),
        [b' ', tail @ ..] => Params::parse(tail).map_err(SyntaxError::Params),
        _ => Err(SyntaxError::Params(ParamFault::Syntax)),
    }
}

/// A command, borrowed from its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// `EHLO` (RFC 5321 §4.1.1.1).
    Ehlo(ClientId<'a>),
    /// `HELO` (RFC 5321 §4.1.1.1).
    Helo(ClientId<'a>),
    /// `MAIL FROM:` (RFC 5321 §4.1.1.2).
    Mail {
        /// Where reports go.
        from: ReversePath<'a>,
        /// What stands behind the path.
        params: Params<'a>,
    },
    /// `RCPT TO:` (RFC 5321 §4.1.1.3).
    Rcpt {
        /// Whom the message is for.
        to: ForwardPath<'a>,
        /// What stands behind the path.
        params: Params<'a>,
    },
    /// `DATA` (RFC 5321 §4.1.1.4).
    Data,
    /// `RSET` (RFC 5321 §4.1.1.5).
    Rset,
    /// `VRFY` (RFC 5321 §4.1.1.6).
    Vrfy(&'a str),
    /// `EXPN` (RFC 5321 §4.1.1.7).
    Expn(&'a str),
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help(Option<&'a str>),
    /// `NOOP` (RFC 5321 §4.1.1.9).
    Noop(Option<&'a str>),
    /// `QUIT` (RFC 5321 §4.1.1.10).
    Quit,
    /// A verb of the registry whose argument has no type here.
    Other {
        /// Which.
        verb: Verb,
        /// Its argument, unread.
        argument: Option<&'a [u8]>,
    },
}

impl<'a> Command<'a> {
    /// Reads a line without its CRLF, as [`LineFramer`](crate::LineFramer) gives it out.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`], whose [`reply`](SyntaxError::reply) a server may send as it is.
    pub fn parse(line: &'a [u8]) -> Result<Self, SyntaxError> {
        CommandLine::split(line).parse()
    }

    /// Its verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Helo(_) => Verb::Helo,
            Self::Mail { .. } => Verb::Mail,
            Self::Rcpt { .. } => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Rset => Verb::Rset,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help(_) => Verb::Help,
            Self::Noop(_) => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Other { verb, .. } => *verb,
        }
    }

    /// Appends the command with its CRLF. What it holds was checked when it was made, so no value can end the line early.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verb().as_str().as_bytes());
        match self {
            Self::Ehlo(id) | Self::Helo(id) => word(out, id.as_str().as_bytes()),
            Self::Mail { from, params } => path(out, b" FROM:<", from.as_str(), params),
            Self::Rcpt { to, params } => path(out, b" TO:<", to.as_str(), params),
            Self::Vrfy(text) | Self::Expn(text) | Self::Help(Some(text)) | Self::Noop(Some(text)) => {
                word(out, text.as_bytes())
            }
            Self::Other { argument: Some(argument), .. } => word(out, argument),
            Self::Data
            | Self::Rset
            | Self::Help(None)
            | Self::Noop(None)
            | Self::Quit
            | Self::Other { argument: None, .. } => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn word(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b' ');
    out.extend(bytes.iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)));
}

fn path(out: &mut Vec<u8>, open: &[u8], text: &str, params: &Params<'_>) {
    out.extend_from_slice(open);
    out.extend_from_slice(text.as_bytes());
    out.push(b'>');
    for param in params.iter() {
        out.push(b' ');
        out.extend_from_slice(param.keyword.as_bytes());
        if let Some(value) = param.value {
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// The value of BODY (RFC 6152 §2, RFC 3030 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// `7BIT`, or no BODY parameter.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`, which needs BDAT.
    BinaryMime,
}

impl BodyType {
    /// Reads a BODY value, in any case.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        [Self::SevenBit, Self::EightBitMime, Self::BinaryMime]
            .into_iter()
            .find(|body| body.as_str().eq_ignore_ascii_case(value))
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The first word is no verb of the registry.
    UnknownCommand,
    /// The verb needs an argument.
    MissingArgument,
    /// The verb takes no argument.
    UnexpectedArgument,
    /// A byte that may not stand in the argument.
    Characters,
    /// The name in EHLO or HELO is neither a domain nor an address literal.
    ClientId(PathFault),
    /// The path of MAIL does not fit the grammar.
    ReversePath(PathFault),
    /// The path of RCPT does not fit the grammar.
    ForwardPath(PathFault),
    /// A parameter does not fit the grammar.
    Params(ParamFault),
}

impl SyntaxError {
    /// The reply that tells of it: 500 for an unknown command, 501 for the rest (RFC 5321 §4.3.2), with the enhanced code that
    /// says which part it was (RFC 3463 §3.2, §3.6).
    #[must_use]
    pub const fn reply(self) -> Reply {
        const UNKNOWN: Reply = Reply::fixed(500, Some((5, 5, 1)), "Command not recognized");
        const MISSING: Reply = Reply::fixed(501, Some((5, 5, 4)), "Argument missing or not of the command's form");
        const UNEXPECTED: Reply = Reply::fixed(501, Some((5, 5, 4)), "Command takes no argument");
        const CHARACTERS: Reply =
            Reply::fixed(501, Some((5, 5, 2)), "Argument has a character that may not stand there");
        const CLIENT: Reply = Reply::fixed(501, Some((5, 5, 4)), "Name must be a domain or an address literal");
        const SENDER: Reply = Reply::fixed(501, Some((5, 1, 7)), "Sender address is malformed");
        const RECIPIENT: Reply = Reply::fixed(501, Some((5, 1, 3)), "Recipient address is malformed");
        const SYNTAX: Reply = Reply::fixed(501, Some((5, 5, 4)), "Parameter is malformed");
        const DUPLICATE: Reply = Reply::fixed(501, Some((5, 5, 4)), "Parameter stands twice");
        match self {
            Self::UnknownCommand => UNKNOWN,
            Self::MissingArgument => MISSING,
            Self::UnexpectedArgument => UNEXPECTED,
            Self::Characters => CHARACTERS,
            Self::ClientId(_) => CLIENT,
            Self::ReversePath(_) => SENDER,
            Self::ForwardPath(_) => RECIPIENT,
            Self::Params(ParamFault::Syntax) => SYNTAX,
            Self::Params(ParamFault::Duplicate) => DUPLICATE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn round_trip(line: &str) {
        let command = Command::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e:?}"));
        let mut out = Vec::new();
        command.write_to(&mut out);
        assert_eq!(out, [line.as_bytes(), b"\r\n"].concat());
    }

    #[test]
    fn commands_are_written_as_they_were_read() {
        for line in [
            "EHLO mail.example.com",
            "EHLO [127.0.0.1]",
            "HELO x",
            "MAIL FROM:<>",
            "MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME X-NEW",
            "RCPT TO:<Postmaster>",
            "RCPT TO:<\"a b\"@c> NOTIFY=SUCCESS,FAILURE",
            "DATA",
            "RSET",
            "QUIT",
            "NOOP",
            "NOOP hello there",
            "VRFY ada",
            "EXPN list",
            "HELP",
            "HELP MAIL",
            "ETRN example.org",
        ] {
            round_trip(line);
        }
    }

    #[test]
    fn verbs_and_keywords_are_the_same_in_any_case() {
        let Ok(Command::Mail { from, .. }) = Command::parse(b"mAiL fRoM:<Ada@B>  ") else { panic!("it is MAIL") };
        assert_eq!(from.to_string(), "<Ada@B>");
    }

    #[test]
    fn wrong_lines_are_refused_with_their_kind() {
        use SyntaxError as E;
        for (line, error) in [
            ("", E::UnknownCommand),
            ("FROBNICATE", E::UnknownCommand),
            ("DATA now", E::UnexpectedArgument),
            ("QUIT x", E::UnexpectedArgument),
            ("EHLO", E::MissingArgument),
            ("EHLO bad domain!", E::ClientId(PathFault::Domain)),
            ("MAIL", E::MissingArgument),
            ("MAIL FROM:", E::MissingArgument),
            ("MAIL FROM :<a@b>", E::MissingArgument),
            ("MAIL FROM: <a@b>", E::ReversePath(PathFault::Brackets)),
            ("MAIL FROM:a@b", E::ReversePath(PathFault::Brackets)),
            ("MAIL FROM:<a@b>SIZE=1", E::Params(ParamFault::Syntax)),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=1", E::Params(ParamFault::Duplicate)),
            ("RCPT TO:<>", E::ForwardPath(PathFault::LocalPart)),
            ("RCPT TO:Postmaster", E::ForwardPath(PathFault::Brackets)),
            ("VRFY", E::MissingArgument),
            ("NOOP \x07", E::Characters),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Err(error), "{line}");
            assert!(error.reply().code().get() >= 500);
        }
    }
}
