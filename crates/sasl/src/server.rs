//! The server's side.

mod question;
mod scram;

use std::fmt;

pub use question::{Answer, BearerRequest, Failure, Identity, Request, Step};

use crate::bearer::{self, BearerError, SEPARATOR};
use crate::cram_md5;
use crate::{ChannelBindings, MAX_MESSAGE, MIN_ITERATIONS, Mechanism, Nonce, Secret, prep};

/// What a server puts into an exchange.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Unpredictable, and another one for each exchange.
    pub nonce: Nonce,
    /// How users that do not exist are given credentials under SCRAM.
    pub unknown_users: UnknownUsers,
    /// What the TLS connection offers. Leave it empty where no `-PLUS` mechanism is offered: with data here, a client that says
    /// it was offered none is refused as the victim of a downgrade (RFC 5802 §6).
    pub channel_bindings: ChannelBindings,
    /// The server's name, for CRAM-MD5's challenge. Where it is set, an OAUTHBEARER client that names another one is refused
    /// (RFC 7628 §3.2).
    pub host: Option<String>,
    /// The port that clients connect to. Where it is set, an OAUTHBEARER client that names another one is refused.
    pub port: Option<u16>,
    /// What a client is told whose token is refused without an error of its own.
    pub bearer_error: BearerError,
}

impl ServerOptions {
    /// No channel binding, no host or port to compare, the plainest error.
    #[must_use]
    pub fn new(nonce: Nonce, unknown_users: UnknownUsers) -> Self {
        Self {
            nonce,
            unknown_users,
            channel_bindings: ChannelBindings::none(),
            host: None,
            port: None,
            bearer_error: BearerError::default(),
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("channel_bindings", &self.channel_bindings)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("bearer_error", &self.bearer_error)
            .finish_non_exhaustive()
    }
}

/// Credentials for SCRAM users that do not exist, so that they look like users with another password.
///
/// They only do so if salts and iterations look like those of real users.
#[derive(Clone)]
#[non_exhaustive]
pub struct UnknownUsers {
    /// What the made-up salts follow from. Random, and kept for as long as the user database is: a salt that changes gives the
    /// user away.
    pub secret: Secret,
    /// Bytes of a salt, as many as real users have. 16 unless set, between 1 and [`MAX_SALT`](crate::MAX_SALT).
    pub salt_length: usize,
    /// Iterations, as many as real users have. [`MIN_ITERATIONS`] unless set, at least 1.
    pub iterations: u32,
}

impl UnknownUsers {
    /// With salts of 16 bytes and [`MIN_ITERATIONS`].
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self { secret, salt_length: SALT_LENGTH, iterations: MIN_ITERATIONS }
    }
}

impl fmt::Debug for UnknownUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownUsers")
            .field("salt_length", &self.salt_length)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Bytes of a salt that this crate makes.
pub(crate) const SALT_LENGTH: usize = 16;

/// One authentication exchange, as a server leads it.
///
/// [`start`](Self::start) begins it. Each call gives the next [`Step`]:
///
/// - [`Step::Challenge`]: send these bytes, and give what the client sends to [`respond`](Self::respond);
/// - [`Step::Ask`]: decide, now or later, and give the decision to [`answer`](Self::answer);
/// - [`Step::Done`] and [`Step::Failed`]: the end. All later calls fail.
///
/// Bytes are raw: Base64, and what a profile says besides (`*` to cancel, `=` for an empty initial response), is the
/// caller's. No input makes it panic, and anything unexpected ends it in failure: a call that does not fit the last step is
/// [`Failure::Misuse`].
pub struct ServerExchange {
    mechanism: Mechanism,
    options: ServerOptions,
    state: State,
}

enum State {
    /// An empty challenge is out.
    Initial,
    LoginName,
    LoginPassword(String),
    Cram(Vec<u8>),
    ScramFinal(Box<scram::Exchange>),
    /// The server's signature is out; the client has nothing more to say.
    ScramEnd(Identity),
    /// The error is out; the client may only let it pass.
    BearerEnd,
    Asked(Asked),
    Over,
}

/// What is out for an answer.
enum Asked {
    Password { name: String, authorization_id: Option<String> },
    Scram(Box<scram::First>),
    Cram { challenge: Vec<u8>, response: cram_md5::Response },
    Bearer { user: Option<String> },
    External { authorization_id: Option<String> },
    Authorize(Identity, Then),
}

/// How an exchange ends when identity and authority are established.
enum Then {
    Done,
    /// With the server's signature.
    Signature(Vec<u8>),
}

