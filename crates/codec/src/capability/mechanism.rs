//! The SASL mechanisms of the registry, as AUTH lists them (RFC 4954 §3).

use super::Words;
use super::pattern::{Pattern, WINDOW, Window};
use core::fmt;

macro_rules! mechanisms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A SASL mechanism of the registry, [`SaslMechanism`](ehlo_codes::SaslMechanism), in its order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum AuthMechanism {
            $($(#[$doc])* $variant,)*
        }

        impl AuthMechanism {
            /// All of them.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// Its name, in capitals (RFC 4422 §3.1).
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The mechanism that a text begins with, and how long its name is. One of the `ends` stands behind it.
            #[inline(always)]
            pub(super) fn at_start(window: &Window, ends: impl Fn(u8) -> bool) -> Option<(Self, usize)> {
                // In this form LLVM asks for the first four letters once.
                $({
                    const FOUR: Pattern = Pattern::new(first_four($name), "");
                    const NAME: Pattern = Pattern::new($name, "");
                    if FOUR.matches(window) && NAME.matches(window) && ends(window.byte($name.len())) {
                        return Some((Self::$variant, $name.len()));
                    }
                })*
                None
            }
        }
    };
}

mechanisms! {
    /// User name and password as they are (RFC 4616).
    Plain = "PLAIN",
    /// User name and password as they are, each after a prompt; obsolete.
    Login = "LOGIN",
    /// A digest of a challenge, keyed with the password (RFC 2195).
    CramMd5 = "CRAM-MD5",
    /// Challenge and response with MD5 (RFC 2831); obsolete.
    DigestMd5 = "DIGEST-MD5",
    /// SCRAM with SHA-1 (RFC 5802).
    ScramSha1 = "SCRAM-SHA-1",
    /// SCRAM with SHA-1, bound to the TLS connection (RFC 5802).
    ScramSha1Plus = "SCRAM-SHA-1-PLUS",
    /// SCRAM with SHA-256 (RFC 7677).
    ScramSha256 = "SCRAM-SHA-256",
    /// SCRAM with SHA-256, bound to the TLS connection (RFC 7677).
    ScramSha256Plus = "SCRAM-SHA-256-PLUS",
    /// The identity comes from elsewhere (RFC 4422 appendix A).
    External = "EXTERNAL",
    /// No identity at all (RFC 4505).
    Anonymous = "ANONYMOUS",
    /// An OAuth 2.0 bearer token (RFC 7628).
    OAuthBearer = "OAUTHBEARER",
    /// An OAuth 1.0a token (RFC 7628).
    OAuth10A = "OAUTH10A",
    /// An OAuth 2.0 bearer token in the form of some large providers; no RFC.
    XOAuth2 = "XOAUTH2",
    /// Kerberos 5 (RFC 4752).
    Gssapi = "GSSAPI",
    /// Challenge and response of Windows domains; no RFC.
    Ntlm = "NTLM",
}

// A set of them is the bits of one word.
const _: () = assert!(AuthMechanism::ALL.len() <= u32::BITS as usize);

const fn first_four(name: &str) -> &str {
    name.split_at(4).0
}

impl AuthMechanism {
    /// The mechanism with this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() >= WINDOW {
            return None;
        }
        let (mechanism, length) = Self::at_start(&Window::of(name.as_bytes()), |byte| byte == 0)?;
        (length == name.len()).then_some(mechanism)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for AuthMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of mechanisms of the registry.
///
/// ```
/// use ehlo_codec::{Auth, AuthMechanism};
///
/// let known = Auth::new("PLAIN X-OWN scram-sha-256").known();
/// assert!(known.contains(AuthMechanism::Plain) && !known.contains(AuthMechanism::Login));
/// assert!(known.iter().eq([AuthMechanism::Plain, AuthMechanism::ScramSha256]));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AuthMechanisms(u32);

impl AuthMechanisms {
    /// Those of the registry among some words.
    pub(super) fn of(words: Words<'_>) -> Self {
        words.iter().filter_map(AuthMechanism::parse).collect()
    }

