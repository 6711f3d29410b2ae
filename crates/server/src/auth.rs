//! What a session offers for authentication, and what it shows of an exchange (RFC 4954). The mechanisms themselves are the application's.

use crate::tls::TlsInfo;
use ehlo_codec::MechanismName;
use std::fmt;

/// Octets of an authenticated identity. Default of `ehlo-sasl` for a name; RFC 4616 §2 asks for 255 at least.
pub const MAX_IDENTITY: usize = 1024;

/// What a mechanism needs of its connection; it is offered where that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MechanismNeeds {
    /// Nothing.
    Nothing,
    /// That nobody reads along, which TLS gives, or [`AuthConfig::allow_plaintext_auth`] waives (RFC 4954 §4).
    Confidentiality,
    /// TLS with data for channel binding: the `-PLUS` mechanisms (RFC 5802 §6).
    ChannelBinding,
    /// TLS with a certificate of the client that was verified: EXTERNAL (RFC 4422 appendix A).
    ClientCertificate,
}

/// A SASL mechanism (RFC 4422) that the application can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthMechanism {
    name: Box<str>,
    needs: MechanismNeeds,
    server_first: bool,
}

impl AuthMechanism {
    /// A mechanism in which the client may speak first. `None` if the name is none (RFC 4422 §3.1).
    #[must_use]
    pub fn new(name: &str, needs: MechanismNeeds) -> Option<Self> {
        MechanismName::parse(name)?;
        Some(Self { name: name.to_ascii_uppercase().into(), needs, server_first: false })
    }

    /// One in which the server speaks first: an initial response is refused with 501 5.7.0 (RFC 4954 §4). LOGIN is best left without
    /// this: many clients send the user's name along.
    #[must_use]
    pub const fn server_first(mut self) -> Self {
        self.server_first = true;
        self
    }

    /// The name, in capitals.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it needs.
    #[must_use]
    pub const fn needs(&self) -> MechanismNeeds {
        self.needs
    }

    pub(crate) const fn is_server_first(&self) -> bool {
        self.server_first
    }

    /// Whether it can be used on a connection of that TLS.
    pub(crate) fn is_available(&self, config: &AuthConfig, tls: Option<&TlsInfo>) -> bool {
        match (self.needs, tls) {
            (MechanismNeeds::Nothing, _) => true,
            (MechanismNeeds::Confidentiality, tls) => tls.is_some() || config.allow_plaintext_auth,
            (_, None) => false,
            (MechanismNeeds::ChannelBinding, Some(tls)) => {
                tls.binding.exporter().is_some() || tls.binding.end_point().is_some()
            }
            (MechanismNeeds::ClientCertificate, Some(tls)) => tls.client.is_some(),
        }
    }
}

/// Whether and how clients can authenticate. By default they cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The mechanisms that the application can do, in the order in which EHLO lists them. Without any, AUTH is neither offered nor
    /// known: 502.
    pub mechanisms: Vec<AuthMechanism>,
    /// Whether mechanisms that need [confidentiality](MechanismNeeds::Confidentiality) are offered outside of TLS, too, where everybody
    /// on the way can read passwords. Off by default: they are not listed then, and answered with 504 5.5.4 (RFC 4954 §4; §6 keeps 538 for history).
    pub allow_plaintext_auth: bool,
    /// Whether MAIL, and what else asks something of the server, is 530 5.7.0 before authentication (RFC 4954 §6, RFC 6409 §4.3). For
    /// submission; a server that is named in a domain's MX records must take mail for its own without it. Off by default.
    pub require_auth: bool,
}

impl AuthConfig {
    /// The mechanisms that can be used now.
    pub(crate) fn available<'c>(&'c self, tls: Option<&'c TlsInfo>) -> impl Iterator<Item = &'c AuthMechanism> {
        self.mechanisms.iter().filter(move |mechanism| mechanism.is_available(self, tls))
    }
}

/// What a client sent in an exchange, decoded. It may be a credential: its `Debug` output shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslResponse<'s>(pub(crate) &'s [u8]);

impl<'s> SaslResponse<'s> {
    /// The octets.
    #[must_use]
    pub const fn as_bytes(self) -> &'s [u8] {
        self.0
    }
}

impl fmt::Debug for SaslResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslResponse(..)")
    }
}

/// An exchange that is under way.
pub(crate) struct Exchange {
    /// Which of [`AuthConfig::mechanisms`].
    pub(crate) mechanism: usize,
    /// What the client sent last, decoded. `None`: it sent no initial response.
    pub(crate) response: Option<Vec<u8>>,
    /// Nothing was challenged yet.
    pub(crate) begins: bool,
}

impl Exchange {
    /// Octets that it takes beside its fixed size.
    pub(crate) fn memory(&self) -> usize {
        self.response.as_ref().map_or(0, Vec::capacity)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mechanism", &self.mechanism)
            .field("begins", &self.begins)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ChannelBinding, ClientCertificate};

    #[test]
    fn a_mechanism_is_available_where_what_it_needs_is_there() {
        let bare = TlsInfo::new("TLSv1.3", "x");
        let bound = bare.clone().with_binding(ChannelBinding::default().with_end_point(&[1; 32]));
        let known = bare.clone().with_client(ClientCertificate::new(Some("CN=client")));
        let config = AuthConfig::default();
        let open = AuthConfig { allow_plaintext_auth: true, ..AuthConfig::default() };
        for (needs, expected) in [
            (MechanismNeeds::Nothing, [true, true, true, true, true]),
            (MechanismNeeds::Confidentiality, [false, true, true, true, true]),
            (MechanismNeeds::ChannelBinding, [false, false, false, true, false]),
            (MechanismNeeds::ClientCertificate, [false, false, false, false, true]),
        ] {
            let mechanism = AuthMechanism::new("x", needs).unwrap();
            let found = [
                mechanism.is_available(&config, None),
                mechanism.is_available(&open, None),
                mechanism.is_available(&config, Some(&bare)),
                mechanism.is_available(&config, Some(&bound)),
                mechanism.is_available(&config, Some(&known)),
            ];
            assert_eq!(found, expected, "{needs:?}");
        }
    }

    #[test]
    fn a_name_that_is_none_makes_no_mechanism() {
        assert_eq!(AuthMechanism::new("", MechanismNeeds::Nothing), None);
        assert_eq!(AuthMechanism::new("TWO WORDS", MechanismNeeds::Nothing), None);
        assert_eq!(AuthMechanism::new("plain", MechanismNeeds::Nothing).unwrap().name(), "PLAIN");
    }
}
