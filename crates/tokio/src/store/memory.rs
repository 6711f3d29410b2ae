//! A store in memory, for tests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ehlo_server::codec::Reply;

use super::Store;
use crate::sink::{BodySink, MessageContext};

/// A message with its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The sender's address without brackets; empty for the null path.
    pub from: String,
    /// The accepted recipients' addresses without brackets, in order.
    pub to: Vec<String>,
    /// The body: dot-stuffing removed, line ends as sent, nothing added.
    pub body: Vec<u8>,
}

/// Keeps messages in memory, up to a number of body bytes. What doesn't fit is deferred with 452 4.3.1.
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
    /// Body bytes of accepted messages and of those under way.
    bytes: usize,
    messages: Vec<Arc<Message>>,
}

impl Memory {
    /// A store for so many body bytes in all.
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
        let messages = std::mem::take(&mut state.messages);
        state.bytes -= messages.iter().map(|message| message.body.len()).sum::<usize>();
        messages
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        MemorySink { shared: Arc::clone(&self.shared), message: Message::default() }
    }
}

/// The sink of [`Memory`].
#[derive(Debug)]
pub struct MemorySink {
    shared: Arc<Shared>,
    message: Message,
}

impl BodySink for MemorySink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        self.abort();
        let envelope = message.envelope;
        self.message.from = envelope.reverse_path().map_or("", |path| path.as_str()).to_owned();
        self.message.to = envelope.recipients().map(|path| path.as_str().to_owned()).collect();
        Ok(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if bytes.len() > self.shared.max_bytes - state.bytes {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        state.bytes += bytes.len();
        self.message.body.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let message = Arc::new(std::mem::take(&mut self.message));
        self.shared.lock().messages.push(message);
        Poll::Ready(Ok(None))
    }

    fn abort(&mut self) {
        let message = std::mem::take(&mut self.message);
        self.shared.lock().bytes -= message.body.len();
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
}
