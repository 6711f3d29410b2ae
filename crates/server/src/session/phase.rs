//! Where a session stands, and what it has asked.

use super::overriding::Spot;
use crate::event::CloseReason;
use crate::table::State;
use ehlo_codec::Reply;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The application has yet to say whether there is a greeting.
    Connecting,
    Command(State),
    /// An AUTH exchange is under way: the client's next line is a response (RFC 4954 §4).
    Authenticating,
    /// The driver is to do a TLS handshake, once the output is written.
    Handshaking,
    /// A message, or a chunk of one, is coming.
    Body,
    /// The rest of a message or chunk that was refused is coming; its reply waits for the true end. There may be none to give.
    Refusing(Option<Reply>),
    /// A message is complete, and the application has to say that it is safe.
    Committing,
    /// The last reply is on its way.
    Closing(CloseReason),
    Closed,
}

/// An open question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) sequence: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Hello { extended: bool },
    Mail,
    Rcpt,
    Data,
    Commit,
    Vrfy,
    Expn,
    Etrn,
    Auth,
    Override(Spot),
}

/// The argument that a question is about: kept as text, read again when somebody looks.
#[derive(Clone, Default)]
pub(super) struct Subject(pub(super) Vec<u8>);

impl std::fmt::Debug for Subject {
    /// Not what the peer has said: it may be a credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({} octets)", self.0.len())
    }
}
