//! Connections that a proxy passes on (PROXY protocol).

mod common;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Raw, Running, start, within};
use ehlo_tokio::ehlo_server::Questions;
use ehlo_tokio::ehlo_server::codec::{ProxyHeader, ProxyReader, ProxyStep, begins_proxy_header};
use ehlo_tokio::store::{Memory, MemorySink, Store as _};
use ehlo_tokio::{Builder, ConnectionLimits, Context, Decision, Network, Policy, Server, Workers};
use tokio::net::TcpSocket;

/// Takes everything, and notes who connects.
#[derive(Clone)]
struct Noting {
    memory: Memory,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Noting {
    fn new() -> Self {
        Self { memory: Memory::new(1 << 20), peers: Arc::default() }
    }

    fn peers(&self) -> Vec<String> {
        self.peers.lock().unwrap().drain(..).map(|peer| peer.to_string()).collect()
    }
}

impl Policy for Noting {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::CONNECT
    }

    fn sink(&self) -> MemorySink {
        self.memory.sink()
    }

    fn connect(&self, connect: &Context<'_>) -> Decision {
        self.peers.lock().unwrap().push(connect.peer);
        Decision::Accept
    }
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A server that believes 127.0.0.1, but not the rest of loopback.
fn builder(policy: &Noting) -> Builder<Noting> {
    Server::builder(policy.clone()).proxies(networks(&["192.0.2.0/24", "127.0.0.1"]))
}

/// A client at another loopback address.
async fn client_at(server: &Running, ip: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    Raw::over(socket.connect(server.address).await.unwrap())
}

const V1: &[u8] = b"PROXY TCP4 198.51.100.9 127.0.0.1 40001 25\r\n";

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, payload].concat()
}

