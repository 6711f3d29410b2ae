//! Messages that are forwarded to an LMTP server: one that is played by hand, and our own.

mod common;

use std::time::Duration;

use common::{Raw, Running, start, within};
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, Protocol};
use ehlo_tokio::store::{Lmtp, LmtpAddress, Memory, MemorySink, Store};
use ehlo_tokio::{AcceptAll, Decision, Policy, Rcpt, Server};
use tokio::net::{TcpListener, UnixListener};

fn config(protocol: Protocol) -> Config {
    let mut config = Config::new("mx.example").unwrap();
    config.protocol = protocol;
    config
}

/// A server that forwards to that address.
async fn forwarder(address: LmtpAddress, protocol: Protocol) -> Running {
    let store = Lmtp::new(address, "mx.example").unwrap();
    start(Server::builder(AcceptAll(store)).config(config(protocol))).await
}

/// A client that has named sender and recipients, and of whom DATA was taken.
async fn envelope(server: &Running, hello: &str, recipients: &[&str]) -> Raw {
    let mut client = server.client().await;
    client.expect(220).await;
    client.say(&format!("{hello} client.example"), 250).await;
    again(&mut client, recipients).await;
    client
}

async fn again(client: &mut Raw, recipients: &[&str]) {
    client.say("MAIL FROM:<ada@client.example>", 250).await;
    for to in recipients {
        client.say(&format!("RCPT TO:<{to}@mx.example>"), 250).await;
    }
    client.say("DATA", 354).await;
}

/// An LMTP server that is played by hand.
struct Agent {
    listener: TcpListener,
}

impl Agent {
    async fn new() -> (Self, LmtpAddress) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        (Self { listener }, address)
    }

    /// The next connection, up to its LHLO.
    async fn accept(&self, keywords: &[&str]) -> Raw {
        let mut agent = Raw::over(self.listener.accept().await.unwrap().0);
        agent.send("220 agent LMTP\r\n").await;
        assert_eq!(agent.line().await, "LHLO mx.example");
        agent.send("250-agent\r\n").await;
        for keyword in keywords {
            agent.send(format!("250-{keyword}\r\n")).await;
        }
        agent.send("250 PIPELINING\r\n").await;
        agent
    }
}

