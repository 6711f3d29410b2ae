//! Messages (RFC 5802 §7).
//!
//! Attributes are split at commas, which no value may contain; their order is fixed, and unknown ones are ignored where
//! `extensions` stands. A mandatory extension (`m=`) is understood by nobody yet and fails the exchange.

use std::num::NonZeroU32;

use super::{Key, MAX_SALT, ScramHash};
use crate::nonce;
use crate::{Secret, base64};

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// It breaks the grammar.
    Malformed,
    /// It has an extension that must be understood and is not.
    Mandatory,
}

/// `gs2-cbind-flag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// `n`: the client knows no channel binding.
    None,
    /// `y`: the client knows channel binding and thinks that the server does not.
    NotOffered,
    /// `p=NAME`.
    Type(String),
}

/// `gs2-header`, and how long it is with its last comma.
pub(crate) struct Gs2Header {
    pub(crate) flag: Flag,
    /// Unquoted, not prepared.
    pub(crate) authorization_id: Option<String>,
    pub(crate) length: usize,
}

/// `gs2-header = gs2-cbind-flag "," [ authzid ] ","`
pub(crate) fn gs2_header(text: &str) -> Option<Gs2Header> {
    let (flag, rest) = text.split_once(',')?;
    let flag = match flag {
        "n" => Flag::None,
        "y" => Flag::NotOffered,
        // cb-name = 1*(ALPHA / DIGIT / "." / "-")
        flag => {
            let name = flag.strip_prefix("p=").filter(|name| !name.is_empty())?;
            let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
            Flag::Type(valid.then(|| name.to_owned())?)
        }
    };
    let (authzid, rest) = rest.split_once(',')?;
    let authorization_id = match authzid {
        "" => None,
        authzid => Some(decode_name(authzid.strip_prefix("a=")?)?),
    };
    Some(Gs2Header { flag, authorization_id, length: text.len() - rest.len() })
}

/// The header that a client sends.
pub(crate) fn write_gs2_header(flag: &Flag, authorization_id: Option<&str>) -> String {
    let mut text = match flag {
        Flag::None => "n".to_owned(),
        Flag::NotOffered => "y".to_owned(),
        Flag::Type(name) => format!("p={name}"),
    };
    text.push(',');
    if let Some(name) = authorization_id {
        text.push_str("a=");
        text.push_str(&encode_name(name));
    }
    text.push(',');
    text
}

/// `saslname`: a name in which `,` and `=` are quoted.
pub(crate) fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The name that a `saslname` stands for.
fn decode_name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (plain, rest) = match part.as_bytes() {
            [b'2', b'C', ..] => (',', &part[2..]),
            [b'3', b'D', ..] => ('=', &part[2..]),
            _ => return None,
        };
        name.push(plain);
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

/// `client-first-message`
#[derive(Debug)]
pub(crate) struct ClientFirst {
    pub(crate) flag: Flag,
    /// Unquoted, not prepared.
    pub(crate) authorization_id: Option<String>,
    /// Unquoted, not prepared.
    pub(crate) name: String,
    pub(crate) nonce: String,
    /// As it was received: it goes into `c=`.
    pub(crate) gs2_header: String,
    /// As it was received: it goes into the signatures.
    pub(crate) bare: String,
}

impl ClientFirst {
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(message).map_err(|_| Invalid::Malformed)?;
        let header = gs2_header(text).ok_or(Invalid::Malformed)?;
        let (gs2_header, bare) = text.split_at(header.length);
        let mut attributes = bare.split(',');
        let name = required(&mut attributes, 'n')?;
        let name = decode_name(name).ok_or(Invalid::Malformed)?;
        let nonce = required(&mut attributes, 'r')?;
        if !nonce::is_valid(nonce) {
            return Err(Invalid::Malformed);
        }
        extensions(attributes)?;
        Ok(Self {
            flag: header.flag,
            authorization_id: header.authorization_id,
            name,
            nonce: nonce.to_owned(),
            gs2_header: gs2_header.to_owned(),
            bare: bare.to_owned(),
        })
    }
}

/// `server-first-message`
pub(crate) struct ServerFirst {
    pub(crate) nonce: String,
    pub(crate) salt: Secret,
    pub(crate) iterations: u32,
}

impl ServerFirst {
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        let mut attributes = text.split(',');
        let nonce = required(&mut attributes, 'r')?.to_owned();
        let salt = base64::decode(required(&mut attributes, 's')?.as_bytes()).map_err(|_| Invalid::Malformed)?;
        let iterations = posit_number(required(&mut attributes, 'i')?).ok_or(Invalid::Malformed)?;
        extensions(attributes)?;
        if salt.is_empty() || salt.as_bytes().len() > MAX_SALT {
            return Err(Invalid::Malformed);
        }
        Ok(Self { nonce, salt, iterations })
    }
}

/// `client-final-message`
pub(crate) struct ClientFinal<'m> {
    /// As it was received: it goes into the signatures.
    pub(crate) without_proof: &'m str,
    pub(crate) channel_binding: &'m str,
    pub(crate) nonce: &'m str,
    pub(crate) proof: Key,
}

