//! A pool of connections against servers that are played by hand, and against one that counts.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{start, within};
use ehlo_tokio::client::{Envelope, Recipient, SendError};
use ehlo_tokio::ehlo_client::{CloseReason, Fate};
use ehlo_tokio::ehlo_server::Config;
use ehlo_tokio::pool::{Pool, Target};
use ehlo_tokio::store::Memory;
use ehlo_tokio::{AcceptAll, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const TEXT: &[u8] = b"Subject: x\r\n\r\n";

fn to() -> [Recipient<'static>; 1] {
    [Recipient::parse("bob@mx.example").unwrap()]
}

/// A connection of a server that is played by hand.
struct Played(BufReader<TcpStream>);

impl Played {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next command; nothing at the end.
    async fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).await.unwrap_or(0);
        (length > 0).then(|| line.trim_end().to_owned())
    }

    async fn greet(&mut self) {
        self.say("220 mx.example\r\n").await;
        self.hear().await.unwrap();
        self.say("250 mx.example\r\n").await;
    }

    /// Takes a message, one command at a time, up to its end; whether there was one.
    async fn hear_message(&mut self) -> bool {
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
            match self.hear().await {
                Some(line) if line != "QUIT" => {}
                _ => return false,
            }
            self.say(reply).await;
        }
        while let Some(line) = self.hear().await {
            if line == "." {
                return true;
            }
        }
        false
    }
}

/// Plays a server, connection by connection; gives how many there were and how many messages were taken.
fn play<F, R>(listener: TcpListener, play: F) -> Arc<AtomicUsize>
where
    F: Fn(usize, Played) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(play(number, Played(BufReader::new(stream))));
        }
    });
    count
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

// C084
#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced_and_nothing_is_lost_or_sent_twice() {
    within(async {
        for words in ["", "421 4.4.2 idle for too long\r\n"] {
            let (listener, address) = listen().await;
            let taken = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&taken);
            let connections = play(listener, move |_, mut peer| {
                let count = Arc::clone(&count);
                async move {
                    peer.greet().await;
                    if peer.hear_message().await {
                        count.fetch_add(1, Ordering::Relaxed);
                        peer.say("250 2.0.0 taken\r\n").await;
                    }
                    peer.say(words).await;
                }
            });
            let pool = Pool::builder().connections(1).build();
            let target = Target::new(&address.to_string());
            let to = to();
            let envelope = Envelope::parse("", &to).unwrap();
            for round in 1..=3 {
                assert!(pool.send(&target, &envelope, TEXT).await.unwrap().all_accepted(), "round {round}");
                assert_eq!(taken.load(Ordering::Relaxed), round);
                // Whether the end was seen in time or shows at the next message: both must do.
                if round == 1 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            assert_eq!(connections.load(Ordering::Relaxed), 3);
        }
    })
    .await;
}

