//! What a client is asked to do.

use std::path::Path;

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    StartTls,
    Tls,
}

/// A mechanism of AUTH that the server offers and a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Login,
    CramMd5,
    ScramSha1,
    ScramSha256,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// What is special about a delivery. One thing at a time, so that a failure names its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Nothing,
    Auth(Mechanism),
    /// AUTH as well, which must not end well.
    WrongPassword,
    Utf8,
    Dsn,
    Bdat,
    Lmtp,
}

pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "open sesame";
const WRONG_PASSWORD: &str = "guessed";

/// The wishes for reports (RFC 3461), each parameter as it has to stand on the wire.
pub(crate) const RET: &str = "RET=HDRS";
pub(crate) const ENVID: &str = "ENVID=interop+2B1";
pub(crate) const NOTIFY: &str = "NOTIFY=SUCCESS,FAILURE";
pub(crate) const ORCPT: &str = "ORCPT=rfc822;list+2Bdev@lists.example";

/// One delivery by one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) program: &'a Path,
    pub(crate) way: Way,
    pub(crate) feature: Feature,
    /// Where the server listens, or the relay in front of it.
    pub(crate) port: u16,
    /// For files of the client, this delivery's own.
    pub(crate) folder: &'a Path,
}

impl Order<'_> {
    /// What this delivery is called. A label of a domain, too.
    pub(crate) fn cell(&self) -> String {
        cell(self.way, self.feature)
    }

    pub(crate) fn from(&self) -> &'static str {
        if self.feature == Feature::Utf8 { "j\u{f6}rg@b\u{fc}cher.example" } else { "ada@client.example" }
    }

    pub(crate) fn to(&self) -> [String; 2] {
        let domain = format!("{}.example", self.cell());
        let first = if self.feature == Feature::Utf8 { "\u{7528}\u{6237}" } else { "bob" };
        [format!("{first}@{domain}"), format!("carol@{domain}")]
    }

    pub(crate) fn mechanism(&self) -> Option<Mechanism> {
        match self.feature {
            Feature::Auth(mechanism) => Some(mechanism),
            // Every client has it.
            Feature::WrongPassword => Some(Mechanism::Plain),
            _ => None,
        }
    }

    pub(crate) fn password(&self) -> &'static str {
        if self.feature == Feature::WrongPassword { WRONG_PASSWORD } else { PASSWORD }
    }

    /// A message that has what goes wrong: dots at line starts, empty lines at its end, octets above 127, and a long line.
    pub(crate) fn letter(&self) -> String {
        let mut letter = format!(
            "From: <{}>\r\nTo: {}\r\nSubject: {}\r\n\
             Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <interop@client.example>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             .\r\n..\r\n.hidden\r\nGr\u{fc}\u{df}e\r\n",
            self.from(),
            self.to()[0],
            self.cell(),
        );
        letter.push_str(&"x".repeat(900));
        letter.push_str("\r\n");
        for i in 0..2000 {
            letter.push_str(&format!("line {i} of many, so that more than one segment is needed\r\n"));
        }
        letter.push_str("\r\n\r\nend\r\n");
        letter
    }

    /// The message with the line ends of a text file, for clients that make CRLF of them.
    pub(crate) fn text(&self) -> String {
        self.letter().replace("\r\n", "\n")
    }

    /// The message as DATA carries it, with its end (RFC 5321 §4.5.2).
    pub(crate) fn stuffed(&self) -> String {
        let letter = self.letter().replace("\r\n.", "\r\n..");
        format!("{letter}.\r\n")
    }
}

/// What a delivery is called. A label of a domain, too.
pub(crate) fn cell(way: Way, feature: Feature) -> String {
    let way = match way {
        Way::Clear => "clear",
        Way::StartTls => "starttls",
        Way::Tls => "tls",
    };
    let feature = match feature {
        Feature::Nothing => "plainly",
        Feature::Auth(mechanism) => return format!("{way}-{}", mechanism.name().to_lowercase()),
        Feature::WrongPassword => "wrong-password",
        Feature::Utf8 => "smtputf8",
        Feature::Dsn => "dsn",
        Feature::Bdat => "bdat",
        Feature::Lmtp => "lmtp",
    };
    format!("{way}-{feature}")
}
