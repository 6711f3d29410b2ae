use super::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn mx(preference: u16, exchange: &str) -> Mx {
    Mx { preference, exchange: exchange.to_owned() }
}

fn answer<T>(records: Records<T>) -> Answer<T> {
    Answer::new("a.example", records, Duration::ZERO)
}

fn settings() -> Settings {
    Settings { own_names: vec!["own.example".to_owned()], ..Settings::default() }
}

fn sorted(records: &[Mx], seed: u64) -> Result<Hosts, Reason> {
    let answer = Ok(answer(Records::Found(records.to_vec())));
    sort("a.example", answer, &settings(), &mut Random::new(seed)).map_err(|(reason, _)| reason)
}

fn names(hosts: &Hosts) -> Vec<&str> {
    hosts.hosts.iter().map(|host| host.name.as_str()).collect()
}

// C045
#[test]
fn hosts_come_by_preference_and_equal_ones_in_any_order_equally_often() {
    const SEEDS: u64 = 6000;
    let records = [mx(20, "c"), mx(10, "b1"), mx(5, "a"), mx(10, "b2"), mx(10, "b3"), mx(65535, "d")];
    let mut counts: BTreeMap<Vec<String>, u32> = BTreeMap::new();
    for seed in 0..SEEDS {
        let hosts = sorted(&records, seed).unwrap();
        let names = names(&hosts);
        assert_eq!((names[0], &names[4..]), ("a", &["c", "d"][..]));
        *counts.entry(names[1..4].iter().map(|name| (*name).to_owned()).collect()).or_default() += 1;
    }
    assert_eq!(counts.len(), 6, "{counts:?}");
    let expected = SEEDS as f64 / 6.0;
    let chi_squared: f64 = counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    // With 5 degrees of freedom, one in a thousand fair shuffles is beyond 20.5. The seeds are fixed, so this is not left to chance.
    assert!(chi_squared < 20.5, "{chi_squared}: {counts:?}");
}

#[test]
fn the_same_seed_gives_the_same_order() {
    let records: Vec<Mx> = (0..10).map(|index| mx(1, &format!("h{index}"))).collect();
    assert_eq!(sorted(&records, 7).unwrap().hosts, sorted(&records, 7).unwrap().hosts);
    assert_ne!(sorted(&records, 7).unwrap().hosts, sorted(&records, 8).unwrap().hosts);
}

// C046
#[test]
fn without_an_mx_the_domain_is_its_own_host() {
    let answer = Answer::new("alias.example", Records::NoData, Duration::ZERO);
    let hosts = sort("a.example", Ok(answer), &settings(), &mut Random::new(0)).unwrap();
    assert_eq!(hosts.hosts, [Host { name: "alias.example".to_owned(), preference: 0 }], "where its aliases lead");
    let answer = Answer::new("own.example", Records::NoData, Duration::ZERO);
    let hosts = sort("a.example", Ok(answer), &settings(), &mut Random::new(0)).unwrap();
    assert!(hosts.hosts.is_empty() && matches!(hosts.failures[0].cause, Cause::Own));
}

#[test]
fn without_an_answer_there_is_an_error_of_its_kind() {
    let temporary = Err(LookupError::Temporary("SERVFAIL".to_owned()));
    let bad = Err(LookupError::BadName("label".to_owned()));
    for (answer, expected) in
        [(Ok(answer(Records::NoName)), Reason::NoSuchDomain), (temporary, Reason::Lookup), (bad, Reason::NoSuchDomain)]
    {
        let result = sort("a.example", answer, &settings(), &mut Random::new(0));
        assert_eq!(result.unwrap_err().0, expected);
    }
}

/// What RFC 5321 §5.1 and RFC 7505 say, read once more: the hosts of each preference, or the reason.
fn naive(records: &[Mx]) -> Result<Vec<(u16, Vec<String>)>, Reason> {
    if records.iter().all(|mx| mx.exchange == ".") {
        return Err(Reason::NullMx);
    }
    let own = records.iter().filter(|mx| mx.exchange == "own.example").map(|mx| mx.preference).min();
    let mut levels: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for mx in records {
        let usable = matches!(mx.exchange.as_str(), "b.example" | "c.example");
        let better = levels.range(..=mx.preference).any(|(_, names)| names.contains(&mx.exchange));
        if usable && !better && own.is_none_or(|own| mx.preference < own) {
            for names in levels.values_mut() {
                names.retain(|name| *name != mx.exchange);
            }
            levels.entry(mx.preference).or_default().push(mx.exchange.clone());
        }
    }
    levels.retain(|_, names| !names.is_empty());
    Ok(levels
        .into_iter()
        .map(|(level, mut names)| {
            (level, {
                names.sort();
                names
            })
        })
        .collect())
}

