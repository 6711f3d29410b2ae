//! TLS on the server's connections: STARTTLS and implicit, over loopback, with rustls at the other end.

mod auth;
mod certificates;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod ends;
mod intervention;
mod proxy;

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Authority, Folder, Pair, Secure, config};
use common::{Raw, Running, breathe, start, until, within};
use ehlo_tokio::ehlo_server::{Config, Questions, TlsInfo, TlsMode};
use ehlo_tokio::store::{Memory, MemorySink, Store};
use ehlo_tokio::tls::{ClientCertificates, TlsConfig, TlsFault};
use ehlo_tokio::{
    AcceptAll, Builder, ConnectionLimits, Context, Decision, Hello, Listener, Mail, Policy, Server, Summary,
};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const NAME: &str = "mx.example";

/// A server's certificate and the client that believes in it.
struct World {
    folder: Folder,
    authority: Authority,
    tls: TlsConfig,
    client: Arc<ClientConfig>,
}

impl World {
    fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let (chain, key) = files(&folder, NAME, &authority.sign(NAME));
        let tls = TlsConfig::builder().pem_files(chain, key).build().unwrap();
        let client = config(authority.roots(), None, false);
        Self { folder, authority, tls, client }
    }

    fn builder<P: Policy>(&self, policy: P) -> Builder<P> {
        Server::builder(policy).config(settings()).tls(self.tls.clone())
    }

    /// A client that is inside TLS by STARTTLS.
    async fn secured(&self, server: &Running) -> Secure {
        let mut raw = server.greeted().await;
        raw.say("STARTTLS", 220).await;
        let mut client = Secure::begin(raw.stream, Arc::clone(&self.client), NAME);
        client.handshake().await.unwrap();
        client
    }
}

fn settings() -> Config {
    let mut settings = Config::new(NAME).unwrap();
    settings.tls = TlsMode::StartTls;
    settings
}

fn files(folder: &Folder, name: &str, pair: &Pair) -> (std::path::PathBuf, std::path::PathBuf) {
    (folder.file(&format!("{name}.pem"), &pair.pem), folder.file(&format!("{name}.key"), &pair.key.serialize_pem()))
}

struct Implicit {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Summary>,
}

/// A server whose connections begin with a handshake.
async fn start_implicit<P: Policy>(builder: Builder<P>) -> Implicit {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(builder.serve(Listener::implicit_tls(listener), async { stopped.await.unwrap_or(()) }));
    Implicit { address, stop, task }
}

