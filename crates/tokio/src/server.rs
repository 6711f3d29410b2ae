//! The listener: accepting, refusing, and stopping.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ehlo_server::{Config, Questions, TlsMode};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use crate::auth::{Auth, Authenticator};
use crate::connection::{Connection, Setup};
use crate::hub::{ConnectionLimits, Hub, Phase, Refusal, Slot, Summary};
use crate::log::LogLimits;
use crate::metrics::{Count, Metrics};
use crate::policy::Policy;
use crate::proxy::{self, Failure, Network, Proxies};
use crate::settings::Settings;
use crate::tls::TlsConfig;
use crate::transport::Tcp;
use crate::workers::Workers;

/// How often log lines that were left out are looked for, at the most.
const LEAST_SWEEP: Duration = Duration::from_millis(100);

/// How long accepting rests after an error that is not one connection's: from the first to the last, doubled in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How long connections that don't end within the drain time get to write their 421.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);

/// How long the header of a proxy may take, unless told otherwise. The specification wants 3 seconds at least, so that a segment that was
/// lost can be sent again (§2); Postfix has 5 too.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// Writes a line about a peer that has no connection, or none yet, if that is wanted and it has not caused too many.
macro_rules! tell {
    ($hub:expr, $peer:expr, $level:ident, $($rest:tt)+) => {
        if tracing::enabled!(tracing::Level::$level) && may_tell($hub, $peer) {
            tracing::event!(tracing::Level::$level, $($rest)+);
        }
    };
}

/// Makes a [`Server`].
#[must_use]
pub struct Builder<P> {
    policy: P,
    config: Option<Config>,
    limits: ConnectionLimits,
    logs: LogLimits,
    metrics: Metrics,
    drain: Duration,
    workers: Option<Workers>,
    tls: Option<TlsConfig>,
    authenticator: Option<Arc<dyn Authenticator>>,
    proxies: Proxies,
}

impl<P: fmt::Debug> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("policy", &self.policy)
            .field("config", &self.config)
            .field("limits", &self.limits)
            .field("logs", &self.logs)
            .field("drain", &self.drain)
            .field("workers", &self.workers)
            .field("tls", &self.tls)
            .field("authenticator", &self.authenticator.is_some())
            .field("proxies", &self.proxies)
            .finish()
    }
}

impl<P: Policy> Builder<P> {
    /// The settings of each session. Their [`questions`](Config::questions) are overridden by [`Policy::questions`], and their
    /// [mechanisms](ehlo_server::AuthConfig::mechanisms) by the [authenticator's](Self::authenticator). Without this, the
    /// defaults apply, and the server calls itself `localhost`.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// How many connections are served at a time, and how much memory they may hold between them.
    pub fn limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How much is logged of each peer.
    pub fn log_limits(mut self, limits: LogLimits) -> Self {
        self.logs = limits;
        self
    }

    /// Counts in these, so that they can be looked at while the server runs. What [`Summary`] tells is theirs, too.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// How long messages that are on their way may take to end when the server is to stop. Default: 30 seconds.
    pub fn drain(mut self, patience: Duration) -> Self {
        self.drain = patience;
        self
    }

    /// Serves connections on these threads. Without this, they are tasks of the runtime that [`Server::serve`] runs on.
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Has these certificates for STARTTLS, if the [settings](Config::tls) want it, and for [listeners](Listener::implicit_tls) of
    /// implicit TLS. Without this, STARTTLS is not offered, and must not be [required](TlsMode::Required).
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Has this one answer for clients that authenticate (RFC 4954), in place of what the policy [has](Policy::authenticator). Without
    /// either there is no AUTH; [`Config::auth`] says whether it is required.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Believes proxies in these networks, and only those, when they tell whose connection they pass on (PROXY protocol, version 1 or 2).
    ///
    /// A connection from there begins with a header, in front of everything else, TLS too. The address in it is then the peer's: for the
    /// [`Policy`], the limit on connections of one address, the log and trace fields. Where the header tells none (`LOCAL`, `UNKNOWN`), it
    /// is the proxy's own. A connection without a valid header, or with two, is closed without a word and
    /// [counted](Summary::bad_proxy_headers). From everywhere else a header is a command that nobody knows. Default: none.
    pub fn proxies(mut self, from: impl IntoIterator<Item = Network>) -> Self {
        self.proxies.from = from.into_iter().collect();
        self
    }

