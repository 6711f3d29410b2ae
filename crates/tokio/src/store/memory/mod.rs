//! A store in memory, for tests.

mod message;

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ehlo_server::codec::Reply;
use tokio::sync::Notify;

pub use self::message::Message;
use super::Store;
use crate::sink::{BodySink, MessageContext, storage_reply};

/// Keeps messages in memory, up to a number of bytes. What doesn't fit is deferred with 452 4.3.1.
///
/// Bodies, addresses with their parameters, and 512 bytes for each message and 96 for each address count, so that a flood of empty messages comes to an end
/// too.
///
/// # A test of a program that sends mail
///
/// ```
/// use std::time::Duration;
///
/// use ehlo_tokio::store::Memory;
/// use ehlo_tokio::{AcceptAll, Server};
/// use tokio::net::TcpListener;
/// # use ehlo_tokio::client::{Client, Envelope, Recipient};
/// # use std::net::SocketAddr;
///
/// // The program under test; any one that can be told where its mail server is.
/// async fn invite(mail_server: SocketAddr, guest: &str) -> Result<(), Box<dyn std::error::Error>> {
///     // ...
/// #   let to = [Recipient::parse(guest)?];
/// #   let envelope = Envelope::parse("party@example.org", &to)?;
/// #   let mut client = Client::connect(mail_server).await?;
/// #   client.send(&envelope, b"Subject: You are invited\r\n\r\nCome at eight.\r\n").await?;
/// #   client.quit().await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Clones show the same messages: one is for the server, and one for the test.
/// let mailbox = Memory::new(16 << 20);
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// tokio::spawn(Server::builder(AcceptAll(mailbox.clone())).serve(listener, std::future::pending()));
///
/// invite(address, "bob@example.net").await?;
///
/// let messages = mailbox.wait_for(1, Duration::from_secs(5)).await?;
/// assert_eq!(messages[0].from, "party@example.org");
/// assert_eq!(messages[0].header("Subject").as_deref(), Some("You are invited"));
/// assert!(messages[0].text().ends_with("Come at eight.\r\n"));
/// assert!(messages[0].tls.is_none() && messages[0].identity.is_none());
///
/// // And for the next test:
/// mailbox.clear();
/// assert!(mailbox.to("bob@example.net").is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max_bytes: usize,
    state: Mutex<State>,
    /// A message was accepted.
    accepted: Notify,
}

/// Fewer messages came than were waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TooFew {
    /// How many were waited for.
    pub wanted: usize,
    /// Those that came.
    pub messages: Vec<Arc<Message>>,
    /// How long was waited.
    pub time: Duration,
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} messages came within {:?}", self.messages.len(), self.wanted, self.time)
    }
}

impl std::error::Error for TooFew {}

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
        Self { shared: Arc::new(Shared { max_bytes, state: Mutex::default(), accepted: Notify::new() }) }
    }

    /// The messages accepted so far, in order of acceptance.
    #[must_use]
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.shared.lock().messages.clone()
    }

    /// Those of them that are for this address, which is compared without regard to upper and lower case.
    #[must_use]
    pub fn to(&self, address: &str) -> Vec<Arc<Message>> {
        self.shared.lock().messages.iter().filter(|message| message.is_to(address)).cloned().collect()
    }

    /// Messages accepted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().messages.len()
    }

    /// Whether no message was accepted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until so many messages were accepted, or more, in all since the store was made or emptied; gives all of them.
    ///
    /// # Errors
    ///
    /// [`TooFew`] after that time, with those that came.
    pub async fn wait_for(&self, count: usize, time: Duration) -> Result<Vec<Arc<Message>>, TooFew> {
        let enough = async {
            loop {
                // Listening begins before the look, so that nothing comes in between.
                let mut accepted = pin!(self.shared.accepted.notified());
                accepted.as_mut().enable();
                let messages = self.messages();
                if messages.len() >= count {
                    return messages;
                }
                accepted.await;
            }
        };
        match tokio::time::timeout(time, enough).await {
            Ok(messages) => Ok(messages),
            Err(_) => Err(TooFew { wanted: count, messages: self.messages(), time }),
        }
    }

    /// Forgets all messages accepted so far, which makes room for new ones. One that is coming in is accepted behind it.
    pub fn clear(&self) {
        drop(self.take());
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
        MemorySink { shared: Arc::clone(&self.shared), message: None, counted: 0 }
    }
}

