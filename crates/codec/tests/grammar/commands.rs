//! Commands, each by the ABNF of its document.

use ehlo_codec::{
    AuthResponse, Base64, BurlUri, Command, CommandBuf, DomainList, EtrnNode, EtrnOption, MechanismName, ObsoleteVerb,
    ParamFault, PathFault, SyntaxError, Text, Verb,
};

/// Each is a command in both ways of reading, and is written as it stood.
#[track_caller]
fn taken(lines: &[&str]) {
    for line in lines {
        let command = Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"));
        assert_eq!(Command::parse_utf8(line.as_bytes()), Ok(command), "{line}");
        let mut wire = Vec::new();
        command.write_to(&mut wire);
        assert_eq!(wire, format!("{line}\r\n").into_bytes());
        assert_eq!(CommandBuf::from(command).as_command(), command, "{line}");
    }
}

#[track_caller]
fn refused(error: SyntaxError, lines: &[&str]) {
    for line in lines {
        assert_eq!(Command::parse(line.as_bytes()), Err(error), "{line}");
        assert_eq!(Command::parse_utf8(line.as_bytes()), Err(error), "{line}");
        assert!(matches!(error.reply().code().get(), 500 | 501), "{error:?}");
    }
}

/// RFC 5321 §4.1.1.1, RFC 2033 §4.1.
#[test]
fn greetings() {
    taken(&["EHLO bar.com", "HELO bar.com", "LHLO foo.edu", "LHLO [192.0.2.1]", "EHLO [IPv6:2001:db8::1]", "EHLO x"]);
    refused(SyntaxError::MissingArgument, &["EHLO", "HELO", "LHLO", "EHLO "]);
    refused(
        SyntaxError::ClientId(PathFault::Domain),
        &["EHLO a b", "EHLO -a", "EHLO a_b", "EHLO a..b", "EHLO  a", "LHLO a,b", "HELO a@b"],
    );
    refused(
        SyntaxError::ClientId(PathFault::AddressLiteral),
        &["EHLO [1.2.3]", "HELO [x]", "LHLO [1.2.3.4", "EHLO []"],
    );
}