impl Implicit {
    async fn stop(self) -> Summary {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

/// Takes everything, and notes what TLS it came through.
#[derive(Clone)]
struct Noting {
    memory: Memory,
    seen: Arc<Mutex<Vec<Option<TlsInfo>>>>,
}

impl Noting {
    fn new() -> Self {
        Self { memory: Memory::new(64 << 20), seen: Arc::default() }
    }
}

impl Policy for Noting {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::HELLO
    }

    fn sink(&self) -> MemorySink {
        self.memory.sink()
    }

    fn hello(&self, hello: &Hello<'_>) -> Decision {
        self.seen.lock().unwrap().push(hello.context.tls.cloned());
        Decision::Accept
    }
}

#[test]
#[should_panic(expected = "TLS that is required needs certificates")]
fn tls_that_is_required_is_not_left_out_for_want_of_certificates() {
    let mut settings = settings();
    settings.tls = TlsMode::Required;
    let _ = Server::builder(AcceptAll(Memory::new(1 << 20))).config(settings).build();
}

#[tokio::test]
async fn a_message_comes_in_behind_starttls_and_the_policy_knows() {
    within(async {
        for tls12 in [false, true] {
            let (mut world, policy) = (World::new(), Noting::new());
            world.client = config(world.authority.roots(), None, tls12);
            let server = start(world.builder(policy.clone())).await;
            let mut client = world.secured(&server).await;
            client.begin_message().await;
            client.say("hello\r\n.", 250).await;
            client.say("QUIT", 221).await;
            client.expect_end().await;
            assert_eq!(policy.memory.messages()[0].body, b"hello\r\n");
            let seen = policy.seen.lock().unwrap().clone();
            let [None, Some(info)] = &seen[..] else { panic!("{seen:?}") };
            assert_eq!(info.version, if tls12 { "TLSv1.2" } else { "TLSv1.3" });
            assert!(info.cipher.starts_with("TLS_"), "{}", info.cipher);
            assert_eq!(info.server_name.as_deref(), Some(NAME));
            assert_eq!(info.client, None);
            // Both ends bind to the same (RFC 9266), and to the certificate that was shown (RFC 5929 §4.1).
            let exported = client.tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
            assert_eq!(info.binding.exporter(), (!tls12).then_some(&exported));
            let shown = &client.tls.peer_certificates().unwrap()[0];
            let hash = ring::digest::digest(&ring::digest::SHA256, shown);
            assert_eq!(info.binding.end_point(), Some(hash.as_ref()));
            let summary = server.stop().await;
            assert_eq!((summary.messages, summary.tls_connections, summary.failed_handshakes), (1, 1, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn implicit_tls_greets_inside_and_offers_no_starttls() {
    within(async {
        let (world, policy) = (World::new(), Noting::new());
        let server = start_implicit(world.builder(policy.clone())).await;
        let mut client = Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap();
        client.expect(220).await;
        let ehlo = client.say("EHLO client.example", 250).await;
        assert!(!ehlo.contains("STARTTLS"), "{ehlo}");
        client.say("STARTTLS", 503).await;
        client.begin_message().await;
        client.say("hello\r\n.", 250).await;
        client.say("QUIT", 221).await;
        client.expect_end().await;
        assert_eq!(policy.memory.messages()[0].body, b"hello\r\n");
        assert_eq!(server.stop().await.tls_connections, 1);
    })
    .await;
}

#[tokio::test]
async fn records_may_come_in_any_pieces() {
    within(async {
        let world = World::new();
        let memory = Memory::new(1 << 20);
        for chunk in [1, 7, 64 * 1024] {
            let mut settings = settings();
            settings.limits.read_chunk = chunk;
            let builder = Server::builder(AcceptAll(memory.clone())).config(settings).tls(world.tls.clone());
            let server = start(builder).await;
            let mut raw = server.greeted().await;
            raw.say("STARTTLS", 220).await;
            let mut client = Secure::begin(raw.stream, Arc::clone(&world.client), NAME);
            client.piece = 3;
            client.handshake().await.unwrap();
            client.begin_message().await;
            client.say("in pieces\r\n.", 250).await;
            client.say("QUIT", 221).await;
            client.expect_end().await;
            assert_eq!(memory.messages().last().unwrap().body, b"in pieces\r\n");
        }
    })
    .await;
}

#[tokio::test]
async fn much_can_be_sent_both_ways() {
    within(async {
        let world = World::new();
        let memory = Memory::new(64 << 20);
        let mut settings = settings();
        settings.limits.idle_commands = u32::MAX;
        let server = start(Server::builder(AcceptAll(memory.clone())).config(settings).tls(world.tls.clone())).await;
        let mut client = world.secured(&server).await;
        let line = format!("{}\r\n", "0123456789abcdef".repeat(4));
        let body = line.repeat(8 * 1024 * 1024 / line.len());
        client.begin_message().await;
        client.send(&body).await;
        client.say(".", 250).await;
        assert!(memory.messages()[0].body == body.as_bytes());
        // More replies than any buffer on the way holds: the server stalls until they are read, and takes no more commands meanwhile.
        const HELPS: usize = 50_000;
        for _ in 0..HELPS / 1000 {
            client.tls.writer().write_all(&b"HELP\r\n".repeat(1000)).unwrap();
            client.hold_back();
        }
        client.write_some().await;
        for _ in 0..HELPS {
            client.expect_while_writing(214).await;
        }
        client.say("QUIT", 221).await;
        client.expect_end().await;
    })
    .await;
}

#[tokio::test]
async fn what_stands_in_clear_behind_starttls_ends_the_connection_unread() {
    within(async {
        let world = World::new();
        let server = start(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut raw = server.greeted().await;
        raw.send("NOOP\r\nSTARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@x>\r\n").await;
        raw.expect(250).await;
        raw.expect(421).await;
        raw.expect_end().await;
        // Behind 220 they are no record of TLS.
        let mut raw = server.greeted().await;
        raw.say("STARTTLS", 220).await;
        raw.send("EHLO evil.example\r\n").await;
        let rest = raw.stream_rest().await;
        assert!(rest.first() == Some(&21), "an alert, and no reply: {rest:?}");
        let summary = server.stop().await;
        assert_eq!((summary.starttls_violations, summary.failed_handshakes, summary.tls_connections), (1, 1, 0));
    })
    .await;
}

impl Raw {
    /// All octets up to the end of the connection.
    async fn stream_rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}

#[tokio::test]
async fn clear_text_and_garbage_to_the_port_for_tls_end_in_an_alert() {
    within(async {
        let world = World::new();
        let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut tries = 0;
        for garbage in [
            &b"EHLO client.example\r\n"[..],
            &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
            &[0xFF; 3000],
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            tries += 1;
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(rest.is_empty() || rest[0] == 21, "{garbage:?}: {rest:?}");
        }
        // One that says nothing and goes.
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        tries += 1;
        let summary = server.stop().await;
        assert_eq!((summary.failed_handshakes, summary.tls_connections), (tries, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_its_time_however_many_octets_of_it_come() {
    let world = World::new();
    let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    breathe().await;
    // A record that would be long.
    stream.write_all(&[0x16, 3, 1, 0x20, 0]).await.unwrap();
    for _ in 0..59 {
        breathe().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        breathe().await;
        stream.write_all(&[1]).await.unwrap();
    }
    breathe().await;
    let mut byte = [0];
    let error = stream.try_read(&mut byte).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "it is open for a minute");
    tokio::time::advance(Duration::from_secs(2)).await;
    breathe().await;
    let closed = match stream.try_read(&mut byte) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(closed, "and then closed without a word");
}

#[tokio::test]
async fn a_connection_beyond_the_limits_of_a_port_for_tls_is_closed_without_a_handshake() {
    within(async {
        let world = World::new();
        let limits = ConnectionLimits::default().total(1);
        let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20))).limits(limits)).await;
        let mut first = Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap();
        first.expect(220).await;
        let mut second = TcpStream::connect(server.address).await.unwrap();
        let mut rest = Vec::new();
        let _ = second.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
        first.say("QUIT", 221).await;
        assert_eq!(server.stop().await.refused_connections, 1);
    })
    .await;
}

#[tokio::test]
async fn without_certificates_starttls_is_off_whatever_the_settings_say() {
    within(async {
        let server = start(Server::builder(AcceptAll(Memory::new(1 << 20))).config(settings())).await;
        let mut raw = server.client().await;
        raw.expect(220).await;
        assert!(!raw.say("EHLO x.example", 250).await.contains("STARTTLS"));
        raw.say("STARTTLS", 502).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_inside_tls() {
    within(async {
        let world = World::new();
        let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut client = Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap();
        client.expect(220).await;
        let stop = tokio::spawn(server.stop());
        client.expect(421).await;
        client.expect_end().await;
        drop(client);
        assert_eq!(stop.await.unwrap().cut_off, 0);
    })
    .await;
}

/// A context is there for policies to look at; it says of clear text that it is none of TLS.
#[tokio::test]
async fn a_connection_in_clear_has_no_tls_to_tell_of() {
    struct Connecting(Arc<Mutex<Option<bool>>>);
    impl Policy for Connecting {
        type Sink = MemorySink;
        fn sink(&self) -> MemorySink {
            Memory::new(1).sink()
        }
        fn connect(&self, context: &Context<'_>) -> Decision {
            *self.0.lock().unwrap() = Some(context.tls.is_some());
            Decision::Accept
        }
    }
    within(async {
        let world = World::new();
        let seen = Arc::new(Mutex::new(None));
        let server = start(world.builder(Connecting(Arc::clone(&seen)))).await;
        server.client().await.expect(220).await;
        assert_eq!(*seen.lock().unwrap(), Some(false));
        let server = start_implicit(world.builder(Connecting(Arc::clone(&seen)))).await;
        Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap().expect(220).await;
        assert_eq!(*seen.lock().unwrap(), Some(true));
    })
    .await;
}
