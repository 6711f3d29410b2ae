//! Both drivers of the client send to a server of this project: in clear and in TLS, with a log-in and without, by each way that a body can take.

mod both;
mod world;

use both::{DRIVERS, Wanted};
use ehlo_tokio::client::{Envelope, Login, LoginError, Recipient, SendError, Tls};
use ehlo_tokio::ehlo_client::codec::{BodyType, ReplyCode};
use ehlo_tokio::ehlo_client::{CloseReason, Fate};
use ehlo_tokio::ehlo_sasl::Mechanism;
use world::{NAME, PASSWORD, Secure, USER, World};

const SECURE: [Secure; 3] = [Secure::No, Secure::StartTls, Secure::Implicit];

fn recipients(names: &[&'static str]) -> Vec<Recipient<'static>> {
    names.iter().map(|name| Recipient::parse(name).unwrap()).collect()
}

fn text(lines: usize) -> Vec<u8> {
    let mut text = b"Subject: dots\r\n\r\n.\r\n..\r\n".to_vec();
    for line in 0..lines {
        text.extend_from_slice(format!("{}line {line}\r\n", if line % 7 == 0 { "." } else { "" }).as_bytes());
    }
    text
}

#[test]
fn each_recipient_is_told_of_and_the_message_arrives_as_it_was() {
    for secure in SECURE {
        let world = World::start(secure, |_| {});
        let to = recipients(&["bob@mx.example", "later@mx.example", "never@mx.example", "eve@mx.example"]);
        for driver in DRIVERS {
            for way in 0..4 {
                let wanted = Wanted {
                    tls: world.tls(secure),
                    no_chunking: way & 1 == 1,
                    no_pipelining: way & 2 == 2,
                    ..Wanted::default()
                };
                let mut client = driver.connected(world.address, wanted);
                assert_eq!(client.tls().map(|tls| tls.verified), (secure != Secure::No).then_some(true));
                for lines in [0, 10, 20_000] {
                    let text = text(lines);
                    let envelope = Envelope::parse("ada@client.example", &to).unwrap();
                    let report = client.send(&envelope, &text).unwrap();
                    let what = format!("{secure:?} {driver:?} {way} {lines}");
                    let fates: Vec<String> = report.iter().map(|fate| fate.to_string()).collect();
                    assert!(fates[0].starts_with("accepted: 250 2.0.0"), "{what}: {fates:?}");
                    assert_eq!(fates[1], "deferred: 450 4.2.1 Greylisted", "{what}");
                    assert_eq!(fates[2], "refused: 550 5.1.1 No such user", "{what}");
                    assert_eq!(fates[3], fates[0], "{what}");
                    let got = world.store.take();
                    assert_eq!(got.len(), 1, "{what}");
                    assert_eq!(got[0].to, ["bob@mx.example", "eve@mx.example"], "{what}");
                    assert!(got[0].body == text, "{what}: another message");
                }
                client.quit().unwrap();
            }
        }
    }
}

#[test]
fn a_message_that_is_read_while_it_is_sent_arrives_as_it_was() {
    let world = World::start(Secure::StartTls, |_| {});
    let to = recipients(&["bob@mx.example"]);
    for driver in DRIVERS {
        for no_chunking in [false, true] {
            for no_pipelining in [false, true] {
                for secure in [Secure::No, Secure::StartTls] {
                    let tls = world.tls(secure);
                    let mut client = driver
                        .connected(world.address, Wanted { tls, no_chunking, no_pipelining, ..Wanted::default() });
                    let envelope = Envelope::parse("ada@client.example", &to).unwrap();
                    for lines in [0, 3, 60_000] {
                        let text = text(lines);
                        for told in [false, true] {
                            let report = client.send_read(&envelope, &text, told).unwrap();
                            let fate = report.get(0).unwrap();
                            let what = format!("{driver:?} {no_chunking} {no_pipelining} {secure:?} {lines} {told}");
                            assert!(fate.is_accepted(), "{what}: {fate}");
                            assert!(world.store.take()[0].body == text, "{what}: another message");
                        }
                        assert!(client.send_seek(&envelope, &text).unwrap().all_accepted());
                        assert!(world.store.take()[0].body == text, "another message");
                    }
                    client.quit().unwrap();
                }
            }
        }
    }
}

#[test]
fn what_can_not_be_sent_to_its_end_is_not_taken() {
    let world = World::start(Secure::No, |_| {});
    let to = recipients(&["bob@mx.example"]);
    let envelope = Envelope::parse("ada@client.example", &to).unwrap();
    for driver in DRIVERS {
        for no_chunking in [false, true] {
            let wanted = || Wanted { no_chunking, ..Wanted::default() };
            // In memory it is found before anything is said.
            let mut client = driver.connected(world.address, wanted());
            assert!(
                matches!(client.send(&envelope, b"a\nb\r\n"), Err(SendError::LineEnding(error)) if error.offset == 1)
            );
            assert!(client.send(&envelope, b"a\r\n").unwrap().all_accepted());
            // Else in the middle, and the connection ends.
            let error =
                client.send_read(&envelope, &[&b"x\r\n".repeat(50_000)[..], b"\n"].concat(), false).unwrap_err();
            assert!(matches!(&error, SendError::Body(_, report) if report.get(0) == Some(Fate::Unsent)), "{error}");
            assert_eq!(client.closed(), Some(CloseReason::Abandoned));
            assert!(matches!(client.send(&envelope, b"a\r\n"), Err(SendError::Closed(CloseReason::Abandoned))));
            // A length that is wrong.
            let mut client = driver.connected(world.address, wanted());
            let error = client.send_read(&envelope.with_size(7), b"shorter", false);
            assert!(error.unwrap().all_accepted(), "it has seven");
            if !no_chunking {
                let error = client.send_read(&envelope.with_size(8), b"shorter", false).unwrap_err();
                assert!(matches!(error, SendError::Body(..)), "{error}");
            }
            // Octets beyond ASCII in what is said to have none.
            let mut client = driver.connected(world.address, wanted());
            let error = client.send_read(&envelope, "gr\u{fc}\u{df}e\r\n".as_bytes(), false).unwrap_err();
            assert!(matches!(error, SendError::Body(..)), "{error}");
            let mut client = driver.connected(world.address, wanted());
            let eight = envelope.with_body(BodyType::EightBitMime);
            assert!(client.send_read(&eight, "gr\u{fc}\u{df}e\r\n".as_bytes(), false).unwrap().all_accepted());
        }
    }
    let sizes: Vec<usize> = world.store.take().iter().map(|message| message.body.len()).collect();
    // By DATA the seven octets get a line's end.
    assert_eq!(sizes, [3, 7, 9, 3, 9, 9].repeat(2));
}

#[test]
fn line_ends_are_changed_where_that_is_wanted() {
    let world = World::start(Secure::No, |_| {});
    let to = recipients(&["bob@mx.example"]);
    let envelope = Envelope::parse("ada@client.example", &to).unwrap();
    for driver in DRIVERS {
        let mut client = driver.connected(world.address, Wanted { normalize: true, ..Wanted::default() });
        let (given, wanted) = (b"a\nb\r\n\rc\r\r\n\n", b"a\r\nb\r\n\r\nc\r\n\r\n\r\n");
        assert!(client.send(&envelope, given).unwrap().all_accepted());
        assert!(client.send_read(&envelope, given, true).unwrap().all_accepted());
        for message in world.store.take() {
            assert_eq!(message.body.escape_ascii().to_string(), wanted.escape_ascii().to_string());
        }
    }
}

#[test]
fn a_server_that_is_not_who_it_says_gets_nothing() {
    for secure in [Secure::StartTls, Secure::Implicit] {
        let world = World::start(secure, |_| {});
        for driver in DRIVERS {
            let trust = world.trust("other.example");
            let tls = if secure == Secure::Implicit { Tls::Implicit(trust) } else { Tls::Opportunistic(trust) };
            let login = Some(Login::password(USER, PASSWORD));
            let (client, seen) = driver.connect(world.address, Wanted { tls, login, ..Wanted::default() });
            let error = client.err().expect("it can't be verified");
            assert!(matches!(error, SendError::Tls(_)), "{driver:?} {secure:?}: {error}");
            let seen = seen.lock().unwrap();
            assert!(!seen.contains("AUTH P") && !seen.contains("MAIL"), "{seen}");
        }
    }
}

#[test]
fn a_server_that_is_not_verified_gets_messages_where_that_is_wanted_and_no_password() {
    let world = World::start(Secure::StartTls, |_| {});
    for driver in DRIVERS {
        let tls = || Tls::Opportunistic(world.lenient());
        let mut client = driver.connected(world.address, Wanted { tls: tls(), ..Wanted::default() });
        assert_eq!(client.tls().map(|tls| tls.verified), Some(false));
        let to = recipients(&["bob@mx.example"]);
        assert!(client.send(&Envelope::parse("", &to).unwrap(), b"x\r\n").unwrap().all_accepted());
        let login = Some(Login::password(USER, PASSWORD).mechanism(Mechanism::Plain));
        let (client, _) = driver.connect(world.address, Wanted { tls: tls(), login, ..Wanted::default() });
        assert!(matches!(client.err(), Some(SendError::Login(LoginError::OnlyInClear))));
        // SCRAM shows it nothing.
        let login = Some(Login::password(USER, PASSWORD).mechanism(Mechanism::ScramSha256));
        driver.connected(world.address, Wanted { tls: tls(), login, ..Wanted::default() });
    }
}

#[test]
fn tls_that_is_required_and_not_offered_ends_the_session() {
    let world = World::start(Secure::No, |_| {});
    for driver in DRIVERS {
        let tls = Tls::Required(world.trust(NAME));
        let (client, seen) = driver.connect(world.address, Wanted { tls, ..Wanted::default() });
        assert!(matches!(client.err(), Some(SendError::Closed(CloseReason::TlsNotAvailable(None)))));
        assert!(seen.lock().unwrap().contains("QUIT"));
    }
}

#[test]
fn each_mechanism_logs_in_and_no_secret_is_shown() {
    let world = World::start(Secure::StartTls, |_| {});
    for driver in DRIVERS {
        for mechanism in Mechanism::ALL.into_iter().filter(|one| *one != Mechanism::External) {
            let login = |password: &str| match mechanism {
                Mechanism::OAuthBearer | Mechanism::XOAuth2 => Login::bearer(USER, password),
                _ => Login::password(USER, password),
            };
            let tls = world.tls(Secure::StartTls);
            let wanted = Wanted { tls, login: Some(login(PASSWORD).mechanism(mechanism)), ..Wanted::default() };
            let (client, seen) = driver.connect(world.address, wanted);
            client.unwrap_or_else(|error| panic!("{driver:?} {mechanism}: {error}")).quit().unwrap();
            let seen = seen.lock().unwrap();
            assert!(seen.contains(&format!("AUTH {mechanism}")) && seen.contains("235 "), "{seen}");
            assert!(!seen.contains(PASSWORD) && !seen.contains("Y29ycmVjd"), "{seen}");
            for line in seen.lines().filter(|line| !line.starts_with(|first: char| first.is_ascii_digit())) {
                let known =
                    ["EHLO", "STARTTLS", "AUTH", "QUIT", "****", "Tls"].iter().any(|word| line.starts_with(word));
                assert!(known, "{line}");
            }

            let tls = world.tls(Secure::StartTls);
            let wanted = Wanted { tls, login: Some(login("wrong").mechanism(mechanism)), ..Wanted::default() };
            let error = driver.connect(world.address, wanted).0.err().expect("the password is wrong");
            assert!(
                matches!(&error, SendError::Login(LoginError::Refused(code, _)) if *code == ReplyCode::literal(535)),
                "{driver:?} {mechanism}: {error}"
            );
        }
        // The strongest that there is.
        let wanted = Wanted {
            tls: world.tls(Secure::StartTls),
            login: Some(Login::password(USER, PASSWORD)),
            ..Wanted::default()
        };
        let (client, seen) = driver.connect(world.address, wanted);
        client.unwrap();
        assert!(seen.lock().unwrap().contains("AUTH SCRAM-SHA-256-PLUS"));
    }
}

// C034, C081
#[test]
fn recipients_beyond_a_limit_get_a_transaction_of_their_own() {
    let names: Vec<String> =
        (0..7).map(|number| format!("{}{number}@mx.example", if number == 2 { "never" } else { "b" })).collect();
    let to: Vec<Recipient<'_>> = names.iter().map(|name| Recipient::parse(name).unwrap()).collect();
    for told in [true, false] {
        let world = World::start(Secure::No, |settings| {
            settings.limits.recipients = 3;
            settings.announce_limits = told;
        });
        for driver in DRIVERS {
            for no_chunking in [false, true] {
                let mut client = driver.connected(world.address, Wanted { no_chunking, ..Wanted::default() });
                let envelope = Envelope::parse("ada@client.example", &to).unwrap();
                let report = client.send(&envelope, b"Subject: x\r\n\r\n").unwrap();
                let what = format!(
                    "told: {told}, {driver:?}: {:?}",
                    report.iter().map(|fate| fate.to_string()).collect::<Vec<_>>()
                );
                assert_eq!(report.accepted(), 6, "{what}");
                assert!(matches!(report.get(2), Some(Fate::Refused(reply)) if reply.code().get() == 550), "{what}");
                let got: Vec<Vec<String>> = world.store.take().iter().map(|message| message.to.clone()).collect();
                assert_eq!(got.iter().map(Vec::len).sum::<usize>(), 6, "{what} {got:?}");
                assert!(got.iter().all(|to| to.len() <= 3), "{got:?}");
                // A reader can't be read twice.
                let report = client.send_read(&envelope, b"Subject: x\r\n\r\n", false).unwrap();
                assert!(report.accepted() >= 2 && report.unsent().count() >= 3, "{what}");
                let _ = world.store.take();
            }
        }
    }
}

#[test]
fn many_messages_go_out_behind_each_other_and_each_is_told_of() {
    for secure in SECURE {
        let world = World::start(secure, |_| {});
        let (good, bad) = (recipients(&["bob@mx.example"]), recipients(&["never@mx.example"]));
        let texts: Vec<Vec<u8>> = (0..100).map(|number| text(number % 10 * 500)).collect();
        let messages: Vec<(Envelope<'_>, &[u8])> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| {
                let to = if number % 10 == 3 { &bad } else { &good };
                (Envelope::parse("ada@client.example", to).unwrap(), &text[..])
            })
            .collect();
        for driver in DRIVERS {
            for ahead in [1, 2, 8] {
                for no_chunking in [false, true] {
                    let wanted = Wanted { tls: world.tls(secure), ahead, no_chunking, ..Wanted::default() };
                    let mut client = driver.connected(world.address, wanted);
                    let reports = client.send_all(&messages).unwrap();
                    let what = format!("{secure:?} {driver:?} {ahead} {no_chunking}");
                    let mut numbers: Vec<usize> = reports.iter().map(|(number, _)| *number).collect();
                    numbers.sort_unstable();
                    assert!(numbers.into_iter().eq(0..100), "{what}");
                    for (number, report) in &reports {
                        assert_eq!(report.all_accepted(), number % 10 != 3, "{what} {number}");
                    }
                    let got = world.store.take();
                    let wanted: Vec<&Vec<u8>> =
                        texts.iter().enumerate().filter(|(number, _)| number % 10 != 3).map(|(_, text)| text).collect();
                    assert!(got.iter().map(|message| &message.body).eq(wanted), "{what}: other messages");
                    client.quit().unwrap();
                }
            }
        }
    }
}
