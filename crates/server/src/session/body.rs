//! A message on its way in, by DATA (RFC 5321 §4.1.1.4) or in chunks by BDAT (RFC 3030 §2).

mod chunk;
mod normalize;

pub(super) use self::chunk::Chunk;
pub(super) use self::normalize::Normalizer;

use super::overriding::Spot;
use super::{Kind, Phase, Session};
use crate::config::{BareLineEnds, Protocol};
use crate::event::{AbortReason, CloseReason, Event, Reason};
use crate::limits::deadline;
use crate::question::{CommitToken, Question, of_failure};
use crate::received::ReceivedCount;
use crate::replies;
use crate::table::State;
use ehlo_codec::{BodyType, ChunkStep, DataDecoder, DataStep, LineCheck, Reply, ReplyCode};
use std::time::{Duration, Instant};

/// What cuts a message, or a chunk of it, out of the input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// DATA: up to CRLF `.` CRLF.
    Data(DataDecoder),
    /// BDAT: by count.
    Chunk(Chunk),
}

/// How long a message has been coming, or a chunk that is read over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Since when: moved by the time that its sink took.
    begin: Instant,
    /// Octets that were counted before.
    octets: u64,
    pub(super) paused_at: Instant,
}

impl Pace {
    pub(super) const fn begin(now: Instant, octets: u64) -> Self {
        Self { begin: now, octets, paused_at: now }
    }
}

/// What a [`Source`] found.
enum Found<'i> {
    NeedMore,
    Piece(&'i [u8]),
    End,
}

impl Source {
    fn next<'i>(&mut self, input: &'i [u8]) -> (usize, Found<'i>) {
        match self {
            Self::Data(decoder) => {
                let (used, step) = decoder.next(input);
                let found = match step {
                    DataStep::NeedMore => Found::NeedMore,
                    DataStep::Body(piece) => Found::Piece(piece),
                    DataStep::End => Found::End,
                };
                (used, found)
            }
            Self::Chunk(chunk) => {
                let (used, step) = chunk.decoder.next(input);
                let found = match step {
                    ChunkStep::NeedMore => Found::NeedMore,
                    ChunkStep::Body(piece) => Found::Piece(piece),
                    ChunkStep::End => Found::End,
                };
                (used, found)
            }
        }
    }

    /// Whether it is a chunk of which nothing more has to come.
    fn is_whole_chunk(&self) -> bool {
        matches!(self, Self::Chunk(chunk) if chunk.decoder.remaining() == 0)
    }

    /// Whether its end is that of the message.
    fn is_last(&self) -> bool {
        match self {
            Self::Data(_) => true,
            Self::Chunk(chunk) => chunk.last,
        }
    }
}

impl Session {
    /// The sink has failed: no more of the message is handed out, its rest is read over, and its end answered with the reply, or, if it
    /// comes in chunks, the end of this chunk. [`Event::BodyAborted`] tells so. A reply of another class than 4yz and 5yz is replaced by
    /// 451 4.3.0, which is a fault that a debug build panics at.
    ///
    /// Does nothing unless a message is coming in. A failure that shows when the message is complete is an answer to
    /// [`Question::Commit`].
    pub fn body_failed(&mut self, now: Instant, reply: Reply) {
        if self.phase == Phase::Body {
            self.unpause(now);
            self.deadline = (self.body_deadline(now), Reason::Body);
            let reply = self.for_this_peer(Kind::Commit, of_failure(reply));
            self.give_up(AbortReason::NotStored, reply);
            self.end_if_over(now);
        }
    }

    /// A message may come, from the source that was chosen at its command: behind 354, or its first chunk.
    pub(super) fn start_body(&mut self, now: Instant) {
        if matches!(self.source, Source::Data(_)) {
            self.reply(now, &replies::START_MAIL_INPUT);
        }
        (self.size, self.refused) = (0, 0);
        self.pace = Pace::begin(now, 0);
        self.check = LineCheck::new();
        self.received = ReceivedCount::new();
        self.normalizer = Normalizer::default();
        self.message = true;
        self.events.push(Event::BodyStart);
        self.go_on_with_body(now);
        if self.source.is_whole_chunk() {
            // Nothing comes that would have it looked at.
            self.end_body(now);
        }
    }

