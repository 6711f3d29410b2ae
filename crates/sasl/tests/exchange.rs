//! Server against client, for every mechanism.

mod common;

use common::{NAME, PASSWORD, answer, bindings, client_options, credentials, meet, run, server_options, users};
use ehlo_sasl::{
    Answer, ChannelBindings, ClientExchange, Credentials, Error, Failure, Identity, Mechanism, Nonce, Policy, Request,
    ServerExchange, Step, base64, choose,
};

const PLUS: [Mechanism; 2] = [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus];
const SCRAM: [Mechanism; 4] =
    [Mechanism::ScramSha1, Mechanism::ScramSha256, Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus];

fn challenge(step: Step) -> Vec<u8> {
    match step {
        Step::Challenge(challenge) => challenge,
        step => panic!("{step:?}"),
    }
}

#[test]
fn the_right_secret_is_accepted_with_and_without_initial_response() {
    let users = users();
    let identity = Identity { authentication_id: NAME.into(), authorization_id: NAME.into() };
    for mechanism in Mechanism::ALL {
        for with_initial in [true, false] {
            let client =
                ClientExchange::new(mechanism, credentials(mechanism, NAME, PASSWORD), client_options(mechanism));
            let decide = |request: &Request| answer(&users, request);
            let outcome = run(client.unwrap(), mechanism, server_options(&users), with_initial, decide, |_, _, _| {});
            assert_eq!(outcome.server, Ok(identity.clone()), "{mechanism} {with_initial}");
            assert_eq!(outcome.client, Ok(()), "{mechanism} {with_initial}");
        }
    }
}

#[test]
fn a_wrong_secret_and_an_unknown_user_are_rejected_alike() {
    let users = users();
    for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::External) {
        for (name, secret) in [(NAME, "correct-horse-batterz"), ("eve@client.example", PASSWORD), (NAME, "x")] {
            let outcome = meet(&users, mechanism, name, secret);
            assert_eq!(outcome.server, Err(Failure::Rejected), "{mechanism} {name}");
        }
    }
}

#[test]
fn a_database_that_is_away_is_a_temporary_failure() {
    let users = users();
    for mechanism in Mechanism::ALL {
        let client = ClientExchange::new(mechanism, credentials(mechanism, NAME, PASSWORD), client_options(mechanism));
        let decide = |_: &Request| Answer::Unavailable;
        let outcome = run(client.unwrap(), mechanism, server_options(&users), true, decide, |_, _, _| {});
        assert_eq!(outcome.server, Err(Failure::TemporaryFailure), "{mechanism}");
    }
}

#[test]
fn names_and_passwords_that_look_alike_are_the_same() {
    let mut users = users();
    users.add("J\u{FC}rgen,=", "\u{2168}pass\u{A0}word").unwrap();
    for mechanism in Mechanism::ALL {
        // CRAM-MD5 and tokens compare bytes.
        if matches!(mechanism, Mechanism::CramMd5 | Mechanism::External | Mechanism::OAuthBearer | Mechanism::XOAuth2) {
            continue;
        }
        let outcome = meet(&users, mechanism, "Ju\u{308}rgen,=", "IXpass word");
        assert_eq!(outcome.server.unwrap().authentication_id, "J\u{FC}rgen,=", "{mechanism}");
        assert_eq!(outcome.client, Ok(()), "{mechanism}");
    }
}

#[test]
fn acting_for_somebody_else_is_a_question_of_its_own() {
    let users = users();
    let others = [Mechanism::Plain, Mechanism::ScramSha1, Mechanism::ScramSha256Plus];
    for mechanism in others {
        for allowed in [true, false] {
            let credentials = Credentials::Password {
                authentication_id: NAME.into(),
                authorization_id: Some("bob,=".into()),
                password: PASSWORD.into(),
            };
            let client = ClientExchange::new(mechanism, credentials, client_options(mechanism)).unwrap();
            let mut asked = Vec::new();
            let decide = |request: &Request| match request {
                Request::Authorize(identity) => {
                    asked.push(identity.clone());
                    if allowed { Answer::Accept } else { Answer::Reject }
                }
                request => users.answer(request),
            };
            let outcome = run(client, mechanism, server_options(&users), true, decide, |_, _, _| {});
            let identity = Identity { authentication_id: NAME.into(), authorization_id: "bob,=".into() };
            assert_eq!(asked, std::slice::from_ref(&identity), "{mechanism}");
            let expected = if allowed { Ok(identity) } else { Err(Failure::Rejected) };
            assert_eq!(outcome.server, expected, "{mechanism}");
        }
    }
}

