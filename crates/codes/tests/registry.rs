//! The tables of meanings, extensions, mechanisms, protocols and providers: complete, and in agreement with each other.

use std::collections::BTreeSet;

use ehlo_codes::{
    Advice, EnhancedCode, Parameter, Party, Protocol, ReplyCode, ReplyText, SaslMechanism, ServiceExtension, Stage,
    Standing, StatusDetail, VendorCode, Verb, WithProtocol,
};

#[test]
fn the_registry_has_every_code_that_old_lists_have() {
    // RFC 772 to RFC 7504, RFC 5248, what some servers send, and what provider lists print: written here a second time on purpose.
    let codes = [
        101, 111, 120, 151, 152, 200, 201, 211, 214, 215, 220, 221, 235, 250, 251, 252, 253, 334, 353, 354, 355, 420,
        421, 422, 424, 430, 431, 432, 435, 441, 442, 446, 447, 449, 450, 451, 452, 453, 454, 455, 458, 459, 471, 500,
        501, 502, 503, 504, 510, 511, 512, 513, 521, 523, 524, 525, 530, 533, 534, 535, 538, 541, 542, 550, 551, 552,
        553, 554, 555, 556, 557, 570, 571, 572, 585,
    ];
    let registered: Vec<u16> = ReplyCode::registered().iter().map(|info| info.code.get()).collect();
    assert_eq!(registered, codes);
}

#[test]
fn the_registry_has_every_enhanced_code() {
    // Details per subject: RFC 3463, RFC 3886, RFC 7505, RFC 6710, RFC 4954, RFC 4468, RFC 6531, RFC 5248 and those after it.
    let details = [0, 10, 4, 6, 7, 6, 10, 30];
    let expected = details.iter().zip(0..).flat_map(|(last, subject)| (0..=*last).map(move |detail| (subject, detail)));
    let registered = StatusDetail::registered().iter().map(|info| (info.status.subject(), info.status.detail()));
    assert!(registered.eq(expected));
}

#[test]
fn a_code_that_no_server_may_send_is_marked_so() {
    for info in ReplyCode::registered() {
        if info.code.get() < 200 {
            assert!(matches!(info.standing, Standing::Obsolete | Standing::Nonstandard), "{}", info.code);
        }
        assert_eq!(
            info.reference == "none",
            info.standing == Standing::Nonstandard && info.code.get() != 353,
            "{}",
            info.code
        );
    }
}

#[test]
fn rows_say_where_old_lists_err() {
    let note = |code: u16| ReplyCode::literal(code).info().unwrap().note.unwrap();
    assert!(note(200).contains("never a legal reply code"));
    assert!(note(354).contains("<CRLF>.<CRLF>"));
    assert!(note(501).contains("5.5.4, with three numbers"));
    assert!(note(521).contains("takes no mail at all"));
    assert!(note(552).contains("read as 452"));
    assert!(note(452).starts_with("Two meanings") && note(550).starts_with("Three meanings"));
    let mime = ServiceExtension::by_keyword("8BITMIME").unwrap().note.unwrap();
    assert!(mime.contains("MIME part three, RFC 2047"));
    for (code, enhanced) in
        [(422, "4.2.2"), (431, "4.3.1"), (432, "4.3.2"), (441, "4.4.1"), (523, "5.2.3"), (571, "5.7.1")]
    {
        assert!(note(code).contains(enhanced) && note(code).contains("without its dots"), "{code}");
    }
}

#[test]
fn several_meanings_are_told_apart() {
    let titles = |code: u16| -> Vec<&str> {
        ReplyCode::literal(code).info().unwrap().meanings.iter().map(|meaning| meaning.title).collect()
    };
    assert_eq!(titles(452), ["Insufficient storage", "Too many recipients"]);
    assert_eq!(titles(550), ["No such mailbox", "No access to the mailbox", "Refused by policy"]);
    for info in ReplyCode::registered() {
        let own: BTreeSet<&str> = info.meanings.iter().map(|meaning| meaning.title).collect();
        assert_eq!(own.len(), info.meanings.len(), "{}", info.code);
        for meaning in info.meanings {
            let told = !meaning.details.is_empty() || !meaning.subjects.is_empty() || !meaning.stages.is_empty();
            assert!(told || info.meanings.len() == 1, "{} {}", info.code, meaning.title);
            // Its usual enhanced code finds it again, or nothing, but no other one.
            if let Some(usual) = meaning.details.first() {
                let class = info.code.get() / 100;
                let found = info.meaning_of(usual.success().with_class(class), None);
                assert!(found.is_none_or(|found| found.details.contains(usual)), "{} {}", info.code, meaning.title);
            }
        }
    }
}

