//! The page that has a rule for each reply. `tests/tests/cookbook.rs` serves by each of them.

use std::fmt::Write as _;

use super::{FIRST_DIGITS, head, prose};
use crate::codegen::Generated;
use crate::codegen::data::{Registry, Reply, Sense};

/// Where a refusal is most telling, if it can come there; otherwise at the first stage that the table names.
const PREFERRED: &[&str] = &["RCPT", "MAIL", "data-end"];

pub(super) fn files(registry: &Registry) -> Vec<Generated> {
    vec![Generated { path: "docs/src/guide/cookbook.md", text: page(registry) }]
}

fn page(registry: &Registry) -> String {
    let mut out = head("A rule for each reply", "crates/codes/data");
    out.push_str(
        "How does a program behave when a server answers 452? Put the rule into a file, and let the program talk to\n\n\
         ```sh\nehlo serve --rules rules.toml\n```\n\n\
         Each rule here answers always. [The page on rules](rules.md) tells how to have it answer one recipient, one client, each tenth time, by chance, or\n\
         late; and how to close or reset the connection instead. A code can be sent at any stage: `stage` decides, and those that are listed are where\n\
         the code has this meaning. What each code tells, and who can do what about it, is in [the reference](../reference/reply-codes.md).\n\n\
         What says yes (2yz, and 3yz but 334) is done as well, if it can be; what says no is not. Behind 421 the connection is closed.\n",
    );
    for (digit, title, meaning) in FIRST_DIGITS {
        line!(out, "\n## {digit}yz: {title} {{#{digit}yz}}\n\n{meaning}");
        for row in registry.replies.iter().filter(|row| row.code / 100 == *digit) {
            reply(&mut out, registry, row);
        }
    }
    out.push_str(
        "\n## 1yz: not SMTP {#1yz}\n\nNo SMTP server may send one (RFC 5321 §4.3.2), and so none can be a `reply`. `raw` sends any octets.\n",
    );
    for row in registry.replies.iter().filter(|row| row.code < 200) {
        line!(out, "\n### {} {} {{#c{}}}\n", row.code, row.title, row.code);
        recipe(&mut out, "rcpt", &format!("raw = \"{} {}\\r\\n\"", row.code, row.title));
    }
    out
}

fn reply(out: &mut String, registry: &Registry, row: &Reply) {
    line!(out, "\n### {} {} {{#c{}}}", row.code, row.title, row.code);
    for sense in &row.senses {
        let preferred = PREFERRED.iter().find(|stage| sense.stages.iter().any(|known| known == *stage));
        let usual = preferred.copied().or(sense.stages.first().map(String::as_str));
        let stage = usual.unwrap_or(if row.code < 300 { "NOOP" } else { "RCPT" });
        let title = sense.title.as_ref().unwrap_or(&row.title);
        match (&sense.title, &sense.meaning) {
            (Some(title), Some(meaning)) => line!(out, "\n**{}.** {}\n", prose(title), prose(meaning)),
            _ => line!(out, "\n{}\n", prose(&row.meaning)),
        }
        let enhanced = enhanced(registry, row, sense, stage).map(|code| format!("{code} ")).unwrap_or_default();
        let text = text(registry, row, stage, title);
        recipe(out, &name(stage), &format!("reply = \"{} {enhanced}{text}\"", row.code));
        let others: Vec<String> =
            sense.stages.iter().filter(|other| *other != stage).map(|other| format!("`{}`", name(other))).collect();
        if !others.is_empty() {
            line!(out, "\nAlso at {}.", others.join(", "));
        }
    }
    let registered: Vec<_> = registry.details_of(row.code).filter(|_| row.code / 100 != 3).collect();
    if !registered.is_empty() {
        out.push_str("\nWith the enhanced codes that are registered for it, and their titles as text:\n\n");
        for detail in registered {
            let class = row.code / 100;
            line!(
                out,
                "- `reply = \"{} {class}.{}.{}\"`: {}",
                row.code,
                detail.subject,
                detail.detail,
                prose(&detail.title)
            );
        }
    }
}

fn recipe(out: &mut String, stage: &str, what: &str) {
    out.push_str("```toml\n");
    // There is a response only to a challenge.
    if stage == "auth-response" {
        out.push_str("[[rule]]\nstage = \"auth\"\nreply = \"334 VXNlcm5hbWU6\"\n\n");
    }
    line!(out, "[[rule]]\nstage = \"{stage}\"\n{what}\n```");
}

/// The usual enhanced code of a meaning, where replies carry one (RFC 2034 §4).
fn enhanced(registry: &Registry, row: &Reply, sense: &Sense, stage: &str) -> Option<String> {
    let class = row.code / 100;
    if class == 3 || matches!(stage, "connect" | "EHLO" | "HELO" | "LHLO") {
        return None;
    }
    let (subject, detail) = sense.usual?;
    // Of a whole subject the first, if it is registered for the code, or else the one that tells nothing more.
    let first = || registry.details_of(row.code).any(|known| (known.subject, known.detail) == (subject, 1));
    Some(format!("{class}.{subject}.{}", detail.unwrap_or_else(|| u16::from(first()))))
}

/// What the text has to carry there, or else what the meaning is called.
fn text(registry: &Registry, row: &Reply, stage: &str, title: &str) -> String {
    let carried =
        registry.stages.iter().find(|known| known.stage == stage).map_or("Free", |known| known.text(row.code));
    match carried {
        "Domain" => "mx.example.org ESMTP".to_owned(),
        "Capabilities" => "mx.example.org".to_owned(),
        "ForwardPath" => format!("{title}: <ada@example.net>"),
        "Mailbox" => "Ada <ada@example.org>".to_owned(),
        "Challenge" => "VXNlcm5hbWU6".to_owned(),
        "Offset" => format!("1000 is the {}", title.to_lowercase()),
        _ => title.to_owned(),
    }
}

/// A stage as rules name it.
fn name(stage: &str) -> String {
    match stage {
        "data-end" => "message".to_owned(),
        "unknown-verb" => "unknown".to_owned(),
        stage => stage.to_ascii_lowercase(),
    }
}
