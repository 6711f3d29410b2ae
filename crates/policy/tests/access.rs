//! Who is let in: hosts, clients, senders, names, lists in DNS, repeated messages, and what VRFY, EXPN and ETRN tell.

mod common;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Folder, start, start_with, within};
use ehlo_policy::dns::{Found, Lookup, LookupError, MailDomain, Resolver};

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[store]
place = 'memory:test'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob']
[[domain]]
name = 'b.example'
mailboxes = ['ada']
";

const STRANGER: &str = "203.0.113.7";

#[tokio::test]
async fn a_host_that_takes_no_mail_says_so_in_its_greeting() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start("[server]\nhostname = 'web.a.example'\ntakes_no_mail = true\n", &folder).await;
        let mut client = server.connect(STRANGER).await;
        client.expect("521 web.a.example does not accept mail").await;
        client.say("EHLO client.example", "521").await;
        client.say("MAIL FROM:<a@b.example>", "521").await;
        client.say("QUIT", "221").await;
    })
    .await;
}

#[tokio::test]
async fn clients_are_let_in_or_not_by_the_first_rule_that_fits() {
    within(async {
        let folder = Folder::new();
        let rules = "
[[client]]
network = '192.0.2.66'
action = 'accept'
[[client]]
network = '192.0.2.0/24'
action = 'refuse'
[[client]]
network = '198.51.100.0/24'
action = 'refuse'
reply = 421
[[client]]
network = '2001:db8:bad::/48'
action = 'refuse'
reply = 521
";
        let (server, _) = start(&format!("{FILE}{rules}"), &folder).await;
        for (from, greeting) in [
            ("192.0.2.66", "220"),
            ("192.0.2.67", "554 Clients at your address"),
            ("198.51.100.1", "421 Clients"),
            ("2001:db8:bad::1", "521 Clients"),
            ("2001:db8:bae::1", "220"),
        ] {
            server.connect(from).await.expect(greeting).await;
        }
        let mut client = server.connect("192.0.2.67").await;
        client.expect("554").await;
        client.say("MAIL FROM:<a@b.example>", "5").await;
        client.say("QUIT", "221").await;
        let mut client = server.connect("198.51.100.1").await;
        client.expect("421").await;
        client.expect_end().await;
    })
    .await;
}

#[tokio::test]
async fn senders_are_refused_by_address_or_domain_but_never_the_null_one() {
    within(async {
        let folder = Folder::new();
        let rules = "
relay.networks = ['198.51.100.1']
[senders]
verify_local = true
[[sender]]
address = 'spam@c.example'
[[sender]]
address = '@d.example'
reply = 450
";
        let text = format!("{rules}{FILE}");
        let (server, _) = start(&text, &folder).await;
        for (from, sender, expected) in [
            (STRANGER, "SPAM@c.example", "550 5.7.1"),
            (STRANGER, "other@c.example", "250"),
            (STRANGER, "x@D.example", "450 4.7.1"),
            (STRANGER, "x@sub.d.example", "250"),
            (STRANGER, "", "250"),
            // RFC 2505 §2.6.2: anybody may name one of ours; §2.10: our own have to name one that exists.
            (STRANGER, "nobody@a.example", "250"),
            ("198.51.100.1", "nobody@a.example", "550 5.1.7"),
            ("198.51.100.1", "ada+x@a.example", "250"),
            ("198.51.100.1", "", "250"),
        ] {
            let mut client = server.client(from).await;
            client.say(&format!("MAIL FROM:<{sender}>"), expected).await;
        }
    })
    .await;
}

