//! `ehlo send` as a process.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::thread::JoinHandle;

use common::{Folder, Server, ehlo, files, send, text};

/// A server that answers each line by a table: the first entry whose word begins the line. `end` answers the end of a message.
fn play(greeting: &'static str, answers: &'static [(&'static str, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let mut writer = stream.try_clone().unwrap();
        writer.write_all(greeting.as_bytes()).unwrap();
        let mut in_message = false;
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            let word = if in_message && line == "." { "end" } else { line.as_str() };
            in_message &= word != "end";
            if !in_message {
                let (_, answer) =
                    answers.iter().find(|(start, _)| word.starts_with(start)).expect("each line has an answer");
                in_message |= answer.starts_with("354");
                heard.push(line.clone());
                if answer.is_empty() || writer.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
        heard
    });
    (address, thread)
}

fn one_message(target: &str) -> Output {
    let folder = Folder::new();
    let file = folder.write("m.eml", "Subject: x\n\nhello\n");
    send(&["--from", "a@b", "--to", "c@d", "--to", "e@f", target, file.to_str().unwrap()])
}

#[test]
fn the_exit_status_tells_the_worst_that_became_of_a_recipient() {
    for (rcpt, end, status, line) in [
        (("RCPT TO:<e@f>", "250 ok\r\n"), "250 queued as 7\r\n", 0, "m.eml: 250 queued as 7\n"),
        (("RCPT TO:<e@f>", "450 later\r\n"), "250 ok\r\n", 75, "m.eml: <e@f>: 450 later\n"),
        (("RCPT TO:<e@f>", "550 never\r\n"), "250 ok\r\n", 69, "m.eml: <e@f>: 550 never\n"),
        (("RCPT TO:<e@f>", "250 ok\r\n"), "451 try later\r\n", 75, "m.eml: 451 try later\n"),
        (("RCPT TO:<e@f>", "250 ok\r\n"), "554 no\r\n", 69, "m.eml: 554 no\n"),
    ] {
        let answers = [
            ("EHLO", "250 mx\r\n"),
            ("MAIL", "250 ok\r\n"),
            ("RCPT TO:<c@d>", "250 ok\r\n"),
            rcpt,
            ("DATA", "354 go\r\n"),
            ("end", end),
            ("QUIT", "221 bye\r\n"),
        ];
        let (target, server) = play("220 mx\r\n", Box::leak(Box::new(answers)));
        let output = one_message(&target);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        assert!(
            text(&output.stdout).ends_with(line) || text(&output.stdout).contains(line),
            "{}",
            text(&output.stdout)
        );
        assert_eq!(server.join().unwrap().last().map(String::as_str), Some("QUIT"));
    }
}

#[test]
fn a_lost_final_reply_is_unknown_and_to_be_tried_again() {
    let answers =
        &[("EHLO", "250 mx\r\n"), ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n"), ("end", "")];
    let (target, server) = play("220 mx\r\n", answers);
    let output = one_message(&target);
    assert_eq!(output.status.code(), Some(75));
    assert!(text(&output.stderr).contains("it may have arrived"), "{}", text(&output.stderr));
    server.join().unwrap();
}

#[test]
fn a_server_that_is_none_is_named_so() {
    for (greeting, status, words) in [
        ("554 go away\r\n", 69, "refused the session with 554"),
        ("421 busy\r\n", 75, "421"),
        ("HTTP/1.0 400 what?\r\n", 75, "not an SMTP reply"),
        ("", 75, "closed the connection"),
    ] {
        let (target, server) = play(greeting, &[("EHLO", ""), ("QUIT", "221 bye\r\n")]);
        if greeting.is_empty() {
            // It accepts and closes.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let target = listener.local_addr().unwrap().to_string();
            let closing = std::thread::spawn(move || drop(listener.accept()));
            let output = one_message(&target);
            closing.join().unwrap();
            assert_eq!(output.status.code(), Some(status));
            assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
            continue;
        }
        let output = one_message(&target);
        assert_eq!(output.status.code(), Some(status), "{greeting}");
        let told = text(&output.stderr) + &text(&output.stdout);
        assert!(told.contains(words), "{told}");
        server.join().unwrap();
    }
}

#[test]
fn hosts_that_cannot_be_reached_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (target, words) in [(free.as_str(), "cannot connect to 127.0.0.1"), ("no-such-host.invalid:25", "no such host")]
    {
        let output = one_message(target);
        assert_eq!(output.status.code(), Some(75));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn wrong_usage_is_64() {
    let folder = Folder::new();
    let file = folder.write("m.eml", "x\n");
    let file = file.to_str().unwrap();
    for arguments in [
        &[][..],
        &["--from", "a@b", "127.0.0.1:25", file],
        &["--from", "a@b", "--to", "c@d", "127.0.0.1:25"],
        &["--from", "a@b\r\nRCPT TO:<x@y>", "--to", "c@d", "127.0.0.1:25", file],
        &["--from", "a@b> SIZE=1 <", "--to", "c@d", "127.0.0.1:25", file],
        &["--from", "a@b", "--to", "", "127.0.0.1:25", file],
        &["--from", "a@b", "--to", "c@d", "127.0.0.1:x", file],
        &["--from", "a@b", "--to", "c@d", "--hello", "a b", "127.0.0.1:25", file],
        &["--from", "a@b", "--to", "c@d", "--frobnicate", "127.0.0.1:25", file],
    ] {
        assert_eq!(send(arguments).status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn files_are_looked_at_before_anything_is_sent() {
    let folder = Folder::new();
    let good = folder.write("good.eml", "x\n");
    let good = good.to_str().unwrap();
    for (name, bytes, status, words) in [
        ("mixed.eml", &b"a\r\nb\nc\r\n"[..], 65, "mixed.eml: mixed line ends"),
        ("mac.eml", b"a\rb\r", 65, "mac.eml: mixed line ends"),
        ("empty.eml", b"", 65, "empty.eml: the file is empty"),
    ] {
        let bad = folder.write(name, bytes);
        // Nobody listens there: a connection would fail in another way.
        let output = send(&["--from", "a@b", "--to", "c@d", "127.0.0.1:1", good, bad.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(status), "{name}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    let output = send(&["--from", "a@b", "--to", "c@d", "127.0.0.1:1", good, "/no/such/file"]);
    assert_eq!(output.status.code(), Some(66));
}

#[test]
fn messages_arrive_as_they_are_and_text_with_crlf() {
    let folder = Folder::new();
    let maildir = folder.0.join("mail");
    let server = Server::start(&["--store", &format!("maildir:{}", maildir.display())]);
    let target = server.address.to_string();
    let crlf = folder.write("crlf.eml", "Subject: a\r\n\r\n.\r\n..x\r\n");
    let lf = folder.write("lf.eml", "Subject: b\n\n.\nno line end, \u{e4}");
    let output = send(&["--from", "<>", "--to", "c@d", &target, crlf.to_str().unwrap(), lf.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("lf.eml: lines end in LF; sent with CRLF"));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let mut child = ehlo()
        .args(["send", "--verbose", "--from", "a@b", "--to", "c@d", &target, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Subject: c\r\n\r\nz\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let dialogue = text(&output.stderr);
    for line in [
        "S: 220 localhost ESMTP",
        "C: EHLO [127.0.0.1]",
        "C: MAIL FROM:<a@b> SIZE=17",
        "C: (17 bytes of message)",
        "C: QUIT",
    ] {
        assert!(dialogue.lines().any(|shown| shown == line), "{line}: {dialogue}");
    }
    assert!(!dialogue.contains("Subject"), "the message itself is not shown");
    let mut bodies: Vec<String> = files(&maildir.join("new"))
        .iter()
        .map(|path| text(&std::fs::read(path).unwrap()))
        .map(|stored| stored[stored.find("Subject").unwrap()..].to_owned())
        .collect();
    bodies.sort();
    assert_eq!(
        bodies,
        ["Subject: a\r\n\r\n.\r\n..x\r\n", "Subject: b\r\n\r\n.\r\nno line end, \u{e4}\r\n", "Subject: c\r\n\r\nz\r\n"]
    );
    assert_eq!(server.stop().0, Some(0));
}
