//! `ehlo serve`: a server that takes any message.

mod config;
mod given;
mod log;
mod metrics;
mod records;
mod rules;
mod tls;
mod users;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ehlo_policy::{Ruled, Rules};
use ehlo_tokio::ehlo_server::{Config, Protocol, TlsMode};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, Maildir, Memory, Store, Verify};
use ehlo_tokio::{
    AcceptAll, Builder, ConnectionLimits, Listener, LogLimits, Network, Policy, Server, Settings, Summary, Workers,
};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

pub(crate) use self::given::Given;
use self::records::Ledger;
use crate::console::{print, tell};

/// Connections that wait to be accepted. The system may have a lower limit (net.core.somaxconn).
const BACKLOG: u32 = 4096;

/// File descriptors that are not connections: listeners, event queues, files of a maildir, and a reserve.
const OTHER_FILES: u64 = 128;

/// The port of SMTP (RFC 5321 §2.1).
const SMTP_PORT: u16 = 25;

/// Body bytes that `--store memory` keeps.
const MEMORY: usize = 1 << 30;

/// Run an SMTP server that takes any message for anybody, for tests.
///
/// It prints `listening on ADDRESS:PORT` as soon as clients can connect, one line for each --listen, then one for each --listen-tls with
/// ` (tls)` behind it, one with ` (metrics)` behind it for --metrics, and nothing else on the standard output. SIGHUP has it load certificates and keys anew, and the file of --config. SIGTERM and Ctrl-C end it gracefully: messages on their way are taken to their end, other connections get 421, and a line on
/// the standard error sums up. A second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ehlo serve --listen 127.0.0.1:0 --store discard\n  \
                        ehlo serve --store maildir:/tmp/mail --log-format json --metrics 127.0.0.1:9125\n  \
                        ehlo serve --tls self-signed --listen-tls 127.0.0.1:4465\n  \
                        ehlo serve --rules rules.toml --seed 7\n\n\
                        Exit status: 0 after a graceful end, 1 if it could not start or a connection was cut off, 2 for wrong usage.")]
pub(crate) struct Args {
    #[command(flatten)]
    config: config::ConfigArgs,

    /// Where to listen, as IP:PORT. Port 0 takes a free one. Can be given more than once
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2525", value_parser = address)]
    listen: Vec<SocketAddr>,

    /// Offer STARTTLS, with the certificate chain and the key of these PEM files, or one made for --hostname on the spot.
    ///
    /// Given more than once, a client is shown the certificate for the name that it asks for, and otherwise the first.
    #[arg(long, value_name = "self-signed|CERT.pem,KEY.pem", value_parser = tls::source)]
    tls: Vec<tls::Source>,

    /// Where to listen for clients that begin with TLS. Can be given more than once
    #[arg(long, value_name = "ADDR", value_parser = address, requires = "tls")]
    listen_tls: Vec<SocketAddr>,

    /// Obey nothing but NOOP, EHLO, STARTTLS and QUIT before TLS: 530
    #[arg(long, requires = "tls")]
    require_tls: bool,

    /// Verify the certificates of clients that show one by the authorities of this PEM file
    #[arg(long, value_name = "FILE", requires = "tls")]
    client_ca: Option<PathBuf>,

    /// Let this user authenticate, inside of TLS. Can be given more than once.
    ///
    /// Whoever may list the processes of this host can read it: for tests only.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Vec<users::User>,

    /// Let users authenticate outside of TLS, too, where everybody on the way can read passwords
    #[arg(long, requires = "user")]
    allow_plaintext_auth: bool,

    /// Take mail of those only who have authenticated: 530
    #[arg(long, requires = "user")]
    require_auth: bool,

    /// Offer CRAM-MD5 as well, for old clients
    #[arg(long, requires = "user")]
    cram_md5: bool,

    /// What becomes of messages.
    ///
    /// discard throws them away; memory keeps up to 1 GiB of them until the end; verify keeps the id, length and digest of each; and
    /// maildir:PATH puts each into a file of a maildir, which is on the disk, synced, before the client is told so.
    #[arg(long, value_name = "STORE", default_value = "discard")]
    store: StoreKind,

    /// Where --store verify writes its records when the server ends
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// Speak LMTP (RFC 2033) in place of SMTP: LHLO, and a reply for each recipient. Not on port 25
    #[arg(long)]
    lmtp: bool,

    /// The server's name in its greeting: a domain, or an address in brackets
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    hostname: String,

    /// The largest message in bytes; K, M or G may follow the number
    #[arg(long, value_name = "BYTES", default_value = "50M", value_parser = bytes)]
    max_size: u64,

    /// The most recipients of one message
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    max_recipients: u32,

    /// The most messages over one connection, told in the reply to EHLO as LIMITS MAILMAX; one more gets 421. Without it, any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=999_999))]
    max_messages: Option<u32>,

    /// The most Received fields of a message: one with more goes round in a loop and gets 554. `off` takes them all
    #[arg(long, value_name = "N|off", default_value = "100", value_parser = received)]
    max_received: Received,

