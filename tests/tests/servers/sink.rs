//! Postfix's smtp-sink, which goes wrong where it is told to.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use ehlo_tokio::client::{Envelope, Recipient};

use crate::both::{DRIVERS, Driver, Wanted};
use crate::letter;
use crate::process::{Folder, Process, free_port, peer};
use crate::stored::{Mailboxes, without_trace};

/// A sink with these options.
struct Sink {
    _process: Process,
    address: SocketAddr,
    _folder: Folder,
}

impl Sink {
    fn start(program: &Path, options: &[&str]) -> Self {
        let folder = Folder::new();
        let address = free_port();
        let mut command = Command::new(program);
        command.args(["-h", "mx.example"]).args(options).arg(address.to_string()).arg("100");
        let process = Process::start(&mut command, &folder.0.join("said"), address);
        let process = process.unwrap_or_else(|(_, said)| panic!("smtp-sink {options:?} does not start: {said}"));
        Self { _process: process, address, _folder: folder }
    }

    /// What the client tells of two recipients, and how the connection stands then.
    fn told(&self, driver: Driver, no_pipelining: bool, text: &[u8]) -> Vec<String> {
        let (client, _) = driver.connect(self.address, Wanted { no_pipelining, ..Wanted::default() });
        let mut client = match client {
            Ok(client) => client,
            Err(error) => return vec![format!("no session: {error}")],
        };
        let to = ["bob@mx.example", "eve@mx.example"].map(|to| Recipient::parse(to).unwrap());
        let envelope = Envelope::parse("ada@client.example", &to).unwrap();
        let mut told: Vec<String> = match client.send(&envelope, text) {
            Ok(report) => report.iter().map(|fate| fate.to_string()).collect(),
            Err(error) => return vec![format!("not begun: {error}")],
        };
        told.push(match (client.closed(), client.quit()) {
            (Some(reason), _) => format!("closed: {reason:?}"),
            (None, Ok(())) => "open".to_owned(),
            (None, Err(error)) => format!("QUIT: {error}"),
        });
        told
    }
}

/// What becomes of both recipients, in the words of `Fate`, and of the connection.
struct Told {
    fates: &'static str,
    then: &'static str,
}

const LOST: Told = Told { fates: "not sent: the connection was lost before", then: "closed: Eof" };
const UNKNOWN: Told = Told {
    fates: "unknown: the connection was lost before the server told whether it took the message",
    then: "closed: Eof",
};
const TAKEN: Told = Told { fates: "accepted: 250 2.0.0 Ok", then: "open" };
const HARD: Told = Told { fates: "refused: 500 5.3.0 Error: command failed", then: "open" };
const SOFT: Told = Told { fates: "deferred: 450 4.3.0 Error: command failed", then: "open" };
const CLOSING: Told =
    Told { fates: "deferred: 421 4.0.0 Server closing connection", then: "closed: ServiceNotAvailable" };

/// Each way to go wrong, at each command within a transaction.
#[test]
fn each_fault_is_told_for_each_recipient() {
    let Some(program) = peer("smtp-sink") else { return };
    let big = letter::big();
    for (option, command, wanted) in [
        ("-f", "MAIL", HARD),
        ("-f", "RCPT", HARD),
        ("-f", "DATA", HARD),
        ("-f", ".", HARD),
        ("-f", "QUIT", TAKEN),
        ("-r", "MAIL", SOFT),
        ("-r", "RCPT", SOFT),
        ("-r", "DATA", SOFT),
        ("-r", ".", SOFT),
        ("-r", "QUIT", TAKEN),
        ("-q", "MAIL", LOST),
        ("-q", "RCPT", LOST),
        ("-q", "DATA", LOST),
        ("-q", ".", UNKNOWN),
        ("-q", "QUIT", TAKEN),
        ("-Q", "MAIL", CLOSING),
        ("-Q", "RCPT", CLOSING),
        ("-Q", "DATA", CLOSING),
        ("-Q", ".", CLOSING),
        ("-Q", "QUIT", TAKEN),
    ] {
        let sink = Sink::start(&program, &[option, command]);
        for driver in DRIVERS {
            for no_pipelining in [false, true] {
                // A body that doesn't fit into a socket, too.
                let more = if matches!(command, "DATA" | ".") && !no_pipelining { Some(&big) } else { None };
                for text in more.into_iter().chain([&letter::dots()]) {
                    let what = format!("{option} {command}, {driver:?}, {no_pipelining}, {} octets", text.len());
                    let told = sink.told(driver, no_pipelining, text);
                    assert_eq!(told, [wanted.fates, wanted.fates, wanted.then], "{what}");
                }
            }
        }
    }
}