// C045, C047, C048
#[test]
fn all_short_lists_of_mx_are_sorted_as_the_rfcs_say() {
    const EXCHANGES: [&str; 5] = ["b.example", "c.example", "own.example", ".", "192.0.2.1"];
    let kinds: Vec<Mx> = (0..2).flat_map(|preference| EXCHANGES.map(|exchange| mx(preference, exchange))).collect();
    let mut lists = 0_u32;
    for length in 1..=4_u32 {
        for mut number in 0..kinds.len().pow(length) {
            let mut records = Vec::new();
            for _ in 0..length {
                records.push(kinds[number % kinds.len()].clone());
                number /= kinds.len();
            }
            let found = sorted(&records, u64::from(lists)).map(|hosts| {
                let mut levels: Vec<(u16, Vec<String>)> = Vec::new();
                for host in hosts.hosts {
                    match levels.last_mut() {
                        Some((level, names)) if *level == host.preference => names.push(host.name),
                        _ => levels.push((host.preference, vec![host.name])),
                    }
                }
                levels.iter_mut().for_each(|(_, names)| names.sort());
                levels
            });
            assert_eq!(found, naive(&records), "{records:?}");
            lists += 1;
        }
    }
    assert_eq!(lists, 10 + 100 + 1000 + 10_000);
}

#[test]
fn names_are_compared_as_dns_does() {
    let hosts = sorted(&[mx(10, "MX.example"), mx(20, "mx.EXAMPLE"), mx(30, "Own.Example")], 0).unwrap();
    assert_eq!(names(&hosts), ["MX.example"]);
}

#[test]
fn of_many_hosts_the_best_are_taken() {
    let records: Vec<Mx> = (0..1000).rev().map(|n| mx(n, &format!("h{n}.example"))).collect();
    let hosts = sorted(&records, 0).unwrap();
    let expected: Vec<String> = (0..Settings::default().limits.hosts).map(|n| format!("h{n}.example")).collect();
    assert_eq!(names(&hosts), expected);
    let nonsense: Vec<Mx> = (0..1000).map(|n| mx(n, "[192.0.2.1]")).collect();
    let hosts = sorted(&nonsense, 0).unwrap();
    assert!(hosts.hosts.is_empty() && hosts.failures.len() == Settings::default().limits.hosts);
}

fn host(name: &str) -> Host {
    Host { name: name.to_owned(), preference: 10 }
}

fn addresses(ipv4: &[&str], ipv6: &[&str]) -> Addresses {
    fn found<T: std::str::FromStr>(ips: &[&str]) -> Records<T> {
        if ips.is_empty() {
            return Records::NoData;
        }
        Records::Found(ips.iter().map(|ip| ip.parse().ok().unwrap()).collect())
    }
    Addresses { ipv4: Some(Ok(answer(found(ipv4)))), ipv6: Some(Ok(answer(found(ipv6)))) }
}

fn ips(level: &Level) -> Vec<String> {
    level.targets[0].addresses.iter().map(|address| address.ip().to_string()).collect()
}

#[test]
fn addresses_come_in_turns_ipv6_first_and_in_the_order_of_dns() {
    for (ipv4, ipv6, expected) in [
        (
            &["192.0.2.2", "192.0.2.1"][..],
            &["2001:db8::2", "2001:db8::1"][..],
            "2001:db8::2 192.0.2.2 2001:db8::1 192.0.2.1",
        ),
        (&["192.0.2.2", "192.0.2.1"], &[], "192.0.2.2 192.0.2.1"),
        (
            &["192.0.2.1"],
            &["2001:db8::1", "2001:db8::2", "2001:db8::3"],
            "2001:db8::1 192.0.2.1 2001:db8::2 2001:db8::3",
        ),
        (&["192.0.2.1", "192.0.2.1"], &["::ffff:192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1", "127.0.0.1"], &["::1", "2001:db8::1", "fe80::1"], "192.0.2.1 2001:db8::1"),
    ] {
        let level = arrange(vec![(host("b.example"), addresses(ipv4, ipv6))], &settings());
        assert_eq!(ips(&level).join(" "), expected);
    }
    let many: Vec<String> = (1..200).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let level = arrange(vec![(host("b.example"), addresses(&many, &["2001:db8::1"]))], &settings());
    assert_eq!(ips(&level).len(), settings().limits.addresses);
    assert_eq!(ips(&level)[..2], ["2001:db8::1", "192.0.2.1"]);
}

