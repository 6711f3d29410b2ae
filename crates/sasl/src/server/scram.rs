//! SCRAM as a server does it.

use subtle::{Choice, ConstantTimeEq};

use super::{Failure, ServerOptions};
use crate::scram::message::{ClientFinal, ClientFirst, Flag, Invalid};
use crate::{ChannelBindingType, ChannelBindings, Mechanism, ScramCredentials, ScramHash, base64, prep};

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Malformed => Self::Malformed,
            Invalid::Mandatory => Self::Rejected,
        }
    }
}

/// The client's first message, understood.
pub(super) struct First {
    hash: ScramHash,
    /// Prepared.
    pub(super) name: String,
    /// Prepared.
    authorization_id: Option<String>,
    message: ClientFirst,
    /// What `c=` must be in the client's next message.
    channel_binding: String,
}

impl First {
    pub(super) fn parse(
        hash: ScramHash,
        mechanism: Mechanism,
        bindings: &ChannelBindings,
        message: &[u8],
    ) -> Result<Self, Failure> {
        let message = ClientFirst::parse(message)?;
        let data = match (&message.flag, mechanism.needs_channel_binding()) {
            (Flag::None, false) => None,
            // The client was told that there is no channel binding, and not by this server (RFC 5802 §6).
            (Flag::NotOffered, false) if !bindings.is_empty() => return Err(Failure::Rejected),
            (Flag::NotOffered, false) => None,
            (Flag::Type(name), true) => {
                let data = ChannelBindingType::from_name(name).and_then(|binding| bindings.get(binding));
                Some(data.ok_or(Failure::Rejected)?)
            }
            // Binding is what the names with -PLUS are for, and only those.
            (Flag::Type(_), false) | (Flag::None | Flag::NotOffered, true) => return Err(Failure::Rejected),
        };
        let name = prep::name(message.name.as_bytes())?;
        let authorization_id =
            message.authorization_id.as_deref().map(|name| prep::name(name.as_bytes())).transpose()?;
        // cbind-input = gs2-header [ cbind-data ]
        let mut input = message.gs2_header.clone().into_bytes();
        input.extend_from_slice(data.unwrap_or_default());
        Ok(Self { hash, name, authorization_id, channel_binding: base64::encode(&input), message })
    }

    /// The server's first message, from what is kept of the user, if there is one.
    pub(super) fn challenge(
        self,
        credentials: Option<ScramCredentials>,
        options: &ServerOptions,
    ) -> Result<(Exchange, Vec<u8>), Failure> {
        let unknown = &options.unknown_users;
        // Made for everyone, so that it takes the same time for everyone.
        let made_up = ScramCredentials::unknown(
            self.hash,
            &self.name,
            unknown.secret.as_bytes(),
            unknown.salt_length.clamp(1, crate::MAX_SALT),
            unknown.iterations.max(1),
        );
        let known = credentials.is_some();
        let credentials = credentials.unwrap_or(made_up);
        if credentials.hash() != self.hash {
            return Err(Failure::Misuse);
        }
        let nonce = format!("{}{}", self.message.nonce, options.nonce.as_str());
        let salt = base64::encode(credentials.salt());
        let message = format!("r={nonce},s={salt},i={}", credentials.iterations());
        let challenge = message.clone().into_bytes();
        Ok((Exchange { first: self, credentials, known, nonce, server_first: message }, challenge))
    }
}

/// Both first messages are exchanged.
pub(super) struct Exchange {
    first: First,
    credentials: ScramCredentials,
    /// Whether there is such a user.
    known: bool,
    /// Both sides' parts.
    nonce: String,
    server_first: String,
}

/// Who the client has proven to be, and whom it wants to act for.
pub(super) struct Proven {
    pub(super) authentication_id: String,
    pub(super) authorization_id: Option<String>,
}

impl Exchange {
    /// Verifies the client's final message and gives the server's.
    pub(super) fn finish(self, message: &[u8]) -> Result<(Proven, Vec<u8>), Failure> {
        let message = ClientFinal::parse(self.first.hash, message)?;
        let auth_message = format!("{},{},{}", self.first.message.bare, self.server_first, message.without_proof);
        let signature = self.credentials.stored_key.sign(auth_message.as_bytes());
        let client_key = message.proof.xor(&signature);
        let proven = client_key.hashed().ct_eq(&self.credentials.stored_key)
            & message.nonce.as_bytes().ct_eq(self.nonce.as_bytes())
            & message.channel_binding.as_bytes().ct_eq(self.first.channel_binding.as_bytes())
            & Choice::from(u8::from(self.known));
        if !bool::from(proven) {
            return Err(Failure::Rejected);
        }
        let verifier = base64::encode(self.credentials.server_key.sign(auth_message.as_bytes()).as_bytes());
        let proven = Proven { authentication_id: self.first.name, authorization_id: self.first.authorization_id };
        Ok((proven, format!("v={verifier}").into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientExchange, ClientOptions, Credentials, Nonce, UnknownUsers};

    /// Keys are made up for users that do not exist; should somebody find a proof for such keys, it is of no use.
    #[test]
    fn a_right_proof_for_an_unknown_user_is_rejected() {
        for known in [true, false] {
            let options = ClientOptions::new(Nonce::from_random([1; 18]));
            let credentials = Credentials::password("eve", "secret");
            let mut client = ClientExchange::new(Mechanism::ScramSha1, credentials, options).unwrap();
            let message = client.initial_response().unwrap();
            let bindings = ChannelBindings::none();
            let first = First::parse(ScramHash::Sha1, Mechanism::ScramSha1, &bindings, message.as_bytes()).unwrap();
            let keys = ScramCredentials::derive(ScramHash::Sha1, "secret", b"salt", 4096).unwrap();
            let options = ServerOptions::new(Nonce::from_random([2; 18]), UnknownUsers::new("kept".into()));
            let (mut exchange, challenge) = first.challenge(Some(keys), &options).unwrap();
            exchange.known = known;
            let last = client.respond(&challenge).unwrap();
            assert_eq!(exchange.finish(last.as_bytes()).err(), (!known).then_some(Failure::Rejected));
        }
    }
}
