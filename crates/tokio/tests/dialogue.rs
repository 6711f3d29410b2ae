//! Dialogues over real sockets: whatever way the bytes are cut, the replies and messages are the same.

mod common;

use std::io;
use std::task::{Context, Poll};
use std::time::SystemTime;

use common::{start, start_memory, within};
use ehlo_tokio::client::{Client, SendError};
use ehlo_tokio::ehlo_client::codec::ReversePath;
use ehlo_tokio::ehlo_client::{BeginError, Envelope, Fate, Recipient, RecipientOutcome};
use ehlo_tokio::ehlo_server::Config;
use ehlo_tokio::ehlo_server::codec::{Priority, Reply};
use ehlo_tokio::store::{Memory, MemorySink, Store};
use ehlo_tokio::{AcceptAll, BodySink, Decision, Mail, MessageContext, Policy, Rcpt, Server, Workers, trace};

const DIALOGUE: &[u8] =
    b"HELO client.example\r\nMAIL FROM:<ada@client.example>\r\nRCPT TO:<bob@mx.example>\r\nFROB\r\nDATA\r\n\
    Subject: hi\r\n\r\n..dots\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nDATA\r\nQUIT\r\n";

const REPLIES: &str = "220 localhost ESMTP\r\n250 localhost\r\n250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n500 5.5.1 Command not recognized\r\n\
    354 Go ahead; end with <CRLF>.<CRLF>\r\n250 2.0.0 Message accepted\r\n250 2.0.0 Ok\r\n250 2.1.0 Sender ok\r\n\
    503 5.5.1 No recipient was accepted\r\n221 2.0.0 Bye\r\n";

#[tokio::test]
async fn every_cut_of_a_dialogue_gives_the_same_replies_and_message() {
    within(async {
        let (server, store) = start_memory().await;
        for cut in 0..=DIALOGUE.len() {
            let mut client = server.client().await;
            client.send(&DIALOGUE[..cut]).await;
            common::breathe().await;
            client.send(&DIALOGUE[cut..]).await;
            assert_eq!(client.rest().await, REPLIES, "cut at {cut}");
            let messages = store.take();
            assert_eq!(messages.len(), 1, "cut at {cut}");
            assert_eq!(messages[0].body, b"Subject: hi\r\n\r\n.dots\r\n", "cut at {cut}");
            assert_eq!(
                (messages[0].from.as_str(), &messages[0].to[..]),
                ("ada@client.example", &["bob@mx.example".to_owned()][..])
            );
        }
    })
    .await;
}

#[tokio::test]
async fn one_byte_at_a_time_gives_the_same_replies_and_message() {
    within(async {
        let (server, store) = start_memory().await;
        let mut client = server.client().await;
        for byte in DIALOGUE {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.rest().await, REPLIES);
        assert_eq!(store.messages()[0].body, b"Subject: hi\r\n\r\n.dots\r\n");
    })
    .await;
}

#[tokio::test]
async fn tiny_reads_give_the_same_replies_and_message() {
    within(async {
        for read_chunk in [1, 2, 3, 7, 100] {
            let store = Memory::new(1 << 20);
            let mut config = Config::new("localhost").unwrap();
            config.limits.read_chunk = read_chunk;
            let server = start(Server::builder(AcceptAll(store.clone())).config(config)).await;
            let mut client = server.client().await;
            client.send(DIALOGUE).await;
            assert_eq!(client.rest().await, REPLIES, "reads of {read_chunk}");
            assert_eq!(store.messages()[0].body, b"Subject: hi\r\n\r\n.dots\r\n");
        }
    })
    .await;
}

struct OneRecipient(Memory);

impl Policy for OneRecipient {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        match rcpt.to.as_str() {
            "later@mx.example" => Decision::Defer(Reply::fixed(450, Some((4, 2, 1)), "Greylisted")),
            "never@mx.example" => Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such user")),
            "forwarded@mx.example" => Decision::AcceptWith(Reply::fixed(251, Some((2, 1, 5)), "Will forward")),
            _ => Decision::Accept,
        }
    }
}

