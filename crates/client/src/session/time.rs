//! Deadlines.

use super::{Phase, Session};
use crate::event::{CloseReason, Reason, Stage};
use crate::timeouts::deadline;
use std::time::{Duration, Instant};

impl Session {
    /// Tells that time has passed. Does nothing before the deadline.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((_, reason)) = self.poll_timeout().filter(|(at, _)| *at <= now) else {
            return;
        };
        match (self.phase, reason) {
            (Phase::Quitting(reason), _) => self.close(reason),
            (_, Reason::Idle) => self.start_quit(now, CloseReason::Quit),
            _ => self.close(CloseReason::TimedOut(reason)),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None` only when closed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let block = self.block_by.map(|at| (at, Reason::BodyBlock));
        match (self.reply_by, block) {
            (Some(reply), Some(block)) => Some(if block.0 < reply.0 { block } else { reply }),
            (reply, block) => reply.or(block),
        }
    }

    fn patience(&self, stage: Stage) -> Duration {
        let timeouts = &self.config.timeouts;
        match stage {
            Stage::Greeting => timeouts.greeting,
            Stage::Ehlo | Stage::Helo | Stage::Lhlo | Stage::Rset => timeouts.ehlo,
            Stage::StartTls => timeouts.tls,
            Stage::Auth => timeouts.auth,
            Stage::Mail => timeouts.mail,
            Stage::Rcpt(_) => timeouts.rcpt,
            Stage::Data => timeouts.data,
            Stage::Chunk | Stage::Body | Stage::Delivery(_) => timeouts.end_of_data,
            Stage::Quit => timeouts.quit,
        }
    }

    /// From now on the next reply is waited for. None is while the driver writes what it will answer.
    pub(super) fn await_reply(&mut self, now: Instant) {
        self.reply_by = self.script.next().map(|stage| (deadline(now, self.patience(stage)), Reason::Reply(stage)));
    }

    /// The same, unless a reply is waited for already: its time goes on.
    pub(super) fn await_reply_too(&mut self, now: Instant) {
        if !matches!(self.reply_by, Some((_, Reason::Reply(_)))) {
            self.await_reply(now);
        }
    }

    /// The driver has written something of the body, or is to begin.
    pub(super) fn await_block(&mut self, now: Instant) {
        self.block_by = Some(deadline(now, self.config.timeouts.block));
    }

    /// The driver is to begin a chunk; unless it can't before a reply comes, for which there is another deadline.
    pub(super) fn await_chunk(&mut self, now: Instant) {
        if self.wants_chunk() {
            self.await_block(now);
        } else {
            self.block_by = None;
        }
    }

    pub(super) fn await_driver(&mut self, now: Instant, reason: Reason) {
        let patience = match reason {
            Reason::TlsHandshake => self.config.timeouts.tls,
            Reason::Idle => self.config.timeouts.idle,
            _ => self.config.timeouts.auth,
        };
        self.reply_by = Some((deadline(now, patience), reason));
    }
}
