//! The bodies of the fuzz targets: each takes any bytes, and panics where a law is broken.

mod body;
mod bytes;
mod client;
mod codec;
mod ehlo;
mod proxy;
mod server;

pub use body::{chunk_decoder, stuffer};
pub use client::client_session;
pub use codec::{command, data_decoder, line_framer, reply_reader};
pub use ehlo::ehlo_reply;
pub use proxy::proxy_header;
pub use server::server_session;
