//! Peers and networks that mean no good: cut, changed and random messages.

mod common;

use common::{NAME, PASSWORD, answer, client_options, credentials, run, server_options, users};
use ehlo_sasl::{
    Answer, ClientExchange, Credentials, Failure, MAX_MESSAGE, Mechanism, Nonce, Request, ScramCredentials, ScramHash,
    Secret, ServerExchange, StaticUsers, Step,
};
use proptest::prelude::*;

/// Runs an exchange with a change to one message of it; `true` if both sides were satisfied.
fn satisfied(users: &StaticUsers, mechanism: Mechanism, tamper: impl FnMut(usize, bool, &mut Vec<u8>)) -> bool {
    let client = ClientExchange::new(mechanism, credentials(mechanism, NAME, PASSWORD), client_options(mechanism));
    let decide = |request: &Request| answer(users, request);
    let outcome = run(client.unwrap(), mechanism, server_options(users), true, decide, tamper);
    outcome.server.is_ok() && outcome.client.is_ok()
}

/// The messages of a good exchange and whether the client sent them.
fn messages(users: &StaticUsers, mechanism: Mechanism) -> Vec<(bool, Vec<u8>)> {
    let mut messages = Vec::new();
    assert!(satisfied(users, mechanism, |_, from_client, message| messages.push((from_client, message.clone()))));
    messages
}

/// Whether a change to the byte at this place does no harm.
fn insignificant(mechanism: Mechanism, from_client: bool, original: &[u8], at: usize, mask: u8) -> bool {
    let within = |part: &[u8], from: usize| {
        let start = original.windows(part.len()).position(|window| window == part);
        start.is_some_and(|start| (start + from..start + part.len()).contains(&at))
    };
    match mechanism {
        // The prompts are for people.
        Mechanism::Login => !from_client,
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
            // The scheme and the host's name have no case.
            let no_case = within(b"Bearer", 0) || within(b"host=mx.example", 5);
            // A pair whose key is not known is ignored, and host and port need not be there.
            (mask == 0x20 && no_case) || within(b"host", 0) || within(b"port", 0)
        }
        _ => false,
    }
}

#[test]
fn no_message_that_is_cut_authenticates() {
    let users = users();
    for mechanism in Mechanism::ALL {
        for (number, (from_client, original)) in messages(&users, mechanism).into_iter().enumerate() {
            for end in 0..original.len() {
                let satisfied = satisfied(&users, mechanism, |at, _, message| {
                    if at == number {
                        message.truncate(end);
                    }
                });
                let harmless = mechanism == Mechanism::Login && !from_client;
                assert!(!satisfied || harmless, "{mechanism}: message {number} cut at {end}");
            }
        }
    }
}

#[test]
fn no_message_with_a_changed_byte_authenticates() {
    let users = users();
    let mut significant = 0;
    for mechanism in Mechanism::ALL {
        for (number, (from_client, original)) in messages(&users, mechanism).into_iter().enumerate() {
            // All bits where an exchange costs nothing, some where it costs thousands of hashes.
            let derives = mechanism.scram_hash().is_some();
            let masks: &[u8] =
                if derives { &[0x01, 0x04, 0x20, 0x80] } else { &[0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] };
            for at in 0..original.len() {
                for mask in masks {
                    let mut changed = original.clone();
                    changed[at] ^= mask;
                    let satisfied = satisfied(&users, mechanism, |found, _, message| {
                        if found == number {
                            message.clone_from(&changed);
                        }
                    });
                    if insignificant(mechanism, from_client, &original, at, *mask) {
                        continue;
                    }
                    significant += 1;
                    assert!(!satisfied, "{mechanism}: message {number}, byte {at} ^ {mask:#04x}");
                }
            }
        }
    }
    assert!(significant > 2000, "only {significant} changes were tried");
}

#[test]
fn no_message_with_a_byte_more_authenticates_under_scram() {
    let users = users();
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256Plus] {
        for (number, _) in messages(&users, mechanism).into_iter().enumerate() {
            for more in [&b"x"[..], b",", b"=", b"\0", b",x=y", b"\r\n"] {
                let satisfied = satisfied(&users, mechanism, |at, _, message| {
                    if at == number {
                        message.extend_from_slice(more);
                    }
                });
                // An extension behind the server's signature says nothing, and is ignored as it must be.
                assert!(!satisfied || (more == b",x=y" && number == 3), "{mechanism}: message {number} and {more:?}");
            }
        }
    }
}

