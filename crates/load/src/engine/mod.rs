//! Runs a run: checks what it needs, starts the threads, tells them when to begin, and puts together what they counted.

mod conn;
mod connect;
mod control;
mod drain;
mod ending;
mod schedule;
mod source;
mod supervisor;
mod tally;
mod timer;
mod window;
mod worker;

use crate::{Mode, Observer, Options, Results, RunError, system};
use control::Control;
use ehlo_client::codec::{ForwardPath, PathFault, ReversePath};
use ehlo_client::{Config, Recipient, Timeouts};
use mio::{Poll, Waker};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use supervisor::Supervisor;
use worker::{Setup, WAKER, Worker};

/// The highest rate that a schedule is made for, in messages per second. No generator comes near it.
const MAX_RATE: f64 = 1e7;
/// How long an idle session is kept. Servers close after five minutes (RFC 5321 §4.5.3.2.7), and a QUIT of our own is no failure.
const IDLE: Duration = Duration::from_secs(240);

/// Drives the target as the options say, and returns what was found.
///
/// The connections are made first; then the warm-up begins, and then the measured part. With
/// [`reconnect`](Options::reconnect) there are none to make. A target that cannot be reached or used is no error of the run: it
/// ends soon, with [`Ended::GaveUp`](crate::Ended::GaveUp), its failures counted, and the first of them in words. Every run ends:
/// each wait has a deadline.
///
/// # Errors
///
/// [`RunError`] if the run could not begin: an option makes no sense, or the machine's limits are too low.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Results, RunError> {
    let checked = Checked::new(options)?;
    let threads = options.threads.min(options.connections);
    let address = choose_address(options)?;
    system::raise_descriptors(options.connections, threads)?;
    source::check_ports(options, address)?;

    let (from, to) = checked.paths()?;
    let control = Control::new(threads);
    let origin = Instant::now();
    let started_at = SystemTime::now();
    let setup = Setup {
        options,
        address,
        threads,
        from,
        to: &to,
        config: Arc::clone(&checked.config),
        control: &control,
        origin,
    };
    let (sender, reports) = std::sync::mpsc::channel();
    let mut workers = Vec::with_capacity(threads);
    let mut wakers = Vec::with_capacity(threads);
    for thread in 0..threads {
        let failed = || RunError::os("set up a thread's poll");
        let poll = Poll::new().map_err(failed())?;
        wakers.push(Waker::new(poll.registry(), WAKER).map_err(failed())?);
        workers.push(Worker::new(&setup, thread, poll, sender.clone()).map_err(failed())?);
    }
    drop(sender);

    let mut supervisor = Supervisor::new(&setup, &wakers, &reports);
    let tallies = std::thread::scope(|scope| {
        let mut handles = Vec::with_capacity(threads);
        let mut failure = None;
        for (thread, worker) in workers.into_iter().enumerate() {
            let finished = supervisor::Finished(worker.reports());
            let spawned = std::thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(scope, move || {
                // Told even by a panic, so that nobody waits for this thread.
                let _finished = finished;
                worker.run()
            });
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(error) => failure = failure.or(Some(RunError::os("start a thread")(error))),
            }
        }
        if failure.is_some() {
            supervisor.call_off();
        }
        supervisor.watch(observer);
        let mut tallies = Vec::with_capacity(threads);
        for handle in handles {
            match handle.join() {
                Ok(Ok(tally)) => tallies.push(tally),
                Ok(Err(error)) => failure = failure.or(Some(RunError::os("wait for events")(error))),
                // A bug of ours: let it be seen.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failure.map_or(Ok(tallies), Err)
    })?;
    Ok(supervisor.results(tallies, started_at))
}

/// Options that make sense, with what was derived from them.
struct Checked {
    from: String,
    to: Vec<String>,
    config: Arc<Config>,
}

impl Checked {
    fn new(options: &Options) -> Result<Self, RunError> {
        let at_least_one = |name, value: usize| match value {
            0 => Err(RunError::option(name, "must be at least 1".to_owned())),
            _ => Ok(()),
        };
        at_least_one("connections", options.connections)?;
        at_least_one("threads", options.threads)?;
        at_least_one("recipients", options.envelope.to.len())?;
        if let Mode::Open { rate } = options.mode
            && !(rate > 0.0 && rate <= MAX_RATE)
        {
            return Err(RunError::option(
                "rate",
                format!("must be above 0 and at most {MAX_RATE} messages per second"),
            ));
        }
        if options.stop.messages.is_none() && options.stop.duration.is_none() {
            return Err(RunError::option("stop", "a number of messages or a duration must end the run".to_owned()));
        }
        let limits = &options.timeouts;
        if [limits.connect, limits.greeting, limits.command, limits.block, limits.end_of_data].contains(&Duration::ZERO)
        {
            return Err(RunError::option("timeouts", "must be above zero".to_owned()));
        }
        let timeouts = Timeouts {
            tls: limits.command,
            auth: limits.command,
            greeting: limits.greeting,
            ehlo: limits.command,
            mail: limits.command,
            rcpt: limits.command,
            data: limits.command,
            block: limits.block,
            end_of_data: limits.end_of_data,
            quit: limits.command,
            idle: IDLE,
        };
        let config = Config::new(&options.ehlo_name)
            .map_err(|e| RunError::option("ehlo_name", format!("{:?}: {e}", options.ehlo_name)))?
            .pipelining(options.pipelining)
            .max_recipients(options.envelope.to.len())
            // Messages are measured as DATA, the way that every server knows.
            .chunking(false)
            .timeouts(timeouts);
        let path = |address: &String| format!("<{address}>");
        let to = options.envelope.to.iter().map(path).collect();
        Ok(Self { from: path(&options.envelope.from), to, config: Arc::new(config) })
    }

    fn paths(&self) -> Result<(ReversePath<'_>, Vec<Recipient<'_>>), RunError> {
        let bad = |path: &str, why: &dyn std::fmt::Display| RunError::option("envelope", format!("{path}: {why}"));
        let from = whole(ReversePath::parse_prefix(self.from.as_bytes())).map_err(|e| bad(&self.from, &e))?;
        let to = self
            .to
            .iter()
            .map(|path| {
                whole(ForwardPath::parse_prefix(path.as_bytes())).map(Recipient::from).map_err(|e| bad(path, &e))
            })
            .collect::<Result<_, _>>()?;
        Ok((from, to))
    }
}

/// A path with nothing behind it.
fn whole<P>(parsed: Result<(P, &[u8]), PathFault>) -> Result<P, PathFault> {
    match parsed? {
        (path, []) => Ok(path),
        _ => Err(PathFault::Brackets),
    }
}

/// The one address, or the first of several that takes a connection. Without any, the first: the run will say what is wrong.
fn choose_address(options: &Options) -> Result<SocketAddr, RunError> {
    let target = &options.target;
    let Some(first) = target.addresses.first().copied() else {
        return Err(RunError::Target { name: target.name.clone(), why: "it has no address".to_owned() });
    };
    if target.addresses.len() == 1 {
        return Ok(first);
    }
    let reachable = |address: &&SocketAddr| TcpStream::connect_timeout(address, options.timeouts.connect).is_ok();
    Ok(target.addresses.iter().find(reachable).copied().unwrap_or(first))
}
