//! The command against other people's SMTP programs.
//!
//! `tests/peers/setup.sh` unpacks them. A peer that is not there is reported as not judged.

mod common;

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Server, ehlo, files, peer, send, text};

/// A peer that serves, ended with the value.
struct PeerServer {
    child: Child,
    address: String,
}

impl PeerServer {
    /// Starts it on a port that was free a moment ago, and waits until it answers.
    fn start(program: &PathBuf, arguments: impl Fn(&str) -> Vec<String>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new(program)
            .args(arguments(&address))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(mut stream) = TcpStream::connect(&server.address) {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut code = [0; 3];
                // One that is only just starting may close a connection that came too early.
                if stream.read_exact(&mut code).is_ok() {
                    assert_eq!(&code, b"220");
                    return server;
                }
            }
            assert!(Instant::now() < deadline, "{} does not listen", program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A load of 200 messages over 10 connections; nothing may be refused or fail.
fn load(address: &str, options: &[&str]) {
    let folder = Folder::new();
    let json = folder.0.join("report.json");
    let output: Output = ehlo()
        .args(["load", address, "--messages", "200", "--connections", "10", "--quiet", "--no-calibrate", "--json"])
        .arg(&json)
        .args(options)
        .output()
        .unwrap();
    // 4 is a verdict on the machine's noise.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report["totals"]["accepted"], 200, "{report:#}");
    assert_eq!(report["totals"]["refused"], 0);
    assert_eq!(report["totals"]["failed"], 0);
    assert_eq!(report["replies"]["354"], 200);
}

#[test]
fn smtp_sink_takes_a_load_and_a_letter() {
    let Some(program) = peer("smtp-sink") else { return };
    let sink = PeerServer::start(&program, |address| vec!["-m".into(), "100".into(), address.into(), "100".into()]);
    for options in [&[][..], &["--no-pipelining"], &["--reconnect"]] {
        load(&sink.address, options);
    }
    letter(&sink.address);
}

#[test]
fn aiosmtpd_takes_a_load_and_a_letter() {
    let Some(program) = peer("aiosmtpd") else { return };
    let arguments = ["-n", "-c", "aiosmtpd.handlers.Sink", "-l"];
    let server = PeerServer::start(&program, |address| {
        arguments.iter().map(|word| (*word).to_owned()).chain([address.to_owned()]).collect()
    });
    load(&server.address, &[]);
    letter(&server.address);
}

fn letter(address: &str) {
    let folder = Folder::new();
    let file = folder.write("letter.eml", "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nend\r\n");
    let output = send(&["--from", "a@example.org", "--to", "b@example.net", address, file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn smtp_source_delivers_every_message_kept_open_or_not() {
    let Some(program) = peer("smtp-source") else { return };
    let server = Server::start(&[]);
    for options in [&["-d", "-s", "20"][..], &["-s", "20"], &["-d", "-s", "1"]] {
        let output = Command::new(&program)
            .args(options)
            .args(["-M", "client.example", "-f", "a@example.org", "-t", "b@example.net"])
            .args(["-m", "200", "-l", "2000", &server.address.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{options:?}: {}", text(&output.stderr));
    }
    let (status, summary) = server.stop();
    assert_eq!(status, Some(0));
    assert!(summary.starts_with("ehlo serve: 600 messages accepted"), "{summary}");
}

#[test]
fn swaks_delivers_the_bytes_that_it_meant() {
    let Some(program) = peer("swaks") else { return };
    let folder = Folder::new();
    let maildir = folder.0.join("mail");
    let server = Server::start(&["--store", &format!("maildir:{}", maildir.display())]);
    for (i, options) in [&[][..], &["--pipeline"], &["--protocol", "SMTP"]].into_iter().enumerate() {
        let output = Command::new(&program)
            .args(["--server", "127.0.0.1", "--port", &server.address.port().to_string()])
            .args(["--helo", "client.example", "--from", "a@example.org", "--to", "b@example.net,c@example.net"])
            .args(["--data", "Subject: swaks\\n\\n.\\n..two\\nend\\n"])
            .args(options)
            .output()
            .unwrap();
        assert!(output.status.success(), "{options:?}: {}", text(&output.stdout));
        let stored = files(&maildir.join("new"));
        assert_eq!(stored.len(), i + 1);
    }
    let (status, _) = server.stop();
    assert_eq!(status, Some(0));
    for file in files(&maildir.join("new")) {
        let stored = text(&fs::read(&file).unwrap());
        let message = &stored[stored.find("Subject:").unwrap()..];
        assert!(message.starts_with("Subject: swaks\r\n\r\n.\r\n..two\r\nend\r\n"), "{message:?}");
        assert!(stored.contains("X-Envelope-To: <b@example.net>"), "{stored}");
    }
}
