//! What aliases and moved mailboxes lead to in the end.

use std::ops::Range;

use ehlo_tokio::ehlo_server::codec::MailboxBuf;

use super::Checker;
use super::mail::{Names, Node};
use crate::address::{domain_key, local_key, mailbox_key};
use crate::config;
use crate::directory::{Entry, Target};

/// Aliases that lead to aliases, one behind the other.
const MAX_STEPS: usize = 100;

/// Addresses that one address may stand for in the end.
const MAX_TARGETS: usize = 10_000;

impl<'f> Checker<'f> {
    pub(super) fn alias(&mut self, names: &Names<'f>, key: &str, alias: &config::Alias) -> Option<Entry> {
        let (mut targets, mut members) = (Vec::new(), Vec::new());
        for to in &alias.to {
            let Some(member) = self.address(to) else { continue };
            let mut way = vec![key.to_owned()];
            self.follow(names, &member, to.span(), &mut way, &mut targets);
            members.push(member);
        }
        if alias.to.is_empty() {
            self.problem(alias.address.span(), "the alias stands for nobody", "name those who it stands for");
        }
        targets.sort();
        targets.dedup();
        if targets.len() > MAX_TARGETS {
            self.problem(
                alias.address.span(),
                format!("the alias stands for more than {MAX_TARGETS} addresses"),
                "make several of it",
            );
        }
        (!targets.is_empty()).then_some(Entry::List(targets, members))
    }

    pub(super) fn moved(&mut self, names: &Names<'f>, key: &str, moved: &config::Moved) -> Option<Entry> {
        let to = self.address(&moved.to)?;
        if mailbox_key(to.as_mailbox()) == key {
            self.problem(moved.to.span(), "the mailbox has moved to itself", "write where it is now");
            return None;
        }
        if !moved.forward {
            return Some(Entry::Moved(to));
        }
        let mut targets = Vec::new();
        self.follow(names, &to, moved.to.span(), &mut vec![key.to_owned()], &mut targets);
        match <[Target; 1]>::try_from(targets) {
            Ok([target]) => Some(Entry::Forwarded(target, to)),
            Err(targets) => {
                if !targets.is_empty() {
                    self.problem(moved.to.span(), "the new address stands for several", "make an [[alias]] of it");
                }
                None
            }
        }
    }

    /// Adds what an address leads to in the end. `way` is what was followed to get there.
    fn follow(
        &mut self,
        names: &Names<'f>,
        to: &MailboxBuf,
        span: Range<usize>,
        way: &mut Vec<String>,
        targets: &mut Vec<Target>,
    ) {
        let (key, domain) = (mailbox_key(to.as_mailbox()), domain_key(to.as_mailbox().domain()));
        if names.directory.null_domains.contains(&domain) {
            return self.problem(span, format!("{domain} takes no mail"), "name an address elsewhere");
        }
        let Some(reading) = names.domains.get(&domain) else {
            return match names.directory.route(&domain) {
                Some(route) => targets.push(Target::Elsewhere(route.place, to.clone())),
                None => self.missing(
                    span,
                    format!("mail for {domain} has no place to go"),
                    format!("add a [[route]] with domain = \"{domain}\""),
                ),
            };
        };
        if way.contains(&key) {
            let loops = format!("{} leads back to {key}", way.join(" leads to "));
            return self.problem(span, loops, "take one of them out of the circle");
        }
        if way.len() > MAX_STEPS || targets.len() > MAX_TARGETS {
            return self.problem(span, "too many aliases lead to each other", "name the mailboxes themselves");
        }
        let base = || {
            let (local, _) =
                local_key(to.as_mailbox()).split_once(reading.subaddress?).map(|(a, b)| (a.to_owned(), b.len()))?;
            names.nodes.get(&format!("{local}@{domain}"))
        };
        let Some((_, node)) = names.nodes.get(&key).or_else(base) else {
            return self.missing(span, format!("there is no address {key}"), "add it as a mailbox or an alias");
        };
        match node {
            Node::Mailbox(number) => targets.push(Target::Mailbox(*number)),
            Node::Alias(alias) => {
                way.push(key);
                for next in &alias.to {
                    if let Ok(next) = next.get_ref().parse::<MailboxBuf>() {
                        self.follow(names, &next, span.clone(), way, targets);
                    }
                }
                way.pop();
            }
            Node::Moved(moved) => match moved.to.get_ref().parse::<MailboxBuf>() {
                Ok(next) if moved.forward => {
                    way.push(key);
                    self.follow(names, &next, span, way, targets);
                    way.pop();
                }
                Ok(next) => self.problem(
                    span,
                    format!("{key} has moved to {next}, and nothing is forwarded"),
                    "name the new address",
                ),
                Err(_) => {}
            },
        }
    }

    pub(super) fn leads_to(&mut self, names: &Names<'f>, to: &MailboxBuf, span: Range<usize>) -> Option<Vec<Target>> {
        let mut targets = Vec::new();
        self.follow(names, to, span, &mut Vec::new(), &mut targets);
        targets.sort();
        targets.dedup();
        (!targets.is_empty()).then_some(targets)
    }
}
