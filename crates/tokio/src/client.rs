//! Sending messages over one connection.

mod socket;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ehlo_client::codec::{BodyType, ReplyView, StuffError, Stuffed, Stuffer};
use ehlo_client::{
    BeginError, BodyEnd, CloseReason, Config, Envelope, Event, Outcome, RecipientOutcome, Session, Stage,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs};

pub use self::socket::Socket;

/// How long [`Client::connect`] tries. RFC 5321 §4.5.3.2 sets no time for it; the 5 minutes of its §4.5.3.2.1 are for the greeting, and
/// begin when there is a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that are read at a time.
const READ: usize = 4 * 1024;

/// Wire bytes of a body that are put together for one write.
const WRITE: usize = 64 * 1024;

/// What goes over the connection, for whoever wants to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// These commands were written.
    Sent(&'a [u8]),
    /// A reply came.
    Reply(Stage, ReplyView<'a>),
    /// So many bytes of a body, as they go over the wire, were written; its end is [`Sent`](Self::Sent).
    Body(u64),
}

/// Told of what goes over a connection.
pub type Observer = Box<dyn FnMut(Observed<'_>) + Send>;

/// Why nothing could be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// No connection could be made.
    Connect(io::Error),
    /// The session ended before or instead of the transaction.
    Closed(CloseReason),
    /// This envelope can't be sent to this server.
    Begin(BeginError),
    /// The message has a CR or LF that stands alone: it can't be sent as it is.
    LineEnding(StuffError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Closed(reason) => reason.fmt(f),
            Self::Begin(error) => error.fmt(f),
            Self::LineEnding(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Closed(_) => None,
            Self::Begin(error) => Some(error),
            Self::LineEnding(error) => Some(error),
        }
    }
}

/// A connection to a server that has greeted.
///
/// A server that answers a command or a body with a refusal is no error: [`send`](Self::send) gives an [`Outcome`], and
/// [`recipients`](Self::recipients) tells of each recipient.
pub struct Client {
    stream: Socket,
    session: Session,
    /// What was read, and how much of it was handled.
    input: Vec<u8>,
    start: usize,
    closed: Option<CloseReason>,
    body: Body,
    observer: Observer,
}

/// A body that is being written.
#[derive(Default)]
struct Body {
    stuffer: Stuffer,
    /// Wire bytes that are put together for one write.
    wire: Vec<u8>,
    total: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stream", &self.stream).field("session", &self.session).finish_non_exhaustive()
    }
}

