//! Going from one host to the next.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ehlo_client::codec::{Domain, ReplyClass, ReplyCode};
use tokio::time::{Instant, timeout};

use super::Shared;
use super::address::is_localhost;
use super::connector::{Connector, Tcp};
use super::error::{Cause, Failure, Reason, RouteError};
use super::plan::{Addresses, Destination, Host, Hosts, Target, arrange, sort};
use super::race::race;
use super::random::Random;
use crate::dns::{Answer, Lookup, LookupError, Records, folded};

/// A connection to a host of a domain. Nothing was said over it yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected<S = tokio::net::TcpStream> {
    /// The connection.
    pub stream: S,
    /// The host, and the preference of its MX.
    pub host: Host,
    /// Its address.
    pub address: SocketAddr,
}

/// Hosts of a domain, one after the other: [`next`](Self::next) connects to the next one that answers.
///
/// A delivery goes on with the next host until one takes the message (RFC 5321 §5.1). Which replies make it go on is a question of whom they speak for:
///
/// | the server says | it speaks for | what to do |
/// |---|---|---|
/// | a greeting of 4yz, 421 above all, or none | itself, for now | [`refused`](Self::refused), then [`next`](Self::next): another address of the host, then other hosts |
/// | a greeting of 5yz: 554, 521; or 5yz to EHLO | its host: "the host does not accept mail under any circumstances" (RFC 7504 §3), "no SMTP service here" (RFC 5321 §4.2.3) | the same; the host's other addresses are left out |
/// | 421 later, or the connection breaks before the end of the message | itself, for now | [`next`](Self::next), for recipients without an answer |
/// | 4yz or 5yz to MAIL, RCPT, DATA or the message | the domain, whose hosts all serve the same mailboxes | no further host: it is the recipient's result |
///
/// That a host takes no mail is said by one host. RFC 7504 reserves 556, and RFC 7505 the null MX, for a domain that takes none, so a 521 does not end the
/// delivery while there are other hosts; Postfix goes on in the same way (`smtp_skip_5xx_greeting`). If it was the last host, the delivery has failed for good.
///
/// ```
/// use ehlo_tokio::client::{Client, SendError};
/// use ehlo_tokio::ehlo_client::CloseReason;
/// use ehlo_tokio::route::{RouteError, Router};
///
/// /// A session with the first host of a domain that wants one.
/// async fn open(router: &Router, domain: &str) -> Result<Client, RouteError> {
///     let mut attempts = router.attempts(domain).await?;
///     loop {
///         let connected = attempts.next().await?;
///         let name = connected.host.server_name();
///         match Client::builder().hello("client.example").over(connected.stream, &name).await {
///             Ok(client) => return Ok(client),
///             Err(SendError::Refused(CloseReason::Refused(code), _)) => attempts.refused(code),
///             // The connection broke, or the server closed it: the next one may do better.
///             Err(_) => {}
///         }
///     }
/// }
/// ```
pub struct Attempts<C: Connector = Tcp> {
    shared: Arc<Shared<C>>,
    domain: String,
    /// Hosts whose addresses nobody has looked up yet, best first.
    hosts: VecDeque<Host>,
    /// Hosts of the current preference that come next, then those whose addresses are tried now, in front.
    targets: VecDeque<Target>,
    /// Who the last connection was to.
    last: Option<(Host, SocketAddr)>,
    /// What is left of [`Timeouts::total`](super::Timeouts).
    left: Duration,
    failures: Vec<Failure>,
    /// Whether this host was met, and whether there was a level of better ones.
    own: bool,
    others: bool,
}

