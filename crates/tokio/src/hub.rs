//! What the connections of a server share: their number, their memory, and the order to stop.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;

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
    /// Bytes that were read and wait for a decision or a sink, over all connections; a connection whose bytes don't fit is closed with
    /// 421. Default: 256 MiB, which is 4096 times the default [`Limits::read_chunk`](ehlo_server::Limits).
    pub carry: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 10_000, per_address: 50, carry: 256 * 1024 * 1024 }
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

    /// With so many bytes that wait.
    #[must_use]
    pub const fn carry(mut self, bytes: usize) -> Self {
        self.carry = bytes;
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
    /// Connections that were still open when the drain deadline came, and were closed.
    pub cut_off: u64,
}

/// Shared by the acceptor and all connections.
#[derive(Debug)]
pub(crate) struct Hub {
    limits: ConnectionLimits,
    phase: AtomicU8,
    table: Mutex<Table>,
    /// Told when the last connection has ended.
    empty: Notify,
    carry: AtomicUsize,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) refused_messages: AtomicU64,
    pub(crate) aborted_messages: AtomicU64,
    pub(crate) tls_connections: AtomicU64,
    pub(crate) failed_handshakes: AtomicU64,
    pub(crate) authentications: AtomicU64,
    pub(crate) failed_authentications: AtomicU64,
    pub(crate) starttls_violations: AtomicU64,
    pub(crate) bad_proxy_headers: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// The open connections, each with the waker of its task once that has run.
    open: HashMap<u64, Option<Waker>>,
    per_address: HashMap<IpAddr, usize>,
}

impl Table {
    /// Counts one more connection from there; false if there are as many already.
    fn count(&mut self, network: IpAddr, limit: usize) -> bool {
        let count = self.per_address.get(&network).copied().unwrap_or_default();
        if count < limit {
            self.per_address.insert(network, count + 1);
        }
        count < limit
    }
}

impl Hub {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            phase: AtomicU8::new(Phase::Running as u8),
            table: Mutex::default(),
            empty: Notify::new(),
            carry: AtomicUsize::new(0),
            refused_connections: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused_messages: AtomicU64::new(0),
            aborted_messages: AtomicU64::new(0),
            tls_connections: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
            authentications: AtomicU64::new(0),
            failed_authentications: AtomicU64::new(0),
            starttls_violations: AtomicU64::new(0),
            bad_proxy_headers: AtomicU64::new(0),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from that address. Where it is not known yet, [`Slot::name`] tells it later.
    pub(crate) fn admit(self: &Arc<Self>, ip: Option<IpAddr>) -> Result<Slot, Refusal> {
        let mut table = self.table();
        if table.open.len() >= self.limits.total {
            drop(table);
            return Err(self.refuse(Refusal::Total));
        }
        let network = ip.map(network);
        if network.is_some_and(|network| !table.count(network, self.limits.per_address)) {
            drop(table);
            return Err(self.refuse(Refusal::PerAddress));
        }
        table.next += 1;
        let id = table.next;
        table.open.insert(id, None);
        Ok(Slot { hub: Arc::clone(self), id, network, carry: 0 })
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
        refusal
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    /// Tells all connections.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        let wakers: Vec<Waker> = self.table().open.values().flatten().cloned().collect();
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    pub(crate) fn open(&self) -> usize {
        self.table().open.len()
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
        Summary {
            connections: self.table().next,
            refused_connections: self.refused_connections.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            refused_messages: self.refused_messages.load(Ordering::Relaxed),
            aborted_messages: self.aborted_messages.load(Ordering::Relaxed),
            tls_connections: self.tls_connections.load(Ordering::Relaxed),
            failed_handshakes: self.failed_handshakes.load(Ordering::Relaxed),
            authentications: self.authentications.load(Ordering::Relaxed),
            failed_authentications: self.failed_authentications.load(Ordering::Relaxed),
            starttls_violations: self.starttls_violations.load(Ordering::Relaxed),
            bad_proxy_headers: self.bad_proxy_headers.load(Ordering::Relaxed),
            cut_off: 0,
        }
    }
}

/// Whom connections are counted against: a host has an IPv4 address, but a whole /64 of IPv6 (RFC 4291 §2.5.4).
fn network(ip: IpAddr) -> IpAddr {
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
    /// Bytes of carried input that are counted for this connection.
    carry: usize,
}

impl Slot {
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
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

    /// Has the waker woken when the phase changes.
    pub(crate) fn watch(&self, waker: &Waker) {
        if let Some(slot) = self.hub.table().open.get_mut(&self.id) {
            *slot = Some(waker.clone());
        }
    }

    /// Counts so many bytes of carried input instead of those counted before; false if the server has no room for them.
    #[must_use]
    pub(crate) fn count_carry(&mut self, bytes: usize) -> bool {
        let limit = self.hub.limits.carry;
        let others = |used: usize| used - self.carry;
        let update = |used| others(used).checked_add(bytes).filter(|&sum| bytes == 0 || sum <= limit);
        let fits = self.hub.carry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).is_ok();
        if fits {
            self.carry = bytes;
        }
        fits
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.hub.carry.fetch_sub(self.carry, Ordering::Relaxed);
        let mut table = self.hub.table();
        table.open.remove(&self.id);
        if let Some(network) = self.network
            && let Some(count) = table.per_address.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                table.per_address.remove(&network);
            }
        }
        let last = table.open.is_empty();
        drop(table);
        if last {
            self.hub.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(hub: &Arc<Hub>, ip: &str) -> Result<Slot, Refusal> {
        hub.admit(Some(ip.parse().unwrap()))
    }

    #[test]
    fn places_are_limited_in_all_and_by_network() {
        let hub = Hub::new(ConnectionLimits::default().total(3).per_address(2));
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
        let hub = Hub::new(ConnectionLimits::default().total(3).per_address(1));
        let mut a = hub.admit(None).unwrap();
        let mut b = hub.admit(None).unwrap();
        let c = hub.admit(None).unwrap();
        assert_eq!(hub.admit(None).unwrap_err(), Refusal::Total, "they count in all");
        a.name("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(b.name("192.0.2.1".parse().unwrap()), Err(Refusal::PerAddress));
        drop(b);
        assert_eq!(admit(&hub, "192.0.2.1").unwrap_err(), Refusal::PerAddress, "and against their address");
        drop(a);
        let _d = admit(&hub, "192.0.2.1").unwrap();
        drop(c);
        assert_eq!(hub.table().per_address.len(), 1);
        assert_eq!(hub.summary().refused_connections, 3);
    }

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone() {
        let hub = Hub::new(ConnectionLimits::default().per_address(0));
        assert!(admit(&hub, "192.0.2.1").is_err());
        assert!(hub.table().per_address.is_empty());
        let hub = Hub::new(ConnectionLimits::default().carry(10));
        let mut slot = admit(&hub, "192.0.2.1").unwrap();
        assert!(slot.count_carry(10) && slot.count_carry(3) && !slot.count_carry(11));
        let mut other = admit(&hub, "192.0.2.1").unwrap();
        assert!(!other.count_carry(8) && other.count_carry(7));
        drop((slot, other));
        assert_eq!(hub.carry.load(Ordering::Relaxed), 0);
        assert!(hub.table().per_address.is_empty() && hub.table().open.is_empty());
    }
}
