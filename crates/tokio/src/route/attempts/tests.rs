use super::super::fake::Behaviour::{Accepts, Refuses, Silent};
use super::super::fake::{Behaviour, Network};
use super::super::{Builder, Families, Limits, Router, Timeouts};
use super::*;
use crate::dns::Zone;

fn zone(text: &str) -> Zone {
    text.parse().unwrap()
}

/// The hosts of these tests, among them those of `192.0.2.0/28` that answer at once.
fn network(hosts: &[(&str, Behaviour)]) -> Network {
    let names: Vec<String> = (0..16).map(|n| format!("192.0.2.{n}")).collect();
    let mut all: Vec<(&str, Behaviour)> = names.iter().map(|ip| (ip.as_str(), Accepts(0))).collect();
    all.extend(hosts);
    Network::new(&all)
}

fn builder(zone: &Zone, network: &Network) -> Builder<Network> {
    let builder = Router::builder(zone.clone()).connector(network.clone()).seed(1);
    builder.own_name("me.test").own_address("203.0.113.7".parse().unwrap())
}

/// All hosts of a domain, as if each connection was of no use: who was connected to, and what is said in the end.
async fn walk(router: &Router<Network>, domain: &str) -> (Vec<String>, RouteError) {
    let mut seen = Vec::new();
    let mut attempts = match router.attempts(domain).await {
        Ok(attempts) => attempts,
        Err(error) => return (seen, error),
    };
    loop {
        // In virtual time, so that an attempt that never ends is a test that fails.
        match timeout(Duration::from_secs(36_000), attempts.next()).await.unwrap() {
            Ok(connected) => {
                let Connected { host, address, .. } = connected;
                seen.push(format!("{} {} {}", host.preference, host.name, address.ip()));
            }
            Err(error) => return (seen, error),
        }
    }
}

const ZONE: &str = "
    plain.test        MX 20 b.test
    plain.test        MX 10 a.test
    plain.test        A 192.0.2.9            ; never used, since there are MX records
    a.test            A 192.0.2.1
    b.test            A 192.0.2.2
    c.test            A 192.0.2.3
    dead.test         A 198.51.100.1
    implicit.test     A 192.0.2.4
    alias.test        CNAME plain.test
    alias2.test       CNAME implicit.test
    mxalias.test      MX 10 www.test
    www.test          CNAME a.test
    null.test         MX 0 .
    null.test         A 192.0.2.9
    null10.test       MX 10 .
    nulls.test        MX 0 .
    nulls.test        MX 10 a.test
    empty.test        TXT v=spf1 -all
    hostless.test     MX 10 nowhere.test
    hostless.test     A 192.0.2.9
    bare.test         MX 10 empty.test
    literal.test      MX 10 192.0.2.1
    literal.test      MX 10 [192.0.2.1]
    local.test        MX 10 localhost
    loop4.test        A 127.0.0.1
    inward.test       MX 10 loop4.test
    inward.test       MX 20 a.test
    mixed.test        A 127.0.0.1
    mixed.test        A 192.0.2.5
    broken.test       SERVFAIL
    slow.test         TIMEOUT
    half.test         MX 10 broken.test
    half.test         MX 20 a.test
    whole.test        MX 10 broken.test
    whole.test        MX 20 nowhere.test
    refused.test      MX 10 dead.test
    refused.test      MX 20 broken.test
    gone.test         CNAME nowhere.test
    round.test        CNAME round2.test
    round2.test       CNAME round.test
    self.test         MX 10 a.test
    self.test         MX 20 ME.test
    self.test         MX 20 b.test
    self.test         MX 30 c.test
    selfip.test       MX 10 a.test
    selfip.test       MX 20 out.test
    selfip.test       MX 20 b.test
    selfip.test       MX 30 c.test
    out.test          A 203.0.113.7
    best.test         MX 10 me.test
    best.test         MX 20 a.test
    bestip.test       MX 10 out.test
    bestip.test       MX 20 a.test
    me.test           A 203.0.113.7
    beyond.test       MX 10 nowhere.test
    beyond.test       MX 20 out.test
    mine.test         CNAME me.test
