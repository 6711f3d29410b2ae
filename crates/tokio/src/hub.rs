//! What the connections of a server share: their number, their memory, and the order to stop.

mod table;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use tokio::sync::Notify;

use self::table::Table;
use crate::log::{LogLimits, PeerLog, PeerLogs};
use crate::metrics::{Count, Metrics};

/// Octets that a session may hold without being asked, and steps in which more of them are counted: what an ordinary transaction takes costs
/// nobody a look at what all hold together.
const STEP: usize = 8192;

/// Of eight parts of the memory how many are in use when sessions are shed: before there is none left, so that the one that needs some
/// gets it.
const SHEDDING: usize = 7;

/// By how many hundredths of the places fewer have to be taken for stress to end than for it to begin, so that it does not come and go.
const RELIEF: usize = 10;

/// Bounds of a whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Connections at a time; one more is answered 421 4.3.2. Default: 10,000, which at 1024 file descriptors is far too many: raise
    /// that limit along with this one.
    pub total: usize,
    /// Connections at a time from one address, or from one /64 network of IPv6; one more is answered 421 4.7.0. Default: 50, as
    /// Postfix.
    pub per_address: usize,
    /// Bytes that clients make the server hold, over all connections: what was read and waits for a decision or a sink, and what a session
    /// keeps beyond 8 KiB ([`Session::memory`](ehlo_server::Session::memory)). From seven eighths of it on, sessions are shed: those that hold
    /// something and have been idle the longest are closed with 421 4.3.2; and a connection that needs more than is left is itself.
    /// Default: 256 MiB, which is 4096 times the default [`Limits::read_chunk`](ehlo_server::Limits), and 1024 envelopes of the largest size.
    pub memory: usize,
    /// Of a hundred places how many have to be taken for [`Config::stress`](ehlo_server::Config::stress) to hold: more than so many, until
    /// ten fewer are. Default: 80. 100: never.
    pub stress: u8,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 10_000, per_address: 50, memory: 256 * 1024 * 1024, stress: 80 }
    }
}

impl ConnectionLimits {
    /// With so many connections at a time.
    #[must_use]
    pub const fn total(mut self, connections: usize) -> Self {
        self.total = connections;
        self
    }

    /// With so many connections at a time from one address.
    #[must_use]
    pub const fn per_address(mut self, connections: usize) -> Self {
        self.per_address = connections;
        self
    }

    /// With so many bytes that clients make the server hold.
    #[must_use]
    pub const fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Under stress when more than so many of a hundred places are taken.
    #[must_use]
    pub const fn stress(mut self, hundredths: u8) -> Self {
        self.stress = hundredths;
        self
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Total,
    PerAddress,
}

impl Refusal {
    /// Which limit it is for.
    pub(crate) const fn limit(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::PerAddress => "address",
        }
    }

    /// The greeting for it. There is no session yet, so it is written by hand.
    pub(crate) fn greeting(self, hostname: &str) -> String {
        match self {
            Self::Total => format!("421 {hostname} 4.3.2 Too many connections, try again later\r\n"),
            Self::PerAddress => {
                format!("421 {hostname} 4.7.0 Too many connections from your address, try again later\r\n")
            }
        }
    }
}

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Running,
    /// No new connections; those that are there end at their next command boundary.
    Draining,
    /// Patience is over.
    Closing,
}

/// Counts over the life of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Connections that were let in.
    pub connections: u64,
    /// Connections that were answered 421 because of [`ConnectionLimits`]. One that came through a proxy is let in before it is known
    /// where it comes from, and then counts as both.
    pub refused_connections: u64,
    /// Messages that were accepted.
    pub messages: u64,
    /// Their bytes, after dot-stuffing was removed.
    pub bytes: u64,
    /// Messages whose end came and that were refused or deferred.
    pub refused_messages: u64,
    /// Messages that broke off before their end.
    pub aborted_messages: u64,
    /// TLS handshakes that were done.
    pub tls_connections: u64,
    /// TLS handshakes that failed, timeouts not among them.
    pub failed_handshakes: u64,
    /// Clients that authenticated.
    pub authentications: u64,
    /// AUTH exchanges that were refused, or whose client sent what the mechanism knows no sense of.
    pub failed_authentications: u64,
    /// Connections that were closed because something came in clear behind STARTTLS.
    pub starttls_violations: u64,
    /// Connections of proxies that were closed because they did not begin with a valid header of the PROXY protocol.
    pub bad_proxy_headers: u64,
    /// Sessions that were closed because [memory](ConnectionLimits::memory) was short.
    pub shed: u64,
    /// Connections that were still open when the drain deadline came, and were closed.
    pub cut_off: u64,
}

