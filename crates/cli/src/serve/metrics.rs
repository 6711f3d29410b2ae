//! The page of metrics of `ehlo serve`.

use std::io;
use std::net::SocketAddr;

use ehlo_tokio::metrics::{Endpoint, Metrics};

/// Listens for scrapers, and answers them from now on. Gives where.
pub(super) fn begin(address: SocketAddr, metrics: &Metrics) -> io::Result<SocketAddr> {
    let endpoint = Endpoint::new(super::run::listen(address)?, metrics.clone());
    let address = endpoint.local_addr()?;
    tokio::spawn(endpoint.serve());
    Ok(address)
}
