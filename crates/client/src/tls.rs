//! What a session knows of the TLS around it. The handshake itself is the driver's.

/// A finished handshake, as the driver tells of it in [`Session::handle_tls`](crate::Session::handle_tls).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol, such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as the registry of IANA names it, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// Whether the server's certificate was found to be valid, for the name that it was asked for by, and of an issuer that is trusted. Without
    /// that, TLS helps against those who listen, and not against those who interfere.
    pub verified: bool,
}

impl TlsInfo {
    /// A handshake that gave this version and cipher suite, with a server that was verified, or was not.
    #[must_use]
    pub const fn new(version: &'static str, cipher: &'static str, verified: bool) -> Self {
        Self { version, cipher, verified }
    }
}
