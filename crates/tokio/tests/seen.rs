//! What is logged of connections, and what is counted.

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{SlowStore, breathe, start, until, within};
use ehlo_tokio::auth::Users;
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, Questions};
use ehlo_tokio::metrics::{Endpoint, Metrics};
use ehlo_tokio::store::{Discard, Memory, MemorySink, Store as _};
use ehlo_tokio::{AcceptAll, ConnectionLimits, Decision, Hello, LogLimits, Policy, Rcpt, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Logs in JSON, until the guard is dropped.
    fn json(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(log.clone())
            .json()
            .flatten_event(true)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines that say this.
    fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == message).collect()
    }
}

/// A span of a line, by its name.
fn span<'l>(line: &'l Value, name: &str) -> &'l Value {
    let spans = line["spans"].as_array().unwrap();
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name} in {line}"))
}

const MESSAGE: &str = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nsecret words\r\n.\r\n";

#[tokio::test]
async fn a_message_and_a_connection_are_a_line_each() {
    within(async {
        let (log, _guard) = Log::json(Level::INFO);
        let server = start(Server::builder(AcceptAll(Memory::new(1 << 20)))).await;
        let mut client = server.greeted().await;
        client
            .send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nsecret words\r\n.\r\nBLURB\r\n")
            .await;
        for code in [250, 250, 250, 354, 250, 500] {
            client.expect(code).await;
        }
        client.say("MAIL FROM:<>", 250).await;
        client.say("RCPT TO:<c@d>", 250).await;
        client.say("DATA", 354).await;
        client.send("bare\nline end\r\n.\r\n").await;
        client.expect(550).await;
        client.say("QUIT", 221).await;
        client.expect_end().await;
        let peer = client.stream.local_addr().unwrap().to_string();
        server.stop().await;

        let lines = log.lines("message accepted");
        let [line] = &lines[..] else { panic!("{}", log.text()) };
        assert_eq!((&line["size"], &line["reply"], &line["enhanced"]), (&14.into(), &250.into(), &"2.0.0".into()));
        assert!(line["duration_ms"].is_u64(), "{line}");
        let (connection, transaction) = (span(line, "connection"), span(line, "transaction"));
        assert_eq!((&connection["id"], &connection["peer"]), (&1.into(), &peer.as_str().into()));
        for (field, value) in [
            ("helo", "client.example".into()),
            ("sender", "<a@b>".into()),
            ("to", "<c@d> <e@f>".into()),
            ("recipients", Value::from(2)),
        ] {
            assert_eq!(transaction[field], value, "{transaction}");
        }
        let lines = log.lines("message refused");
        let [line] = &lines[..] else { panic!("{}", log.text()) };
        assert_eq!(
            (&line["reason"], &line["reply"], &line["enhanced"]),
            (&"bare_line_end".into(), &550.into(), &"5.6.0".into())
        );
        let transaction = span(line, "transaction");
        assert_eq!((&transaction["sender"], &transaction["number"]), (&"<>".into(), &2.into()));

        let lines = log.lines("closed");
        let [line] = &lines[..] else { panic!("{}", log.text()) };
        assert_eq!(span(line, "connection")["id"], 1);
        for (field, value) in
            [("reason", Value::from("quit")), ("commands", 10.into()), ("errors", 2.into()), ("messages", 2.into())]
        {
            assert_eq!(line[field], value, "{line}");
        }
        assert_eq!(log.text().lines().count(), 4, "and one that it shuts down: {}", log.text());
    })
    .await;
}

/// Refuses one recipient, and logs by itself what it is asked.
#[derive(Clone)]
struct Talkative(Memory);

impl Policy for Talkative {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::HELLO | Questions::RCPT
    }

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn hello(&self, _: &Hello<'_>) -> Decision {
        tracing::info!("asked");
        Decision::later(async {
            tracing::info!("decided");
            Decision::Accept
        })
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        match rcpt.to.as_str() {
            "no@mx.example" => Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such user")),
            _ => Decision::Accept,
        }
    }
}

#[tokio::test]
async fn what_a_policy_refuses_is_told_and_what_it_logs_stands_in_the_span() {
    within(async {
        let (log, _guard) = Log::json(Level::INFO);
        let server = start(Server::builder(Talkative(Memory::new(1 << 20)))).await;
        let mut client = server.greeted().await;
        client.say("MAIL FROM:<a@b>", 250).await;
        client.say("RCPT TO:<no@mx.example>", 550).await;
        client.say("QUIT", 221).await;
        client.expect_end().await;
        for message in ["asked", "decided"] {
            let lines = log.lines(message);
            assert_eq!(lines.len(), 1);
            assert_eq!(span(&lines[0], "connection")["id"], 1);
        }
        let lines = log.lines("refused");
        let [line] = &lines[..] else { panic!("{}", log.text()) };
        for (field, value) in [
            ("stage", Value::from("rcpt")),
            ("helo", "client.example".into()),
            ("sender", "<a@b>".into()),
            ("recipient", "no@mx.example".into()),
            ("reply", 550.into()),
            ("enhanced", "5.1.1".into()),
        ] {
            assert_eq!(line[field], value, "{line}");
        }
    })
    .await;
}

