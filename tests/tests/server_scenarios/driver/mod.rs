//! Plays a scenario against the tokio driver: a real server on a loopback socket, with a policy and a sink that do what the scenario
//! says, and a client that is played by hand.
//!
//! The clock is tokio's paused one. It would leap to the next deadline whenever everything waits, also for a socket; a blocking task
//! that is never done keeps it from that, and time passes only by `after`.

mod act;
mod hear;
mod policy;
mod wire;

use std::collections::VecDeque;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ehlo_server::Shutdown;
use ehlo_tokio::ehlo_sasl::Mechanism;
use ehlo_tokio::{Commit, Listener, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc as channel, oneshot};

use self::policy::{Scripted, Shared, Told, lock};
use self::wire::Wire;
use crate::format::{Act, Expect, Kind, Scenario, Verdict};
use crate::script::{Script, Seen, View};

/// How often it is looked whether something has happened, a millisecond of real time apart, before it counts as not happening.
const PATIENCE: usize = 5000;

/// Scenarios that a server on a socket cannot play, each with the reason.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("deadline-flush", KERNEL),
    ("deadline-flush-of-the-last-reply", KERNEL),
    ("deadline-flush-within-a-message", KERNEL),
    ("eof-before-the-replies-are-read", KERNEL),
    ("limit-output-and-never-read", KERNEL),
    ("reset-while-closing", KERNEL),
    ("resumed-too-late", KERNEL),
    ("shutdown-while-closing", KERNEL),
    ("lost-question-about-a-connection", LOST),
    ("lost-question-about-ehlo", LOST),
    ("lost-questions", LOST),
    ("lost-question-whether-to-override", LOST),
    ("starttls-unavailable", ALWAYS),
    ("smtp-answers-for-each-recipient", ONE),
    ("overload", LOAD),
    ("overload-while-committing", LOAD),
    ("overload-while-handshaking", LOAD),
    ("stress-and-errors", LOAD),
    ("stress-and-idle-commands", LOAD),
    ("stress-within-a-command", LOAD),
    ("stress-within-a-handshake", LOAD),
    ("stress-within-a-message", LOAD),
    ("stress-that-ends", LOAD),
    ("auth-empty-initial-response", MECHANISM),
    ("auth-extra-field", MECHANISM),
    ("auth-longest-line", MECHANISM),
    ("auth-three-challenges", MECHANISM),
];

const KERNEL: &str = "the socket takes replies that the peer does not read, so they are not seen to wait";
const ONE: &str = "under SMTP the driver asks a sink for one answer";
const MECHANISM: &str = "the mechanism is ehlo-sasl's, which answers by itself; crates/tokio/tests/tls/auth.rs has it";
const ALWAYS: &str = "a driver with certificates can always do a handshake";
const LOAD: &str = "one connection is no load; crates/tokio/tests/hostile has it";
const LOST: &str = "the driver holds each question until it is answered, and loses none";

/// How the driver is set up, and how the client writes.
#[derive(Clone, Copy, Debug)]
struct Setup {
    /// Bytes that the client writes at a time.
    piece: usize,
    read_chunk: usize,
    /// Bytes that the sink takes at a time.
    sink: usize,
    /// Decisions that are known are given at once, not by way of a future.
    at_once: bool,
}

const SETUPS: &[Setup] = &[
    Setup { piece: usize::MAX, read_chunk: 64 * 1024, sink: usize::MAX, at_once: true },
    Setup { piece: usize::MAX, read_chunk: 64 * 1024, sink: 1000, at_once: false },
    Setup { piece: 7, read_chunk: 5, sink: 2, at_once: false },
];

/// Plays the scenario in each setup.
pub(crate) fn play(scenario: &Scenario) -> Result<usize, String> {
    for setup in SETUPS {
        play_as(scenario, setup, PATIENCE).map_err(|error| format!("{error}\n  played by the driver as {setup:?}"))?;
    }
    Ok(SETUPS.len())
}

/// Plays the scenario once, with so much patience.
pub(crate) fn play_once(scenario: &Scenario, patience: usize) -> Result<(), String> {
    play_as(scenario, &SETUPS[0], patience)
}

fn play_as(scenario: &Scenario, setup: &Setup, patience: usize) -> Result<(), String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().map_err(|error| error.to_string())?;
    let (stop, stopped) = mpsc::channel::<()>();
    let result = runtime.block_on(async {
        drop(tokio::task::spawn_blocking(move || stopped.recv()));
        run(scenario, setup, patience).await
    });
    drop(stop);
    runtime.shutdown_background();
    result
}

