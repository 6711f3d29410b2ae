//! Which addresses are here, and what stands behind them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ehlo_tokio::ehlo_server::codec::{ForwardPath, Mailbox, MailboxBuf};

use crate::address::{domain_key, has_route, local_key};
use crate::usage::{Holder, Quota};

/// A mailbox of this server.
#[derive(Debug)]
pub(crate) struct LocalMailbox {
    /// As it is told, in small letters.
    pub(crate) address: MailboxBuf,
    pub(crate) keeps: Keeps,
    pub(crate) quota: Quota,
}

/// Where a mailbox's mail is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// In a maildir, with what is counted for its quota.
    Maildir(PathBuf, Arc<Holder>),
    /// In a place that is open, by its number.
    Place(usize),
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// A mailbox here, by its number.
    Mailbox(usize),
    /// An address elsewhere, by way of the place of that number.
    Elsewhere(usize, MailboxBuf),
}

/// What an address is.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// It stands for these, one at least.
    Targets(Vec<Target>),
    /// It stands for a list.
    List(Vec<Target>, Vec<MailboxBuf>),
    /// It is elsewhere now, and mail is forwarded there.
    Forwarded(Target, MailboxBuf),
    /// It is elsewhere now, and mail has to be sent there.
    Moved(MailboxBuf),
}

/// A domain of this server.
#[derive(Debug, Default)]
pub(crate) struct LocalDomain {
    pub(crate) entries: HashMap<String, Entry>,
    pub(crate) catch_all: Option<Vec<Target>>,
    pub(crate) subaddress: Option<char>,
    pub(crate) postmaster: Option<Vec<Target>>,
}

/// A way to where mail for other domains goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) place: usize,
    pub(crate) open: bool,
}

/// All addresses.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) mailboxes: Vec<LocalMailbox>,
    pub(crate) domains: HashMap<String, LocalDomain>,
    /// Domains that take no mail.
    pub(crate) null_domains: std::collections::HashSet<String>,
    /// By domain; `*.DOMAIN` for those below one, `*` for all.
    pub(crate) routes: HashMap<String, Route>,
    /// For Postmaster without a domain.
    pub(crate) postmaster: Option<Vec<Target>>,
}

/// What was found of an address.
#[derive(Debug)]
pub(crate) enum Hit<'d> {
    /// It is here.
    Entry(&'d Entry),
    /// It is here, by a rule for all.
    Targets(&'d [Target]),
    /// Its domain is here, and it is not.
    Unknown,
    /// Its domain is here, and its local part names a way over other hosts.
    SourceRoute,
    /// Its domain takes no mail.
    NullDomain,
    /// Its domain is not here.
    Elsewhere(Option<&'d Route>),
}

impl Directory {
    /// Looks an address up.
    pub(crate) fn find(&self, path: ForwardPath<'_>) -> Hit<'_> {
        match path.mailbox() {
            Some(mailbox) => self.find_mailbox(mailbox),
            None => self.postmaster.as_deref().map_or(Hit::Unknown, Hit::Targets),
        }
    }

    pub(crate) fn find_mailbox(&self, mailbox: Mailbox<'_>) -> Hit<'_> {
        let domain = domain_key(mailbox.domain());
        if self.null_domains.contains(&domain) {
            return Hit::NullDomain;
        }
        match self.domains.get(&domain) {
            Some(found) => found.find(&local_key(mailbox)),
            None => Hit::Elsewhere(self.route(&domain)),
        }
    }

    pub(crate) fn is_local(&self, mailbox: Mailbox<'_>) -> bool {
        self.domains.contains_key(&domain_key(mailbox.domain()))
    }

    /// The route for a domain: its own, or that of the nearest domain above it, or that for all.
    pub(crate) fn route(&self, domain_key: &str) -> Option<&Route> {
        if let Some(route) = self.routes.get(domain_key) {
            return Some(route);
        }
        let mut rest = domain_key;
        // An address in brackets is below nothing.
        while !domain_key.starts_with('[')
            && let Some((_, above)) = rest.split_once('.')
        {
            if let Some(route) = self.routes.get(&format!("*.{above}")) {
                return Some(route);
            }
            rest = above;
        }
        self.routes.get("*")
    }
}

impl LocalDomain {
    fn find(&self, local: &str) -> Hit<'_> {
        if let Some(entry) = self.entries.get(local) {
            return Hit::Entry(entry);
        }
        if has_route(local) {
            return Hit::SourceRoute;
        }
        let base = self.subaddress.and_then(|separator| local.split_once(separator)).map(|(base, _)| base);
        if let Some(entry) = base.and_then(|base| self.entries.get(base)) {
            return Hit::Entry(entry);
        }
        if local == "postmaster"
            && let Some(targets) = &self.postmaster
        {
            return Hit::Targets(targets);
        }
        self.catch_all.as_deref().map_or(Hit::Unknown, Hit::Targets)
    }
}

impl Entry {
    /// Where its mail goes; nothing where it has to be sent elsewhere.
    pub(crate) fn targets(&self) -> &[Target] {
        match self {
            Self::Targets(targets) | Self::List(targets, _) => targets,
            Self::Forwarded(target, _) => std::slice::from_ref(target),
            Self::Moved(_) => &[],
        }
    }
}

impl Hit<'_> {
    /// Where mail for it goes, whoever sends it. For an address elsewhere that is its route's place.
    pub(crate) fn targets(&self, path: ForwardPath<'_>) -> Vec<Target> {
        match self {
            Self::Entry(entry) => entry.targets().to_vec(),
            Self::Targets(targets) => targets.to_vec(),
            Self::Elsewhere(Some(route)) => {
                path.mailbox().map(|mailbox| Target::Elsewhere(route.place, mailbox.into())).into_iter().collect()
            }
            Self::Unknown | Self::SourceRoute | Self::NullDomain | Self::Elsewhere(None) => Vec::new(),
        }
    }
}
