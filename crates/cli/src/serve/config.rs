//! `ehlo serve --config`: a server that takes what a file says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ehlo_policy::{Builder, EXAMPLE, FilePolicy, Loaded, Place, Places, Ruled};
use ehlo_tokio::ehlo_server::{Protocol, TlsMode};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, Memory, StdFiles, Verify};
use ehlo_tokio::tls::TlsConfig;
use ehlo_tokio::{ConnectionLimits, LogLimits, Server};

use super::records::Ledger;
use super::{Args, Failure, Given, Hangup, MEMORY, Service, StoreKind, rules, run_server, store, tls};
use crate::console::{print, tell};

/// The name under which the policy finds what --store names.
const STORE: &str = "--store";

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Take what this file says: domains, mailboxes, who may relay, limits, users, rates ...
    ///
    /// Options on the command line win over the file, and --store over all places in it that are not of a route. SIGHUP has the file read
    /// again; one that is wrong changes nothing. --user and what belongs to it is for a server without a file.
    #[arg(long = "config", value_name = "FILE", conflicts_with_all = ["user", "cram_md5"])]
    pub(super) file: Option<PathBuf>,

    /// Tell what is wrong with the file of --config, or `ok`, and end: with status 0 if nothing is, and 1 otherwise
    #[arg(long, requires = "file")]
    check_config: bool,

    /// Print a file with every key and what it means, and end
    #[arg(long, exclusive = true)]
    print_config: bool,
}

/// Does what ends at once, if that is asked for.
pub(super) fn answer(args: &Args) -> Result<Option<ExitCode>, Failure> {
    let printed = |result: std::io::Result<()>| match result {
        Ok(()) => Ok(Some(ExitCode::SUCCESS)),
        Err(error) => Err(Failure::Start(format!("cannot write: {error}"))),
    };
    if args.config.print_config {
        return printed(print(EXAMPLE.trim_end()));
    }
    match &args.config.file {
        Some(file) if args.config.check_config => {
            let loaded = read(file, &Places::default())?;
            for remark in loaded.remarks() {
                tell("serve", format_args!("{}: {remark}", file.display()));
            }
            printed(print("ok"))
        }
        _ => Ok(None),
    }
}

fn read(file: &Path, places: &Places) -> Result<Loaded, Failure> {
    Loaded::read(file, places).map_err(|problems| Failure::Start(format!("the file is wrong:\n{problems}")))
}

/// The options that win over the file.
struct Overrides {
    hostname: Option<String>,
    lmtp: bool,
    max_size: Option<u64>,
    max_recipients: Option<u32>,
    max_messages: Option<u32>,
    max_received: Option<Option<u32>>,
    require_tls: bool,
    tls: Option<TlsConfig>,
    store: Option<StoreKind>,
    rules: bool,
}

impl Overrides {
    fn of(args: &Args, given: &Given) -> Result<Self, Failure> {
        let tls = tls::load(args).map_err(|error| Failure::Start(format!("--tls: {error}")))?;
        Ok(Self {
            hostname: given.has("hostname").then(|| args.hostname.clone()),
            lmtp: args.lmtp,
            max_size: given.has("max_size").then_some(args.max_size),
            max_recipients: given.has("max_recipients").then_some(args.max_recipients),
            max_messages: args.max_messages,
            max_received: given.has("max_received").then_some(args.max_received.0),
            require_tls: args.require_tls,
            tls,
            store: given.has("store").then(|| args.store.clone()),
            rules: args.rules.is_some(),
        })
    }

    fn apply(&self, loaded: &mut Loaded) -> Result<(), String> {
        if let Some(tls) = &self.tls {
            loaded.set_tls(tls.clone());
        }
        if let Some(store) = &self.store {
            loaded.keep_all_in(STORE);
            store.restrict(loaded.session_mut());
        }
        let session = loaded.session_mut();
        if let Some(hostname) = &self.hostname {
            session.set_hostname(hostname).map_err(|error| format!("--hostname {hostname}: {error}"))?;
        }
        if self.lmtp {
            session.protocol = Protocol::Lmtp;
        }
        if self.require_tls {
            session.tls = TlsMode::Required;
        }
        session.limits.message_size = self.max_size.unwrap_or(session.limits.message_size);
        session.limits.recipients = self.max_recipients.map_or(session.limits.recipients, |count| count as usize);
        session.limits.transactions = self.max_messages.or(session.limits.transactions);
        session.limits.received = self.max_received.unwrap_or(session.limits.received);
        Ok(())
    }
}

/// What --store names, as a place.
fn place(args: &Args, hostname: &str) -> Result<(Arc<dyn Place>, Option<Verify>), Failure> {
    Ok(match &args.store {
        StoreKind::Discard => (Arc::new(Discard), None),
        StoreKind::Memory => (Arc::new(Memory::new(MEMORY)), None),
        StoreKind::Maildir(path) => (Arc::new(store::maildir(path)?), None),
        StoreKind::Mbox(path) => (Arc::new(store::mbox(path)?), None),
        StoreKind::Lmtp(address) => (Arc::new(store::lmtp(address, hostname)?), None),
        StoreKind::Verify => {
            let store = Verify::default();
            (Arc::new(store.clone()), Some(store))
        }
    })
}