    /// How long a proxy may take for its header. Default: 5 seconds, as in Postfix.
    pub fn proxy_patience(mut self, patience: Duration) -> Self {
        self.proxies.patience = patience;
        self
    }

    /// The server.
    ///
    /// # Panics
    ///
    /// If the settings [require](TlsMode::Required) TLS, and there are no [certificates](Self::tls) for it.
    #[must_use]
    pub fn build(self) -> Server<P> {
        // "localhost" is a domain.
        let config = self.config.or_else(|| Config::new("localhost").ok()).expect("localhost is a domain");
        // The sink begins a message before DATA is answered, so that it can refuse.
        let questions = self.policy.questions() | Questions::DATA;
        // Who wanted it required must not get mail in clear.
        assert!(self.tls.is_some() || config.tls != TlsMode::Required, "TLS that is required needs certificates");
        let auth = self.authenticator.or_else(|| self.policy.authenticator()).and_then(Auth::new);
        let mechanisms = auth.as_ref().map(Auth::offers).unwrap_or_default();
        Server {
            auth: auth.map(Arc::new),
            policy: Arc::new(self.policy),
            settings: Settings::new(config, questions, mechanisms, self.tls.is_some()),
            limits: self.limits,
            logs: self.logs,
            metrics: self.metrics,
            drain: self.drain,
            workers: self.workers,
            tls: self.tls,
            proxies: self.proxies,
        }
    }

    /// Builds the server and serves; see [`Server::serve`].
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build) and [`Server::serve`].
    pub async fn serve(self, listener: impl Into<Listener>, shutdown: impl Future<Output = ()>) -> Summary {
        self.build().serve([listener], shutdown).await
    }
}

/// Where clients connect.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    implicit_tls: bool,
}

impl Listener {
    /// One whose connections begin with a TLS handshake (RFC 8314 §3.3).
    #[must_use]
    pub const fn implicit_tls(tcp: TcpListener) -> Self {
        Self { tcp, implicit_tls: true }
    }
}

impl From<TcpListener> for Listener {
    /// One whose connections begin in clear.
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, implicit_tls: false }
    }
}

/// An SMTP server.
///
/// ```no_run
/// use ehlo_tokio::store::Memory;
/// use ehlo_tokio::{AcceptAll, Server};
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let store = Memory::new(64 << 20);
/// let listener = TcpListener::bind("127.0.0.1:2525").await?;
/// let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
/// let summary = Server::builder(AcceptAll(store.clone())).serve(listener, stop).await;
/// println!("{} messages", summary.messages);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server<P> {
    auth: Option<Arc<Auth>>,
    policy: Arc<P>,
    settings: Settings,
    limits: ConnectionLimits,
    logs: LogLimits,
    metrics: Metrics,
    drain: Duration,
    workers: Option<Workers>,
    tls: Option<TlsConfig>,
    proxies: Proxies,
}

impl<P: Policy> Server<P> {
    /// Begins a server of that policy.
    pub fn builder(policy: P) -> Builder<P> {
        Builder {
            policy,
            config: None,
            limits: ConnectionLimits::default(),
            logs: LogLimits::default(),
            metrics: Metrics::new(),
            drain: Duration::from_secs(30),
            workers: None,
            tls: None,
            authenticator: None,
            proxies: Proxies { from: Vec::new(), patience: PROXY_PATIENCE },
        }
    }

