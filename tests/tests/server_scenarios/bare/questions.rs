//! Questions and answers, between a session and a scenario.

use ehlo_server::codec::Reply;
use ehlo_server::{Answer, EnvelopeView, Pending, Question};

use crate::format::Verdict;

/// An envelope as scenarios write it.
pub(crate) fn show_envelope(envelope: EnvelopeView<'_>) -> String {
    if envelope.reverse_path().is_none() {
        return "none".to_owned();
    }
    let recipients: String = envelope.recipients().map(|to| format!(" {to}")).collect();
    format!("{} ->{recipients}", envelope.reverse_path_text())
}

/// A question as scenarios write it.
pub(crate) fn show(pending: Pending<'_>) -> String {
    let with = |params: &str| if params.is_empty() { String::new() } else { format!(" {params}") };
    match pending {
        Pending::Connect => "connect".to_owned(),
        Pending::Hello { name, extended } => format!("{} {name}", if extended { "ehlo" } else { "helo" }),
        Pending::Mail { from, params } => format!("mail {from}{}", with(params.as_str())),
        Pending::Rcpt { to, params } => format!("rcpt {to}{}", with(params.as_str())),
        Pending::Data => "data".to_owned(),
        Pending::Commit { size } => format!("commit {size}"),
        Pending::Vrfy(text) => format!("vrfy {text}"),
        other => format!("{other:?}"),
    }
}

/// The answer, if the question can have it.
pub(super) fn answer(question: Question, verdict: &Verdict) -> Option<Answer> {
    macro_rules! common {
        ($token:expr) => {
            match verdict {
                Verdict::Accept => Some($token.accept()),
                Verdict::Reject(reply) => Some($token.reject(reply.clone())),
                Verdict::Defer(reply) => Some($token.defer(reply.clone())),
                _ => None,
            }
        };
    }
    let with: Option<&Reply> = match verdict {
        Verdict::AcceptWith(reply) => Some(reply),
        _ => None,
    };
    match (question, with) {
        (Question::Rcpt(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Commit(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Vrfy(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Connect(token), _) => common!(token),
        (Question::Hello(token), _) => common!(token),
        (Question::Mail(token), _) => common!(token),
        (Question::Rcpt(token), _) => common!(token),
        (Question::Data(token), _) => common!(token),
        (Question::Commit(token), _) => common!(token),
        (Question::Vrfy(token), _) => common!(token),
        _ => None,
    }
}
