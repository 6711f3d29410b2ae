//! BDAT (RFC 3030 §2). Whatever becomes of the command, its chunk is taken off the stream before it is answered.

use super::{Pace, Source};
use crate::config::Protocol;
use crate::event::{AbortReason, CloseReason, Event};
use crate::question::{DataToken, Question, Questions};
use crate::replies;
use crate::session::{Kind, Phase, Session};
use crate::table::State;
use ehlo_codec::{ChunkDecoder, Command, CommandLine, Reply, ReplyCode};
use std::time::Instant;

/// A chunk on its way in.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Chunk {
    pub(super) decoder: ChunkDecoder,
    pub(super) last: bool,
    /// The state behind it, if it is part of no message.
    astray: Option<State>,
}

impl Chunk {
    /// One that is read over.
    pub(in crate::session) fn thrown_away(size: u64, last: bool, astray: Option<State>) -> Self {
        Self { decoder: ChunkDecoder::new(size), last, astray }
    }
}

impl Session {
    /// BDAT, which the table allows or refuses.
    pub(in crate::session) fn bdat(
        &mut self,
        now: Instant,
        command: &CommandLine<'_>,
        state: State,
        refusal: Option<Reply>,
    ) {
        let (size, last) = match command.parse() {
            Ok(Command::Bdat { size, last }) => (size, last),
            // The chunk may be on its way, and no part of it may be taken for a command.
            Ok(_) => return self.close_with(now, &replies::NOT_IMPLEMENTED, CloseReason::OutOfStep),
            Err(error) => return self.close_with(now, &error.reply(), CloseReason::OutOfStep),
        };
        let mut chunk = Chunk { decoder: ChunkDecoder::new(size), last, astray: None };
        if let Some(reply) = refusal {
            if state != State::Failed {
                chunk.astray = Some(state);
                self.refused = 0;
            }
            self.source = Source::Chunk(chunk);
            // RFC 2033 §4.3: the last chunk has one reply for each recipient, and so none if there is none.
            let silent = self.config.protocol == Protocol::Lmtp && last && state == State::Sender;
            return self.refuse_chunk(now, Some(reply).filter(|_| !silent));
        }
        self.source = Source::Chunk(chunk);
        if state == State::Recipients {
            (self.size, self.refused) = (0, 0);
            self.pace = Pace::begin(now, 0);
        } else if size == 0 && !last && self.temper.idle_command() {
            return self.close_with(now, &replies::TOO_MANY_COMMANDS, CloseReason::TooManyCommands);
        }
        if size > self.room() {
            self.abort(AbortReason::TooLarge);
            self.refuse_chunk(now, Some(replies::TOO_LARGE));
        } else if state == State::Chunks {
            self.go_on_with_body(now);
            if self.asks_override() && self.has_whole_chunk() {
                // Nothing comes behind the answer that would have it looked at.
                self.end_body(now);
            }
        } else if self.config.questions.contains(Questions::DATA) {
            let token = self.ask(now, Kind::Data);
            self.events.push(Event::Ask(Question::Data(DataToken(token))));
        } else {
            self.start_body(now);
        }
    }

    /// Whether the question that was asked, or is to be answered, is about a message that comes in chunks.
    pub(in crate::session) fn comes_in_chunks(&self) -> bool {
        matches!(self.source, Source::Chunk(_))
    }

    /// Reads the chunk over, and then gives the reply, unless there is to be none. It is part of no message any more, so its time begins
    /// now.
    pub(in crate::session) fn refuse_chunk(&mut self, now: Instant, reply: Option<Reply>) {
        self.pace = Pace::begin(now, self.size + self.refused);
        self.go_on_with_body(now);
        self.phase = Phase::Refusing(reply);
        if self.source.is_whole_chunk() {
            self.end_body(now);
        }
    }

    pub(super) fn end_refused_chunk(&mut self, now: Instant, chunk: &Chunk, reply: Option<Reply>) {
        let Some(reply) = reply else {
            // A message for nobody is over as well.
            self.end_transaction(now);
            return self.in_vain(now);
        };
        if chunk.astray.is_none() && chunk.last {
            return self.refuse_message(now, &reply);
        }
        self.reply(now, &reply);
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.close(now, CloseReason::Refused);
        }
        self.enter(now, chunk.astray.unwrap_or(State::Failed));
        self.count_follower(now);
        self.shutdown_if_asked(now);
    }
}
