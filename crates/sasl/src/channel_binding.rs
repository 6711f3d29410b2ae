//! What ties an exchange to the TLS connection that it runs in (RFC 5056).

use std::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The label of the TLS exporter for [`ChannelBindingType::TlsExporter`] (RFC 9266 §2). Its context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Bytes to take from that exporter (RFC 9266 §2).
pub const EXPORTER_LENGTH: usize = 32;

/// Bytes that channel binding data may have: the longest hash in use.
pub const MAX_BINDING: usize = 64;

/// A kind of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChannelBindingType {
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate. It also holds where something in front of
    /// the server ends TLS with the same certificate.
    TlsServerEndPoint,
    /// `tls-exporter` (RFC 9266): keying material of this very connection. Under TLS 1.2, only with the extended master
    /// secret (RFC 7627).
    TlsExporter,
}

impl ChannelBindingType {
    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsExporter => "tls-exporter",
        }
    }

    /// The type with this name; names of channel bindings have a case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TlsServerEndPoint, Self::TlsExporter].into_iter().find(|binding| binding.as_str() == name)
    }
}

impl fmt::Display for ChannelBindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The channel binding data of a connection, by type. Empty for a connection without TLS.
///
/// A server gives it where it offers the `-PLUS` mechanisms, and only there: having it is what makes a client's claim that
/// the server knows no channel binding a downgrade.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    exporter: Option<[u8; EXPORTER_LENGTH]>,
    server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// No channel binding.
    #[must_use]
    pub const fn none() -> Self {
        Self { exporter: None, server_end_point: None }
    }

    /// Adds what the TLS library exports under [`EXPORTER_LABEL`] with an empty context.
    #[must_use]
    pub const fn with_exporter(mut self, data: [u8; EXPORTER_LENGTH]) -> Self {
        self.exporter = Some(data);
        self
    }

    /// Adds the hash of the server's certificate, from [`server_end_point`] or elsewhere. Nothing is added if it is empty or longer
    /// than [`MAX_BINDING`].
    #[must_use]
    pub fn with_server_end_point(mut self, hash: &[u8]) -> Self {
        if (1..=MAX_BINDING).contains(&hash.len()) {
            self.server_end_point = Some(hash.to_vec());
        }
        self
    }

    /// The data of a type.
    #[must_use]
    pub fn get(&self, binding: ChannelBindingType) -> Option<&[u8]> {
        match binding {
            ChannelBindingType::TlsExporter => self.exporter.as_ref().map(<[u8; EXPORTER_LENGTH]>::as_slice),
            ChannelBindingType::TlsServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The one to use: `tls-exporter` where there is one.
    #[must_use]
    pub fn strongest(&self) -> Option<(ChannelBindingType, &[u8])> {
        [ChannelBindingType::TlsExporter, ChannelBindingType::TlsServerEndPoint]
            .into_iter()
            .find_map(|binding| Some((binding, self.get(binding)?)))
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBindings")
            .field("tls-exporter", &self.exporter.is_some())
            .field("tls-server-end-point", &self.server_end_point.is_some())
            .finish()
    }
}

/// The `tls-server-end-point` data of a certificate in DER: its hash by the hash of its signature, or by SHA-256 where that is
/// MD5 or SHA-1 (RFC 5929 §4.1).
///
/// `None` if the certificate cannot be read, or if its signature has no hash of its own, as with Ed25519: for those the RFC
/// defines no channel binding.
#[must_use]
pub fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate = SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, ... }
    let (fields, rest) = der(SEQUENCE, certificate)?;
    if !rest.is_empty() {
        return None;
    }
    let (_, fields) = der(SEQUENCE, fields)?;
    let (algorithm, _) = der(SEQUENCE, fields)?;
    let (oid, parameters) = der(OBJECT_IDENTIFIER, algorithm)?;
    let hash = match oid {
        // 1.2.840.113549.1.1.n: RSA with a hash.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, n] => match n {
            // MD5, SHA-1, SHA-256.
            4 | 5 | 11 => Hash::Sha256,
            12 => Hash::Sha384,
            13 => Hash::Sha512,
            10 => pss_hash(parameters)?,
            _ => return None,
        },
        // 1.2.840.10045.4: ECDSA with SHA-1, or with one of the SHA-2 family.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Hash::Sha256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, n] => match n {
            2 => Hash::Sha256,
            3 => Hash::Sha384,
            4 => Hash::Sha512,
            _ => return None,
        },
        _ => return None,
    };
    Some(match hash {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;

/// The hash among the parameters of RSASSA-PSS (RFC 4055 §3.1): `[0] AlgorithmIdentifier`, SHA-1 if it is not there.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let (fields, _) = der(SEQUENCE, parameters)?;
    let Some((hash, _)) = der(CONTEXT_0, fields) else { return Some(Hash::Sha256) };
    let (algorithm, _) = der(SEQUENCE, hash)?;
    let (oid, _) = der(OBJECT_IDENTIFIER, algorithm)?;
    match oid {
        // 1.3.14.3.2.26: SHA-1.
        [0x2b, 0x0e, 0x03, 0x02, 0x1a] => Some(Hash::Sha256),
        // 2.16.840.1.101.3.4.2.n.
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n] => match n {
            1 => Some(Hash::Sha256),
            2 => Some(Hash::Sha384),
            3 => Some(Hash::Sha512),
            _ => None,
        },
        _ => None,
    }
}

/// The content of a DER element with this tag at the start of the input, and what follows it.
fn der(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Up to four bytes of length: no certificate is longer.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (usize::try_from(bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
