//! A server that loses, doubles or alters one message in 10,000 makes a run of `ehlo load` fail.
//!
//! The faulty server is this program itself: `ehlo load` starts it with the arguments of `ehlo serve`. That is why the test has a `main`
//! of its own, and why nothing in `ehlo` knows of faults.
#![allow(
    clippy::print_stdout,
    reason = "a program that tests say what they did, and a server that says where it listens"
)]

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ehlo_load::integrity::Stored;
use ehlo_load::{MessageId, ledger};
use ehlo_tokio::ehlo_server::{Config, codec::Reply};
use ehlo_tokio::store::{Store, Verify};
use ehlo_tokio::{AcceptAll, BodySink, MessageContext, Server};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Names the fault to the server.
const FAULT: &str = "EHLO_TEST_FAULT";

/// One message in so many is treated badly.
const EVERY: u64 = 10_000;

/// The messages of a run.
const MESSAGES: u64 = 2 * EVERY;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|it| it == "serve") {
        let fault = std::env::var(FAULT).unwrap_or_default();
        return serve(&arguments, fault.as_str().into());
    }
    // What `cargo test -- --list` and the like want to know.
    if arguments.iter().any(|it| it == "--list") {
        println!("a_faulty_server_makes_the_run_fail: test");
        return ExitCode::SUCCESS;
    }
    a_faulty_server_makes_the_run_fail();
    println!("test a_faulty_server_makes_the_run_fail ... ok");
    ExitCode::SUCCESS
}

fn a_faulty_server_makes_the_run_fail() {
    // A sound server first, so that a failure below means what it should.
    for (fault, found) in
        [("none", None), ("drop", Some("missing")), ("double", Some("doubled")), ("flip", Some("altered"))]
    {
        let count = MESSAGES.to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_ehlo"))
            .args([
                "load",
                "--messages",
                &count,
                "--size",
                "512",
                "--no-calibrate",
                "--quiet",
                "--connections",
                "20",
                "--json",
                "-",
                "--server",
            ])
            .arg(std::env::current_exe().unwrap())
            .env(FAULT, fault)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let integrity = &json["integrity"];
        assert_eq!(json["totals"]["accepted"], MESSAGES, "{fault}: {stderr}");
        assert_eq!(integrity["ok"], found.is_none(), "{fault}: {integrity:#}");
        for finding in ["missing", "doubled", "altered", "unacknowledged"] {
            let expected = if found == Some(finding) { MESSAGES / EVERY } else { 0 };
            assert_eq!(integrity[finding]["count"], expected, "{fault}: {integrity:#}");
        }
        match found {
            // On a busy machine the measurement may be worth nothing.
            None => assert!(matches!(output.status.code(), Some(0 | 4)), "{stderr}"),
            Some(_) => {
                assert_eq!(output.status.code(), Some(1), "{fault}: {stderr}");
                assert!(stderr.contains("store does not hold what it acknowledged"), "{fault}: {stderr}");
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Drop,
    Double,
    Flip,
}

impl From<&str> for Fault {
    fn from(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "drop" => Self::Drop,
            "double" => Self::Double,
            "flip" => Self::Flip,
            _ => panic!("{FAULT} is \"{name}\""),
        }
    }
}

/// A store that treats some messages badly on their way to another one.
struct Faulty {
    fault: Fault,
    store: Verify,
    messages: Arc<AtomicU64>,
}

impl Store for Faulty {
    type Sink = FaultySink;

    fn sink(&self) -> FaultySink {
        FaultySink {
            fault: self.fault,
            messages: Arc::clone(&self.messages),
            sink: self.store.sink(),
            now: Fault::None,
            body: Vec::new(),
        }
    }
}

struct FaultySink {
    fault: Fault,
    messages: Arc<AtomicU64>,
    sink: <Verify as Store>::Sink,
    /// What happens to the present message.
    now: Fault,
    body: Vec<u8>,
}

impl BodySink for FaultySink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        self.now = if number % EVERY == EVERY / 2 { self.fault } else { Fault::None };
        self.body.clear();
        self.sink.begin(message)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.now {
            Fault::Flip if bytes.len() > 100 => {
                self.now = Fault::None;
                let mut altered = bytes.to_vec();
                // Behind the line with the id.
                altered[60] ^= 1;
                self.sink.poll_write(cx, &altered)
            }
            Fault::Double => {
                self.body.extend_from_slice(bytes);
                self.sink.poll_write(cx, bytes)
            }
            _ => self.sink.poll_write(cx, bytes),
        }
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        match self.now {
            Fault::Drop => {
                self.sink.abort();
                Poll::Ready(Ok(None))
            }
            Fault::Double => {
                let committed = self.sink.poll_commit(cx);
                let written = self.sink.poll_write(cx, &self.body);
                assert!(committed.is_ready() && written.is_ready(), "this store never waits");
                self.sink.poll_commit(cx)
            }
            _ => self.sink.poll_commit(cx),
        }
    }

    fn abort(&mut self) {
        self.sink.abort();
    }
}

/// What `ehlo serve --listen ADDR --store verify --ledger FILE` does, with faults.
fn serve(arguments: &[String], fault: Fault) -> ExitCode {
    let value =
        |name| arguments.iter().skip_while(|it| *it != name).nth(1).unwrap_or_else(|| panic!("{name} is missing"));
    let path: PathBuf = value("--ledger").into();
    let store = Verify::default();
    let faulty = Faulty { fault, store: store.clone(), messages: Arc::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(value("--listen")).await.unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        let server = Server::builder(AcceptAll(faulty))
            .config(Config::new("faulty.example").unwrap())
            .drain(Duration::from_secs(5))
            .build();
        let stop = async move {
            terminate.recv().await;
        };
        server.serve(vec![listener], stop).await;
    });
    let entries = store.records().into_iter().map(|record| Stored {
        id: record.id.map(MessageId::from),
        length: record.length,
        digest: record.digest,
    });
    ledger::write(io::BufWriter::new(std::fs::File::create(path).unwrap()), entries).unwrap();
    ExitCode::SUCCESS
}
