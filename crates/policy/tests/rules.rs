//! What rules do to a client that is connected: on a socket, and by a clock that leaps to the next thing that happens.

use std::time::Duration;

use ehlo_policy::{Ruled, Rules};
use ehlo_tokio::ehlo_server::Config;
use ehlo_tokio::store::Memory;
use ehlo_tokio::{AcceptAll, Server, Summary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

struct Running {
    address: std::net::SocketAddr,
    store: Memory,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Summary>,
}

async fn serve(rules: &str) -> Running {
    let rules = Rules::from_toml(rules).unwrap_or_else(|error| panic!("{rules}\n{error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, store) = (listener.local_addr().unwrap(), Memory::new(64 << 20));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder(Ruled::new(rules, AcceptAll(store.clone()))).config(Config::new("mx.test").unwrap());
    let server = tokio::spawn(server.serve(listener, async { stopped.await.unwrap_or(()) }));
    Running { address, store, stop, server }
}

impl Running {
    async fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, input: Vec::new() }
    }

    /// A client that was greeted and has said EHLO.
    async fn greeted(&self) -> Client {
        let mut client = self.client().await;
        client.expect("220").await;
        client.say("EHLO client.example", "250").await;
        client
    }

    /// One that was asked for its message.
    async fn in_data(&self) -> Client {
        let mut client = self.greeted().await;
        client.say("MAIL FROM:<ada@client.example>", "250").await;
        client.say("RCPT TO:<bob@mx.test>", "250").await;
        client.say("DATA", "354").await;
        client
    }

    fn stored(&self) -> usize {
        self.store.messages().len()
    }

    async fn stop(self) -> Summary {
        self.stop.send(()).unwrap();
        self.server.await.unwrap()
    }
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next reply; `Err` at the end, with its kind unless it is an orderly one.
    async fn reply(&mut self) -> Result<String, Option<std::io::ErrorKind>> {
        loop {
            let mut end = 0;
            for line in self.input.split_inclusive(|byte| *byte == b'\n') {
                end += line.len();
                if line.ends_with(b"\r\n") && line.get(3) != Some(&b'-') {
                    return Ok(String::from_utf8(self.input.drain(..end).collect()).unwrap());
                }
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(None),
                Ok(_) => {}
                Err(error) => return Err(Some(error.kind())),
            }
        }
    }

    async fn expect(&mut self, code: &str) -> String {
        let reply = self.reply().await.unwrap_or_else(|end| panic!("{code} was expected, and not the end: {end:?}"));
        assert!(reply.starts_with(code), "{code} was expected: {reply}");
        reply
    }

    async fn say(&mut self, line: &str, code: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.expect(code).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_late() {
    let server =
        serve("[[rule]]\nstage = \"rcpt\"\nrecipient = \"slow@\"\ndelay = \"3s\"\nreply = \"450 4.2.1 Wait\"").await;
    let mut client = server.greeted().await;
    client.say("MAIL FROM:<>", "250").await;
    let begin = Instant::now();
    client.say("RCPT TO:<quick@mx.test>", "250").await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(client.say("RCPT TO:<slow@mx.test>", "450").await, "450 4.2.1 Wait\r\n");
    assert!((3000..3100).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_delay_may_be_longer_than_an_answer_may_otherwise_take() {
    let server =
        serve("[[rule]]\nstage = \"connect\"\ndelay = \"1h\"\n[[rule]]\nstage = \"message\"\ndelay = \"15m\"").await;
    let begin = Instant::now();
    let mut client = server.in_data().await;
    assert!((3600..3602).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    client.say("x\r\n.", "250").await;
    assert!((4500..4502).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert_eq!(server.stored(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_during_a_delay_is_let_go_and_its_message_with_it() {
    let server = serve("[[rule]]\nstage = \"message\"\ndelay = \"10m\"").await;
    let mut client = server.in_data().await;
    let begin = Instant::now();
    client.send("x\r\n.\r\n").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    let store = server.store.clone();
    let summary = server.stop().await;
    assert_eq!((summary.messages, summary.aborted_messages, store.messages().len()), (0, 1, 0));
    assert!(begin.elapsed() < Duration::from_secs(600), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_can_end_before_a_reply_behind_it_or_by_a_reset() {
    for (what, reply, end) in [
        ("disconnect = \"before\"", None, None),
        ("reply = 550\ndisconnect = \"after\"", Some("550 "), None),
        ("reply = 421", Some("421 "), None),
        ("disconnect = \"after\"", Some("250 "), None),
        ("disconnect = \"reset\"", None, Some(std::io::ErrorKind::ConnectionReset)),
    ] {
        let server = serve(&format!("[[rule]]\nstage = \"rset\"\n{what}")).await;
        let mut client = server.greeted().await;
        // What was said before is answered first.
        client.send("NOOP\r\n").await;
        client.expect("250").await;
        client.send("RSET\r\n").await;
        if let Some(code) = reply {
            client.expect(code).await;
        }
        assert_eq!(client.reply().await, Err(end), "{what}");
    }
    let server = serve("[[rule]]\nstage = \"rset\"\nreply = 421\ndisconnect = \"never\"").await;
    let mut client = server.greeted().await;
    client.say("RSET", "421").await;
    client.say("NOOP", "250").await;
}

#[tokio::test]
async fn a_message_can_be_stored_although_its_client_never_knows_and_lost_although_it_was_told_otherwise() {
    for (what, reply, stored) in [
        ("disconnect = \"before\"\nobey = true", None, 1),
        ("disconnect = \"reset\"\nobey = true", None, 1),
        ("disconnect = \"before\"", None, 0),
        ("reply = \"451 4.3.0 No\"\nobey = true", Some("451"), 1),
        ("reply = \"451 4.3.0 No\"", Some("451"), 0),
        ("reply = \"250 2.0.0 Sure\"", Some("250"), 1),
        ("reply = \"250 2.0.0 Sure\"\nobey = false", Some("250"), 0),
        ("silent = true\nobey = true\ndisconnect = \"after\"", None, 1),
    ] {
        let server = serve(&format!("[[rule]]\nstage = \"message\"\n{what}")).await;
        let mut client = server.in_data().await;
        client.send("x\r\n.\r\n").await;
        match reply {
            Some(code) => drop(client.expect(code).await),
            None => assert!(client.reply().await.is_err(), "{what}"),
        }
        assert_eq!(server.stored(), stored, "{what}");
        drop(client);
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.refused_messages), (stored as u64, 1 - stored as u64), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_left_without_a_reply() {
    let server = serve("[[rule]]\nstage = \"noop\"\nsilent = true").await;
    let mut client = server.greeted().await;
    client.send("NOOP\r\n").await;
    let waited = tokio::time::timeout(Duration::from_secs(120), client.reply()).await;
    assert!(waited.is_err(), "{waited:?}");
    client.say("RSET", "250").await;
}

#[tokio::test(start_paused = true)]
async fn replies_can_drip() {
    let text = "x".repeat(400);
    let server = serve(&format!(
        "[[rule]]\nstage = \"noop\"\nreply = \"250 {text}\"\nrate = \"10/s\"\n[[rule]]\nstage = \"rset\"\nreply = 250"
    ))
    .await;
    let mut client = server.greeted().await;
    let begin = Instant::now();
    client.send("NOOP\r\n").await;
    let mut first = [0; 64];
    let length = client.stream.read(&mut first).await.unwrap();
    assert!(length < 5, "{length} octets came at once");
    client.input.extend_from_slice(&first[..length]);
    assert_eq!(client.expect("250").await.len(), 406);
    assert!((40..42).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    // The next one does not.
    let begin = Instant::now();
    client.say("RSET", "250").await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_is_slow_from_its_greeting_on() {
    let server = serve("[[rule]]\nstage = \"connect\"\nrate = \"20/s\"").await;
    let begin = Instant::now();
    let mut client = server.client().await;
    let mut octets = client.expect("220").await.len();
    octets += client.say("EHLO client.example", "250").await.len();
    for line in ["MAIL FROM:<>", "RCPT TO:<bob@mx.test>", "DATA"] {
        octets += client.say(line, "").await.len();
    }
    // Two hundred octets of message are twice as many.
    client.send(&format!("{}\r\n.\r\n", "x".repeat(198))).await;
    octets += client.expect("250").await.len() + 200;
    let seconds = begin.elapsed().as_secs_f64();
    assert!((seconds - octets as f64 / 20.0).abs() < 2.0, "{octets} octets in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_message_can_be_read_slowly_for_longer_than_a_sink_may_pause() {
    for stage in ["data", "bdat"] {
        let server = serve(&format!("[[rule]]\nstage = \"{stage}\"\nrate = \"100/s\"")).await;
        let mut client = server.greeted().await;
        client.say("MAIL FROM:<>", "250").await;
        client.say("RCPT TO:<bob@mx.test>", "250").await;
        let body = "0123456789012345678901234567890123456789012345678\r\n".repeat(400);
        let begin = Instant::now();
        if stage == "data" {
            client.say("DATA", "354").await;
            client.send(&format!("{body}.\r\n")).await;
        } else {
            client.send(&format!("BDAT {} LAST\r\n{body}", body.len())).await;
        }
        client.expect("250").await;
        assert!((200..210).contains(&begin.elapsed().as_secs()), "{stage}: {:?}", begin.elapsed());
        assert_eq!(server.store.messages()[0].body.len(), body.len());
        // The next message comes as ever.
        let begin = Instant::now();
        client.say("MAIL FROM:<>", "250").await;
        client.say("RCPT TO:<bob@mx.test>", "250").await;
        client.send("BDAT 2 LAST\r\n\r\n").await;
        client.expect("250").await;
        assert!(begin.elapsed() < Duration::from_secs(1) || stage == "bdat", "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_can_be_held_back_behind_354() {
    let server = serve("[[rule]]\nstage = \"data\"\nhold = \"90s\"").await;
    let mut client = server.greeted().await;
    client.say("MAIL FROM:<>", "250").await;
    client.say("RCPT TO:<bob@mx.test>", "250").await;
    let begin = Instant::now();
    client.say("DATA", "354").await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    client.send("x\r\n.\r\n").await;
    client.expect("250").await;
    assert!((90..91).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert_eq!(server.stored(), 1);
}

#[tokio::test]
async fn a_client_can_be_offered_what_the_rule_says() {
    let server = serve(
        "[[rule]]\nstage = \"ehlo\"\nreply = \"\"\"\n250 mx.test\nSIZE 10\nAUTH PLAIN XOAUTH2\n\"\"\"\n\
         [[rule]]\nstage = \"auth\"\nreply = \"235 2.7.0 Welcome\"",
    )
    .await;
    let mut client = server.client().await;
    client.expect("220").await;
    let reply = client.say("EHLO client.example", "250").await;
    assert_eq!(reply, "250-mx.test\r\n250-SIZE 10\r\n250 AUTH PLAIN XOAUTH2\r\n");
    assert_eq!(client.say("AUTH PLAIN AGEAYg==", "235").await, "235 2.7.0 Welcome\r\n");
    client.say("MAIL FROM:<>", "250").await;
}

#[tokio::test]
async fn rules_look_at_who_sends_and_what() {
    let server = serve(
        "[[rule]]\nstage = \"connect\"\nclient = \"192.0.2.0/24\"\nreply = 554\n\
         [[rule]]\nstage = \"hello\"\nhelo = \"*.bad.example\"\nreply = \"550 5.7.1 Not you\"\n\
         [[rule]]\nstage = \"mail\"\nsender = \"<>\"\nreply = \"550 5.7.2 No reports\"\n\
         [[rule]]\nstage = \"mail\"\nsize = \"1M..\"\nreply = \"552 5.3.4\"\n\
         [[rule]]\nstage = \"data\"\nsender = \"ada@\"\nrecipient = \"carl@mx.test\"\nreply = \"554 5.7.3 Not to Carl\"\n\
         [[rule]]\nstage = \"message\"\nsize = \"100..\"\nreply = \"552 5.3.5 At most 99\"\n\
         [[rule]]\nstage = \"unknown\"\nline = \"xclient name=*\"\nreply = \"220 Whoever you are\"\n\
         [[rule]]\nstage = \"vrfy\"\nrecipient = \"carl@\"\nreply = \"252 2.5.0 Perhaps\"\n\
         [[rule]]\nstage = \"any\"\nauthenticated = true\nreply = 550",
    )
    .await;
    let mut client = server.client().await;
    client.expect("220").await;
    client.say("EHLO very.BAD.example", "550 5.7.1 Not you").await;
    client.say("EHLO client.example", "250").await;
    client.say("MAIL FROM:<>", "550 5.7.2").await;
    client.say("MAIL FROM:<ada@a.example> SIZE=1048576", "552 5.3.4").await;
    client.say("MAIL FROM:<ada@a.example> SIZE=1048575", "250 2.1.0").await;
    client.say("RCPT TO:<bob@mx.test>", "250").await;
    client.say("RCPT TO:<carl@MX.test>", "250").await;
    client.say("DATA", "554 5.7.3").await;
    client.say("RSET", "250").await;
    client.say("MAIL FROM:<eve@a.example>", "250 2.1.0").await;
    client.say("RCPT TO:<carl@mx.test>", "250").await;
    client.say("DATA", "354").await;
    client.say(&format!("{}\r\n.", "x".repeat(98)), "552 5.3.5 At most 99").await;
    client.say("XCLIENT NAME=x", "220 Whoever").await;
    client.say("XCLIENT ADDR=x", "500").await;
    client.say("VRFY carl", "252 2.5.0 Perhaps").await;
    client.say("VRFY bob", "252 2.1.5").await;
}

#[tokio::test]
async fn a_second_attempt_at_a_greylisted_recipient_gets_through() {
    let server =
        serve("[[rule]]\nstage = \"rcpt\"\nper = [\"client\", \"sender\", \"recipient\"]\nfirst = 1\nreply = \"450 4.7.1 Later\"").await;
    for expected in ["450 4.7.1 Later", "250 2.1.5"] {
        let mut client = server.greeted().await;
        client.say("MAIL FROM:<ada@client.example>", "250").await;
        client.say("RCPT TO:<bob@mx.test>", expected).await;
    }
    let mut client = server.greeted().await;
    client.say("MAIL FROM:<eve@client.example>", "250").await;
    client.say("RCPT TO:<bob@mx.test>", "450 4.7.1 Later").await;
}

#[tokio::test]
async fn without_rules_nothing_is_asked() {
    let server = serve("").await;
    let mut client = server.in_data().await;
    client.say("x\r\n.", "250").await;
    assert_eq!(server.stored(), 1);
}