";

// C045, C046, C047, C048
#[tokio::test(start_paused = true)]
async fn the_way_to_a_domain_is_as_dns_says() {
    for (domain, hosts, reply) in [
        ("plain.test", "10 a.test 192.0.2.1, 20 b.test 192.0.2.2", "451 4.3.2"),
        ("Plain.TEST", "10 a.test 192.0.2.1, 20 b.test 192.0.2.2", "451 4.3.2"),
        ("alias.test", "10 a.test 192.0.2.1, 20 b.test 192.0.2.2", "451 4.3.2"),
        ("implicit.test", "0 implicit.test 192.0.2.4", "451 4.3.2"),
        ("alias2.test", "0 implicit.test 192.0.2.4", "451 4.3.2"),
        ("mxalias.test", "10 www.test 192.0.2.1", "451 4.3.2"),
        ("mixed.test", "0 mixed.test 192.0.2.5", "451 4.3.2"),
        ("null.test", "", "556 5.1.10"),
        ("null10.test", "", "556 5.1.10"),
        ("nulls.test", "10 a.test 192.0.2.1", "451 4.3.2"),
        ("nowhere.test", "", "550 5.1.2"),
        ("gone.test", "", "550 5.1.2"),
        ("empty.test", "", "550 5.4.4"),
        ("hostless.test", "", "550 5.4.4"),
        ("bare.test", "", "550 5.4.4"),
        ("literal.test", "", "550 5.4.4"),
        ("local.test", "", "550 5.4.4"),
        ("loop4.test", "", "550 5.4.4"),
        ("localhost", "", "550 5.4.4"),
        ("mail.localhost", "", "550 5.4.4"),
        ("inward.test", "20 a.test 192.0.2.1", "451 4.3.2"),
        ("broken.test", "", "451 4.4.3"),
        ("slow.test", "", "451 4.4.3"),
        ("round.test", "", "451 4.4.3"),
        ("half.test", "20 a.test 192.0.2.1", "451 4.3.2"),
        ("whole.test", "", "451 4.4.3"),
        ("refused.test", "", "451 4.4.1"),
        ("dead.test", "", "451 4.4.1"),
        ("self.test", "10 a.test 192.0.2.1", "451 4.3.2"),
        ("selfip.test", "10 a.test 192.0.2.1", "451 4.3.2"),
        ("best.test", "", "550 5.4.6"),
        ("bestip.test", "", "550 5.4.6"),
        ("me.test", "", "550 5.4.6"),
        ("mine.test", "", "550 5.4.6"),
        ("out.test", "", "550 5.4.6"),
        // A better host remains, but is of no use.
        ("beyond.test", "", "550 5.4.4"),
        ("[192.0.2.1]", "0 [192.0.2.1] 192.0.2.1", "451 4.3.2"),
        ("[198.51.100.1]", "", "451 4.4.1"),
        ("[127.0.0.1]", "", "550 5.4.4"),
        ("[IPv6:::1]", "", "550 5.4.4"),
        ("[IPv6:::ffff:127.0.0.1]", "", "550 5.4.4"),
        ("[IPv6:fe80::1]", "", "550 5.4.4"),
        ("[0.0.0.0]", "", "550 5.4.4"),
        ("[224.0.0.1]", "", "550 5.4.4"),
        ("[203.0.113.7]", "", "550 5.4.6"),
        ("a b.test", "", "501 5.1.3"),
        ("a..test", "", "501 5.1.3"),
    ] {
        let (zone, network) = (zone(ZONE), network(&[]));
        let (seen, error) = walk(&builder(&zone, &network).build(), domain).await;
        assert_eq!(seen.join(", "), hosts, "{domain}: {error}");
        let said = error.reply().to_string();
        assert!(said.starts_with(reply), "{domain}: {said} for {error}");
        assert_eq!(error.is_transient(), reply.starts_with('4'), "{domain}");
        // Where there is nothing to connect to, nothing is connected to, and an address literal is not asked about.
        assert_eq!(network.log().is_empty(), hosts.is_empty() && !reply.contains("4.4.1"), "{domain}");
        assert_eq!(
            zone.asked().is_empty(),
            domain.starts_with('[') || domain.contains("localhost") || reply == "501 5.1.3"
        );
    }
}

