//! One message's way to the LMTP server.

use std::io;
use std::mem;
use std::sync::Arc;

use ehlo_client::codec::{BodyType, ForwardPath, ReversePath};
use ehlo_client::{Envelope, RecipientOutcome};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use super::verdict::{Fate, NOT_8BIT, Texts, UNREACHABLE, failure, fates};
use super::{LmtpAddress, Shared};
use crate::client::{Client, SendError, Socket};

/// A message under way. Dropped before its end, it closes the connection, and the LMTP server takes nothing.
#[derive(Debug)]
pub(super) struct Forward {
    shared: Arc<Shared>,
    message: Message,
    link: Link,
    texts: Texts,
}

/// What has to be said of a message.
#[derive(Debug)]
pub(super) struct Message {
    /// What it is called in the log.
    pub(super) name: String,
    /// The sender and the recipients, with their brackets.
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// With the field that was added.
    pub(super) size: Option<u64>,
    pub(super) body: BodyType,
    pub(super) utf8: bool,
    /// Whether each recipient gets an answer of its own.
    pub(super) each: bool,
}

#[derive(Debug)]
enum Link {
    /// Nothing was said yet.
    Closed,
    /// The server waits for the body, or more of it.
    Open { client: Box<Client>, eight_bit: bool, permit: OwnedSemaphorePermit },
    /// It is decided; what comes of the body is thrown away.
    Decided(Vec<Fate>),
}

impl Forward {
    pub(super) fn new(shared: Arc<Shared>, message: Message) -> Self {
        let texts = Texts::new(message.to.len());
        Self { shared, message, link: Link::Closed, texts }
    }

    /// Sends more of the message.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        if let Link::Closed = self.link {
            self.link = match self.open().await {
                Ok(link) => link,
                Err(error) => self.failed(&error),
            };
        }
        let Link::Open { client, eight_bit, .. } = &mut self.link else { return };
        if !*eight_bit && !bytes.is_ascii() {
            // RFC 6152 §3. It was not declared, and what has been sent of it is forgotten with the connection.
            self.decide_all(&NOT_8BIT);
            return;
        }
        match client.write(bytes).await {
            Ok(None) => {}
            Ok(Some(_)) => self.done(),
            Err(error) => self.link = self.failed(&error),
        }
    }

    /// Ends the message, and waits for what becomes of it.
    pub(super) async fn finish(&mut self) {
        let Link::Open { client, .. } = &mut self.link else { return };
        match client.finish().await {
            Ok(_) => self.done(),
            Err(error) => self.link = self.failed(&error),
        }
    }

    /// What became of each recipient, once it is decided.
    pub(super) fn into_fates(self) -> Vec<Fate> {
        match self.link {
            Link::Decided(fates) => fates,
            Link::Closed | Link::Open { .. } => vec![Err(UNREACHABLE); self.message.to.len()],
        }
    }

    /// Connects, and says everything up to the body.
    async fn open(&mut self) -> Result<Link, SendError> {
        // It is never closed.
        let permit = Arc::clone(&self.shared.connections).acquire_owned().await;
        let permit = permit.map_err(|closed| SendError::Connect(io::Error::other(closed)))?;
        let socket = tokio::time::timeout(self.shared.connect_timeout, connect(&self.shared.address)).await;
        let socket = socket.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(SendError::Connect)?;
        let mut client = Client::over(socket, Arc::clone(&self.shared.config), self.texts.observer()).await?;
        let Message { from, to, size, body, utf8, each, .. } = &self.message;
        // They came out of an envelope.
        let invalid = |fault| SendError::Connect(io::Error::new(io::ErrorKind::InvalidInput, fault));
        let (from, _) = ReversePath::parse_prefix_utf8(from).map_err(invalid)?;
        let to: Vec<_> = to
            .iter()
            .map(|to| Ok(ForwardPath::parse_prefix_utf8(to).map_err(invalid)?.0.into()))
            .collect::<Result<_, _>>()?;
        // Whether all of it is ASCII is not known yet, and to say too much does no harm.
        let eight_bit = client.capabilities().has(ehlo_client::codec::Extension::EightBitMime);
        let body = if eight_bit { BodyType::EightBitMime } else { *body };
        let mut envelope = Envelope::new(from, &to).with_body(body).with_utf8(*utf8);
        envelope.size = *size;
        let outcome = client.begin(&envelope).await?;
        let refused = client.recipients().iter().any(|outcome| matches!(outcome, RecipientOutcome::Refused { .. }));
        if outcome.is_some() || (refused && !each) {
            // With one answer for all, nobody is to get it. The connection ends in the middle of the message, so that nobody does.
            let fates = fates(client.recipients(), client.closed(), &self.texts);
            if outcome.is_some() {
                quit(client, permit);
            }
            return Ok(Link::Decided(fates));
        }
        Ok(Link::Open { client: Box::new(client), eight_bit, permit })
    }

    /// The transaction is over.
    fn done(&mut self) {
        if let Link::Open { client, permit, .. } = mem::replace(&mut self.link, Link::Closed) {
            self.link = Link::Decided(fates(client.recipients(), client.closed(), &self.texts));
            quit(*client, permit);
        }
    }

    fn failed(&self, error: &SendError) -> Link {
        tracing::error!(%error, name = %self.message.name, address = %self.shared.address, "a message could not be forwarded");
        Link::Decided(vec![Err(failure(error)); self.message.to.len()])
    }

    fn decide_all(&mut self, reply: &ehlo_server::codec::Reply) {
        self.link = Link::Decided(vec![Err(reply.clone()); self.message.to.len()]);
    }
}

async fn connect(address: &LmtpAddress) -> io::Result<Socket> {
    match address {
        LmtpAddress::Tcp(address) => TcpStream::connect(&**address).await.map(Socket::from),
        #[cfg(unix)]
        LmtpAddress::Unix(path) => UnixStream::connect(path).await.map(Socket::from),
        #[cfg(not(unix))]
        LmtpAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Ends a connection as it should, without having the client wait for it. It counts as one until then.
fn quit(client: Client, permit: OwnedSemaphorePermit) {
    if client.closed().is_none() {
        tokio::spawn(async move {
            // Whatever comes of it, the messages are decided.
            let _ = client.quit().await;
            drop(permit);
        });
    }
}