#[tokio::test]
async fn the_client_tells_what_became_of_each_recipient() {
    within(async {
        let store = Memory::new(16 << 20);
        let server = start(Server::builder(OneRecipient(store.clone()))).await;
        let mut client = Client::connect(server.address).await.unwrap();
        let (from, _) = ReversePath::parse_prefix(b"<ada@client.example>").unwrap();
        let to: Vec<_> = ["<bob@mx.example>", "<later@mx.example>", "<never@mx.example>", "<forwarded@mx.example>"]
            .iter()
            .map(|path| Recipient::parse(path).unwrap())
            .collect();
        let report = client.send(&Envelope::new(from, &to), b"Subject: x\r\n\r\n.\r\n..\r\nno line end").await.unwrap();
        let told: Vec<String> = report.iter().map(|fate| fate.to_string()).collect();
        assert!(told[0].starts_with("accepted: 250 2.0.0 "), "{}", told[0]);
        assert_eq!(told[1..3], ["deferred: 450 4.2.1 Greylisted", "refused: 550 5.1.1 No such user"]);
        assert_eq!(told[3], told[0]);
        assert_eq!(report.accepted(), 2);
        // By BDAT, as it is.
        assert_eq!(store.messages()[0].body, b"Subject: x\r\n\r\n.\r\n..\r\nno line end");
        assert_eq!(store.messages()[0].to, ["bob@mx.example", "forwarded@mx.example"]);
        // The same connection takes the next message, and one larger than all buffers.
        let large = b"0123456789abcdef\r\n".repeat(500_000);
        assert!(client.send(&Envelope::new(from, &to[..1]), &large).await.unwrap().all_accepted());
        assert!(store.take()[1].body == large);
        client.quit().await.unwrap();
        let summary = server.stop().await;
        assert_eq!((summary.connections, summary.messages), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_not_begun() {
    within(async {
        let store = Memory::new(1 << 20);
        let mut config = Config::new("localhost").unwrap();
        config.limits.message_size = 100_000;
        let server = start(Server::builder(AcceptAll(store.clone())).config(config)).await;
        let mut client = Client::connect(server.address).await.unwrap();
        let to = [Recipient::parse("bob@mx.example").unwrap()];
        let envelope = Envelope::new(ReversePath::Null, &to);
        assert!(matches!(client.send(&envelope, b"a\nb\r\n").await, Err(SendError::LineEnding(_))));
        let report = client.send(&envelope, &b"x\r\n".repeat(50_000)).await.unwrap();
        assert_eq!(report.get(0), Some(Fate::Impossible(BeginError::TooLarge { limit: 100_000 })));
        // Without a declared size the server says so, after the end or in between.
        assert!(client.begin(&envelope).await.unwrap().is_none());
        let mut refused = None;
        for _ in 0..50 {
            if refused.is_none() {
                refused = client.write(&b"x\r\n".repeat(1000)).await.unwrap();
            }
        }
        let outcome = match refused {
            Some(outcome) => outcome,
            None => client.finish().await.unwrap(),
        };
        assert_eq!(outcome.refused, 1);
        let [RecipientOutcome::Refused { code, .. }] = client.recipients() else { panic!("{:?}", client.recipients()) };
        assert_eq!(code.get(), 552);
        assert!(client.send(&envelope, b"x\r\n").await.unwrap().all_accepted());
        assert_eq!(store.messages().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_no_smtp_server_is_named_so() {
    within(async {
        for (greeting, words) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not an SMTP reply"),
            (b"", "closed the connection"),
            (b"554 no service\r\n", "refused the session with 554"),
            (b"421 too busy\r\n", "421"),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let peer = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, greeting).await.unwrap();
            });
            let error = Client::connect(address).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            peer.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn workers_share_the_connections_and_stop_with_the_server() {
    within(async {
        let store = Memory::new(1 << 20);
        let workers = Workers::new(std::num::NonZeroUsize::new(2).unwrap()).unwrap();
        let server = start(Server::builder(AcceptAll(store.clone())).workers(workers)).await;
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(server.greeted().await);
        }
        for mut client in clients {
            client.send("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n").await;
            for code in [250, 250, 354, 250, 221] {
                client.expect(code).await;
            }
            client.expect_end().await;
        }
        let mut idle = server.greeted().await;
        let summary = server.stop().await;
        assert_eq!((summary.connections, summary.messages, summary.cut_off), (11, 10, 0));
        idle.expect(421).await;
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_says_nothing_tells_nobody_who_is_on_a_list_and_starts_no_queue() {
    within(async {
        let mut config = Config::new("localhost").unwrap();
        (config.expn, config.etrn) = (true, true);
        let server = start(Server::builder(AcceptAll(Memory::new(1 << 20))).config(config)).await;
        let mut client = server.client().await;
        client.send(b"HELO client.example\r\nVRFY bob\r\nEXPN list\r\nETRN client.example\r\nQUIT\r\n").await;
        let replies = client.rest().await;
        let codes: Vec<&str> = replies.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["220", "250", "252", "252", "459", "221"], "{replies}");
    })
    .await;
}

/// Grants up to 4, and keeps messages with their trace field.
struct Traced(Memory);

struct TracedSink(MemorySink);

impl Policy for Traced {
    type Sink = TracedSink;

    fn sink(&self) -> TracedSink {
        TracedSink(self.0.sink())
    }

    fn mail(&self, mail: &Mail<'_>) -> Decision {
        mail.params
            .priority()
            .map_or(Decision::Accept, |asked| Decision::AcceptWithPriority(asked.min(Priority::new(4).unwrap())))
    }
}

impl BodySink for TracedSink {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        self.0.begin(message)?;
        let mut field = Vec::new();
        trace::received(message, "4XyZ", SystemTime::UNIX_EPOCH, &mut field);
        assert!(self.0.poll_write(&mut Context::from_waker(std::task::Waker::noop()), &field).is_ready());
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_commit(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        self.0.poll_commit(cx)
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn the_priority_that_was_granted_stands_in_the_trace_field() {
    within(async {
        let store = Memory::new(1 << 20);
        let mut config = Config::new("localhost").unwrap();
        config.mt_priority = true;
        let server = start(Server::builder(Traced(store.clone())).config(config)).await;
        for (parameter, clause) in
            [(" MT-PRIORITY=9", " PRIORITY 4;"), (" MT-PRIORITY=-3", " PRIORITY -3;"), ("", "4XyZ;")]
        {
            let mut client = server.greeted().await;
            client
                .send(format!("MAIL FROM:<>{parameter}\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n"))
                .await;
            for code in [250, 250, 250, 354, 250] {
                client.expect(code).await;
            }
            let body = String::from_utf8(store.take()[0].body.clone()).unwrap();
            assert!(body.contains(clause) && body.contains("PRIORITY") != parameter.is_empty(), "{body}");
        }
    })
    .await;
}
