//! Decisions that the application takes.

use crate::auth::{MAX_IDENTITY, SaslResponse};
use crate::overriding::{Moment, Override, OverrideToken};
use crate::replies;
use ehlo_codec::{ClientId, EtrnNode, ForwardPath, MailParams, Priority, RcptParams, Reply, ReplyClass, ReversePath};
use std::fmt;
use std::ops::BitOr;

/// A set of questions that are asked. The commit always is; EXPN and ETRN are wherever they are switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Questions(u8);

impl Questions {
    /// None of these.
    pub const NONE: Self = Self(0);
    /// Before the greeting.
    pub const CONNECT: Self = Self(1);
    /// At EHLO and HELO.
    pub const HELLO: Self = Self(1 << 1);
    /// At MAIL.
    pub const MAIL: Self = Self(1 << 2);
    /// At each RCPT.
    pub const RCPT: Self = Self(1 << 3);
    /// At DATA, and at the first BDAT of a message.
    pub const DATA: Self = Self(1 << 4);
    /// At VRFY.
    pub const VRFY: Self = Self(1 << 5);
    /// All of them, up to here.
    pub const ALL: Self = Self(0b11_1111);
    /// Before anything is said at all: the greeting, each command, each response of AUTH, and the end of each message. For a server that
    /// says what servers must not: [`Question::Override`].
    pub const OVERRIDE: Self = Self(1 << 6);

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set with `other` in it as well.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Questions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// A decision for the application: an owned token, to be answered once.
///
/// A token that is dropped without an answer leaves its session parked until its deadline; then the session answers by itself: 451,
/// or where that is no reply to the command (RFC 5321 §4.3.2), 252 to VRFY and EXPN, 458 to ETRN, 454 to AUTH, and to EHLO and to a connection 421, behind which it
/// closes. Where it asked whether to be overridden, it is not. A driver that knows that no answer will come calls [`Session::abandon`](crate::Session::abandon) for the same at once.
#[derive(Debug)]
#[must_use = "the session waits for an answer"]
#[non_exhaustive]
pub enum Question {
    /// May this peer talk to us?
    Connect(ConnectToken),
    /// Is this name, or are these manners, welcome?
    Hello(HelloToken),
    /// Is mail from this sender welcome?
    Mail(MailToken),
    /// Is mail for this recipient welcome?
    Rcpt(RcptToken),
    /// Is a message for this envelope welcome?
    Data(DataToken),
    /// The message is complete. Is it safe? Only a message that survives a crash of this host may be accepted (RFC 5321 §6.1).
    Commit(CommitToken),
    /// Is this a mailbox here?
    Vrfy(VrfyToken),
    /// Who is on this list? Asked where [`Config::expn`](crate::Config::expn) is on.
    Expn(ExpnToken),
    /// Shall what waits for this node be delivered now? Asked where [`Config::etrn`](crate::Config::etrn) is on.
    Etrn(EtrnToken),
    /// What comes next in an AUTH exchange? Asked where [mechanisms](crate::AuthConfig::mechanisms) are configured.
    Auth(AuthToken),
    /// Shall something else be done than a session does? Asked where [`Questions::OVERRIDE`] is, in front of every other question.
    Override(OverrideToken),
}

impl Question {
    /// Refuses what was asked about for now, as the session does when it gets no answer: with 451 4.3.0; a connection and EHLO with
    /// 421 4.3.2, which closes; VRFY and EXPN are told 252, that nothing was verified, ETRN 458, and AUTH 454 4.7.0. Nothing is overridden.
    pub fn defer(self) -> Answer {
        match self {
            Self::Connect(token) => token.defer(replies::UNAVAILABLE),
            Self::Hello(token) => token.defer(replies::UNAVAILABLE),
            Self::Mail(token) => token.defer(replies::LOCAL_ERROR),
            Self::Rcpt(token) => token.defer(replies::LOCAL_ERROR),
            Self::Data(token) => token.defer(replies::LOCAL_ERROR),
            Self::Commit(token) => token.defer(replies::LOCAL_ERROR),
            Self::Vrfy(token) => token.accept(),
            Self::Expn(token) => token.accept(),
            Self::Etrn(token) => token.defer(replies::CANNOT_QUEUE),
            Self::Auth(token) => token.defer(replies::AUTH_UNAVAILABLE),
            Self::Override(token) => token.proceed(),
        }
    }
}

/// The answer to a question; only the question's own token makes one.
#[derive(Debug)]
#[must_use = "give it to the session"]
pub struct Answer {
    pub(crate) token: Token,
    pub(crate) verdict: Verdict,
}

pub(crate) enum Verdict {
    Accept,
    /// A transaction begins, with this priority.
    AcceptAt(Priority),
    Reply(Reply),
    /// For each recipient, in their order.
    Each(Vec<RecipientAnswer>),
    /// To be sent to the client, not encoded yet.
    Challenge(Vec<u8>),
    /// Who the client is.
    Identity(Box<str>),
    Override(Box<Override>),
}

impl fmt::Debug for Verdict {
    /// Not what an exchange is made of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("Accept"),
            Self::AcceptAt(priority) => f.debug_tuple("AcceptAt").field(priority).finish(),
            Self::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
            Self::Each(answers) => f.debug_tuple("Each").field(answers).finish(),
            Self::Challenge(octets) => write!(f, "Challenge({} octets)", octets.len()),
            Self::Identity(_) => f.write_str("Identity(..)"),
            Self::Override(other) => f.debug_tuple("Override").field(other).finish(),
        }
    }
}