/// RFC 3030 §2, §4.
#[test]
fn bdat() {
    taken(&["BDAT 1000", "BDAT 0 LAST", "BDAT 86 LAST", "BDAT 324", "BDAT 18446744073709551615"]);
    assert_eq!(Command::parse(b"bdat 007 last"), Ok(Command::Bdat { size: 7, last: true }));
    refused(SyntaxError::MissingArgument, &["BDAT"]);
    refused(
        SyntaxError::ChunkSize,
        &["BDAT LAST", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 18446744073709551616", "BDAT  LAST", "BDAT 1.5 LAST"],
    );
    refused(SyntaxError::EndMarker, &["BDAT 1 2", "BDAT 1 LAST LAST", "BDAT 1 LASTX", "BDAT 1  LAST"]);
    refused(SyntaxError::Characters, &["BDAT 1\u{1}"]);
}

/// RFC 4954 §4, §4.1.
#[test]
fn auth() {
    taken(&["AUTH CRAM-MD5", "AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=", "AUTH PLAIN =", "AUTH X_Y-9 AA==", "AUTH GSSAPI"]);
    let Ok(Command::Auth { mechanism, initial_response }) = Command::parse(b"auth plain =") else { panic!("AUTH") };
    assert!(mechanism.is("PLAIN") && initial_response.is_some_and(Base64::is_empty_response));
    refused(SyntaxError::MissingArgument, &["AUTH"]);
    refused(SyntaxError::Mechanism, &["AUTH  x", "AUTH A.B", "AUTH ABCDEFGHIJKLMNOPQRSTU", "AUTH =", "AUTH a;b c"]);
    refused(
        SyntaxError::Base64,
        &["AUTH PLAIN *", "AUTH PLAIN a b", "AUTH PLAIN a=b", "AUTH PLAIN  AA==", "AUTH PLAIN a-_"],
    );
    assert_eq!(MechanismName::parse(""), None);
    assert_eq!(MechanismName::parse("ABCDEFGHIJKLMNOPQRST").map(MechanismName::as_str), Some("ABCDEFGHIJKLMNOPQRST"));
}

/// RFC 4954 §4: the lines behind 334.
#[test]
fn auth_responses() {
    assert_eq!(AuthResponse::parse(b"*"), Some(AuthResponse::Cancel));
    assert_eq!(AuthResponse::parse(b""), Base64::parse("").map(AuthResponse::Response), "an empty response");
    assert!(AuthResponse::parse(b"dGVzdAB0ZXN0ADEyMzQ=").is_some());
    for line in [&b"**"[..], b" ", b"a b", b"AA= =", b"A=A", b"AA==\r", b"\xff", b"QUIT "] {
        assert_eq!(AuthResponse::parse(line), None, "{}", line.escape_ascii());
    }
}

/// RFC 3207 §4, RFC 5321 §4.1.1.
#[test]
fn commands_without_an_argument() {
    for verb in ["STARTTLS", "DATA", "RSET", "QUIT"] {
        taken(&[verb]);
        assert!(Command::parse(verb.to_ascii_lowercase().as_bytes()).is_ok());
        assert!(Command::parse(format!("{verb} \t ").as_bytes()).is_ok(), "white space at the end");
        refused(SyntaxError::UnexpectedArgument, &[&format!("{verb} x")]);
        refused(SyntaxError::UnknownCommand, &[&format!("{verb}X"), &format!(" {verb}"), &format!("{verb}\tx")]);
    }
}

/// RFC 1985 §5.1, §5.3.
#[test]
fn etrn() {
    taken(&["ETRN remoteMail.com", "ETRN @remoteMail.com", "ETRN #uucp", "ETRN x"]);
    for (text, option, name) in [
        ("a.example", EtrnOption::Host, "a.example"),
        ("@a.example", EtrnOption::Subdomains, "a.example"),
        ("#a/b", EtrnOption::Queue, "a/b"),
    ] {
        let node = EtrnNode::parse(text).expect(text);
        assert_eq!((node.option(), node.name()), (option, name));
    }
    refused(SyntaxError::MissingArgument, &["ETRN"]);
    refused(
        SyntaxError::Domain,
        &["ETRN a b", "ETRN @", "ETRN #", "ETRN -a", "ETRN @@a", "ETRN # a", "ETRN [1.2.3.4]"],
    );
}

/// RFC 2645 §5.2.1.
#[test]
fn atrn() {
    taken(&["ATRN", "ATRN example.org", "ATRN example.org,example.com"]);
    refused(SyntaxError::Domain, &["ATRN a,", "ATRN ,a", "ATRN a, b", "ATRN a b", "ATRN a,,b", "ATRN [1.2.3.4]"]);
    let list = DomainList::parse("a.example,b").expect("a list");
    assert_eq!(list.iter().map(|d| d.as_str()).collect::<Vec<_>>(), ["a.example", "b"]);
    assert_eq!(DomainList::default().iter().count(), 0);
}

/// RFC 5321 §4.1.1.6, §4.1.1.7; RFC 6531 §3.7.4.2.
#[test]
fn vrfy_and_expn() {
    taken(&[
        "VRFY Crispin",
        "EXPN Example-People",
        "VRFY <ada@example.org>",
        "VRFY ada SMTPUTF8",
        "EXPN list SMTPUTF8",
    ]);
    let Ok(Command::Vrfy { text, smtputf8 }) = Command::parse(b"VRFY ada smtputf8") else { panic!("it is VRFY") };
    assert_eq!((text.as_str(), smtputf8), ("ada", true), "the same word in any case, with or without the extension");
    let Ok(Command::Expn { text, smtputf8 }) = Command::parse(b"EXPN SMTPUTF8") else { panic!("it is EXPN") };
    assert_eq!((text.as_str(), smtputf8), ("SMTPUTF8", false), "something has to be asked for");
    assert_eq!(Command::parse("VRFY äda".as_bytes()), Err(SyntaxError::Characters));
    assert!(Command::parse_utf8("VRFY äda SMTPUTF8".as_bytes()).is_ok());
    refused(SyntaxError::MissingArgument, &["VRFY", "EXPN", "VRFY "]);
    refused(SyntaxError::Characters, &["VRFY a\u{7f}", "EXPN a\u{1b}[2J"]);
}

/// RFC 5321 §4.1.1.8, §4.1.1.9.
#[test]
fn help_and_noop() {
    taken(&["HELP", "HELP MAIL", "NOOP", "NOOP anything at all", "NOOP \"quoted string\"", "NOOP a\tb"]);
    refused(SyntaxError::Characters, &["NOOP \u{1}", "HELP a\u{8}", "NOOP a\u{7f}b"]);
    assert_eq!(Command::parse("NOOP ä".as_bytes()), Err(SyntaxError::Characters));
    assert!(Command::parse_utf8("NOOP ä".as_bytes()).is_ok());
}

/// RFC 4468 §3, §3.3.
#[test]
fn burl() {
    let url = "imap://harry@gryffindor.example.com/outbox;uidvalidity=1078863300/;uid=25;urlauth=submit+harry:internal:91354a473744909de610943775f92038";
    taken(&[&format!("BURL {url} LAST"), &format!("BURL {url}"), "BURL x-y.z+1:a LAST"]);
    refused(SyntaxError::MissingArgument, &["BURL"]);
    refused(
        SyntaxError::Uri,
        &["BURL LAST", "BURL imap", "BURL :x", "BURL 1a:x", "BURL a:", "BURL a:b#c", "BURL a:<b>", "BURL a:\"b\""],
    );
    refused(SyntaxError::EndMarker, &["BURL a:b c", "BURL a:b LAST LAST", "BURL a:b  LAST"]);
    assert_eq!(BurlUri::parse(url).map(BurlUri::scheme), Some("imap"));
}

/// RFC 821 §3.4, §3.8; RFC 5321 appendix F.
#[test]
fn obsolete_commands_are_known() {
    for (line, verb) in [
        ("SEND FROM:<a@b>", ObsoleteVerb::Send),
        ("SOML FROM:<a@b>", ObsoleteVerb::Soml),
        ("SAML FROM:<a@b>", ObsoleteVerb::Saml),
        ("TURN", ObsoleteVerb::Turn),
    ] {
        taken(&[line]);
        let argument = line.split_once(' ').and_then(|(_, argument)| Text::new(argument));
        assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Obsolete { verb, argument }));
        assert_eq!(Command::parse(line.as_bytes()).map(|c| c.verb()), Ok(verb.verb()));
    }
    refused(SyntaxError::Characters, &["SEND \u{1}", "TURN \u{7f}"]);
}

