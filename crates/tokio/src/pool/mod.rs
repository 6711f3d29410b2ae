//! Connections that are kept and used again.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ehlo_tokio::client::{Envelope, Recipient};
//! use ehlo_tokio::pool::{Pool, Target};
//!
//! let pool = Pool::builder().connections(4).build();
//! let relay = Target::new("relay.example:587");
//! let to = [Recipient::parse("bob@mx.example")?];
//! let report = pool.send(&relay, &Envelope::parse("ada@client.example", &to)?, b"Subject: hi\r\n\r\nHello.\r\n").await?;
//! assert!(report.all_accepted());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Pool`] has a bounded number of connections to each [`Target`], and to all. Whoever finds none free waits, in the order of coming. One that was
//! used comes back and is kept for a while; one that the server has closed meanwhile, or over which it has said anything unasked, is not used
//! again. A message that such a connection takes with it is sent again over a fresh one, once, to those recipients of whom it is certain
//! that the server has not accepted them: never to one that was accepted, or may have been.

mod slots;
mod target;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ehlo_client::codec::ReplyCode;
use ehlo_client::{CloseReason, Envelope, Fate, Recipient, Report};
use tokio::sync::oneshot;

use self::slots::{Asked, Bounds, Changes, Grant, Slots};
pub use self::target::Target;
use crate::client::{Client, SendError};

/// Says how large a [`Pool`] is.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    bounds: Bounds,
    messages: u64,
    rest: Duration,
}

impl Builder {
    /// Most connections to one target. Default: 4.
    pub const fn connections(mut self, most: usize) -> Self {
        self.bounds.each = if most == 0 { 1 } else { most };
        self
    }

    /// Most connections to all targets. Default: 100. Where there are as many, the one that is idle longest makes room.
    pub const fn total(mut self, most: usize) -> Self {
        self.bounds.total = if most == 0 { 1 } else { most };
        self
    }

    /// How long a connection is kept without use. Default: one minute; servers close after five (RFC 5321 §4.5.3.2.7).
    pub const fn idle(mut self, time: Duration) -> Self {
        self.bounds.idle = time;
        self
    }

    /// Messages that one connection carries before it is closed. Default: 100. A server that tells of fewer (RFC 9422, MAILMAX) gets fewer.
    pub const fn messages(mut self, most: u64) -> Self {
        self.messages = if most == 0 { 1 } else { most };
        self
    }

    /// How long no new connection is made to a target that has answered a fresh one with 421. Default: 5 seconds.
    pub const fn rest(mut self, time: Duration) -> Self {
        self.rest = time;
        self
    }

    /// The pool; it has no connection yet.
    #[must_use]
    pub fn build(self) -> Pool {
        let state =
            State { slots: Slots::new(self.bounds), waiting: HashMap::new(), resting: HashMap::new(), reaper: false };
        Pool { inner: Arc::new(Inner { state: Mutex::new(state), messages: self.messages, rest: self.rest }) }
    }
}

/// Connections that are kept and used again. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

/// What a pool has at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolState {
    /// Connections that are open, in use or idle.
    pub open: usize,
    /// Those of them that are idle.
    pub idle: usize,
    /// Senders that wait for one.
    pub waiting: usize,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    messages: u64,
    rest: Duration,
}

#[derive(Debug)]
struct State {
    slots: Slots<Target, Kept>,
    waiting: HashMap<u64, oneshot::Sender<Grant<Kept>>>,
    /// Targets to which no connection is made until then.
    resting: HashMap<Target, Instant>,
    /// Something watches for connections that are idle for too long.
    reaper: bool,
}

#[derive(Debug)]
struct Kept {
    client: Box<Client>,
    messages: u64,
}

fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(self: &Arc<Self>, target: &Target, kept: Option<Kept>) {
        let mut state = self.lock();
        let idles = kept.is_some();
        let changes = state.slots.give_back(target, kept, clock());
        state.apply(changes);
        let reap_now = idles && !std::mem::replace(&mut state.reaper, true);
        drop(state);
        if reap_now {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(reap(Arc::downgrade(self)))),
                Err(_) => self.lock().reaper = false,
            }
        }
    }
}

impl State {
    /// Tells those who waited.
    fn apply(&mut self, changes: Changes<Kept>) {
        leave(changes.closed.into_iter());
        for (number, grant) in changes.granted {
            if let Some(sender) = self.waiting.remove(&number) {
                // Whoever waited and is gone by then finds it when its future is dropped, and gives it back.
                let _ = sender.send(grant);
            }
        }
    }
}

