//! A sans-I/O SMTP server session.
//!
//! [`Session`] is fed bytes, the time and decisions, and gives back replies to write, [`Event`]s and the next deadline. It opens no
//! socket, reads no clock, starts no thread and stores no byte of a message body: bodies are handed out as slices of the input that
//! the driver already holds. `ehlo-tokio` is a driver; a test, or any other event loop, can be one.
//!
//! A decision of the application is an owned token ([`Question`]): it may travel to another thread and come back as an [`Answer`],
//! while the session waits under a deadline. Nothing is asked that [`Config::questions`] does not want asked, but
//! [`Question::Commit`]: 250 for a message is written only after the application has said that the message is safe.
//!
//! # Example
//!
//! A dialogue with a client that is played by hand:
//!
//! ```
//! use ehlo_server::{Config, Event, Peer, Question, Session};
//! use std::{sync::Arc, time::Instant};
//!
//! let now = Instant::now();
//! let mut session = Session::new(now, Arc::new(Config::new("mx.example")?), Peer::new(1));
//! assert_eq!(session.output(), b"220 mx.example ESMTP\r\n");
//! session.output_sent(now, session.output().len());
//!
//! // A client that sends a whole transaction up to DATA, and then the message.
//! let mut input = &b"HELO client.example\r\nMAIL FROM:<ada@client.example>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n\
//!                    Subject: hi\r\n\r\n.\r\nQUIT\r\n"[..];
//! let mut message = Vec::new();
//! loop {
//!     let step = session.handle_input(now, input);
//!     input = &input[step.used..];
//!     match step.event {
//!         Some(Event::Body(piece)) => message.extend_from_slice(piece),
//!         Some(Event::Ask(Question::Commit(token))) => session.resolve(now, token.accept())?,
//!         Some(_) => {}
//!         None => break,
//!     }
//! }
//! assert_eq!(message, b"Subject: hi\r\n\r\n");
//! let replies = String::from_utf8(session.output().to_vec())?;
//! let codes: Vec<&str> = replies.lines().map(|line| &line[..3]).collect();
//! assert_eq!(codes, ["250", "250", "250", "354", "250", "221"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod auth;
mod config;
mod count;
mod envelope;
mod event;
mod extension;
mod limits;
mod output;
mod overriding;
mod question;
mod received;
mod replies;
mod session;
pub mod table;
pub mod tls;

pub use auth::{AuthConfig, AuthMechanism, MechanismNeeds, SaslResponse};
pub use config::{BareLineEnds, Config, Peer, Protocol, Solicitations, TlsMode};
pub use count::CommandCounts;
pub use ehlo_codec as codec;
pub use envelope::{EnvelopeBuf, EnvelopeView, Recipient};
pub use event::{AbortReason, CloseReason, Event, Reason, ResolveError, Shutdown, Step};
pub use limits::{Limits, Stress, Timeouts};
pub use overriding::{Moment, Override, OverrideToken};
pub use question::{
    Answer, AuthToken, CommitToken, ConnectToken, DataToken, EtrnToken, ExpnToken, HelloToken, MailToken, Pending,
    Question, Questions, RcptToken, RecipientAnswer, VrfyToken,
};
pub use received::ReceivedCount;
pub use session::Session;
pub use tls::{ChannelBinding, ClientCertificate, TlsInfo};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
