//! From a domain to a message that was taken, over sockets on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use ehlo_tokio::client::{Client, Envelope, Recipient, SendError};
use ehlo_tokio::dns::Zone;
use ehlo_tokio::ehlo_client::CloseReason;
use ehlo_tokio::route::{Attempts, Families, Reason, RouteError, Router, Timeouts};
use ehlo_tokio::store::Memory;
use ehlo_tokio::{AcceptAll, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// For what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap()
}

fn zone(text: &str) -> Zone {
    text.parse().unwrap()
}

/// Listeners at these addresses of loopback that share a port, and the port.
async fn listen<const N: usize>(ips: [&str; N]) -> (u16, [TcpListener; N]) {
    'ports: for _ in 0..100 {
        let mut port = 0;
        let mut listeners = Vec::new();
        for ip in ips {
            let socket = TcpSocket::new_v4().unwrap();
            if socket.bind(SocketAddr::new(ip.parse().unwrap(), port)).is_err() {
                continue 'ports;
            }
            let Ok(listener) = socket.listen(1) else { continue 'ports };
            port = listener.local_addr().unwrap().port();
            listeners.push(listener);
        }
        return (port, listeners.try_into().unwrap());
    }
    panic!("no port is free");
}

/// Fills the queue of a listener whose connections nobody accepts: further ones get no answer.
async fn silence(listener: &TcpListener) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    for _ in 0..16 {
        match timeout(Duration::from_millis(200), TcpStream::connect(listener.local_addr().unwrap())).await {
            Ok(stream) => waiting.push(stream.unwrap()),
            Err(_) => return waiting,
        }
    }
    panic!("the queue takes more than it was told to");
}

#[tokio::test]
async fn a_host_that_does_not_answer_does_not_keep_the_next_address_waiting() {
    within(async {
        let (port, [first, second]) = listen(["127.0.0.2", "127.0.0.1"]).await;
        let _waiting = silence(&first).await;
        let zone = zone("a.test MX 10 mx.a.test\nmx.a.test A 127.0.0.2\nmx.a.test A 127.0.0.1");
        let mut times = Timeouts::default();
        times.connect = Duration::from_secs(3600);
        let router = Router::builder(zone).port(port).allow_loopback(true).timeouts(times).build();
        let connected = router.connect("a.test").await.unwrap();
        assert_eq!(connected.address, second.local_addr().unwrap());
        assert_eq!(connected.stream.peer_addr().unwrap(), connected.address);
    })
    .await;
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_left_for_the_next() {
    within(async {
        let (port, [_listener]) = listen(["127.0.0.1"]).await;
        let zone = zone("a.test A 127.0.0.77\na.test A 127.0.0.1\nb.test A 127.0.0.77");
        let router = Router::builder(zone).port(port).allow_loopback(true).build();
        assert_eq!(router.connect("a.test").await.unwrap().address.ip().to_string(), "127.0.0.1");
        let error = router.connect("b.test").await.unwrap_err();
        assert_eq!(error.reason(), Reason::NoAnswer);
        assert!(error.to_string().contains(&format!("b.test at 127.0.0.77:{port}: ")), "{error}");
    })
    .await;
}

#[tokio::test]
async fn connections_come_from_the_address_that_was_chosen() {
    within(async {
        let (port, [listener]) = listen(["127.0.0.1"]).await;
        let zone = zone("a.test A 127.0.0.1");
        let builder = || Router::builder(zone.clone()).port(port).allow_loopback(true);
        let router = builder().source_ipv4("127.0.0.9".parse().unwrap()).build();
        let _connected = router.connect("a.test").await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip().to_string(), "127.0.0.9");
        let router = builder().source_ipv4("192.0.2.1".parse().unwrap()).build();
        let error = router.connect("a.test").await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("cannot connect from 192.0.2.1"), "{error}");
    })
    .await;
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "tells that it was not judged")]
async fn both_families_are_tried_ipv6_first() {
    within(async {
        let Ok(six) = TcpListener::bind("[::1]:0").await else {
            eprintln!("not judged: this host has no IPv6");
            return;
        };
        let port = six.local_addr().unwrap().port();
        let four = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let zone = zone("a.test A 127.0.0.1\na.test AAAA ::1");
        let builder = || Router::builder(zone.clone()).port(port).allow_loopback(true);
        let connected = builder().source_ipv6("::1".parse().unwrap()).build().connect("a.test").await.unwrap();
        assert_eq!(connected.address, six.local_addr().unwrap());
        let connected = builder().families(Families::Ipv4).build().connect("a.test").await.unwrap();
        assert_eq!(connected.address, four.local_addr().unwrap());
        drop(six);
        let connected = builder().build().connect("a.test").await.unwrap();
        assert_eq!(connected.address, four.local_addr().unwrap());
    })
    .await;
}

/// Greets each connection with this line, and closes it when the client has said something.
async fn greet(listener: TcpListener, greeting: &'static str) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.write_all(greeting.as_bytes()).await;
        let _ = stream.read(&mut [0; 100]).await;
    }
}

/// Delivers to the first host that says it takes mail; gives the names of the hosts that were connected to.
async fn deliver(attempts: &mut Attempts) -> Result<Vec<String>, RouteError> {
    let to = [Recipient::parse("bob@a.test").unwrap()];
    let envelope = Envelope::parse("ada@example.org", &to).unwrap();
    let mut names = Vec::new();
    loop {
        let connected = attempts.next().await?;
        let name = connected.host.server_name();
        names.push(name.to_string());
        match Client::builder().hello("client.test").over(connected.stream, &name).await {
            Ok(mut client) => {
                let report = client.send(&envelope, b"Subject: hi\r\n\r\nHello.\r\n").await.unwrap();
                assert!(report.all_accepted());
                return Ok(names);
            }
            Err(SendError::Refused(CloseReason::Refused(code), _)) => attempts.refused(code),
            Err(_) => {}
        }
    }
}

#[tokio::test]
async fn a_message_goes_to_the_first_host_that_takes_it() {
    within(async {
        let (port, [never, later, takes]) = listen(["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
        tokio::spawn(greet(never, "521 no mail here\r\n"));
        tokio::spawn(greet(later, "421 later\r\n"));
        let store = Memory::new(1 << 20);
        let server = Server::builder(AcceptAll(store.clone()));
        tokio::spawn(server.serve(takes, std::future::pending::<()>()));
        let zone = zone(
            "
            a.test      MX 10 never.a.test
            a.test      MX 20 later.a.test
            a.test      MX 30 mx.a.test
            a.test      MX 40 unused.a.test
            b.test      MX 10 never.a.test
            c.test      MX 10 never.a.test
            c.test      MX 20 later.a.test
            never.a.test A 127.0.0.1
            later.a.test A 127.0.0.2
            mx.a.test   A 127.0.0.3
            unused.a.test A 127.0.0.3
            ",
        );
        let router = Router::builder(zone).port(port).allow_loopback(true).build();
        let names = deliver(&mut router.attempts("a.test").await.unwrap()).await.unwrap();
        assert_eq!(names, ["never.a.test", "later.a.test", "mx.a.test"]);
        assert_eq!(store.messages().len(), 1);
        let error = deliver(&mut router.attempts("b.test").await.unwrap()).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Refused, "{error}");
        let error = deliver(&mut router.attempts("c.test").await.unwrap()).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Deferred, "{error}");
    })
    .await;
}
