//! Servers inside TLS, by what they show and what they are told.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use ehlo_driver::ehlo_client::CloseReason;
use ehlo_driver::{Conversation, Link, Options, SendError, Tls, Trust, Wire, block_on};
use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

/// A server that is a list of what it says, inside TLS from the first byte on.
#[derive(Debug)]
struct Secure {
    tls: ServerConnection,
    says: VecDeque<&'static str>,
    /// What the client said of the handshake, if it did not like it.
    error: Option<String>,
    /// The client has ended TLS.
    ended: bool,
}

impl Wire for &mut Secure {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn exchange(&mut self, link: &mut Link) -> impl Future<Output = ()> + Send {
        let now = self.now();
        let output = link.output(now).concat();
        let mut records = &output[..];
        while !records.is_empty() && self.tls.read_tls(&mut records).unwrap() > 0 {
            match self.tls.process_new_packets() {
                Ok(state) => {
                    self.ended |= state.peer_has_closed();
                    self.tls.reader().read_exact(&mut vec![0; state.plaintext_bytes_to_read()]).unwrap();
                }
                Err(error) => {
                    self.error = Some(error.to_string());
                    break;
                }
            }
        }
        link.sent(now, output.len());
        if output.is_empty() && !self.tls.wants_write() && !self.tls.is_handshaking() {
            match self.says.pop_front() {
                Some(text) => self.tls.writer().write_all(text.as_bytes()).unwrap(),
                None => link.end(),
            }
        }
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        if !records.is_empty() {
            link.receive(now, &records);
        }
        ready(())
    }
}

/// A server whose certificate has that name, and whom to trust to believe it.
fn server(name: &str) -> (Secure, Trust) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let file = std::env::temp_dir().join(format!("ehlo-driver-{}-{}.pem", std::process::id(), made.cert.der().len()));
    let file = file.with_extension(format!("{:p}.pem", &raw const made));
    std::fs::write(&file, made.cert.pem()).unwrap();
    let trust = Trust::builder().authorities(&file).unwrap().build().unwrap();
    std::fs::remove_file(&file).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = ServerConnection::new(Arc::new(config)).unwrap();
    let says = ["220 mx.example\r\n", "250 mx.example\r\n", "221 bye\r\n"].into();
    (Secure { tls, says, error: None, ended: false }, trust)
}

fn options(trust: Trust) -> Options {
    Options { tls: Tls::Implicit(trust), ..Options::default() }
}

fn link(trust: Trust, host: &str) -> Result<Link, SendError> {
    options(trust).link(Instant::now(), host, || Ok("client.example".to_owned())).map(|(link, _)| link)
}

#[test]
fn a_session_that_is_quit_ends_tls_as_well() {
    let (mut secure, trust) = server("mx.example");
    let mut conversation = block_on(Conversation::begin(link(trust, "mx.example").unwrap(), &mut secure)).unwrap();
    block_on(conversation.quit()).unwrap();
    drop(conversation);
    assert!(secure.ended, "a server can't tell this end from a connection that was cut");
}

#[test]
fn a_server_that_is_not_believed_is_told_so() {
    let (mut secure, _) = server("mx.example");
    let (_, somebody) = server("mx.example");
    let error = block_on(Conversation::begin(link(somebody, "mx.example").unwrap(), &mut secure)).unwrap_err();
    assert!(matches!(error, SendError::Tls(_)), "{error}");
    let told = secure.error.expect("no alert came");
    assert!(told.contains("alert"), "{told}");
}

#[test]
fn a_server_is_verified_by_the_name_or_address_that_was_asked_for() {
    for (name, host, right) in [
        ("mx.example", "mx.example", true),
        ("mx.example", "MX.Example", true),
        ("mx.example", "mx.example.", true),
        ("mx.example", "other.example", false),
        ("mx.example", "192.0.2.1", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8::1", "2001:db8::1", true),
        ("192.0.2.1", "::ffff:192.0.2.1", false),
    ] {
        let (mut secure, trust) = server(name);
        match block_on(Conversation::begin(link(trust, host).unwrap(), &mut secure)) {
            Ok(conversation) => {
                assert!(right, "{name} was taken for {host}");
                assert!(conversation.link().session().tls().unwrap().verified);
            }
            Err(error) => assert!(!right && matches!(error, SendError::Tls(_)), "{name} for {host}: {error}"),
        }
    }
}

#[test]
fn a_host_without_a_name_is_refused_before_anything_is_said() {
    for tls in [Tls::Implicit, Tls::Required, Tls::Opportunistic] {
        for host in ["", "mx example", "fe80::1%eth0"] {
            let (_, trust) = server("mx.example");
            let options = Options { tls: tls(trust), ..Options::default() };
            let result = options.link(Instant::now(), host, || Ok("client.example".to_owned()));
            let Err(SendError::Tls(text)) = result else { panic!("{host:?} was taken") };
            assert!(text.contains(&format!("{host:?}")) && text.contains("a domain name or an address"), "{text}");
        }
    }
}

#[test]
fn a_server_that_refuses_after_the_handshake_is_known_by_its_alert() {
    let (mut secure, trust) = server("mx.example");
    secure.says.clear();
    let mut link = link(trust, "mx.example").unwrap();
    let now = Instant::now();
    while link.session().tls().is_none() {
        let mut wire = &mut secure;
        block_on(wire.exchange(&mut link));
    }
    // What is no record.
    link.receive(now, &[0x17, 3, 3, 0, 20].into_iter().chain([7; 20]).collect::<Vec<_>>());
    let error = block_on(Conversation::begin(link, &mut secure)).unwrap_err();
    assert!(matches!(error, SendError::Tls(_)), "{error}");
    assert!(!matches!(error, SendError::Closed(CloseReason::Eof)));
}
