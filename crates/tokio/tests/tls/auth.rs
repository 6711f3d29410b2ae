//! AUTH over real TLS, with the client's side of each mechanism (RFC 4954).

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use ehlo_tokio::Rcpt;
use ehlo_tokio::auth::{Attempt, AuthDecision, Authenticator, Users};
use ehlo_tokio::ehlo_sasl::base64;
use ehlo_tokio::ehlo_sasl::{
    Answer, ChannelBindings, ClientExchange, ClientOptions, Credentials, Mechanism, Nonce, Request,
};
use ehlo_tokio::ehlo_server::codec::Reply;

use super::*;

const USER: &str = "ada";
const PASSWORD: &str = "correct-horse-4711";

fn users() -> Users {
    let mut users = Users::with_secret(b"kept with the users").offer(Mechanism::CramMd5);
    users = users.offer(Mechanism::OAuthBearer).offer(Mechanism::XOAuth2);
    users.add(USER, PASSWORD).unwrap();
    users.add_certificate("CN=ada.example", USER);
    users
}

fn credentials(mechanism: Mechanism, password: &str) -> Credentials {
    match mechanism {
        Mechanism::External => Credentials::external(),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::bearer(USER, password),
        _ => Credentials::password(USER, password),
    }
}

/// What both ends of this connection know of it.
fn bindings(client: &Secure, exporter: bool) -> ChannelBindings {
    if exporter {
        let exported = client.tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
        return ChannelBindings::none().with_exporter(exported);
    }
    let shown = &client.tls.peer_certificates().unwrap()[0];
    ChannelBindings::none().with_server_end_point(ring::digest::digest(&ring::digest::SHA256, shown).as_ref())
}

/// Goes through an exchange; gives the server's last reply, and whether the client believes it.
async fn log_in(client: &mut Secure, mechanism: Mechanism, password: &str, bound: ChannelBindings) -> (String, bool) {
    let mut options = ClientOptions::new(Nonce::from_random([7; 18]));
    options.channel_bindings = bound;
    let mut exchange = ClientExchange::new(mechanism, credentials(mechanism, password), options).unwrap();
    let initial = exchange.initial_response().map(|response| base64::encode_initial_response(response.as_bytes()));
    let mut line = format!("AUTH {mechanism} {}", initial.unwrap_or_default()).trim_end().to_owned();
    loop {
        client.send(format!("{line}\r\n")).await;
        let reply = client.reply().await.unwrap().unwrap();
        let Some(challenge) = reply.strip_prefix("334") else { return (reply, exchange.finish().is_ok()) };
        let challenge = base64::decode(challenge.trim_start().as_bytes()).unwrap();
        line = match exchange.respond(challenge.as_bytes()) {
            Ok(response) => base64::encode(response.as_bytes()),
            Err(_) => "*".to_owned(),
        };
    }
}

/// A client inside TLS that was greeted and has said EHLO; with the reply to that.
async fn ready(address: SocketAddr, config: Arc<ClientConfig>) -> (Secure, String) {
    let mut client = Secure::connect(address, config, NAME).await.unwrap();
    client.expect(220).await;
    client.send("EHLO ada.example\r\n").await;
    let ehlo = client.reply().await.unwrap().unwrap();
    (client, ehlo)
}

struct Tls {
    world: World,
    tls: TlsConfig,
    shows: Pair,
}

impl Tls {
    fn new() -> Self {
        let world = World::new();
        let trusted = Authority::new();
        let ca = world.folder.file("ca.pem", &trusted.pem());
        let own = files(&world.folder, "again", &world.authority.sign(NAME));
        let tls = TlsConfig::builder().pem_files(own.0, own.1).client_ca(&ca, ClientCertificates::Optional);
        Self { shows: trusted.sign("ada.example"), tls: tls.build().unwrap(), world }
    }

    fn client(&self, shows: bool, tls12: bool) -> Arc<ClientConfig> {
        config(self.world.authority.roots(), shows.then_some(&self.shows), tls12)
    }

    async fn start(&self, authenticator: impl Authenticator, change: impl FnOnce(&mut Config)) -> Implicit {
        let mut settings = Config::new(NAME).unwrap();
        change(&mut settings);
        let store = AcceptAll(Memory::new(1 << 20));
        start_implicit(Server::builder(store).config(settings).tls(self.tls.clone()).authenticator(authenticator)).await
    }
}

