//! The pages of the tables beside those of codes.

use std::fmt::Write as _;

use super::{defined_by, head, prose};
use crate::codegen::Generated;
use crate::codegen::data::{Extension, Parameter, Registry, Vendor};

pub(super) fn files(registry: &Registry) -> Vec<Generated> {
    vec![
        Generated { path: "docs/src/reference/extensions.md", text: extensions(registry) },
        Generated { path: "docs/src/reference/sasl-mechanisms.md", text: sasl(registry) },
        Generated { path: "docs/src/reference/with-protocols.md", text: with(registry) },
        Generated { path: "docs/src/reference/vendor-codes.md", text: vendor(registry) },
    ]
}

fn extensions(registry: &Registry) -> String {
    let mut out = head("Service extensions", "crates/codes/data");
    out.push_str(
        "What a server may offer in its reply to EHLO (RFC 5321 §2.2), one keyword a line. A client uses only what is offered.\n\n\
         | keyword | | standing | line of MAIL | line of RCPT |\n|---|---|---|---|---|\n",
    );
    let longer = |octets: u16| if octets == 0 { String::new() } else { format!("+{octets}") };
    for row in &registry.extensions {
        line!(
            out,
            "| [{}](#{}) | {} | {} | {} | {} |",
            row.keyword,
            row.keyword.to_ascii_lowercase(),
            prose(&row.title),
            row.standing.words(),
            longer(row.mail_line),
            longer(row.rcpt_line)
        );
    }
    for row in &registry.extensions {
        extension(&mut out, registry, row);
    }
    out
}

fn extension(out: &mut String, registry: &Registry, row: &Extension) {
    let anchor = row.keyword.to_ascii_lowercase();
    line!(out, "\n## {}: {} {{#{anchor}}}\n\n{}\n", row.keyword, prose(&row.title), prose(&row.meaning));
    line!(out, "- {}", defined_by(&row.reference, row.standing));
    if let Some(replaces) = &row.replaces {
        line!(out, "- Takes the place of: {replaces}");
    }
    line!(out, "- Parameter of EHLO: {}", row.parameter.as_deref().map_or_else(|| "none".to_owned(), prose));
    if !row.verbs.is_empty() {
        line!(out, "- Adds commands: {}", row.verbs.join(", "));
    }
    if let Some(limits) = &row.limits {
        line!(out, "- Limits: {}", prose(limits));
    }
    for (verb, octets) in [("MAIL", row.mail_line), ("RCPT", row.rcpt_line)] {
        if octets > 0 {
            line!(out, "- Line of {verb}: up to {octets} octets longer");
        }
    }
    let submission = match row.submission {
        None => "nothing is said",
        Some("Must") => "must be there",
        Some("Should") => "should be there",
        Some("May") => "may be there",
        Some(_) => "must not be there",
    };
    line!(out, "- Between servers: {}; on the submission port: {submission}", if row.relay { "yes" } else { "no" });
    if let Some(note) = &row.note {
        line!(out, "- Note: {}", prose(note));
    }
    let parameters: Vec<&Parameter> =
        registry.parameters.iter().filter(|parameter| parameter.extension == row.keyword).collect();
    if !parameters.is_empty() {
        out.push_str("\n| parameter | of | value | longest | |\n|---|---|---|---|---|\n");
    }
    for parameter in parameters {
        let value = parameter.value.as_deref().map_or_else(|| "none".to_owned(), prose);
        let octets = parameter.octets.map(|octets| octets.to_string()).unwrap_or_default();
        let Parameter { name, verb, meaning, reference, .. } = parameter;
        line!(out, "| {name} | {verb} | {value} | {octets} | {} ({reference}) |", prose(meaning));
    }
}

fn sasl(registry: &Registry) -> String {
    let mut out = head("SASL mechanisms", "crates/codes/data");
    out.push_str(
        "What a server may list behind [AUTH](extensions.md#auth) (RFC 4954, RFC 4422). One that shows a password or token to whoever reads the\n\
         exchange must be used under TLS only.\n\n\
         | mechanism | use | shows a secret | | defined by |\n|---|---|---|---|---|\n",
    );
    for row in &registry.mechanisms {
        line!(
            out,
            "| {} | {} | {} | {} | {} ({}) |",
            row.name,
            row.usage.to_ascii_lowercase(),
            if row.secret { "yes" } else { "no" },
            prose(&row.meaning),
            row.reference,
            row.standing.words()
        );
    }
    out
}

fn with(registry: &Registry) -> String {
    let mut out = head("Protocols of Received fields", "crates/codes/data");
    out.push_str(
        "What stands behind `with` in a Received field (RFC 5321 §4.4): how the session was.\n\n\
         | name | | defined by |\n|---|---|---|\n",
    );
    for row in &registry.withs {
        line!(out, "| {} | {} | {} ({}) |", row.name, prose(&row.meaning), row.reference, row.standing.words());
    }
    out
}

fn vendor(registry: &Registry) -> String {
    let mut out = head("Codes of providers", "crates/codes/data");
    out.push_str(
        "What large providers mean by a code. It may differ from what the [registry](enhanced-codes.md) says, and the same code may mean\n\
         several things; the text of the reply decides.\n",
    );
    let mut providers: Vec<&str> = registry.vendors.iter().map(|row| row.provider.as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    for provider in providers {
        line!(out, "\n## {provider}\n\n| reply | code | means | what to do | from |\n|---|---|---|---|---|");
        for row in registry.vendors.iter().filter(|row| row.provider == provider) {
            let reply = row.reply.map(|code| format!("[{code}](reply-codes.md#c{code})")).unwrap_or_default();
            let (meaning, advice) = (prose(&row.meaning), prose(&row.advice));
            line!(out, "| {reply} | {} | {meaning} | {advice} | {} |", code(registry, row), row.source);
        }
    }
    out
}

/// The code, with a link to the registry if it is there.
fn code(registry: &Registry, row: &Vendor) -> String {
    let Vendor { class, subject, detail, last, .. } = row;
    let registered = registry.details.iter().any(|row| (row.subject, row.detail) == (*subject, *detail));
    match (detail == last, registered) {
        (false, _) => format!("{class}.{subject}.{detail} to {last}"),
        (true, true) => format!("[{class}.{subject}.{detail}](enhanced-codes.md#x-{subject}-{detail})"),
        (true, false) => format!("{class}.{subject}.{detail}"),
    }
}
