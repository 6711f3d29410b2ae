//! TLS on the side of a client: whom it trusts, and what it has found out about the server.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use ehlo_client::TlsInfo;
use ehlo_sasl::{ChannelBindings, EXPORTER_LABEL, EXPORTER_LENGTH, server_end_point};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Octets of TLS records that wait to be written, beside what one call puts in: a body's piece and the commands of a flight.
const ROOM: usize = 16 * 1024;

/// How a client uses TLS: whose certificates it trusts, what it does with one that it does not, and what it shows of itself.
///
/// Cheap to clone; connections that share one resume each other's sessions.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    strict: bool,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// Where the authorities come from that a [`Trust`] believes.
#[derive(Clone, Debug, Default)]
enum Roots {
    /// Those of this host.
    #[default]
    System,
    These(Vec<CertificateDer<'static>>),
}

/// Puts a [`Trust`] together.
#[derive(Debug, Default)]
#[must_use]
pub struct TrustBuilder {
    roots: Roots,
    lenient: bool,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Why there is no [`Trust`].
#[derive(Debug)]
#[non_exhaustive]
pub enum TrustError {
    /// A PEM file can't be read, or has nothing of use in it; with its name.
    File(String, String),
    /// This host has no authorities that it trusts.
    NoAuthorities(String),
    /// The certificates and the key don't go together, or can't be used.
    Rustls(String),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name, error) => write!(f, "{name}: {error}"),
            Self::NoAuthorities(error) => write!(
                f,
                "this host has no certificates of authorities to verify servers by{error}; install some (Debian: ca-certificates), or name a file"
            ),
            Self::Rustls(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for TrustError {}

impl TrustBuilder {
    /// Trusts the authorities, or the very certificates, of a PEM file and not those of this host.
    ///
    /// # Errors
    ///
    /// [`TrustError::File`] if it has none.
    pub fn authorities(mut self, file: impl AsRef<Path>) -> Result<Self, TrustError> {
        self.roots = Roots::These(certificates(file.as_ref())?);
        Ok(self)
    }

    /// Goes on with servers that can't be verified, as MTAs do among each other (RFC 7435). [`TlsInfo::verified`] then tells which it was;
    /// no password is sent to a server that was not verified, and no message that requires TLS.
    pub const fn accept_unverified(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Shows this certificate chain, with its key, to servers that ask for one. Both are PEM files, and may be the same.
    ///
    /// # Errors
    ///
    /// [`TrustError::File`] if one has nothing of use in it.
    pub fn identity(mut self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TrustError> {
        let key_file = key.as_ref();
        let key = PrivateKeyDer::from_pem_file(key_file)
            .map_err(|error| TrustError::File(key_file.display().to_string(), error.to_string()))?;
        self.identity = Some((certificates(chain.as_ref())?, key));
        Ok(self)
    }

    /// Loads everything.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if there is nobody to trust, or the identity can't be used.
    pub fn build(self) -> Result<Trust, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let rustls = |error: &dyn fmt::Display| TrustError::Rustls(error.to_string());
        let mut store = RootCertStore::empty();
        let mut problem = String::new();
        match self.roots {
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                problem = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            }
            Roots::These(certificates) => {
                for certificate in certificates {
                    store.add(certificate).map_err(|error| rustls(&error))?;
                }
            }
        }
        let verifier: Arc<dyn ServerCertVerifier> = if store.is_empty() {
            if !self.lenient {
                return Err(TrustError::NoAuthorities(problem));
            }
            Arc::new(Anybody(Arc::clone(&provider), false))
        } else {
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
                .build()
                .map_err(|error| rustls(&error))?
        };
        let used = if self.lenient { Arc::new(Anybody(Arc::clone(&provider), true)) } else { Arc::clone(&verifier) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| rustls(&error))?
            .dangerous()
            .with_custom_certificate_verifier(used);
        let config = match self.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| rustls(&error))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Trust { config: Arc::new(config), verifier, strict: !self.lenient })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let fault = |error: String| TrustError::File(file.display().to_string(), error);
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(|error| fault(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))?;
    if found.is_empty() { Err(fault("no certificate in it".to_owned())) } else { Ok(found) }
}

impl Trust {
    /// Trusts whom this host trusts, and goes on with verified servers only, unless told otherwise.
    pub fn builder() -> TrustBuilder {
        TrustBuilder::default()
    }

    /// Whether a server that can't be verified ends the handshake.
    #[must_use]
    pub const fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether both share their rustls configuration, and so are the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }

    /// An address to tell it from others by.
    #[must_use]
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.config) as usize
    }
}

