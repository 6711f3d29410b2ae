//! The tables about where mail goes.

use std::path::PathBuf;

use serde::Deserialize;

use super::{At, Bytes, Net, Period};

/// `[store]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Where mail for mailboxes goes that name no place of their own: `maildir:PATH`, in which `{domain}` and `{local}` stand for the parts
    /// of the mailbox's address, `lmtp:HOST:PORT` or `lmtp:unix:PATH` for an LMTP server, `memory:BYTES`, or `discard`.
    pub place: Option<At<String>>,
    /// Bytes of all mail in maildirs; a message that does not fit is 452 4.3.1, and one that never could 552 5.3.4.
    pub max_bytes: Option<At<Bytes>>,
    /// Bytes that are to stay free on the file systems of the maildirs; otherwise MAIL is 452 4.3.1.
    pub min_free: Option<At<Bytes>>,
    /// Bytes that a mailbox may hold. Default: any number.
    pub quota_bytes: Option<At<Bytes>>,
    /// Messages that a mailbox may hold. Default: any number.
    pub quota_messages: Option<At<u64>>,
    /// The reply where a mailbox is full: 452 (4.2.2) or 552 (5.2.2). Default: 452.
    pub quota_reply: Option<At<u16>>,
}

/// `[[domain]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name, or an address in brackets.
    pub name: At<String>,
    /// The local parts of its mailboxes. Upper and lower case are the same in them.
    #[serde(default)]
    pub mailboxes: Vec<At<String>>,
    /// The mailbox of any other local part, as a local part of this domain or as an address. Without it those are 550 5.1.1.
    #[serde(default)]
    pub catch_all: Option<At<String>>,
    /// What begins the part of a local part that is left out where a mailbox is looked for; empty for nothing. Default: `+`.
    #[serde(default)]
    pub subaddress: Option<At<String>>,
    /// It takes no mail at all: 556 5.1.10 (RFC 7504 §4).
    #[serde(default)]
    pub takes_no_mail: bool,
    /// Where its mail goes, in place of `store.place`.
    #[serde(default)]
    pub place: Option<At<String>>,
}

/// `[[mailbox]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    /// Its address, in a domain that is there.
    pub address: At<String>,
    /// Where its mail goes, in place of its domain's place.
    #[serde(default)]
    pub place: Option<At<String>>,
    /// Bytes that it may hold, in place of `store.quota_bytes`; 0 for any number.
    #[serde(default)]
    pub quota_bytes: Option<At<Bytes>>,
    /// Messages that it may hold, in place of `store.quota_messages`; 0 for any number.
    #[serde(default)]
    pub quota_messages: Option<At<u64>>,
}

/// `[[alias]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The address, in a domain that is there.
    pub address: At<String>,
    /// The addresses that it stands for: mailboxes, aliases, or addresses elsewhere that a route leads to. EXPN shows them.
    pub to: Vec<At<String>>,
}

/// `[[moved]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The address, in a domain that is there.
    pub address: At<String>,
    /// Where it is now.
    pub to: At<String>,
    /// Whether mail is forwarded (251), which needs a place for it, or its sender has to send it there (551). Default: 551.
    #[serde(default)]
    pub forward: bool,
}

/// `[relay]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Whose clients may relay without authentication.
    pub networks: Vec<At<Net>>,
    /// Whether whoever has authenticated may. Default: yes.
    pub authenticated: Option<At<bool>>,
    /// The reply to who may not: 550, 554, 450, 451, or 530 where authentication would help. Default: 530 where the client could
    /// authenticate, 550 otherwise.
    pub denied: Option<At<u16>>,
}

/// `[[route]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A domain, `*.DOMAIN` for those below one, or `*` for all. The one that says most counts.
    pub domain: At<String>,
    /// Where its mail goes, as in `store.place`, without `{domain}` and `{local}`.
    pub place: At<String>,
    /// Whether anybody may send there, as to a domain for which this server is a second MX. Default: those who may relay.
    #[serde(default)]
    pub open: bool,
}

/// `[grants]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// The file that `ehlo grant` writes.
    pub file: At<PathBuf>,
    /// The longest time that a grant counts for, whatever the file says. Default: 24h.
    #[serde(default)]
    pub longest: Option<At<Period>>,
}