    /// Believe proxies in this network when they tell by the PROXY protocol whose connection they pass on. Can be given more than once.
    ///
    /// A network is an address, or one with the number of its leading bits, such as 10.0.0.0/8. A connection from there has to begin with
    /// a header of version 1 or 2, before TLS too, within 5 seconds; the address in it is then the client's. One from elsewhere must not.
    #[arg(long, value_name = "NETWORK")]
    proxy_protocol_from: Vec<Network>,

    /// The most connections at a time; one more gets 421
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,

    /// The most connections at a time from one address. Without it, only --max-connections counts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_address: Option<u32>,

    /// Of a hundred places that --max-connections gives, how many may be taken until clients get less time: ten seconds for a command,
    /// and three errors. `off` treats them alike
    #[arg(long, value_name = "PERCENT|off", default_value = "80", value_parser = stress)]
    stress: u8,

    /// Threads that serve connections. Without it, one for each processor
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Answer by the rules of this file: any reply, or none, at any stage, for tests of clients. The book tells what they can do
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// Look whether --rules can be read, and what is unusual in it, and serve nobody
    #[arg(long, requires = "rules")]
    check_rules: bool,

    /// What rules leave to chance begins with this number: the same one gives the same answers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// How many seconds messages may take to end after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,

    /// Listen where other hosts can connect, too
    #[arg(long)]
    allow_remote: bool,

    /// End as after a signal when the standard input ends: for a program that starts this one, however it ends itself
    #[arg(long, hide = true)]
    until_eof: bool,

    /// What is logged on the standard error: off, error, warn, info, debug or trace. Never messages or passwords.
    ///
    /// At info it is a line for each message, for each refusal and for the end of each connection.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,

    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: log::Format,

    /// The most log lines that one address may cause in a minute; behind it a line tells how many more there were. 0 is any number
    #[arg(long, value_name = "N", default_value_t = 1000)]
    log_lines: u32,

    /// Where to answer GET /metrics for Prometheus, as IP:PORT
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum StoreKind {
    Discard,
    Memory,
    Verify,
    Maildir(PathBuf),
}

impl FromStr for StoreKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "discard" => Ok(Self::Discard),
            None if text == "memory" => Ok(Self::Memory),
            None if text == "verify" => Ok(Self::Verify),
            Some(("maildir", path)) if !path.is_empty() => Ok(Self::Maildir(path.into())),
            _ => Err("a store is discard, memory, verify or maildir:PATH"),
        }
    }
}

/// An IP address with a port. A name is none: it may have several addresses, and not all on loopback.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address to listen on is IP:PORT, such as 127.0.0.1:2525 or [::1]:0")
}

/// A number of bytes with an optional unit of 1024.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "a size is a number, perhaps with K, M or G behind it")?;
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number && number > 0).ok_or("the size is out of range")
}

/// How many `Received:` fields a message may have, if they are counted. A type of its own, since clap reads an `Option` as one that may be
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Received(Option<u32>);

/// A number, or `off`.
fn received(text: &str) -> Result<Received, &'static str> {
    match text {
        "off" => Ok(Received(None)),
        _ => text.parse().map(|most| Received(Some(most))).map_err(|_| "the most Received fields are a number, or off"),
    }
}

/// A share in hundredths, or `off`.
fn stress(text: &str) -> Result<u8, &'static str> {
    match text {
        "off" => Ok(100),
        _ => text.parse().ok().filter(|share| *share <= 100).ok_or("the share of the places is 0 to 100, or off"),
    }
}

/// Why there is no server.
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
        StoreKind::Maildir(path) => {
            let store = Maildir::open(path)
                .map_err(|error| Failure::Start(format!("cannot use {} as a maildir: {error}", path.display())))?;
            serve(&args, store)
        }
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

/// What is done at SIGHUP, on a thread that may block. Gives what there is to tell of it.
type Hangup = Box<dyn Fn(&Settings) -> String + Send + Sync>;

/// A server that is about to run.
struct Service<P> {
    server: Builder<P>,
    listen: Vec<SocketAddr>,
    listen_tls: Vec<SocketAddr>,
    threads: Option<NonZeroUsize>,
    connections: usize,
    hangup: Option<Hangup>,
    /// Those that are in force, for what is told at the end.
    rules: Box<dyn Fn() -> Rules>,
    metrics: Metrics,
}

