//! The client's side.

mod choose;
mod error;
mod scram;

use std::fmt;

pub use choose::{Policy, choose};
pub use error::{Error, ServerError};

use crate::bearer::{self, SEPARATOR};
use crate::scram::message::{Flag, write_gs2_header};
use crate::{ChannelBindings, MAX_ITERATIONS, MAX_MESSAGE, MAX_NAME, MAX_PASSWORD, MAX_TOKEN, MIN_ITERATIONS};
use crate::{Mechanism, Nonce, Secret, cram_md5, prep};

/// What a client proves itself with. `Debug` shows the names and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user with a password: SCRAM, CRAM-MD5, PLAIN, LOGIN.
    Password {
        /// Whose password it is.
        authentication_id: String,
        /// Whom to act for, if that is somebody else. CRAM-MD5 and LOGIN cannot say it.
        authorization_id: Option<String>,
        /// The password.
        password: Secret,
    },
    /// An OAuth 2.0 bearer token: OAUTHBEARER, XOAUTH2.
    Bearer {
        /// Whose mailbox to use. XOAUTH2 must have it.
        user: Option<String>,
        /// The access token: visible ASCII.
        token: Secret,
    },
    /// What the layer below has shown already, such as a client certificate: EXTERNAL.
    External {
        /// Whom to act for, if not for whom the server finds in there.
        authorization_id: Option<String>,
    },
}

impl Credentials {
    /// A user with a password, who acts for nobody else.
    #[must_use]
    pub fn password(name: &str, password: impl Into<Secret>) -> Self {
        Self::Password { authentication_id: name.to_owned(), authorization_id: None, password: password.into() }
    }

    /// A user's token.
    #[must_use]
    pub fn bearer(user: &str, token: impl Into<Secret>) -> Self {
        Self::Bearer { user: Some(user.to_owned()), token: token.into() }
    }

    /// What the layer below has shown, for whom the server finds in there.
    #[must_use]
    pub const fn external() -> Self {
        Self::External { authorization_id: None }
    }

    /// Whether the mechanism can be used with these.
    #[must_use]
    pub const fn fit(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => matches!(self, Self::External { .. }),
            Mechanism::OAuthBearer => matches!(self, Self::Bearer { .. }),
            Mechanism::XOAuth2 => matches!(self, Self::Bearer { user: Some(_), .. }),
            Mechanism::Login | Mechanism::CramMd5 => matches!(self, Self::Password { authorization_id: None, .. }),
            _ => matches!(self, Self::Password { .. }),
        }
    }
}

/// What a client puts into an exchange.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Unpredictable, and another one for each exchange. Used by SCRAM.
    pub nonce: Nonce,
    /// What the TLS connection offers, if anything. SCRAM without `-PLUS` then tells the server that it was offered no `-PLUS`,
    /// which the server refuses if it did offer one (RFC 5802 §6): leave it empty to use such a mechanism nevertheless.
    pub channel_bindings: ChannelBindings,
    /// The host that was connected to, for OAUTHBEARER.
    pub host: Option<String>,
    /// The port that was connected to, for OAUTHBEARER.
    pub port: Option<u16>,
    /// The fewest SCRAM iterations to agree to: with fewer, whoever reads along guesses passwords faster.
    /// [`MIN_ITERATIONS`] unless set.
    pub min_iterations: u32,
    /// The most SCRAM iterations to compute: they are the server's choice and the client's work. [`MAX_ITERATIONS`] unless set.
    pub max_iterations: u32,
}

