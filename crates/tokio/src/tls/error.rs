//! Why certificates can't be used.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why there is no TLS, and which file it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    file: Option<PathBuf>,
    fault: TlsFault,
}

/// What is wrong. Nothing of a file's content is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The file can't be read; the system says why.
    Unreadable(String),
    /// The file isn't PEM.
    NotPem,
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it, or it is encrypted.
    NoKey,
    /// The private key is of a kind that isn't known, or is broken.
    BadKey,
    /// The private key belongs to another certificate.
    KeyOfAnother,
    /// The certificate can't be read.
    BadCertificate,
    /// It is no certificate of an authority that could verify others.
    NotAnAuthority(String),
    /// No certificate was named.
    NothingNamed,
    /// No certificate can be made for these names.
    SelfSigned(String),
    /// The TLS library refuses the whole.
    Unusable(String),
}

impl TlsError {
    pub(super) const fn new(fault: TlsFault) -> Self {
        Self { file: None, fault }
    }

    pub(super) fn of(file: &Path, fault: TlsFault) -> Self {
        Self { file: Some(file.to_owned()), fault }
    }

    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What is wrong.
    #[must_use]
    pub const fn fault(&self) -> &TlsFault {
        &self.fault
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NotPem => f.write_str("is not PEM"),
            Self::NoCertificate => f.write_str("has no certificate in it"),
            Self::NoKey => f.write_str("has no private key in it that is not encrypted"),
            Self::BadKey => f.write_str("has a private key that cannot be used"),
            Self::KeyOfAnother => f.write_str("has a private key that belongs to another certificate"),
            Self::BadCertificate => f.write_str("has a certificate that cannot be used"),
            Self::NotAnAuthority(error) => write!(f, "has a certificate that is no authority's: {error}"),
            Self::NothingNamed => f.write_str("no certificate was named"),
            Self::SelfSigned(error) => write!(f, "no certificate can be made: {error}"),
            Self::Unusable(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}
