//! One client that is fast: it is sent away after so many octets or commands, and makes the server keep little.

use crate::common::{Raw, Running, start, within};
use ehlo_tokio::auth::Users;
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, Questions};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, DiscardSink, Store as _};
use ehlo_tokio::{AcceptAll, Decision, Policy, Rcpt, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Sends all that, whether it is wanted or not, and gives the replies.
async fn flood(mut client: Raw, dialogue: Vec<u8>) -> Vec<String> {
    let (mut read, mut write) = client.stream.split();
    let mut replies = Vec::new();
    let send = async {
        // The server closes before the end.
        let _ = write.write_all(&dialogue).await;
        let _ = write.shutdown().await;
    };
    let hear = async {
        let _ = read.read_to_end(&mut replies).await;
    };
    tokio::join!(send, hear);
    String::from_utf8(replies).unwrap().lines().map(str::to_owned).collect()
}

fn count(replies: &[String], code: &str) -> usize {
    replies.iter().filter(|reply| reply.starts_with(code)).count()
}

/// What the metrics say of memory that is held.
fn held(metrics: &Metrics) -> u64 {
    let page = metrics.render();
    let line = page.lines().find_map(|line| line.strip_prefix("ehlo_smtp_held_bytes ")).unwrap();
    line.parse().unwrap()
}

async fn server(change: impl FnOnce(&mut Config)) -> (Running, Metrics) {
    let mut config = Config::new("mx.example").unwrap();
    change(&mut config);
    let metrics = Metrics::new();
    (start(Server::builder(AcceptAll(Discard)).config(config).metrics(metrics.clone())).await, metrics)
}

#[tokio::test]
async fn a_line_of_a_mebibyte_is_not_kept_and_not_read_to_its_end() {
    within(async {
        let (server, metrics) = server(|_| {}).await;
        let replies = flood(server.greeted().await, vec![b'x'; 1 << 20]).await;
        assert_eq!(replies, ["421 4.5.0 Line without end, closing"]);
        assert_eq!(held(&metrics), 0);
    })
    .await;
}

#[tokio::test]
async fn a_hundred_thousand_recipients_are_a_thousand_and_an_end() {
    within(async {
        let (server, metrics) = server(|_| {}).await;
        let mut dialogue = b"MAIL FROM:<a@b>\r\n".to_vec();
        (0..100_000).for_each(|n| dialogue.extend(format!("RCPT TO:<r{n}@mx.example>\r\n").bytes()));
        let replies = flood(server.greeted().await, dialogue).await;
        // A batch may run into the limit as long as it is itself, and no longer.
        assert_eq!((count(&replies, "250 2.1.5"), count(&replies, "452 4.5.3")), (1000, 1021));
        assert_eq!(replies.last().unwrap(), "421 4.7.0 Too many errors, closing");
        assert_eq!(server.stop().await.cut_off, 0);
        assert_eq!(held(&metrics), 0);
    })
    .await;
}

/// Knows nobody.
struct Nobody;

impl Policy for Nobody {
    type Sink = DiscardSink;

    fn questions(&self) -> Questions {
        Questions::RCPT
    }

    fn sink(&self) -> DiscardSink {
        Discard.sink()
    }

    fn rcpt(&self, _: &Rcpt<'_>) -> Decision {
        Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such user"))
    }
}

#[tokio::test]
async fn a_harvest_of_addresses_ends_behind_a_batch() {
    within(async {
        let server = start(Server::builder(Nobody)).await;
        let mut dialogue = b"MAIL FROM:<a@b>\r\n".to_vec();
        (0..100_000).for_each(|n| dialogue.extend(format!("RCPT TO:<r{n}@mx.example>\r\n").bytes()));
        let replies = flood(server.greeted().await, dialogue).await;
        assert_eq!(count(&replies, "550 5.1.1"), 1021);
        assert_eq!(replies.last().unwrap(), "421 4.7.0 Too many errors, closing");
    })
    .await;
}

#[tokio::test]
async fn etrn_again_and_again_is_an_end_after_a_hundred() {
    within(async {
        let (server, _) = server(|config| config.etrn = true).await;
        let replies = flood(server.greeted().await, b"ETRN mx.example\r\n".repeat(100_000)).await;
        // EHLO was one of the hundred, and the last one is not obeyed.
        assert_eq!((count(&replies, "459"), replies.len()), (98, 99));
        assert_eq!(replies[98], "421 4.7.0 Too many commands without a message, closing");
    })
    .await;
}

#[tokio::test]
async fn auth_without_end_ends_at_a_line_and_after_five_exchanges() {
    within(async {
        let mut config = Config::new("mx.example").unwrap();
        config.auth.allow_plaintext_auth = true;
        let mut users = Users::new().unwrap();
        users.add("ada", "correct horse").unwrap();
        let metrics = Metrics::new();
        let builder = Server::builder(AcceptAll(Discard)).config(config).authenticator(users).metrics(metrics.clone());
        let server = start(builder).await;
        // A line that is too long is one exchange, and one without end the end.
        let mut long = b"AUTH LOGIN\r\n".to_vec();
        long.extend([b'x'; 100_000]);
        long.extend(b"\r\nNOOP\r\n");
        let replies = flood(server.greeted().await, long).await;
        let heads: Vec<&str> = replies.iter().map(|reply| &reply[..4]).collect();
        assert_eq!(heads, ["334 ", "500 ", "250 "], "{replies:?}");
        let replies = flood(server.greeted().await, [&b"AUTH PLAIN "[..], &vec![b'x'; 1 << 20]].concat()).await;
        assert_eq!(replies, ["421 4.5.0 Line without end, closing"]);
        let replies = flood(server.greeted().await, b"AUTH PLAIN AGFkYQBndWVzcw==\r\n".repeat(10_000)).await;
        assert_eq!(count(&replies, "535"), 5);
        assert_eq!(replies.last().unwrap(), "421 4.7.0 Too many failed authentications, closing");
        assert_eq!(held(&metrics), 0);
        let page = metrics.render();
        assert!(page.contains("ehlo_smtp_authentications_total{result=\"failed\"} 5\n"), "{page}");
    })
    .await;
}

#[tokio::test]
async fn a_message_far_beyond_the_limit_is_not_read_to_its_end() {
    within(async {
        let (server, metrics) = server(|config| {
            config.limits.message_size = 1 << 20;
            config.limits.refused_body = 1 << 20;
        })
        .await;
        let mut dialogue = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n".to_vec();
        dialogue.extend(format!("{}\r\n", "x".repeat(998)).repeat(16 * 1024).bytes());
        let replies = flood(server.greeted().await, dialogue).await;
        assert_eq!(replies.last().unwrap(), "421 4.3.0 Message far beyond the size limit, closing");
        let page = metrics.render();
        let read = page.lines().find_map(|line| line.strip_prefix("ehlo_smtp_received_bytes_total ")).unwrap();
        assert!(read.parse::<u64>().unwrap() < 3 << 20, "{read}");
    })
    .await;
}
