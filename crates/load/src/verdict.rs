//! Whether the figures of a run can be believed.

use std::fmt;

/// What the figures of a run are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing speaks against them.
    Valid,
    /// Something may have distorted them; the reasons say what.
    Suspect,
    /// They say more about the generator or the machine than about the server.
    Invalid,
}

impl Status {
    /// `VALID`, `SUSPECT` or `INVALID`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
            Self::Invalid => "INVALID",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How bad it is by itself. `Valid` is a remark.
    pub status: Status,
    /// A sentence with its figures.
    pub text: String,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of the reasons.
    pub status: Status,
    /// What was found, the worst first.
    pub reasons: Vec<Reason>,
}
