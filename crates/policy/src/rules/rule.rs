//! One rule: what it fits, when it is applied, and what it does.

use std::fmt;
use std::num::NonZeroU64;

use ehlo_codes::{Fault, ReplyCode, Stage, Verb};
use ehlo_tokio::ehlo_server::Override;
use ehlo_tokio::ehlo_server::codec::ReplyClass;
use ehlo_tokio::{Decision, Intervention, Network};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::count::{Draw, When, key};
use super::facts::Facts;
use super::pattern::{Address, Glob};
use super::stage::Stages;
use super::value::{Delay, Disconnect, Hold, List, Probability, Rate, Sizes, Text};
use super::words::{Words, says_yes};

/// A rule as it stands in a file: a table of TOML, all of whose keys are in the book's page on rules.
///
/// It can be part of another file's types: whatever is wrong in it is an error of its `Deserialize`, which `toml` tells with line and column.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) name: Option<String>,
    stage: Vec<Stages>,
    client: Option<Vec<Network>>,
    helo: Option<Vec<Glob>>,
    sender: Option<Vec<Address>>,
    recipient: Option<Vec<Address>>,
    line: Option<Vec<Glob>>,
    user: Option<Vec<Glob>>,
    size: Option<Sizes>,
    tls: Option<bool>,
    authenticated: Option<bool>,
    pub(super) when: When,
    per: Vec<Per>,
    delay: Option<Delay>,
    intervention: Intervention,
    /// The reply, if it is one.
    words: Option<Words>,
    obeys: bool,
}

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Client,
    Helo,
    Sender,
    Recipient,
}

impl std::str::FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "client" => Ok(Self::Client),
            "helo" => Ok(Self::Helo),
            "sender" => Ok(Self::Sender),
            "recipient" => Ok(Self::Recipient),
            _ => Err(format!("\"{text}\" is neither client, helo, sender nor recipient")),
        }
    }
}

/// The keys of a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Option<String>,
    stage: List<Stages>,
    client: Option<List<Network>>,
    helo: Option<List<Glob>>,
    sender: Option<List<Address>>,
    recipient: Option<List<Address>>,
    line: Option<List<Glob>>,
    user: Option<List<Glob>>,
    size: Option<Text<Sizes>>,
    tls: Option<bool>,
    authenticated: Option<bool>,
    #[serde(default)]
    after: u64,
    first: Option<NonZeroU64>,
    every: Option<NonZeroU64>,
    probability: Option<Probability>,
    per: Option<List<Per>>,
    delay: Option<Text<Delay>>,
    hold: Option<Text<Hold>>,
    rate: Option<Text<Rate>>,
    reply: Option<Text<Words>>,
    raw: Option<String>,
    #[serde(default)]
    silent: bool,
    obey: Option<bool>,
    disconnect: Option<Disconnect>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl<'de> Visitor<'de> for Whole {
            type Value = Rule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                Rule::new(Table::deserialize(MapAccessDeserializer::new(map))?).map_err(A::Error::custom)
            }
        }

        // What is wrong in the rule as a whole has to come out of a visitor: what comes later is told without the rule's place.
        deserializer.deserialize_map(Whole)
    }
}

