//! Certificates and keys of a server, and how its clients are verified.
//!
//! TLS itself is rustls with the cryptography of ring: versions 1.2 and 1.3.
//!
//! ```no_run
//! use ehlo_tokio::tls::{ClientCertificates, TlsConfig};
//!
//! let tls = TlsConfig::builder()
//!     .pem_files("/etc/ehlo/mx.pem", "/etc/ehlo/mx.key")
//!     .client_ca("/etc/ehlo/clients.pem", ClientCertificates::Optional)
//!     .build()?;
//! // Later, when the files have changed:
//! tls.reload()?;
//! # Ok::<(), ehlo_tokio::tls::TlsError>(())
//! ```

mod certificates;
mod der;
mod error;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

#[cfg(feature = "self-signed")]
use self::certificates::Certificate;
use self::certificates::{Certificates, Source};
pub(crate) use self::der::subject;
pub use self::error::{TlsError, TlsFault};

/// What is asked of a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// A client may show one; one that it shows has to be valid.
    Optional,
    /// A handshake without a valid one fails.
    Required,
}

/// Says where certificates come from, and makes a [`TlsConfig`] of them.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    sources: Vec<Source>,
    client_ca: Option<(PathBuf, ClientCertificates)>,
}

impl Builder {
    /// With the certificate chain of one file, the server's own certificate first, and its private key in another (PKCS #8, PKCS #1 or
    /// SEC 1); both are PEM, and may be the same file. If there are several certificates, the first that is valid for the name that a
    /// client asks for is shown to it (SNI, RFC 6066 §3), and to a client that asks for none of theirs, or none, the first of all.
    pub fn pem_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::Files { chain: chain.into(), key: key.into() });
        self
    }

    /// With a certificate for those names that is made now, by itself. Nobody can tell it from anybody else's: for tests and trials.
    ///
    /// # Errors
    ///
    /// [`TlsFault::SelfSigned`] if one of the names can't stand in a certificate.
    #[cfg(feature = "self-signed")]
    pub fn self_signed<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Result<Self, TlsError> {
        self.sources.push(Source::Made(Arc::new(Certificate::self_signed(names, &provider())?)));
        Ok(self)
    }

    /// With the verification of clients' certificates by the authorities of a PEM file.
    pub fn client_ca(mut self, file: impl Into<PathBuf>, ask: ClientCertificates) -> Self {
        self.client_ca = Some((file.into(), ask));
        self
    }

    /// Loads everything.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn build(self) -> Result<TlsConfig, TlsError> {
        let loaded = Arc::new(self.load()?);
        let current = Current { sources: Arc::new(self), loaded };
        Ok(TlsConfig { shared: Arc::new(Shared { current: RwLock::new(current) }) })
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let provider = provider();
        let certificates = Arc::new(Certificates::load(&self.sources, &provider)?);
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(TlsFault::Unusable(error.to_string())))?;
        let server = match &self.client_ca {
            None => versions.with_no_client_auth(),
            Some((file, ask)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates::read_chain(file)? {
                    roots
                        .add(authority)
                        .map_err(|error| TlsError::of(file, TlsFault::NotAnAuthority(error.to_string())))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match ask {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    ClientCertificates::Required => verifier,
                };
                let verifier = verifier
                    .build()
                    .map_err(|error| TlsError::of(file, TlsFault::NotAnAuthority(error.to_string())))?;
                versions.with_client_cert_verifier(verifier)
            }
        };
        let resolver = Arc::clone(&certificates);
        Ok(Loaded { server: Arc::new(server.with_cert_resolver(resolver)), certificates })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The TLS of a server. Its clones are one: what one of them [reloads](Self::reload), all have.
#[derive(Clone)]
pub struct TlsConfig {
    shared: Arc<Shared>,
}

struct Shared {
    current: RwLock<Current>,
}

/// Where things come from, and what came from there.
#[derive(Clone)]
struct Current {
    sources: Arc<Builder>,
    loaded: Arc<Loaded>,
}

/// What was loaded at one time. A connection keeps to the one that its handshake began with.
pub(crate) struct Loaded {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) certificates: Arc<Certificates>,
}

impl TlsConfig {
    /// Begins with no certificate; [`build`](Builder::build) needs one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Reads all files again. Handshakes that begin from now on use what they say now; connections that are inside TLS already are left
    /// alone. A certificate that was made by itself is kept.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it. Everything stays as it was then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Current { sources, .. } = self.now();
        let loaded = Arc::new(sources.load()?);
        self.put(Current { sources, loaded });
        Ok(())
    }

    /// Has the certificates of that one from now on, and where they come from, too. As behind [`reload`](Self::reload), connections that
    /// are inside TLS already are left alone.
    pub fn replace(&self, with: &Self) {
        self.put(with.now());
    }

    fn now(&self) -> Current {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, current: Current) {
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    pub(crate) fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner).loaded)
    }
}

impl fmt::Debug for TlsConfig {
    /// Where things come from, and nothing of what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("sources", &self.now().sources).finish_non_exhaustive()
    }
}
