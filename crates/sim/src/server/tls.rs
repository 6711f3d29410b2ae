//! TLS as a driver tells a session of it, and what a session may offer in it and outside of it.

use super::{Op, Server, Tls};
use ehlo_server::{AuthMechanism, ChannelBinding, ClientCertificate, MechanismNeeds, TlsInfo};
use std::time::Instant;

/// How a handshake ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handshake {
    /// Well, and nothing is known of it that a mechanism of AUTH could use.
    Plain,
    /// Well, with data for channel binding.
    Bound,
    /// Well, with a certificate of the client.
    Certified,
    /// It fails; or, inside of TLS, TLS breaks.
    Failed,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Bound, Self::Certified, Self::Failed];

    fn info(self) -> Option<TlsInfo> {
        let info = TlsInfo::new("TLSv1.3", "TLS_AES_128_GCM_SHA256");
        Some(match self {
            Self::Plain => info,
            Self::Bound => info.with_binding(ChannelBinding::default().with_end_point(&[7; 32])),
            Self::Certified => {
                info.with_client(ClientCertificate::new(Some("CN=client.example"))).with_server_name("mx.example")
            }
            Self::Failed => return None,
        })
    }
}

impl Server {
    /// The handshake that was asked for is over; or, if it has failed, TLS breaks inside of it.
    pub fn handshaken(&mut self, now: Instant, how: Handshake) {
        self.record(now, || Op::Handshaken(how));
        match how.info() {
            Some(info) => {
                assert!(self.wants_handshake(), "a handshake that nobody asked for");
                self.tls = Tls::Inside(how);
                self.model.inside_tls();
                self.session.handle_tls(now, info.clone());
                assert_eq!(self.session.tls(), Some(&info));
            }
            None => {
                self.session.handle_tls_failed(now);
                assert!(self.session.output().is_empty(), "a session without TLS speaks");
            }
        }
        self.settle(now);
        assert!(how != Handshake::Failed || self.closed.is_some(), "a session goes on without TLS");
    }

    /// The driver can do handshakes, or cannot for now.
    pub fn set_tls_available(&mut self, now: Instant, available: bool) {
        self.record(now, || Op::TlsAvailable(available));
        self.model.tls_available = available;
        self.session.set_tls_available(available);
        self.settle(now);
    }

    /// Whether a mechanism may be offered, and used.
    pub(super) fn can_use(&self, mechanism: &AuthMechanism) -> bool {
        let Tls::Inside(how) = self.tls else {
            let plain = mechanism.needs() == MechanismNeeds::Confidentiality && self.config.auth.allow_plaintext_auth;
            return plain || mechanism.needs() == MechanismNeeds::Nothing;
        };
        match mechanism.needs() {
            MechanismNeeds::ChannelBinding => how == Handshake::Bound,
            MechanismNeeds::ClientCertificate => how == Handshake::Certified,
            _ => true,
        }
    }

    /// What EHLO offers of TLS and AUTH is what there is.
    pub(super) fn check_offers(&mut self) {
        let Some(offered) = self.model.offered.take().filter(|offered| !offered.is_empty()) else { return };
        let inside = matches!(self.tls, Tls::Inside(_));
        let has = |keyword: &str| offered.iter().any(|line| line == keyword);
        assert_eq!(has("STARTTLS"), self.config.tls.has_starttls() && !inside, "{offered:?}");
        assert_eq!(has("REQUIRETLS"), self.config.requiretls && inside, "{offered:?}");
        let mechanisms = self.config.auth.mechanisms.iter().filter(|mechanism| self.can_use(mechanism));
        let mechanisms: Vec<&str> = mechanisms.map(AuthMechanism::name).collect();
        let auth = offered.iter().find_map(|line| line.strip_prefix("AUTH "));
        let auth: Vec<&str> = auth.into_iter().flat_map(|names| names.split(' ')).collect();
        assert_eq!(auth, mechanisms, "{offered:?}");
    }
}