#[tokio::test]
async fn names_of_mailboxes_keep_to_the_rules() {
    within(async {
        let folder = Folder::new();
        let rules = "names = { forbid = ['-*', '*..*', '*root*'], min_length = 2, max_length = 8, ascii = true }\n";
        let text = format!("{rules}{}", FILE.replace("mailboxes = ['ada', 'bob']", "mailboxes = ['ada', 'root', 'a']"));
        let (server, _) = start(&text, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example> SMTPUTF8", "250").await;
        for (to, expected) in [
            ("ada@a.example", "250"),
            ("ROOT@a.example", "553 5.1.3"),
            ("a@a.example", "553 5.1.3"),
            ("-x@a.example", "553 5.1.3"),
            ("\"a..b\"@a.example", "553 5.1.3"),
            ("123456789@a.example", "553 5.1.3"),
            ("äda@a.example", "553 5.1.3"),
            // Mail for Postmaster is taken, whatever the rules are.
            ("postmaster@a.example", "250"),
            ("Postmaster", "250"),
            // Others name their mailboxes as they like.
            ("-x@elsewhere.example", "550 5.7.1"),
        ] {
            client.say(&format!("RCPT TO:<{to}>"), expected).await;
        }
    })
    .await;
}

/// What a test's DNS answers.
#[derive(Clone, Debug)]
enum Dns {
    Addresses(Vec<Ipv4Addr>),
    Text(String),
    Mail(MailDomain),
    Fails,
    Hangs,
}

#[derive(Clone, Default)]
struct FakeDns {
    answers: Arc<Mutex<HashMap<String, Dns>>>,
    asked: Arc<AtomicUsize>,
}

impl FakeDns {
    fn set(&self, name: &str, answer: Dns) {
        self.answers.lock().unwrap().insert(name.to_owned(), answer);
    }

    fn ask<T: Send + 'static>(&self, name: &str, pick: impl Fn(Dns) -> Option<T>) -> Lookup<T> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().get(name).cloned();
        let found = answer.clone().and_then(pick);
        Box::pin(async move {
            match answer {
                Some(Dns::Fails) => Err(LookupError("SERVFAIL".to_owned())),
                Some(Dns::Hangs) => std::future::pending().await,
                _ => Ok(Found { answer: found, ttl: Duration::from_secs(60) }),
            }
        })
    }
}

impl Resolver for FakeDns {
    fn addresses(&self, name: &str) -> Lookup<Vec<Ipv4Addr>> {
        self.ask(name, |answer| if let Dns::Addresses(ips) = answer { Some(ips) } else { None })
    }

    fn text(&self, name: &str) -> Lookup<String> {
        self.ask(&format!("txt {name}"), |answer| if let Dns::Text(text) = answer { Some(text) } else { None })
    }

    fn mail_domain(&self, name: &str) -> Lookup<MailDomain> {
        self.ask(&format!("mx {name}"), |answer| if let Dns::Mail(found) = answer { Some(found) } else { None })
    }
}

const LISTED: &str = "198.51.100.66";

fn lists() -> FakeDns {
    let dns = FakeDns::default();
    dns.set("66.100.51.198.bl.example", Dns::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)]));
    dns.set(
        "txt 66.100.51.198.bl.example",
        Dns::Text("see https://bl.example/?198.51.100.66\r\n250 \u{202e}ok".to_owned()),
    );
    // Not among the answers that count, not of a list, and in another list.
    dns.set("67.100.51.198.bl.example", Dns::Addresses(vec![Ipv4Addr::new(127, 0, 0, 9)]));
    dns.set("68.100.51.198.bl.example", Dns::Addresses(vec![Ipv4Addr::new(203, 0, 113, 1)]));
    dns.set("69.100.51.198.first.example", Dns::Addresses(vec![Ipv4Addr::new(127, 0, 0, 3)]));
    dns.set("70.100.51.198.bl.example", Dns::Fails);
    dns.set("71.100.51.198.bl.example", Dns::Hangs);
    dns
}

const LISTS: &str = "
relay.networks = ['198.51.100.128/25']
[dns]
timeout = '5s'
[[dnsbl]]
zone = 'first.example'
at = 'connect'
[[dnsbl]]
zone = 'bl.example'
answers = ['127.0.0.2', '127.0.0.4/30']
reply = 550
[[client]]
network = '198.51.100.72'
action = 'accept'
";

