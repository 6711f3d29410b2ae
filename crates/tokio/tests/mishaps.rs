//! What goes wrong at an awkward moment: together with a deadline, at the end of memory or patience, in the policy itself.

mod common;

use std::io::{BufRead as _, Write as _};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::Duration;

use common::{Raw, Running, SlowStore, breathe, start, until, within};
use ehlo_tokio::client::{Client, Reader, SendError};
use ehlo_tokio::ehlo_client::codec::ReversePath;
use ehlo_tokio::ehlo_client::{BeginError, Envelope, Fate, Recipient};
use ehlo_tokio::store::{Memory, MemorySink, Store as _};
use ehlo_tokio::{AcceptAll, ConnectionLimits, Policy, Server, Workers};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadBuf};

/// A client in the middle of a message.
async fn in_message(server: &Running) -> Raw {
    let mut client = server.greeted().await;
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n").await;
    for code in [250, 250, 354] {
        client.expect(code).await;
    }
    client
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_done_when_its_deadline_is_seen_is_acknowledged() {
    let store = SlowStore::new();
    store.valve.let_through(1000);
    let server = start(Server::builder(AcceptAll(store.clone()))).await;
    let mut client = in_message(&server).await;
    client.send("x\r\n.\r\n").await;
    breathe().await;
    // Nothing runs between these two: the connection sees both at once, as it would on a thread that was busy.
    store.valve.let_commit();
    tokio::time::advance(Duration::from_secs(600)).await;
    client.expect(250).await;
    assert_eq!(store.memory.messages().len(), 1);
    assert_eq!(store.aborted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_message_that_is_being_committed_is_answered_though_the_input_behind_it_finds_no_room() {
    within(async {
        let store = SlowStore::new();
        store.valve.let_through(1000);
        let limits = ConnectionLimits::default().memory(10);
        let server = start(Server::builder(AcceptAll(store.clone())).limits(limits)).await;
        let mut client = in_message(&server).await;
        client.send(format!("x\r\n.\r\n{}", "NOOP\r\n".repeat(50))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        store.valve.let_commit();
        client.expect(250).await;
        client.expect(421).await;
        client.expect_end().await;
        assert_eq!(store.memory.messages().len(), 1);
        assert_eq!(store.aborted.load(Ordering::SeqCst), 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_cut_off_at_the_drain_deadline_sees_why_and_an_orderly_end() {
    within(async {
        // The sink takes nothing, so that most of the message stays unread.
        let store = SlowStore::new();
        let mut server = start(Server::builder(AcceptAll(store.clone())).drain(Duration::from_millis(50))).await;
        let mut client = in_message(&server).await;
        client.send("x".repeat(200_000)).await;
        until(|| store.valve.calls() > 0).await;
        server.begin_stop();
        client.expect(421).await;
        let end = client.stream.read(&mut [0; 1]).await;
        assert!(matches!(end, Ok(0)), "{end:?}");
        drop(client);
        assert_eq!(server.finished().await.cut_off, 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_stays_does_not_hold_up_the_end_for_long() {
    within(async {
        let store = SlowStore::new();
        let mut server = start(Server::builder(AcceptAll(store.clone())).drain(Duration::from_millis(50))).await;
        let client = in_message(&server).await;
        let begin = std::time::Instant::now();
        server.begin_stop();
        server.finished().await;
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        drop(client);
    })
    .await;
}

/// Panics at every connection but each third.
struct Shaky(Memory, Arc<AtomicUsize>);

impl Policy for Shaky {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        assert!(self.1.fetch_add(1, Ordering::SeqCst) % 3 == 2, "this panic is a part of the test");
        self.0.sink()
    }
}

#[tokio::test]
async fn a_policy_that_panics_costs_its_connection_only() {
    within(async {
        for workers in [None, NonZeroUsize::new(1)] {
            let mut builder = Server::builder(Shaky(Memory::new(1 << 20), Arc::default()));
            if let Some(count) = workers {
                builder = builder.workers(Workers::new(count).unwrap());
            }
            let server = start(builder).await;
            for i in 0..9 {
                let mut client = server.client().await;
                if i % 3 == 2 {
                    client.expect(220).await;
                    client.say("QUIT", 221).await;
                }
                client.expect_end().await;
            }
            assert_eq!(server.stop().await.connections, 9);
        }
    })
    .await;
}

/// A server that offers these extensions, and gives what it was sent in answer to its greeting and its 250 to EHLO.
async fn tell_first_command(extensions: &str) -> (Client, tokio::task::JoinHandle<Option<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reply = format!("250{}localhost\r\n{extensions}", if extensions.is_empty() { ' ' } else { '-' });
    let peer = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 localhost\r\n").await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stream.write_all(reply.as_bytes()).await.unwrap();
        line.clear();
        (stream.read_line(&mut line).await.unwrap() > 0).then_some(line)
    });
    (Client::connect(address).await.unwrap(), peer)
}

#[tokio::test]
async fn eight_bit_octets_are_announced_or_not_sent() {
    within(async {
        let to = [Recipient::parse("bob@mx.example").unwrap()];
        let envelope = Envelope::new(ReversePath::Null, &to);
        for (body, mail) in [
            ("Subject: caf\u{e9}\r\n\r\n", "MAIL FROM:<> BODY=8BITMIME\r\n"),
            ("Subject: cafe\r\n\r\n", "MAIL FROM:<>\r\n"),
        ] {
            let (mut client, peer) = tell_first_command("250 8BITMIME\r\n").await;
            // The peer hangs up at MAIL.
            let _ = client.send(&envelope, body.as_bytes()).await;
            assert_eq!(peer.await.unwrap().as_deref(), Some(mail));
        }
        let (mut client, peer) = tell_first_command("").await;
        let report = client.send(&envelope, "Subject: caf\u{e9}\r\n\r\n".as_bytes()).await.unwrap();
        assert_eq!(report.get(0), Some(Fate::Impossible(BeginError::BodyNotOffered)));
        drop(client);
        assert_eq!(peer.await.unwrap(), None, "nothing was said");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up_in_time() {
    within(async {
        // A listener whose queue is full answers no one.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&listener).listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
            assert!(queue.len() < 64, "this system has no bound on a listener's queue, so nothing can be shown here");
        }
        let error = Client::connect_within(Duration::from_millis(100), address).await.unwrap_err();
        let SendError::Connect(inner) = &error else { panic!("{error}") };
        assert_eq!(inner.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "cannot connect: no answer within 100ms");
    })
    .await;
}

/// A message whose reader keeps its thread until the server has gone: so the runtime can't have noticed that.
struct KeepsItsThread(Receiver<()>, usize);

impl AsyncRead for KeepsItsThread {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.1 += 1;
        if self.1 > 1 {
            // Several pieces may be read before the first is written.
            let _ = self.0.recv_timeout(Duration::from_millis(300));
        }
        if self.1 < 20 {
            let lines = buffer.remaining() / 8 * 8;
            buffer.put_slice(&b"a line\r\n".repeat(lines / 8));
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_refusal_that_came_with_the_end_of_the_connection_is_read_though_no_more_can_be_written() {
    within(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (gone, is_gone) = channel();
        let server = std::thread::spawn(move || {
            let (mut out, _) = listener.accept().unwrap();
            let mut lines = std::io::BufReader::new(out.try_clone().unwrap());
            let mut line = String::new();
            for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
                out.write_all(reply.as_bytes()).unwrap();
                line.clear();
                // Behind the last there are octets of the body, most of which stay unread: the connection ends by a reset.
                lines.read_line(&mut line).unwrap();
            }
            out.write_all(b"554 5.7.1 Enough\r\n").unwrap();
            drop((out, lines));
            gone.send(()).unwrap();
        });
        let mut client = Client::connect(address).await.unwrap();
        let to = [Recipient::parse("bob@mx.example").unwrap()];
        let mut body = Reader::new(KeepsItsThread(is_gone, 0));
        let report = client.send_body(&Envelope::new(ReversePath::Null, &to), &mut body).await.unwrap();
        assert_eq!(report.get(0).unwrap().to_string(), "refused: 554 5.7.1 Enough");
        server.join().unwrap();
    })
    .await;
}
