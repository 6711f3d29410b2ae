//! What `ehlo serve` lets be seen: its log, its metrics, its manual.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use common::{Client, Folder, Server, ehlo, files, peer, text};
use serde_json::Value;

/// A server with the log that it has unless told otherwise.
fn with_default_log(options: &[&str]) -> Server {
    let mut command = ehlo();
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(options);
    Server::start_command(command)
}

fn deliver(client: &mut Client, body: &str) {
    client.say("MAIL FROM:<a@b>\r\n", "250");
    client.say("RCPT TO:<c@d>\r\n", "250");
    client.say("DATA\r\n", "354");
    client.say(&format!("{body}\r\n.\r\n"), "250");
}

fn greeted(server: &Server) -> Client {
    let mut client = server.connect();
    client.expect("220");
    client.say("EHLO client.example\r\n", "250");
    client
}

/// Ends a connection, and waits until the server has closed it.
fn quit(mut client: Client) {
    client.say("QUIT\r\n", "221");
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_log_has_a_line_for_each_message_and_each_connection() {
    let server = with_default_log(&[]);
    let mut client = greeted(&server);
    deliver(&mut client, "secret words");
    quit(client);
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    let lines: Vec<&str> = errors.lines().collect();
    let [accepted, closed, stopping, summary] = &lines[..] else { panic!("{errors}") };
    for part in
        [" INFO connection{id=1 peer=127.0.0.1:", "}:transaction{", "sender=\"<a@b>\"", "message accepted size=14"]
    {
        assert!(accepted.contains(part), "{part} is not in {accepted}");
    }
    assert!(closed.contains("closed reason=\"quit\" helo=\"client.example\" commands=5 "), "{closed}");
    assert!(stopping.contains("shutting down"), "{stopping}");
    assert!(summary.starts_with("ehlo serve: 1 messages accepted"), "{summary}");
    assert!(!errors.contains("secret words"));
}

#[test]
fn the_log_can_be_json() {
    let server = with_default_log(&["--log-format", "json"]);
    let mut client = greeted(&server);
    deliver(&mut client, "x");
    quit(client);
    let (_, errors) = server.stop();
    let (lines, summary) = errors.trim_end().rsplit_once('\n').unwrap();
    assert!(summary.starts_with("ehlo serve: "));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["message accepted", "closed", "shutting down"]);
    assert_eq!(lines[0]["spans"][1]["sender"], "<a@b>");
    assert_eq!(lines[0]["spans"][0]["id"], 1);
}

/// At the last level the log has what the libraries say, too.
#[test]
fn neither_passwords_nor_messages_are_in_the_log_at_any_level() {
    for tls in [false, true] {
        let mut options = vec!["--log-level", "trace", "--user", "ada:correct horse", "--allow-plaintext-auth"];
        if tls {
            options.extend(["--tls", "self-signed"]);
        }
        let server = Server::start(&options);
        let mut client = greeted(&server);
        client.say("AUTH PLAIN AGFkYQB3cm9uZyBwb255\r\n", "535");
        client.say("AUTH LOGIN\r\n", "334");
        client.say("d3JvbmcgcG9ueQ==\r\n", "334");
        client.say("*\r\n", "501");
        client.say("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl\r\n", "235");
        deliver(&mut client, "secret words");
        if tls {
            client.say("STARTTLS\r\n", "220");
        } else {
            client.say("QUIT\r\n", "221");
        }
        drop(client);
        let (_, errors) = server.stop();
        assert!(errors.contains("authenticated") && errors.contains("DEBUG"), "{errors}");
        for secret in ["secret words", "wrong pony", "correct horse", "d3JvbmcgcG9u", "AGFkYQ", "Y29ycmVjdCBob3JzZ"] {
            assert!(!errors.contains(secret), "{secret} is in {errors}");
        }
    }
}

/// Nobody reads the standard error here until the end, and it holds far more than a pipe does.
#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let server = with_default_log(&["--log-level", "trace", "--log-lines", "0"]);
    let mut client = greeted(&server);
    for _ in 0..8000 {
        client.stream.get_mut().write_all(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n").unwrap();
        for code in ["250", "250", "354", "250"] {
            client.expect(code);
        }
    }
    client.say("QUIT\r\n", "221");
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains("log lines were lost"), "{} bytes", errors.len());
    assert!(errors.contains("8000 messages accepted"));
}

#[test]
fn one_address_fills_no_log() {
    let server = with_default_log(&["--log-lines", "5"]);
    for _ in 0..20 {
        quit(greeted(&server));
    }
    let (_, errors) = server.stop();
    assert_eq!(errors.matches(" closed ").count(), 5, "{errors}");
    assert!(errors.contains("log lines of this peer were left out peer=127.0.0.1 lines=15"), "{errors}");
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_metrics_can_be_scraped() {
    let mut server = Server::start(&["--metrics", "127.0.0.1:0", "--threads", "3"]);
    let metrics = server.next_address(" (metrics)");
    for _ in 0..6 {
        let mut client = greeted(&server);
        deliver(&mut client, "x");
        client.say("BLURB\r\n", "500");
        client.say("QUIT\r\n", "221");
    }
    let answer = get(metrics, "/metrics");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in [
        "connections_total 6",
        "messages_total{outcome=\"accepted\"} 6",
        "replies_total{code=\"354\"} 6",
        "replies_total{code=\"500\"} 6",
        "commands_total{verb=\"other\"} 6",
        "message_bytes_total 18",
    ] {
        assert!(page.contains(&format!("ehlo_smtp_{line}\n")), "{line} is not in\n{page}");
    }
    assert!(get(metrics, "/").starts_with("HTTP/1.1 404 "));
    if let Some(promtool) = peer("promtool") {
        let mut check = Command::new(promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        assert!(output.status.success(), "promtool: {}", text(&output.stderr));
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = Folder::new();
    let status = ehlo().arg("man").arg(&folder.0).status().unwrap();
    assert!(status.success());
    let names: Vec<String> =
        files(&folder.0).iter().map(|path| text(path.file_name().unwrap().as_encoded_bytes())).collect();
    let commands = [
        "",
        "-completions",
        "-explain",
        "-grant",
        "-load",
        "-man",
        "-passwd",
        "-probe",
        "-send",
        "-sendmail",
        "-serve",
    ];
    let mut expected: Vec<String> = commands.iter().map(|command| format!("ehlo{command}.1")).collect();
    expected.sort();
    assert_eq!(names, expected);
    for name in names {
        let page = fs::read_to_string(folder.0.join(&name)).unwrap();
        assert!(page.contains(".TH ") && page.contains(".SH NAME"), "{name}");
    }
    let serve = fs::read_to_string(folder.0.join("ehlo-serve.1")).unwrap();
    let help = text(&ehlo().args(["serve", "--help"]).output().unwrap().stdout);
    let options = help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|word| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    for option in options {
        // In roff a hyphen that is to be one has a backslash before it.
        assert!(serve.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))), "--{option} is not in the page");
    }
    let output = ehlo().args(["man", "/dev/null/x"]).output().unwrap();
    assert!(!output.status.success() && text(&output.stderr).contains("cannot write to /dev/null/x"));
}
