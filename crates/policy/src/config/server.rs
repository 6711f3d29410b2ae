//! The tables about the server and its sessions.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;

use super::{At, Bytes, Net, Period};

/// `[server]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Its name in the greeting: a domain, or an address in brackets. Default: `localhost`.
    pub hostname: Option<At<String>>,
    /// Where it listens, as IP:PORT. Default: 127.0.0.1:2525.
    pub listen: Option<Vec<At<SocketAddr>>>,
    /// Where it listens for clients that begin with TLS.
    pub listen_tls: Vec<At<SocketAddr>>,
    /// SMTP or LMTP. Default: `smtp`.
    pub protocol: Option<At<Speech>>,
    /// Proxies that are believed when they tell by the PROXY protocol whose connection they pass on.
    pub proxies: Vec<At<Net>>,
    /// Connections at a time; one more gets 421. Default: 10,000.
    pub max_connections: Option<At<NonZeroUsize>>,
    /// Connections at a time from one IPv4 address or IPv6 /64; one more gets 421. Default: 50.
    pub max_connections_per_address: Option<At<NonZeroUsize>>,
    /// Threads that serve connections. Default: one for each processor but one.
    pub threads: Option<At<NonZeroUsize>>,
    /// How long messages may take to end when the server is to end. Default: 30s.
    pub drain: Option<At<Period>>,
    /// This host takes no mail at all: its greeting is 521 (RFC 7504 §3).
    pub takes_no_mail: bool,
    /// The mailbox that mail for Postmaster goes to, where a domain has no `postmaster` of its own (RFC 5321 §4.5.1).
    pub postmaster: Option<At<String>>,
    /// Whose VRFY is answered; the others get 252. Default: `nobody` (RFC 2505 §2.11).
    pub vrfy: Asking,
    /// Whose EXPN is answered. Default: `nobody`, to whom it is 502 (RFC 2505 §2.11).
    pub expn: Asking,
    /// Whose ETRN is answered. Default: `nobody`, to whom it is 502 (RFC 2505 §2.12).
    pub etrn: Asking,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speech {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033).
    Lmtp,
}

/// Who gets an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asking {
    /// Nobody.
    #[default]
    Nobody,
    /// Whoever may relay.
    Trusted,
    /// Everybody.
    Anybody,
}

/// `[limits]`: those of a session, with the floors of the RFCs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Take values below what the RFCs ask of a server, too: for tests of clients.
    pub below_rfc: bool,
    /// The largest message. At least 64K (RFC 5321 §4.5.3.1.7). Default: 50M.
    pub message_size: Option<At<Bytes>>,
    /// Recipients of one message; one more is 452. At least 100 (RFC 5321 §4.5.3.1.8). Default: 1000.
    pub recipients: Option<At<u32>>,
    /// Messages over one connection; one more is 421. Default: any number.
    pub messages: Option<At<u32>>,
    /// Different domains of recipients over one connection; one more is 452. Default: any number.
    pub recipient_domains: Option<At<u32>>,
    /// Received fields of a message; more are a loop and 554. 0 counts nothing. At least 100 (RFC 5321 §6.3). Default: 100.
    pub received: Option<At<u32>>,
    /// Octets of a message each second, on the average, from `timeouts.slow_body` on; 0 for no minimum. Default: 100.
    pub data_rate: Option<At<u32>>,
    /// Bad commands; one more is 421. Default: 20.
    pub bad_commands: Option<At<u32>>,
    /// Commands that do nothing for a message, between two messages; one more is 421. Default: 100.
    pub idle_commands: Option<At<u32>>,
    /// AUTH exchanges that fail; one more is 421. At least 3 (RFC 4954 §9). Default: 5.
    pub auth_failures: Option<At<u32>>,
    /// Octets of all addresses and parameters of one message. Default: 256K.
    pub envelope: Option<At<Bytes>>,
}

/// `[timeouts]`: those of a session, with the floors of the RFCs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the next command. At least 5m (RFC 5321 §4.5.3.2.7), which is the default.
    pub command: Option<At<Period>>,
    /// For more of a message. At least 3m (RFC 5321 §4.5.3.2.5). Default: 5m.
    pub body: Option<At<Period>>,
    /// From when on `limits.data_rate` holds. At least 1m. Default: 10m.
    pub slow_body: Option<At<Period>>,
    /// For the peer to read replies. At least 1m. Default: 5m.
    pub flush: Option<At<Period>>,
    /// For a decision that takes time. At most 5m (RFC 5321 §4.5.3.2.2). Default: 2m.
    pub answer: Option<At<Period>>,
    /// For a message to be stored. At most 10m (RFC 5321 §4.5.3.2.6). Default: 9m.
    pub commit: Option<At<Period>>,
    /// For a store that takes no more of a message. At most 3m (RFC 5321 §4.5.3.2.5). Default: 2m.
    pub sink: Option<At<Period>>,
    /// For a TLS handshake. At least 10s. Default: 1m.
    pub handshake: Option<At<Period>>,
}

/// `[tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates with their keys. A client is shown the first one for the name that it asks for, or else the first.
    pub certificates: Vec<At<Certificate>>,
    /// A certificate that is made at the start, for `server.hostname`: for tests.
    pub self_signed: bool,
    /// Nothing but NOOP, EHLO, STARTTLS and QUIT before TLS: 530 (RFC 3207 §4).
    pub required: bool,
    /// A PEM file of authorities, by which certificates that clients show are verified.
    pub client_ca: Option<At<PathBuf>>,
}

/// One of `tls.certificates`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The PEM file of the chain, the server's own certificate first.
    pub chain: At<PathBuf>,
    /// The PEM file of the key.
    pub key: At<PathBuf>,
}

/// `[auth]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// MAIL before authentication is 530 (RFC 6409 §4.3).
    pub required: bool,
    /// Authentication outside of TLS as well, where everybody on the way can read passwords.
    pub allow_plaintext: bool,
    /// A file of further users, a line `NAME:VERIFIER` each, which is read again when it has changed.
    pub users_file: Option<At<PathBuf>>,
    /// A file with a secret of 16 octets or more, from which the salts of users who do not exist follow (RFC 5802 §5.1). Without it they
    /// change at each start.
    pub secret_file: Option<At<PathBuf>>,
    /// Which mechanisms are offered, the preferred ones first. Default: SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN.
    pub mechanisms: Option<Vec<At<String>>>,
    /// Passwords that are verified at the same time. More wait. Default: 4.
    pub max_verifications: Option<At<NonZeroUsize>>,
}

/// `[[user]]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name.
    pub name: At<String>,
    /// What `ehlo passwd` makes of the password: a verifier for SCRAM (RFC 5803).
    pub password: At<String>,
    /// The senders that this user may name in MAIL, or `@DOMAIN` for all of a domain; others are 550 5.7.1. Default: any.
    #[serde(default)]
    pub senders: Option<Vec<At<String>>>,
}

impl fmt::Debug for User {
    /// Without the verifier, by which passwords can be tried.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("senders", &self.senders).finish_non_exhaustive()
    }
}
