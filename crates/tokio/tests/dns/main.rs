//! The resolver of this host's settings against a name server on loopback.

mod server;

use std::time::Duration;

use ehlo_tokio::dns::{LookupError, Mx, Records, Resolver, SystemResolver};
use ehlo_tokio::route::{Reason, Router, Timeouts};
use server::NameServer;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// For what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

const ZONE: &str = "
    plain.test     MX 20 b.test
    plain.test     MX 10 A.test
    a.test         A 127.0.0.1
    a.test         A 192.0.2.2
    a.test         AAAA 2001:db8::1
    null.test      MX 0 .
    nodata.test    TXT something
    implicit.test  A 127.0.0.1
    alias.test     CNAME plain.test
    lazy.test      CNAME plain.test
    lazy.test      LAZY
    aliashost.test CNAME implicit.test
    gone.test      CNAME nowhere.test
    empty.test     CNAME nodata.test
    ring.test      CNAME ring2.test
    ring2.test     CNAME ring.test
    broken.test    SERVFAIL
    denied.test    REFUSED
    silent.test    SILENT
    stray.test     ALSO
    stray.test     A 192.0.2.7
    strayonly.test ALSO
    big.test       CUT
    _dc-mx.a.test  A 192.0.2.9
    odd.test       MX 10 _dc-mx.a.test
    odd.test       MX 20 sp\x01ce.test
    odd.test       MX 30 192.0.2.1
    txt.test       TXT see: bl.
    xn--bcher-kva.test MX 10 a.test
";

async fn start() -> (NameServer, SystemResolver) {
    let mut zone = ZONE.to_owned();
    for n in 0..200 {
        zone += &format!("big.test MX {n} h{n}.test\n");
    }
    let server = NameServer::start(&zone).await;
    let resolver = SystemResolver::at(server.address).unwrap();
    (server, resolver)
}

async fn mx(resolver: &SystemResolver, domain: &str) -> Result<(String, Records<Mx>), LookupError> {
    let answer = timeout(PATIENCE, resolver.mx(domain)).await.unwrap()?;
    Ok((answer.name, answer.records))
}

fn found(records: &[(u16, &str)]) -> Records<Mx> {
    let mx = |(preference, exchange): &(u16, &str)| Mx { preference: *preference, exchange: (*exchange).to_owned() };
    Records::Found(records.iter().map(mx).collect())
}

#[tokio::test]
async fn answers_are_told_apart() {
    let (_server, resolver) = start().await;
    let plain = || found(&[(20, "b.test"), (10, "A.test")]);
    for (domain, name, records) in [
        ("plain.test", "plain.test", plain()),
        ("plain.test.", "plain.test", plain()),
        ("null.test", "null.test", found(&[(0, ".")])),
        ("implicit.test", "implicit.test", Records::NoData),
        ("nowhere.test", "nowhere.test", Records::NoName),
        ("alias.test", "plain.test", plain()),
        ("lazy.test", "plain.test", plain()),
        ("aliashost.test", "implicit.test", Records::NoData),
        ("gone.test", "nowhere.test", Records::NoName),
        ("empty.test", "nodata.test", Records::NoData),
        ("bücher.test", "xn--bcher-kva.test", found(&[(10, "a.test")])),
        ("odd.test", "odd.test", found(&[(10, "_dc-mx.a.test"), (20, "sp\\001ce.test"), (30, "192.0.2.1")])),
    ] {
        assert_eq!(mx(&resolver, domain).await, Ok((name.to_owned(), records)), "{domain}");
    }
    for domain in ["broken.test", "denied.test"] {
        assert!(matches!(mx(&resolver, domain).await, Err(LookupError::Temporary(_))), "{domain}");
    }
    for domain in ["a..test", &"x".repeat(64), &["xxxxxxx"; 40].join(".")] {
        assert!(matches!(mx(&resolver, domain).await, Err(LookupError::BadName(_))), "{domain}");
    }
    let ipv4 = resolver.ipv4("a.test").await.unwrap();
    assert_eq!(ipv4.records, Records::Found(vec!["127.0.0.1".parse().unwrap(), "192.0.2.2".parse().unwrap()]));
    assert!(ipv4.ttl <= Duration::from_secs(60) && ipv4.ttl > Duration::from_secs(30), "{:?}", ipv4.ttl);
    let ipv6 = resolver.ipv6("a.test").await.unwrap();
    assert_eq!(ipv6.records, Records::Found(vec!["2001:db8::1".parse().unwrap()]));
    let text = resolver.txt("txt.test").await.unwrap();
    assert_eq!(text.records, Records::Found(vec![b"see:bl.".to_vec()]));
}

#[tokio::test]
async fn aliases_that_go_round_are_no_answer_and_followed_so_far() {
    let (server, resolver) = start().await;
    let answer = mx(&resolver, "ring.test").await;
    assert!(matches!(&answer, Err(LookupError::Temporary(why)) if why.contains("aliases")), "{answer:?}");
    assert!(server.asked().len() < 20, "{:?}", server.asked());
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_by_tcp() {
    let (server, resolver) = start().await;
    let (_, records) = mx(&resolver, "big.test").await.unwrap();
    assert_eq!(records.into_vec().len(), 200);
    assert_eq!(server.asked(), ["udp MX big.test", "tcp MX big.test"]);
}

#[tokio::test]
async fn what_stands_beside_the_answer_is_not_believed() {
    let (_server, resolver) = start().await;
    let answer = resolver.ipv4("stray.test").await.unwrap();
    assert_eq!(answer.records, Records::Found(vec!["192.0.2.7".parse().unwrap()]));
    let answer = resolver.ipv4("strayonly.test").await.unwrap();
    assert_eq!(answer.records, Records::NoData);
}

// C046, C047
#[tokio::test]
async fn a_router_goes_by_the_name_server() {
    let (server, resolver) = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut times = Timeouts::default();
    times.lookup = Duration::from_secs(2);
    let port = listener.local_addr().unwrap().port();
    let router = Router::builder(resolver).port(port).allow_loopback(true).timeouts(times).build();
    let connect = |domain: &'static str| {
        let router = router.clone();
        async move { timeout(PATIENCE, router.connect(domain)).await.unwrap() }
    };
    for (domain, host, preference) in
        [("implicit.test", "implicit.test", 0), ("aliashost.test", "implicit.test", 0), ("localhost", "localhost", 0)]
    {
        let connected = connect(domain).await.unwrap();
        assert_eq!((connected.host.name.as_str(), connected.host.preference), (host, preference));
        assert!(connected.address.ip().is_loopback());
    }
    for (domain, reason) in [
        ("null.test", Reason::NullMx),
        ("nowhere.test", Reason::NoSuchDomain),
        ("gone.test", Reason::NoSuchDomain),
        ("nodata.test", Reason::Unroutable),
        ("broken.test", Reason::Lookup),
        ("denied.test", Reason::Lookup),
        ("silent.test", Reason::Lookup),
    ] {
        let error = connect(domain).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
    let asked = server.asked();
    assert!(!asked.iter().any(|question| question.contains("localhost")), "{asked:?}");
    assert!(!asked.iter().any(|question| question.contains(" A null.test")), "{asked:?}");
}
