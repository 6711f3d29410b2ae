//! Messages of OAUTHBEARER (RFC 7628) and XOAUTH2.

use crate::scram::message::{Flag, gs2_header};
use crate::{Failure, MAX_TOKEN, Secret, prep};

/// `kvsep`, and the whole of a client's answer to an error.
pub(crate) const SEPARATOR: u8 = 0x01;

/// What a server tells a client whose token it refuses (RFC 7628 §3.2.2), as a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BearerError {
    /// The error code: `invalid_token`, `insufficient_scope` and others of the OAuth registry; `401` and the like by custom
    /// under XOAUTH2.
    pub status: String,
    /// The scope that a token should have.
    pub scope: Option<String>,
    /// The token types that are taken, separated by spaces. Of XOAUTH2; RFC 7628 §4.4 shows it too.
    pub schemes: Option<String>,
    /// Where the client finds out how to get a token: the https URL of an OpenID Provider Configuration.
    pub openid_configuration: Option<String>,
}

impl BearerError {
    /// An error with this code and nothing else.
    #[must_use]
    pub fn new(status: &str) -> Self {
        Self { status: status.to_owned(), scope: None, schemes: None, openid_configuration: None }
    }

    /// The JSON object, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        let fields = [
            ("status", Some(&self.status)),
            ("schemes", self.schemes.as_ref()),
            ("scope", self.scope.as_ref()),
            ("openid-configuration", self.openid_configuration.as_ref()),
        ];
        for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&format!("\"{name}\":\""));
            for c in value.chars() {
                match c {
                    '"' => json.push_str("\\\""),
                    '\\' => json.push_str("\\\\"),
                    c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
                    c => json.push(c),
                }
            }
            json.push('"');
        }
        json.push('}');
        json
    }
}

/// RFC 6750 §3.1's code for a token that is expired, revoked, malformed or otherwise no good.
impl Default for BearerError {
    fn default() -> Self {
        Self::new("invalid_token")
    }
}

/// A client's message.
pub(crate) struct ClientMessage {
    /// Prepared.
    pub(crate) user: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    /// `None` if `auth` is empty, with which a client asks for the scope (RFC 7628 §4.3), or of another scheme than Bearer.
    pub(crate) token: Option<Secret>,
}

/// `client-resp = gs2-header kvsep *kvpair kvsep` (RFC 7628 §3.1). The header has no other use than the user's name.
pub(crate) fn parse_oauthbearer(message: &[u8]) -> Result<ClientMessage, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
    let header = gs2_header(text).ok_or(Failure::Malformed)?;
    if matches!(header.flag, Flag::Type(_)) {
        // There is no channel binding in this mechanism.
        return Err(Failure::Malformed);
    }
    let pairs = text[header.length..].strip_prefix('\x01').ok_or(Failure::Malformed)?;
    let pairs = Pairs::parse(pairs)?;
    let user = header.authorization_id.map(|name| prep::name(name.as_bytes())).transpose()?;
    pairs.into_message(user)
}

/// `user=NAME^Aauth=Bearer TOKEN^A^A`
pub(crate) fn parse_xoauth2(message: &[u8]) -> Result<ClientMessage, Failure> {
    let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed)?;
    let pairs = Pairs::parse(text)?;
    let user = prep::name(pairs.user.ok_or(Failure::Malformed)?.as_bytes())?;
    pairs.into_message(Some(user))
}

#[derive(Default)]
struct Pairs<'m> {
    user: Option<&'m str>,
    auth: Option<&'m str>,
    host: Option<&'m str>,
    port: Option<&'m str>,
}

