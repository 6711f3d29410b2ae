//! Who can do what about a reply.

use core::fmt;

/// What each party can do about a reply. `None`: nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// Who can most likely do something: where to begin.
    pub first: Party,
    /// For the person who sends the message.
    pub sender: Option<&'static str>,
    /// For the person to whom it goes.
    pub recipient: Option<&'static str>,
    /// For whoever runs a mail system on the way; the text says on which side, where it matters.
    pub postmaster: Option<&'static str>,
}

impl Advice {
    /// What this party can do; always `None` for [`Party::Nobody`].
    #[must_use]
    pub const fn of(&self, party: Party) -> Option<&'static str> {
        match party {
            Party::Sender => self.sender,
            Party::Recipient => self.recipient,
            Party::Postmaster => self.postmaster,
            Party::Nobody => None,
        }
    }
}

/// Who can do something about a reply.
///
/// Exhaustive on purpose: a message has these parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The person who sends the message.
    Sender,
    /// The person to whom it goes.
    Recipient,
    /// Whoever runs a mail system: that of the sender, that of the recipient, or one between.
    Postmaster,
    /// Nobody needs to: it worked, or it passes by itself.
    Nobody,
}

impl Party {
    /// One lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Postmaster => "postmaster",
            Self::Nobody => "nobody",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