fn run_server<P: Policy>(args: &Args, service: Service<P>) -> Result<ExitCode, Failure> {
    let Service { server, listen: plain, listen_tls, threads, connections, hangup, rules, metrics } = service;
    raise_file_limit(connections as u64 + OTHER_FILES);
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let cannot_start = |error: io::Error| Failure::Start(format!("cannot start: {error}"));
    let workers = Workers::new(threads).map_err(cannot_start)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    let server = server.workers(workers).build();
    let summary = runtime.block_on(async {
        let mut listeners = Vec::new();
        let plain = plain.into_iter().map(|address| (address, false));
        for (address, tls) in plain.chain(listen_tls.into_iter().map(|address| (address, true))) {
            let listener =
                listen(address).map_err(|error| Failure::Start(format!("cannot listen on {address}: {error}")))?;
            listeners.push((listener, tls));
        }
        if let Some(hangup) = hangup {
            obey_hangup(hangup, server.settings()).map_err(cannot_start)?;
        }
        let page = args.metrics.map(|address| {
            let failed = |error| Failure::Start(format!("cannot listen on {address}: {error}"));
            metrics::begin(address, &metrics).map_err(failed)
        });
        let page = page.transpose()?;
        let stop = stop_signals().map_err(cannot_start)?;
        if args.until_eof {
            terminate_at_eof();
        }
        for (listener, tls) in &listeners {
            let address = listener.local_addr().map_err(cannot_start)?;
            let suffix = if *tls { " (tls)" } else { "" };
            print(format_args!("listening on {address}{suffix}")).map_err(cannot_start)?;
        }
        if let Some(address) = page {
            print(format_args!("listening on {address} (metrics)")).map_err(cannot_start)?;
        }
        let listeners =
            listeners.into_iter().map(|(tcp, tls)| if tls { Listener::implicit_tls(tcp) } else { tcp.into() });
        Ok(server.serve(listeners, stop).await)
    })?;
    log::tell_last(sum_up(&summary));
    rules::sum_up(&rules());
    Ok(if summary.cut_off == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started again must not wait for connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Ready at the first SIGTERM or SIGINT; the second one ends the process.
fn stop_signals() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            log::tell_last("second signal: connections are cut off");
            std::process::exit(1);
        });
    })
}

/// Does that at each SIGHUP, once at a time.
fn obey_hangup(act: Hangup, settings: Settings) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let act = Arc::new(act);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (act, settings) = (Arc::clone(&act), settings.clone());
            match tokio::task::spawn_blocking(move || act(&settings)).await {
                Ok(told) => tell("serve", told),
                Err(_) => tell("serve", "SIGHUP had no effect: what was to be done panicked"),
            }
        }
    });
    Ok(())
}

/// Sends this process SIGTERM when its standard input ends.
fn terminate_at_eof() {
    std::thread::spawn(|| {
        // An error is an end, too. If the signal can't be sent there is nothing else to do.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

/// Raises the limit on open files as far as it is needed and allowed, and says when that is not far enough.
fn raise_file_limit(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|&current| current < needed) else { return };
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let now = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(_) => current,
    };
    if now < needed {
        tell(
            "serve",
            format_args!(
                "the limit on open files is {now} and can't be raised further: about {} connections can be served at a time; \
                 `ulimit -Hn` sets the limit, --max-connections a lower number",
                now.saturating_sub(OTHER_FILES)
            ),
        );
    }
}

fn sum_up(summary: &Summary) -> String {
    let mut text = format!(
        "{} messages accepted ({} bytes), {} refused, {} broken off; {} connections, {} refused",
        summary.messages,
        summary.bytes,
        summary.refused_messages,
        summary.aborted_messages,
        summary.connections,
        summary.refused_connections
    );
    if summary.tls_connections > 0 || summary.failed_handshakes > 0 {
        text += &format!(", {} in TLS, {} handshakes failed", summary.tls_connections, summary.failed_handshakes);
    }
    if summary.authentications > 0 || summary.failed_authentications > 0 {
        text += &format!(", {} log-ins, {} failed", summary.authentications, summary.failed_authentications);
    }
    if summary.starttls_violations > 0 {
        text += &format!(", {} with clear text behind STARTTLS", summary.starttls_violations);
    }
    if summary.bad_proxy_headers > 0 {
        text += &format!(", {} without a valid header of their proxy", summary.bad_proxy_headers);
    }
    if summary.shed > 0 {
        text += &format!(", {} closed for want of memory", summary.shed);
    }
    if summary.cut_off > 0 {
        text += &format!(", {} cut off", summary.cut_off);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("1"), Ok(1));
        assert_eq!(bytes("64k"), Ok(65_536));
        assert_eq!(bytes("50M"), Ok(52_428_800));
        assert_eq!(bytes("2G"), Ok(2_147_483_648));
        for wrong in ["", "M", "-1", "0", "1T", "18446744073709551615K", "1.5M"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_numbers_with_a_port() {
        for good in ["127.0.0.1:0", "[::1]:2525"] {
            assert_eq!(address(good).map(|it| it.to_string()).as_deref(), Ok(good));
        }
        for wrong in ["127.0.0.1", "localhost:2525", "::1:2525:", "127.0.0.1:80000", ""] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn received_fields_are_counted_or_not() {
        assert_eq!(received("50"), Ok(Received(Some(50))));
        assert_eq!(received("off"), Ok(Received(None)));
        for wrong in ["", "on", "-1", "4294967296"] {
            assert!(received(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn stores_are_named_as_documented() {
        assert_eq!("discard".parse(), Ok(StoreKind::Discard));
        assert_eq!("maildir:a:b".parse(), Ok(StoreKind::Maildir("a:b".into())));
        for wrong in ["", "maildir", "maildir:", "mbox:x", "discard:x"] {
            assert!(wrong.parse::<StoreKind>().is_err(), "{wrong}");
        }
    }
}
