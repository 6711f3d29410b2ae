//! What a policy does to a connection, inside TLS.

use std::num::NonZeroU32;
use std::time::Duration;

use ehlo_tokio::ehlo_server::codec::Reply;
use ehlo_tokio::ehlo_server::codec::codes::Verb;
use ehlo_tokio::ehlo_server::{Moment, Override, Questions};
use ehlo_tokio::store::{Memory, MemorySink, Store as _};
use ehlo_tokio::{Decision, Intervention, Policy, Upcoming};
use tokio::time::Instant;

use super::client::Secure;
use super::{NAME, World, start_implicit};

/// Writes and reads slowly from the greeting on, and resets at VRFY.
#[derive(Clone)]
struct Slow(Memory);

impl Policy for Slow {
    type Sink = MemorySink;

    fn questions(&self) -> Questions {
        Questions::OVERRIDE
    }

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
        let rate = NonZeroU32::new(20).unwrap();
        match upcoming.moment {
            Moment::Greeting => Decision::Intervene(Intervention::default().rate(rate).for_good()),
            Moment::Command { verb: Some(Verb::Noop), .. } => Decision::Reject(Reply::fixed(550, None, "No")),
            Moment::Command { verb: Some(Verb::Vrfy), .. } => Decision::after(
                Duration::from_secs(1),
                Decision::Intervene(Intervention::new(Override::silence().close()).reset()),
            ),
            _ => Decision::Accept,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_slow_or_reset_inside_tls_as_outside() {
    let (world, memory) = (World::new(), Memory::new(1 << 20));
    let server = start_implicit(world.builder(Slow(memory.clone()))).await;
    let mut client = Secure::connect(server.address, world.client.clone(), NAME).await.unwrap();
    let begin = Instant::now();
    let mut octets = client.expect(220).await.len() + 2;
    for (line, code) in [
        ("EHLO client.example", 250),
        ("NOOP", 550),
        ("MAIL FROM:<>", 250),
        ("RCPT TO:<bob@mx.example>", 250),
        ("DATA", 354),
    ] {
        octets += client.say(line, code).await.len() + 2;
    }
    client.send(format!("{}\r\n.\r\n", "x".repeat(98))).await;
    octets += client.expect(250).await.len() + 2 + 100;
    let seconds = begin.elapsed().as_secs_f64();
    assert!((seconds - octets as f64 / 20.0).abs() < 2.0, "{octets} octets in {seconds} s");
    assert_eq!(memory.messages()[0].body.len(), 100);
    client.send("VRFY bob\r\n").await;
    let error = client.reply().await.expect_err("an end that is no orderly one");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(server.stop().await.messages, 1);
}
