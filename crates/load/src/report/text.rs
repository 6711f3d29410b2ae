//! The report for people: at most 100 columns, readable without colours.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Row, Table, TableComponent};

use super::units::{bytes, count, duration, number, percent};
use super::{Quantiles, Report};
use crate::latency::{Percentile, Phase};
use crate::verdict::Status;

/// The column where values begin.
const INDENT: usize = 14;

/// The column at which sentences are broken.
const WIDTH: usize = 96;

/// How the text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Use colours, as escape sequences of a terminal. Never in a file or a pipe.
    pub colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Good, doubtful or bad.
    fn judged(self, status: Status, text: &str) -> String {
        let code = match status {
            Status::Valid => "1;32",
            Status::Suspect => "1;33",
            Status::Invalid => "1;31",
        };
        self.paint(code, text)
    }
}

/// Renders a report. The text ends in a line end.
#[must_use]
pub fn text(report: &Report, style: Style) -> String {
    let mut out = Out { text: String::new(), style };
    head(&mut out, report);
    // Where nothing was accepted there are no figures.
    if report.latency.0.iter().any(|it| it.service.count > 0 || it.refused.is_some()) {
        latency(&mut out, report);
    }
    if report.totals.accepted > 0 {
        figures(&mut out, report);
    }
    outcome(&mut out, report);
    verdict(&mut out, report);
    out.text
}

struct Out {
    text: String,
    style: Style,
}

impl Out {
    /// A named value, broken into lines at spaces.
    fn line(&mut self, name: &str, value: &str) {
        let mut first = true;
        for piece in wrap(value, WIDTH - INDENT) {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{:<INDENT$}{piece}", if first { name } else { "" });
            first = false;
        }
    }

