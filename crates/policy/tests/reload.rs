//! Another version of the file, while connections are open.

mod common;

use common::{Folder, start, within};

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[store]
place = 'memory:test'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob']
";

const STRANGER: &str = "203.0.113.7";

#[tokio::test]
async fn a_transaction_keeps_to_the_version_that_it_began_with() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<bob@a.example>", "250").await;
        let other = FILE.replace("'bob'", "'carol'");
        assert_eq!(server.reload(&other, &folder).await, Ok(vec![]));
        // Another connection, and the next transaction of this one, have the new version.
        let mut new = server.client(STRANGER).await;
        new.say("MAIL FROM:<x@y.example>", "250").await;
        new.say("RCPT TO:<bob@a.example>", "550 5.1.1").await;
        new.say("RCPT TO:<carol@a.example>", "250").await;
        client.say("RCPT TO:<carol@a.example>", "550 5.1.1").await;
        client.data("x", "250").await;
        assert_eq!(memory.take()[0].to, ["bob@a.example"]);
        client.say("MAIL FROM:<x@y.example>", "250").await;
        client.say("RCPT TO:<bob@a.example>", "550 5.1.1").await;
        client.say("RCPT TO:<carol@a.example>", "250").await;
        client.data("x", "250").await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_version_changes_nothing_and_is_told() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut client = server.client(STRANGER).await;
        let error = server.reload(&FILE.replace("'bob'", "7"), &folder).await.unwrap_err();
        assert!(error.starts_with("test.toml:9:21: this is integer `7`; write a string"), "{error}");
        client.send("x@y.example", &["bob@a.example"], "x", "250").await;
        // One that is well written, and whose place can't be opened.
        std::fs::write(folder.0.join("file"), "").unwrap();
        let route = format!("{FILE}[[route]]\ndomain = 'b.example'\nplace = 'maildir:file/x'\n");
        let error = server.reload(&route, &folder).await.unwrap_err();
        assert!(error.contains("cannot be used as a maildir"), "{error}");
        client.send("x@y.example", &["bob@a.example"], "x", "250").await;
    })
    .await;
}

#[tokio::test]
async fn limits_change_for_new_connections_and_listeners_at_a_restart() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(FILE, &folder).await;
        let mut open = server.client(STRANGER).await;
        let other = FILE.replace(
            "[server]\n",
            "[limits]\nbelow_rfc = true\nrecipients = 1\n[server]\nlisten = ['127.0.0.1:2599']\nthreads = 3\n",
        );
        let restart = server.reload(&other, &folder).await;
        assert_eq!(restart, Ok(vec!["server.listen", "server.threads"]));
        let mut new = server.client(STRANGER).await;
        for (client, second) in [(&mut open, "250"), (&mut new, "452 4.5.3")] {
            client.say("MAIL FROM:<x@y.example>", "250").await;
            client.say("RCPT TO:<ada@a.example>", "250").await;
            client.say("RCPT TO:<bob@a.example>", second).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_counted_goes_on_and_what_memory_holds_stays() {
    within(async {
        let folder = Folder::new();
        let rate = "[[rate]]\nof = 'messages'\nper = 'network'\nlimit = 1\nevery = '1h'\n";
        let file = |name: &str| format!("{}{rate}", FILE.replace("'bob'", name).replace("memory:test", "memory:1M"));
        let (server, _) = start(&file("'bob'"), &folder).await;
        server.client(STRANGER).await.send("x@y.example", &["ada@a.example"], "x", "250").await;
        assert_eq!(server.reload(&file("'carol'"), &folder).await, Ok(vec![]));
        server.client(STRANGER).await.say("MAIL FROM:<x@y.example>", "450 4.7.1").await;
        let wider = file("'carol'").replace("limit = 1", "limit = 2");
        assert_eq!(server.reload(&wider, &folder).await, Ok(vec![]));
        server.client(STRANGER).await.say("MAIL FROM:<x@y.example>", "250").await;
    })
    .await;
}
