//! What is read out of replies as people paste them, and what is said about it.

use ehlo_codes::explain::{Remark, Verdict};
use ehlo_codes::{EnhancedCode, Explanation, Fault, Party, ReplyCode, Stage, StatusDetail, VendorCode, Verb};

fn explain(reply: &str) -> Explanation<'_> {
    Explanation::of(reply.as_bytes()).unwrap_or_else(|error| panic!("{reply:?}: {error}"))
}

/// Reply code and enhanced code as text, - where there is none.
fn codes(explanation: &Explanation<'_>) -> (String, String) {
    let reply = explanation.reply().map_or("-".to_owned(), |code| code.to_string());
    let status = explanation.status().map_or("-".to_owned(), |status| status.to_string());
    (reply, explanation.enhanced().map_or(status, |code| code.to_string()))
}

#[test]
fn codes_are_read_in_all_the_ways_people_write_them() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("550", "550", "-", ""),
        ("  550 \r\n", "550", "-", ""),
        ("5.7.1", "-", "5.7.1", ""),
        ("X.7.1", "-", "X.7.1", ""),
        ("x.7.1", "-", "X.7.1", ""),
        ("#5.7.1 refused", "-", "5.7.1", "refused"),
        ("5.7.300", "-", "5.7.300", ""),
        ("501 5.5.4", "501", "5.5.4", ""),
        ("501\t5.5.4\tx", "501", "5.5.4", "x"),
        ("452-4.2.2 text...", "452", "4.2.2", "text..."),
        ("550-5.1.1 one\r\n550 5.1.1 two", "550", "5.1.1", "one"),
        ("550 #5.1.0 Address rejected", "550", "5.1.0", "Address rejected"),
        ("550: No such user", "550", "-", "No such user"),
        ("550 - No such user", "550", "-", "No such user"),
        ("550 sorry, no mailbox here (#5.1.1 - chkusr)", "550", "5.1.1", "sorry, no mailbox here (#5.1.1 - chkusr)"),
        ("smtp; 550 5.1.1 no such user", "550", "5.1.1", "no such user"),
        ("Diagnostic-Code: smtp;550 5.1.1 x", "550", "5.1.1", "x"),
        ("Status: 5.1.1", "-", "5.1.1", ""),
        ("host mx.example.org[192.0.2.1] said: 550 5.7.1 no", "550", "5.7.1", "no"),
        ("did not like our RCPT TO:552 5.2.2 <a@b>", "552", "5.2.2", "<a@b>"),
        ("ResponseCode 421, Host not reachable", "421", "-", ", Host not reachable"),
        ("ERROR_CODE :550, ERROR_CODE :5.1.1 x", "550", "5.1.1", ", ERROR_CODE :5.1.1 x"),
        ("I could not connect. (#4.4.1) I try no more.", "-", "4.4.1", ") I try no more."),
        ("441 4.4.1 Error", "441", "4.4.1", "Error"),
        ("354", "354", "-", ""),
        ("999", "999", "-", ""),
    ];
    for (input, reply, enhanced, text) in cases {
        let explanation = explain(input);
        assert_eq!(codes(&explanation), ((*reply).to_owned(), (*enhanced).to_owned()), "{input:?}");
        assert_eq!(explanation.text(), text.as_bytes(), "{input:?}");
    }
}

#[test]
fn what_only_looks_like_a_code_is_not_taken_for_one() {
    for input in [
        "",
        " ",
        "\r\n",
        "55",
        "5500",
        "099",
        "000",
        "5.7",
        "5.7.",
        "5..1",
        ".5.7.1",
        "5.7.1000",
        "5.07.1",
        "5.7.1.1",
        "192.0.2.1",
        "55O",
        "550x",
        "x550",
        "550.5",
        "550@example.org",
        "call 550 now",
        "port 587 is closed",
        "432000 seconds",
        "[192.0.2.222 18]",
        "mta222.example.org",
        "version 5.7.1rc2",
        "user5.7.1@example.org",
        "no such user",
        "५५०",
        "X.7",
        "X.7.1000",
        "Y.7.1",
    ] {
        assert!(Explanation::of(input.as_bytes()).is_err(), "{input:?}");
    }
    // An address behind the code is no enhanced code, and neither is a foreign class.
    for input in [
        "550 192.0.2.1 is blocked",
        "550 5.7.1.1 is my version",
        "550 1.2.3 x",
        "354 5.7.1x go on",
        "421 [192.0.2.4] bye",
    ] {
        assert_eq!(codes(&explain(input)).1, "-", "{input:?}");
    }
}

