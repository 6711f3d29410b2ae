//! Where a rule applies.

use std::str::FromStr;

use ehlo_codes::{Stage, Verb};
use ehlo_tokio::ehlo_server::Moment;

/// The stages that one word of a rule names.
#[derive(Clone, Debug)]
pub(super) enum Stages {
    /// Every one.
    Any,
    These(Vec<Stage>),
}

impl FromStr for Stages {
    type Err = String;

    /// The registry's name of a stage, which is the verb for a command, or a name that is easier to remember.
    fn from_str(name: &str) -> Result<Self, String> {
        let these = match name.to_ascii_lowercase().as_str() {
            "any" => return Ok(Self::Any),
            "command" => Verb::ALL.iter().copied().map(Stage::Verb).chain([Stage::UnknownVerb]).collect(),
            "hello" => vec![Stage::Verb(Verb::Ehlo), Stage::Verb(Verb::Helo), Stage::Verb(Verb::Lhlo)],
            "greeting" => vec![Stage::Connect],
            "message" => vec![Stage::DataEnd],
            "unknown" => vec![Stage::UnknownVerb],
            "response" => vec![Stage::AuthResponse],
            name => vec![Stage::by_name(name).ok_or_else(|| {
                format!(
                    "there is no stage \"{name}\": it is connect, a verb such as ehlo, mail, rcpt or data, message for the end of one, \
                     auth-response, unknown for an unknown verb, hello for EHLO, HELO and LHLO, command for any command, or any"
                )
            })?],
        };
        Ok(Self::These(these))
    }
}

impl Stages {
    pub(super) fn contains(&self, stage: Stage) -> bool {
        match self {
            Self::Any => true,
            Self::These(these) => these.contains(&stage),
        }
    }
}

/// The registry's stage of a moment, if it has one.
pub(super) fn stage_of(moment: Moment<'_>) -> Option<Stage> {
    match moment {
        Moment::Greeting => Some(Stage::Connect),
        Moment::Command { verb, .. } => Some(verb.map_or(Stage::UnknownVerb, Stage::Verb)),
        Moment::Response => Some(Stage::AuthResponse),
        Moment::Message { .. } => Some(Stage::DataEnd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_of_the_registry_has_its_name_and_some_have_another() {
        for stage in Stage::ALL {
            let stages: Stages = stage.name().to_ascii_lowercase().parse().unwrap();
            assert!(stages.contains(*stage), "{stage}");
            assert!(!stages.contains(Stage::Verb(Verb::Noop)) || *stage == Stage::Verb(Verb::Noop), "{stage}");
        }
        assert!("HELLO".parse::<Stages>().unwrap().contains(Stage::Verb(Verb::Lhlo)));
        assert!("message".parse::<Stages>().unwrap().contains(Stage::DataEnd));
        assert!("command".parse::<Stages>().unwrap().contains(Stage::UnknownVerb));
        assert!(!"command".parse::<Stages>().unwrap().contains(Stage::Connect));
        let error = "dta".parse::<Stages>().unwrap_err();
        assert!(error.contains("no stage \"dta\"") && error.contains("rcpt"), "{error}");
    }
}