impl Rule {
    fn new(table: Table) -> Result<Self, String> {
        let say = [table.reply.is_some(), table.raw.is_some(), table.silent].iter().filter(|there| **there).count();
        if say > 1 {
            return Err("a rule has one of `reply`, `raw` and `silent`".to_owned());
        }
        if say == 1 && table.disconnect == Some(Disconnect::Before) {
            return Err("`disconnect = \"before\"` is before anything is said: `after` is behind it".to_owned());
        }
        if say == 0 && table.disconnect.is_none() {
            if table.delay.is_none() && table.rate.is_none() && table.hold.is_none() {
                return Err(
                    "a rule does something: it has `reply`, `raw`, `silent`, `disconnect`, `delay`, `rate` or `hold`"
                        .to_owned(),
                );
            }
            if table.obey == Some(false) {
                return Err("`obey = false` goes with `reply`, `raw`, `silent` or `disconnect`".to_owned());
            }
        }
        let stage = table.stage.0;
        let body = [Stage::Verb(Verb::Data), Stage::Verb(Verb::Bdat)];
        if table.hold.is_some() && !stage.iter().any(|stages| body.iter().any(|stage| stages.contains(*stage))) {
            return Err("`hold` holds a message back: its stage is data or bdat".to_owned());
        }
        let words = table.reply.map(|Text(words)| words);
        let (what, obeys) = what(words.as_ref(), table.raw, table.silent, table.disconnect, table.obey)?;
        let mut intervention = what.map_or_else(Intervention::default, Intervention::new);
        if table.disconnect == Some(Disconnect::Reset) {
            intervention = intervention.reset();
        }
        if let Some(Text(Rate(rate))) = table.rate {
            intervention = intervention.rate(rate);
            if stage.iter().any(|stages| stages.contains(Stage::Connect)) {
                intervention = intervention.for_good();
            }
        }
        if let Some(Text(Hold(time))) = table.hold {
            intervention = intervention.hold(time);
        }
        Ok(Self {
            name: table.name,
            stage,
            client: table.client.map(|list| list.0),
            helo: table.helo.map(|list| list.0),
            sender: table.sender.map(|list| list.0),
            recipient: table.recipient.map(|list| list.0),
            line: table.line.map(|list| list.0),
            user: table.user.map(|list| list.0),
            size: table.size.map(|text| text.0),
            tls: table.tls,
            authenticated: table.authenticated,
            when: When { after: table.after, first: table.first, every: table.every, probability: table.probability },
            per: table.per.map(|list| list.0).unwrap_or_default(),
            delay: table.delay.map(|text| text.0),
            intervention,
            words,
            obeys,
        })
    }
}

/// What is done in place of the usual, if anything, and whether what the client asks for is done as well.
fn what(
    words: Option<&Words>,
    raw: Option<String>,
    silent: bool,
    disconnect: Option<Disconnect>,
    obey: Option<bool>,
) -> Result<(Option<Override>, bool), String> {
    let (what, code) = match (words, raw, disconnect) {
        (Some(Words(reply)), ..) => (Override::reply(reply.clone()), Some(reply.code())),
        (None, Some(raw), _) => {
            let code = raw.get(..3).and_then(|digits| digits.parse().ok());
            (Override::octets(raw.into_bytes()), code)
        }
        (None, None, Some(Disconnect::Before | Disconnect::Reset)) => (Override::silence(), None),
        (None, None, _) if silent => (Override::silence(), None),
        (None, None, Some(Disconnect::After)) => {
            if obey == Some(false) {
                return Err("`obey = false` needs something to say: `reply`, `raw` or `silent`".to_owned());
            }
            return Ok((Some(Override::usual().close()), true));
        }
        (None, None, Some(Disconnect::Never)) => {
            return Err("`disconnect = \"never\"` goes with `reply` or `raw`".to_owned());
        }
        (None, None, None) => return Ok((None, true)),
    };
    let obeys = obey.unwrap_or_else(|| code.is_some_and(says_yes));
    let what = if obeys { what.obey() } else { what };
    let close = match disconnect {
        Some(Disconnect::Never) => false,
        Some(_) => true,
        // RFC 5321 §3.8: behind a 421 the server closes.
        None => code == Some(ReplyCode::SERVICE_NOT_AVAILABLE),
    };
    Ok((Some(if close { what.close() } else { what }), obeys))
}