/// Serves by the file.
pub(super) fn serve(args: &Args, given: &Given) -> Result<ExitCode, Failure> {
    let Some(file) = args.config.file.clone() else { return Ok(ExitCode::SUCCESS) };
    let places = Places::default();
    let overrides = Overrides::of(args, given)?;
    let mut loaded = read(&file, &places)?;
    overrides.apply(&mut loaded).map_err(Failure::Usage)?;
    let mut verify = None;
    if given.has("store") {
        let (place, records) = place(args, loaded.session().hostname())?;
        places.insert(STORE, place);
        verify = records;
    }
    let default = if given.has("listen") || loaded.listen().is_none() { &args.listen[..] } else { &[] };
    let listen = if default.is_empty() { loaded.listen().unwrap_or_default().to_vec() } else { default.to_vec() };
    let listen_tls = if given.has("listen_tls") { args.listen_tls.clone() } else { loaded.listen_tls().to_vec() };
    let all = || listen.iter().chain(&listen_tls);
    if loaded.accepts_all()
        && !args.allow_remote
        && let Some(address) = all().find(|address| !address.ip().to_canonical().is_loopback())
    {
        return Err(Failure::Usage(format!(
            "other hosts can reach {address}, and accept_all takes mail from anybody for anybody; if that is meant, say --allow-remote"
        )));
    }
    if loaded.session().protocol == Protocol::Lmtp
        && let Some(address) = all().find(|address| address.port() == super::SMTP_PORT)
    {
        return Err(Failure::Usage(format!("{address}: LMTP must not be spoken on port 25 (RFC 2033 §5)")));
    }
    let total = if given.has("max_connections") { None } else { loaded.max_connections() };
    let connections = total.unwrap_or(args.max_connections as usize);
    let per_address = args
        .max_connections_per_address
        .map(|count| count as usize)
        .or_else(|| loaded.max_connections_per_address())
        .unwrap_or(ConnectionLimits::default().per_address);
    let drain = if given.has("drain") { None } else { loaded.drain() };
    let proxies =
        if given.has("proxy_protocol_from") { args.proxy_protocol_from.clone() } else { loaded.proxies().to_vec() };
    let threads = args.threads.or(loaded.threads());
    let (session, tls) = (loaded.session().clone(), loaded.tls().cloned());
    let needs_resolver = loaded.needs_resolver();
    let file_rules = loaded.rules().clone().with_seed(args.seed);
    let policy = with_dns(FilePolicy::builder(loaded, places.clone()), needs_resolver)?
        .build()
        .map_err(|error| Failure::Start(format!("{}: {error}", file.display())))?;
    let ruled = Ruled::new(rules::load(args)?.unwrap_or(file_rules), policy.clone());
    let metrics = Metrics::new();
    let mut server = Server::builder(ruled.clone())
        .config(session)
        .limits(ConnectionLimits::default().total(connections).per_address(per_address).stress(args.stress))
        .log_limits(LogLimits::default().lines(args.log_lines))
        .metrics(metrics.clone())
        .proxies(proxies)
        .drain(drain.unwrap_or(Duration::from_secs(args.drain)));
    if let Some(tls) = &tls {
        server = server.tls(tls.clone());
    }
    let ledger = Ledger::create(args)?;
    let rules = {
        let ruled = ruled.clone();
        Box::new(move || ruled.rules())
    };
    let seed = args.seed;
    let hangup: Hangup = Box::new(move |settings| {
        let put = |loaded: Loaded| {
            let rules = loaded.rules().clone().with_seed(seed);
            let mut restart = policy.reload(loaded, settings, tls.as_ref())?;
            // Those of --rules win over the file, whatever is in it now.
            if !overrides.rules && !ruled.replace(rules) {
                restart.push("rule");
            }
            Ok(restart)
        };
        reload(&file, &places, &overrides, put)
    });
    let code = run_server(
        args,
        Service { server, listen, listen_tls, threads, connections, hangup: Some(hangup), rules, metrics },
    )?;
    if let Some(records) = verify {
        ledger.write(&records)?;
    }
    Ok(code)
}

/// Has DNS asked where the file wants that, now or when it is read again.
#[cfg(feature = "dns")]
fn with_dns(builder: Builder<StdFiles>, needed: bool) -> Result<Builder<StdFiles>, Failure> {
    match ehlo_policy::dns::SystemResolver::new() {
        Ok(resolver) => Ok(builder.resolver(resolver)),
        Err(error) if needed => Err(Failure::Start(format!("DNS cannot be asked: {error}"))),
        Err(_) => Ok(builder),
    }
}

#[cfg(not(feature = "dns"))]
fn with_dns(builder: Builder<StdFiles>, needed: bool) -> Result<Builder<StdFiles>, Failure> {
    if needed {
        let what =
            "the file asks something of DNS, and this program is built without it: build it with the feature dns";
        return Err(Failure::Start(what.to_owned()));
    }
    Ok(builder)
}

/// Reads the file again and has it put into force; tells how that went. What needs a restart is given by `put`.
fn reload(
    file: &Path,
    places: &Places,
    overrides: &Overrides,
    put: impl Fn(Loaded) -> Result<Vec<&'static str>, String>,
) -> String {
    let again = || {
        // Certificates of the command line are files that may have changed, too.
        if let Some(tls) = &overrides.tls {
            tls.reload().map_err(|error| format!("--tls: {error}"))?;
        }
        let mut loaded = Loaded::read(file, places).map_err(|problems| problems.to_string())?;
        overrides.apply(&mut loaded)?;
        put(loaded)
    };
    match again() {
        Ok(restart) if restart.is_empty() => format!("{} was read again, and is in force", file.display()),
        Ok(restart) => format!(
            "{} was read again, and is in force, but for what needs a restart: {}",
            file.display(),
            restart.join(", ")
        ),
        Err(error) => format!("everything is kept as it was:\n{error}"),
    }
}