impl ClientOptions {
    /// No channel binding, host or port, and the usual limits.
    #[must_use]
    pub const fn new(nonce: Nonce) -> Self {
        Self {
            nonce,
            channel_bindings: ChannelBindings::none(),
            host: None,
            port: None,
            min_iterations: MIN_ITERATIONS,
            max_iterations: MAX_ITERATIONS,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("channel_bindings", &self.channel_bindings)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("min_iterations", &self.min_iterations)
            .field("max_iterations", &self.max_iterations)
            .finish_non_exhaustive()
    }
}

/// One authentication exchange, as a client goes through it.
///
/// Ask [`initial_response`](Self::initial_response) first; then give each challenge to [`respond`](Self::respond) and send what it returns;
/// when the server says that authentication succeeded, ask [`finish`](Self::finish) whether to believe it.
///
/// Bytes are raw: Base64, and what a profile says besides, is the caller's. Messages may hold the password, so they
/// are [`Secret`]s. After an error, the caller cancels the exchange (SMTP: `*`); all later calls fail.
pub struct ClientExchange {
    mechanism: Mechanism,
    state: State,
    /// What an OAuth server said about the token it refused.
    bearer_error: Option<Vec<u8>>,
}

enum State {
    /// The client's first message, not sent yet.
    Initial(Secret, After),
    LoginName(String, Secret),
    LoginPassword(Secret),
    Cram(String, Secret),
    ScramFirst(Box<scram::First>),
    ScramFinal(Box<scram::Expected>),
    /// The token is sent; a challenge means that it was refused.
    BearerSent,
    Refused,
    /// Nothing more to send, and success may be believed.
    Complete,
    Failed,
}

/// What follows the first message.
enum After {
    Nothing,
    Bearer,
    Scram(Box<scram::First>),
}

impl ClientExchange {
    /// Prepares an exchange.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`] if they do not fit the mechanism, are too long, empty, or cannot be prepared;
    /// [`Error::NoChannelBinding`] if the mechanism needs one and there is none.
    pub fn new(mechanism: Mechanism, credentials: Credentials, options: ClientOptions) -> Result<Self, Error> {
        if !credentials.fit(mechanism) {
            return Err(Error::Credentials);
        }
        let state = match credentials {
            Credentials::Password { authentication_id, authorization_id, password } => {
                let name = name(&authentication_id)?;
                let authorization_id = authorization_id.as_deref().map(self::name).transpose()?;
                check_password(&password)?;
                match mechanism {
                    Mechanism::Login => State::LoginName(name, password),
                    Mechanism::CramMd5 => State::Cram(name, password),
                    Mechanism::Plain => State::Initial(
                        join(&[
                            authorization_id.unwrap_or_default().as_bytes(),
                            b"\0",
                            name.as_bytes(),
                            b"\0",
                            password.as_bytes(),
                        ]),
                        After::Nothing,
                    ),
                    mechanism => {
                        let hash = mechanism.scram_hash().ok_or(Error::Credentials)?;
                        let first =
                            scram::First::new(hash, mechanism, &name, authorization_id.as_deref(), &password, options)?;
                        State::Initial(first.message(), After::Scram(Box::new(first)))
                    }
                }
            }
            Credentials::Bearer { user, token } => {
                let user = user.as_deref().map(name).transpose()?;
                if token.as_bytes().len() > MAX_TOKEN || !bearer::is_token(token.as_bytes()) {
                    return Err(Error::Credentials);
                }
                State::Initial(bearer_message(mechanism, user, &token, &options)?, After::Bearer)
            }
            Credentials::External { authorization_id } => {
                let name = authorization_id.as_deref().map(name).transpose()?;
                State::Initial(name.unwrap_or_default().into(), After::Nothing)
            }
        };
        Ok(Self { mechanism, state, bearer_error: None })
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The message to send along with the mechanism's name, which may be empty; `None` where the server speaks first, and
    /// on later calls. A caller that cannot send it there, since its protocol has no place for it or the line would be too
    /// long, sends it in answer to the server's first, empty challenge: either by not asking for it here, or by keeping it.
    #[must_use]
    pub fn initial_response(&mut self) -> Option<Secret> {
        if !matches!(self.state, State::Initial(..)) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Initial(message, after) => Some(self.send_first(message, after)),
            _ => None,
        }
    }

    fn send_first(&mut self, message: Secret, after: After) -> Secret {
        self.state = match after {
            After::Nothing => State::Complete,
            After::Bearer => State::BearerSent,
            After::Scram(first) => State::ScramFirst(first),
        };
        message
    }

