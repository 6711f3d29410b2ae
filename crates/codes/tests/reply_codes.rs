//! Reply codes: every value, and what texts are refused.

use ehlo_codes::{ReplyClass, ReplyCode};

#[test]
fn every_code_survives_digits_text_and_back() {
    let mut count = 0;
    for value in 0..=u16::MAX {
        let Some(code) = ReplyCode::new(value) else {
            assert!(!(100..=999).contains(&value));
            continue;
        };
        count += 1;
        assert_eq!(code.get(), value);
        assert_eq!(u16::from(code), value);
        assert_eq!(code.digits().as_slice(), value.to_string().as_bytes());
        assert_eq!(ReplyCode::from_digits(code.digits()), Some(code));
        assert_eq!(code.to_string().parse(), Ok(code));
        assert_eq!(format!("{code:?} {code:#?}"), format!("{value} {value}"));
    }
    assert_eq!(count, 900);
}

#[test]
fn the_first_digit_decides_the_class() {
    for value in 100..=999 {
        let code = ReplyCode::literal(value);
        let class = match code.to_string().as_bytes()[0] {
            b'1' => ReplyClass::Preliminary,
            b'2' => ReplyClass::Completion,
            b'3' => ReplyClass::Intermediate,
            b'4' => ReplyClass::TransientFailure,
            b'5' => ReplyClass::PermanentFailure,
            _ => ReplyClass::Other,
        };
        assert_eq!(code.class(), class);
        assert_eq!(code.is_positive(), matches!(class, ReplyClass::Completion | ReplyClass::Intermediate));
    }
}

#[test]
fn texts_that_are_not_three_digits_are_refused() {
    for text in ["", "25", "2500", "099", "000", "25O", " 250", "250 ", "+50", "-50", "२५०", "2.0"] {
        assert!(text.parse::<ReplyCode>().is_err(), "{text:?}");
    }
}

#[test]
fn an_optional_code_takes_no_more_room() {
    assert_eq!(size_of::<Option<ReplyCode>>(), size_of::<u16>());
}

#[test]
#[should_panic(expected = "100..=999")]
fn a_literal_out_of_range_is_a_bug() {
    let _ = ReplyCode::literal(1000);
}

#[test]
fn look_up_finds_exactly_the_registered_codes() {
    let registered: Vec<u16> = ReplyCode::registered().iter().map(|info| info.code.get()).collect();
    for value in 100..=999 {
        let info = ReplyCode::literal(value).info();
        assert_eq!(info.is_some(), registered.contains(&value), "{value}");
        assert!(info.is_none_or(|info| info.code.get() == value));
    }
}

#[test]
fn the_constants_have_the_values_of_the_standards() {
    // RFC 5321 §4.2.3, RFC 7504: written here a second time on purpose.
    let pairs = [
        (ReplyCode::SYSTEM_STATUS, 211),
        (ReplyCode::HELP, 214),
        (ReplyCode::READY, 220),
        (ReplyCode::CLOSING, 221),
        (ReplyCode::OK, 250),
        (ReplyCode::WILL_FORWARD, 251),
        (ReplyCode::CANNOT_VRFY, 252),
        (ReplyCode::START_MAIL_INPUT, 354),
        (ReplyCode::SERVICE_NOT_AVAILABLE, 421),
        (ReplyCode::MAILBOX_BUSY, 450),
        (ReplyCode::LOCAL_ERROR, 451),
        (ReplyCode::INSUFFICIENT_STORAGE, 452),
        (ReplyCode::PARAMETERS_NOT_ACCOMMODATED, 455),
        (ReplyCode::SYNTAX_ERROR, 500),
        (ReplyCode::PARAMETER_SYNTAX_ERROR, 501),
        (ReplyCode::NOT_IMPLEMENTED, 502),
        (ReplyCode::BAD_SEQUENCE, 503),
        (ReplyCode::PARAMETER_NOT_IMPLEMENTED, 504),
        (ReplyCode::DOES_NOT_ACCEPT_MAIL, 521),
        (ReplyCode::MAILBOX_UNAVAILABLE, 550),
        (ReplyCode::USER_NOT_LOCAL, 551),
        (ReplyCode::STORAGE_EXCEEDED, 552),
        (ReplyCode::MAILBOX_NAME_NOT_ALLOWED, 553),
        (ReplyCode::TRANSACTION_FAILED, 554),
        (ReplyCode::PARAMETERS_NOT_RECOGNIZED, 555),
        (ReplyCode::DOMAIN_DOES_NOT_ACCEPT_MAIL, 556),
    ];
    for (code, value) in pairs {
        assert_eq!(code.get(), value);
    }
}
