//! The driver of one connection: a single future, written by hand.
//!
//! What it costs: a round trip is one read, one write and a share of an `epoll_wait`. Input is read into a buffer that all connections of
//! a thread share, handled there, and body bytes go to the sink as slices of it. All replies that one read causes are written at once.
//! Only when a decision or the sink has to be waited for is the rest of the read copied to memory of the connection ([`Carry`]).

mod auth;
mod decide;
mod drip;
mod handshake;
mod seen;
mod timer;

use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ehlo_sasl::ServerExchange;
use ehlo_server::{AbortReason, CloseReason, Config, Event, Pending, Questions, Reason, Session, Shutdown};

use self::decide::Open;
use self::drip::Drips;
use self::handshake::Handshake;
use self::seen::{Seen, tell};
use self::timer::Timer;
use crate::auth::Auth;
use crate::carry::{Carry, Left};
use crate::hub::{Phase, Slot};
use crate::metrics::Count;
use crate::notes::Notes;
use crate::policy::Policy;
use crate::server::CLOSING;
use crate::tls::TlsConfig;
use crate::transport::{Peer, Tcp, Transport};

/// Reads that one poll makes at the most, before other connections of the thread get their turn.
const READS_PER_POLL: usize = 16;

/// How long a connection that we close is read on, and how much, so that the peer gets to see the last reply: closing a socket with
/// unread bytes resets the connection, which throws away what the peer hasn't read yet.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// The same for a server that has waited long enough; within the time that it grants its connections for their 421.
const LINGER_CLOSING: Duration = Duration::from_millis(500);
const _: () = assert!(LINGER_CLOSING.as_millis() < CLOSING.as_millis());

thread_local! {
    /// What all connections of this thread read into, one after the other.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Now. tokio's clock and not the system's, so that a test can stop it.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How far the message that comes in has got.
#[derive(Debug)]
enum Body {
    /// There is none.
    None,
    /// The sink has begun it, and has not failed.
    Open,
}

/// What a connection is served with.
#[derive(Debug)]
pub(crate) struct Setup<P> {
    pub(crate) config: Arc<Config>,
    pub(crate) policy: Arc<P>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) auth: Option<Arc<Auth>>,
    /// It begins with a handshake.
    pub(crate) implicit_tls: bool,
}

/// A connection that is being served. It is done when the connection is closed.
pub(crate) struct Connection<P: Policy> {
    transport: Transport,
    session: Session,
    tls: Option<TlsConfig>,
    handshake: Handshake,
    auth: Option<Arc<Auth>>,
    /// The AUTH exchange that is under way, or was given up by the client.
    exchange: Option<Box<ServerExchange>>,
    config: Arc<Config>,
    policy: Arc<P>,
    notes: Notes,
    /// Whether the policy wants to be asked at DATA.
    asks_data: bool,
    sink: P::Sink,
    body: Body,
    open: Option<Open>,
    carry: Carry,
    /// The sink was pending, and the session knows.
    paused: bool,
    /// No more can be read.
    eof: bool,
    closed: Option<CloseReason>,
    /// What is done to the connection besides.
    drips: Option<Box<Drips>>,
    /// The connection is to be reset when it is closed.
    reset: bool,
    linger: Option<usize>,
    phase: Phase,
    /// What the hub has said of stress and of memory, as far as the session knows.
    stressed: bool,
    sheds: u32,
    overload: bool,
    timer: Timer,
    /// Whom the hub wakes.
    waker: Option<Waker>,
    seen: Seen,
    slot: Slot,
}

// Nothing in it is pinned in place: what needs that is in a box.
impl<P: Policy> Unpin for Connection<P> {}

impl<P: Policy> Future for Connection<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Taken out, not borrowed: a policy or sink may run other futures.
        let mut buffer = BUFFER.take();
        let chunk = self.config.limits.read_chunk.max(1);
        if buffer.len() < chunk {
            buffer.resize(chunk, 0);
        }
        let result = self.run(cx, &mut buffer[..chunk]);
        self.publish();
        BUFFER.set(buffer);
        result
    }
}