/// Shared by the acceptor and all connections.
#[derive(Debug)]
pub(crate) struct Hub {
    limits: ConnectionLimits,
    start: Instant,
    phase: AtomicU8,
    stressed: AtomicBool,
    /// The second in which that was told last, and one more.
    stress_told: AtomicU32,
    /// How often a session was told to end for its memory.
    sheds: AtomicU32,
    table: Mutex<Table>,
    /// Told when the last connection has ended.
    empty: Notify,
    /// Octets that all hold.
    memory: AtomicUsize,
    pub(crate) metrics: Metrics,
    pub(crate) logs: PeerLogs,
}

/// What servers hold now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) open: u64,
    pub(crate) total: u64,
    pub(crate) memory: u64,
    pub(crate) memory_limit: u64,
    pub(crate) stressed: u64,
}

impl Gauges {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            total: self.total.saturating_add(other.total),
            memory: self.memory + other.memory,
            memory_limit: self.memory_limit.saturating_add(other.memory_limit),
            stressed: self.stressed.max(other.stressed),
        }
    }
}

impl Hub {
    pub(crate) fn new(limits: ConnectionLimits, logs: LogLimits, metrics: Metrics, now: Instant) -> Arc<Self> {
        let hub = Arc::new(Self {
            limits,
            start: now,
            phase: AtomicU8::new(Phase::Running as u8),
            stressed: AtomicBool::new(false),
            stress_told: AtomicU32::new(0),
            sheds: AtomicU32::new(0),
            table: Mutex::default(),
            empty: Notify::new(),
            memory: AtomicUsize::new(0),
            metrics,
            logs: PeerLogs::new(logs, now),
        });
        hub.metrics.join(&hub);
        hub
    }

