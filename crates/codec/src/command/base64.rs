//! Base64 as SASL over SMTP wants it (RFC 4954 §4, RFC 4648 §4): padded, canonical, and nothing besides.

use super::Base64;
use alloc::vec::Vec;
use base64ct::{Base64 as Coding, Encoding as _};

impl Base64<'_> {
    /// Appends the characters of these octets, with padding.
    ///
    /// ```
    /// use ehlo_codec::Base64;
    ///
    /// let mut challenge = Vec::new();
    /// Base64::encode(b"Username:", &mut challenge);
    /// assert_eq!(challenge, b"VXNlcm5hbWU6");
    /// ```
    pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + Coding::encoded_len(octets), 0);
        // It fails in a buffer that is too small, and only there.
        let written = Coding::encode(octets, &mut out[start..]).map_or(0, str::len);
        out.truncate(start + written);
    }

    /// Appends the octets that it stands for. Gives false, and appends nothing, if it stands for none: it has a character outside of
    /// the alphabet, lacks padding or has some in the middle, or bits behind the last octet are not zero (RFC 4648 §3.5). The answer
    /// to that is 501 5.5.2 (RFC 4954 §4). The time that it takes depends on the length alone where the text is valid: it may be a password.
    ///
    /// ```
    /// use ehlo_codec::Base64;
    ///
    /// let mut octets = Vec::new();
    /// assert!(Base64::parse("AGFkYQBzZWNyZXQ=").is_some_and(|text| text.decode(&mut octets)));
    /// assert_eq!(octets, b"\0ada\0secret");
    /// ```
    #[must_use]
    pub fn decode(self, out: &mut Vec<u8>) -> bool {
        let text = self.as_str().as_bytes();
        if !text.len().is_multiple_of(4) {
            return false;
        }
        let start = out.len();
        out.resize(start + text.len() / 4 * 3, 0);
        let length = Coding::decode(text, &mut out[start..]).map(<[u8]>::len);
        out.truncate(start + length.unwrap_or_default());
        length.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn encoded(octets: &[u8]) -> String {
        let mut text = Vec::new();
        Base64::encode(octets, &mut text);
        String::from_utf8(text).unwrap()
    }

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        Base64::parse(text)?.decode(&mut octets).then_some(octets)
    }

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(octets.as_bytes()), text);
            assert_eq!(decoded(text).as_deref(), Some(octets.as_bytes()));
        }
    }

    #[test]
    fn every_octet_comes_back() {
        let octets: Vec<u8> = (0..=255).collect();
        for length in 0..=octets.len() {
            let text = encoded(&octets[..length]);
            assert_eq!(decoded(&text).as_deref(), Some(&octets[..length]), "{length}");
        }
    }

    /// Of all texts of four characters from a small alphabet, those that decode are those that are the encoding of what they decode to.
    #[test]
    fn only_what_would_be_encoded_so_is_decoded() {
        let characters = b"AQgw/+=9";
        let mut good = 0;
        for a in characters {
            for b in characters {
                for c in characters {
                    for d in characters {
                        let text = String::from_utf8([*a, *b, *c, *d].to_vec()).unwrap();
                        if let Some(octets) = decoded(&text) {
                            assert_eq!(encoded(&octets), text);
                            good += 1;
                        }
                    }
                }
            }
        }
        // Before the padding stands one of A, Q, g and w, whose low bits are zero.
        assert_eq!(good, 7 * 7 * 7 * 7 + 7 * 7 * 4 + 7 * 4);
    }

    #[test]
    fn wrong_padding_and_spare_bits_are_nothing() {
        for text in
            ["YQ", "YQ=", "YQ==YQ==", "Y=Q=", "=", "==", "====", "A===", "YR==", "YWJ=", "=AAA", "AAA=BBB", "AAAAA"]
        {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let mut out = b"kept".to_vec();
        assert!(!Base64::parse("AAAAYR==").unwrap().decode(&mut out));
        assert_eq!(out, b"kept");
    }
}
