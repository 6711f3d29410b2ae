//! How a session ends: by its peer, by its server, or by itself.

use super::{Phase, Session};
use crate::event::{AbortReason, CloseReason, Event, Reason, Shutdown};
use crate::limits::deadline;
use crate::replies;
use crate::table::State;
use ehlo_codec::Reply;
use std::time::Instant;

impl Session {
    /// The peer has closed its side: no byte will come behind those that were given.
    ///
    /// A message that is not complete is aborted, at whatever chunk it is. One that is complete is still committed, and its reply offered to
    /// the peer, who may have closed one direction only.
    pub fn handle_eof(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed => {}
            Phase::Closing(_) => self.settle(),
            Phase::Committing => self.ended = true,
            Phase::Body if self.has_whole_message() => self.ended = true,
            Phase::Handshaking => self.finish(CloseReason::Disconnected),
            _ => {
                self.asked = None;
                self.abort(AbortReason::Disconnected);
                self.close(now, CloseReason::Disconnected);
            }
        }
    }

    /// The connection is broken: nothing can be read or written any more.
    pub fn handle_reset(&mut self, _now: Instant) {
        self.asked = None;
        self.abort(AbortReason::Disconnected);
        self.finish(CloseReason::Disconnected);
    }

    /// Shuts the session down: 421, and the end.
    pub fn shutdown(&mut self, now: Instant, how: Shutdown) {
        let overload = how == Shutdown::Overload;
        if !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            self.overload |= overload;
        }
        self.shutdown = true;
        let graceful = how == Shutdown::Graceful || (overload && self.phase == Phase::Committing);
        match self.phase {
            Phase::Closing(_) | Phase::Closed => {}
            _ if graceful => self.shutdown_if_asked(now),
            Phase::Handshaking => self.finish(self.reason_of_shutdown()),
            _ => {
                self.asked = None;
                self.abort(AbortReason::Disconnected);
                self.shut(now);
            }
        }
    }

    fn shut(&mut self, now: Instant) {
        let reply = if self.overload { replies::OVERLOAD } else { replies::SHUTTING_DOWN };
        self.close_with(now, &reply, self.reason_of_shutdown());
    }

    const fn reason_of_shutdown(&self) -> CloseReason {
        if self.overload { CloseReason::Overload } else { CloseReason::Shutdown }
    }

    /// The message that is coming, if one is, will not be committed.
    pub(super) fn abort(&mut self, reason: AbortReason) {
        if std::mem::take(&mut self.message) {
            self.events.push(Event::BodyAborted(reason));
        }
    }

    pub(super) fn shutdown_if_asked(&mut self, now: Instant) {
        let at_boundary = match self.phase {
            // Between two chunks a message is on its way.
            Phase::Command(state) => state != State::Chunks,
            Phase::Authenticating => true,
            _ => false,
        } && self.asked.is_none();
        if self.shutdown && at_boundary {
            self.shut(now);
        }
    }

    pub(super) fn close_with(&mut self, now: Instant, reply: &Reply, reason: CloseReason) {
        if self.leaving {
            return self.leave_if_told(now);
        }
        if reason != CloseReason::Quit {
            // What is said in place of a reply is not said in place of the end.
            self.overriding = None;
        }
        // A greeting has no enhanced code (RFC 2034 §4).
        if self.phase == Phase::Connecting {
            self.reply_plain(now, reply);
        } else {
            self.reply(now, reply);
        }
        self.close(now, reason);
    }

    /// Closes once the output is written.
    pub(super) fn close(&mut self, now: Instant, reason: CloseReason) {
        self.asked = None;
        self.abort(AbortReason::Disconnected);
        self.phase = Phase::Closing(reason);
        (self.exchange, self.overriding) = (None, None);
        self.envelope.clear();
        self.deadline = (deadline(now, self.patience(|t| t.flush)), Reason::Flush);
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        if let Phase::Closing(reason) = self.phase
            && self.output.is_empty()
        {
            self.finish(reason);
        }
    }

    pub(super) fn finish(&mut self, reason: CloseReason) {
        if self.phase != Phase::Closed {
            self.abort(AbortReason::Disconnected);
            self.phase = Phase::Closed;
            self.flush = None;
            // What is left goes nowhere: the peer is gone, or reads nothing, or would take it for a part of TLS.
            self.output.clear();
            self.exchange = None;
            self.events.push(Event::Closed(reason));
        }
    }
}
