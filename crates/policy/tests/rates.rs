//! How much may come in which time. The clock is the test's.

mod common;

use std::time::Duration;

use common::{Folder, start};

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[auth]
allow_plaintext = true
[store]
place = 'memory:test'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob']
";

const STRANGER: &str = "203.0.113.7";

fn rate(of: &str, per: &str, limit: &str, more: &str) -> String {
    format!("[[rate]]\nof = '{of}'\nper = '{per}'\nlimit = {limit}\nevery = '1m'\n{more}")
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_network_are_counted() {
    let folder = Folder::new();
    let text =
        format!("{FILE}{}[rates]\nipv4_prefix = 24\nipv6_prefix = 48\n", rate("connections", "network", "2", ""));
    let (server, _) = start(&text, &folder).await;
    for (near, far) in [("203.0.113.7", "203.0.114.7"), ("2001:db8:1:2::3", "2001:db8:2::3")] {
        for _ in 0..2 {
            server.connect(near).await.expect("220").await;
        }
        let neighbour = if near.contains(':') { "2001:db8:1:ffff::1" } else { "203.0.113.200" };
        let mut client = server.connect(neighbour).await;
        client.expect("421 Too many connections in too short a time; try again in 30 seconds").await;
        client.expect_end().await;
        server.connect(far).await.expect("220").await;
    }
    pass(29).await;
    server.connect(STRANGER).await.expect("421").await;
    pass(1).await;
    server.connect(STRANGER).await.expect("220").await;
    server.connect(STRANGER).await.expect("421").await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_counted_for_networks_senders_and_users() {
    let ada = ehlo_policy::hash_password("secret", 10).unwrap();
    let users = format!("[[user]]\nname = 'ada'\npassword = '{}'\n", ada.as_str().unwrap());
    for (per, same, other) in [
        ("network", (STRANGER, "a@x.example", false), ("203.0.113.8", "a@x.example", false)),
        ("sender", ("203.0.113.8", "A@X.example", false), (STRANGER, "b@x.example", false)),
        ("user", ("203.0.113.8", "b@x.example", true), (STRANGER, "a@x.example", false)),
    ] {
        let folder = Folder::new();
        let (server, _) = start(&format!("{FILE}{users}{}", rate("messages", per, "2", "")), &folder).await;
        let ask = async |(from, sender, authenticates): (&str, &str, bool), expected: &str| {
            let mut client = server.client(from).await;
            if authenticates {
                client.say("AUTH PLAIN AGFkYQBzZWNyZXQ=", "235").await;
            }
            client.say(&format!("MAIL FROM:<{sender}>"), expected).await;
        };
        for _ in 0..2 {
            ask((STRANGER, "a@x.example", per == "user"), "250").await;
        }
        ask(same, "450 4.7.1 Too many messages in too short a time; try again in 30 seconds").await;
        ask(other, "250").await;
        pass(30).await;
        ask(same, "250").await;
    }
}

#[tokio::test(start_paused = true)]
async fn reports_to_nobody_come_through_whatever_came_before() {
    let folder = Folder::new();
    let (server, _) = start(&format!("{FILE}{}", rate("messages", "sender", "1", "")), &folder).await;
    let mut client = server.client(STRANGER).await;
    for _ in 0..5 {
        client.send("", &["ada@a.example"], "x", "250").await;
    }
}

#[tokio::test(start_paused = true)]
async fn recipients_are_counted_and_guesses_are_too() {
    let folder = Folder::new();
    let (server, _) = start(&format!("{FILE}{}", rate("recipients", "network", "3", "")), &folder).await;
    let mut client = server.client(STRANGER).await;
    client.say("MAIL FROM:<x@y.example>", "250").await;
    client.say("RCPT TO:<ada@a.example>", "250").await;
    client.say("RCPT TO:<guess@a.example>", "550 5.1.1").await;
    client.say("RCPT TO:<another@a.example>", "550 5.1.1").await;
    client.say("RCPT TO:<bob@a.example>", "452 4.5.3 Too many recipients").await;
    client.data("x", "250").await;
    pass(20).await;
    client.say("MAIL FROM:<x@y.example>", "250").await;
    client.say("RCPT TO:<bob@a.example>", "250").await;
}

#[tokio::test(start_paused = true)]
async fn bytes_are_counted_at_the_end_and_asked_about_before() {
    let folder = Folder::new();
    let (server, _) = start(&format!("{FILE}{}", rate("bytes", "network", "6000", "burst = 1000\n")), &folder).await;
    let mut client = server.client(STRANGER).await;
    client.send("x@y.example", &["ada@a.example"], &"x".repeat(598), "250").await;
    client.say("MAIL FROM:<x@y.example> SIZE=401", "450 4.7.1 Too many bytes").await;
    client.say("MAIL FROM:<x@y.example> SIZE=400", "250").await;
    client.say("RSET", "250").await;
    // Who says nothing of the size may send it, and waits the longer.
    client.send("x@y.example", &["ada@a.example"], &"x".repeat(1998), "250").await;
    client.say("MAIL FROM:<x@y.example>", "450 4.7.1").await;
    pass(16).await;
    client.say("MAIL FROM:<x@y.example>", "450 4.7.1").await;
    pass(1).await;
    client.say("MAIL FROM:<x@y.example>", "250").await;
    client.say("RSET", "250").await;
    pass(20).await;
    // More than a bucket holds is taken of a full one.
    client.say("MAIL FROM:<x@y.example> SIZE=5000", "250").await;
}

#[tokio::test(start_paused = true)]
async fn the_reply_is_that_of_the_file() {
    for (reply, expected) in [(421, "421 4.7.0"), (450, "450 4.7.1"), (451, "451 4.7.1"), (452, "452 4.5.3")] {
        let folder = Folder::new();
        let more = format!("reply = {reply}\n");
        let (server, _) = start(&format!("{FILE}{}", rate("messages", "network", "1", &more)), &folder).await;
        let mut client = server.client(STRANGER).await;
        client.send("x@y.example", &["ada@a.example"], "x", "250").await;
        client.say("MAIL FROM:<x@y.example>", expected).await;
        if reply == 421 {
            client.expect_end().await;
        }
    }
}
