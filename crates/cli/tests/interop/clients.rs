//! What each client can do: the rows of the page.

use crate::order::{Feature, Mechanism, Way};

/// What a client has, or why it hasn't.
pub(crate) type Has<T> = Result<T, &'static str>;

/// What a client does to a message that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    Nothing,
    /// It adds fields to the header.
    Fields,
    /// It ends what it sends with an empty line.
    EmptyLine,
}

/// A client of others.
#[derive(Debug)]
pub(crate) struct Client {
    /// In the folder of peers.
    pub(crate) name: &'static str,
    /// On the page, with the version that was measured.
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    /// Only root can run it.
    pub(crate) root: bool,
    pub(crate) clear: Has<()>,
    pub(crate) auth: &'static [Mechanism],
    pub(crate) utf8: Has<()>,
    /// The parameters of RFC 3461 that it has.
    pub(crate) dsn: Has<&'static [&'static str]>,
    pub(crate) bdat: Has<()>,
    pub(crate) lmtp: Has<()>,
    pub(crate) changes: Changes,
}

impl Client {
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        self.clear.ok().map(|()| Way::Clear).into_iter().chain([Way::StartTls, Way::Tls])
    }

    /// Each way with each thing that the client can do on it.
    pub(crate) fn cells(&self) -> Vec<(Way, Feature)> {
        let mut features = vec![Feature::Nothing];
        features.extend(self.auth.iter().map(|&mechanism| Feature::Auth(mechanism)));
        for (has, feature) in [
            (self.utf8.is_ok(), Feature::Utf8),
            (self.dsn.is_ok(), Feature::Dsn),
            (self.bdat.is_ok(), Feature::Bdat),
            (self.lmtp.is_ok(), Feature::Lmtp),
        ] {
            features.extend(has.then_some(feature));
        }
        let each = self.ways().flat_map(|way| features.iter().map(move |&feature| (way, feature)));
        // Few know LMTP with TLS from the beginning: it has no port for that.
        let mut cells: Vec<_> = each.filter(|&cell| cell != (Way::Tls, Feature::Lmtp)).collect();
        // At the beginning, so that what it leaves is found.
        cells.insert(0, (Way::StartTls, Feature::WrongPassword));
        cells
    }
}

const ALL_OF_DSN: &[&str] = &["RET", "ENVID", "NOTIFY", "ORCPT"];

use Mechanism::{CramMd5, Login, Plain, ScramSha1, ScramSha256};

pub(crate) const CURL: Client = Client {
    name: "curl",
    title: "curl",
    version: "7.88.1",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Ok(()),
    dsn: Err("takes parameters of MAIL and RCPT from 8.16 on only"),
    bdat: Err("always sends DATA"),
    lmtp: Err("speaks SMTP only"),
    changes: Changes::Nothing,
};

pub(crate) const SMTPLIB: Client = Client {
    name: "smtplib",
    title: "Python's smtplib",
    version: "3.11.7",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Err("always sends DATA"),
    lmtp: Ok(()),
    changes: Changes::Nothing,
};

pub(crate) const AIOSMTPLIB: Client = Client {
    name: "aiosmtplib",
    title: "aiosmtplib",
    version: "5.1.3",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Err("always sends DATA"),
    lmtp: Err("speaks SMTP only"),
    changes: Changes::Nothing,
};

pub(crate) const NODEMAILER: Client = Client {
    name: "nodemailer",
    title: "nodemailer",
    version: "10.6.1",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Err("always sends DATA"),
    lmtp: Ok(()),
    changes: Changes::Nothing,
};

pub(crate) const SWAKS: Client = Client {
    name: "swaks",
    title: "swaks",
    version: "20201014.0",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Err("sends no parameters with MAIL"),
    dsn: Err("sends no parameters with MAIL and RCPT"),
    bdat: Err("always sends DATA"),
    lmtp: Ok(()),
    changes: Changes::EmptyLine,
};

pub(crate) const MSMTP: Client = Client {
    name: "msmtp",
    title: "msmtp",
    version: "1.8.23",
    root: false,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5, ScramSha1, ScramSha256],
    utf8: Err("does not say SMTPUTF8, whatever the addresses hold"),
    dsn: Ok(&["RET", "NOTIFY"]),
    bdat: Err("always sends DATA"),
    lmtp: Ok(()),
    changes: Changes::Nothing,
};

pub(crate) const OPENSSL: Client = Client {
    name: "openssl",
    title: "openssl s_client, by hand",
    version: "3.0.19",
    root: false,
    clear: Err("speaks TLS only"),
    auth: &[Plain, Login],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Ok(()),
    lmtp: Ok(()),
    changes: Changes::Nothing,
};

pub(crate) const EXIM: Client = Client {
    name: "exim",
    title: "Exim",
    version: "4.96",
    root: true,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Ok(()),
    lmtp: Ok(()),
    changes: Changes::Fields,
};

pub(crate) const POSTFIX: Client = Client {
    name: "postfix",
    title: "Postfix",
    version: "3.7.11",
    root: true,
    clear: Ok(()),
    auth: &[Plain, Login, CramMd5, ScramSha1, ScramSha256],
    utf8: Ok(()),
    dsn: Ok(ALL_OF_DSN),
    bdat: Err("takes BDAT as a server, and sends DATA as a client"),
    lmtp: Ok(()),
    changes: Changes::Fields,
};

/// In the order of the page.
pub(crate) const ALL: [&Client; 9] =
    [&SWAKS, &SMTPLIB, &AIOSMTPLIB, &MSMTP, &CURL, &OPENSSL, &NODEMAILER, &POSTFIX, &EXIM];
