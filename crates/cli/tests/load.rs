//! `ehlo load` as it is used: the command, its exit status, and what it says. All servers are on the loopback interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No run here may take longer.
const LIMIT: Duration = Duration::from_secs(60);

fn ehlo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ehlo"));
    command.args(args).stdin(Stdio::null());
    command
}

/// What a run gave.
struct Run {
    status: Option<i32>,
    json: Option<Value>,
    stderr: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code(),
            json: serde_json::from_slice(&output.stdout).ok(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn json(&self) -> &Value {
        self.json.as_ref().unwrap_or_else(|| panic!("no JSON, status {:?}: {}", self.status, self.stderr))
    }
}

/// Runs `ehlo load` with the report as JSON and no progress.
#[track_caller]
fn load(args: &[&str]) -> Run {
    let start = Instant::now();
    let output = ehlo(&["load", "--json", "-", "--quiet"]).args(args).output().unwrap();
    assert!(start.elapsed() < LIMIT, "the run took {:?}", start.elapsed());
    Run::of(&output)
}

/// A server whose connections are all served by this function, until the test ends.
fn server(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Says something, then only listens.
fn say_and_wait(mut stream: TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The run fails, within its time, with one line about it and one kind of error in the report.
#[track_caller]
fn fails_with(target: &str, kind: &str, line: &str) {
    let run = load(&[target, "--connections", "3", "--timeout", "1s"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let json = run.json();
    assert!(json["errors"][kind].as_u64() > Some(0), "{:#}", json["errors"]);
    assert_eq!(json["totals"]["accepted"], 0);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("ehlo load: ") && run.stderr.contains(line), "{}", run.stderr);
}

#[test]
fn a_host_that_does_not_exist_is_told() {
    // The name is reserved for being absent (RFC 6761 §6.4).
    fails_with("nowhere.invalid:25", "no_address", "nowhere.invalid:25");
}

#[test]
fn a_refused_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    fails_with(&address, "connect_refused", &address);
}

#[test]
fn a_peer_that_does_not_speak_smtp_is_told() {
    let address = server(|stream| say_and_wait(stream, "SSH-2.0-OpenSSH_9.9\r\n"));
    fails_with(&address.to_string(), "not_smtp", "SSH-2.0");
}

#[test]
fn a_peer_that_never_speaks_is_told() {
    let address = server(|stream| say_and_wait(stream, ""));
    fails_with(&address.to_string(), "greeting_timeout", "greeting");
}

#[test]
fn a_peer_that_answers_421_is_told() {
    let address = server(|stream| say_and_wait(stream, "421 4.3.2 shutting down\r\n"));
    fails_with(&address.to_string(), "service_not_available", "421");
}

#[test]
fn a_peer_that_closes_at_once_is_told() {
    let address = server(drop);
    // What arrives first is a matter of luck: the end of the connection, or the news that nobody reads.
    let run = load(&[&address.to_string(), "--connections", "3", "--timeout", "1s"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let errors = run.json()["errors"].as_object().unwrap();
    assert!(errors.contains_key("closed_before_greeting") || errors.contains_key("reset"), "{errors:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

/// Answers commands in turn until one begins with `until`; gives the stream then.
fn answer(stream: TcpStream, until: &str) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    writer.write_all(b"220 test ESMTP\r\n").ok()?;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.starts_with(until) {
            return Some(writer);
        }
        writer.write_all(if line.starts_with("DATA") { b"354 go\r\n" } else { b"250 ok\r\n" }).ok()?;
        if line.starts_with("DATA") {
            while line != ".\r\n" {
                line.clear();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
            }
            writer.write_all(b"250 ok\r\n").ok()?;
        }
    }
}

#[test]
fn a_peer_that_closes_in_the_middle_of_a_message_is_told() {
    let address = server(|stream| {
        if let Some(mut stream) = answer(stream, "DATA") {
            let _ = stream.write_all(b"354 go\r\n");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let run = load(&[&address.to_string(), "--connections", "3", "--timeout", "1s", "--size", "100k"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.json()["errors"]["closed_mid_transaction"].as_u64() > Some(0), "{}", run.json()["errors"]);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn refused_messages_are_counted_by_code_and_fail_the_run() {
    let address = server(|stream| {
        if let Some(mut stream) = answer(stream, "RCPT") {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            let mut reply = &b"550 5.1.1 no such user\r\n"[..];
            while stream.write_all(reply).is_ok() {
                line.clear();
                match reader.read_line(&mut line) {
                    Ok(1..) => {
                        reply = if line.starts_with("RCPT") { b"550 5.1.1 no such user\r\n" } else { b"250 ok\r\n" }
                    }
                    _ => return,
                }
            }
        }
    });
    let run = load(&[&address.to_string(), "--messages", "10", "--connections", "2"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let json = run.json();
    assert_eq!((json["totals"]["refused"].as_u64(), json["totals"]["accepted"].as_u64()), (Some(10), Some(0)));
    assert_eq!(json["replies"]["550"], 10);
    assert!(run.stderr.contains("550"), "{}", run.stderr);
}

#[test]
fn a_number_of_messages_is_sent_and_no_more() {
    let address = server(|stream| {
        let _ = answer(stream, "QUIT").map(|mut stream| stream.write_all(b"221 bye\r\n"));
    });
    for options in [&["--no-pipelining"][..], &["--reconnect"], &["--rate", "200"]] {
        let target = address.to_string();
        let args = [&[&*target, "--messages", "50", "--connections", "5", "--no-calibrate"][..], options].concat();
        let run = load(&args);
        let json = run.json();
        assert_eq!(json["totals"]["accepted"], 50, "{options:?}: {json:#}");
        // On a busy machine the measurement may be worth nothing; the messages were accepted all the same.
        assert!(matches!(run.status, Some(0 | 4)), "{options:?}: {}", run.stderr);
        assert_eq!(json["latency"]["transaction"]["service"]["count"], 50, "{options:?}");
        assert!(json["latency"]["mail"]["service"]["count"] == 50, "the server offers no PIPELINING");
    }
}

#[test]
fn wrong_usage_has_status_2_and_a_reason() {
    for args in [
        &["127.0.0.1"][..],
        &["127.0.0.1:0"],
        &["::1:25"],
        &["--rate", "0"],
        &["--rate", "5", "--closed"],
        &["--size", "3"],
        &["--size", "4x"],
        &["--connections", "0"],
        &["--messages", "0"],
        &["--duration", "0s"],
        &["--threads", "0"],
        &["--corpus", "/nonexistent"],
        &["--line-endings", "normalize"],
        &["--corpus", "/", "--size", "4k"],
        &["127.0.0.1:25", "--target", "127.0.0.1:26"],
        &["--json", "/nonexistent/report.json"],
        &["--connections", "10000000"],
        &["--from", "not an address", "--messages", "1"],
        &["--unheard-of"],
    ] {
        let output = ehlo(&["load", "--quiet"]).args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(!stderr.is_empty() && output.stdout.is_empty(), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_by_name() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("good.eml"), "Subject: x\n\nx\n").unwrap();
    std::fs::write(folder.0.join("mixed.eml"), "Subject: x\r\n\r\nx\n").unwrap();
    let corpus = folder.0.to_str().unwrap();
    let run = load(&["--corpus", corpus]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("mixed.eml: mixed line endings") && !run.stderr.contains("good.eml"), "{}", run.stderr);

    let run = load(&["--corpus", corpus, "--line-endings", "normalize", "--messages", "100", "--no-calibrate"]);
    let json = run.json();
    assert_eq!((json["corpus"]["converted"].as_u64(), json["corpus"]["normalized"].as_u64()), (Some(1), Some(1)));
    assert_eq!((json["integrity"]["ok"].as_bool(), json["integrity"]["matched"].as_u64()), (Some(true), Some(100)));
}

/// `EHLO_CORPUS` names a folder of real messages, good and malformed.
#[test]
fn every_real_message_is_delivered_and_verified_when_normalised() {
    let Ok(folder) = std::env::var("EHLO_CORPUS") else {
        // Not by a macro: of a test that passes, its text would not be shown. And whole, since other tests write, too.
        let _ = std::io::stderr().write_all(b"\nnot run: EHLO_CORPUS does not name a folder of messages\n");
        return;
    };
    // So many that hardly any message isn't drawn at least once.
    let run = load(&["--corpus", &folder, "--line-endings", "normalize", "--messages", "10000", "--no-calibrate"]);
    let json = run.json();
    assert!(matches!(run.status, Some(0 | 4)), "{}", run.stderr);
    assert!(json["corpus"]["messages"].as_u64().is_some_and(|it| (1..=400).contains(&it)), "{:#}", json["corpus"]);
    assert_eq!(json["integrity"]["matched"], 10_000);
    assert_eq!(json["integrity"]["ok"], true);
}

#[test]
fn without_a_target_a_server_is_started_and_its_store_compared() {
    let folder = Folder::new();
    let file = folder.0.join("report.json");
    let output = ehlo(&["load", "--duration", "1s", "--connections", "20", "--json"]).arg(&file).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A busy machine makes a measurement worth nothing, and never a message lost.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{stderr}");
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["integrity"]["ok"], true);
    assert_eq!(json["integrity"]["acknowledged"], json["totals"]["accepted"]);
    assert_eq!(json["integrity"]["stored"], json["totals"]["accepted"]);
    assert_eq!(json["config"]["mode"], "open");
    for path in ["/peak/messages_per_second", "/calibration/messages_per_second", "/cpu/target_us_per_message"] {
        assert!(json.pointer(path).and_then(Value::as_f64) > Some(0.0), "{path}: {json:#}");
    }
    assert!(json["latency"]["transaction"]["response"]["p50_us"].is_number());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("each stored once and unaltered") && !text.contains('\x1b'), "{text}");
}

#[test]
fn ctrl_c_ends_with_the_results_so_far() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let args = [
            "load",
            "--rate",
            "100",
            "--duration",
            "10m",
            "--connections",
            "5",
            "--no-calibrate",
            "--json",
            "-",
            "--quiet",
        ];
        let child = ehlo(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        thread::sleep(Duration::from_secs(2));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let run = Run::of(&child.wait_with_output().unwrap());
        assert!(start.elapsed() < LIMIT);
        assert!(matches!(run.status, Some(0 | 4)), "{:?}: {}", run.status, run.stderr);
        let json = run.json();
        assert_eq!(json["ended"], "stopped");
        assert!(json["totals"]["accepted"].as_u64() > Some(20), "{json:#}");
        assert_eq!(json["integrity"]["ok"], true);
    }
}

#[test]
fn ctrl_c_before_anything_was_accepted_is_told_as_that() {
    let address = server(|stream| say_and_wait(stream, "")).to_string();
    let args = ["load", &address, "--connections", "3", "--json", "-", "--quiet"];
    let child = ehlo(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert_eq!(run.json()["ended"], "stopped");
    assert_eq!(run.stderr, "ehlo load: interrupted before a message was accepted\n");
}

#[test]
fn a_run_that_is_killed_leaves_no_server_behind() {
    let args = ["load", "--rate", "100", "--duration", "10m", "--connections", "5", "--no-calibrate", "--quiet"];
    // The folder of the ledger stays behind.
    let folder = Folder::new();
    let mut command = ehlo(&args);
    command.env("TMPDIR", &folder.0).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    let server = loop {
        assert!(start.elapsed() < LIMIT, "no server was started");
        if let Some(pid) = child_of(child.id()) {
            break pid;
        }
        thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    // A zombie has ended; only its new parent has not looked yet.
    while stat(server).is_some_and(|(state, _)| state != "Z") {
        assert!(start.elapsed() < LIMIT, "process {server} goes on");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process's state and its parent (proc_pid_stat(5)); `None` if there is no such process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// A process that this one has started.
fn child_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| stat(*pid).is_some_and(|(_, its)| its == parent))
}

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}-{moment}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
