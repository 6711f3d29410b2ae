//! `ehlo probe` as a process.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use common::{Folder, Server, ehlo, text};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

fn probe(arguments: &[&str]) -> Output {
    ehlo().arg("probe").args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = ehlo().args(["probe", "--json"]).args(arguments).output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", text(&output.stdout), text(&output.stderr));
    });
    (value, output.status.code())
}

fn ids(report: &Value) -> Vec<&str> {
    report["warnings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

fn keywords(offer: &Value) -> Vec<&str> {
    offer["extensions"].as_array().unwrap().iter().map(|one| one["keyword"].as_str().unwrap()).collect()
}

/// A server that takes so many connections, one after the other.
fn play(connections: usize, one: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for _ in 0..connections {
            let Ok((stream, _)) = listener.accept() else { return };
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            one(stream);
        }
    });
    address
}

/// A server that greets, and answers each line by the first entry whose word begins it; else by 502.
fn answer(greeting: &'static [u8], answers: &'static [(&'static str, &'static [u8])]) -> String {
    play(1, move |mut stream| {
        let reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(greeting).unwrap();
        for line in reader.lines() {
            let Ok(line) = line else { break };
            let found = answers.iter().find(|(word, _)| line.starts_with(word));
            if stream.write_all(found.map_or(b"502 what\r\n", |(_, answer)| answer)).is_err() {
                break;
            }
        }
    })
}

/// A certificate for a name, which ends in so many days, and its key.
fn certificate(folder: &Folder, name: &str, days: i64) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let today = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    params.not_before = today - Duration::from_secs(100 * 86400);
    let distance = Duration::from_secs(days.unsigned_abs() * 86400 + 3600);
    params.not_after = if days < 0 { today - distance } else { today + distance };
    let made = params.self_signed(&key).unwrap();
    (folder.write("chain.pem", made.pem()), folder.write("key.pem", key.serialize_pem()))
}

fn serve(chain: &std::path::Path, key: &std::path::Path) -> Server {
    Server::start(&["--tls", &format!("{},{}", chain.display(), key.display())])
}

#[test]
fn a_server_in_clear_is_shown_with_what_it_offers() {
    let server = Server::start(&["--hostname", "mx.example"]);
    let address = server.address.to_string();
    let output = probe(&[&address]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("greeting     220 mx.example"), "{shown}");
    assert!(shown.contains("yes    -     PIPELINING            Command pipelining\n"), "{shown}");
    assert!(shown.contains("52428800 (50 MiB)"), "{shown}");
    assert!(shown.ends_with("1 warning\n  - STARTTLS is not offered: mail comes in clear\n"), "{shown}");
    let (report, status) = json(&["--strict", &address]);
    assert_eq!((status, ids(&report)), (Some(1), vec!["no-starttls"]));
    assert_eq!(report["clear"]["size"], 52_428_800);
    assert_eq!(report["clear"]["limits"]["rcptmax"], 1000);
    assert_eq!(report["greeting"]["code"], 220);
    assert!(report["tls"].is_null() && report["inside"].is_null() && report["certificate"].is_null());
}

#[test]
fn a_certificate_that_is_trusted_and_fits_gives_no_warning() {
    let folder = Folder::new();
    let (chain, key) = certificate(&folder, "mx.example", 90);
    let server = serve(&chain, &key);
    let address = server.address.to_string();
    let ca = chain.to_str().unwrap();
    let (report, status) = json(&["--strict", "--tls-ca", ca, "--tls-name", "mx.example", &address]);
    assert_eq!((status, ids(&report)), (Some(0), vec![]));
    assert_eq!(report["tls"]["verified"], true);
    assert_eq!(report["tls"]["version"], "TLSv1.3");
    assert_eq!(report["tls"]["reason"], Value::Null);
    let shown = &report["certificate"];
    assert_eq!((shown["days_left"].as_i64(), &shown["fits_name"]), (Some(90), &Value::Bool(true)));
    assert_eq!(shown["names"], serde_json::json!(["mx.example"]));
    assert!(keywords(&report["clear"]).contains(&"STARTTLS") && !keywords(&report["inside"]).contains(&"STARTTLS"));
    let output = probe(&["--tls-ca", ca, "--tls-name", "mx.example", &address]);
    let shown = text(&output.stdout);
    assert!(shown.contains("yes    no    STARTTLS"), "{shown}");
    assert!(shown.contains("verified   yes, for mx.example\n"), "{shown}");
    assert!(shown.contains(", 90 days left\n") && shown.ends_with("No warnings\n"), "{shown}");
}

#[test]
fn a_certificate_that_is_not_trusted_or_for_another_name_is_told_with_the_reason() {
    let folder = Folder::new();
    let other = Folder::new();
    let (chain, key) = certificate(&folder, "mx.example", 90);
    let (ca, _) = certificate(&other, "ca.example", 90);
    let server = serve(&chain, &key);
    let address = server.address.to_string();
    let (report, status) = json(&["--tls-ca", ca.to_str().unwrap(), "--tls-name", "mx.example", &address]);
    assert_eq!((status, ids(&report)), (Some(0), vec!["not-trusted"]));
    assert_eq!(report["tls"]["verified"], false);
    assert!(!report["tls"]["reason"].as_str().unwrap().is_empty());
    assert_eq!(report["certificate"]["self_issued"], true);
    let (report, _) = json(&["--tls-ca", chain.to_str().unwrap(), &address]);
    assert_eq!(ids(&report), ["wrong-name"]);
    assert_eq!(report["tls"]["reason"], "it is for another name");
}

