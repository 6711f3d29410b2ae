//! `ehlo serve` as a process.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Folder, Server, ehlo, files, send, text};
use rustix::process::Signal;

#[test]
fn it_says_where_it_listens_and_sums_up_at_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.expect("220");
        client.say("HELO client.example\r\n", "250");
        client.say("MAIL FROM:<a@b>\r\n", "250");
        client.say("RCPT TO:<c@d>\r\n", "250");
        client.say("DATA\r\n", "354");
        client.say("x\r\n.\r\n", "250");
        server.signal(signal);
        client.expect("421");
        drop(client);
        let (status, errors) = server.finished();
        assert_eq!(status, Some(0));
        let summary = "ehlo serve: 1 messages accepted (3 bytes), 0 refused, 0 broken off; 1 connections, 0 refused\n";
        assert_eq!(errors, summary);
    }
}

#[test]
fn a_message_on_its_way_is_finished_and_stored_first() {
    let folder = Folder::new();
    let maildir = folder.0.join("mail");
    let server = Server::start(&["--store", &format!("maildir:{}", maildir.display()), "--hostname", "mx.example"]);
    let mut client = server.connect();
    client.expect("220 mx.example ");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<a@b>\r\n", "250");
    client.say("RCPT TO:<c@d>\r\n", "250");
    client.say("DATA\r\n", "354");
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    client.say("Subject: x\r\n\r\nlate\r\n.\r\n", "250 2.0.0 Stored as ");
    // Acknowledged, so it is there, before the server has ended.
    let new = files(&maildir.join("new"));
    assert_eq!(new.len(), 1);
    let stored = text(&fs::read(&new[0]).unwrap());
    let (trace, message) = stored.split_at(stored.find("Subject").unwrap());
    assert_eq!(message, "Subject: x\r\n\r\nlate\r\n");
    let lines: Vec<&str> = trace.split("\r\n").collect();
    assert_eq!(lines[0], "Return-Path: <a@b>");
    assert_eq!(lines[1], "Received: from client.example ([127.0.0.1])");
    let name = new[0].file_name().unwrap().to_str().unwrap();
    let id = name.strip_suffix(".mx.example").unwrap();
    let unfolded = lines[2..].join("");
    let (clauses, rest) = unfolded.split_once(";\t").unwrap();
    assert_eq!(
        clauses.replace('\t', " ").trim_start(),
        format!("by mx.example with ESMTP id <{id}@mx.example> for <c@d>")
    );
    assert!(rest.ends_with(" +0000X-Envelope-To: <c@d>"), "{rest}");
    assert!(lines.iter().all(|line| line.len() <= 78));
    client.expect("421");
    drop(client);
    assert_eq!(server.finished().0, Some(0));
    assert_eq!(files(&maildir.join("tmp")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_was_acknowledged_is_there_when_the_server_is_killed() {
    let folder = Folder::new();
    let store = format!("maildir:{}", folder.0.display());
    let stored = || -> Vec<String> {
        files(&folder.0.join("new")).iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    };
    let begin = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    let start = || {
        let server = Server::start(&["--store", &store]);
        let mut client = server.connect();
        client.expect("220");
        client.say("HELO client.example\r\n", "250");
        (server, client)
    };
    let (server, mut client) = start();
    for number in 0..5 {
        client.say(begin, "250");
        client.expect("250");
        client.expect("354");
        client.say(&format!("Subject: {number}\r\n\r\n{}\r\n.\r\n", "x".repeat(10_000 * number)), "250");
    }
    client.say(begin, "250");
    client.expect("250");
    client.expect("354");
    client.stream.get_mut().write_all(b"Subject: never\r\n\r\nhalf of it\r\n").unwrap();
    server.signal(Signal::KILL);
    assert_eq!(server.finished().0, None);
    let messages = stored();
    assert_eq!(messages.len(), 5);
    for number in 0..5 {
        let end = format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(10_000 * number));
        assert!(messages.iter().any(|message| message.ends_with(&end)), "{number}");
    }
    // What was left behind is in nobody's way.
    let (server, mut client) = start();
    client.say(begin, "250");
    client.expect("250");
    client.expect("354");
    client.say("Subject: again\r\n\r\n.\r\n", "250");
    assert_eq!((stored().len(), server.stop().0), (6, Some(0)));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::start(&["--drain", "600"]);
    let mut client = server.connect();
    client.expect("220");
    client.say("HELO client.example\r\n", "250");
    client.say("MAIL FROM:<a@b>\r\n", "250");
    client.say("RCPT TO:<c@d>\r\n", "250");
    client.say("DATA\r\n", "354");
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    let begin = Instant::now();
    let (status, errors) = server.stop();
    assert_eq!(status, Some(1));
    assert!(errors.contains("second signal"), "{errors}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_ledger_holds_what_was_sent() {
    let folder = Folder::new();
    let ledger = folder.0.join("ledger");
    let server = Server::start(&["--store", "verify", "--ledger", ledger.to_str().unwrap()]);
    let with_id = "X-Ehlo-Id: 00000000000000010000000000000002\r\nSubject: x\r\n\r\n.dot\r\n";
    let (one, two) = (folder.write("one.eml", with_id), folder.write("two.eml", "Subject: y\n\nz\n"));
    let target = server.address.to_string();
    let sent = send(&["--from", "a@b", "--to", "c@d", &target, one.to_str().unwrap(), two.to_str().unwrap()]);
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    assert_eq!(server.stop().0, Some(0));
    let stored = ehlo_load::ledger::read(&fs::read(&ledger).unwrap()[..]).unwrap();
    let decoded = [with_id, "Subject: y\r\n\r\nz\r\n"];
    assert_eq!(stored.len(), 2);
    for (stored, decoded) in stored.iter().zip(decoded) {
        assert_eq!(stored.length, decoded.len() as u64);
        assert_eq!(stored.digest, ehlo_load::digest(decoded.as_bytes(), b""));
    }
    assert_eq!(stored[0].id.unwrap().to_string(), "00000000000000010000000000000002");
    assert_eq!(stored[1].id, None);
}

#[test]
fn other_hosts_are_let_in_only_on_demand() {
    let output = ehlo().args(["serve", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--allow-remote"));
    assert_eq!(text(&output.stdout), "");
    let mut command = ehlo();
    command.args(["serve", "--listen", "0.0.0.0:0", "--allow-remote"]);
    let server = Server::start_command(command);
    assert!(server.address.ip().is_unspecified());
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn what_cannot_be_started_is_told_why() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let nowhere = file.join("x").display().to_string();
    for (options, status, words) in [
        (&["--store", "pigeon:x"][..], 2, "maildir:PATH"),
        (&["--store", &format!("maildir:{nowhere}")], 1, "as a maildir"),
        (&["--ledger", "x"], 2, "--store verify"),
        (&["--store", "verify", "--ledger", &nowhere], 1, "cannot write the ledger"),
        (&["--hostname", "not a name"], 2, "--hostname"),
        (&["--max-size", "1T"], 2, "a size is"),
        (&["--listen", "localhost"], 2, "--listen"),
        (&["--threads", "0"], 2, "--threads"),
        (&["--max-received", "many"], 2, "--max-received"),
        (&["--proxy-protocol-from", "10.0.0.1/8"], 2, "behind its prefix"),
        (&["--metrics", "0.0.0.0:0"], 2, "--allow-remote"),
        (&["--stress", "101"], 2, "--stress"),
        (&["--log-format", "xml"], 2, "--log-format"),
    ] {
        let output = ehlo().args(["serve", "--listen", "127.0.0.1:0"]).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{options:?}");
        assert!(text(&output.stderr).contains(words), "{options:?}: {}", text(&output.stderr));
    }
    let output = ehlo().args(["serve", "--listen", &taken]).output().unwrap();
    drop(holder);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("cannot listen on {taken}")));
}

#[test]
fn limits_are_those_of_the_command_line() {
    let server = Server::start(&["--max-connections", "1", "--max-size", "1K", "--max-recipients", "100"]);
    let mut client = server.connect();
    client.expect("220");
    server.connect().expect("421");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<a@b> SIZE=1025\r\n", "552");
    client.say("MAIL FROM:<a@b> SIZE=1024\r\n", "250");
    for i in 0..100 {
        client.say(&format!("RCPT TO:<r{i}@d>\r\n"), "250");
    }
    client.say("RCPT TO:<one@too.many>\r\n", "452");
    client.say("QUIT\r\n", "221");
}

#[test]
fn messages_over_one_connection_are_limited_and_the_client_is_told() {
    let server = Server::start(&["--max-messages", "1", "--max-recipients", "7"]);
    let mut client = server.connect();
    client.expect("220");
    let reply = client.say("EHLO client.example\r\n", "250");
    assert!(reply.contains("LIMITS MAILMAX=1 RCPTMAX=7"), "{reply}");
    client.say("MAIL FROM:<a@b> RET=HDRS\r\n", "250");
    client.say("RCPT TO:<c@d> NOTIFY=NEVER\r\n", "250");
    client.say("RSET\r\n", "250");
    client.say("MAIL FROM:<a@b>\r\n", "421");
    let server = Server::start(&["--max-recipients", "7"]);
    let mut client = server.connect();
    client.expect("220");
    let reply = client.say("EHLO client.example\r\n", "250");
    assert!(reply.contains("LIMITS RCPTMAX=7\r\n"), "{reply}");
}

#[test]
fn messages_that_go_round_in_a_loop_are_refused() {
    for (most, code) in [("2", "554"), ("3", "250"), ("off", "250")] {
        let server = Server::start(&["--max-received", most]);
        let mut client = server.connect();
        client.expect("220");
        client.say("EHLO client.example\r\n", "250");
        client.say("MAIL FROM:<a@b>\r\n", "250");
        client.say("RCPT TO:<c@d>\r\n", "250");
        client.say("DATA\r\n", "354");
        client.say("Received: a\r\nReceived: b\r\nreceived : c\r\n\r\n.\r\n", code);
        client.say("QUIT\r\n", "221");
    }
}

#[test]
fn proxies_are_believed_where_that_is_said() {
    let folder = Folder::new();
    let maildir = folder.0.join("mail");
    let server = Server::start(&[
        "--store",
        &format!("maildir:{}", maildir.display()),
        "--proxy-protocol-from",
        "192.0.2.0/24",
        "--proxy-protocol-from",
        "127.0.0.0/8",
    ]);
    let mut client = server.connect();
    client.say("PROXY TCP4 198.51.100.9 192.0.2.1 40001 25\r\n", "220");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<>\r\n", "250");
    client.say("RCPT TO:<c@d>\r\n", "250");
    client.say("DATA\r\n", "354");
    client.say("x\r\n.\r\n", "250");
    let stored = text(&fs::read(&files(&maildir.join("new"))[0]).unwrap());
    let expected = "Return-Path: <>\r\nReceived: from client.example ([198.51.100.9])\r\n";
    assert!(stored.starts_with(expected), "{stored}");
    client.say("QUIT\r\n", "221");
    let mut client = server.connect();
    let mut rest = Vec::new();
    client.stream.get_mut().write_all(b"EHLO client.example\r\n").unwrap();
    // Its end may come as a reset, since what it sent was not read.
    let _ = client.stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains(", 1 without a valid header of their proxy"), "{errors}");
}

/// Accepting must rest when there are no file descriptors left, not spin, and go on when there are some again.
#[test]
fn it_survives_running_out_of_file_descriptors() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 40 && exec \"$0\" serve --listen 127.0.0.1:0 --threads 1",
        env!("CARGO_BIN_EXE_ehlo"),
    ]);
    let server = Server::start_command(command);
    let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    clients[0].expect("220");
    std::thread::sleep(Duration::from_secs(2));
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    // User and system time in clock ticks, of which there are 100 to a second.
    let ticks: u64 =
        stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    assert!(ticks < 100, "{ticks} ticks of processor time in two seconds of waiting");
    let mut last = clients.pop().unwrap();
    clients.clear();
    last.expect("220");
    last.say("QUIT\r\n", "221");
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains("the limit on open files is 40"), "{errors}");
    assert!(errors.contains("connections can't be accepted"), "{errors}");
}