#[test]
fn every_code_can_be_explained() {
    for value in 100..=999 {
        let code = ReplyCode::literal(value);
        let text = value.to_string();
        let explanation = explain(&text);
        assert_eq!(explanation.reply(), Some(code));
        let digits: Vec<u8> = explanation.digits().unwrap().iter().map(|digit| digit.value + b'0').collect();
        assert_eq!(digits, text.as_bytes());
        assert_eq!(explanation.meanings().is_empty(), code.info().is_none(), "{value}");
        assert_eq!(explanation.faults().contains(Fault::UnregisteredReply), code.info().is_none(), "{value}");
        let expected = match value / 100 {
            2 => Verdict::Done,
            3 => Verdict::GoOn,
            4 => Verdict::RetryLater,
            5 => Verdict::DoNotRetry,
            _ => Verdict::Unclear,
        };
        assert_eq!(explanation.verdict(), expected, "{value}");
        let permitted =
            Stage::ALL.iter().filter(|stage| stage.replies().iter().any(|reply| reply.code == code)).count();
        assert_eq!(explanation.stages().count(), permitted, "{value}");
    }
    for info in StatusDetail::registered() {
        for class in 0..=9 {
            let code = info.status.success().with_class(class).unwrap();
            let text = code.to_string();
            let explanation = explain(&text);
            assert_eq!(explanation.enhanced(), Some(code));
            let meant = info.classes.contains(&class) && info.status.detail() != 0;
            let expected = (meant || class != 2).then_some(&info.advice);
            assert_eq!(explanation.advice(), expected, "{text}");
            assert_eq!(explanation.faults().contains(Fault::UnknownClass), ![2, 4, 5].contains(&class), "{text}");
        }
    }
    for row in VendorCode::ALL {
        let text = row.code.to_string();
        assert!(explain(&text).vendors().any(|found| found == row), "{text}");
    }
}

#[test]
fn codes_that_disagree_are_told_and_the_reply_code_counts() {
    let explanation = explain("554 4.4.7 message expired");
    let (reply, enhanced) = (ReplyCode::TRANSACTION_FAILED, EnhancedCode::literal(4, 4, 7));
    assert!(explanation.remarks().any(|remark| remark == Remark::Mismatch(reply, enhanced)));
    assert_eq!(explanation.verdict(), Verdict::DoNotRetry);
    for reply in 200..600 {
        for class in [2, 4, 5] {
            let code = EnhancedCode::literal(class, 0, 0);
            let explanation = Explanation::of_codes(ReplyCode::new(reply), Some(code)).unwrap();
            let told = explanation.remarks().any(|remark| matches!(remark, Remark::Mismatch(..)));
            // 3yz carries none at all, which is another fault.
            assert_eq!(told, reply / 100 != class && reply / 100 != 3, "{reply} {class}");
        }
    }
    assert!(explain("354 2.0.0").faults().contains(Fault::EnhancedOutOfPlace));
}

#[test]
fn lines_with_other_codes_are_told() {
    let remarks = |reply: &'static str| -> Vec<Remark> { explain(reply).remarks().collect() };
    assert_eq!(remarks("250-one\r\n250 two"), []);
    assert!(remarks("250-one\r\n251 two").contains(&Remark::OtherReply(ReplyCode::WILL_FORWARD)));
    let other = EnhancedCode::literal(5, 7, 0);
    assert!(remarks("550-5.7.1 one\n550 5.7.0 two").contains(&Remark::OtherEnhanced(other)));
    let within = EnhancedCode::literal(5, 1, 1);
    assert!(remarks("550 no mailbox (#5.1.1)").contains(&Remark::FromText(within)));
    // One that may be a quotation says nothing about those of other lines.
    assert_eq!(remarks("550-no mailbox (#5.1.1)\n550 5.7.0 two"), [Remark::FromText(within)]);
}

#[test]
fn dots_that_lists_left_out_are_put_back() {
    for (reply, enhanced) in [("422", "4.2.2"), ("431", "4.3.1"), ("511", "5.1.1"), ("523", "5.2.3"), ("571", "5.7.1")]
    {
        let code: EnhancedCode = enhanced.parse().unwrap();
        assert!(explain(reply).remarks().any(|remark| remark == Remark::DotsDropped(code)), "{reply}");
    }
    // A code of the standard is itself, and one with an enhanced code needs no guess.
    for reply in ["550", "421", "521", "441 4.4.1"] {
        assert!(!explain(reply).remarks().any(|remark| matches!(remark, Remark::DotsDropped(_))), "{reply}");
    }
}

