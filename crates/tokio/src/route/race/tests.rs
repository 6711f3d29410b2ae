use super::super::fake::Behaviour::{Accepts, Refuses, Silent};
use super::super::fake::{Behaviour, Network};
use super::*;

const STAGGER: Duration = Duration::from_millis(250);
const EACH: Duration = Duration::from_secs(30);

/// Races the addresses; gives who won and when, and when each was tried.
async fn run(hosts: &[(&str, Behaviour)]) -> (Option<(String, u64)>, Vec<(u64, String)>, Vec<String>, usize) {
    let network = Network::new(hosts);
    let all = hosts.iter().map(|(ip, _)| SocketAddr::new(ip.parse().unwrap(), 25));
    let mut addresses: VecDeque<SocketAddr> = all.collect();
    let mut failed = Vec::new();
    let won = race(&network, &mut addresses, STAGGER, EACH, |address, _| failed.push(address));
    // In virtual time, so that a race that never ends is a test that fails.
    let won = timeout(Duration::from_secs(3600), won).await.unwrap();
    let mut left: Vec<SocketAddr> = addresses.into();
    assert!(failed.iter().all(|address| !left.contains(address)), "what failed is not tried again");
    let result = won.as_ref().map(|(address, _)| (address.ip().to_string(), network.elapsed()));
    left.retain(|address| won.as_ref().is_none_or(|(won, _)| won != address));
    let left = left.iter().map(|address| address.ip().to_string()).collect();
    let open = network.open();
    (result, network.log(), left, open)
}

fn log(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries.iter().map(|(at, ip)| (*at, (*ip).to_owned())).collect()
}

fn winner(ip: &str, at: u64) -> Option<(String, u64)> {
    Some((ip.to_owned(), at))
}

#[tokio::test(start_paused = true)]
async fn the_next_address_is_tried_when_the_one_before_has_not_answered_in_a_moment() {
    let (won, tried, left, open) =
        run(&[("2001:db8::1", Silent), ("192.0.2.1", Accepts(20)), ("192.0.2.2", Accepts(0))]).await;
    assert_eq!(won, winner("192.0.2.1", 270));
    assert_eq!(tried, log(&[(0, "2001:db8::1"), (250, "192.0.2.1")]));
    assert_eq!(left, ["2001:db8::1", "192.0.2.2"], "what was given up may be tried again");
    assert_eq!(open, 1, "the attempt that lost is given up");
}

#[tokio::test(start_paused = true)]
async fn the_next_address_is_tried_at_once_when_the_one_before_fails() {
    let (won, tried, ..) =
        run(&[("2001:db8::1", Refuses(10)), ("192.0.2.1", Refuses(5)), ("192.0.2.2", Accepts(100))]).await;
    assert_eq!(won, winner("192.0.2.2", 115));
    assert_eq!(tried, log(&[(0, "2001:db8::1"), (10, "192.0.2.1"), (15, "192.0.2.2")]));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_answers_late_still_wins() {
    let (won, tried, left, open) =
        run(&[("2001:db8::1", Accepts(300)), ("192.0.2.1", Accepts(400)), ("192.0.2.2", Silent)]).await;
    assert_eq!(won, winner("2001:db8::1", 300));
    assert_eq!(tried, log(&[(0, "2001:db8::1"), (250, "192.0.2.1")]));
    assert_eq!((left.len(), open), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_answer_at_a_time_the_first_wins() {
    let (won, .., open) = run(&[("2001:db8::1", Accepts(350)), ("192.0.2.1", Accepts(100))]).await;
    assert_eq!((won, open), (winner("2001:db8::1", 350), 1));
}

#[tokio::test(start_paused = true)]
async fn each_address_has_its_time_and_no_more() {
    let (won, tried, left, open) = run(&[("2001:db8::1", Silent), ("192.0.2.1", Silent)]).await;
    assert_eq!((won, left.len(), open), (None, 0, 0));
    assert_eq!(tried, log(&[(0, "2001:db8::1"), (250, "192.0.2.1")]));
    let (won, tried, ..) = run(&[]).await;
    assert_eq!((won, tried.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn attempts_follow_each_other_by_the_same_time_after_one_has_failed() {
    let (won, tried, ..) =
        run(&[("2001:db8::1", Silent), ("192.0.2.1", Refuses(10)), ("192.0.2.2", Silent), ("192.0.2.3", Accepts(1))])
            .await;
    assert_eq!(won, winner("192.0.2.3", 511));
    assert_eq!(tried, log(&[(0, "2001:db8::1"), (250, "192.0.2.1"), (260, "192.0.2.2"), (510, "192.0.2.3")]));
}
