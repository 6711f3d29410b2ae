//! The report for people.

use ehlo_codes::{SaslMechanism, ServiceExtension};

use super::Begin;
use super::certificate::Certificate;
use super::look::Found;
use super::seen::{Offer, Reply};
use super::warnings::{Warning, days};
use crate::explain::wrap::entry;

/// Where the second column begins.
const COLUMN: usize = 13;
/// Where the meaning of a keyword begins.
const MEANING: usize = 35;

/// Everything, under headings. Nothing, if the server has said nothing.
pub(super) fn report(found: &Found, warnings: &[Warning], now: i64) -> String {
    let mut page = Page(String::new());
    let seen = &found.seen;
    if seen.greeting.is_none() && seen.tls.is_none() {
        return page.0;
    }
    page.row("server", &found.server);
    if let Some(greeting) = &seen.greeting {
        page.reply("greeting", greeting);
    }
    if let Some(refusal) = seen.refusal.as_ref().filter(|_| seen.clear.is_none() && seen.inside.is_none()) {
        page.reply("EHLO", refusal);
    }
    if let Some(offer) = seen.inside.as_ref().or(seen.clear.as_ref()) {
        page.row(offer.command, offer.reply.lines.first().map_or("", String::as_str));
    }
    page.offers(seen.clear.as_ref(), seen.inside.as_ref());
    page.tls(found);
    if let Some(Ok(certificate)) = &found.certificate {
        page.certificate(certificate, now);
    }
    // Of a server that was not looked at to its end, that would be too good a report.
    if !warnings.is_empty() || found.failure.is_none() {
        page.warnings(warnings);
    }
    page.0
}

struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        self.0.push('\n');
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn row(&mut self, label: &str, text: &str) {
        entry(&mut self.0, 0, label, COLUMN, text);
    }

    fn indented(&mut self, label: &str, text: &str) {
        entry(&mut self.0, 2, label, COLUMN, text);
    }

    fn reply(&mut self, label: &str, reply: &Reply) {
        for (number, line) in reply.lines.iter().enumerate() {
            self.row(if number == 0 { label } else { "" }, &format!("{} {line}", reply.code));
        }
    }

    /// One row for each keyword with its parameters, and for each mechanism of AUTH, and where it was seen.
    fn offers(&mut self, clear: Option<&Offer>, inside: Option<&Offer>) {
        if clear.is_none() && inside.is_none() {
            return;
        }
        self.heading("clear  TLS   offers");
        let mut rows: Vec<Row> = Vec::new();
        for (offer, side) in [(clear, 0), (inside, 1)] {
            for new in offer.map(rows_of).unwrap_or_default() {
                if let Some(row) = rows.iter_mut().find(|row| row.is_same(&new)) {
                    row.seen[side] = true;
                    continue;
                }
                // Beside the same keyword with other parameters, if there is one.
                let at = rows.iter().rposition(|row| row.keyword == new.keyword).map_or(rows.len(), |at| at + 1);
                rows.insert(at, new);
                rows[at].seen[side] = true;
            }
        }
        for row in &rows {
            let mark = |there: bool, asked: bool| match (there, asked) {
                (true, _) => "yes",
                (false, true) => "no",
                (false, false) => "-",
            };
            let (clear, inside) = (mark(row.seen[0], clear.is_some()), mark(row.seen[1], inside.is_some()));
            entry(&mut self.0, 0, &format!("{clear:<7}{inside:<6}{}", row.label), MEANING, &row.meaning);
        }
        if rows.is_empty() {
            self.0.push_str("nothing\n");
        }
    }

    fn tls(&mut self, found: &Found) {
        let Some(tls) = found.seen.tls else { return };
        self.heading(match found.begin {
            Begin::Implicit => "TLS from the first octet on",
            _ => "TLS by STARTTLS",
        });
        self.indented("version", tls.version);
        self.indented("cipher", tls.cipher);
        let verified = match &found.unverified {
            None if tls.verified => format!("yes, for {}", found.name),
            None => "no".to_owned(),
            Some(cause) => format!("no: {cause}"),
        };
        self.indented("verified", &verified);
    }

    fn certificate(&mut self, certificate: &Certificate, now: i64) {
        self.heading("Certificate");
        self.indented("subject", or_none(&certificate.subject));
        let mut names = certificate.names.join(", ");
        if certificate.more_names > 0 {
            names += &format!(" and {} more", certificate.more_names);
        }
        self.indented("names", or_none(&names));
        let own = if certificate.self_issued { " (itself)" } else { "" };
        self.indented("issuer", &format!("{}{own}", or_none(&certificate.issuer)));
        self.indented("begins", &certificate.begins.text);
        let left = certificate.days_left(now);
        let left =
            if left < 0 { format!("{} ago", days(certificate.days_over(now))) } else { format!("{} left", days(left)) };
        self.indented("ends", &format!("{}, {left}", certificate.ends.text));
    }

    fn warnings(&mut self, warnings: &[Warning]) {
        match warnings.len() {
            0 => self.heading("No warnings"),
            1 => self.heading("1 warning"),
            count => self.heading(&format!("{count} warnings")),
        }
        for warning in warnings {
            entry(&mut self.0, 2, "-", 4, &warning.text);
        }
    }
}

