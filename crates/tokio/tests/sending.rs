//! What a message costs its sender.

use std::io::{self, BufRead as _, BufReader, Read as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use allocation_counter::{AllocationInfo, measure};
use ehlo_tokio::client::{Client, Envelope, Recipient, SeekReader};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::runtime::{Builder, Runtime};

const COUNTED: u64 = 100;
/// Of a report: the outcomes, the replies, and their text.
const PER_MESSAGE: u64 = 3;
const LINE: &[u8] = b"0123456789 a line of a message that goes on and on 0123456789 and on.\r\n";

/// A server of one connection that takes everything. Gives the octets of all bodies.
fn server() -> (SocketAddr, JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut out = stream.get_ref().try_clone().unwrap();
        out.set_nodelay(true).unwrap();
        out.write_all(b"220 mx.example\r\n").unwrap();
        let (mut line, mut octets) = (String::new(), 0);
        loop {
            line.clear();
            if stream.read_line(&mut line).unwrap() == 0 {
                return octets;
            }
            let reply: &[u8] = match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
                ["EHLO", ..] => b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
                ["BDAT", size, ..] => {
                    let size = size.parse().unwrap();
                    octets += io::copy(&mut (&mut stream).take(size), &mut io::sink()).unwrap();
                    b"250 2.0.0 queued as 0123456789\r\n"
                }
                ["QUIT"] => b"221 bye\r\n",
                _ => b"250 2.1.0 ok\r\n",
            };
            out.write_all(reply).unwrap();
        }
    });
    (address, taken)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What so many recipients cost, a hundred times over, once a message was sent.
fn cost(recipients: usize) -> AllocationInfo {
    let (address, server) = server();
    let runtime = runtime();
    let text = LINE.repeat(14);
    let to = vec![Recipient::parse("bob@mx.example").unwrap(); recipients];
    let envelope = Envelope::parse("ada@client.example", &to).unwrap();
    let mut client = runtime.block_on(Client::connect(address)).unwrap();
    let mut send = || assert!(runtime.block_on(client.send(&envelope, &text)).unwrap().all_accepted());
    send();
    send();
    let cost = measure(|| (0..COUNTED).for_each(|_| send()));
    runtime.block_on(client.quit()).unwrap();
    assert_eq!(server.join().unwrap(), (COUNTED + 2) * text.len() as u64);
    cost
}

#[test]
fn a_message_allocates_its_report_only() {
    let count = cost(1).count_total;
    assert!(count <= PER_MESSAGE * COUNTED, "{count} allocations for {COUNTED} messages");
}

#[test]
fn a_recipient_allocates_nothing_beyond_its_outcome() {
    let (one, many) = (cost(1), cost(500));
    assert_eq!(one.count_total, many.count_total);
    let each = (many.bytes_total - one.bytes_total) / (499 * COUNTED);
    assert!(each <= 32, "{each} octets for each recipient");
}

/// A text of that many lines that is nowhere.
struct Lines {
    octets: u64,
    at: u64,
}

impl AsyncRead for Lines {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while buffer.remaining() > 0 && self.at < self.octets {
            let rest = &LINE[(self.at % LINE.len() as u64) as usize..];
            let piece = &rest[..rest.len().min(buffer.remaining())];
            buffer.put_slice(piece);
            self.at += piece.len() as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Lines {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        self.at = match position {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.octets.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.at))
    }
}

/// The most memory that a message of so many lines takes, from connecting to the end.
fn most_memory(lines: u64) -> u64 {
    let (address, server) = server();
    let runtime = runtime();
    let octets = lines * LINE.len() as u64;
    let most = measure(|| {
        runtime.block_on(async {
            let to = [Recipient::parse("bob@mx.example").unwrap()];
            let envelope = Envelope::parse("ada@client.example", &to).unwrap();
            let mut client = Client::connect(address).await.unwrap();
            let mut body = SeekReader::new(Lines { octets, at: 0 }).await.unwrap();
            assert!(client.send_body(&envelope, &mut body).await.unwrap().all_accepted());
            client.quit().await.unwrap();
        });
    });
    assert_eq!(server.join().unwrap(), octets);
    most.bytes_max
}

#[test]
fn memory_does_not_depend_on_the_size_of_a_message() {
    // A piece that is read, and a buffer that doubled once.
    let most = most_memory(200_000_000 / LINE.len() as u64);
    assert!(most <= 320 * 1024, "{most} octets at once for a message of 200 MB");
}