impl ServerExchange {
    /// Begins. `initial_response` is what came along with the mechanism's name, decoded: `None` if nothing did, empty if the
    /// client said that it is empty.
    ///
    /// CRAM-MD5 allows none ([`Failure::UnexpectedInitialResponse`]); LOGIN strictly neither, but many clients send the user
    /// name along, and it is taken.
    pub fn start(mechanism: Mechanism, options: ServerOptions, initial_response: Option<&[u8]>) -> (Self, Step) {
        let mut exchange = Self { mechanism, options, state: State::Over };
        let step = exchange.begin(initial_response);
        (exchange, step)
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    fn begin(&mut self, initial_response: Option<&[u8]>) -> Step {
        match (self.mechanism, initial_response) {
            (Mechanism::CramMd5, Some(_)) => Step::Failed(Failure::UnexpectedInitialResponse),
            (Mechanism::CramMd5, None) => {
                // RFC 2195 §2: a msg-id that is never used twice. It says a timestamp; uniqueness is the nonce's here.
                let host = self.options.host.as_deref().unwrap_or("localhost");
                let challenge = format!("<{}@{host}>", self.options.nonce.as_str()).into_bytes();
                self.state = State::Cram(challenge.clone());
                Step::Challenge(challenge)
            }
            (Mechanism::Login, None) => {
                self.state = State::LoginName;
                Step::Challenge(b"Username:".to_vec())
            }
            (Mechanism::Login, Some(name)) => {
                self.state = State::LoginName;
                self.respond(name)
            }
            // RFC 4422 §5.1: an empty challenge asks for what could have come along.
            (_, None) => {
                self.state = State::Initial;
                Step::Challenge(Vec::new())
            }
            (_, Some(response)) => {
                self.state = State::Initial;
                self.respond(response)
            }
        }
    }

    /// Takes what the client sent in answer to a [`Step::Challenge`], decoded.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        // Whatever happens, an exchange is over unless it says otherwise.
        let state = std::mem::replace(&mut self.state, State::Over);
        if response.len() > MAX_MESSAGE {
            return Step::Failed(Failure::TooLong);
        }
        self.received(state, response).unwrap_or_else(Step::Failed)
    }

    fn received(&mut self, state: State, response: &[u8]) -> Result<Step, Failure> {
        match state {
            State::Initial => self.first_message(response),
            State::LoginName => {
                self.state = State::LoginPassword(prep::name(response)?);
                Ok(Step::Challenge(b"Password:".to_vec()))
            }
            State::LoginPassword(name) => {
                let password = prep::received_password(response)?;
                Ok(self.ask_password(name, None, password))
            }
            State::Cram(challenge) => {
                let response = cram_md5::Response::parse(response)?;
                let request = Request::SharedSecret { authentication_id: response.name.clone() };
                self.state = State::Asked(Asked::Cram { challenge, response });
                Ok(Step::Ask(request))
            }
            State::ScramFinal(exchange) => {
                let (proven, signature) = exchange.finish(response)?;
                Ok(self.identified(proven.authentication_id, proven.authorization_id, Then::Signature(signature)))
            }
            State::ScramEnd(identity) if response.is_empty() => Ok(Step::Done(identity)),
            State::ScramEnd(_) => Err(Failure::Malformed),
            // RFC 7628 §3.2.3 wants the separator; XOAUTH2 clients send nothing.
            State::BearerEnd if response == [SEPARATOR] => Err(Failure::Rejected),
            State::BearerEnd if response.is_empty() && self.mechanism == Mechanism::XOAuth2 => Err(Failure::Rejected),
            State::BearerEnd => Err(Failure::Malformed),
            State::Asked(_) | State::Over => Err(Failure::Misuse),
        }
    }

    /// The first message of a mechanism in which the client speaks first.
    fn first_message(&mut self, message: &[u8]) -> Result<Step, Failure> {
        match self.mechanism {
            Mechanism::Plain => {
                // [authzid] UTF8NUL authcid UTF8NUL passwd
                let mut parts = message.splitn(3, |byte| *byte == 0);
                let (Some(authzid), Some(name), Some(password)) = (parts.next(), parts.next(), parts.next()) else {
                    return Err(Failure::Malformed);
                };
                if name.is_empty() || password.is_empty() {
                    return Err(Failure::Malformed);
                }
                let authorization_id = optional_name(authzid)?;
                let (name, password) = (prep::name(name)?, prep::received_password(password)?);
                Ok(self.ask_password(name, authorization_id, password))
            }
            Mechanism::External => {
                let authorization_id = optional_name(message)?;
                let request = Request::External { authorization_id: authorization_id.clone() };
                self.state = State::Asked(Asked::External { authorization_id });
                Ok(Step::Ask(request))
            }
            Mechanism::OAuthBearer => Ok(self.bearer(bearer::parse_oauthbearer(message)?)),
            Mechanism::XOAuth2 => Ok(self.bearer(bearer::parse_xoauth2(message)?)),
            mechanism => {
                let hash = mechanism.scram_hash().ok_or(Failure::Misuse)?;
                let first = scram::First::parse(hash, mechanism, &self.options.channel_bindings, message)?;
                let request = Request::Scram { authentication_id: first.name.clone(), hash };
                self.state = State::Asked(Asked::Scram(Box::new(first)));
                Ok(Step::Ask(request))
            }
        }
    }

    fn ask_password(&mut self, name: String, authorization_id: Option<String>, password: Secret) -> Step {
        let request = Request::Password { authentication_id: name.clone(), password };
        self.state = State::Asked(Asked::Password { name, authorization_id });
        Step::Ask(request)
    }

