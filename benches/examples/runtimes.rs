//! The same server on threads that are arranged in three ways, to measure them side by side.
//!
//! ```text
//! runtimes dealt|stealing|reuseport ADDRESS:PORT [THREADS]
//! ```
//!
//! - `dealt`: an event loop for each thread; one of them accepts, and deals the connections out in turn. What `ehlo serve` does.
//! - `stealing`: tokio's multi-thread runtime, in which a connection may move from thread to thread.
//! - `reuseport`: an event loop and a listener for each thread; the kernel spreads connections by a hash (`SO_REUSEPORT`).
//!
//! `tests/peers/measure.py` runs them; docs/src/performance.md has the figures.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use ehlo_tokio::store::Discard;
use ehlo_tokio::{AcceptAll, ConnectionLimits, Server, Workers};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
const CONNECTIONS: usize = 20_000;

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: runtimes dealt|stealing|reuseport ADDRESS:PORT [THREADS]");
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().ok_or_else(usage)?;
    let address = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let threads = match arguments.next() {
        Some(text) => text.parse().map_err(|_| usage())?,
        None => std::thread::available_parallelism()?,
    };
    match way.as_str() {
        "dealt" => {
            let workers = Workers::new(threads)?;
            Builder::new_current_thread().enable_all().build()?.block_on(serve(address, Some(workers)))
        }
        "stealing" => {
            let runtime = Builder::new_multi_thread().worker_threads(threads.get()).enable_all().build()?;
            // On a worker, as an application would, and not on the thread that only waits for it.
            runtime.block_on(async { tokio::spawn(serve(address, None)).await.map_err(io::Error::other)? })
        }
        "reuseport" => reuseport(address, threads),
        _ => Err(usage()),
    }
}

fn reuseport(address: SocketAddr, threads: NonZeroUsize) -> io::Result<()> {
    let threads: Vec<_> = (0..threads.get())
        .map(|_| {
            std::thread::spawn(move || {
                Builder::new_current_thread().enable_all().build()?.block_on(serve(address, None))
            })
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
}

async fn serve(address: SocketAddr, workers: Option<Workers>) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let limits = ConnectionLimits::default().total(CONNECTIONS).per_address(CONNECTIONS);
    let mut server = Server::builder(AcceptAll(Discard)).limits(limits);
    if let Some(workers) = workers {
        server = server.workers(workers);
    }
    server.serve(TcpListener::from_std(socket.into())?, pending()).await;
    Ok(())
}
