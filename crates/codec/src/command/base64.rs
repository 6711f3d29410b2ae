//! Base64 as SASL over SMTP wants it (RFC 4954 §4, RFC 4648 §4): padded, canonical, and nothing besides.

use super::Base64;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What stands for no six bits.
const NONE: u8 = 0xFF;

/// The six bits of each character.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

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
        out.reserve(octets.len().div_ceil(3) * 4);
        for group in octets.chunks(3) {
            let bits = group.iter().enumerate().fold(0, |bits, (i, &octet)| bits | u32::from(octet) << (16 - 8 * i));
            for i in 0..4 {
                // A group of n octets has n + 1 characters.
                let sextet = (bits >> (18 - 6 * i)) as usize & 0x3F;
                out.push(if i <= group.len() { ALPHABET[sextet] } else { b'=' });
            }
        }
    }

    /// Appends the octets that it stands for. Gives false, and appends nothing, if it stands for none: it has a character outside of
    /// the alphabet, lacks padding or has some in the middle, or bits behind the last octet are not zero (RFC 4648 §3.5). The answer
    /// to that is 501 5.5.2 (RFC 4954 §4).
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
        out.reserve(text.len() / 4 * 3);
        let groups = text.len() / 4;
        for (number, group) in text.chunks(4).enumerate() {
            let padding = group.iter().rev().take_while(|&&c| c == b'=').count();
            let mut bits = 0;
            let mut valid = padding == 0 || (padding <= 2 && number + 1 == groups);
            for &character in &group[..4 - padding.min(4)] {
                let sextet = VALUES[usize::from(character)];
                valid &= sextet != NONE;
                bits = bits << 6 | u32::from(sextet & 0x3F);
            }
            let octets = 3 - padding.min(3);
            // What does not fill an octet must be zero.
            let spare = 6 * (4 - padding.min(4)) - 8 * octets;
            valid &= bits & ((1 << spare) - 1) == 0;
            if !valid {
                out.truncate(start);
                return false;
            }
            bits >>= spare;
            for i in (0..octets).rev() {
                out.push((bits >> (8 * i)) as u8);
            }
        }
        true
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
