//! What a message costs on a connection that is under way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ehlo_tokio::store::{Discard, Verify};
use ehlo_tokio::{AcceptAll, Policy, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Messages that are sent to warm up, and then while allocations are counted.
const WARM_UP: u32 = 20;
const COUNTED: u32 = 200;

/// Sends messages over one connection, one command at a time, and confirms each by a count.
fn client(port: u16, done: &AtomicU32, gate: &std::sync::mpsc::Receiver<()>) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut line = String::new();
    let mut say = |text: &str, code: &str| {
        stream.get_mut().write_all(text.as_bytes()).unwrap();
        loop {
            line.clear();
            stream.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{text:?} was answered {line:?}");
            if line.as_bytes()[3] == b' ' {
                return;
            }
        }
    };
    say("", "220");
    say("EHLO client.example\r\n", "250");
    let body = format!("X-Ehlo-Id: {:032x}\r\n\r\n{}.\r\n", 7, "0123456789\r\n".repeat(200));
    for i in 0..WARM_UP + COUNTED {
        if i == WARM_UP {
            gate.recv().unwrap();
        }
        say("MAIL FROM:<ada@client.example> SIZE=2000\r\n", "250");
        say("RCPT TO:<bob@mx.example>\r\n", "250");
        say("DATA\r\n", "354");
        say(&body, "250");
        done.fetch_add(1, Ordering::Relaxed);
    }
    say("QUIT\r\n", "221");
}

/// Allocations of the server's thread while [`COUNTED`] messages come in.
fn allocations(policy: impl Policy) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = Arc::new(AtomicU32::new(0));
    let (open, gate) = std::sync::mpsc::channel();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted = Arc::clone(&done);
    let peer = thread::spawn(move || client(port, &counted, &gate));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime.spawn(Server::builder(policy).serve(listener, async {
        let _ = stopped.await;
    }));
    let reach = |count: u32| {
        runtime.block_on(async {
            while done.load(Ordering::Relaxed) < count {
                assert!(!peer.is_finished(), "the client has failed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    };
    reach(WARM_UP);
    open.send(()).unwrap();
    let count = allocation_counter::measure(|| reach(WARM_UP + COUNTED)).count_total;
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap();
    peer.join().unwrap();
    count
}

#[test]
fn a_message_that_is_discarded_allocates_nothing() {
    assert_eq!(allocations(AcceptAll(Discard)), 0);
}

#[test]
fn a_message_that_is_verified_allocates_no_more_than_its_record_takes() {
    // The records are in a list that doubles now and then.
    let count = allocations(AcceptAll(Verify::default()));
    assert!(count < u64::from(COUNTED / 10), "{count} allocations for {COUNTED} messages");
}