#[tokio::test]
async fn a_message_is_acknowledged_when_the_agent_has_taken_it_and_not_before() {
    within(async {
        let (agent, address) = Agent::new().await;
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob"]).await;
        client.send("Subject: x\r\n\r\n..dot\r\n.\r\n").await;
        let mut agent = agent.accept(&["8BITMIME"]).await;
        assert_eq!(agent.line().await, "MAIL FROM:<ada@client.example> BODY=8BITMIME");
        assert_eq!(agent.line().await, "RCPT TO:<bob@mx.example>");
        assert_eq!(agent.line().await, "DATA");
        agent.send("250 ok\r\n250 ok\r\n354 go\r\n").await;
        let message = agent.message().await;
        let (fields, body) = message.split_at(message.find("Subject").unwrap());
        assert_eq!(body, "Subject: x\r\n\r\n..dot\r\n");
        assert!(
            fields.starts_with("Received: from client.example ([127.0.0.1])\r\n\tby mx.example with ESMTP id <"),
            "{fields}"
        );
        assert!(!fields.contains("Return-Path"), "that is for who delivers it: {fields}");
        assert!(tokio::time::timeout(Duration::from_millis(100), client.reply()).await.is_err(), "it is not taken yet");
        agent.send("250 2.0.0 delivered\r\n").await;
        client.expect(250).await;
        assert_eq!(agent.line().await, "QUIT");
        client.say("QUIT", 221).await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_recipient_before_the_message_keeps_it_from_everybody() {
    within(async {
        let (agent, address) = Agent::new().await;
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob", "no", "full"]).await;
        client.send("x\r\n.\r\n").await;
        let mut agent = agent.accept(&[]).await;
        for _ in 0..5 {
            agent.line().await;
        }
        agent.send("250 ok\r\n250 ok\r\n550 5.1.1 <no> is not known\r\n452 4.2.2 full\r\n354 go\r\n").await;
        // It hears of no end of the message.
        assert_eq!(agent.rest().await, "");
        let reply = client.expect(550).await;
        assert_eq!(reply, "550 5.1.1 no@mx.example: <no> is not known");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_behind_the_message_is_passed_on_with_how_many_have_it() {
    within(async {
        let (agent, address) = Agent::new().await;
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob", "full", "carol"]).await;
        client.send("x\r\n.\r\n").await;
        let mut agent = agent.accept(&[]).await;
        for _ in 0..5 {
            agent.line().await;
        }
        agent.send("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n").await;
        agent.message().await;
        agent.send("250 ok\r\n421 4.2.2 mailbox\x1b full\r\n").await;
        // Under LMTP the third one has a reply of its own, which does not come.
        drop(agent);
        // Not 421, which would end this connection, too.
        let reply = client.expect(451).await;
        assert_eq!(reply, "451-4.2.2 1 of 3 recipients have got it\r\n451 4.2.2 full@mx.example: mailbox? full");
        client.say("NOOP", 250).await;
    })
    .await;
}

#[tokio::test]
async fn under_lmtp_each_recipient_gets_the_answer_of_the_agent() {
    within(async {
        let (agent, address) = Agent::new().await;
        let server = forwarder(address, Protocol::Lmtp).await;
        let mut client = envelope(&server, "LHLO", &["bob", "no", "full"]).await;
        client.send("x\r\n.\r\n").await;
        let mut agent = agent.accept(&[]).await;
        for _ in 0..5 {
            agent.line().await;
        }
        agent.send("250 ok\r\n250 ok\r\n550 5.1.1 who\r\n250 ok\r\n354 go\r\n").await;
        agent.message().await;
        agent.send("250 ok\r\n452 4.2.2 full\r\n").await;
        client.expect(250).await;
        assert_eq!(client.expect(550).await, "550 5.1.1 who");
        assert_eq!(client.expect(452).await, "452 4.2.2 full");
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_not_there_breaks_off_or_raves_defers_the_message() {
    within(async {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let server = forwarder(nobody.parse().unwrap(), Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob"]).await;
        client.send("x\r\n.\r\n").await;
        assert!(client.expect(451).await.starts_with("451 4.4.1 "));
        for (dialogue, enhanced) in [
            (&["554 go away\r\n"][..], "4.3.2"),
            (&["220 hi\r\n", "502 what\r\n"], "4.3.2"),
            (&["220 hi\r\n", "250 ok\r\n", ""], "4.4.2"),
            (&["220 hi\r\n", "250 ok\r\n", "354 ?\r\n"], "4.5.0"),
            (&["220 hi\r\n", "nonsense\r\n"], "4.5.0"),
            (&["220 hi\r\n", "250-agent\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", ""], "4.4.2"),
        ] {
            let (agent, address) = Agent::new().await;
            let server = forwarder(address, Protocol::Smtp).await;
            let mut client = envelope(&server, "EHLO", &["bob"]).await;
            client.send("x\r\n.\r\n").await;
            let mut agent = Raw::over(agent.listener.accept().await.unwrap().0);
            for (i, words) in dialogue.iter().enumerate() {
                if i > 0 {
                    agent.line().await;
                }
                if !words.is_empty() {
                    agent.send(words).await;
                }
            }
            drop(agent);
            let reply = client.expect(451).await;
            assert!(reply.starts_with(&format!("451 {enhanced} ")), "{dialogue:?}: {reply}");
            // The connection goes on.
            client.say("RSET", 250).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_agent_does_not_take_is_refused() {
    within(async {
        for (keywords, parameters, body, reply) in [
            (&["SIZE 1000"][..], " SIZE=2000", "x", "552 5.3.4"),
            (&[], " BODY=8BITMIME", "x", "554 5.6.3"),
            (&[], "", "\u{e4}", "554 5.6.3"),
            (&["8BITMIME"], " SMTPUTF8", "x", "550 5.6.7"),
        ] {
            let (agent, address) = Agent::new().await;
            let server = forwarder(address, Protocol::Smtp).await;
            let mut client = server.greeted().await;
            client.say(&format!("MAIL FROM:<a@client.example>{parameters}"), 250).await;
            client.say("RCPT TO:<b@mx.example>", 250).await;
            client.say("DATA", 354).await;
            client.send(format!("{body}\r\n.\r\n")).await;
            let mut agent = agent.accept(keywords).await;
            if body == "\u{e4}" {
                for _ in 0..3 {
                    agent.line().await;
                }
                agent.send("250 ok\r\n250 ok\r\n354 go\r\n").await;
            }
            let said = client.expect(reply[..3].parse().unwrap()).await;
            assert!(said.starts_with(reply), "{said}");
            assert_eq!(agent.rest().await, "");
        }
    })
    .await;
}

/// Refuses recipients whose name begins with `no`.
struct Choosy(Memory);

impl Policy for Choosy {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        const NO: Reply = Reply::fixed(550, Some((5, 1, 1)), "No such user");
        if rcpt.to.as_str().starts_with("no") { Decision::Reject(NO) } else { Decision::Accept }
    }
}

/// Our own server as the agent.
async fn agent() -> (Running, Memory, LmtpAddress) {
    let memory = Memory::new(64 << 20);
    let agent = start(Server::builder(Choosy(memory.clone())).config(config(Protocol::Lmtp))).await;
    let address = agent.address.to_string().parse().unwrap();
    (agent, memory, address)
}

#[tokio::test]
async fn large_messages_and_many_of_them_arrive_unaltered() {
    within(async {
        let (_agent, memory, address) = agent().await;
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = server.greeted().await;
        let mut bodies = Vec::new();
        for lines in [0, 1, 2_000, 60_000, 3] {
            let body: String = (0..lines).map(|i| format!(".{i} \u{e4}\r\n")).collect();
            client.say("MAIL FROM:<a@client.example> BODY=8BITMIME", 250).await;
            client.say("RCPT TO:<b@mx.example>", 250).await;
            client.send(format!("BDAT {} LAST\r\n{body}", body.len())).await;
            client.expect(250).await;
            bodies.push(body);
        }
        let stored = memory.messages();
        assert_eq!(stored.len(), bodies.len());
        for (message, body) in stored.iter().zip(&bodies) {
            assert_eq!((&*message.from, &*message.to), ("a@client.example", &["b@mx.example".to_owned()][..]));
            assert!(message.body.starts_with(b"Received: from client.example"));
            assert!(message.body.ends_with(format!("+0000\r\n{body}").as_bytes()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_broken_off_message_reaches_nobody_and_an_unknown_recipient_keeps_it_from_all() {
    within(async {
        let (agent, memory, address) = agent().await;
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob"]).await;
        client.send("x".repeat(70).to_owned() + "\r\n").await;
        client.send(("x".repeat(70) + "\r\n").repeat(5_000)).await;
        // It has come to the agent in part.
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.reset();
        let mut client = envelope(&server, "EHLO", &["bob", "nobody"]).await;
        client.send("x\r\n.\r\n").await;
        assert_eq!(client.expect(550).await, "550 5.1.1 nobody@mx.example: No such user");
        again(&mut client, &["nobody"]).await;
        client.send("x\r\n.\r\n").await;
        assert_eq!(client.expect(550).await, "550 5.1.1 No such user");
        server.stop().await;
        let summary = agent.stop().await;
        assert_eq!((summary.messages, memory.messages().len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn connections_to_the_agent_are_bounded_and_the_rest_waits() {
    within(async {
        let (agent, address) = Agent::new().await;
        let client_config = ehlo_client::Config::new("mx.example").unwrap();
        let store = Lmtp::with(address, client_config, 2);
        let server = start(Server::builder(AcceptAll(store))).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = envelope(&server, "EHLO", &["bob"]).await;
            client.send("x\r\n.\r\n").await;
            clients.push(client);
        }
        for round in [2, 2, 1] {
            let mut agents = Vec::new();
            for _ in 0..round {
                agents.push(agent.accept(&[]).await);
            }
            let more = tokio::time::timeout(Duration::from_millis(50), agent.listener.accept()).await;
            assert!(more.is_err(), "there are no more than two");
            for mut agent in agents {
                for _ in 0..3 {
                    agent.line().await;
                }
                agent.send("250 ok\r\n250 ok\r\n354 go\r\n").await;
                agent.message().await;
                agent.send("250 ok\r\n").await;
                assert_eq!(agent.line().await, "QUIT");
                agent.send("221 bye\r\n").await;
            }
        }
        for client in &mut clients {
            client.expect(250).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_agent_may_listen_in_the_file_system() {
    within(async {
        let folder = std::env::temp_dir().join(format!("ehlo-lmtp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("lmtp");
        let listener = UnixListener::bind(&path).unwrap();
        let address: LmtpAddress = format!("unix:{}", path.display()).parse().unwrap();
        let server = forwarder(address, Protocol::Smtp).await;
        let mut client = envelope(&server, "EHLO", &["bob"]).await;
        client.send("x\r\n.\r\n").await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut seen, mut expected) = (Vec::new(), ["", "LHLO ", "DATA\r\n", "\r\n.\r\n", "QUIT\r\n"].iter());
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        for words in [
            "220 hi\r\n",
            "250-agent\r\n250 PIPELINING\r\n",
            "250 ok\r\n250 ok\r\n354 go\r\n",
            "250 ok\r\n",
            "221 bye\r\n",
        ] {
            let wanted = expected.next().unwrap();
            while !String::from_utf8_lossy(&seen).contains(wanted) {
                assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
            }
            stream.write_all(words.as_bytes()).await.unwrap();
        }
        client.expect(250).await;
        std::fs::remove_dir_all(folder).unwrap();
    })
    .await;
}
