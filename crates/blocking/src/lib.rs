//! An SMTP client that blocks the thread that it is called on.
//!
//! ```no_run
//! use ehlo_blocking::{Client, Envelope, Recipient};
//!
//! let to = [Recipient::parse("bob@mx.example")?];
//! let mut client = Client::connect("mx.example:25")?;
//! let report = client.send(&Envelope::parse("ada@client.example", &to)?, b"Subject: hi\r\n\r\nHello.\r\n")?;
//! println!("{}", report.get(0).unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A server's refusal is no error: [`Report`] tells for each recipient what became of it, with the server's words. [`Client::builder`] has the
//! rest: TLS, log in, names and times.
//!
//! It reads while it writes, as a client that pipelines has to (RFC 2920 §3.1), by waiting for the socket with `poll`; so it is there on Unix.
#![cfg(unix)]

mod body;
mod builder;
mod wire;

use std::net::ToSocketAddrs;

use ehlo_client::{CloseReason, TlsInfo};
pub use ehlo_client::{Envelope, Fate, LineEndings, Recipient, Report, SavedReply};
use ehlo_driver::{Body, Conversation, block_on};
pub use ehlo_driver::{
    CONNECT_TIMEOUT, Login, LoginError, Observed, Observer, SendError, Tls, Trust, TrustError, address_literal,
    ehlo_client, sasl,
};

pub use self::body::{Reader, SeekReader};
pub use self::builder::Builder;
use self::wire::Blocking;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A connection to a server that has greeted.
#[derive(Debug)]
pub struct Client {
    conversation: Conversation<Blocking>,
    endings: LineEndings,
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
    pub fn connect(address: impl ToSocketAddrs) -> Result<Self, SendError> {
        Self::builder().connect_address(address, "")
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

    /// Why the connection ended, if it has.
    #[must_use]
    pub const fn closed(&self) -> Option<CloseReason> {
        self.conversation.link().closed()
    }

    /// Logs in.
    ///
    /// # Errors
    ///
    /// [`SendError::Login`] if it fails; the session goes on without, unless the server could not prove that it knows the password: then it is over.
    pub fn login(&mut self, login: &Login) -> Result<(), SendError> {
        block_on(self.conversation.login(login))
    }

    /// Sends one message to all recipients of an envelope, over as many transactions as the server's limits ask for. Its lines must end in CRLF, unless
    /// [`Builder::line_endings`] says otherwise; a body with octets above 127 is declared as 8BITMIME even if the envelope does not say
    /// so.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the transaction was not begun. What happens within it stands in the [`Report`], and [`closed`](Self::closed) tells why a
    /// connection ended.
    pub fn send(&mut self, envelope: &Envelope<'_>, text: &[u8]) -> Result<Report, SendError> {
        block_on(self.conversation.send_text(envelope, text, self.endings))
    }

    /// The same for a message that is read while it is sent, from a [`Reader`] or a [`SeekReader`]. Its kind is what the envelope says.
    ///
    /// # Errors
    ///
    /// [`SendError`] if nothing was begun, or the message can't be sent to its end.
    pub fn send_body(&mut self, envelope: &Envelope<'_>, body: &mut (impl Body + Send)) -> Result<Report, SendError> {
        block_on(self.conversation.send_body(envelope, body, self.endings))
    }

    /// Sends many messages, each as [`send`](Self::send) does, but without waiting for the outcome of one before the next
    /// ([`Builder::ahead`]). `report` is called for each as it is decided, with its number.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the session was over before, or one of the messages can't be sent as it is; then nothing was begun.
    pub fn send_all(
        &mut self,
        messages: &[(Envelope<'_>, &[u8])],
        report: impl FnMut(usize, Report),
    ) -> Result<(), SendError> {
        block_on(self.conversation.send_texts(messages, self.endings, report))
    }

    /// Says QUIT, and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection ended another way. No message is affected by that.
    pub fn quit(mut self) -> Result<(), SendError> {
        block_on(self.conversation.quit())
    }
}
