//! What each reply means.

use super::transaction::Sending;
use super::{Phase, Session};
use crate::event::{CloseReason, Event, Misbehaviour, Stage, Transfer};
use crate::outcome::RecipientOutcome;
use ehlo_codec::{ReplyClass, ReplyCode};
use std::time::Instant;

impl Session {
    pub(super) fn on_reply(&mut self, now: Instant, code: ReplyCode) {
        self.replied = self.open.front().map(|transaction| transaction.id);
        if self.phase == Phase::Greeting {
            self.events.push(Event::Reply(Stage::Greeting, code));
            return self.on_greeting(now, code);
        }
        let Some(stage) = self.script.awaited().filter(|_| self.solicited) else {
            return self.on_unawaited(code);
        };
        self.events.push(Event::Reply(stage, code));
        self.script.answer();
        if let Some(transaction) = self.open.front_mut() {
            transaction.last = Some(code);
        }
        // RFC 5321 §3.8: 421 may answer any command, and the server closes behind it.
        // RFC 2033 §4.2: behind a message it is for one recipient, and the others have replies of their own.
        let for_one = matches!(stage, Stage::Delivery(_));
        if code == ReplyCode::SERVICE_NOT_AVAILABLE && !for_one && !matches!(self.phase, Phase::Quitting(_)) {
            self.refuse_pending(code);
            return self.close(CloseReason::ServiceNotAvailable);
        }
        let class = code.class();
        let in_place = match stage {
            Stage::Data => class != ReplyClass::Completion,
            Stage::Auth | Stage::Quit => true,
            _ => class != ReplyClass::Intermediate,
        };
        if !in_place {
            return self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(stage, code)));
        }
        let taken = code.is_positive();
        match stage {
            Stage::Greeting => {}
            Stage::Ehlo | Stage::Helo | Stage::Lhlo => self.on_hello(now, stage, code),
            Stage::StartTls => self.on_starttls(now, code),
            Stage::Auth => {
                if let Phase::Auth(exchange) = self.phase {
                    self.on_auth(now, exchange, code);
                }
            }
            Stage::Rset if !taken => self.close(CloseReason::Refused(code)),
            Stage::Rset => {
                self.dirty = false;
                self.await_reply(now);
            }
            Stage::Mail => self.on_mail(now, code),
            Stage::Rcpt(i) => self.on_rcpt(now, i as usize, code),
            Stage::Data => self.on_data(now, code),
            Stage::Chunk => self.on_chunk(now, code),
            Stage::Body => self.on_body(now, code),
            Stage::Delivery(i) => self.on_delivery(now, i, code),
            Stage::Quit => {
                if let Phase::Quitting(reason) = self.phase {
                    self.close(reason);
                }
            }
        }
    }

    fn on_mail(&mut self, now: Instant, code: ReplyCode) {
        let taken = code.is_positive();
        self.dirty |= taken;
        if let Some(transaction) = self.open.front_mut() {
            transaction.sender_taken = taken;
        }
        if taken {
            return self.await_reply(now);
        }
        self.refuse_pending(code);
        self.skip_or_await(now);
    }

    fn on_rcpt(&mut self, now: Instant, i: usize, code: ReplyCode) {
        let refusal = self.refusal(code);
        let Some(transaction) = self.open.front_mut() else { return };
        if transaction.sender_taken {
            if code.is_positive() {
                transaction.taken += 1;
            } else if let Some(one) = transaction.recipients.get_mut(i) {
                *one = refusal;
            }
        }
        let last = i + 1 == transaction.recipients.len();
        let (taken, chunked) = (transaction.taken, transaction.chunked);
        let waits = self.open.len() == 1 && self.sending == Sending::Envelope;
        match (last, taken) {
            (true, 0) if chunked && waits => self.finish(now),
            (true, 0) => self.skip_or_await(now),
            (true, _) if chunked && waits => {
                self.await_reply(now);
                self.want_chunks(now);
            }
            _ => self.await_reply(now),
        }
    }

    /// Nothing more can come of this transaction: end it, unless commands are under way that will be answered.
    fn skip_or_await(&mut self, now: Instant) {
        if self.offer().pipelining() {
            return self.await_reply(now);
        }
        self.script.cut();
        self.finish(now);
    }

    fn on_data(&mut self, now: Instant, code: ReplyCode) {
        if code.class() != ReplyClass::Intermediate {
            self.refuse_pending(code);
            return self.finish(now);
        }
        let Some((id, taken)) = self.open.front().map(|transaction| (transaction.id, transaction.taken)) else {
            return;
        };
        if taken > 0 {
            self.await_reply(now);
            self.want_body(now, id, Transfer::Dots);
        } else if self.config.lmtp {
            // RFC 2033 §4.2: under LMTP it must not, and there would be no reply to an end of data.
            self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(Stage::Data, code)));
        } else {
            // RFC 2920 §3.1: a server may answer 354 although it took no recipient. It gets the empty message, never the body.
            self.reply_by = None;
            self.send_end(now, b".\r\n");
        }
    }

    fn on_chunk(&mut self, now: Instant, code: ReplyCode) {
        if !code.is_positive() {
            self.refuse_pending(code);
            if matches!(self.sending, Sending::Chunk { .. }) {
                // The server would take what is left of the chunk, and the driver could write it; but there is no need to.
                return self.close(closed_by(code));
            }
            let Some(transaction) = self.open.front_mut() else { return };
            transaction.spoilt = true;
            // No more chunks (RFC 3030 §2). Where the last one is out already, somebody else's message may be under way behind it.
            if transaction.end.is_none() {
                self.sending = Sending::Nothing;
                self.block_by = None;
            }
        }
        let spoilt = self.open.front().is_some_and(|transaction| transaction.spoilt);
        // Those that are under way are answered, and RSET comes before the next transaction.
        if spoilt && !matches!(self.script.next(), Some(Stage::Chunk | Stage::Body | Stage::Delivery(_))) {
            return self.finish(now);
        }
        self.await_reply(now);
        if self.sending == Sending::Chunks && self.block_by.is_none() {
            self.await_chunk(now);
        }
    }

    fn on_body(&mut self, now: Instant, code: ReplyCode) {
        let Some(transaction) = self.open.front() else { return };
        let taken = transaction.taken > 0 && !transaction.spoilt;
        // Refused or taken, the envelope is gone (RFC 5321 §4.1.1.4). What a refused chunk leaves behind is not said (RFC 3030 §2).
        self.dirty &= transaction.chunked && !(taken && code.is_positive());
        if !code.is_positive() {
            self.refuse_pending(code);
        } else if let Some(transaction) = self.open.front_mut().filter(|_| taken) {
            transaction.settle(RecipientOutcome::Accepted);
        }
        self.finish(now);
    }

    /// RFC 2033 §4.2: a reply for one recipient.
    fn on_delivery(&mut self, now: Instant, i: u32, code: ReplyCode) {
        let outcome = if code.is_positive() { RecipientOutcome::Accepted } else { self.refusal(code) };
        let Some(transaction) = self.open.front_mut() else { return };
        transaction.leaving |= code == ReplyCode::SERVICE_NOT_AVAILABLE;
        // Whom a chunk was refused for, no later reply accepts.
        if let Some(one) = transaction.recipients.get_mut(i as usize).filter(|one| **one == RecipientOutcome::Pending) {
            *one = outcome;
        }
        if matches!(self.script.next(), Some(Stage::Delivery(next)) if next > i) {
            return self.await_reply(now);
        }
        let accepted = transaction.recipients.contains(&RecipientOutcome::Accepted);
        let (chunked, leaving) = (transaction.chunked, transaction.leaving);
        self.dirty &= chunked && !accepted;
        if leaving {
            return self.close(CloseReason::ServiceNotAvailable);
        }
        self.finish(now);
    }

    /// A reply came though no command waits for one.
    fn on_unawaited(&mut self, code: ReplyCode) {
        if let Phase::Quitting(reason) = self.phase {
            return self.close(reason);
        }
        let failure = matches!(code.class(), ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        let before_its_end = match self.script.next() {
            // All that was sent is answered, but what is being written.
            None => !self.open.is_empty() && self.sending != Sending::Envelope,
            Some(Stage::Body | Stage::Delivery(_)) => true,
            Some(_) => false,
        };
        if failure && before_its_end {
            // The server gave up before it had the end of the body: refused, and nothing can be said to it but the rest of the body.
            self.events.push(Event::Reply(Stage::Body, code));
            if let Some(transaction) = self.open.front_mut() {
                transaction.last = Some(code);
            }
            self.refuse_pending(code);
            return self.close(closed_by(code));
        }
        if code == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.close(CloseReason::ServiceNotAvailable);
        }
        self.close(CloseReason::PeerMisbehaved(Misbehaviour::Unsolicited(code)));
    }
}

fn closed_by(code: ReplyCode) -> CloseReason {
    if code == ReplyCode::SERVICE_NOT_AVAILABLE { CloseReason::ServiceNotAvailable } else { CloseReason::Refused(code) }
}