impl<P: Policy> Connection<P> {
    /// Begins to serve a connection. `None`, and the connection is closed, if the policy panics when it is asked for a sink: that must
    /// cost this connection only, and not the thread that the others run on.
    pub(crate) fn new(tcp: Tcp, slot: Slot, setup: Setup<P>) -> Option<Self> {
        let transport = Transport::new(tcp);
        let (id, peer) = (slot.id(), transport.peer());
        // What the policy leaves behind is its own: a later panic of it is met in the same way.
        let made = catch_unwind(AssertUnwindSafe(|| Self::make(transport, slot, setup)));
        if made.is_err() {
            tracing::error!(connection = id, %peer, "the policy panicked at a new connection, which is closed");
        }
        made.ok()
    }

    fn make(transport: Transport, slot: Slot, setup: Setup<P>) -> Self {
        let Setup { config, policy, tls, auth, implicit_tls } = setup;
        let mut peer = ehlo_server::Peer::new(slot.id()).with_address(transport.peer().ip());
        if implicit_tls {
            peer = peer.with_implicit_tls();
        }
        let (now, address) = (clock(), transport.peer());
        let connection = Self {
            session: Session::new(now, Arc::clone(&config), peer),
            seen: Seen::new(slot.log(address.ip())),
            sink: policy.sink(),
            asks_data: policy.questions().contains(Questions::DATA),
            transport,
            tls,
            handshake: Handshake::None,
            auth,
            exchange: None,
            config,
            policy,
            notes: Notes::default(),
            body: Body::None,
            open: None,
            carry: Carry::default(),
            paused: false,
            eof: false,
            closed: None,
            drips: None,
            reset: false,
            linger: None,
            phase: Phase::Running,
            stressed: false,
            sheds: 0,
            overload: false,
            timer: Timer::default(),
            waker: None,
            slot,
        };
        tell!(connection, DEBUG, implicit_tls, "connected");
        connection
    }

