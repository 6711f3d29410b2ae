//! Which texts are Base64, and which only look like it.

use ehlo_sasl::base64::{DecodeError, decode, decode_initial_response, encode, encode_initial_response, encode_into};
use ehlo_sasl::{MAX_ENCODED, MAX_MESSAGE};
use proptest::prelude::*;

#[test]
fn the_vectors_of_rfc_4648() {
    let cases = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];
    for (bytes, text) in cases {
        assert_eq!(encode(bytes.as_bytes()), text);
        assert_eq!(decode(text.as_bytes()).unwrap().as_bytes(), bytes.as_bytes());
    }
}

#[test]
fn what_is_not_canonical_is_refused() {
    let cases = [
        ("no padding", "Zg"),
        ("half of the padding", "Zg="),
        ("too much padding", "Zm9v===="),
        ("padding where none is due", "Zm9v="),
        ("three pad characters", "Z==="),
        ("only padding", "===="),
        ("an equals sign", "="),
        ("padding at the start", "=AAA"),
        ("padding within", "AAA=BBB"),
        ("padding within, in step", "Zg==Zg=="),
        ("a bit behind the last byte of one", "Zh=="),
        ("all bits behind the last byte of one", "Zv=="),
        ("a bit behind the last byte of two", "Zm9="),
        ("a space in front", " Zm9"),
        ("a space behind", "Zm9v "),
        ("a space within", "Zm 9"),
        ("a line end", "Zm9v\r\n"),
        ("a lone line feed", "Zm9\n"),
        ("a NUL", "Zm9\0"),
        ("the alphabet for URLs", "-_-_"),
        ("a star", "*"),
        ("not ASCII", "Zmé"),
        ("one character", "Z"),
        ("five characters", "Zm9vZ"),
    ];
    for (why, text) in cases {
        assert_eq!(decode(text.as_bytes()), Err(DecodeError::Invalid), "{why}");
        let behind = format!("Zm9v{text}");
        assert_eq!(decode(behind.as_bytes()), Err(DecodeError::Invalid), "{why}, at the end");
    }
}

/// All groups of four characters over the corners of the alphabet and what lies beside it.
#[test]
fn what_is_accepted_encodes_to_itself() {
    let characters = b"ABCQZgvwxyz0189+/=-_ \r\n*\x00\xff";
    let mut accepted = 0;
    for a in characters {
        for b in characters {
            for c in characters {
                for d in characters {
                    let text = [*a, *b, *c, *d];
                    if let Ok(bytes) = decode(&text) {
                        assert_eq!(encode(bytes.as_bytes()).as_bytes(), text);
                        accepted += 1;
                    }
                }
            }
        }
    }
    // 17 characters of the alphabet: 17^4 full groups, 17^2 times those whose last 2 or 4 bits are zero.
    let zero = |bits: u32| {
        b"ABCQZgvwxyz0189+/"
            .iter()
            .filter(|c| decode(&[b'A', b'A', **c, b'A']).is_ok() && value(**c).trailing_zeros() >= bits)
            .count()
    };
    assert_eq!(accepted, 17_usize.pow(4) + 17 * 17 * zero(2) + 17 * zero(4));
}

fn value(c: u8) -> u8 {
    match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    }
}

#[test]
fn a_text_may_be_as_long_as_the_limit() {
    let text = encode(&vec![7; MAX_MESSAGE]);
    assert_eq!(text.len(), MAX_ENCODED);
    assert_eq!(decode(text.as_bytes()).unwrap().as_bytes().len(), MAX_MESSAGE);
    assert_eq!(decode(encode(&vec![7; MAX_MESSAGE + 1]).as_bytes()), Err(DecodeError::TooLong));
}

#[test]
fn an_empty_initial_response_is_an_equals_sign() {
    assert_eq!(encode_initial_response(b""), "=");
    assert_eq!(encode_initial_response(b"f"), "Zg==");
    assert!(decode_initial_response(b"=").unwrap().is_empty());
    assert_eq!(decode_initial_response(b"Zg==").unwrap().as_bytes(), b"f");
    for text in [&b""[..], b"==", b"= ", b"====", b"*"] {
        assert_eq!(decode_initial_response(text), Err(DecodeError::Invalid), "{text:?}");
    }
}

proptest! {
    #[test]
    fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = encode(&bytes);
        let back = decode(text.as_bytes()).unwrap();
        prop_assert_eq!(back.as_bytes(), &bytes[..]);
        let mut buffer = b"AUTH PLAIN ".to_vec();
        encode_into(&bytes, &mut buffer);
        prop_assert_eq!(buffer, [b"AUTH PLAIN ", text.as_bytes()].concat());
    }

    #[test]
    fn no_other_text_is_accepted(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(bytes) = decode(&text) {
            prop_assert_eq!(encode(bytes.as_bytes()).into_bytes(), text);
        }
    }
}
