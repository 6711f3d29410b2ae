//! The certificates of a server, and which of them a client is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::der;
use super::error::{TlsError, TlsFault};

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Files {
        chain: PathBuf,
        key: PathBuf,
    },
    #[cfg_attr(not(feature = "self-signed"), expect(dead_code, reason = "only the feature makes certificates"))]
    Made(Arc<Certificate>),
}

/// A certificate with its chain and key.
#[derive(Debug)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    end_point: Option<Vec<u8>>,
}

impl Certificate {
    /// `tls-server-end-point` of it (RFC 5929 §4.1); `None` where the RFC defines none.
    pub(crate) fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, rustls::Error> {
        let end_point = chain.first().and_then(|certificate| der::end_point(certificate));
        Ok(Self { key: Arc::new(CertifiedKey::from_der(chain, key, provider)?), end_point })
    }

    fn from_files(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let certificates = read_chain(chain)?;
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::of(key, fault(error, TlsFault::NoKey)))?;
        Self::new(certificates, secret, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::of(key, TlsFault::KeyOfAnother),
            rustls::Error::InvalidCertificate(_) => TlsError::of(chain, TlsFault::BadCertificate),
            _ => TlsError::of(key, TlsFault::BadKey),
        })
    }

    #[cfg(feature = "self-signed")]
    pub(super) fn self_signed<'n>(
        names: impl IntoIterator<Item = &'n str>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        use rcgen::{CertificateParams, DnType, KeyPair};

        let refused = |error: rcgen::Error| TlsError::new(TlsFault::SelfSigned(error.to_string()));
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let name = names.first().cloned().unwrap_or_default();
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = CertificateParams::new(names).map_err(refused)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).map_err(refused)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Self::new(vec![certificate.der().clone()], key, provider)
            .map_err(|error| TlsError::new(TlsFault::SelfSigned(error.to_string())))
    }

    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let Some(certificate) = self.key.cert.first() else { return false };
        ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

/// The certificates in a PEM file; one at least.
pub(super) fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let told = |error| TlsError::of(file, fault(error, TlsFault::NoCertificate));
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(told)?.collect::<Result<_, _>>().map_err(told)?;
    if certificates.is_empty() {
        return Err(TlsError::of(file, TlsFault::NoCertificate));
    }
    Ok(certificates)
}

fn fault(error: pem::Error, nothing: TlsFault) -> TlsFault {
    match error {
        pem::Error::Io(error) => TlsFault::Unreadable(error.to_string()),
        pem::Error::NoItemsFound => nothing,
        // What it tells may quote the file.
        _ => TlsFault::NotPem,
    }
}

/// One certificate at least.
#[derive(Debug)]
pub(crate) struct Certificates {
    first: Arc<Certificate>,
    others: Vec<Arc<Certificate>>,
}

impl Certificates {
    pub(super) fn load(sources: &[Source], provider: &CryptoProvider) -> Result<Self, TlsError> {
        let mut all = Vec::new();
        for source in sources {
            all.push(match source {
                Source::Files { chain, key } => Arc::new(Certificate::from_files(chain, key, provider)?),
                Source::Made(certificate) => Arc::clone(certificate),
            });
        }
        let mut all = all.into_iter();
        let first = all.next().ok_or(TlsError::new(TlsFault::NothingNamed))?;
        Ok(Self { first, others: all.collect() })
    }

    /// The one for a client that asks for that name. It depends on nothing else, so that it can be told afterwards which one was shown.
    pub(crate) fn choose(&self, name: Option<&str>) -> &Certificate {
        if self.others.is_empty() {
            return &self.first;
        }
        let Some(name) = name.and_then(|name| ServerName::try_from(name).ok()) else { return &self.first };
        let mut all = std::iter::once(&self.first).chain(&self.others);
        all.find(|certificate| certificate.is_for(&name)).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.choose(hello.server_name()).key))
    }
}