    /// A line of its own, below a table.
    fn note(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn plural(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

fn head(out: &mut Out, report: &Report) {
    let config = &report.config;
    let target = if config.embedded {
        format!("{}, started for this run in a process of its own", config.address)
    } else if config.target == config.address || config.address.is_empty() {
        config.target.clone()
    } else {
        format!("{} ({})", config.target, config.address)
    };
    out.line("Target", &target);

    let kind = match (config.rate, &report.peak) {
        (Some(rate), Some(_)) => format!("open loop at {} messages/s, half the peak", number(rate)),
        (Some(rate), None) => format!("open loop at {} messages/s", number(rate)),
        (None, _) => "closed loop, as fast as the server answers".to_owned(),
    };
    let kept = if config.reconnect { "one message each" } else { "kept open" };
    // What a server offers is known once it has answered EHLO.
    let asked = report.latency.0.iter().any(|it| it.phase == Phase::Ehlo && it.service.count > 0);
    let flights = match (config.pipelined, config.pipelining) {
        (true, _) => ", pipelined",
        (false, true) if asked => ", not pipelined: the server does not offer it",
        (false, true) => "",
        (false, false) => ", not pipelined",
    };
    out.line(
        "Load",
        &format!(
            "{kind}; {}, {kept}{flights}; {}",
            plural(config.connections as u64, "connection"),
            plural(config.threads as u64, "thread"),
        ),
    );

    let corpus = &report.corpus;
    let mean = if corpus.messages == 0 { 0.0 } else { corpus.bytes as f64 / corpus.messages as f64 };
    let mut messages = format!("{}: {}, ", corpus.source, count(corpus.messages));
    if corpus.smallest == corpus.largest {
        let _ = write!(messages, "each {}", bytes(mean));
    } else {
        let (smallest, largest) = (bytes(corpus.smallest as f64), bytes(corpus.largest as f64));
        let _ = write!(messages, "{smallest} to {largest}, mean {}", bytes(mean));
    }
    for (n, what) in [
        (corpus.converted, "with LF sent as CRLF"),
        (corpus.normalized, "with line ends normalized"),
        (corpus.completed, "with an end added to the last line"),
        (corpus.eight_bit, "with 8-bit text"),
        (corpus.skipped, "files left out"),
    ] {
        if n > 0 {
            let _ = write!(messages, "; {} {what}", count(n));
        }
    }
    out.line("Messages", &messages);

    let environment = &report.environment;
    let mut machine = plural(environment.cpus as u64, "processor");
    if let Some(cpu) = &environment.cpu {
        let _ = write!(machine, " ({cpu})");
    }
    if environment.target_is_local {
        machine.push_str(", shared with the server");
    }
    out.line("Machine", &machine);
    out.gap();
}

fn latency(out: &mut Out, report: &Report) {
    let open = report.config.rate.is_some();
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    let head = ["latency", "count", "p50", "p90", "p99", "p99.9", "max"];
    table.set_header(head);
    let mut withheld = false;
    let mut bounds = false;
    let mut add = |name: &str, quantiles: &Quantiles| {
        let mut cells = vec![name.to_owned(), count(quantiles.count)];
        for told in quantiles.percentiles.iter().chain([&quantiles.max]) {
            withheld |= *told == Percentile::Withheld;
            bounds |= matches!(told, Percentile::AtLeast(_));
            cells.push(cell(*told));
        }
        table.add_row(Row::from(cells));
    };
    for phase in &report.latency.0 {
        let name = label(phase.phase);
        if phase.phase == Phase::Transaction && open {
            add("transaction, service", &phase.service);
            if let Some(response) = &phase.response {
                add("  response", response);
            }
            if let Some(lag) = &phase.lag {
                add("  lag", lag);
            }
        } else {
            add(name, &phase.service);
        }
        if let Some(refused) = &phase.refused {
            add(&format!("{name}, refused"), refused);
        }
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(if i == 0 { CellAlignment::Left } else { CellAlignment::Right });
        column.set_padding((if i == 0 { 0 } else { 2 }, 0));
    }
    for line in table.lines() {
        // A frame without sides leaves blanks where they would be.
        out.text.push_str(line.trim_end());
        out.text.push('\n');
    }
    if open {
        out.note("service: from MAIL to the last reply; response: from the moment it was due; lag: between the two");
    } else if report.totals.accepted > 0 {
        out.note("Under saturation each message waits for others: these times tell of the length of the queue.");
    }
    if report.config.pipelined {
        out.note("flight: MAIL, RCPT and DATA in one write, to the last reply; reply gap: first to last reply of it");
    }
    if withheld {
        out.note("-: fewer than ten samples lie beyond this percentile");
    }
    if bounds {
        out.note("≥: at least; some messages that were due had not ended when the run did");
    }
    out.gap();
}

fn cell(told: Percentile) -> String {
    match told {
        Percentile::Value(ns) => duration(ns as f64),
        Percentile::AtLeast(ns) => format!("≥ {}", duration(ns as f64)),
        Percentile::Withheld => "-".to_owned(),
    }
}

const fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "connect",
        Phase::Banner => "banner",
        Phase::Ehlo => "EHLO",
        Phase::Mail => "MAIL",
        Phase::Rcpt => "RCPT",
        Phase::Data => "DATA",
        Phase::Flight => "flight",
        Phase::ReplyGap => "reply gap",
        Phase::EndOfData => "end of data",
        Phase::Transaction => "transaction",
    }
}

fn figures(out: &mut Out, report: &Report) {
    let cpu = |us: Option<f64>| us.map_or_else(|| "unknown".to_owned(), |us| duration(us * 1e3));
    if let Some(peak) = &report.peak {
        out.line(
            "Peak",
            &format!(
                "{} messages/s, {}/s (closed loop, saturated)",
                number(peak.throughput.messages_per_second),
                bytes(peak.throughput.bytes_per_second),
            ),
        );
    }
    let throughput = &report.throughput;
    let rate = format!(
        "{} messages/s, {}/s, over {}",
        number(throughput.messages_per_second),
        bytes(throughput.bytes_per_second),
        duration(throughput.window_s * 1e9),
    );
    out.line("Throughput", &out.style.strong(&rate));
    let server = match report.cpu.target_us_per_message {
        Some(us) => format!(", server {}", cpu(Some(us))),
        None => String::new(),
    };
    out.line("CPU/message", &format!("generator {}{server}", cpu(report.cpu.generator_us_per_message)));

    let mut generator = Vec::new();
    if let Some(ceiling) = &report.calibration {
        let rate = number(ceiling.messages_per_second);
        let raised =
            report.peak.as_ref().is_some_and(|it| it.throughput.messages_per_second >= ceiling.messages_per_second);
        generator.push(if raised {
            format!("reached {rate} messages/s at the peak, no more against a responder that does nothing")
        } else {
            format!("reaches {rate} messages/s against a responder that does nothing")
        });
    }
    if let Some(busy) = report.generator.busy.iter().copied().reduce(f64::max) {
        generator.push(format!("busy {} of the time", percent(busy)));
    }
    if !generator.is_empty() {
        out.line("Generator", &generator.join("; "));
    }
    if let Some(arrivals) = report.arrivals.filter(|it| it.unplaced > 0) {
        out.line(
            "Schedule",
            &format!(
                "{} of {} messages that were due found no idle connection",
                count(arrivals.unplaced),
                count(arrivals.due)
            ),
        );
    }
    out.gap();
}

fn outcome(out: &mut Out, report: &Report) {
    let totals = &report.totals;
    let mut messages = format!(
        "{} accepted, {} refused, {} failed",
        count(totals.accepted),
        count(totals.refused),
        count(totals.failed)
    );
    for (n, what) in [
        (totals.unknown, "sent and not answered"),
        (totals.unfinished, "unfinished"),
        (totals.recipients_refused, "recipients refused of messages accepted"),
    ] {
        if n > 0 {
            let _ = write!(messages, ", {} {what}", count(n));
        }
    }
    out.line("Outcome", &messages);
    match report.ended {
        "stopped" => out.line("Interrupted", "before its time: these are the results so far"),
        "gave_up" => out.line("Given up", "before its time: errors repeated, and nothing was accepted"),
        "ledger_full" => out.line("Cut short", "the account of messages for the integrity check was full"),
        _ => {}
    }
    let list = |entries: Vec<String>| if entries.is_empty() { "none".to_owned() } else { entries.join(", ") };
    let times = |(name, n): (String, &u64)| format!("{name} × {}", count(*n));
    out.line("Replies", &list(report.replies.iter().map(|(code, n)| times((code.to_string(), n))).collect()));
    if !report.refused.is_empty() {
        out.line("Refused by", &list(report.refused.iter().map(|(code, n)| times((code.to_string(), n))).collect()));
    }
    let errors = list(report.errors.iter().map(|(kind, n)| times((kind.replace('_', " "), n))).collect());
    out.line("Errors", &errors);
    if let Some(failure) = &report.first_failure {
        out.line("First failure", failure);
    }
    if let Some(report) = &report.integrity {
        let it = &report.findings;
        if report.ok {
            let mut line = format!("{} acknowledged, each stored once and unaltered", count(it.acknowledged));
            if it.unknown > 0 {
                let (stored, unknown) = (count(it.unknown_stored), count(it.unknown));
                let _ = write!(line, "; {stored} of {unknown} not answered were stored");
            }
            out.line("Integrity", &line);
        } else {
            let broken = format!("BROKEN: {} acknowledged, {} stored", count(it.acknowledged), count(it.stored));
            out.line("Integrity", &out.style.judged(Status::Invalid, &broken));
            for (finding, what) in [
                (&it.missing, "missing"),
                (&it.doubled, "doubled"),
                (&it.altered, "altered"),
                (&it.unacknowledged, "stored though not acknowledged"),
            ] {
                if finding.count > 0 {
                    out.line("", &format!("{what}: {finding}"));
                }
            }
            if it.unidentified > 0 {
                out.line("", &format!("stored without a readable id: {}", count(it.unidentified)));
            }
        }
    }
    out.gap();
}

fn verdict(out: &mut Out, report: &Report) {
    let status = report.verdict.status;
    let meaning = match status {
        Status::Invalid if report.totals.accepted == 0 => "nothing was measured",
        Status::Valid => "the figures can be believed",
        Status::Suspect => "something may have distorted the figures",
        Status::Invalid => "the figures say more about the generator or the machine than about the server",
    };
    out.line("Verdict", &format!("{}: {meaning}", out.style.judged(status, status.as_str())));
    for reason in &report.verdict.reasons {
        let mark = match reason.status {
            Status::Valid => "",
            Status::Suspect => "! ",
            Status::Invalid => "!! ",
        };
        for (i, piece) in wrap(&reason.text, WIDTH - INDENT - 5).iter().enumerate() {
            let lead = if i == 0 { format!("- {mark}") } else { "  ".to_owned() };
            let _ = writeln!(out.text, "{:INDENT$}{lead}{piece}", "");
        }
    }
}