/// The sink of [`Memory`].
#[derive(Debug)]
pub struct MemorySink {
    shared: Arc<Shared>,
    message: Option<Message>,
    /// Bytes that are counted for it.
    counted: usize,
}

impl MemorySink {
    fn start(&mut self, message: Message) -> io::Result<()> {
        self.abort();
        let bytes = message.envelope_bytes();
        self.shared.reserve(bytes)?;
        (self.message, self.counted) = (Some(message), bytes);
        Ok(())
    }
}

impl BodySink for MemorySink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        self.start(Message::of(message)).map_err(|error| storage_reply(&error))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(message) = &mut self.message else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        self.shared.reserve(bytes.len())?;
        self.counted += bytes.len();
        message.body.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let Some(message) = self.message.take() else {
            return Poll::Ready(Err(storage_reply(&io::ErrorKind::BrokenPipe.into())));
        };
        let mut state = self.shared.lock();
        state.accepted += std::mem::take(&mut self.counted);
        state.messages.push(Arc::new(message));
        drop(state);
        self.shared.accepted.notify_waiters();
        Poll::Ready(Ok(None))
    }

    fn abort(&mut self) {
        self.message = None;
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

    /// A sink with a message that has begun.
    fn begun(store: &Memory) -> MemorySink {
        let mut sink = store.sink();
        sink.start(Message::between(String::new(), Vec::new())).unwrap();
        sink
    }

    #[test]
    fn the_cap_counts_messages_under_way_and_room_comes_back() {
        let each = Message::between(String::new(), Vec::new()).envelope_bytes();
        let store = Memory::new(2 * each + 10);
        let (mut one, mut two) = (begun(&store), begun(&store));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(one.poll_write(&mut cx, b"123456"), Poll::Ready(Ok(6))));
        let Poll::Ready(Err(error)) = two.poll_write(&mut cx, b"12345") else { panic!("there is no room") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(matches!(two.poll_write(&mut cx, b"1234"), Poll::Ready(Ok(4))));
        drop(two);
        assert_eq!(one.poll_commit(&mut cx), Poll::Ready(Ok(None)));
        let mut three = begun(&store);
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
        let message = Message::between(String::new(), vec!["someone@example.org".to_owned(); 1000]);
        let mut accepted = 0;
        while sink.start(message.clone()).is_ok() {
            assert_eq!(sink.poll_commit(&mut cx), Poll::Ready(Ok(None)));
            accepted += 1;
            assert!(accepted < 1000, "the store never gets full");
        }
        let addresses = message.to.iter().map(|address| 2 * size_of::<String>() + address.len());
        let each = addresses.sum::<usize>() + size_of::<Message>();
        assert!(accepted > 0 && accepted * each <= 1 << 20);
        drop(sink);
        assert_eq!(store.len(), accepted);
        store.clear();
        assert!(store.is_empty());
        assert_eq!(store.shared.lock().bytes, 0);
    }

    #[test]
    fn debug_output_shows_no_message() {
        let store = Memory::new(1 << 20);
        let mut sink = store.sink();
        let mut cx = Context::from_waker(Waker::noop());
        sink.start(Message::between("ada@example.org".to_owned(), vec!["bob@example.org".to_owned()])).unwrap();
        assert!(sink.poll_write(&mut cx, b"secret").is_ready());
        let under_way = format!("{sink:?}");
        assert_eq!(sink.poll_commit(&mut cx), Poll::Ready(Ok(None)));
        for text in [under_way, format!("{store:?}")] {
            assert!(text.contains("body_bytes: 6"), "{text}");
            assert!(!text.contains("115, 101, 99") && !text.contains("example"), "{text}");
        }
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_message_or_tells_what_is_missing() {
        let store = Memory::new(1 << 20);
        let mut cx = Context::from_waker(Waker::noop());
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.wait_for(3, Duration::from_secs(20)).await }
        });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            assert!(begun(&store).poll_commit(&mut cx).is_ready());
        }
        assert_eq!(waiting.await.unwrap().unwrap().len(), 3);
        assert_eq!(store.wait_for(2, Duration::ZERO).await.unwrap().len(), 3, "more do no harm");
        let error = store.wait_for(4, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "3 of 4 messages came within 10ms");
        assert_eq!(error.messages.len(), 3);
    }
}
