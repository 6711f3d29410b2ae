//! What rules fit, which of them decides, and what is told of wrong ones.

use ehlo_codes::{Stage, Verb};
use ehlo_tokio::Decision;

use super::facts::{Facts, Recipients};
use super::{Remark, Rules};

const RCPT: Stage = Stage::Verb(Verb::Rcpt);

fn facts(stage: Stage) -> Facts<'static> {
    Facts {
        stage,
        client: [192, 0, 2, 7].into(),
        helo: Some("Client.example"),
        sender: Some("ada@client.example"),
        recipients: Recipients::These(&["bob@mx.example", "carl@mx.example"]),
        size: Some(5000),
        tls: false,
        user: None,
        line: Some(b"RCPT TO:<bob@mx.example> NOTIFY=NEVER"),
    }
}

fn rules(text: &str) -> Rules {
    Rules::from_toml(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Whether a rule at RCPT with this condition fits.
fn fits(condition: &str, facts: &Facts<'_>) -> bool {
    rules(&format!("[[rule]]\nstage = \"rcpt\"\n{condition}\nreply = 550")).decide(facts).is_some()
}

#[test]
fn each_condition_has_to_hold() {
    let facts = facts(RCPT);
    for condition in [
        "",
        "client = \"192.0.2.7\"",
        "client = [\"10.0.0.0/8\", \"192.0.2.0/24\"]",
        "helo = \"*.EXAMPLE\"",
        "sender = \"client.example\"",
        "recipient = \"carl@\"",
        "recipient = [\"nobody@\", \"*\"]",
        "size = \"1K..5000\"",
        "tls = false",
        "authenticated = false",
        "line = \"rcpt to:*notify=*\"",
        "sender = \"*@client.example\"\nrecipient = \"mx.example\"\nhelo = \"client.*\"",
    ] {
        assert!(fits(condition, &facts), "{condition}");
    }
    for condition in [
        "client = \"192.0.2.8\"",
        "client = \"2001:db8::/32\"",
        "helo = \"client\"",
        "sender = \"<>\"",
        "sender = \"mx.example\"",
        "recipient = \"dora@mx.example\"",
        "recipient = \"Bob@\"",
        "size = \"5001..\"",
        "tls = true",
        "authenticated = true",
        "user = \"*\"",
        "line = \"notify\"",
        "sender = \"*@client.example\"\nrecipient = \"elsewhere.example\"",
    ] {
        assert!(!fits(condition, &facts), "{condition}");
    }
}

#[test]
fn what_is_not_known_fits_no_condition() {
    let mut facts = facts(RCPT);
    (facts.helo, facts.sender, facts.size, facts.line) = (None, None, None, None);
    facts.recipients = Recipients::These(&[]);
    for condition in ["helo = \"*\"", "sender = \"*\"", "recipient = \"*\"", "size = \"0..\"", "line = \"*\""] {
        assert!(!fits(condition, &facts), "{condition}");
    }
    facts.sender = Some("");
    assert!(fits("sender = \"<>\"", &facts) && fits("sender = \"*\"", &facts));
    facts.user = Some("ada");
    assert!(fits("user = \"a*\"\nauthenticated = true", &facts));
}

/// Which rule decides, from 0.
fn first(rules: &Rules, facts: &Facts<'_>) -> Option<usize> {
    rules.decide(facts).map(|(index, _)| index)
}

#[test]
fn the_first_rule_that_is_applied_decides() {
    let rules = rules(
        "[[rule]]\nstage = \"mail\"\nreply = 550\n\
         [[rule]]\nname = \"every other\"\nstage = [\"rcpt\", \"data\"]\nevery = 2\nreply = 450\n\
         [[rule]]\nstage = \"any\"\nreply = 451",
    );
    let at = |stage| first(&rules, &facts(stage));
    assert_eq!(
        [at(RCPT), at(RCPT), at(RCPT)],
        [Some(2), Some(1), Some(2)],
        "one that is passed over leaves it to the next"
    );
    assert_eq!(at(Stage::Verb(Verb::Mail)), Some(0));
    assert_eq!(at(Stage::Verb(Verb::Data)), Some(1));
    assert_eq!(at(Stage::Connect), Some(2));
    let counts: Vec<_> = rules.counts().map(|count| (count.number, count.name, count.matched, count.applied)).collect();
    assert_eq!(counts, [(1, None, 1, 1), (2, Some("every other"), 4, 2), (3, None, 3, 3)]);
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let text = "[[rule]]\nstage = \"rcpt\"\nprobability = 0.5\nreply = 450\n[[rule]]\nstage = \"rcpt\"\nprobability = 0.5\nreply = 451";
    let run = |seed| {
        let rules = rules(text).with_seed(seed);
        (0..200).map(|_| first(&rules, &facts(RCPT))).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    for rule in [None, Some(0), Some(1)] {
        assert!(run(1).contains(&rule), "{rule:?}");
    }
}

#[test]
fn a_count_of_its_own_is_not_changed_by_others() {
    let text = "[[rule]]\nstage = \"rcpt\"\nper = [\"client\", \"recipient\"]\nfirst = 1\nreply = 450";
    let rules = rules(text);
    let at = |client: [u8; 4], recipient| {
        let recipients = Recipients::These(recipient);
        first(&rules, &Facts { client: client.into(), recipients, ..facts(RCPT) }).is_some()
    };
    assert!(at([192, 0, 2, 1], &["a@b"]) && at([192, 0, 2, 2], &["a@b"]) && at([192, 0, 2, 1], &["c@d"]));
    assert!(!at([192, 0, 2, 1], &["a@b"]) && !at([192, 0, 2, 1], &["c@d"]));
}

#[test]
fn what_a_rule_does_is_what_it_says() {
    let shown = |keys: &str| {
        let rules = rules(&format!("[[rule]]\nstage = \"rcpt\"\n{keys}"));
        match rules.decide(&facts(RCPT)) {
            Some((_, Decision::Intervene(intervention))) => format!("{intervention:?}"),
            other => panic!("{other:?}"),
        }
    };
    for (keys, expected) in [
        // What says yes is obeyed, and what says no is not, unless told otherwise.
        ("reply = 250", "obey: true, close: false"),
        ("reply = 550", "obey: false, close: false"),
        ("reply = 354", "obey: true, close: false"),
        ("reply = 334", "obey: false, close: false"),
        ("reply = 550\nobey = true", "obey: true, close: false"),
        ("reply = 250\nobey = false", "obey: false, close: false"),
        ("raw = \"250 x\\r\\n\"", "obey: true, close: false"),
        ("raw = \"x\"", "obey: false, close: false"),
        // RFC 5321 §3.8: behind 421 the server closes.
        ("reply = 421", "obey: false, close: true"),
        ("reply = 421\ndisconnect = \"never\"", "obey: false, close: false"),
        ("reply = 550\ndisconnect = \"after\"", "obey: false, close: true"),
        ("disconnect = \"before\"", "words: Octets([]), obey: false, close: true"),
        ("disconnect = \"before\"\nobey = true", "words: Octets([]), obey: true, close: true"),
        ("disconnect = \"after\"", "words: Usual, obey: true, close: true"),
        ("disconnect = \"reset\"", "words: Octets([]), obey: false, close: true }), reset: true"),
        ("silent = true", "words: Octets([]), obey: false, close: false"),
        ("rate = \"10/s\"", "with: None, reset: false, rate: Some(10), lasts: false"),
        ("rate = \"10/s\"\nreply = 250", "rate: Some(10)"),
    ] {
        let shown = shown(keys);
        assert!(shown.contains(expected), "{keys}\n{shown}");
    }
    let rules = rules("[[rule]]\nstage = \"rcpt\"\ndelay = \"3s\"");
    assert!(matches!(rules.decide(&facts(RCPT)), Some((_, Decision::Later(_)))));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, place, told) in [
        ("[[rule]]\nstage = \"rcpt\"\nreply = \"5x0\"", "line 3, column 9", "three digits"),
        ("[[rule]]\nstage = [\"mail\", \"rpct\"]\nreply = 550", "line 2, column", "no stage \"rpct\""),
        ("[[rule]]\nstage = \"rcpt\"\nreplay = 550", "line 3, column 1", "unknown field `replay`"),
        ("[[rule]]\nreply = 550", "line 1, column 1", "missing field `stage`"),
        ("[[rule]]\nstage = []\nreply = 550", "line 2, column 9", "empty list"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nprobability = 1.5", "line 4, column 15", "between 0 and 1"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nevery = 0", "line 4, column 9", "nonzero"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\ndelay = \"3\"", "line 4, column 9", "no time such as 3s"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nrate = \"fast\"", "line 4, column 8", "no rate such as"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nsize = \"1M\"", "line 4, column 8", "no range of sizes"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nclient = \"10.0.0.1/8\"", "line 4, column 10", "bits behind"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nsender = \"<a@b>\"", "line 4, column 10", "without <>"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\ndisconnect = \"soon\"", "line 4, column 14", "soon"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nper = \"day\"", "line 4, column 7", "neither client"),
        // Of a rule as a whole.
        (
            "[[rule]]\nstage = \"mail\"\nreply = 550\n[[rule]]\nstage = \"rcpt\"",
            "line 4, column 1",
            "a rule does something",
        ),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\nraw = \"x\"", "line 1, column 1", "one of `reply`"),
        ("[[rule]]\nstage = \"rcpt\"\nreply = 550\ndisconnect = \"before\"", "line 1, column 1", "`after`"),
        ("[[rule]]\nstage = \"rcpt\"\ndisconnect = \"never\"", "line 1, column 1", "goes with"),
        ("[[rule]]\nstage = \"rcpt\"\ndelay = \"1s\"\nobey = false", "line 1, column 1", "goes with"),
        ("[[rule]]\nstage = \"rcpt\"\ndisconnect = \"after\"\nobey = false", "line 1, column 1", "something to say"),
        ("[[rule]]\nstage = \"rcpt\"\nhold = \"1s\"", "line 1, column 1", "data or bdat"),
        ("rule = 1", "line 1, column 8", "sequence"),
        ("rules = []", "line 1, column 1", "unknown field"),
    ] {
        let error = Rules::from_toml(text).expect_err(text).to_string();
        assert!(error.contains(place) && error.contains(told), "{text}\n{error}");
    }
}

#[test]
fn what_is_unusual_is_told_and_allowed() {
    let text = "[[rule]]\nstage = \"rcpt\"\nreply = \"550 5.1.1 No\"\n\n\
                [[rule]]\nstage = \"rcpt\"\nsender = \"*\"\nreply = 354\n\n\
                [[rule]]\nstage = \"data\"\nreply = 250\n\n\
                [[rule]]\nstage = \"helo\"\nreply = \"557 5.1.99 x\"\n";
    assert_eq!(rules(text).len(), 4);
    let remarks = Rules::remarks(text).unwrap();
    let has = |rule, line, told: &str| {
        let found = |remark: &Remark| (remark.rule, remark.line) == (rule, line) && remark.text.contains(told);
        assert!(remarks.iter().any(found), "{told}: {remarks:?}");
    };
    has(2, 5, "354 at RCPT: no RFC has this reply here (RFC 5321 §4.3.2)");
    has(2, 5, "never applied, since rule 1 answers everything before it");
    has(3, 10, "250 at DATA, which is obeyed");
    has(4, 14, "557 at HELO: the reply code is to be understood, not to be sent");
    has(4, 14, "a reply of this kind carries no enhanced code");
    assert!(remarks.iter().all(|remark| remark.rule != 1), "{remarks:?}");
    assert_eq!(remarks[0].to_string().split(": ").next(), Some("line 5, rule 2"));
}
