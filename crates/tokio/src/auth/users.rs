//! A list of users that is known beforehand.

use std::collections::BTreeMap;
use std::io;

use ehlo_sasl::{Answer, InvalidCredentials, Mechanism, Request, StaticUsers, UnknownUsers};

use super::{Attempt, AuthDecision, Authenticator, random};
use crate::policy::Context;

/// A fixed list of users with their passwords, and of client certificates that stand for users.
///
/// It offers SCRAM-SHA-256 and SCRAM-SHA-1, with and without channel binding, PLAIN and LOGIN; EXTERNAL where there are certificates;
/// and what else is [named](Self::offer). Nobody may act for anybody else. Passwords are kept in clear. For tests, and for small
/// servers; anything larger has a database, and an [`Authenticator`] of its own.
#[derive(Clone, Debug)]
pub struct Users {
    users: StaticUsers,
    mechanisms: Vec<Mechanism>,
    /// The names of users by the subjects of certificates.
    certificates: BTreeMap<Box<str>, String>,
}

impl Users {
    /// Nobody yet. The salts of SCRAM follow from a secret that is drawn now; where they have to outlive the process, it is
    /// [`with_secret`](Self::with_secret).
    ///
    /// # Errors
    ///
    /// If the operating system gives no random numbers.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_secret(&random::<32>()?))
    }

    /// Nobody yet. The salts of SCRAM follow from the secret, which is 16 random octets or more, kept with the users.
    #[must_use]
    pub fn with_secret(secret: &[u8]) -> Self {
        Self {
            users: StaticUsers::new(secret),
            mechanisms: vec![
                Mechanism::ScramSha256Plus,
                Mechanism::ScramSha1Plus,
                Mechanism::ScramSha256,
                Mechanism::ScramSha1,
                Mechanism::Plain,
                Mechanism::Login,
            ],
            certificates: BTreeMap::new(),
        }
    }

    /// Adds a user, or gives one another password. Takes a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`] if name or password is empty, too long to be sent, or cannot be prepared by SASLprep (RFC 4013).
    pub fn add(&mut self, name: &str, password: &str) -> Result<(), InvalidCredentials> {
        self.users.add(name, password)
    }

    /// Lets who shows a certificate of this subject, as [`ClientCertificate`](ehlo_server::ClientCertificate) tells it, be this user by
    /// EXTERNAL, which is offered from now on to whoever shows one. That all authorities that are
    /// [trusted](crate::tls::Builder::client_ca) give a subject to one and the same client is theirs to see to.
    pub fn add_certificate(&mut self, subject: &str, name: &str) {
        self.certificates.insert(subject.into(), name.to_owned());
        if !self.mechanisms.contains(&Mechanism::External) {
            self.mechanisms.insert(0, Mechanism::External);
        }
    }

    /// Offers a mechanism as well, behind the others: CRAM-MD5, which shows the client nothing of the server and is of use to old clients
    /// only; OAUTHBEARER and XOAUTH2, to which a user's password is the token.
    #[must_use]
    pub fn offer(mut self, mechanism: Mechanism) -> Self {
        if !self.mechanisms.contains(&mechanism) {
            self.mechanisms.push(mechanism);
        }
        self
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.certificates.is_empty()
    }

    fn by_certificate(&self, context: &Context<'_>) -> Option<&String> {
        let subject = context.tls?.client.as_ref()?.subject.as_deref()?;
        self.certificates.get(subject)
    }
}

impl Authenticator for Users {
    fn mechanisms(&self) -> Vec<Mechanism> {
        self.mechanisms.clone()
    }

    fn unknown_users(&self) -> Option<UnknownUsers> {
        Some(self.users.unknown_users())
    }

    fn answer(&self, attempt: &Attempt<'_>, request: Request) -> AuthDecision {
        let answer = match &request {
            Request::External { .. } => {
                self.by_certificate(&attempt.context).map_or(Answer::Reject, |name| Answer::AcceptAs(name.clone()))
            }
            request => self.users.answer(request),
        };
        answer.into()
    }
}
