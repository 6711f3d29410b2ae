//! What the application's decisions do.

use super::{Kind, Phase, Session, Subject};
use crate::config::Protocol;
use crate::event::{AbortReason, CloseReason, Reason, ResolveError};
use crate::question::{Answer, Pending, RecipientAnswer, Verdict};
use crate::replies;
use crate::table::State;
use ehlo_codec::{Command, Domain, Priority, Reply, ReplyClass, ReplyCode};
use std::time::Instant;

impl Session {
    /// Takes the application's decision on the open question.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Stale`] if the session has answered by itself in the meantime, [`ResolveError::ApiMisuse`] if the answer is
    /// another session's. Nothing was changed then.
    pub fn resolve(&mut self, now: Instant, answer: Answer) -> Result<(), ResolveError> {
        if answer.token.session != self.peer.id {
            return Err(ResolveError::ApiMisuse);
        }
        let asked = self.asked.filter(|asked| asked.sequence == answer.token.sequence).ok_or(ResolveError::Stale)?;
        self.asked = None;
        self.decide(now, asked.kind, answer.verdict);
        self.leave_if_told(now);
        self.shutdown_if_asked(now);
        self.end_if_over(now);
        Ok(())
    }

    /// The token of the open question is lost: the session answers by itself, as at the deadline, but at once.
    pub fn abandon(&mut self, now: Instant) {
        if let Some(asked) = self.asked {
            self.answer_late(now, if asked.kind == Kind::Commit { Reason::Commit } else { Reason::Answer });
        }
    }