// C047
#[tokio::test(start_paused = true)]
async fn a_domain_that_takes_no_mail_is_asked_about_once_and_not_connected_to() {
    let (zone, network) = (zone(ZONE), network(&[]));
    let error = builder(&zone, &network).build().connect("null.test").await.unwrap_err();
    assert_eq!((error.reason(), error.is_transient()), (Reason::NullMx, false));
    assert_eq!(zone.asked(), ["MX null.test"]);
    assert!(network.log().is_empty());
}

// C048
#[tokio::test(start_paused = true)]
async fn without_a_better_host_than_this_one_the_others_are_not_even_looked_up() {
    let (zone, network) = (zone(ZONE), network(&[]));
    let error = builder(&zone, &network).build().connect("best.test").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "best.test: 550 5.4.6 Mail for the domain would come back here (me.test: it is this host)"
    );
    assert_eq!(zone.asked(), ["MX best.test"]);
}

// C045
#[tokio::test(start_paused = true)]
async fn equal_hosts_come_in_an_order_of_chance() {
    let zone = zone("eq.test MX 5 a.test\neq.test MX 5 b.test\na.test A 192.0.2.1\nb.test A 192.0.2.2");
    let mut first = [0, 0];
    for seed in 0..1000 {
        let network = network(&[]);
        let connected = builder(&zone, &network).seed(seed).build().connect("eq.test").await.unwrap();
        first[usize::from(connected.host.name == "b.test")] += 1;
    }
    // Seven standard deviations.
    assert!(first.iter().all(|count| (390..=610).contains(count)), "{first:?}");
    let network = network(&[]);
    let mut builder = builder(&zone, &network);
    builder.settings.seed = None;
    let router = builder.build();
    let mut hosts = std::collections::HashSet::new();
    for _ in 0..100 {
        hosts.insert(router.connect("eq.test").await.unwrap().host.name);
    }
    assert_eq!(hosts.len(), 2, "without a seed, too");
}

const TWO: &str = "
    two.test  MX 10 a.test
    two.test  MX 20 b.test
    a.test    AAAA 2001:db8::1
    a.test    A 192.0.2.1
    a.test    A 192.0.2.2
    b.test    A 192.0.2.3
";

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_for_now_is_tried_at_its_other_addresses_and_then_others_are() {
    let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1))]));
    let mut attempts = builder(&zone, &network).build().attempts("two.test").await.unwrap();
    let hosts: Vec<&str> = attempts.hosts().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["a.test", "b.test"]);
    let mut seen = Vec::new();
    while let Ok(connected) = attempts.next().await {
        seen.push(connected.address.ip().to_string());
        attempts.refused(ReplyCode::SERVICE_NOT_AVAILABLE);
    }
    assert_eq!(seen, ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let error = attempts.next().await.unwrap_err();
    assert_eq!((error.reason(), error.failures().len()), (Reason::Deferred, 4), "{error}");
    assert!(error.to_string().contains("b.test at 192.0.2.3:25: it greeted with 421"), "{error}");
    assert_eq!(attempts.hosts().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_no_mail_is_left_and_others_are_tried() {
    for code in [ReplyCode::DOES_NOT_ACCEPT_MAIL, ReplyCode::TRANSACTION_FAILED] {
        let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1))]));
        let mut attempts = builder(&zone, &network).build().attempts("two.test").await.unwrap();
        let mut seen = Vec::new();
        while let Ok(connected) = attempts.next().await {
            seen.push(connected.address.ip().to_string());
            attempts.refused(code);
        }
        assert_eq!(seen, ["2001:db8::1", "192.0.2.3"]);
        let error = attempts.next().await.unwrap_err();
        assert_eq!(error.reply().to_string(), "550 5.3.2 No host of the domain takes mail");
    }
}