#[test]
fn a_certificate_that_has_ended_or_will_soon_is_told() {
    for (days, warn_days, expected) in
        [(-3, "14", vec!["expired"]), (5, "14", vec!["expires-soon"]), (5, "5", vec![]), (5, "6", vec!["expires-soon"])]
    {
        let folder = Folder::new();
        let (chain, key) = certificate(&folder, "mx.example", days);
        let server = serve(&chain, &key);
        let address = server.address.to_string();
        let ca = chain.to_str().unwrap();
        let options = ["--tls-ca", ca, "--tls-name", "mx.example", "--warn-days", warn_days, &address];
        let (report, status) = json(&options);
        assert_eq!((status, ids(&report)), (Some(0), expected), "{days} {report}");
        if days < 0 {
            assert_eq!(report["tls"]["reason"], "it has expired");
            let shown = text(&probe(&options).stdout);
            assert!(shown.contains(", 3 days ago"), "{shown}");
        }
    }
}

#[test]
fn implicit_tls_shows_what_is_offered_inside_only() {
    let mut server = Server::start(&["--tls", "self-signed", "--listen-tls", "127.0.0.1:0"]);
    let address = server.next_address("(tls)").to_string();
    let (report, status) = json(&["--tls", "implicit", "--tls-name", "localhost", &address]);
    assert_eq!(status, Some(0), "{report}");
    assert!(report["clear"].is_null() && report["starttls"].is_null());
    assert_eq!(report["tls"]["begins"], "implicit");
    assert!(keywords(&report["inside"]).contains(&"PIPELINING"));
    assert_eq!(ids(&report), ["not-trusted"]);
    let shown = text(&probe(&["--tls", "implicit", &address]).stdout);
    assert!(shown.contains("-      yes   PIPELINING") && shown.contains("TLS from the first octet on"), "{shown}");
    // In clear nobody greets there.
    let (_, status) = json(&["--timeout", "0.5", "--tls", "off", &address]);
    assert_eq!(status, Some(75));
    // And whoever speaks in clear has no TLS.
    let clear = Server::start(&[]);
    let (report, status) = json(&["--timeout", "10", "--tls", "implicit", &clear.address.to_string()]);
    assert_eq!((status, &report["greeting"]), (Some(75), &Value::Null), "{report}");
}

#[test]
fn passwords_in_clear_are_warned_of_and_inside_tls_they_are_not() {
    let server = Server::start(&["--tls", "self-signed", "--user", "ada:secret"]);
    let (report, _) = json(&["--tls-name", "localhost", &server.address.to_string()]);
    assert_eq!(report["clear"]["auth"], serde_json::json!([]));
    let inside: Vec<&str> = report["inside"]["auth"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(inside.contains(&"PLAIN") && inside.contains(&"SCRAM-SHA-256"), "{inside:?}");
    assert_eq!(ids(&report), ["not-trusted"]);
    let server = Server::start(&["--tls", "self-signed", "--user", "ada:secret", "--allow-plaintext-auth"]);
    let (report, _) = json(&["--tls-name", "localhost", &server.address.to_string()]);
    assert_eq!(ids(&report), ["auth-in-clear", "not-trusted"]);
    let told = report["warnings"][0]["text"].as_str().unwrap();
    assert!(told.contains("PLAIN") && !told.contains("SCRAM"), "{told}");
}

#[test]
fn a_server_that_is_not_there_is_to_be_tried_again() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = probe(&[&address]);
    assert_eq!(output.status.code(), Some(75));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("cannot connect to 127.0.0.1:"), "{}", text(&output.stderr));
    let (report, status) = json(&[&address]);
    assert_eq!(status, Some(75));
    assert!(report["error"].as_str().unwrap().contains("cannot connect"));
}

#[test]
fn a_refusal_is_shown_and_told_from_come_again_later() {
    for (greeting, code, status) in [
        (b"554 no mail \x1b[31mhere\r\n".as_slice(), 554, 69),
        (b"421 later\r\n", 421, 75),
        (b"450 later\r\n", 450, 75),
    ] {
        let address = answer(greeting, &[("QUIT", b"221 bye\r\n")]);
        let (report, found) = json(&[&address]);
        assert_eq!((found, &report["greeting"]["code"]), (Some(status), &Value::from(code)), "{report}");
        assert!(!report["error"].as_str().unwrap().is_empty());
    }
    let address = answer(b"554 no mail \x1b[31mhere\r\n", &[("QUIT", b"221 bye\r\n")]);
    let output = probe(&[&address]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stdout).contains("greeting     554 no mail \\u{1b}[31mhere\n"), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains("No warnings"), "nothing is known");
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    let address =
        answer(b"220 mx\r\n", &[("EHLO", b"550 go away\r\n"), ("HELO", b"550 go away\r\n"), ("QUIT", b"221 bye\r\n")]);
    let output = probe(&[&address]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("EHLO         550 go away\n"), "{}", text(&output.stdout));
}

