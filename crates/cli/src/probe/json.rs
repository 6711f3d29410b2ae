//! The report for programs.

use ehlo_codes::ServiceExtension;
use serde_json::{Value, json};

use super::Begin;
use super::certificate::Certificate;
use super::look::{Found, TlsFault};
use super::seen::{Offer, Reply};
use super::warnings::Warning;

/// One object, whatever was found out; what was not is null.
pub(super) fn report(found: &Found, warnings: &[Warning], now: i64) -> String {
    let seen = &found.seen;
    let value = json!({
        "server": found.server,
        "name": found.name,
        "greeting": seen.greeting.as_ref().map(reply),
        "refusal": seen.refusal.as_ref().map(reply),
        "clear": seen.clear.as_ref().map(offer),
        "starttls": (found.begin == Begin::Starttls).then(|| json!({
            "offered": seen.clear.as_ref().map(|offer| offer.has("STARTTLS")),
            "reply": seen.starttls.as_ref().map(reply),
            "fault": found.tls_fault.as_ref().map(|fault| match fault {
                TlsFault::Injected => "octets in clear behind the 220",
                TlsFault::Other(cause) => cause.as_str(),
            }),
        })),
        "tls": seen.tls.map(|tls| json!({
            "begins": found.begin.as_str(),
            "version": tls.version,
            "cipher": tls.cipher,
            "verified": tls.verified,
            "reason": found.unverified,
        })),
        "certificate": found.certificate.as_ref().and_then(|read| read.as_ref().ok()).map(|read| certificate(read, now)),
        "inside": seen.inside.as_ref().map(offer),
        "warnings": warnings.iter().map(|one| json!({ "id": one.id, "text": one.text })).collect::<Vec<_>>(),
        "error": found.failure.as_ref().map(|failure| failure.message.as_str()),
    });
    format!("{value:#}\n")
}

fn reply(reply: &Reply) -> Value {
    json!({ "code": reply.code, "lines": reply.lines })
}

fn offer(offer: &Offer) -> Value {
    let extensions: Vec<Value> = offer
        .keywords()
        .map(|(keyword, rest)| {
            let row = ServiceExtension::by_keyword(&keyword);
            json!({
                "keyword": keyword,
                "parameters": rest,
                "title": row.map(|row| row.title),
                "reference": row.map(|row| row.reference),
            })
        })
        .collect();
    let limits = offer.capabilities.limits();
    json!({
        "command": offer.command,
        "greeting": offer.reply.lines.first(),
        "extensions": extensions,
        "size": offer.capabilities.max_size(),
        "auth": offer.mechanisms(),
        "limits": {
            "mailmax": limits.mail_max(),
            "rcptmax": limits.rcpt_max(),
            "rcptdomainmax": limits.rcpt_domain_max(),
        },
    })
}

fn certificate(read: &Certificate, now: i64) -> Value {
    json!({
        "subject": read.subject,
        "issuer": read.issuer,
        "names": read.names,
        "more_names": read.more_names,
        "fits_name": read.fits,
        "self_issued": read.self_issued,
        "begins": read.begins.text,
        "ends": read.ends.text,
        "days_left": read.days_left(now),
    })
}
