//! The settings of sessions, which may change while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use ehlo_server::{AuthMechanism, Config, Questions, TlsMode};

/// The settings of a server's sessions, to be replaced while it runs: [`Server::settings`](crate::Server::settings) gives them. Clones are
/// one.
///
/// A session keeps those that it began with. What is open goes on as it was; connections that come from now on have the new ones.
#[derive(Clone, Debug)]
pub struct Settings {
    current: Arc<RwLock<Arc<Config>>>,
    /// What is the server's to say, whatever the settings are.
    questions: Questions,
    mechanisms: Arc<[AuthMechanism]>,
    tls: bool,
}

impl Settings {
    pub(crate) fn new(config: Config, questions: Questions, mechanisms: Vec<AuthMechanism>, tls: bool) -> Self {
        let settings = Self {
            current: Arc::new(RwLock::new(Arc::new(config.clone()))),
            questions,
            mechanisms: mechanisms.into(),
            tls,
        };
        settings.replace(config);
        settings
    }

    /// The settings of connections that come now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has connections that come from now on begin with these settings. As for [`Builder::config`](crate::Builder::config), the questions
    /// are the policy's to choose, the mechanisms the authenticator's, and there is no STARTTLS without certificates.
    pub fn replace(&self, mut config: Config) {
        config.questions = self.questions;
        config.auth.mechanisms = self.mechanisms.to_vec();
        if !self.tls {
            config.tls = TlsMode::Off;
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_the_settings_to_say_stays() {
        let config = || Config::new("mx.example").unwrap();
        let settings = Settings::new(config(), Questions::RCPT, Vec::new(), false);
        let first = settings.current();
        let mut other = config();
        other.questions = Questions::NONE;
        other.tls = TlsMode::Required;
        other.limits.recipients = 7;
        settings.clone().replace(other);
        let now = settings.current();
        assert_eq!((now.questions, now.tls, now.limits.recipients), (Questions::RCPT, TlsMode::Off, 7));
        assert_eq!(first.limits.recipients, 1000, "who has the old ones keeps them");
    }
}