    /// The settings of sessions, to be replaced while the server runs.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Serves all connections to these listeners until `shutdown` is ready, and then ends them gracefully.
    ///
    /// A connection beyond the limits is answered 421 and closed at once. When accepting fails because the process or the system is out
    /// of file descriptors or memory, it rests for a while; connections wait in the listener's queue meanwhile.
    ///
    /// At the end the listeners are closed first. A message that is on its way is read to its end, stored and answered; a connection
    /// without one gets 421 4.3.2 (RFC 5321 §3.8). What isn't done by then is cut off after the [drain time](Builder::drain): its message
    /// is not stored, and its client will send it again.
    ///
    /// # Panics
    ///
    /// If a listener is one of [implicit TLS](Listener::implicit_tls), and the server has no [certificates](Builder::tls).
    pub async fn serve(
        self,
        listeners: impl IntoIterator<Item = impl Into<Listener>>,
        shutdown: impl Future<Output = ()>,
    ) -> Summary {
        let hub = Hub::new(self.limits, self.logs, self.metrics.clone(), tokio::time::Instant::now().into_std());
        let listeners: Vec<Listener> = listeners.into_iter().map(Into::into).collect();
        let implicit_tls = listeners.iter().any(|listener| listener.implicit_tls);
        assert!(self.tls.is_some() || !implicit_tls, "a listener of implicit TLS needs certificates");
        let mut shutdown = pin!(shutdown);
        let mut turn = 0;
        let mut back_off = BACK_OFF.0;
        let between = hub.logs.interval().max(LEAST_SWEEP);
        // Not at once: there is nothing to tell of yet, and the timer may be late enough to tell of the first connections.
        let mut sweep = tokio::time::interval_at(tokio::time::Instant::now() + between, between);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                at = sweep.tick() => {
                    hub.logs.sweep(at.into_std());
                    continue;
                }
                accepted = poll_fn(|cx| poll_accept(cx, &listeners, &mut turn)) => accepted,
            };
            match accepted {
                Ok((stream, peer, implicit_tls)) => {
                    back_off = BACK_OFF.0;
                    self.admit(&hub, stream, peer, implicit_tls);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.metrics.one(Count::AcceptErrors);
                    tracing::warn!(%error, rest_ms = back_off.as_millis() as u64, "connections can't be accepted");
                    tokio::select! {
                        biased;
                        () = &mut shutdown => break,
                        () = tokio::time::sleep(back_off) => {}
                    }
                    back_off = (back_off * 2).min(BACK_OFF.1);
                }
            }
        }
        drop(listeners);
        self.stop(&hub).await
    }

    async fn stop(self, hub: &Hub) -> Summary {
        tracing::info!(open = hub.open(), "shutting down");
        hub.set_phase(Phase::Draining);
        let mut cut_off = 0;
        if tokio::time::timeout(self.drain, hub.emptied()).await.is_err() {
            cut_off = hub.open() as u64;
            tracing::warn!(cut_off, "connections did not end in time");
            hub.set_phase(Phase::Closing);
            // One whose policy blocks its thread can't be ended.
            let _ = tokio::time::timeout(CLOSING, hub.emptied()).await;
        }
        hub.logs.sweep(tokio::time::Instant::now().into_std());
        Summary { cut_off, ..hub.summary() }
    }

    fn admit(&self, hub: &Arc<Hub>, stream: TcpStream, peer: SocketAddr, implicit_tls: bool) {
        let by_proxy = self.proxies.contain(peer.ip());
        let now = tokio::time::Instant::now().into_std();
        let slot = match hub.admit((!by_proxy).then_some(peer.ip()), now) {
            Ok(slot) => slot,
            Err(refusal) => return refuse(hub, &stream, peer, refusal, &self.settings.current(), implicit_tls),
        };
        // Replies are written whole; waiting for more of them only costs time.
        if let Err(error) = stream.set_nodelay(true) {
            // The peer is gone already.
            tell!(hub, peer, DEBUG, %peer, %error, "connection lost");
            return;
        }
        let setup = Setup {
            config: self.settings.current(),
            policy: Arc::clone(&self.policy),
            tls: self.tls.clone(),
            auth: self.auth.clone(),
            implicit_tls,
        };
        if by_proxy {
            let patience = self.proxies.patience;
            self.spawn(stream, peer, move |stream| Some(pass_on(stream, peer, slot, setup, patience)));
        } else {
            self.spawn(stream, peer, move |stream| Connection::new(Tcp::new(stream, peer), slot, setup));
        }
    }

    /// Makes the future of a connection where it is to run, and runs it there.
    fn spawn<F>(&self, stream: TcpStream, peer: SocketAddr, make: impl FnOnce(TcpStream) -> Option<F> + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(workers) = &self.workers else {
            if let Some(future) = make(stream) {
                tokio::spawn(future);
            }
            return;
        };
        // The socket moves to the event queue of its worker.
        match stream.into_std() {
            Ok(stream) => workers.spawn(move || match TcpStream::from_std(stream) {
                Ok(stream) => make(stream),
                Err(error) => {
                    tracing::warn!(%peer, %error, "connection could not be watched");
                    None
                }
            }),
            Err(error) => tracing::warn!(%peer, %error, "connection could not be handed over"),
        }
    }
}

