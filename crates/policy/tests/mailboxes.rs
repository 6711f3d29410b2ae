//! Mail for the domains of the server: where it is kept, and what its senders are told.

mod common;

use common::{Folder, start, within};

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[store]
place = 'maildir:mail/{domain}/{local}'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob', '../../evil', 'carol']
[[domain]]
name = 'b.example'
mailboxes = ['ada']
[[alias]]
address = 'all@a.example'
to = ['ada@a.example', 'Bob@a.example', 'all2@b.example']
[[alias]]
address = 'all2@b.example'
to = ['carol@a.example', 'ada@a.example', 'partner@c.example']
[[moved]]
address = 'old@a.example'
to = 'bob@a.example'
forward = true
[[moved]]
address = 'gone@a.example'
to = 'gone@d.example'
[[route]]
domain = 'c.example'
place = 'memory:test'
[[route]]
domain = 'd.example'
place = 'memory:64M'
[relay]
networks = ['198.51.100.1']
";

const STRANGER: &str = "203.0.113.7";

#[tokio::test]
async fn each_mailbox_has_its_own_maildir_and_one_reply_stands_for_all() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        let to = ["ada@a.example", "BOB@a.example", "ada@b.example", "Ada+again@a.example", "Postmaster"];
        let reply = client.send("x@y.example", &to, "Subject: x\r\n\r\nhello", "250 2.0.0 Stored as ").await;
        let id = reply.rsplit(' ').next().unwrap().to_owned();
        for (maildir, address) in [
            ("mail/a.example/ada", "ada@a.example"),
            ("mail/a.example/bob", "bob@a.example"),
            ("mail/b.example/ada", "ada@b.example"),
        ] {
            let messages = folder.messages(maildir);
            assert_eq!(messages.len(), 1, "{maildir}");
            let (head, body) = messages[0].split_at(messages[0].find("Subject").unwrap());
            assert_eq!(body, "Subject: x\r\n\r\nhello\r\n");
            assert!(head.starts_with(&format!("Return-Path: <x@y.example>\r\nDelivered-To: {address}\r\nReceived: from client.example ([203.0.113.7])")), "{head}");
            assert!(head.contains(&id), "{head}");
            // Nobody learns who else got it.
            assert_eq!(head.matches("@a.example").count() + head.matches("@b.example").count(), 1, "{head}");
        }
        assert_eq!(folder.files().len(), 3, "{:?}", folder.files());
    })
    .await;
}

#[tokio::test]
async fn a_message_larger_than_all_buffers_is_the_same_everywhere() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        let text: String = (0..20_000).map(|n| format!("{n} ..............................\r\n")).collect();
        client.send("x@y.example", &["all@a.example"], &text, "250").await;
        let sent = format!("{text}\r\n");
        for maildir in ["mail/a.example/ada", "mail/a.example/bob", "mail/a.example/carol"] {
            let messages = folder.messages(maildir);
            assert!(messages.len() == 1 && messages[0].ends_with(&sent), "{maildir}");
        }
        let taken = memory.take();
        assert_eq!((taken.len(), &taken[0].to[..]), (1, &["partner@c.example".to_owned()][..]));
        assert_eq!(taken[0].body, sent.as_bytes());
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_of_any_name_stays_within_its_folder() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.send("x@y.example", &["\"../../evil\"@a.example"], "x", "250").await;
        assert_eq!(folder.files(), ["mail/a.example/%2E.%2F..%2Fevil/new"]);
        for wrong in ["\"../../../etc\"@a.example", "\"..\"@a.example", "\"\"@a.example", "ada@\"../b\""] {
            client.say("MAIL FROM:<x@y.example>", "250").await;
            client.say(&format!("RCPT TO:<{wrong}>"), "5").await;
            client.say("RSET", "250").await;
        }
        assert_eq!(folder.files().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn moved_mailboxes_are_told_or_forwarded() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<gone@a.example>", "551 5.1.6 User not local; please try <gone@d.example>").await;
        client.say("RCPT TO:<old@a.example>", "251 2.1.5 User not local; will forward to <bob@a.example>").await;
        client.data("x", "250").await;
        assert_eq!(folder.files(), ["mail/a.example/bob/new"]);
    })
    .await;
}