#[tokio::test]
async fn each_mechanism_logs_the_user_in_and_nobody_else() {
    within(async {
        let tls = Tls::new();
        let server = tls.start(users(), |_| {}).await;
        let (mut good, mut bad) = (0, 0);
        for mechanism in Mechanism::ALL {
            for tls12 in [false, true] {
                let external = mechanism == Mechanism::External;
                let config = tls.client(external, tls12);
                let (mut client, ehlo) = ready(server.address, Arc::clone(&config)).await;
                let offered = ehlo.lines().find_map(|line| line.get(4..)?.strip_prefix("AUTH ")).unwrap();
                assert!(offered.split(' ').any(|name| name == mechanism.as_str()), "{mechanism}: {offered}");
                assert_eq!(offered.contains("EXTERNAL"), external, "{offered}");
                let plus = mechanism.needs_channel_binding();
                let bound = |client: &Secure| if plus { bindings(client, !tls12) } else { ChannelBindings::none() };
                if !external {
                    let bound = bound(&client);
                    let (reply, believed) = log_in(&mut client, mechanism, "wrong", bound).await;
                    assert!(!reply.starts_with('2'), "{mechanism}: {reply}");
                    assert!(reply == "535 5.7.8 Authentication credentials invalid", "{mechanism}: {reply}");
                    assert!(mechanism.scram_hash().is_none() || !believed);
                    bad += 1;
                }
                let bound = bound(&client);
                let (reply, believed) = log_in(&mut client, mechanism, PASSWORD, bound).await;
                assert_eq!(reply, "235 2.7.0 Authentication successful", "{mechanism}, TLS 1.2: {tls12}");
                assert!(believed, "{mechanism}");
                client.say("AUTH PLAIN", 503).await;
                client.say("QUIT", 221).await;
                good += 1;
            }
        }
        let summary = server.stop().await;
        assert_eq!((summary.authentications, summary.failed_authentications), (good, bad));
    })
    .await;
}

#[tokio::test]
async fn both_kinds_of_channel_binding_hold_and_those_of_another_connection_do_not() {
    within(async {
        let tls = Tls::new();
        let server = tls.start(users(), |config| config.limits.auth_failures = 100).await;
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        let (other, _) = ready(server.address, tls.client(false, false)).await;
        let plus = Mechanism::ScramSha256Plus;
        // Someone in the middle has a connection of his own to each end.
        let (reply, _) = log_in(&mut client, plus, PASSWORD, bindings(&other, true)).await;
        assert_eq!(&reply[..9], "535 5.7.8");
        // A client that could bind and believes that it was offered no such mechanism has been lied to (RFC 5802 §6).
        let bound = bindings(&client, true);
        let (reply, _) = log_in(&mut client, Mechanism::ScramSha256, PASSWORD, bound).await;
        assert_eq!(&reply[..9], "535 5.7.8");
        for exporter in [true, false] {
            let (mut client, _) = ready(server.address, tls.client(false, false)).await;
            let bound = bindings(&client, exporter);
            assert_eq!(&log_in(&mut client, plus, PASSWORD, bound).await.0[..3], "235");
        }
    })
    .await;
}