fn v2_inet6() -> Vec<u8> {
    let mut payload = [0; 36 + 600];
    payload[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    payload[15] = 7;
    payload[31] = 1;
    payload[33] = 99;
    // One field that fills the rest, so that the header is longer than what is looked at in one go.
    payload[37..39].copy_from_slice(&597_u16.to_be_bytes());
    v2(0x21, 0x21, &payload)
}

#[tokio::test]
async fn the_address_that_the_proxy_tells_is_the_peers() {
    within(async {
        for workers in [false, true] {
            let policy = Noting::new();
            let mut builder = builder(&policy);
            if workers {
                builder = builder.workers(Workers::new(NonZeroUsize::MIN).unwrap());
            }
            let server = start(builder).await;
            for (header, peer) in [(V1.to_vec(), "198.51.100.9:40001"), (v2_inet6(), "[2001:db8::7]:99")] {
                for pieces in [vec![&header[..]], vec![&header[..1], &header[1..20], &header[20..]]] {
                    let mut client = server.client().await;
                    for piece in pieces {
                        client.send(piece).await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    client.expect(220).await;
                    assert_eq!(policy.peers(), [peer]);
                    client.say("EHLO client.example", 250).await;
                    client.say("QUIT", 221).await;
                }
                // What stands behind the header is not swallowed with it.
                let mut client = server.client().await;
                client.send([&header, &b"HELO client.example\r\nQUIT\r\n"[..]].concat()).await;
                for code in [220, 250, 221] {
                    client.expect(code).await;
                }
                client.expect_end().await;
                assert_eq!(policy.peers(), [peer]);
            }
            assert_eq!(server.stop().await.bad_proxy_headers, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_tells_no_address_is_itself_the_peer() {
    within(async {
        let policy = Noting::new();
        let server = start(builder(&policy)).await;
        for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, b""), v2(0x21, 0, b""), v2(0x21, 0x31, &[0; 216])] {
            let mut client = server.client().await;
            let own = client.stream.local_addr().unwrap();
            client.send(header).await;
            client.expect(220).await;
            assert_eq!(policy.peers(), [own.to_string()]);
        }
        assert_eq!(server.stop().await.bad_proxy_headers, 0);
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_a_proxy_without_a_valid_header_is_closed_without_a_word() {
    within(async {
        let policy = Noting::new();
        let server = start(builder(&policy)).await;
        let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat();
        let wrong = [
            b"EHLO client.example\r\n".to_vec(),
            b"QUIT\r\n".to_vec(),
            b"\x16\x03\x01\x02\0\x01\0".to_vec(),
            b"PROXY TCP4 198.51.100.9 127.0.0.1 40001\r\n".to_vec(),
            b"PROXY TCP4 198.51.100.09 127.0.0.1 40001 25\r\n".to_vec(),
            b"PROXY UNKNOWN\nEHLO x\r\n".to_vec(),
            long,
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x11, &[0; 5000]),
            v2(0x21, 0x11, &[1; 16]),
            v2(0x2f, 0x11, &[0; 12]),
            [V1, V1].concat(),
            [V1, &v2(0x21, 0x11, &[0; 12])].concat(),
            [&v2(0x20, 0, b"")[..], V1, b"EHLO x\r\n"].concat(),
        ];
        for header in &wrong {
            let mut client = server.client().await;
            client.send(header).await;
            assert_eq!(client.rest().await, "", "{}", header.escape_ascii());
        }
        // One that ends before its header, in two ways.
        for start in [&b""[..], &V1[..20]] {
            let mut client = server.client().await;
            client.send(start).await;
            tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
            assert_eq!(client.rest().await, "");
        }
        assert_eq!(policy.peers(), Vec::<String>::new());
        let summary = server.stop().await;
        assert_eq!(summary.bad_proxy_headers, wrong.len() as u64 + 2);
        assert_eq!(summary.connections, summary.bad_proxy_headers);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_header_has_a_deadline_however_it_drips() {
    let policy = Noting::new();
    let server = start(builder(&policy).proxy_patience(Duration::from_secs(3))).await;
    let begin = tokio::time::Instant::now();
    let mut silent = server.client().await;
    silent.expect_end().await;
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
    let mut dripping = server.client().await;
    for octet in &V1[..4] {
        dripping.send([*octet]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(dripping.rest().await, "");
    assert_eq!(server.stop().await.bad_proxy_headers, 2);
}

#[tokio::test]
async fn from_everywhere_else_a_header_is_an_unknown_command_and_is_not_believed() {
    within(async {
        let policy = Noting::new();
        let server = start(builder(&policy)).await;
        let mut client = client_at(&server, "127.0.0.2").await;
        client.expect(220).await;
        client.send(V1).await;
        client.expect(500).await;
        client.say("EHLO client.example", 250).await;
        client.say("PROXY UNKNOWN", 500).await;
        client.say("QUIT", 221).await;
        let peers = policy.peers();
        assert!(peers.len() == 1 && peers[0].starts_with("127.0.0.2:"), "{peers:?}");
        assert_eq!(server.stop().await.bad_proxy_headers, 0);
        // Where nobody is believed, the proxy isn't either.
        let server = start(Server::builder(policy.clone())).await;
        let mut client = server.client().await;
        client.expect(220).await;
        client.send(V1).await;
        client.expect(500).await;
        assert!(policy.peers()[0].starts_with("127.0.0.1:"));
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted_against_the_address_that_the_proxy_tells() {
    within(async {
        let policy = Noting::new();
        let server = start(builder(&policy).limits(ConnectionLimits::default().per_address(1).total(4))).await;
        let header = |host: u8| format!("PROXY TCP4 198.51.100.{host} 127.0.0.1 40001 25\r\n");
        let mut clients = Vec::new();
        for host in 1..4 {
            let mut client = server.client().await;
            client.send(header(host)).await;
            client.expect(220).await;
            clients.push(client);
        }
        let mut again = server.client().await;
        again.send(header(1)).await;
        let reply = again.rest().await;
        assert!(reply.starts_with("421 localhost 4.7.0 "), "{reply}");
        // Its place is free for somebody else, and then there is none left.
        let mut fourth = loop {
            let mut client = server.client().await;
            client.send(header(4)).await;
            match client.reply().await {
                Some(reply) if reply.starts_with("220") => break client,
                // The connection before is not forgotten yet.
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        server.client().await.expect(421).await;
        fourth.say("QUIT", 221).await;
        drop(clients);
        server.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_header() {
    let policy = Noting::new();
    let server = start(builder(&policy).proxy_patience(Duration::from_secs(600))).await;
    let mut client = server.client().await;
    client.send(&V1[..9]).await;
    common::breathe().await;
    let begin = tokio::time::Instant::now();
    let summary = server.stop().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!((summary.connections, summary.bad_proxy_headers, summary.cut_off), (1, 0, 0));
    client.expect_end().await;
}

/// splitmix64 (Steele, Lea, Flood 2014): a seed is the same connection every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// What a proxy may write: either version, with addresses or without, and fields up to the longest header that is read.
    fn header(&mut self) -> Vec<u8> {
        let port = 1 + self.below(65_535);
        match self.below(7) {
            0 => format!("PROXY TCP4 198.51.100.{} 127.0.0.1 {port} 25\r\n", self.below(256)).into_bytes(),
            1 => format!("PROXY TCP6 2001:db8::{:x} ::1 {port} 25\r\n", self.below(65_536)).into_bytes(),
            2 => format!("PROXY UNKNOWN{}\r\n", " x".repeat(self.below(40))).into_bytes(),
            kind => {
                let (command, family, addresses) =
                    [(0x21, 0x11, 12), (0x21, 0x21, 36), (0x21, 0x31, 216), (0x20, 0, 0)][kind - 3];
                let mut payload = self.octets(addresses);
                for _ in 0..self.below(4) {
                    let most = [1, 40, 1200][self.below(3)];
                    let length = self.below(most);
                    payload.push(self.below(256) as u8);
                    payload.extend_from_slice(&(length as u16).to_be_bytes());
                    payload.extend_from_slice(&self.octets(length));
                }
                v2(command, family, &payload)
            }
        }
    }
}

/// The header that a stream begins with, if it does, by the codec alone and all at once.
fn header_of(stream: &[u8]) -> Option<ProxyHeader> {
    match ProxyReader::new().next(stream) {
        Ok((used, ProxyStep::Header(header))) if !begins_proxy_header(&stream[used..]) => Some(header),
        _ => None,
    }
}

#[tokio::test]
async fn any_header_in_any_segments_is_read_as_the_codec_reads_it_and_nothing_behind_it() {
    within(async {
        let policy = Noting::new();
        let server = start(builder(&policy)).await;
        let (mut read, mut refused) = (0, 0);
        for seed in 0..300 {
            let mut chance = Chance(seed);
            let mut header = chance.header();
            let damaged = chance.below(3) == 0;
            if damaged {
                let at = chance.below(header.len());
                header[at] ^= 1 << chance.below(8);
            }
            let stream = [&header[..], b"HELO client.example\r\nNOOP\r\nQUIT\r\n"].concat();
            let expected = header_of(&stream);
            let mut client = server.client().await;
            let own = client.stream.local_addr().unwrap();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let most = [1, 20, 700, 5000][chance.below(4)];
                let (segment, behind) = rest.split_at((1 + chance.below(most)).min(rest.len()));
                // A server that has had enough reads no more.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, segment).await;
                if chance.below(2) == 0 {
                    tokio::task::yield_now().await;
                } else if chance.below(8) == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                rest = behind;
            }
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await;
            let replies = client.rest().await;
            let Some(header) = expected else {
                assert_eq!((replies.as_str(), policy.peers()), ("", vec![]), "seed {seed}");
                refused += 1;
                continue;
            };
            let peer = match header {
                ProxyHeader::Proxied { source, .. } => source,
                _ => own,
            };
            assert_eq!(policy.peers(), [peer.to_string()], "seed {seed}");
            // A damaged header that ends early leaves some of its octets to the session, which may say anything to them.
            let codes: Vec<&str> = replies.lines().filter_map(|line| line.get(..3)).collect();
            assert!(damaged || codes == ["220", "250", "250", "221"], "seed {seed}: {codes:?}");
            read += 1;
        }
        assert!(read > 150 && refused > 30, "{read} headers were read, {refused} refused");
        assert_eq!(server.stop().await.bad_proxy_headers, refused);
    })
    .await;
}
