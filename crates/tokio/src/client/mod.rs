//! Sending messages over one connection.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ehlo_tokio::client::{Client, Envelope, Recipient};
//!
//! let to = [Recipient::parse("bob@mx.example")?];
//! let mut client = Client::connect("mx.example:25").await?;
//! let report = client.send(&Envelope::parse("ada@client.example", &to)?, b"Subject: hi\r\n\r\nHello.\r\n").await?;
//! println!("{}", report.get(0).unwrap());
//! # Ok(())
//! # }
//! ```
//!
//! A server's refusal is no error: [`Report`] tells for each recipient what became of it, with the server's words. [`Client::builder`] has the
//! rest: TLS, log in, names and times. [`Client::send_all`] sends many messages, one behind the other without waiting in between.

mod body;
mod builder;
mod socket;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ehlo_client::{CloseReason, Config, LineEndings, Outcome, RecipientOutcome, TlsInfo};
use ehlo_driver::{Body, Conversation};
use tokio::net::ToSocketAddrs;

pub use self::body::{Reader, SeekReader};
pub use self::builder::Builder;
pub use self::socket::Socket;
use self::wire::Tokio;
pub use ehlo_client::{Envelope, Recipient, Report};
pub use ehlo_driver::{
    Body as MessageBody, CONNECT_TIMEOUT, Login, LoginError, Observed, Observer, SendError, Tls, Trust, TrustError,
    address_literal,
};

/// A connection to a server that has greeted.
pub struct Client {
    conversation: Conversation<Tokio>,
    endings: LineEndings,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("conversation", &self.conversation).finish_non_exhaustive()
    }
}

impl Client {
    /// What is not as usual: TLS, log in, the name for EHLO, timeouts, and what else there is.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects within [`CONNECT_TIMEOUT`] and says EHLO with the [address](address_literal) of this end. The connection stays in clear.
    ///
    /// # Errors
    ///
    /// [`SendError::Connect`] if there is no connection, [`SendError::Closed`] or [`SendError::Refused`] if the server doesn't greet.
    pub async fn connect(address: impl ToSocketAddrs) -> Result<Self, SendError> {
        Self::builder().connect_address(address, "").await
    }

    /// The same within another time. It is for the connection alone: for the look-up of a name, and for trying all of its addresses. The session's
    /// own timeouts begin behind it.
    ///
    /// # Errors
    ///
    /// [`SendError::Connect`] if there is no connection, of kind [`TimedOut`](std::io::ErrorKind::TimedOut) if there is none in time;
    /// [`SendError::Closed`] or [`SendError::Refused`] if the server doesn't greet.
    pub async fn connect_within(time: Duration, address: impl ToSocketAddrs) -> Result<Self, SendError> {
        Self::builder().connect_timeout(time).connect_address(address, "").await
    }

    /// Says EHLO, or LHLO, over a connection that has just been made.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::Refused`] if the server doesn't greet.
    pub async fn over(stream: impl Into<Socket>, config: Arc<Config>, observer: Observer) -> Result<Self, SendError> {
        Self::builder().config(config).observer(observer).over(stream, "").await
    }

    /// What the server offers.
    #[must_use]
    pub const fn capabilities(&self) -> &ehlo_client::codec::Capabilities {
        self.conversation.link().session().capabilities()
    }