    fn run(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<()> {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.slot.watch(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
        let mut now = clock();
        self.obey(now);
        for _ in 0..READS_PER_POLL {
            if self.linger.is_some() {
                return self.poll_linger(cx, buffer);
            }
            // What is waited for may have come along with the deadline, or before it while the thread was busy: a message that is stored
            // must not be answered 451. So the deadline comes second.
            self.settle(cx, now);
            if let Some((_, reason)) = self.session.poll_timeout().filter(|(at, _)| *at <= now) {
                self.slot.metrics().timeout(reason);
                self.session.handle_timeout(now);
                self.settle(cx, now);
            }
            self.flush(cx, now);
            if let Some(reason) = self.closed {
                if self.close(cx, reason) {
                    return Poll::Ready(());
                }
                continue;
            }
            if self.phase == Phase::Closing {
                // The peer doesn't read its 421.
                self.tell_closed(now, None);
                return Poll::Ready(());
            }
            if self.handshake != Handshake::None && self.session.output().is_empty() {
                if self.poll_handshake(cx).is_pending() {
                    return self.wait(cx, now);
                }
                now = clock();
                continue;
            }
            if !self.carry.is_empty() && !self.paused && self.session.wants_input() {
                // Replies were written, which made room for more.
                continue;
            }
            if self.eof {
                return self.wait(cx, now);
            }
            if !self.session.wants_input() || !self.carry.is_empty() {
                let Poll::Ready(peer) = self.transport.poll_peer(cx, self.carry.is_empty()) else {
                    return self.wait(cx, now);
                };
                self.end(now, peer);
                continue;
            }
            match self.transport.poll_read(cx, buffer) {
                Poll::Pending => return self.wait(cx, now),
                Poll::Ready(Ok(0)) => self.end(now, Peer::Finished),
                Poll::Ready(Ok(length)) => {
                    now = clock();
                    self.seen.read(length);
                    self.handle(cx, now, &buffer[..length]);
                }
                Poll::Ready(Err(error)) => {
                    let broken = error.kind() == ErrorKind::InvalidData;
                    self.end(now, if broken { Peer::Broken } else { Peer::Gone });
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks whether the server is to stop, and how much it has to do.
    fn obey(&mut self, now: Instant) {
        let hub = self.slot.hub();
        let (phase, stressed, sheds) = (hub.phase(), hub.is_stressed(), hub.sheds());
        if stressed != self.stressed {
            self.stressed = stressed;
            self.session.set_stressed(now, stressed);
        }
        if sheds != self.sheds {
            self.sheds = sheds;
            if self.slot.is_shed() {
                self.give_up_for_memory(now, "memory is short; closing the session that was idle the longest");
            }
        }
        if phase > self.phase {
            self.phase = phase;
            self.session.shutdown(now, if phase == Phase::Draining { Shutdown::Graceful } else { Shutdown::Now });
            if phase == Phase::Closing {
                // One that lingers already gets the shorter time.
                self.timer = Timer::default();
            }
        }
    }

    /// There is no memory for this session.
    fn give_up_for_memory(&mut self, now: Instant, why: &'static str) {
        if !std::mem::replace(&mut self.overload, true) {
            self.slot.metrics().one(Count::Shed);
            tell!(self, WARN, held = self.session.memory() as u64, "{why}");
            self.session.shutdown(now, Shutdown::Overload);
        }
    }

    /// No more comes from the peer.
    fn end(&mut self, now: Instant, peer: Peer) {
        self.eof = true;
        match peer {
            Peer::Finished => self.session.handle_eof(now),
            Peer::Gone => self.session.handle_reset(now),
            Peer::Broken => {
                tell!(self, DEBUG, "what came is no TLS");
                self.session.handle_tls_failed(now);
            }
        }
    }

    /// Handles what was read, and keeps what can't be handled yet.
    fn handle(&mut self, cx: &mut Context<'_>, now: Instant, input: &[u8]) {
        let left = self.feed(cx, now, input);
        if !left.is_empty() && !self.carry.fill(&mut self.slot, left) {
            // Behind a message that is being committed the input is lost, which does no harm: the session ends before it would read on.
            self.give_up_for_memory(now, "no memory is left for input that waits; closing");
        }
    }

    /// Feeds the session until it has used all or waits for something; gives what is left.
    fn feed<'i>(&mut self, cx: &mut Context<'_>, now: Instant, mut input: &'i [u8]) -> Left<'i> {
        loop {
            let step = self.session.handle_input(now, input);
            input = &input[step.used..];
            self.count_commands(&step.commands);
            match step.event {
                None => return Left { owed: &[], input },
                Some(Event::Body(bytes)) => {
                    let taken = self.write_body(cx, now, bytes);
                    if taken < bytes.len() {
                        return Left { owed: &bytes[taken..], input };
                    }
                }
                Some(event) => self.on_event(cx, now, event),
            }
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, now: Instant, event: Event<'_>) {
        match event {
            Event::Ask(question) => self.ask(cx, now, question),
            // The sink has begun it when DATA, or the first chunk, was accepted.
            Event::BodyStart => {}
            Event::Body(_) => debug_assert!(false, "a body comes out of input only"),
            Event::BodyAborted(reason) => {
                self.tell_aborted(now, reason);
                self.slot.metrics().one(match reason {
                    AbortReason::TooLarge
                    | AbortReason::BareLineEnd
                    | AbortReason::Loop
                    | AbortReason::NotStored
                    | AbortReason::Overridden => Count::Refused,
                    _ => Count::Aborted,
                });
                self.abort_sink();
            }
            Event::StartTls => self.handshake = Handshake::Asked,
            Event::Closed(reason) => self.closed = Some(reason),
            _ => debug_assert!(false, "the driver knows all events of the session"),
        }
    }

    /// Goes on with whatever was waited for, as far as it goes.
    fn settle(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            if let Some(event) = self.session.poll_event() {
                self.on_event(cx, now, event);
                continue;
            }
            if self.closed.is_some() {
                (self.open, self.exchange) = (None, None);
                return self.carry.clear(&mut self.slot);
            }
            if self.open.is_some() && self.session.pending() == Pending::Nothing {
                // Answered by the session itself: the time was up, or the peer is gone.
                (self.open, self.exchange) = (None, None);
            }
            match self.poll_open(cx, now) {
                Poll::Pending => return,
                Poll::Ready(true) => continue,
                Poll::Ready(false) => {}
            }
            if !self.carry.owed().is_empty() && self.pay_sink(cx, now).is_pending() {
                return;
            }
            let resumed = std::mem::take(&mut self.paused);
            if resumed {
                self.session.body_resumed(now);
            }
            // Behind a pause the session may go on without input.
            if (self.carry.is_empty() && !resumed) || !self.session.wants_input() {
                return;
            }
            let (bytes, start) = self.carry.take();
            let rest = self.feed(cx, now, &bytes[start..]).within(&bytes);
            self.carry.put_back(&mut self.slot, bytes, rest);
        }
    }

    /// Writes what there is to write: all replies since the last read at once.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) {
        self.count_replies();
        while !self.session.output().is_empty() {
            let output = self.session.output();
            let most = self.drips.as_ref().map_or(output.len(), |drips| drips.may_write(now, output.len()));
            if most == 0 {
                break;
            }
            match self.transport.poll_write(cx, &output[..most]) {
                Poll::Pending => break,
                Poll::Ready(Ok(length)) if length > 0 => {
                    if let Some(drips) = &mut self.drips {
                        drips.written(now, length, length == output.len());
                    }
                    self.seen.wrote(length);
                    self.session.output_sent(now, length);
                    self.count_replies();
                }
                Poll::Ready(_) => {
                    self.end(now, Peer::Gone);
                    break;
                }
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.on_event(cx, now, event);
        }
    }

    /// Waits, with the timer set.
    fn wait(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let held = self.session.memory() + self.transport.held();
        if !self.overload && !self.slot.keep(held, now) {
            self.give_up_for_memory(now, "no memory is left for what the session holds; closing");
            cx.waker().wake_by_ref();
        }
        if let Some((at, _)) = self.session.poll_timeout() {
            let at = self.drips.as_ref().map_or(at, |drips| {
                let (writes, reads) = (!self.session.output().is_empty(), !self.carry.owed().is_empty());
                drips.next(writes, reads).map_or(at, |next| next.min(at))
            });
            if self.timer.arm(cx, now, at).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// The session is over. Ready with true if the connection can be dropped.
    fn close(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> bool {
        self.publish();
        self.tell_closed(clock(), Some(reason));
        if reason == CloseReason::ClearBehindStartTls {
            tell!(self, WARN, "commands in clear behind STARTTLS");
            self.slot.metrics().one(Count::StartTlsViolations);
        }
        if self.reset {
            self.transport.reset();
            return true;
        }
        self.transport.say_goodbye(cx);
        // Where the last word was the peer's, or it has fallen silent, there is nothing that it could miss. It has not where the wait was
        // for us: then what it went on to send is unread.
        let heard = match reason {
            CloseReason::Quit | CloseReason::Disconnected => true,
            CloseReason::TimedOut(wait) => {
                matches!(wait, Reason::Command | Reason::Body | Reason::Flush | Reason::Handshake)
            }
            _ => false,
        };
        if heard || self.eof {
            return true;
        }
        self.transport.close();
        // What is still to be read is thrown away, and so is what was read.
        self.carry.clear(&mut self.slot);
        let given_back = self.slot.keep(0, clock());
        debug_assert!(given_back, "nothing always fits");
        self.timer = Timer::default();
        self.linger = Some(LINGER_BYTES);
        false
    }

    /// Reads what the peer still sends and throws it away, until the peer closes too, or patience ends.
    fn poll_linger(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<()> {
        let now = clock();
        let patience = if self.phase == Phase::Closing { LINGER_CLOSING } else { LINGER };
        let until = self.timer.deadline().unwrap_or(now + patience);
        for _ in 0..READS_PER_POLL {
            let left = self.linger.unwrap_or_default();
            if left == 0 || now >= until {
                return Poll::Ready(());
            }
            match self.transport.poll_discard(cx, buffer) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(length)) => self.linger = Some(left.saturating_sub(length)),
                Poll::Pending => return self.timer.arm(cx, now, until),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
