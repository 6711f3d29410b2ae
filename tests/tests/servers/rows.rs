//! What each server can do, as it is configured for the test.

use ehlo_tokio::ehlo_sasl::Mechanism;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    StartTls,
    Tls,
}

/// What becomes of a line of 4000 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongLine {
    Kept,
    /// The whole message is refused, in words that begin so.
    Refused(&'static str),
}

pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    pub(crate) ways: &'static [Way],
    /// Only a client that has logged in may send in TLS from the beginning.
    pub(crate) tls_wants_login: bool,
    pub(crate) auth: &'static [Mechanism],
    /// Keywords of its EHLO that the client has a use for, but for STARTTLS and AUTH.
    pub(crate) offers: &'static [&'static str],
    /// It can be told to answer a recipient by 4yz.
    pub(crate) defers: bool,
    /// It goes on with a client of whose recipients it has refused three.
    pub(crate) forgives: bool,
    pub(crate) long_line: LongLine,
    /// What a reader has to know besides.
    pub(crate) note: &'static str,
}

impl Row {
    pub(crate) fn offers(&self, keyword: &str) -> bool {
        self.offers.contains(&keyword)
    }
}

/// Keywords of which the client does something else where they are not offered.
pub(crate) const KEYWORDS: [&str; 7] =
    ["PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "CHUNKING"];

pub(crate) const POSTFIX: Row = Row {
    title: "Postfix",
    version: "3.7.11",
    ways: &[Way::Clear, Way::StartTls, Way::Tls],
    tls_wants_login: false,
    auth: &[],
    offers: &KEYWORDS,
    defers: true,
    forgives: true,
    long_line: LongLine::Kept,
    note: "its AUTH takes a Dovecot or a database of Cyrus SASL, and is not tried.",
};

pub(crate) const EXIM: Row = Row {
    title: "Exim",
    version: "4.96",
    ways: &[Way::Clear, Way::StartTls, Way::Tls],
    tls_wants_login: false,
    auth: &[Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5],
    offers: &["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"],
    defers: true,
    forgives: true,
    long_line: LongLine::Kept,
    note: "it does not announce its enhanced status codes, so they are text to the client.",
};

pub(crate) const OPENSMTPD: Row = Row {
    title: "OpenSMTPD",
    version: "6.8.0p2",
    ways: &[Way::Clear],
    tls_wants_login: false,
    auth: &[],
    offers: &["SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"],
    defers: false,
    forgives: true,
    long_line: LongLine::Kept,
    note: "in this arrangement of unpacked packages it makes no TLS handshake, whoever the client is, so its TLS is not judged. That the client tells of that is tested.",
};

pub(crate) const AIOSMTPD: Row = Row {
    title: "aiosmtpd",
    version: "1.4.6",
    ways: &[Way::Clear, Way::StartTls, Way::Tls],
    tls_wants_login: false,
    auth: &[Mechanism::Plain, Mechanism::Login],
    offers: &["SIZE", "8BITMIME", "SMTPUTF8"],
    defers: true,
    forgives: true,
    long_line: LongLine::Refused("refused: 500 Line too long"),
    note: "its AUTH is tried inside TLS, and its recipients are deferred and refused by the handler of the test.",
};

pub(crate) const CHASQUID: Row = Row {
    title: "chasquid",
    version: "1.11",
    ways: &[Way::Clear, Way::StartTls, Way::Tls],
    tls_wants_login: true,
    auth: &[Mechanism::Plain],
    offers: &["PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"],
    defers: false,
    forgives: false,
    long_line: LongLine::Kept,
    note: "in TLS from the beginning it takes mail of users only, and all messages there are sent by one. It closes a session with a third error in it.",
};

pub(crate) const ALL: [&Row; 5] = [&POSTFIX, &EXIM, &OPENSMTPD, &AIOSMTPD, &CHASQUID];