#[test]
fn nobody_is_asked_about_somebody_who_acts_for_themselves() {
    let users = users();
    let credentials = Credentials::Password {
        authentication_id: NAME.into(),
        authorization_id: Some(NAME.into()),
        password: PASSWORD.into(),
    };
    let client = ClientExchange::new(Mechanism::Plain, credentials, client_options(Mechanism::Plain)).unwrap();
    let decide = |request: &Request| {
        assert!(!matches!(request, Request::Authorize(_)));
        users.answer(request)
    };
    let outcome = run(client, Mechanism::Plain, server_options(&users), true, decide, |_, _, _| {});
    assert!(outcome.server.is_ok());
}

#[test]
fn both_kinds_of_channel_binding_are_spoken() {
    let users = users();
    for mechanism in PLUS {
        for bindings in
            [ChannelBindings::none().with_exporter([7; 32]), ChannelBindings::none().with_server_end_point(&[9; 32])]
        {
            let mut options = client_options(mechanism);
            options.channel_bindings = bindings.clone();
            let client = ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), options).unwrap();
            let outcome =
                run(client, mechanism, server_options(&users), true, |request| users.answer(request), |_, _, _| {});
            assert!(outcome.server.is_ok() && outcome.client.is_ok(), "{mechanism} {bindings:?}");
        }
    }
}

#[test]
fn another_connection_is_noticed_by_its_channel_binding() {
    let users = users();
    for mechanism in PLUS {
        for bindings in [
            ChannelBindings::none().with_exporter([8; 32]),
            ChannelBindings::none().with_server_end_point(&[8; 32]),
            ChannelBindings::none().with_server_end_point(&[9; 48]),
        ] {
            let mut options = client_options(mechanism);
            options.channel_bindings = bindings;
            let client = ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), options).unwrap();
            let outcome =
                run(client, mechanism, server_options(&users), true, |request| users.answer(request), |_, _, _| {});
            assert_eq!(outcome.server, Err(Failure::Rejected), "{mechanism}");
        }
    }
}

#[test]
fn a_type_that_the_server_does_not_have_is_rejected() {
    let users = users();
    for header in ["p=tls-unique", "p=tls-server-end-point", "p=TLS-EXPORTER"] {
        let mut options = server_options(&users);
        options.channel_bindings = ChannelBindings::none().with_exporter([7; 32]);
        let message = format!("{header},,n=ada,r=abc");
        let (_, step) = ServerExchange::start(Mechanism::ScramSha256Plus, options, Some(message.as_bytes()));
        assert_eq!(step, Step::Failed(Failure::Rejected), "{header}");
    }
}

#[test]
fn a_client_that_was_not_told_of_channel_binding_is_the_victim_of_a_downgrade() {
    let users = users();
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        let client = |options| ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), options).unwrap();
        let mut options = client_options(mechanism);
        options.channel_bindings = bindings();
        let decide = |request: &Request| users.answer(request);
        let outcome =
            run(client(options.clone()), mechanism, server_options(&users), true, decide, |number, _, message| {
                if number == 0 {
                    assert!(message.starts_with(b"y,,"));
                }
            });
        assert_eq!(outcome.server, Err(Failure::Rejected), "{mechanism}");

        // A server without channel binding takes the same claim for what it is, and the signature covers it.
        let mut server = server_options(&users);
        server.channel_bindings = ChannelBindings::none();
        let outcome = run(client(options.clone()), mechanism, server, true, decide, |_, _, _| {});
        assert!(outcome.server.is_ok() && outcome.client.is_ok(), "{mechanism}");

        // Nor can the claim be taken out on the way.
        let outcome = run(client(options), mechanism, server_options(&users), true, decide, |number, _, message| {
            if number == 0 {
                message[0] = b'n';
            }
        });
        assert_eq!(outcome.server, Err(Failure::Rejected), "{mechanism}");
    }
}

