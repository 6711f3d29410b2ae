//! Keys: from a password, and what a server keeps of them.

use std::fmt;
use std::num::NonZeroU32;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{Mechanism, Secret, base64, prep};

/// Iterations that a server should announce at least, for both hashes (RFC 5802 §5.1, RFC 7677 §4), and what a client asks
/// for at least.
pub const MIN_ITERATIONS: u32 = 4096;

/// Iterations that a client computes at most unless it is told otherwise, about a second's work: a server may ask for any
/// number (RFC 5802 §9). OWASP's advice for stored passwords is 1,300,000 for SHA-1, 600,000 for SHA-256.
pub const MAX_ITERATIONS: u32 = 2_000_000;

/// Bytes of a salt. 16 are usual.
pub const MAX_SALT: usize = 1024;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ScramHash {
    /// SHA-1, 20 bytes. As a part of HMAC it is not known to be broken.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl ScramHash {
    /// Bytes of its output, and so of each key.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The mechanism with this hash and without channel binding.
    const fn mechanism(self) -> Mechanism {
        match self {
            Self::Sha1 => Mechanism::ScramSha1,
            Self::Sha256 => Mechanism::ScramSha256,
        }
    }
}

/// A key, signature or proof: as many bytes as the hash has. Wiped when dropped, compared in constant time.
#[derive(Clone)]
pub(crate) struct Key {
    hash: ScramHash,
    bytes: [u8; 32],
}

impl Key {
    fn zero(hash: ScramHash) -> Self {
        Self { hash, bytes: [0; 32] }
    }

    pub(crate) fn from_slice(hash: ScramHash, bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zero(hash);
        if bytes.len() != hash.length() {
            return None;
        }
        key.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.hash.length()]
    }

    /// `HMAC(key, message)`.
    pub(crate) fn mac(hash: ScramHash, key: &[u8], message: &[&[u8]]) -> Self {
        let mut output = Self::zero(hash);
        match hash {
            ScramHash::Sha1 => mac::<Hmac<Sha1>>(key, message, &mut output.bytes[..hash.length()]),
            ScramHash::Sha256 => mac::<Hmac<Sha256>>(key, message, &mut output.bytes[..hash.length()]),
        }
        output
    }

    /// `HMAC(self, message)`.
    pub(crate) fn sign(&self, message: &[u8]) -> Self {
        Self::mac(self.hash, self.as_bytes(), &[message])
    }

    /// `H(self)`.
    pub(crate) fn hashed(&self) -> Self {
        let mut output = Self::zero(self.hash);
        let place = &mut output.bytes[..self.hash.length()];
        match self.hash {
            ScramHash::Sha1 => place.copy_from_slice(&Sha1::digest(self.as_bytes())),
            ScramHash::Sha256 => place.copy_from_slice(&Sha256::digest(self.as_bytes())),
        }
        output
    }

    /// `self XOR other`.
    pub(crate) fn xor(&self, other: &Self) -> Self {
        let mut output = self.clone();
        for (byte, other) in output.bytes.iter_mut().zip(&other.bytes) {
            *byte ^= other;
        }
        output
    }

    /// `Hi(password, salt, iterations)`: SaltedPassword. The password is prepared already.
    pub(crate) fn salted(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut output = Self::zero(hash);
        let place = &mut output.bytes[..hash.length()];
        match hash {
            ScramHash::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, iterations, place),
            ScramHash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, place),
        }
        output
    }

    /// ClientKey, from SaltedPassword.
    pub(crate) fn client_key(&self) -> Self {
        self.sign(b"Client Key")
    }

    /// ServerKey, from SaltedPassword.
    pub(crate) fn server_key(&self) -> Self {
        self.sign(b"Server Key")
    }
}

impl ConstantTimeEq for Key {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.as_bytes().ct_eq(other.as_bytes())
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[&[u8]], output: &mut [u8]) {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in message {
        mac.update(part);
    }
    output.copy_from_slice(&mac.finalize().into_bytes());
}

/// What a server keeps of a user for SCRAM (RFC 5802 §3): enough to verify the user and to prove itself, not enough to be
/// the user elsewhere. Still, whoever has it can try passwords.
#[derive(Clone)]
pub struct ScramCredentials {
    pub(crate) hash: ScramHash,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
}

/// What was given cannot be SCRAM credentials: a password that SASLprep refuses, an empty salt or one longer than
/// [`MAX_SALT`], no iterations, keys of another length than the hash has, or text of another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCredentials;

