//! A wire that takes its time: what comes in is handed on a fixed time later, in both directions.
//!
//! ```text
//! delay MICROSECONDS TARGET...
//! ```
//!
//! Listens on a port of loopback for each target (`ADDRESS:PORT`), prints the ports in one line, and ends with its standard input. What one read
//! finds is a segment: it is written to the other side that many microseconds after it was read, never earlier, in the order in which it came.
//! A segment waits for its time alone, not for others that wait, so that a connection's throughput is not bounded by the delay. The end of
//! a side is handed on like a segment. Connecting takes no time.
//!
//! One thread waits for sockets and for a timer of the kernel (timerfd), which keeps time to some microseconds where nothing else runs; how long an
//! exchange of one octet takes through it, whoever measures by it has to look at (`tests/peers/clients.py` does).

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Octets of one direction that may be under way; more are left in the socket.
const UNDER_WAY: usize = 16 * 1024 * 1024;
const READ: usize = 256 * 1024;
const TIMER: Token = Token(0);
const INPUT: Token = Token(1);
/// Behind it come the listeners, and then both sides of each connection.
const FIRST: usize = 2;

/// What is under way to one side of a connection.
struct Segment {
    due: Instant,
    /// The side that it goes to.
    to: usize,
    /// Nothing is the end.
    octets: Vec<u8>,
}

/// One side of a connection; the other is its neighbour.
struct Side {
    stream: TcpStream,
    /// What is due, and did not fit into the socket.
    late: VecDeque<u8>,
    /// Octets under way to it.
    under_way: usize,
    /// Its neighbour was not read to the end, since too much is under way.
    full: bool,
    /// Its end was read.
    ended: bool,
    /// The end of the other side is due, behind what is late.
    ends: bool,
}

struct Proxy {
    delay: Duration,
    poll: Poll,
    timer: OwnedFd,
    targets: Vec<(TcpListener, SocketAddr)>,
    sides: Vec<Option<Side>>,
    /// All have the same delay, so the first is due first.
    segments: VecDeque<Segment>,
    buffer: Vec<u8>,
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: delay MICROSECONDS ADDRESS:PORT...");
    let mut arguments = std::env::args().skip(1);
    let delay = arguments.next().and_then(|text| text.parse().ok()).map(Duration::from_micros).ok_or_else(usage)?;
    let targets = arguments.map(|text| text.parse().map_err(|_| usage())).collect::<io::Result<Vec<SocketAddr>>>()?;
    if targets.is_empty() {
        return Err(usage());
    }
    let mut proxy = Proxy::new(delay, targets)?;
    let ports: Vec<_> = proxy
        .targets
        .iter()
        .map(|(listener, _)| listener.local_addr().map(|at| at.port().to_string()))
        .collect::<Result<_, _>>()?;
    writeln!(io::stdout(), "{}", ports.join(" "))?;
    proxy.run()
}

impl Proxy {
    fn new(delay: Duration, targets: Vec<SocketAddr>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        poll.registry().register(&mut SourceFd(&io::stdin().as_raw_fd()), INPUT, Interest::READABLE)?;
        let mut listeners = Vec::new();
        for (i, target) in targets.into_iter().enumerate() {
            let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            poll.registry().register(&mut listener, Token(FIRST + i), Interest::READABLE)?;
            listeners.push((listener, target));
        }
        Ok(Self {
            delay,
            poll,
            timer,
            targets: listeners,
            sides: Vec::new(),
            segments: VecDeque::new(),
            buffer: vec![0; READ],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            let listeners = FIRST + self.targets.len();
            for event in &events {
                match event.token() {
                    TIMER => {}
                    INPUT => return Ok(()),
                    Token(token) if token < listeners => self.accept(token - FIRST)?,
                    Token(token) => {
                        let side = token - listeners;
                        if event.is_writable() {
                            self.flush(side);
                        }
                        if event.is_readable() {
                            self.read(side);
                        }
                    }
                }
            }
            self.hand_on();
            self.arm()?;
        }
    }

    fn accept(&mut self, i: usize) -> io::Result<()> {
        loop {
            let (listener, target) = &self.targets[i];
            let near = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let far = TcpStream::connect(*target)?;
            let free =
                (0..self.sides.len()).step_by(2).find(|i| self.sides[*i].is_none() && self.sides[*i + 1].is_none());
            let at = free.unwrap_or(self.sides.len());
            if free.is_none() {
                self.sides.extend([None, None]);
            }
            for (place, mut stream) in [(at, near), (at + 1, far)] {
                let token = Token(FIRST + self.targets.len() + place);
                self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                // One that is not connected yet gets it when it is.
                let _ = stream.set_nodelay(true);
                let (late, full) = (VecDeque::new(), false);
                self.sides[place] = Some(Side { stream, late, under_way: 0, full, ended: false, ends: false });
            }
        }
    }

    /// Takes all that has come from a side.
    fn read(&mut self, from: usize) {
        let to = from ^ 1;
        loop {
            let full = match &mut self.sides[to] {
                Some(side) => {
                    side.full = side.under_way >= UNDER_WAY;
                    side.full
                }
                None => return,
            };
            let Some(side) = self.sides[from].as_mut().filter(|side| !side.ended && !full) else { return };
            let octets = match side.stream.read(&mut self.buffer) {
                Ok(length) => self.buffer[..length].to_vec(),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => return,
                Err(_) => Vec::new(),
            };
            side.ended = octets.is_empty();
            if let Some(side) = &mut self.sides[to] {
                side.under_way += octets.len();
            }
            self.segments.push_back(Segment { due: Instant::now() + self.delay, to, octets });
        }
    }

    /// Writes what is due.
    fn hand_on(&mut self) {
        while self.segments.front().is_some_and(|first| first.due <= Instant::now()) {
            let Some(Segment { to, octets, .. }) = self.segments.pop_front() else { return };
            let Some(side) = &mut self.sides[to] else { continue };
            side.ends |= octets.is_empty();
            side.late.extend(octets);
            self.flush(to);
        }
    }

    fn flush(&mut self, to: usize) {
        let Some(side) = &mut self.sides[to] else { return };
        let _ = side.stream.set_nodelay(true);
        let mut broken = false;
        while !side.late.is_empty() {
            match side.stream.write(side.late.as_slices().0) {
                Ok(length) => {
                    side.late.drain(..length);
                    side.under_way -= length;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        if broken {
            // Nobody reads what is left; the end of this side is read, and handed on.
            side.under_way -= side.late.len();
            side.late.clear();
        }
        if side.ends && side.late.is_empty() {
            let _ = side.stream.shutdown(Shutdown::Write);
            let other = self.sides[to ^ 1].as_ref().is_none_or(|other| other.ends && other.late.is_empty());
            if other {
                (self.sides[to], self.sides[to ^ 1]) = (None, None);
                return;
            }
        }
        if self.sides[to].as_ref().is_some_and(|side| side.full && side.under_way < UNDER_WAY / 2) {
            self.read(to ^ 1);
        }
    }

    /// Lets the timer wake us when the first segment is due.
    fn arm(&self) -> io::Result<()> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        // Nothing at all would disarm it.
        let left = first.due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let spec = |time: Duration| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let value = Itimerspec { it_interval: spec(Duration::ZERO), it_value: spec(left) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }
}
