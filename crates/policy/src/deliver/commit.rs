//! The end of a message: all that has to be so before it is acknowledged.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use ehlo_tokio::Commit;
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Protocol, RecipientAnswer};
use ehlo_tokio::store::FileOps;

use super::{Branch, Message};
use crate::config::Measure;
use crate::directory::{Keeps, LocalMailbox};
use crate::policy::Live;
use crate::repeats::Copy;
use crate::reply;
use crate::usage::{Amount, Holder, Quota, Reservation, Room};

/// A message that has come whole.
pub(super) struct Committing<F: FileOps> {
    live: Arc<Live<F>>,
    message: Message<F>,
    protocol: Protocol,
    /// What became of each maildir, and of each recipient of each place.
    folders: Vec<RecipientAnswer>,
    places: Vec<Commit>,
    reservations: Vec<Reservation>,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How a failed file system is told to the client.
fn storage_reply(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => reply::STORE_FULL,
        _ => reply::NOT_STORED,
    }
}

impl<F: FileOps> Committing<F> {
    pub(super) fn new(live: Arc<Live<F>>, message: Message<F>, protocol: Protocol) -> Self {
        let folders = message.folders.iter().map(|_| Ok(None)).collect();
        Self { live, message, protocol, folders, places: Vec::new(), reservations: Vec::new() }
    }

    /// Does all that is to be done; gives an answer for each recipient.
    pub(super) async fn run(mut self) -> Vec<RecipientAnswer> {
        self.charge();
        if let Err(reply) = self.commit().await {
            self.message.places.iter_mut().for_each(|place| place.sink.abort());
            return self.message.ways.iter().map(|_| Err(reply.clone())).collect();
        }
        for reservation in std::mem::take(&mut self.reservations) {
            reservation.delivered();
        }
        self.message.ways.iter().map(|way| self.answer(way)).collect()
    }

    /// Counts the octets, whatever becomes of them: they have come.
    fn charge(&self) {
        let Message { plan, owner, size, .. } = &self.message;
        for rule in plan.rates.iter().filter(|rule| rule.of == Measure::Bytes) {
            if let Some(key) = owner.key(plan, rule.per) {
                rule.buckets.charge(now(), &key, *size);
            }
        }
    }