/// Closes connections that are idle for too long, as long as there are any.
async fn reap(inner: Weak<Inner>) {
    loop {
        let next = {
            let Some(inner) = inner.upgrade() else { return };
            let mut state = inner.lock();
            let (changes, next) = state.slots.expire(clock());
            state.apply(changes);
            if next.is_none() {
                state.reaper = false;
                return;
            }
            next
        };
        if let Some(next) = next {
            tokio::time::sleep_until(next.into()).await;
        }
    }
}

/// Says goodbye, in the background: how the server takes it changes nothing.
fn leave(closed: impl Iterator<Item = Kept>) {
    for kept in closed {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(5), kept.client.quit()).await;
            });
        }
    }
}

/// A grant that is waited for. Dropped, it leaves the line, and what it was granted meanwhile goes to the next.
struct Waiting<'a> {
    inner: &'a Arc<Inner>,
    target: &'a Target,
    number: u64,
    receiver: oneshot::Receiver<Grant<Kept>>,
    done: bool,
}

impl Waiting<'_> {
    async fn grant(mut self) -> Grant<Kept> {
        let grant = (&mut self.receiver).await;
        self.done = true;
        // The sender is in the pool's state, which this borrows, until it has sent.
        grant.unwrap_or(Grant::Open)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.inner.lock();
        state.waiting.remove(&self.number);
        let left = state.slots.leave(self.number);
        drop(state);
        if !left && let Ok(grant) = self.receiver.try_recv() {
            let kept = match grant {
                Grant::Idle(kept) => Some(kept),
                Grant::Open => None,
            };
            self.inner.give_back(self.target, kept);
        }
    }
}

/// A place for a connection, and perhaps one. Whatever happens to who has it, the place comes back.
struct Lease<'a> {
    inner: &'a Arc<Inner>,
    target: &'a Target,
    kept: Option<Kept>,
    /// It was used before.
    reused: bool,
}

impl Lease<'_> {
    /// The connection is to be kept, if it can be.
    fn keep(mut self, messages: u64) {
        if let Some(kept) = &mut self.kept {
            kept.messages += 1;
            if kept.messages >= messages || !kept.client.is_usable() {
                leave(self.kept.take().filter(|kept| kept.client.closed().is_none()).into_iter());
            }
        }
        // `drop` gives it back.
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // A connection that comes here in the middle of a message, since its sender was dropped, is no use to anybody.
        let kept = self.kept.take().and_then(|mut kept| kept.client.is_usable().then_some(kept));
        self.inner.give_back(self.target, kept);
    }
}

impl Pool {
    /// Says how large it is.
    pub const fn builder() -> Builder {
        Builder {
            bounds: Bounds { total: 100, each: 4, idle: Duration::from_secs(60) },
            messages: 100,
            rest: Duration::from_secs(5),
        }
    }

    /// What it has at the moment.
    #[must_use]
    pub fn state(&self) -> PoolState {
        let (open, idle, waiting) = self.inner.lock().slots.counts();
        PoolState { open, idle, waiting }
    }

    /// Opens connections to a target before they are needed: so many, or as many as there may be.
    ///
    /// # Errors
    ///
    /// [`SendError`] of the first that can't be opened.
    pub async fn warm(&self, target: &Target, connections: usize) -> Result<(), SendError> {
        let mut leases = Vec::new();
        for _ in 0..connections {
            // Never by a place in the line: what is granted there in the meantime would be nobody's.
            let (granted, closed) = self.inner.lock().slots.ask_now(target);
            leave(closed.into_iter());
            let Some(grant) = granted else { break };
            leases.push(self.lease(target, grant).await?);
        }
        Ok(())
    }

    /// Closes all connections that are idle. Those in use are kept as before when they come back.
    pub fn clear(&self) {
        let closed = self.inner.lock().slots.clear();
        leave(closed.into_iter());
    }

    /// A connection to that target: one that was used before, if there is one that still stands.
    async fn acquire<'a>(&'a self, target: &'a Target) -> Result<Lease<'a>, SendError> {
        let (asked, closed) = {
            let mut state = self.inner.lock();
            let (asked, closed) = state.slots.ask(target);
            let asked = match asked {
                Asked::Granted(grant) => Ok(grant),
                Asked::Waits(number) => {
                    let (sender, receiver) = oneshot::channel();
                    state.waiting.insert(number, sender);
                    Err(Waiting { inner: &self.inner, target, number, receiver, done: false })
                }
            };
            (asked, closed)
        };
        leave(closed.into_iter());
        let grant = match asked {
            Ok(grant) => grant,
            Err(waiting) => waiting.grant().await,
        };
        self.lease(target, grant).await
    }

