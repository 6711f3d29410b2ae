//! Connections that wait for a decision or a sink: what was read is kept, nothing more is read, and the peer's end is still seen.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Raw, SlowStore, start, until, within};
use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::{Config, Questions};
use ehlo_tokio::store::{Memory, MemorySink, Store};
use ehlo_tokio::{AcceptAll, ConnectionLimits, Context, Decision, Mail, Policy, Rcpt, Server};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

/// Answers later, when it is told to; counts questions that are open and given up.
#[derive(Clone)]
struct Ponder {
    memory: Memory,
    go: Arc<Notify>,
    asked: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
    order: Arc<Mutex<Vec<String>>>,
}

/// Counts decisions that nobody waited for to the end.
struct Waiting {
    given_up: Arc<AtomicUsize>,
    answered: bool,
}

impl Waiting {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Ponder {
    fn new() -> Self {
        Self {
            memory: Memory::new(64 << 20),
            go: Arc::default(),
            asked: Arc::default(),
            given_up: Arc::default(),
            order: Arc::default(),
        }
    }

    fn later(&self, what: String, decision: Decision) -> Decision {
        self.order.lock().unwrap().push(what);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let go = Arc::clone(&self.go);
        let waiting = Waiting { given_up: Arc::clone(&self.given_up), answered: false };
        Decision::later(async move {
            go.notified().await;
            waiting.answered();
            decision
        })
    }

    /// Lets the next open question be answered.
    async fn answer(&self, nth: usize) {
        until(|| self.asked.load(Ordering::SeqCst) >= nth).await;
        self.go.notify_one();
    }
}

impl Policy for Ponder {
    type Sink = MemorySink;

    fn sink(&self) -> MemorySink {
        self.memory.sink()
    }

    fn connect(&self, _: &Context<'_>) -> Decision {
        self.later("connect".to_owned(), Decision::Accept)
    }

    fn mail(&self, mail: &Mail<'_>) -> Decision {
        self.later(format!("mail {}", mail.from), Decision::Accept)
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        let decision = match rcpt.to.as_str() {
            "no@mx.example" => Decision::Reject(Reply::fixed(550, Some((5, 1, 1)), "No such user")),
            _ => Decision::Accept,
        };
        self.later(format!("rcpt {}", rcpt.to), decision)
    }

