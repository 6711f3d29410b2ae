//! The parameters of RCPT, each by the ABNF of its extension.

use ehlo_codec::{
    Command, Notify, OriginalRecipient, ParamFault, RcptParam, RcptParams, RcptParamsBuf, RecipientValidSince,
    Timestamp, XText,
};

#[track_caller]
fn taken(texts: &[&str]) {
    for text in texts {
        let params = RcptParams::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert!(params.iter().all(|p| !matches!(p, RcptParam::Other(_))), "{text}");
        let line = format!("RCPT TO:<a@b> {text}");
        assert!(Command::parse(line.as_bytes()).is_ok(), "{line}");
    }
}

#[track_caller]
fn refused(keyword: &'static str, values: &[&str]) {
    for value in values {
        let text = format!("{keyword}={value}");
        let fault = RcptParams::parse(&text).expect_err(&text);
        assert!(matches!(fault, ParamFault::Syntax) || fault == ParamFault::Value(keyword), "{text}: {fault}");
    }
}

/// RFC 3461 §4.1.
#[test]
fn notify() {
    for (value, notify) in [
        ("NEVER", Notify::NEVER),
        ("SUCCESS", Notify::SUCCESS),
        ("failure", Notify::FAILURE),
        ("Delay", Notify::DELAY),
        ("SUCCESS,FAILURE", Notify::SUCCESS | Notify::FAILURE),
        ("DELAY,FAILURE,SUCCESS", Notify::SUCCESS | Notify::FAILURE | Notify::DELAY),
    ] {
        for text in [format!("NOTIFY={value}"), format!("notify={value} X=1"), format!("X=1 NOTIFY={value}")] {
            assert_eq!(RcptParams::parse(&text).map(|p| p.notify()), Ok(Some(notify)), "{text}");
        }
    }
    refused("NOTIFY", &["", "NEVER,DELAY", "DELAY,NEVER", "NEVER,NEVER", "SUCCESS,", ",SUCCESS", "SUCCESS,,DELAY"]);
    refused("NOTIFY", &["ALWAYS", "SUCCESSFUL", "SUCCESS;FAILURE", "NEVERX", "SUCCESS, FAILURE", "DELAY,DELAY"]);
    assert_eq!(RcptParams::parse("NOTIFY"), Err(ParamFault::Value("NOTIFY")));
    assert_eq!(RcptParams::NONE.notify(), None, "no parameter is not NEVER");
}

/// RFC 3461 §4.2, RFC 6533 §3.
#[test]
fn orcpt() {
    taken(&[
        "ORCPT=rfc822;Bob@Example.COM",
        "ORCPT=rfc822;Carol@Ivory.EDU",
        "ORCPT=RFC822;a+2Bb@example.com",
        "ORCPT=x400;/C+3DUS/",
        "ORCPT=utf-8;\\x{E4}da@example.org",
        "ORCPT=rfc822;two+20words@x",
        &format!("ORCPT=rfc822;{}", "a".repeat(493)),
    ]);
    refused(
        "ORCPT",
        &["", ";a@b", "rfc822", "rfc822;", "rfc 822;a@b", "rfc822;a=b", "rfc822;a+2b", "rfc822;a+", "r@c;a"],
    );
    refused("ORCPT", &["rfc822;a+0D+0ARSET", "rfc822;+00", "rfc822;+7F", "rfc822;+C3+A4", "r.f;a@b"]);
    refused("ORCPT", &[&format!("rfc822;{}", "a".repeat(494))]);
    let params = RcptParams::parse("ORCPT=rfc822;Bob+2Bx@Example.COM").expect("a value");
    let original = params.orcpt().expect("it is there");
    assert_eq!((original.kind, &*original.address.decode()), ("rfc822", &b"Bob+x@Example.COM"[..]));
    // An address as it is needs SMTPUTF8.
    assert!(RcptParams::parse("ORCPT=utf-8;äda@b").is_err());
    let params = RcptParams::parse_utf8("ORCPT=utf-8;äda@b").expect("a value");
    assert_eq!(params.orcpt().map(|o| o.address.as_str()), Some("äda@b"));
    // So does one that was encoded octet by octet, as Postfix does; it has to be one, and printable.
    let params = RcptParams::parse_utf8("ORCPT=rfc822;+E7+94+A8@b").expect("a value");
    assert_eq!(params.orcpt().map(|o| o.address.decode().into_owned()), Some("用@b".into()));
    let longest = format!("ORCPT=rfc822;{}ab", "+C3+A4".repeat(81) + "+2B+2B");
    assert_eq!(longest.len(), "ORCPT=".len() + RcptParams::MAX_ORCPT + 1);
    assert!(RcptParams::parse_utf8(&longest).is_err() && RcptParams::parse_utf8(&longest[..longest.len() - 1]).is_ok());
    for value in
        ["+E7+94", "+E4@b", "+94+A8", "+C3ä", "+C0+AF", "+ED+A0+80", "+C2+85", "ä+0D+0A", "+C3+A4+00", "+7F+C3+A4"]
    {
        assert!(RcptParams::parse_utf8(&format!("ORCPT=rfc822;{value}")).is_err(), "{value}");
    }
    // Whoever builds one of parts that do not fit is refused.
    let address = XText::parse("a@b").expect("xtext");
    for kind in ["", "a b", "a;b", "a\r\nRSET", "a=b", "ä"] {
        let made = RcptParamsBuf::new().push(RcptParam::OriginalRecipient(OriginalRecipient { kind, address })).err();
        assert!(made.is_some(), "{kind:?}");
    }
}