#[tokio::test(start_paused = true)]
async fn one_host_that_may_take_it_later_makes_the_error_transient() {
    let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1)), ("192.0.2.3", Refuses(0))]));
    let mut attempts = builder(&zone, &network).build().attempts("two.test").await.unwrap();
    attempts.next().await.unwrap();
    attempts.refused(ReplyCode::DOES_NOT_ACCEPT_MAIL);
    // A second word about the same connection changes nothing.
    attempts.refused(ReplyCode::DOES_NOT_ACCEPT_MAIL);
    let error = attempts.next().await.unwrap_err();
    assert_eq!((error.reason(), error.failures().len()), (Reason::NoAnswer, 2), "{error}");
}

#[tokio::test(start_paused = true)]
async fn only_the_addresses_of_the_next_hosts_are_looked_up() {
    let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1))]));
    let router = builder(&zone, &network).build();
    router.connect("two.test").await.unwrap();
    let mut asked = zone.asked();
    asked.sort();
    assert_eq!(asked, ["A a.test", "AAAA a.test", "MX two.test"]);
}

#[tokio::test(start_paused = true)]
async fn families_that_are_not_wanted_are_neither_asked_for_nor_tried() {
    for (families, asked, seen) in [
        (Families::Ipv4, "A", vec!["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        (Families::Ipv6, "AAAA", vec!["2001:db8::1"]),
    ] {
        let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1))]));
        let router = builder(&zone, &network).families(families).build();
        let (walked, _) = walk(&router, "two.test").await;
        let walked: Vec<&str> = walked.iter().filter_map(|line| line.split(' ').nth(2)).collect();
        assert_eq!(walked, seen);
        assert_eq!(zone.asked(), ["MX two.test".to_owned(), format!("{asked} a.test"), format!("{asked} b.test")]);
    }
    let (zone, network) = (zone(TWO), network(&[]));
    let error = builder(&zone, &network).families(Families::Ipv6).build().connect("[192.0.2.1]").await.unwrap_err();
    assert_eq!(error.reason(), Reason::Unroutable);
}

#[tokio::test(start_paused = true)]
async fn hosts_and_addresses_are_tried_up_to_the_limits() {
    let mut text = String::new();
    for host in 0..100 {
        text += &format!("many.test MX {host} h{host}.test\n");
        for address in 0..100 {
            text += &format!("h{host}.test A 198.51.{host}.{address}\nh{host}.test AAAA 2001:db8:{host}::{address}\n");
        }
    }
    let (zone, network) = (zone(&text), network(&[]));
    let limits = Limits { hosts: 3, addresses: 4 };
    let error = builder(&zone, &network).limits(limits).build().connect("many.test").await.unwrap_err();
    assert_eq!((network.log().len(), error.failures().len(), error.reason()), (12, 12, Reason::NoAnswer));
    assert_eq!(
        network.log()[..3].iter().map(|(_, ip)| ip.as_str()).collect::<Vec<_>>(),
        ["2001:db8::", "198.51.0.0", "2001:db8::1"]
    );
    // By default, at least two addresses (RFC 5321 §5.1).
    let network = Network::new(&[]);
    builder(&zone, &network).build().connect("many.test").await.unwrap_err();
    assert_eq!(network.log().len(), 60);
}