/// What becomes of a message for one recipient: it is taken, with a 2yz reply of one's own or the usual one, or it is not, with a 4yz
/// or 5yz reply.
pub type RecipientAnswer = Result<Option<Reply>, Reply>;

/// Which session, and which of its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) session: u64,
    pub(crate) sequence: u32,
}

fn of_class(reply: Reply, class: ReplyClass, otherwise: Reply) -> Reply {
    if reply.code().class() == class {
        return reply;
    }
    debug_assert!(false, "the reply {reply} is not of the class that the answer needs");
    otherwise
}

/// A reply that refuses, or else 451.
pub(crate) fn of_failure(reply: Reply) -> Reply {
    if reply.code().class() == ReplyClass::PermanentFailure {
        return reply;
    }
    of_class(reply, ReplyClass::TransientFailure, replies::LOCAL_ERROR)
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use = "the session waits for an answer"]
        pub struct $name(pub(crate) Token);

        impl $name {
            #[doc = concat!("Yes: ", $what, ", with the usual reply.")]
            pub fn accept(self) -> Answer {
                Answer { token: self.0, verdict: Verdict::Accept }
            }

            /// No, for good: a 5yz reply. A reply of another class is replaced by 550 5.7.1, which is a fault that a debug build
            /// panics at.
            pub fn reject(self, reply: Reply) -> Answer {
                let reply = of_class(reply, ReplyClass::PermanentFailure, replies::REJECTED);
                Answer { token: self.0, verdict: Verdict::Reply(reply) }
            }

            /// Not now: a 4yz reply; 421 ends the session behind it. A reply of another class is replaced by 451 4.3.0, which is a
            /// fault that a debug build panics at.
            pub fn defer(self, reply: Reply) -> Answer {
                let reply = of_class(reply, ReplyClass::TransientFailure, replies::LOCAL_ERROR);
                Answer { token: self.0, verdict: Verdict::Reply(reply) }
            }
        }
    };
}

macro_rules! accept_with {
    ($name:ident, $doc:literal) => {
        impl $name {
            #[doc = $doc]
            /// A reply of another class than 2yz is replaced by the usual one, which is a fault that a debug build panics at.
            pub fn accept_with(self, reply: Reply) -> Answer {
                if reply.code().class() == ReplyClass::Completion {
                    return Answer { token: self.0, verdict: Verdict::Reply(reply) };
                }
                debug_assert!(false, "the reply {reply} does not accept");
                self.accept()
            }
        }
    };
}