/// RFC 5802 §5.1: the nonce in the client's final message is the server's.
#[tokio::test]
async fn scram_with_another_nonce_or_proof_is_refused() {
    within(async {
        let tls = Tls::new();
        let server = tls.start(users(), |_| {}).await;
        for spoiled in ["r=", "p="] {
            let (mut client, _) = ready(server.address, tls.client(false, false)).await;
            let mut exchange = ClientExchange::new(
                Mechanism::ScramSha256,
                credentials(Mechanism::ScramSha256, PASSWORD),
                ClientOptions::new(Nonce::from_random([7; 18])),
            )
            .unwrap();
            let first = base64::encode(exchange.initial_response().unwrap().as_bytes());
            let challenge = client.say(&format!("AUTH SCRAM-SHA-256 {first}"), 334).await;
            let challenge = base64::decode(&challenge.as_bytes()[4..]).unwrap();
            let response = exchange.respond(challenge.as_bytes()).unwrap();
            let text = response.as_str().unwrap();
            // One character of the nonce, or of the proof, is another.
            let at = text.find(spoiled).unwrap() + 4;
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            let reply = client.say(&base64::encode(wrong.as_bytes()), 535).await;
            assert_eq!(reply, "535 5.7.8 Authentication credentials invalid");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_mechanism_knows_no_sense_of_is_told_by_its_kind() {
    within(async {
        let tls = Tls::new();
        let server = tls.start(users(), |config| config.limits.auth_failures = 100).await;
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        for (line, expected) in [
            // Nothing, a field too many, a field too few, and no UTF-8.
            ("AUTH PLAIN =".to_owned(), "501 5.5.2"),
            (format!("AUTH PLAIN {}", base64::encode(b"\0ada\0secret\0extra")), "501 5.5.2"),
            (format!("AUTH PLAIN {}", base64::encode(b"ada\0secret")), "501 5.5.2"),
            (format!("AUTH PLAIN {}", base64::encode(b"\0ada\0\xFF\xFE")), "501 5.5.2"),
            // Longer than a name may be, as it comes and as it is prepared.
            (format!("AUTH PLAIN {}", base64::encode(format!("\0{}\0x", "a".repeat(2000)).as_bytes())), "500 5.5.6"),
            (
                format!("AUTH PLAIN {}", base64::encode(format!("\0{}\0x", "\u{FDFA}".repeat(32)).as_bytes())),
                "500 5.5.6",
            ),
            (format!("AUTH CRAM-MD5 {}", base64::encode(b"hello")), "501 5.7.0"),
            ("AUTH SCRAM-SHA-256 biws".to_owned(), "501 5.5.2"),
            ("AUTH EXTERNAL =".to_owned(), "504 5.5.4"),
            // Somebody who does not exist looks like somebody with another password.
            (format!("AUTH PLAIN {}", base64::encode(b"\0nobody\0x")), "535 5.7.8"),
            // Nobody acts for anybody else.
            (format!("AUTH PLAIN {}", base64::encode(format!("bob\0{USER}\0{PASSWORD}").as_bytes())), "535 5.7.8"),
        ] {
            client.send(format!("{line}\r\n")).await;
            let reply = client.reply().await.unwrap().unwrap();
            assert_eq!(&reply[..9], expected, "{line}: {reply}");
        }
        client.say("AUTH PLAIN", 334).await;
        client.say(&"A".repeat(12_288), 501).await;
        client.say("AUTH PLAIN", 334).await;
        client.say(&"A".repeat(12_292), 500).await;
        client.say("NOOP", 250).await;
    })
    .await;
}

#[tokio::test]
async fn in_clear_there_is_no_auth_unless_that_is_allowed() {
    within(async {
        let world = World::new();
        for allowed in [false, true] {
            let mut settings = settings();
            settings.auth.allow_plaintext_auth = allowed;
            let builder = Server::builder(AcceptAll(Memory::new(1 << 20))).config(settings).tls(world.tls.clone());
            let server = start(builder.authenticator(users())).await;
            let mut raw = server.client().await;
            raw.expect(220).await;
            let ehlo = raw.say("EHLO x.example", 250).await;
            assert_eq!(ehlo.contains("AUTH"), allowed, "{ehlo}");
            assert!(!ehlo.contains("-PLUS") && !ehlo.contains("EXTERNAL"), "{ehlo}");
            let line = format!("AUTH PLAIN {}", base64::encode(format!("\0{USER}\0{PASSWORD}").as_bytes()));
            raw.say(&line, if allowed { 235 } else { 504 }).await;
            // Behind STARTTLS everything is offered, and the client is nobody again.
            raw.say("STARTTLS", 220).await;
            let mut client = Secure::begin(raw.stream, Arc::clone(&world.client), NAME);
            client.handshake().await.unwrap();
            let ehlo = client.say("EHLO x.example", 250).await;
            assert!(ehlo.contains("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "), "{ehlo}");
            client.say(&line, 235).await;
        }
        // Without an authenticator there is none at all.
        let mut settings = settings();
        settings.auth.allow_plaintext_auth = true;
        let server = start(Server::builder(AcceptAll(Memory::new(1 << 20))).config(settings)).await;
        let mut raw = server.client().await;
        raw.expect(220).await;
        assert!(!raw.say("EHLO x.example", 250).await.contains("AUTH"));
        raw.say("AUTH PLAIN", 502).await;
    })
    .await;
}

/// Looks everything up in a database that takes its time, and knows of users by their names' beginnings.
#[derive(Clone, Default)]
struct Slow {
    dropped: Arc<AtomicBool>,
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Authenticator for Slow {
    fn mechanisms(&self) -> Vec<Mechanism> {
        vec![Mechanism::Plain]
    }

    fn answer(&self, attempt: &Attempt<'_>, request: Request) -> AuthDecision {
        assert!(attempt.context.tls.is_some() && attempt.context.envelope.client_name().is_some());
        assert_eq!(attempt.mechanism, Mechanism::Plain);
        let name = match request {
            Request::Password { authentication_id, .. } => authentication_id,
            Request::Authorize(identity) => identity.authentication_id,
            _ => return Answer::Reject.into(),
        };
        let dropped = Dropped(Arc::clone(&self.dropped));
        AuthDecision::later(async move {
            let _dropped = dropped;
            tokio::task::yield_now().await;
            match &*name {
                "away" => Answer::Unavailable.into(),
                "weak" => AuthDecision::Refuse(Reply::fixed(534, Some((5, 7, 9)), "Use SCRAM")),
                "new" => AuthDecision::Refuse(Reply::fixed(432, Some((4, 7, 12)), "Log in by SCRAM once")),
                "never" => std::future::pending().await,
                "twice" => AuthDecision::later(async { Answer::AcceptAs("again".to_owned()).into() }),
                "wrong" => Answer::SharedSecret("no answer to this".into()).into(),
                _ => Answer::Accept.into(),
            }
        })
    }
}

fn plain(authorize: &str, name: &str) -> String {
    format!("AUTH PLAIN {}", base64::encode(format!("{authorize}\0{name}\0x").as_bytes()))
}

#[tokio::test]
async fn answers_may_take_their_time_and_say_why_not() {
    within(async {
        let tls = Tls::new();
        let slow = Slow::default();
        let server = tls.start(slow.clone(), |config| config.auth.require_auth = true).await;
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        client.say("MAIL FROM:<ada@client.example>", 530).await;
        for (name, expected) in [
            ("away", "454 4.7.0 Authentication not available at the moment"),
            ("wrong", "454 4.7.0 Authentication not available at the moment"),
            ("weak", "534 5.7.9 Use SCRAM"),
            ("new", "432 4.7.12 Log in by SCRAM once"),
        ] {
            client.send(plain("", name) + "\r\n").await;
            assert_eq!(client.reply().await.unwrap().as_deref(), Some(expected));
        }
        // What stands behind AUTH in the same flight waits, and is obeyed then.
        client.send(plain("boss", "ada") + "\r\nMAIL FROM:<ada@client.example>\r\n").await;
        client.expect(235).await;
        client.expect(250).await;
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        client.say(&plain("", "twice"), 235).await;
        // Who goes away in the middle is not waited for.
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        slow.dropped.store(false, Ordering::Relaxed);
        client.send(plain("", "never") + "\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!slow.dropped.load(Ordering::Relaxed), "it is waited for");
        drop(client);
        until(|| slow.dropped.load(Ordering::Relaxed)).await;
    })
    .await;
}

/// Takes mail for elsewhere of those who have logged in.
struct Relay(Memory, Arc<Mutex<Vec<String>>>);

impl Policy for Relay {
    type Sink = MemorySink;

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(Arc::new(users()))
    }

    fn sink(&self) -> MemorySink {
        self.0.sink()
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        const NO_RELAY: Reply = Reply::fixed(550, Some((5, 7, 1)), "No relaying");
        let envelope = rcpt.context.envelope;
        let Some(identity) = envelope.identity() else { return Decision::Reject(NO_RELAY) };
        let submitter = envelope.submitter().map(|submitter| submitter.as_str()).unwrap_or_default();
        self.1.lock().unwrap().push(format!("{identity} {submitter}"));
        Decision::Accept
    }
}

#[tokio::test]
async fn a_policy_has_an_authenticator_and_knows_who_has_logged_in() {
    within(async {
        let (tls, seen) = (Tls::new(), Arc::default());
        let relay = Relay(Memory::new(1 << 20), Arc::clone(&seen));
        let server = start_implicit(Server::builder(relay).tls(tls.tls.clone())).await;
        let (mut client, _) = ready(server.address, tls.client(true, false)).await;
        client.say("MAIL FROM:<ada@client.example> AUTH=ada@client.example", 250).await;
        client.say("RCPT TO:<bob@elsewhere.example>", 550).await;
        client.say("RSET", 250).await;
        client.say("AUTH EXTERNAL =", 235).await;
        client.say("MAIL FROM:<ada@client.example> AUTH=ada@client.example", 250).await;
        client.say("RCPT TO:<bob@elsewhere.example>", 250).await;
        assert_eq!(*seen.lock().unwrap(), ["ada ada@client.example"]);
    })
    .await;
}

#[tokio::test]
async fn who_guesses_is_shown_out() {
    within(async {
        let tls = Tls::new();
        let server = tls.start(users(), |config| config.limits.auth_failures = 3).await;
        let (mut client, _) = ready(server.address, tls.client(false, false)).await;
        for _ in 0..3 {
            client.say(&plain("", USER), 535).await;
        }
        client.expect(421).await;
        client.expect_end().await;
        assert_eq!(server.stop().await.failed_authentications, 3);
    })
    .await;
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Fields<'l>(&'l mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        attributes.record(&mut Fields(&mut self.0.lock().unwrap()));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut log = self.0.lock().unwrap();
        log.push('\n');
        event.record(&mut Fields(&mut log));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Exchanges that succeed and fail, by each mechanism and in each way.
async fn try_everything() {
    let tls = Tls::new();
    let users = users();
    let shown = format!("{users:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    let server = tls.start(users, |config| config.limits.auth_failures = 100).await;
    for mechanism in Mechanism::ALL {
        let (mut client, _) = ready(server.address, tls.client(true, false)).await;
        let bound = if mechanism.needs_channel_binding() { bindings(&client, true) } else { ChannelBindings::none() };
        log_in(&mut client, mechanism, &format!("{PASSWORD}-wrong"), bound.clone()).await;
        log_in(&mut client, mechanism, PASSWORD, bound).await;
    }
    let (mut client, _) = ready(server.address, tls.client(false, false)).await;
    // The password where the name belongs, in place of base64, of the mechanism, and of a command.
    client.say(&plain("", PASSWORD), 535).await;
    client.say(&format!("AUTH PLAIN {PASSWORD}"), 501).await;
    client.say(&format!("AUTH {PASSWORD}"), 504).await;
    client.say("AUTH PLAIN", 334).await;
    client.say(PASSWORD, 501).await;
    client.say(PASSWORD, 500).await;
    server.stop().await;
}

/// At the level that tells most.
#[tokio::test]
async fn no_log_has_a_credential() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    within(async {
        // The first time makes each place that logs known to tracing. A test on another thread may have come there at the moment in
        // which this one's subscriber came, and have it down as nobody's interest.
        try_everything().await;
        tracing::callsite::rebuild_interest_cache();
        log.0.lock().unwrap().clear();
        try_everything().await;
    })
    .await;
    drop(guard);
    let log = log.0.lock().unwrap();
    assert!(log.contains("authenticated") && log.contains("authentication failed"), "{log}");
    let whole = base64::encode(format!("\0{USER}\0{PASSWORD}").as_bytes());
    for secret in [PASSWORD, &whole, &base64::encode(PASSWORD.as_bytes())] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_message_in_memory_tells_who_sent_it_through_which_tls() {
    within(async {
        let (tls, mailbox) = (Tls::new(), Memory::new(1 << 20));
        let builder = Server::builder(AcceptAll(mailbox.clone())).config(Config::new(NAME).unwrap());
        let server = start_implicit(builder.tls(tls.tls.clone()).authenticator(users())).await;
        // It shows a certificate, which is not kept.
        let (mut client, _) = ready(server.address, tls.client(true, false)).await;
        log_in(&mut client, Mechanism::Plain, PASSWORD, ChannelBindings::none()).await;
        client.begin_message().await;
        client.say("x\r\n.", 250).await;
        let message = mailbox.wait_for(1, Duration::from_secs(20)).await.unwrap().remove(0);
        assert_eq!(message.identity.as_deref(), Some(USER));
        let info = message.tls.as_ref().unwrap();
        assert_eq!((info.version, info.server_name.as_deref(), &info.client), ("TLSv1.3", Some(NAME), &None));
        server.stop().await;
    })
    .await;
}