#[test]
fn a_registered_pair_of_codes_has_a_meaning() {
    for info in ReplyCode::registered().iter().filter(|info| info.meanings.len() > 1) {
        for status in info.enhanced {
            let fitting = info
                .meanings
                .iter()
                .any(|meaning| meaning.details.contains(status) || meaning.subjects.contains(&status.subject()));
            assert!(fitting, "{} {status}", info.code);
        }
    }
}

#[test]
fn meanings_occur_where_the_reply_may_come() {
    for info in ReplyCode::registered().iter().filter(|info| info.standing.may_be_sent()) {
        for meaning in info.meanings {
            for stage in meaning.stages {
                // One hosted service uses this one beside its standard meaning.
                let excepted = info.code.get() == 432 && *stage == Stage::DataEnd;
                assert!(stage.permits(info.code) || excepted, "{} {} at {stage}", info.code, meaning.title);
            }
        }
    }
}

fn check_advice(name: &str, advice: &Advice) {
    for party in [Party::Sender, Party::Recipient, Party::Postmaster] {
        if let Some(text) = advice.of(party) {
            assert!(text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase()), "{name}: {text}");
        }
    }
    // Who can do most can do something.
    assert_eq!(advice.of(advice.first).is_none(), advice.first == Party::Nobody, "{name}: {:?}", advice.first);
}

#[test]
fn every_meaning_and_every_detail_says_who_can_do_what() {
    for info in ReplyCode::registered() {
        assert!(!info.meanings.is_empty(), "{}", info.code);
        for meaning in info.meanings {
            check_advice(&format!("{} {}", info.code, meaning.title), &meaning.advice);
            assert!(meaning.meaning.ends_with('.') && !meaning.title.is_empty());
            // A failure always leaves something to do, to somebody.
            let failure = matches!(info.code.get() / 100, 4 | 5);
            let any = [Party::Sender, Party::Recipient, Party::Postmaster]
                .iter()
                .any(|party| meaning.advice.of(*party).is_some());
            assert!(any || !failure || info.code.get() == 453, "{} {}", info.code, meaning.title);
        }
    }
    for info in StatusDetail::registered() {
        check_advice(&info.status.to_string(), &info.advice);
    }
}

#[test]
fn only_552_for_too_many_recipients_is_not_what_its_first_digit_says() {
    let odd: Vec<(u16, &str)> = ReplyCode::registered()
        .iter()
        .flat_map(|info| {
            info.meanings.iter().filter(|meaning| meaning.retry.is_some()).map(|m| (info.code.get(), m.title))
        })
        .collect();
    assert_eq!(odd, [(552, "Too many recipients")]);
}

#[test]
fn a_forward_path_is_carried_by_251_and_551_to_rcpt_and_vrfy() {
    for stage in Stage::ALL {
        for code in [ReplyCode::WILL_FORWARD, ReplyCode::USER_NOT_LOCAL] {
            let expected = matches!(stage, Stage::Verb(Verb::Rcpt | Verb::Vrfy));
            assert_eq!(stage.text_of(code) == ReplyText::ForwardPath, expected, "{stage} {code}");
        }
    }
    assert_eq!(Stage::Connect.text_of(ReplyCode::READY), ReplyText::Domain);
    assert_eq!(Stage::Verb(Verb::Starttls).text_of(ReplyCode::READY), ReplyText::Free);
    assert_eq!(Stage::AuthResponse.text_of(ReplyCode::AUTH_CHALLENGE), ReplyText::Challenge);
}

#[test]
fn any_command_may_get_421() {
    for stage in Stage::ALL.iter().filter(|stage| stage.is_command()) {
        assert!(stage.permits(ReplyCode::SERVICE_NOT_AVAILABLE), "{stage}");
        assert!(stage.reply(ReplyCode::SERVICE_NOT_AVAILABLE).is_some(), "{stage}");
    }
}

