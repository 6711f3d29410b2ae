//! Connections and senders.

use std::time::Duration;

use ehlo_tokio::Decision;
use ehlo_tokio::ehlo_server::codec::{Reply, ReversePath};
use ehlo_tokio::store::FileOps;

use super::asking::{Asker, Need};
use super::clock;
use crate::address::{domain_key, mailbox_key};
use crate::config::{Action, Stage, Verification};
use crate::directory::Hit;
use crate::dns::SenderDomain;
use crate::reply;
use crate::usage::{Amount, Room};

/// For how long file systems are not asked again whether they have room.
const SPACE_FRESH: Duration = Duration::from_secs(1);

impl<F: FileOps> Asker<F> {
    /// The greeting of a host that takes no mail, or of a client that is not let in.
    pub(super) fn greeting(&self) -> Option<Reply> {
        if self.plan.takes_no_mail {
            return Some(reply::reply(521, 3, 2, format!("{} does not accept mail", self.plan.hostname)));
        }
        let rule = self.plan.clients.iter().find(|rule| rule.network.contains(self.ip))?;
        (rule.action == Action::Refuse)
            .then(|| reply::reply(rule.reply, 7, 1, "Clients at your address are not welcome here"))
    }

    pub(super) fn connect(&self) -> Result<Decision, Need> {
        if self.is_of_us() {
            return Ok(Decision::Accept);
        }
        match self.listed(Stage::Connect)? {
            Some(reply) => Ok(self.refused(reply, "list", "")),
            None => Ok(Decision::Accept),
        }
    }

    /// The refusal of a sender that needs nothing to be looked up. The null sender is never refused (RFC 2505 §2.6.1).
    pub(super) fn sender(&self, from: ReversePath<'_>) -> Option<Reply> {
        let mailbox = from.mailbox()?;
        let (key, domain) = (mailbox_key(mailbox), format!("@{}", domain_key(mailbox.domain())));
        let senders = &self.plan.senders;
        if let Some(allowed) = self.identity.as_ref().and_then(|user| senders.of_users.get(user))
            && !allowed.iter().any(|sender| *sender == key || *sender == domain)
        {
            return Some(reply::NOT_YOUR_SENDER);
        }
        let code = senders.refused.get(&key).or_else(|| senders.refused.get(&domain))?;
        Some(reply::reply(*code, 7, 1, "Mail from that sender is not welcome here"))
    }

    pub(super) fn mail(&self, from: ReversePath<'_>, size: Option<u64>) -> Result<Decision, Need> {
        if let Some(reply) = self.room(size)? {
            return Ok(self.refused(reply, "storage", from.as_str()));
        }
        let Some(mailbox) = from.mailbox() else { return Ok(Decision::Accept) };
        let senders = &self.plan.senders;
        let directory = &self.plan.directory;
        if directory.is_local(mailbox) {
            // RFC 2505 §2.6.2 lets anybody name a sender of ours; §2.10 has our own named right.
            if senders.verify_local
                && matches!(directory.find_mailbox(mailbox), Hit::Unknown | Hit::SourceRoute)
                && self.is_trusted()?
            {
                return Ok(self.refused(reply::NO_SUCH_SENDER, "sender", from.as_str()));
            }
            return Ok(Decision::Accept);
        }
        // An address in brackets is in no DNS.
        if senders.verify_domain == Verification::Off || self.live.resolver.is_none() || mailbox.domain().is_literal() {
            return Ok(Decision::Accept);
        }
        let refusal = match self.domain(&domain_key(mailbox.domain()))? {
            SenderDomain::Exists => return Ok(Decision::Accept),
            SenderDomain::Unknown => reply::SENDER_UNKNOWN_YET,
            SenderDomain::NullMx => reply::SENDER_NULL_MX,
            SenderDomain::DoesNot => {
                let code = if senders.verify_domain == Verification::Permanent { 550 } else { 450 };
                reply::reply(code, 1, 8, "There is no such domain of a sender")
            }
        };
        Ok(self.refused(refusal, "sender", from.as_str()))
    }

    /// The refusal where there is no room for a message of that size.
    fn room(&self, size: Option<u64>) -> Result<Option<Reply>, Need> {
        if let Some((holder, quota)) = &self.plan.total {
            let more = Amount::message(size.unwrap_or(1));
            if quota.bytes.is_some_and(|most| more.bytes > most) {
                return Ok(Some(reply::NEVER_FITS));
            }
            match self.live.usage.room(clock(), holder, more, quota) {
                Room::Yes => {}
                Room::No => return Ok(Some(reply::STORE_FULL)),
                Room::Unknown => return Err(Need::Count(std::sync::Arc::clone(holder))),
            }
        }
        if self.plan.min_free.is_none() {
            return Ok(None);
        }
        let space = *self.live.space.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match space.filter(|(looked, _)| clock().saturating_duration_since(*looked) < SPACE_FRESH) {
            Some((_, true)) => Ok(None),
            Some((_, false)) => Ok(Some(reply::STORE_FULL)),
            None => Err(Need::Space),
        }
    }
}