/// The name for EHLO of a client that has no domain name: its address (RFC 5321 §4.1.4).
#[must_use]
pub fn address_literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Client {
    /// Connects within [`CONNECT_TIMEOUT`] and says EHLO with the [address](address_literal) of this end.
    ///
    /// # Errors
    ///
    /// [`SendError::Connect`] if there is no connection, [`SendError::Closed`] if the server doesn't greet.
    pub async fn connect(address: impl ToSocketAddrs) -> Result<Self, SendError> {
        Self::connect_within(CONNECT_TIMEOUT, address).await
    }

    /// Connects and says EHLO with the [address](address_literal) of this end. The time is for the connection alone: for the look-up of
    /// a name, and for trying all of its addresses. The session's own timeouts begin behind it.
    ///
    /// # Errors
    ///
    /// [`SendError::Connect`] if there is no connection, of kind [`TimedOut`](io::ErrorKind::TimedOut) if there is none in time;
    /// [`SendError::Closed`] if the server doesn't greet.
    pub async fn connect_within(time: Duration, address: impl ToSocketAddrs) -> Result<Self, SendError> {
        let stream = match tokio::time::timeout(time, TcpStream::connect(address)).await {
            Ok(result) => result.map_err(SendError::Connect)?,
            Err(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}"));
                return Err(SendError::Connect(error));
            }
        };
        let name = stream.local_addr().map(|address| address_literal(address.ip())).map_err(SendError::Connect)?;
        // An address literal is a name.
        let config = Config::new(&name).map_err(|error| SendError::Connect(io::Error::other(error)))?;
        Self::over(stream, Arc::new(config), Box::new(|_| {})).await
    }

    /// Says EHLO, or LHLO, over a connection that has just been made.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the server doesn't greet.
    pub async fn over(stream: impl Into<Socket>, config: Arc<Config>, observer: Observer) -> Result<Self, SendError> {
        let stream = stream.into();
        stream.set_nodelay();
        let session = Session::new(clock(), config);
        let mut client =
            Self { stream, session, input: Vec::new(), start: 0, closed: None, body: Body::default(), observer };
        match client.until(|event| matches!(event, Event::Ready)).await {
            Ok(_) => Ok(client),
            Err(reason) => Err(SendError::Closed(reason)),
        }
    }

    /// What the server offers.
    #[must_use]
    pub fn capabilities(&self) -> &ehlo_client::codec::Capabilities {
        self.session.capabilities()
    }

    /// What became of each recipient of the last message, in the order of its envelope.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientOutcome] {
        self.session.recipients()
    }

    /// Why the connection ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Sends one message. Its lines must end in CRLF; dots are stuffed on the way.
    ///
    /// A body with octets above 127 is sent as [`EightBitMime`](BodyType::EightBitMime) even if the envelope says that it has none: a
    /// client must not send them without that word, nor to a server that doesn't offer it (RFC 6152 §3), for which the error is
    /// [`BeginError::BodyNotOffered`].
    ///
    /// # Errors
    ///
    /// [`SendError`] if the transaction was not begun. An error within it shows in the outcome: recipients are then
    /// [`Unsent`](RecipientOutcome::Unsent) or [`Unknown`](RecipientOutcome::Unknown), and [`closed`](Self::closed) tells why.
    pub async fn send(&mut self, envelope: &Envelope<'_>, body: &[u8]) -> Result<Outcome, SendError> {
        // Before anything is said: half a message can't be taken back but by closing the connection.
        check(body).map_err(SendError::LineEnding)?;
        let envelope = match envelope.body {
            BodyType::SevenBit if !body.is_ascii() => &envelope.with_body(BodyType::EightBitMime),
            _ => envelope,
        };
        let mut outcome = self.begin(envelope).await?;
        if outcome.is_none() {
            outcome = self.write(body).await?;
        }
        match outcome {
            Some(outcome) => Ok(outcome),
            None => self.finish().await,
        }
    }

    /// Begins a message whose body comes piece by piece. `None` if the server waits for it: then come any number of
    /// [`write`](Self::write), and [`finish`](Self::finish). The outcome if the transaction is over without one.
    ///
    /// The kind of the body is what the envelope says: nobody looks for octets above 127. A `Client` that is dropped before `finish` closes the
    /// connection in the middle of the message, of which a server then takes nothing (RFC 5321 §4.1.1.10).
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    pub async fn begin(&mut self, envelope: &Envelope<'_>) -> Result<Option<Outcome>, SendError> {
        if let Some(reason) = self.closed {
            return Err(SendError::Closed(reason));
        }
        self.session.begin(clock(), envelope).map_err(SendError::Begin)?;
        (self.body.stuffer, self.body.total) = (Stuffer::new(), 0);
        self.body.wire.clear();
        match self.until(decisive).await.map_err(SendError::Closed)? {
            Event::Done(_, outcome) => Ok(Some(self.done(outcome))),
            _ => Ok(None),
        }
    }

    /// Writes a piece of the body. The outcome, if the server has ended the transaction: nothing more of it is wanted then.
    ///
    /// # Errors
    ///
    /// [`SendError::LineEnding`] if a CR or LF stands alone. The message can't be finished then; drop the client.
    pub async fn write(&mut self, mut piece: &[u8]) -> Result<Option<Outcome>, SendError> {
        loop {
            let mut used_up = false;
            while self.body.wire.len() < WRITE && !used_up {
                let (used, stuffed) = self.body.stuffer.next(piece).map_err(SendError::LineEnding)?;
                piece = &piece[used..];
                match stuffed {
                    Stuffed::Bytes(bytes) => self.body.wire.extend_from_slice(bytes),
                    Stuffed::Dot => self.body.wire.push(b'.'),
                    Stuffed::NeedMore => used_up = true,
                }
            }
            if let Some(outcome) = self.flush().await {
                return Ok(Some(outcome));
            }
            if used_up {
                return Ok(None);
            }
        }
    }

    /// Writes the end of the body, and waits for what becomes of the message.
    ///
    /// # Errors
    ///
    /// [`SendError::LineEnding`] if the body ended with a CR that stands alone, which can't be finished; [`SendError::Closed`] if there is no message.
    pub async fn finish(&mut self) -> Result<Outcome, SendError> {
        let end = if self.body.stuffer.finish().map_err(SendError::LineEnding)? == b".\r\n" {
            BodyEnd::Dot
        } else {
            BodyEnd::CrlfDot
        };
        (self.observer)(Observed::Body(self.body.total));
        // Were no body wanted, there would be no event to wait for but the end.
        let finished = self.session.body_finished(clock(), end);
        debug_assert!(finished.is_ok() || self.closed.is_some(), "a body is finished that was not begun");
        match self.until(decisive).await.map_err(SendError::Closed)? {
            Event::Done(_, outcome) => Ok(self.done(outcome)),
            _ => Err(SendError::Closed(CloseReason::Eof)),
        }
    }

    /// The transaction is over. If the connection ended with it, that is known at once.
    fn done(&mut self, outcome: Outcome) -> Outcome {
        while let Some(event) = self.session.poll_event() {
            self.observe(&event);
        }
        outcome
    }

    /// Says QUIT, and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended another way. No message is affected by that.
    pub async fn quit(mut self) -> Result<(), SendError> {
        self.session.quit(clock());
        match self.until(|_| false).await {
            Ok(_) | Err(CloseReason::Quit) => Ok(()),
            Err(reason) => Err(SendError::Closed(reason)),
        }
    }

    /// Drives the session to an event of that kind, or to its end.
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, CloseReason> {
        loop {
            while let Some(event) = self.next_event() {
                if wanted(&event) {
                    return Ok(event);
                }
            }
            if let Some(reason) = self.closed {
                // A last command may still wait; whether it arrives makes no difference.
                let output = self.session.output();
                poll_fn(|cx| {
                    let _ = Pin::new(&mut self.stream).poll_write(cx, output);
                    Poll::Ready(())
                })
                .await;
                return Err(reason);
            }
            self.exchange(false).await;
        }
    }

    /// The next event that needs no more input.
    fn next_event(&mut self) -> Option<Event> {
        let mut event = self.session.poll_event();
        while event.is_none() && self.start < self.input.len() {
            let step = self.session.handle_input(clock(), &self.input[self.start..]);
            self.start += step.used;
            event = step.event;
            if step.used == 0 && event.is_none() {
                break;
            }
        }
        if let Some(event) = &event {
            self.observe(event);
        }
        event
    }

    fn observe(&mut self, event: &Event) {
        match event {
            Event::Reply(stage, _) => {
                if let Some(reply) = self.session.reply() {
                    (self.observer)(Observed::Reply(*stage, reply));
                }
            }
            Event::Closed(reason) => self.closed = Some(*reason),
            _ => {}
        }
    }

    /// Waits until something was read or written, or the deadline has passed, and tells the session. Commands are written first; behind
    /// them, if that is wanted, the body's wire bytes.
    async fn exchange(&mut self, body: bool) {
        enum Happened {
            Read(io::Result<usize>),
            Written(io::Result<usize>),
            TimedOut,
        }
        let deadline = self.session.poll_timeout().map(|(at, _)| at);
        let commands = !self.session.output().is_empty();
        let bytes = match (commands, body) {
            (true, _) => self.session.output(),
            (false, true) => &self.body.wire,
            (false, false) => &[],
        };
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
        }
        let filled = self.input.len();
        self.input.resize(filled + READ, 0);
        let mut sleep = pin!(sleep_until(deadline));
        let happened = poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut self.input[filled..]);
            if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                return Poll::Ready(Happened::Read(read.map(|()| buffer.filled().len())));
            }
            if !bytes.is_empty()
                && let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes)
            {
                return Poll::Ready(Happened::Written(written));
            }
            sleep.as_mut().poll(cx).map(|()| Happened::TimedOut)
        })
        .await;
        self.input.truncate(filled + if let Happened::Read(Ok(length)) = happened { length } else { 0 });
        match happened {
            Happened::Read(Ok(0) | Err(_)) => self.session.handle_eof(clock()),
            Happened::Read(Ok(_)) => {}
            Happened::Written(Ok(length)) if length > 0 && commands => {
                (self.observer)(Observed::Sent(&bytes[..length]));
                self.session.output_sent(clock(), length);
            }
            Happened::Written(Ok(length)) if length > 0 => {
                self.session.body_progress(clock());
                self.body.wire.drain(..length);
                self.body.total += length as u64;
            }
            // A reply that explains it may have come before.
            Happened::Written(_) => self.read_last().await,
            Happened::TimedOut => self.session.handle_timeout(clock()),
        }
    }

    /// The server takes no more bytes. Reads what it said last.
    async fn read_last(&mut self) {
        let filled = self.input.len();
        self.input.resize(filled + READ, 0);
        let length = poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut self.input[filled..]);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            Poll::Ready(if matches!(read, Poll::Ready(Ok(()))) { buffer.filled().len() } else { 0 })
        })
        .await;
        self.input.truncate(filled + length);
        if length == 0 {
            self.session.handle_eof(clock());
        }
    }

    /// Writes the wire bytes that were put together. The outcome if the server ended the transaction meanwhile.
    async fn flush(&mut self) -> Option<Outcome> {
        while !self.body.wire.is_empty() {
            self.exchange(true).await;
            while let Some(event) = self.next_event() {
                if let Event::Done(_, outcome) = event {
                    return Some(self.done(outcome));
                }
            }
        }
        None
    }
}

/// Whether an event ends the wait for the body to be wanted, or for the end of the transaction.
fn decisive(event: &Event) -> bool {
    matches!(event, Event::BodyWanted(_) | Event::Done(..))
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether a message can be sent by DATA.
fn check(body: &[u8]) -> Result<(), StuffError> {
    let (mut stuffer, mut rest) = (Stuffer::new(), body);
    loop {
        let (used, piece) = stuffer.next(rest)?;
        rest = &rest[used..];
        if piece == Stuffed::NeedMore {
            return stuffer.finish().map(|_| ());
        }
    }
}
