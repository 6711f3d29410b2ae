//! The file: its tables and keys.
//!
//! Each table is a type, each key a field; a field's documentation is that of the key. All keys may be left out but those that are no
//! `Option` and no list. `docs/src/guide/policy.md` has them in one table, which a test compares with these types.

mod access;
mod mail;
mod problem;
mod read;
mod server;
mod values;

pub use access::{Action, Measure, Per, Stage, Verification};
pub use access::{Client, Dns, Dnsbl, Names, Rate, Rates, Repeats, Sender, Senders};
pub use mail::{Alias, Domain, Grants, Mailbox, Moved, Relay, Route, Store};
pub use problem::{Problem, Problems};
pub use server::{Asking, Auth, Certificate, Limits, Server, Speech, Timeouts, Tls, User};
pub use values::{Bytes, Net, Period};

use serde::Deserialize;
pub use toml::Spanned;

use crate::rules::Rule;

/// A value, and where in the file it stands.
pub(crate) type At<T> = Spanned<T>;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// Take mail for anybody from anybody, as without a file, and put all of it into `store.place`. For tests: what is said of domains,
    /// mailboxes and relaying would mean nothing, and is an error.
    pub accept_all: Option<At<bool>>,
    /// The server itself.
    pub server: Server,
    /// What a session may ask for.
    pub limits: Limits,
    /// How long it waits.
    pub timeouts: Timeouts,
    /// TLS. Without this table there is none.
    pub tls: Option<At<Tls>>,
    /// Authentication. Without this table there is none.
    pub auth: Option<At<Auth>>,
    /// Those who can authenticate.
    pub user: Vec<At<User>>,
    /// Where mail is kept, and how much of it.
    pub store: Store,
    /// Domains that this server is the last host for, or that take no mail.
    pub domain: Vec<At<Domain>>,
    /// Mailboxes that are not like the others of their domain.
    pub mailbox: Vec<At<Mailbox>>,
    /// Addresses that stand for others.
    pub alias: Vec<At<Alias>>,
    /// Mailboxes that are elsewhere now.
    pub moved: Vec<At<Moved>>,
    /// Who may send mail to domains that are not here.
    pub relay: Relay,
    /// Where mail for domains that are not here goes.
    pub route: Vec<At<Route>>,
    /// Addresses that may relay for a while.
    pub grants: Option<At<Grants>>,
    /// What the name of a mailbox may look like.
    pub names: Names,
    /// What all rates have in common.
    pub rates: Rates,
    /// How much of what may come in which time.
    pub rate: Vec<At<Rate>>,
    /// Messages that come more than once.
    pub repeats: Option<At<Repeats>>,
    /// Hosts and networks that are let in or not, the first that fits.
    pub client: Vec<At<Client>>,
    /// Whether senders are verified.
    pub senders: Senders,
    /// Senders whose mail is not wanted.
    pub sender: Vec<At<Sender>>,
    /// What DNS is asked, and how its answers are kept.
    pub dns: Dns,
    /// Lists of hosts that are not wanted, in DNS.
    pub dnsbl: Vec<At<Dnsbl>>,
    /// Rules that answer a client with anything, in front of all else, to test clients: the page on rules has their keys.
    pub rule: Vec<At<Rule>>,
}

impl ConfigFile {
    /// Reads the text of a file. What can't be understood is left out and told: the rest can be checked all the same.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<Problem>) {
        read::read(text)
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