#[test]
fn octets_in_clear_behind_starttls_are_warned_of() {
    let address = answer(
        b"220 mx\r\n",
        &[
            ("EHLO", b"250-mx\r\n250-SIZE 0\r\n250 STARTTLS\r\n"),
            ("STARTTLS", b"220 go\r\n250 injected\r\n"),
            ("QUIT", b"221 bye\r\n"),
        ],
    );
    let (report, status) = json(&["--strict", &address]);
    assert_eq!((status, ids(&report)), (Some(1), vec!["clear-behind-starttls"]), "{report}");
    assert!(report["inside"].is_null() && report["tls"].is_null());
    assert_eq!(keywords(&report["clear"]), ["SIZE", "STARTTLS"]);
}

#[test]
fn starttls_that_is_refused_or_leads_nowhere_is_warned_of() {
    const EHLO: (&str, &[u8]) = ("EHLO", b"250-mx\r\n250 STARTTLS\r\n");
    const QUIT: (&str, &[u8]) = ("QUIT", b"221 bye\r\n");
    let address = answer(b"220 mx\r\n", &[EHLO, ("STARTTLS", b"454 no certificate\r\n"), QUIT]);
    let (report, status) = json(&[&address]);
    assert_eq!((status, ids(&report)), (Some(0), vec!["starttls-refused"]), "{report}");
    let told = report["warnings"][0]["text"].as_str().unwrap();
    assert!(told.ends_with("454 no certificate"), "{told}");
    // It begins, and the connection ends.
    let address = play(1, |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        stream.write_all(b"220 mx\r\n").unwrap();
        reader.read_line(&mut line).unwrap();
        stream.write_all(EHLO.1).unwrap();
        reader.read_line(&mut line).unwrap();
        stream.write_all(b"220 go\r\n").unwrap();
        let _ = reader.read(&mut [0; 16]);
    });
    let (report, status) = json(&[&address]);
    assert_eq!((status, ids(&report)), (Some(0), vec!["tls-failed"]), "{report}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_told() {
    let address = play(1, |mut stream| {
        let _ = stream.read(&mut [0; 16]);
    });
    let output = probe(&["--timeout", "0.3", &address]);
    assert_eq!(output.status.code(), Some(75));
    assert!(text(&output.stderr).contains("timed out waiting for the greeting"), "{}", text(&output.stderr));
}

#[test]
fn what_a_server_says_is_cut_and_made_harmless() {
    let long = format!("250-mx \x1b]0;title\x07\r\n250-X{}\r\n250 SIZE x\u{202e}y\r\n", "A".repeat(480));
    let address = answer(
        b"220 \x1b[2J\x9b mx\r\n",
        Box::leak(Box::new([("EHLO", long.leak().as_bytes()), ("QUIT", b"221 \r\n")])),
    );
    let output = probe(&[&address]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n') && !shown.contains('\u{202e}'), "{shown}");
    assert!(shown.contains("\\u{1b}[2J") && shown.contains("\\u{202e}"), "{shown}");
    assert!(shown.contains(&format!("X{}...", "A".repeat(399))) && !shown.contains(&"A".repeat(400)), "{shown}");
}

#[test]
fn a_socket_of_the_file_system_is_local_and_needs_no_tls() {
    let folder = Folder::new();
    let path = folder.0.join("lmtp");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(b"220 lmtp\r\n").unwrap();
        for line in reader.lines().map_while(Result::ok) {
            let answer = if line.starts_with("LHLO") { "250-lmtp\r\n250 XOWN a\r\n" } else { "221 bye\r\n" };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let output = probe(&["--lmtp", path.to_str().unwrap()]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.contains("XOWN                  not registered: a\n") && shown.ends_with("No warnings\n"), "{shown}");
}

#[test]
fn a_server_that_knows_helo_only_is_told() {
    let address =
        answer(b"220 mx\r\n", &[("EHLO", b"500 what\r\n"), ("HELO", b"250 mx\r\n"), ("QUIT", b"221 bye\r\n")]);
    let (report, status) = json(&[&address]);
    assert_eq!((status, ids(&report)), (Some(0), vec!["no-starttls", "no-ehlo"]));
    assert_eq!(report["clear"]["command"], "HELO");
}

#[test]
fn wrong_usage_and_files_that_are_not_there_have_their_statuses() {
    for (arguments, status) in [
        (&[][..], 64),
        (&["mx:0"], 64),
        (&["--timeout", "0", "mx"], 64),
        (&["--ehlo-name", "a b", "127.0.0.1:1"], 64),
        (&["--tls-ca", "/nowhere/ca.pem", "127.0.0.1:1"], 66),
        (&["--help"], 0),
    ] {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output.stderr));
    }
}