    fn bearer(&mut self, message: bearer::ClientMessage) -> Step {
        let options = &self.options;
        let same_host = match (&options.host, &message.host) {
            (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
            _ => true,
        };
        let same_port = options.port.is_none() || message.port.is_none() || options.port == message.port;
        let token = message.token.filter(|_| same_host && same_port);
        let Some(token) = token else { return self.refuse_bearer(None) };
        let request = BearerRequest { user: message.user.clone(), token, host: message.host, port: message.port };
        self.state = State::Asked(Asked::Bearer { user: message.user });
        Step::Ask(Request::Bearer(request))
    }

    /// Tells the client why before it fails.
    fn refuse_bearer(&mut self, error: Option<BearerError>) -> Step {
        self.state = State::BearerEnd;
        Step::Challenge(error.as_ref().unwrap_or(&self.options.bearer_error).to_json().into_bytes())
    }

    /// Takes the decision that a [`Step::Ask`] wants. [`Request`] says which answers fit; another one is
    /// [`Failure::Misuse`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(_) if matches!(answer, Answer::Unavailable) => Step::Failed(Failure::TemporaryFailure),
            State::Asked(asked) => self.decided(asked, answer).unwrap_or_else(Step::Failed),
            _ => Step::Failed(Failure::Misuse),
        }
    }

    fn decided(&mut self, asked: Asked, answer: Answer) -> Result<Step, Failure> {
        match (asked, answer) {
            (Asked::Password { name, authorization_id }, Answer::Accept) => {
                Ok(self.identified(name, authorization_id, Then::Done))
            }
            (Asked::Password { authorization_id, .. }, Answer::AcceptAs(name)) => {
                self.accepted_as(name, authorization_id)
            }
            (Asked::Scram(first), Answer::Scram(credentials)) => self.challenge_scram(*first, Some(credentials)),
            (Asked::Scram(first), Answer::Reject) => self.challenge_scram(*first, None),
            (Asked::Cram { challenge, response }, Answer::SharedSecret(secret)) => {
                if secret.is_empty() || !response.fits(&secret, &challenge) {
                    return Err(Failure::Rejected);
                }
                Ok(self.identified(response.name, None, Then::Done))
            }
            (Asked::Cram { challenge, response }, Answer::Reject) => {
                // As much work as for a user that exists.
                let _ = response.fits(&self.options.unknown_users.secret, &challenge);
                Err(Failure::Rejected)
            }
            // Whose the token is must be said by somebody.
            (Asked::Bearer { user: Some(user) }, Answer::Accept) => Ok(self.identified(user, None, Then::Done)),
            (Asked::Bearer { user }, Answer::AcceptAs(name)) => self.accepted_as(name, user),
            (Asked::Bearer { .. }, Answer::Reject) => Ok(self.refuse_bearer(None)),
            (Asked::Bearer { .. }, Answer::RejectToken(error)) => Ok(self.refuse_bearer(Some(error))),
            (Asked::External { authorization_id }, Answer::AcceptAs(name)) => self.accepted_as(name, authorization_id),
            (Asked::Authorize(identity, then), Answer::Accept) => Ok(self.conclude(identity, then)),
            (Asked::Password { .. } | Asked::External { .. } | Asked::Authorize(..), Answer::Reject) => {
                Err(Failure::Rejected)
            }
            _ => Err(Failure::Misuse),
        }
    }

    fn challenge_scram(
        &mut self,
        first: scram::First,
        credentials: Option<crate::ScramCredentials>,
    ) -> Result<Step, Failure> {
        let (exchange, challenge) = first.challenge(credentials, &self.options)?;
        self.state = State::ScramFinal(Box::new(exchange));
        Ok(Step::Challenge(challenge))
    }

    fn accepted_as(&mut self, name: String, authorization_id: Option<String>) -> Result<Step, Failure> {
        if name.is_empty() {
            return Err(Failure::Misuse);
        }
        Ok(self.identified(name, authorization_id, Then::Done))
    }

    /// Who it is has been proven. Whether that one may act for another is a question of its own.
    fn identified(&mut self, name: String, authorization_id: Option<String>, then: Then) -> Step {
        let authorization_id = authorization_id.unwrap_or_else(|| name.clone());
        let same = authorization_id == name;
        let identity = Identity { authentication_id: name, authorization_id };
        if same {
            return self.conclude(identity, then);
        }
        let request = Request::Authorize(identity.clone());
        self.state = State::Asked(Asked::Authorize(identity, then));
        Step::Ask(request)
    }

    fn conclude(&mut self, identity: Identity, then: Then) -> Step {
        match then {
            Then::Done => Step::Done(identity),
            Then::Signature(signature) => {
                self.state = State::ScramEnd(identity);
                Step::Challenge(signature)
            }
        }
    }
}

/// A name that may be left out by being empty.
fn optional_name(bytes: &[u8]) -> Result<Option<String>, Failure> {
    if bytes.is_empty() { Ok(None) } else { prep::name(bytes).map(Some) }
}

impl fmt::Debug for ServerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Asked(_) => "asked",
            State::Over => "over",
            _ => "challenged",
        };
        f.debug_struct("ServerExchange").field("mechanism", &self.mechanism).field("state", &state).finish()
    }
}
