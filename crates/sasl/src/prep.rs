//! Preparation of names and passwords: SASLprep (RFC 4013).

use zeroize::Zeroizing;

use crate::{Failure, MAX_NAME, MAX_PASSWORD, Secret};

/// The SASLprep form of a text, or `None` if it has characters that are forbidden, or nothing is left of it.
pub(crate) fn saslprep(text: &str) -> Option<String> {
    let prepared = stringprep::saslprep(text).ok()?;
    (!prepared.is_empty()).then(|| prepared.into_owned())
}

/// The same for a password.
pub(crate) fn password(text: &str) -> Option<Zeroizing<String>> {
    saslprep(text).map(Zeroizing::new)
}

/// A user name as a peer sent it, prepared for comparison (RFC 4954 §4: what cannot be prepared, fails). It is within the limit before and
/// behind that: compatibility characters become many (U+FDFA eighteen), and who keeps the name has room for no more.
pub(crate) fn name(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.len() > MAX_NAME {
        return Err(Failure::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::Malformed)?;
    if text.contains('\0') {
        return Err(Failure::Malformed);
    }
    let prepared = saslprep(text).ok_or(Failure::Rejected)?;
    if prepared.len() > MAX_NAME { Err(Failure::TooLong) } else { Ok(prepared) }
}

/// A password as a peer sent it: text without NUL, not empty, and not prepared, since how is for whoever verifies it.
pub(crate) fn received_password(bytes: &[u8]) -> Result<Secret, Failure> {
    if bytes.len() > MAX_PASSWORD {
        return Err(Failure::TooLong);
    }
    if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
        return Err(Failure::Malformed);
    }
    // Some directories take a bind with an empty password for an anonymous one and say yes.
    if bytes.is_empty() { Err(Failure::Rejected) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 §3.
    #[test]
    fn the_examples_of_the_rfc() {
        let cases = [
            ("I\u{AD}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{AA}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}1", None),
            ("", None),
            ("\u{AD}", None),
        ];
        for (given, expected) in cases {
            assert_eq!(saslprep(given).as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn names_and_passwords_have_limits() {
        assert_eq!(name(&[b'a'; MAX_NAME]).map(|name| name.len()), Ok(MAX_NAME));
        assert_eq!(name(&[b'a'; MAX_NAME + 1]), Err(Failure::TooLong));
        assert_eq!(name(b"a\0b"), Err(Failure::Malformed));
        assert_eq!(name(b"\xff"), Err(Failure::Malformed));
        assert_eq!(name(b"\x07"), Err(Failure::Rejected));
        // Three octets that are prepared to be thirty-three (NFKC).
        assert_eq!(name("\u{FDFA}".as_bytes()).map(|name| name.len()), Ok(33));
        assert_eq!(name("\u{FDFA}".repeat(32).as_bytes()), Err(Failure::TooLong));
        assert!(received_password(&[b'a'; MAX_PASSWORD]).is_ok());
        assert_eq!(received_password(&[b'a'; MAX_PASSWORD + 1]), Err(Failure::TooLong));
        assert_eq!(received_password(b""), Err(Failure::Rejected));
        assert_eq!(received_password(b"a\0"), Err(Failure::Malformed));
    }
}
