//! The tables agree with each other and with the lists of the standards.

use std::collections::BTreeSet;

use ehlo_codes::{EnhancedCode, Outcome, ReplyCode, Stage, Standing, StatusDetail, Verb};

fn stages() -> Vec<Stage> {
    let special = [Stage::Connect, Stage::UnknownVerb, Stage::DataEnd, Stage::AuthResponse];
    special.into_iter().chain(Verb::ALL.iter().copied().map(Stage::Verb)).collect()
}

fn permitted(stage: Stage) -> BTreeSet<u16> {
    (100..=999).filter(|value| stage.permits(ReplyCode::literal(*value))).collect()
}

#[test]
fn rows_rise_and_have_texts() {
    let replies = ReplyCode::registered();
    assert!(replies.is_sorted_by(|a, b| a.code < b.code));
    for info in replies {
        for text in [info.title, info.meaning, info.advice, info.reference] {
            assert!(!text.is_empty() && text != "-", "{}", info.code);
        }
        assert!(info.meaning.ends_with('.') && info.advice.ends_with('.'), "{}", info.code);
    }
    let details = StatusDetail::registered();
    assert!(details.is_sorted_by(|a, b| a.status < b.status));
    for info in details {
        assert!(info.meaning.ends_with('.') && !info.title.is_empty(), "{}", info.status);
        assert!(!info.classes.is_empty() && info.classes.is_sorted(), "{}", info.status);
        assert!(info.replies.is_sorted_by(|a, b| a < b), "{}", info.status);
    }
}

#[test]
fn enhanced_and_basic_rows_point_at_each_other() {
    for info in StatusDetail::registered() {
        for code in info.replies {
            let reply = code.info().unwrap_or_else(|| panic!("{} names {code}, which is not registered", info.status));
            assert!(reply.enhanced.contains(&info.status), "{code} does not name {}", info.status);
        }
    }
    for info in ReplyCode::registered() {
        for status in info.enhanced {
            let detail =
                status.info().unwrap_or_else(|| panic!("{} names {status}, which is not registered", info.code));
            assert!(detail.replies.contains(&info.code), "{status} does not name {}", info.code);
        }
    }
}

#[test]
fn a_standard_row_names_an_rfc_and_a_section() {
    let replies = ReplyCode::registered().iter().map(|info| (info.standing, info.reference));
    let details = StatusDetail::registered().iter().map(|info| (info.standing, info.reference));
    let verbs = Verb::ALL.iter().map(|verb| (verb.info().standing, verb.info().reference));
    for (standing, reference) in replies.chain(details).chain(verbs) {
        if standing.may_be_sent() {
            assert!(reference.starts_with("RFC ") && reference.contains('§'), "{reference}");
        }
    }
}

#[test]
fn each_stage_has_registered_replies_that_may_be_sent() {
    for stage in stages() {
        let replies = stage.replies();
        assert!(!replies.is_empty(), "{stage:?}");
        assert!(replies.is_sorted_by(|a, b| a.code < b.code), "{stage:?}");
        for reply in replies.iter().chain(Stage::EVERY_COMMAND) {
            let info = reply.code.info().unwrap_or_else(|| panic!("{stage:?}: {} is not registered", reply.code));
            assert!(
                info.standing.may_be_sent() || info.standing == Standing::Obsolete,
                "{stage:?}: {} is {}",
                reply.code,
                info.standing
            );
            let outcome = match reply.code.get() / 100 {
                2 => Outcome::Success,
                3 => Outcome::Intermediate,
                _ => Outcome::Error,
            };
            assert_eq!(reply.outcome, outcome);
        }
    }
}

#[test]
fn each_stage_can_succeed_and_be_ended() {
    for stage in stages() {
        let codes = permitted(stage);
        assert!(codes.contains(&421), "{stage:?} cannot be ended by 421");
        let positive = codes.iter().any(|code| (200..400).contains(code));
        assert_eq!(positive, stage != Stage::UnknownVerb, "{stage:?}");
    }
}

#[test]
fn the_lists_of_rfc_5321_are_permitted() {
    // RFC 5321 §4.3.2 with the additions of RFC 7504 §5.1: written here a second time on purpose.
    let lists: &[(Stage, &[u16])] = &[
        (Stage::Connect, &[220, 521, 554]),
        (Stage::Verb(Verb::Ehlo), &[250, 502, 504, 550]),
        (Stage::Verb(Verb::Helo), &[250, 502, 504, 550]),
        (Stage::Verb(Verb::Mail), &[250, 451, 452, 455, 503, 550, 552, 553, 555]),
        (Stage::Verb(Verb::Rcpt), &[250, 251, 450, 451, 452, 455, 503, 550, 551, 552, 553, 555, 556]),
        (Stage::Verb(Verb::Data), &[354, 503, 554]),
        (Stage::DataEnd, &[250, 450, 451, 452, 550, 552, 554]),
        (Stage::Verb(Verb::Rset), &[250]),
        (Stage::Verb(Verb::Vrfy), &[250, 251, 252, 502, 504, 550, 551, 553]),
        (Stage::Verb(Verb::Expn), &[250, 252, 500, 502, 504, 550]),
        (Stage::Verb(Verb::Help), &[211, 214, 502, 504]),
        (Stage::Verb(Verb::Noop), &[250]),
        (Stage::Verb(Verb::Quit), &[221]),
    ];
    for (stage, codes) in lists {
        let permitted = permitted(*stage);
        for code in *codes {
            assert!(permitted.contains(code), "{stage:?} {code}");
        }
        if stage.is_command() {
            assert!([421, 500, 501].iter().all(|code| permitted.contains(code)), "{stage:?}");
        }
    }
}

#[test]
fn replies_of_other_stages_are_not_permitted() {
    let wrong: &[(Stage, &[u16])] = &[
        (Stage::Connect, &[221, 250, 354, 500, 501, 503]),
        (Stage::Verb(Verb::Noop), &[220, 221, 354, 450, 451, 530, 550]),
        (Stage::Verb(Verb::Quit), &[250, 503, 521, 530, 554]),
        (Stage::Verb(Verb::Mail), &[221, 251, 354, 551, 556]),
        (Stage::Verb(Verb::Rcpt), &[252, 354, 502]),
        (Stage::Verb(Verb::Data), &[250, 251, 334]),
        (Stage::DataEnd, &[251, 354, 503, 555]),
        (Stage::Verb(Verb::Ehlo), &[220, 530]),
        (Stage::Verb(Verb::Starttls), &[250, 530]),
        (Stage::UnknownVerb, &[220, 221, 250, 354]),
    ];
    for (stage, codes) in wrong {
        for code in *codes {
            assert!(!stage.permits(ReplyCode::literal(*code)), "{stage:?} {code}");
        }
    }
    for stage in stages() {
        assert!(permitted(stage).iter().all(|code| (200..600).contains(code)), "{stage:?}");
    }
}

#[test]
fn details_carry_the_classes_that_their_definition_has_in_mind() {
    // RFC 3463 §3: some only as permanent, some only as transient failures.
    for (text, classes) in [
        ("5.1.1", &[5][..]),
        ("4.2.2", &[4]),
        ("2.1.5", &[2]),
        ("5.2.1", &[4, 5]),
        ("5.7.1", &[5]),
        ("2.0.0", &[2, 4, 5]),
    ] {
        let code: EnhancedCode = text.parse().unwrap();
        assert_eq!(code.info().unwrap().classes, classes, "{text}");
    }
}