    /// Whole seconds since the server began. A session that holds something says so rarely that it is active.
    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u32::MAX)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from that address. Where it is not known yet, [`Slot::name`] tells it later.
    pub(crate) fn admit(self: &Arc<Self>, ip: Option<IpAddr>, now: Instant) -> Result<Slot, Refusal> {
        let mut table = self.table();
        if table.len() >= self.limits.total {
            drop(table);
            return Err(self.refuse(Refusal::Total));
        }
        let network = ip.map(network);
        if network.is_some_and(|network| !table.count(network, self.limits.per_address)) {
            drop(table);
            return Err(self.refuse(Refusal::PerAddress));
        }
        let id = table.open();
        let stress = table.len() * 100 > self.limits.total.saturating_mul(self.limits.stress.into());
        let begins = stress && !self.stressed.swap(true, Ordering::Relaxed);
        let wakers = if begins { table.wakers() } else { Vec::new() };
        drop(table);
        // Those that wait are to wait for less.
        wakers.iter().for_each(Waker::wake_by_ref);
        if begins && self.may_tell_stress(now) {
            tracing::warn!(limit = self.limits.total, "connections are running out: clients get less time from now on");
        }
        self.metrics.one(Count::Connections);
        Ok(Slot { hub: Arc::clone(self), id, network, carry: 0, kept: 0, active: 0 })
    }

    /// Stress may come and go as clients like; a line about it comes once a minute.
    fn may_tell_stress(&self, now: Instant) -> bool {
        let second = self.second(now).saturating_add(1);
        let before = self.stress_told.load(Ordering::Relaxed);
        let may = before == 0 || second.saturating_sub(before) >= 60;
        if may {
            self.stress_told.store(second, Ordering::Relaxed);
        }
        may
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.metrics.one(match refusal {
            Refusal::Total => Count::RefusedTotal,
            Refusal::PerAddress => Count::RefusedPerAddress,
        });
        refusal
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Whether so many places are taken that clients get less time.
    pub(crate) fn is_stressed(&self) -> bool {
        self.stressed.load(Ordering::Relaxed)
    }

    /// Changes when a session is told to end for its memory; [`Slot::is_shed`] says whether it is this one.
    pub(crate) fn sheds(&self) -> u32 {
        self.sheds.load(Ordering::Relaxed)
    }

    /// Tells all connections.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        let wakers = self.table().wakers();
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    pub(crate) fn open(&self) -> usize {
        self.table().len()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            open: self.open() as u64,
            total: self.limits.total as u64,
            memory: self.memory.load(Ordering::Relaxed) as u64,
            memory_limit: self.limits.memory as u64,
            stressed: self.is_stressed().into(),
        }
    }

    /// Waits until no connection is open.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.open() == 0 {
                return;
            }
            notified.await;
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let count = |count| self.metrics.get(count);
        Summary {
            connections: self.table().next,
            refused_connections: count(Count::RefusedTotal) + count(Count::RefusedPerAddress),
            messages: count(Count::Accepted),
            bytes: count(Count::AcceptedBytes),
            refused_messages: count(Count::Refused),
            aborted_messages: count(Count::Aborted),
            tls_connections: count(Count::Handshakes),
            failed_handshakes: count(Count::FailedHandshakes),
            authentications: count(Count::Authentications),
            failed_authentications: count(Count::FailedAuthentications),
            starttls_violations: count(Count::StartTlsViolations),
            bad_proxy_headers: count(Count::BadProxyHeaders),
            shed: count(Count::Shed),
            cut_off: 0,
        }
    }

    /// Counts so many octets in place of others; false, and nothing is changed, if there is no room for them. Where there is little, sessions
    /// that have been idle the longest end; not that one, which is at work. What they will give back counts as given back: they hold it for
    /// no longer than it takes to wake them.
    fn exchange(&self, id: u64, before: usize, after: usize) -> bool {
        let Some(more) = after.checked_sub(before) else {
            self.memory.fetch_sub(before - after, Ordering::Relaxed);
            return true;
        };
        let used = self.memory.fetch_add(more, Ordering::Relaxed) + more;
        let much = self.limits.memory / 8 * SHEDDING;
        if used <= much {
            return true;
        }
        let mut wakers = Vec::new();
        let mut table = self.table();
        while used.saturating_sub(table.leaving()) > much && table.shed(id, &mut wakers) {}
        let fits = used.saturating_sub(table.leaving()) <= self.limits.memory;
        drop(table);
        if !fits {
            self.memory.fetch_sub(more, Ordering::Relaxed);
        }
        if !wakers.is_empty() {
            self.sheds.fetch_add(1, Ordering::Relaxed);
            wakers.iter().for_each(Waker::wake_by_ref);
        }
        fits
    }
}

/// Whom connections are counted against: a host has an IPv4 address, but a whole /64 of IPv6 (RFC 4291 §2.5.4).
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

/// A connection's place in the hub, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    hub: Arc<Hub>,
    id: u64,
    /// Where it is counted, once that is known.
    network: Option<IpAddr>,
    /// Octets of carried input that are counted for this connection.
    carry: usize,
    /// Octets that its session holds, in whole steps.
    kept: usize,
    /// When it last said that it is active, in whole seconds of the server's life. It means nothing while nothing is held.
    active: u32,
}

