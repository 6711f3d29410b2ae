use super::*;
use ehlo_server::codec::Domain;
use std::time::Duration;

fn field<'a>(client: Option<&'a str>, peer: &str) -> Received<'a> {
    Received {
        client: client.map(|name| Domain::parse_utf8(name).unwrap()),
        peer: peer.parse().unwrap(),
        hostname: "mx.example",
        protocol: Protocol::Esmtp,
        tls: None,
        authenticated: false,
        utf8: false,
        id: "4XyZ",
        recipient: None,
        priority: None,
        time: SystemTime::UNIX_EPOCH,
    }
}

fn write(field: &Received<'_>) -> String {
    let mut out = Vec::new();
    field.write_to(&mut out);
    String::from_utf8(out).unwrap()
}

fn tls() -> TlsInfo {
    TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256")
}

#[test]
fn the_field_has_the_form_of_rfc_5321() {
    let expected = "Received: from client.example ([192.0.2.1])\r\n\
        \tby mx.example with ESMTP id 4XyZ;\r\n\
        \tThu, 1 Jan 1970 00:00:00 +0000\r\n";
    assert_eq!(write(&field(Some("client.example"), "192.0.2.1")), expected);
}

#[test]
fn tls_and_the_only_recipient_are_told() {
    let info = tls();
    let field = Received {
        tls: Some(&info),
        recipient: Some(Mailbox::parse("\"b\\\" o\"@mx.example").unwrap()),
        ..field(Some("client.example"), "192.0.2.1")
    };
    let expected = "Received: from client.example ([192.0.2.1])\r\n\
        \tby mx.example with ESMTPS (TLSv1.3) id 4XyZ for <\"b\\\" o\"@mx.example>\r\n\
        \ttls TLS_AES_128_GCM_SHA256;\r\n\
        \tThu, 1 Jan 1970 00:00:00 +0000\r\n";
    assert_eq!(write(&field), expected);
    // The name of a cipher suite that is none is left out.
    let odd = TlsInfo::new("TLSv1.3", "0x1301; evil");
    assert!(!write(&Received { tls: Some(&odd), ..field }).contains("evil"));
}

#[test]
fn the_priority_is_told_where_there_is_one() {
    for (priority, clause) in [(-9, " PRIORITY -9;\r\n"), (0, " PRIORITY 0;\r\n"), (4, " PRIORITY 4;\r\n")] {
        let field = Received { priority: Priority::new(priority), ..field(Some("client.example"), "192.0.2.1") };
        assert!(write(&field).contains(clause), "{}", write(&field));
    }
    assert!(!write(&field(Some("client.example"), "192.0.2.1")).contains("PRIORITY"));
}

#[test]
fn the_word_behind_with_is_that_of_the_session() {
    let info = tls();
    for (protocol, tls, authenticated, utf8, word) in [
        (Protocol::Smtp, false, false, false, "SMTP"),
        (Protocol::Smtp, true, false, false, "SMTP"),
        (Protocol::Esmtp, false, false, false, "ESMTP"),
        (Protocol::Esmtp, true, false, false, "ESMTPS"),
        (Protocol::Esmtp, false, true, false, "ESMTPA"),
        (Protocol::Esmtp, true, true, false, "ESMTPSA"),
        (Protocol::Esmtp, false, false, true, "UTF8SMTP"),
        (Protocol::Esmtp, true, false, true, "UTF8SMTPS"),
        (Protocol::Esmtp, false, true, true, "UTF8SMTPA"),
        (Protocol::Esmtp, true, true, true, "UTF8SMTPSA"),
        (Protocol::Lmtp, false, false, false, "LMTP"),
        (Protocol::Lmtp, true, false, false, "LMTPS"),
        (Protocol::Lmtp, false, true, false, "LMTPA"),
        (Protocol::Lmtp, true, true, false, "LMTPSA"),
        (Protocol::Lmtp, true, true, true, "UTF8LMTPSA"),
    ] {
        let field = Received {
            protocol,
            tls: tls.then_some(&info),
            authenticated,
            utf8,
            ..field(Some("client.example"), "192.0.2.1")
        };
        assert_eq!(field.with(), word);
        assert!(write(&field).contains(&format!(" with {word} ")), "{}", write(&field));
    }
}