/// Names that would be others if quoting, NULs or separators were confused.
#[test]
fn no_name_breaks_out_of_its_place() {
    let mut users = users();
    for name in ["a,r=b", "=2C", "a\x20b", "p=", "user=x", "n,,"] {
        users.add(name, PASSWORD).unwrap();
        for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::External) {
            let outcome = common::meet(&users, mechanism, name, PASSWORD);
            assert_eq!(outcome.server.unwrap().authorization_id, name, "{mechanism}");
        }
    }
}

#[test]
fn messages_above_the_limit_end_it() {
    let users = users();
    for mechanism in Mechanism::ALL {
        let (mut server, step) = ServerExchange::start(mechanism, server_options(&users), None);
        assert!(matches!(step, Step::Challenge(_)));
        assert_eq!(server.respond(&vec![b'a'; MAX_MESSAGE + 1]), Step::Failed(Failure::TooLong), "{mechanism}");
        let mut client =
            ClientExchange::new(mechanism, credentials(mechanism, NAME, PASSWORD), client_options(mechanism)).unwrap();
        assert_eq!(client.respond(&vec![b'a'; MAX_MESSAGE + 1]), Err(ehlo_sasl::Error::TooLong), "{mechanism}");
    }
    for message in
        [[b'a'; 1025].to_vec(), [b"\0", &[b'a'; 1025][..], b"\0x"].concat(), [b"\0a\0", &[b'x'; 1025][..]].concat()]
    {
        let mechanism = if message[0] == 0 { Mechanism::Plain } else { Mechanism::Login };
        let (_, step) = ServerExchange::start(mechanism, server_options(&users), Some(&message));
        assert_eq!(step, Step::Failed(Failure::TooLong), "{mechanism}");
    }
}

#[test]
fn malformed_messages_are_told_from_wrong_ones() {
    let users = users();
    let malformed: &[(Mechanism, &[u8])] = &[
        (Mechanism::Plain, b""),
        (Mechanism::Plain, b"ada"),
        (Mechanism::Plain, b"\0ada"),
        (Mechanism::Plain, b"\0ada\0"),
        (Mechanism::Plain, b"\0\0secret"),
        (Mechanism::Plain, b"\0ada\0secret\0"),
        (Mechanism::Plain, b"\0ada\0sec\0ret"),
        (Mechanism::Plain, b"\0ada\0\xff"),
        (Mechanism::Plain, b"\0\xff\0secret"),
        (Mechanism::Plain, b"\xff\0ada\0secret"),
        (Mechanism::External, b"a\0b"),
        (Mechanism::External, b"\xc0\x80"),
        (Mechanism::Login, b"a\0b"),
        (Mechanism::ScramSha256, b""),
        (Mechanism::ScramSha256, b"\xff"),
        (Mechanism::OAuthBearer, b""),
        (Mechanism::OAuthBearer, b"\x01"),
        (Mechanism::XOAuth2, b""),
    ];
    for (mechanism, message) in malformed {
        let (_, step) = ServerExchange::start(*mechanism, server_options(&users), Some(message));
        assert_eq!(step, Step::Failed(Failure::Malformed), "{mechanism} {message:?}");
    }
    for message in
        [&b""[..], b"tim", b"tim ", b" b913a602c7eda7a495b4e6e7334d3890", b"tim B913A602C7EDA7A495B4E6E7334D3890"]
    {
        let (mut server, _) = ServerExchange::start(Mechanism::CramMd5, server_options(&users), None);
        assert_eq!(server.respond(message), Step::Failed(Failure::Malformed), "{message:?}");
    }
    // What cannot be prepared is no user's name; an empty password is nobody's.
    for message in [&b"\0\x07\0secret"[..], b"\x07\0ada\0secret", b"\0\xc2\xad\0secret"] {
        let (_, step) = ServerExchange::start(Mechanism::Plain, server_options(&users), Some(message));
        assert_eq!(step, Step::Failed(Failure::Rejected), "{message:?}");
    }
    let (mut server, _) = ServerExchange::start(Mechanism::Login, server_options(&users), Some(b"ada"));
    assert_eq!(server.respond(b""), Step::Failed(Failure::Rejected));
}

