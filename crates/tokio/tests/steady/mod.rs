//! A client and a server whose allocations are counted while messages come in.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ehlo_tokio::tls::TlsConfig;
use ehlo_tokio::{Listener, LogLimits, Policy, Server};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Messages that are sent to warm up, and then while allocations are counted.
pub(crate) const WARM_UP: u32 = 20;
pub(crate) const COUNTED: u32 = 200;

/// Allocations of one message inside TLS: one for each record of either side.
pub(crate) const PER_MESSAGE_IN_TLS: u64 = 8;

/// Allocations of the session's thread for one message that goes into a maildir, with its names and its trace fields. The threads that write
/// and sync it are not counted.
pub(crate) const PER_MESSAGE_IN_MAILDIR: u64 = 17;

/// How a message is sent.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Data,
    /// Three of them, by BDAT.
    Chunks,
}

/// Sends messages over one connection, one command at a time, and confirms each by a count.
fn client(port: u16, way: Way, tls: Option<Arc<ClientConfig>>, done: &AtomicU32, gate: &std::sync::mpsc::Receiver<()>) {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    match tls {
        None => talk(stream, way, done, gate),
        Some(config) => {
            let name = "mx.example".try_into().unwrap();
            talk(StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream), way, done, gate);
        }
    }
}

fn talk(stream: impl Read + Write, way: Way, done: &AtomicU32, gate: &std::sync::mpsc::Receiver<()>) {
    let mut stream = BufReader::new(stream);
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
    let text = &body[..body.len() - ".\r\n".len()];
    let (chunk, last) = (format!("BDAT {}\r\n{text}", text.len()), format!("BDAT {} LAST\r\n{text}", text.len()));
    for i in 0..WARM_UP + COUNTED {
        if i == WARM_UP {
            gate.recv().unwrap();
        }
        say("MAIL FROM:<ada@client.example> SIZE=2000 RET=HDRS\r\n", "250");
        say("RCPT TO:<bob@mx.example> NOTIFY=FAILURE,DELAY\r\n", "250");
        match way {
            Way::Data => {
                say("DATA\r\n", "354");
                say(&body, "250");
            }
            Way::Chunks => {
                say(&chunk, "250");
                say(&chunk, "250");
                say(&last, "250");
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    // The end of the connection is not what is counted: it has a line of its own in the log.
    gate.recv().unwrap();
    say("QUIT\r\n", "221");
}

/// Allocations of the server's thread while [`COUNTED`] messages come in.
pub(crate) fn allocations(policy: impl Policy) -> u64 {
    measure(policy, Way::Data, None)
}

/// The same inside TLS.
pub(crate) fn allocations_in_tls(policy: impl Policy) -> u64 {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("ehlo-steady-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let (chain, key) = (folder.join("mx.pem"), folder.join("mx.key"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = TlsConfig::builder().pem_files(chain, key).build();
    std::fs::remove_dir_all(&folder).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    measure(policy, Way::Data, Some((server.unwrap(), Arc::new(client))))
}

pub(crate) fn measure(policy: impl Policy, way: Way, tls: Option<(TlsConfig, Arc<ClientConfig>)>) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = Arc::new(AtomicU32::new(0));
    let (open, gate) = std::sync::mpsc::channel();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted = Arc::clone(&done);
    let mut builder = Server::builder(policy).log_limits(LogLimits::default().lines(WARM_UP / 2));
    let (listener, config) = match tls {
        None => (Listener::from(listener), None),
        Some((server, client)) => {
            builder = builder.tls(server);
            (Listener::implicit_tls(listener), Some(client))
        }
    };
    let peer = thread::spawn(move || client(port, way, config, &counted, &gate));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime.spawn(builder.serve(listener, async {
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
    open.send(()).unwrap();
    // The client says QUIT before the server can tell it to go.
    runtime.block_on(async {
        while !peer.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap();
    peer.join().unwrap();
    count
}
