//! Other people's clients deliver to `ehlo serve`. What is stored is what was sent.
//!
//! Each client has a row that says what it can do (`clients.rs`), and one builder of its command line. A [`Bench`](bench::Bench) goes
//! through the cells of the row: in clear, by STARTTLS and over TLS from the beginning, plainly, with each mechanism of AUTH, with addresses
//! beyond ASCII, with wishes for reports, by chunks, and by LMTP. What a client lacks stands in its row with the reason, and the page
//! `docs/src/reference/clients.md` is made of these rows.
//!
//! `tests/peers/setup.sh` unpacks the clients. One that is not there, or was built without something, is told as not judged.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod by_hand;
mod clients;
mod exim;
mod order;
mod page;
mod postfix;
mod programs;
mod stored;
mod target;
mod wire;
