//! TLS on the server's connections: STARTTLS and implicit, over loopback, with rustls at the other end.

mod client;
#[path = "../common/mod.rs"]
mod common;

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
async fn a_message_that_tls_ends_within_is_given_up() {
    within(async {
        let world = World::new();
        let memory = Memory::new(1 << 20);
        let server = start(world.builder(AcceptAll(memory.clone()))).await;
        // close_notify, and clear text behind it.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.tls.send_close_notify();
        client.flush().await.unwrap();
        client.stream.write_all(b"age\r\n.\r\nQUIT\r\n").await.unwrap();
        assert_eq!(client.reply().await.unwrap_or_default(), None);
        // The end without close_notify.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.reply().await.unwrap_or_default(), None);
        // A record that was changed on its way.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.tls.writer().write_all(b"age\r\n.\r\n").unwrap();
        let mut record = Vec::new();
        client.tls.write_tls(&mut record).unwrap();
        *record.last_mut().unwrap() ^= 1;
        client.stream.write_all(&record).await.unwrap();
        let error = client.reply().await.unwrap_err().to_string();
        assert!(error.contains("BadRecordMac"), "{error}");
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.aborted_messages), (0, 3));
        assert!(memory.messages().is_empty());
    })
    .await;
}

/// Asks at MAIL, and never answers; counts who waits.
#[derive(Clone, Default)]
struct Never {
    waiting: Arc<AtomicUsize>,
}

struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Policy for Never {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::MAIL
    }

    fn sink(&self) -> MemorySink {
        Memory::new(1).sink()
    }

    fn mail(&self, _: &Mail<'_>) -> Decision {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waits = Waits(Arc::clone(&self.waiting));
        Decision::later(async move {
            let _waits = waits;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn the_end_of_a_peer_is_seen_while_a_decision_is_waited_for() {
    within(async {
        let world = World::new();
        let policy = Never::default();
        let server = start(world.builder(policy.clone())).await;
        let parked = || until(|| policy.waiting.load(Ordering::SeqCst) == 1);
        let given_up = || until(|| policy.waiting.load(Ordering::SeqCst) == 0);
        for end in ["close_notify", "in one with the command", "close", "reset", "reset behind more", "broken record"] {
            let mut client = world.secured(&server).await;
            client.say("EHLO client.example", 250).await;
            client.tls.writer().write_all(b"MAIL FROM:<a@b>\r\n").unwrap();
            if end == "in one with the command" {
                client.tls.send_close_notify();
            }
            client.flush().await.unwrap();
            if end != "in one with the command" {
                parked().await;
            }
            match end {
                "close_notify" => {
                    client.tls.send_close_notify();
                    client.flush().await.unwrap();
                }
                "close" => client.stream.shutdown().await.unwrap(),
                "reset" => client.stream.set_zero_linger().unwrap(),
                "reset behind more" => {
                    for _ in 0..5 {
                        client.send("RCPT TO:<b@c>\r\n").await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    client.stream.set_zero_linger().unwrap();
                }
                "broken record" => client.stream.write_all(&[23, 3, 3, 0, 32, 0]).await.unwrap(),
                _ => {}
            }
            if end == "broken record" {
                client.stream.write_all(&[0; 31]).await.unwrap();
            }
            if end.starts_with("reset") {
                drop(client);
                given_up().await;
            } else {
                given_up().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_decision_is_waited_for_is_not_lost() {
    /// Answers after a while.
    struct Slow(Memory);
    impl Policy for Slow {
        type Sink = MemorySink;
        fn questions(&self) -> Questions {
            Questions::MAIL | Questions::RCPT
        }
        fn sink(&self) -> MemorySink {
            self.0.sink()
        }
        fn mail(&self, _: &Mail<'_>) -> Decision {
            Decision::later(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Decision::Accept
            })
        }
        fn rcpt(&self, _: &ehlo_tokio::Rcpt<'_>) -> Decision {
            Decision::later(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Decision::Accept
            })
        }
    }
    within(async {
        let world = World::new();
        let memory = Memory::new(64 << 20);
        for chunk in [100, 64 * 1024] {
            let mut settings = settings();
            settings.limits.read_chunk = chunk;
            let builder = Server::builder(Slow(memory.clone())).config(settings).tls(world.tls.clone());
            let server = start(builder).await;
            let mut client = world.secured(&server).await;
            client.send("EHLO c.example\r\nMAIL FROM:<a@b>\r\n").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            // While MAIL is thought about: three records, one of them cut.
            client.send("RCPT TO:<x@y>\r\n").await;
            client.send("DATA\r\n").await;
            let body = "0123456789\r\n".repeat(10_000);
            client.piece = 1000;
            client.send(&body).await;
            client.send(".\r\nQUIT\r\n").await;
            client.tls.send_close_notify();
            client.flush().await.unwrap();
            for code in [250, 250, 250, 354, 250, 221] {
                client.expect(code).await;
            }
            client.expect_end().await;
            assert!(memory.messages().last().unwrap().body == body.as_bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn clients_are_verified_where_an_authority_is_named() {
    within(async {
        let world = World::new();
        let (trusted, other) = (Authority::new(), Authority::new());
        let ca = world.folder.file("ca.pem", &trusted.pem());
        let own = files(&world.folder, "again", &world.authority.sign(NAME));
        let (good, bad) = (trusted.sign("ada.example"), other.sign("eve.example"));
        for ask in [ClientCertificates::Optional, ClientCertificates::Required] {
            for tls12 in [false, true] {
                let tls = TlsConfig::builder().pem_files(&own.0, &own.1).client_ca(&ca, ask).build().unwrap();
                let policy = Noting::new();
                let server = start_implicit(Server::builder(policy.clone()).tls(tls)).await;
                for (shows, welcome) in
                    [(Some(&good), true), (None, ask == ClientCertificates::Optional), (Some(&bad), false)]
                {
                    let client = config(world.authority.roots(), shows, tls12);
                    let met = match Secure::connect(server.address, client, NAME).await {
                        // Under TLS 1.3 the client is done before it is judged.
                        Ok(mut client) => match client.reply().await {
                            Ok(Some(greeting)) => {
                                assert!(greeting.starts_with("220 "));
                                client.say("EHLO ada.example", 250).await;
                                true
                            }
                            _ => false,
                        },
                        Err(_) => false,
                    };
                    assert_eq!(met, welcome, "{ask:?}, TLS 1.2: {tls12}, shows one: {}", shows.is_some());
                }
                let seen = policy.seen.lock().unwrap().clone();
                let subject = seen[0].as_ref().unwrap().client.as_ref().unwrap().subject.clone();
                assert_eq!(subject.as_deref(), Some("CN=ada.example"));
                assert!(seen[1..].iter().all(|tls| tls.as_ref().unwrap().client.is_none()));
            }
        }
    })
    .await;
}

/// The certificate that a server shows to who asks for a name.
async fn shown(address: SocketAddr, world: &World, name: &str) -> Option<Vec<u8>> {
    let mut client = Secure::connect(address, Arc::clone(&world.client), name).await.ok()?;
    client.expect(220).await;
    Some(client.tls.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    within(async {
        let world = World::new();
        let names = ["mx.example", "*.wild.example", "other.example"];
        let pairs = names.map(|name| world.authority.sign(name));
        let mut builder = TlsConfig::builder();
        for (at, pair) in pairs.iter().enumerate() {
            let (chain, key) = files(&world.folder, &at.to_string(), pair);
            builder = builder.pem_files(chain, key);
        }
        let policy = Noting::new();
        let server = start_implicit(Server::builder(policy.clone()).tls(builder.build().unwrap())).await;
        for (name, at) in [("mx.example", 0), ("a.wild.example", 1), ("OTHER.example", 2)] {
            let der = shown(server.address, &world, name).await.unwrap();
            assert!(der == pairs[at].der.to_vec(), "{name}");
            // The binding is to the one that was shown.
            let mut client = Secure::connect(server.address, Arc::clone(&world.client), name).await.unwrap();
            client.expect(220).await;
            client.say("EHLO x.example", 250).await;
            let info = policy.seen.lock().unwrap().pop().unwrap().unwrap();
            let hash = ring::digest::digest(&ring::digest::SHA256, &pairs[at].der);
            assert_eq!(info.binding.end_point(), Some(hash.as_ref()));
        }
        // Nobody's name: the first certificate, which this client doesn't believe.
        assert_eq!(shown(server.address, &world, "nobody.example").await, None);
    })
    .await;
}

#[tokio::test]
async fn certificates_are_loaded_anew_and_a_failure_keeps_the_old_ones() {
    within(async {
        let world = World::new();
        let server = start_implicit(world.builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut under_way = Secure::connect(server.address, Arc::clone(&world.client), NAME).await.unwrap();
        under_way.expect(220).await;
        let old = shown(server.address, &world, NAME).await.unwrap();
        let next = world.authority.sign(NAME);
        // The key of the new one is missing yet.
        let (chain, key) = files(&world.folder, NAME, &next);
        world.folder.file(&format!("{NAME}.key"), &world.authority.sign(NAME).key.serialize_pem());
        let error = world.tls.reload().unwrap_err();
        assert_eq!((error.file(), error.fault()), (Some(&*key), &TlsFault::KeyOfAnother));
        assert!(shown(server.address, &world, NAME).await.unwrap() == old);
        std::fs::remove_file(&chain).unwrap();
        let error = world.tls.reload().unwrap_err();
        assert!(matches!(error.fault(), TlsFault::Unreadable(_)) && error.file() == Some(&*chain));
        files(&world.folder, NAME, &next);
        world.tls.reload().unwrap();
        assert!(shown(server.address, &world, NAME).await.unwrap() == next.der.to_vec());
        under_way.say("EHLO x.example", 250).await;
        under_way.say("QUIT", 221).await;
    })
    .await;
}

#[test]
fn what_is_wrong_with_which_file_is_told() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (chain, key) = files(&folder, "good", &authority.sign(NAME));
    let (_, other_key) = files(&folder, "other", &authority.sign(NAME));
    let empty = folder.file("empty", "");
    let broken = folder.file("broken", "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n");
    let missing = folder.file("x", "").with_file_name("missing");
    let nonsense = folder.file("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let build = |chain: &std::path::Path, key: &std::path::Path| {
        TlsConfig::builder().pem_files(chain, key).build().unwrap_err()
    };
    for (error, file, told) in [
        (build(&missing, &key), &missing, "cannot be read"),
        (build(&empty, &key), &empty, "no certificate"),
        (build(&broken, &key), &broken, "not PEM"),
        (build(&nonsense, &key), &nonsense, "cannot be used"),
        (build(&chain, &missing), &missing, "cannot be read"),
        (build(&chain, &chain), &chain, "no private key"),
        (build(&chain, &other_key), &other_key, "another certificate"),
        (
            TlsConfig::builder()
                .pem_files(&chain, &key)
                .client_ca(&empty, ClientCertificates::Optional)
                .build()
                .unwrap_err(),
            &empty,
            "no certificate",
        ),
        (
            TlsConfig::builder()
                .pem_files(&chain, &key)
                .client_ca(&nonsense, ClientCertificates::Optional)
                .build()
                .unwrap_err(),
            &nonsense,
            "no authority",
        ),
    ] {
        let text = error.to_string();
        assert_eq!(error.file(), Some(&**file), "{text}");
        assert!(text.contains(told) && text.starts_with(&file.display().to_string()), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(TlsConfig::builder().build().unwrap_err().fault(), &TlsFault::NothingNamed);
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
