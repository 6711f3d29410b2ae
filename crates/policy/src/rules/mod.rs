//! Rules that answer a client with anything there is, so that it can be seen how it behaves then.
//!
//! A file has any number of `[[rule]]`s. Each says what it fits, when it is applied, and what is done then; the first one that is applied at a moment
//! decides, and without one everything goes on as usual. All keys are in the book's page on rules, and its cookbook has a rule for each reply code.
//!
//! ```
//! use ehlo_policy::Rules;
//!
//! let rules = Rules::from_toml(
//!     r#"
//!     ## The first attempt of each sender at each recipient is put off.
//!     [[rule]]
//!     stage = "rcpt"
//!     per = ["client", "sender", "recipient"]
//!     first = 1
//!     reply = "450 4.7.1 Greylisted"
//!
//!     ## Each tenth message is stored, and its client never knows.
//!     [[rule]]
//!     stage = "message"
//!     every = 10
//!     disconnect = "reset"
//!     obey = true
//!     "#,
//! )?;
//! assert_eq!(rules.len(), 2);
//!
//! let error = Rules::from_toml("[[rule]]\nstage = \"rpct\"\nreply = 550").unwrap_err();
//! assert!(error.to_string().starts_with("TOML parse error at line 2, column 9"), "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Chance
//!
//! Whether a rule with a `probability` is applied depends on the seed, on which rule of the file it is, and on how often it has fitted before: on nothing
//! else. A run with the same seed in which the same things happen in the same order has the same answers. Where connections run at the same time, which
//! of them a rule fits first is theirs to decide; of a hundred times it is still applied at the same ones. With `per` each client, sender or recipient has a
//! count of its own, so that what the others do changes nothing.

mod count;
mod facts;
mod pattern;
mod rule;
mod ruled;
mod stage;
mod value;
mod words;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ehlo_tokio::{Decision, Upcoming};
use serde::Deserialize;
use toml::Spanned;

use self::count::Count;
use self::facts::Facts;
pub use self::rule::Rule;
pub use self::ruled::Ruled;

/// Rules in the order of their file, with what was counted of each. A clone counts along with the others.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Arc<[(Rule, Count)]>,
    seed: u64,
}

/// A file that has nothing but rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Rule>>,
}

/// What happened to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCount<'r> {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Its name, if it has one.
    pub name: Option<&'r str>,
    /// How often it fitted.
    pub matched: u64,
    /// How often it was applied.
    pub applied: u64,
}

/// Something in a file of rules that is unusual, and may be meant: a reply that no RFC has there, a rule that is never reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The number of the rule in its file, from 1.
    pub rule: usize,
    /// The line that the rule begins in, from 1.
    pub line: usize,
    /// What it is.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, rule {}: {}", self.line, self.rule, self.text)
    }
}

impl Rules {
    /// These rules, with the seed 0.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, Count::default())).collect(), seed: 0 }
    }

    /// Reads a file that has nothing but rules.
    ///
    /// # Errors
    ///
    /// What cannot be read, with its line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        Ok(Self::new(read(text)?.into_iter().map(Spanned::into_inner)))
    }

    /// What is unusual in a file that has nothing but rules.
    ///
    /// # Errors
    ///
    /// Those of [`from_toml`](Self::from_toml).
    pub fn remarks(text: &str) -> Result<Vec<Remark>, toml::de::Error> {
        Ok(remarks(text, &read(text)?))
    }

    /// With this seed for all that is left to chance.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What has happened to each, in the order of the file.
    pub fn counts(&self) -> impl Iterator<Item = RuleCount<'_>> {
        self.rules.iter().enumerate().map(|(index, (rule, count))| RuleCount {
            number: index + 1,
            name: rule.name.as_deref(),
            matched: count.matched(),
            applied: count.applied(),
        })
    }

    /// What the first rule does that is applied now; `None` if there is none. The answer of a [`Policy::intervene`](ehlo_tokio::Policy::intervene).
    #[must_use]
    pub fn intervene(&self, upcoming: &Upcoming<'_>) -> Option<Decision> {
        let facts = Facts::of(upcoming)?;
        let (index, decision) = self.decide(&facts)?;
        tracing::debug!(
            connection = upcoming.context.connection,
            rule = index + 1,
            name = self.rules[index].0.name.as_deref(),
            stage = %facts.stage,
            "a rule is applied"
        );
        Some(decision)
    }

    fn decide(&self, facts: &Facts<'_>) -> Option<(usize, Decision)> {
        self.rules.iter().enumerate().filter(|(_, (rule, _))| rule.fits(facts)).find_map(|(index, (rule, count))| {
            let draw = count.next(&rule.when, self.seed, index, rule.key(facts))?;
            Some((index, rule.decision(draw)))
        })
    }
}

fn read(text: &str) -> Result<Vec<Spanned<Rule>>, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.rule)
}

/// What is unusual in rules, with their places in the text that they were read from.
pub fn remarks(text: &str, rules: &[Spanned<Rule>]) -> Vec<Remark> {
    let line = |span: Range<usize>| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
    let mut all = Vec::new();
    for (index, spanned) in rules.iter().enumerate() {
        let rule = spanned.get_ref();
        let before = rules[..index].iter().position(|earlier| earlier.get_ref().shadows(rule));
        let never =
            before.map(|before| format!("never applied, since rule {} answers everything before it", before + 1));
        let remarks = rule.remarks().into_iter().chain(never);
        all.extend(remarks.map(|text| Remark { rule: index + 1, line: line(spanned.span()), text }));
    }
    all
}

#[cfg(test)]
mod tests;