/// Takes any certificate, or (for a host that trusts nobody) none. Signatures of the handshake are verified all the same: without, the key
/// could be anybody's who has seen the certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>, bool);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.1 { Ok(ServerCertVerified::assertion()) } else { Err(rustls::CertificateError::UnknownIssuer.into()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a server of that name or address is verified by.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        format!(
            "{host:?} is no name that a server can be verified by: it takes a domain name or an address, without a port"
        )
    })
}

/// TLS of one connection, between a socket's bytes and a session's.
#[derive(Debug)]
pub(crate) struct Layer {
    rustls: ClientConnection,
    /// Records to be written.
    records: Vec<u8>,
    sent: usize,
    name: ServerName<'static>,
    trust: Trust,
    told: bool,
}

impl Layer {
    pub(crate) fn new(trust: &Trust, host: &str) -> Result<Self, String> {
        let name = server_name(host)?;
        let rustls =
            ClientConnection::new(Arc::clone(&trust.config), name.clone()).map_err(|error| error.to_string())?;
        let mut layer = Self { rustls, records: Vec::new(), sent: 0, name, trust: trust.clone(), told: false };
        layer.collect();
        Ok(layer)
    }

    /// What the handshake has given, once it is finished.
    pub(crate) fn finished(&mut self) -> Option<TlsInfo> {
        if self.told || self.rustls.is_handshaking() {
            return None;
        }
        self.told = true;
        let version = match self.rustls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        };
        let cipher = match self.rustls.negotiated_cipher_suite().map(|suite| suite.suite()) {
            // As IANA names them.
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
            Some(suite) => suite.as_str().unwrap_or("unknown"),
            None => "unknown",
        };
        Some(TlsInfo::new(version, cipher, self.trust.strict || self.is_verified()))
    }

    /// Whether the server's certificate would have been accepted, had it been asked for.
    fn is_verified(&self) -> bool {
        let Some([certificate, chain @ ..]) = self.rustls.peer_certificates() else { return false };
        self.trust.verifier.verify_server_cert(certificate, chain, &self.name, &[], UnixTime::now()).is_ok()
    }

    /// The certificate that the server has shown, in DER.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.rustls.peer_certificates().and_then(<[_]>::first).map(AsRef::as_ref)
    }

    pub(crate) fn bindings(&self) -> ChannelBindings {
        let mut bindings = ChannelBindings::none();
        if let Some(hash) = self.certificate().and_then(server_end_point) {
            bindings = bindings.with_server_end_point(&hash);
        }
        // RFC 9266 §4.2: under TLS 1.2 only with the extended master secret, without which rustls exports nothing that is safe to use.
        if self.rustls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && let Ok(octets) = self.rustls.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, None)
        {
            bindings = bindings.with_exporter(octets);
        }
        bindings
    }

    /// Takes records off the socket, and appends what was in them. True if the server has closed its side of TLS.
    pub(crate) fn receive(&mut self, mut records: &[u8], clear: &mut Vec<u8>) -> Result<bool, String> {
        let mut closed = false;
        while !records.is_empty() && !closed {
            // Reading from a slice does not fail; rustls refuses while plaintext waits, and none does.
            let read = self.rustls.read_tls(&mut records).map_err(|error| error.to_string())?;
            let state = self.rustls.process_new_packets();
            // An alert may say why.
            self.collect();
            let state = state.map_err(|error| error.to_string())?;
            let waiting = state.plaintext_bytes_to_read();
            if waiting > 0 {
                let filled = clear.len();
                clear.resize(filled + waiting, 0);
                self.rustls.reader().read_exact(&mut clear[filled..]).map_err(|error| error.to_string())?;
            }
            closed = state.peer_has_closed() || read == 0;
        }
        Ok(closed)
    }

    /// Puts as much as there is room for into records; gives how much.
    pub(crate) fn send(&mut self, clear: &[u8]) -> usize {
        if self.rustls.is_handshaking() || self.records.len() - self.sent >= ROOM {
            return 0;
        }
        let taken = self.rustls.writer().write(clear).unwrap_or(0);
        self.collect();
        taken
    }

    /// Says that nothing more will be sent.
    pub(crate) fn close(&mut self) {
        self.rustls.send_close_notify();
        self.collect();
    }

    fn collect(&mut self) {
        while self.rustls.wants_write() {
            // Writing to a Vec does not fail.
            if self.rustls.write_tls(&mut self.records as &mut dyn io::Write).unwrap_or(0) == 0 {
                break;
            }
        }
    }

    pub(crate) fn records(&self) -> &[u8] {
        &self.records[self.sent..]
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent >= self.records.len() {
            self.records.clear();
            self.sent = 0;
        }
    }
}