token! {
    /// Asks about a connection. A refusal must be a reply that may be a greeting: 554, 521 or 421 (RFC 5321 §3.1, RFC 7504 §3);
    /// another one is replaced by 554 5.7.1 or 421 4.3.2.
    ConnectToken, "greet the peer"
}
token! {
    /// Asks about EHLO or HELO.
    HelloToken, "the peer may go on"
}
token! {
    /// Asks about a sender.
    MailToken, "the transaction begins"
}
token! {
    /// Asks about a recipient.
    RcptToken, "the recipient is part of the transaction"
}
token! {
    /// Asks about a whole envelope, before the message.
    DataToken, "the message may come"
}
token! {
    /// Asks whether a message is safe.
    CommitToken, "the message is safe, and ours to deliver or report on"
}
token! {
    /// Asks about a mailbox.
    VrfyToken, "252, which verifies nothing"
}
token! {
    /// Asks about a mailing list.
    ExpnToken, "252, which tells nobody's address"
}
token! {
    /// Asks about a queue (RFC 1985). A refusal is 459 if this peer may not have it delivered, and 458 if nobody can for now (§5.1).
    EtrnToken, "250, that what waits will be delivered"
}

impl MailToken {
    /// Yes, and the message has this priority, whatever MT-PRIORITY asked for: a peer must not be given one above 0 unless it is
    /// authorized to (RFC 6710 §4.1). If it is another than was asked for, the reply tells so. Where MT-PRIORITY is not on offer this is
    /// [`accept`](Self::accept).
    pub fn accept_with_priority(self, priority: Priority) -> Answer {
        Answer { token: self.0, verdict: Verdict::AcceptAt(priority) }
    }
}

accept_with!(RcptToken, "Yes, with a reply of one's own: 250, or 251 with the forward-path (RFC 5321 §3.4).");
accept_with!(CommitToken, "Yes, with a reply of one's own, such as 250 with a queue identifier.");
impl CommitToken {
    /// An answer for each recipient that was accepted, in the order of [`EnvelopeView::recipients`](crate::EnvelopeView::recipients), for
    /// [LMTP](crate::Protocol::Lmtp) (RFC 2033 §4.2). One that is missing is 451 4.3.0, and those beyond the last recipient are left out.
    /// Replies of another class than an answer needs are replaced as by the other methods; behind a 421 among them the session closes.
    ///
    /// SMTP has one reply for all: there it is the first one that does not accept, a missing one included, or else the first. So no recipient is lost, but those
    /// that had accepted get the message once more when the client tries again: an application that can have part of a message fail speaks
    /// LMTP, or reports the failure itself and accepts.
    pub fn per_recipient(self, answers: Vec<RecipientAnswer>) -> Answer {
        let checked = answers.into_iter().map(|answer| match answer {
            Ok(None) => Ok(None),
            Ok(Some(reply)) => Ok(Some(of_class(reply, ReplyClass::Completion, replies::QUEUED))),
            Err(reply) => Err(of_failure(reply)),
        });
        Answer { token: self.0, verdict: Verdict::Each(checked.collect()) }
    }
}
accept_with!(VrfyToken, "Yes, with a reply of one's own: 250 or 251 with the mailbox (RFC 5321 §3.5.1).");

accept_with!(ExpnToken, "Yes, with a reply of one's own: 250 with a mailbox on each line (RFC 5321 §3.5.2).");
accept_with!(EtrnToken, "Yes, with a reply of one's own: 251, 252 or 253 tell what waits (RFC 1985 §5.1).");
/// Octets of a challenge: what 12,288 characters of base64 hold (RFC 4954 §4).
const MAX_CHALLENGE: usize = 12_288 / 4 * 3;

/// Asks for the next step of an AUTH exchange (RFC 4954 §4). What the client sent is [`Pending::Auth`].
///
/// A question that is not answered in time is 454 4.7.0, and the exchange is over.
#[derive(Debug)]
#[must_use = "the session waits for an answer"]
pub struct AuthToken(pub(crate) Token);

impl AuthToken {
    /// Go on: 334 with these octets, which may be none. The client's response is the next question. More than 9,216 octets are no
    /// challenge that clients have room for: it is 454 4.7.0 then, and a fault that a debug build panics at.
    pub fn challenge(self, octets: &[u8]) -> Answer {
        if octets.len() > MAX_CHALLENGE {
            debug_assert!(false, "a challenge of {} octets", octets.len());
            return self.defer(replies::AUTH_UNAVAILABLE);
        }
        Answer { token: self.0, verdict: Verdict::Challenge(octets.to_vec()) }
    }

