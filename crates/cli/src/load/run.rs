//! The parts of a run, one after the other.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ehlo_load::corpus::{self, Corpus, Facts, Source};
use ehlo_load::integrity;
use ehlo_load::report::units::number;
use ehlo_load::report::{Environment, Parts, Report, Style, text};
use ehlo_load::{
    Calibration, EnvelopeSpec, LedgerEntry, MessageSet, Mode, Options, Results, RunError, Status, Stop, Target,
    Timeouts, calibrate, default_threads, verdict,
};

use super::embedded::Embedded;
use super::process::Listening;
use super::processors::Split;
use super::progress::{Interrupt, Progress};
use super::{Args, EX_FAILED, EX_INVALID, Failure, LineEndings, NullResponder};
use crate::console::tell;

/// How long is measured if nothing else was asked for.
const DURATION: Duration = Duration::from_secs(8);

/// How long the peak is measured, at most.
const PEAK: Duration = Duration::from_secs(3);

/// How long the generator is calibrated, at most.
const CALIBRATION: Duration = Duration::from_secs(2);

/// How long is sent before anything is measured, at most.
const WARM_UP: Duration = Duration::from_secs(1);

/// The share of the peak at which latencies are measured.
const SHARE: f64 = 0.5;

/// Runs all parts and reports. Gives the exit status.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let interrupt = Interrupt::install().map_err(|error| Failure::failed(format!("cannot catch signals: {error}")))?;
    let environment = Environment::now();
    let json = Json::open(args.json.as_deref())?;
    let Corpus { messages, facts, .. } = build_corpus(args)?;
    let target = args.target.as_deref().or(args.target_option.as_deref());
    let threads = args.threads.map_or_else(default_threads, whole);
    // Before the first thread is started, for it gets the processors of the one that starts it.
    let split = if target.is_none() { Split::new(threads) } else { None };
    let session = Session { args, interrupt, environment, facts, json, threads, split };
    match target {
        Some(target) => session.aim(target, messages),
        None => session.embed(messages),
    }
}

fn build_corpus(args: &Args) -> Result<Corpus, Failure> {
    let source = match (&args.corpus, args.size) {
        (Some(path), _) => Source::Path(path.clone()),
        (None, Some(size)) => Source::Sized(size),
        (None, None) => Source::Mixed,
    };
    let line_endings = match args.line_endings {
        LineEndings::Strict => corpus::LineEndings::Strict,
        LineEndings::Normalize => corpus::LineEndings::Normalize,
    };
    corpus::build(&source, line_endings, args.seed).map_err(Failure::usage)
}

/// What all parts share.
struct Session<'a> {
    args: &'a Args,
    interrupt: Interrupt,
    environment: Environment,
    facts: Facts,
    json: Json,
    /// Threads of the generator. Asked for once: the default depends on the processors that this process has.
    threads: usize,
    /// The processors of both ends, where both are ours.
    split: Option<Split>,
}

/// When the generator is calibrated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calibrate {
    /// First of all.
    Before,
    /// At the end: a target that cannot be used should be told of at once.
    After,
}

/// What was measured.
struct Measured {
    options: Options,
    calibration: Option<Calibration>,
    peak: Option<Results>,
    results: Results,
}