    async fn lease<'a>(&'a self, target: &'a Target, grant: Grant<Kept>) -> Result<Lease<'a>, SendError> {
        let mut lease = Lease { inner: &self.inner, target, kept: None, reused: false };
        if let Grant::Idle(mut kept) = grant
            && kept.client.is_usable()
        {
            (lease.kept, lease.reused) = (Some(kept), true);
            return Ok(lease);
        }
        self.open(&mut lease).await?;
        Ok(lease)
    }

    /// Makes a connection in the lease's place.
    async fn open(&self, lease: &mut Lease<'_>) -> Result<(), SendError> {
        lease.kept = None;
        lease.reused = false;
        let rests = self.inner.lock().resting.get(lease.target).copied();
        if let Some(until) = rests {
            tokio::time::sleep_until(until.into()).await;
        }
        match lease.target.connect().await {
            Ok(client) => {
                self.inner.lock().resting.remove(lease.target);
                lease.kept = Some(Kept { client: Box::new(client), messages: 0 });
                Ok(())
            }
            Err(error) => {
                if matches!(
                    error,
                    SendError::Closed(CloseReason::ServiceNotAvailable)
                        | SendError::Refused(CloseReason::ServiceNotAvailable, _)
                ) {
                    self.rest(lease.target);
                }
                Err(error)
            }
        }
    }

    /// The target has said 421 to a fresh connection.
    fn rest(&self, target: &Target) {
        let now = clock();
        let mut state = self.inner.lock();
        state.resting.retain(|_, until| *until > now);
        state.resting.insert(target.clone(), now + self.inner.rest);
    }

    /// Sends one message to all recipients of an envelope, over a connection to that target, as
    /// [`Client::send`] does. Recipients that were surely not accepted when a connection was lost are sent to over a fresh one, once;
    /// those that a server's limits leave (RFC 9422), over as many as it takes.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing could be sent to anybody.
    pub async fn send(&self, target: &Target, envelope: &Envelope<'_>, text: &[u8]) -> Result<Report, SendError> {
        let mut lease = self.acquire(target).await?;
        let mut report: Option<Report> = None;
        let mut left: Vec<usize> = (0..envelope.to.len()).collect();
        let mut again = true;
        loop {
            let to: Vec<Recipient<'_>> = left.iter().map(|place| envelope.to[*place]).collect();
            let mut part = *envelope;
            part.to = &to;
            let Some(kept) = &mut lease.kept else { break };
            let sent = kept.client.send(&part, text).await;
            let closed = kept.client.closed();
            // One that has taken messages has only had enough of this connection.
            let took_some = matches!(&sent, Ok(part) if part.accepted() > 0);
            if closed == Some(CloseReason::ServiceNotAvailable) && !lease.reused && !took_some {
                self.rest(target);
            }
            let before = left.len();
            match sent {
                Ok(part) => match &mut report {
                    None => {
                        left = unaccepted(&part, lease.reused).collect();
                        report = Some(part);
                    }
                    Some(report) => {
                        report.merge(&left, &part);
                        left = unaccepted(&part, false).map(|place| left[place]).collect();
                    }
                },
                // Closed while it was idle: nothing was said.
                Err(SendError::Closed(_)) if again && lease.reused => {}
                Err(error) if report.is_none() => return Err(error),
                Err(_) => break,
            }
            if left.is_empty() {
                break;
            }
            // Either this connection is full, and some got through; or it is lost, which is tried anew once.
            let full = closed.is_none();
            if !(full && left.len() < before || std::mem::take(&mut again)) {
                break;
            }
            if full {
                leave(lease.kept.take().into_iter());
            }
            if let Err(error) = self.open(&mut lease).await {
                match report {
                    Some(_) => break,
                    None => return Err(error),
                }
            }
        }
        lease.keep(self.inner.messages);
        Ok(report.unwrap_or_default())
    }
}

/// Those who were surely not accepted because of the connection, not of what the message is: nothing was sent to them; or the server says 421 over a
/// connection that it had left idle.
fn unaccepted(report: &Report, reused: bool) -> impl Iterator<Item = usize> + '_ {
    let closing = move |fate: &Fate<'_>| matches!(fate, Fate::Refused(reply) if reused && reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE);
    report.iter().enumerate().filter(move |(_, fate)| *fate == Fate::Unsent || closing(fate)).map(|(place, _)| place)
}
