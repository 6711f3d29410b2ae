//! `ehlo serve --config`, `ehlo passwd` and `ehlo grant` as processes.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use common::{Folder, Server, ehlo, files, text};
use rustix::process::Signal;

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[store]
place = 'maildir:mail/{domain}/{local}'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob']
";

/// A server by that file. Its address is the first one of the file, or of the options.
fn start(file: &Path, options: &[&str]) -> Server {
    let mut command = ehlo();
    command.args(["serve", "--config", file.to_str().unwrap()]).args(options);
    Server::start_command(command)
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child =
        ehlo().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_file_is_checked_and_all_that_is_wrong_is_told() {
    let folder = Folder::new();
    let check = |file: &Path| ehlo().args(["serve", "--check-config", "--config"]).arg(file).output().unwrap();
    let good = folder.write("good.toml", FILE);
    let output = check(&good);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        (Some(0), "ok\n", "")
    );
    assert!(!folder.0.join("mail").exists(), "checking makes nothing");
    let bad = folder.write("bad.toml", format!("{FILE}nickname = 'a'\n[limits]\nrecipients = 7\n"));
    let output = check(&bad);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    let name = bad.display();
    let expected = format!(
        "ehlo serve: the file is wrong:\n{name}:10:1: there is no key nickname here; the keys are name, mailboxes, catch_all, subaddress, \
         takes_no_mail, place\n   10 | nickname = 'a'\n      | ^^^^^^^^\n{name}:12:14: that is less than a server has to take (RFC 5321 §4.5.3.1.8); \
         write 100 or more, or limits.below_rfc = true for a test of clients\n   12 | recipients = 7\n      |              ^\n"
    );
    assert_eq!(text(&output.stderr), expected);
    let output = ehlo().args(["serve", "--config"]).arg(&bad).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "such a file is not served by");
    let output = check(&folder.0.join("none.toml"));
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("none.toml:1:1: the file cannot be read"));
    for wrong in [&["serve", "--check-config"][..], &["serve", "--config", "x", "--user", "a:b"]] {
        assert_eq!(ehlo().args(wrong).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn the_file_that_is_printed_is_a_good_one() {
    let folder = Folder::new();
    let printed = ehlo().args(["serve", "--print-config"]).output().unwrap();
    assert_eq!(printed.status.code(), Some(0));
    let file = folder.write("printed.toml", &printed.stdout);
    let output = ehlo().args(["serve", "--check-config", "--config"]).arg(&file).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ok\n"), "{}", text(&output.stderr));
}

#[test]
fn options_on_the_command_line_win_over_the_file() {
    let folder = Folder::new();
    let file = folder
        .write("ehlo.toml", FILE.replace("[server]\n", "[server]\nlisten = ['127.0.0.1:1']\nmax_connections = 1\n"));
    let server = start(
        &file,
        &[
            "--listen",
            "127.0.0.1:0",
            "--hostname",
            "other.example",
            "--max-size",
            "1K",
            "--max-connections",
            "2",
            "--store",
            "discard",
        ],
    );
    let mut client = server.connect();
    client.expect("220 other.example ");
    server.connect().expect("220");
    let hello = client.say("EHLO client.example\r\n", "250");
    assert!(hello.contains("SIZE 1024"), "{hello}");
    client.say("MAIL FROM:<x@y.example>\r\n", "250");
    client.say("RCPT TO:<eve@a.example>\r\n", "550 5.1.1");
    client.say("RCPT TO:<ada@a.example>\r\n", "250");
    client.say("DATA\r\n", "354");
    client.say("x\r\n.\r\n", "250");
    assert!(!folder.0.join("mail").exists(), "--store wins over all places");
    // And they win again when the file is read again.
    server.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(300));
    let mut client = server.connect();
    client.expect("220 other.example ");
    let (status, errors) = server.stop();
    assert!(status == Some(0) && errors.contains("was read again, and is in force\n"), "{errors}");
}

#[test]
fn records_of_what_came_are_kept_for_a_policy_too() {
    let folder = Folder::new();
    let (file, ledger) = (folder.write("ehlo.toml", FILE), folder.0.join("ledger"));
    let server = start(&file, &["--listen", "127.0.0.1:0", "--store", "verify", "--ledger", ledger.to_str().unwrap()]);
    let mut client = server.connect();
    client.expect("220");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<x@y.example>\r\n", "250");
    client.say("RCPT TO:<ada@a.example>\r\n", "250");
    client.say("DATA\r\n", "354");
    client.say("x\r\n.\r\n", "250");
    assert_eq!(server.stop().0, Some(0));
    let stored = ehlo_load::ledger::read(&fs::read(&ledger).unwrap()[..]).unwrap();
    assert_eq!((stored.len(), stored[0].length), (1, 3));
}

/// A server whose standard error is read line by line.
#[test]
fn sighup_puts_a_good_file_into_force_and_keeps_the_old_one_otherwise() {
    let folder = Folder::new();
    let listen = FILE.replace("[server]\n", "[server]\nlisten = ['127.0.0.1:0']\n");
    let file = folder.write("ehlo.toml", &listen);
    let mut child = ehlo()
        .args(["serve", "--log-level", "warn", "--config"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address: std::net::SocketAddr = line.strip_prefix("listening on ").unwrap().trim().parse().unwrap();
    let signal = |signal| rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    let connect = || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        common::Client { stream: BufReader::new(stream) }
    };
    let mut open = connect();
    open.expect("220");
    open.say("EHLO client.example\r\n", "250");
    open.say("MAIL FROM:<x@y.example>\r\n", "250");
    open.say("RCPT TO:<bob@a.example>\r\n", "250");
    fs::write(&file, listen.replace("'bob'", "'carol'").replace("127.0.0.1:0", "127.0.0.1:2")).unwrap();
    signal(Signal::HUP);
    let told = errors.next().unwrap();
    let expected = format!(
        "ehlo serve: {} was read again, and is in force, but for what needs a restart: server.listen",
        file.display()
    );
    assert_eq!(told, expected);
    let mut new = connect();
    new.expect("220");
    new.say("EHLO client.example\r\n", "250");
    new.say("MAIL FROM:<x@y.example>\r\n", "250");
    new.say("RCPT TO:<bob@a.example>\r\n", "550 5.1.1");
    // What was begun before is ended as it was begun.
    open.say("DATA\r\n", "354");
    open.say("x\r\n.\r\n", "250");
    assert_eq!(files(&folder.0.join("mail/a.example/bob/new")).len(), 1);
    fs::write(&file, listen.replace("'bob'", "7")).unwrap();
    signal(Signal::HUP);
    assert_eq!(errors.next().unwrap(), "ehlo serve: everything is kept as it was:");
    let expected = format!("{}:10:21: this is integer `7`; write a string", file.display());
    assert_eq!(errors.next().unwrap(), expected);
    new.say("RCPT TO:<carol@a.example>\r\n", "250");
    signal(Signal::TERM);
    drop((open, new));
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn a_password_is_read_from_the_standard_input_and_good_for_a_log_in() {
    let folder = Folder::new();
    let output = with_input(&["passwd", "--iterations", "4096", "ada"], "correct horse\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let line = text(&output.stdout);
    assert!(line.starts_with("ada:SCRAM-SHA-256$4096:") && !line.contains("correct"), "{line}");
    folder.write("users", &line);
    let auth = "[auth]\nallow_plaintext = true\nusers_file = 'users'\n";
    let file = folder.write("ehlo.toml", format!("{FILE}{auth}"));
    let server = start(&file, &["--listen", "127.0.0.1:0"]);
    for (response, code) in [("AGFkYQBjb3JyZWN0IGhvcnNl", "235"), ("AGFkYQBjb3JyZWN0IGhvdXNl", "535")] {
        let mut client = server.connect();
        client.expect("220");
        client.say("EHLO client.example\r\n", "250");
        client.say(&format!("AUTH PLAIN {response}\r\n"), code);
    }
    for (arguments, input, status) in [
        (&["passwd"][..], "\n", 1),
        (&["passwd"], "", 1),
        (&["passwd", "a:b"], "x\n", 2),
        (&["passwd", "--iterations", "1"], "x\n", 2),
        (&["passwd", "ada", "secret"], "x\n", 2),
    ] {
        let output = with_input(arguments, input);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn an_address_is_granted_relaying_for_a_while() {
    let folder = Folder::new();
    let more = "[grants]\nfile = 'grants'\n[[route]]\ndomain = '*'\nplace = 'discard'\n";
    let file = folder.write("ehlo.toml", format!("{FILE}{more}"));
    let server = start(&file, &["--listen", "127.0.0.1:0"]);
    let ask = |code: &str| {
        let mut client = server.connect();
        client.expect("220");
        client.say("EHLO client.example\r\n", "250");
        client.say("MAIL FROM:<x@y.example>\r\n", "250");
        client.say("RCPT TO:<x@elsewhere.example>\r\n", code);
    };
    let grant = |more: &[&str]| {
        let output = ehlo().args(["grant", "127.0.0.1", "--config"]).arg(&file).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        std::thread::sleep(Duration::from_millis(600));
    };
    ask("550 5.7.1");
    grant(&["--for", "30m"]);
    ask("250");
    grant(&["--revoke"]);
    ask("550 5.7.1");
    for (arguments, status) in [
        (&["grant", "127.0.0.1"][..], 2),
        (&["grant", "example.org", "--file", "x"], 2),
        (&["grant", "127.0.0.1", "--file", "x", "--for", "0s"], 2),
        (&["grant", "127.0.0.1", "--file", "/nowhere/x"], 1),
    ] {
        assert_eq!(ehlo().args(arguments).output().unwrap().status.code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn rules_of_the_file_answer_first_and_are_read_again() {
    let folder = Folder::new();
    let rule = |reply: &str| format!("{FILE}[[rule]]\nstage = 'rcpt'\nrecipient = 'bob@*'\nreply = '{reply}'\n");
    let file = folder.write("ehlo.toml", rule("450 4.2.1 Busy"));
    let server = start(&file, &["--listen", "127.0.0.1:0"]);
    let mut client = server.connect();
    client.expect("220");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<x@y.example>\r\n", "250");
    client.say("RCPT TO:<bob@a.example>\r\n", "450 4.2.1 Busy");
    client.say("RCPT TO:<eve@a.example>\r\n", "550 5.1.1");
    folder.write("ehlo.toml", rule("451 4.3.5 Confused"));
    server.signal(Signal::HUP);
    // It is read on a thread of its own; a minute is far more than that takes.
    let changed = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        client.say("RCPT TO:<bob@a.example>\r\n", "45").starts_with("451 4.3.5 Confused")
    });
    assert!(changed, "{:?}", server.stop());
    client.say("RCPT TO:<ada@a.example>\r\n", "250");
    drop(client);
    let (status, errors) = server.stop();
    assert!(status == Some(0) && errors.contains("rule 1: applied "), "{errors}");
}