impl<C: Connector> fmt::Debug for Attempts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("domain", &self.domain)
            .field("hosts", &self.hosts)
            .field("targets", &self.targets)
            .field("left", &self.left)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> Attempts<C> {
    /// Asks DNS for the hosts of a domain.
    pub(super) async fn begin(shared: Arc<Shared<C>>, domain: &str) -> Result<Self, RouteError> {
        let started = Instant::now();
        let fail = |(reason, failures)| RouteError::new(domain, reason, failures);
        let destination = Destination::parse(domain).map_err(|reason| fail((reason, Vec::new())))?;
        let times = shared.settings.timeouts;
        let Hosts { hosts, failures } = if destination == Destination::Name {
            let answer = within(times.lookup.min(times.total), domain, shared.resolver.mx(domain)).await;
            let mut random = shared.settings.seed.map_or_else(Random::unforeseen, Random::new);
            sort(domain, answer, &shared.settings, &mut random).map_err(fail)?
        } else {
            let host = Host { name: domain.to_owned(), preference: 0 };
            Hosts { hosts: VecDeque::from([host]), failures: Vec::new() }
        };
        let own = failures.iter().any(|failure| matches!(failure.cause, Cause::Own));
        let attempts = Self {
            shared,
            domain: domain.to_owned(),
            hosts,
            targets: VecDeque::new(),
            last: None,
            left: times.total.saturating_sub(started.elapsed()),
            failures,
            own,
            others: false,
        };
        if attempts.hosts.is_empty() { Err(attempts.verdict()) } else { Ok(attempts) }
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The hosts that can still be tried, in the order in which they will be. Which of equal ones comes first is left to chance.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.targets.iter().map(|target| &target.host).chain(&self.hosts)
    }

    /// What was tried and failed so far.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Connects to the next host that answers, or to another address of the one before. A future that is dropped leaves everything as it was, but for
    /// addresses that have failed meanwhile.
    ///
    /// To call it once more says that the connection before was of no use, for now; [`refused`](Self::refused) says more.
    ///
    /// # Errors
    ///
    /// [`RouteError`] if there is no host left, or no time, with all that has failed; from then on, at each call.
    pub async fn next(&mut self) -> Result<Connected<C::Stream>, RouteError> {
        if let Some((host, address)) = self.last.take() {
            self.failures.push(Failure { host: host.name, address: Some(address), cause: Cause::Abandoned });
        }
        let started = Instant::now();
        let result = timeout(self.left, self.advance()).await;
        self.left = self.left.saturating_sub(started.elapsed());
        match result {
            Ok(Some(connected)) => {
                let (host, address) = (&connected.host.name, connected.address);
                tracing::debug!(domain = %self.domain, %host, %address, "connected");
                return Ok(connected);
            }
            Ok(None) => {}
            Err(_) => {
                let host = self.hosts().next().map_or(self.domain.as_str(), |host| &host.name).to_owned();
                self.failures.push(Failure { host, address: None, cause: Cause::OutOfTime });
                self.targets.clear();
                self.hosts.clear();
            }
        }
        let error = self.verdict();
        tracing::debug!(%error, "no host is left");
        Err(error)
    }

    /// Notes that the server at the end of the last connection greeted with this reply. A code of 5yz speaks for its host, whose other addresses are then not
    /// tried any more; and if all hosts say so, [the error](RouteError::is_transient) is a permanent one.
    pub fn refused(&mut self, code: ReplyCode) {
        let Some((host, address)) = self.last.take() else { return };
        if is_permanent(code) && self.targets.front().is_some_and(|target| target.host == host) {
            self.targets.pop_front();
        }
        self.failures.push(Failure { host: host.name, address: Some(address), cause: Cause::Refused(code) });
    }

    /// `None` if no host is left.
    async fn advance(&mut self) -> Option<Connected<C::Stream>> {
        loop {
            if let Some(target) = self.targets.front_mut() {
                let (failures, host) = (&mut self.failures, &target.host);
                let failed = |address, error| {
                    let cause = Cause::Connect(Arc::new(error));
                    failures.push(Failure { host: host.name.clone(), address: Some(address), cause });
                };
                let (connector, times) = (&self.shared.connector, &self.shared.settings.timeouts);
                let won = race(connector, &mut target.addresses, times.stagger, times.connect, failed).await;
                if let Some((address, stream)) = won {
                    let host = target.host.clone();
                    self.last = Some((host.clone(), address));
                    return Some(Connected { stream, host, address });
                }
                self.targets.pop_front();
            } else {
                let preference = self.hosts.front()?.preference;
                let equal = self.hosts.iter().take_while(|host| host.preference == preference);
                let equal: Vec<Host> = equal.cloned().collect();
                let addresses = self.look_up(&equal).await;
                self.hosts.drain(..equal.len());
                let level = arrange(equal.into_iter().zip(addresses).collect(), &self.shared.settings);
                self.failures.extend(level.failures);
                self.targets = level.targets.into();
                if level.own {
                    self.own = true;
                    self.hosts.clear();
                } else {
                    self.others = true;
                }
            }
        }
    }

    /// The addresses of some hosts, asked for at the same time.
    async fn look_up(&self, hosts: &[Host]) -> Vec<Addresses> {
        all(hosts.iter().map(|host| Box::pin(self.addresses(&host.name)) as Pin<Box<_>>).collect()).await
    }

    async fn addresses(&self, name: &str) -> Addresses {
        let (resolver, families) = (&self.shared.resolver, self.shared.settings.families);
        let time = self.shared.settings.timeouts.lookup;
        let fixed = fixed(name);
        let ipv4 = async {
            match &fixed {
                _ if !families.has_ipv4() => None,
                Some((ipv4, _)) => Some(Ok(at_once(name, *ipv4))),
                None => Some(within(time, name, resolver.ipv4(name)).await),
            }
        };
        let ipv6 = async {
            match &fixed {
                _ if !families.has_ipv6() => None,
                Some((_, ipv6)) => Some(Ok(at_once(name, *ipv6))),
                None => Some(within(time, name, resolver.ipv6(name)).await),
            }
        };
        let (ipv4, ipv6) = tokio::join!(ipv4, ipv6);
        Addresses { ipv4, ipv6 }
    }

    /// Why no host is left. What may be over later counts most, and what a server said more than what the network did.
    fn verdict(&self) -> RouteError {
        let any = |is: fn(&Cause) -> bool| self.failures.iter().any(|failure| is(&failure.cause));
        let reason = if any(|cause| match cause {
            Cause::Refused(code) => !is_permanent(*code),
            Cause::Abandoned => true,
            _ => false,
        }) {
            Reason::Deferred
        } else if any(|cause| matches!(cause, Cause::Connect(_) | Cause::OutOfTime)) {
            Reason::NoAnswer
        } else if any(|cause| matches!(cause, Cause::Lookup(_))) {
            Reason::Lookup
        } else if any(|cause| matches!(cause, Cause::Refused(_))) {
            Reason::Refused
        } else if self.own && !self.others {
            Reason::Loop
        } else {
            Reason::Unroutable
        };
        RouteError::new(&self.domain, reason, self.failures.clone())
    }
}

fn is_permanent(code: ReplyCode) -> bool {
    code.class() == ReplyClass::PermanentFailure
}

/// The addresses of a host about which DNS is not asked: of an address literal, and of `localhost` (RFC 6761 §6.3).
fn fixed(name: &str) -> Option<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
    match Domain::parse(name).ok().and_then(|domain| domain.ip()).map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => Some((Some(ip), None)),
        Some(IpAddr::V6(ip)) => Some((None, Some(ip))),
        None => is_localhost(&folded(name)).then_some((Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST))),
    }
}

fn at_once<T>(name: &str, address: Option<T>) -> Answer<T> {
    Answer::new(name, address.map_or(Records::NoData, |address| Records::Found(vec![address])), Duration::ZERO)
}

/// An answer, or that there is none in time.
async fn within<T>(time: Duration, name: &str, lookup: Lookup<T>) -> Result<Answer<T>, LookupError> {
    match timeout(time, lookup).await {
        Ok(answer) => answer,
        Err(_) => Err(LookupError::Temporary(format!("no answer for {name} within {time:?}"))),
    }
}

/// What all of these give, in their order.
async fn all<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_pending = false;
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => *done = Some(value),
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
