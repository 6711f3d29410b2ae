//! `ehlo serve` and TLS, with the client of OpenSSL at the other end.

mod common;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, Server, ehlo, files, text};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;

/// Whether there is an `openssl` to test with; says so if there is none.
fn openssl_is_there() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        // A test cannot be skipped from the inside, so it is told where somebody looks for it.
        let _ = writeln!(std::io::stderr(), "NOT JUDGED: there is no openssl on this machine");
    }
    there
}

/// A certificate for a name, by itself, and its key.
fn certificate(folder: &Folder, file: &str, name: &str) -> (PathBuf, PathBuf) {
    let (chain, key) = (folder.0.join(format!("{file}.pem")), folder.0.join(format!("{file}.key")));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (chain, key)
}

/// An authority for clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![format!("{name}.example")]).unwrap().signed_by(&key, &self.0).unwrap();
        (
            folder.write(&format!("{name}.pem"), certificate.pem()),
            folder.write(&format!("{name}.key"), key.serialize_pem()),
        )
    }
}

/// Runs `openssl s_client` with that input; it ends when the server closes the connection, or after a while.
fn s_client(address: SocketAddr, options: &[&str], input: &str) -> Output {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever is refused may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

const MESSAGE: &str = "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\
                       Subject: inside\r\n\r\nhello\r\n.\r\nQUIT\r\n";

fn codes(output: &Output) -> Vec<String> {
    let text = text(&output.stdout);
    text.lines().filter(|line| line.get(3..4) == Some(" ")).map(|line| line[..3].to_owned()).collect()
}

fn options<'a>(ca: &'a Path, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut options =
        vec!["-CAfile", ca.to_str().unwrap(), "-verify_return_error", "-verify_hostname", name, "-servername", name];
    options.extend(more);
    options
}

#[test]
fn openssl_delivers_by_starttls_and_by_implicit_tls() {
    if !openssl_is_there() {
        return;
    }
    let folder = Folder::new();
    let (chain, key) = certificate(&folder, "mx", "mx.example");
    let maildir = folder.0.join("mail");
    let mut server = Server::start(&[
        "--tls",
        &format!("{},{}", chain.display(), key.display()),
        "--listen-tls",
        "127.0.0.1:0",
        "--store",
        &format!("maildir:{}", maildir.display()),
    ]);
    let implicit = server.next_address("(tls)");
    for version in ["-tls1_2", "-tls1_3"] {
        let starttls = options(&chain, "mx.example", &["-starttls", "smtp", version]);
        let output = s_client(server.address, &starttls, MESSAGE);
        // The last reply in clear is s_client's to show: the 250 to its own EHLO.
        let codes_seen = codes(&output);
        let expected = ["250", "250", "250", "354", "250", "221"];
        assert!(
            codes_seen.ends_with(&expected.map(str::to_owned)),
            "{version}: {codes_seen:?} {}",
            text(&output.stderr)
        );
        let output = s_client(implicit, &options(&chain, "mx.example", &[version]), MESSAGE);
        assert_eq!(codes(&output), ["220", "250", "250", "250", "354", "250", "221"], "{}", text(&output.stderr));
    }
    let new = files(&maildir.join("new"));
    assert_eq!(new.len(), 4);
    for file in new {
        assert!(text(&fs::read(&file).unwrap()).ends_with("Subject: inside\r\n\r\nhello\r\n"));
    }
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains("4 in TLS, 0 handshakes failed"), "{errors}");
}

