//! Addresses beyond ASCII (RFC 6531 §3.3): only where they are asked for.

use ehlo_codec::{
    Command, Domain, DomainBuf, ForwardPath, ForwardPathBuf, Mailbox, MailboxBuf, PathFault, ReversePath,
    ReversePathBuf, SyntaxError,
};

const WIDE: &[&str] = &[
    "άλφα@παράδειγμα.example",
    "ada@bücher.example",
    "用户@例子.广告",
    "\"two wörds\"@example.org",
    "a.ä.b@x",
    "ä@[127.0.0.1]",
    "x@ä",
];

#[test]
fn parse_refuses_and_parse_utf8_takes() {
    for text in WIDE {
        assert_eq!(Mailbox::parse(text), Err(PathFault::NonAscii), "{text}");
        let mailbox = Mailbox::parse_utf8(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!((mailbox.as_str(), mailbox.is_ascii()), (*text, false));
        assert_eq!(format!("{}@{}", mailbox.local_part(), mailbox.domain()), *text);
        for (line, from) in [(format!("MAIL FROM:<{text}> SMTPUTF8"), true), (format!("RCPT TO:<{text}>"), false)] {
            let fault = if from { SyntaxError::ReversePath } else { SyntaxError::ForwardPath };
            assert_eq!(Command::parse(line.as_bytes()), Err(fault(PathFault::NonAscii)), "{line}");
            let mut wire = Vec::new();
            Command::parse_utf8(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}")).write_to(&mut wire);
            assert_eq!(wire, format!("{line}\r\n").into_bytes());
        }
    }
}

#[test]
fn names_in_ehlo_follow_the_same_rule() {
    let line = "EHLO bücher.example";
    assert_eq!(Command::parse(line.as_bytes()), Err(SyntaxError::Characters));
    assert!(Command::parse_utf8(line.as_bytes()).is_ok());
}

#[test]
fn labels_beyond_ascii_keep_their_rules() {
    for text in ["bücher.example", "例子.广告", "a.ß.b", &format!("{}.example", "ä".repeat(63))] {
        assert_eq!(Domain::parse(text), Err(PathFault::NonAscii), "{text}");
        assert_eq!(Domain::parse_utf8(text).map(|d| d.as_str()), Ok(text));
    }
    for text in ["-ä", "ä-", "ä..b", ".ä", "ä.", "ä b", "ä_b", "ä@b", &"ä".repeat(64), ""] {
        assert!(Domain::parse_utf8(text).is_err(), "{text}");
    }
    assert_eq!(Domain::parse_utf8(&["ä".repeat(60).as_str(); 3].join(".")), Err(PathFault::DomainTooLong));
}

#[test]
fn quotes_and_backslashes_keep_their_rules() {
    for text in ["\"ä\\ b\"@c", "\"ä\\\"b\"@c", "\"\"@ä"] {
        assert!(Mailbox::parse_utf8(text).is_ok(), "{text}");
    }
    // A quoted pair is ASCII (RFC 6531 §3.3 leaves it as it is).
    for text in ["\"\\ä\"@c", "\"ä@c", "ä\"b\"@c", "ä b@c", "ä..b@c", ".ä@c", "ä.@c", "ä@", "@ä", "ä", "ä\u{0}@b"]
    {
        assert!(Mailbox::parse_utf8(text).is_err(), "{text}");
    }
    assert_eq!(Mailbox::parse_utf8(&format!("{}@b", "ä".repeat(33))), Err(PathFault::LocalPartTooLong), "in octets");
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    for line in [
        &b"MAIL FROM:<\xff@b>"[..],
        b"MAIL FROM:<a@\xe4.example>",
        b"MAIL FROM:<a@b> X=\xff",
        b"RCPT TO:<\"\xc3\"@b>",
        b"RCPT TO:<a@b> ORCPT=utf-8;\xc3",
        b"EHLO \xff",
        b"NOOP \xff",
        b"VRFY \xc3(",
        b"ETRN \xff",
        b"ATRN \xff",
        b"HELP \xff",
        b"TURN \xff",
    ] {
        assert!(Command::parse(line).is_err(), "{}", line.escape_ascii());
        assert!(Command::parse_utf8(line).is_err(), "{}", line.escape_ascii());
    }
}

#[test]
fn paths_give_what_follows_them() {
    assert_eq!(
        ReversePath::parse_prefix_utf8("<ä@b> SMTPUTF8").map(|(p, rest)| (p.to_string(), rest)),
        Ok(("<ä@b>".to_owned(), " SMTPUTF8"))
    );
    assert_eq!(ReversePath::parse_prefix("<ä@b>".as_bytes()), Err(PathFault::NonAscii));
    assert_eq!(
        ForwardPath::parse_prefix_utf8("<ä@b>x").map(|(p, rest)| (p.to_string(), rest)),
        Ok(("<ä@b>".into(), "x"))
    );
    assert_eq!(ForwardPath::parse_prefix("<ä@b>".as_bytes()), Err(PathFault::NonAscii));
    assert_eq!(
        ForwardPath::parse_prefix_utf8("<@bücher.example:ä@b>").map(|(p, _)| p.to_string()),
        Ok("<ä@b>".to_owned()),
        "a source route is dropped"
    );
}

#[test]
fn what_is_kept_is_what_was_read() {
    for text in WIDE.iter().copied().chain(["a@b", "\"a b\"@c", "a@[IPv6:::1]"]) {
        let kept: MailboxBuf = text.parse().expect(text);
        assert_eq!((kept.as_mailbox(), kept.as_str()), (Mailbox::parse_utf8(text).expect(text), text));
        let path = format!("<{text}>");
        let sender: ReversePathBuf = path.parse().expect(text);
        assert_eq!(sender.as_path().mailbox(), Some(kept.as_mailbox()));
        let recipient: ForwardPathBuf = path.parse().expect(text);
        assert_eq!(recipient.as_path().mailbox(), Some(kept.as_mailbox()));
        let domain = DomainBuf::from(kept.as_mailbox().domain());
        assert_eq!(domain.as_domain(), kept.as_mailbox().domain());
        for more in [format!("{path} "), format!("{path}SIZE=1"), format!(" {path}"), format!("{path}\r\n")] {
            assert!(more.parse::<ForwardPathBuf>().is_err(), "{more:?}");
            assert!(more.parse::<ReversePathBuf>().is_err(), "{more:?}");
        }
    }
    assert_eq!("<@x:a@b>".parse::<ForwardPathBuf>().map(|p| p.to_string()), Ok("<a@b>".to_owned()));
}