#[test]
fn help_version_and_completions_are_there() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["send", "--help"], &["--version"], &["man"]] {
        let output = ehlo().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = ehlo().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("max-recipients"), "{shell}");
    }
}

#[test]
fn lmtp_has_its_hello_and_a_reply_for_each_recipient() {
    let server = Server::start(&["--lmtp", "--hostname", "mx.example"]);
    let mut client = server.connect();
    client.expect("220 mx.example LMTP");
    client.say("EHLO client.example\r\n", "500");
    client.say("LHLO client.example\r\n", "250");
    client.say("MAIL FROM:<a@b>\r\n", "250");
    client.say("RCPT TO:<c@d>\r\n", "250");
    client.say("RCPT TO:<e@f>\r\n", "250");
    client.say("BDAT 3 LAST\r\nx\r\n", "250");
    client.expect("250");
    client.say("QUIT\r\n", "221");
    server.signal(Signal::TERM);
    let (status, errors) = server.finished();
    assert!(status == Some(0) && errors.starts_with("ehlo serve: 1 messages accepted (3 bytes)"), "{errors}");
}

#[test]
fn lmtp_is_not_spoken_on_port_25() {
    let output = ehlo().args(["serve", "--lmtp", "--listen", "127.0.0.1:25"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("RFC 2033"), "{}", text(&output.stderr));
}
