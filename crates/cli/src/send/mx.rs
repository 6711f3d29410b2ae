//! Delivery to the recipients' domains, whose hosts DNS tells (RFC 5321 §5.1).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use ehlo_tokio::client::{Client, Envelope, Recipient, Report, SendError};
use ehlo_tokio::dns::Zone;
use ehlo_tokio::ehlo_client::codec::ReversePath;
use ehlo_tokio::ehlo_client::{CloseReason, Fate, Job};
use ehlo_tokio::route::{Attempts, Builder, RouteError, Router, Timeouts};

use super::address::To;
use super::message::Message;
use super::report;
use super::work::{Plan, send};
use crate::console::tell;
use crate::failure::{EX_NOINPUT, EX_UNAVAILABLE, Failure, exit_code};

/// Whether there is no server, but domains.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MxOptions {
    /// Deliver to the recipients' domains, to the hosts that DNS names for them, and to no SERVER: TLS where a host offers it, whoever it is, unless --tls
    /// says more
    #[arg(long, conflicts_with_all = ["connections", "lmtp", "auth", "auth_mechanism"])]
    pub(super) mx: bool,

    /// The port of these hosts, for tests
    #[arg(long, value_name = "PORT", hide = true, requires = "mx", value_parser = clap::value_parser!(u16).range(1..))]
    mx_port: Option<u16>,

    /// What DNS says, for tests: lines such as `example.org MX 10 mx.example.org`
    #[arg(long, value_name = "FILE", hide = true, requires = "mx")]
    mx_zone: Option<PathBuf>,

    /// Connect to addresses of loopback, for tests
    #[arg(long, hide = true, requires = "mx")]
    mx_loopback: bool,
}

impl MxOptions {
    /// What finds the hosts, if it is wanted.
    pub(super) fn router(&self, connect_timeout: Option<f64>) -> Result<Option<Router>, Failure> {
        if !self.mx {
            return Ok(None);
        }
        let mut builder = match &self.mx_zone {
            None => by_dns()?,
            Some(file) => {
                let name = file.display();
                let fail = |error: &dyn std::fmt::Display| Failure::new(EX_NOINPUT, format_args!("{name}: {error}"));
                let text = std::fs::read_to_string(file).map_err(|error| fail(&error))?;
                Router::builder(text.parse::<Zone>().map_err(|error| fail(&error))?)
            }
        };
        if let Some(time) = connect_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            let mut times = Timeouts::default();
            times.connect = time;
            builder = builder.timeouts(times);
        }
        Ok(Some(builder.port(self.mx_port.unwrap_or(25)).allow_loopback(self.mx_loopback).build()))
    }
}

#[cfg(feature = "dns")]
fn by_dns() -> Result<Builder, Failure> {
    match ehlo_tokio::dns::SystemResolver::new() {
        Ok(resolver) => Ok(Router::builder(resolver)),
        Err(error) => {
            Err(Failure::new(crate::failure::EX_TEMPFAIL, format_args!("--mx: DNS cannot be asked: {error}")))
        }
    }
}

#[cfg(not(feature = "dns"))]
fn by_dns() -> Result<Builder, Failure> {
    Err(Failure::new(
        EX_UNAVAILABLE,
        "--mx asks DNS, and this program is built without it: build it with the feature dns",
    ))
}

/// A domain, and which of the recipients are in it.
struct Way {
    domain: String,
    to: Vec<To>,
    client: Option<Client>,
}

/// What became of a message to a domain.
struct Outcome {
    report: Report,
    /// There was no way, or none that led to its end.
    no_way: Option<RouteError>,
    /// The message itself can't be sent.
    error: Option<SendError>,
}

/// Delivers each message to each domain, one after the other; gives the exit status.
pub(super) async fn run(plan: &Plan, router: &Router) -> u8 {
    let mut ways = match ways(&plan.to) {
        Ok(ways) => ways,
        Err(failure) => {
            tell(plan.command, failure.message);
            return failure.code;
        }
    };
    let (mut worst, many) = (0, ways.len() > 1);
    for (message, from) in &plan.messages {
        for way in &mut ways {
            let prefix = if many { format!("[{}] ", way.domain) } else { String::new() };
            let outcome = way.deliver(plan, router, message, from, &prefix).await;
            worst = report::worse(worst, outcome.exit_code());
            plan.progress.suspend(|| way.tell(plan, message, from, &outcome));
        }
        plan.progress.inc(1);
    }
    for client in ways.into_iter().filter_map(|way| way.client).filter(|client| client.closed().is_none()) {
        // All is said; how the server takes its leave changes nothing.
        let _ = client.quit().await;
    }
    plan.progress.finish_and_clear();
    worst
}