#[test]
fn stages_are_found_by_their_names() {
    let names: BTreeSet<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
    assert_eq!(names.len(), Stage::ALL.len());
    assert_eq!(Stage::ALL.len(), Verb::ALL.len() + 4);
    for stage in Stage::ALL {
        assert_eq!(Stage::by_name(&stage.name().to_ascii_lowercase()), Some(*stage));
        assert_eq!(Stage::by_name(&stage.to_string()), Some(*stage));
    }
    assert_eq!(Stage::by_name(""), None);
}

#[test]
fn every_extension_is_found_in_any_case() {
    let keywords: BTreeSet<&str> = ServiceExtension::ALL.iter().map(|row| row.keyword).collect();
    assert_eq!(keywords.len(), ServiceExtension::ALL.len());
    for row in ServiceExtension::ALL {
        assert_eq!(ServiceExtension::by_keyword(&row.keyword.to_ascii_lowercase()), Some(row));
        assert_eq!(ServiceExtension::by_keyword(&format!("{}X", row.keyword)), None);
        let known = row.reference.starts_with("RFC ") && row.reference.contains('§');
        assert!(known || !row.standing.may_be_sent(), "{}", row.keyword);
    }
    for keyword in [
        "8BITMIME",
        "ATRN",
        "AUTH",
        "BINARYMIME",
        "BURL",
        "CHECKPOINT",
        "CHUNKING",
        "CONNEG",
        "CONPERM",
        "DELIVERBY",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "ETRN",
        "EXPN",
        "FUTURERELEASE",
        "HELP",
        "LIMITS",
        "MT-PRIORITY",
        "MTRK",
        "NO-SOLICITING",
        "PIPELINING",
        "REQUIRETLS",
        "RRVS",
        "SAML",
        "SEND",
        "SIZE",
        "SMTPUTF8",
        "SOML",
        "STARTTLS",
        "SUBMITTER",
        "TURN",
        "UTF8SMTP",
        "XCLIENT",
        "XFORWARD",
    ] {
        assert!(keywords.contains(keyword), "{keyword}");
    }
}

#[test]
fn lines_are_longer_by_what_the_documents_say() {
    let line = |keyword: &str| {
        let row = ServiceExtension::by_keyword(keyword).unwrap();
        (row.mail_line, row.rcpt_line)
    };
    // RFC 1870 §3, RFC 4954 §3, RFC 3030 §3, RFC 2852 §2, RFC 4865 §3, RFC 6710 §3, RFC 6531 §3.1, RFC 8689 §2, RFC 7293 §3.1,
    // RFC 3885 §2, RFC 3865 §4.1, RFC 1845 §2, RFC 5336 §3.1.
    for (keyword, mail, rcpt) in [
        ("SIZE", 26, 0),
        ("AUTH", 500, 0),
        ("BINARYMIME", 16, 0),
        ("DELIVERBY", 17, 0),
        ("FUTURERELEASE", 34, 0),
        ("MT-PRIORITY", 15, 0),
        ("SMTPUTF8", 10, 0),
        ("REQUIRETLS", 11, 0),
        ("RRVS", 0, 33),
        ("MTRK", 40, 0),
        ("NO-SOLICITING", 1007, 0),
        ("CHECKPOINT", 88, 0),
        ("UTF8SMTP", 460, 460),
    ] {
        assert_eq!(line(keyword), (mail, rcpt), "{keyword}");
    }
    // RFC 3461 §5.4 tells the whole line: 1036.
    assert_eq!(line("DSN"), (1036 - 512, 1036 - 512));
}

#[test]
fn a_parameter_fits_into_the_line_that_its_extension_makes_longer() {
    for row in Parameter::ALL {
        let extension = ServiceExtension::by_keyword(row.extension).unwrap();
        assert!(extension.parameters().any(|own| own == row));
        assert!(Parameter::of(row.verb, &row.name.to_ascii_lowercase()).any(|found| found == row));
        let line = match row.verb {
            Verb::Mail => extension.mail_line,
            Verb::Rcpt => extension.rcpt_line,
            _ => 0,
        };
        // A space, the name, and the value behind an equals sign. The numbers for RFC 3865 and RFC 4954 do not count all of that.
        let needed = 1 + row.name.len() as u16 + if row.value.is_some() { 1 + row.octets.unwrap_or(1) } else { 0 };
        let counted = line > 0 && !["NO-SOLICITING", "AUTH"].contains(&row.extension);
        assert!(!counted || needed <= line, "{} of {}: {needed} > {line}", row.name, row.verb);
    }
}

