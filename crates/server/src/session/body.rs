//! A message on its way in (RFC 5321 §4.1.1.4).

use super::{Kind, Phase, Session};
use crate::config::BareLineEnds;
use crate::event::{AbortReason, CloseReason, Event, Reason};
use crate::limits::deadline;
use crate::question::{CommitToken, Question};
use crate::replies;
use crate::table::State;
use ehlo_codec::{DataDecoder, DataStep, Reply};
use std::time::Instant;

impl Session {
    /// 354 goes out, and the message may come.
    pub(super) fn start_body(&mut self, now: Instant) {
        self.reply(now, &replies::START_MAIL_INPUT);
        self.decoder = DataDecoder::new();
        (self.size, self.refused, self.paused) = (0, 0, false);
        self.phase = Phase::Body;
        self.deadline = (deadline(now, self.config.timeouts.body), Reason::Body);
        self.events.push(Event::BodyStart);
    }

    /// Takes bytes of a message; gives how many, and the piece of the message that they hold.
    pub(super) fn handle_body<'i>(&mut self, now: Instant, input: &'i [u8]) -> (usize, Option<&'i [u8]>) {
        self.deadline = (deadline(now, self.config.timeouts.body), Reason::Body);
        let (used, step) = self.decoder.next(input);
        match step {
            DataStep::NeedMore => (used, None),
            DataStep::Body(piece) => (used, self.take_piece(now, piece)),
            DataStep::End => {
                self.end_body(now);
                (used, None)
            }
        }
    }

    fn take_piece<'i>(&mut self, now: Instant, piece: &'i [u8]) -> Option<&'i [u8]> {
        let length = piece.len() as u64;
        if matches!(self.phase, Phase::Refusing(_)) {
            self.refused += length;
            self.check_refused(now);
            return None;
        }
        let room = self.config.limits.message_size - self.size;
        if length <= room {
            self.size += length;
            return Some(piece);
        }
        // The piece up to the limit is handed out, so that the events do not depend on how the stream was cut.
        self.size += room;
        self.refused = length - room;
        self.refuse_body(AbortReason::TooLarge, replies::TOO_LARGE);
        self.check_refused(now);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Some(&piece[..room]).filter(|piece| !piece.is_empty())
    }

    /// The message is not wanted: its rest is read over, and then the reply given. No part of it may be taken for a command.
    fn refuse_body(&mut self, reason: AbortReason, reply: Reply) {
        self.events.push(Event::BodyAborted(reason));
        self.phase = Phase::Refusing(reply);
    }

    fn check_refused(&mut self, now: Instant) {
        if self.refused > self.config.limits.refused_body {
            self.close_with(now, &replies::ENDLESS_BODY, CloseReason::Endless);
        }
    }

    fn end_body(&mut self, now: Instant) {
        let phase = std::mem::replace(&mut self.phase, Phase::Committing);
        let refusal = match phase {
            Phase::Refusing(reply) => Some(reply),
            _ if self.config.bare_line_ends == BareLineEnds::Reject && self.decoder.faults().bare_line_end() => {
                self.events.push(Event::BodyAborted(AbortReason::BareLineEnd));
                Some(replies::BARE_LINE_END)
            }
            _ => None,
        };
        match refusal {
            Some(reply) => {
                self.reply(now, &reply);
                self.end_refused(now);
            }
            None => {
                let token = self.ask(now, Kind::Commit);
                self.events.push(Event::Ask(Question::Commit(CommitToken(token))));
            }
        }
    }

    /// The message was answered, so the transaction is over (RFC 5321 §4.1.1.4).
    pub(super) fn end_transaction(&mut self, now: Instant) {
        self.envelope.clear();
        self.enter(now, State::Ready);
        if self.ended {
            return self.close(now, CloseReason::Disconnected);
        }
        self.shutdown_if_asked(now);
    }

    /// As [`end_transaction`](Self::end_transaction), for a message that was refused.
    pub(super) fn end_refused(&mut self, now: Instant) {
        self.end_transaction(now);
        self.in_vain(now);
    }
}
