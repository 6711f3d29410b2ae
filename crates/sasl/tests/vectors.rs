//! The examples of the RFCs, message by message.

use ehlo_sasl::{
    Answer, ClientExchange, ClientOptions, Credentials, Failure, Identity, Mechanism, Nonce, Request, ScramCredentials,
    ScramHash, ServerExchange, ServerOptions, Step, UnknownUsers, base64,
};

fn nonce(text: &str) -> Nonce {
    Nonce::from_text(text).unwrap()
}

fn server(text: &str) -> ServerOptions {
    ServerOptions::new(nonce(text), UnknownUsers::new("kept".into()))
}

fn own(name: &str) -> Identity {
    Identity { authentication_id: name.into(), authorization_id: name.into() }
}

struct Scram {
    mechanism: Mechanism,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    messages: [&'static str; 4],
}

/// RFC 5802 §5 and RFC 7677 §3: user `user`, password `pencil`, 4096 iterations.
const SCRAM: [Scram; 2] = [
    Scram {
        mechanism: Mechanism::ScramSha1,
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        messages: [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    },
    Scram {
        mechanism: Mechanism::ScramSha256,
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
];

#[test]
fn scram_server_says_what_the_rfcs_say() {
    for Scram { mechanism, server_nonce, salt, messages, .. } in SCRAM {
        let hash = mechanism.scram_hash().unwrap();
        let salt = base64::decode(salt.as_bytes()).unwrap();
        let credentials = ScramCredentials::derive(hash, "pencil", salt.as_bytes(), 4096).unwrap();
        let [first, challenge, last, verifier] = messages.map(str::as_bytes);
        let (mut exchange, step) = ServerExchange::start(mechanism, server(server_nonce), Some(first));
        assert_eq!(step, Step::Ask(Request::Scram { authentication_id: "user".into(), hash }));
        assert_eq!(exchange.answer(Answer::Scram(credentials)), Step::Challenge(challenge.to_vec()));
        assert_eq!(exchange.respond(last), Step::Challenge(verifier.to_vec()));
        assert_eq!(exchange.respond(b""), Step::Done(own("user")));
    }
}

#[test]
fn scram_client_says_what_the_rfcs_say() {
    for Scram { mechanism, client_nonce, messages, .. } in SCRAM {
        let [first, challenge, last, verifier] = messages.map(str::as_bytes);
        let options = ClientOptions::new(nonce(client_nonce));
        let mut exchange = ClientExchange::new(mechanism, Credentials::password("user", "pencil"), options).unwrap();
        assert_eq!(exchange.initial_response().unwrap().as_bytes(), first);
        assert_eq!(exchange.respond(challenge).unwrap().as_bytes(), last);
        assert_eq!(exchange.respond(verifier).unwrap().as_bytes(), b"");
        assert_eq!(exchange.finish(), Ok(()));
    }
}

/// The text form of RFC 5803, with keys that fit RFC 7677's example.
#[test]
fn scram_credentials_have_a_text_form() {
    let salt = base64::decode(SCRAM[1].salt.as_bytes()).unwrap();
    let derived = ScramCredentials::derive(ScramHash::Sha256, "pencil", salt.as_bytes(), 4096).unwrap();
    let text = derived.to_text();
    let text = text.as_str().unwrap();
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    let read = ScramCredentials::from_text(text).unwrap();
    assert_eq!((read.hash(), read.iterations(), read.salt()), (ScramHash::Sha256, 4096, salt.as_bytes()));
    assert_eq!((read.stored_key(), read.server_key()), (derived.stored_key(), derived.server_key()));
    assert!(read.verify(&"pencil".into()));
    for wrong in ["Pencil", "", "pencil ", "\u{7}"] {
        assert!(!read.verify(&wrong.into()), "{wrong:?}");
    }
    assert!(!read.verify(&b"\xff"[..].into()));
    for end in 0..text.len() {
        assert!(ScramCredentials::from_text(&text[..end]).is_err(), "{end}");
    }
    assert!(ScramCredentials::from_text(&text.replace("256$", "1$")).is_err());
    assert!(ScramCredentials::from_text(&text.replace("4096", "0")).is_err());
}

#[test]
fn scram_credentials_that_prove_nothing_cannot_be_made() {
    for (password, salt, iterations) in [("", &b"salt"[..], 1), ("x", b"", 1), ("x", b"salt", 0), ("\u{7}", b"salt", 1)]
    {
        assert!(ScramCredentials::derive(ScramHash::Sha1, password, salt, iterations).is_err());
    }
    assert!(ScramCredentials::from_keys(ScramHash::Sha1, b"salt", 1, &[0; 20], &[0; 32]).is_err());
    assert!(ScramCredentials::from_keys(ScramHash::Sha256, b"salt", 1, &[0; 20], &[0; 32]).is_err());
}

/// RFC 4616 §4.
#[test]
fn plain_examples() {
    let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, server("n"), None);
    assert_eq!(step, Step::Challenge(Vec::new()));
    let step = exchange.respond(b"\0tim\0tanstaaftanstaaf");
    let request = Request::Password { authentication_id: "tim".into(), password: "tanstaaftanstaaf".into() };
    assert_eq!(step, Step::Ask(request));
    assert_eq!(exchange.answer(Answer::Accept), Step::Done(own("tim")));

    let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, server("n"), Some(b"Ursel\0Kurt\0xipj3plmq"));
    let request = Request::Password { authentication_id: "Kurt".into(), password: "xipj3plmq".into() };
    assert_eq!(step, Step::Ask(request));
    let identity = Identity { authentication_id: "Kurt".into(), authorization_id: "Ursel".into() };
    assert_eq!(exchange.answer(Answer::Accept), Step::Ask(Request::Authorize(identity)));
    assert_eq!(exchange.answer(Answer::Reject), Step::Failed(Failure::Rejected));

    let credentials = Credentials::Password {
        authentication_id: "Kurt".into(),
        authorization_id: Some("Ursel".into()),
        password: "xipj3plmq".into(),
    };
    let mut client = ClientExchange::new(Mechanism::Plain, credentials, ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(client.initial_response().unwrap().as_bytes(), b"Ursel\0Kurt\0xipj3plmq");
}

/// RFC 4954 §4.1.
#[test]
fn plain_in_smtp() {
    let message = base64::decode_initial_response(b"dGVzdAB0ZXN0ADEyMzQ=").unwrap();
    let (mut exchange, _) = ServerExchange::start(Mechanism::Plain, server("n"), Some(message.as_bytes()));
    assert_eq!(exchange.answer(Answer::Accept), Step::Done(own("test")));
}

/// RFC 2195 §2, and RFC 4954 §4.1 for the client.
#[test]
fn cram_md5_examples() {
    let mut options = server("1896.697170952");
    options.host = Some("postoffice.reston.mci.net".into());
    let (mut exchange, step) = ServerExchange::start(Mechanism::CramMd5, options, None);
    let challenge = base64::decode(b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+").unwrap();
    assert_eq!(step, Step::Challenge(challenge.as_bytes().to_vec()));
    let response = base64::decode(b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw").unwrap();
    let step = exchange.respond(response.as_bytes());
    assert_eq!(step, Step::Ask(Request::SharedSecret { authentication_id: "tim".into() }));
    assert_eq!(exchange.answer(Answer::SharedSecret("tanstaaftanstaaf".into())), Step::Done(own("tim")));

    let credentials = Credentials::password("tim", "tanstaaftanstaaf");
    let mut client = ClientExchange::new(Mechanism::CramMd5, credentials, ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(client.initial_response(), None);
    assert_eq!(client.respond(challenge.as_bytes()).unwrap(), response);
    assert_eq!(client.finish(), Ok(()));
}

#[test]
fn login_as_it_is_spoken() {
    let (mut exchange, step) = ServerExchange::start(Mechanism::Login, server("n"), None);
    let Step::Challenge(challenge) = step else { panic!("{step:?}") };
    assert_eq!(base64::encode(&challenge), "VXNlcm5hbWU6");
    let step = exchange.respond(b"tim");
    let Step::Challenge(challenge) = step else { panic!("{step:?}") };
    assert_eq!(base64::encode(&challenge), "UGFzc3dvcmQ6");
    let step = exchange.respond(b"secret");
    assert_eq!(step, Step::Ask(Request::Password { authentication_id: "tim".into(), password: "secret".into() }));
    assert_eq!(exchange.answer(Answer::AcceptAs("tim@example.com".into())), Step::Done(own("tim@example.com")));

    // Many clients send the name along.
    let (_, step) = ServerExchange::start(Mechanism::Login, server("n"), Some(b"tim"));
    assert_eq!(step, Step::Challenge(b"Password:".to_vec()));

    let credentials = Credentials::password("tim", "secret");
    let mut client = ClientExchange::new(Mechanism::Login, credentials, ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(client.initial_response(), None);
    assert_eq!(client.respond(b"User Name\0").unwrap().as_bytes(), b"tim");
    assert_eq!(client.respond(b"Password\0").unwrap().as_bytes(), b"secret");
    assert_eq!(client.finish(), Ok(()));
}

const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

/// RFC 7628 §4.1, over IMAP and over SMTP.
#[test]
fn oauthbearer_success() {
    let imap = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI\
                HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let smtp = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmd\
                DRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    for (text, port) in [(imap, 143), (smtp, 587)] {
        let message = base64::decode(text.as_bytes()).unwrap();
        let mut options = ClientOptions::new(nonce("n"));
        options.host = Some("server.example.com".into());
        options.port = Some(port);
        let credentials = Credentials::bearer("user@example.com", TOKEN);
        let mut client = ClientExchange::new(Mechanism::OAuthBearer, credentials, options).unwrap();
        assert_eq!(client.initial_response(), Some(message.clone()));
        assert_eq!(client.finish(), Ok(()));

        let (mut exchange, step) = ServerExchange::start(Mechanism::OAuthBearer, server("n"), Some(message.as_bytes()));
        let Step::Ask(Request::Bearer(request)) = step else { panic!("{step:?}") };
        assert_eq!(request.user.as_deref(), Some("user@example.com"));
        assert_eq!(request.token.as_bytes(), TOKEN.as_bytes());
        assert_eq!((request.host.as_deref(), request.port), (Some("server.example.com"), Some(port)));
        assert_eq!(exchange.answer(Answer::Accept), Step::Done(own("user@example.com")));
    }
}

/// RFC 7628 §4.3: an empty `auth` asks for the scope, and nobody is asked about it.
#[test]
fn oauthbearer_discovery() {
    let text = b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=";
    let message = base64::decode(text).unwrap();
    let mut options = server("n");
    options.bearer_error.scope = Some("example_scope".into());
    options.bearer_error.openid_configuration = Some("https://example.com/.well-known/openid-configuration".into());
    let (mut exchange, step) = ServerExchange::start(Mechanism::OAuthBearer, options, Some(message.as_bytes()));
    let expected = base64::decode(
        b"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2V4\
          YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=",
    )
    .unwrap();
    assert_eq!(step, Step::Challenge(expected.as_bytes().to_vec()));
    assert_eq!(exchange.respond(base64::decode(b"AQ==").unwrap().as_bytes()), Step::Failed(Failure::Rejected));
}

/// RFC 7628 §4.4: the error. Its client message has no valid gs2-header (`user=` where only `a=` may stand) and is refused.
#[test]
fn oauthbearer_failure() {
    let text = format!("n,user=someuser@example.com,\x01auth=Bearer {TOKEN}\x01\x01");
    let (_, step) = ServerExchange::start(Mechanism::OAuthBearer, server("n"), Some(text.as_bytes()));
    assert_eq!(step, Step::Failed(Failure::Malformed));

    let text = text.replace("user=", "a=");
    let (mut exchange, _) = ServerExchange::start(Mechanism::OAuthBearer, server("n"), Some(text.as_bytes()));
    let mut error = ehlo_sasl::BearerError::new("invalid_token");
    error.schemes = Some("bearer mac".into());
    error.scope = Some("https://mail.example.com/".into());
    let step = exchange.answer(Answer::RejectToken(error));
    let json = base64::decode(
        b"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NoZW1lcyI6ImJlYXJlciBtYWMiLCJzY29wZSI6Imh0dHBzOi8vbWFpbC5leGFtcGxlLmNvbS8ifQ==",
    )
    .unwrap();
    assert_eq!(step, Step::Challenge(json.as_bytes().to_vec()));
    assert_eq!(exchange.respond(b"\x01"), Step::Failed(Failure::Rejected));

    let credentials = Credentials::bearer("someuser@example.com", TOKEN);
    let mut client = ClientExchange::new(Mechanism::OAuthBearer, credentials, ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(client.initial_response().unwrap().as_bytes(), text.as_bytes());
    assert_eq!(client.respond(json.as_bytes()).unwrap().as_bytes(), b"\x01");
    assert_eq!(client.bearer_error(), Some(json.as_bytes()));
    assert!(client.finish().is_err(), "success after an error is no success");
}

/// The form that the providers document.
#[test]
fn xoauth2_messages() {
    let message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
    let credentials = Credentials::bearer("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    let mut client = ClientExchange::new(Mechanism::XOAuth2, credentials, ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(client.initial_response().unwrap().as_bytes(), message);

    let (mut exchange, step) = ServerExchange::start(Mechanism::XOAuth2, server("n"), Some(message));
    assert!(matches!(step, Step::Ask(Request::Bearer(_))), "{step:?}");
    let mut error = ehlo_sasl::BearerError::new("401");
    error.schemes = Some("bearer".into());
    error.scope = Some("https://mail.example.com/".into());
    let Step::Challenge(json) = exchange.answer(Answer::RejectToken(error)) else { panic!("no challenge") };
    assert_eq!(json, br#"{"status":"401","schemes":"bearer","scope":"https://mail.example.com/"}"#);
    assert_eq!(client.respond(&json).unwrap().as_bytes(), b"");
    assert_eq!(exchange.respond(b""), Step::Failed(Failure::Rejected));
}

/// RFC 4422 §A.2, and RFC 4954 §4.1 for the empty response.
#[test]
fn external_examples() {
    let empty = base64::decode_initial_response(b"=").unwrap();
    let (mut exchange, step) = ServerExchange::start(Mechanism::External, server("n"), Some(empty.as_bytes()));
    assert_eq!(step, Step::Ask(Request::External { authorization_id: None }));
    assert_eq!(exchange.answer(Answer::AcceptAs("fred".into())), Step::Done(own("fred")));

    let (mut exchange, step) = ServerExchange::start(Mechanism::External, server("n"), None);
    assert_eq!(step, Step::Challenge(Vec::new()));
    let step = exchange.respond(b"fred@example.com");
    assert_eq!(step, Step::Ask(Request::External { authorization_id: Some("fred@example.com".into()) }));
    let identity = Identity { authentication_id: "ada".into(), authorization_id: "fred@example.com".into() };
    assert_eq!(exchange.answer(Answer::AcceptAs("ada".into())), Step::Ask(Request::Authorize(identity.clone())));
    assert_eq!(exchange.answer(Answer::Accept), Step::Done(identity));

    let mut client =
        ClientExchange::new(Mechanism::External, Credentials::external(), ClientOptions::new(nonce("n"))).unwrap();
    assert_eq!(base64::encode_initial_response(client.initial_response().unwrap().as_bytes()), "=");
}