// C085
#[tokio::test]
async fn a_connection_over_which_something_came_unasked_is_not_used_again() {
    within(async {
        let (listener, address) = listen().await;
        let connections = play(listener, |_, mut peer| async move {
            peer.greet().await;
            while peer.hear_message().await {
                // One reply too many: the next message would be told the wrong one.
                peer.say("250 2.0.0 taken\r\n250 2.0.0 again\r\n").await;
            }
        });
        let pool = Pool::builder().connections(1).build();
        let target = Target::new(&address.to_string());
        let to = to();
        for _ in 0..3 {
            assert!(pool.send(&target, &Envelope::parse("", &to).unwrap(), TEXT).await.unwrap().all_accepted());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(connections.load(Ordering::Relaxed), 3);
    })
    .await;
}

// C037
#[tokio::test]
async fn a_message_whose_fate_is_not_known_is_not_sent_again() {
    within(async {
        let (listener, address) = listen().await;
        let ends = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ends);
        let connections = play(listener, move |_, mut peer| {
            let count = Arc::clone(&count);
            async move {
                peer.greet().await;
                if peer.hear_message().await && count.fetch_add(1, Ordering::Relaxed) == 0 {
                    peer.say("250 2.0.0 taken\r\n").await;
                    // The second one on the same connection gets no reply.
                    if peer.hear_message().await {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let pool = Pool::builder().connections(1).build();
        let target = Target::new(&address.to_string());
        let to = to();
        let envelope = Envelope::parse("", &to).unwrap();
        assert!(pool.send(&target, &envelope, TEXT).await.unwrap().all_accepted());
        let report = pool.send(&target, &envelope, TEXT).await.unwrap();
        assert_eq!(report.get(0), Some(Fate::Unknown));
        assert_eq!((connections.load(Ordering::Relaxed), ends.load(Ordering::Relaxed)), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn what_a_fresh_connection_loses_before_its_end_is_tried_once_more_and_not_for_ever() {
    within(async {
        let (listener, address) = listen().await;
        let connections = play(listener, |_, mut peer| async move {
            peer.greet().await;
            peer.hear().await;
        });
        let pool = Pool::builder().connections(1).build();
        let to = to();
        let target = Target::new(&address.to_string());
        let report = pool.send(&target, &Envelope::parse("", &to).unwrap(), TEXT).await.unwrap();
        assert_eq!(report.get(0), Some(Fate::Unsent));
        assert_eq!(connections.load(Ordering::Relaxed), 2);
        assert_eq!(pool.state().open, 0);
    })
    .await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed_and_they_are_used_again() {
    within(async {
        let store = Memory::new(16 << 20);
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let pool = Pool::builder().connections(3).build();
        let target = Target::new(&server.address.to_string());
        let mut tasks = Vec::new();
        for number in 0..60 {
            let (pool, target) = (pool.clone(), target.clone());
            tasks.push(tokio::spawn(async move {
                let to = to();
                let text = format!("Subject: {number}\r\n\r\n");
                pool.send(&target, &Envelope::parse("", &to).unwrap(), text.as_bytes()).await.unwrap().all_accepted()
            }));
        }
        for task in tasks {
            assert!(task.await.unwrap());
        }
        assert_eq!((pool.state().open, pool.state().idle, pool.state().waiting), (3, 3, 0));
        let mut bodies: Vec<Vec<u8>> = store.take().iter().map(|message| message.body.clone()).collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 60, "each came, and came once");
        pool.clear();
        assert_eq!(server.stop().await.connections, 3);
    })
    .await;
}

#[tokio::test]
async fn whoever_gives_up_leaves_its_place_and_its_connection_to_others() {
    within(async {
        let (listener, address) = listen().await;
        play(listener, |_, mut peer| async move {
            peer.greet().await;
            while peer.hear_message().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.say("250 2.0.0 taken\r\n").await;
            }
        });
        let pool = Pool::builder().connections(1).build();
        let target = Target::new(&address.to_string());
        let to = to();
        let envelope = Envelope::parse("", &to).unwrap();
        for patience in 0..30 {
            let sends = (0..4).map(|_| {
                let pool = &pool;
                let (target, envelope) = (&target, &envelope);
                async move {
                    // Somewhere in the line, while connecting, or in the middle of the message.
                    let _ =
                        tokio::time::timeout(Duration::from_millis(patience), pool.send(target, envelope, TEXT)).await;
                }
            });
            let mut sends: Vec<_> = sends.map(Box::pin).collect();
            for send in &mut sends {
                let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(send.as_mut().poll(cx))).await;
            }
            for send in sends {
                send.await;
            }
            assert_eq!((pool.state().waiting, pool.state().open - pool.state().idle), (0, 0), "{patience}");
        }
        assert!(pool.send(&target, &envelope, TEXT).await.unwrap().all_accepted());
    })
    .await;
}

// C081
#[tokio::test]
async fn a_server_that_takes_few_messages_or_recipients_a_connection_gets_no_more() {
    within(async {
        let store = Memory::new(16 << 20);
        let mut config = Config::new("mx.example").unwrap();
        (config.announce_limits, config.limits.transactions, config.limits.recipients) = (true, Some(2), 2);
        let server = start(Server::builder(AcceptAll(store.clone())).config(config)).await;
        let pool = Pool::builder().connections(1).build();
        let target = Target::new(&server.address.to_string());
        let names: Vec<String> = (0..9).map(|number| format!("b{number}@mx.example")).collect();
        let to: Vec<Recipient<'_>> = names.iter().map(|name| Recipient::parse(name).unwrap()).collect();
        let report = pool.send(&target, &Envelope::parse("", &to).unwrap(), TEXT).await.unwrap();
        assert!(report.all_accepted(), "{:?}", report.iter().map(|fate| fate.to_string()).collect::<Vec<_>>());
        let got: Vec<usize> = store.take().iter().map(|message| message.to.len()).collect();
        assert_eq!(got, [2, 2, 2, 2, 1]);
        assert_eq!(server.stop().await.connections, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_421_is_left_alone_for_a_while() {
    let (listener, address) = listen().await;
    let connections = play(listener, |number, mut peer| async move {
        if number == 0 {
            return peer.say("421 4.3.2 too busy\r\n").await;
        }
        peer.greet().await;
        while peer.hear_message().await {
            peer.say("250 2.0.0 taken\r\n").await;
        }
    });
    let pool = Pool::builder().rest(Duration::from_secs(30)).build();
    let target = Target::new(&address.to_string());
    let to = to();
    let envelope = Envelope::parse("", &to).unwrap();
    let error = pool.send(&target, &envelope, TEXT).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(CloseReason::ServiceNotAvailable, _)), "{error}");
    let before = tokio::time::Instant::now();
    assert!(pool.send(&target, &envelope, TEXT).await.unwrap().all_accepted());
    assert!(before.elapsed() >= Duration::from_secs(29), "{:?}", before.elapsed());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    // What is idle for too long goes.
    assert_eq!(pool.state().idle, 1);
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(pool.state().open, 0);
}

#[tokio::test]
async fn connections_that_were_opened_before_are_used() {
    within(async {
        let store = Memory::new(1 << 20);
        let server = start(Server::builder(AcceptAll(store.clone()))).await;
        let pool = Pool::builder().connections(2).build();
        let target = Target::new(&server.address.to_string());
        pool.warm(&target, 5).await.unwrap();
        assert_eq!((pool.state().open, pool.state().idle), (2, 2));
        let to = to();
        assert!(pool.send(&target, &Envelope::parse("", &to).unwrap(), TEXT).await.unwrap().all_accepted());
        pool.clear();
        assert_eq!(server.stop().await.connections, 2);
    })
    .await;
}
