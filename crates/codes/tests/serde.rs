//! Codes and rows as JSON.
#![cfg(feature = "serde")]

use ehlo_codes::explain::Verdict;
use ehlo_codes::{
    EnhancedCode, Parameter, ReplyCode, SaslMechanism, ServiceExtension, Stage, StatusDetail, VendorCode, Verb,
    WithProtocol,
};
use serde_json::{Value, from_value, json, to_value};

#[test]
fn every_code_comes_back() {
    for value in 100..=999 {
        let code = ReplyCode::literal(value);
        assert_eq!(to_value(code).unwrap(), json!(value));
        assert_eq!(from_value::<ReplyCode>(json!(value)).unwrap(), code);
        assert_eq!(from_value::<ReplyCode>(json!(value.to_string())).unwrap(), code);
    }
    for info in StatusDetail::registered() {
        let code = info.status.permanent();
        assert_eq!(to_value(code).unwrap(), json!(code.to_string()));
        assert_eq!(from_value::<EnhancedCode>(json!(code.to_string())).unwrap(), code);
        assert_eq!(from_value::<StatusDetail>(to_value(info.status).unwrap()).unwrap(), info.status);
    }
    for stage in Stage::ALL {
        assert_eq!(from_value::<Stage>(to_value(stage).unwrap()).unwrap(), *stage);
    }
    for verb in Verb::ALL {
        assert_eq!(from_value::<Verb>(to_value(verb).unwrap()).unwrap(), *verb);
    }
}

#[test]
fn what_is_no_code_is_refused() {
    for value in [json!(99), json!(1000), json!(-250), json!(250.0), json!("25"), json!(""), json!(null), json!([250])]
    {
        assert!(from_value::<ReplyCode>(value.clone()).is_err(), "{value}");
    }
    for value in [json!("5.7"), json!("5.7.1 x"), json!("5.07.1"), json!(5), json!("X.7.1")] {
        assert!(from_value::<EnhancedCode>(value.clone()).is_err(), "{value}");
    }
    assert!(from_value::<StatusDetail>(json!("5.7.1")).is_err());
    assert!(from_value::<Verb>(json!("HELOO")).is_err());
    let error = from_value::<ReplyCode>(json!(42)).unwrap_err();
    assert!(error.to_string().contains("a reply code from 100 to 999"), "{error}");
}

#[test]
fn rows_have_all_their_fields() {
    let row = to_value(ReplyCode::literal(452).info()).unwrap();
    assert_eq!(row["code"], 452);
    assert_eq!(row["standing"], "standard");
    assert_eq!(row["meanings"][1]["title"], "Too many recipients");
    assert_eq!(row["meanings"][1]["details"][0], "X.5.3");
    assert_eq!(row["meanings"][0]["advice"]["first"], "postmaster");
    let row = to_value(ServiceExtension::by_keyword("SIZE")).unwrap();
    assert_eq!((&row["mail_line"], &row["submission"]), (&json!(26), &json!("MAY")));
    assert_eq!(to_value(Verdict::RetryLater).unwrap(), "transient");
    let tables: [Value; 5] = [
        to_value(StatusDetail::registered()).unwrap(),
        to_value(Parameter::ALL).unwrap(),
        to_value(SaslMechanism::ALL).unwrap(),
        to_value(WithProtocol::ALL).unwrap(),
        to_value(VendorCode::ALL).unwrap(),
    ];
    for table in tables {
        assert!(table.as_array().unwrap().iter().all(|row| row.as_object().is_some_and(|row| row.len() >= 6)));
    }
}