impl<'m> ClientFinal<'m> {
    pub(crate) fn parse(hash: ScramHash, message: &'m [u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(message).map_err(|_| Invalid::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(Invalid::Malformed)?;
        let proof = proof.strip_prefix("p=").ok_or(Invalid::Malformed)?;
        let proof = base64::decode(proof.as_bytes()).map_err(|_| Invalid::Malformed)?;
        let proof = Key::from_slice(hash, proof.as_bytes()).ok_or(Invalid::Malformed)?;
        let mut attributes = without_proof.split(',');
        let channel_binding = required(&mut attributes, 'c')?;
        let nonce = required(&mut attributes, 'r')?;
        extensions(attributes)?;
        Ok(Self { without_proof, channel_binding, nonce, proof })
    }
}

/// `server-final-message`: the signature, or why there is none.
pub(crate) enum ServerFinal<'m> {
    Verifier(Key),
    Error(&'m str),
}

impl<'m> ServerFinal<'m> {
    pub(crate) fn parse(hash: ScramHash, message: &'m [u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(message).map_err(|_| Invalid::Malformed)?;
        let mut attributes = text.split(',');
        let first = attributes.next().unwrap_or_default();
        extensions(attributes)?;
        if let Some(error) = first.strip_prefix("e=") {
            return Ok(Self::Error(error));
        }
        let verifier = first.strip_prefix("v=").ok_or(Invalid::Malformed)?;
        let verifier = base64::decode(verifier.as_bytes()).map_err(|_| Invalid::Malformed)?;
        Key::from_slice(hash, verifier.as_bytes()).map(Self::Verifier).ok_or(Invalid::Malformed)
    }
}

/// The value of the attribute that must come next.
fn required<'m>(attributes: &mut impl Iterator<Item = &'m str>, name: char) -> Result<&'m str, Invalid> {
    let attribute = attributes.next().ok_or(Invalid::Malformed)?;
    if attribute.starts_with("m=") {
        return Err(Invalid::Mandatory);
    }
    let value = attribute.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).ok_or(Invalid::Malformed)?;
    if value.is_empty() || value.contains('\0') { Err(Invalid::Malformed) } else { Ok(value) }
}

/// `extensions = attr-val *("," attr-val)`, all unknown and ignored; the names that have a meaning elsewhere are none.
fn extensions<'m>(attributes: impl Iterator<Item = &'m str>) -> Result<(), Invalid> {
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').ok_or(Invalid::Malformed)?;
        let [name] = name.as_bytes() else { return Err(Invalid::Malformed) };
        if *name == b'm' {
            return Err(Invalid::Mandatory);
        }
        if !name.is_ascii_alphabetic() || b"anrcsipve".contains(name) || value.is_empty() || value.contains('\0') {
            return Err(Invalid::Malformed);
        }
    }
    Ok(())
}

/// `posit-number = %x31-39 *DIGIT`, as far as it fits.
pub(crate) fn posit_number(text: &str) -> Option<u32> {
    if text.starts_with(['0', '+']) {
        return None;
    }
    text.parse::<NonZeroU32>().ok().map(NonZeroU32::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_unquoted() {
        for (name, text) in [("user", "user"), ("a,b=c", "a=2Cb=3Dc"), ("=2C", "=3D2C"), ("ü", "ü")] {
            assert_eq!(encode_name(name), text);
            assert_eq!(decode_name(text).as_deref(), Some(name));
        }
        for text in ["", "=", "a=", "a=2", "a=2c", "a=3d", "a=20", "a==", "a\0b"] {
            assert_eq!(decode_name(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_positive_and_have_no_leading_zero() {
        assert_eq!(posit_number("4096"), Some(4096));
        assert_eq!(posit_number("4294967295"), Some(u32::MAX));
        for text in ["", "0", "04096", "+1", "-1", "4294967296", "1 ", "1e3"] {
            assert_eq!(posit_number(text), None, "{text:?}");
        }
    }

    #[test]
    fn first_messages_that_break_the_grammar_are_refused() {
        let good = ["n,,n=u,r=x", "y,,n=u,r=x", "p=tls-exporter,a=z,n=u,r=x", "n,,n=u,r=x,f=y,G==", "n,a==2C,n=u,r=x"];
        for text in good {
            assert!(ClientFirst::parse(text.as_bytes()).is_ok(), "{text}");
        }
        let bad = [
            "",
            "n",
            "n,",
            "n,,",
            "x,,n=u,r=x",
            "N,,n=u,r=x",
            "p,,n=u,r=x",
            "p=,,n=u,r=x",
            "p=a_b,,n=u,r=x",
            "n,z,n=u,r=x",
            "n,a=,n=u,r=x",
            "n,,n=,r=x",
            "n,,n=u",
            "n,,n=u,r=",
            "n,,r=x,n=u",
            "n,,n=u,r=x,",
            "n,,n=u,r=x,f",
            "n,,n=u,r=x,f=",
            "n,,n=u,r=x,1=y",
            "n,,n=u,r=x,r=y",
            "n,,n=u,r=x,ff=y",
            "n,,n=u,r=a b",
            "n,,n=u,r=é",
            "n,,n=u\0,r=x",
        ];
        for text in bad {
            assert_eq!(ClientFirst::parse(text.as_bytes()).err(), Some(Invalid::Malformed), "{text:?}");
        }
        for text in ["n,,m=q,n=u,r=x", "n,,n=u,m=q,r=x", "n,,n=u,r=x,m=q", "n,,n=u,r=x,f=y,m=q"] {
            assert_eq!(ClientFirst::parse(text.as_bytes()).err(), Some(Invalid::Mandatory), "{text}");
        }
        assert!(ClientFirst::parse(b"n,,n=\xff,r=x").is_err());
    }
}