fn may_tell(hub: &Hub, peer: SocketAddr) -> bool {
    hub.logs.allows(&hub.logs.of(peer.ip()), &hub.metrics, tokio::time::Instant::now().into_std())
}

/// Closes a connection that is one too many.
fn refuse(hub: &Hub, stream: &TcpStream, peer: SocketAddr, refusal: Refusal, config: &Config, implicit_tls: bool) {
    tell!(hub, peer, INFO, %peer, limit = refusal.limit(), "connection refused");
    // A new socket takes a line. A client that doesn't see it sees the connection close, which says as much; and so does one that waits
    // for a handshake, which would cost more than a line.
    if !implicit_tls {
        let _ = (&*SockRef::from(stream)).write(refusal.greeting(config.hostname()).as_bytes());
    }
}

/// Serves a connection that a proxy passes on.
async fn pass_on<P: Policy>(stream: TcpStream, proxy: SocketAddr, mut slot: Slot, setup: Setup<P>, patience: Duration) {
    let header = match proxy::read_header(&stream, &slot, patience).await {
        Ok(header) => header,
        Err(Failure::Stopping) => return,
        Err(failure) => {
            slot.metrics().one(Count::BadProxyHeaders);
            // Those who only look whether somebody listens do so often.
            if let Failure::Ended = failure {
                tell!(slot.hub(), proxy, DEBUG, connection = slot.id(), %proxy, %failure, "closed");
            } else {
                tell!(slot.hub(), proxy, WARN, connection = slot.id(), %proxy, %failure, "a proxy sent no valid header; closed");
            }
            return;
        }
    };
    let peer = proxy::source(header, proxy);
    tell!(slot.hub(), peer, DEBUG, connection = slot.id(), %proxy, %peer, "passed on by a proxy");
    if let Err(refusal) = slot.name(peer.ip()) {
        return refuse(slot.hub(), &stream, peer, refusal, &setup.config, setup.implicit_tls);
    }
    if let Some(connection) = Connection::new(Tcp::new(stream, peer), slot, setup) {
        connection.await;
    }
}

/// The next connection of any listener, each in turn.
fn poll_accept(
    cx: &mut Context<'_>,
    listeners: &[Listener],
    turn: &mut usize,
) -> Poll<io::Result<(TcpStream, SocketAddr, bool)>> {
    for _ in 0..listeners.len() {
        *turn = (*turn + 1) % listeners.len();
        let Listener { tcp, implicit_tls } = &listeners[*turn];
        if let Poll::Ready(accepted) = tcp.poll_accept(cx) {
            return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, *implicit_tls)));
        }
    }
    Poll::Pending
}

/// Whether accepting may go on at once: the connection broke before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::HostUnreachable
    )
}
