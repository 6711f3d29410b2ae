//! Questions of the session, and how the policy and the sink answer them.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use ehlo_server::codec::{Reply, ReplyClass};
use ehlo_server::{Answer, AuthToken, CommitToken, DataToken, Pending, Protocol, Question};

use super::seen::tell;
use super::{Body, Connection};
use crate::auth::LaterAuth;
use crate::metrics::{self, Count};
use crate::policy::{self, Decision, Etrn, Expn, Hello, Later, Mail, Policy, Rcpt, Upcoming, Vrfy};
use crate::sink::{BodySink as _, Commit, MessageContext, storage_reply};

/// A question that the session waits with.
pub(super) enum Open {
    /// The policy will decide.
    Policy(Question, Later),
    /// The authenticator will decide.
    Auth(AuthToken, LaterAuth),
    /// The sink makes the message safe.
    Sink(CommitToken),
}

impl Open {
    /// What is asked, by its place in [`QUESTIONS`](metrics::QUESTIONS).
    pub(super) fn number(&self) -> u8 {
        match self {
            Self::Policy(question, _) => metrics::number(question),
            Self::Auth(..) => metrics::AUTH,
            Self::Sink(_) => metrics::COMMIT,
        }
    }
}

impl<P: Policy> Connection<P> {
    /// Answers a question, now or by way of [`poll_open`](Self::poll_open).
    pub(super) fn ask(&mut self, cx: &mut Context<'_>, now: Instant, question: Question) {
        // The session asks one question at a time. Of one that waits it has given up the answer: whether to override, which leads on to another.
        self.open = None;
        match question {
            Question::Auth(token) => return self.ask_auth(cx, now, token),
            Question::Commit(token) => self.open = Some(Open::Sink(token)),
            question => match self.decide() {
                Decision::Later(later) => self.open = Some(Open::Policy(question, later)),
                decision => return self.answer(now, question, decision),
            },
        }
        // Most answers are there at once.
        let _ = self.poll_open(cx, now);
    }

