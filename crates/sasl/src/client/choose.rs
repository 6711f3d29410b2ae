//! Which mechanism to use.

use super::Credentials;
use crate::Mechanism;

/// What a client may do on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Whether the connection is under TLS, with a server whose name was verified.
    pub tls: bool,
    /// Whether there is channel binding data to give to the exchange.
    pub channel_binding: bool,
    /// Whether passwords and tokens may be sent in clear without TLS. For tests on one machine.
    pub plaintext_without_tls: bool,
}

impl Policy {
    /// A connection without TLS, on which nothing secret is sent in clear.
    #[must_use]
    pub const fn clear() -> Self {
        Self { tls: false, channel_binding: false, plaintext_without_tls: false }
    }

    /// A connection under TLS, with or without channel binding data.
    #[must_use]
    pub const fn tls(channel_binding: bool) -> Self {
        Self { tls: true, channel_binding, plaintext_without_tls: false }
    }

    /// Whether this mechanism may be used.
    #[must_use]
    pub const fn allows(self, mechanism: Mechanism) -> bool {
        if mechanism.needs_channel_binding() && !(self.tls && self.channel_binding) {
            return false;
        }
        !mechanism.is_plaintext() || self.tls || self.plaintext_without_tls
    }
}

/// The strongest mechanism of those that a server offers which fits the credentials and the policy.
///
/// ```
/// use ehlo_sasl::{Credentials, Mechanism, Policy, choose};
///
/// let offered = ["PLAIN", "GSSAPI", "SCRAM-SHA-256"].into_iter().filter_map(|name| name.parse().ok());
/// let ada = Credentials::password("ada", "secret");
/// assert_eq!(choose(offered, &ada, Policy::clear()), Some(Mechanism::ScramSha256));
/// assert_eq!(choose([Mechanism::Plain], &ada, Policy::clear()), None);
/// assert_eq!(choose([Mechanism::Plain], &ada, Policy::tls(false)), Some(Mechanism::Plain));
/// ```
#[must_use]
pub fn choose(
    offered: impl IntoIterator<Item = Mechanism>,
    credentials: &Credentials,
    policy: Policy,
) -> Option<Mechanism> {
    offered.into_iter().filter(|mechanism| credentials.fit(*mechanism) && policy.allows(*mechanism)).max()
}
