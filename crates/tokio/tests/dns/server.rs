//! A name server that answers from a list, by UDP and TCP (RFC 1035 §4).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What a name has, as lines of `NAME TYPE DATA`. `CUT` has an answer by UDP say that it is not whole, and `SERVFAIL` and `REFUSED` are all that is
/// said of a name. `SILENT` has no answer. `ALSO` puts an address of another name into each answer.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Zone {
    records: Vec<(String, String, Vec<String>)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    pub(crate) async fn start(text: &str) -> Self {
        let (address, udp, tcp) = listen().await;
        let records = text.lines().filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::to_owned);
            Some((fields.next()?, fields.next()?, fields.collect()))
        });
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let zone = Arc::new(Zone { records: records.collect(), asked: Arc::clone(&asked) });
        tokio::spawn(serve_udp(Arc::clone(&zone), udp));
        tokio::spawn(serve_tcp(zone, tcp));
        Self { address, asked }
    }

    /// What was asked, such as `udp MX a.test`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Sockets of both kinds with the same number.
async fn listen() -> (SocketAddr, UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = udp.local_addr().unwrap();
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (address, udp, tcp);
        }
    }
    panic!("no port is free");
}

async fn serve_udp(zone: Arc<Zone>, socket: UdpSocket) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if let Some(reply) = zone.reply("udp", &buffer[..length]) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp(zone: Arc<Zone>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(Arc::clone(&zone), stream));
    }
}

async fn serve_stream(zone: Arc<Zone>, mut stream: TcpStream) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        if stream.read_exact(&mut query).await.is_err() {
            return;
        }
        if let Some(reply) = zone.reply("tcp", &query) {
            let mut framed = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
            framed.extend(reply);
            let _ = stream.write_all(&framed).await;
        }
    }
}

/// A name on the wire.
fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

fn record(name: &str, kind: &str, fields: &[String]) -> Vec<u8> {
    let data = match kind {
        "A" => fields[0].parse::<Ipv4Addr>().unwrap().octets().to_vec(),
        "AAAA" => fields[0].parse::<Ipv6Addr>().unwrap().octets().to_vec(),
        "CNAME" => wire_name(&fields[0]),
        "MX" => [&fields[0].parse::<u16>().unwrap().to_be_bytes()[..], &wire_name(&fields[1])].concat(),
        "TXT" => fields.iter().flat_map(|text| [&[text.len() as u8], text.as_bytes()].concat()).collect(),
        "SOA" => [&wire_name("ns.test")[..], &wire_name("hostmaster.test"), &[0; 16], &60_u32.to_be_bytes()].concat(),
        other => panic!("{other}"),
    };
    let length = u16::try_from(data.len()).unwrap();
    let fixed = [&number(kind).to_be_bytes()[..], &[0, 1], &60_u32.to_be_bytes(), &length.to_be_bytes()].concat();
    [wire_name(name), fixed, data].concat()
}

fn number(kind: &str) -> u16 {
    match kind {
        "A" => 1,
        "CNAME" => 5,
        "SOA" => 6,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        _ => 0,
    }
}

impl Zone {
    fn of<'a>(&'a self, name: &'a str, kind: &'a str) -> impl Iterator<Item = &'a (String, String, Vec<String>)> {
        self.records.iter().filter(move |(owner, of, _)| owner == name && of == kind)
    }

    fn reply(&self, by: &str, query: &[u8]) -> Option<Vec<u8>> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while query[at] > 0 {
            let length = usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
            at += 1 + length;
        }
        let asked = labels.join(".");
        let code = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let kind = ["A", "AAAA", "MX", "TXT", "CNAME"].into_iter().find(|kind| number(kind) == code).unwrap_or("?");
        self.asked.lock().unwrap().push(format!("{by} {kind} {asked}"));
        let has = |kind| self.of(&asked, kind).next().is_some();
        if has("SILENT") {
            return None;
        }
        let mut name = asked.clone();
        let mut answers = Vec::new();
        // Aliases, unless the server leaves following them to who asks.
        for _ in 0..4 {
            let Some((.., target)) = self.of(&name, "CNAME").next().cloned() else { break };
            answers.push(record(&name, "CNAME", &target));
            name.clone_from(&target[0]);
            if has("LAZY") {
                break;
            }
        }
        answers.extend(self.of(&name, kind).map(|(owner, kind, fields)| record(owner, kind, fields)));
        if has("ALSO") {
            answers.push(record("other.test", "A", &["198.51.100.99".to_owned()]));
        }
        let lazy = has("LAZY");
        let known = lazy || self.records.iter().any(|(owner, ..)| *owner == name);
        let cut = by == "udp" && has("CUT");
        let code = if has("SERVFAIL") {
            2
        } else if has("REFUSED") {
            5
        } else {
            u8::from(!known) * 3
        };
        if cut || matches!(code, 2 | 5) {
            answers.clear();
        }
        // What there is not is told by the zone's SOA (RFC 2308 §2), unless the answer is that aliases go on.
        let goes_on = lazy || self.of(&name, "CNAME").next().is_some();
        let soa = !goes_on && matches!(code, 0 | 3) && self.of(&name, kind).next().is_none();
        let authority = if soa { record("test", "SOA", &[]) } else { Vec::new() };
        let count = u16::try_from(answers.len()).unwrap().to_be_bytes();
        let flags = [0x81 | u8::from(cut) << 1, 0x80 | code];
        let head = [&query[..2], &flags, &[0, 1], &count, &[0, u8::from(soa)], &[0, 0]].concat();
        Some([&head[..], &query[12..at + 5], &answers.concat(), &authority].concat())
    }
}
