//! The two things that are read from a certificate by hand: whom it is for, and how it was signed (X.690, RFC 5280 §4.1).
//!
//! A client's certificate was verified before it comes here, and a server's is the operator's own. All the same nothing is taken for
//! granted: what does not fit gives `None`.

use ehlo_server::tls::MAX_SUBJECT;
use ring::digest::{self, SHA256, SHA384, SHA512};
use std::fmt::Write as _;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const VERSION: u8 = 0xA0;

/// Takes the first value off; gives its tag and its content.
fn next<'d>(data: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, rest) = data.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        // No certificate has a length of more than four octets, and none is indefinite (DER).
        let (octets, behind) =
            rest.split_at_checked(usize::from(first & 0x7F)).filter(|(o, _)| (1..=4).contains(&o.len()))?;
        rest = behind;
        octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet))
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *data = rest;
    Some((tag, content))
}

/// Takes the first value off, which has to have that tag.
fn expect<'d>(data: &mut &'d [u8], tag: u8) -> Option<&'d [u8]> {
    next(data).filter(|&(found, _)| found == tag).map(|(_, content)| content)
}

/// The subject of a certificate, such as `CN=client.example,O=Example`, in the order in which it stands there; about as much of it as a
/// session keeps.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut certificate = expect(&mut &*certificate, SEQUENCE)?;
    let mut body = expect(&mut certificate, SEQUENCE)?;
    // version, serial number, signature, issuer, validity.
    if body.first() == Some(&VERSION) {
        next(&mut body)?;
    }
    for _ in 0..4 {
        next(&mut body)?;
    }
    let mut name = expect(&mut body, SEQUENCE)?;
    let mut text = String::new();
    while !name.is_empty() && text.len() < MAX_SUBJECT {
        let mut set = expect(&mut name, SET)?;
        while !set.is_empty() {
            let mut attribute = expect(&mut set, SEQUENCE)?;
            let kind = expect(&mut attribute, OID)?;
            let (_, value) = next(&mut attribute)?;
            if !text.is_empty() {
                text.push(',');
            }
            push_kind(&mut text, kind);
            text.push('=');
            for c in String::from_utf8_lossy(value).chars() {
                // What would end a value, or a line of a log, is escaped (RFC 4514 §2.4).
                if c.is_control() {
                    text.push('?');
                } else if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                    text.extend(['\\', c]);
                } else {
                    text.push(c);
                }
            }
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

/// The short name of an attribute (RFC 4514 §3), or its OID in hexadecimal.
fn push_kind(text: &mut String, kind: &[u8]) {
    let name = match kind {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        _ => {
            text.push('#');
            for octet in kind {
                // A String takes everything.
                let _ = write!(text, "{octet:02x}");
            }
            return;
        }
    };
    text.push_str(name);
}

/// The hash of a certificate that `tls-server-end-point` is (RFC 5929 §4.1): by the hash function of its signature, SHA-256 in the place
/// of MD5 and SHA-1. `None` where the signature has no hash function of its own, or one that is not known here.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // 1.2.840.113549.1.1 (PKCS #1), and 1.2.840.10045.4.3 (ECDSA with SHA-2).
    const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1];
    const ECDSA: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3];
    let mut fields = expect(&mut &*certificate, SEQUENCE)?;
    expect(&mut fields, SEQUENCE)?;
    let mut algorithm = expect(&mut fields, SEQUENCE)?;
    let (last, family) = expect(&mut algorithm, OID)?.split_last()?;
    let hash = match (family, last) {
        (RSA, 4 | 5 | 11) | (ECDSA, 2) => &SHA256,
        (RSA, 12) | (ECDSA, 3) => &SHA384,
        (RSA, 13) | (ECDSA, 4) => &SHA512,
        _ => return None,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    fn certificate(key: &KeyPair) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["mx.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Ex, ample\r\n");
        params.distinguished_name.push(DnType::CommonName, "ädä");
        params.self_signed(key).unwrap().der().to_vec()
    }

    #[test]
    fn a_subject_is_read_and_made_harmless() {
        let der = certificate(&KeyPair::generate().unwrap());
        assert_eq!(subject(&der).unwrap(), "O=Ex\\, ample??,CN=ädä");
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let der = certificate(&KeyPair::generate().unwrap());
        assert_eq!(end_point(&der).unwrap(), digest::digest(&SHA256, &der).as_ref());
        let der = certificate(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        assert_eq!(end_point(&der).unwrap(), digest::digest(&SHA384, &der).as_ref());
        let der = certificate(&KeyPair::generate_for(&PKCS_ED25519).unwrap());
        assert_eq!(end_point(&der), None);
    }

    #[test]
    fn no_octets_are_too_wrong_to_be_looked_at() {
        let der = certificate(&KeyPair::generate().unwrap());
        for length in 0..der.len() {
            let _ = (subject(&der[..length]), end_point(&der[..length]));
        }
        for at in 0..der.len() {
            for octet in [0, 0x7F, 0x80, 0x84, 0xFF] {
                let mut wrong = der.clone();
                wrong[at] = octet;
                let _ = (subject(&wrong), end_point(&wrong));
            }
        }
    }
}
