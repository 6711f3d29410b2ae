//! Users that are known beforehand.

use std::collections::BTreeMap;
use std::fmt;

use crate::scram::{InvalidCredentials, MIN_ITERATIONS, ScramCredentials, ScramHash, fake_salt};
use crate::server::{SALT_LENGTH, UnknownUsers};
use crate::{Answer, Request, Secret, prep};

/// A fixed list of users and their passwords, which answers each [`Request`] at once. For tests, for small servers, and as
/// an example of how to answer from a database.
///
/// - A bearer token is good if it is the password of the user that the client names.
/// - Nobody may act for anybody else, and nobody is known by other means (EXTERNAL).
///
/// Passwords are kept in clear, since CRAM-MD5 needs them.
#[derive(Clone)]
pub struct StaticUsers {
    secret: Secret,
    users: BTreeMap<String, User>,
}

#[derive(Clone)]
struct User {
    password: Secret,
    sha1: ScramCredentials,
    sha256: ScramCredentials,
}

impl StaticUsers {
    /// No users. Salts follow from the secret and the name; 16 random bytes or more.
    #[must_use]
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self { secret: secret.into(), users: BTreeMap::new() }
    }

    /// What to put into [`ServerOptions`](crate::ServerOptions), so that users who do not exist look like these.
    #[must_use]
    pub fn unknown_users(&self) -> UnknownUsers {
        UnknownUsers::new(self.secret.clone())
    }

    /// Adds a user, or gives one another password. Derives the credentials for SCRAM, which takes a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`] if name or password cannot be prepared by SASLprep, are empty, or are too long to be sent
    /// ([`MAX_NAME`](crate::MAX_NAME), [`MAX_PASSWORD`](crate::MAX_PASSWORD)).
    pub fn add(&mut self, name: &str, password: &str) -> Result<(), InvalidCredentials> {
        let name = prep::name(name.as_bytes()).map_err(|_| InvalidCredentials)?;
        let kept = prep::received_password(password.as_bytes()).map_err(|_| InvalidCredentials)?;
        let derive = |hash| {
            let salt = fake_salt(hash, &name, self.secret.as_bytes(), SALT_LENGTH);
            ScramCredentials::derive(hash, password, &salt, MIN_ITERATIONS)
        };
        let user = User { password: kept, sha1: derive(ScramHash::Sha1)?, sha256: derive(ScramHash::Sha256)? };
        self.users.insert(name, user);
        Ok(())
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The answer to a request.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Answer {
        let yes = |yes: bool| if yes { Answer::Accept } else { Answer::Reject };
        match request {
            Request::Password { authentication_id, password } => yes(self.verify(authentication_id, password)),
            Request::Scram { authentication_id, hash } => match (self.users.get(authentication_id), hash) {
                (Some(user), ScramHash::Sha1) => Answer::Scram(user.sha1.clone()),
                (Some(user), ScramHash::Sha256) => Answer::Scram(user.sha256.clone()),
                (None, _) => Answer::Reject,
            },
            Request::SharedSecret { authentication_id } => match self.users.get(authentication_id) {
                Some(user) => Answer::SharedSecret(user.password.clone()),
                None => Answer::Reject,
            },
            Request::Bearer(request) => {
                let user = request.user.as_deref().and_then(|name| self.users.get(name));
                yes(user.is_some_and(|user| user.password == request.token))
            }
            Request::External { .. } | Request::Authorize(_) => Answer::Reject,
        }
    }

    /// Compares prepared forms (RFC 4616 §2), in about the same time for everybody.
    fn verify(&self, name: &str, password: &Secret) -> bool {
        let user = self.users.get(name);
        // Somebody who does not exist is compared too.
        let kept = user.map_or(password, |user| &user.password);
        let prepared = |secret: &Secret| secret.as_str().and_then(prep::password);
        let (Some(kept), Some(given)) = (prepared(kept), prepared(password)) else { return false };
        let same = Secret::from(kept.as_bytes()).matches(given.as_bytes());
        same & user.is_some()
    }
}

impl fmt::Debug for StaticUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticUsers").field("users", &self.users.len()).finish_non_exhaustive()
    }
}
