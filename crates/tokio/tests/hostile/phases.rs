//! One client that is slow, in each phase of a session: no phase keeps a place for longer than its deadline, whatever drips in.

use std::time::Duration;

use crate::common::{Raw, Running, breathe, start};
use ehlo_tokio::auth::Users;
use ehlo_tokio::ehlo_server::{Config, TlsMode};
use ehlo_tokio::metrics::Metrics;
use ehlo_tokio::store::{Discard, Memory};
use ehlo_tokio::tls::TlsConfig;
use ehlo_tokio::{AcceptAll, Builder, Listener, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How often an octet drips in.
const DRIP: Duration = Duration::from_secs(20);

/// The beginning of a TLS record that announces a ClientHello of 508 octets.
const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn certificates() -> TlsConfig {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("ehlo-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("mx.pem"), folder.join("mx.key"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = TlsConfig::builder().pem_files(chain, key).build();
    std::fs::remove_dir_all(&folder).unwrap();
    tls.unwrap()
}

fn builder(metrics: &Metrics) -> Builder<AcceptAll<Discard>> {
    let mut config = Config::new("mx.example").unwrap();
    config.tls = TlsMode::StartTls;
    config.auth.allow_plaintext_auth = true;
    let mut users = Users::new().unwrap();
    users.add("ada", "correct horse").unwrap();
    Server::builder(AcceptAll(Discard)).config(config).tls(certificates()).authenticator(users).metrics(metrics.clone())
}

/// Lets one octet after the other of these drip in, from the beginning again and again, until the server closes the connection; gives how
/// long that took.
async fn drip(stream: &mut TcpStream, octets: &[u8]) -> Duration {
    let begin = Instant::now();
    let mut read = [0; 1024];
    for octet in octets.iter().cycle() {
        let next = tokio::time::sleep(DRIP);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = &mut next => break,
                length = stream.read(&mut read) => {
                    if matches!(length, Ok(0) | Err(_)) {
                        return begin.elapsed();
                    }
                }
            }
        }
        // An error is an end, which is read next.
        let _ = stream.write_all(&[*octet]).await;
        breathe().await;
        assert!(begin.elapsed() < Duration::from_secs(86_400), "it drips for ever");
    }
    unreachable!("a cycle has no end")
}

async fn say(client: &mut Raw, lines: &[(&str, u16)]) {
    for (line, code) in lines {
        client.say(line, *code).await;
    }
}

const BEGIN: &[(&str, u16)] = &[("MAIL FROM:<a@b>", 250), ("RCPT TO:<c@d>", 250)];

#[tokio::test(start_paused = true)]
async fn each_phase_has_a_deadline_that_no_drip_moves() {
    let metrics = Metrics::new();
    let server = start(builder(&metrics)).await;
    for (phase, dialogue, drips, seconds) in [
        ("nothing but a part of a line", &[][..], &b"EHLO example"[..], 300),
        ("a command behind EHLO", &[("EHLO c.example", 250)], b"NOOP x", 300),
        ("a sender", &[("EHLO c.example", 250)], b"MAIL FROM:<a", 300),
        ("a recipient", &[("EHLO c.example", 250), BEGIN[0]], b"RCPT TO:<a", 300),
        ("a response to AUTH", &[("EHLO c.example", 250), ("AUTH LOGIN", 334)], b"YWRh", 300),
        ("the handshake behind STARTTLS", &[("EHLO c.example", 250), ("STARTTLS", 220)], HELLO, 60),
        ("a message by DATA", &[("EHLO c.example", 250), BEGIN[0], BEGIN[1], ("DATA", 354)], b"x", 600),
    ] {
        let mut client = server.client().await;
        client.expect(220).await;
        say(&mut client, dialogue).await;
        let waited = drip(&mut client.stream, drips).await;
        assert!((seconds..seconds + 3).contains(&waited.as_secs()), "{phase}: {waited:?}");
    }
    // A chunk is announced, and answered when it is whole.
    let mut client = server.greeted().await;
    say(&mut client, BEGIN).await;
    client.send("BDAT 1000000\r\n").await;
    let waited = drip(&mut client.stream, b"x").await;
    assert!((600..603).contains(&waited.as_secs()), "{waited:?}");
    let page = metrics.render();
    for (reason, count) in [("command", 5), ("handshake", 1), ("body", 2)] {
        assert!(
            page.contains(&format!("ehlo_smtp_timeouts_total{{reason=\"{reason}\"}} {count}\n")),
            "{reason}: {page}"
        );
    }
    assert_eq!(server.stop().await.cut_off, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_at_the_very_beginning_has_the_same_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    let server = tokio::spawn(builder(&metrics).serve(Listener::implicit_tls(listener), std::future::pending()));
    for drips in [HELLO, b""] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // Without any drip it says nothing at all.
        let waited = if drips.is_empty() {
            let begin = Instant::now();
            let _ = stream.read(&mut [0; 1]).await;
            begin.elapsed()
        } else {
            drip(&mut stream, drips).await
        };
        assert!((60..63).contains(&waited.as_secs()), "{waited:?}");
    }
    server.abort();
}

/// Sends a small message every four minutes, which is neither idle nor slow.
async fn linger(server: &Running) -> Duration {
    let begin = Instant::now();
    let mut client = server.greeted().await;
    loop {
        tokio::time::sleep(Duration::from_secs(240)).await;
        client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n").await;
        loop {
            match client.reply().await {
                None => return begin.elapsed(),
                Some(reply) if reply == "250 2.0.0 Message accepted" => break,
                Some(reply) if reply.starts_with("421") => {
                    assert_eq!(reply, "421 4.4.2 Session has lasted for too long; go on over another connection");
                }
                Some(_) => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_everything_in_time_is_sent_away_after_two_hours() {
    let store = Memory::new(1 << 20);
    let server = start(Server::builder(AcceptAll(store.clone()))).await;
    let waited = linger(&server).await;
    assert!((7200..7203).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(store.messages().len(), 29);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_just_fast_enough_ends_with_its_session() {
    let metrics = Metrics::new();
    let server = start(builder(&metrics)).await;
    let mut client = server.greeted().await;
    say(&mut client, BEGIN).await;
    client.say("DATA", 354).await;
    let begin = Instant::now();
    let line = format!("{}\r\n", "x".repeat(998));
    let end = loop {
        tokio::select! {
            biased;
            reply = client.reply() => break reply,
            () = tokio::time::sleep(Duration::from_secs(8)) => {}
        }
        client.send(&line).await;
        breathe().await;
    };
    assert_eq!(end.unwrap(), "421 4.4.2 Session has lasted for too long; go on over another connection");
    assert!((7190..7203).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(metrics.render().contains("ehlo_smtp_messages_total{outcome=\"aborted\"} 1\n"));
}