    /// # Errors
    ///
    /// The reply for all recipients: nothing of the message remains, but in a place that had taken it.
    async fn commit(&mut self) -> Result<(), Reply> {
        let repeat = self.repeat()?;
        self.reserve().await?;
        let wanted: Vec<bool> = self.folders.iter().map(Result::is_ok).collect();
        if !wanted.is_empty() && !wanted.contains(&true) && self.message.places.is_empty() {
            // Full, all of them.
            self.message.local = None;
            return Ok(());
        }
        if let Some(local) = &mut self.message.local
            && let Err(error) = local.prepare(wanted).await
        {
            return Err(self.failed(&error));
        }
        self.places().await?;
        if let Some(local) = &mut self.message.local
            && let Err(error) = local.publish().await
        {
            return Err(self.failed(&error));
        }
        if let Some(copy) = repeat {
            copy.taken();
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Reply {
        tracing::error!(%error, id = %self.message.id, "a message could not be stored");
        storage_reply(error)
    }

    /// Counts the message, or refuses one that comes too often.
    fn repeat(&self) -> Result<Option<Copy>, Reply> {
        let Message { plan, digest, owner, .. } = &self.message;
        let (Some(rule), Some(digest)) = (plan.repeats, digest) else { return Ok(None) };
        let key = (plan.prefixes.network(owner.ip), digest.digest128());
        if let Some(copy) = self.live.repeats.take(now(), key, &rule) {
            return Ok(Some(copy));
        }
        let text = if rule.reply < 500 {
            "Too many duplicate messages; try again later"
        } else {
            "Too many duplicate messages"
        };
        Err(reply::reply(rule.reply, 7, 1, text))
    }

    /// Makes sure that there is room: in the store for all, in each mailbox for its own. Where each recipient has an answer of its own, those
    /// who have no room get that; otherwise nobody gets the message.
    async fn reserve(&mut self) -> Result<(), Reply> {
        let Message { plan, size, folders, .. } = &self.message;
        let plan = Arc::clone(plan);
        let (size, copies) = (*size, folders.len() as u64);
        if copies == 0 {
            return Ok(());
        }
        if let Some((holder, quota)) = &plan.total {
            let all = Amount { bytes: size.saturating_mul(copies), messages: copies };
            if !self.hold(holder, all, quota).await {
                let never = quota.bytes.is_some_and(|most| size > most);
                return Err(if never { reply::NEVER_FITS } else { reply::STORE_FULL });
            }
        }
        for index in 0..self.folders.len() {
            let numbers = self.message.folders[index].mailboxes.clone();
            for mailbox in numbers.iter().filter_map(|&number| plan.directory.mailboxes.get(number)) {
                let Keeps::Maildir(_, holder) = &mailbox.keeps else { continue };
                if mailbox.quota.is_any() || self.hold(holder, Amount::message(size), &mailbox.quota).await {
                    continue;
                }
                let full = mailbox_full(&plan, mailbox);
                if self.protocol != Protocol::Lmtp {
                    return Err(full);
                }
                self.folders[index] = Err(full);
            }
        }
        Ok(())
    }

    async fn hold(&mut self, holder: &Arc<Holder>, amount: Amount, quota: &Quota) -> bool {
        // Counted once more at the most: by then it is known.
        for _ in 0..2 {
            match self.live.usage.reserve(now(), holder, amount, quota) {
                Ok(reservation) => {
                    self.reservations.push(reservation);
                    return true;
                }
                Err(Room::Unknown) => self.live.count(holder).await,
                Err(_) => return false,
            }
        }
        false
    }

    /// Has the places accept it.
    async fn places(&mut self) -> Result<(), Reply> {
        for index in 0..self.message.places.len() {
            let sink = &mut self.message.places[index].sink;
            let commit = match self.protocol {
                Protocol::Lmtp => poll_fn(|cx| sink.poll_commit_each(cx)).await,
                _ => Commit::Same(poll_fn(|cx| sink.poll_commit(cx)).await),
            };
            match commit {
                Commit::Same(Err(reply)) if self.protocol != Protocol::Lmtp => return Err(reply),
                commit => self.places.push(commit),
            }
        }
        Ok(())
    }

    /// What became of it for a recipient: the first of what it leads to that refused, or the first.
    fn answer(&self, way: &[Branch]) -> RecipientAnswer {
        let mut first = None;
        for branch in way {
            let answer = match *branch {
                Branch::Folder(index) => match self.folders.get(index) {
                    Some(Ok(_)) => Ok(Some(reply::reply(250, 0, 0, format!("Stored as {}", self.message.id)))),
                    Some(Err(reply)) => Err(reply.clone()),
                    None => Err(reply::NOT_STORED),
                },
                Branch::Place(index, number) => match self.places.get(index) {
                    Some(Commit::Same(answer)) => answer.clone(),
                    Some(Commit::Each(answers)) => answers.get(number).cloned().unwrap_or(Err(reply::NOT_STORED)),
                    _ => Err(reply::NOT_STORED),
                },
            };
            match answer {
                Ok(reply) => first = first.or(Some(reply)),
                Err(reply) => return Err(reply),
            }
        }
        Ok(first.flatten())
    }
}

/// What is said of a mailbox that has no room.
pub(crate) fn mailbox_full(plan: &crate::plan::Plan, mailbox: &LocalMailbox) -> Reply {
    let text = if mailbox.address.as_str().is_ascii() {
        format!("Mailbox <{}> is full", mailbox.address)
    } else {
        "Mailbox is full".to_owned()
    };
    reply::reply(plan.quota_reply, 2, 2, text)
}
