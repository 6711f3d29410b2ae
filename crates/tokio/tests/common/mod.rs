//! What the tests of the driver share: a server to start, a client by hand, and sinks and policies under control.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::store::{Memory, MemorySink, Store};
use ehlo_tokio::{AcceptAll, BodySink, Builder, MessageContext, Policy, Server, Summary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server in this runtime.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Summary>,
}

pub(crate) async fn start<P: Policy>(builder: Builder<P>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(builder.serve(listener, async { stopped.await.unwrap_or(()) }));
    Running { address, stop: Some(stop), task }
}

/// A server that takes everything into memory.
pub(crate) async fn start_memory() -> (Running, Memory) {
    let store = Memory::new(64 << 20);
    (start(Server::builder(AcceptAll(store.clone()))).await, store)
}

impl Running {
    pub(crate) async fn client(&self) -> Raw {
        let stream = TcpStream::connect(self.address).await.unwrap();
        // Under a paused clock nobody waits for an acknowledgement that is late.
        stream.set_nodelay(true).unwrap();
        Raw::over(stream)
    }

    /// A client that was greeted and has said EHLO.
    pub(crate) async fn greeted(&self) -> Raw {
        let mut client = self.client().await;
        client.expect(220).await;
        client.say("EHLO client.example", 250).await;
        client
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().expect("it is stopped once").send(());
    }

    pub(crate) async fn stop(mut self) -> Summary {
        self.begin_stop();
        self.finished().await
    }

    pub(crate) async fn finished(self) -> Summary {
        self.task.await.unwrap()
    }
}

/// A client that is played by hand.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
}

impl Raw {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, input: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next whole reply, without the last line end; `None` at the end of the connection.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        loop {
            let mut end = 0;
            for line in self.input.split_inclusive(|&byte| byte == b'\n') {
                end += line.len();
                if line.ends_with(b"\r\n") && line.get(3) != Some(&b'-') {
                    let reply: Vec<u8> = self.input.drain(..end).collect();
                    return Some(String::from_utf8(reply).unwrap().trim_end().to_owned());
                }
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn expect(&mut self, code: u16) -> String {
        let reply = self.reply().await.unwrap_or_else(|| panic!("the connection ended before {code}"));
        assert!(reply.starts_with(&code.to_string()), "{code} was expected: {reply}");
        reply
    }

    pub(crate) async fn say(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n")).await;
        self.expect(code).await
    }

    /// The next line, for one who plays a server; without its end.
    pub(crate) async fn line(&mut self) -> String {
        let line = self.up_to("\r\n").await;
        line.trim_end().to_owned()
    }

    /// A message up to its end, which is taken off.
    pub(crate) async fn message(&mut self) -> String {
        let message = self.up_to("\r\n.\r\n").await;
        message.strip_suffix(".\r\n").unwrap_or_default().to_owned()
    }

    async fn up_to(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end.as_bytes()) {
                let taken: Vec<u8> = self.input.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            let read = self.stream.read_buf(&mut self.input).await.unwrap();
            assert!(read > 0, "the connection ended before {end:?}: {:?}", String::from_utf8_lossy(&self.input));
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(mut self) -> String {
        let _ = self.stream.read_to_end(&mut self.input).await;
        String::from_utf8(self.input).unwrap()
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.reply().await, None, "the connection was to end");
    }

    /// Breaks the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

/// Fails a test that hangs. Not for tests with a paused clock, which would run out at once.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("the test hangs")
}

/// Waits until something is true.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A valve that body bytes, and commits, have to pass.
#[derive(Clone, Default)]
pub(crate) struct Valve {
    shared: Arc<ValveState>,
}

#[derive(Default)]
struct ValveState {
    /// How many bytes may still pass.
    room: AtomicUsize,
    commits: AtomicBool,
    pub(crate) calls: AtomicUsize,
    waiting: Mutex<Option<Waker>>,
}

impl Valve {
    pub(crate) fn let_through(&self, bytes: usize) {
        self.shared.room.fetch_add(bytes, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn let_nothing_through(&self) {
        self.shared.room.store(0, Ordering::SeqCst);
    }

    pub(crate) fn let_commit(&self) {
        self.shared.commits.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// How often a sink was asked to take bytes.
    pub(crate) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        if let Some(waker) = self.shared.waiting.lock().unwrap().take() {
            waker.wake();
        }
    }

    fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        *self.shared.waiting.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A memory store behind a valve.
#[derive(Clone)]
pub(crate) struct SlowStore {
    pub(crate) memory: Memory,
    pub(crate) valve: Valve,
    /// Messages that were aborted, or dropped on the way.
    pub(crate) aborted: Arc<AtomicUsize>,
}

impl SlowStore {
    pub(crate) fn new() -> Self {
        Self { memory: Memory::new(256 << 20), valve: Valve::default(), aborted: Arc::default() }
    }
}

impl Store for SlowStore {
    type Sink = SlowSink;

    fn sink(&self) -> SlowSink {
        SlowSink { inner: self.memory.sink(), store: self.clone(), begun: false }
    }
}

pub(crate) struct SlowSink {
    inner: MemorySink,
    store: SlowStore,
    begun: bool,
}

impl BodySink for SlowSink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        self.begun = true;
        self.inner.begin(message)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let state = &self.store.valve.shared;
        state.calls.fetch_add(1, Ordering::SeqCst);
        let taken = state.room.load(Ordering::SeqCst).min(bytes.len());
        if taken == 0 {
            return self.store.valve.wait(cx);
        }
        state.room.fetch_sub(taken, Ordering::SeqCst);
        self.inner.poll_write(cx, &bytes[..taken])
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        if !self.store.valve.shared.commits.load(Ordering::SeqCst) {
            return self.store.valve.wait(cx);
        }
        self.begun = false;
        self.inner.poll_commit(cx)
    }

    fn abort(&mut self) {
        self.inner.abort();
        if std::mem::take(&mut self.begun) {
            self.store.aborted.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for SlowSink {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Lets other tasks run, and the event queue be looked at, a number of times. No time passes.
pub(crate) async fn breathe() {
    for _ in 0..300 {
        let mut once = false;
        poll_fn(|cx| {
            if once {
                return Poll::Ready(());
            }
            once = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
