//! A store in memory, for tests.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ehlo_server::codec::Reply;

use super::Store;
use crate::sink::{BodySink, MessageContext, storage_reply};

/// What a message costs beside its bytes: its structure, its place in the list and what the allocator adds, rounded up.
const MESSAGE: usize = 128;

/// What an address costs beside its bytes, reckoned likewise.
const ADDRESS: usize = 32;

/// A message with its envelope. [`Debug`](fmt::Debug) shows lengths only: what people write to each other is not for logs.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The sender's address without brackets; empty for the null path.
    pub from: String,
    /// The accepted recipients' addresses without brackets, in order.
    pub to: Vec<String>,
    /// The body: dot-stuffing removed, line ends as sent, nothing added.
    pub body: Vec<u8>,
}

impl Message {
    /// What it takes without its body.
    fn envelope_bytes(&self) -> usize {
        let addresses = std::iter::once(&self.from).chain(&self.to);
        addresses.map(|address| ADDRESS + address.len()).sum::<usize>() + MESSAGE
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("from_bytes", &self.from.len())
            .field("recipients", &self.to.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Keeps messages in memory, up to a number of bytes. What doesn't fit is deferred with 452 4.3.1.
///
/// Bodies, addresses, and 128 bytes for each message and 32 for each address count, so that a flood of empty messages comes to an end
/// too.
///
/// ```
/// # use ehlo_tokio::store::Memory;
/// let store = Memory::new(1 << 20);
/// // Clones show the same messages: give one to the server and keep the other.
/// let server_side = store.clone();
/// assert!(store.messages().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of accepted messages and of those under way.
    bytes: usize,
    /// Those of accepted messages.
    accepted: usize,
    messages: Vec<Arc<Message>>,
}

impl Memory {
    /// A store for so many bytes in all.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { shared: Arc::new(Shared { max_bytes, state: Mutex::default() }) }
    }

    /// The messages accepted so far, in order of acceptance.
    #[must_use]
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.shared.lock().messages.clone()
    }

    /// Takes the messages out, which makes room for new ones.
    #[must_use]
    pub fn take(&self) -> Vec<Arc<Message>> {
        let mut state = self.shared.lock();
        state.bytes -= std::mem::take(&mut state.accepted);
        std::mem::take(&mut state.messages)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts so many bytes more, if there is room for them.
    fn reserve(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.lock();
        if bytes > self.max_bytes - state.bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.bytes += bytes;
        Ok(())
    }
}

impl Store for Memory {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        MemorySink { shared: Arc::clone(&self.shared), message: Message::default(), counted: 0 }
    }
}

/// The sink of [`Memory`].
#[derive(Debug)]
pub struct MemorySink {
    shared: Arc<Shared>,
    message: Message,
    /// Bytes that are counted for it.
    counted: usize,
}

impl MemorySink {
    fn start(&mut self, from: String, to: Vec<String>) -> io::Result<()> {
        self.abort();
        let message = Message { from, to, body: Vec::new() };
        let bytes = message.envelope_bytes();
        self.shared.reserve(bytes)?;
        (self.message, self.counted) = (message, bytes);
        Ok(())
    }
}

impl BodySink for MemorySink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let envelope = message.envelope;
        let from = envelope.reverse_path().map_or("", |path| path.as_str()).to_owned();
        let to = envelope.recipients().map(|to| to.path.as_str().to_owned()).collect();
        self.start(from, to).map_err(|error| storage_reply(&error))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.reserve(bytes.len())?;
        self.counted += bytes.len();
        self.message.body.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let message = Arc::new(std::mem::take(&mut self.message));
        let mut state = self.shared.lock();
        state.accepted += std::mem::take(&mut self.counted);
        state.messages.push(message);
        Poll::Ready(Ok(None))
    }

    fn abort(&mut self) {
        self.message = Message::default();
        self.shared.lock().bytes -= std::mem::take(&mut self.counted);
    }
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        self.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn the_cap_counts_messages_under_way_and_room_comes_back() {
        let store = Memory::new(10);
        let (mut one, mut two) = (store.sink(), store.sink());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(one.poll_write(&mut cx, b"123456"), Poll::Ready(Ok(6))));
        let Poll::Ready(Err(error)) = two.poll_write(&mut cx, b"12345") else { panic!("there is no room") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(matches!(two.poll_write(&mut cx, b"1234"), Poll::Ready(Ok(4))));
        drop(two);
        assert_eq!(one.poll_commit(&mut cx), Poll::Ready(Ok(None)));
        let mut three = store.sink();
        assert!(matches!(three.poll_write(&mut cx, b"1234"), Poll::Ready(Ok(4))));
        assert_eq!(store.take().iter().map(|m| m.body.clone()).collect::<Vec<_>>(), [b"123456"]);
        assert!(matches!(three.poll_write(&mut cx, b"567890"), Poll::Ready(Ok(6))));
        three.abort();
        assert_eq!(store.shared.lock().bytes, 0);
    }

    #[test]
    fn empty_messages_and_their_addresses_fill_the_store_too() {
        let store = Memory::new(1 << 20);
        let mut sink = store.sink();
        let mut cx = Context::from_waker(Waker::noop());
        let to = vec!["someone@example.org".to_owned(); 1000];
        let mut accepted = 0;
        while sink.start(String::new(), to.clone()).is_ok() {
            assert_eq!(sink.poll_commit(&mut cx), Poll::Ready(Ok(None)));
            accepted += 1;
            assert!(accepted < 1000, "the store never gets full");
        }
        let each = to.iter().map(|address| size_of::<String>() + address.len()).sum::<usize>() + size_of::<Message>();
        assert!(accepted > 0 && accepted * each <= 1 << 20);
        drop(sink);
        assert_eq!(store.take().len(), accepted);
        assert_eq!(store.shared.lock().bytes, 0);
    }

    #[test]
    fn debug_output_shows_no_message() {
        let store = Memory::new(1 << 20);
        let mut sink = store.sink();
        let mut cx = Context::from_waker(Waker::noop());
        sink.start("ada@example.org".to_owned(), vec!["bob@example.org".to_owned()]).unwrap();
        assert!(sink.poll_write(&mut cx, b"secret").is_ready());
        let under_way = format!("{sink:?}");
        assert_eq!(sink.poll_commit(&mut cx), Poll::Ready(Ok(None)));
        for text in [under_way, format!("{store:?}")] {
            assert!(text.contains("body_bytes: 6"), "{text}");
            assert!(!text.contains("115, 101, 99") && !text.contains("example"), "{text}");
        }
    }
}