    /// The TLS that the connection is inside of, if it is.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsInfo> {
        self.conversation.link().session().tls()
    }

    /// The server's certificate, in DER, inside TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.conversation.link().certificate()
    }

    /// The socket.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.conversation.wire().socket
    }

    /// What became of each recipient of the last message that was sent by [`begin`](Self::begin), in the order of its envelope.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientOutcome] {
        let session = self.conversation.link().session();
        session.recipients(session.latest())
    }

    /// Why the connection ended, if it has.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        self.conversation.link().closed()
    }

    /// Whether another message can be sent: the server has not closed the connection meanwhile, nor said anything unasked; and takes another
    /// message over it (RFC 9422, MAILMAX).
    pub fn is_usable(&mut self) -> bool {
        let (link, wire) = self.conversation.parts_mut();
        wire.look(link);
        if self.conversation.ensure_open().is_err() {
            return false;
        }
        let session = self.conversation.link().session();
        self.closed().is_none() && session.is_ready() && session.transactions_left() != Some(0)
    }

    /// Logs in.
    ///
    /// # Errors
    ///
    /// [`SendError::Login`] if it fails; the session goes on without, unless the server could not prove that it knows the password: then it is over.
    pub async fn login(&mut self, login: &Login) -> Result<(), SendError> {
        self.conversation.login(login).await
    }

    /// Sends one message to all recipients of an envelope, over as many transactions as the server's limits ask for. Its lines must end in CRLF, unless
    /// [`Builder::line_endings`] says otherwise; a body with octets above 127 is declared as 8BITMIME even if the envelope does not say
    /// so.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the transaction was not begun. What happens within it stands in the [`Report`], and [`closed`](Self::closed) tells why a
    /// connection ended.
    pub async fn send(&mut self, envelope: &Envelope<'_>, text: &[u8]) -> Result<Report, SendError> {
        self.conversation.send_text(envelope, text, self.endings).await
    }

    /// The same for a message that is read while it is sent, from a [`Reader`] or a [`SeekReader`]. Its kind is what the envelope says.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing was begun, or the message can't be sent to its end.
    pub async fn send_body(
        &mut self,
        envelope: &Envelope<'_>,
        body: &mut (impl Body + Send),
    ) -> Result<Report, SendError> {
        self.conversation.send_body(envelope, body, self.endings).await
    }

    /// Sends many messages, each as [`send`](Self::send) does, but without waiting for the outcome of one before the next
    /// ([`Builder::ahead`]). `report` is called for each as it is decided, with its number.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session was over before, or one of the messages can't be sent as it is; then nothing was begun.
    pub async fn send_all(
        &mut self,
        messages: &[(Envelope<'_>, &[u8])],
        report: impl FnMut(usize, Report),
    ) -> Result<(), SendError> {
        self.conversation.send_texts(messages, self.endings, report).await
    }

    /// Begins a message whose body comes piece by piece. `None` if the server waits for it: then come any number of
    /// [`write`](Self::write), and [`finish`](Self::finish). The outcome if the transaction is over without one.
    ///
    /// The kind of the body is what the envelope says. A `Client` that is dropped before `finish` closes the connection in the middle of the
    /// message, of which a server then takes nothing (RFC 5321 §4.1.1.10).
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    pub async fn begin(&mut self, envelope: &Envelope<'_>) -> Result<Option<Outcome>, SendError> {
        self.conversation.begin_message(envelope).await
    }

    /// Writes a piece of the body. The outcome, if the server has ended the transaction: nothing more of it is wanted then. If its future is
    /// dropped, nobody knows how much of the piece was taken: drop the client.
    ///
    /// # Errors
    ///
    /// [`SendError::Begin`] if no message waits for it. [`SendError::Body`] if a CR or LF stands alone, or an octet is above 127 where the envelope says that there is none. The message can't be
    /// finished then; drop the client.
    pub async fn write(&mut self, piece: &[u8]) -> Result<Option<Outcome>, SendError> {
        self.conversation.write(piece).await
    }

    /// Writes the end of the body, and waits for what becomes of the message.
    ///
    /// # Errors
    ///
    /// [`SendError::Body`] if the body ended with a CR that stands alone, which can't be finished; [`SendError::Begin`] if there is no message; [`SendError::Closed`] if the connection ended before.
    pub async fn finish(&mut self) -> Result<Outcome, SendError> {
        self.conversation.finish().await
    }

    /// Says QUIT, and waits for the reply. A message that waits for the rest of its body is given up.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended another way. No message is affected by that.
    pub async fn quit(mut self) -> Result<(), SendError> {
        self.conversation.quit().await
    }
}
