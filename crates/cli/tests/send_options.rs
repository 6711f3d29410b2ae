//! What `ehlo send` can say to a server, against `ehlo serve`.

mod common;

use std::path::Path;
use std::process::Output;

use common::{Folder, Server, ehlo, files, send, text};

const PASSWORD: &str = "correct horse";

fn stored(maildir: &Path) -> Vec<String> {
    let read = |path| text(&std::fs::read(path).unwrap());
    let mut stored: Vec<String> = files(&maildir.join("new")).into_iter().map(read).collect();
    stored.sort_by_key(|stored| stored[stored.find("Subject").unwrap_or(0)..].to_owned());
    stored
}

fn accepted(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

struct Place {
    folder: Folder,
    server: Server,
    target: String,
}

impl Place {
    fn new(options: &[&str]) -> Self {
        let folder = Folder::new();
        let store = format!("maildir:{}", folder.0.join("mail").display());
        let server = Server::start(&[&["--store", store.as_str()], options].concat());
        Self { target: server.address.to_string(), folder, server }
    }

    fn stored(&self) -> Vec<String> {
        stored(&self.folder.0.join("mail"))
    }

    fn letter(&self) -> String {
        self.folder.write("letter.eml", "Subject: a\n\nhello\n").display().to_string()
    }
}

#[test]
fn an_mbox_is_sent_message_by_message_from_its_senders() {
    let place = Place::new(&[]);
    let mbox = "From ada@x.example Mon Jan  1 00:00:00 2024\nSubject: a\n\n>From here\n>>From there\n\nFrom MAILER-DAEMON Mon\nSubject: b\n\nx\n";
    let file = place.folder.write("box", mbox).display().to_string();
    let output = send(&["--to", "c@d", &place.target, &file]);
    accepted(&output);
    assert!(text(&output.stdout).contains("box#2: 250"), "{}", text(&output.stdout));
    let stored = place.stored();
    assert!(stored[0].contains("Return-Path: <ada@x.example>"), "{}", stored[0]);
    assert!(stored[0].ends_with("Subject: a\r\n\r\nFrom here\r\n>From there\r\n"), "{}", stored[0]);
    assert!(stored[1].contains("Return-Path: <>") && stored[1].ends_with("Subject: b\r\n\r\nx\r\n"), "{}", stored[1]);
}

#[test]
fn folders_and_maildirs_are_sent_over_several_connections() {
    let place = Place::new(&[]);
    let from = place.folder.0.join("from");
    for (name, subject) in
        [("new/1", "a"), ("cur/0:2,S", "b"), ("tmp/2", "never"), ("flat/1", "c"), ("flat/.hidden", "never")]
    {
        let path = from.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("Subject: {subject}\n\nx\n")).unwrap();
    }
    let (maildir, flat) = (from.display().to_string(), from.join("flat").display().to_string());
    let output =
        send(&["--from", "a@b", "--to", "c@d", "--connections", "3", "--json", &place.target, &maildir, &flat]);
    accepted(&output);
    let outcomes: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        assert_eq!(outcome["recipients"][0]["outcome"], "accepted");
        assert_eq!(outcome["recipients"][0]["code"], 250);
    }
    let stored = place.stored();
    for (stored, subject) in stored.iter().zip(["a", "b", "c"]) {
        assert!(stored.ends_with(&format!("Subject: {subject}\r\n\r\nx\r\n")), "{stored}");
    }
    assert_eq!(stored.len(), 3);
}

#[test]
fn who_sends_is_asked_for_with_what_the_header_says() {
    let folder = Folder::new();
    let file = folder.write("m.eml", "From: Ada <ada@x.example>\n\nx\n").display().to_string();
    let output = send(&["--to", "c@d", "127.0.0.1:1", &file]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("say --from ada@x.example"), "{}", text(&output.stderr));
}