#[tokio::test(start_paused = true)]
async fn each_part_has_its_time_and_all_of_it_too() {
    let text = "
        late.test MX 10 slow.test
        late.test MX 20 a.test
        slow.test TIMEOUT
        a.test    A 192.0.2.1
        dumb.test A 198.51.100.1
        dumb.test A 198.51.100.2
    ";
    let silent = [("198.51.100.1", Silent), ("198.51.100.2", Silent), ("192.0.2.3", Silent), ("2001:db8::1", Silent)];
    let (zone, network) = (zone(text), network(&silent));
    let router = builder(&zone, &network).build();
    let connected = router.connect("late.test").await.unwrap();
    assert_eq!((connected.host.name.as_str(), network.elapsed()), ("a.test", 30_000), "a look-up has its time");
    let network = Network::new(&silent);
    let error = builder(&zone, &network).build().connect("dumb.test").await.unwrap_err();
    assert_eq!((network.elapsed(), error.failures().len()), (30_250, 2), "both attempts have theirs");
    let network = Network::new(&silent);
    let total = Timeouts { total: Duration::from_secs(10), ..Timeouts::default() };
    let router = builder(&zone, &network).timeouts(total).build();
    let error = router.connect("dumb.test").await.unwrap_err();
    assert_eq!((network.elapsed(), error.reason()), (10_000, Reason::NoAnswer));
    assert!(error.to_string().ends_with("(dumb.test: no time is left)"), "{error}");
    let error = router.connect("slow.test").await.unwrap_err();
    assert_eq!((network.elapsed(), error.reason()), (20_000, Reason::Lookup));
}

#[tokio::test(start_paused = true)]
async fn the_time_for_all_of_it_runs_over_all_hosts() {
    let hosts = [("2001:db8::1", Accepts(6000)), ("192.0.2.1", Accepts(5900)), ("192.0.2.2", Silent)];
    let (zone, network) = (zone(TWO), network(&hosts));
    let total = Timeouts { total: Duration::from_secs(10), ..Timeouts::default() };
    let router = builder(&zone, &network).timeouts(total).build();
    let mut attempts = router.attempts("two.test").await.unwrap();
    attempts.next().await.unwrap();
    assert_eq!(network.elapsed(), 6000);
    let error = attempts.next().await.unwrap_err();
    assert_eq!((network.elapsed(), error.failures().len()), (10_000, 2), "{error}");
    assert!(attempts.next().await.is_err() && network.elapsed() == 10_000);
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_does_with_a_connection_is_not_counted() {
    let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(1))]));
    let mut attempts = builder(&zone, &network).build().attempts("two.test").await.unwrap();
    attempts.next().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(attempts.next().await.unwrap().address.ip().to_string(), "192.0.2.1");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_given_up_can_be_made_again() {
    let (zone, network) = (zone(TWO), network(&[("2001:db8::1", Accepts(3)), ("192.0.2.1", Silent)]));
    let mut attempts = builder(&zone, &network).build().attempts("two.test").await.unwrap();
    assert!(timeout(Duration::from_millis(2), attempts.next()).await.is_err());
    assert_eq!(network.open(), 0);
    assert_eq!(attempts.next().await.unwrap().address.ip().to_string(), "2001:db8::1");
    assert!(attempts.failures().is_empty());
}

#[tokio::test(start_paused = true)]
async fn loopback_is_for_who_allows_it() {
    let (zone, network) = (zone(ZONE), network(&[("127.0.0.1", Accepts(0)), ("::1", Accepts(0))]));
    let router = builder(&zone, &network).allow_loopback(true).build();
    for (domain, address) in
        [("localhost", "::1"), ("local.test", "::1"), ("loop4.test", "127.0.0.1"), ("[127.0.0.1]", "127.0.0.1")]
    {
        assert_eq!(router.connect(domain).await.unwrap().address.ip().to_string(), address, "{domain}");
    }
    let asked = zone.asked();
    assert!(asked.iter().all(|question| !question.contains("localhost")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_refused_is_never_connected_to() {
    let (zone, network) = (zone(ZONE), network(&[]));
    let router = builder(&zone, &network).refuse("192.0.2.0/31".parse().unwrap()).build();
    let (seen, _) = walk(&router, "plain.test").await;
    assert_eq!(seen, ["20 b.test 192.0.2.2"]);
    assert_eq!(router.connect("[192.0.2.1]").await.unwrap_err().reason(), Reason::Unroutable);
}

#[test]
fn deliveries_may_be_tasks() {
    fn is_send<T: Send>(_: T) {}
    let router = Router::builder(Zone::default()).build();
    is_send(router.connect("a.test"));
    is_send(async move { router.attempts("a.test").await.unwrap().next().await });
}
