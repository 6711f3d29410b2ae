//! Telling what became of messages: the dialogue, a line for each recipient, or JSON.

use std::collections::HashSet;
use std::io::{self, Write as _};

use ehlo_tokio::client::{Client, Observed, Observer, Report};
use ehlo_tokio::ehlo_client::Fate;
use ehlo_tokio::ehlo_client::codec::codes::EnhancedCode;
use ehlo_tokio::ehlo_client::codec::{Reply, ReplyClass};
use serde_json::{Value, json};

use super::address::To;
use super::message::Message;
use crate::console::{print, tell};

/// The worst that became of any recipient: 0, to be tried again, or refused.
///
/// `sendmail` tells unknown users apart: their mailbox is not there (5.1.1, RFC 3463 §3.2).
pub(super) fn exit_code(fate: &Fate<'_>, unknown_user: bool) -> u8 {
    let is_unknown = |code: EnhancedCode| code.to_string() == "5.1.1";
    match fate {
        Fate::Accepted(_) => 0,
        Fate::Refused(reply) if unknown_user && reply.enhanced().is_some_and(is_unknown) => crate::failure::EX_NOUSER,
        _ if fate.is_transient() => crate::failure::EX_TEMPFAIL,
        _ => crate::failure::EX_UNAVAILABLE,
    }
}

/// Which exit status tells more: one for good is worse than one that may be better later, since trying again does not help.
pub(super) fn worse(one: u8, other: u8) -> u8 {
    let rank = |code: u8| match code {
        0 => 0,
        crate::failure::EX_TEMPFAIL => 1,
        crate::failure::EX_NOUSER => 2,
        _ => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// Shows the dialogue on the standard error, if it is wanted. Passwords do not come here.
pub(super) fn observer(verbose: bool, prefix: String) -> Observer {
    Box::new(move |observed| {
        if !verbose {
            return;
        }
        // If nobody reads it, the messages are sent all the same.
        let mut err = io::stderr().lock();
        let _ = match observed {
            Observed::Sent(bytes) => {
                String::from_utf8_lossy(bytes).lines().try_for_each(|line| writeln!(err, "{prefix}C: {line}"))
            }
            Observed::Reply(_, reply) => {
                reply.to_string().lines().try_for_each(|line| writeln!(err, "{prefix}S: {line}"))
            }
            Observed::Body(length) => writeln!(err, "{prefix}C: ({length} bytes of message)"),
            Observed::Tls(tls) => {
                let verified = if tls.verified { "verified" } else { "not verified" };
                writeln!(err, "{prefix}(TLS: {}, {}, server {verified})", tls.version, tls.cipher)
            }
            _ => Ok(()),
        };
    })
}

/// Prints the replies that decided, once for a message if it is the same one for all.
pub(super) fn lines(command: &str, quiet: bool, name: &str, to: &[To], report: &Report, lmtp: bool) {
    let mut texts = HashSet::new();
    for fate in report.iter() {
        texts.insert(fate.to_string());
    }
    let one = texts.len() == 1 && !lmtp;
    for (to, fate) in to.iter().zip(report.iter()) {
        let about = if one { String::new() } else { format!("{}: ", to.path()) };
        match fate {
            Fate::Accepted(_) if quiet => {}
            Fate::Refused(reply) if quiet => {
                for line in reply.to_string().lines() {
                    tell(command, format_args!("{name}: {about}{line}"));
                }
            }
            Fate::Accepted(reply) | Fate::Refused(reply) => {
                for line in reply.to_string().lines() {
                    let _ = print(format_args!("{name}: {about}{line}"));
                }
            }
            Fate::Unsent => tell(command, format_args!("{name}: {about}not sent")),
            Fate::Unknown => {
                tell(command, format_args!("{name}: {about}sent, but the reply was lost: it may have arrived"));
            }
            Fate::Impossible(error) => tell(command, format_args!("{name}: {about}{error}")),
            _ => {}
        }
        if one {
            break;
        }
    }
    if report.without_dsn {
        tell(command, format_args!("{name}: the server does not offer DSN: nobody will report on success"));
    }
}

/// The same for a program: one line a message. `refused` is the reply for those to whom there was no way.
pub(super) fn json(
    message: &Message,
    from: &str,
    to: &[To],
    client: Option<&Client>,
    report: &Report,
    error: Option<&str>,
    refused: Option<&Reply>,
) {
    let tls = client
        .and_then(Client::tls)
        .map_or(Value::Null, |tls| json!({ "version": tls.version, "cipher": tls.cipher, "verified": tls.verified }));
    let recipients: Vec<Value> = to
        .iter()
        .zip(report.iter())
        .map(|(to, fate)| {
            let outcome = match fate {
                Fate::Accepted(_) => "accepted",
                Fate::Refused(_) if fate.is_transient() => "deferred",
                Fate::Refused(_) | Fate::Impossible(_) => "refused",
                Fate::Unknown => "unknown",
                _ => "unsent",
            };
            let mut one = json!({ "to": to.text, "outcome": outcome });
            if let (Fate::Unsent, Some(reply)) = (&fate, refused) {
                let transient = reply.code().class() == ReplyClass::TransientFailure;
                one["outcome"] = json!(if transient { "deferred" } else { "refused" });
                one["code"] = json!(reply.code().get());
                one["enhanced"] = json!(reply.enhanced().map(|code| code.to_string()));
                one["reply"] = json!(reply.to_string());
            }
            match fate {
                Fate::Accepted(reply) | Fate::Refused(reply) => {
                    one["code"] = json!(reply.code().get());
                    one["enhanced"] = json!(reply.enhanced().map(|code| code.to_string()));
                    one["reply"] = json!(reply.to_string());
                }
                Fate::Impossible(reason) => one["reason"] = json!(reason.to_string()),
                _ => {}
            }
            one
        })
        .collect();
    let line = json!({
        "message": message.source.name, "size": message.size, "from": from, "tls": tls, "recipients": recipients, "error": error,
    });
    let _ = print(line);
}
