//! Who may send what where: never an open relay.

mod common;

use common::{Folder, start, within};

/// `correct horse` for ada, with few iterations.
fn verifier() -> String {
    ehlo_policy::hash_password("correct horse", 10).unwrap().as_str().unwrap().to_owned()
}

fn file(more: &str) -> String {
    format!(
        "{more}
[server]
hostname = 'mx.here.example'
postmaster = 'ada@here.example'
[auth]
allow_plaintext = true
[[user]]
name = 'ada'
password = '{}'
[store]
place = 'memory:test'
[[domain]]
name = 'here.example'
mailboxes = ['ada', 'odd%but@mine']
[[domain]]
name = 'all.example'
catch_all = 'any'
mailboxes = ['any']
[[domain]]
name = '[192.0.2.25]'
mailboxes = ['ada']
[[domain]]
name = 'null.example'
takes_no_mail = true
[[moved]]
address = 'fwd@here.example'
to = 'new@partner.example'
forward = true
[[route]]
domain = 'partner.example'
place = 'memory:test'
[[route]]
domain = '*.below.example'
place = 'memory:test'
[[route]]
domain = 'second.example'
place = 'memory:test'
open = true
",
        verifier()
    )
}

/// Who asks, and what each kind of recipient is told by whom.
const ROWS: &[(&str, [&str; 3])] = &[
    // recipient, then: a stranger, one of a network that may relay, one who has authenticated
    ("ada@here.example", ["250", "250", "250"]),
    ("ADA+tag@HERE.example", ["250", "250", "250"]),
    ("Postmaster", ["250", "250", "250"]),
    ("postmaster@here.example", ["250", "250", "250"]),
    ("ada@[192.0.2.25]", ["250", "250", "250"]),
    ("ada@[IPv6:::ffff:192.0.2.25]", ["250", "250", "250"]),
    ("eve@here.example", ["550 5.1.1", "550 5.1.1", "550 5.1.1"]),
    ("x@all.example", ["250", "250", "250"]),
    ("fwd@here.example", ["251 2.1.5", "251 2.1.5", "251 2.1.5"]),
    ("x@null.example", ["556 5.1.10", "556 5.1.10", "556 5.1.10"]),
    // With a route.
    ("x@partner.example", ["530 5.7.0", "250", "250"]),
    ("x@PARTNER.example", ["530 5.7.0", "250", "250"]),
    ("x@a.below.example", ["530 5.7.0", "250", "250"]),
    ("x@b.a.below.example", ["530 5.7.0", "250", "250"]),
    ("x@second.example", ["250", "250", "250"]),
    // Without one: nobody may, for nothing would take it.
    ("x@below.example", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    ("x@sub.partner.example", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    ("x@notpartner.example", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    ("x@elsewhere.example", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    ("x@[203.0.113.9]", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    // A source route is dropped, and what is left counts (RFC 5321 §3.6.1, appendix C).
    ("@here.example:x@elsewhere.example", ["530 5.7.0", "550 5.4.4", "550 5.4.4"]),
    ("@here.example,@all.example:x@partner.example", ["530 5.7.0", "250", "250"]),
    ("@elsewhere.example:ada@here.example", ["250", "250", "250"]),
    // What a local part says of other hosts is not followed, not even into a catch-all, and not for those who may relay.
    ("x%elsewhere.example@here.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("x%partner.example@all.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("ada%here.example@here.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("elsewhere.example!x@here.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("a!b!x@all.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("\"x@elsewhere.example\"@here.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("\"x@elsewhere.example\"@all.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("\"x\\@elsewhere.example\"@all.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("\"@here.example:x@elsewhere.example\"@all.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("x%elsewhere.example@[192.0.2.25]", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    ("ada+x%elsewhere.example@here.example", ["550 5.7.1", "550 5.7.1", "550 5.7.1"]),
    // A mailbox may have any name that it is given.
    ("\"odd%but@mine\"@here.example", ["250", "250", "250"]),
    ("\"a\\da\"@here.example", ["250", "250", "250"]),
    // No addresses at all.
    ("x@elsewhere.example@here.example", ["501", "501", "501"]),
    ("x@here.example,y@elsewhere.example", ["501", "501", "501"]),
    ("", ["501", "501", "501"]),
];

/// What each client does before it sends mail.
#[derive(Clone, Copy)]
enum Kind {
    Stranger,
    Ours,
    Authenticated,
}

#[tokio::test]
async fn who_may_send_what_where() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(&file("relay.networks = ['198.51.100.0/24', '2001:db8:5::/48']"), &folder).await;
        let clients = [
            ("203.0.113.7", Kind::Stranger, 0),
            ("198.51.101.1", Kind::Stranger, 0),
            ("2001:db8:6::1", Kind::Stranger, 0),
            ("198.51.100.255", Kind::Ours, 1),
            ("2001:db8:5:ffff::1", Kind::Ours, 1),
            ("203.0.113.7", Kind::Authenticated, 2),
        ];
        let mut checked = 0;
        for (from, kind, column) in clients {
            // The sender proves nothing: not one of ours, and not the null one.
            for sender in ["x@elsewhere.example", "ada@here.example", ""] {
                for (to, expected) in ROWS {
                    let mut client = server.client(from).await;
                    if let Kind::Authenticated = kind {
                        // NUL ada NUL correct horse
                        client.say("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl", "235").await;
                    }
                    client.say(&format!("MAIL FROM:<{sender}>"), "250").await;
                    let reply = client.say(&format!("RCPT TO:<{to}>"), "").await;
                    assert!(reply.starts_with(expected[column]), "{to} by {from}: {reply}, not {}", expected[column]);
                    checked += 1;
                    if reply.starts_with("25") {
                        client.data("Subject: x\r\n\r\ny", "250").await;
                        let taken = memory.take();
                        assert_eq!(taken.len(), 1, "{to} by {from}: what is accepted has a place");
                    } else {
                        client.say("DATA", "503").await;
                    }
                    client.say("QUIT", "221").await;
                }
            }
        }
        assert_eq!(checked, clients.len() * 3 * ROWS.len());
    })
    .await;
}

#[tokio::test]
async fn mail_that_is_accepted_goes_to_the_address_that_was_meant() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(&file("relay.networks = ['198.51.100.0/24']"), &folder).await;
        for (to, meant) in [
            ("ADA+tag@HERE.example", "ada@here.example"),
            ("Postmaster", "ada@here.example"),
            ("who@all.example", "any@all.example"),
            ("fwd@here.example", "new@partner.example"),
            ("@here.example:X@partner.example", "X@partner.example"),
            ("\"odd%but@mine\"@here.example", "\"odd%but@mine\"@here.example"),
            ("ada@[IPv6:::ffff:192.0.2.25]", "ada@[192.0.2.25]"),
        ] {
            let mut client = server.client("198.51.100.1").await;
            client.send("a@b.example", &[to], "x", "250").await;
            let taken = memory.take();
            assert_eq!(taken[0].to, [meant], "{to}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_told_what_the_file_says() {
    within(async {
        for (denied, expected) in [
            ("550", "550 5.7.1"),
            ("554", "554 5.7.1"),
            ("530", "530 5.7.0"),
            ("450", "450 4.7.1"),
            ("451", "451 4.7.1"),
        ] {
            let folder = Folder::new();
            let (server, _) = start(&file(&format!("relay.denied = {denied}")), &folder).await;
            let mut client = server.client("203.0.113.7").await;
            client.say("MAIL FROM:<a@b.example>", "250").await;
            client.say("RCPT TO:<x@partner.example>", expected).await;
        }
        // Without users, nobody is asked to authenticate; and those who may not by authentication are not, either.
        let folder = Folder::new();
        let alone = "server.postmaster = 'a@here.example'\nstore.place = 'discard'\n[[domain]]\nname = 'here.example'\nmailboxes = ['a']\n";
        let (server, _) = start(alone, &folder).await;
        let mut client = server.client("203.0.113.7").await;
        client.say("MAIL FROM:<a@b.example>", "250").await;
        client.say("RCPT TO:<x@partner.example>", "550 5.7.1 Relaying denied").await;
        let folder = Folder::new();
        let (server, _) = start(&file("relay.authenticated = false"), &folder).await;
        let mut client = server.client("203.0.113.7").await;
        client.say("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl", "235").await;
        client.say("MAIL FROM:<a@b.example>", "250").await;
        client.say("RCPT TO:<x@partner.example>", "550 5.7.1 Relaying denied").await;
    })
    .await;
}

#[tokio::test]
async fn an_address_relays_while_it_is_granted_and_not_longer() {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};
    within(async {
        let folder = Folder::new();
        let time = Arc::new(Mutex::new(SystemTime::now()));
        let clock = {
            let time = Arc::clone(&time);
            move || *time.lock().unwrap()
        };
        let text = file("grants.file = 'grants'\nrelay.denied = 530\nrelay.authenticated = false");
        let (server, memory) = common::start_with(&text, &folder, |builder| builder.wall_clock(clock)).await;
        let ask = async |from: &str, expected: &str| {
            let mut client = server.client(from).await;
            client.say("MAIL FROM:<a@b.example>", "250").await;
            client.say("RCPT TO:<x@partner.example>", expected).await;
            client
        };
        let _ = ask("203.0.113.7", "530 5.7.0").await;
        let begin = SystemTime::now();
        let grants = folder.0.join("grants");
        ehlo_policy::grant(&grants, "203.0.113.7".parse().unwrap(), Duration::from_secs(1800), begin).unwrap();
        // The file is looked at again a moment later.
        tokio::time::sleep(Duration::from_millis(600)).await;
        ask("203.0.113.7", "250").await.data("x", "250").await;
        assert_eq!(memory.take().len(), 1);
        let _ = ask("203.0.113.8", "530 5.7.0").await;
        *time.lock().unwrap() = begin + Duration::from_secs(1799);
        let _ = ask("203.0.113.7", "250").await;
        *time.lock().unwrap() = begin + Duration::from_secs(1801);
        let _ = ask("203.0.113.7", "530 5.7.0").await;
        // Whatever is written there, it is no more than that.
        *time.lock().unwrap() = begin;
        std::fs::write(&grants, "0.0.0.0/0 99999999999\n* 99999999999\n203.0.113.9 99999999999\n203.0.113.10\n")
            .unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        for from in ["203.0.113.7", "203.0.113.9", "203.0.113.10"] {
            let _ = ask(from, "530 5.7.0").await;
        }
    })
    .await;
}
