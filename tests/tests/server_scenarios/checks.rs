//! The runners see what is wrong: each kind of mistake in a scenario fails, with the file and line that it is on.

use crate::format::Scenario;
use crate::splits::{Cuts, Plan, Reading};
use crate::{bare, driver};

const HEAD: &str = "config: questions=rcpt recipients=2\nS: 220 mx.test ESMTP\nC: HELO c.test\nS: 250 mx.test\n";
const DATA: &str = "C: MAIL FROM:<s@client.test>\nC: RCPT TO:<bob@mx.test>\nC: DATA\nS: 250 2.1.0 Sender ok\n\
                    ask rcpt <bob@mx.test> -> accept\nS: 250 2.1.5 Recipient ok\nS? 354\nC: x\n";

/// Scenarios that are wrong, each with the line where that shows and a part of what is told.
fn wrong() -> Vec<(String, usize, &'static str)> {
    vec![
        // Another text, another code, no reply, one too many.
        (format!("{HEAD}C: NOOP\nS: 250 2.0.0 OK\n"), 6, "250 2.0.0 Ok"),
        (format!("{HEAD}C: NOOP\nS? 5yz\n"), 6, "250 2.0.0 Ok"),
        (format!("{HEAD}C: NOOP\nS? 250-\n"), 6, "250 2.0.0 Ok"),
        (format!("{HEAD}C: NOOP\nS? 250 5.y.z\n"), 6, "250 2.0.0 Ok"),
        (format!("{HEAD}C: NOOP\nS*2? 250\n"), 6, "nothing"),
        (format!("{HEAD}C: NOOP\nC: NOOP\nS? 250\n"), 7, "250 2.0.0 Ok"),
        (format!("{HEAD}C~ NOO\nS? 250\n"), 6, "nothing"),
        // A question about somebody else, and none.
        (
            format!("{HEAD}C: MAIL FROM:<>\nC: RCPT TO:<a@b>\nS? 250\nask rcpt <c@b> -> accept\nS? 250\n"),
            8,
            "rcpt <a@b>",
        ),
        (format!("{HEAD}C: MAIL FROM:<>\nask mail <> -> accept\nS? 250\n"), 6, "250 2.1.0"),
        // An answer that comes in time, and one to nothing.
        (
            format!(
                "{HEAD}C: MAIL FROM:<>\nC: RCPT TO:<a@b>\nS? 250\nask rcpt <a@b> -> later\nanswer accept is stale\nS? 250\n"
            ),
            10,
            "stale",
        ),
        (format!("{HEAD}answer accept\n"), 5, "no question"),
        // States.
        (format!("{HEAD}{DATA}body \"y\\r\\n\"\n"), 13, "x\\r\\n"),
        (format!("{HEAD}{DATA}envelope <s@client.test> -> <alice@mx.test>\n"), 13, "<bob@mx.test>"),
        (format!("{HEAD}C: QUIT\nS? 221\nclosed quit\nopen\n"), 8, "closed"),
        // The end, and its absence; a message that is not given up.
        (format!("{HEAD}C: QUIT\nS? 221\nC: NOOP\n"), 7, "closed"),
        (format!("{HEAD}closed quit\n"), 5, "nothing"),
        (format!("{HEAD}{DATA}aborted disconnected\n"), 13, "nothing"),
        (format!("{HEAD}{DATA}eof\nclosed disconnected\n"), 14, "aborted"),
        // Time.
        (format!("{HEAD}after 5m\nopen\n"), 6, "421 4.4.2"),
        (format!("{HEAD}after 4m\nS? 421\n"), 6, "nothing"),
    ]
}

/// Mistakes in reasons, which only the bare session tells.
fn wrong_reasons() -> Vec<(String, usize, &'static str)> {
    vec![
        (format!("{HEAD}C: QUIT\nS? 221\nclosed shutdown\n"), 7, "closed quit"),
        (format!("{HEAD}{DATA}eof\naborted too-large\nclosed disconnected\n"), 14, "aborted disconnected"),
        (format!("{HEAD}envelope <a@b> ->\n"), 5, "none"),
    ]
}

fn expect_failure(text: &str, line: usize, told: &str, play: impl Fn(&Scenario) -> Result<(), String>) {
    let scenario = Scenario::parse("wrong", text).unwrap_or_else(|(line, error)| panic!("{line}: {error}\n{text}"));
    let Err(error) = play(&scenario) else { panic!("this passes:\n{text}") };
    let place = format!("wrong.scenario:{line}: ");
    assert!(
        error.starts_with(&place) && error.contains(told),
        "{place}... {told} was to be told of\n{text}\nbut it was {error}"
    );
}

#[test]
fn the_bare_runner_sees_each_kind_of_mistake() {
    for (text, line, told) in wrong().into_iter().chain(wrong_reasons()) {
        for (cuts, reading) in [(Cuts::None, Reading::AtOnce), (Cuts::Every(1), Reading::Late)] {
            let plan = Plan { cuts, reading };
            expect_failure(&text, line, told, |scenario| bare::play(scenario, &plan).map(|_| ()));
        }
    }
}

#[test]
fn the_driver_runner_sees_each_kind_of_mistake() {
    // One is enough of what differs in nothing else: waiting for what does not come takes its time.
    for (text, line, _) in wrong() {
        expect_failure(&text, line, "", |scenario| driver::play_once(scenario, 50).map(|_| ()));
    }
}

#[test]
fn a_line_that_cannot_be_read_is_told_with_its_number() {
    for (text, line, told) in [
        ("S: 220 x\nHELO c.test\n", 2, "HELO"),
        ("\n# comment\nC~ \\q\n", 3, "escape"),
        ("S; 220\n", 1, "reply"),
        ("S? 22\n", 1, "three digits"),
        ("S*x: 220\n", 1, "number"),
        ("ask rcpt <a@b>\n", 1, "->"),
        ("ask rcpt <a@b> -> maybe\n", 1, "maybe"),
        ("ask rcpt <a@b> -> reject 550\n", 1, "text"),
        ("ask rcpt <a@b> -> reject 550 4.0.0 x\n", 1, "class"),
        ("after 5\n", 1, "duration"),
        ("shutdown soon\n", 1, "graceful"),
        ("aborted because\n", 1, "because"),
        ("closed timed-out never\n", 1, "never"),
        ("body x\n", 1, "text"),
        ("config: nothing=1\n", 1, "nothing"),
        ("config: recipients=many\n", 1, "many"),
        ("config: questions=why\n", 1, "why"),
        ("config: hostname=-\n", 1, "-"),
        ("open\nconfig: recipients=1\n", 2, "before"),
        ("# nothing\n", 1, "nothing"),
    ] {
        let Err((at, error)) = Scenario::parse("wrong", text).map(|_| ()) else { panic!("this can be read:\n{text}") };
        assert!(at == line && error.contains(told), "{text}{at}: {error}");
    }
}
