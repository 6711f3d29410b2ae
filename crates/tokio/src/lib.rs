//! Drivers for [`ehlo_server`] and [`ehlo_client`] on tokio.
//!
//! A [`Server`] accepts connections, asks a [`Policy`] what it takes, and streams messages into a [`BodySink`]; some are in [`store`].
//! [`auth`] lets clients log in. [`client::Client`] sends a message, and [`route`] finds the server for it by its domain.
//!
//! ```
//! use ehlo_tokio::client::{Client, Envelope, Recipient};
//! use ehlo_tokio::store::Memory;
//! use ehlo_tokio::{AcceptAll, Server};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Memory::new(1 << 20);
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let server = Server::builder(AcceptAll(store.clone()));
//! let server = tokio::spawn(server.serve(listener, async { stopped.await.unwrap_or(()) }));
//!
//! let to = [Recipient::parse("bob@example.net")?];
//! let mut client = Client::connect(address).await?;
//! let report = client.send(&Envelope::parse("ada@example.org", &to)?, b"Subject: hi\r\n\r\nHello.\r\n").await?;
//! assert!(report.all_accepted());
//! client.quit().await?;
//!
//! stop.send(()).ok();
//! assert_eq!(server.await?.messages, 1);
//! assert_eq!(store.messages()[0].body, b"Subject: hi\r\n\r\nHello.\r\n");
//! # Ok(())
//! # }
//! ```

pub mod auth;
mod carry;
pub mod client;
mod connection;
pub mod dns;
mod hub;
mod intervention;
mod log;
pub mod metrics;
mod notes;
mod policy;
pub mod pool;
mod proxy;
pub mod route;
mod server;
mod settings;
mod sink;
pub mod store;
pub mod tls;
pub mod trace;
mod transport;
mod workers;

pub use ehlo_client;
pub use ehlo_sasl;
pub use ehlo_server;
pub use hub::{ConnectionLimits, Summary};
pub use intervention::Intervention;
pub use log::LogLimits;
pub use notes::Notes;
pub use policy::{AcceptAll, Context, Decision, Etrn, Expn, Hello, Later, Mail, Policy, Rcpt, Upcoming, Vrfy};
pub use proxy::{Network, NetworkError};
pub use server::{Builder, Listener, Server};
pub use settings::Settings;
pub use sink::{BodySink, Commit, MessageContext};
pub use workers::Workers;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