/// A server that is talked to at random and answers as generously as can be, except that it knows nobody.
fn talk(mechanism: Mechanism, messages: &[Vec<u8>]) -> bool {
    let users = StaticUsers::new("kept");
    let (mut server, mut step) = ServerExchange::start(mechanism, server_options(&users), None);
    let mut messages = messages.iter();
    loop {
        step = match step {
            Step::Challenge(_) => match messages.next() {
                Some(message) => server.respond(message),
                None => return false,
            },
            Step::Ask(Request::Scram { hash, .. }) => server.answer(Answer::Scram(
                ScramCredentials::from_keys(hash, b"salt", 1, &vec![1; hash.length()], &vec![2; hash.length()])
                    .unwrap(),
            )),
            Step::Ask(Request::SharedSecret { .. }) => server.answer(Answer::SharedSecret("not known".into())),
            Step::Ask(_) => server.answer(Answer::Reject),
            Step::Done(_) => return true,
            Step::Failed(_) => return false,
        };
    }
}

fn any_mechanism() -> impl Strategy<Value = Mechanism> {
    proptest::sample::select(&Mechanism::ALL[..])
}

/// Bytes at random, and bytes of the kind that the grammars are made of.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        &b"n,,"[..],
        b"y,,",
        b"p=tls-exporter,,",
        b"n=",
        b"r=",
        b"s=",
        b"i=",
        b"c=",
        b"p=",
        b"v=",
        b"e=",
        b"m=",
        b"a=",
        b",",
        b"=",
        b"=2C",
        b"\0",
        b"\x01",
        b"user=",
        b"auth=Bearer ",
        b"host=",
        b"port=",
        b"abc",
        b"4096",
        b"c2FsdA==",
        b"biws",
        b"\xff",
        b"\xc2\xad",
        b" ",
        b"0123456789abcdef0123456789abcdef",
    ]);
    let pieces = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), pieces]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_server_takes_anything_and_lets_nobody_in(
        mechanism in any_mechanism(),
        messages in proptest::collection::vec(any_message(), 0..5),
    ) {
        prop_assert!(!talk(mechanism, &messages));
    }

    #[test]
    fn a_client_takes_anything_and_believes_no_scram_server(
        mechanism in any_mechanism(),
        challenges in proptest::collection::vec(any_message(), 0..5),
        nonce in proptest::sample::select(vec!["abc", "x"]),
    ) {
        let mut options = client_options(mechanism);
        options.nonce = Nonce::from_text(nonce).unwrap();
        options.max_iterations = 4096;
        let mut client = ClientExchange::new(mechanism, credentials(mechanism, NAME, PASSWORD), options).unwrap();
        for challenge in &challenges {
            if client.respond(challenge).is_err() {
                break;
            }
        }
        let believed = client.finish().is_ok();
        prop_assert!(!believed || mechanism.scram_hash().is_none());
    }

    #[test]
    fn any_credentials_make_a_client_or_an_error(name in ".{0,20}", secret in ".{0,20}", mechanism in any_mechanism()) {
        let made = ClientExchange::new(mechanism, credentials(mechanism, &name, &secret), client_options(mechanism));
        if let Ok(mut client) = made {
            let _ = client.initial_response();
        }
    }

    #[test]
    fn any_text_is_credentials_or_an_error(text in "(SCRAM-SHA-(1|256))?[$]?[0-9]{0,6}:?[A-Za-z0-9+/]{0,8}=?[$]?.{0,20}") {
        if let Ok(credentials) = ScramCredentials::from_text(&text) {
            let written = credentials.to_text();
            prop_assert!(ScramCredentials::from_text(written.as_str().unwrap()).is_ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever can be a password is one, for each mechanism that takes it.
    #[test]
    fn any_user_with_a_password_comes_in(name in "\\PC{1,20}", password in "\\PC{1,20}", other in "\\PC{1,20}") {
        let mut users = StaticUsers::new("kept");
        if users.add(&name, &password).is_ok() {
            for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::ScramSha1, Mechanism::ScramSha256Plus] {
                let outcome = common::meet(&users, mechanism, &name, &password);
                prop_assert!(outcome.server.is_ok() && outcome.client.is_ok(), "{}", mechanism);
                let credentials = Credentials::password(&name, other.as_str());
                let client = ClientExchange::new(mechanism, credentials, client_options(mechanism));
                if let Ok(client) = client {
                    let same = ScramCredentials::derive(ScramHash::Sha1, &password, b"salt", 1).unwrap().verify(&Secret::from(other.as_str()));
                    let outcome = run(client, mechanism, server_options(&users), true, |request| users.answer(request), |_, _, _| {});
                    prop_assert!(outcome.server.is_err() || same || other == password, "{}", mechanism);
                }
            }
        }
    }
}