impl ScramCredentials {
    /// From a password. The salt should be random, 16 bytes or more, and differ from user to user; the iterations should be
    /// at least [`MIN_ITERATIONS`]. Takes a time that grows with the iterations: about a millisecond for 4096.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`].
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, InvalidCredentials> {
        check(salt, iterations)?;
        let password = prep::password(password).ok_or(InvalidCredentials)?;
        let salted = Key::salted(hash, &password, salt, iterations);
        Ok(Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: salted.client_key().hashed(),
            server_key: salted.server_key(),
        })
    }

    /// From what a database keeps.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`].
    pub fn from_keys(
        hash: ScramHash,
        salt: &[u8],
        iterations: u32,
        stored_key: &[u8],
        server_key: &[u8],
    ) -> Result<Self, InvalidCredentials> {
        check(salt, iterations)?;
        Ok(Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: Key::from_slice(hash, stored_key).ok_or(InvalidCredentials)?,
            server_key: Key::from_slice(hash, server_key).ok_or(InvalidCredentials)?,
        })
    }

    /// From the text form of RFC 5803 §2, which PostgreSQL keeps too: `SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY`, the last
    /// three in Base64.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`].
    pub fn from_text(text: &str) -> Result<Self, InvalidCredentials> {
        let parse = || {
            let (scheme, rest) = text.split_once('$')?;
            let (info, keys) = rest.split_once('$')?;
            let (iterations, salt) = info.split_once(':')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            let hash = [ScramHash::Sha1, ScramHash::Sha256]
                .into_iter()
                .find(|hash| hash.mechanism().as_str().eq_ignore_ascii_case(scheme))?;
            let iterations = super::message::posit_number(iterations)?;
            let decode = |text: &str| base64::decode(text.as_bytes()).ok();
            let (salt, stored_key, server_key) = (decode(salt)?, decode(stored_key)?, decode(server_key)?);
            Self::from_keys(hash, salt.as_bytes(), iterations, stored_key.as_bytes(), server_key.as_bytes()).ok()
        };
        parse().ok_or(InvalidCredentials)
    }

    /// The text form of RFC 5803 §2, to be kept like a password hash.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let mut text = format!("{}${}:", self.hash.mechanism(), self.iterations).into_bytes();
        // Room for all of it, so that no copy is left behind by growing.
        text.reserve_exact(2 * MAX_SALT + 128);
        base64::encode_into(&self.salt, &mut text);
        text.push(b'$');
        base64::encode_into(self.stored_key.as_bytes(), &mut text);
        text.push(b':');
        base64::encode_into(self.server_key.as_bytes(), &mut text);
        text.into()
    }

    /// Whether this is the password: for PLAIN and LOGIN over a database of SCRAM credentials. Takes as long as
    /// [`ScramCredentials::derive`], whatever the password is.
    #[must_use]
    pub fn verify(&self, password: &Secret) -> bool {
        let text = password.as_str().and_then(prep::password);
        let known = text.is_some();
        let text = text.unwrap_or_default();
        let stored = Key::salted(self.hash, &text, &self.salt, self.iterations).client_key().hashed();
        known & bool::from(stored.ct_eq(&self.stored_key))
    }

    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The number of iterations.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// StoredKey. Secret: it allows trying passwords, and to pose as the user together with one exchange that was overheard.
    #[must_use]
    pub fn stored_key(&self) -> &[u8] {
        self.stored_key.as_bytes()
    }

    /// ServerKey. Secret: it allows posing as the server.
    #[must_use]
    pub fn server_key(&self) -> &[u8] {
        self.server_key.as_bytes()
    }

    /// Credentials for a user that does not exist: the same for the same name, in the form of real ones (RFC 5802 §5.1,
    /// `other-error`, lets a server hide the reason). No proof fits them but by chance, and then it is refused too.
    pub(crate) fn unknown(hash: ScramHash, name: &str, secret: &[u8], salt_length: usize, iterations: u32) -> Self {
        let salt = fake_salt(hash, name, secret, salt_length);
        let key = |label: &[u8]| Key::mac(hash, secret, &[b"ehlo-sasl key", label, name.as_bytes()]);
        Self { hash, salt, iterations, stored_key: key(b"stored"), server_key: key(b"server") }
    }
}

/// A salt that follows from the name and a secret, and looks random without it.
pub(crate) fn fake_salt(hash: ScramHash, name: &str, secret: &[u8], length: usize) -> Vec<u8> {
    let mut salt = Vec::with_capacity(length + 32);
    let mut block = 0_u32;
    while salt.len() < length {
        let parts: [&[u8]; 4] =
            [b"ehlo-sasl salt", &block.to_be_bytes(), hash.mechanism().as_str().as_bytes(), name.as_bytes()];
        salt.extend_from_slice(Key::mac(ScramHash::Sha256, secret, &parts).as_bytes());
        block += 1;
    }
    salt.truncate(length);
    salt
}

fn check(salt: &[u8], iterations: u32) -> Result<(), InvalidCredentials> {
    let salt = (1..=MAX_SALT).contains(&salt.len());
    if salt && NonZeroU32::new(iterations).is_some() { Ok(()) } else { Err(InvalidCredentials) }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredentials")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these cannot be SCRAM credentials")
    }
}

impl std::error::Error for InvalidCredentials {}