#[test]
fn binding_and_names_with_plus_go_together() {
    let users = users();
    let cases = [
        (Mechanism::ScramSha256, "p=tls-exporter,,n=ada,r=abc"),
        (Mechanism::ScramSha256Plus, "n,,n=ada,r=abc"),
        (Mechanism::ScramSha256Plus, "y,,n=ada,r=abc"),
    ];
    for (mechanism, message) in cases {
        let (_, step) = ServerExchange::start(mechanism, server_options(&users), Some(message.as_bytes()));
        assert_eq!(step, Step::Failed(Failure::Rejected), "{mechanism} {message}");
    }
    for mechanism in PLUS {
        let mut options = client_options(mechanism);
        options.channel_bindings = ChannelBindings::none();
        let client = ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), options);
        assert_eq!(client.err(), Some(Error::NoChannelBinding));
    }
}

#[test]
fn unknown_users_look_like_users_with_another_password() {
    let users = users();
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        let first = |name: &str, nonce: u8| {
            let mut options = server_options(&users);
            options.nonce = Nonce::from_random([nonce; 18]);
            let message = format!("n,,n={name},r=abc");
            let (mut server, step) = ServerExchange::start(mechanism, options, Some(message.as_bytes()));
            let Step::Ask(request) = step else { panic!("{step:?}") };
            let text = String::from_utf8(challenge(server.answer(users.answer(&request)))).unwrap();
            let (nonce, rest) = text.split_once(",s=").unwrap();
            let (salt, iterations) = rest.split_once(",i=").unwrap();
            let salt = base64::decode(salt.as_bytes()).unwrap().as_bytes().to_vec();
            (nonce.len(), salt, iterations.to_owned())
        };
        let (known, eve, mallory) = (first(NAME, 1), first("eve", 1), first("mallory", 1));
        assert_eq!((known.0, known.1.len(), &known.2), (eve.0, eve.1.len(), &eve.2), "the same form");
        assert_eq!(eve.1, first("eve", 2).1, "the same salt in each exchange");
        assert_ne!(eve.1, mallory.1, "another salt for another user");
        assert_ne!(eve.1, known.1);
    }
}

