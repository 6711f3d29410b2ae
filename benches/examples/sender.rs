//! Sends messages with this project's client, to be measured beside others.
//!
//! ```text
//! sender send|ahead|data ADDRESS:PORT CONNECTIONS MESSAGES OCTETS
//! ```
//!
//! - `send`: `Client::send`, which waits for the outcome of each message.
//! - `ahead`: `Client::send_all`, with 16 messages under way on each connection.
//! - `data`: `Client::send` by DATA, whatever the server offers.
//!
//! One task for each connection, all on one thread. Each sends one message to warm up; then the clock runs from the first of MESSAGES to the last
//! reply. Prints how many were accepted, and in how many seconds. `tests/peers/clients.py` runs it; docs/src/performance.md has the figures.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use ehlo_tokio::client::{Client, Envelope, Recipient, SendError};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Messages that `ahead` has under way at once.
const AHEAD: usize = 16;

#[derive(Clone, Copy)]
struct Way {
    ahead: bool,
    chunking: bool,
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: sender send|ahead|data ADDRESS:PORT CONNECTIONS MESSAGES OCTETS");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, address, connections, messages, octets] = &arguments[..] else { return Err(usage()) };
    let way = match way.as_str() {
        "send" => Way { ahead: false, chunking: true },
        "ahead" => Way { ahead: true, chunking: true },
        "data" => Way { ahead: false, chunking: false },
        _ => return Err(usage()),
    };
    let address = address.parse().map_err(|_| usage())?;
    let number = |text: &String| text.parse::<usize>().map_err(|_| usage());
    let (connections, messages) = (number(connections)?.max(1), number(messages)?);
    let text: Rc<[u8]> = message(number(octets)?).into();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let took =
        LocalSet::new().block_on(&runtime, run(way, address, connections, messages, text)).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{messages} {took:.6}")
}

async fn run(
    way: Way,
    address: SocketAddr,
    connections: usize,
    messages: usize,
    text: Rc<[u8]>,
) -> Result<f64, SendError> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let text = Rc::clone(&text);
        tasks.push(tokio::task::spawn_local(async move {
            let mut builder = Client::builder().hello("client.example").ahead(AHEAD);
            if !way.chunking {
                builder = builder.no_chunking();
            }
            let mut client = builder.connect_address(address, "").await?;
            send(&mut client, way, 1, &text).await?;
            Ok(client)
        }));
    }
    let clients = joined(tasks).await?;
    let began = Instant::now();
    let mut tasks = Vec::new();
    for (i, mut client) in clients.into_iter().enumerate() {
        let text = Rc::clone(&text);
        let count = messages / connections + usize::from(i < messages % connections);
        tasks.push(tokio::task::spawn_local(async move {
            send(&mut client, way, count, &text).await?;
            Ok(client)
        }));
    }
    let clients = joined(tasks).await?;
    let took = began.elapsed().as_secs_f64();
    for client in clients {
        client.quit().await?;
    }
    Ok(took)
}

async fn joined<T>(tasks: Vec<tokio::task::JoinHandle<Result<T, SendError>>>) -> Result<Vec<T>, SendError> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.map_err(|error| SendError::Connect(io::Error::other(error)))??);
    }
    Ok(all)
}

async fn send(client: &mut Client, way: Way, count: usize, text: &[u8]) -> Result<(), SendError> {
    let refused = || SendError::Connect(io::Error::other("a message was not accepted"));
    let to = [Recipient::parse("bob@mx.example").map_err(|error| SendError::Connect(io::Error::other(error)))?];
    let envelope =
        Envelope::parse("ada@client.example", &to).map_err(|error| SendError::Connect(io::Error::other(error)))?;
    if way.ahead {
        let messages = vec![(envelope, text); count];
        let mut accepted = 0;
        client.send_all(&messages, |_, report| accepted += usize::from(report.all_accepted())).await?;
        return if accepted == count { Ok(()) } else { Err(refused()) };
    }
    for _ in 0..count {
        if !client.send(&envelope, text).await?.all_accepted() {
            return Err(refused());
        }
    }
    Ok(())
}

/// A message of that size, in lines of 72 octets.
fn message(octets: usize) -> Vec<u8> {
    let mut text = b"From: <ada@client.example>\r\nTo: <bob@mx.example>\r\nSubject: measured\r\n\r\n".to_vec();
    while text.len() + 2 < octets {
        let length = (octets - text.len() - 2).min(70);
        text.extend(std::iter::repeat_n(b'x', length));
        text.extend(b"\r\n");
    }
    text
}
