//! Sends messages with the clients of other crates, to be measured beside ehlo's.
//!
//! `peer-clients lettre|lettre-nodelay|mail-send|mail-send-nodelay ADDRESS:PORT CONNECTIONS MESSAGES OCTETS`
//!
//! One task for each connection, all on one thread. Each sends one message to warm up; then the clock runs from the first of MESSAGES to the
//! last reply. Prints how many were accepted, and in how many seconds.
//!
//! Neither crate sets TCP_NODELAY, and both write a body apart from its end, so that each message waits for a delayed acknowledgement. What they
//! do without that is `lettre-nodelay`, over a connection of its own for each task, and `mail-send-nodelay`.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use mail_send::smtp::message::Message;
use mail_send::SmtpClientBuilder;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const FROM: &str = "ada@client.example";
const TO: &str = "bob@mx.example";

type Lettre = AsyncSmtpTransport<Tokio1Executor>;

enum Sender {
    Lettre(Lettre),
    LettreConnection(Box<AsyncSmtpConnection>),
    MailSend(Box<mail_send::SmtpClient<TcpStream>>),
}

impl Sender {
    async fn send(&mut self, envelope: &Envelope, text: &[u8]) {
        match self {
            Self::Lettre(pool) => drop(pool.send_raw(envelope, text).await.expect("lettre")),
            Self::LettreConnection(connection) => drop(connection.send(envelope, text).await.expect("lettre")),
            Self::MailSend(client) => drop(client.send(Message::new(FROM, [TO], text)).await.expect("mail-send")),
        }
    }
}

async fn connect(way: &str, address: SocketAddr, pool: &Lettre) -> Sender {
    match way {
        "lettre" => Sender::Lettre(pool.clone()),
        "lettre-nodelay" => {
            let stream = TcpStream::connect(address).await.expect("connect");
            stream.set_nodelay(true).expect("nodelay");
            let name = ClientId::Domain("client.example".to_owned());
            Sender::LettreConnection(Box::new(AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name).await.expect("lettre")))
        }
        _ => {
            let builder = SmtpClientBuilder::new("127.0.0.1", address.port()).expect("mail-send");
            let client = builder.helo_host("client.example").connect_plain().await.expect("mail-send");
            if way == "mail-send-nodelay" {
                client.stream.set_nodelay(true).expect("nodelay");
            }
            Sender::MailSend(Box::new(client))
        }
    }
}

/// Runs a future for each connection, and waits for all.
async fn all<F: Future<Output = Sender> + 'static>(futures: impl Iterator<Item = F>) -> Vec<Sender>
where
    F::Output: 'static,
{
    let mut set = JoinSet::new();
    for future in futures {
        set.spawn_local(future);
    }
    set.join_all().await
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, address, connections, messages, octets] = &arguments[..] else {
        panic!("usage: peer-clients lettre|lettre-nodelay|mail-send|mail-send-nodelay ADDRESS:PORT CONNECTIONS MESSAGES OCTETS");
    };
    assert!(["lettre", "lettre-nodelay", "mail-send", "mail-send-nodelay"].contains(&way.as_str()), "no such client: {way}");
    let address: SocketAddr = address.parse().expect("an address");
    let [connections, messages, octets] = [connections, messages, octets].map(|text| text.parse::<usize>().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let set = tokio::task::LocalSet::new();
    set.block_on(&runtime, run(way, address, connections, messages, octets));
}

async fn run(way: &str, address: SocketAddr, connections: usize, messages: usize, octets: usize) {
    let pool: Lettre = Lettre::builder_dangerous("127.0.0.1")
        .port(address.port())
        .hello_name(ClientId::Domain("client.example".to_owned()))
        .timeout(Some(Duration::from_secs(60)))
        .pool_config(PoolConfig::new().max_size(u32::try_from(connections).expect("so many connections")))
        .build();
    let envelope = Envelope::new(Some(FROM.parse().expect("an address")), vec![TO.parse().expect("an address")]).expect("an envelope");
    let text: &'static [u8] = message(octets).leak();
    let senders = all((0..connections).map(|_| {
        let (way, pool, envelope) = (way.to_owned(), pool.clone(), envelope.clone());
        async move {
            let mut sender = connect(&way, address, &pool).await;
            sender.send(&envelope, text).await;
            sender
        }
    }))
    .await;
    let began = Instant::now();
    all(senders.into_iter().enumerate().map(|(i, mut sender)| {
        let count = messages / connections + usize::from(i < messages % connections);
        let envelope = envelope.clone();
        async move {
            for _ in 0..count {
                sender.send(&envelope, text).await;
            }
            sender
        }
    }))
    .await;
    println!("{messages} {:.6}", began.elapsed().as_secs_f64());
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