/// RFC 7293 §3.1, §3.3.
#[test]
fn rrvs() {
    taken(&[
        "RRVS=2014-04-03T23:01:00Z",
        "RRVS=2014-04-03T23:01:00Z;C",
        "RRVS=2014-04-03T23:01:00Z;r",
        "RRVS=1982-11-30T00:00:00-08:00",
    ]);
    refused("RRVS", &["", "2014-04-03", "2014-04-03T23:01:00", "2014-04-03T23:01:00Z;", "2014-04-03T23:01:00Z;X"]);
    refused("RRVS", &["2014-04-03T23:01:00Z;CR", "2014-04-31T23:01:00Z", "1396566060", "2014-04-03T23:01:00Z;C;R"]);
    // No fraction of a second (RFC 7293 §3.1).
    refused("RRVS", &["2014-04-03T23:01:00.5Z", "2014-04-03T23:01:00.000Z;C"]);
    let params = RcptParams::parse("RRVS=2014-04-03T23:01:00Z;C").expect("a value");
    let since = params.valid_since().expect("it is there");
    assert_eq!((since.since.unix_seconds(), since.reject), (1_396_566_060, Some(false)));
    let fraction = Timestamp::parse("2014-04-03T23:01:00.5Z").expect("a time");
    let made =
        RcptParamsBuf::new().push(RcptParam::ValidSince(RecipientValidSince { since: fraction, reject: None })).err();
    assert_eq!(made, Some(ParamFault::Value("RRVS")));
}

/// RFC 4141 §5.2.
#[test]
fn conneg() {
    assert!(RcptParams::parse("conneg").expect("it is one").content_negotiation());
    assert_eq!(RcptParams::parse("CONNEG=1"), Err(ParamFault::Value("CONNEG")));
}

/// RFC 5336 §3.4.
#[test]
fn alt_address() {
    taken(&["ALT-ADDRESS=ada@example.org"]);
    refused("ALT-ADDRESS", &["", "a=b", "a+b"]);
}

#[test]
fn unknown_parameters_are_kept_and_duplicates_told() {
    let params = RcptParams::parse("X-One NOTIFY=NEVER SIZE=what").expect("parameters");
    assert_eq!(params.unknown().map(|p| p.keyword).collect::<Vec<_>>(), ["X-One", "SIZE"]);
    for twice in [
        "NOTIFY=NEVER NOTIFY=NEVER",
        "ORCPT=a;b ORCPT=a;b",
        "CONNEG conneg",
        "X=1 x=1",
        "RRVS=2014-04-03T23:01:00Z RRVS=2014-04-03T23:01:00Z",
        "ALT-ADDRESS=a ALT-ADDRESS=a",
    ] {
        assert_eq!(RcptParams::parse(twice), Err(ParamFault::Duplicate), "{twice}");
    }
}
