//! Domains, mailboxes, aliases and routes.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ehlo_tokio::ehlo_server::codec::{Domain, MailboxBuf};

use super::Checker;
use crate::address::{compose, domain_key, local_key, mailbox_key};
use crate::config::{self, At, Bytes};
use crate::directory::{Directory, Entry, Keeps, LocalDomain, LocalMailbox, Route, Target};
use crate::place::Location;
use crate::usage::{Holder, Quota};

/// What an address was said to be.
pub(super) enum Node<'f> {
    Mailbox(usize),
    Alias(&'f config::Alias),
    Moved(&'f config::Moved),
}

/// A domain that is here, while it is being read.
pub(super) struct Reading<'f> {
    pub(super) given: &'f config::Domain,
    pub(super) location: Option<Location>,
    pub(super) subaddress: Option<char>,
}

/// All that was read of addresses, before it is known what each leads to.
pub(super) struct Names<'f> {
    pub(super) domains: HashMap<String, Reading<'f>>,
    /// By address in small letters: where it stands in the file, and what it is.
    pub(super) nodes: HashMap<String, (Range<usize>, Node<'f>)>,
    pub(super) directory: Directory,
    roots: Vec<PathBuf>,
}

impl<'f> Checker<'f> {
    /// All addresses, and the folders of all maildirs.
    pub(super) fn directory(&mut self) -> (Directory, Vec<PathBuf>) {
        let default = self.file.store.place.as_ref().and_then(|place| self.location(place));
        let mut names = Names {
            domains: HashMap::new(),
            nodes: HashMap::new(),
            directory: Directory::default(),
            roots: Vec::new(),
        };
        self.domains(&mut names);
        self.routes(&mut names);
        self.mailboxes(&mut names, default.as_ref());
        self.aliases(&mut names);
        self.entries(&mut names);
        self.rules_for_all(&mut names);
        names.roots.sort();
        names.roots.dedup();
        // A folder below another one is counted with that.
        let roots = names.roots.clone();
        names.roots.retain(|root| !roots.iter().any(|other| root != other && root.starts_with(other)));
        (names.directory, names.roots)
    }

    fn domain_name(&mut self, name: &At<String>) -> Option<String> {
        match Domain::parse_utf8(name.get_ref()) {
            Ok(domain) => Some(domain_key(domain)),
            Err(error) => {
                self.problem(
                    name.span(),
                    format!("{:?} is no domain: {error}", name.get_ref()),
                    "write a domain, or an address in brackets",
                );
                None
            }
        }
    }