#[tokio::test]
async fn neither_secrets_nor_messages_are_logged_at_any_level() {
    within(async {
        let (log, _guard) = Log::json(Level::TRACE);
        let mut config = Config::new("mx.example").unwrap();
        config.auth.allow_plaintext_auth = true;
        let mut users = Users::new().unwrap();
        users.add("ada", "correct horse").unwrap();
        let builder = Server::builder(AcceptAll(Memory::new(1 << 20))).config(config).authenticator(users);
        let server = start(builder).await;
        let mut client = server.greeted().await;
        // A wrong password, a right one, one in the place of the name, and what is no response.
        client.say("AUTH PLAIN AGFkYQB3cm9uZyBwb255", 535).await;
        client.say("AUTH LOGIN", 334).await;
        client.say("d3JvbmcgcG9ueQ==", 334).await;
        client.say("d3JvbmcgcG9ueQ==", 535).await;
        client.say("AUTH PLAIN", 334).await;
        client.say("d3JvbmcgcG9ueQ", 501).await;
        client.say("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl", 235).await;
        client.send(MESSAGE).await;
        for code in [250, 250, 354, 250] {
            client.expect(code).await;
        }
        client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 12\r\nsecret words").await;
        for code in [250, 250, 250] {
            client.expect(code).await;
        }
        client.say("QUIT", 221).await;
        let text = log.text();
        assert_eq!(log.lines("authentication failed").len(), 2, "{text}");
        assert_eq!(log.lines("authenticated")[0]["identity"], "ada");
        assert_eq!(log.lines("message given up").len(), 1);
        for secret in ["secret words", "wrong pony", "correct horse", "d3JvbmcgcG9ueQ", "AGFkYQ", "Y29ycmVjdCBob3JzZ"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_client_calls_itself_is_escaped_and_cut() {
    within(async {
        let (log, _guard) = Log::json(Level::INFO);
        let server = start(Server::builder(AcceptAll(Discard))).await;
        let mut client = server.client().await;
        client.expect(220).await;
        let label = "x".repeat(60);
        client.say(&format!("EHLO {label}.{label}.{label}.example"), 250).await;
        client
            .send("MAIL FROM:<\u{202e}gnp@b.example> SMTPUTF8\r\nRCPT TO:<\"a\\\"b c\"@d>\r\nDATA\r\nx\r\n.\r\n")
            .await;
        for code in [250, 250, 354, 250] {
            client.expect(code).await;
        }
        drop(client);
        until(|| !log.lines("closed").is_empty()).await;
        let line = &log.lines("message accepted")[0];
        let transaction = span(line, "transaction");
        assert_eq!(transaction["sender"], "<\\u{202e}gnp@b.example>");
        assert_eq!(transaction["to"], "<\"a\\\"b c\"@d>");
        let helo = transaction["helo"].as_str().unwrap();
        assert!(helo.len() == 128 + 3 && helo.ends_with("..."), "{helo}");
        assert!(log.text().is_ascii());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_peer_causes_so_many_lines_and_is_told_of_in_one() {
    let (log, _guard) = Log::json(Level::INFO);
    let limits = LogLimits::default().lines(10);
    let metrics = Metrics::new();
    let server = start(Server::builder(AcceptAll(Discard)).log_limits(limits).metrics(metrics.clone())).await;
    for _ in 0..4 {
        let mut client = server.greeted().await;
        for _ in 0..10 {
            client.send(MESSAGE).await;
            for code in [250, 250, 354, 250] {
                client.expect(code).await;
            }
        }
        client.say("QUIT", 221).await;
        client.expect_end().await;
    }
    breathe().await;
    assert_eq!(log.text().lines().count(), 10, "{}", log.text());
    assert!(metrics.render().contains("ehlo_smtp_log_lines_left_out_total 34\n"));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let lines = log.lines("log lines of this peer were left out");
    let [line] = &lines[..] else { panic!("{}", log.text()) };
    assert_eq!((&line["peer"], &line["lines"]), (&"127.0.0.1".into(), &34.into()));
    let mut client = server.greeted().await;
    client.say("QUIT", 221).await;
    client.expect_end().await;
    assert_eq!(log.lines("closed").len(), 1, "and the next minute has lines of its own");
}

/// The page, as a scraper gets it.
async fn scrape(address: std::net::SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), body.len());
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn the_metrics_tell_what_happened_and_what_is() {
    within(async {
        let metrics = Metrics::new();
        let endpoint = Endpoint::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), metrics.clone());
        let address = endpoint.local_addr().unwrap();
        tokio::spawn(endpoint.serve());
        let store = SlowStore::new();
        store.valve.let_through(1000);
        let limits = ConnectionLimits::default().total(3);
        let builder = Server::builder(AcceptAll(store.clone())).limits(limits).metrics(metrics.clone());
        let server = start(builder).await;
        let mut client = server.greeted().await;
        client.send(MESSAGE).await;
        for code in [250, 250, 354] {
            client.expect(code).await;
        }
        until(|| metrics.render().contains("ehlo_smtp_questions_open{question=\"commit\"} 1\n")).await;
        store.valve.let_commit();
        client.expect(250).await;
        client.say("BLURB", 500).await;
        client.say("NOOP", 250).await;
        let (_one, _two) = (server.greeted().await, server.greeted().await);
        assert!(server.client().await.rest().await.starts_with("421"));
        let (head, page) = scrape(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
        for line in [
            "smtp_connections_total 3",
            "smtp_connections_open 3",
            "smtp_connections_limit 3",
            "smtp_connections_refused_total{limit=\"total\"} 1",
            "smtp_commands_total{verb=\"MAIL\"} 1",
            "smtp_commands_total{verb=\"NOOP\"} 1",
            "smtp_commands_total{verb=\"other\"} 1",
            "smtp_replies_total{code=\"220\"} 3",
            "smtp_replies_total{code=\"250\"} 7",
            "smtp_replies_total{code=\"354\"} 1",
            "smtp_replies_total{code=\"500\"} 1",
            "smtp_questions_open{question=\"commit\"} 0",
            "smtp_messages_total{outcome=\"accepted\"} 1",
            "smtp_message_bytes_total 14",
            "smtp_stressed 1",
        ] {
            assert!(page.contains(&format!("ehlo_{line}\n")), "{line} is not in\n{page}");
        }
        let sent: u64 =
            page.lines().find_map(|line| line.strip_prefix("ehlo_smtp_sent_bytes_total ")).unwrap().parse().unwrap();
        assert!(sent > 500, "{sent}");
        let received = format!("ehlo_smtp_received_bytes_total {}\n", 3 * 21 + MESSAGE.len() + 7 + 6);
        assert!(page.contains(&received), "{received} is not in\n{page}");
    })
    .await;
}

/// What the text format demands (version 0.0.4): each family with its HELP and TYPE, once; each sample behind them; counters in `_total`.
#[test]
fn the_page_has_the_format() {
    let page = Metrics::new().render();
    let (mut families, mut family) = (Vec::new(), (String::new(), String::new()));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!families.contains(&name.to_owned()), "{name} is there twice");
            assert!(help.ends_with('.') && !help.contains('\\'), "{help}");
            families.push(name.to_owned());
            family = (name.to_owned(), String::new());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family.0);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(["counter", "gauge"].contains(&kind));
            kind.clone_into(&mut family.1);
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            assert!(name == family.0 && !family.1.is_empty(), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            value.parse::<u64>().unwrap();
            if let Some(labels) = sample.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                let (label, value) =
                    labels.strip_prefix('{').unwrap().strip_suffix("\"}").unwrap().split_once("=\"").unwrap();
                assert!(!label.is_empty() && !value.contains(['"', '\\', '\n']), "{labels}");
            }
        }
    }
    assert!(page.ends_with('\n') && families.len() > 20, "{families:?}");
}

#[tokio::test]
async fn the_endpoint_knows_one_page_and_one_method() {
    within(async {
        let endpoint = Endpoint::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), Metrics::new());
        let address = endpoint.local_addr().unwrap();
        tokio::spawn(endpoint.serve());
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "404 "),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_owned(), "405 "),
            ("EHLO x\r\n\r\n".to_owned(), "400 "),
            (format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)), "431 "),
            ("GET /metrics HTTP/1.0\r\n\r\n".to_owned(), "200 "),
        ] {
            let (head, _) = scrape(address, &request).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_given_up_and_others_get_their_answer() {
    let endpoint = Endpoint::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), Metrics::new());
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(endpoint.serve());
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
        slow.push(stream);
    }
    let begin = tokio::time::Instant::now();
    // Eight are served at a time.
    scrape(address, "GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!((20..31).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    for stream in &mut slow {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
}
