//! `ehlo serve`: a server that takes any message.

mod args;
mod config;
mod given;
mod log;
mod metrics;
mod records;
mod rules;
mod run;
mod store;
mod tls;
mod users;

use std::process::ExitCode;
use std::time::Duration;

use ehlo_policy::Ruled;
use ehlo_tokio::ehlo_server::{Config, Protocol, TlsMode};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, Memory, Store, Verify};
use ehlo_tokio::{AcceptAll, ConnectionLimits, LogLimits, Server, Settings};

pub(crate) use self::args::Args;
pub(crate) use self::given::Given;
use self::records::Ledger;
use self::run::{Hangup, Service, run_server};
use self::store::{MEMORY, StoreKind};
use crate::console::tell;

/// The port of SMTP (RFC 5321 §2.1).
const SMTP_PORT: u16 = 25;

/// Why there is no server.
#[derive(Debug)]
enum Failure {
    Usage(String),
    Start(String),
}

/// Runs the command. `given` are the options that stand on the command line.
pub(crate) fn run(args: Args, given: &Given) -> ExitCode {
    match start(args, given) {
        Ok(code) => code,
        Err(Failure::Usage(message)) => {
            tell("serve", message);
            ExitCode::from(2)
        }
        Err(Failure::Start(message)) => {
            tell("serve", message);
            ExitCode::from(1)
        }
    }
}

fn start(args: Args, given: &Given) -> Result<ExitCode, Failure> {
    if let Some(code) = config::answer(&args)? {
        return Ok(code);
    }
    if args.config.file.is_none()
        && !args.allow_remote
        && let Some(address) =
            args.listen.iter().chain(&args.listen_tls).find(|address| !address.ip().to_canonical().is_loopback())
    {
        return Err(Failure::Usage(format!(
            "other hosts can reach {address}, and this server takes mail from anybody for anybody; if that is meant, say --allow-remote"
        )));
    }
    if let Some(address) =
        args.metrics.filter(|address| !args.allow_remote && !address.ip().to_canonical().is_loopback())
    {
        return Err(Failure::Usage(format!(
            "other hosts can reach {address}, and would be told what this server does; if that is meant, say --allow-remote"
        )));
    }
    if args.lmtp
        && let Some(address) = args.listen.iter().chain(&args.listen_tls).find(|address| address.port() == SMTP_PORT)
    {
        return Err(Failure::Usage(format!("{address}: LMTP must not be spoken on port 25 (RFC 2033 §5)")));
    }
    if args.ledger.is_some() && args.store != StoreKind::Verify {
        return Err(Failure::Usage("--ledger needs --store verify".to_owned()));
    }
    if given.has("seed") && args.rules.is_none() && args.config.file.is_none() {
        return Err(Failure::Usage("--seed needs rules: --rules <FILE>, or those of --config <FILE>".to_owned()));
    }
    if args.check_rules {
        return rules::check(&args);
    }
    log::begin(args.log_level, args.log_format).map_err(|error| Failure::Start(format!("cannot log: {error}")))?;
    if args.config.file.is_some() {
        return config::serve(&args, given);
    }
    match &args.store {
        StoreKind::Discard => serve(&args, Discard),
        StoreKind::Memory => serve(&args, Memory::new(MEMORY)),
        StoreKind::Maildir(path) => serve(&args, store::maildir(path)?),
        StoreKind::Mbox(path) => serve(&args, store::mbox(path)?),
        StoreKind::Lmtp(address) => serve(&args, store::lmtp(address, &args.hostname)?),
        StoreKind::Verify => {
            let store = Verify::default();
            let ledger = Ledger::create(&args)?;
            let code = serve(&args, store.clone())?;
            ledger.write(&store)?;
            Ok(code)
        }
    }
}

fn serve<S: Store>(args: &Args, store: S) -> Result<ExitCode, Failure> {
    let mut config = Config::new(&args.hostname)
        .map_err(|error| Failure::Usage(format!("--hostname {}: {error}", args.hostname)))?;
    if args.lmtp {
        config.protocol = Protocol::Lmtp;
    }
    config.limits.message_size = args.max_size;
    config.limits.recipients = args.max_recipients as usize;
    config.limits.transactions = args.max_messages;
    config.limits.received = args.max_received.0;
    config.requiretls = !args.tls.is_empty();
    args.store.restrict(&mut config);
    let tls = tls::load(args).map_err(|error| Failure::Start(format!("--tls: {error}")))?;
    config.tls = match (&tls, args.require_tls) {
        (None, _) => TlsMode::Off,
        (Some(_), false) => TlsMode::StartTls,
        (Some(_), true) => TlsMode::Required,
    };
    config.auth.allow_plaintext_auth = args.allow_plaintext_auth;
    config.auth.require_auth = args.require_auth;
    let users = users::load(args)?;
    let rules = rules::load(args)?.unwrap_or_default();
    let limits = ConnectionLimits::default()
        .total(args.max_connections as usize)
        .per_address(args.max_connections_per_address.unwrap_or(args.max_connections) as usize)
        .stress(args.stress);
    let metrics = Metrics::new();
    let mut server = Server::builder(Ruled::new(rules.clone(), AcceptAll(store)))
        .config(config)
        .limits(limits)
        .log_limits(LogLimits::default().lines(args.log_lines))
        .metrics(metrics.clone())
        .proxies(args.proxy_protocol_from.iter().copied())
        .drain(Duration::from_secs(args.drain));
    if let Some(tls) = &tls {
        server = server.tls(tls.clone());
    }
    if let Some(users) = users {
        server = server.authenticator(users);
    }
    let hangup = tls.map(|tls| -> Hangup {
        Box::new(move |_: &Settings| match tls.reload() {
            Ok(()) => "certificates and keys were loaded anew".to_owned(),
            Err(error) => format!("the certificates and keys are kept as they were: {error}"),
        })
    });
    run_server(
        args,
        Service {
            server,
            listen: args.listen.clone(),
            listen_tls: args.listen_tls.clone(),
            threads: args.threads,
            connections: args.max_connections as usize,
            hangup,
            rules: Box::new(move || rules.clone()),
            metrics,
        },
    )
}
