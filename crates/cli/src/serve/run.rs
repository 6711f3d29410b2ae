//! A server that runs: from its listeners to its end.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use ehlo_policy::Rules;
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::{Builder, Listener, Policy, Settings, Summary, Workers};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use super::{Args, Failure, log, metrics, rules};
use crate::console::{print, tell};

/// Connections that wait to be accepted. The system may have a lower limit (net.core.somaxconn).
const BACKLOG: u32 = 4096;

/// File descriptors that are not connections: listeners, event queues, files of a store, and a reserve.
const OTHER_FILES: u64 = 256;

/// What is done at SIGHUP, on a thread that may block. Gives what there is to tell of it.
pub(super) type Hangup = Box<dyn Fn(&Settings) -> String + Send + Sync>;

/// A server that is about to run.
pub(super) struct Service<P> {
    pub(super) server: Builder<P>,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) listen_tls: Vec<SocketAddr>,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) connections: usize,
    pub(super) hangup: Option<Hangup>,
    /// Those that are in force, for what is told at the end.
    pub(super) rules: Box<dyn Fn() -> Rules>,
    pub(super) metrics: Metrics,
}

/// A thread for each processor but one, which is for the kernel's part, for storing, and for whoever sends on the same host. On two processors a second thread
/// costs a fifth more for each message and takes no more of them (docs/src/performance.md).
fn usual_threads() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(processors - 1).unwrap_or(NonZeroUsize::MIN)
}

/// Serves until a signal; gives the exit status.
pub(super) fn run_server<P: Policy>(args: &Args, service: Service<P>) -> Result<ExitCode, Failure> {
    let Service { server, listen: plain, listen_tls, threads, connections, hangup, rules, metrics } = service;
    raise_file_limit(connections as u64);
    let threads = threads.unwrap_or_else(usual_threads);
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

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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
fn raise_file_limit(connections: u64) {
    let needed = connections + OTHER_FILES;
    // Each connection may have a large message on its way into a file. That hardly ever do all of them, and who finds no descriptor gets 451.
    let wanted = needed + connections;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|&current| current < wanted) else { return };
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
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
