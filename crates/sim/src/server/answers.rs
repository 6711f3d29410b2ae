//! What the application says to the questions of a session.

use super::{Op, Server, Stored};
use crate::rng::Rng;
use ehlo_codec::{Reply, ReplyClass, ReplyCode};
use ehlo_server::{Answer, CommitToken, Pending, Protocol, Question, RecipientAnswer, ResolveError};
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
    /// Go on with so many octets, where AUTH is asked about; yes, everywhere else.
    Challenge(u16),
    /// Where a message is asked about, an answer for each recipient, and sometimes for fewer or for more of them than there are: this
    /// number decides. Yes, everywhere else.
    Each(u32),
}

impl Server {
    /// Gives an answer to a question. Gives what the session said of it; `None` if the question was answered before.
    pub fn answer(&mut self, now: Instant, serial: u32, how: How) -> Option<Result<(), ResolveError>> {
        let question = self.questions.remove(&serial)?;
        self.record(now, || Op::Answer(serial, how));
        let open = self.is_open_question(serial);
        let how = match (how, &question) {
            (How::Challenge(_), Question::Auth(_)) | (How::Each(_), Question::Commit(_)) => how,
            (How::Challenge(_) | How::Each(_), _) => How::Accept,
            _ => how,
        };
        match (how, &question) {
            (How::Accept, Question::Auth(_)) if open => {
                self.model.granted();
                self.authenticated += 1;
            }
            (How::Challenge(length), Question::Auth(_)) if open => self.model.challenged(&challenge(length)),
            _ => {}
        }
        let (result, stored) = match question {
            Question::Commit(token) => self.answer_commit(now, token, how, open),
            question => (self.session.resolve(now, verdict(how, question)), None),
        };
        assert_eq!(result.is_ok(), open, "{result:?} for {how:?}");
        if let Err(error) = result {
            assert_eq!(error, ResolveError::Stale);
            self.stale += 1;
        }
        self.store.extend(stored);
        self.settle(now);
        Some(result)
    }

    /// Decides on a message. Gives what the session said of it, and what is stored then.
    fn answer_commit(
        &mut self,
        now: Instant,
        token: CommitToken,
        how: How,
        open: bool,
    ) -> (Result<(), ResolveError>, Option<Stored>) {
        let view = self.session.envelope();
        let from = view.reverse_path_text().to_owned();
        let to: Vec<String> = view.recipients().map(|to| to.to_string()).collect();
        let (answer, replies) = commit(token, how, to.len(), self.config.protocol);
        let each = self.config.protocol == Protocol::Lmtp;
        if open {
            self.model.decided(replies.clone());
        }
        let result = self.session.resolve(now, answer);
        if result.is_err() {
            return (result, None);
        }
        let body = self.incoming.take().expect("a body was complete");
        // One reply is for all of them.
        let replies = replies.into_iter().cycle().take(to.len());
        let (all, to) = (to.len(), to.into_iter().zip(replies).filter(|(_, code)| is_yes(*code)));
        let to: Vec<String> = to.map(|(to, _)| to).collect();
        self.partly += usize::from(each && !to.is_empty() && to.len() < all);
        (result, (!to.is_empty()).then_some(Stored { from, to, body }))
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
            if self.is_committing() {
                self.model.undecided();
            }
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

    /// Messages that were taken for some of their recipients, and not for others.
    #[must_use]
    pub const fn partly(&self) -> usize {
        self.partly
    }

    /// Whether the question is about AUTH.
    #[must_use]
    pub fn is_auth(&self, serial: u32) -> bool {
        matches!(self.questions.get(&serial), Some(Question::Auth(_)))
    }
}

fn is_yes(code: ReplyCode) -> bool {
    code.class() == ReplyClass::Completion
}

/// An answer to whether a message is safe, and the replies that it has to lead to: one for each recipient under LMTP, one for all of them
/// under SMTP.
fn commit(token: CommitToken, how: How, recipients: usize, protocol: Protocol) -> (Answer, Vec<ReplyCode>) {
    let How::Each(draw) = how else {
        let code = match how {
            How::Reject => 550,
            How::Defer => 451,
            How::Leave => 421,
            _ => 250,
        };
        let times = if protocol == Protocol::Lmtp { recipients } else { 1 };
        return (verdict(how, Question::Commit(token)), vec![reply_code(code); times]);
    };
    let mut rng = Rng::new(draw.into());
    let answers = match rng.below(8) {
        0 => rng.below(recipients + 1),
        1 => recipients + rng.between(1, 3),
        _ => recipients,
    };
    let answers: Vec<RecipientAnswer> = (0..answers).map(|_| for_one(&mut rng)).collect();
    let said = |answer: &RecipientAnswer| match answer {
        Ok(None) => reply_code(250),
        Ok(Some(reply)) | Err(reply) => reply.code(),
    };
    // Who is left out is told 451, and answers for nobody are for nobody.
    let mut replies: Vec<ReplyCode> = answers.iter().map(said).collect();
    replies.resize(recipients, reply_code(451));
    if protocol == Protocol::Smtp {
        // No recipient may be lost by the one reply that there is.
        let first = replies.iter().position(|code| !is_yes(*code)).unwrap_or(0);
        replies = replies.get(first).copied().into_iter().collect();
    }
    (token.per_recipient(answers), replies)
}

/// An answer for one of the recipients.
fn for_one(rng: &mut Rng) -> RecipientAnswer {
    match rng.below(20) {
        0..8 => Ok(None),
        8..12 => Ok(Some(Reply::fixed(250, Some((2, 0, 0)), "Kept\nfor this one"))),
        12..16 => Err(Reply::fixed(550, Some((5, 1, 1)), "Nobody of that name")),
        16..19 => Err(Reply::fixed(450, Some((4, 2, 1)), "Busy\nTry again")),
        _ => Err(Reply::fixed(421, Some((4, 3, 2)), "Enough")),
    }
}

fn reply_code(code: u16) -> ReplyCode {
    ReplyCode::new(code).expect("three digits")
}

/// What an exchange goes on with: of each length up to the longest that there may be.
fn challenge(length: u16) -> Vec<u8> {
    (0..length % 9217).map(|at| (at % 251) as u8).collect()
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
                How::Challenge(length) => token.challenge(&challenge(length)),
                How::Each(_) => token.accept(IDENTITY),
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
                    (How::Accept | How::Challenge(_) | How::Each(_), Question::$kind(token)) => token.accept(),
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