#[test]
fn a_recorded_exchange_cannot_be_played_again() {
    let users = users();
    for mechanism in SCRAM.into_iter().chain([Mechanism::CramMd5]) {
        let mut recorded = Vec::new();
        let client =
            ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), client_options(mechanism)).unwrap();
        let decide = |request: &Request| users.answer(request);
        let outcome = run(client, mechanism, server_options(&users), true, decide, |_, from_client, message| {
            if from_client {
                recorded.push(message.clone());
            }
        });
        assert!(outcome.server.is_ok());
        let mut options = server_options(&users);
        options.nonce = Nonce::from_random([3; 18]);
        let mut recorded = recorded.into_iter();
        let initial = if mechanism == Mechanism::CramMd5 { None } else { recorded.next() };
        let (mut server, mut step) = ServerExchange::start(mechanism, options, initial.as_deref());
        let failure = loop {
            step = match step {
                Step::Challenge(_) => server.respond(&recorded.next().expect("it fails before the record ends")),
                Step::Ask(request) => server.answer(users.answer(&request)),
                Step::Done(identity) => panic!("{mechanism}: {identity:?}"),
                Step::Failed(failure) => break failure,
            };
        };
        assert_eq!(failure, Failure::Rejected, "{mechanism}");
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let users = users();
    for mechanism in SCRAM {
        let client = || {
            let mut client =
                ClientExchange::new(mechanism, Credentials::password(NAME, PASSWORD), client_options(mechanism))
                    .unwrap();
            let initial = client.initial_response().unwrap();
            (client, initial)
        };
        // Success at once.
        assert_eq!(client().0.finish(), Err(Error::ServerUnproven), "{mechanism}");

        let (mut victim, initial) = client();
        let (mut server, step) = ServerExchange::start(mechanism, server_options(&users), Some(initial.as_bytes()));
        let Step::Ask(request) = step else { panic!("{step:?}") };
        let first = challenge(server.answer(users.answer(&request)));
        let _ = victim.respond(&first).unwrap();
        // Success instead of the signature.
        assert_eq!(victim.finish(), Err(Error::ServerUnproven), "{mechanism}");

        let length = mechanism.scram_hash().unwrap().length();
        let wrong = format!("v={}", base64::encode(&vec![0; length]));
        let short = format!("v={}", base64::encode(&vec![0; length - 1]));
        for (last, error) in [
            (wrong.as_str(), Error::ServerUnproven),
            (&short, Error::Malformed),
            ("", Error::Malformed),
            ("v=", Error::Malformed),
            ("e=invalid-proof", Error::Refused(ehlo_sasl::ServerError::InvalidProof)),
            ("e=because", Error::Refused(ehlo_sasl::ServerError::OtherError)),
        ] {
            let (mut victim, _) = client();
            let _ = victim.respond(&first).unwrap();
            assert_eq!(victim.respond(last.as_bytes()), Err(error), "{mechanism} {last}");
            assert!(victim.finish().is_err(), "{mechanism} {last}");
        }
    }
}

#[test]
fn a_server_may_not_choose_nonce_or_iterations_freely() {
    let nonce = Nonce::from_text("abc").unwrap();
    let mut options = ehlo_sasl::ClientOptions::new(nonce);
    options.max_iterations = 10_000;
    let cases = [
        ("r=abcdef,s=c2FsdA==,i=4096", None),
        ("r=abcdef,s=c2FsdA==,i=4096,x=y", None),
        ("r=abc,s=c2FsdA==,i=4096", Some(Error::Nonce)),
        ("r=abd,s=c2FsdA==,i=4096", Some(Error::Nonce)),
        ("r=xabcdef,s=c2FsdA==,i=4096", Some(Error::Nonce)),
        ("r=abcdef,s=c2FsdA==,i=4095", Some(Error::Iterations(4095))),
        ("r=abcdef,s=c2FsdA==,i=10001", Some(Error::Iterations(10001))),
        ("r=abcdef,s=c2FsdA==,i=4294967296", Some(Error::Malformed)),
        ("r=abcdef,s=c2FsdA==,i=0", Some(Error::Malformed)),
        ("r=abcdef,s=c2FsdA,i=4096", Some(Error::Malformed)),
        ("r=abcdef,s=,i=4096", Some(Error::Malformed)),
        ("r=abcdef,i=4096,s=c2FsdA==", Some(Error::Malformed)),
        ("m=x,r=abcdef,s=c2FsdA==,i=4096", Some(Error::Malformed)),
        ("r=abcdef,s=c2FsdA==,i=4096,m=x", Some(Error::Malformed)),
        ("e=other-error", Some(Error::Malformed)),
    ];
    for (first, error) in cases {
        let credentials = Credentials::password("user", "pencil");
        let mut client = ClientExchange::new(Mechanism::ScramSha256, credentials, options.clone()).unwrap();
        assert!(client.initial_response().is_some());
        assert_eq!(client.respond(first.as_bytes()).err(), error, "{first}");
        assert!(client.finish().is_err());
    }
}

