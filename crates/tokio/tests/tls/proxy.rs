//! The header of a proxy comes before TLS.

use super::*;
use ehlo_tokio::auth::Users;
use ehlo_tokio::ehlo_server::Protocol;
use ehlo_tokio::store::Maildir;

#[tokio::test]
async fn the_header_of_a_proxy_stands_before_the_handshake() {
    within(async {
        let world = World::new();
        let policy = Noting::new();
        let builder = Server::builder(policy.clone()).tls(world.tls.clone()).proxies(["127.0.0.1".parse().unwrap()]);
        let server = start_implicit(builder).await;
        // In one segment with the start of the handshake, or alone; and in each case nothing of TLS is lost.
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"PROXY TCP4 198.51.100.9 127.0.0.1 40001 25\r\n").await.unwrap();
        let mut client = Secure::begin(stream, Arc::clone(&world.client), NAME);
        client.handshake().await.unwrap();
        client.expect(220).await;
        client.say("EHLO ada.example", 250).await;
        // Without it, TLS is what comes in place of a header.
        assert!(Secure::connect(server.address, Arc::clone(&world.client), NAME).await.is_err());
        // And within TLS it is nothing but a command.
        client.say("PROXY UNKNOWN", 500).await;
        client.say("QUIT", 221).await;
        let summary = server.stop().await;
        assert_eq!((summary.bad_proxy_headers, summary.tls_connections, summary.failed_handshakes), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_delivered_begins_with_what_became_of_it() {
    within(async {
        let world = World::new();
        let path = world.folder.file("mail", "");
        std::fs::remove_file(&path).unwrap();
        let maildir = Maildir::open(&path).unwrap();
        let mut users = Users::new().unwrap();
        users.add("ada", "correct horse").unwrap();
        let builder = world.builder(AcceptAll(maildir)).authenticator(users).proxies(["127.0.0.1".parse().unwrap()]);
        let server = start(builder).await;
        let message = "Return-Path: <old@a.example>\r\nReceived: from b by c; x\r\nReceived: from a by b; x\r\n\r\nhi\r\n";
        for (hello, tls, from, to, with) in [
            ("HELO client.example", false, "", &["bob@mx.example"][..], "SMTP"),
            ("EHLO client.example", false, "ada@a.example", &["bob@mx.example"], "ESMTP"),
            ("EHLO client.example", false, "δ@a.example", &["bob@mx.example"], "UTF8SMTP"),
            ("EHLO [192.0.2.3]", true, "ada@a.example", &["bob@mx.example"], "ESMTPS (TLSv1.3)"),
            ("EHLO client.example", true, "ada@a.example", &["bob@mx.example"], "ESMTPSA (TLSv1.3)"),
            ("EHLO client.example", false, "ada@a.example", &["bob@mx.example", "eve@mx.example"], "ESMTP"),
        ] {
            let mut raw = server.client().await;
            raw.send("PROXY TCP6 2001:db8::7 ::1 40001 25\r\n").await;
            raw.expect(220).await;
            let recipients: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
            let utf8 = if from.is_ascii() { "" } else { " SMTPUTF8" };
            let transaction = [&*format!("MAIL FROM:<{from}>{utf8}"), recipients.trim_end(), "DATA"];
            if tls {
                raw.say("EHLO client.example", 250).await;
                raw.say("STARTTLS", 220).await;
                let mut client = Secure::begin(raw.stream, Arc::clone(&world.client), NAME);
                client.handshake().await.unwrap();
                client.say(hello, 250).await;
                if with.starts_with("ESMTPSA") {
                    client.say("AUTH PLAIN AGFkYQBjb3JyZWN0IGhvcnNl", 235).await;
                }
                for (line, code) in transaction.into_iter().zip([250, 250, 354]) {
                    client.say(line, code).await;
                }
                client.say(&format!("{message}."), 250).await;
            } else {
                raw.say(hello, 250).await;
                for (line, code) in transaction.into_iter().zip([250, 250, 354]) {
                    raw.say(line, code).await;
                    for _ in 1..if code == 250 { line.matches("RCPT").count() } else { 0 } {
                        raw.expect(250).await;
                    }
                }
                raw.say(&format!("{message}."), 250).await;
            }
            let files: Vec<_> = std::fs::read_dir(path.join("new")).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert_eq!(files.len(), 1);
            let stored = std::fs::read_to_string(&files[0]).unwrap();
            std::fs::remove_file(&files[0]).unwrap();
            let (trace, rest) = stored.split_at(stored.find("Return-Path: <old").unwrap());
            assert_eq!(rest, message, "it is as it was sent, below what was added");
            assert!(trace.lines().all(|line| line.len() <= 78), "{trace}");
            let unfolded = trace.replace("\r\n\t", " ");
            let lines: Vec<&str> = unfolded.split("\r\n").collect();
            assert_eq!(lines[0], format!("Return-Path: <{from}>"));
            let name = files[0].file_name().unwrap().to_str().unwrap();
            let id = name.strip_suffix(".mx.example").unwrap();
            let client = hello.split_once(' ').unwrap().1;
            let only = if to.len() == 1 { " for <bob@mx.example>" } else { "" };
            let cipher = if tls { lines[1].split(" tls ").nth(1).unwrap().split(';').next().unwrap() } else { "" };
            let cipher = if tls { format!(" tls {cipher}") } else { String::new() };
            let expected = format!(
                "Received: from {client} ([IPv6:2001:db8::7]) by mx.example with {with} id <{id}@mx.example>{only}{cipher}; "
            );
            let date = lines[1].strip_prefix(&expected).unwrap_or_else(|| panic!("{expected}\n{}", lines[1]));
            assert!(date.ends_with(" +0000") && date.len() >= "Thu, 1 Jan 1970 00:00:00 +0000".len(), "{date}");
            let envelope: Vec<String> = to.iter().map(|to| format!("X-Envelope-To: <{to}>")).collect();
            assert_eq!(lines[2..lines.len() - 1], envelope);
            assert_eq!(tls, cipher.starts_with(" tls TLS_"), "{cipher}");
        }
        assert_eq!(server.stop().await.messages, 6);
    })
    .await;
}

#[tokio::test]
async fn a_message_of_lmtp_is_told_from_one_of_smtp() {
    within(async {
        let folder = Folder::new();
        let path = folder.file("mail", "");
        std::fs::remove_file(&path).unwrap();
        let mut settings = Config::new(NAME).unwrap();
        settings.protocol = Protocol::Lmtp;
        let server = start(Server::builder(AcceptAll(Maildir::open(&path).unwrap())).config(settings)).await;
        let mut client = server.client().await;
        client.expect(220).await;
        for (line, code) in [
            ("LHLO c.example", 250),
            ("MAIL FROM:<>", 250),
            ("RCPT TO:<b@mx.example>", 250),
            ("DATA", 354),
            ("x\r\n.", 250),
        ] {
            client.say(line, code).await;
        }
        let file = std::fs::read_dir(path.join("new")).unwrap().next().unwrap().unwrap().path();
        let stored = std::fs::read_to_string(file).unwrap();
        assert!(stored.starts_with("Return-Path: <>\r\nReceived: from c.example ([127.0.0.1])\r\n"), "{stored}");
        assert!(stored.contains("by mx.example with LMTP "), "{stored}");
        server.stop().await;
    })
    .await;
}