#[test]
fn verbs_and_the_extensions_that_add_them_name_each_other() {
    for verb in Verb::ALL {
        if let Some(keyword) = verb.info().keyword {
            let row = ServiceExtension::by_keyword(keyword).unwrap_or_else(|| panic!("{verb}: no {keyword}"));
            assert!(row.verbs.contains(&verb.as_str()), "{verb}");
        }
    }
    for row in ServiceExtension::ALL {
        for verb in row.verbs.iter().filter_map(|verb| Verb::from_bytes(verb.as_bytes())) {
            assert_eq!(verb.info().keyword, Some(row.keyword));
        }
    }
}

#[test]
fn mechanisms_are_found_in_any_case() {
    for row in SaslMechanism::ALL {
        assert_eq!(SaslMechanism::by_name(&row.name.to_ascii_lowercase()), Some(row));
        assert!(row.name.len() <= 20 && row.meaning.ends_with('.'));
    }
    let revealing: Vec<&str> = SaslMechanism::ALL.iter().filter(|row| row.reveals_secret).map(|row| row.name).collect();
    assert_eq!(revealing, ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]);
}

#[test]
fn the_name_of_a_with_protocol_says_what_it_stands_for() {
    for row in WithProtocol::ALL {
        let base = match (row.utf8, row.protocol) {
            (false, Protocol::Smtp) => "SMTP",
            (false, Protocol::Esmtp) => "ESMTP",
            (false, Protocol::Lmtp) => "LMTP",
            (true, Protocol::Lmtp) => "UTF8LMTP",
            (true, _) => "UTF8SMTP",
        };
        let name = format!("{base}{}{}", if row.tls { "S" } else { "" }, if row.auth { "A" } else { "" });
        assert_eq!(row.name, name);
        assert_eq!(WithProtocol::of(row.protocol, row.tls, row.auth, row.utf8), Some(row));
        assert_eq!(WithProtocol::by_name(&row.name.to_ascii_lowercase()), Some(row));
    }
    // All there can be, and nothing that cannot: HELO has no extensions.
    let mut count = 0;
    for bits in 0..8 {
        let of = |protocol| WithProtocol::of(protocol, bits & 1 > 0, bits & 2 > 0, bits & 4 > 0).is_some();
        assert!(of(Protocol::Esmtp) && of(Protocol::Lmtp));
        assert_eq!(of(Protocol::Smtp), bits == 0);
        count += 2 + usize::from(bits == 0);
    }
    assert_eq!(count, WithProtocol::ALL.len());
}

#[test]
fn codes_of_providers_are_found_by_code_and_by_reply() {
    assert!(VendorCode::ALL.is_sorted_by_key(|row| row.code));
    for row in VendorCode::ALL {
        assert!(row.covers(row.code) && row.meaning.ends_with('.') && row.advice.ends_with('.'), "{}", row.code);
        assert!(VendorCode::find(row.code, row.reply).any(|found| found == row), "{}", row.code);
        assert!(row.reply.is_none_or(|reply| row.code.agrees_with(reply)), "{}", row.code);
        assert_eq!(row.is_range(), row.code.detail() < row.last_detail);
        for detail in 0..=999 {
            let code = EnhancedCode::literal(row.code.class(), row.code.subject(), detail);
            assert_eq!(row.covers(code), (row.code.detail()..=row.last_detail).contains(&detail));
        }
    }
    let providers: BTreeSet<&str> = VendorCode::ALL.iter().map(|row| row.provider).collect();
    assert_eq!(providers.into_iter().collect::<Vec<_>>(), ["Google", "Microsoft", "Sisimai"]);
    assert!(VendorCode::find(EnhancedCode::literal(5, 999, 999), None).next().is_none());
}
