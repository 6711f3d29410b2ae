//! CRAM-MD5 (RFC 2195).

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use subtle::ConstantTimeEq;

use crate::{Failure, Secret, prep};

/// The digest of a challenge, in lower-case hexadecimal digits.
pub(crate) fn digest(secret: &Secret, challenge: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(challenge);
    let mut text = [0; 32];
    for (digits, byte) in text.chunks_exact_mut(2).zip(mac.finalize().into_bytes()) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        digits.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text
}

/// What a client sends.
pub(crate) struct Response {
    /// Prepared.
    pub(crate) name: String,
    /// 32 lower-case hexadecimal digits.
    pub(crate) digest: [u8; 32],
}

impl Response {
    /// The name, a space, the digest. A name may have spaces.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Failure> {
        let (rest, digest) = message.split_last_chunk::<32>().ok_or(Failure::Malformed)?;
        let name = rest.strip_suffix(b" ").ok_or(Failure::Malformed)?;
        if name.is_empty() || !digest.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Failure::Malformed);
        }
        Ok(Self { name: prep::name(name)?, digest: *digest })
    }

    /// Whether the digest is that of the challenge.
    pub(crate) fn fits(&self, secret: &Secret, challenge: &[u8]) -> bool {
        self.digest.ct_eq(&digest(secret, challenge)).into()
    }
}
