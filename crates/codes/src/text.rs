//! What the text of a reply carries for the client.

/// What the text of a reply carries for the client; mostly it is for people (RFC 5321 §4.2.1).
///
/// Extensions may add kinds, hence `non_exhaustive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplyText {
    /// Nothing: it is for people.
    Free,
    /// It begins with the name of the server, a domain or an address literal (RFC 5321 §4.2).
    Domain,
    /// The first line begins with the name of the server; each other one is a keyword with its parameter (RFC 5321 §4.1.1.1).
    Capabilities,
    /// A forward-path in angle brackets: where the mailbox is (RFC 5321 §3.4).
    ForwardPath,
    /// A mailbox, mostly in angle brackets; with several lines, one on each (RFC 5321 §3.5.1).
    Mailbox,
    /// Base64 and nothing else, possibly empty (RFC 4954 §4).
    Challenge,
    /// A number of octets (RFC 1845 §3).
    Offset,
}

impl ReplyText {
    /// Whether the text of a line, without code, enhanced code and line end, carries what it should. Of [`Domain`](Self::Domain) and
    /// [`Capabilities`](Self::Capabilities) only the first line has it.
    ///
    /// Not a parser: it says "no" only where what is needed is certainly missing.
    ///
    /// ```
    /// use ehlo_codes::ReplyText;
    /// assert!(ReplyText::ForwardPath.is_in(b"User not local; please try <ada@example.org>"));
    /// assert!(!ReplyText::ForwardPath.is_in(b"we do not relay"));
    /// ```
    #[must_use]
    pub fn is_in(self, text: &[u8]) -> bool {
        match self {
            Self::Free => true,
            Self::Domain | Self::Capabilities => {
                text.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'[' || *byte >= 0x80)
            }
            Self::ForwardPath => path(text),
            Self::Mailbox => text.contains(&b'@'),
            Self::Challenge => text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)),
            Self::Offset => text.first().is_some_and(u8::is_ascii_digit),
        }
    }

    /// A few words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "a text for people",
            Self::Domain => "the name of the server",
            Self::Capabilities => "the name of the server, then a keyword on each line",
            Self::ForwardPath => "a forward-path",
            Self::Mailbox => "a mailbox",
            Self::Challenge => "a challenge in base64",
            Self::Offset => "an offset in octets",
        }
    }
}

/// Whether there is a `<`, and behind it an `@` and a `>`.
fn path(text: &[u8]) -> bool {
    let Some(open) = text.iter().position(|byte| *byte == b'<') else { return false };
    let rest = &text[open..];
    rest.iter().position(|byte| *byte == b'@').is_some_and(|at| rest[at..].contains(&b'>'))
}