#[tokio::test(start_paused = true)]
async fn who_is_on_a_list_is_refused_and_whom_dns_does_not_know_is_not() {
    let folder = Folder::new();
    let dns = lists();
    dns.set("72.100.51.198.bl.example", Dns::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)]));
    dns.set("200.100.51.198.bl.example", Dns::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)]));
    let resolver = dns.clone();
    let (server, _) = start_with(&format!("{LISTS}{FILE}"), &folder, |builder| builder.resolver(resolver)).await;
    let mut client = server.client(LISTED).await;
    client.say("MAIL FROM:<x@y.example>", "250").await;
    let told = "550 5.7.1 198.51.100.66 is listed by bl.example: see https://bl.example/?198.51.100.66??250 ?ok";
    assert_eq!(client.say("RCPT TO:<ada@a.example>", "").await, told);
    // Mail for Postmaster is taken: whoever is listed by mistake has to be able to say so (RFC 5321 §4.5.1).
    client.say("RCPT TO:<postmaster@b.example>", "250").await;
    // Whoever asks for a relay is told of that, whether listed or not.
    client.say("RCPT TO:<x@elsewhere.example>", "550 5.7.1 Relaying denied").await;
    let asked = dns.asked.load(Ordering::SeqCst);
    client.say("RCPT TO:<bob@a.example>", "550 5.7.1 198.51.100.66 is listed").await;
    assert_eq!(dns.asked.load(Ordering::SeqCst), asked, "the answer is kept");
    tokio::time::advance(Duration::from_secs(61)).await;
    dns.set("66.100.51.198.bl.example", Dns::Fails);
    client.say("RCPT TO:<bob@a.example>", "250").await;
    for (from, greeting, rcpt) in [
        ("198.51.100.67", "220", "250"),
        ("198.51.100.68", "220", "250"),
        ("198.51.100.69", "554 198.51.100.69 is listed by first.example", ""),
        ("198.51.100.70", "220", "250"),
        ("198.51.100.71", "220", "250"),
        // One that is welcome, and one of ours.
        ("198.51.100.72", "220", "250"),
        ("198.51.100.200", "220", "250"),
    ] {
        let mut client = server.connect(from).await;
        client.expect(greeting).await;
        if rcpt.is_empty() {
            continue;
        }
        client.say("HELO client.example", "250").await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        let begin = tokio::time::Instant::now();
        client.say("RCPT TO:<ada@a.example>", rcpt).await;
        let waited = begin.elapsed();
        assert_eq!(waited >= Duration::from_secs(5), from == "198.51.100.71", "{from}: {waited:?}");
        assert!(waited < Duration::from_secs(6), "{from}: {waited:?}");
    }
}

