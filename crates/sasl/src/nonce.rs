//! Values that are used once.

use std::fmt;

use crate::base64;

/// Bytes of randomness in a [`Nonce`]: 144 bits, a whole number of Base64 groups.
pub const NONCE_BYTES: usize = 18;

/// Characters that a nonce may have, both of the caller's and of a peer's. 24 are usual.
pub const MAX_NONCE: usize = 256;

/// One side's contribution to an exchange, which must be unpredictable and differ from exchange to exchange: the security
/// of SCRAM (RFC 5802 §5.1) and of CRAM-MD5 against replays rests on it. This crate draws no random number; the caller does.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From the operating system's random bytes or those of a generator fit for cryptography.
    #[must_use]
    pub fn from_random(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(base64::encode(&bytes))
    }

    /// From text that was made elsewhere: 1 to [`MAX_NONCE`] printable ASCII characters without a comma (`printable` in RFC
    /// 5802 §7). `None` if it is anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        is_valid(text).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether this can be a nonce: `1*printable`, bounded.
pub(crate) fn is_valid(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NONCE && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Public once it is on the wire, but nobody may know it earlier.
        f.write_str("Nonce(..)")
    }
}
