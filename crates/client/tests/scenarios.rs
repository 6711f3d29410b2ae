//! Plays the transcripts in `scenarios/` with every cut of the server's bytes.

mod clock;
mod transcript;

use transcript::{Cut, Scenario, play, read};

/// Beyond this many bytes, not every single cut is tried.
const ALL_CUTS: usize = 1500;

fn play_all(file: &str, text: &str) {
    let scenarios = read(text);
    assert!(!scenarios.is_empty(), "{file} has no transcript");
    // Each transcript has its say, so that one run names all that fail.
    let failures: Vec<String> = scenarios
        .iter()
        .filter_map(|scenario| std::panic::catch_unwind(|| play_with_every_cut(file, scenario)).err())
        .map(|panic| *panic.downcast::<String>().expect("a panic with a text"))
        .collect();
    assert!(failures.is_empty(), "{} of {} transcripts: {failures:#?}", failures.len(), scenarios.len());
}

fn play_with_every_cut(file: &str, scenario: &Scenario) {
    let said = play(file, scenario, Cut::Whole);
    play(file, scenario, Cut::Bytes);
    for at in (1..said).filter(|at| said < ALL_CUTS || at % 61 == 0 || *at < 50 || said - at < 50) {
        play(file, scenario, Cut::At(at));
    }
}

macro_rules! files {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play_all(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".txt")));
            }
        )*

        #[test]
        fn every_file_is_played() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder of transcripts")
                .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
                .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
                .collect();
            found.sort();
            let mut played = vec![$(stringify!($name)),*];
            played.sort_unstable();
            assert_eq!(found, played);
        }
    };
}

files! { ahead auth chunking endings extensions faults flight greeting hello lmtp lockstep parameters starttls timeouts }

/// The player itself: a wrong transcript must fail.
mod the_player_notices {
    use super::play_all;

    const GREETED: &str = "== x\nS: 220 x\nE: reply Greeting 220\nC: EHLO client.example\n";

    #[test]
    fn nothing_when_all_is_as_said() {
        play_all("text", GREETED);
    }

    #[test]
    #[should_panic(expected = "events")]
    fn an_event_that_is_missing() {
        play_all("text", &format!("{GREETED}E: ready\n"));
    }

    #[test]
    #[should_panic(expected = "events")]
    fn an_event_that_was_not_said() {
        play_all("text", &GREETED.replace("E: reply Greeting 220\n", ""));
    }

    #[test]
    #[should_panic(expected = "EHLO client.example")]
    fn output_that_was_not_said() {
        play_all("text", &GREETED.replace("C: EHLO client.example\n", ""));
    }

    #[test]
    #[should_panic(expected = "deadline")]
    fn another_deadline() {
        play_all("text", &format!("{GREETED}D: 4m Reply(Ehlo)\n"));
    }

    #[test]
    #[should_panic(expected = "no such word")]
    fn a_line_that_it_does_not_know() {
        play_all("text", "== x\nX: 220 x\n");
    }
}