/// RFC 5321 §4.1.1.2, §4.1.1.3.
#[test]
fn mail_and_rcpt() {
    taken(&[
        "MAIL FROM:<userx@y.foo.org>",
        "MAIL FROM:<>",
        "MAIL FROM:<ned@thor.innosoft.com> SIZE=500000",
        "MAIL FROM:<ned@ymir.claremont.edu> TRANSID=<12345@claremont.edu>",
        "MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com",
        "MAIL FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159",
        "RCPT TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM",
        "RCPT TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU",
        "RCPT TO:<Postmaster>",
    ]);
    refused(
        SyntaxError::MissingArgument,
        &["MAIL", "RCPT", "MAIL TO:<a@b>", "RCPT FROM:<a@b>", "MAIL FROM", "RCPT TO:"],
    );
    refused(
        SyntaxError::Params(ParamFault::Syntax),
        &["MAIL FROM:<a@b>  SIZE=1", "MAIL FROM:<a@b> SIZE=1  X", "RCPT TO:<a@b>x"],
    );
    refused(SyntaxError::Params(ParamFault::Value("BY")), &["MAIL FROM:<a@b> BY=0;R"]);
    refused(SyntaxError::Params(ParamFault::Value("NOTIFY")), &["RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS"]);
    refused(
        SyntaxError::ForwardPath(PathFault::Route),
        &["RCPT TO:<@a@b>", "RCPT TO:<@a,b:c@d>", "RCPT TO:<@[1.2.3.4]:c@d>"],
    );
}

#[test]
fn a_verb_is_a_whole_word() {
    refused(
        SyntaxError::UnknownCommand,
        &["", " ", "EHLOX a", "MAILFROM:<a@b>", "MAIL:", "EHL", "XYZZY a", "\u{1}", "MAIL\u{b}FROM:<a@b>"],
    );
    assert_eq!(Command::parse(b"\xc5HLO a"), Err(SyntaxError::UnknownCommand));
    assert_eq!(Command::parse(b"rset").map(|c| c.verb()), Ok(Verb::Rset));
}
