//! Deadlines, and how patient a session is.

use super::{Phase, Session};
use crate::event::{AbortReason, CloseReason, Reason};
use crate::limits::{Timeouts, deadline};
use std::time::{Duration, Instant};

impl Session {
    /// Tells that time has passed. Does nothing before the deadline.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.flush.is_some_and(|at| at <= now) {
            self.asked = None;
            self.abort(AbortReason::TimedOut(Reason::Flush));
            return self.finish(CloseReason::TimedOut(Reason::Flush));
        }
        let (at, reason) = self.wait();
        if at > now {
            return;
        }
        match reason {
            Reason::Flush => {}
            Reason::Answer | Reason::Commit => self.answer_late(now, reason),
            _ => {
                self.abort(AbortReason::TimedOut(reason));
                // Within a handshake a reply in clear would be no record of TLS.
                match reason.reply().filter(|_| self.phase != Phase::Handshaking) {
                    Some(reply) => self.close_with(now, reply, CloseReason::TimedOut(reason)),
                    None => self.finish(CloseReason::TimedOut(reason)),
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and what for. `None` only when closed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let (at, reason) = self.wait();
        match (&self.phase, self.flush) {
            (Phase::Closed, _) => None,
            (Phase::Closing(_), Some(flush)) => Some((flush, Reason::Flush)),
            (_, Some(flush)) if flush <= at => Some((flush, Reason::Flush)),
            _ => Some((at, reason)),
        }
    }

    /// The deadline of what is waited for, or that of the session if it comes first. That one counts while the peer is waited for: an
    /// answer, and the word that a message is safe, have a deadline of their own, and come first.
    fn wait(&self) -> (Instant, Reason) {
        let for_peer = match self.phase {
            Phase::Command(_) | Phase::Authenticating => self.asked.is_none(),
            Phase::Body => !self.paused,
            Phase::Refusing(_) | Phase::Handshaking => true,
            Phase::Connecting | Phase::Committing | Phase::Closing(_) | Phase::Closed => false,
        };
        if for_peer {
            let end = deadline(self.begun, self.patience(|t| t.session));
            if end < self.deadline.0 {
                return (end, Reason::Session);
            }
        }
        self.deadline
    }

    /// Ends a session whose time has passed while the application was waited for.
    pub(super) fn end_if_over(&mut self, now: Instant) {
        if matches!(self.wait(), (at, Reason::Session) if at <= now) {
            self.handle_timeout(now);
        }
    }

    /// Tells whether the server is nearly full, so that [`Config::stress`](crate::Config::stress) holds. At first it is taken not to be.
    ///
    /// A wait for the peer that is under way ends as if it had begun now under stress, if that is sooner. Behind the stress it keeps its
    /// end, and the next one is as long as ever.
    pub fn set_stressed(&mut self, now: Instant, stressed: bool) {
        let begins = stressed && !self.stressed;
        self.stressed = stressed;
        if !begins {
            return;
        }
        self.temper.shorten(&self.config.stress);
        let sooner = match (&self.phase, self.deadline.1) {
            (Phase::Closing(_), _) => deadline(now, self.patience(|t| t.flush)),
            (_, Reason::Command) => deadline(now, self.patience(|t| t.command)),
            (_, Reason::Body) => self.body_deadline(now),
            (_, Reason::Handshake) => deadline(now, self.patience(|t| t.handshake)),
            _ => self.deadline.0,
        };
        self.deadline.0 = self.deadline.0.min(sooner);
        let flush = deadline(now, self.patience(|t| t.flush));
        self.flush = self.flush.map(|at| at.min(flush));
    }

    /// How long a wait may take.
    pub(super) fn patience(&self, of: impl Fn(&Timeouts) -> Duration) -> Duration {
        let ever = of(&self.config.timeouts);
        if self.stressed { ever.min(of(&self.config.stress.timeouts)) } else { ever }
    }

    /// How fast a message has to come, at the least.
    pub(super) fn data_rate(&self) -> u32 {
        let ever = self.config.limits.data_rate;
        if self.stressed { ever.max(self.config.stress.data_rate) } else { ever }
    }

    /// How many commands may do nothing for a message.
    pub(super) fn idle_commands(&self) -> u32 {
        let ever = self.config.limits.idle_commands;
        if self.stressed { ever.min(self.config.stress.idle_commands) } else { ever }
    }
}