    /// Yes: 235 2.7.0, and the client is who this says, which [`Session::identity`](crate::Session::identity) tells from now on. An
    /// identity that is empty, or longer than [`MAX_IDENTITY`], is none: it is 454 4.7.0 then, and a fault that a debug build panics
    /// at.
    pub fn accept(self, identity: &str) -> Answer {
        if identity.is_empty() || identity.len() > MAX_IDENTITY {
            debug_assert!(false, "an identity of {} octets", identity.len());
            return self.defer(replies::AUTH_UNAVAILABLE);
        }
        Answer { token: self.0, verdict: Verdict::Identity(identity.into()) }
    }

    /// No: 535 5.7.8, which does not say what was wrong.
    pub fn fail(self) -> Answer {
        Answer { token: self.0, verdict: Verdict::Reply(replies::CREDENTIALS_INVALID) }
    }

    /// No, with a 5yz reply: 534 5.7.9 for a mechanism that is too weak for this user, 501 5.5.2 for a message that breaks the
    /// mechanism's grammar, 500 5.5.6 for one that is too long, 535 for the rest (RFC 4954 §4, §6). It counts as a
    /// [failure](crate::Limits::auth_failures). A reply of another class is replaced by 535 5.7.8, which is a fault that a debug build
    /// panics at.
    pub fn reject(self, reply: Reply) -> Answer {
        let reply = of_class(reply, ReplyClass::PermanentFailure, replies::CREDENTIALS_INVALID);
        Answer { token: self.0, verdict: Verdict::Reply(reply) }
    }

    /// Not now, with a 4yz reply: 454 4.7.0 if the credentials cannot be checked, 432 4.7.12 if the user has to log in by another
    /// mechanism once (RFC 4954 §6); 421 ends the session behind it. A reply of another class is replaced by 454 4.7.0, which is a
    /// fault that a debug build panics at.
    pub fn defer(self, reply: Reply) -> Answer {
        let reply = of_class(reply, ReplyClass::TransientFailure, replies::AUTH_UNAVAILABLE);
        Answer { token: self.0, verdict: Verdict::Reply(reply) }
    }
}

/// What the open question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pending<'s> {
    /// No question is open.
    Nothing,
    /// The connection.
    Connect,
    /// The name that the peer gave.
    Hello {
        /// The name.
        name: ClientId<'s>,
        /// By EHLO, not HELO.
        extended: bool,
    },
    /// The sender.
    Mail {
        /// Where reports go.
        from: ReversePath<'s>,
        /// The parameters as they came; those of the extensions on offer were checked.
        params: MailParams<'s>,
    },
    /// A recipient.
    Rcpt {
        /// Whom the message is for.
        to: ForwardPath<'s>,
        /// The parameters as they came.
        params: RcptParams<'s>,
    },
    /// The envelope, which is [`Session::envelope`](crate::Session::envelope).
    Data,
    /// The message.
    Commit {
        /// Its octets, dot-stuffing removed.
        size: u64,
    },
    /// What VRFY was given.
    Vrfy {
        /// A mailbox, or a user's name.
        text: &'s str,
        /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// What EXPN was given.
    Expn {
        /// The name of a mailing list.
        text: &'s str,
        /// The client takes UTF-8 in the reply (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// What ETRN was given: a host, a domain with all below it, or the name of a queue (RFC 1985 §5.3).
    Etrn(EtrnNode<'s>),
    /// An AUTH exchange.
    Auth {
        /// The mechanism, by its name in [`AuthConfig::mechanisms`](crate::AuthConfig::mechanisms).
        mechanism: &'s str,
        /// What the client has sent, decoded; `None` if AUTH came without an initial response, `Some` of nothing if that was empty.
        response: Option<SaslResponse<'s>>,
        /// Whether the exchange begins; one that was under way is over then.
        begins: bool,
    },
    /// Whatever comes next.
    Override(Moment<'s>),
}
