//! Holding what happens against what a scenario expects, line by line, as it happens.

use ehlo_server::{AbortReason, CloseReason};

use crate::escape::escaped;
use crate::format::{Act, Expect, Kind, MANY, Scenario, Step, Verdict, show_abort, show_close};

/// Something that happened.
pub(crate) enum Seen {
    /// One line of a reply.
    Reply(String),
    /// A question, as it is shown.
    Ask(String),
    /// `None` where the reason cannot be seen.
    Aborted(Option<AbortReason>),
    Closed(Option<CloseReason>),
}

/// What can be looked at besides.
pub(crate) struct View<'v> {
    pub(crate) body: &'v [u8],
    /// `None` where it cannot be seen.
    pub(crate) envelope: Option<&'v str>,
    pub(crate) closed: bool,
}

/// A scenario on its way.
///
/// `aborted` may come before or behind the replies beside it, whatever the scenario's order is: a reply and the end of a message can
/// be found in one piece of input, or in two, and only within their own kind does the order matter.
pub(crate) struct Script<'s> {
    scenario: &'s Scenario,
    next: usize,
    /// How many of a reply that comes several times have come.
    times: usize,
    /// `aborted` lines that happened before their turn.
    early: Vec<usize>,
    /// `aborted` lines that were passed and still have to happen.
    owed: Vec<usize>,
    lines: Vec<String>,
    aborted: Vec<String>,
}

