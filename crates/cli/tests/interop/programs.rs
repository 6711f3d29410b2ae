//! Clients that are a program, or a library with a script, and deliver one message.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::bench::{Bench, Ended};
use crate::clients::{AIOSMTPLIB, CURL, MSMTP, NODEMAILER, SMTPLIB, SWAKS};
use crate::common::text;
use crate::order::{Feature, Order, USER, Way};

/// Runs a client to its end, but for a minute at the longest.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ended {
    use std::process::Stdio;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A client that ends early reads no more of it.
    let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, watch) = channel::<()>();
    let watcher = std::thread::spawn(move || {
        if watch.recv_timeout(std::time::Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watcher.join().unwrap();
    writer.join().unwrap();
    let told = format!("{command:?}\n{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    Ended { well: output.status.success(), told, lacks: None }
}

/// A file of the order's folder.
fn file(order: &Order<'_>, name: &str, content: &str) -> String {
    let path = order.folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().expect("a path of this test is UTF-8").to_owned()
}

fn curl(order: &Order<'_>) -> Ended {
    let mut command = Command::new(order.program);
    // It knows from the locale which characters the addresses are made of.
    command.env("LC_ALL", "C.UTF-8");
    command.args(["--silent", "--show-error", "--insecure", "--max-time", "30"]);
    let scheme = if order.way == Way::Tls { "smtps" } else { "smtp" };
    command.arg(format!("{scheme}://127.0.0.1:{}/client.example", order.port));
    if order.way != Way::Clear {
        command.arg("--ssl-reqd");
    }
    if let Some(mechanism) = order.mechanism() {
        command.args(["--user", &format!("{USER}:{}", order.password())]);
        command.args(["--login-options", &format!("AUTH={}", mechanism.name())]);
    }
    command.args(["--mail-from", order.from()]);
    for to in order.to() {
        command.args(["--mail-rcpt", &to]);
    }
    command.args(["--upload-file", &file(order, "letter.eml", &order.letter())]);
    run(&mut command, b"")
}

fn swaks(order: &Order<'_>) -> Ended {
    let mut command = Command::new(order.program);
    command.args(["--server", "127.0.0.1", "--port", &order.port.to_string(), "--helo", "client.example"]);
    command.args(["--timeout", "30", "--from", order.from(), "--to", &order.to().join(",")]);
    match order.way {
        Way::Clear => {}
        Way::StartTls => drop(command.arg("--tls")),
        Way::Tls => drop(command.arg("--tls-on-connect")),
    }
    if let Some(mechanism) = order.mechanism() {
        command.args(["--auth", mechanism.name(), "--auth-user", USER, "--auth-password", order.password()]);
    }
    if order.feature == Feature::Lmtp {
        command.args(["--protocol", "LMTP"]);
    }
    command.args(["--data", &format!("@{}", file(order, "letter.eml", &order.text()))]);
    let mut ended = run(&mut command, b"");
    // Perl's modules.
    ended.lacks = line_with(&ended.told, " not available: requires ");
    ended
}

fn msmtp(order: &Order<'_>) -> Ended {
    let mut command = Command::new(order.program);
    command.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", order.port), "--timeout=30"]);
    command.args(["--domain=client.example", "--from", order.from(), "--tls-certcheck=off"]);
    match order.way {
        Way::Clear => drop(command.arg("--tls=off")),
        Way::StartTls => drop(command.args(["--tls=on", "--tls-starttls=on"])),
        Way::Tls => drop(command.args(["--tls=on", "--tls-starttls=off"])),
    }
    if let Some(mechanism) = order.mechanism() {
        command.arg(format!("--auth={}", mechanism.name().to_lowercase()));
        command.args([&format!("--user={USER}"), &format!("--passwordeval=echo {}", order.password())]);
    }
    if order.feature == Feature::Dsn {
        command.args(["--dsn-notify=success,failure", "--dsn-return=headers"]);
    }
    if order.feature == Feature::Lmtp {
        command.arg("--protocol=lmtp");
    }
    command.arg("--").args(order.to());
    let mut ended = run(&mut command, order.text().as_bytes());
    ended.lacks = line_with(&ended.told, "support for authentication method");
    ended
}

/// What a script needs to know.
fn facts(order: &Order<'_>) -> String {
    json!({
        "port": order.port,
        "starttls": order.way == Way::StartTls,
        "tls": order.way == Way::Tls,
        "from": order.from(),
        "to": order.to(),
        "user": order.mechanism().map(|_| USER),
        "password": order.password(),
        // RFC 4954 §4 lets a client send it along with the command, or wait for an empty challenge.
        "initial_response": order.way != Way::StartTls,
        "mechanism": order.mechanism().map(|mechanism| mechanism.name()),
        "utf8": order.feature == Feature::Utf8,
        "dsn": order.feature == Feature::Dsn,
        "lmtp": order.feature == Feature::Lmtp,
    })
    .to_string()
}

/// Has a script deliver the message that it gets on its standard input. Its name is not that of a library, which it would hide.
fn script(order: &Order<'_>, name: &str) -> Ended {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/scripts").join(name);
    run(Command::new(order.program).arg(path).arg(facts(order)), order.letter().as_bytes())
}

fn line_with(told: &str, words: &str) -> Option<String> {
    told.lines().find(|line| line.contains(words)).map(|line| line.trim().to_owned())
}

#[test]
fn curl_delivers() {
    let Some(bench) = Bench::of(&CURL) else { return };
    bench.judge(curl);
}

#[test]
fn swaks_delivers() {
    let Some(bench) = Bench::of(&SWAKS) else { return };
    bench.judge(swaks);
}

#[test]
fn msmtp_delivers() {
    let Some(bench) = Bench::of(&MSMTP) else { return };
    bench.judge(msmtp);
}

#[test]
fn smtplib_delivers() {
    let Some(bench) = Bench::of(&SMTPLIB) else { return };
    bench.judge(|order| script(order, "by_smtplib.py"));
}

#[test]
fn aiosmtplib_delivers() {
    let Some(bench) = Bench::of(&AIOSMTPLIB) else { return };
    bench.judge(|order| script(order, "by_aiosmtplib.py"));
}

#[test]
fn nodemailer_delivers() {
    let Some(bench) = Bench::of(&NODEMAILER) else { return };
    bench.judge(|order| script(order, "by_nodemailer.js"));
}