    fn data(&self, data: &Context<'_>) -> Decision {
        self.later(format!("data for {}", data.envelope.recipient_count()), Decision::Accept)
    }
}

const TRANSACTION: &str = "EHLO client.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<no@mx.example>\r\nRCPT TO:<yes@mx.example>\r\n\
    DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n";

#[tokio::test]
async fn decisions_that_come_later_are_answered_in_order_with_all_input_already_read() {
    within(async {
        let policy = Ponder::new();
        let server = start(Server::builder(policy.clone())).await;
        let mut client = server.client().await;
        client.send(TRANSACTION).await;
        for nth in 1..=5 {
            policy.answer(nth).await;
        }
        for code in [220, 250, 250, 550, 250, 354, 250, 221] {
            client.expect(code).await;
        }
        client.expect_end().await;
        let order = ["connect", "mail <a@b>", "rcpt <no@mx.example>", "rcpt <yes@mx.example>", "data for 1"];
        assert_eq!(*policy.order.lock().unwrap(), order);
        assert_eq!(policy.memory.messages()[0].body, b"Subject: x\r\n\r\nhello\r\n");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_has_said_all_and_closed_its_side_gets_all_its_answers() {
    within(async {
        let policy = Ponder::new();
        let server = start(Server::builder(policy.clone())).await;
        let mut client = server.client().await;
        client.send(TRANSACTION).await;
        client.stream.shutdown().await.unwrap();
        for nth in 1..=5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            policy.answer(nth).await;
        }
        for code in [220, 250, 250, 550, 250, 354, 250, 221] {
            client.expect(code).await;
        }
        assert_eq!(policy.memory.messages().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn replies_made_before_a_question_do_not_wait_for_its_answer() {
    within(async {
        let policy = Ponder::new();
        let server = start(Server::builder(policy.clone())).await;
        let mut client = server.client().await;
        policy.answer(1).await;
        client.send("EHLO client.example\r\nNOOP\r\nMAIL FROM:<a@b>\r\n").await;
        for code in [220, 250, 250] {
            client.expect(code).await;
        }
        policy.answer(2).await;
        client.expect(250).await;
    })
    .await;
}

/// A connection with an open question at MAIL.
async fn parked(policy: &Ponder, behind: &str) -> (common::Running, Raw) {
    let server = start(Server::builder(policy.clone())).await;
    let mut client = server.client().await;
    policy.answer(1).await;
    client.send(format!("EHLO client.example\r\nMAIL FROM:<a@b>\r\n{behind}")).await;
    until(|| policy.asked.load(Ordering::SeqCst) == 2).await;
    (server, client)
}

#[tokio::test]
async fn a_peer_that_goes_away_ends_the_wait() {
    within(async {
        let policy = Ponder::new();
        let (server, client) = parked(&policy, "").await;
        drop(client);
        until(|| policy.given_up.load(Ordering::SeqCst) == 1).await;
        assert_eq!(server.stop().await.cut_off, 0);
    })
    .await;
}

#[tokio::test]
async fn a_reset_ends_the_wait_even_behind_unread_input() {
    for behind in ["", "RCPT TO:<a@b>\r\n"] {
        within(async {
            let policy = Ponder::new();
            let (_server, mut client) = parked(&policy, behind).await;
            // More arrives while it waits, and stays in the socket.
            client.send("NOOP\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            client.send("NOOP\r\n").await;
            assert_eq!(policy.given_up.load(Ordering::SeqCst), 0);
            client.reset();
            until(|| policy.given_up.load(Ordering::SeqCst) == 1).await;
        })
        .await;
    }
}

#[tokio::test]
async fn input_that_arrives_while_a_question_is_open_is_read_afterwards() {
    within(async {
        let policy = Ponder::new();
        let (_server, mut client) = parked(&policy, "RSET\r\n").await;
        for _ in 0..3 {
            client.send("NOOP\r\n").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        policy.answer(2).await;
        // EHLO comes after the greeting; then MAIL, RSET and three times NOOP.
        for code in [220, 250, 250, 250, 250, 250, 250] {
            client.expect(code).await;
        }
        client.say("QUIT", 221).await;
        client.expect_end().await;
    })
    .await;
}

/// A client in the middle of a message.
async fn in_message(server: &common::Running) -> Raw {
    let mut client = server.greeted().await;
    client.say("MAIL FROM:<a@b>", 250).await;
    client.say("RCPT TO:<c@d>", 250).await;
    client.say("DATA", 354).await;
    client
}

#[tokio::test]
async fn a_slow_sink_makes_the_peer_wait_and_loses_nothing() {
    within(async {
        let store = SlowStore::new();
        let mut config = Config::new("localhost").unwrap();
        config.limits.message_size = 128 << 20;
        config.limits.read_chunk = 32 * 1024;
        // Room for one carried read, and no more: were more kept, the connection would be closed.
        let limits = ConnectionLimits::default().memory(32 * 1024);
        let server = start(Server::builder(AcceptAll(store.clone())).config(config).limits(limits)).await;
        let client = in_message(&server).await;
        let body: Vec<u8> = (0..4_000_000_u32).flat_map(|i| format!("{i:014}\r\n").into_bytes()).collect();
        let (mut reader, mut writer) = client.stream.into_split();
        let written = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&written);
        let wire = body.clone();
        let writing = tokio::spawn(async move {
            for piece in wire.chunks(64 * 1024) {
                writer.write_all(piece).await.unwrap();
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
            writer.write_all(b".\r\nQUIT\r\n").await.unwrap();
            writer
        });
        // The writer comes to a stop when the socket buffers are full.
        let mut before = usize::MAX;
        while written.load(Ordering::SeqCst) != before {
            before = written.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(before < body.len() / 2, "{before} of {} bytes were taken by nobody", body.len());
        // The sink takes odd amounts, then everything.
        for bytes in [1, 2, 1000, 32 * 1024, 100_000] {
            store.valve.let_through(bytes);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.valve.let_through(usize::MAX / 2);
        writing.await.unwrap();
        store.valve.let_commit();
        let mut rest = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut rest).await.unwrap();
        assert_eq!(rest, "250 2.0.0 Message accepted\r\n221 2.0.0 Bye\r\n");
        assert!(store.memory.messages()[0].body == body);
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_takes_little_at_a_time_gets_every_byte_once() {
    within(async {
        let store = SlowStore::new();
        store.valve.let_commit();
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let mut client = in_message(&server).await;
        // Dots, so that body slices end in the middle of a read; and a dot and CR that are held back from one read to the next.
        client.send("..a\r\n.b\r\n.\rc\r\n..\r\nd\r\n.").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send("\r\n").await;
        client.send("NOOP\r\nQUIT\r\n").await;
        for _ in 0..20 {
            store.valve.let_through(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The bare CR makes it be refused.
        client.expect(550).await;
        client.expect(250).await;
        client.expect(221).await;
        assert_eq!(store.aborted.load(Ordering::SeqCst), 1);

        let mut client = in_message(&server).await;
        store.valve.let_nothing_through();
        client.send("..a\r\n.b\r\n..\r\n\r\nd\r\n.\r\nQUIT\r\n").await;
        while store.memory.messages().is_empty() {
            store.valve.let_through(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.rest().await, "250 2.0.0 Message accepted\r\n221 2.0.0 Bye\r\n");
        assert_eq!(store.memory.messages()[0].body, b".a\r\nb\r\n.\r\n\r\nd\r\n");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_goes_away_while_the_sink_is_slow_aborts_the_message() {
    for reset in [false, true] {
        within(async {
            let store = SlowStore::new();
            let server = start(Server::builder(AcceptAll(store.clone()))).await;
            let mut client = in_message(&server).await;
            client.send("half a mess").await;
            until(|| store.valve.calls() > 0).await;
            if reset {
                client.send("age").await;
                client.reset();
            } else {
                drop(client);
                // Behind unread input the end counts once that is used up.
                store.valve.let_through(100);
            }
            until(|| store.aborted.load(Ordering::SeqCst) == 1).await;
            assert!(store.memory.messages().is_empty());
            assert_eq!(server.stop().await.aborted_messages, 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_complete_message_is_committed_even_if_the_peer_has_closed_its_side() {
    within(async {
        let store = SlowStore::new();
        store.valve.let_through(100);
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let mut client = in_message(&server).await;
        client.send("whole\r\n.\r\n").await;
        client.stream.shutdown().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.valve.let_commit();
        assert_eq!(client.rest().await, "250 2.0.0 Message accepted\r\n");
        assert_eq!(store.memory.messages().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn input_beyond_the_memory_of_the_server_costs_its_connection_only() {
    within(async {
        let store = SlowStore::new();
        let limits = ConnectionLimits::default().memory(1000);
        let server = start(Server::builder(AcceptAll(store.clone())).limits(limits)).await;
        let mut greedy = in_message(&server).await;
        let mut modest = in_message(&server).await;
        modest.send("x".repeat(600)).await;
        until(|| store.valve.calls() > 0).await;
        greedy.send("x".repeat(600)).await;
        greedy.expect(421).await;
        greedy.expect_end().await;
        assert_eq!(store.aborted.load(Ordering::SeqCst), 1);
        store.valve.let_commit();
        store.valve.let_through(10_000);
        modest.send("\r\n.\r\n").await;
        modest.expect(250).await;
        assert_eq!(store.memory.messages()[0].body.len(), 602);
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_fails_defers_its_message_after_the_true_end() {
    within(async {
        // The store has room for one envelope and about 100 bytes.
        let store = SlowStore { memory: Memory::new(850), ..SlowStore::new() };
        store.valve.let_through(10_000);
        store.valve.let_commit();
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let mut client = in_message(&server).await;
        client.send("y".repeat(200)).await;
        client.send("\r\nMAIL FROM:<x@y>\r\n.\r\nNOOP\r\n").await;
        assert_eq!(client.expect(452).await, "452 4.3.1 Insufficient system storage");
        client.expect(250).await;
        assert_eq!(store.aborted.load(Ordering::SeqCst), 1, "the sink is told at once");
        client.send("MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\nsmall\r\n.\r\n").await;
        for code in [250, 250, 354, 250] {
            client.expect(code).await;
        }
        drop(client);
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.refused_messages, summary.aborted_messages), (1, 1, 0));
    })
    .await;
}

struct OnlyRcpt(Arc<AtomicUsize>, Memory);

impl Policy for OnlyRcpt {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::RCPT
    }

    fn sink(&self) -> MemorySink {
        self.1.sink()
    }

    fn rcpt(&self, _: &Rcpt<'_>) -> Decision {
        self.0.fetch_add(1, Ordering::SeqCst);
        Decision::Accept
    }

    fn data(&self, _: &Context<'_>) -> Decision {
        panic!("it is not to be asked");
    }
}

#[tokio::test]
async fn only_the_questions_that_a_policy_wants_are_asked() {
    within(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let server = start(Server::builder(OnlyRcpt(Arc::clone(&asked), Memory::new(1000)))).await;
        let mut client = in_message(&server).await;
        client.say("x\r\n.", 250).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    })
    .await;
}
