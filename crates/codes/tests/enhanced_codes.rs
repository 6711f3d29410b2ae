//! Enhanced status codes: every range, and what is read out of a reply's text.

use ehlo_codes::{EnhancedCode, ReplyCode, StatusDetail, enhanced};

/// Every number at which the count of digits changes, and a spread between.
fn numbers() -> impl Iterator<Item = u16> + Clone {
    (0..=999).filter(|number| *number < 32 || number % 37 == 0 || (95..105).contains(number) || *number > 990)
}

#[test]
fn codes_survive_text_and_back() {
    for class in [0, 1, 2, 3, 4, 5, 6, 9, 10, 99, 100, 999] {
        for subject in numbers() {
            for detail in numbers() {
                let code = EnhancedCode::new(class, subject, detail).unwrap();
                let text = code.to_string();
                assert_eq!(text, format!("{class}.{subject}.{detail}"));
                assert_eq!(text.parse(), Ok(code));
                let read = EnhancedCode::parse_prefix(text.as_bytes());
                assert_eq!(read, matches!(class, 2 | 4 | 5).then_some((code, text.len())), "{text}");
            }
        }
    }
}

#[test]
fn every_subject_and_every_detail_is_read() {
    for number in 0..=999 {
        for text in [format!("5.{number}.300 x"), format!("5.300.{number} x")] {
            let (code, length) = EnhancedCode::parse_prefix(text.as_bytes()).unwrap();
            assert_eq!(format!("{code} x"), text);
            assert_eq!(length, text.len() - 2);
        }
    }
}

#[test]
fn a_detail_of_300_is_not_cut_to_a_byte() {
    let code: EnhancedCode = "5.7.300".parse().unwrap();
    assert_eq!((code.class(), code.subject(), code.detail()), (5, 7, 300));
    assert_eq!(code, EnhancedCode::literal(5, 7, 300));
    assert_ne!(code, EnhancedCode::literal(5, 7, 300 - 256));
    assert_eq!(code.info(), None);
    assert!(code.subject_info().is_some());
}

#[test]
fn numbers_above_999_are_refused() {
    assert_eq!(EnhancedCode::new(1000, 0, 0), None);
    assert_eq!(EnhancedCode::new(5, 1000, 0), None);
    assert_eq!(EnhancedCode::new(5, 0, 1000), None);
    assert_eq!(EnhancedCode::literal(5, 0, 0).with_class(1000), None);
    assert_eq!(StatusDetail::new(0, 1000), None);
    assert_eq!(EnhancedCode::parse_prefix(b"5.1000.0"), None);
    assert_eq!(EnhancedCode::parse_prefix(b"5.0.1000"), None);
    assert_eq!(EnhancedCode::parse_prefix(b"5.0.99999999999999999999"), None);
}

#[test]
fn what_stands_behind_the_code_decides() {
    let code = EnhancedCode::literal(5, 7, 1);
    for text in ["5.7.1", "5.7.1 ", "5.7.1 no", "5.7.1\tno", "5.7.1  no"] {
        assert_eq!(EnhancedCode::parse_prefix(text.as_bytes()), Some((code, 5)), "{text:?}");
    }
    for text in ["5.7.1:", "5.7.1.", "5.7.1.2 no", "5.7.1x", "5.7.1\r", "5.7.1\u{a0}"] {
        assert_eq!(EnhancedCode::parse_prefix(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn texts_that_only_look_like_codes_are_left_alone() {
    let texts = [
        "",
        "5",
        "5.",
        "5.7",
        "5.7.",
        "5..1",
        ".7.1",
        "5.7.x",
        "x.7.1",
        " 5.7.1",
        "#5.7.1",
        "(5.7.1)",
        "05.7.1",
        "5.07.1",
        "5.7.01",
        "5.00.0",
        "1.7.1",
        "3.7.1",
        "6.7.1",
        "0.0.0",
        "55.7.1",
        "192.0.2 is blocked",
        "5,7,1",
        "5.7-1",
        "-5.7.1",
        "5.+7.1",
        "٥.٧.١",
    ];
    for text in texts {
        assert_eq!(EnhancedCode::parse_prefix(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn a_text_that_is_more_than_a_code_does_not_parse_as_one() {
    for text in ["5.7.1 ", " 5.7.1", "5.7.1 no", "5.7.01", "05.7.1", "5.7", "5.7.1.2", "", "X.7.1"] {
        assert!(text.parse::<EnhancedCode>().is_err(), "{text:?}");
    }
}

#[test]
fn the_class_agrees_with_the_first_digit_of_2yz_4yz_and_5yz_only() {
    for value in 100..=999 {
        let reply = ReplyCode::literal(value);
        for class in 0..=9 {
            let expected = value / 100 == class && [2, 4, 5].contains(&class);
            assert_eq!(EnhancedCode::literal(class, 1, 1).agrees_with(reply), expected, "{class} {value}");
        }
    }
}

#[test]
fn look_up_finds_exactly_the_registered_details() {
    let rows = StatusDetail::registered();
    for subject in 0..20 {
        for detail in 0..=999 {
            let status = StatusDetail::new(subject, detail).unwrap();
            let row = rows.iter().find(|row| row.status == status);
            assert_eq!(status.info(), row);
            assert_eq!(status.permanent().info(), row);
        }
        assert_eq!(EnhancedCode::literal(5, subject, 0).subject_info().is_some(), subject <= 7);
    }
    for class in 0..=999 {
        let known = EnhancedCode::literal(class, 0, 0).class_info().is_some();
        assert_eq!(known, [2, 4, 5].contains(&class));
    }
}

#[test]
fn names_stand_for_the_numbers_of_the_standards() {
    // RFC 2034 §5 and RFC 3463 §3: written here a second time on purpose.
    let pairs = [
        (enhanced::OK, "2.0.0"),
        (enhanced::SENDER_OK, "2.1.0"),
        (enhanced::RECIPIENT_OK, "2.1.5"),
        (enhanced::BAD_DESTINATION_MAILBOX_ADDRESS.permanent(), "5.1.1"),
        (enhanced::MAILBOX_FULL.transient(), "4.2.2"),
        (enhanced::SYSTEM_FULL.transient(), "4.3.1"),
        (enhanced::MESSAGE_TOO_BIG_FOR_SYSTEM.permanent(), "5.3.4"),
        (enhanced::INVALID_COMMAND.permanent(), "5.5.1"),
        (enhanced::COMMAND_SYNTAX_ERROR.permanent(), "5.5.2"),
        (enhanced::TOO_MANY_RECIPIENTS.transient(), "4.5.3"),
        (enhanced::INVALID_COMMAND_ARGUMENTS.permanent(), "5.5.4"),
        (enhanced::DELIVERY_NOT_AUTHORIZED.permanent(), "5.7.1"),
        (enhanced::RECIPIENT_HAS_NULL_MX.permanent(), "5.1.10"),
    ];
    for (code, text) in pairs {
        assert_eq!(code.to_string(), text);
    }
}
