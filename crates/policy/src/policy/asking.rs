//! Questions that may need something to be looked up first.

use std::net::IpAddr;
use std::sync::Arc;

use ehlo_tokio::Decision;
use ehlo_tokio::ehlo_server::codec::{ForwardPathBuf, ReversePathBuf};
use ehlo_tokio::store::FileOps;

use super::{Live, Remembered, Transaction, clock};
use crate::config::{Action, Stage};
use crate::dns::{Found, Known, LookupError, MailDomain, SenderDomain, listing_name};
use crate::plan::Plan;
use crate::reply;
use crate::usage::{Holder, free_bytes};

/// Look-ups for one question at the most: each of them is of another thing, unless answers are forgotten as fast as they come. An alias may
/// stand for as many mailboxes, all of which are to be counted; [`Timeouts::answer`](ehlo_tokio::ehlo_server::Timeouts) bounds their time.
const MAX_NEEDS: usize = 20_000;

/// Who asks.
pub(super) struct Asker<F: FileOps> {
    pub(super) live: Arc<Live<F>>,
    pub(super) plan: Arc<Plan>,
    pub(super) ip: IpAddr,
    pub(super) identity: Option<String>,
    pub(super) remembered: Arc<Remembered>,
    pub(super) connection: u64,
    pub(super) helo: String,
}

/// What is asked.
pub(super) enum Question {
    Connect,
    Mail { from: ReversePathBuf, size: Option<u64> },
    Rcpt { to: ForwardPathBuf, size: Option<u64>, transaction: Arc<Transaction> },
}

/// What has to be looked up before there is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The file of grants.
    Grants,
    /// A list in DNS, by its number.
    List(usize),
    /// A sender's domain.
    Domain(String),
    /// What a mailbox, or the whole store, holds.
    Count(Arc<Holder>),
    /// The room on the file systems.
    Space,
}

impl Question {
    /// The answer, now or later.
    pub(super) fn decide<F: FileOps>(self, asker: Asker<F>) -> Decision {
        let first = match asker.judge(&self) {
            Ok(decision) => return decision,
            Err(need) => need,
        };
        Decision::later(async move {
            let mut need = first;
            for _ in 0..MAX_NEEDS {
                asker.look_up(need).await;
                match asker.judge(&self) {
                    Ok(decision) => return decision,
                    Err(next) => need = next,
                }
            }
            super::refuse(reply::NOT_STORED)
        })
    }
}

impl<F: FileOps> Asker<F> {
    fn judge(&self, question: &Question) -> Result<Decision, Need> {
        match question {
            Question::Connect => self.connect(),
            Question::Mail { from, size } => self.mail(from.as_path(), *size),
            Question::Rcpt { to, size, transaction } => self.rcpt(to.as_path(), *size, transaction),
        }
    }

    /// Whether the client may relay.
    pub(super) fn is_trusted(&self) -> Result<bool, Need> {
        if (self.identity.is_some() && self.plan.relay.authenticated) || self.is_of_us() {
            return Ok(true);
        }
        let Some(grants) = &self.plan.grants else { return Ok(false) };
        if !grants.is_fresh(clock()) {
            return Err(Need::Grants);
        }
        Ok(grants.allow(self.ip, (self.live.wall_clock)()))
    }

    /// Whether the client is in one of the networks that may relay.
    pub(super) fn is_of_us(&self) -> bool {
        self.plan.relay.networks.iter().any(|network| network.contains(self.ip))
    }

    /// Whether the client is on a list that is asked there; gives the refusal if it is.
    pub(super) fn listed(&self, at: Stage) -> Result<Option<ehlo_tokio::ehlo_server::codec::Reply>, Need> {
        let welcome = self.plan.clients.iter().find(|rule| rule.network.contains(self.ip));
        if self.live.resolver.is_none() || welcome.is_some_and(|rule| rule.action == Action::Accept) {
            return Ok(None);
        }
        for (index, rule) in self.plan.lists.iter().enumerate().filter(|(_, rule)| rule.at == at) {
            let name = listing_name(self.ip, &rule.list.zone);
            match self.live.cache.get(clock(), &name) {
                None => return Err(Need::List(index)),
                Some(Known::Listed(text)) => {
                    let colon = if text.is_empty() { "" } else { ": " };
                    let said = format!("{} is listed by {}{colon}{text}", self.ip, rule.list.zone);
                    return Ok(Some(reply::reply(rule.reply, 7, 1, said)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// What is known of a sender's domain.
    pub(super) fn domain(&self, domain: &str) -> Result<SenderDomain, Need> {
        match self.live.cache.get(clock(), &sender_name(domain)) {
            Some(Known::Sender(known)) => Ok(known),
            _ => Err(Need::Domain(domain.to_owned())),
        }
    }

    async fn look_up(&self, need: Need) {
        let live = Arc::clone(&self.live);
        match need {
            Need::Grants => {
                if let Some(grants) = self.plan.grants.clone() {
                    let now = clock();
                    // If it is lost, it is read at the next question.
                    let _ = tokio::task::spawn_blocking(move || grants.refresh(now)).await;
                }
            }
            Need::List(index) => {
                if let (Some(rule), Some(resolver)) = (self.plan.lists.get(index), &live.resolver) {
                    rule.list.ask(resolver, &live.cache, self.ip, &self.plan.dns).await;
                }
            }
            Need::Domain(domain) => self.look_up_domain(&domain).await,
            Need::Count(holder) => live.count(&holder).await,
            Need::Space => {
                let (roots, min_free) = (self.plan.roots.clone(), self.plan.min_free.unwrap_or_default());
                let enough = move || roots.iter().all(|root| free_bytes(root).is_ok_and(|free| free >= min_free));
                let enough = tokio::task::spawn_blocking(enough).await.unwrap_or(true);
                *live.space.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((clock(), enough));
            }
        }
    }

    async fn look_up_domain(&self, domain: &str) {
        const FAILED: std::time::Duration = std::time::Duration::from_secs(30);
        let Some(resolver) = &self.live.resolver else { return };
        let asking = &self.plan.dns;
        let answer = tokio::time::timeout(asking.timeout, resolver.mail_domain(domain)).await;
        let (known, ttl) = match answer {
            Ok(Ok(Found { answer, ttl })) => {
                let known = match answer {
                    Some(MailDomain::Reachable) => SenderDomain::Exists,
                    Some(MailDomain::NullMx) => SenderDomain::NullMx,
                    None => SenderDomain::DoesNot,
                };
                (known, ttl.min(asking.max_ttl))
            }
            Ok(Err(LookupError(error))) => {
                tracing::debug!(domain, error, "a sender's domain could not be looked up");
                (SenderDomain::Unknown, FAILED)
            }
            Err(_) => (SenderDomain::Unknown, FAILED),
        };
        // An answer that is good for no time at all is good for this question.
        let until = clock() + ttl.max(std::time::Duration::from_secs(1));
        self.live.cache.put(&sender_name(domain), Known::Sender(known), until, asking.max_cached);
    }
}

/// Under what a sender's domain is kept. No name of a list has a character of this kind.
fn sender_name(domain: &str) -> String {
    format!("@{domain}")
}
