//! What `Debug` and `Display` show, of every public type that may hold a secret.

mod common;

use common::{NAME, client_options, server_options};
use ehlo_sasl::{
    Answer, ChannelBindings, ClientExchange, Credentials, Mechanism, Nonce, Request, ScramCredentials, ScramHash,
    Secret, ServerExchange, StaticUsers, Step, base64,
};

const SECRET: &str = "hunter2-hunter2";

/// The secret as text, in Base64, in hexadecimal digits, and as the list of bytes that a derived `Debug` would print.
fn shows(output: &str, secret: &[u8]) -> bool {
    let list = format!("{secret:?}");
    let pretty: String = output.split_whitespace().collect();
    let list: String = list.split_whitespace().collect();
    let text = String::from_utf8_lossy(secret);
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let inside = list.trim_matches(['[', ']']);
    [text.as_ref(), &base64::encode(secret), &hex, inside].into_iter().any(|form| pretty.contains(form))
}

#[track_caller]
fn check(what: &impl std::fmt::Debug, secrets: &[&[u8]]) {
    for output in [format!("{what:?}"), format!("{what:#?}")] {
        for secret in secrets {
            assert!(!shows(&output, secret), "{output}");
        }
    }
}

#[test]
fn the_check_would_see_a_secret() {
    assert!(shows(&format!("{:?}", SECRET), SECRET.as_bytes()));
    assert!(shows(&format!("{:?}", SECRET.as_bytes()), SECRET.as_bytes()));
    assert!(shows(&format!("{:#?}", SECRET.as_bytes()), SECRET.as_bytes()));
    assert!(!shows("Secret(..)", SECRET.as_bytes()));
}

#[test]
fn no_secret_is_shown() {
    let secret = SECRET.as_bytes();
    check(&Secret::from(SECRET), &[secret]);
    check(&Some(vec![Secret::from(SECRET)]), &[secret]);
    assert_eq!(format!("{:?}", Secret::from("")), format!("{:?}", Secret::from(SECRET)), "nor how long it is");

    check(&Nonce::from_random(*b"hunter2-hunter2-18"), &[b"hunter2-hunter2-18"]);
    let bindings = ChannelBindings::none().with_exporter([0xab; 32]).with_server_end_point(&[0xcd; 32]);
    check(&bindings, &[&[0xab; 32], &[0xcd; 32]]);

    let keys = ScramCredentials::derive(ScramHash::Sha256, SECRET, b"a salt of its own", 4096).unwrap();
    let kept = [secret, keys.stored_key(), keys.server_key()];
    check(&keys, &kept);
    check(&keys.to_text(), &kept);

    for credentials in [Credentials::password(NAME, SECRET), Credentials::bearer(NAME, SECRET)] {
        check(&credentials, &[secret]);
    }
    let mut users = StaticUsers::new("hunter2-salt");
    users.add(NAME, SECRET).unwrap();
    check(&users, &[secret, b"hunter2-salt"]);
    check(&users.unknown_users(), &[b"hunter2-salt"]);
    check(&server_options(&users), &[b"hunter2-salt", &[1; 18], &[7; 32], &[9; 32]]);
    check(&client_options(Mechanism::ScramSha256Plus), &[&[2; 18], &[7; 32], &[9; 32]]);

    for answer in [Answer::Scram(keys.clone()), Answer::SharedSecret(SECRET.into())] {
        check(&answer, &kept);
    }
}

/// Each side of each mechanism, at each step.
#[test]
fn no_exchange_shows_what_it_holds() {
    let mut users = StaticUsers::new("hunter2-salt");
    users.add(NAME, SECRET).unwrap();
    let secrets = [SECRET.as_bytes(), b"hunter2-salt"];
    for mechanism in Mechanism::ALL {
        let credentials = common::credentials(mechanism, NAME, SECRET);
        let mut client = ClientExchange::new(mechanism, credentials, client_options(mechanism)).unwrap();
        check(&client, &secrets);
        let initial = client.initial_response();
        check(&initial, &secrets);
        check(&client, &secrets);
        let initial = initial.as_ref().map(Secret::as_bytes);
        let (mut server, mut step) = ServerExchange::start(mechanism, server_options(&users), initial);
        loop {
            check(&server, &secrets);
            check(&client, &secrets);
            check(&step, &secrets);
            step = match step {
                Step::Challenge(challenge) => {
                    let response = client.respond(&challenge).unwrap();
                    check(&response, &secrets);
                    server.respond(response.as_bytes())
                }
                Step::Ask(request) => {
                    let answer = match &request {
                        Request::External { .. } => Answer::AcceptAs(NAME.into()),
                        request => users.answer(request),
                    };
                    check(&answer, &secrets);
                    server.answer(answer)
                }
                Step::Done(_) => break,
                Step::Failed(failure) => panic!("{mechanism}: {failure}"),
            };
        }
    }
}

#[test]
fn errors_and_failures_hold_no_text_of_anybody() {
    // They are `Copy` and own nothing: there is no place in them for a name, a password or a peer's text.
    fn owns_nothing<T: Copy + 'static + std::fmt::Debug + std::fmt::Display>() {}
    owns_nothing::<ehlo_sasl::Failure>();
    owns_nothing::<ehlo_sasl::Error>();
    owns_nothing::<ehlo_sasl::InvalidCredentials>();
    owns_nothing::<ehlo_sasl::UnknownMechanism>();
    owns_nothing::<base64::DecodeError>();
}