impl Session<'_> {
    /// A run against a server that is there.
    fn aim(self, target: &str, messages: MessageSet) -> Result<u8, Failure> {
        let (target, error) = match Target::resolve(target) {
            Ok(target) => (target, None),
            Err(error) => (Target { name: target.to_owned(), addresses: Vec::new() }, Some(error)),
        };
        let options = self.options(target, messages, self.args.target_pid);
        if let Some(error) = error {
            let report =
                Report::unreached(&options, &self.facts, self.environment.clone(), "no_address", error.to_string());
            return self.deliver(&report, None);
        }
        let measured = self.measure(options, Calibrate::After)?;
        let report = self.report(&measured, false, None);
        self.deliver(&report, None)
    }

    /// A run against a server that is started for it.
    fn embed(self, messages: MessageSet) -> Result<u8, Failure> {
        let program = match &self.args.server {
            Some(program) => program.clone(),
            None => own_program()?,
        };
        let threads = self.split.as_ref().map_or(1, Split::server_processors);
        let start = || Embedded::start(&program, self.args.connections, messages.max_size(), threads);
        let server = self.beside(start).map_err(Failure::failed)?;
        let mut options = self.options(server.address().into(), messages, Some(server.pid()));
        options.ledger = true;
        let mut measured = self.measure(options, Calibrate::Before)?;
        // Each part has its own account, and the server has one.
        let mut sent: Vec<LedgerEntry> =
            measured.peak.as_mut().map(|it| std::mem::take(&mut it.ledger)).unwrap_or_default();
        sent.append(&mut measured.results.ledger);
        let (integrity, problem) = match server.finish() {
            Ok(stored) => (Some(integrity::compare(sent, stored)), None),
            Err(problem) => (None, Some(problem)),
        };
        let report = self.report(&measured, true, integrity);
        self.deliver(&report, problem)
    }

    /// Starts a program on the processors that the generator leaves, if they were dealt out.
    fn beside<T>(&self, start: impl FnOnce() -> T) -> T {
        match &self.split {
            Some(split) => split.start(start),
            None => start(),
        }
    }

    fn options(&self, target: Target, messages: MessageSet, target_pid: Option<u32>) -> Options {
        let args = self.args;
        let mut options = Options::new(target, Arc::new(messages));
        options.connections = whole(args.connections);
        options.threads = self.threads;
        options.mode = args.rate.map_or(Mode::Closed, |rate| Mode::Open { rate });
        options.pipelining = !args.no_pipelining;
        options.reconnect = args.reconnect;
        // Messages that were asked for by number are all sent, unless a time was given, too.
        let duration = if args.messages.is_some() { args.duration } else { Some(args.duration.unwrap_or(DURATION)) };
        options.stop = Stop { messages: args.messages, duration };
        // A number of messages may be small: then all of them are measured.
        let usual =
            options.stop.duration.filter(|_| args.messages.is_none()).map_or(Duration::ZERO, |it| WARM_UP.min(it / 2));
        options.warm_up = args.warm_up.unwrap_or(usual);
        options.seed = args.seed;
        options.run_id = run_id();
        options.envelope = EnvelopeSpec { from: args.from.clone(), to: args.to.clone() };
        options.ehlo_name = args.ehlo_name.clone();
        options.target_pid = target_pid;
        if let Some(timeout) = args.timeout {
            options.timeouts = Timeouts {
                connect: timeout,
                greeting: timeout,
                command: timeout,
                block: timeout,
                end_of_data: timeout,
            };
        }
        options
    }

    /// All parts but the comparison.
    fn measure(&self, options: Options, when: Calibrate) -> Result<Measured, Failure> {
        let before = when == Calibrate::Before && !self.args.no_calibrate;
        let calibration = if before { Some(self.calibrate(&options)?) } else { None };
        let mut measured = self.send(options, calibration)?;
        // Against a server that took nothing there is nothing to compare with.
        let after = when == Calibrate::After && !self.args.no_calibrate;
        if after && measured.results.accepted_in_window > 0 && !self.interrupt.is_set() {
            let calibration = self.calibrate(&measured.options)?;
            measured.calibration = Some(measured.peak.as_ref().map_or(calibration, |it| calibration.raised_by(it)));
        }
        Ok(measured)
    }

    /// The parts that the server has to do with.
    fn send(&self, mut options: Options, calibration: Option<Calibration>) -> Result<Measured, Failure> {
        let args = self.args;
        if args.rate.is_some() || args.closed || args.messages.is_some() {
            let results = self.part("measuring", &options)?;
            return Ok(Measured { options, calibration, peak: None, results });
        }
        let mut first = options.clone();
        first.stop.duration = first.stop.duration.map(|it| it.min(PEAK));
        let peak = self.part("peak", &first)?;
        let rate = peak.messages_per_second() * SHARE;
        if self.interrupt.is_set() || rate <= 0.0 {
            return Ok(Measured { options: first, calibration, peak: None, results: peak });
        }
        options.mode = Mode::Open { rate };
        options.run_id = first.run_id.wrapping_add(1);
        let results = self.part("half peak", &options)?;
        let calibration = calibration.map(|it| it.raised_by(&peak));
        Ok(Measured { options, calibration, peak: Some(peak), results })
    }

    fn part(&self, what: &'static str, options: &Options) -> Result<Results, Failure> {
        let how = match options.mode {
            Mode::Closed => "closed loop".to_owned(),
            Mode::Open { rate } => format!("open loop at {} messages/s", number(rate)),
        };
        let progress = Progress::new(what, &how, &self.interrupt, self.args.quiet);
        ehlo_load::run(options, &progress).map_err(failure)
    }

    /// What the generator can do, against a responder in a process of its own.
    fn calibrate(&self, options: &Options) -> Result<Calibration, Failure> {
        let program = own_program()?;
        let listen = ([127, 0, 0, 1], 0).into();
        let start = || Listening::start("the null responder", &program, NullResponder::command(listen));
        let responder = self.beside(start).map_err(Failure::failed)?;
        let how = "against a responder that does nothing";
        let progress = Progress::new("calibrating", how, &self.interrupt, self.args.quiet);
        let duration = options.stop.duration.map_or(CALIBRATION, |it| it.min(CALIBRATION));
        calibrate(options, responder.address(), duration, &progress).map_err(|error| match error {
            RunError::Calibration { .. } if self.interrupt.is_set() => {
                Failure::failed("interrupted before anything was sent")
            }
            error => failure(error),
        })
    }

    fn report(&self, measured: &Measured, embedded: bool, integrity: Option<integrity::Integrity>) -> Report {
        let Measured { options, calibration, peak, results } = measured;
        Report::new(Parts {
            embedded,
            options,
            corpus: &self.facts,
            environment: self.environment.clone(),
            calibration: *calibration,
            peak: peak.as_ref(),
            results,
            integrity,
            verdict: verdict(results, calibration.as_ref()),
        })
    }

    /// Writes the report and says in a line what went wrong. Gives the exit status.
    fn deliver(self, report: &Report, problem: Option<String>) -> Result<u8, Failure> {
        let cannot = |what: &dyn std::fmt::Display, error: &dyn std::fmt::Display| {
            Failure::failed(format!("cannot write the report to {what}: {error}"))
        };
        let as_json = report.json().map_err(|error| cannot(&"JSON", &error))?;
        let mut stdout = io::stdout().lock();
        let printed = if let Json::Stdout = self.json {
            stdout.write_all(as_json.as_bytes())
        } else {
            let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
            stdout.write_all(text(report, Style { colour }).as_bytes())
        };
        printed.and_then(|()| stdout.flush()).map_err(|error| cannot(&"the standard output", &error))?;
        if let Json::File(path, mut file) = self.json {
            file.write_all(as_json.as_bytes()).map_err(|error| cannot(&path.display(), &error))?;
        }

        let ok = report.ok() && problem.is_none();
        if let Some(line) = problem.or_else(|| complaint(report)) {
            tell("load", line);
        }
        Ok(match report.verdict.status {
            _ if !ok => EX_FAILED,
            Status::Invalid => EX_INVALID,
            Status::Valid | Status::Suspect => 0,
        })
    }
}