    /// What the open question is about.
    #[must_use]
    pub fn pending(&self) -> Pending<'_> {
        let Some(asked) = self.asked else { return Pending::Nothing };
        if let Kind::Override(spot) = asked.kind {
            return self.pending_override(spot);
        }
        let subject = self.read_again(&self.subject.0);
        match (asked.kind, subject) {
            (Kind::Connect, _) => Pending::Connect,
            (Kind::Hello { extended }, Ok(Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name))) => {
                Pending::Hello { name, extended }
            }
            (Kind::Mail, Ok(Command::Mail { from, params })) => Pending::Mail { from, params },
            (Kind::Rcpt, Ok(Command::Rcpt { to, params })) => Pending::Rcpt { to, params },
            (Kind::Data, _) => Pending::Data,
            (Kind::Commit, _) => Pending::Commit { size: self.size },
            (Kind::Vrfy, Ok(Command::Vrfy { text, smtputf8 })) => Pending::Vrfy { text: text.as_str(), smtputf8 },
            (Kind::Expn, Ok(Command::Expn { text, smtputf8 })) => Pending::Expn { text: text.as_str(), smtputf8 },
            (Kind::Etrn, Ok(Command::Etrn(node))) => Pending::Etrn(node),
            (Kind::Auth, _) => self.pending_auth(),
            // The subject of a question was parsed before it was kept.
            _ => Pending::Nothing,
        }
    }

    /// No answer came in time.
    pub(super) fn answer_late(&mut self, now: Instant, reason: Reason) {
        let Some(asked) = self.asked.take() else { return };
        match asked.kind {
            Kind::Connect => self.close_with(now, &replies::UNAVAILABLE, CloseReason::TimedOut(reason)),
            // RFC 5321 §4.3.2 has no 451 for EHLO, VRFY and EXPN, nor has RFC 1985 §5.1 for ETRN.
            Kind::Hello { .. } => {
                self.reply_plain(now, &replies::UNAVAILABLE);
                self.close(now, CloseReason::TimedOut(reason));
            }
            Kind::Vrfy | Kind::Expn => self.accept(now, asked.kind),
            Kind::Etrn => self.refuse(now, asked.kind, &replies::CANNOT_QUEUE),
            Kind::Auth => self.defer_auth(now, &replies::AUTH_UNAVAILABLE),
            Kind::Commit => {
                self.abort(AbortReason::TimedOut(reason));
                self.refuse(now, asked.kind, &replies::LOCAL_ERROR);
            }
            Kind::Mail | Kind::Rcpt | Kind::Data => self.refuse(now, asked.kind, &replies::LOCAL_ERROR),
            Kind::Override(spot) => self.proceed(now, spot),
        }
        self.leave_if_told(now);
        self.shutdown_if_asked(now);
        self.end_if_over(now);
    }

    fn decide(&mut self, now: Instant, kind: Kind, verdict: Verdict) {
        match kind {
            Kind::Auth => return self.decide_auth(now, verdict),
            Kind::Override(spot) => return self.decide_override(now, spot, verdict),
            // Whatever the answer is: the application has the message, or has none of it.
            Kind::Commit => self.message = false,
            _ => {}
        }
        let verdict = match verdict {
            Verdict::Each(answers) if self.config.protocol == Protocol::Lmtp => return self.commit_each(now, answers),
            Verdict::Each(answers) => for_all(answers, self.envelope.recipients()),
            verdict => verdict,
        };
        let refusal = match verdict {
            // The tokens of these questions make none of the others, and the answers for each recipient were looked at before.
            Verdict::Accept
            | Verdict::Challenge(_)
            | Verdict::Identity(_)
            | Verdict::Override(_)
            | Verdict::Each(_) => None,
            Verdict::AcceptAt(priority) => return self.accept_sender(now, Some(priority)),
            Verdict::Reply(reply) => {
                let reply = self.for_this_peer(kind, reply);
                if reply.code().class() == ReplyClass::Completion {
                    return self.accept_with(now, kind, &reply);
                }
                Some(reply)
            }
        };
        match refusal {
            None => self.accept(now, kind),
            Some(reply) if kind == Kind::Connect => self.refuse_session(now, reply),
            Some(reply) => self.refuse(now, kind, &reply),
        }
    }

    /// A reply that the peer can take: characters beyond ASCII go to a client that asked for them, in the few replies that may have them
    /// (RFC 6531 §3.7.4). In their place 252 or 550 answers VRFY and EXPN, and RCPT gets its 250 or 550 without the new address.
    pub(super) fn for_this_peer(&self, kind: Kind, reply: Reply) -> Reply {
        if reply.is_ascii() {
            return reply;
        }
        let asked_for = match (kind, self.read_again(&self.subject.0)) {
            (Kind::Vrfy, Ok(Command::Vrfy { smtputf8, .. })) | (Kind::Expn, Ok(Command::Expn { smtputf8, .. })) => {
                smtputf8
            }
            (Kind::Rcpt, _) => self.envelope.declared.smtputf8 && matches!(reply.code().get(), 251 | 551),
            _ => false,
        };
        match (kind, reply.code().class()) {
            _ if asked_for => reply,
            (Kind::Vrfy | Kind::Expn, ReplyClass::PermanentFailure) => replies::UTF8_REFUSAL,
            (Kind::Vrfy | Kind::Expn, _) => replies::UTF8_NOT_TAKEN,
            (Kind::Rcpt, ReplyClass::Completion) => replies::RECIPIENT_OK,
            (Kind::Rcpt, ReplyClass::PermanentFailure) => replies::UTF8_MOVED,
            // Such a reply is the application's fault; it keeps its meaning and loses its words.
            (_, _) => Reply::new(reply.code(), reply.enhanced(), "Text not in ASCII").unwrap_or(replies::LOCAL_ERROR),
        }
    }

    fn accept(&mut self, now: Instant, kind: Kind) {
        match kind {
            Kind::Connect => self.greet(now),
            Kind::Hello { extended } => self.with_subject(|session, command| {
                if let Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name) = command {
                    session.say_hello(now, *name, extended);
                }
            }),
            Kind::Mail => self.accept_sender(now, None),
            Kind::Rcpt => self.accept_with(now, kind, &replies::RECIPIENT_OK),
            Kind::Data => self.start_body(now),
            Kind::Commit => self.accept_with(now, kind, &replies::QUEUED),
            Kind::Vrfy | Kind::Expn => self.accept_with(now, kind, &replies::CANNOT_VERIFY),
            Kind::Etrn => self.accept_with(now, kind, &replies::QUEUING),
            // They have answers of their own.
            Kind::Auth | Kind::Override(_) => {}
        }
    }

    fn accept_sender(&mut self, now: Instant, priority: Option<Priority>) {
        self.with_subject(|session, command| {
            if let Command::Mail { from, params } = command {
                session.open_transaction(now, *from, params, priority);
            }
        });
    }

    fn accept_with(&mut self, now: Instant, kind: Kind, reply: &Reply) {
        match kind {
            Kind::Rcpt => {
                self.with_subject(|session, command| {
                    if let Command::Rcpt { to, params } = command {
                        session.add_recipient(*to, params);
                    }
                });
                self.reply(now, reply);
                self.enter(now, State::Recipients);
            }
            Kind::Commit => {
                self.temper.message(self.idle_commands());
                self.reply_to_message(now, reply);
                self.end_transaction(now);
            }
            _ => {
                self.reply(now, reply);
                self.go_on(now);
            }
        }
    }

    /// A reply for each recipient (RFC 2033 §4.2).
    fn commit_each(&mut self, now: Instant, answers: Vec<RecipientAnswer>) {
        let mut answers = answers.into_iter();
        let (mut taken, mut leave) = (false, false);
        let other_words = self.has_other_words();
        for _ in 0..self.envelope.recipients() {
            let reply = match answers.next() {
                Some(Ok(None)) => replies::QUEUED,
                Some(Ok(Some(reply)) | Err(reply)) => self.for_this_peer(Kind::Commit, reply),
                None => replies::LOCAL_ERROR,
            };
            taken |= reply.code().class() == ReplyClass::Completion;
            leave |= reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE;
            if !other_words {
                self.output.push(&reply);
            }
        }
        self.end_replies(now, other_words);
        if leave {
            return self.close(now, CloseReason::Refused);
        }
        if taken {
            self.temper.message(self.idle_commands());
        }
        self.end_transaction(now);
        if !taken {
            self.in_vain(now);
        }
    }

    fn refuse(&mut self, now: Instant, kind: Kind, reply: &Reply) {
        match kind {
            Kind::Commit => return self.refuse_message(now, reply),
            Kind::Data if self.comes_in_chunks() => return self.refuse_chunk(now, Some(reply.clone())),
            _ => {}
        }
        if matches!(kind, Kind::Hello { .. }) {
            self.reply_plain(now, reply);
        } else {
            self.reply(now, reply);
        }
        // RFC 5321 §3.8: behind a 421 the server closes.
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE {
            return self.close(now, CloseReason::Refused);
        }
        match kind {
            Kind::Mail => {
                self.go_on(now);
                self.in_vain(now);
            }
            Kind::Rcpt | Kind::Data => {
                self.go_on(now);
                self.count_follower(now);
            }
            // They were counted when they came.
            Kind::Connect
            | Kind::Hello { .. }
            | Kind::Vrfy
            | Kind::Expn
            | Kind::Etrn
            | Kind::Auth
            | Kind::Override(_)
            | Kind::Commit => self.go_on(now),
        }
    }

    /// The greeting refuses. Behind 554 and 521 the peer may say QUIT (RFC 5321 §3.1, RFC 7504 §3).
    fn refuse_session(&mut self, now: Instant, reply: Reply) {
        if reply.code().class() == ReplyClass::TransientFailure {
            let reply = if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE { reply } else { replies::UNAVAILABLE };
            return self.close_with(now, &reply, CloseReason::Refused);
        }
        let may_greet = [ReplyCode::TRANSACTION_FAILED, ReplyCode::DOES_NOT_ACCEPT_MAIL].contains(&reply.code());
        let reply = if may_greet { reply } else { replies::NO_SERVICE };
        self.takes_no_mail = reply.code() == ReplyCode::DOES_NOT_ACCEPT_MAIL;
        self.reply_plain(now, &reply);
        self.enter(now, State::Refused);
    }

    /// Waits for the next command, with the session's state unchanged.
    pub(super) fn go_on(&mut self, now: Instant) {
        if let Phase::Command(state) = self.phase {
            self.enter(now, state);
        }
    }

    fn with_subject(&mut self, act: impl FnOnce(&mut Self, &Command<'_>)) {
        let subject = std::mem::take(&mut self.subject);
        if let Ok(command) = self.read_again(&subject.0) {
            act(self, &command);
        }
        // Keeps its memory.
        self.subject = subject;
    }

    /// Keeps the line that a question is about.
    pub(super) fn keep_subject(&mut self, line: &[u8]) {
        let Subject(kept) = &mut self.subject;
        kept.clear();
        kept.extend_from_slice(line);
    }

    /// EHLO or HELO is accepted (RFC 5321 §4.1.1.1).
    pub(super) fn say_hello(&mut self, now: Instant, name: Domain<'_>, extended: bool) {
        self.abort(AbortReason::Reset);
        self.envelope.clear();
        self.envelope.set_name(name, extended);
        let reply =
            if extended { self.ehlo_reply() } else { Reply::new(ReplyCode::OK, None, self.config.hostname.clone()) };
        // The hostname was checked, and keywords and numbers are printable.
        self.reply_plain(now, &reply.unwrap_or(Reply::fixed(250, None, "Hello")));
        self.enter(now, State::Ready);
    }

    fn ehlo_reply(&self) -> Result<Reply, ehlo_codec::ReplyError> {
        let mut text = self.config.hostname.clone();
        for row in crate::extension::offered(self.offer()) {
            text.push('\n');
            text.push_str(row.extension.keyword());
            (row.write_parameter)(self.offer(), &mut text);
        }
        Reply::new(ReplyCode::OK, None, text)
    }
}

/// What one reply can tell of answers for so many recipients: that of the first that was not taken, so that none is lost.
fn for_all(mut answers: Vec<RecipientAnswer>, recipients: usize) -> Verdict {
    answers.resize(recipients, Err(replies::LOCAL_ERROR));
    let first = answers.iter().position(Result::is_err).unwrap_or_default();
    match answers.into_iter().nth(first) {
        Some(Ok(None)) => Verdict::Accept,
        Some(Ok(Some(reply)) | Err(reply)) => Verdict::Reply(reply),
        None => Verdict::Reply(replies::LOCAL_ERROR),
    }
}
