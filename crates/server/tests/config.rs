//! Settings that are checked when they are made.

use ehlo_server::codec::ReplyError;
use ehlo_server::{Config, Solicitations};

#[test]
fn solicitations_fit_their_grammar_and_a_reply_line() {
    for good in ["", "org.example:ADV", "org.example:ADV,org.example:ADV:ADLT"] {
        assert_eq!(Solicitations::parse(good).unwrap().as_str(), good);
    }
    for bad in ["1:ADV", "a,", "a b", "a\r\n", "ä", "a SIZE=1"] {
        assert_eq!(Solicitations::parse(bad), None, "{bad:?}");
    }
    assert!(Solicitations::parse(&"x".repeat(Solicitations::MAX)).is_some());
    assert!(Solicitations::parse(&"x".repeat(Solicitations::MAX + 1)).is_none());
}

#[test]
fn a_wrong_name_or_text_changes_nothing() {
    let mut config = Config::new("mx.test").unwrap();
    assert!(config.set_hostname("-").is_err());
    assert_eq!(config.hostname(), "mx.test");
    config.set_hostname("[192.0.2.1]").unwrap();
    assert_eq!(config.hostname(), "[192.0.2.1]");
    config.set_help_text("Ask the postmaster\nor wait").unwrap();
    assert_eq!(config.set_help_text("a\r\nb"), Err(ReplyError::Text));
}