#[test]
fn a_certificate_is_made_on_the_spot() {
    if !openssl_is_there() {
        return;
    }
    let mut server =
        Server::start(&["--tls", "self-signed", "--hostname", "mx.example", "--listen-tls", "127.0.0.1:0"]);
    let implicit = server.next_address("(tls)");
    let output = s_client(implicit, &["-verify_hostname", "mx.example"], MESSAGE);
    assert_eq!(codes(&output), ["220", "250", "250", "250", "354", "250", "221"], "{}", text(&output.stderr));
    // It is for that name, and by itself.
    let told = text(&output.stderr);
    assert!(told.contains("CN = mx.example") && told.contains("self-signed certificate"), "{told}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn before_tls_nothing_is_obeyed_where_it_is_required() {
    let server = Server::start(&["--tls", "self-signed", "--require-tls"]);
    let mut client = server.connect();
    client.expect("220");
    client.say("MAIL FROM:<a@b>\r\n", "530");
    client.say("EHLO client.example\r\n", "250");
    client.say("MAIL FROM:<a@b>\r\n", "530 5.7.0");
    client.say("NOOP\r\nSTARTTLS\r\nMAIL FROM:<evil@b>\r\n", "250");
    client.expect("421 4.7.0");
    drop(client);
    let (_, errors) = server.stop();
    assert!(errors.contains("1 with clear text behind STARTTLS"), "{errors}");
}

#[test]
fn clients_are_verified_by_the_authority_that_is_named() {
    if !openssl_is_there() {
        return;
    }
    let folder = Folder::new();
    let (chain, key) = certificate(&folder, "mx", "mx.example");
    let trusted = Authority::new();
    let (ada, ada_key) = trusted.sign(&folder, "ada");
    let (eve, eve_key) = Authority::new().sign(&folder, "eve");
    let files = format!("{},{}", chain.display(), key.display());
    let authority = folder.write("ca.pem", trusted.0.pem()).display().to_string();
    let mut server = Server::start(&["--tls", &files, "--listen-tls", "127.0.0.1:0", "--client-ca", &authority]);
    let implicit = server.next_address("(tls)");
    let show = |chain: &Path, key: &Path| {
        let (chain, key) = (chain.display().to_string(), key.display().to_string());
        s_client(implicit, &["-cert", &chain, "-key", &key], MESSAGE)
    };
    assert!(codes(&s_client(implicit, &[], MESSAGE)).contains(&"354".to_owned()), "none is shown");
    assert!(codes(&show(&ada, &ada_key)).contains(&"354".to_owned()), "one of the authority's is shown");
    assert!(!codes(&show(&eve, &eve_key)).contains(&"354".to_owned()), "one of nobody's is shown");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_hangup_loads_new_certificates_and_a_failure_keeps_the_old_ones() {
    if !openssl_is_there() {
        return;
    }
    let folder = Folder::new();
    let (chain, key) = certificate(&folder, "mx", "mx.example");
    let (next, next_key) = certificate(&folder, "next", "mx.example");
    let mut server =
        Server::start(&["--tls", &format!("{},{}", chain.display(), key.display()), "--listen-tls", "127.0.0.1:0"]);
    let implicit = server.next_address("(tls)");
    let old = folder.write("old.pem", fs::read(&chain).unwrap());
    let meets = |ca: &Path| !codes(&s_client(implicit, &options(ca, "mx.example", &[]), "QUIT\r\n")).is_empty();
    assert!(meets(&old) && !meets(&next));
    fs::copy(&next, &chain).unwrap();
    server.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(300));
    assert!(meets(&old), "the key is still that of the old one");
    fs::copy(&next_key, &key).unwrap();
    server.signal(Signal::HUP);
    let begin = Instant::now();
    while !meets(&next) {
        assert!(begin.elapsed() < Duration::from_secs(10), "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!meets(&old));
    let (status, errors) = server.stop();
    assert_eq!(status, Some(0));
    assert!(errors.contains("kept as they were") && errors.contains(&key.display().to_string()), "{errors}");
    assert!(errors.contains("belongs to another certificate") && errors.contains("loaded anew"), "{errors}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let folder = Folder::new();
    let empty = folder.write("empty.pem", "").display().to_string();
    let missing = folder.0.join("missing.pem").display().to_string();
    let (missing_chain, empty_chain) = (format!("{missing},{empty}"), format!("{empty},{empty}"));
    for (options, status, told) in [
        (vec!["--tls", "cert.pem"], 2, "CERT.pem,KEY.pem"),
        (vec!["--listen-tls", "127.0.0.1:0"], 2, "--tls"),
        (vec!["--require-tls"], 2, "--tls"),
        (vec!["--client-ca", &empty], 2, "--tls"),
        (vec!["--tls", "self-signed", "--client-ca", &empty], 1, "has no certificate in it"),
        (vec!["--tls", "self-signed", "--listen-tls", "0.0.0.0:0"], 2, "--allow-remote"),
        (vec!["--tls", &missing_chain], 1, "missing.pem: cannot be read"),
        (vec!["--tls", &empty_chain], 1, "empty.pem: has no certificate in it"),
    ] {
        let output = ehlo().args(["serve", "--listen", "127.0.0.1:0"]).args(&options).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{options:?}: {errors}");
        assert!(errors.contains(told), "{options:?}: {errors}");
    }
}