/// Before there is a session, too. HELO is said where EHLO is refused for good, and not where it may be taken later (RFC 5321 §4.1.4).
#[test]
fn a_session_that_is_not_to_be_had_is_told_with_the_reason() {
    let Some(program) = peer("smtp-sink") else { return };
    let refused = "no session: the server refused the session with";
    let closed = "no session: the server closed the";
    for (option, command, wanted) in [
        ("-f", "CONNECT", format!("{refused} 500: 500 5.3.0 Error: command failed")),
        ("-f", "EHLO,HELO", format!("{refused} 500: 500 5.3.0 Error: command failed")),
        ("-r", "CONNECT", format!("{refused} 450: 450 4.3.0 Error: command failed")),
        ("-r", "EHLO", format!("{refused} 450: 450 4.3.0 Error: command failed")),
        ("-q", "CONNECT", format!("{closed} connection")),
        ("-q", "EHLO", format!("{closed} connection")),
        ("-Q", "CONNECT", format!("{closed} session with 421: 421 4.0.0 Server closing connection")),
        ("-Q", "EHLO", format!("{closed} session with 421: 421 4.0.0 Server closing connection")),
    ] {
        let sink = Sink::start(&program, &[option, command]);
        for driver in DRIVERS {
            assert_eq!(sink.told(driver, false, &letter::dots()), [&*wanted], "{option} {command}, {driver:?}");
        }
    }
    let sink = Sink::start(&program, &["-f", "EHLO"]);
    for driver in DRIVERS {
        assert_eq!(sink.told(driver, false, &letter::dots()), [TAKEN.fates, TAKEN.fates, "open"], "{driver:?}, HELO");
    }
}

/// A refusal in the middle of a body that the server has stopped reading reaches the client, however long the body is.
#[test]
fn a_refusal_before_the_end_of_the_body_is_read() {
    let Some(program) = peer("smtp-sink") else { return };
    let sink = Sink::start(&program, &["-A", "0"]);
    let fate = "refused: 550 This violates SMTP";
    for driver in DRIVERS {
        assert_eq!(sink.told(driver, false, &letter::big()), [fate, fate, "closed: Refused(550)"], "{driver:?}");
    }
}

/// What a server lacks is done without, and what it does late is waited for. What it writes down is what was sent.
#[test]
fn servers_that_lack_something_or_are_slow_get_the_message() {
    let Some(program) = peer("smtp-sink") else { return };
    // The delay of a command goes with -p only: without, the sink answers the commands behind it first, and RCPT's reply comes after that to DATA.
    for options in [
        &["-p"][..],
        &["-e"],
        &["-P"],
        &["-E"],
        &["-8"],
        &["-N"],
        &["-w", "1"],
        &["-p", "-W", "RCPT:1"],
        &["-p", "-W", ".:1"],
        &["-H", "1", "-T", "4096"],
    ] {
        let folder = Folder::new();
        let store = folder.0.join("store");
        fs::create_dir(&store).unwrap();
        fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
        let sink = Sink::start(&program, &[options, &["-d", &format!("{}/bob/", store.display())]].concat());
        // Only what waits for the body is shown by one that doesn't fit into a socket.
        let text = if options[0] == "-H" { letter::big() } else { letter::dots() };
        for driver in DRIVERS {
            let what = format!("{options:?}, {driver:?}");
            assert_eq!(sink.told(driver, false, &text), [TAKEN.fates, TAKEN.fates, "open"], "{what}");
            let stored = Mailboxes(store.clone()).take("bob").unwrap();
            // It ends each of its files with an empty line.
            let stored = stored.strip_suffix(b"\n").unwrap_or(&stored);
            assert_eq!(without_trace(stored, &text), Ok(()), "{what}");
        }
    }
}
