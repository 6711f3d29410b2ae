//! The parameters of MAIL, each by the ABNF of its extension.

use ehlo_codec::{
    BodyType, ByMode, Command, DeliverBy, Expiry, MailParam, MailParams, MailParamsBuf, Param, ParamFault, Priority,
    Return, Timestamp, Tracking, XText,
};

/// All of these are read, and what is read is written as it stood.
#[track_caller]
fn taken(keyword: &str, values: &[&str]) {
    for value in values {
        let text = format!("{keyword}={value}");
        let params = MailParams::parse(&text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let typed: Vec<_> = params.iter().collect();
        assert!(matches!(typed[..], [only] if !matches!(only, MailParam::Other(_))), "{text}: {typed:?}");
        assert_eq!(params.unknown().count(), 0, "{text}");
        let line = format!("MAIL FROM:<a@b> {text}");
        assert!(Command::parse(line.as_bytes()).is_ok(), "{line}");
    }
}

/// None of these is read, and the fault names the parameter; or it is one of the syntax that all parameters share.
#[track_caller]
fn refused(keyword: &'static str, values: &[&str]) {
    for value in values {
        let text = format!("{keyword}={value}");
        let fault = MailParams::parse(&text).expect_err(&text);
        assert!(matches!(fault, ParamFault::Syntax) || fault == ParamFault::Value(keyword), "{text}: {fault}");
        let mut made = MailParamsBuf::new();
        assert!(made.push(MailParam::Other(Param { keyword, value: Some(value) })).is_err(), "{text}");
        assert_eq!(made.as_str(), "", "nothing was added");
    }
}

#[track_caller]
fn takes_no_value(keyword: &'static str, expected: MailParam<'_>) {
    assert_eq!(MailParams::parse(keyword).expect(keyword).iter().collect::<Vec<_>>(), [expected]);
    let small = keyword.to_ascii_lowercase();
    assert_eq!(MailParams::parse(&small).expect(keyword).iter().collect::<Vec<_>>(), [expected]);
    assert_eq!(MailParams::parse(&format!("{keyword}=1")), Err(ParamFault::Value(keyword)));
}

#[track_caller]
fn needs_a_value(keyword: &'static str) {
    assert_eq!(MailParams::parse(keyword), Err(ParamFault::Value(keyword)));
    assert_eq!(MailParams::parse(&format!("{keyword}=")), Err(ParamFault::Syntax));
}

/// RFC 1870 §4, §9.
#[test]
fn size() {
    taken("SIZE", &["0", "500000", "1000000", "00000000000000000001", "99999999999999999999"]);
    refused("SIZE", &["", "x", "-1", "1,000", "123456789012345678901", "1e6"]);
    needs_a_value("SIZE");
    assert_eq!(MailParams::parse("siZe=500000").map(|p| p.size()), Ok(Some(500_000)));
    assert_eq!(MailParams::NONE.size(), None);
}

/// RFC 6152 §2, RFC 3030 §3.
#[test]
fn body() {
    taken("BODY", &["7BIT", "8BITMIME", "BINARYMIME", "8bitmime"]);
    refused("BODY", &["", "8BIT", "7BITMIME", "8BITMIMEX", "BINARY", "8BITMIM\u{e9}"]);
    needs_a_value("BODY");
    for (value, body) in [
        ("7BIT", BodyType::SevenBit),
        ("7bit", BodyType::SevenBit),
        ("8BITMIME", BodyType::EightBitMime),
        ("8BitMime", BodyType::EightBitMime),
        ("BINARYMIME", BodyType::BinaryMime),
        ("binarymime", BodyType::BinaryMime),
    ] {
        for text in [format!("BODY={value}"), format!("body={value} SIZE=1"), format!("X=1 Body={value}")] {
            assert_eq!(MailParams::parse(&text).map(|p| p.body()), Ok(Some(body)), "{text}");
        }
    }
    assert_eq!(MailParams::NONE.body(), None);
}

/// RFC 3461 §4.3, §10.
#[test]
fn ret() {
    taken("RET", &["FULL", "HDRS", "hdrs"]);
    refused("RET", &["", "BODY", "FULL,HDRS", "NONE"]);
    needs_a_value("RET");
    assert_eq!(MailParams::parse("RET=HDRS ENVID=QQ314159").map(|p| p.ret()), Ok(Some(Return::Headers)));
}

/// RFC 3461 §4.4, §10.
#[test]
fn envid() {
    taken("ENVID", &["QQ314159", "a+2Bb", "two+20words", "+09", &"x".repeat(100)]);
    // The last ones would put a line end, a NUL or what is not ASCII into a report.
    refused("ENVID", &["", "a=b", "a+2b", "a+2", "a+", &"x".repeat(101), "a+0D+0Ab", "+00", "+7F", "+C3+A4"]);
    needs_a_value("ENVID");
    let params = MailParams::parse("ENVID=two+20words").expect("an identifier");
    assert_eq!(&*params.envid().expect("it is there").decode(), b"two words");
}

/// RFC 4954 §5.
#[test]
fn auth() {
    taken("AUTH", &["<>", "e+3Dmc2@example.com", "ada@example.org", "+3C+3E"]);
    refused("AUTH", &["", "e=mc2@example.com", "a+zz", "+3c"]);
    needs_a_value("AUTH");
    let auth = |text| MailParams::parse(text).expect(text).auth().expect("it is there");
    assert!(auth("AUTH=<>").is_unknown());
    assert_eq!(&*auth("AUTH=e+3Dmc2@example.com").decode(), b"e=mc2@example.com");
    assert_eq!(auth("AUTH=ada@example.org").plain_mailbox().map(|m| m.as_str()), Some("ada@example.org"));
    assert_eq!(auth("AUTH=<>").plain_mailbox(), None);
}

/// RFC 6531 §3.4.
#[test]
fn smtputf8() {
    takes_no_value("SMTPUTF8", MailParam::SmtpUtf8);
    assert!(MailParams::parse("SMTPUTF8").expect("it is one").smtputf8());
}

/// RFC 2852 §4, §4.1.
#[test]
fn by() {
    taken("BY", &["120;R", "+120;R", "-12;NT", "0;N", "1;RT", "120;nt", "999999999;R", "-999999999;N", "000000120;R"]);
    // No time is left to return the message in; and by-time has a limit of nine digits.
    refused("BY", &["0;R", "-1;R", "+0;RT", "-0;R", "000000000;R"]);
    refused("BY", &["", ";R", "120", "120;", "120;X", "120;T", "120;TR", "120;RTT", "120;NR", "1.5;N", "--1;N", "+;N"]);
    refused("BY", &["1000000000;N", "0000000120;R", "+-1;N", " 1;N", "120;R;T", "120,R"]);
    needs_a_value("BY");
    let by = MailParams::parse("BY=+120;rT").expect("a value").by().expect("it is there");
    assert_eq!((by.seconds(), by.mode(), by.trace()), (120, ByMode::Return, true));
    assert_eq!(by.to_string(), "120;RT");
    let late = DeliverBy::parse("-12;N").expect("a value");
    assert_eq!((late.seconds(), late.mode(), late.trace()), (-12, ByMode::Notify, false));
    assert_eq!(DeliverBy::new(i32::MIN, ByMode::Notify, false), None);
    assert_eq!(DeliverBy::new(0, ByMode::Return, false), None);
}

/// RFC 4865 §3.
#[test]
fn holdfor() {
    taken("HOLDFOR", &["1", "7200", "999999999"]);
    refused("HOLDFOR", &["", "0", "01", "-1", "1000000000", "1h", "+1"]);
    needs_a_value("HOLDFOR");
    assert_eq!(MailParams::parse("HOLDFOR=7200").map(|p| p.hold_for()), Ok(Some(7200)));
    assert!(MailParamsBuf::new().push(MailParam::Hold(Expiry::For(0))).is_err());
    assert!(MailParamsBuf::new().push(MailParam::Hold(Expiry::For(1_000_000_000))).is_err());
}

/// RFC 4865 §3: a date-time in UTC.
#[test]
fn holduntil() {
    taken("HOLDUNTIL", &["2006-08-11T12:00:00Z", "2026-02-28t23:59:59z", "2016-12-31T23:59:60Z"]);
    refused("HOLDUNTIL", &["", "2006-08-11", "2006-08-11T12:00Z", "2006-08-11T12:00:00", "2026-02-29T00:00:00Z"]);
    refused("HOLDUNTIL", &["2006-08-11T24:00:00Z", "06-08-11T12:00:00Z", "2006-08-11_12:00:00Z", "tomorrow"]);
    refused("HOLDUNTIL", &["2006-08-11T12:00:00+02:00", "2006-08-11T12:00:00-00:00", "2006-08-11T12:00:00+00:00"]);
    needs_a_value("HOLDUNTIL");
    let until = MailParams::parse("HOLDUNTIL=2006-08-11T12:00:00Z").expect("a value").hold_until();
    assert_eq!(until.map(|t| t.unix_seconds()), Some(1_155_297_600));
    let elsewhere = Timestamp::parse("2006-08-11T12:00:00+02:00").expect("a time");
    assert_eq!(
        MailParamsBuf::new().push(MailParam::Hold(Expiry::Until(elsewhere))).err(),
        Some(ParamFault::Value("HOLDUNTIL"))
    );
}

/// RFC 6710 §7.
#[test]
fn mt_priority() {
    taken("MT-PRIORITY", &["0", "3", "9", "-1", "-9"]);
    refused("MT-PRIORITY", &["", "-0", "+3", "10", "-10", "03", "high", "-"]);
    needs_a_value("MT-PRIORITY");
    assert_eq!(MailParams::parse("MT-PRIORITY=-9").map(|p| p.priority()), Ok(Priority::new(-9)));
    assert_eq!((Priority::new(10), Priority::new(-10)), (None, None));
}

/// RFC 3885 §3.1; its base64 has no padding, which no value may hold.
#[test]
fn mtrk() {
    taken("MTRK", &["AAAAAAAAAAAAAAAAAAAAAAAAAAA", "a/b+C9:1", "x:999999999", "x:0"]);
    refused("MTRK", &["", ":1", "x:", "x:1000000000", "x:-1", "x:1:2", "a=", "a_b", "x:1s"]);
    needs_a_value("MTRK");
    let params = MailParams::parse("MTRK=a/b+C9:86400").expect("a value");
    assert_eq!(params.tracking(), Some(Tracking { certifier: "a/b+C9", timeout: Some(86_400) }));
}

/// RFC 3865 §2.3, §2.6.
#[test]
fn solicit() {
    taken("SOLICIT", &["net.example:ADV", "org.example:ADV:ADLT", "net.example:ADV,org.example:ADV:ADLT", "a"]);
    taken("SOLICIT", &[&"a".repeat(1000)]);
    refused("SOLICIT", &["", "1a", ".a", "a,", ",a", "a,,b", "a/b", &"a".repeat(1001)]);
    needs_a_value("SOLICIT");
    let params = MailParams::parse("SOLICIT=net.example:ADV,org.example:ADV:ADLT").expect("a value");
    assert_eq!(params.solicit().collect::<Vec<_>>(), ["net.example:ADV", "org.example:ADV:ADLT"]);
    assert_eq!(MailParams::NONE.solicit().count(), 0);
}

/// RFC 8689 §2, §4.1.
#[test]
fn requiretls() {
    takes_no_value("REQUIRETLS", MailParam::RequireTls);
}

/// RFC 4141 §4.2.
#[test]
fn conperm() {
    takes_no_value("CONPERM", MailParam::ConversionPermitted);
}

/// The draft of PRDR.
#[test]
fn prdr() {
    takes_no_value("PRDR", MailParam::PerRecipientReplies);
}

/// RFC 4405 §4, §5.
#[test]
fn submitter() {
    taken("SUBMITTER", &["alice@example.com", "guest.services@email.hotel.com.example", "a+2Bb@example.com"]);
    refused("SUBMITTER", &["", "a=b@example.com", "a+b@example.com"]);
    needs_a_value("SUBMITTER");
    let params = MailParams::parse("SUBMITTER=a+2Bb@example.com").expect("a value");
    assert_eq!(&*params.submitter().expect("it is there").decode(), b"a+b@example.com");
}

/// RFC 1845 §2, §4.
#[test]
fn transid() {
    let longest = format!("<{}@b>", "a".repeat(76));
    taken("TRANSID", &["<12345@claremont.edu>", "<a.b!c@d>", &longest]);
    refused("TRANSID", &["", "<>", "12345@claremont.edu", "<a@>", "<@b>", "<a@b@c>", "<a..b@c>", "<a/b@c>", "<a@[b]>"]);
    refused("TRANSID", &[&format!("<{}@b>", "a".repeat(77)), "<a@b", "<a;b@c>", "<a,b@c>"]);
    needs_a_value("TRANSID");
    let params = MailParams::parse("TRANSID=<12345@claremont.edu>").expect("a value");
    assert_eq!(params.transaction_id(), Some("<12345@claremont.edu>"));
}

/// RFC 5336 §3.4.
#[test]
fn alt_address() {
    taken("ALT-ADDRESS", &["ada@example.org", "a+2Bb@example.org"]);
    refused("ALT-ADDRESS", &["", "a=b", "a+b"]);
    needs_a_value("ALT-ADDRESS");
}

#[test]
fn unknown_parameters_are_kept_and_duplicates_told() {
    let params = MailParams::parse("X-One SIZE=1 X-TWO=v").expect("parameters");
    let unknown: Vec<_> = params.unknown().map(|p| (p.keyword, p.value)).collect();
    assert_eq!(unknown, [("X-One", None), ("X-TWO", Some("v"))]);
    assert_eq!(params.to_string(), "X-One SIZE=1 X-TWO=v");
    // Those of RCPT are unknown to MAIL.
    assert_eq!(MailParams::parse("NOTIFY=what").expect("unknown").unknown().count(), 1);
    for twice in [
        "SIZE=1 SIZE=1",
        "BODY=7BIT BODY=7BIT",
        "RET=FULL RET=FULL",
        "ENVID=a ENVID=a",
        "AUTH=<> AUTH=<>",
        "SMTPUTF8 SMTPUTF8",
        "BY=1;N BY=1;N",
        "HOLDFOR=1 HOLDFOR=1",
        "MT-PRIORITY=1 MT-PRIORITY=1",
        "MTRK=a MTRK=a",
        "SOLICIT=a SOLICIT=a",
        "REQUIRETLS REQUIRETLS",
        "CONPERM CONPERM",
        "SUBMITTER=a@b SUBMITTER=a@b",
        "TRANSID=<a@b> TRANSID=<a@b>",
        "ALT-ADDRESS=a@b ALT-ADDRESS=a@b",
        "PRDR PRDR",
        "X X",
        "x=1 Y X=2",
    ] {
        assert_eq!(MailParams::parse(twice), Err(ParamFault::Duplicate), "{twice}");
        assert!(MailParams::parse(&twice.to_ascii_lowercase()).is_err(), "{twice} in small letters");
    }
}

#[test]
fn values_beyond_ascii_need_smtputf8() {
    for (text, fault) in [("X=ä", ParamFault::Syntax), ("AUTH=ä@b", ParamFault::Syntax)] {
        assert_eq!(MailParams::parse(text), Err(fault), "{text}");
        assert!(MailParams::parse_utf8(text).is_ok(), "{text}");
    }
    // These have a grammar of their own, which RFC 6531 does not widen.
    for text in ["ENVID=ä", "SOLICIT=ä", "MTRK=ä", "SIZE=ä", "TRANSID=<ä@b>"] {
        assert!(matches!(MailParams::parse_utf8(text), Err(ParamFault::Value(_))), "{text}");
    }
    assert!(MailParams::parse_utf8("Ä=1").is_err(), "a keyword is ASCII");
}

#[test]
fn xtext_of_the_rfc_is_decoded() {
    assert_eq!(XText::parse("a+2Bb+3Dc").map(|x| x.decode().into_owned()), Some(b"a+b=c".to_vec()));
}
