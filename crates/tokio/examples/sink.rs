//! A server that takes any message and prints its envelope.
//!
//! `cargo run -p ehlo-tokio --example sink`, and then `ehlo send --from a@b --to c@d 127.0.0.1:2525 message.eml`; Ctrl-C ends it.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::io;
use std::task::{Context, Poll};

use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::store::Store;
use ehlo_tokio::{AcceptAll, BodySink, MessageContext, Server};
use tokio::net::TcpListener;

struct Print;

impl Store for Print {
    type Sink = PrintSink;

    fn sink(&self) -> PrintSink {
        PrintSink { envelope: String::new(), bytes: 0 }
    }
}

struct PrintSink {
    envelope: String,
    bytes: usize,
}

impl BodySink for PrintSink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        let recipients: Vec<String> = message.envelope.recipients().map(|to| to.to_string()).collect();
        self.envelope = format!("{} -> {}", message.envelope.reverse_path_text(), recipients.join(" "));
        self.bytes = 0;
        Ok(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        println!("{}: {} bytes", self.envelope, self.bytes);
        Poll::Ready(Ok(None))
    }

    fn abort(&mut self) {
        println!("{}: broken off", self.envelope);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:2525").await?;
    println!("listening on {}", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    let summary = Server::builder(AcceptAll(Print)).serve(listener, stop).await;
    println!("{} messages", summary.messages);
    Ok(())
}
