//! The text format of Prometheus, version 0.0.4.

use std::fmt::{self, Write as _};

use ehlo_server::codec::Verb;
use ehlo_server::{CloseReason, CommandCounts, Reason};

use super::{CODES, Count, FIRST_CODE, Metrics, QUESTIONS};
use crate::hub::Gauges;

/// A page in the making.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        self.line(format_args!("# HELP ehlo_{name} {help}"));
        self.line(format_args!("# TYPE ehlo_{name} {kind}"));
        Family { page: self, name: name.to_owned() }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }
}

/// The samples of one name.
struct Family<'p> {
    page: &'p mut Page,
    name: String,
}

impl Family<'_> {
    fn is(self, value: u64) {
        self.page.line(format_args!("ehlo_{} {value}", self.name));
    }

    /// With a label. The values of labels here are words and numbers, in which nothing has to be escaped.
    fn with(&mut self, label: &str, word: impl fmt::Display, value: u64) -> &mut Self {
        self.page.line(format_args!("ehlo_{}{{{label}=\"{word}\"}} {value}", self.name));
        self
    }
}

pub(super) fn render(metrics: &Metrics) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    let now = metrics.hubs().iter().map(|hub| hub.gauges()).fold(Gauges::default(), Gauges::and);
    connections(&mut page, metrics, &now);
    dialogue(&mut page, metrics);
    messages(&mut page, metrics);
    safety(&mut page, metrics, &now);
    page.gauge("build_info", "The version that runs; its value is always 1.").with(
        "version",
        env!("CARGO_PKG_VERSION"),
        1,
    );
    page.0
}

fn connections(page: &mut Page, metrics: &Metrics, now: &Gauges) {
    page.counter("smtp_connections_total", "Connections that were let in.").is(metrics.get(Count::Connections));
    page.gauge("smtp_connections_open", "Connections that are open now.").is(now.open);
    page.gauge("smtp_connections_limit", "Connections that may be open at a time.").is(now.total);
    page.counter("smtp_connections_refused_total", "Connections that were answered 421 because of a limit.")
        .with("limit", "total", metrics.get(Count::RefusedTotal))
        .with("limit", "address", metrics.get(Count::RefusedPerAddress));
    let mut closed = page.counter("smtp_connections_closed_total", "Sessions that ended, by the reason.");
    for (number, name) in CloseReason::NAMES.iter().enumerate() {
        closed.with("reason", name, metrics.sum(|shard| shard.closes.get(number)));
    }
    page.counter("smtp_accept_errors_total", "Failures to accept connections, each with a rest behind it.")
        .is(metrics.get(Count::AcceptErrors));
    page.counter("smtp_tls_handshakes_total", "TLS handshakes that came to an end.")
        .with("result", "done", metrics.get(Count::Handshakes))
        .with("result", "failed", metrics.get(Count::FailedHandshakes));
    page.counter("smtp_authentications_total", "AUTH exchanges that came to an end.")
        .with("result", "done", metrics.get(Count::Authentications))
        .with("result", "failed", metrics.get(Count::FailedAuthentications));
}

fn dialogue(page: &mut Page, metrics: &Metrics) {
    let mut commands = page.counter("smtp_commands_total", "Command lines, by verb, whatever became of them.");
    for (kind, verb) in CommandCounts::kinds().enumerate() {
        let word = verb.map_or("other", Verb::as_str);
        commands.with("verb", word, metrics.sum(|shard| shard.commands.get(kind)));
    }
    let mut replies = page.counter("smtp_replies_total", "Replies, by code; those that were never given are left out.");
    for (place, code) in (0..CODES).zip(FIRST_CODE..) {
        let count = metrics.sum(|shard| shard.replies.get(place));
        if count > 0 {
            replies.with("code", code, count);
        }
    }
    let mut open = page.gauge("smtp_questions_open", "Decisions that are waited for now, and messages being stored.");
    for (number, question) in QUESTIONS.iter().enumerate() {
        // They are not looked at in one moment.
        let answered = metrics.sum(|shard| shard.answered.get(number));
        let asked = metrics.sum(|shard| shard.asked.get(number));
        open.with("question", question, asked.saturating_sub(answered));
    }
    let mut timeouts = page.counter("smtp_timeouts_total", "Deadlines that passed, by what was waited for.");
    for (number, reason) in Reason::ALL.iter().enumerate() {
        timeouts.with("reason", reason.as_str(), metrics.sum(|shard| shard.timeouts.get(number)));
    }
    page.counter("smtp_received_bytes_total", "Octets of SMTP that were read; inside TLS, what was in its records.")
        .is(metrics.get(Count::ReceivedBytes));
    page.counter("smtp_sent_bytes_total", "Octets of SMTP that were written; inside TLS, what was in its records.")
        .is(metrics.get(Count::SentBytes));
}

fn messages(page: &mut Page, metrics: &Metrics) {
    page.counter("smtp_messages_total", "Messages that were begun, by what became of them.")
        .with("outcome", "accepted", metrics.get(Count::Accepted))
        .with("outcome", "refused", metrics.get(Count::Refused))
        .with("outcome", "aborted", metrics.get(Count::Aborted));
    page.counter("smtp_message_bytes_total", "Octets of accepted messages, without dot-stuffing.")
        .is(metrics.get(Count::AcceptedBytes));
}

fn safety(page: &mut Page, metrics: &Metrics, now: &Gauges) {
    page.gauge("smtp_stressed", "1 while so many connections are open that clients are given less time.")
        .is(now.stressed);
    page.gauge("smtp_held_bytes", "Memory that clients make sessions hold, beyond what each has for itself.")
        .is(now.memory);
    page.gauge("smtp_held_bytes_limit", "How much that may be.").is(now.memory_limit);
    page.counter("smtp_sessions_shed_total", "Sessions that were closed with 421 because memory was short.")
        .is(metrics.get(Count::Shed));
    page.counter(
        "smtp_starttls_violations_total",
        "Connections that were closed because of clear text behind STARTTLS.",
    )
    .is(metrics.get(Count::StartTlsViolations));
    page.counter("smtp_bad_proxy_headers_total", "Connections of proxies that had no valid header.")
        .is(metrics.get(Count::BadProxyHeaders));
    page.counter("smtp_log_lines_left_out_total", "Log lines beyond what one peer may cause.")
        .is(metrics.get(Count::LinesLeftOut));
}
