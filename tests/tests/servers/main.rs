//! Both drivers of the client deliver to other people's servers. What is stored is what was sent, and what the client tells of each recipient is
//! what the server did.
//!
//! Each server has a row that says what it can do (`rows.rs`), and a module that starts it. `judge.rs` goes through the cells of the row: in
//! clear, by STARTTLS and over TLS from the beginning, by BDAT and DATA, with commands ahead of replies and without. `sink.rs` is about a
//! server that goes wrong at each command. The page `docs/src/reference/servers.md` is made of the rows.
//!
//! `tests/peers/setup.sh` unpacks the servers. One that is not there, or can't be run as this user, is told as not judged.

#[path = "../sending/both.rs"]
#[allow(dead_code, reason = "the other test needs more of it")]
mod both;

/// What `both` wants to know of the server.
mod world {
    pub(crate) const NAME: &str = "mx.example";
}

mod aiosmtpd;
mod chasquid;
mod exim;
mod judge;
mod letter;
mod opensmtpd;
mod page;
mod postfix;
mod process;
mod rows;
mod sink;
mod stored;
