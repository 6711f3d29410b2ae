//! Every stage with every reply code, and with enhanced codes: what is wrong is told, and nothing else.

use ehlo_codes::{EnhancedCode, Fault, Faults, ReplyCode, ReplyText, Stage, Standing, Verb};

fn check(stage: Stage, code: u16, enhanced: Option<&str>, text: Option<&[u8]>) -> Vec<Fault> {
    let enhanced = enhanced.map(|text| text.parse().unwrap());
    stage.check(ReplyCode::literal(code), enhanced, text).err().unwrap_or_default().iter().collect()
}

#[test]
fn a_reply_is_in_place_where_the_table_has_it() {
    for stage in Stage::ALL {
        for value in 100..=999 {
            let code = ReplyCode::literal(value);
            let faults = stage.check(code, None, None).err().unwrap_or_default();
            assert_eq!(faults.contains(Fault::NotAtThisStage), !stage.permits(code), "{stage} {code}");
            assert_eq!(faults.contains(Fault::NoSmtpReply), !(200..600).contains(&value), "{stage} {code}");
            assert_eq!(faults.contains(Fault::UnregisteredReply), code.info().is_none(), "{stage} {code}");
            let kept = code.info().is_some_and(|info| !info.standing.may_be_sent());
            assert_eq!(faults.contains(Fault::NotToBeSent), kept, "{stage} {code}");
            assert_eq!(stage.reply(code).is_some(), stage.permits(code), "{stage} {code}");
            assert_eq!(faults.is_empty(), stage.check(code, None, None).is_ok());
        }
    }
}

#[test]
fn every_reply_of_the_tables_is_legal_in_its_place() {
    let mut count = 0;
    for stage in Stage::ALL {
        for reply in stage.replies() {
            let faults = stage.check(reply.code, None, None).err().unwrap_or_default();
            let obsolete = reply.code.info().is_some_and(|info| info.standing == Standing::Obsolete);
            assert_eq!(faults.iter().collect::<Vec<_>>(), if obsolete { vec![Fault::NotToBeSent] } else { vec![] });
            count += 1;
        }
    }
    assert!(count > 200);
}

#[test]
fn the_class_of_an_enhanced_code_must_be_the_first_digit() {
    let rcpt = Stage::Verb(Verb::Rcpt);
    for value in 200..600 {
        for class in 0..=9 {
            let enhanced = EnhancedCode::literal(class, 0, 0);
            let faults = rcpt.check(ReplyCode::literal(value), Some(enhanced), None).err().unwrap_or_default();
            let first = value / 100;
            assert_eq!(faults.contains(Fault::ClassDiffers), first != 3 && first != class, "{value} {class}");
            assert_eq!(faults.contains(Fault::EnhancedOutOfPlace), first == 3, "{value} {class}");
            assert_eq!(faults.contains(Fault::UnknownClass), ![2, 4, 5].contains(&class), "{value} {class}");
        }
    }
}

#[test]
fn enhanced_codes_are_held_against_their_definition() {
    let rcpt = Stage::Verb(Verb::Rcpt);
    assert_eq!(check(rcpt, 550, Some("5.1.1"), None), []);
    assert_eq!(check(rcpt, 550, Some("5.7.999"), None), [Fault::UnregisteredEnhanced]);
    assert_eq!(check(rcpt, 450, Some("4.1.1"), None), [Fault::ClassNotMeant, Fault::OtherReplyNamed]);
    assert_eq!(check(rcpt, 452, Some("4.2.2"), None), [Fault::OtherReplyNamed]);
    assert_eq!(check(rcpt, 550, Some("4.7.0"), None), [Fault::ClassDiffers]);
    assert_eq!(check(Stage::Connect, 554, Some("5.3.0"), None), [Fault::EnhancedOutOfPlace]);
    assert_eq!(check(Stage::Verb(Verb::Ehlo), 250, Some("2.0.0"), None), [Fault::EnhancedOutOfPlace]);
}

#[test]
fn a_text_must_carry_what_the_client_needs() {
    let (rcpt, vrfy) = (Stage::Verb(Verb::Rcpt), Stage::Verb(Verb::Vrfy));
    let lacking = [Fault::TextLacking];
    for code in [251, 551] {
        for stage in [rcpt, vrfy] {
            assert_eq!(check(stage, code, None, Some(b"try <ada@example.org>")), [], "{stage} {code}");
            for text in [&b""[..], b"no", b"ada@example.org", b"<ada>", b"@ < >"] {
                assert_eq!(check(stage, code, None, Some(text)), lacking, "{stage} {code}");
            }
            assert_eq!(check(stage, code, None, None), [], "a text that is not given is not looked at");
        }
    }
    assert_eq!(check(Stage::Verb(Verb::Etrn), 251, None, Some(b"nothing waits")), []);
    assert_eq!(check(vrfy, 250, None, Some(b"Ada <ada@example.org>")), []);
    assert_eq!(check(vrfy, 250, None, Some(b"fine")), lacking);
    assert_eq!(check(Stage::Connect, 220, None, Some(b"mx.example.org ESMTP")), []);
    assert_eq!(check(Stage::Connect, 220, None, Some(b"[192.0.2.1] ready")), []);
    assert_eq!(check(Stage::Connect, 220, None, Some(b"")), lacking);
    assert_eq!(check(Stage::AuthResponse, 334, None, Some(b"")), []);
    assert_eq!(check(Stage::AuthResponse, 334, None, Some(b"dGVzdA==")), []);
    assert_eq!(check(Stage::Verb(Verb::Auth), 334, None, Some(b"go on, please")), lacking);
    assert_eq!(check(Stage::Verb(Verb::Mail), 355, None, Some(b"6135 is the offset")), []);
    assert_eq!(check(Stage::Verb(Verb::Mail), 355, None, Some(b"none")), lacking);
    assert!(ReplyText::Free.is_in(b"\xff"));
}

#[test]
fn faults_say_what_they_are_and_whether_an_rfc_forbids_it() {
    let mut forbidden = Vec::new();
    for fault in Fault::ALL {
        assert!(!fault.as_str().is_empty() && fault.reference().starts_with("RFC "));
        if fault.is_violation() {
            forbidden.push(*fault);
        }
    }
    assert_eq!(forbidden, [Fault::NoSmtpReply, Fault::ClassDiffers, Fault::UnknownClass, Fault::TextLacking]);

    let faults = Faults::of(ReplyCode::new(199), EnhancedCode::new(5, 9, 9));
    assert_eq!(
        faults.iter().collect::<Vec<_>>(),
        [Fault::NoSmtpReply, Fault::UnregisteredReply, Fault::ClassDiffers, Fault::UnregisteredEnhanced]
    );
    assert!(faults.has_violation());
    assert_eq!(format!("{faults:?}"), "{NoSmtpReply, UnregisteredReply, ClassDiffers, UnregisteredEnhanced}");
    assert_eq!(faults.to_string().matches("; ").count(), 3);
    assert!(Faults::of(None, None).is_empty());
    assert_eq!(Faults::NONE.to_string(), "");
}