#[test]
fn a_token_for_another_server_is_refused_before_anybody_sees_it() {
    let users = users();
    for (host, port) in [("mx.evil.example", 587), ("mx.example", 25)] {
        let mut options = client_options(Mechanism::OAuthBearer);
        options.host = Some(host.into());
        options.port = Some(port);
        let client = ClientExchange::new(Mechanism::OAuthBearer, Credentials::bearer(NAME, PASSWORD), options).unwrap();
        let decide = |request: &Request| panic!("{request:?}");
        let outcome = run(client, Mechanism::OAuthBearer, server_options(&users), true, decide, |_, _, _| {});
        assert_eq!(outcome.server, Err(Failure::Rejected));
    }
}

#[test]
fn a_token_of_somebody_else_needs_authority() {
    let users = users();
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        let client =
            ClientExchange::new(mechanism, Credentials::bearer(NAME, PASSWORD), client_options(mechanism)).unwrap();
        let decide = |request: &Request| match request {
            Request::Bearer(_) => Answer::AcceptAs("eve".into()),
            Request::Authorize(identity) => {
                assert_eq!((identity.authentication_id.as_str(), identity.authorization_id.as_str()), ("eve", NAME));
                Answer::Reject
            }
            request => panic!("{request:?}"),
        };
        let outcome = run(client, mechanism, server_options(&users), true, decide, |_, _, _| {});
        assert_eq!(outcome.server, Err(Failure::Rejected), "{mechanism}");
    }
}

#[test]
fn a_mechanism_without_initial_response_refuses_one() {
    let users = users();
    for initial in [&b""[..], b"tim 0"] {
        let (_, step) = ServerExchange::start(Mechanism::CramMd5, server_options(&users), Some(initial));
        assert_eq!(step, Step::Failed(Failure::UnexpectedInitialResponse));
    }
}

#[test]
fn calls_out_of_turn_and_answers_that_do_not_fit_end_in_failure() {
    let users = users();
    let start = || ServerExchange::start(Mechanism::Plain, server_options(&users), Some(b"\0ada\0secret")).0;
    for unfit in [
        Answer::AcceptAs(String::new()),
        Answer::SharedSecret("secret".into()),
        Answer::RejectToken(Default::default()),
    ] {
        let mut server = start();
        assert_eq!(server.answer(unfit), Step::Failed(Failure::Misuse));
        assert_eq!(server.answer(Answer::Accept), Step::Failed(Failure::Misuse), "it stays over");
    }
    let mut server = start();
    assert_eq!(server.respond(b"\0ada\0secret"), Step::Failed(Failure::Misuse), "a question is open");
    assert_eq!(server.answer(Answer::Accept), Step::Failed(Failure::Misuse), "it stays over");
    let (mut server, _) = ServerExchange::start(Mechanism::Plain, server_options(&users), None);
    assert_eq!(server.answer(Answer::Accept), Step::Failed(Failure::Misuse), "nothing was asked");

    for (mechanism, message, unfit) in [
        (Mechanism::ScramSha256, &b"n,,n=ada,r=abc"[..], Answer::Accept),
        (Mechanism::External, b"", Answer::Accept),
        (Mechanism::OAuthBearer, b"n,,\x01auth=Bearer x\x01\x01", Answer::Accept),
    ] {
        let (mut server, _) = ServerExchange::start(mechanism, server_options(&users), Some(message));
        assert_eq!(server.answer(unfit), Step::Failed(Failure::Misuse), "{mechanism}");
    }
    // Keys of the other hash.
    let Answer::Scram(sha1) =
        users.answer(&Request::Scram { authentication_id: NAME.into(), hash: ehlo_sasl::ScramHash::Sha1 })
    else {
        panic!("no such user")
    };
    let message = Some(&b"n,,n=ada,r=abc"[..]);
    let (mut server, _) = ServerExchange::start(Mechanism::ScramSha256, server_options(&users), message);
    assert_eq!(server.answer(Answer::Scram(sha1)), Step::Failed(Failure::Misuse));
}

