//! No reply of the server goes untried: each one in its sources is seen in some scenario.

use std::collections::BTreeSet;
use std::path::Path;

use crate::bare;
use crate::splits::{Cuts, Plan, Reading};

/// Replies that no scenario can show, each with the reason.
const OUT_OF_REACH: &[(&str, &str)] = &[
    (
        "550 5.7.1 Refused",
        "stands in for a reply of the wrong class, which is a fault of the application that a debug build panics at",
    ),
    (
        "421 4.7.0 Commands in clear behind STARTTLS, closing",
        "depends on how the stream is cut, which no other reply does; crates/server/tests/starttls.rs has it in each way",
    ),
    ("501 5.5.4 URI is malformed", "answers a command that this server does not implement"),
];

/// Where replies are written down, and how many there are at the least: a changed notation must not pass for a tested one.
const SOURCES: &[(&str, usize)] =
    &[("../crates/server/src/replies.rs", 30), ("../crates/codec/src/command/error.rs", 16)];

/// The replies in a source, as `CODE CLASS.SUBJECT.DETAIL TEXT`: `= 250 (2, 0, 0) "Ok"`, and `fixed(501, Some((5, 5, 4)), "...")`.
fn replies(source: &str) -> Vec<String> {
    // One line of source may be wrapped into two.
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (marker, before_code, before_text) in
        [(" = ", " (", ") \""), ("Reply::fixed( ", ", Some((", ")), \""), ("Reply::fixed(", ", Some((", ")), \"")]
    {
        for (at, _) in source.match_indices(marker) {
            let rest = &source[at + marker.len()..];
            let Some((code, rest)) = rest.split_at_checked(3) else { continue };
            let Some(rest) = rest.strip_prefix(before_code) else { continue };
            let Some((enhanced, rest)) = rest.split_once(before_text) else { continue };
            let Some((text, _)) = rest.split_once('"') else { continue };
            let enhanced = enhanced.replace(", ", ".");
            let is_code = enhanced.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            if code.bytes().all(|b| b.is_ascii_digit()) && is_code {
                found.push(format!("{code} {enhanced} {text}"));
            }
        }
    }
    found
}

#[test]
fn every_reply_of_the_server_is_seen_in_a_scenario() {
    let plan = Plan { cuts: Cuts::None, reading: Reading::AtOnce };
    let mut seen = BTreeSet::new();
    for scenario in crate::scenarios() {
        let run = bare::play(&scenario, &plan).unwrap_or_else(|error| panic!("{error}"));
        seen.extend(run.replies.into_iter().map(|reply| reply.line));
    }
    let mut missing = Vec::new();
    for (path, least) in SOURCES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // What tests make is no reply of the server.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let replies = replies(source);
        assert!(replies.len() >= *least, "{}: only {} replies were found", path.display(), replies.len());
        missing.extend(replies.into_iter().filter(|reply| !is_seen(&seen, reply)));
    }
    for (reply, reason) in OUT_OF_REACH {
        let position = missing.iter().position(|missing| missing == reply);
        let Some(position) = position else { panic!("{reply} is in reach, although it is said that it {reason}") };
        missing.swap_remove(position);
    }
    assert!(missing.is_empty(), "no scenario shows\n{}", missing.join("\n"));
}

/// Whether the reply came, as it stands or without its enhanced code, as answers to EHLO and HELO and greetings do (RFC 2034 §4).
fn is_seen(seen: &BTreeSet<String>, reply: &str) -> bool {
    let without = reply.split_once(' ').and_then(|(code, rest)| Some(format!("{code} {}", rest.split_once(' ')?.1)));
    seen.contains(reply) || without.is_some_and(|reply| seen.contains(&reply))
}
