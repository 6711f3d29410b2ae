//! Explanations for people.

use ehlo_codes::explain::{Remark, Verdict};
use ehlo_codes::{
    Advice, EnhancedCode, Explanation, Fault, Parameter, Party, ReplyMeaning, ReplyText, SaslMechanism,
    ServiceExtension, Stage, Standing, VendorCode, Verb, WithProtocol,
};

use super::item::{Item, Names, What};
use super::wrap::{entry, text};

/// The column of texts behind a label.
const COLUMN: usize = 13;

/// Everything that was asked for, with an empty line between.
pub(super) fn items(items: &[Item<'_>], after: Option<Stage>, bold: bool) -> String {
    let mut page = Page { out: String::new(), bold };
    for item in items {
        page.gap();
        match &item.what {
            What::Reply(explanation) => page.reply(explanation, after),
            What::Name(names) => page.names(names),
        }
    }
    page.out
}

struct Page {
    out: String,
    bold: bool,
}

impl Page {
    fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    /// A line that stands out, where the output is a terminal.
    fn title(&mut self, line: &str) {
        if self.bold {
            self.out.push_str("\x1b[1m");
        }
        // A title is short enough for a line; wrapping would tear the style.
        self.out.push_str(line);
        if self.bold {
            self.out.push_str("\x1b[0m");
        }
        self.out.push('\n');
    }

    fn labelled(&mut self, label: &str, what: &str) {
        entry(&mut self.out, 2, label, COLUMN, what);
    }

    fn defined(&mut self, reference: &str, standing: Standing) {
        match reference {
            "none" => self.labelled("defined", &format!("nowhere; {standing}")),
            reference => self.labelled("defined", &format!("{reference}; {standing}")),
        }
    }

    fn reply(&mut self, about: &Explanation<'_>, after: Option<Stage>) {
        if about.reply().is_some() {
            self.basic(about);
        }
        if about.status().is_some() {
            if about.reply().is_some() {
                self.gap();
            }
            self.enhanced(about);
        }
        self.gap();
        self.meanings(about, after);
        self.labelled("retry", verdict(about.verdict()));
        if let (Some(stage), Some(_)) = (after, about.reply()) {
            self.legality(about, stage);
        }
        let mut remarks = about.remarks().filter(|remark| !told_elsewhere(*remark)).peekable();
        if remarks.peek().is_some() {
            self.gap();
            self.out.push_str("Note:\n");
        }
        for remark in remarks {
            let reference = remark.reference().map(|reference| format!(" ({reference})")).unwrap_or_default();
            entry(&mut self.out, 2, "-", 4, &capital(&format!("{remark}{reference}.")));
        }
        let vendors: Vec<&VendorCode> = about.vendors().collect();
        if !vendors.is_empty() {
            self.gap();
            self.out.push_str("What providers mean by it:\n");
        }
        for row in vendors {
            self.vendor(row);
        }
    }

    /// The reply code and its digits.
    fn basic(&mut self, about: &Explanation<'_>) {
        let Some(code) = about.reply() else { return };
        match about.reply_info() {
            Some(info) => {
                self.title(&format!("{code}  {}", info.title));
                text(&mut self.out, 2, info.meaning);
                self.digits(about);
                self.defined(info.reference, info.standing);
                self.after(about);
                if let Some(note) = info.note {
                    self.labelled("note", note);
                }
            }
            None => {
                self.title(&format!("{code}  Not registered"));
                text(&mut self.out, 2, "Nobody has registered this reply code. Its digits say:");
                self.digits(about);
            }
        }
    }

    fn digits(&mut self, about: &Explanation<'_>) {
        for digit in about.digits().into_iter().flat_map(|digits| digits.iter()) {
            self.labelled(&digit.value.to_string(), digit.meaning);
        }
    }

    /// Which commands get the reply.
    fn after(&mut self, about: &Explanation<'_>) {
        let stages: Vec<&str> = about.stages().map(|(stage, _)| moment(stage)).collect();
        let list = if about.any_command() { "any command".to_owned() } else { stages.join(", ") };
        if !list.is_empty() {
            self.labelled("comes after", &list);
        }
        // Several stages may carry the same.
        let mut kinds: Vec<(ReplyText, Vec<&str>)> = Vec::new();
        for (stage, reply) in about.stages().filter(|(_, reply)| reply.text != ReplyText::Free) {
            match kinds.iter_mut().find(|(text, _)| *text == reply.text) {
                Some((_, stages)) => stages.push(moment(stage)),
                None => kinds.push((reply.text, vec![moment(stage)])),
            }
        }
        for (text, stages) in kinds {
            self.labelled("carries", &format!("{} (after {})", text.as_str(), stages.join(", ")));
        }
    }

    /// The enhanced code and its numbers.
    fn enhanced(&mut self, about: &Explanation<'_>) {
        let Some(status) = about.status() else { return };
        let shown = about.enhanced().map_or_else(|| status.to_string(), |code| code.to_string());
        let title = about.enhanced_info().map_or("Not registered", |info| info.title);
        self.title(&format!("{shown}  {title}"));
        match about.enhanced() {
            None => self.labelled("X", "Any class: 2 success, 4 transient failure, 5 permanent failure."),
            Some(code) => {
                let class = about.class_info().map(|info| format!("{}. {}", info.title, info.meaning));
                let unknown = "No class: the standard has 2, 4 and 5 (RFC 3463 §2).";
                self.labelled(&code.class().to_string(), class.as_deref().unwrap_or(unknown));
            }
        }
        let subject = about.subject_info().map(|info| format!("{}. {}", info.title, info.meaning));
        self.labelled(&status.subject().to_string(), subject.as_deref().unwrap_or("Not a registered subject."));
        match about.enhanced_info() {
            Some(info) => {
                self.labelled(&status.detail().to_string(), info.meaning);
                self.defined(info.reference, info.standing);
                if !info.replies.is_empty() {
                    let codes: Vec<String> = info.replies.iter().map(ToString::to_string).collect();
                    self.labelled("comes with", &codes.join(", "));
                }
            }
            None => self.labelled(&status.detail().to_string(), "Not registered for this subject."),
        }
    }

    /// The meaning and what to do about it; all of them where it is not clear which one it is.
    fn meanings(&mut self, about: &Explanation<'_>, after: Option<Stage>) {
        let Some(meaning) = about.meaning_at(after) else {
            if let ([_, _, ..], None) = (about.meanings(), about.status()) {
                self.out.push_str("It may mean:\n");
                for meaning in about.meanings() {
                    self.meaning(meaning);
                    self.advice(&meaning.advice);
                    self.out.push('\n');
                }
            } else if let Some(advice) = about.advice() {
                self.what_to_do(advice);
            }
            return;
        };
        if about.meanings().len() > 1 {
            self.out.push_str("Here it means:\n");
            self.meaning(meaning);
        }
        self.what_to_do(about.advice().unwrap_or(&meaning.advice));
    }

    fn meaning(&mut self, meaning: &ReplyMeaning) {
        text(&mut self.out, 2, &format!("{}. {}", meaning.title, meaning.meaning));
        if meaning.retry == Some(true) {
            text(&mut self.out, 2, "Try again later, whatever the first digit says.");
        }
    }

    fn what_to_do(&mut self, advice: &Advice) {
        self.out.push_str("What to do:\n");
        self.advice(advice);
    }

    /// Who can do most comes first.
    fn advice(&mut self, advice: &Advice) {
        let parties = [Party::Sender, Party::Recipient, Party::Postmaster];
        let rest = parties.into_iter().filter(|party| *party != advice.first);
        let mut any = false;
        for party in [advice.first].into_iter().chain(rest) {
            if let Some(what) = advice.of(party) {
                self.labelled(party.as_str(), what);
                any = true;
            }
        }
        if !any {
            self.labelled("nobody", "There is nothing to do.");
        }
    }

    fn legality(&mut self, about: &Explanation<'_>, stage: Stage) {
        let Some(code) = about.reply() else { return };
        let line = Some(about.text()).filter(|text| !text.is_empty());
        let verdict = match stage.check(code, about.enhanced(), line) {
            Ok(()) => "legal".to_owned(),
            Err(faults) if faults.has_violation() => format!("forbidden: {faults}"),
            Err(faults) => format!("unusual: {faults}"),
        };
        self.labelled("legality", &format!("after {}: {verdict}.", moment(stage)));
    }

    fn vendor(&mut self, row: &VendorCode) {
        let reply = row.reply.map(|code| format!("{code} ")).unwrap_or_default();
        let range = if row.is_range() { format!(" to {}", row.last_detail) } else { String::new() };
        self.labelled(row.provider, &format!("{reply}{}{range}: {} {}", row.code, row.meaning, row.advice));
    }

    fn names(&mut self, names: &Names) {
        let mut first = true;
        let mut gap = |page: &mut Self| {
            if !first {
                page.gap();
            }
            first = false;
        };
        if let Some(stage) = names.stage {
            gap(self);
            self.stage(stage);
        }
        if let Some(extension) = names.extension {
            gap(self);
            self.extension(extension);
        }
        for parameter in &names.parameters {
            gap(self);
            self.title(&format!("{}  Parameter of {}", parameter.name, parameter.verb));
            self.parameter(parameter);
        }
        if let Some(mechanism) = names.mechanism {
            gap(self);
            self.mechanism(mechanism);
        }
        if let Some(with) = names.with {
            gap(self);
            self.with(with);
        }
    }

    fn stage(&mut self, stage: Stage) {
        if let Stage::Verb(verb) = stage {
            self.verb(verb);
        } else {
            self.title(&format!("{stage}  Replies {}", moment(stage)));
        }
        for (label, digits) in [("goes on", "3"), ("success", "2"), ("failure", "45")] {
            let codes: Vec<String> = stage
                .replies()
                .iter()
                .map(|reply| reply.code.to_string())
                .filter(|code| code.starts_with(|first| digits.contains(first)))
                .collect();
            if !codes.is_empty() {
                self.labelled(label, &codes.join(", "));
            }
        }
        if stage.is_command() {
            let codes: Vec<String> = Stage::EVERY_COMMAND.iter().map(|reply| reply.code.to_string()).collect();
            self.labelled("and, as any", &codes.join(", "));
        }
    }

    fn verb(&mut self, verb: Verb) {
        let info = verb.info();
        self.title(&format!("{verb}  Command"));
        text(&mut self.out, 2, info.meaning);
        self.defined(info.reference, info.standing);
        match info.keyword {
            Some(keyword) => self.labelled("offered by", keyword),
            None => self.labelled("offered by", "nothing: it needs no extension"),
        }
    }

    fn extension(&mut self, row: &ServiceExtension) {
        self.title(&format!("{}  Service extension: {}", row.keyword, row.title));
        text(&mut self.out, 2, row.meaning);
        self.defined(row.reference, row.standing);
        if let Some(replaces) = row.replaces {
            self.labelled("replaces", replaces);
        }
        self.labelled("in EHLO", &format!("{} {}", row.keyword, row.parameter.unwrap_or("alone")));
        if !row.verbs.is_empty() {
            self.labelled("commands", &row.verbs.join(", "));
        }
        for (verb, octets) in [("MAIL", row.mail_line), ("RCPT", row.rcpt_line)] {
            if octets > 0 {
                self.labelled("line", &format!("of {verb} up to {octets} octets longer"));
            }
        }
        if let Some(limits) = row.limits {
            self.labelled("limits", limits);
        }
        let relay = if row.relay { "between servers" } else { "not between servers" };
        match row.submission {
            Some(requirement) => self.labelled("for", &format!("{relay}; for submission: {requirement}")),
            None => self.labelled("for", relay),
        }
        if let Some(note) = row.note {
            self.labelled("note", note);
        }
        for parameter in row.parameters() {
            self.parameter(parameter);
        }
    }

    fn parameter(&mut self, row: &Parameter) {
        let value = row.value.map(|value| format!("={value}")).unwrap_or_default();
        let octets = row.octets.map(|octets| format!(" Up to {octets} octets.")).unwrap_or_default();
        let what = format!("{}{value}: {}{octets} ({}, {})", row.name, row.meaning, row.extension, row.reference);
        self.labelled(&format!("with {}", row.verb), &what);
    }

    fn mechanism(&mut self, row: &SaslMechanism) {
        self.title(&format!("{}  SASL mechanism for AUTH", row.name));
        text(&mut self.out, 2, row.meaning);
        self.defined(row.reference, row.standing);
        self.labelled("use", row.usage.as_str());
        let secret = if row.reveals_secret { "shown to whoever reads along: TLS only" } else { "not shown" };
        self.labelled("secret", secret);
    }

    fn with(&mut self, row: &WithProtocol) {
        self.title(&format!("{}  Protocol of a Received field", row.name));
        text(&mut self.out, 2, row.meaning);
        self.defined(row.reference, row.standing);
    }
}

/// Faults that the page tells by other means: "Not registered", and the codes that an enhanced code comes with.
fn told_elsewhere(remark: Remark) -> bool {
    matches!(remark, Remark::Fault(Fault::UnregisteredReply | Fault::UnregisteredEnhanced | Fault::OtherReplyNamed))
}

/// A sentence with a capital first letter.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "Nothing to repeat: it worked.",
        Verdict::GoOn => "Nothing to repeat: the server waits for the rest.",
        Verdict::RetryLater => "Yes, later: a transient failure. Keep the message.",
        Verdict::DoNotRetry => "No: a permanent failure. Something must change first.",
        Verdict::Unclear => "Unclear: the codes do not tell.",
    }
}

/// A stage for people.
fn moment(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connecting",
        Stage::UnknownVerb => "an unknown command",
        Stage::DataEnd => "the end of the message",
        Stage::AuthResponse => "a response to a challenge",
        other => other.name(),
    }
}

/// The numbers of an enhanced code as the tables show them.
pub(super) fn range(code: EnhancedCode, last: u16) -> String {
    if code.detail() == last { code.to_string() } else { format!("{code}-{last}") }
}
