//! Recipients: whose mail is taken, and from whom.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ehlo_tokio::Decision;
use ehlo_tokio::ehlo_server::codec::{ForwardPath, MailboxBuf, Reply};
use ehlo_tokio::store::FileOps;

use super::asking::{Asker, Need};
use super::{Transaction, clock};
use crate::address::local_key;
use crate::config::{Measure, Stage};
use crate::deliver::mailbox_full;
use crate::directory::{Entry, Hit, Keeps, Target};
use crate::plan::RateRule;
use crate::reply;
use crate::usage::{Amount, Room};

/// What is said where more came than may.
pub(super) fn too_many(rule: &RateRule, wait: Duration) -> Reply {
    let what = match rule.of {
        Measure::Connections => "connections",
        Measure::Messages => "messages",
        Measure::Recipients => "recipients",
        Measure::Bytes => "bytes",
    };
    let text = format!("Too many {what} in too short a time; {}", reply::wait(wait));
    match rule.reply {
        421 => reply::reply(421, 7, 0, text),
        452 => reply::reply(452, 5, 3, text),
        code => reply::reply(code, 7, 1, text),
    }
}

impl<F: FileOps> Asker<F> {
    pub(super) fn rcpt(
        &self,
        to: ForwardPath<'_>,
        size: Option<u64>,
        transaction: &Transaction,
    ) -> Result<Decision, Need> {
        let plan = &self.plan;
        let subject = to.as_str();
        let directory = &plan.directory;
        // RFC 5321 §4.5.1: mail for Postmaster is taken from everybody who is let in at all.
        let to_postmaster = to.mailbox().is_none_or(|mailbox| mailbox.is_postmaster());
        if let Some(mailbox) = to.mailbox()
            && !to_postmaster
            && (plan.accept_all.is_some() || directory.is_local(mailbox))
            && !plan.names.allow(&local_key(mailbox))
        {
            return Ok(self.refused(reply::NAME_FORBIDDEN, "name", subject));
        }
        if plan.accept_all.is_some() {
            return match self.listed(Stage::Recipient)? {
                Some(reply) => Ok(self.refused(reply, "list", subject)),
                None => Ok(Decision::Accept),
            };
        }
        let hit = directory.find(to);
        // Whoever may not relay hears that first: it costs no look-up.
        if let Hit::Elsewhere(route) = &hit
            && !route.is_some_and(|route| route.open)
        {
            if !self.is_trusted()? {
                return Ok(self.refused(self.relay_denied(), "relay", subject));
            }
            if route.is_none() {
                return Ok(self.refused(reply::NO_ROUTE, "route", subject));
            }
        }
        if !plan.lists.is_empty()
            && !to_postmaster
            && !self.is_trusted()?
            && let Some(reply) = self.listed(Stage::Recipient)?
        {
            return Ok(self.refused(reply, "list", subject));
        }
        let accept = match &hit {
            Hit::Unknown => return Ok(self.refused(reply::NO_SUCH_MAILBOX, "mailbox", subject)),
            Hit::SourceRoute => return Ok(self.refused(reply::SOURCE_ROUTE, "relay", subject)),
            Hit::NullDomain => return Ok(self.refused(reply::NULL_DOMAIN, "domain", subject)),
            Hit::Entry(Entry::Moved(new)) => return Ok(self.refused(moved(new), "moved", subject)),
            Hit::Entry(Entry::Forwarded(_, new)) => forwarded(new).map_or(Decision::Accept, Decision::AcceptWith),
            Hit::Entry(_) | Hit::Targets(_) | Hit::Elsewhere(_) => Decision::Accept,
        };
        let targets = hit.targets(to);
        if let Some(reply) = self.full(&targets, size)? {
            return Ok(self.refused(reply, "quota", subject));
        }
        if !self.fits(&targets, transaction) {
            return Ok(self.refused(reply::OTHER_PLACE, "place", subject));
        }
        Ok(accept)
    }

    /// What who may not relay is told: to authenticate, where that would help.
    fn relay_denied(&self) -> Reply {
        const ASK: &str = "Authentication required to relay";
        let helps = self.live.users.is_some() && self.identity.is_none() && self.plan.relay.authenticated;
        match self.plan.relay.denied {
            Some(530) => reply::reply(530, 7, 0, if helps { ASK } else { "Relaying needs a log-in by mail first" }),
            Some(code) => reply::reply(code, 7, 1, "Relaying denied"),
            None if helps => reply::reply(530, 7, 0, ASK),
            None => reply::reply(550, 7, 1, "Relaying denied"),
        }
    }

    /// The refusal where a mailbox has no room.
    fn full(&self, targets: &[Target], size: Option<u64>) -> Result<Option<Reply>, Need> {
        for target in targets {
            let Target::Mailbox(number) = target else { continue };
            let Some(mailbox) = self.plan.directory.mailboxes.get(*number) else { continue };
            let Keeps::Maildir(_, holder) = &mailbox.keeps else { continue };
            if mailbox.quota.is_any() {
                continue;
            }
            match self.live.usage.room(clock(), holder, Amount::message(size.unwrap_or(1)), &mailbox.quota) {
                Room::Yes => {}
                Room::No => return Ok(Some(mailbox_full(&self.plan, mailbox))),
                Room::Unknown => return Err(Need::Count(Arc::clone(holder))),
            }
        }
        Ok(None)
    }

    /// Whether the message can go there too: to one place at the most that could not take it back, but for what one address stands for.
    fn fits(&self, targets: &[Target], transaction: &Transaction) -> bool {
        let place = |target: &Target| match target {
            Target::Elsewhere(place, _) => Some(*place),
            Target::Mailbox(number) => match &self.plan.directory.mailboxes.get(*number)?.keeps {
                Keeps::Place(place) => Some(*place),
                Keeps::Maildir(..) => None,
            },
        };
        let mut wanted: Vec<usize> =
            targets.iter().filter_map(place).filter(|&place| self.plan.is_final(place)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut taken = transaction.place.lock().unwrap_or_else(PoisonError::into_inner);
        match (*taken, &wanted[..]) {
            (_, []) => true,
            (None, [first, ..]) => {
                *taken = Some(*first);
                true
            }
            (Some(taken), wanted) => wanted == [taken],
        }
    }
}

/// RFC 5321 §3.4: mail goes there, and the client had better know.
fn forwarded(new: &MailboxBuf) -> Option<Reply> {
    let (code, enhanced) = codes(251, 2, 1, 5)?;
    Reply::new_utf8(code, Some(enhanced), format!("User not local; will forward to <{new}>")).ok()
}

/// RFC 5321 §3.4: the client has to send it there.
fn moved(new: &MailboxBuf) -> Reply {
    let made = codes(551, 5, 1, 6).and_then(|(code, enhanced)| {
        Reply::new_utf8(code, Some(enhanced), format!("User not local; please try <{new}>")).ok()
    });
    made.unwrap_or(reply::NO_SUCH_MAILBOX)
}

fn codes(
    code: u16,
    class: u16,
    subject: u16,
    detail: u16,
) -> Option<(ehlo_tokio::ehlo_server::codec::ReplyCode, ehlo_tokio::ehlo_server::codec::EnhancedCode)> {
    use ehlo_tokio::ehlo_server::codec::{EnhancedCode, ReplyCode};
    ReplyCode::new(code).zip(EnhancedCode::new(class, subject, detail))
}
