//! Many clients: what they can take from the others.

use std::time::Duration;

use crate::common::{Raw, SlowStore, breathe, start, within};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, Memory};
use ehlo_tokio::{AcceptAll, ConnectionLimits, Server};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A value on the page of the metrics.
fn value(metrics: &Metrics, name: &str) -> u64 {
    let page = metrics.render();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

async fn deliver(client: &mut Raw) {
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n").await;
    for code in [250, 250, 354, 250] {
        client.expect(code).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_costs_no_task() {
    within(async {
        let metrics = Metrics::new();
        let limits = ConnectionLimits::default().total(4).per_address(3);
        let server = start(Server::builder(AcceptAll(Discard)).limits(limits).metrics(metrics.clone())).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(server.greeted().await);
        }
        let tasks = Handle::current().metrics().num_alive_tasks();
        for _ in 0..200 {
            let client = server.client().await;
            assert!(client.rest().await.starts_with("421 localhost 4.7.0 "));
            assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
        }
        assert_eq!(value(&metrics, "ehlo_smtp_connections_refused_total{limit=\"address\"}"), 200);
        assert_eq!(value(&metrics, "ehlo_smtp_connections_open"), 3);
        deliver(&mut clients[0]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_clients_get_little_time_once_places_run_out() {
    let metrics = Metrics::new();
    let limits = ConnectionLimits::default().total(20);
    let server = start(Server::builder(AcceptAll(Discard)).limits(limits).metrics(metrics.clone())).await;
    let mut good = server.greeted().await;
    let mut idle = Vec::new();
    for _ in 0..15 {
        idle.push(server.greeted().await);
    }
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(value(&metrics, "ehlo_smtp_stressed"), 0);
    assert_eq!(value(&metrics, "ehlo_smtp_connections_open"), 16);
    deliver(&mut good).await;
    // The seventeenth of twenty.
    idle.push(server.greeted().await);
    assert_eq!(value(&metrics, "ehlo_smtp_stressed"), 1);
    let begin = Instant::now();
    for client in &mut idle {
        assert_eq!(client.expect(421).await, "421 4.4.2 Idle for too long, closing");
        client.expect_end().await;
    }
    assert!((9..12).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    // One that is at work goes on, and one that comes has the usual time again.
    let mut late = server.greeted().await;
    assert_eq!(value(&metrics, "ehlo_smtp_stressed"), 0);
    tokio::time::sleep(Duration::from_secs(250)).await;
    deliver(&mut late).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_works_under_stress_is_not_sent_away() {
    let limits = ConnectionLimits::default().total(10);
    let server = start(Server::builder(AcceptAll(Discard)).limits(limits)).await;
    let mut clients = Vec::new();
    for _ in 0..9 {
        clients.push(server.greeted().await);
    }
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        for client in &mut clients {
            deliver(client).await;
        }
    }
}

/// Recipients whose addresses take about so many octets.
fn recipients(octets: usize) -> String {
    let one = format!("RCPT TO:<{}@{d}.{d}.{}.example>\r\n", "l".repeat(60), "d".repeat(50), d = "d".repeat(63));
    one.repeat(octets / (one.len() - "RCPT TO:\r\n".len()))
}

#[tokio::test(start_paused = true)]
async fn memory_is_shared_and_who_sits_on_it_makes_room() {
    let store = Memory::new(1 << 20);
    let metrics = Metrics::new();
    let limits = ConnectionLimits::default().memory(1 << 20);
    let builder = Server::builder(AcceptAll(store.clone())).limits(limits).metrics(metrics.clone());
    let server = start(builder).await;
    let mut hoarders = Vec::new();
    for _ in 0..12 {
        let mut client = server.greeted().await;
        client.say("MAIL FROM:<a@b>", 250).await;
        // As much as an envelope may have.
        let text = recipients(240 * 1024);
        client.send(&text).await;
        for _ in 0..text.lines().count() {
            if client.expect(250).await.is_empty() {
                break;
            }
        }
        hoarders.push(client);
        breathe().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(value(&metrics, "ehlo_smtp_held_bytes") <= 1 << 20);
    }
    let shed = value(&metrics, "ehlo_smtp_sessions_shed_total");
    assert!((8..=9).contains(&shed), "{shed}");
    // Those that came first were idle the longest.
    let last = hoarders.split_off(usize::try_from(shed).unwrap());
    for mut client in hoarders {
        assert_eq!(client.expect(421).await, "421 4.3.2 Short of memory, try again later");
        client.expect_end().await;
    }
    for mut client in last {
        client.say("NOOP", 250).await;
        client.send("DATA\r\nx\r\n.\r\n").await;
        client.expect(354).await;
        client.expect(250).await;
    }
    // It is given back with the transaction, but for room for as many replies as there were.
    assert!(value(&metrics, "ehlo_smtp_held_bytes") <= 4 * 16 * 1024);
    let mut good = server.greeted().await;
    deliver(&mut good).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_being_stored_is_not_lost_for_want_of_memory() {
    let store = SlowStore::new();
    store.valve.let_through(1000);
    let limits = ConnectionLimits::default().memory(600 * 1024);
    let server = start(Server::builder(AcceptAll(store.clone())).limits(limits)).await;
    let mut committing = server.greeted().await;
    committing.say("MAIL FROM:<a@b>", 250).await;
    let text = recipients(100 * 1024);
    committing.send(&text).await;
    for _ in 0..text.lines().count() {
        committing.expect(250).await;
    }
    committing.say("DATA", 354).await;
    committing.send("x\r\n.\r\n").await;
    breathe().await;
    for _ in 0..4 {
        let mut other = server.greeted().await;
        other.say("MAIL FROM:<a@b>", 250).await;
        other.send(recipients(200 * 1024)).await;
        breathe().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        std::mem::forget(other);
    }
    store.valve.let_commit();
    committing.expect(250).await;
    committing.expect(421).await;
    committing.expect_end().await;
    assert_eq!(store.memory.messages().len(), 1);
}