impl Rule {
    /// Whether it fits, however often it is applied.
    pub(super) fn fits(&self, facts: &Facts<'_>) -> bool {
        fn any<T>(patterns: Option<&Vec<T>>, fits: impl Fn(&T) -> bool) -> bool {
            patterns.is_none_or(|patterns| patterns.iter().any(fits))
        }
        let globs = |patterns: &Option<Vec<Glob>>, text: Option<&[u8]>| {
            any(patterns.as_ref(), |pattern| text.is_some_and(|text| pattern.fits(text)))
        };
        self.stage.iter().any(|stages| stages.contains(facts.stage))
            && self.tls.is_none_or(|tls| tls == facts.tls)
            && self.authenticated.is_none_or(|is| is == facts.user.is_some())
            && self.size.is_none_or(|sizes| facts.size.is_some_and(|size| sizes.contains(size)))
            && any(self.client.as_ref(), |network| network.contains(facts.client))
            && globs(&self.helo, facts.helo.map(str::as_bytes))
            && globs(&self.user, facts.user.map(str::as_bytes))
            && globs(&self.line, facts.line)
            && any(self.sender.as_ref(), |pattern| facts.sender.is_some_and(|sender| pattern.fits(sender)))
            && self.recipient.as_ref().is_none_or(|patterns| facts.recipients.fit(patterns))
    }

    /// For whom it counts, if not for all together.
    pub(super) fn key(&self, facts: &Facts<'_>) -> Option<u64> {
        if self.per.is_empty() {
            return None;
        }
        let client = facts.client.to_string();
        let parts = self.per.iter().map(|per| match per {
            Per::Client => client.clone(),
            Per::Helo => facts.helo.unwrap_or_default().to_ascii_lowercase(),
            Per::Sender => facts.sender.unwrap_or_default().to_owned(),
            Per::Recipient => {
                let all = std::cell::RefCell::new(String::new());
                facts.recipients.any(|one| {
                    let mut all = all.borrow_mut();
                    all.push_str(one);
                    all.push('\n');
                    false
                });
                all.into_inner()
            }
        });
        let parts: Vec<String> = parts.collect();
        Some(key(parts.iter().map(String::as_bytes)))
    }

    /// What it does, with what was drawn for this time.
    pub(super) fn decision(&self, draw: Draw) -> Decision {
        let decision = Decision::Intervene(self.intervention.clone());
        match self.delay {
            Some(delay) => Decision::after(draw.wait(delay), decision),
            None => decision,
        }
    }

    /// Whether nothing but the stage decides.
    fn is_unconditional(&self) -> bool {
        let all = self.client.is_none()
            && self.helo.is_none()
            && self.sender.is_none()
            && self.recipient.is_none()
            && self.line.is_none()
            && self.user.is_none()
            && self.size.is_none()
            && self.tls.is_none()
            && self.authenticated.is_none();
        all && self.when.is_always()
    }

    fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        Stage::ALL.iter().copied().filter(|stage| self.stage.iter().any(|stages| stages.contains(*stage)))
    }

    /// Whether nothing is left for another one behind it.
    pub(super) fn shadows(&self, other: &Self) -> bool {
        self.is_unconditional() && other.stages().all(|stage| self.stage.iter().any(|stages| stages.contains(stage)))
    }

    /// What is unusual in it, though it may be meant.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let Some(Words(reply)) = &self.words else { return remarks };
        let code = reply.code();
        // Who names many stages does not mean what is usual at each.
        if !self.stage.iter().any(|stages| matches!(stages, Stages::Any)) {
            for stage in self.stages() {
                let text = reply.lines().next().unwrap_or_default().as_bytes();
                let Err(faults) = stage.check(code, reply.enhanced(), Some(text)) else { continue };
                // RFC 5248 §2.4: what a registration names are examples.
                let told = faults.iter().filter(|fault| *fault != Fault::OtherReplyNamed);
                remarks.extend(told.map(|fault| format!("{code} at {stage}: {fault} ({})", fault.reference())));
            }
        }
        let data = Stage::Verb(Verb::Data);
        if self.stages().any(|stage| stage == data) {
            let asks = code.class() == ReplyClass::Intermediate;
            if self.obeys && !asks {
                remarks.push(format!(
                    "{code} at DATA, which is obeyed: what the client says next is taken for the message"
                ));
            } else if !self.obeys && code == ReplyCode::START_MAIL_INPUT {
                remarks.push(
                    "354 at DATA, which is not obeyed: each line of the message is taken for a command".to_owned(),
                );
            }
        }
        remarks
    }
}
