//! Questions and answers, between a session and a scenario.

use ehlo_server::codec::Reply;
use ehlo_server::{Answer, EnvelopeView, Moment, Pending, Question};

use crate::escape::escaped;
use crate::format::Verdict;

/// An envelope as scenarios write it.
pub(crate) fn show_envelope(envelope: EnvelopeView<'_>) -> String {
    if envelope.reverse_path().is_none() {
        return "none".to_owned();
    }
    let with = |params: &str| if params.is_empty() { String::new() } else { format!(" ({params})") };
    let recipients: String = envelope.recipients().map(|to| format!(" {to}{}", with(to.params.as_str()))).collect();
    format!("{}{} ->{recipients}", envelope.reverse_path_text(), with(envelope.mail_params().as_str()))
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
        Pending::Vrfy { text, smtputf8 } => format!("vrfy {text}{}", if smtputf8 { " SMTPUTF8" } else { "" }),
        Pending::Expn { text, smtputf8 } => format!("expn {text}{}", if smtputf8 { " SMTPUTF8" } else { "" }),
        Pending::Etrn(node) => format!("etrn {}", node.as_str()),
        Pending::Auth { mechanism, response, begins } => {
            let response = response.map(|r| format!(" \"{}\"", escaped(r.as_bytes()))).unwrap_or_default();
            format!("auth {mechanism}{}{response}", if begins { "" } else { " ..." })
        }
        Pending::Override(moment) => format!("override {}", show_moment(moment)),
        other => format!("{other:?}"),
    }
}

fn show_moment(moment: Moment<'_>) -> String {
    match moment {
        Moment::Greeting => "greeting".to_owned(),
        Moment::Command { line, .. } => format!("command {}", escaped(line)),
        Moment::Response => "response".to_owned(),
        Moment::Message { size } => format!("message {size}"),
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
    if let Question::Override(token) = question {
        return match verdict {
            Verdict::Accept => Some(token.proceed()),
            Verdict::Override(with) => Some(token.answer(with.clone())),
            _ => None,
        };
    }
    if let Question::Auth(token) = question {
        return Some(match verdict {
            Verdict::Challenge(octets) => token.challenge(octets),
            Verdict::AcceptAs(identity) => token.accept(identity),
            Verdict::Fail => token.fail(),
            Verdict::Reject(reply) => token.reject(reply.clone()),
            Verdict::Defer(reply) => token.defer(reply.clone()),
            _ => return None,
        });
    }
    match (question, with) {
        (Question::Mail(token), _) if matches!(verdict, Verdict::AcceptAt(_)) => match verdict {
            Verdict::AcceptAt(priority) => Some(token.accept_with_priority(*priority)),
            _ => None,
        },
        (Question::Rcpt(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Commit(token), None) if matches!(verdict, Verdict::Each(_)) => match verdict {
            Verdict::Each(answers) => Some(token.per_recipient(answers.clone())),
            _ => None,
        },
        (Question::Commit(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Vrfy(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Expn(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Etrn(token), Some(reply)) => Some(token.accept_with(reply.clone())),
        (Question::Connect(token), _) => common!(token),
        (Question::Hello(token), _) => common!(token),
        (Question::Mail(token), _) => common!(token),
        (Question::Rcpt(token), _) => common!(token),
        (Question::Data(token), _) => common!(token),
        (Question::Commit(token), _) => common!(token),
        (Question::Vrfy(token), _) => common!(token),
        (Question::Expn(token), _) => common!(token),
        (Question::Etrn(token), _) => common!(token),
        _ => None,
    }
}
