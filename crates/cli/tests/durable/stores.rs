//! The stores that are not shown elsewhere: an mbox, and an LMTP server behind this one.

use std::fs;
use std::path::Path;

use crate::common::{Client, Folder, Server, files, text};

fn greeted(server: &Server) -> (Client, String) {
    let mut client = server.connect();
    client.expect("220");
    let offer = client.say("EHLO client.example\r\n", "250");
    (client, offer)
}

/// Sends a message, and checks the code of the reply to it.
fn send(client: &mut Client, to: &[&str], code: &str) -> String {
    client.say("MAIL FROM:<a@b.example>\r\n", "250");
    for to in to {
        client.say(&format!("RCPT TO:<{to}>\r\n"), "250");
    }
    client.say("DATA\r\n", "354");
    client.say("Subject: x\r\n\r\nFrom here\r\n.\r\n", code)
}

/// An LMTP server that delivers to a maildir.
fn lmtp(folder: &Path) -> Server {
    Server::start(&["--lmtp", "--store", &format!("maildir:{}", folder.display()), "--hostname", "lmtp.example"])
}

#[test]
fn an_mbox_gets_one_message_after_the_other_and_is_gone_on_with() {
    let folder = Folder::new();
    let path = folder.0.join("box");
    let store = format!("mbox:{}", path.display());
    for count in 1..=2 {
        let server = Server::start(&["--store", &store]);
        let (mut client, _) = greeted(&server);
        for _ in 0..2 {
            let reply = send(&mut client, &["c@d.example"], "250 2.0.0 Stored as ");
            let id = reply.trim_end().rsplit(' ').next().unwrap();
            assert!(fs::read_to_string(&path).unwrap().contains(id), "it is there before it is acknowledged");
        }
        assert_eq!(server.stop().0, Some(0));
        let stored = fs::read_to_string(&path).unwrap();
        assert_eq!(stored.matches("From a@b.example ").count(), 2 * count);
        assert_eq!(stored.matches("\nX-Envelope-To: <c@d.example>\nSubject: x\n\n>From here\n\n").count(), 2 * count);
    }
    fs::write(&path, "no mail").unwrap();
    let output = crate::common::ehlo().args(["serve", "--listen", "127.0.0.1:0", "--store", &store]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("as an mbox: the file is no mbox"), "{}", text(&output.stderr));
}

#[test]
fn a_message_is_handed_on_by_lmtp_and_deferred_while_there_is_no_server() {
    let folder = Folder::new();
    let behind = lmtp(&folder.0);
    let store = format!("lmtp:{}", behind.address);
    let server = Server::start(&["--store", &store, "--hostname", "mx.example", "--log-level", "off"]);
    let (mut client, offer) = greeted(&server);
    for gone in ["DSN", "BINARYMIME"] {
        assert!(!offer.contains(gone), "{gone} can't be kept: {offer}");
    }
    send(&mut client, &["c@d.example", "e@d.example"], "250");
    let stored = files(&folder.0.join("new"));
    assert_eq!(stored.len(), 1);
    let message = fs::read_to_string(&stored[0]).unwrap();
    assert!(message.contains("X-Envelope-To: <c@d.example>\r\nX-Envelope-To: <e@d.example>\r\n"), "{message}");
    assert!(message.contains("by mx.example with ESMTP") && message.contains("from mx.example"), "{message}");
    assert!(message.ends_with("\r\nSubject: x\r\n\r\nFrom here\r\n"), "{message}");
    assert_eq!(behind.stop().0, Some(0));
    send(&mut client, &["c@d.example"], "451 4.");
    client.say("NOOP\r\n", "250");
    assert_eq!(files(&folder.0.join("new")).len(), 1);
}

#[test]
fn a_policy_hands_the_mail_of_a_domain_on_by_lmtp_beside_its_own_maildirs() {
    let folder = Folder::new();
    let behind = lmtp(&folder.0.join("behind"));
    let file = format!(
        "[server]\nhostname = 'mx.example'\n[store]\nplace = 'maildir:mail/{{domain}}/{{local}}'\n\
         [[domain]]\nname = 'here.example'\nmailboxes = ['ada', 'postmaster']\n\
         [[domain]]\nname = 'behind.example'\nmailboxes = ['bob', 'carol', 'postmaster']\nplace = 'lmtp:{}'\n",
        behind.address
    );
    let path = folder.write("ehlo.toml", file);
    let server = Server::start(&["--config", path.to_str().unwrap(), "--log-level", "off"]);
    let (mut client, offer) = greeted(&server);
    assert!(!offer.contains("DSN"), "{offer}");
    let (mine, theirs) = (folder.0.join("mail/here.example/ada/new"), folder.0.join("behind/new"));
    send(&mut client, &["ada@here.example", "bob@behind.example", "carol@behind.example"], "250");
    let stored = files(&theirs);
    assert_eq!((stored.len(), files(&mine).len()), (1, 1));
    let message = fs::read_to_string(&stored[0]).unwrap();
    assert!(message.contains("X-Envelope-To: <bob@behind.example>\r\nX-Envelope-To: <carol@behind.example>\r\n"));
    assert!(!message.contains("ada@here.example") && message.contains("by mx.example with ESMTP"), "{message}");
    // What the one can't take, the other does not keep: there is one reply for both, and the client will send it again.
    assert_eq!(behind.stop().0, Some(0));
    send(&mut client, &["ada@here.example", "bob@behind.example"], "451 4.");
    send(&mut client, &["ada@here.example"], "250");
    assert_eq!(files(&mine).len(), 2);
    let tmp = folder.0.join("mail/here.example/ada/tmp");
    let begin = std::time::Instant::now();
    while !files(&tmp).is_empty() {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", files(&tmp));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(server.stop().0, Some(0));
}
