//! What the application says to the questions of a session.

use super::{Op, Server, Stored};
use ehlo_codec::Reply;
use ehlo_server::{Answer, Pending, Question, ResolveError};
use std::time::Instant;

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// Yes.
    Accept,
    /// No, for good.
    Reject,
    /// Not now.
    Defer,
    /// Not now, with 421.
    Leave,
    /// Go on, where AUTH is asked about; yes, everywhere else.
    Challenge,
}

impl Server {
    /// Gives an answer to a question. Gives what the session said of it; `None` if the question was answered before.
    pub fn answer(&mut self, now: Instant, serial: u32, how: How) -> Option<Result<(), ResolveError>> {
        let question = self.questions.remove(&serial)?;
        self.record(now, || Op::Answer(serial, how));
        let open = self.is_open_question(serial);
        let commit = matches!(question, Question::Commit(_));
        let view = self.session.envelope();
        let envelope = (view.reverse_path_text().to_owned(), view.recipients().map(|to| to.to_string()).collect());
        let how = if how == How::Challenge && !matches!(question, Question::Auth(_)) { How::Accept } else { how };
        if commit && open && how == How::Accept {
            self.model.committed();
        }
        if open && how == How::Accept && matches!(question, Question::Auth(_)) {
            self.model.granted();
            self.authenticated += 1;
        }
        let result = self.session.resolve(now, verdict(how, question));
        assert_eq!(result.is_ok(), open, "{result:?} for {how:?}");
        match result {
            Err(error) => {
                assert_eq!(error, ResolveError::Stale);
                self.stale += 1;
            }
            Ok(()) if commit => {
                let body = self.incoming.take().expect("a body was complete");
                if how == How::Accept {
                    self.store.push(Stored { from: envelope.0, to: envelope.1, body });
                }
            }
            Ok(()) => {}
        }
        self.settle(now);
        Some(result)
    }

    /// The question is lost, and nobody knows.
    pub fn lose(&mut self, serial: u32) {
        self.questions.remove(&serial);
    }

    /// The question is lost, and the driver knows.
    pub fn abandon(&mut self, now: Instant, serial: u32) {
        let open = self.questions.remove(&serial).is_some() && self.is_open_question(serial);
        if open {
            self.record(now, || Op::Abandon);
            self.session.abandon(now);
            self.settle(now);
        }
    }

    /// Gives the answer to this session's question to another one, which must not take it.
    pub fn misdirect(&mut self, serial: u32, other: &mut Self, now: Instant) {
        if let Some(question) = self.questions.remove(&serial) {
            let result = other.session.resolve(now, question.defer());
            assert_eq!(result, Err(ResolveError::ApiMisuse), "another session's answer");
            other.settle(now);
        }
    }

    /// Questions that were asked since this was last called, by their numbers.
    pub fn take_asked(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.fresh)
    }

    /// Whether this is the question that is open.
    #[must_use]
    pub fn is_open_question(&self, serial: u32) -> bool {
        serial == self.asked && self.session.pending() != Pending::Nothing
    }

    /// Whether the question is the commit of a message.
    #[must_use]
    pub fn is_commit(&self, serial: u32) -> bool {
        matches!(self.questions.get(&serial), Some(Question::Commit(_)))
    }

    /// Whether the open question is the commit of a message.
    pub(super) fn is_committing(&self) -> bool {
        matches!(self.session.pending(), Pending::Commit { .. })
    }

    /// Whether the question is about AUTH.
    #[must_use]
    pub fn is_auth(&self, serial: u32) -> bool {
        matches!(self.questions.get(&serial), Some(Question::Auth(_)))
    }
}

/// Who every client is that authenticates.
const IDENTITY: &str = "ada";

/// An answer to a question, as an application gives it.
fn verdict(how: How, question: Question) -> Answer {
    // RFC 5321 §4.3.2 lists 550 for none of these.
    let no = match question {
        Question::Connect(_) | Question::Data(_) => Reply::fixed(554, Some((5, 7, 1)), "No"),
        _ => Reply::fixed(550, Some((5, 7, 1)), "No"),
    };
    const NOT_NOW: Reply = Reply::fixed(451, Some((4, 7, 1)), "Not now\nTry again\nlater");
    const NOT_YOURS: Reply = Reply::fixed(459, Some((4, 7, 1)), "Not for you");
    const LEAVE: Reply = Reply::fixed(421, Some((4, 3, 2)), "Enough");
    // RFC 5321 §4.3.2 lets a server put EHLO, VRFY and a connection off by nothing but the replies that these give.
    if how == How::Defer
        && matches!(question, Question::Hello(_) | Question::Vrfy(_) | Question::Expn(_) | Question::Etrn(_))
    {
        return question.defer();
    }
    let question = match question {
        // RFC 1985 §5.1: there is no 5yz to say that this peer may not.
        Question::Etrn(token) if how == How::Reject => return token.defer(NOT_YOURS),
        Question::Auth(token) => {
            return match how {
                How::Accept => token.accept(IDENTITY),
                How::Challenge => token.challenge(b"a challenge"),
                How::Reject => token.fail(),
                How::Leave => token.defer(LEAVE),
                How::Defer => Question::Auth(token).defer(),
            };
        }
        question => question,
    };
    macro_rules! each {
        ($($kind:ident)*) => {
            match (how, question) {
                $(
                    (How::Accept | How::Challenge, Question::$kind(token)) => token.accept(),
                    (How::Reject, Question::$kind(token)) => token.reject(no),
                    (How::Leave, Question::$kind(token)) => token.defer(LEAVE),
                    (How::Defer, Question::$kind(token)) => token.defer(NOT_NOW),
                )*
                (how, question) => panic!("{how:?} for {question:?}"),
            }
        };
    }
    each! { Connect Hello Mail Rcpt Data Commit Vrfy Expn Etrn }
}