    fn go_on_with_body(&mut self, now: Instant) {
        self.paused = false;
        self.phase = Phase::Body;
        self.deadline = (self.body_deadline(now), Reason::Body);
    }

    /// When more of the body must have come: within the time for some, and not more slowly on the whole than the limit allows.
    pub(super) fn body_deadline(&self, now: Instant) -> Instant {
        let next = deadline(now, self.patience(|t| t.body));
        let octets = (self.size + self.refused).saturating_sub(self.pace.octets);
        let Some(seconds) = octets.checked_div(u64::from(self.data_rate())) else { return next };
        let time = self.patience(|t| t.slow_body).saturating_add(Duration::from_secs(seconds));
        next.min(deadline(self.pace.begin, time))
    }

    /// The sink goes on; what it took of the time is not the peer's.
    pub(super) fn unpause(&mut self, now: Instant) {
        if std::mem::take(&mut self.paused) {
            self.pace.begin += now.saturating_duration_since(self.pace.paused_at);
        }
    }

    /// Whether the session goes on without more input: a chunk has come whole, and its end has yet to be looked at.
    pub(super) fn has_whole_chunk(&self) -> bool {
        matches!(self.phase, Phase::Body | Phase::Refusing(_)) && self.source.is_whole_chunk()
    }

    /// Whether all of a message has come that is not handed over yet.
    pub(super) fn has_whole_message(&self) -> bool {
        self.phase == Phase::Body && self.source.is_whole_chunk() && self.source.is_last()
    }

