//! One set of scenario files, `tests/scenarios/server`, played in all the ways of [`TABLE`].

mod bare;
mod checks;
mod coverage;
mod driver;
mod escape;
mod format;
mod legality;
mod script;
mod splits;
mod walk;

use std::path::Path;

use format::Scenario;
use splits::{Cuts, Plan, Reading};

/// A way to play a scenario.
struct Player {
    name: &'static str,
    /// Gives the number of times that it was played.
    play: fn(&Scenario) -> Result<usize, String>,
    /// Scenarios that it cannot play, each with the reason.
    left_out: &'static [(&'static str, &'static str)],
}

const TABLE: &[Player] = &[
    Player { name: "bare session, every split", play: every_split, left_out: &[] },
    Player { name: "tokio driver", play: driver::play, left_out: driver::LEFT_OUT },
];

/// All scenarios.
fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/server");
    match format::read_all(&folder) {
        Ok(scenarios) => {
            assert!(scenarios.len() >= 100, "the scenarios are not in {}", folder.display());
            scenarios
        }
        Err(errors) => panic!("{}", errors.join("\n")),
    }
}

fn every_split(scenario: &Scenario) -> Result<usize, String> {
    let whole = Plan { cuts: Cuts::None, reading: Reading::AtOnce };
    let expected = bare::play(scenario, &whole)?.transcript;
    let plans = splits::plans(scenario);
    for plan in &plans {
        let run = bare::play(scenario, plan).map_err(|error| format!("{error}\n  played as {plan:?}"))?;
        if run.transcript != expected {
            let at = run.transcript.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "{}: played as {plan:?}, line {at} of the transcript is {:?}, not {:?}",
                scenario.name,
                run.transcript.get(at),
                expected.get(at)
            ));
        }
    }
    Ok(plans.len() + 1)
}

fn play_all(player: &Player) {
    let scenarios = scenarios();
    for (name, reason) in player.left_out {
        assert!(scenarios.iter().any(|s| s.name == *name), "{}: there is no scenario {name}", player.name);
        assert!(!reason.is_empty(), "{}: {name} is left out without a reason", player.name);
    }
    let (mut failures, mut played, mut runs) = (Vec::new(), 0, 0);
    for scenario in &scenarios {
        if player.left_out.iter().any(|(name, _)| *name == scenario.name) {
            continue;
        }
        played += 1;
        match (player.play)(scenario) {
            Ok(count) => runs += count,
            Err(error) => failures.push(error),
        }
    }
    let count = scenarios.len();
    assert!(
        failures.is_empty(),
        "{}: {} of {played} scenarios fail\n\n{}\n",
        player.name,
        failures.len(),
        failures.join("\n\n")
    );
    assert!(played + player.left_out.len() == count && runs >= played, "{}: nothing was played", player.name);
}

#[test]
fn the_bare_session_plays_every_scenario_in_every_split() {
    play_all(&TABLE[0]);
}

#[test]
fn the_tokio_driver_plays_every_scenario() {
    play_all(&TABLE[1]);
}