    /// Who asks.
    pub(super) fn context(&self) -> policy::Context<'_> {
        policy::Context {
            peer: self.transport.peer(),
            connection: self.slot.id(),
            envelope: self.session.envelope(),
            tls: self.session.tls(),
            notes: &self.notes,
        }
    }

    /// What the policy says to the open question.
    fn decide(&self) -> Decision {
        let policy = &*self.policy;
        let context = self.context();
        let _entered = self.seen.span(self.who()).enter();
        match self.session.pending() {
            Pending::Connect => policy.connect(&context),
            Pending::Hello { name, extended } => policy.hello(&Hello { context, name, extended }),
            Pending::Mail { from, params } => policy.mail(&Mail { context, from, params }),
            Pending::Rcpt { to, params } => policy.rcpt(&Rcpt { context, to, params }),
            // It is always asked, for the sink's sake.
            Pending::Data if !self.asks_data => Decision::Accept,
            Pending::Data => policy.data(&context),
            Pending::Vrfy { text, smtputf8 } => policy.vrfy(&Vrfy { context, text, smtputf8 }),
            Pending::Expn { text, smtputf8 } => policy.expn(&Expn { context, text, smtputf8 }),
            Pending::Etrn(node) => policy.etrn(&Etrn { context, node }),
            Pending::Override(moment) => policy.intervene(&Upcoming { context, moment }),
            _ => {
                debug_assert!(false, "the driver knows all questions of the session");
                Decision::Defer(Reply::fixed(451, Some((4, 3, 0)), "Local error, try again later"))
            }
        }
    }

    /// Polls what the session waits for. Ready with true if an answer was given.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<bool> {
        match self.open.take() {
            None => Poll::Ready(false),
            Some(Open::Policy(question, mut later)) => {
                match self.seen.span(self.who()).in_scope(|| later.as_mut().poll(cx)) {
                    Poll::Pending => {
                        self.open = Some(Open::Policy(question, later));
                        Poll::Pending
                    }
                    Poll::Ready(Decision::Later(later)) => {
                        self.open = Some(Open::Policy(question, later));
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Poll::Ready(decision) => {
                        self.answer(now, question, decision);
                        Poll::Ready(true)
                    }
                }
            }
            Some(Open::Auth(token, mut later)) => match self.seen.span(self.who()).in_scope(|| later.as_mut().poll(cx))
            {
                Poll::Pending => {
                    self.open = Some(Open::Auth(token, later));
                    Poll::Pending
                }
                Poll::Ready(decision) => self.decided(cx, now, token, decision),
            },
            Some(Open::Sink(token)) => match self.poll_commit(cx) {
                Poll::Pending => {
                    self.open = Some(Open::Sink(token));
                    Poll::Pending
                }
                Poll::Ready(commit) => {
                    self.committed(now, token, commit);
                    Poll::Ready(true)
                }
            },
        }
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Commit> {
        let who = self.who();
        let _entered = self.seen.span(who).enter();
        match self.body {
            Body::Open if self.config.protocol == Protocol::Lmtp => self.sink.poll_commit_each(cx),
            Body::Open => self.sink.poll_commit(cx).map(Commit::Same),
            Body::None => {
                debug_assert!(false, "a message is committed after it has begun, and if its sink has not failed");
                Poll::Ready(Commit::Same(Err(storage_reply(&std::io::ErrorKind::BrokenPipe.into()))))
            }
        }
    }

    fn committed(&mut self, now: Instant, token: CommitToken, commit: Commit) {
        let Pending::Commit { size } = self.session.pending() else { return };
        self.body = Body::None;
        let recipients = self.session.envelope().recipient_count();
        // How many have it, and with what reply the first of the others has not.
        let (taken, reply) = match &commit {
            Commit::Same(Ok(reply)) => (recipients, reply.as_ref()),
            Commit::Same(Err(reply)) => (0, Some(reply)),
            Commit::Each(answers) => {
                let mut answers = answers.iter().take(recipients);
                let taken = answers.clone().filter(|answer| answer.is_ok()).count();
                (taken, answers.find_map(|answer| answer.as_ref().err()))
            }
        };
        let metrics = self.slot.metrics();
        if taken > 0 {
            metrics.one(Count::Accepted);
            metrics.add(Count::AcceptedBytes, size);
        } else {
            metrics.one(Count::Refused);
        }
        self.tell_committed(now, taken, reply);
        let answer = match commit {
            Commit::Same(Ok(Some(reply))) => token.accept_with(reply),
            Commit::Same(Ok(None)) => token.accept(),
            Commit::Same(Err(reply)) if reply.code().class() == ReplyClass::PermanentFailure => token.reject(reply),
            Commit::Same(Err(reply)) => token.defer(reply),
            Commit::Each(answers) => token.per_recipient(answers),
        };
        self.resolve(now, answer);
    }

    fn answer(&mut self, now: Instant, question: Question, decision: Decision) {
        if let Decision::Reject(reply) | Decision::Defer(reply) = &decision {
            self.tell_refusal(&question, reply);
        }
        let answer = match (question, decision) {
            (Question::Override(token), decision) => self.intervene(now, token, decision),
            (Question::Mail(token), Decision::AcceptWithPriority(priority)) => token.accept_with_priority(priority),
            (
                Question::Data(token),
                Decision::Accept | Decision::AcceptWith(_) | Decision::AcceptWithPriority(_) | Decision::Intervene(_),
            ) => self.begin(now, token),
            (Question::Rcpt(token), Decision::AcceptWith(reply)) => token.accept_with(reply),
            (Question::Vrfy(token), Decision::AcceptWith(reply)) => token.accept_with(reply),
            (Question::Expn(token), Decision::AcceptWith(reply)) => token.accept_with(reply),
            (Question::Etrn(token), Decision::AcceptWith(reply)) => token.accept_with(reply),
            (
                question,
                Decision::Accept | Decision::AcceptWith(_) | Decision::AcceptWithPriority(_) | Decision::Intervene(_),
            ) => match question {
                Question::Connect(token) => token.accept(),
                Question::Hello(token) => token.accept(),
                Question::Mail(token) => token.accept(),
                Question::Rcpt(token) => token.accept(),
                Question::Vrfy(token) => token.accept(),
                Question::Expn(token) => token.accept(),
                Question::Etrn(token) => token.accept(),
                question => question.defer(),
            },
            (question, Decision::Reject(reply)) => match question {
                Question::Connect(token) => token.reject(reply),
                Question::Hello(token) => token.reject(reply),
                Question::Mail(token) => token.reject(reply),
                Question::Rcpt(token) => token.reject(reply),
                Question::Data(token) => token.reject(reply),
                Question::Vrfy(token) => token.reject(reply),
                Question::Expn(token) => token.reject(reply),
                Question::Etrn(token) => token.reject(reply),
                question => question.defer(),
            },
            (question, Decision::Defer(reply)) => match question {
                Question::Connect(token) => token.defer(reply),
                Question::Hello(token) => token.defer(reply),
                Question::Mail(token) => token.defer(reply),
                Question::Rcpt(token) => token.defer(reply),
                Question::Data(token) => token.defer(reply),
                Question::Vrfy(token) => token.defer(reply),
                Question::Expn(token) => token.defer(reply),
                Question::Etrn(token) => token.defer(reply),
                question => question.defer(),
            },
            (question, Decision::Later(_)) => {
                debug_assert!(false, "a later decision is polled, not given");
                question.defer()
            }
        };
        self.resolve(now, answer);
    }

    pub(super) fn resolve(&mut self, now: Instant, answer: Answer) {
        // Stale answers were dropped with their questions, and there is but one session here.
        let result = self.session.resolve(now, answer);
        debug_assert!(result.is_ok(), "an answer is given while its question is open");
    }

    /// Has the sink begin the message, while DATA or its first chunk can still be refused.
    fn begin(&mut self, now: Instant, token: DataToken) -> Answer {
        self.begin_transaction(now);
        let message = MessageContext {
            peer: self.transport.peer(),
            hostname: self.config.hostname(),
            envelope: self.session.envelope(),
            tls: self.session.tls(),
            protocol: self.config.protocol,
            notes: &self.notes,
        };
        let who = self.who();
        let begun = self.seen.span(who).in_scope(|| self.sink.begin(&message));
        if let Err(reply) = &begun {
            self.tell_committed(now, 0, Some(reply));
        }
        match begun {
            Ok(()) => {
                self.body = Body::Open;
                token.accept()
            }
            Err(reply) if reply.code().class() == ReplyClass::PermanentFailure => token.reject(reply),
            Err(reply) => token.defer(reply),
        }
    }

    /// Hands body bytes to the sink; gives how many it took. If that isn't all, the session is told.
    pub(super) fn write_body(&mut self, cx: &mut Context<'_>, now: Instant, bytes: &[u8]) -> usize {
        self.seen.body(bytes.len());
        let mut taken = 0;
        while taken < bytes.len() {
            match self.poll_sink(cx, now, &bytes[taken..]) {
                Poll::Ready(length) => taken += length,
                Poll::Pending => {
                    self.paused = true;
                    self.session.body_paused(now);
                    break;
                }
            }
        }
        taken
    }

    /// Hands the sink what it is owed.
    pub(super) fn pay_sink(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        while !self.carry.owed().is_empty() {
            // The bytes are set aside, for the sink is called with the connection.
            let carry = std::mem::take(&mut self.carry);
            let result = self.poll_sink(cx, now, carry.owed());
            self.carry = carry;
            self.carry.pay(&mut self.slot, ready!(result));
            if self.drips.is_some() {
                // It goes on, if slowly: its deadline moves.
                self.session.body_resumed(now);
                self.session.body_paused(now);
            }
        }
        Poll::Ready(())
    }

    /// Hands over some bytes; gives how many were taken. What nobody wants any more is taken by nobody.
    fn poll_sink(&mut self, cx: &mut Context<'_>, now: Instant, bytes: &[u8]) -> Poll<usize> {
        if !matches!(self.body, Body::Open) {
            return Poll::Ready(bytes.len());
        }
        let most = self.drips.as_ref().map_or(bytes.len(), |drips| drips.may_read(now, bytes.len()));
        if most == 0 {
            return Poll::Pending;
        }
        let who = self.who();
        match ready!(self.seen.span(who).in_scope(|| self.sink.poll_write(cx, &bytes[..most]))) {
            // One that takes nothing and says so would be asked for ever.
            Ok(0) => self.fail_sink(now, &std::io::ErrorKind::WriteZero.into()),
            Ok(taken) => {
                let taken = taken.min(most);
                if let Some(drips) = &mut self.drips {
                    drips.read(now, taken);
                }
                return Poll::Ready(taken);
            }
            Err(error) => self.fail_sink(now, &error),
        }
        Poll::Ready(bytes.len())
    }

    fn fail_sink(&mut self, now: Instant, error: &std::io::Error) {
        tell!(self, WARN, %error, "the sink failed at a message");
        self.sink.abort();
        self.body = Body::None;
        self.session.body_failed(now, storage_reply(error));
    }

    /// The message won't be committed.
    pub(super) fn abort_sink(&mut self) {
        if let Body::Open = std::mem::replace(&mut self.body, Body::None) {
            let who = self.who();
            self.seen.span(who).in_scope(|| self.sink.abort());
        }
        self.open = None;
    }
}
