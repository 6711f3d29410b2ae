//! What a test finds in a memory store.

mod common;

use std::time::Duration;

use common::{start, start_memory, within};
use ehlo_tokio::ehlo_server::codec::BodyType;
use ehlo_tokio::ehlo_server::{Config, Protocol};
use ehlo_tokio::store::Memory;
use ehlo_tokio::{AcceptAll, Server};

#[tokio::test]
async fn a_message_tells_how_it_came_and_for_whom() {
    within(async {
        let (server, mailbox) = start_memory().await;
        let mut client = server.client().await;
        client.expect(220).await;
        client.say("EHLO client.example", 250).await;
        client.say("MAIL FROM:<Ada@example.org> SIZE=100 BODY=8BITMIME RET=HDRS", 250).await;
        client.say("RCPT TO:<bob@example.net> NOTIFY=NEVER", 250).await;
        client.say("RCPT TO:<carol@example.net>", 250).await;
        client.say("DATA", 354).await;
        client.send("Subject: x\r\n\r\n..\r\n.\r\n").await;
        client.expect(250).await;
        let messages = mailbox.wait_for(1, Duration::from_secs(20)).await.unwrap();
        let message = &messages[0];
        assert_eq!(message.peer.ip(), client.stream.local_addr().unwrap().ip());
        assert_eq!(message.peer.port(), client.stream.local_addr().unwrap().port());
        assert_eq!((&*message.helo, message.extended, message.protocol), ("client.example", true, Protocol::Smtp));
        assert_eq!((&message.identity, &message.tls), (&None, &None));
        assert_eq!(
            (&*message.from, &*message.to),
            ("Ada@example.org", &["bob@example.net", "carol@example.net"].map(str::to_owned)[..])
        );
        assert_eq!(
            (message.mail_params().size(), message.mail_params().body()),
            (Some(100), Some(BodyType::EightBitMime))
        );
        assert_eq!(message.mail_params().as_str().trim(), "SIZE=100 BODY=8BITMIME RET=HDRS");
        assert!(message.rcpt_params(0).notify().is_some() && message.rcpt_params(1).notify().is_none());
        assert!(message.rcpt_params(2).notify().is_none());
        assert_eq!(message.body, b"Subject: x\r\n\r\n.\r\n");
        for to in ["bob@example.net", "CAROL@example.NET"] {
            assert_eq!(mailbox.to(to), messages);
        }
        assert_eq!(mailbox.to("dave@example.net"), []);
        mailbox.clear();
        assert!(mailbox.is_empty());
    })
    .await;
}

#[tokio::test]
async fn helo_the_null_sender_and_lmtp_are_told_apart() {
    within(async {
        for (protocol, hello, extended) in [(Protocol::Smtp, "HELO", false), (Protocol::Lmtp, "LHLO", true)] {
            let mailbox = Memory::new(1 << 20);
            let mut config = Config::new("mx.example").unwrap();
            config.protocol = protocol;
            let server = start(Server::builder(AcceptAll(mailbox.clone())).config(config)).await;
            let mut client = server.client().await;
            client.expect(220).await;
            client.say(&format!("{hello} [127.0.0.1]"), 250).await;
            client.say("MAIL FROM:<>", 250).await;
            client.say("RCPT TO:<bob@example.net>", 250).await;
            client.say("DATA", 354).await;
            client.send(".\r\n").await;
            client.expect(250).await;
            let message = mailbox.wait_for(1, Duration::from_secs(20)).await.unwrap().remove(0);
            assert_eq!((message.protocol, message.extended, &*message.helo), (protocol, extended, "[127.0.0.1]"));
            assert_eq!((&*message.from, message.text()), ("", String::new()));
        }
    })
    .await;
}
