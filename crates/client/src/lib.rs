//! A sans-I/O SMTP client session.
//!
//! [`Session`] is fed bytes and the time and gives back bytes to write, [`Event`]s and the next deadline. It opens no socket, reads
//! no clock and starts no thread: a driver does (`ehlo-tokio` for tokio, `ehlo-load` on mio; a blocking one is twenty lines).
//!
//! It sends MAIL, all RCPTs and DATA in one flight where the server offers PIPELINING (RFC 2920) and one command at a time
//! elsewhere, matches every reply to its command, and says for **each recipient** what became of it. A message body never passes
//! through it: the driver writes it straight from where it lies.
//!
//! # Example
//!
//! A dialogue with a server that is played by hand:
//!
//! ```
//! use ehlo_client::codec::{ForwardPath, ReversePath};
//! use ehlo_client::{BodyEnd, Config, Envelope, Event, Session, Transfer};
//! use std::{sync::Arc, time::Instant};
//!
//! let now = Instant::now();
//! let mut session = Session::new(now, Arc::new(Config::new("client.example")?));
//! let mut server_says = |session: &mut Session, mut input: &[u8]| {
//!     let mut events = Vec::new();
//!     loop {
//!         let step = session.handle_input(now, input);
//!         input = &input[step.used..];
//!         match step.event {
//!             Some(event) => events.push(event),
//!             None => break events,
//!         }
//!     }
//! };
//! server_says(&mut session, b"220 mx.example ESMTP\r\n");
//! assert_eq!(session.output(), b"EHLO client.example\r\n");
//! session.output_sent(now, session.output().len());
//! server_says(&mut session, b"250-mx.example\r\n250 PIPELINING\r\n");
//!
//! let (from, _) = ReversePath::parse_prefix(b"<ada@client.example>")?;
//! let (to, _) = ForwardPath::parse_prefix(b"<bob@mx.example>")?;
//! session.begin(now, &Envelope::new(from, &[to.into()]))?;
//! assert_eq!(session.output(), b"MAIL FROM:<ada@client.example>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n");
//! session.output_sent(now, session.output().len());
//! let events = server_says(&mut session, b"250 ok\r\n250 ok\r\n354 go\r\n");
//! assert!(matches!(events.last(), Some(Event::BodyWanted(_, Transfer::Dots))));
//! // The driver writes the message itself, and then says how it ended.
//! session.body_finished(now, BodyEnd::Dot)?;
//! assert_eq!(session.output(), b".\r\n");
//! session.output_sent(now, 3);
//! let events = server_says(&mut session, b"250 queued as 42\r\n");
//! let Some(Event::Done(_, outcome)) = events.last() else { panic!("the transaction is done") };
//! assert_eq!(outcome.accepted, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod config;
mod envelope;
mod event;
mod job;
mod offer;
mod outcome;
mod report;
mod script;
mod session;
mod timeouts;
mod tls;

pub use body::{BodyError, BodyWriter, LineEndings, Prepared};
pub use config::{Config, StartTls};
pub use ehlo_codec as codec;
pub use envelope::{Envelope, Recipient};
pub use event::{
    ApiMisuse, AuthOutcome, BeginError, BodyEnd, CloseReason, Event, Misbehaviour, Reason, Stage, Step, TransactionId,
    Transfer,
};
pub use job::{Job, Next};
pub use outcome::{Outcome, RecipientOutcome};
pub use report::{Fate, Report, SavedReply};
pub use session::Session;
pub use timeouts::Timeouts;
pub use tls::TlsInfo;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
