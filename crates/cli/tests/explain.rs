//! `ehlo explain` as people and programs run it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use ehlo_codes::{ReplyCode, SaslMechanism, ServiceExtension, Stage, StatusDetail, VendorCode, Verb, WithProtocol};
use serde_json::Value;

fn ehlo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ehlo"));
    command.arg("explain").stdin(Stdio::null());
    command
}

fn explain(arguments: &[&str]) -> String {
    let output = ehlo().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    serde_json::from_str(&explain(&all)).unwrap()
}

/// The output for a command line that is wrong: nothing but a line or more on the standard error.
fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = ehlo().args(arguments).output().unwrap();
    assert_eq!(status.code(), Some(64), "{arguments:?}");
    assert!(stdout.is_empty(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line.trim_end(), line, "space at the end: {line:?}");
    }
    assert!(!text.contains('\u{1b}'), "style without a terminal");
}

#[test]
fn a_reply_code_is_explained_with_its_meanings_digits_commands_and_advice() {
    let page = explain(&["550"]);
    assert_fits(&page);
    for part in [
        "550  Mailbox unavailable",
        "5          Permanent failure",
        "comes after",
        "RCPT",
        "RFC 5321 §4.2.3; standard",
        "No such mailbox.",
        "No access to the mailbox.",
        "Refused by policy.",
        "sender",
        "recipient",
        "postmaster",
        "retry      No: a permanent failure",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

#[test]
fn reply_and_enhanced_code_are_explained_together() {
    for arguments in [&["501 5.5.4"][..], &["501", "5.5.4"], &["501-5.5.4 malformed"], &["501", "5.5.4", "malformed"]] {
        let page = explain(arguments);
        assert_fits(&page);
        assert!(page.contains("501  Syntax error in parameters") && page.contains("5.5.4  Invalid command arguments"));
        assert!(page.contains("Malformed argument."), "{page}");
    }
    let page = explain(&["452-4.2.2 The recipient's inbox is out of storage space"]);
    assert!(page.contains("Insufficient storage.") && page.contains("retry      Yes, later"), "{page}");
    assert!(page.contains("Google"), "{page}");
}

#[test]
fn codes_that_disagree_and_codes_that_nobody_registered_are_told() {
    let page = explain(&["554 4.4.7 expired"]);
    assert!(page.contains("554 and 4.4.7 disagree"), "{page}");
    let page = explain(&["577"]);
    assert!(page.contains("577  Not registered") && page.contains("Its digits say"), "{page}");
    let page = explain(&["5.9.99"]);
    assert!(page.contains("5.9.99  Not registered") && page.contains("Permanent failure"), "{page}");
    let page = explain(&["422"]);
    assert!(page.contains("4.2.2, written without its dots"), "{page}");
    let page = explain(&["200"]);
    assert!(page.contains("never a legal reply code"), "{}", page.replace('\n', " "));
}

#[test]
fn several_arguments_are_several_explanations() {
    let titles = |arguments: &[&str]| -> Vec<String> {
        let value = json(arguments);
        let code = |item: &Value| match item["kind"].as_str() {
            Some("reply") => format!("{} {}", item["reply"]["code"], item["enhanced"]["code"]),
            _ => item["input"].as_str().unwrap().to_owned(),
        };
        value.as_array().map_or_else(|| vec![code(&value)], |items| items.iter().map(code).collect())
    };
    assert_eq!(titles(&["550", "421"]), ["550 null", "421 null"]);
    assert_eq!(titles(&["550", "5.1.1", "421"]), ["550 \"5.1.1\"", "421 null"]);
    assert_eq!(titles(&["550", "5.1.1", "no", "421", "here"]), ["550 \"5.1.1\""]);
    assert_eq!(titles(&["550 5.1.1 no", "421"]), ["550 \"5.1.1\"", "421 null"]);
    assert_eq!(titles(&["5.1.1", "5.7.1"]), ["null \"5.1.1\"", "null \"5.7.1\""]);
    assert_eq!(titles(&["SIZE", "RCPT", "550"]), ["SIZE", "RCPT", "550 null"]);
    assert_eq!(titles(&["host", "said:", "550", "5.1.1", "no"]), ["550 \"5.1.1\""]);
}

#[test]
fn programs_get_an_object() {
    let value = json(&["550 5.1.1 no such user"]);
    assert_eq!(value["input"], "550 5.1.1 no such user");
    assert_eq!(value["reply"]["code"], 550);
    assert_eq!(value["reply"]["registered"], true);
    assert_eq!(value["reply"]["class"], "permanent failure");
    assert_eq!(value["reply"]["digits"][0]["digit"], 5);
    assert_eq!(value["reply"]["info"]["meanings"].as_array().unwrap().len(), 3);
    assert!(value["reply"]["stages"].as_array().unwrap().iter().any(|stage| stage["stage"] == "RCPT"));
    assert_eq!(value["enhanced"]["info"]["title"], "Bad destination mailbox address");
    assert_eq!(value["meaning"]["title"], "No such mailbox");
    assert_eq!(value["advice"]["first"], "sender");
    assert_eq!((&value["verdict"], &value["retry"]), (&"permanent".into(), &false.into()));
    assert_eq!(value["mismatch"], false);
    assert_eq!(value["text"], "no such user");

    let value = json(&["554 4.4.7"]);
    assert_eq!(value["mismatch"], true);
    assert_eq!(value["remarks"][0]["violation"], true);
    let value = json(&["699"]);
    assert_eq!((&value["reply"]["registered"], &value["reply"]["info"]), (&false.into(), &Value::Null));
    assert_eq!((&value["verdict"], &value["retry"]), (&"unclear".into(), &Value::Null));
}

#[test]
fn a_stage_tells_whether_the_reply_is_legal_there() {
    let value = json(&["--after", "rcpt", "551 we do not relay"]);
    assert_eq!(value["after"]["stage"], "RCPT");
    assert_eq!(value["after"]["legal"], false);
    assert_eq!(value["after"]["faults"][0]["violation"], true);
    assert_eq!(json(&["--after", "RCPT", "551 try <ada@example.org>"])["after"]["legal"], true);
    assert_eq!(json(&["--after", "RCPT", "354"])["after"]["legal"], false);
    assert_eq!(json(&["--after", "connect", "220"])["meaning"]["title"], "Greeting");
    assert!(explain(&["--after", "data-end", "550 5.7.1"]).contains("after the end of the message: legal."));
    assert!(refused(&["--after", "lunch", "550"]).contains("known are"));
}

#[test]
fn every_code_of_the_registry_is_explained() {
    let codes: Vec<String> = (100..=999).map(|code: u16| code.to_string()).collect();
    let details: Vec<String> = StatusDetail::registered()
        .iter()
        .flat_map(|info| [info.status.success(), info.status.transient(), info.status.permanent()])
        .chain(VendorCode::ALL.iter().map(|row| row.code))
        .map(|code| code.to_string())
        .collect();
    for list in [codes, details] {
        let arguments: Vec<&str> = list.iter().map(String::as_str).collect();
        assert_fits(&explain(&arguments));
        let values = json(&arguments);
        assert_eq!(values.as_array().unwrap().len(), arguments.len());
        for (value, argument) in values.as_array().unwrap().iter().zip(&arguments) {
            assert_eq!(value["input"], *argument);
            assert_eq!(value["kind"], "reply");
        }
    }
}

#[test]
fn every_name_of_the_registry_is_explained() {
    let names: Vec<&str> = Stage::ALL
        .iter()
        .map(|stage| stage.name())
        .chain(ServiceExtension::ALL.iter().map(|row| row.keyword))
        .chain(SaslMechanism::ALL.iter().map(|row| row.name))
        .chain(WithProtocol::ALL.iter().map(|row| row.name))
        .chain(["ret", "notify", "Orcpt", "BODY", "transid"])
        .collect();
    let page = explain(&names);
    assert_fits(&page);
    assert!(page.contains("NOTIFY  Parameter of RCPT") && page.contains("SIZE  Service extension"), "{page}");
    for value in json(&names).as_array().unwrap() {
        assert_eq!(value["kind"], "name", "{value}");
    }
    let value = json(&["auth"]);
    assert_eq!(value["command"]["verb"], "AUTH");
    assert_eq!(value["extension"]["mail_line"], 500);
    assert_eq!(value["extension_parameters"][0]["name"], "AUTH");
}

#[test]
fn tables_are_listed_whole() {
    let tables: &[(&str, usize, &str)] = &[
        ("codes", ReplyCode::registered().len(), "code"),
        ("enhanced", StatusDetail::registered().len(), "status"),
        ("extensions", ServiceExtension::ALL.len(), "keyword"),
        ("commands", Verb::ALL.len(), "verb"),
        ("sasl", SaslMechanism::ALL.len(), "name"),
        ("with", WithProtocol::ALL.len(), "name"),
        ("vendor", VendorCode::ALL.len(), "code"),
    ];
    for (table, count, key) in tables {
        let rows = json(&["--list", table]);
        assert_eq!(rows.as_array().unwrap().len(), *count, "{table}");
        let page = explain(&["--list", table]);
        assert_fits(&page);
        for row in rows.as_array().unwrap() {
            let name = row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned);
            assert!(page.contains(&name), "{table}: {name}");
        }
    }
    assert_eq!(explain(&["--list"]), explain(&["--list", "codes"]));
}

#[test]
fn wrong_input_gives_a_clear_line_and_64() {
    let error = refused(&["no such code"]);
    assert_eq!(error.lines().count(), 1);
    assert!(error.starts_with("ehlo explain: \"no such code\": neither a reply code"), "{error}");
    // The good one is not printed either: a program must not take half an answer for a whole one.
    assert!(refused(&["550", "SIZE", "55 x"]).contains("\"55 x\""));
    for arguments in
        [&[][..], &[""], &["--list", "codes", "550"], &["--list", "nothing"], &["--nothing"], &["192.0.2.1"]]
    {
        assert!(!refused(arguments).is_empty());
    }
    let long = "x".repeat(10_000);
    assert!(refused(&[&long]).len() < 300);
    let error = refused(&["a\u{1b}[2J\nb"]);
    assert!(!error.contains('\u{1b}') && error.lines().count() == 1, "{error:?}");
}

#[test]
fn a_reply_is_read_from_the_standard_input() {
    let run = |input: &[u8]| {
        let mut command = ehlo();
        command.args(["--json", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // While its output is read here. A program that has read enough closes its end.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        })
    };
    let output = run(b"550-5.1.1 one\r\n550 5.1.1 two\r\n");
    assert_eq!(output.status.code(), Some(0));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["reply"]["code"], &value["enhanced"]["code"]), (&550.into(), &"5.1.1".into()));
    assert_eq!(run(b"").status.code(), Some(64));
    assert_eq!(run(&b"250 ".repeat(1 << 18)).status.code(), Some(0), "only its beginning is looked at");
}

#[test]
fn no_bytes_make_it_panic() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let mut state = 7u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    const LIKELY: &[u8] = b"0123455.. -:#\r\nX\xff;";
    let mut explained = 0;
    for _ in 0..200 {
        let words: Vec<Vec<u8>> = (0..1 + next() % 3)
            .map(|_| {
                let start: &[u8] = [&b""[..], b"550 ", b"5.7.1", b"452-4.2.2 "][next() % 4];
                // An argument of a program holds no NUL.
                let byte =
                    |n: usize| if n.is_multiple_of(3) { 1 + (n / 3 % 255) as u8 } else { LIKELY[n / 3 % LIKELY.len()] };
                let end = (0..next() % 12).map(|_| byte(next()));
                start.iter().copied().chain(end.collect::<Vec<u8>>()).collect()
            })
            .collect();
        let mut command = ehlo();
        command.arg("--").args(words.iter().map(|word| OsStr::from_bytes(word)));
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 64)), "{words:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{words:?}");
        explained += usize::from(output.status.success());
    }
    assert!((20..200).contains(&explained), "{explained} explained");
}