impl<'s> Script<'s> {
    pub(crate) fn new(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            next: 0,
            times: 0,
            early: Vec::new(),
            owed: Vec::new(),
            lines: Vec::new(),
            aborted: Vec::new(),
        }
    }

    /// What happened, the same for each way to cut the stream.
    pub(crate) fn transcript(self) -> Vec<String> {
        let mut lines = self.lines;
        lines.extend(self.aborted);
        lines
    }

    /// Something happened. Gives the answer if it was a question.
    pub(crate) fn see(&mut self, seen: &Seen, view: &View<'_>) -> Result<Option<&'s Verdict>, String> {
        let shown = match seen {
            Seen::Reply(line) => format!("S: {line}"),
            Seen::Ask(question) => format!("ask {question}"),
            Seen::Aborted(None) => "aborted".to_owned(),
            Seen::Aborted(Some(reason)) => show_abort(*reason),
            Seen::Closed(None) => "closed".to_owned(),
            Seen::Closed(Some(reason)) => show_close(*reason),
        };
        if let Seen::Aborted(reason) = seen {
            self.aborted.push(shown.clone());
            return self.see_aborted(*reason, &shown).map(|()| None);
        }
        loop {
            let scenario = self.scenario;
            let Some(Step { kind: Kind::Expect(expect), .. }) = scenario.steps.get(self.next) else {
                return Err(self.describe(&shown, "nothing"));
            };
            match (expect, seen) {
                (Expect::Aborted(_), _) => self.pass_aborted(),
                (state, _) if state.is_state() => {
                    self.check(state, view)?;
                    self.next += 1;
                }
                (Expect::Reply { pattern, times }, Seen::Reply(line)) if pattern.fits(line) => {
                    self.times += 1;
                    if self.times == *times {
                        self.advance();
                    }
                    self.lines.push(shown);
                    return Ok(None);
                }
                (Expect::Reply { times: MANY, .. }, _) if self.times > 0 => self.advance(),
                (Expect::Ask(question, verdict), Seen::Ask(asked)) if fits(question, asked) => {
                    self.advance();
                    self.lines.push(shown);
                    return Ok(Some(verdict));
                }
                (Expect::Closed(expected), Seen::Closed(reason)) if reason.is_none_or(|r| r == *expected) => {
                    self.advance();
                    self.lines.push(shown);
                    return Ok(None);
                }
                _ => return Err(self.describe(&shown, &scenario.steps[self.next].text)),
            }
        }
    }

    /// Nothing more happens by itself. Gives what is to be done next; `None` at the end.
    pub(crate) fn rest(&mut self, view: &View<'_>) -> Result<Option<&'s Act>, String> {
        loop {
            let Some(step) = self.scenario.steps.get(self.next) else {
                self.check_owed()?;
                return Ok(None);
            };
            match &step.kind {
                Kind::Do(act) => {
                    self.check_owed()?;
                    self.lines.push(step.text.clone());
                    self.next += 1;
                    return Ok(Some(act));
                }
                Kind::Expect(Expect::Aborted(_)) => self.pass_aborted(),
                Kind::Expect(state) if state.is_state() => {
                    self.check(state, view)?;
                    self.next += 1;
                }
                Kind::Expect(Expect::Reply { times: MANY, .. }) if self.times > 0 => self.advance(),
                Kind::Expect(_) => return Err(self.describe("nothing", &step.text)),
            }
        }
    }

    /// The next step, if it is something that has to happen.
    pub(crate) fn awaited(&self) -> Option<&'s Expect> {
        match self.scenario.steps.get(self.next) {
            Some(Step { kind: Kind::Expect(expect), .. }) => Some(expect),
            _ => None,
        }
    }

    /// Checks the next step, which is a state, and goes on.
    pub(crate) fn hold(&mut self, view: &View<'_>) -> Result<(), String> {
        if let Some(state) = self.awaited().filter(|expect| expect.is_state()) {
            self.check(state, view)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Goes on behind questions that are answered by a challenge: whoever leads the exchange has answered them already.
    pub(crate) fn skip_challenges(&mut self) {
        while let Some(Expect::Ask(_, Verdict::Challenge(_))) = self.awaited() {
            self.next += 1;
        }
    }

    fn advance(&mut self) {
        self.next += 1;
        self.times = 0;
    }

    /// Goes on behind an `aborted` line.
    pub(crate) fn pass_aborted(&mut self) {
        match self.early.iter().position(|&at| at == self.next) {
            Some(at) => {
                self.early.swap_remove(at);
            }
            None => self.owed.push(self.next),
        }
        self.next += 1;
    }

    fn see_aborted(&mut self, reason: Option<AbortReason>, shown: &str) -> Result<(), String> {
        let steps = &self.scenario.steps;
        let fits = |at: usize| match &steps[at].kind {
            Kind::Expect(Expect::Aborted(expected)) => reason.is_none_or(|reason| reason == *expected),
            _ => false,
        };
        if let Some(at) = self.owed.iter().position(|&at| fits(at)) {
            self.owed.swap_remove(at);
            return Ok(());
        }
        let block = (self.next..steps.len()).take_while(|&at| matches!(steps[at].kind, Kind::Expect(_)));
        match block.into_iter().find(|at| fits(*at) && !self.early.contains(at)) {
            Some(at) => {
                self.early.push(at);
                Ok(())
            }
            None => {
                let expected = steps.get(self.next).map_or("nothing", |step| step.text.as_str());
                Err(self.describe(shown, expected))
            }
        }
    }

    fn check_owed(&self) -> Result<(), String> {
        match self.owed.first() {
            None => Ok(()),
            Some(&at) => Err(self.describe("nothing", &self.scenario.steps[at].text)),
        }
    }

    fn check(&self, state: &Expect, view: &View<'_>) -> Result<(), String> {
        match state {
            Expect::Body(expected) if view.body != expected => {
                Err(self
                    .describe(&format!("body \"{}\"", escaped(view.body)), &format!("body \"{}\"", escaped(expected))))
            }
            Expect::Envelope(expected) => match view.envelope {
                Some(envelope) if envelope != expected => {
                    Err(self.describe(&format!("envelope {envelope}"), &format!("envelope {expected}")))
                }
                _ => Ok(()),
            },
            Expect::Open if view.closed => Err(self.describe("closed", "open")),
            _ => Ok(()),
        }
    }

    /// Tells of something that is not as it should be.
    pub(crate) fn describe(&self, happened: &str, expected: &str) -> String {
        let line = self.scenario.steps.get(self.next).or(self.scenario.steps.last()).map_or(0, |step| step.line);
        format!(
            "{}.scenario:{line}: expected `{expected}`, and there was `{happened}`{}",
            self.scenario.name,
            self.story()
        )
    }

    /// What happened so far.
    fn story(&self) -> String {
        let mut text = "\n  so far:".to_owned();
        let shown = self.lines.len().saturating_sub(40);
        if shown > 0 {
            text += &format!("\n    ... {shown} lines ...");
        }
        for line in self.lines[shown..].iter().flat_map(|line| line.lines()) {
            text += "\n    ";
            text.extend(line.chars().take(160));
        }
        for line in &self.aborted {
            text += &format!("\n    ({line})");
        }
        text
    }
}

/// A question that is written without its subject fits any.
fn fits(expected: &str, asked: &str) -> bool {
    expected == asked || (!expected.contains(' ') && asked.split(' ').next() == Some(expected))
}
