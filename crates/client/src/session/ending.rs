//! How transactions and sessions end.

use super::transaction::Sending;
use super::{Phase, Session};
use crate::event::{CloseReason, Event, Reason, Stage};
use crate::outcome::{Outcome, RecipientOutcome};
use ehlo_codec::{Command, ReplyCode};
use std::time::Instant;

impl Session {
    /// The oldest open transaction is over.
    pub(super) fn finish(&mut self, now: Instant) {
        let Some(transaction) = self.open.pop_front() else { return };
        let before = std::mem::replace(&mut self.over, transaction);
        // Its memory is used again.
        if self.spare.len() < self.config.ahead && before.recipients.capacity() > 0 {
            self.spare.push(before.recipients);
        }
        if self.open.is_empty() {
            self.sending = Sending::Nothing;
            self.block_by = None;
        }
        self.events.push(Event::Done(self.over.id, self.over.outcome()));
        if self.open.is_empty() { self.rest(now) } else { self.await_reply(now) }
    }

    /// No transaction is open any more.
    pub(super) fn rest(&mut self, now: Instant) {
        self.phase = Phase::Ready;
        self.await_driver(now, Reason::Idle);
        if self.quit_wanted {
            self.start_quit(now, CloseReason::Quit);
        }
    }

    pub(super) fn start_quit(&mut self, now: Instant, reason: CloseReason) {
        self.script.push(Stage::Quit, &Command::Quit);
        self.phase = Phase::Quitting(reason);
        self.await_reply(now);
    }

    pub(super) fn refusal(&self, code: ReplyCode) -> RecipientOutcome {
        RecipientOutcome::Refused { code, enhanced: self.reader.reply().and_then(|reply| reply.enhanced()) }
    }

    /// Whoever waits in the oldest transaction is refused by this reply.
    pub(super) fn refuse_pending(&mut self, code: ReplyCode) {
        let refusal = self.refusal(code);
        if let Some(transaction) = self.open.front_mut() {
            transaction.settle(refusal);
        }
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        // What was not handed to the connection, the server cannot have; nor what stands behind a 421, after which it looks at nothing.
        let sent = self.script.octets_sent();
        let looked_at = reason != CloseReason::ServiceNotAvailable;
        for transaction in &mut self.open {
            let written = looked_at && transaction.end.is_some_and(|end| sent >= end);
            transaction.settle(if written { RecipientOutcome::Unknown } else { RecipientOutcome::Unsent });
        }
        for transaction in &self.open {
            self.events.push(Event::Done(transaction.id, transaction.outcome()));
        }
        self.sending = Sending::Nothing;
        self.phase = Phase::Closed;
        (self.reply_by, self.block_by) = (None, None);
        self.events.push(Event::Closed(reason));
    }
}

impl super::Transaction {
    /// Whoever waits gets this outcome.
    pub(super) fn settle(&mut self, outcome: RecipientOutcome) {
        self.recipients.iter_mut().filter(|one| **one == RecipientOutcome::Pending).for_each(|one| *one = outcome);
    }

    fn outcome(&self) -> Outcome {
        Outcome::count(&self.recipients, self.last, self.without_dsn)
    }
}
