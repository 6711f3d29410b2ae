//! A client inside TLS that is played by hand, and certificates for it and its server.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A folder of this test alone, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ehlo-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority, and what it signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A certificate for a name.
    pub(crate) fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { der: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

/// What a client believes, and shows.
pub(crate) fn config(roots: RootCertStore, shows: Option<&Pair>, tls12: bool) -> Arc<ClientConfig> {
    let versions: &[_] = if tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shows {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::Pkcs8(pair.key.serialize_der().into());
            builder.with_client_auth_cert(vec![pair.der.clone()], key).unwrap()
        }
    })
}

pub(crate) struct Secure {
    pub(crate) stream: TcpStream,
    pub(crate) tls: ClientConnection,
    input: Vec<u8>,
    /// Octets that are written at a time.
    pub(crate) piece: usize,
    /// Records that are still to be written.
    held: VecDeque<u8>,
    ended: bool,
}

impl Secure {
    /// Begins TLS on a connection, without a handshake yet.
    pub(crate) fn begin(stream: TcpStream, config: Arc<ClientConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self {
            stream,
            tls: ClientConnection::new(config, name).unwrap(),
            input: Vec::new(),
            piece: usize::MAX,
            held: VecDeque::new(),
            ended: false,
        }
    }

    /// A client of a listener for implicit TLS.
    pub(crate) async fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self::begin(stream, config, name);
        client.handshake().await?;
        Ok(client)
    }

    pub(crate) async fn handshake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.flush().await?;
            if self.tls.is_handshaking() {
                self.pull().await?;
            }
        }
        self.flush().await
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records)?;
        }
        for piece in records.chunks(self.piece.min(records.len().max(1))) {
            self.stream.write_all(piece).await?;
        }
        Ok(())
    }

    /// Reads once from the socket. An end without close_notify is the error `UnexpectedEof`.
    async fn pull(&mut self) -> io::Result<bool> {
        let mut records = [0; 16 * 1024];
        let length = self.stream.read(&mut records).await?;
        let mut records = &records[..length];
        let mut open = true;
        loop {
            self.tls.read_tls(&mut records)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
            let mut plain = [0; 16 * 1024];
            loop {
                match self.tls.reader().read(&mut plain) {
                    Ok(0) => {
                        open = false;
                        break;
                    }
                    Ok(length) => self.input.extend_from_slice(&plain[..length]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if records.is_empty() {
                return Ok(open);
            }
        }
    }

    /// Keeps records to be written later.
    pub(crate) fn hold_back(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.held).unwrap();
        }
    }

    /// Writes of what is held as much as the socket takes, until it has taken nothing for a while.
    pub(crate) async fn write_some(&mut self) {
        let mut idle = 0;
        while !self.held.is_empty() && idle < 20 {
            let (first, _) = self.held.as_slices();
            match self.stream.try_write(first) {
                Ok(length) => {
                    self.held.drain(..length);
                    idle = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    idle += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// As [`expect`](Self::expect), with what is held written as there is room.
    pub(crate) async fn expect_while_writing(&mut self, code: u16) {
        let (first, _) = self.held.as_slices();
        if !first.is_empty()
            && let Ok(length) = self.stream.try_write(first)
        {
            self.held.drain(..length);
        }
        self.expect(code).await;
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        for part in bytes.as_ref().chunks(16 * 1024) {
            self.tls.writer().write_all(part).unwrap();
            self.flush().await.unwrap();
        }
    }

    /// The next whole reply, without the last line end; `None` at an end that the server has announced.
    pub(crate) async fn reply(&mut self) -> io::Result<Option<String>> {
        loop {
            let mut end = 0;
            for line in self.input.split_inclusive(|&byte| byte == b'\n') {
                end += line.len();
                if line.ends_with(b"\r\n") && line.get(3) != Some(&b'-') {
                    let reply: Vec<u8> = self.input.drain(..end).collect();
                    return Ok(Some(String::from_utf8(reply).unwrap().trim_end().to_owned()));
                }
            }
            if self.ended {
                return Ok(None);
            }
            // A last reply may come with the end.
            self.ended = !self.pull().await?;
        }
    }

    pub(crate) async fn expect(&mut self, code: u16) -> String {
        let reply = self.reply().await.unwrap().unwrap_or_else(|| panic!("the connection ended before {code}"));
        assert!(reply.starts_with(&code.to_string()), "{code} was expected: {reply}");
        reply
    }

    pub(crate) async fn say(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n")).await;
        self.expect(code).await
    }

    /// The server ends TLS, and then the connection.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.reply().await.unwrap(), None, "the connection was to end");
    }

    /// Goes as far as DATA.
    pub(crate) async fn begin_message(&mut self) {
        self.say("EHLO client.example", 250).await;
        self.say("MAIL FROM:<a@client.example>", 250).await;
        self.say("RCPT TO:<b@mx.example>", 250).await;
        self.say("DATA", 354).await;
    }
}
