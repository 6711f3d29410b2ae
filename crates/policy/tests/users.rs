//! Users, whose passwords nobody keeps.

mod common;

use common::{Client, Folder, start, within};
use ehlo_tokio::ehlo_sasl::{ClientExchange, ClientOptions, Credentials, Mechanism, Nonce, base64};

fn file(more: &str) -> String {
    let ada = ehlo_policy::hash_password("correct horse", 4096).unwrap();
    format!(
        "
[server]
postmaster = 'ada@a.example'
[store]
place = 'memory:test'
[auth]
allow_plaintext = true
{more}
[[user]]
name = 'ada'
password = '{}'
senders = ['ada@a.example', '@lists.example']
[[domain]]
name = 'a.example'
mailboxes = ['ada']
[[route]]
domain = '*'
place = 'memory:test'
",
        ada.as_str().unwrap()
    )
}

/// Authenticates; gives the last reply.
async fn authenticate(client: &mut Client, mechanism: Mechanism, name: &str, password: &str) -> String {
    let credentials = Credentials::password(name, password);
    let options = ClientOptions::new(Nonce::from_random([7; 18]));
    let mut exchange = ClientExchange::new(mechanism, credentials, options).unwrap();
    let initial = exchange.initial_response().map(|response| base64::encode_initial_response(response.as_bytes()));
    let mut reply = client.say(format!("AUTH {mechanism} {}", initial.unwrap_or_default()).trim_end(), "").await;
    while let Some(challenge) = reply.strip_prefix("334 ") {
        let challenge = base64::decode(challenge.as_bytes()).unwrap();
        let line = exchange
            .respond(challenge.as_bytes())
            .map_or("*".to_owned(), |response| base64::encode(response.as_bytes()));
        reply = client.say(&line, "").await;
    }
    reply
}

#[tokio::test]
async fn a_verifier_is_enough_for_every_mechanism() {
    within(async {
        let folder = Folder::new();
        let (server, memory) = start(&file(""), &folder).await;
        let mut client = server.connect("203.0.113.7").await;
        client.expect("220").await;
        let hello = client.say("EHLO client.example", "250").await;
        assert!(hello.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{hello}");
        for mechanism in [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login] {
            for (name, password, expected) in [
                ("ada", "correct horse", "235 2.7.0"),
                ("ada", "correct house", "535 5.7.8"),
                ("eve", "correct horse", "535 5.7.8"),
            ] {
                let mut client = server.client("203.0.113.7").await;
                let reply = authenticate(&mut client, mechanism, name, password).await;
                assert!(reply.starts_with(expected), "{mechanism} {name} {password}: {reply}");
                let relayed = if expected.starts_with('2') { "250" } else { "530 5.7.0" };
                client.say("MAIL FROM:<ada@a.example>", "250").await;
                client.say("RCPT TO:<x@elsewhere.example>", relayed).await;
                if relayed == "250" {
                    client.data("x", "250").await;
                }
            }
        }
        assert_eq!(memory.take().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_user_sends_as_those_that_the_file_names() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start(&file(""), &folder).await;
        for (sender, expected) in [
            ("ada@a.example", "250"),
            ("ADA@A.example", "250"),
            ("any@lists.example", "250"),
            ("", "250"),
            ("bob@a.example", "550 5.7.1"),
            ("ada@b.example", "550 5.7.1"),
        ] {
            let mut client = server.client("203.0.113.7").await;
            authenticate(&mut client, Mechanism::Plain, "ada", "correct horse").await;
            client.say(&format!("MAIL FROM:<{sender}>"), expected).await;
        }
    })
    .await;
}

#[tokio::test]
async fn users_of_a_file_come_and_go_without_a_restart() {
    within(async {
        let folder = Folder::new();
        let users = folder.0.join("users");
        let line = |name: &str, password: &str| {
            format!("{name}:{}\n", ehlo_policy::hash_password(password, 10).unwrap().as_str().unwrap())
        };
        std::fs::write(&users, line("bob", "one")).unwrap();
        let (server, _) = start(&file("users_file = 'users'\nrequired = true"), &folder).await;
        let mut client = server.client("203.0.113.7").await;
        client.say("MAIL FROM:<x@y.example>", "530 5.7.0").await;
        assert!(authenticate(&mut client, Mechanism::Plain, "bob", "one").await.starts_with("235"));
        std::fs::write(&users, line("carol", "two")).unwrap();
        // The time of the change may be that of the first text.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&users).unwrap().set_modified(later).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let mut client = server.client("203.0.113.7").await;
        assert!(authenticate(&mut client, Mechanism::Plain, "carol", "two").await.starts_with("235"));
        let mut client = server.client("203.0.113.7").await;
        assert!(authenticate(&mut client, Mechanism::Plain, "bob", "one").await.starts_with("535"));
        assert!(authenticate(&mut client, Mechanism::Plain, "ada", "correct horse").await.starts_with("235"));
    })
    .await;
}