    /// The set with one more.
    #[inline(always)]
    #[must_use]
    pub const fn with(self, mechanism: AuthMechanism) -> Self {
        Self(self.0 | mechanism.bit())
    }

    /// Whether a mechanism is among them.
    #[must_use]
    pub const fn contains(self, mechanism: AuthMechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in the order of the registry.
    pub fn iter(self) -> impl Iterator<Item = AuthMechanism> + Clone {
        AuthMechanism::ALL.into_iter().filter(move |&mechanism| self.contains(mechanism))
    }

    /// Reads ` PLAIN LOGIN` up to its CRLF, which is not taken: the mechanisms and how many octets they have. Only for lists of known names
    /// with one space before each, and with more of the input behind; `None` says nothing about others.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut known = Self::default();
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            match rest.split_first_chunk::<1>()? {
                (b" ", word) => {
                    let window = Window::new(word.first_chunk()?);
                    let (mechanism, length) = AuthMechanism::at_start(&window, |byte| matches!(byte, b' ' | b'\r'))?;
                    known = known.with(mechanism);
                    at += 1 + length;
                }
                (b"\r", [b'\n', ..]) if at > 0 => return Some((known, at)),
                _ => return None,
            }
        }
    }
}

impl FromIterator<AuthMechanism> for AuthMechanisms {
    fn from_iter<I: IntoIterator<Item = AuthMechanism>>(mechanisms: I) -> Self {
        mechanisms.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for AuthMechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use ehlo_codes::SaslMechanism;

    #[test]
    fn they_are_those_of_the_registry_in_its_order() {
        assert!(AuthMechanism::ALL.iter().map(|m| m.name()).eq(SaslMechanism::ALL.iter().map(|row| row.name)));
    }

    #[test]
    fn a_name_is_known_in_any_case_and_only_whole() {
        for mechanism in AuthMechanism::ALL {
            let name = mechanism.to_string();
            assert_eq!(AuthMechanism::parse(&name), Some(mechanism));
            assert_eq!(AuthMechanism::parse(&name.to_ascii_lowercase()), Some(mechanism));
            assert_eq!(AuthMechanism::parse(&name[1..]), None);
            assert_eq!(AuthMechanism::parse(&name[..name.len() - 1]), None);
            for more in ["X", "-", "\0", "-PLUSX", " ", "-AND-MORE-THAN-A-WINDOW-HAS"] {
                assert_eq!(AuthMechanism::parse(&[&name, more].concat()), None, "{name}{more}");
            }
        }
        assert_eq!(AuthMechanism::parse(""), None);
    }

    #[test]
    fn a_list_that_is_read_at_once_is_the_same_as_its_words() {
        let behind = "\r\n250 HELP and enough behind it for any window";
        for a in AuthMechanism::ALL {
            for b in AuthMechanism::ALL {
                let list = [" ", a.name(), " ", &b.name().to_ascii_lowercase()].concat();
                let read = AuthMechanisms::read([&list, behind].concat().as_bytes());
                assert_eq!(read, Some((AuthMechanisms::of(Words::spaced(&list)), list.len())));
                assert!(read.is_some_and(|(known, _)| known.contains(a) && known.contains(b)));
            }
        }
        for list in
            ["", " ", "  PLAIN", " PLAIN ", " PLAIN  LOGIN", "\tPLAIN", " PLAIN X", " PLAINX", " PLAIN\rX", "=PLAIN"]
        {
            assert_eq!(AuthMechanisms::read([list, behind].concat().as_bytes()), None, "{list:?}");
        }
        assert_eq!(AuthMechanisms::read(b" PLAIN\r\n"), None);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: AuthMechanisms = [AuthMechanism::Ntlm, AuthMechanism::Plain].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [AuthMechanism::Plain, AuthMechanism::Ntlm]);
        assert!(!set.is_empty() && AuthMechanisms::default().is_empty());
    }
}