impl Slot {
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.hub.metrics
    }

    /// The number of the connection.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Counts the connection against that address, for it was not known where it comes from.
    pub(crate) fn name(&mut self, ip: IpAddr) -> Result<(), Refusal> {
        debug_assert!(self.network.is_none(), "a connection comes from one place");
        let network = network(ip);
        if !self.hub.table().count(network, self.hub.limits.per_address) {
            return Err(self.hub.refuse(Refusal::PerAddress));
        }
        self.network = Some(network);
        Ok(())
    }

    /// The count of log lines for its peer.
    pub(crate) fn log(&self, ip: IpAddr) -> Arc<PeerLog> {
        self.hub.logs.of(ip)
    }

    /// Has the waker woken when the phase changes.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.hub.table().watch(self.id, waker);
    }

    /// Counts so many octets of carried input instead of those counted before; false if the server has no room for them.
    #[must_use]
    pub(crate) fn count_carry(&mut self, bytes: usize) -> bool {
        let fits = self.carry == bytes || self.hub.exchange(self.id, self.carry, bytes);
        if fits {
            self.carry = bytes;
        }
        fits
    }

    /// The session holds so many octets; false if the server has no room for them.
    #[must_use]
    pub(crate) fn keep(&mut self, bytes: usize, now: Instant) -> bool {
        let kept = bytes / STEP * STEP;
        if kept == 0 && self.kept == 0 {
            return true;
        }
        if kept == self.kept {
            if self.hub.second(now) == self.active {
                return true;
            }
        } else if !self.hub.exchange(self.id, self.kept, kept) {
            return false;
        }
        self.kept = kept;
        self.active = self.hub.second(now);
        self.hub.table().keep(self.id, kept);
        true
    }

    /// Whether the session is to end, since it holds memory that others need more.
    pub(crate) fn is_shed(&self) -> bool {
        self.hub.table().is_shed(self.id)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let hub = &self.hub;
        hub.memory.fetch_sub(self.carry + self.kept, Ordering::Relaxed);
        let mut table = hub.table();
        table.close(self.id);
        if let Some(network) = self.network {
            table.discount(network);
        }
        let open = table.len();
        if hub.is_stressed() {
            let relieved = usize::from(hub.limits.stress).saturating_sub(RELIEF);
            if open * 100 <= hub.limits.total.saturating_mul(relieved) {
                hub.stressed.store(false, Ordering::Relaxed);
            }
        }
        drop(table);
        hub.metrics.one(Count::Closed);
        if open == 0 {
            hub.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize as Wakes;
    use std::task::Wake;

    fn hub(limits: ConnectionLimits) -> Arc<Hub> {
        Hub::new(limits, LogLimits::default(), Metrics::new(), start())
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn admit(hub: &Arc<Hub>, ip: &str) -> Result<Slot, Refusal> {
        hub.admit(Some(ip.parse().unwrap()), start())
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(Wakes);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn places_are_limited_in_all_and_by_network() {
        let hub = hub(ConnectionLimits::default().total(3).per_address(2));
        let a = admit(&hub, "2001:db8::1").unwrap();
        let _b = admit(&hub, "2001:db8::2").unwrap();
        assert_eq!(admit(&hub, "2001:db8::3").unwrap_err(), Refusal::PerAddress);
        let _c = admit(&hub, "192.0.2.1").unwrap();
        assert_eq!(admit(&hub, "192.0.2.2").unwrap_err(), Refusal::Total);
        drop(a);
        let _d = admit(&hub, "::ffff:192.0.2.1").unwrap();
        assert_eq!(hub.summary().connections, 4);
        assert_eq!(hub.summary().refused_connections, 2);
    }

    #[test]
    fn a_connection_can_be_named_later() {
        let hub = hub(ConnectionLimits::default().total(3).per_address(1));
        let mut a = hub.admit(None, start()).unwrap();
        let mut b = hub.admit(None, start()).unwrap();
        let c = hub.admit(None, start()).unwrap();
        assert_eq!(hub.admit(None, start()).unwrap_err(), Refusal::Total, "they count in all");
        a.name("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(b.name("192.0.2.1".parse().unwrap()), Err(Refusal::PerAddress));
        drop(b);
        assert_eq!(admit(&hub, "192.0.2.1").unwrap_err(), Refusal::PerAddress, "and against their address");
        drop(a);
        let d = admit(&hub, "192.0.2.1").unwrap();
        drop((c, d));
        assert!(hub.table().is_empty());
        assert_eq!(hub.summary().refused_connections, 3);
    }

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone() {
        let none = hub(ConnectionLimits::default().per_address(0));
        assert!(admit(&none, "192.0.2.1").is_err());
        assert!(none.table().is_empty());
        let hub = hub(ConnectionLimits::default().memory(3 * STEP));
        let mut slot = admit(&hub, "192.0.2.1").unwrap();
        assert!(slot.count_carry(3 * STEP) && slot.count_carry(3) && !slot.count_carry(3 * STEP + 1));
        let mut other = admit(&hub, "192.0.2.1").unwrap();
        assert!(!other.count_carry(3 * STEP - 2) && other.count_carry(10));
        assert!(slot.keep(2 * STEP, start()) && other.keep(STEP, start()) && slot.is_shed());
        drop((slot, other));
        assert_eq!(hub.memory.load(Ordering::Relaxed), 0);
        assert!(hub.table().is_empty());
    }

    #[test]
    fn what_an_ordinary_session_holds_is_not_looked_at() {
        let hub = hub(ConnectionLimits::default().memory(0));
        let mut slot = admit(&hub, "192.0.2.1").unwrap();
        assert!(slot.keep(STEP - 1, start()) && !slot.keep(STEP, start()));
    }

    #[test]
    fn who_holds_memory_and_has_been_idle_the_longest_makes_room() {
        let hub = hub(ConnectionLimits::default().memory(16 * STEP));
        let bells: Vec<Arc<Bell>> = (0..4).map(|_| Arc::default()).collect();
        let mut slots: Vec<Slot> = bells
            .iter()
            .map(|bell| {
                let slot = admit(&hub, "192.0.2.1").unwrap();
                slot.watch(&Waker::from(Arc::clone(bell)));
                slot
            })
            .collect();
        let rung = || bells.iter().map(|bell| bell.0.load(Ordering::SeqCst)).collect::<Vec<_>>();
        // The last one holds nothing, and is the idlest of all.
        for slot in &mut slots[..3] {
            assert!(slot.keep(4 * STEP, start()));
        }
        // The first one is active again, so that the second is the idlest.
        assert!(slots[0].keep(4 * STEP, start() + std::time::Duration::from_secs(2)));
        assert_eq!(rung(), [0; 4]);
        assert!(slots[2].keep(7 * STEP, start()), "there is room, if little");
        assert_eq!(rung(), [0, 1, 0, 0]);
        let shed: Vec<bool> = slots.iter().map(Slot::is_shed).collect();
        assert_eq!(shed, [false, true, false, false]);
        // What it will give back counts already.
        assert!(slots[2].keep(10 * STEP, start()));
        assert_eq!(rung(), [0, 1, 0, 0]);
        drop(slots.remove(1));
        assert_eq!(hub.memory.load(Ordering::Relaxed), 14 * STEP);
        // There is nobody left to make room but the first one, and not enough then.
        assert!(!slots[1].keep(17 * STEP, start()));
        assert_eq!(rung(), [1, 1, 0, 0]);
        assert_eq!(hub.memory.load(Ordering::Relaxed), 14 * STEP);
        drop(slots);
        assert!(hub.table().is_empty());
    }

    #[test]
    fn stress_begins_above_its_share_and_ends_well_below() {
        let hub = hub(ConnectionLimits::default().total(10));
        let bell = Arc::new(Bell::default());
        let mut slots = Vec::new();
        for open in 1..=10 {
            slots.push(admit(&hub, "192.0.2.1").unwrap());
            slots[0].watch(&Waker::from(Arc::clone(&bell)));
            assert_eq!(hub.is_stressed(), open > 8, "{open}");
        }
        assert_eq!(bell.0.load(Ordering::SeqCst), 1, "those that wait are told once");
        let minute = std::time::Duration::from_secs(60);
        assert!(!hub.may_tell_stress(start() + minute / 2) && hub.may_tell_stress(start() + 2 * minute));
        while slots.pop().is_some() {
            assert_eq!(hub.is_stressed(), slots.len() > 7, "{}", slots.len());
        }
        let never =
            Hub::new(ConnectionLimits::default().total(1).stress(100), LogLimits::default(), Metrics::new(), start());
        let _slot = admit(&never, "192.0.2.1").unwrap();
        assert!(!never.is_stressed());
    }
}