/// The recipients by their domains, in the order in which these come first.
fn ways(to: &[To]) -> Result<Vec<Way>, Failure> {
    let (mut ways, mut numbers) = (Vec::<Way>::new(), HashMap::new());
    for one in to {
        let path = one.path();
        let Some((_, domain)) = path.trim_matches(['<', '>']).rsplit_once('@') else {
            return Err(Failure::usage(format_args!("--to {}: it has no domain to deliver to", one.text)));
        };
        let number = *numbers.entry(domain.to_lowercase()).or_insert_with_key(|domain| {
            ways.push(Way { domain: domain.clone(), to: Vec::new(), client: None });
            ways.len() - 1
        });
        ways[number].to.push(one.clone());
    }
    Ok(ways)
}

impl Way {
    /// Goes from host to host until none of the recipients is left for whom nothing was sent.
    async fn deliver(&mut self, plan: &Plan, router: &Router, message: &Message, from: &str, prefix: &str) -> Outcome {
        let to: Vec<Recipient<'_>> = self.to.iter().filter_map(To::recipient).collect();
        let report = Job::new(Envelope::new(ReversePath::Null, &to)).into_report();
        let mut outcome = Outcome { report, no_way: None, error: None };
        let (mut left, mut attempts) = ((0..to.len()).collect::<Vec<_>>(), None);
        loop {
            let used = self.client.as_mut().is_some_and(Client::is_usable);
            if !used {
                if let Some(old) = self.client.take().filter(|client| client.closed().is_none()) {
                    let _ = old.quit().await;
                }
                match open(plan, router, &self.domain, &mut attempts, prefix).await {
                    Ok(client) => self.client = Some(client),
                    Err(error) => {
                        outcome.no_way = Some(error);
                        return outcome;
                    }
                }
            }
            let Some(client) = self.client.as_mut() else { return outcome };
            let batch: Vec<Recipient<'_>> = left.iter().map(|place| to[*place]).collect();
            let (part, error) = send(plan, client, message, from, &batch).await;
            outcome.report.merge(&left, &part);
            let still: Vec<usize> = part.unsent().map(|i| left[i]).collect();
            match error {
                None => {}
                Some(
                    error
                    @ (SendError::Body(..) | SendError::Read(..) | SendError::LineEnding(_) | SendError::Begin(_)),
                ) => {
                    outcome.error = Some(error);
                    return outcome;
                }
                Some(error) => tell(plan.command, format_args!("{}: {error}", self.domain)),
            }
            if still.is_empty() {
                return outcome;
            }
            // A host that took some, or a message before, takes more over another connection. One that took none is left.
            if used || still.len() < left.len() {
                attempts = None;
            }
            left = still;
            // Whatever it says of itself, nothing more goes over this one.
            if let Some(client) = self.client.take().filter(|client| client.closed().is_none()) {
                let _ = client.quit().await;
            }
        }
    }

    fn tell(&self, plan: &Plan, message: &Message, from: &str, outcome: &Outcome) {
        let name = &message.source.name;
        let words = match (&outcome.no_way, &outcome.error) {
            (Some(error), _) => Some(error.to_string()),
            (None, Some(error)) => Some(error.to_string()),
            (None, None) => None,
        };
        if plan.json {
            let refused = outcome.no_way.as_ref().map(RouteError::reply);
            let (client, report) = (self.client.as_ref(), &outcome.report);
            let refused = refused.as_ref();
            return report::json(message, from, &self.to, client, report, words.as_deref(), refused);
        }
        if let Some(words) = words {
            tell(plan.command, format_args!("{name}: {words}"));
        }
        // Of those to whom there was no way, the line before says it.
        if outcome.no_way.is_none() || outcome.report.iter().any(|fate| !matches!(fate, Fate::Unsent)) {
            report::lines(plan.command, plan.quiet, name, &self.to, &outcome.report, false);
        }
    }
}

impl Outcome {
    fn exit_code(&self) -> u8 {
        let mut worst = 0;
        for fate in self.report.iter() {
            let code = match (&fate, &self.no_way, &self.error) {
                (Fate::Unsent, Some(error), _) if !error.is_transient() => EX_UNAVAILABLE,
                (Fate::Unsent, None, Some(SendError::Read(..))) => EX_NOINPUT,
                (Fate::Unsent, None, Some(error)) => exit_code(error),
                _ => report::exit_code(&fate, false),
            };
            worst = report::worse(worst, code);
        }
        worst
    }
}

/// A session with the next host of a domain that wants one.
async fn open(
    plan: &Plan,
    router: &Router,
    domain: &str,
    attempts: &mut Option<Attempts>,
    prefix: &str,
) -> Result<Client, RouteError> {
    let attempts = match attempts {
        Some(attempts) => attempts,
        None => attempts.insert(router.attempts(domain).await?),
    };
    loop {
        let connected = attempts.next().await?;
        let (host, address) = (connected.host, connected.address);
        let observer = report::observer(plan.verbose, prefix.to_owned());
        match plan.connector.over(connected.stream, &host.server_name(), observer).await {
            Ok(client) => return Ok(client),
            Err(error) => {
                tell(plan.command, format_args!("{} at {address}: {error}", host.name.escape_debug()));
                if let SendError::Refused(CloseReason::Refused(code), _)
                | SendError::Closed(CloseReason::Refused(code)) = error
                {
                    attempts.refused(code);
                }
            }
        }
    }
}