#[test]
fn credentials_that_cannot_be_sent_are_the_callers_fault() {
    let long = "x".repeat(ehlo_sasl::MAX_NAME + 1);
    let token = "x".repeat(ehlo_sasl::MAX_TOKEN + 1);
    for mechanism in Mechanism::ALL {
        let mut bad = vec![credentials(mechanism, "\u{7}", "x"), credentials(mechanism, &long, "x")];
        bad.extend([
            credentials(mechanism, "ada", ""),
            credentials(mechanism, "ada", "a\0b"),
            credentials(mechanism, "ada", &token),
        ]);
        if mechanism == Mechanism::External {
            bad = vec![Credentials::External { authorization_id: Some("\0".into()) }];
        }
        bad.push(match mechanism {
            Mechanism::External | Mechanism::OAuthBearer => Credentials::password("ada", "x"),
            _ => Credentials::external(),
        });
        for credentials in bad {
            let client = ClientExchange::new(mechanism, credentials.clone(), client_options(mechanism));
            assert_eq!(client.err(), Some(Error::Credentials), "{mechanism} {credentials:?}");
        }
    }
}

#[test]
fn the_longest_token_fits_into_a_message() {
    let users = users();
    let token = "x".repeat(ehlo_sasl::MAX_TOKEN);
    let name = "=".repeat(200);
    let mut options = client_options(Mechanism::OAuthBearer);
    options.port = Some(65535);
    options.host = None;
    let credentials = Credentials::bearer(&name, token.as_str());
    let mut client = ClientExchange::new(Mechanism::OAuthBearer, credentials, options).unwrap();
    let message = client.initial_response().unwrap();
    let mut options = server_options(&users);
    options.port = None;
    let (_, step) = ServerExchange::start(Mechanism::OAuthBearer, options, Some(message.as_bytes()));
    assert!(matches!(step, Step::Ask(Request::Bearer(_))), "{step:?}");
}

#[test]
fn the_strongest_allowed_mechanism_is_chosen() {
    use Mechanism::*;
    let password = Credentials::password(NAME, PASSWORD);
    let acting = Credentials::Password {
        authentication_id: NAME.into(),
        authorization_id: Some("bob".into()),
        password: PASSWORD.into(),
    };
    let bearer = Credentials::bearer(NAME, "token");
    let anonymous = Credentials::Bearer { user: None, token: "token".into() };
    let mut open = Policy::clear();
    open.plaintext_without_tls = true;
    let all = &Mechanism::ALL[..];
    let cases: &[(&[Mechanism], &Credentials, Policy, Option<Mechanism>)] = &[
        (all, &password, Policy::tls(true), Some(ScramSha256Plus)),
        (all, &password, Policy::tls(false), Some(ScramSha256)),
        (all, &password, Policy::clear(), Some(ScramSha256)),
        (&[ScramSha1Plus, ScramSha256], &password, Policy::tls(true), Some(ScramSha1Plus)),
        (&[ScramSha1, CramMd5, Plain], &password, Policy::clear(), Some(ScramSha1)),
        (&[CramMd5, Plain, Login], &password, Policy::clear(), Some(CramMd5)),
        (&[Login, Plain], &password, Policy::clear(), None),
        (&[Login, Plain], &password, Policy::tls(false), Some(Plain)),
        (&[Login], &password, open, Some(Login)),
        (&[ScramSha256Plus], &password, open, None),
        (&[CramMd5, Login], &acting, Policy::tls(false), None),
        (&[CramMd5, Login, Plain], &acting, Policy::tls(false), Some(Plain)),
        (all, &bearer, Policy::tls(true), Some(OAuthBearer)),
        (&[XOAuth2, Plain], &bearer, Policy::tls(true), Some(XOAuth2)),
        (&[XOAuth2], &anonymous, Policy::tls(true), None),
        (all, &bearer, Policy::clear(), None),
        (all, &Credentials::external(), Policy::tls(false), Some(External)),
        (&[Plain], &Credentials::external(), Policy::tls(false), None),
        (&[], &password, Policy::tls(true), None),
    ];
    for (offered, credentials, policy, expected) in cases {
        assert_eq!(choose(offered.iter().copied(), credentials, *policy), *expected, "{offered:?} {policy:?}");
    }
}