#[test]
fn the_enhanced_code_or_the_stage_tells_which_meaning_it_is() {
    for (reply, title) in [
        ("452 4.3.1", "Insufficient storage"),
        ("452 4.5.3", "Too many recipients"),
        ("550 5.1.1", "No such mailbox"),
        ("550 5.2.1", "No access to the mailbox"),
        ("550 5.7.1", "Refused by policy"),
        ("550 5.7.26", "Refused by policy"),
        ("552 5.2.2", "Mailbox full"),
        ("552 5.3.4", "Message too large"),
        ("552 5.5.3", "Too many recipients"),
        ("554 5.6.0", "Transaction failed"),
        ("500 5.5.6", "Authentication line too long"),
    ] {
        assert_eq!(explain(reply).meaning().map(|meaning| meaning.title), Some(title), "{reply}");
    }
    for reply in ["452", "550", "552", "554"] {
        assert!(explain(reply).meaning().is_none(), "{reply} alone may mean several things");
        assert!(explain(reply).meanings().len() > 1);
    }
    for (reply, stage, title) in [
        ("220", Stage::Connect, "Greeting"),
        ("220", Stage::Verb(Verb::Starttls), "Go ahead with TLS"),
        ("251", Stage::Verb(Verb::Etrn), "No messages waiting"),
        ("252", Stage::Verb(Verb::Vrfy), "Not verified"),
        ("454", Stage::Verb(Verb::Auth), "Temporary authentication failure"),
        ("554", Stage::Connect, "No SMTP service here"),
    ] {
        assert_eq!(explain(reply).meaning_at(Some(stage)).map(|meaning| meaning.title), Some(title), "{reply} {stage}");
    }
}

#[test]
fn too_many_recipients_is_temporary_also_as_552() {
    let explanation = explain("552 5.5.3 too many recipients");
    assert_eq!(explanation.verdict(), Verdict::RetryLater);
    assert!(explanation.remarks().any(|remark| remark == Remark::ReadAs452));
    assert_eq!(explain("552 5.2.2 mailbox full").verdict(), Verdict::DoNotRetry);
}

#[test]
fn advice_names_first_who_can_do_most() {
    let first = |reply: &'static str| explain(reply).advice().map(|advice| advice.first);
    assert_eq!(first("550 5.1.1"), Some(Party::Sender));
    assert_eq!(first("452 4.2.2"), Some(Party::Recipient));
    assert_eq!(first("421 4.3.2"), Some(Party::Postmaster));
    assert_eq!(first("250 2.0.0"), Some(Party::Nobody));
    assert_eq!(first("550 5.7.999"), Some(Party::Postmaster), "of an unknown detail the meaning of the reply code");
    assert_eq!(first("5.2.999"), Some(Party::Recipient), "of an unknown detail the subject");
    assert_eq!(first("550"), None, "it depends on which of three it is");
    assert_eq!(first("577"), None);
}

#[test]
fn no_bytes_make_it_panic() {
    // A small generator: the same bytes on every run.
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    const LIKELY: &[u8] = b"0123456789.- :#(\r\nXx\xff\x80;";
    let mut explained = 0;
    for _ in 0..100_000 {
        let length = next() % 24;
        let input: Vec<u8> =
            (0..length).map(|_| if next() % 4 == 0 { next() as u8 } else { LIKELY[next() % LIKELY.len()] }).collect();
        let Ok(explanation) = Explanation::of(&input) else { continue };
        explained += 1;
        assert!(explanation.reply().is_some() || explanation.status().is_some());
        assert!(explanation.text().len() <= input.len());
        for remark in explanation.remarks() {
            assert!(!remark.to_string().is_empty());
        }
        let _ = (explanation.verdict(), explanation.advice(), explanation.vendors().count(), explanation.meaning());
    }
    assert!(explained > 1000, "only {explained} inputs had a code");
}

#[test]
fn every_part_of_a_reply_is_taken() {
    let reply = b"Diagnostic-Code: smtp; 550-5.7.1 one\r\n551 5.7.2 two (#4.4.1) 192.0.2.1 said: 421 x";
    for start in 0..reply.len() {
        for end in start..=reply.len() {
            if let Ok(explanation) = Explanation::of(&reply[start..end]) {
                assert!(explanation.remarks().count() < 10);
            }
        }
    }
}

#[test]
fn long_input_is_read_in_one_pass() {
    // With a pass for each number this would take hours; the test has no clock, the harness has.
    for pattern in ["500 ", "a 500 ", "500 5.7.x ", "5.7.1x ", "\n250", "   ", "550-\r\n"] {
        let input = pattern.repeat(1 << 18);
        let _ = Explanation::of(input.as_bytes()).map(|explanation| explanation.remarks().count());
    }
}