#[tokio::test]
async fn the_domain_of_a_sender_is_looked_up_where_the_file_says_so() {
    within(async {
        for (mode, missing) in [("temporary", "450 4.1.8"), ("permanent", "550 5.1.8"), ("off", "250")] {
            let folder = Folder::new();
            let dns = FakeDns::default();
            dns.set("mx there.example", Dns::Mail(MailDomain::Reachable));
            dns.set("mx null.example", Dns::Mail(MailDomain::NullMx));
            dns.set("mx broken.example", Dns::Fails);
            let text = format!("senders.verify_domain = '{mode}'\n{FILE}");
            let (server, _) = start_with(&text, &folder, |builder| builder.resolver(dns)).await;
            let off = mode == "off";
            let mut client = server.client(STRANGER).await;
            for (sender, expected) in [
                ("x@there.example", "250"),
                ("x@missing.example", missing),
                ("x@null.example", if off { "250" } else { "550 5.7.27" }),
                // RFC 2505 §2.9: a temporary error of DNS must be one of ours.
                ("x@broken.example", if off { "250" } else { "451 4.4.3" }),
                ("", "250"),
                ("x@a.example", "250"),
                ("x@[192.0.2.1]", "250"),
            ] {
                client.say(&format!("MAIL FROM:<{sender}>"), expected).await;
                client.say("RSET", "250").await;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_same_message_is_taken_so_often_and_no_more() {
    let folder = Folder::new();
    let text = format!("repeats = {{ within = '1h', allowed = 2 }}\n{FILE}");
    let (server, memory) = start(&text, &folder).await;
    let mut client = server.client(STRANGER).await;
    for _ in 0..2 {
        client.send("x@y.example", &["ada@a.example"], "again", "250").await;
    }
    client.send("x@y.example", &["bob@a.example"], "again", "557 5.7.1 Too many duplicate messages").await;
    client.send("x@y.example", &["bob@a.example"], "another", "250").await;
    server.client("203.0.113.8").await.send("x@y.example", &["ada@a.example"], "again", "250").await;
    assert_eq!(memory.take().len(), 4);
    client.say("QUIT", "221").await;
    tokio::time::advance(Duration::from_secs(3601)).await;
    server.client(STRANGER).await.send("x@y.example", &["ada@a.example"], "again", "250").await;
    for (reply, expected) in [(554, "554 5.7.1"), (450, "450 4.7.1 Too many duplicate messages; try again later")] {
        let text = format!("repeats = {{ within = '1h', reply = {reply} }}\n{FILE}");
        let (server, _) = start(&text, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.send("x@y.example", &["ada@a.example"], "again", "250").await;
        client.send("x@y.example", &["ada@a.example"], "again", expected).await;
    }
}

#[tokio::test]
async fn repeats_are_taken_unless_the_file_says_otherwise() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        for _ in 0..5 {
            client.send("x@y.example", &["ada@a.example"], "again", "250").await;
        }
    })
    .await;
}

const TELLING: &str = "
[[alias]]
address = 'team@a.example'
to = ['ada@a.example', 'bob@a.example', 'x@c.example']
[[moved]]
address = 'old@a.example'
to = 'new@c.example'
[[moved]]
address = 'fwd@a.example'
to = 'new@c.example'
forward = true
[[route]]
domain = 'c.example'
place = 'memory:test'
";

#[tokio::test]
async fn vrfy_and_expn_tell_those_who_may_know() {
    within(async {
        let folder = Folder::new();
        let asked = |whom: &str| {
            FILE.replace("[server]\n", &format!("[server]\nvrfy = '{whom}'\nexpn = '{whom}'\netrn = '{whom}'\n"))
                + TELLING
                + "[relay]\nnetworks = ['198.51.100.1']\n"
        };
        // RFC 2505 §2.11 and §2.12: nobody is told, unless the file says so.
        let (server, _) = start(&format!("{FILE}{TELLING}"), &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("VRFY ada@a.example", "252").await;
        client.say("VRFY nobody@a.example", "252").await;
        client.say("EXPN team", "502").await;
        client.say("ETRN a.example", "502").await;
        let (server, _) = start(&asked("trusted"), &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("VRFY nobody@a.example", "252").await;
        client.say("EXPN team@a.example", "550 5.7.2").await;
        client.say("ETRN a.example", "459 4.7.1").await;
        for (server, from) in [
            (server, "198.51.100.1"),
            (start(&asked("anybody"), &folder).await.0, STRANGER),
        ] {
            let mut client = server.client(from).await;
            for (line, expected) in [
                ("VRFY ada@a.example", "250 2.1.5 <ada@a.example>"),
                ("VRFY <ADA+x@a.example>", "250 2.1.5 <ADA+x@a.example>"),
                ("VRFY bob", "250 2.1.5 <bob@a.example>"),
                ("VRFY ada", "553-5.1.4 User ambiguous; possibilities are\r\n553-5.1.4 <ada@a.example>\r\n553 5.1.4 <ada@b.example>"),
                ("VRFY eve", "550 5.1.1"),
                ("VRFY eve@a.example", "550 5.1.1"),
                ("VRFY old@a.example", "551 5.1.6 User not local; please try <new@c.example>"),
                ("VRFY fwd@a.example", "251 2.1.5 User not local; will forward to <new@c.example>"),
                ("VRFY x@elsewhere.example", "252"),
                ("VRFY x%elsewhere.example@a.example", "550 5.7.1"),
                ("EXPN team", "250-2.1.5 <ada@a.example>\r\n250-2.1.5 <bob@a.example>\r\n250 2.1.5 <x@c.example>"),
                ("EXPN <team@a.example>", "250-2.1.5 <ada@a.example>"),
                ("EXPN ada@a.example", "550 5.1.1"),
                ("EXPN nothing", "550 5.1.1"),
                ("ETRN a.example", "251 2.0.0 Ok, no messages are waiting"),
            ] {
                client.say(line, expected).await;
            }
        }
    })
    .await;
}
