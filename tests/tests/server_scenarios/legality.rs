//! Each reply that the session gives by itself is one that the registry of replies allows at that moment.

use ehlo_server::codec::codes::{Fault, Faults, Stage};
use ehlo_server::codec::{CommandLine, EnhancedCode, ReplyCode};

use crate::bare::{self, Cause, LoggedReply};
use crate::splits::{Cuts, Plan, Reading};

/// The moment at which the reply came, and its code.
fn stage(reply: &LoggedReply, first: bool) -> (Stage, ReplyCode) {
    let code = reply.line[..3].parse().ok().and_then(ReplyCode::new).expect("the runner has checked the digits");
    let stage = if first {
        Stage::Connect
    } else if reply.in_message {
        Stage::DataEnd
    } else if reply.in_exchange {
        Stage::AuthResponse
    } else {
        let line = reply.command.strip_suffix(b"\r\n").or(reply.command.strip_suffix(b"\n")).unwrap_or(&reply.command);
        CommandLine::split(line).verb.map_or(Stage::UnknownVerb, Stage::Verb)
    };
    (stage, code)
}

#[test]
fn every_reply_is_legal_for_what_it_answers() {
    let plan = Plan { cuts: Cuts::Every(1), reading: Reading::AtOnce };
    let (mut checked, mut wrong) = (0, Vec::new());
    for scenario in crate::scenarios() {
        let run = bare::play(&scenario, &plan).unwrap_or_else(|error| panic!("{error}"));
        for (index, reply) in run.replies.iter().enumerate() {
            if reply.foreign || reply.cause == Cause::Unknown {
                continue;
            }
            let (stage, code) = stage(reply, index == 0);
            // RFC 5321 §3.8: a server that has to close says 421, whatever it was asked or not.
            let unasked =
                matches!(reply.cause, Cause::Time | Cause::Shutdown) && code == ReplyCode::SERVICE_NOT_AVAILABLE;
            if !unasked && !stage.permits(code) {
                wrong.push(format!("{}: {} answers {stage:?}", scenario.name, reply.line));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "replies that no RFC allows:\n{}", wrong.join("\n"));
    assert!(checked > 500, "only {checked} replies were looked at");
}

/// What is said although the registry has a fault to find with it: X.4.6 was meant for what may pass (RFC 3463 §3.5), but a message that
/// has been around too often has no fewer fields the next time. Row S113, and what other servers say.
fn is_chosen(reply: &str, fault: Fault) -> bool {
    reply.starts_with("554 5.4.6 ") && fault == Fault::ClassNotMeant
}

#[test]
fn enhanced_codes_are_registered_and_agree_with_their_replies() {
    let plan = Plan { cuts: Cuts::None, reading: Reading::AtOnce };
    let (mut checked, mut wrong) = (0, Vec::new());
    for scenario in crate::scenarios() {
        let run = bare::play(&scenario, &plan).unwrap_or_else(|error| panic!("{error}"));
        for reply in run.replies.iter().filter(|reply| !reply.foreign) {
            let code = reply.line[..3].parse().ok().and_then(ReplyCode::new);
            let word = reply.line[4..].split(' ').next().unwrap_or_default();
            let Ok(enhanced) = word.parse::<EnhancedCode>() else { continue };
            checked += 1;
            // RFC 3463 §2: no leading zeros, so that what was read is written the same.
            if enhanced.to_string() != word {
                wrong.push(format!("{}: {} has leading zeros", scenario.name, reply.line));
            }
            // RFC 5248 §2.4: what a registration names are examples.
            let faults = Faults::of(code, Some(enhanced));
            wrong.extend(
                faults
                    .iter()
                    .filter(|fault| *fault != Fault::OtherReplyNamed && !is_chosen(&reply.line, *fault))
                    .map(|fault| format!("{}: {}: {fault}", scenario.name, reply.line)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 500, "only {checked} enhanced codes were looked at");
}