#[tokio::test]
async fn one_transaction_goes_to_one_place_that_could_not_take_it_back() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(FILE, &folder).await;
        let mut client = server.client("198.51.100.1").await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<one@c.example>", "250").await;
        client.say("RCPT TO:<two@d.example>", "452 4.5.3 Mail for that recipient goes another way").await;
        client.say("RCPT TO:<two@c.example>", "250").await;
        client.say("RCPT TO:<ada@a.example>", "250").await;
        client.data("x", "250").await;
        assert_eq!(memory.take()[0].to, ["one@c.example", "two@c.example"]);
        assert_eq!(folder.files(), ["mail/a.example/ada/new"]);
        client.send("x@y.example", &["two@d.example"], "x", "250").await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_is_told_before_and_behind_the_message_and_after_a_restart() {
    within(async {
        for (reply, full) in [("452", "452 4.2.2 Mailbox <ada@a.example> is full"), ("552", "552 5.2.2 Mailbox")] {
            let folder = Folder::new();
            let quota = format!("[store]\nquota_reply = {reply}\nquota_bytes = 1000\nquota_messages = 3\n");
            let text = FILE.replace("[store]\n", &quota);
            let (server, _) = start(&text, &folder).await;
            let mut client = server.client(STRANGER).await;
            client.say("MAIL FROM:<x@y.example> SIZE=1001", "250").await;
            client.say("RCPT TO:<ada@a.example>", full).await;
            client.say("RSET", "250").await;
            let large = "x".repeat(1100);
            client.send("x@y.example", &["ada@a.example"], &large, full).await;
            assert!(folder.files().is_empty(), "{:?}", folder.files());
            // With others it is nobody's: a client that tries again would give it to those who had it once more.
            client.send("x@y.example", &["bob@a.example", "ada@a.example"], &large, &full[..3]).await;
            assert!(folder.files().is_empty(), "{:?}", folder.files());
            for _ in 0..3 {
                client.send("x@y.example", &["ada@a.example"], "small", "250").await;
            }
            client.say("MAIL FROM:<x@y.example>", "250").await;
            client.say("RCPT TO:<ada@a.example>", full).await;
            client.say("RCPT TO:<bob@a.example>", "250").await;
            drop((client, server));
            let (server, _) = start(&text, &folder).await;
            let mut client = server.client(STRANGER).await;
            client.say("MAIL FROM:<x@y.example>", "250").await;
            client.say("RCPT TO:<ada@a.example>", full).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_its_owner_has_emptied_takes_mail_again() {
    let folder = Folder::new();
    let text = FILE.replace("[store]\n", "[store]\nquota_messages = 1\n");
    let (server, _) = start(&text, &folder).await;
    let mut client = server.client(STRANGER).await;
    client.send("x@y.example", &["ada@a.example"], "one", "250").await;
    client.say("MAIL FROM:<x@y.example>", "250").await;
    client.say("RCPT TO:<ada@a.example>", "452 4.2.2").await;
    std::fs::remove_dir_all(folder.0.join("mail/a.example/ada/new")).unwrap();
    std::fs::create_dir(folder.0.join("mail/a.example/ada/new")).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(6)).await;
    client.say("RCPT TO:<ada@a.example>", "250").await;
}

#[tokio::test]
async fn under_lmtp_each_recipient_has_an_answer_of_its_own() {
    within(async {
        let folder = Folder::new();
        let text = FILE.replace("[server]\n", "[server]\nprotocol = 'lmtp'\n")
            + "[[mailbox]]\naddress = 'bob@a.example'\nquota_bytes = 10\n";
        let (server, _) = start(&text, &folder).await;
        let mut client = server.connect(STRANGER).await;
        client.expect("220").await;
        client.say("LHLO client.example", "250").await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        for to in ["ada@a.example", "bob@a.example", "ada@b.example"] {
            client.say(&format!("RCPT TO:<{to}>"), "250").await;
        }
        client.data("more than ten octets", "250 2.0.0 Stored as").await;
        client.expect("452 4.2.2 Mailbox <bob@a.example> is full").await;
        client.expect("250 2.0.0 Stored as").await;
        assert_eq!(folder.files(), ["mail/a.example/ada/new", "mail/b.example/ada/new"]);
        // All of them full, and the first of them alone.
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<bob@a.example>", "250").await;
        client.data("more than ten octets", "452 4.2.2").await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<bob@a.example>", "250").await;
        client.say("RCPT TO:<ada@a.example>", "250").await;
        client.data("more than ten octets", "452 4.2.2").await;
        client.expect("250 2.0.0 Stored as").await;
        assert_eq!(folder.messages("mail/a.example/ada").len(), 2);
        assert_eq!(folder.files().len(), 3, "{:?}", folder.files());
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_full_says_so_and_what_never_fits_is_told_for_good() {
    within(async {
        let folder = Folder::new();
        let text = FILE.replace("[store]\n", "[store]\nmax_bytes = 2000\n");
        let (server, _) = start(&text, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example> SIZE=2001", "552 5.3.4").await;
        client.send("x@y.example", &["ada@a.example"], &"x".repeat(2100), "552 5.3.4").await;
        client.send("x@y.example", &["ada@a.example"], &"x".repeat(1200), "250").await;
        client.say("MAIL FROM:<x@y.example> SIZE=1900", "452 4.3.1").await;
        client.send("x@y.example", &["bob@a.example"], &"x".repeat(1200), "452 4.3.1").await;
        assert_eq!(folder.files(), ["mail/a.example/ada/new"]);
        let folder = Folder::new();
        let text = FILE.replace("[store]\n", "[store]\nmin_free = '8388608T'\n");
        let (server, _) = start(&text, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example>", "452 4.3.1").await;
        client.say("NOOP", "250").await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_breaks_off_leaves_nothing_behind() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<all@a.example>", "250").await;
        client.say("DATA", "354").await;
        client.send_raw(&"x\r\n".repeat(100_000)).await;
        drop(client);
        for _ in 0..200 {
            if folder.files().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{:?}", folder.files());
    })
    .await;
}