#[test]
fn addresses_of_version_6_are_tagged_and_mapped_ones_are_not() {
    for (peer, from) in
        [("2001:db8::1", "[IPv6:2001:db8::1]"), ("::ffff:192.0.2.7", "[192.0.2.7]"), ("192.0.2.7", "[192.0.2.7]")]
    {
        let text = write(&field(None, peer));
        assert!(text.starts_with(&format!("Received: from {from} ({from})\r\n\tby mx.example with ")), "{text}");
    }
}

#[test]
fn characters_beyond_ascii_stand_only_in_a_message_of_smtputf8() {
    let recipient = Some(Mailbox::parse_utf8("δ@example.org").unwrap());
    let ascii = Received { recipient, ..field(Some("δοκιμή.example"), "192.0.2.1") };
    let text = write(&ascii);
    assert!(text.is_ascii() && text.starts_with("Received: from [192.0.2.1] ([192.0.2.1])\r\n"), "{text}");
    assert!(!text.contains(" for "), "{text}");
    let text = write(&Received { utf8: true, ..ascii });
    assert!(text.starts_with("Received: from δοκιμή.example ([192.0.2.1])\r\n"), "{text}");
    assert!(text.contains(" with UTF8SMTP ") && text.contains(" for <δ@example.org>"), "{text}");
}

#[test]
fn an_id_is_an_atom_or_a_message_id() {
    for (id, written) in [
        ("4XyZ-_", "4XyZ-_"),
        ("1.M2P3", "<1.M2P3@mx.example>"),
        (".1..2.", "<_1_.2_@mx.example>"),
        ("a b\r\n;<c>\u{e9}", "<a_b____c__@mx.example>"),
        ("", "<_@mx.example>"),
    ] {
        let text = write(&Received { id, ..field(Some("client.example"), "192.0.2.1") });
        assert!(text.contains(&format!(" id {written};\r\n")), "{id:?}: {text}");
    }
}

#[test]
fn lines_are_folded_between_clauses_and_never_too_long() {
    let label = "a".repeat(63);
    let info = tls();
    for length in 1..=240 {
        let name = format!("{label}.{label}.{label}.{label}");
        let name = &name[..length].trim_end_matches('.');
        let mailbox = format!("{}@{name}", "b".repeat(length.min(64)));
        let field = Received {
            tls: Some(&info),
            hostname: name,
            id: "1.M2",
            recipient: Some(Mailbox::parse(&mailbox).unwrap()),
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(length as u64 * 10_000_000),
            ..field(Some(name), "2001:db8:1111:2222:3333:4444:5555:6666")
        };
        let text = write(&field);
        let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        for line in &lines {
            assert!(!line.contains(['\r', '\n']) && line.len() <= 998, "{line}");
            // One that is too long is one clause, which has no place to fold but inside of itself.
            let clause = line.trim_start();
            assert!(line.len() <= MAX_COLUMNS || clause.split(' ').count() <= 2, "{line}");
        }
        assert!(lines[1..].iter().all(|line| line.starts_with('\t') && !line[1..].starts_with(' ')), "{text}");
        let unfolded = text.replace("\r\n\t", " ");
        let expected = format!(
            "Received: from {name} ([IPv6:2001:db8:1111:2222:3333:4444:5555:6666]) by {name} with ESMTPS (TLSv1.3) \
             id <1.M2@{name}> for <{mailbox}> tls TLS_AES_128_GCM_SHA256; {}\r\n",
            Date(field.time)
        );
        assert_eq!(unfolded, expected);
    }
}

#[test]
fn the_return_path_is_the_reverse_path() {
    for (path, line) in [
        (&b"<>"[..], &b"Return-Path: <>\r\n"[..]),
        (b"<ada@example.org>", b"Return-Path: <ada@example.org>\r\n"),
        (b"<\"a>b\"@example.org>", b"Return-Path: <\"a>b\"@example.org>\r\n"),
    ] {
        let mut out = Vec::new();
        return_path(ReversePath::parse_prefix(path).unwrap().0, &mut out);
        assert_eq!(out, line);
    }
}