impl<'m> Pairs<'m> {
    /// `*kvpair kvsep`, where `kvpair = key "=" value kvsep`. Unknown keys are ignored, as they must be; known ones may come once.
    fn parse(text: &'m str) -> Result<Self, Failure> {
        let mut pairs = Self::default();
        let body = text.strip_suffix('\x01').ok_or(Failure::Malformed)?;
        let Some(body) = body.strip_suffix('\x01') else {
            // No pair at all.
            return if body.is_empty() { Ok(pairs) } else { Err(Failure::Malformed) };
        };
        for pair in body.split('\x01') {
            let (key, value) = pair.split_once('=').ok_or(Failure::Malformed)?;
            let key_valid = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
            let value_valid = !value.bytes().any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(&byte));
            if !key_valid || !value_valid {
                return Err(Failure::Malformed);
            }
            let place = match key {
                "user" => &mut pairs.user,
                "auth" => &mut pairs.auth,
                "host" => &mut pairs.host,
                "port" => &mut pairs.port,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Failure::Malformed);
            }
        }
        Ok(pairs)
    }

    fn into_message(self, user: Option<String>) -> Result<ClientMessage, Failure> {
        let port = match self.port {
            None => None,
            // A decimal positive integer without leading zeros.
            Some(text) if text.starts_with(['0', '+']) => return Err(Failure::Malformed),
            Some(text) => Some(text.parse().map_err(|_| Failure::Malformed)?),
        };
        Ok(ClientMessage {
            user,
            host: self.host.map(str::to_owned),
            port,
            token: token(self.auth.ok_or(Failure::Malformed)?)?,
        })
    }
}

/// `"Bearer" 1*SP token`, the scheme in any case (RFC 7628 §4).
fn token(auth: &str) -> Result<Option<Secret>, Failure> {
    let Some((scheme, token)) = auth.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    if token.len() > MAX_TOKEN {
        return Err(Failure::TooLong);
    }
    if is_token(token.as_bytes()) { Ok(Some(token.into())) } else { Err(Failure::Malformed) }
}

/// Whether this can be sent as a token: visible ASCII. RFC 6750 §2.1 allows less; what a token looks like is for who
/// verifies it.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_json_whatever_they_hold() {
        let mut error = BearerError::new("invalid_token");
        assert_eq!(error.to_json(), r#"{"status":"invalid_token"}"#);
        error.scope = Some("a\"b\\c\nd\u{7f}é".into());
        error.schemes = Some("bearer mac".into());
        assert_eq!(
            error.to_json(),
            "{\"status\":\"invalid_token\",\"schemes\":\"bearer mac\",\"scope\":\"a\\\"b\\\\c\\u000ad\\u007fé\"}"
        );
    }

    #[test]
    fn messages_that_break_the_grammar_are_refused() {
        let oauthbearer = [
            "",
            "\x01",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer x\x01",
            "n,,\x01auth=Bearer x",
            "n,,auth=Bearer x\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            "n,user=x,\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer x\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01=x\x01auth=Bearer x\x01\x01",
            "n,,\x01port=0\x01auth=Bearer x\x01\x01",
            "n,,\x01port=70000\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer x y\x01\x01",
            "n,,\x01auth=Bearer x\x01\x01\x01",
            "n,,\x01h1=x\x01auth=Bearer x\x01\x01",
        ];
        for message in oauthbearer {
            assert_eq!(parse_oauthbearer(message.as_bytes()).err(), Some(Failure::Malformed), "{message:?}");
        }
        for message in ["", "\x01\x01", "user=a\x01\x01", "auth=Bearer x\x01\x01", "user=a\x01auth=Bearer x\x01"] {
            assert_eq!(parse_xoauth2(message.as_bytes()).err(), Some(Failure::Malformed), "{message:?}");
        }
        let parsed = parse_oauthbearer(b"y,a=ada,\x01qs=a=b\x01auth=bEaReR   x~y\x01mthd=POST\x01\x01").unwrap();
        assert_eq!(parsed.token.unwrap().as_bytes(), b"x~y");
        assert_eq!(parsed.user.as_deref(), Some("ada"));
        let parsed = parse_oauthbearer(b"n,,\x01auth=MAC id=\"1\"\x01\x01").unwrap();
        assert_eq!(parsed.token, None);
    }
}
