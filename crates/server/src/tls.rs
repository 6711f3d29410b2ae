//! What a session knows of the TLS around it. The handshake itself is the driver's.

use std::fmt;

/// Octets of a server name that are kept: a DNS name has 253 at the most (RFC 1035 §2.3.4).
pub const MAX_SERVER_NAME: usize = 255;

/// Octets of a certificate's subject that are kept; a longer one is cut.
pub const MAX_SUBJECT: usize = 512;

/// Octets of the hash of a certificate that are kept: those of SHA-512.
pub const MAX_END_POINT: usize = 64;

/// A finished handshake, as the driver tells of it in [`Session::handle_tls`](crate::Session::handle_tls).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol, such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as the registry of IANA names it, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 §3).
    pub server_name: Option<Box<str>>,
    /// The client's certificate; only one that was verified is told of.
    pub client: Option<ClientCertificate>,
    /// What a SASL mechanism can bind itself to.
    pub binding: ChannelBinding,
}

impl TlsInfo {
    /// A handshake that gave this version and cipher suite, and nothing else that is known.
    #[must_use]
    pub const fn new(version: &'static str, cipher: &'static str) -> Self {
        Self {
            version,
            cipher,
            server_name: None,
            client: None,
            binding: ChannelBinding { exporter: None, end_point: None },
        }
    }

    /// With the name that the client asked for; one that is longer than [`MAX_SERVER_NAME`] is no DNS name and is left out.
    #[must_use]
    pub fn with_server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name).filter(|name| name.len() <= MAX_SERVER_NAME).map(Box::from);
        self
    }

    /// With a certificate of the client that was verified.
    #[must_use]
    pub fn with_client(mut self, client: ClientCertificate) -> Self {
        self.client = Some(client);
        self
    }

    /// With data for channel binding.
    #[must_use]
    pub fn with_binding(mut self, binding: ChannelBinding) -> Self {
        self.binding = binding;
        self
    }
}

/// A client's certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// Its subject, such as `CN=client.example`; at most [`MAX_SUBJECT`] octets of it. `None` if it is empty or cannot be read.
    pub subject: Option<Box<str>>,
}

impl ClientCertificate {
    /// A certificate of that subject.
    #[must_use]
    pub fn new(subject: Option<&str>) -> Self {
        Self { subject: subject.filter(|text| !text.is_empty()).map(|text| Box::from(start(text, MAX_SUBJECT))) }
    }
}

/// The start of a text, so many octets of it at the most.
fn start(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// What proves that both ends of an authentication are the ends of this TLS connection (RFC 5056).
///
/// Its `Debug` output tells what there is, and no octet of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBinding {
    exporter: Option<[u8; 32]>,
    end_point: Option<Box<[u8]>>,
}

impl ChannelBinding {
    /// `tls-exporter` (RFC 9266 §2): 32 octets that both ends derive from the connection's secrets.
    #[must_use]
    pub const fn exporter(&self) -> Option<&[u8; 32]> {
        self.exporter.as_ref()
    }

    /// `tls-server-end-point` (RFC 5929 §4): the hash of the certificate that the server has shown.
    #[must_use]
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// With `tls-exporter`.
    #[must_use]
    pub const fn with_exporter(mut self, octets: [u8; 32]) -> Self {
        self.exporter = Some(octets);
        self
    }

    /// With `tls-server-end-point`. What is longer than [`MAX_END_POINT`] is no hash and is left out.
    #[must_use]
    pub fn with_end_point(mut self, hash: &[u8]) -> Self {
        self.end_point = Some(hash).filter(|hash| hash.len() <= MAX_END_POINT).map(Box::from);
        self
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |there: bool| if there { "known" } else { "none" };
        f.debug_struct("ChannelBinding")
            .field("exporter", &told(self.exporter.is_some()))
            .field("end_point", &told(self.end_point.is_some()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let subject = "ö".repeat(MAX_SUBJECT);
        let kept = ClientCertificate::new(Some(&subject)).subject.unwrap();
        assert_eq!(kept.len(), MAX_SUBJECT);
        let odd = format!("x{subject}");
        assert_eq!(ClientCertificate::new(Some(&odd)).subject.unwrap().len(), MAX_SUBJECT - 1);
        assert_eq!(ClientCertificate::new(Some("")).subject, None);
        let info = TlsInfo::new("TLSv1.3", "x").with_server_name(&"a".repeat(MAX_SERVER_NAME + 1));
        assert_eq!(info.server_name, None);
        assert_eq!(ChannelBinding::default().with_end_point(&[0; MAX_END_POINT + 1]).end_point(), None);
    }

    #[test]
    fn debug_output_has_no_key_material() {
        let binding = ChannelBinding::default().with_exporter([0xA7; 32]).with_end_point(&[0xB9; 32]);
        let shown = format!("{:?}", TlsInfo::new("TLSv1.3", "x").with_binding(binding));
        assert!(shown.contains("known"), "{shown}");
        for octet in ["167", "a7", "A7", "185", "b9", "B9"] {
            assert!(!shown.contains(octet), "{shown}");
        }
    }
}