    /// Takes bytes of a message; gives how many, and the piece of the message that they hold.
    pub(super) fn handle_body<'i>(&mut self, now: Instant, input: &'i [u8]) -> (usize, Option<&'i [u8]>) {
        let normalize = self.config.bare_line_ends == BareLineEnds::Normalize;
        let (used, found) = if normalize && self.phase == Phase::Body && !self.is_binary() {
            self.next_normalized(input)
        } else {
            self.source.next(input)
        };
        let piece = match found {
            Found::NeedMore => None,
            Found::Piece(piece) => self.take_piece(now, piece),
            Found::End => {
                self.end_body(now);
                self.leave_if_told(now);
                return (used, None);
            }
        };
        // Behind what has come and not before it, so that it does not depend on how the stream was cut.
        if matches!(self.phase, Phase::Body | Phase::Refusing(_)) {
            self.deadline = (self.body_deadline(now), Reason::Body);
        }
        (used, piece)
    }

    /// As [`Source::next`], with bare CR and LF made CRLF. What is put in uses no input.
    fn next_normalized<'i>(&mut self, input: &'i [u8]) -> (usize, Found<'i>) {
        let mut source = self.source;
        let (used, found) = source.next(input);
        let piece = match found {
            Found::Piece(piece) => piece,
            Found::End if source.is_last() => match self.normalizer.finish() {
                Some(missing) => return (0, Found::Piece(missing)),
                None => b"",
            },
            Found::End | Found::NeedMore => b"",
        };
        if !piece.is_empty() {
            match self.normalizer.next(piece) {
                Err(missing) => return (0, Found::Piece(missing)),
                // A piece is the end of what was used, so its front is what less input gives.
                Ok(length) if length < piece.len() => {
                    return self.source.next(&input[..used - (piece.len() - length)]);
                }
                Ok(_) => {}
            }
        }
        self.source = source;
        (used, found)
    }

    fn is_binary(&self) -> bool {
        self.envelope.declared.body == BodyType::BinaryMime
    }

    fn take_piece<'i>(&mut self, now: Instant, piece: &'i [u8]) -> Option<&'i [u8]> {
        let length = piece.len() as u64;
        if matches!(self.phase, Phase::Refusing(_)) {
            self.refused += length;
            self.check_refused(now);
            return None;
        }
        if matches!(self.source, Source::Chunk(_)) && self.config.bare_line_ends == BareLineEnds::Reject {
            self.check.feed(piece);
        }
        let room = self.room();
        if length <= room {
            self.size += length;
            if self.config.limits.received.is_some() {
                self.received.feed(piece);
            }
            return Some(piece);
        }
        // The piece up to the limit is handed out, so that the events do not depend on how the stream was cut.
        self.size += room;
        self.refused = length - room;
        self.give_up(AbortReason::TooLarge, replies::TOO_LARGE);
        self.check_refused(now);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Some(&piece[..room]).filter(|piece| !piece.is_empty())
    }

    /// Octets that the message may still have.
    fn room(&self) -> u64 {
        self.config.limits.message_size.saturating_sub(self.size)
    }

    /// The message is not wanted: its rest is read over, and then the reply given. No part of it may be taken for a command.
    fn give_up(&mut self, reason: AbortReason, reply: Reply) {
        self.abort(reason);
        self.phase = Phase::Refusing(Some(reply));
    }

    fn check_refused(&mut self, now: Instant) {
        if self.refused > self.config.limits.refused_body {
            self.close_with(now, &replies::ENDLESS_BODY, CloseReason::Endless);
        }
    }

    fn end_body(&mut self, now: Instant) {
        let phase = std::mem::replace(&mut self.phase, Phase::Committing);
        match (phase, self.source) {
            (Phase::Refusing(reply), Source::Chunk(chunk)) => self.end_refused_chunk(now, &chunk, reply),
            (Phase::Refusing(reply), Source::Data(_)) => {
                self.refuse_message(now, &reply.unwrap_or(replies::LOCAL_ERROR))
            }
            (_, Source::Chunk(chunk)) if !chunk.last => {
                self.reply(now, &replies::CHUNK_TAKEN);
                self.enter(now, State::Chunks);
            }
            _ if self.has_bare_line_end() => {
                self.abort(AbortReason::BareLineEnd);
                self.refuse_message(now, &replies::BARE_LINE_END);
            }
            _ if self.config.limits.received.is_some_and(|most| self.received.get() > most) => {
                self.abort(AbortReason::Loop);
                self.refuse_message(now, &replies::LOOP);
            }
            _ if self.asks_override() => self.ask_override(now, Spot::Message),
            _ => self.ask_commit(now),
        }
    }

    /// The message is complete, and asked about.
    pub(super) fn ask_commit(&mut self, now: Instant) {
        let token = self.ask(now, Kind::Commit);
        self.events.push(Event::Ask(Question::Commit(CommitToken(token))));
    }

    /// Whether a CR or LF stands alone in the message, and is a reason to refuse it.
    fn has_bare_line_end(&self) -> bool {
        let faults = match self.source {
            Source::Data(decoder) => decoder.faults(),
            Source::Chunk(_) => self.check.finish(),
        };
        self.config.bare_line_ends == BareLineEnds::Reject && faults.bare_line_end() && !self.is_binary()
    }

    /// Answers a message at its end: once, or under LMTP once for each of its recipients (RFC 2033 §4.2, §4.3).
    pub(super) fn reply_to_message(&mut self, now: Instant, reply: &Reply) {
        let times = if self.config.protocol == Protocol::Lmtp { self.envelope.recipients() } else { 1 };
        if self.overriding.is_some() {
            return self.reply_overridden(now, reply, true, times);
        }
        self.output.push_times(reply, times);
        self.note_output(now);
    }

    /// Refuses a message at its end. RFC 5321 §3.8: behind a 421 the server closes.
    pub(super) fn refuse_message(&mut self, now: Instant, reply: &Reply) {
        self.reply_to_message(now, reply);
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.close(now, CloseReason::Refused);
        }
        self.end_transaction(now);
        self.in_vain(now);
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
}
