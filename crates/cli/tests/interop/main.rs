//! Other people's clients deliver to `ehlo serve`: in clear, by STARTTLS and over TLS from the beginning. What is stored is what was sent.
//!
//! `tests/peers/setup.sh` unpacks the clients. One that is not there is reported as not judged.

#[path = "../common/mod.rs"]
mod common;

mod agents;
mod extensions;
mod mta;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Server, files, text};

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Clear,
    StartTls,
    Tls,
}

impl Way {
    const ALL: [Self; 3] = [Self::Clear, Self::StartTls, Self::Tls];
}

/// A server that keeps what it gets in a maildir, with a port for TLS.
struct Target {
    server: Server,
    tls: SocketAddr,
    folder: Folder,
}

impl Target {
    fn start(options: &[&str]) -> Self {
        let folder = Folder::new();
        let store = format!("maildir:{}", folder.0.join("mail").display());
        let fixed =
            ["--store", &store, "--tls", "self-signed", "--listen-tls", "127.0.0.1:0", "--hostname", "mx.example"];
        let mut server = Server::start(&[&fixed, options].concat());
        let tls = server.next_address("(tls)");
        Self { server, tls, folder }
    }

    fn address(&self, way: Way) -> SocketAddr {
        if way == Way::Tls { self.tls } else { self.server.address }
    }

    fn port(&self, way: Way) -> String {
        self.address(way).port().to_string()
    }

    /// What was stored so far, oldest last is not promised.
    fn stored(&self) -> Vec<PathBuf> {
        let new = self.folder.0.join("mail").join("new");
        if new.exists() { files(&new) } else { Vec::new() }
    }

    /// Waits for so many messages, and gives them.
    fn wait_for(&self, count: usize) -> Vec<PathBuf> {
        let begin = Instant::now();
        while self.stored().len() < count && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stored()
    }

    /// Stops the server, and checks that exactly so many messages are there, each of which ends in the letter.
    fn has(self, count: usize, letter: &str) {
        let stored = self.wait_for(count);
        assert_eq!(stored.len(), count, "messages stored");
        for file in &stored {
            let bytes = fs::read(file).unwrap();
            assert!(
                bytes.ends_with(letter.as_bytes()),
                "stored:\n{}\nsent:\n{}",
                bytes.escape_ascii(),
                letter.as_bytes().escape_ascii()
            );
        }
        let (status, errors) = self.server.stop();
        assert_eq!(status, Some(0), "{errors}");
    }
}

/// A message that has what goes wrong: dots at line starts, empty lines at its end, octets above 127, and a long line.
fn letter() -> String {
    let mut letter = String::from(
        "From: Ada <ada@client.example>\r\nTo: bob@mx.example\r\nSubject: interop\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <interop@client.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .\r\n..\r\n.hidden\r\nGr\u{fc}\u{df}e\r\n",
    );
    letter.push_str(&"x".repeat(900));
    letter.push_str("\r\n");
    for i in 0..2000 {
        letter.push_str(&format!("line {i} of many, so that more than one segment is needed\r\n"));
    }
    letter.push_str("\r\n\r\nend\r\n");
    letter
}

/// What stands behind the header. Clients put fields of their own into it.
fn body(letter: &str) -> &str {
    &letter[letter.find("\r\n\r\n").expect("a header")..]
}

/// Runs a client to its end, with that input; it must succeed.
fn succeed(command: &mut Command, input: &[u8]) -> Output {
    let output = run(command, input);
    assert!(
        output.status.success(),
        "{command:?}: {:?}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// Runs a client to its end, but for a minute at the longest.
fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A client that ends early reads no more of it.
    let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, watch) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        if watch.recv_timeout(Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watcher.join().unwrap();
    writer.join().unwrap();
    output
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of this test is UTF-8")
}