/// What is to be said in one line, if anything went wrong.
fn complaint(report: &Report) -> Option<String> {
    if report.integrity.as_ref().is_some_and(|it| !it.ok) {
        return Some("the server's store does not hold what it acknowledged".to_owned());
    }
    if report.ok() {
        return None;
    }
    let else_wrong = match report.totals.accepted {
        0 if report.ended == "stopped" => "interrupted before a message was accepted",
        0 => "no message was accepted",
        _ => "not every message was accepted",
    };
    Some(report.first_failure.clone().unwrap_or_else(|| else_wrong.to_owned()))
}

/// An error of the run as a line and an exit status.
fn failure(error: RunError) -> Failure {
    match error {
        RunError::Option { .. } | RunError::Limit { .. } | RunError::Target { .. } => Failure::usage(error),
        error => Failure::failed(error),
    }
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}")))
}

/// More than there are addresses is refused as too much later on.
fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A number that no other run has: the time in nanoseconds. A run has two of them at most.
fn run_id() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |it| it.as_nanos() as u64)
}

/// Where the JSON report goes.
enum Json {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

impl Json {
    /// Opens the file before the run, so that a wrong path is told at once.
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            None => Ok(Self::Nowhere),
            Some(path) if path.as_os_str() == "-" => Ok(Self::Stdout),
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Self::File(path.to_owned(), file)),
                Err(error) => Err(Failure::usage(format!("cannot write {}: {error}", path.display()))),
            },
        }
    }
}