#[test]
fn a_password_is_never_shown_and_goes_only_where_it_may() {
    let user = format!("ada:{PASSWORD}");
    let place = Place::new(&["--tls", "self-signed", "--user", &user, "--require-auth"]);
    let letter = place.letter();
    let run = |options: &[&str]| {
        let arguments =
            [&["send", "-v", "--from", "a@b", "--to", "c@d"][..], options, &[&place.target, &letter]].concat();
        ehlo().args(arguments).env("EHLO_PASSWORD", PASSWORD).output().unwrap()
    };
    // Nobody here trusts a self-signed certificate: with a password to show, that is the end.
    let output = run(&["--auth", "ada"]);
    assert_eq!(
        output.status.code(),
        Some(if text(&output.stderr).contains("no certificates of authorities") { 66 } else { 75 })
    );
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256"] {
        let output = run(&[
            "--auth",
            "ada",
            "--auth-mechanism",
            mechanism,
            "--tls",
            "required",
            "--tls-insecure",
            "--auth-plaintext",
        ]);
        accepted(&output);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(shown.contains(&format!("C: AUTH {mechanism}")) && shown.contains("****"), "{shown}");
        // The password; its Base64; that of NUL ada NUL password.
        for secret in [PASSWORD, "Y29ycmVjdCBob3JzZQ", "AGFkYQBjb3JyZWN0IGhvcnNl"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    let output = run(&["--auth", "ada", "--auth-mechanism", "PLAIN", "--tls", "opportunistic"]);
    assert_eq!(output.status.code(), Some(77), "{}", text(&output.stderr));
    let output = run(&["--auth", "ada:wrong", "--tls", "required", "--tls-insecure"]);
    assert_eq!(output.status.code(), Some(77), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("refused the log-in"), "{}", text(&output.stderr));
    assert_eq!(place.stored().len(), 3);
    drop(place.server);
}

#[test]
fn tls_is_used_where_it_is_offered_and_refused_where_it_is_not() {
    let place = Place::new(&["--tls", "self-signed"]);
    let letter = place.letter();
    let output = send(&["-v", "--from", "a@b", "--to", "c@d", &place.target, &letter]);
    accepted(&output);
    assert!(text(&output.stderr).contains("(TLS: TLSv1.3"), "{}", text(&output.stderr));
    let output = send(&["-v", "--tls", "off", "--from", "a@b", "--to", "c@d", &place.target, &letter]);
    accepted(&output);
    assert!(!text(&output.stderr).contains("TLS:"));
    let clear = Place::new(&[]);
    let output = send(&["--tls", "required", "--tls-insecure", "--from", "a@b", "--to", "c@d", &clear.target, &letter]);
    assert_eq!(output.status.code(), Some(75));
    assert!(text(&output.stderr).contains("does not offer STARTTLS"), "{}", text(&output.stderr));
    assert_eq!(clear.stored().len(), 0);
}

#[test]
fn many_recipients_go_in_as_many_transactions_as_the_server_wants() {
    let place = Place::new(&["--max-recipients", "100"]);
    let list: String = (0..250).map(|n| format!("user{n}@d.example\n\n")).collect();
    let list = place.folder.write("list", list).display().to_string();
    let output = send(&["--from", "a@b", "--to-file", &list, &place.target, &place.letter()]);
    accepted(&output);
    assert_eq!(place.stored().len(), 3);
}

#[test]
fn lmtp_tells_of_each_recipient() {
    let place = Place::new(&["--lmtp"]);
    let output = send(&["--lmtp", "-v", "--from", "a@b", "--to", "c@d", "--to", "e@f", &place.target, &place.letter()]);
    accepted(&output);
    assert!(text(&output.stderr).contains("C: LHLO "));
    let told = text(&output.stdout);
    assert!(told.contains("letter.eml: <c@d>: 250") && told.contains("letter.eml: <e@f>: 250"), "{told}");
}

#[test]
fn parameters_of_extensions_are_said_and_wrong_ones_are_not() {
    let place = Place::new(&[]);
    let letter = place.letter();
    let common = ["-v", "--from", "a@b", "--to", "c@d"];
    let good = ["--dsn-notify", "success,failure", "--dsn-ret", "hdrs", "--dsn-envid", "a b"];
    let output = send(&[&common[..], &good, &[&place.target, &letter]].concat());
    accepted(&output);
    let told = text(&output.stderr);
    if told.contains("S: 250-DSN") || told.contains("S: 250 DSN") {
        assert!(told.contains(" RET=HDRS ENVID=a+20b") && told.contains("NOTIFY=SUCCESS,FAILURE"), "{told}");
    } else {
        assert!(told.contains("does not offer DSN"), "{told}");
    }
    for wrong in [
        &["--dsn-notify", "never,delay"][..],
        &["--dsn-ret", "all"],
        &["--mt-priority", "10"],
        &["--deliver-by", "x"],
        &["--auth-mechanism", "ROT13", "--auth", "a"],
        &["--tls", "maybe"],
        &["--timeout", "0"],
        &["--connections", "0"],
    ] {
        let output = send(&[&common[..], wrong, &[&place.target, &letter]].concat());
        assert_eq!(output.status.code(), Some(64), "{wrong:?}: {}", text(&output.stderr));
    }
    let output = send(&[&common[..], &["--require-tls", "--tls", "off"], &[&place.target, &letter]].concat());
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert_eq!(place.stored().len(), 1);
}

#[test]
fn line_ends_are_made_crlf_where_that_is_wanted() {
    let place = Place::new(&[]);
    let file = place.folder.write("mixed.eml", "Subject: a\r\n\nb\rc\n").display().to_string();
    let output = send(&["--line-endings", "normalize", "--from", "a@b", "--to", "c@d", &place.target, &file]);
    accepted(&output);
    assert!(place.stored()[0].ends_with("Subject: a\r\n\r\nb\r\nc\r\n"));
}
