//! `ehlo send --mx`, by a zone in place of DNS, to hosts of loopback.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread::JoinHandle;

use common::{Folder, Server, files, send, text};

/// A server at 127.0.0.1, and a zone. The hosts of a zone have one port.
struct Place {
    folder: Folder,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let folder = Folder::new();
        let store = format!("maildir:{}", folder.0.join("mail").display());
        let server = Server::start(&["--store", &store]);
        Self { folder, server }
    }

    fn send(&self, zone: &str, options: &[&str]) -> Output {
        let zone = self.folder.write("zone", zone).display().to_string();
        let letter = self.folder.write("letter.eml", "Subject: a\n\nhello\n").display().to_string();
        let port = self.server.address.port().to_string();
        let fixed = ["--mx", "--mx-loopback", "--mx-zone", zone.as_str(), "--mx-port", port.as_str(), "--from", "a@b"];
        send(&[&fixed, options, &[letter.as_str()]].concat())
    }

    fn stored(&self) -> usize {
        files(&self.folder.0.join("mail/new")).len()
    }

    /// A host at another address that says one line when it is connected to, and one to each line that it hears, until there is none left.
    fn beside(&self, ip: &str, lines: &'static [&'static str]) -> JoinHandle<usize> {
        let address = SocketAddr::new(ip.parse().unwrap(), self.server.address.port());
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (mut writer, mut reader) = (stream.try_clone().unwrap(), BufReader::new(stream));
            for line in lines {
                writer.write_all(line.as_bytes()).unwrap();
                let mut heard = String::new();
                if reader.read_line(&mut heard).unwrap_or(0) == 0 {
                    break;
                }
            }
            // It is gone, and nobody comes after.
            lines.len()
        })
    }
}

const TWO: &str = "x.example MX 10 first.example\nx.example MX 20 second.example\n\
                   first.example A 127.0.0.2\nsecond.example A 127.0.0.1\n";

#[test]
fn a_host_that_does_not_answer_is_passed_over() {
    let place = Place::new();
    let output = place.send(TWO, &["--to", "a@x.example", "--to", "b@X.EXAMPLE"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("letter.eml: 250 "), "{}", text(&output.stdout));
    assert_eq!(place.stored(), 1, "one message for both, since it is one domain");
}

#[test]
fn a_host_that_takes_nothing_for_now_is_passed_over() {
    for (lines, words) in [
        (&["421 busy\r\n"][..], "first.example at 127.0.0.2"),
        (&["554 no service\r\n"], "554"),
        (&["220 mx\r\n", "250 mx\r\n"], ""),
        (&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n"], ""),
    ] {
        let place = Place::new();
        let first = place.beside("127.0.0.2", lines);
        let output = place.send(TWO, &["--to", "a@x.example"]);
        assert_eq!(output.status.code(), Some(0), "{lines:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{lines:?}: {}", text(&output.stderr));
        assert_eq!(place.stored(), 1, "{lines:?}");
        first.join().unwrap();
    }
}

#[test]
fn what_a_host_says_of_a_recipient_is_final() {
    let place = Place::new();
    let first =
        place.beside("127.0.0.2", &["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "550 5.1.1 nobody\r\n", "221 bye\r\n"]);
    let output = place.send(TWO, &["--to", "a@x.example"]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("550 5.1.1 nobody"), "{}", text(&output.stdout));
    assert_eq!(place.stored(), 0);
    first.join().unwrap();
}

#[test]
fn where_there_is_no_way_the_reply_says_why() {
    let place = Place::new();
    let zone = "null.example MX 0 .\nbare.example TXT\nbroken.example SERVFAIL\ndead.example A 127.0.0.2\n";
    for (domain, status, words) in [
        ("null.example", 69, "null.example: 556 5.1.10"),
        ("nothing.example", 69, "nothing.example: 550 5.1.2"),
        ("bare.example", 69, "bare.example: 550 5.4.4"),
        ("broken.example", 75, "broken.example: 451 4.4.3"),
        ("dead.example", 75, "dead.example: 451 4.4.1"),
    ] {
        let output = place.send(zone, &["--to", &format!("a@{domain}")]);
        assert_eq!(output.status.code(), Some(status), "{domain}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(place.stored(), 0);
}

#[test]
fn one_domain_does_not_hinder_another() {
    let place = Place::new();
    let zone = "null.example MX 0 .\ngood.example A 127.0.0.1\nlater.example SERVFAIL\n";
    let to = ["--to", "a@null.example", "--to", "b@good.example", "--to", "c@later.example"];
    let output = place.send(zone, &to);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("letter.eml: 250 "), "{}", text(&output.stdout));
    assert_eq!(place.stored(), 1);
    assert_eq!(place.send(zone, &to[2..]).status.code(), Some(75));

    let output = place.send(zone, &[&to[..], &["--json"]].concat());
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| &line["recipients"][0])
        .map(|to| (to["outcome"].as_str().unwrap(), to["enhanced"].as_str()))
        .collect();
    assert_eq!(shown[0], ("refused", Some("5.1.10")));
    assert_eq!(shown[1].0, "accepted");
    assert_eq!(shown[2], ("deferred", Some("4.4.3")));
}

#[test]
fn messages_of_an_mbox_go_over_one_connection_to_a_domain() {
    let place = Place::new();
    let mbox = "From a@b x\nSubject: 1\n\n1\n\nFrom a@b x\nSubject: 2\n\n2\n";
    let mbox = place.folder.write("box", mbox).display().to_string();
    let output = place.send("x.example A 127.0.0.1\n", &["--to", "a@x.example", "--verbose", &mbox]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(place.stored(), 3);
    assert_eq!(text(&output.stderr).matches("C: EHLO").count(), 1);
}

#[test]
fn loopback_is_for_tests_and_passwords_are_for_servers_that_are_named() {
    let folder = Folder::new();
    let zone = folder.write("zone", "x.example A 127.0.0.1\n").display().to_string();
    let letter = folder.write("letter.eml", "Subject: a\n\nhello\n").display().to_string();
    let base = ["--mx", "--mx-zone", zone.as_str(), "--mx-port", "1", "--from", "a@b", "--to", "a@x.example"];
    let output = send(&[&base[..], &[letter.as_str()]].concat());
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("127.0.0.1 is no address to send mail to"), "{}", text(&output.stderr));
    for more in [&["--auth", "ada"][..], &["--lmtp"], &["--connections", "2"], &["--to", "postmaster"]] {
        let output = send(&[&base[..], more, &[letter.as_str()]].concat());
        assert_eq!(output.status.code(), Some(64), "{more:?}: {}", text(&output.stderr));
    }
    assert_eq!(send(&["--mx-loopback", "--from", "a@b", "--to", "a@b", "x:25", &letter]).status.code(), Some(64));
}

#[test]
fn hosts_that_all_refuse_are_told_apart_from_those_that_do_so_for_now() {
    for (greeting, status, words) in
        [(&["554 no service\r\n"][..], 69, "x.example: 550 5.3.2"), (&["421 busy\r\n"], 75, "x.example: 451 4.3.2")]
    {
        let place = Place::new();
        let host = place.beside("127.0.0.2", greeting);
        let output = place.send("x.example A 127.0.0.2\n", &["--to", "a@x.example"]);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
        host.join().unwrap();
    }
}
