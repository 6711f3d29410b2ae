//! How TLS ends where it should not, and how that is seen while a connection is parked.

use super::*;

#[tokio::test]
async fn a_chunk_that_tls_ends_within_is_given_up_and_clear_text_behind_it_is_not_read() {
    within(async {
        let world = World::new();
        let memory = Memory::new(1 << 20);
        let server = start(world.builder(AcceptAll(memory.clone()))).await;
        for (sent, clear) in
            [("BDAT 100\r\nabc", "QUIT\r\n"), ("BDAT 4 LAST\r\nabc", "d"), ("BDAT 3\r\nabc", "BDAT 0 LAST\r\n")]
        {
            let mut client = world.secured(&server).await;
            client.say("EHLO client.example", 250).await;
            client.say("MAIL FROM:<a@client.example>", 250).await;
            client.say("RCPT TO:<b@mx.example>", 250).await;
            client.send(sent).await;
            if sent.starts_with("BDAT 3") {
                client.expect(250).await;
            }
            client.tls.send_close_notify();
            client.flush().await.unwrap();
            client.stream.write_all(clear.as_bytes()).await.unwrap();
            assert_eq!(client.reply().await.unwrap_or_default(), None);
        }
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.aborted_messages), (0, 3));
        assert!(memory.messages().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_message_that_tls_ends_within_is_given_up() {
    within(async {
        let world = World::new();
        let memory = Memory::new(1 << 20);
        let server = start(world.builder(AcceptAll(memory.clone()))).await;
        // close_notify, and clear text behind it.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.tls.send_close_notify();
        client.flush().await.unwrap();
        client.stream.write_all(b"age\r\n.\r\nQUIT\r\n").await.unwrap();
        assert_eq!(client.reply().await.unwrap_or_default(), None);
        // The end without close_notify.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.reply().await.unwrap_or_default(), None);
        // A record that was changed on its way.
        let mut client = world.secured(&server).await;
        client.begin_message().await;
        client.send("half a mess").await;
        client.tls.writer().write_all(b"age\r\n.\r\n").unwrap();
        let mut record = Vec::new();
        client.tls.write_tls(&mut record).unwrap();
        *record.last_mut().unwrap() ^= 1;
        client.stream.write_all(&record).await.unwrap();
        let error = client.reply().await.unwrap_err().to_string();
        assert!(error.contains("BadRecordMac"), "{error}");
        let summary = server.stop().await;
        assert_eq!((summary.messages, summary.aborted_messages), (0, 3));
        assert!(memory.messages().is_empty());
    })
    .await;
}

/// Asks at MAIL, and never answers; counts who waits.
#[derive(Clone, Default)]
struct Never {
    waiting: Arc<AtomicUsize>,
}

struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Policy for Never {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::MAIL
    }

    fn sink(&self) -> MemorySink {
        Memory::new(1).sink()
    }

    fn mail(&self, _: &Mail<'_>) -> Decision {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waits = Waits(Arc::clone(&self.waiting));
        Decision::later(async move {
            let _waits = waits;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn the_end_of_a_peer_is_seen_while_a_decision_is_waited_for() {
    within(async {
        let world = World::new();
        let policy = Never::default();
        let server = start(world.builder(policy.clone())).await;
        let parked = || until(|| policy.waiting.load(Ordering::SeqCst) == 1);
        let given_up = || until(|| policy.waiting.load(Ordering::SeqCst) == 0);
        for end in ["close_notify", "in one with the command", "close", "reset", "reset behind more", "broken record"] {
            let mut client = world.secured(&server).await;
            client.say("EHLO client.example", 250).await;
            client.tls.writer().write_all(b"MAIL FROM:<a@b>\r\n").unwrap();
            if end == "in one with the command" {
                client.tls.send_close_notify();
            }
            client.flush().await.unwrap();
            if end != "in one with the command" {
                parked().await;
            }
            match end {
                "close_notify" => {
                    client.tls.send_close_notify();
                    client.flush().await.unwrap();
                }
                "close" => client.stream.shutdown().await.unwrap(),
                "reset" => client.stream.set_zero_linger().unwrap(),
                "reset behind more" => {
                    for _ in 0..5 {
                        client.send("RCPT TO:<b@c>\r\n").await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    client.stream.set_zero_linger().unwrap();
                }
                "broken record" => client.stream.write_all(&[23, 3, 3, 0, 32, 0]).await.unwrap(),
                _ => {}
            }
            if end == "broken record" {
                client.stream.write_all(&[0; 31]).await.unwrap();
            }
            if end.starts_with("reset") {
                drop(client);
                given_up().await;
            } else {
                given_up().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_decision_is_waited_for_is_not_lost() {
    /// Answers after a while.
    struct Slow(Memory);
    impl Policy for Slow {
        type Sink = MemorySink;
        fn questions(&self) -> Questions {
            Questions::MAIL | Questions::RCPT
        }
        fn sink(&self) -> MemorySink {
            self.0.sink()
        }
        fn mail(&self, _: &Mail<'_>) -> Decision {
            Decision::later(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Decision::Accept
            })
        }
        fn rcpt(&self, _: &ehlo_tokio::Rcpt<'_>) -> Decision {
            Decision::later(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Decision::Accept
            })
        }
    }
    within(async {
        let world = World::new();
        let memory = Memory::new(64 << 20);
        for chunk in [100, 64 * 1024] {
            let mut settings = settings();
            settings.limits.read_chunk = chunk;
            let builder = Server::builder(Slow(memory.clone())).config(settings).tls(world.tls.clone());
            let server = start(builder).await;
            let mut client = world.secured(&server).await;
            client.send("EHLO c.example\r\nMAIL FROM:<a@b>\r\n").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            // While MAIL is thought about: three records, one of them cut.
            client.send("RCPT TO:<x@y>\r\n").await;
            client.send("DATA\r\n").await;
            let body = "0123456789\r\n".repeat(10_000);
            client.piece = 1000;
            client.send(&body).await;
            client.send(".\r\nQUIT\r\n").await;
            client.tls.send_close_notify();
            client.flush().await.unwrap();
            for code in [250, 250, 250, 354, 250, 221] {
                client.expect(code).await;
            }
            client.expect_end().await;
            assert!(memory.messages().last().unwrap().body == body.as_bytes());
        }
    })
    .await;
}