/// Where an answer goes.
enum Asked {
    Policy(oneshot::Sender<Verdict>),
    Sink(oneshot::Sender<Commit>),
}

struct Run<'s> {
    script: Script<'s>,
    setup: &'s Setup,
    patience: usize,
    client: Option<Wire>,
    received: VecDeque<u8>,
    /// What is not read yet is in the socket.
    reading: bool,
    ended: bool,
    /// The scenario has said so.
    told_end: bool,
    told: channel::UnboundedReceiver<Told>,
    heard: VecDeque<Told>,
    gone: bool,
    shared: Arc<Mutex<Shared>>,
    /// The envelope of the message that is coming, which is all that is seen of envelopes.
    envelope: Option<String>,
    kept: Option<Asked>,
    stop: Option<oneshot::Sender<()>>,
    drain: Duration,
}

async fn run(scenario: &Scenario, setup: &Setup, patience: usize) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", scenario.name);
    let (tell, told) = channel::unbounded_channel();
    let shared = Arc::new(Mutex::new(Shared::default()));
    let answers = scenario.steps.iter().filter_map(|step| match &step.kind {
        Kind::Expect(Expect::Ask(question, verdict))
            if !question.starts_with("commit") && !matches!(verdict, Verdict::Challenge(_)) =>
        {
            Some(verdict.clone())
        }
        _ => None,
    });
    let policy = Scripted {
        questions: scenario.config.questions,
        tell,
        shared: Arc::clone(&shared),
        answers: Arc::new(Mutex::new(if setup.at_once { answers.collect() } else { VecDeque::new() })),
        mechanisms: mechanisms(scenario)?,
        sink: setup.sink,
    };
    // A server is told to stop, and gives up waiting after the drain time.
    let at_once = scenario.steps.iter().any(|step| matches!(step.kind, Kind::Do(Act::Shutdown(Shutdown::Now))));
    let drain = Duration::from_millis(if at_once { 5 } else { 86_400_000 });
    let mut config = scenario.config.clone();
    config.limits.read_chunk = setup.read_chunk;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = if scenario.implicit_tls { Listener::implicit_tls(listener) } else { listener.into() };
    let mut server = Server::builder(policy).config(config).drain(drain);
    if scenario.implicit_tls || scenario.config.tls.has_starttls() {
        server = server.tls(wire::server_config()?);
    }
    let server = tokio::spawn(server.serve(listener, async {
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    }));
    let client = TcpStream::connect(address).await.map_err(failed)?;
    client.set_nodelay(true).map_err(failed)?;
    let mut run = Run {
        script: Script::new(scenario),
        setup,
        patience,
        client: Some(Wire::new(client)),
        received: VecDeque::new(),
        reading: true,
        ended: false,
        told_end: false,
        told,
        heard: VecDeque::new(),
        gone: false,
        shared,
        envelope: None,
        kept: None,
        stop: Some(stop),
        drain,
    };
    let result = run.play().await;
    server.abort();
    result
}

/// The mechanisms that the scenario offers.
fn mechanisms(scenario: &Scenario) -> Result<Vec<Mechanism>, String> {
    let of_name = |name: &str| name.parse().map_err(|_| format!("{}: the driver knows no {name}", scenario.name));
    scenario.config.auth.mechanisms.iter().map(|mechanism| of_name(mechanism.name())).collect()
}

/// A millisecond of real time, in which everything that can happen happens.
async fn tick() {
    let _ = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await;
}