/// A keyword with its parameters, or a mechanism of AUTH.
struct Row {
    keyword: String,
    label: String,
    meaning: String,
    /// In clear, and inside TLS.
    seen: [bool; 2],
}

impl Row {
    fn is_same(&self, other: &Self) -> bool {
        self.label.eq_ignore_ascii_case(&other.label) && self.meaning.eq_ignore_ascii_case(&other.meaning)
    }
}

fn rows_of(offer: &Offer) -> Vec<Row> {
    let mut rows = Vec::new();
    let row = |keyword: &str, label: String, meaning: String| Row {
        keyword: keyword.to_owned(),
        label,
        meaning,
        seen: [false; 2],
    };
    for (keyword, rest) in offer.keywords() {
        let title = ServiceExtension::by_keyword(&keyword).map_or("not registered", |row| row.title);
        if keyword == "AUTH" {
            rows.push(row(&keyword, keyword.clone(), title.to_owned()));
            for mechanism in rest.split_ascii_whitespace() {
                let meaning = SaslMechanism::by_name(mechanism).map_or("not registered", |row| first(row.meaning));
                rows.push(row(&keyword, format!("  {mechanism}"), meaning.to_owned()));
            }
            continue;
        }
        let mut meaning = title.to_owned();
        if !rest.is_empty() {
            meaning += ": ";
            meaning += rest;
        }
        match (keyword.as_str(), rest.parse::<u64>()) {
            // RFC 1870 §4.
            ("SIZE", Ok(0)) => meaning += " (no fixed limit)",
            ("SIZE", Ok(octets)) => meaning += &format!(" ({})", size(octets)),
            _ => {}
        }
        rows.push(row(&keyword, keyword.clone(), meaning));
    }
    rows
}

/// What a sentence begins with, as far as it stands for itself.
fn first(text: &str) -> &str {
    text.split(". ").next().and_then(|text| text.split("; ").next()).unwrap_or(text).trim_end_matches('.')
}

/// Octets in a unit that fits, rounded down: a message of that size is taken.
fn size(octets: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if octets >> shift > 0 {
            let tenths = (u128::from(octets) * 10) >> shift;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                tenth => format!("{}.{tenth} {unit}", tenths / 10),
            };
        }
    }
    format!("{octets} octets")
}

const fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mechanism_means_is_told_in_short() {
        assert_eq!(first("User name and password as they are. Under TLS only."), "User name and password as they are");
        assert_eq!(first("Salted; both sides."), "Salted");
        assert_eq!(first("Bound to TLS."), "Bound to TLS");
    }

    #[test]
    fn sizes_are_rounded_down() {
        for (octets, text) in [
            (0, "0 octets"),
            (1023, "1023 octets"),
            (1024, "1 KiB"),
            (10_485_760, "10 MiB"),
            (10_485_759, "9.9 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(octets), text);
        }
    }
}
