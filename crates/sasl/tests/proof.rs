//! A SCRAM client that knows the password and lies otherwise: its proofs are right for what it says.

mod common;

use common::{NAME, PASSWORD, bindings, server_options, users};
use ehlo_sasl::{ChannelBindingType, Failure, Mechanism, ServerExchange, Step, base64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The client's final message: what comes before the proof, and a proof for just that.
fn prove(bare: &str, server_first: &str, without_proof: &str) -> String {
    let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let salt = base64::decode(field("s=").as_bytes()).unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(PASSWORD.as_bytes(), salt.as_bytes(), field("i=").parse().unwrap(), &mut salted);
    let client_key = hmac(&salted, b"Client Key");
    let stored_key = Sha256::digest(client_key);
    let signature = hmac(&stored_key, format!("{bare},{server_first},{without_proof}").as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", base64::encode(&proof))
}

/// Plays a client whose last message is made from what the server's nonce is.
fn play(mechanism: Mechanism, header: &str, last: impl Fn(&str) -> String) -> Step {
    let users = users();
    let bare = format!("n={NAME},r=abcdef");
    let first = format!("{header}{bare}");
    let mut options = server_options(&users);
    if header.starts_with('y') {
        options.channel_bindings = ehlo_sasl::ChannelBindings::none();
    }
    let (mut server, step) = ServerExchange::start(mechanism, options, Some(first.as_bytes()));
    let Step::Ask(request) = step else { return step };
    let Step::Challenge(server_first) = server.answer(users.answer(&request)) else { panic!("no challenge") };
    let server_first = String::from_utf8(server_first).unwrap();
    let nonce = server_first.strip_prefix("r=").unwrap().split(',').next().unwrap();
    server.respond(prove(&bare, &server_first, &last(nonce)).as_bytes())
}

fn binding(header: &str, binding: Option<ChannelBindingType>) -> String {
    let bindings = bindings();
    let data = binding.and_then(|binding| bindings.get(binding)).unwrap_or_default();
    base64::encode(&[header.as_bytes(), data].concat())
}

#[test]
fn the_client_of_this_test_is_believed_when_it_does_not_lie() {
    let step = play(Mechanism::ScramSha256, "n,,", |nonce| format!("c=biws,r={nonce}"));
    assert!(matches!(&step, Step::Challenge(last) if last.starts_with(b"v=")), "{step:?}");
    let step = play(Mechanism::ScramSha256, "y,,", |nonce| format!("c=eSws,r={nonce},x=ignored"));
    assert!(matches!(step, Step::Challenge(_)), "{step:?}");
    for kind in [ChannelBindingType::TlsExporter, ChannelBindingType::TlsServerEndPoint] {
        let header = format!("p={kind},,");
        let data = binding(&header, Some(kind));
        let step = play(Mechanism::ScramSha256Plus, &header, |nonce| format!("c={data},r={nonce}"));
        assert!(matches!(step, Step::Challenge(_)), "{step:?}");
    }
}

#[test]
fn another_nonce_is_rejected_though_the_proof_is_right() {
    for change in [
        |nonce: &str| format!("{nonce}x"),
        |nonce: &str| nonce[1..].to_owned(),
        |_: &str| "abcdef".to_owned(),
        |nonce: &str| nonce.to_uppercase(),
    ] {
        let step = play(Mechanism::ScramSha256, "n,,", |nonce| format!("c=biws,r={}", change(nonce)));
        assert_eq!(step, Step::Failed(Failure::Rejected));
    }
}

#[test]
fn another_header_or_binding_is_rejected_though_the_proof_is_right() {
    // Headers that the first message did not have: y, another authorization identity, nothing, and binding of a wrong type.
    let header = "n,,";
    for other in ["y,,", "n,a=bob,", "n,", "p=tls-exporter,,"] {
        let data = base64::encode(other.as_bytes());
        let step = play(Mechanism::ScramSha256, header, |nonce| format!("c={data},r={nonce}"));
        assert_eq!(step, Step::Failed(Failure::Rejected), "{other}");
    }
    let header = "p=tls-exporter,,";
    for data in [None, Some(ChannelBindingType::TlsServerEndPoint)] {
        let data = binding(header, data);
        let step = play(Mechanism::ScramSha256Plus, header, |nonce| format!("c={data},r={nonce}"));
        assert_eq!(step, Step::Failed(Failure::Rejected));
    }
}

#[test]
fn a_mandatory_extension_fails_though_the_proof_is_right() {
    let step = play(Mechanism::ScramSha256, "n,,", |nonce| format!("c=biws,r={nonce},m=x"));
    assert_eq!(step, Step::Failed(Failure::Rejected));
    let step = play(Mechanism::ScramSha256, "n,,", |nonce| format!("c=biws,r={nonce},p=x"));
    assert_eq!(step, Step::Failed(Failure::Malformed));
}

/// Even a proof that fits the made-up keys would not help: there is no such user.
#[test]
fn an_unknown_user_stays_unknown_with_any_proof() {
    let users = users();
    let (mut server, _) =
        ServerExchange::start(Mechanism::ScramSha256, server_options(&users), Some(b"n,,n=eve,r=abcdef"));
    let Step::Challenge(first) = server.answer(ehlo_sasl::Answer::Reject) else { panic!("no challenge") };
    let first = String::from_utf8(first).unwrap();
    let nonce = first.strip_prefix("r=").unwrap().split(',').next().unwrap();
    let last = prove("n=eve,r=abcdef", &first, &format!("c=biws,r={nonce}"));
    assert_eq!(server.respond(last.as_bytes()), Step::Failed(Failure::Rejected));
}

/// What cannot be prepared is no password, not even where keys of the empty one are kept.
#[test]
fn keys_of_the_empty_password_let_nobody_in() {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"", b"salt", 1, &mut salted);
    let stored_key = Sha256::digest(hmac(&salted, b"Client Key"));
    let hash = ehlo_sasl::ScramHash::Sha256;
    let keys = ehlo_sasl::ScramCredentials::from_keys(hash, b"salt", 1, &stored_key, &[0; 32]).unwrap();
    for password in [&b""[..], b"\x07", b"\xff"] {
        assert!(!keys.verify(&password.into()), "{password:?}");
    }
}
