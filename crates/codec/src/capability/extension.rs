//! The service extensions of the registry (RFC 5321 §2.2).

use super::keyword::{self, Compare, Found};
use super::pattern::{WINDOW, Window};
use core::fmt;

macro_rules! extensions {
    ($($(#[$doc:meta])* $variant:ident = $keyword:literal,)*) => {
        /// A service extension of the registry, [`ServiceExtension`](ehlo_codes::ServiceExtension), in its order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Extension {
            $($(#[$doc])* $variant,)*
        }

        impl Extension {
            /// All of them, those in wide use first.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// Its keyword in the EHLO reply.
            #[must_use]
            pub const fn keyword(self) -> &'static str {
                match self {
                    $(Self::$variant => $keyword,)*
                }
            }

            /// Compares with the only one whose keyword has this key.
            #[inline(always)]
            pub(super) const fn visit_key<const CRLF: bool>(key: u32, compare: Compare<'_, CRLF>) -> Option<Found> {
                $(
                    if key == const { keyword::key_of($keyword) } {
                        return compare.with::<{ Self::$variant as usize }>();
                    }
                )*
                None
            }
        }
    };
}

extensions! {
    /// Commands may be sent in a batch (RFC 2920).
    Pipelining = "PIPELINING",
    /// The size of a message is declared, and its limit (RFC 1870).
    Size = "SIZE",
    /// Octets above 127 in a body (RFC 6152).
    EightBitMime = "8BITMIME",
    /// The sender chooses which delivery reports to get (RFC 3461).
    Dsn = "DSN",
    /// Replies carry enhanced status codes (RFC 2034).
    EnhancedStatusCodes = "ENHANCEDSTATUSCODES",
    /// The connection may go on inside TLS (RFC 3207).
    StartTls = "STARTTLS",
    /// The client may log in (RFC 4954).
    Auth = "AUTH",
    /// The message may be sent in counted chunks, with BDAT (RFC 3030 §2).
    Chunking = "CHUNKING",
    /// Any octets in a body, without lines (RFC 3030 §3).
    BinaryMime = "BINARYMIME",
    /// Addresses and headers in UTF-8 (RFC 6531).
    SmtpUtf8 = "SMTPUTF8",
    /// A time within which a message is to be delivered (RFC 2852).
    DeliverBy = "DELIVERBY",
    /// The client may ask for the delivery of what waits (RFC 1985).
    Etrn = "ETRN",
    /// The roles may be reversed after a log-in (RFC 2645).
    Atrn = "ATRN",
    /// The server fetches parts of a message from a URL (RFC 4468).
    Burl = "BURL",
    /// A message is held until a time (RFC 4865).
    FutureRelease = "FUTURERELEASE",
    /// Messages have priorities (RFC 6710).
    MtPriority = "MT-PRIORITY",
    /// Messages can be tracked (RFC 3885).
    Mtrk = "MTRK",
    /// Solicitations are not wanted (RFC 3865).
    NoSoliciting = "NO-SOLICITING",
    /// Delivery only if the mailbox has had its owner since a date (RFC 7293).
    Rrvs = "RRVS",
    /// The message travels under verified TLS only (RFC 8689).
    RequireTls = "REQUIRETLS",
    /// Limits of the session (RFC 9422).
    Limits = "LIMITS",
    /// The sender may permit conversions of the content (RFC 4141 §4).
    ConPerm = "CONPERM",
    /// The reply to RCPT tells which content can be taken (RFC 4141 §5).
    ConNeg = "CONNEG",
    /// MAIL tells who is responsible for the submission (RFC 4405); obsolete.
    Submitter = "SUBMITTER",
    /// An interrupted transaction goes on where it stopped (RFC 1845); experimental.
    Checkpoint = "CHECKPOINT",
    /// Addresses in UTF-8, the experiment before SMTPUTF8 (RFC 5336); obsolete.
    Utf8Smtp = "UTF8SMTP",
    /// The server does EXPN (RFC 5321 §4.1.1.7).
    Expn = "EXPN",
    /// The server does HELP (RFC 5321 §4.1.1.8).
    Help = "HELP",
    /// The server does SEND (RFC 821 §3.4); obsolete.
    Send = "SEND",
    /// The server does SOML (RFC 821 §3.4); obsolete.
    Soml = "SOML",
    /// The server does SAML (RFC 821 §3.4); obsolete.
    Saml = "SAML",
    /// The server reverses roles without a log-in (RFC 821 §3.8); obsolete.
    Turn = "TURN",
    /// The server tells details between replies; no RFC.
    Verb = "VERB",
    /// The client sends one message only; no RFC.
    Onex = "ONEX",
    /// After the message one reply for each recipient (draft-hall-prdr); no RFC.
    Prdr = "PRDR",
    /// A trusted proxy tells who the client is (Postfix); no RFC.
    XClient = "XCLIENT",
    /// A trusted filter tells who the client was (Postfix); no RFC.
    XForward = "XFORWARD",
}

// A set of them is the bits of one word.
const _: () = assert!(Extension::ALL.len() <= u64::BITS as usize);

impl Extension {
    /// The extension with this keyword, in any case (RFC 5321 §2.4).
    #[must_use]
    pub fn parse(keyword: &str) -> Option<Self> {
        if keyword.len() >= WINDOW {
            return None;
        }
        let found = keyword::find::<true>(&Window::of(keyword.as_bytes()))?;
        (usize::from(found.length) == keyword.len()).then_some(found.extension)
    }

    /// Its place in a set.
    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use ehlo_codes::ServiceExtension;

    #[test]
    fn they_are_those_of_the_registry_in_its_order() {
        assert!(Extension::ALL.iter().map(|e| e.keyword()).eq(ServiceExtension::ALL.iter().map(|row| row.keyword)));
    }

    #[test]
    fn a_keyword_is_known_in_any_case_and_only_whole() {
        for extension in Extension::ALL {
            let keyword = extension.to_string();
            assert_eq!(Extension::parse(&keyword), Some(extension));
            assert_eq!(Extension::parse(&keyword.to_ascii_lowercase()), Some(extension));
            assert_eq!(Extension::parse(&keyword[1..]), None);
            for more in ["X", "\0", "\r\n", "-AND-MORE-THAN-A-WINDOW-HAS"] {
                assert_eq!(Extension::parse(&[&keyword, more].concat()), None);
            }
        }
    }
}
