//! A simulated byte-stream network with a virtual clock and one seed, in which the sessions of ehlo meet each other and worse.
//!
//! [`run`] plays one seed from its beginning to its end. The seed decides everything: which ends meet (the client session, the server session,
//! a scripted client that says anything, a scripted server that answers anything), their settings, their mail, how the network cuts, delays,
//! stalls and breaks, how late the application decides, where a sink pauses, when TLS begins and whether it fails. There is no other chance, no thread,
//! no socket and no clock: a seed is the same run on every machine.
//!
//! After every step the invariants of the sessions are checked, by [`Server`] and [`Client`], which drive a session as a driver does
//! and hold it against plain models of their own. At the end of a run it is done again with its bytes cut in other ways, and must be
//! the same run. A broken invariant is a panic that names it.
//!
//! ```
//! let report = ehlo_sim::run(std::time::Instant::now(), 1, None);
//! assert!(report.steps > 0);
//! ```

pub mod client;
mod dialogue;
mod net;
mod plan;
mod puppet;
mod rng;
pub mod server;
mod trace;
mod world;

pub use client::{Client, Habits};
pub use plan::Message;
pub use rng::Rng;
pub use server::Server;
pub use world::{Report, run};
