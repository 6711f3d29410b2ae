//! Why mail can't be handed to a domain, and what a relay says about it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ehlo_client::codec::Reply;
use ehlo_client::codec::codes::ReplyCode;

use crate::dns::LookupError;

/// Why there is no host, or no further one, to hand a message for a domain to.
///
/// [`is_transient`](Self::is_transient) tells whether it is worth trying again later, and [`reply`](Self::reply) what a relay says to its client, or
/// writes in a report. What was tried and failed is in [`failures`](Self::failures).
#[derive(Clone, Debug)]
pub struct RouteError {
    domain: String,
    reason: Reason,
    failures: Vec<Failure>,
}

/// What it is that there is no way to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// What stands right of the `@` is neither a domain name nor an address literal. 501 5.1.3.
    BadDomain,
    /// There is no such domain. RFC 5321 §5.1 wants it to be an error at once. 550 5.1.2.
    NoSuchDomain,
    /// The domain says that it takes no mail (RFC 7505). 556 5.1.10.
    NullMx,
    /// Mail for the domain would come back here: the best of its hosts is this one, by name or by address. RFC 5321 §5.1 has it returned as undeliverable,
    /// so it is permanent, though RFC 3463 §3.5 thinks of X.4.6 as transient. 550 5.4.6.
    Loop,
    /// The domain is there, but no host of it can be tried: there is no MX and no address, or those that there are can't be used. RFC 5321 §5.1 wants that to
    /// be an error; X.4.4 is for names about which DNS says no more than that they are there (RFC 3463 §3.5). 550 5.4.4.
    Unroutable,
    /// DNS does not answer for now: for the domain, or for all hosts that could be tried. 451 4.4.3.
    Lookup,
    /// No host answers. 451 4.4.1.
    NoAnswer,
    /// Hosts answered, and at least one of them takes no mail for now. 451 4.3.2.
    Deferred,
    /// All hosts answered, and none of them takes mail (RFC 7504 §3, RFC 5321 §3.1). 550 5.3.2.
    Refused,
}

impl Reason {
    /// Whether it may be over when the message is tried again.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Lookup | Self::NoAnswer | Self::Deferred)
    }

    const fn code(self) -> (u16, (u16, u16, u16), &'static str) {
        match self {
            Self::BadDomain => (501, (5, 1, 3), "That is no domain that mail can be sent to"),
            Self::NoSuchDomain => (550, (5, 1, 2), "There is no such domain"),
            Self::NullMx => (556, (5, 1, 10), "The domain takes no mail"),
            Self::Loop => (550, (5, 4, 6), "Mail for the domain would come back here"),
            Self::Unroutable => (550, (5, 4, 4), "The domain has no host that takes mail"),
            Self::Lookup => (451, (4, 4, 3), "DNS does not answer for the domain"),
            Self::NoAnswer => (451, (4, 4, 1), "No host of the domain answers"),
            Self::Deferred => (451, (4, 3, 2), "No host of the domain takes mail for now"),
            Self::Refused => (550, (5, 3, 2), "No host of the domain takes mail"),
        }
    }

    /// The reply that says so. Each of them may answer RCPT, where a relay says it that looks first (RFC 7504 §4).
    #[must_use]
    pub const fn reply(self) -> Reply {
        let (code, enhanced, text) = self.code();
        Reply::fixed(code, Some(enhanced), text)
    }
}

/// Something that was tried on the way to a domain, and failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The host.
    pub host: String,
    /// Its address, if it has to do with one.
    pub address: Option<SocketAddr>,
    /// What it was.
    pub cause: Cause,
}

/// What failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// An MX that names no host: an address, say, or what can be no name (RFC 5321 §5.1).
    NoHostName,
    /// There is no such host.
    NoSuchHost,
    /// The host has no address, or none of the kind that is wanted.
    NoAddress,
    /// An address that is never connected to.
    Forbidden(IpAddr),
    /// The host is this one.
    Own,
    /// DNS does not answer.
    Lookup(LookupError),
    /// There is no connection.
    Connect(Arc<io::Error>),
    /// There was one, and the server greeted with this.
    Refused(ReplyCode),
    /// There was one, and the caller went on to the next.
    Abandoned,
    /// [`Timeouts::total`](super::Timeouts) is over.
    OutOfTime,
}

impl RouteError {
    pub(super) fn new(domain: &str, reason: Reason, failures: Vec<Failure>) -> Self {
        Self { domain: domain.to_owned(), reason, failures }
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What it is.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether it may be over when the message is tried again (RFC 5321 §4.5.4.1).
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.reason.is_transient()
    }

    /// The reply that a relay gives its client, or writes in a report.
    #[must_use]
    pub const fn reply(&self) -> Reply {
        self.reason.reply()
    }

    /// What was tried, and failed; in that order.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, (class, subject, detail), text) = self.reason.code();
        write!(f, "{}: {code} {class}.{subject}.{detail} {text}", self.domain.escape_debug())?;
        for (index, failure) in self.failures.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { "; " })?;
            failure.fmt(f)?;
        }
        if self.failures.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl std::error::Error for RouteError {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a stranger wrote in DNS is shown as one line.
        self.host.escape_debug().fmt(f)?;
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        f.write_str(": ")?;
        match &self.cause {
            Cause::NoHostName => f.write_str("its MX names no host"),
            Cause::NoSuchHost => f.write_str("there is no such host"),
            Cause::NoAddress => f.write_str("it has no address that can be tried"),
            Cause::Forbidden(ip) => write!(f, "{ip} is no address to send mail to"),
            Cause::Own => f.write_str("it is this host"),
            Cause::Lookup(error) => error.to_string().escape_debug().fmt(f),
            Cause::Connect(error) => error.fmt(f),
            Cause::Refused(code) => write!(f, "it greeted with {code}"),
            Cause::Abandoned => f.write_str("it did not take the message"),
            Cause::OutOfTime => f.write_str("no time is left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ehlo_client::codec::codes::{ReplyClass, Verb};

    const ALL: [Reason; 9] = [
        Reason::BadDomain,
        Reason::NoSuchDomain,
        Reason::NullMx,
        Reason::Loop,
        Reason::Unroutable,
        Reason::Lookup,
        Reason::NoAnswer,
        Reason::Deferred,
        Reason::Refused,
    ];

    #[test]
    fn each_reply_is_registered_and_may_answer_rcpt() {
        for reason in ALL {
            let reply = reason.reply();
            let enhanced = reply.enhanced().unwrap();
            assert!(Verb::Rcpt.may_answer(reply.code()), "{reply}");
            assert!(reply.code().info().is_some() && enhanced.info().is_some(), "{reply}");
            let transient = reply.code().class() == ReplyClass::TransientFailure;
            assert_eq!(reason.is_transient(), transient, "{reply}");
        }
    }

    #[test]
    fn an_error_is_one_line_that_tells_what_was_tried() {
        let host = "evil\r\n250 ok".to_owned();
        let failures = vec![
            Failure { host, address: None, cause: Cause::NoHostName },
            Failure {
                host: "mx.example".to_owned(),
                address: Some("192.0.2.1:25".parse().unwrap()),
                cause: Cause::Connect(Arc::new(io::ErrorKind::ConnectionRefused.into())),
            },
        ];
        let error = RouteError::new("a.example", Reason::NoAnswer, failures);
        assert_eq!(
            error.to_string(),
            "a.example: 451 4.4.1 No host of the domain answers (evil\\r\\n250 ok: its MX names no host; \
             mx.example at 192.0.2.1:25: connection refused)"
        );
    }
}