    pub(super) fn address(&mut self, text: &At<String>) -> Option<MailboxBuf> {
        match text.get_ref().parse() {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                let error: ehlo_tokio::ehlo_server::codec::PathFault = error;
                self.problem(
                    text.span(),
                    format!("{:?} is no address: {error}", text.get_ref()),
                    "write it as local@domain",
                );
                None
            }
        }
    }

    fn domains(&mut self, names: &mut Names<'f>) {
        for domain in &self.file.domain {
            let given = domain.get_ref();
            let Some(key) = self.domain_name(&given.name) else { continue };
            if names.domains.contains_key(&key) || names.directory.null_domains.contains(&key) {
                self.problem(given.name.span(), format!("the domain {key} is there already"), "leave one of them out");
                continue;
            }
            if given.takes_no_mail {
                if !given.mailboxes.is_empty() || given.catch_all.is_some() || given.place.is_some() {
                    self.problem(
                        given.name.span(),
                        format!("{key} takes no mail, so there can be nothing in it"),
                        "leave out takes_no_mail, or the rest",
                    );
                }
                names.directory.null_domains.insert(key);
                continue;
            }
            let location = given.place.as_ref().and_then(|place| self.location(place));
            let subaddress = match &given.subaddress {
                None => Some('+'),
                Some(text) => {
                    let mut chars = text.get_ref().chars();
                    let first = chars.next();
                    if chars.next().is_some() || first.is_some_and(|c| c.is_alphanumeric() || c.is_control()) {
                        self.problem(
                            text.span(),
                            "a subaddress begins with one character that is no letter or digit",
                            "write \"+\", or \"\" for none",
                        );
                    }
                    first
                }
            };
            names.domains.insert(key, Reading { given, location, subaddress });
        }
    }

    fn routes(&mut self, names: &mut Names<'f>) {
        for route in &self.file.route {
            let given = route.get_ref();
            let text = given.domain.get_ref();
            let key = match text.strip_prefix("*.") {
                _ if text == "*" => Some("*".to_owned()),
                Some(rest) => match Domain::parse_utf8(rest) {
                    Ok(domain) if !domain.is_literal() => Some(format!("*.{}", domain_key(domain))),
                    _ => {
                        self.problem(
                            given.domain.span(),
                            format!("{text:?} names no domains"),
                            "write a domain, *.DOMAIN, or *",
                        );
                        None
                    }
                },
                None => self.domain_name(&given.domain),
            };
            let place = self.shared_place(&given.place);
            if given.open && key.as_deref() == Some("*") {
                self.problem(
                    given.domain.span(),
                    "a route for all domains that is open to anybody is an open relay",
                    "leave out open, or name domains",
                );
            }
            let (Some(key), Some(place)) = (key, place) else { continue };
            if names.domains.contains_key(&key) || names.directory.null_domains.contains(&key) {
                self.problem(
                    given.domain.span(),
                    format!("no route is needed to {key}, which is a domain of this server"),
                    "leave out the route, or the domain",
                );
            }
            if names.directory.routes.insert(key, Route { place, open: given.open }).is_some() {
                self.problem(
                    given.domain.span(),
                    format!("there is a route for {text} already"),
                    "leave one of them out",
                );
            }
        }
    }

    fn mailboxes(&mut self, names: &mut Names<'f>, default: Option<&Location>) {
        // Those that are told apart, by address; and all in the order of the file.
        let mut special: HashMap<String, &'f config::Mailbox> = HashMap::new();
        let mut all: Vec<(String, String, Range<usize>)> = Vec::new();
        for mailbox in &self.file.mailbox {
            let given = mailbox.get_ref();
            let Some(address) = self.address(&given.address) else { continue };
            let (local, domain) = (local_key(address.as_mailbox()), domain_key(address.as_mailbox().domain()));
            if !names.domains.contains_key(&domain) {
                self.missing(
                    given.address.span(),
                    format!("{domain} is no domain of this server"),
                    "add it as a [[domain]]",
                );
                continue;
            }
            if special.insert(mailbox_key(address.as_mailbox()), given).is_some() {
                self.problem(given.address.span(), "that mailbox is there already", "leave one of them out");
                continue;
            }
            all.push((local, domain, given.address.span()));
        }
        for domain in &self.file.domain {
            let given = domain.get_ref();
            let Ok(parsed) = Domain::parse_utf8(given.name.get_ref()) else { continue };
            let key = domain_key(parsed);
            if names.domains.get(&key).is_none_or(|reading| !std::ptr::eq(reading.given, given)) {
                continue;
            }
            for local in &given.mailboxes {
                let name = local.get_ref().to_lowercase();
                if special.contains_key(&format!("{name}@{key}")) {
                    continue;
                }
                all.push((name, key.clone(), local.span()));
            }
        }
        for (local, domain, span) in all {
            let key = format!("{local}@{domain}");
            let Some(address) = compose(&local, &domain) else {
                self.problem(
                    span,
                    format!("{local:?} is no local part of an address"),
                    "write what stands before the @",
                );
                continue;
            };
            if names.nodes.contains_key(&key) {
                self.problem(span, format!("{key} is there already"), "leave one of them out");
                continue;
            }
            let given = special.get(&key).copied();
            let own = given.and_then(|given| given.place.as_ref()).and_then(|place| self.location(place));
            let location =
                own.as_ref().or_else(|| names.domains.get(&domain).and_then(|it| it.location.as_ref())).or(default);
            let Some(location) = location.cloned() else {
                self.missing(
                    span,
                    format!("there is no place for mail for {key}"),
                    "add [store] place = \"maildir:...\"",
                );
                continue;
            };
            let quota = self.quota(given);
            let keeps = self.keeps(names, &location, &domain, &local, &span, &quota, given);
            let Some(keeps) = keeps else { continue };
            // What is in no maildir of its own can't be counted.
            let quota = if matches!(keeps, Keeps::Maildir(..)) { quota } else { Quota::default() };
            names.nodes.insert(key, (span, Node::Mailbox(names.directory.mailboxes.len())));
            names.directory.mailboxes.push(LocalMailbox { address, keeps, quota });
        }
    }

    fn quota(&self, given: Option<&config::Mailbox>) -> Quota {
        let store = &self.file.store;
        let bytes = given.and_then(|given| given.quota_bytes.as_ref()).or(store.quota_bytes.as_ref());
        let messages = given.and_then(|given| given.quota_messages.as_ref()).or(store.quota_messages.as_ref());
        Quota {
            bytes: bytes.map(|bytes| bytes.get_ref()).map(|&Bytes(bytes)| bytes).filter(|&bytes| bytes > 0),
            messages: messages.map(|count| *count.get_ref()).filter(|&count| count > 0),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are what one mailbox is made of")]
    fn keeps(
        &mut self,
        names: &mut Names<'f>,
        location: &Location,
        domain: &str,
        local: &str,
        span: &Range<usize>,
        quota: &Quota,
        given: Option<&config::Mailbox>,
    ) -> Option<Keeps> {
        let has_own_quota = given.is_some_and(|given| given.quota_bytes.is_some() || given.quota_messages.is_some());
        match location {
            Location::Place(full) => {
                if has_own_quota {
                    self.problem(
                        span.clone(),
                        "what a place holds is counted in maildirs only",
                        "give the mailbox a maildir, or leave out its quota",
                    );
                }
                Some(Keeps::Place(self.place_number(full.clone())))
            }
            Location::Maildir(template) => {
                if !quota.is_any() && !template.tells_apart() {
                    self.problem(
                        span.clone(),
                        "a quota needs a maildir for each mailbox, and this one is shared",
                        "put {domain} and {local} into the place, or leave out the quota",
                    );
                }
                let Some(path) = template.fill(domain, local) else {
                    self.problem(
                        span.clone(),
                        "no folder can have the name of this mailbox: it is too long",
                        "give it a place without {local} and {domain}",
                    );
                    return None;
                };
                names.roots.push(template.root());
                Some(Keeps::Maildir(path.clone(), Arc::new(Holder::Maildir(path))))
            }
        }
    }

    fn aliases(&mut self, names: &mut Names<'f>) {
        let aliases = self.file.alias.iter().map(|it| (&it.get_ref().address, Node::Alias(it.get_ref())));
        let moved = self.file.moved.iter().map(|it| (&it.get_ref().address, Node::Moved(it.get_ref())));
        for (address, node) in aliases.chain(moved) {
            let Some(mailbox) = self.address(address) else { continue };
            let domain = domain_key(mailbox.as_mailbox().domain());
            if !names.domains.contains_key(&domain) {
                self.missing(address.span(), format!("{domain} is no domain of this server"), "add it as a [[domain]]");
                continue;
            }
            let key = mailbox_key(mailbox.as_mailbox());
            if names.nodes.contains_key(&key) {
                self.problem(address.span(), format!("{key} is there already"), "leave one of them out");
                continue;
            }
            names.nodes.insert(key, (address.span(), node));
        }
    }

    /// Says of each address what it leads to.
    fn entries(&mut self, names: &mut Names<'f>) {
        let mut domains: HashMap<String, LocalDomain> = HashMap::new();
        for (key, reading) in &names.domains {
            domains.insert(key.clone(), LocalDomain { subaddress: reading.subaddress, ..LocalDomain::default() });
        }
        let mut keys: Vec<&String> = names.nodes.keys().collect();
        // In the order of the file, so that what is told is the same each time.
        keys.sort_by_key(|key| names.nodes[*key].0.start);
        for key in keys {
            let Some((local, domain)) = key.rsplit_once('@') else { continue };
            let entry = match &names.nodes[key].1 {
                Node::Mailbox(number) => Some(Entry::Targets(vec![Target::Mailbox(*number)])),
                Node::Alias(alias) => self.alias(names, key, alias),
                Node::Moved(moved) => self.moved(names, key, moved),
            };
            if let (Some(entry), Some(found)) = (entry, domains.get_mut(domain)) {
                found.entries.insert(local.to_owned(), entry);
            }
        }
        names.directory.domains = domains;
    }

    /// Catch-alls and postmasters.
    fn rules_for_all(&mut self, names: &mut Names<'f>) {
        let postmaster = self.file.server.postmaster.as_ref().and_then(|text| {
            let to = self.address(text)?;
            self.leads_to(names, &to, text.span())
        });
        let domains: Vec<(String, &config::Domain)> =
            names.domains.iter().map(|(key, reading)| (key.clone(), reading.given)).collect();
        for (key, given) in domains {
            let catch_all = given.catch_all.as_ref().and_then(|text| {
                let full = if text.get_ref().contains('@') {
                    text.get_ref().clone()
                } else {
                    format!("{}@{}", text.get_ref(), given.name.get_ref())
                };
                match full.parse::<MailboxBuf>() {
                    Ok(to) => self.leads_to(names, &to, text.span()),
                    Err(error) => {
                        self.problem(
                            text.span(),
                            format!("{full:?} is no address: {error}"),
                            "write a local part, or local@domain",
                        );
                        None
                    }
                }
            });
            let Some(domain) = names.directory.domains.get_mut(&key) else { continue };
            if postmaster.is_none()
                && catch_all.is_none()
                && given.catch_all.is_none()
                && !domain.entries.contains_key("postmaster")
                && self.file.server.postmaster.is_none()
            {
                self.missing(
                    given.name.span(),
                    format!("mail for postmaster@{key} has no place to go, and must be taken (RFC 5321 §4.5.1)"),
                    "add server.postmaster, or a mailbox or an alias of that name",
                );
                continue;
            }
            domain.catch_all = catch_all;
            domain.postmaster.clone_from(&postmaster);
        }
        // Without a domain it is the Postmaster of the server, or of its first domain.
        let first = self.file.domain.iter().find_map(|domain| {
            let key = domain_key(Domain::parse_utf8(domain.get_ref().name.get_ref()).ok()?);
            let domain = names.directory.domains.get(&key)?;
            domain.entries.get("postmaster").map(|entry| entry.targets().to_vec()).or_else(|| domain.catch_all.clone())
        });
        names.directory.postmaster = postmaster.or(first);
    }
}
