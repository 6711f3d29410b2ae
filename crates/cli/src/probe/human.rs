//! The report for people.

use ehlo_codes::ServiceExtension;

use super::Begin;
use super::certificate::Certificate;
use super::look::Found;
use super::seen::{Offer, Reply};
use super::warnings::{Warning, days};
use crate::explain::wrap::entry;

/// Where the second column begins.
const COLUMN: usize = 13;
/// Where the meaning of a keyword begins.
const MEANING: usize = 34;

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
    page.warnings(warnings);
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

    /// One row for each keyword with its parameters, and where it was seen.
    fn offers(&mut self, clear: Option<&Offer>, inside: Option<&Offer>) {
        if clear.is_none() && inside.is_none() {
            return;
        }
        self.heading("clear  TLS   offers");
        let mut rows: Vec<Row> = Vec::new();
        for (offer, is_inside) in [(clear, false), (inside, true)] {
            for (keyword, rest) in offer.into_iter().flat_map(Offer::keywords) {
                let same = |row: &&mut Row| row.keyword == keyword && row.rest.eq_ignore_ascii_case(rest);
                match rows.iter_mut().find(same) {
                    Some(row) => row.seen[usize::from(is_inside)] = true,
                    None => {
                        // Beside the same keyword with other parameters, if there is one.
                        let at = rows.iter().rposition(|row| row.keyword == keyword).map_or(rows.len(), |at| at + 1);
                        rows.insert(at, Row { keyword, rest: rest.to_owned(), seen: [!is_inside, is_inside] });
                    }
                }
            }
        }
        for row in &rows {
            let mark = |there: bool, asked: bool| match (there, asked) {
                (true, _) => "yes",
                (false, true) => "no",
                (false, false) => "-",
            };
            let (clear, inside) = (mark(row.seen[0], clear.is_some()), mark(row.seen[1], inside.is_some()));
            entry(&mut self.0, 0, &format!("{clear:<7}{inside:<6}{}", row.keyword), MEANING, &row.meaning());
        }
        if rows.is_empty() {
            self.0.push_str("no extensions\n");
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

/// A keyword with its parameters, and whether it was seen in clear and inside TLS.
struct Row {
    keyword: String,
    rest: String,
    seen: [bool; 2],
}

impl Row {
    fn meaning(&self) -> String {
        let mut text = match ServiceExtension::by_keyword(&self.keyword) {
            Some(row) => row.title.to_owned(),
            None => "not registered".to_owned(),
        };
        if !self.rest.is_empty() {
            text += ": ";
            text += &self.rest;
        }
        // RFC 1870 §4: 0 is no limit.
        match (self.keyword.as_str(), self.rest.parse::<u64>()) {
            ("SIZE", Ok(0)) => text += " (no fixed limit)",
            ("SIZE", Ok(octets)) => text += &format!(" ({})", size(octets)),
            _ => {}
        }
        text
    }
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
