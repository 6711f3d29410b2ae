//! LMTP and chunks through the driver: a sink that answers for each recipient, one that does not, and one that fails within a chunk.

mod common;

use std::io;
use std::task::{Context, Poll};

use common::{SlowStore, start, within};
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, Protocol};
use ehlo_tokio::store::{Memory, Store};
use ehlo_tokio::{AcceptAll, BodySink, Commit, MessageContext, Server};

fn lmtp() -> Config {
    let mut config = Config::new("mx.example").unwrap();
    config.protocol = Protocol::Lmtp;
    config
}

/// Takes a message for each recipient whose name has no `no` in it. Has room for ten octets.
#[derive(Clone, Default)]
struct Apart {
    answers: Vec<Result<Option<Reply>, Reply>>,
    room: usize,
}

impl Store for Apart {
    type Sink = Self;

    fn sink(&self) -> Self {
        self.clone()
    }
}

impl BodySink for Apart {
    fn begin(&mut self, message: &MessageContext<'_>) -> Result<(), Reply> {
        assert_eq!(message.protocol, Protocol::Lmtp);
        const FULL: Reply = Reply::fixed(452, Some((4, 2, 2)), "Mailbox full");
        self.room = 10;
        let recipients = message.envelope.recipients();
        self.answers =
            recipients.map(|to| if to.path.as_str().contains("no") { Err(FULL) } else { Ok(None) }).collect();
        Ok(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(room) = self.room.checked_sub(bytes.len()) else {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        };
        self.room = room;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        panic!("it is asked for an answer for each")
    }

    fn poll_commit_each(&mut self, _: &mut Context<'_>) -> Poll<Commit> {
        Poll::Ready(Commit::Each(std::mem::take(&mut self.answers)))
    }

    fn abort(&mut self) {
        self.answers.clear();
    }
}

#[tokio::test]
async fn a_sink_may_answer_for_each_recipient() {
    within(async {
        let server = start(Server::builder(AcceptAll(Apart::default())).config(lmtp())).await;
        let mut client = server.client().await;
        client.expect(220).await;
        client.say("LHLO client.example", 250).await;
        for (names, codes) in [(["a", "no", "b"], [250, 452, 250]), (["no", "no", "no"], [452, 452, 452])] {
            client.say("MAIL FROM:<s@client.example>", 250).await;
            for name in names {
                client.say(&format!("RCPT TO:<{name}@mx.example>"), 250).await;
            }
            client.send("BDAT 4\r\nabcdBDAT 0 LAST\r\n").await;
            client.expect(250).await;
            for code in codes {
                client.expect(code).await;
            }
        }
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.bytes, summary.refused_messages), (1, 4, 1));
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_fails_within_a_chunk_is_told_of_at_its_end() {
    within(async {
        let server = start(Server::builder(AcceptAll(Apart::default())).config(lmtp())).await;
        let mut client = server.client().await;
        client.expect(220).await;
        client.say("LHLO client.example", 250).await;
        client.say("MAIL FROM:<s@client.example>", 250).await;
        client.say("RCPT TO:<a@mx.example>", 250).await;
        client.say("RCPT TO:<b@mx.example>", 250).await;
        client.send("BDAT 10\r\n0123456789BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").await;
        client.expect(250).await;
        assert!(client.expect(452).await.contains("4.3.1"));
        client.expect(503).await;
        // The last one has a reply for each recipient.
        client.expect(503).await;
        client.expect(503).await;
        client.expect(250).await;
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.refused_messages, summary.aborted_messages), (0, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_knows_nothing_of_lmtp_answers_for_all() {
    within(async {
        let store = Memory::new(1 << 20);
        let server = start(Server::builder(AcceptAll(store.clone())).config(lmtp())).await;
        let mut client = server.client().await;
        client.expect(220).await;
        client.say("LHLO client.example", 250).await;
        client.say("MAIL FROM:<s@client.example>", 250).await;
        for i in 0..500 {
            client.say(&format!("RCPT TO:<a{i}@mx.example>"), 250).await;
        }
        client.say("DATA", 354).await;
        client.send("x\r\n.\r\nNOOP\r\n").await;
        for _ in 0..500 {
            assert!(client.expect(250).await.contains("accepted"));
        }
        client.expect(250).await;
        let messages = store.messages();
        assert_eq!((messages.len(), messages[0].to.len(), &messages[0].body[..]), (1, 500, &b"x\r\n"[..]));
    })
    .await;
}

#[tokio::test]
async fn a_slow_sink_holds_the_reply_to_a_chunk_back_and_nothing_is_lost() {
    within(async {
        let store = SlowStore::new();
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let mut client = server.greeted().await;
        client.say("MAIL FROM:<s@client.example>", 250).await;
        client.say("RCPT TO:<a@mx.example>", 250).await;
        // Nothing comes behind the chunk that could have its end looked at.
        client.send("BDAT 5\r\n01234").await;
        common::until(|| store.valve.calls() > 0).await;
        store.valve.let_through(3);
        common::breathe().await;
        store.valve.let_through(2);
        client.expect(250).await;
        client.send("BDAT 5 LAST\r\n56789").await;
        store.valve.let_through(5);
        store.valve.let_commit();
        client.expect(250).await;
        assert_eq!(store.memory.messages()[0].body, b"0123456789");
    })
    .await;
}
