//! Why a line is no command, and what to say then.

use crate::param::ParamFault;
use crate::path::PathFault;
use crate::reply::Reply;
use core::fmt;

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
    /// The name in EHLO, HELO or LHLO is neither a domain nor an address literal.
    ClientId(PathFault),
    /// The path of MAIL does not fit the grammar.
    ReversePath(PathFault),
    /// The path of RCPT does not fit the grammar.
    ForwardPath(PathFault),
    /// A parameter does not fit the grammar.
    Params(ParamFault),
    /// The size in BDAT is no number of up to 64 bits. There is no way to find the next command: the chunk may be on its way.
    ChunkSize,
    /// What stands behind the size in BDAT, or behind the URI in BURL, is not the one word LAST.
    EndMarker,
    /// The name of the SASL mechanism does not fit the grammar.
    Mechanism,
    /// The initial response of AUTH is not base64 (RFC 4954 §4).
    Base64,
    /// What ETRN or ATRN names is no domain.
    Domain,
    /// What BURL names is no absolute URI.
    Uri,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand => f.write_str("unknown command"),
            Self::MissingArgument => f.write_str("an argument is missing, or is not of the command's form"),
            Self::UnexpectedArgument => f.write_str("the command takes no such argument"),
            Self::Characters => f.write_str("the argument has a character that may not stand there"),
            Self::ClientId(fault) => write!(f, "the client's name: {fault}"),
            Self::ReversePath(fault) => write!(f, "the sender: {fault}"),
            Self::ForwardPath(fault) => write!(f, "the recipient: {fault}"),
            Self::Params(fault) => fault.fmt(f),
            Self::ChunkSize => f.write_str("the size of the chunk is no number of octets"),
            Self::EndMarker => f.write_str("nothing but LAST may stand there"),
            Self::Mechanism => f.write_str("the name of the SASL mechanism is malformed"),
            Self::Base64 => f.write_str("the initial response is not base64"),
            Self::Domain => f.write_str("the domain is malformed"),
            Self::Uri => f.write_str("the URI is malformed"),
        }
    }
}

impl core::error::Error for SyntaxError {}

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
        const TOO_MANY: Reply = Reply::fixed(501, Some((5, 5, 4)), "Too many parameters");
        const CHUNK: Reply = Reply::fixed(501, Some((5, 5, 4)), "Chunk size is malformed");
        const END_MARKER: Reply = Reply::fixed(501, Some((5, 5, 4)), "Nothing but LAST may stand there");
        const MECHANISM: Reply = Reply::fixed(501, Some((5, 5, 4)), "Mechanism name is malformed");
        const BASE64: Reply = Reply::fixed(501, Some((5, 5, 2)), "Initial response is not base64");
        const DOMAIN: Reply = Reply::fixed(501, Some((5, 5, 4)), "Domain is malformed");
        const URI: Reply = Reply::fixed(501, Some((5, 5, 4)), "URI is malformed");
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
            Self::Params(ParamFault::Value(keyword)) => value(keyword),
            Self::Params(ParamFault::TooMany) => TOO_MANY,
            Self::ChunkSize => CHUNK,
            Self::EndMarker => END_MARKER,
            Self::Mechanism => MECHANISM,
            Self::Base64 => BASE64,
            Self::Domain => DOMAIN,
            Self::Uri => URI,
        }
    }
}

/// What the value of a parameter has to be.
const fn value(keyword: &str) -> Reply {
    // RFC 6710 §4.1 names another enhanced code for it than the others have.
    const PRIORITY: Reply = Reply::fixed(501, Some((5, 5, 2)), "MT-PRIORITY must be -9 to 9");
    if let b"MT-PRIORITY" = keyword.as_bytes() {
        return PRIORITY;
    }
    macro_rules! forms {
        ($($bytes:literal => $form:literal,)*) => {
            match keyword.as_bytes() {
                $($bytes => const { Reply::fixed(501, Some((5, 5, 4)), $form) },)*
                _ => const { Reply::fixed(501, Some((5, 5, 4)), "Parameter is malformed") },
            }
        };
    }
    forms! {
        b"SIZE" => "SIZE must be a number of up to 20 digits",
        b"BODY" => "BODY must be 7BIT, 8BITMIME or BINARYMIME",
        b"RET" => "RET must be FULL or HDRS",
        b"ENVID" => "ENVID must be xtext of up to 100 characters",
        b"AUTH" => "AUTH must be xtext of an address, or <>",
        b"SMTPUTF8" => "SMTPUTF8 takes no value",
        b"BY" => "BY must be seconds, then ;N or ;R and perhaps T; with R the seconds must be positive",
        b"HOLDFOR" => "HOLDFOR must be a number of seconds, up to 999999999",
        b"HOLDUNTIL" => "HOLDUNTIL must be a date and time as in RFC 3339",
        b"MTRK" => "MTRK must be base64, and perhaps : and a number of seconds",
        b"SOLICIT" => "SOLICIT must be keywords with commas between",
        b"REQUIRETLS" => "REQUIRETLS takes no value",
        b"CONPERM" => "CONPERM takes no value",
        b"SUBMITTER" => "SUBMITTER must be xtext of an address",
        b"TRANSID" => "TRANSID must be <local@domain> of up to 80 characters",
        b"ALT-ADDRESS" => "ALT-ADDRESS must be xtext of an address",
        b"PRDR" => "PRDR takes no value",
        b"NOTIFY" => "NOTIFY must be NEVER, or SUCCESS, FAILURE and DELAY with commas between",
        b"ORCPT" => "ORCPT must be a type, a semicolon, and xtext of an address",
        b"RRVS" => "RRVS must be a date and time as in RFC 3339, and perhaps ;C or ;R",
        b"CONNEG" => "CONNEG takes no value",
    }
}