    /// Takes a challenge, decoded, and gives the response to it, which may be empty.
    ///
    /// Where a protocol carries SCRAM's last message along with success, give it that too, and send nothing.
    ///
    /// # Errors
    ///
    /// [`Error`]: the server's message is unexpected or wrong. Cancel the exchange.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, Error> {
        // Whatever happens, an exchange has failed unless it says otherwise.
        let state = std::mem::replace(&mut self.state, State::Failed);
        if challenge.len() > MAX_MESSAGE {
            return Err(Error::TooLong);
        }
        match state {
            State::Initial(message, after) if challenge.is_empty() => Ok(self.send_first(message, after)),
            // What the prompts say differs from server to server.
            State::LoginName(name, password) => {
                self.state = State::LoginPassword(password);
                Ok(name.into())
            }
            State::LoginPassword(password) => {
                self.state = State::Complete;
                Ok(password)
            }
            State::Cram(name, secret) => {
                self.state = State::Complete;
                Ok(join(&[name.as_bytes(), b" ", &cram_md5::digest(&secret, challenge)]))
            }
            State::ScramFirst(first) => {
                let (expected, message) = first.respond(challenge)?;
                self.state = State::ScramFinal(Box::new(expected));
                Ok(message)
            }
            State::ScramFinal(expected) => {
                expected.verify(challenge)?;
                self.state = State::Complete;
                Ok(Secret::default())
            }
            State::BearerSent => {
                self.bearer_error = Some(challenge.to_vec());
                self.state = State::Refused;
                // RFC 7628 §3.2.3; XOAUTH2 has an empty one.
                Ok(if self.mechanism == Mechanism::OAuthBearer { vec![SEPARATOR].into() } else { Secret::default() })
            }
            _ => Err(Error::Unexpected),
        }
    }

    /// What an OAuth server said about the token that it refused: a JSON object in most cases, from the peer as it is, at
    /// most [`MAX_MESSAGE`] bytes.
    #[must_use]
    pub fn bearer_error(&self) -> Option<&[u8]> {
        self.bearer_error.as_deref()
    }

    /// The server says that authentication succeeded.
    ///
    /// # Errors
    ///
    /// It must not be believed: [`Error::ServerUnproven`] if a SCRAM server has not shown that it knows the password,
    /// [`Error::Unexpected`] if the exchange was not at its end.
    pub fn finish(self) -> Result<(), Error> {
        self.is_complete()
    }

    /// The same for an exchange that is kept.
    ///
    /// # Errors
    ///
    /// As those of [`finish`](Self::finish).
    pub const fn is_complete(&self) -> Result<(), Error> {
        match self.state {
            State::Complete | State::BearerSent => Ok(()),
            State::ScramFirst(_) | State::ScramFinal(_) => Err(Error::ServerUnproven),
            _ => Err(Error::Unexpected),
        }
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Initial(..) => "initial",
            State::Complete => "complete",
            State::Failed | State::Refused => "failed",
            _ => "waiting",
        };
        f.debug_struct("ClientExchange").field("mechanism", &self.mechanism).field("state", &state).finish()
    }
}

/// A name, prepared for transmission (RFC 4954 §4, RFC 5802 §5.1).
fn name(text: &str) -> Result<String, Error> {
    prep::name(text.as_bytes()).map_err(|_| Error::Credentials)
}

fn check_password(password: &Secret) -> Result<(), Error> {
    let bytes = password.as_bytes();
    let length = (1..=MAX_PASSWORD).contains(&bytes.len());
    if length && password.as_str().is_some() && !bytes.contains(&0) { Ok(()) } else { Err(Error::Credentials) }
}

/// Bytes in a row, in a buffer that never grew, so that no copy of a secret is left behind.
fn join(parts: &[&[u8]]) -> Secret {
    parts.concat().into()
}

fn bearer_message(
    mechanism: Mechanism,
    user: Option<String>,
    token: &Secret,
    options: &ClientOptions,
) -> Result<Secret, Error> {
    if mechanism == Mechanism::XOAuth2 {
        let user = user.ok_or(Error::Credentials)?;
        return Ok(join(&[b"user=", user.as_bytes(), b"\x01auth=Bearer ", token.as_bytes(), b"\x01\x01"]));
    }
    let mut head = write_gs2_header(&Flag::None, user.as_deref());
    head.push('\x01');
    if let Some(host) = &options.host {
        if host.len() > MAX_NAME || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Credentials);
        }
        head.push_str(&format!("host={host}\x01"));
    }
    if let Some(port) = options.port.filter(|port| *port != 0) {
        head.push_str(&format!("port={port}\x01"));
    }
    Ok(join(&[head.as_bytes(), b"auth=Bearer ", token.as_bytes(), b"\x01\x01"]))
}
