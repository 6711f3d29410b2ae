//! SCRAM as a client does it.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{ClientOptions, Error, ServerError};
use crate::scram::Key;
use crate::scram::message::{Flag, Invalid, ServerFinal, ServerFirst, encode_name, write_gs2_header};
use crate::{Mechanism, ScramHash, Secret, base64, nonce, prep};

impl From<Invalid> for Error {
    fn from(_: Invalid) -> Self {
        Self::Malformed
    }
}

/// The first message is made.
pub(super) struct First {
    hash: ScramHash,
    /// Prepared.
    password: Zeroizing<String>,
    gs2_header: String,
    bare: String,
    nonce: String,
    /// What `c=` will be.
    channel_binding: String,
    iterations: std::ops::RangeInclusive<u32>,
}

impl First {
    pub(super) fn new(
        hash: ScramHash,
        mechanism: Mechanism,
        name: &str,
        authorization_id: Option<&str>,
        password: &Secret,
        options: ClientOptions,
    ) -> Result<Self, Error> {
        let password = password.as_str().and_then(prep::password).ok_or(Error::Credentials)?;
        let (flag, data) = if mechanism.needs_channel_binding() {
            let (binding, data) = options.channel_bindings.strongest().ok_or(Error::NoChannelBinding)?;
            (Flag::Type(binding.as_str().to_owned()), data)
        } else if options.channel_bindings.is_empty() {
            (Flag::None, &[][..])
        } else {
            (Flag::NotOffered, &[][..])
        };
        let gs2_header = write_gs2_header(&flag, authorization_id);
        let channel_binding = base64::encode(&[gs2_header.as_bytes(), data].concat());
        let nonce = options.nonce.as_str().to_owned();
        let bare = format!("n={},r={nonce}", encode_name(name));
        let iterations = options.min_iterations..=options.max_iterations;
        Ok(Self { hash, password, gs2_header, bare, nonce, channel_binding, iterations })
    }

    pub(super) fn message(&self) -> Secret {
        format!("{}{}", self.gs2_header, self.bare).into()
    }

    /// The final message, and what the server must answer to it.
    pub(super) fn respond(&self, challenge: &[u8]) -> Result<(Expected, Secret), Error> {
        let text = std::str::from_utf8(challenge).map_err(|_| Error::Malformed)?;
        let server = ServerFirst::parse(text)?;
        if !nonce::is_valid(&server.nonce) {
            return Err(Error::Malformed);
        }
        if !server.nonce.starts_with(&self.nonce) || server.nonce == self.nonce {
            return Err(Error::Nonce);
        }
        if !self.iterations.contains(&server.iterations) {
            return Err(Error::Iterations(server.iterations));
        }
        let without_proof = format!("c={},r={}", self.channel_binding, server.nonce);
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        let salted = Key::salted(self.hash, &self.password, server.salt.as_bytes(), server.iterations);
        let client_key = salted.client_key();
        let proof = client_key.xor(&client_key.hashed().sign(auth_message.as_bytes()));
        let signature = salted.server_key().sign(auth_message.as_bytes());
        let message = format!("{without_proof},p={}", base64::encode(proof.as_bytes()));
        Ok((Expected { hash: self.hash, signature }, message.into()))
    }
}

/// What only a server that knows the password can say.
pub(super) struct Expected {
    hash: ScramHash,
    signature: Key,
}

impl Expected {
    pub(super) fn verify(&self, message: &[u8]) -> Result<(), Error> {
        match ServerFinal::parse(self.hash, message)? {
            ServerFinal::Error(error) => Err(Error::Refused(ServerError::from_name(error))),
            ServerFinal::Verifier(signature) if signature.ct_eq(&self.signature).into() => Ok(()),
            ServerFinal::Verifier(_) => Err(Error::ServerUnproven),
        }
    }
}