impl Run<'_> {
    async fn play(&mut self) -> Result<(), String> {
        loop {
            self.script.skip_challenges();
            match self.script.awaited() {
                Some(Expect::Reply { .. }) => {
                    let line = self.line().await?;
                    self.see(&Seen::Reply(line))?;
                }
                Some(Expect::Ask(..)) => self.ask().await?,
                Some(Expect::Aborted(_)) => match self.next_told().await? {
                    Told::Aborted => {
                        self.envelope = None;
                        self.see(&Seen::Aborted(None))?;
                        self.script.pass_aborted();
                    }
                    told => return Err(self.script.describe(&told.shown(), "an abort")),
                },
                Some(Expect::Closed(_)) => {
                    self.closed().await?;
                    self.told_end = true;
                    self.see(&Seen::Closed(None))?;
                }
                Some(Expect::Body(expected)) => {
                    for _ in 0..self.patience {
                        if lock(&self.shared).body == *expected {
                            break;
                        }
                        tick().await;
                    }
                    tick().await;
                    self.hold()?;
                }
                Some(Expect::Envelope(_) | Expect::Open) => {
                    tick().await;
                    self.fill()?;
                    self.hear();
                    self.hold()?;
                }
                None => {
                    self.fill()?;
                    if self.ended && !self.told_end {
                        return Err(self.script.describe("closed", "nothing"));
                    }
                    let shared = Arc::clone(&self.shared);
                    let body = lock(&shared).body.clone();
                    let view = View { body: &body, envelope: None, closed: self.ended };
                    match self.script.rest(&view)? {
                        Some(act) => self.act(act).await?,
                        None => return self.finish().await,
                    }
                }
            }
        }
    }

    /// Checks the state that comes next.
    fn hold(&mut self) -> Result<(), String> {
        let body = lock(&self.shared).body.clone();
        self.script.hold(&View { body: &body, envelope: self.envelope.as_deref(), closed: self.ended })
    }

    fn see(&mut self, seen: &Seen) -> Result<Option<Verdict>, String> {
        let body = lock(&self.shared).body.clone();
        let view = View { body: &body, envelope: self.envelope.as_deref(), closed: self.ended };
        self.script.see(seen, &view).map(Option::<&Verdict>::cloned)
    }

    async fn ask(&mut self) -> Result<(), String> {
        let (shown, asked) = match self.next_told().await? {
            Told::Ask(shown, answer) => (shown, answer.map(Asked::Policy)),
            Told::Commit(answer) => (format!("commit {}", lock(&self.shared).body.len()), Some(Asked::Sink(answer))),
            told => return Err(self.script.describe(&told.shown(), "a question")),
        };
        // It cannot be told apart here whether a response came with the command.
        let shown = match self.script.awaited() {
            Some(Expect::Ask(expected, _)) if expected.replacen(" ...", "", 1) == shown => expected.clone(),
            _ => shown,
        };
        let Some(verdict) = self.see(&Seen::Ask(shown))? else {
            return Err(self.script.describe("a question without an answer", "an answer"));
        };
        let Some(asked) = asked else { return Ok(()) };
        match verdict {
            Verdict::Later => self.kept = Some(asked),
            Verdict::Never => drop(asked),
            verdict => {
                if !self.answer(asked, &verdict)? {
                    return Err(self.script.describe("a question that is over", "an answer that is taken"));
                }
            }
        }
        Ok(())
    }

    /// Answers. Gives whether anybody still waited for it.
    fn answer(&mut self, asked: Asked, verdict: &Verdict) -> Result<bool, String> {
        match asked {
            Asked::Policy(answer) => {
                if matches!(verdict, Verdict::Later | Verdict::Never | Verdict::Drop) {
                    return Err("an answer that is none".to_owned());
                }
                Ok(answer.send(verdict.clone()).is_ok())
            }
            Asked::Sink(answer) => {
                self.envelope = None;
                Ok(answer
                    .send(match verdict {
                        Verdict::Accept => Commit::Same(Ok(None)),
                        Verdict::AcceptWith(reply) => Commit::Same(Ok(Some(reply.clone()))),
                        Verdict::Reject(reply) | Verdict::Defer(reply) => Commit::Same(Err(reply.clone())),
                        Verdict::Each(answers) => Commit::Each(answers.clone()),
                        _ => return Err("a commit cannot be answered like that".to_owned()),
                    })
                    .is_ok())
            }
        }
    }

    /// Nothing more may come, and the connection ends when the client goes.
    async fn finish(&mut self) -> Result<(), String> {
        tick().await;
        self.fill()?;
        if self.ended && !self.told_end {
            return Err(self.script.describe("closed", "nothing"));
        }
        if !self.received.is_empty() {
            let rest: Vec<u8> = self.received.drain(..).collect();
            return Err(self.script.describe(&format!("S: {}", String::from_utf8_lossy(&rest)), "nothing"));
        }
        self.hear();
        if let Some(told) = self.heard.pop_front() {
            return Err(self.script.describe(&told.shown(), "nothing"));
        }
        self.client = None;
        // A paused sink must not keep the connection.
        let waker = lock(&self.shared).waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
        self.until_gone().await
    }
}
