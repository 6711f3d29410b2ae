//! Logging in: a SASL exchange over AUTH (RFC 4954).

use std::fmt;
use std::time::Instant;

use ehlo_client::codec::ReplyCode;
use ehlo_client::{AuthOutcome, Event, Session};
use ehlo_sasl::{
    ChannelBindings, ClientExchange, ClientOptions, Credentials, Mechanism, NONCE_BYTES, Nonce, Policy, choose,
};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Who logs in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Login {
    credentials: Credentials,
    mechanism: Option<Mechanism>,
    plaintext_without_tls: bool,
}

impl Login {
    /// With these credentials, by the strongest mechanism that the server offers and that they fit. Passwords and tokens are sent in clear only
    /// inside TLS, to a server that was verified.
    pub const fn new(credentials: Credentials) -> Self {
        Self { credentials, mechanism: None, plaintext_without_tls: false }
    }

    /// A user with a password.
    pub fn password(name: &str, password: impl Into<ehlo_sasl::Secret>) -> Self {
        Self::new(Credentials::password(name, password))
    }

    /// A user with an OAuth 2.0 access token.
    pub fn bearer(user: &str, token: impl Into<ehlo_sasl::Secret>) -> Self {
        Self::new(Credentials::bearer(user, token))
    }

    /// By that mechanism, and by no other.
    pub const fn mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = Some(mechanism);
        self
    }

    /// Whether the password or token may be sent in clear over a connection without TLS, or to a server that was not verified: whoever reads
    /// along has it then. For a server on the same host.
    pub const fn plaintext_without_tls(mut self, allowed: bool) -> Self {
        self.plaintext_without_tls = allowed;
        self
    }

    /// Whose credentials they are, and nothing else about them; for a pool's key.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.credentials {
            Credentials::Password { authentication_id, .. } => authentication_id,
            Credentials::Bearer { user, .. } => user.as_deref().unwrap_or_default(),
            Credentials::External { authorization_id } => authorization_id.as_deref().unwrap_or_default(),
            _ => "",
        }
    }

    /// Begins the exchange with what the server offers.
    pub(crate) fn begin(
        &self,
        session: &mut Session,
        now: Instant,
        bindings: ChannelBindings,
        host: Option<&str>,
    ) -> Result<Exchange, LoginError> {
        let verified = session.tls().is_some_and(|tls| tls.verified);
        let mut policy = if verified { Policy::tls(!bindings.is_empty()) } else { Policy::clear() };
        policy.plaintext_without_tls = self.plaintext_without_tls;
        let offered: Vec<Mechanism> = session
            .capabilities()
            .auth()
            .map(|auth| auth.mechanisms().filter_map(|name| name.parse().ok()).collect())
            .unwrap_or_default();
        if offered.is_empty() {
            return Err(LoginError::NotOffered);
        }
        let wanted = offered.iter().copied().filter(|offered| self.mechanism.is_none_or(|only| only == *offered));
        let mechanism = choose(wanted.clone(), &self.credentials, policy).ok_or_else(|| {
            let in_clear = wanted.clone().any(|mechanism| self.credentials.fit(mechanism) && mechanism.is_plaintext());
            if in_clear && !verified { LoginError::OnlyInClear } else { LoginError::NoMechanism }
        })?;
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
        let mut options = ClientOptions::new(Nonce::from_random(random));
        // Where the server offers a -PLUS that is not used, it is to be told nothing of what could have been (RFC 5802 §6).
        let plus = offered.iter().any(|offered| offered.needs_channel_binding());
        if mechanism.needs_channel_binding() || !plus {
            options.channel_bindings = bindings;
        }
        options.host = host.map(str::to_owned);
        let mut exchange =
            ClientExchange::new(mechanism, self.credentials.clone(), options).map_err(LoginError::Exchange)?;
        let initial = exchange.initial_response();
        session
            .authenticate(now, mechanism.as_str(), initial.as_ref().map(|initial| initial.as_bytes()))
            .map_err(|_| LoginError::NotNow)?;
        Ok(Exchange { exchange, failed: None })
    }
}

/// An exchange that goes on.
#[derive(Debug)]
pub(crate) struct Exchange {
    exchange: ClientExchange,
    failed: Option<ehlo_sasl::Error>,
}

impl Exchange {
    /// Takes note of what happened; tells when the exchange is over.
    pub(crate) fn on_event(
        &mut self,
        session: &mut Session,
        now: Instant,
        event: &Event,
    ) -> Option<Result<(), LoginError>> {
        match event {
            Event::Challenge => {
                let answered = match self.exchange.respond(session.challenge()) {
                    Ok(response) => session.respond(now, response.as_bytes()),
                    Err(error) => {
                        self.failed = Some(error);
                        session.cancel_auth(now)
                    }
                };
                debug_assert!(answered.is_ok(), "there is a challenge");
                None
            }
            Event::Auth(outcome) => Some(match (outcome, self.failed) {
                (_, Some(error)) => Err(LoginError::Exchange(error)),
                (AuthOutcome::Succeeded, None) => self.exchange.is_complete().map_err(LoginError::Exchange),
                (AuthOutcome::Refused(code), None) => {
                    let text = session.reply().map(|reply| reply.to_string()).unwrap_or_else(|| code.to_string());
                    Err(LoginError::Refused(*code, text))
                }
                _ => Err(LoginError::BadChallenge),
            }),
            _ => None,
        }
    }
}

/// Why a log-in failed. Nothing was sent then, and the session goes on without.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// The server does not offer AUTH: not here, or not before TLS.
    NotOffered,
    /// The server offers no mechanism that the credentials fit, or not the one that was asked for.
    NoMechanism,
    /// The server offers only mechanisms that would send the password or token in clear, over a connection that is not inside TLS with a
    /// verified server.
    OnlyInClear,
    /// The server refused, by this reply. With a 4yz code it may be tried again later; with a 5yz code the same credentials will not do (RFC
    /// 4954 §6).
    Refused(ReplyCode, String),
    /// The server's challenge was no Base64.
    BadChallenge,
    /// The mechanism can't go on; or it must not be believed that the server knows the password.
    Exchange(ehlo_sasl::Error),
    /// The operating system has no random bytes.
    NoRandomness,
    /// The session is within a transaction, or was authenticated before.
    NotNow,
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("the server does not offer AUTH here"),
            Self::NoMechanism => f.write_str("the server offers no mechanism that fits the credentials"),
            Self::OnlyInClear => f.write_str(
                "the server wants the password in clear, and the connection is not inside TLS with a server that was verified",
            ),
            Self::Refused(_, text) => write!(f, "the server refused the log-in: {text}"),
            Self::BadChallenge => f.write_str("the server's challenge is no Base64"),
            Self::Exchange(error) => write!(f, "log-in: {error}"),
            Self::NoRandomness => f.write_str("the system gives no random bytes"),
            Self::NotNow => f.write_str("a log-in is not possible at this point of the session"),
        }
    }
}

impl std::error::Error for LoginError {}
