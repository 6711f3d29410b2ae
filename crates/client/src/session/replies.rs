//! What each reply means.

use super::{Phase, Session};
use crate::config::deadline;
use crate::envelope::RecipientOutcome;
use crate::event::{CloseReason, Event, Misbehaviour, Reason, Stage, TransactionId};
use ehlo_codec::{Capabilities, Command, ReplyClass, ReplyCode};
use std::time::Instant;

impl Session {
    pub(super) fn on_reply(&mut self, now: Instant, code: ReplyCode) {
        if self.phase == Phase::Greeting {
            self.events.push(Event::Reply(Stage::Greeting, code));
            return self.on_greeting(now, code);
        }
        let Some(stage) = self.script.awaited().filter(|_| self.solicited) else {
            return self.on_unawaited(code);
        };
        self.events.push(Event::Reply(stage, code));
        self.script.answer();
        self.last = Some(code);
        let class = code.class();
        // RFC 5321 §3.8: 421 may answer any command, and the server closes behind it.
        if code == ReplyCode::SERVICE_NOT_AVAILABLE && !matches!(self.phase, Phase::Quitting(_)) {
            self.refuse_pending(code);
            return self.close(CloseReason::ServiceNotAvailable);
        }
        let in_place = match stage {
            Stage::Data => class != ReplyClass::Completion,
            Stage::Quit => true,
            _ => class != ReplyClass::Intermediate,
        };
        if !in_place {
            return self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(stage, code)));
        }
        let taken = code.is_positive();
        match stage {
            Stage::Ehlo | Stage::Helo | Stage::Lhlo => self.on_hello(now, stage, code),
            Stage::Greeting => {}
            Stage::Rset if !taken => self.close(CloseReason::Refused(code)),
            Stage::Rset => {
                self.dirty = false;
                self.await_reply(now);
            }
            Stage::Mail => {
                self.sender_taken = taken;
                self.dirty |= taken;
                if taken {
                    return self.await_reply(now);
                }
                self.refuse_pending(code);
                self.skip_or_await(now);
            }
            Stage::Rcpt(i) => {
                if self.sender_taken {
                    if taken {
                        self.taken += 1;
                    } else {
                        self.recipients[i as usize] = self.refusal(code);
                    }
                }
                let last = self.script.next() == Some(Stage::Data);
                if last && self.taken == 0 { self.skip_or_await(now) } else { self.await_reply(now) }
            }
            Stage::Data if !taken => {
                self.refuse_pending(code);
                self.finish(now);
            }
            // RFC 2033 §4.2: under LMTP it must not, and there would be no reply to an end of data.
            Stage::Data if self.taken == 0 && self.config.lmtp => {
                self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(stage, code)));
            }
            // RFC 2920 §3.1: a server may answer 354 although it took no recipient. It gets the empty message, never the body.
            Stage::Data if self.taken == 0 => self.send_end(now, b".\r\n"),
            Stage::Data => {
                self.phase = Phase::Body;
                self.deadline = Some((deadline(now, self.config.timeouts.block), Reason::BodyBlock));
                self.events.push(Event::BodyWanted(TransactionId(self.transaction)));
            }
            Stage::Body => {
                // Taken or refused, the envelope is gone (RFC 5321 §4.1.1.4).
                self.dirty = false;
                if taken {
                    self.recipients
                        .iter_mut()
                        .filter(|r| **r == RecipientOutcome::Pending)
                        .for_each(|r| *r = RecipientOutcome::Accepted);
                } else {
                    self.refuse_pending(code);
                }
                self.finish(now);
            }
            Stage::Delivery(i) => {
                self.recipients[i as usize] = if taken { RecipientOutcome::Accepted } else { self.refusal(code) };
                if self.script.next().is_some() {
                    return self.await_reply(now);
                }
                self.dirty = false;
                self.finish(now);
            }
            Stage::Quit => {
                let Phase::Quitting(reason) = self.phase else {
                    return;
                };
                self.close(reason);
            }
        }
    }

    fn on_greeting(&mut self, now: Instant, code: ReplyCode) {
        match code.class() {
            ReplyClass::Completion if self.config.lmtp => self.hello(now, Stage::Lhlo),
            ReplyClass::Completion => self.hello(now, Stage::Ehlo),
            _ if code == ReplyCode::SERVICE_NOT_AVAILABLE => self.close(CloseReason::ServiceNotAvailable),
            // RFC 5321 §3.1: behind a 554 the server waits for QUIT.
            ReplyClass::TransientFailure | ReplyClass::PermanentFailure => {
                self.start_quit(now, CloseReason::Refused(code))
            }
            _ => self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(Stage::Greeting, code))),
        }
    }

    fn hello(&mut self, now: Instant, stage: Stage) {
        self.script.restart(false);
        let id = self.config.client_id();
        let command = match stage {
            Stage::Helo => Command::Helo(id),
            Stage::Lhlo => Command::Lhlo(id),
            _ => Command::Ehlo(id),
        };
        self.script.push(stage, &command);
        self.phase = Phase::Hello;
        self.await_reply(now);
    }

    fn on_hello(&mut self, now: Instant, stage: Stage, code: ReplyCode) {
        if code.is_positive() {
            if stage != Stage::Helo
                && let Some(reply) = self.reader.reply()
            {
                self.capabilities = Capabilities::from_reply(&reply);
            }
            self.events.push(Event::Ready);
            return self.rest(now);
        }
        // RFC 5321 §3.2: a server that does not know EHLO is asked with HELO.
        if stage == Stage::Ehlo && (code == ReplyCode::SYNTAX_ERROR || code == ReplyCode::NOT_IMPLEMENTED) {
            return self.hello(now, Stage::Helo);
        }
        self.start_quit(now, CloseReason::Refused(code));
    }

    /// A reply came though no command waits for one.
    fn on_unawaited(&mut self, code: ReplyCode) {
        if let Phase::Quitting(reason) = self.phase {
            return self.close(reason);
        }
        let failure = matches!(code.class(), ReplyClass::TransientFailure | ReplyClass::PermanentFailure);
        if matches!(self.phase, Phase::Body | Phase::Final) && failure {
            // The server gave up before it had the end of the body: refused, and nothing can be said to it but the rest of the body.
            self.events.push(Event::Reply(Stage::Body, code));
            self.last = Some(code);
            self.refuse_pending(code);
            let reason = if code == ReplyCode::SERVICE_NOT_AVAILABLE {
                CloseReason::ServiceNotAvailable
            } else {
                CloseReason::Refused(code)
            };
            return self.close(reason);
        }
        if code == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.close(CloseReason::ServiceNotAvailable);
        }
        self.close(CloseReason::PeerMisbehaved(Misbehaviour::Unsolicited(code)));
    }
}
