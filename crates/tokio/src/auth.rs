//! Who may authenticate, and how: AUTH (RFC 4954) with the mechanisms of [`ehlo_sasl`].
//!
//! An [`Authenticator`] says which mechanisms there are and answers what only an application knows. It is a policy's
//! ([`Policy::authenticator`](crate::Policy::authenticator)), or beside one that is ready-made
//! ([`Builder::authenticator`](crate::Builder::authenticator)). [`Users`] is one for a fixed list.
//!
//! ```
//! use ehlo_tokio::auth::Users;
//! use ehlo_tokio::store::Memory;
//! use ehlo_tokio::{AcceptAll, Server};
//!
//! let mut users = Users::new()?;
//! users.add("ada", "correct horse")?;
//! // With TLS, which mechanisms need unless `Config::auth` says otherwise.
//! let server = Server::builder(AcceptAll(Memory::new(1 << 20))).authenticator(users);
//! # drop(server);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod users;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use ehlo_sasl::{Answer, ChannelBindings, Mechanism, NONCE_BYTES, Nonce, Request, ServerOptions, UnknownUsers};
use ehlo_server::codec::Reply;
use ehlo_server::{AuthMechanism, MechanismNeeds, TlsInfo};
use ring::rand::{SecureRandom as _, SystemRandom};

pub use users::Users;

use crate::policy::Context;

/// An answer that takes time.
pub type LaterAuth = Pin<Box<dyn Future<Output = AuthDecision> + Send>>;

/// What an [`Authenticator`] says to a request.
#[non_exhaustive]
pub enum AuthDecision {
    /// What the mechanism asked for; which answers fit is told at each [`Request`].
    Answer(Answer),
    /// The exchange ends with this reply: 432 4.7.12 if the user has to log in by another mechanism once, 534 5.7.9 if the mechanism is
    /// too weak for this user (RFC 4954 §6), 421 to close the connection. It tells the client that the user exists, where
    /// [`Answer::Reject`] doesn't. A reply of another class than 4yz and 5yz is a fault.
    Refuse(Reply),
    /// The answer is not known yet. Meanwhile the connection costs no thread; its peer's going away and the deadline
    /// ([`Timeouts::answer`](ehlo_server::Timeouts)) end the wait, and the future is dropped.
    Later(LaterAuth),
}

impl AuthDecision {
    /// An answer that takes time.
    pub fn later(future: impl Future<Output = Self> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl From<Answer> for AuthDecision {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl fmt::Debug for AuthDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer may be a password.
        match self {
            Self::Answer(_) => f.write_str("Answer(..)"),
            Self::Refuse(reply) => f.debug_tuple("Refuse").field(reply).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Who tries to log in, and how.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// Who asks.
    pub context: Context<'a>,
    /// The mechanism that the client has chosen.
    pub mechanism: Mechanism,
}

/// Knows who may log in, and by which mechanisms.
pub trait Authenticator: Send + Sync + 'static {
    /// The mechanisms that can be answered for, in the order in which EHLO lists them: the ones to be preferred first. Asked once,
    /// when the server is made.
    ///
    /// Which of them a client is offered depends on its connection: `-PLUS` needs TLS that channels can be bound to, EXTERNAL a
    /// client's certificate that was verified, and the others TLS, unless
    /// [`allow_plaintext_auth`](ehlo_server::AuthConfig::allow_plaintext_auth) is on.
    fn mechanisms(&self) -> Vec<Mechanism>;

    /// How users who do not exist are made to look under SCRAM. Asked once, when the server is made. `None`: by a secret that is drawn
    /// then, so that their salts change when the server is started anew, which gives them away in the long run.
    fn unknown_users(&self) -> Option<UnknownUsers> {
        None
    }

    /// Answers a request. It is called from the connection's task and must not block it: look up what takes time in
    /// [`AuthDecision::later`]. [`Context::tls`] has the client's certificate, for EXTERNAL.
    fn answer(&self, attempt: &Attempt<'_>, request: Request) -> AuthDecision;
}

/// An authenticator with what a server has to know of it.
pub(crate) struct Auth {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    mechanisms: Vec<Mechanism>,
    unknown_users: UnknownUsers,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("mechanisms", &self.mechanisms).finish_non_exhaustive()
    }
}

impl Auth {
    /// `None` if there is no mechanism, or no randomness.
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>) -> Option<Self> {
        let mechanisms = authenticator.mechanisms();
        let unknown_users = match authenticator.unknown_users() {
            Some(unknown) => unknown,
            None => UnknownUsers::new(random::<32>().ok()?.as_slice().into()),
        };
        (!mechanisms.is_empty()).then_some(Self { authenticator, mechanisms, unknown_users })
    }

    /// The mechanisms as a session is told of them.
    pub(crate) fn offers(&self) -> Vec<AuthMechanism> {
        let offer = |mechanism: &Mechanism| {
            let needs = match mechanism {
                Mechanism::External => MechanismNeeds::ClientCertificate,
                mechanism if mechanism.needs_channel_binding() => MechanismNeeds::ChannelBinding,
                _ => MechanismNeeds::Confidentiality,
            };
            let offer = AuthMechanism::new(mechanism.as_str(), needs)?;
            Some(if *mechanism == Mechanism::CramMd5 { offer.server_first() } else { offer })
        };
        self.mechanisms.iter().filter_map(offer).collect()
    }

    /// What an exchange begins with.
    pub(crate) fn options(
        &self,
        mechanism: Mechanism,
        hostname: &str,
        tls: Option<&TlsInfo>,
    ) -> io::Result<ServerOptions> {
        let nonce = Nonce::from_random(random::<NONCE_BYTES>()?);
        let mut options = ServerOptions::new(nonce, self.unknown_users.clone());
        // Channel binding is only what a client could have chosen: with it, one that says it was not offered any is refused.
        if let Some(tls) = tls.filter(|_| self.mechanisms.iter().any(|offered| offered.needs_channel_binding())) {
            let mut bindings = ChannelBindings::none();
            if let Some(octets) = tls.binding.exporter() {
                bindings = bindings.with_exporter(*octets);
            }
            if let Some(hash) = tls.binding.end_point() {
                bindings = bindings.with_server_end_point(hash);
            }
            options.channel_bindings = bindings;
        }
        // For CRAM-MD5's challenge. OAUTHBEARER would compare it with the name that the client connected to, which may be another.
        if mechanism == Mechanism::CramMd5 {
            options.host = Some(hostname.trim_matches(['[', ']']).to_owned());
        }
        Ok(options)
    }
}

/// Octets of the operating system's randomness.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(octets)
}
