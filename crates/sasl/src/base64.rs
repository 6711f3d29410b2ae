//! Base64 as SASL profiles want it: RFC 4648 §4, padded, canonical, and nothing else.

use std::fmt;

use base64ct::{Base64, Encoding};

use crate::{MAX_ENCODED, Secret};

/// Why a text is not the Base64 of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is longer than [`MAX_ENCODED`].
    TooLong,
    /// It has a character outside of the alphabet, white space included, wrong padding, or bits behind its last byte that
    /// are not zero. RFC 4954 §4: `501 5.5.2`.
    Invalid,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the Base64 text is too long",
            Self::Invalid => "the text is not canonical Base64",
        })
    }
}

impl std::error::Error for DecodeError {}

/// The padded Base64 of these bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Appends the padded Base64 of these bytes to a buffer, which the caller can wipe if they were secret.
pub fn encode_into(bytes: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + Base64::encoded_len(bytes), 0);
    // The encoding only fails in a buffer that is too small.
    let written = Base64::encode(bytes, &mut output[start..]).map_or(0, str::len);
    output.truncate(start + written);
}

/// The bytes that a text stands for. It takes a time that depends on the length alone where the text is valid.
///
/// # Errors
///
/// [`DecodeError`]: the only text that is accepted is the one that [`encode`] gives.
pub fn decode(text: &[u8]) -> Result<Secret, DecodeError> {
    if text.len() > MAX_ENCODED {
        return Err(DecodeError::TooLong);
    }
    if !text.len().is_multiple_of(4) {
        return Err(DecodeError::Invalid);
    }
    let mut bytes = vec![0; text.len() / 4 * 3];
    let length = Base64::decode(text, &mut bytes).map_err(|_| DecodeError::Invalid)?.len();
    bytes.truncate(length);
    Ok(bytes.into())
}

/// An initial response as it stands on a command line: `=` for one that is there and empty (RFC 4954 §4), the padded
/// Base64 of all others.
#[must_use]
pub fn encode_initial_response(response: &[u8]) -> String {
    if response.is_empty() { "=".to_owned() } else { encode(response) }
}

/// Reads an initial response from a command line: `=` is an empty one (RFC 4954 §4).
///
/// # Errors
///
/// [`DecodeError`] as for [`decode`]; no text at all is invalid, since a response that is not there is not to be decoded.
pub fn decode_initial_response(text: &[u8]) -> Result<Secret, DecodeError> {
    match text {
        b"=" => Ok(Secret::default()),
        b"" => Err(DecodeError::Invalid),
        text => decode(text),
    }
}
