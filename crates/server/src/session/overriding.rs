//! What the application has done in place of what the session does: [`Question::Override`].

use super::body::{Chunk, Pace, Source};
use super::{Kind, Phase, Session};
use crate::event::{AbortReason, CloseReason, Event};
use crate::overriding::{Moment, Override, OverrideToken, Words};
use crate::question::{Pending, Question, Questions, Verdict};
use crate::replies;
use crate::table::State;
use ehlo_codec::{Command, CommandLine, Reply, ReplyCode, Verb};
use std::time::Instant;

/// Where a session can be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Greeting,
    Command,
    Response,
    Message,
}

impl Session {
    /// Whether the application wants to be asked everywhere.
    pub(super) fn asks_override(&self) -> bool {
        self.config.questions.contains(Questions::OVERRIDE)
    }

    pub(super) fn ask_override(&mut self, now: Instant, spot: Spot) {
        let token = self.ask(now, Kind::Override(spot));
        self.events.push(Event::Ask(Question::Override(OverrideToken(token))));
    }

    /// What the open question is about.
    pub(super) fn pending_override(&self, spot: Spot) -> Pending<'_> {
        Pending::Override(match spot {
            Spot::Greeting => Moment::Greeting,
            Spot::Command => {
                let line = &self.subject.0;
                Moment::Command { verb: CommandLine::split(line).verb, line }
            }
            Spot::Response => Moment::Response,
            Spot::Message => Moment::Message { size: self.size },
        })
    }

    /// The application's answer.
    pub(super) fn decide_override(&mut self, now: Instant, spot: Spot, verdict: Verdict) {
        match verdict {
            Verdict::Override(with) if with.obey => self.overriding = Some(with),
            Verdict::Override(with) => return self.overrule(now, spot, with),
            // The words for a LAST chunk are those for its message.
            _ => {}
        }
        self.proceed(now, spot);
    }

    /// Does what comes next.
    pub(super) fn proceed(&mut self, now: Instant, spot: Spot) {
        match spot {
            Spot::Greeting => self.ask_or_greet(now),
            Spot::Command => self.with_line(|session, line| session.handle_command(now, line)),
            Spot::Response => self.with_line(|session, line| session.handle_response(now, line)),
            Spot::Message => self.ask_commit(now),
        }
    }

    /// Acts on the line that was kept, which may keep it for another question.
    fn with_line(&mut self, act: impl FnOnce(&mut Self, &[u8])) {
        let line = std::mem::take(&mut self.subject);
        act(self, &line.0);
        if self.subject.0.is_empty() {
            // Keeps its memory.
            self.subject = line;
        }
    }

    /// Has nothing done of what comes next.
    fn overrule(&mut self, now: Instant, spot: Spot, with: Box<Override>) {
        match spot {
            Spot::Greeting => {
                self.takes_no_mail = with.code() == Some(ReplyCode::DOES_NOT_ACCEPT_MAIL);
                self.say(now, with);
                self.enter(now, State::Refused);
            }
            Spot::Command => self.with_line(|session, line| session.overrule_command(now, line, with)),
            Spot::Response => {
                let challenge = with.code() == Some(ReplyCode::AUTH_CHALLENGE);
                self.say(now, with);
                if challenge {
                    return self.await_response(now);
                }
                self.exchange = None;
                self.enter(now, State::Ready);
                self.count_overruled(now, None);
            }
            Spot::Message => {
                self.abort(AbortReason::Overridden);
                self.overriding = Some(with);
                self.refuse_message(now, &replies::LOCAL_ERROR);
            }
        }
    }

    fn overrule_command(&mut self, now: Instant, line: &[u8], with: Box<Override>) {
        let Phase::Command(state) = self.phase else { return };
        let command = CommandLine::split(line);
        let begins = command.verb == Some(Verb::Auth) && state == State::Ready;
        let challenge = begins && with.code() == Some(ReplyCode::AUTH_CHALLENGE);
        if command.verb == Some(Verb::Bdat) {
            self.overriding = Some(with);
            return self.overrule_chunk(now, state, &command);
        }
        self.say(now, with);
        if challenge {
            self.await_response(now);
        } else {
            self.enter(now, state);
            self.count_overruled(now, command.verb);
        }
    }

    /// Throws the chunk away before the words are said, and with it the message that it is part of.
    fn overrule_chunk(&mut self, now: Instant, state: State, command: &CommandLine<'_>) {
        let Ok(Command::Bdat { size, last }) = command.parse() else {
            // There is no next command.
            self.reply(now, &replies::LOCAL_ERROR);
            return self.close(now, CloseReason::OutOfStep);
        };
        let of_a_message = matches!(state, State::Recipients | State::Chunks | State::Failed);
        if state != State::Chunks && state != State::Failed {
            self.refused = 0;
            self.pace = Pace::begin(now, self.size + self.refused);
        }
        self.source = Source::Chunk(Chunk::thrown_away(size, last, (!of_a_message).then_some(state)));
        self.abort(AbortReason::Overridden);
        self.refuse_chunk(now, Some(replies::LOCAL_ERROR));
    }

    fn count_overruled(&mut self, now: Instant, verb: Option<Verb>) {
        if self.leaving {
            return;
        }
        match verb {
            // The batch behind it is under way whatever it was told (RFC 2920 §3.1).
            Some(Verb::Mail) => {
                self.temper.mail(&self.config.limits);
                self.in_vain(now);
            }
            Some(Verb::Rcpt | Verb::Data) => self.count_follower(now),
            _ => self.in_vain(now),
        }
    }

    fn say(&mut self, now: Instant, with: Box<Override>) {
        self.overriding = Some(with);
        self.reply(now, &replies::LOCAL_ERROR);
    }

    /// Says, in place of a reply, what the application wants said.
    #[cold]
    pub(super) fn reply_overridden(&mut self, now: Instant, usual: &Reply, enhanced: bool, times: usize) {
        let Some(with) = self.overriding.take() else { return };
        match with.words {
            Words::Usual if enhanced => self.output.push_times(usual, times),
            Words::Usual => self.output.push_plain(usual),
            Words::Reply(reply) => self.output.push_as_built(&reply, times),
            Words::Octets(octets) => self.output.push_octets(octets),
        }
        self.note_output(now);
        self.leaving = with.close;
    }

    /// Whether the next reply is not what is said.
    pub(super) fn has_other_words(&self) -> bool {
        self.overriding.as_ref().is_some_and(|with| with.words != Words::Usual)
    }

    /// The replies for all recipients were pushed, unless other words are said in their place.
    pub(super) fn end_replies(&mut self, now: Instant, other_words: bool) {
        if other_words {
            return self.reply_to_message(now, &replies::LOCAL_ERROR);
        }
        self.leaving = self.overriding.take().is_some_and(|with| with.close);
        self.note_output(now);
    }

    /// Closes, if the words that were said are to be the last.
    pub(super) fn leave_if_told(&mut self, now: Instant) {
        if std::mem::take(&mut self.leaving) && !matches!(self.phase, Phase::Closing(_) | Phase::Closed) {
            self.close(now, CloseReason::Refused);
        }
    }
}