#[test]
fn a_host_that_cannot_be_tried_says_why() {
    fn failed<T>() -> Result<Answer<T>, LookupError> {
        Err(LookupError::Temporary("SERVFAIL".to_owned()))
    }
    let refuse = "192.0.2.0/24".parse().unwrap();
    let settings = Settings { refused: vec![refuse], ..settings() };
    let cause = |addresses| {
        let level = arrange(vec![(host("b.example"), addresses)], &settings);
        assert!(level.targets.is_empty() && !level.own);
        level.failures[0].to_string()
    };
    assert_eq!(cause(addresses(&["127.0.0.1"], &["::1"])), "b.example: ::1 is no address to send mail to");
    assert_eq!(cause(addresses(&["192.0.2.9"], &[])), "b.example: 192.0.2.9 is no address to send mail to");
    assert_eq!(cause(addresses(&[], &[])), "b.example: it has no address that can be tried");
    assert_eq!(cause(Addresses { ipv6: Some(failed()), ..addresses(&[], &[]) }), "b.example: SERVFAIL");
    assert_eq!(cause(Addresses { ipv4: Some(failed()), ipv6: None }), "b.example: SERVFAIL");
    let none = Addresses { ipv4: Some(Ok(answer(Records::NoName))), ipv6: None };
    assert_eq!(cause(none), "b.example: there is no such host");
    let bad = Addresses { ipv4: Some(Err(LookupError::BadName("x".to_owned()))), ipv6: None };
    assert_eq!(cause(bad), "b.example: there is no such host");
    // One family that DNS does not answer for is no reason not to try the other.
    let half = Addresses { ipv6: Some(failed()), ..addresses(&["198.51.100.1"], &[]) };
    assert_eq!(ips(&arrange(vec![(host("b.example"), half)], &settings)), ["198.51.100.1"]);
}

// C048
#[test]
fn this_host_is_known_by_its_address_and_by_where_aliases_lead() {
    let mut settings = settings();
    settings.own_addresses = vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let other = || (host("b.example"), addresses(&["192.0.2.1"], &[]));
    assert_eq!(arrange(vec![other()], &settings).targets.len(), 1);
    for mut own in [
        addresses(&["192.0.2.9", "203.0.113.7"], &[]),
        addresses(&[], &["2001:db8::7"]),
        addresses(&[], &["::ffff:203.0.113.7"]),
        addresses(&["192.0.2.9"], &[]),
    ] {
        if let Some(Ok(answer)) = own.ipv4.as_mut().filter(|ipv4| format!("{ipv4:?}").contains("192.0.2.9")) {
            answer.name = "OWN.example".to_owned();
        }
        for position in 0..2 {
            let mut hosts = vec![other()];
            hosts.insert(position, (host("c.example"), Addresses { ipv4: own.ipv4.clone(), ipv6: own.ipv6.clone() }));
            let level = arrange(hosts, &settings);
            assert!(level.own && level.targets.is_empty(), "all of that preference are left out: {level:?}");
        }
    }
}

#[test]
fn a_certificate_has_the_name_or_the_address_of_the_host() {
    for (name, expected) in
        [("mx.example", "mx.example"), ("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:DB8::1]", "2001:db8::1")]
    {
        assert_eq!(host(name).server_name(), expected);
    }
}

#[test]
fn a_destination_is_a_name_or_an_address() {
    for (domain, expected) in [
        ("a.example", Ok(Destination::Name)),
        ("bücher.example", Ok(Destination::Name)),
        ("localhost", Ok(Destination::Localhost)),
        ("a.LocalHost", Ok(Destination::Localhost)),
        ("[192.0.2.1]", Ok(Destination::Literal("192.0.2.1".parse().unwrap()))),
        ("[IPv6:2001:db8::1]", Ok(Destination::Literal("2001:db8::1".parse().unwrap()))),
        ("[IPv6:::ffff:127.0.0.1]", Ok(Destination::Literal("127.0.0.1".parse().unwrap()))),
        ("", Err(Reason::BadDomain)),
        ("a..b", Err(Reason::BadDomain)),
        ("[192.0.2.1", Err(Reason::BadDomain)),
        ("a b", Err(Reason::BadDomain)),
        ("a\r\nb", Err(Reason::BadDomain)),
    ] {
        assert_eq!(Destination::parse(domain), expected, "{domain}");
    }
}
