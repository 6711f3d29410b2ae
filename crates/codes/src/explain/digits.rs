//! The digits of a reply code, one by one: RFC 5321 §4.2.1.

use crate::ReplyCode;

/// One digit of a reply code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digit {
    /// Its value, 0 to 9.
    pub value: u8,
    /// What it tells, as a sentence.
    pub meaning: &'static str,
    /// Whether the standard gives this digit a meaning at this place.
    pub defined: bool,
}

/// The three digits of a reply code (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digits {
    /// Good, bad or incomplete.
    pub first: Digit,
    /// The category.
    pub second: Digit,
    /// The finest gradation.
    pub third: Digit,
}

impl Digits {
    /// The digits of a code.
    #[must_use]
    pub fn of(code: ReplyCode) -> Self {
        let [first, second, third] = code.digits().map(|digit| digit - b'0');
        Self { first: at_first(first), second: at_second(second), third: at_third(third, code.info().is_some()) }
    }

    /// From the left.
    pub fn iter(self) -> impl Iterator<Item = Digit> {
        [self.first, self.second, self.third].into_iter()
    }
}

const fn at_first(value: u8) -> Digit {
    let (meaning, defined) = match value {
        1 => ("Preliminary: FTP has such replies, SMTP has none.", false),
        2 => ("Success: the command was done.", true),
        3 => ("Intermediate: agreed so far, the server waits for the rest.", true),
        4 => ("Transient failure: not done now; the same may succeed later.", true),
        5 => ("Permanent failure: not done; the same will fail again.", true),
        _ => ("Not defined: no SMTP reply begins with it.", false),
    };
    Digit { value, meaning, defined }
}

const fn at_second(value: u8) -> Digit {
    let (meaning, defined) = match value {
        0 => ("Syntax: malformed, unknown or superfluous commands.", true),
        1 => ("Information: status or help.", true),
        2 => ("Connection: about the channel between the two hosts.", true),
        3 => ("Unspecified in SMTP; the authentication extension uses it.", true),
        4 => ("Unspecified.", true),
        5 => ("Mail system: about the mail action or the receiving system.", true),
        _ => ("Not defined: the grammar of replies ends at 5.", false),
    };
    Digit { value, meaning, defined }
}

const fn at_third(value: u8, registered: bool) -> Digit {
    let meaning = if registered {
        "Tells this code from others of its category."
    } else {
        "Would tell this code from others of its category; not registered."
    };
    Digit { value, meaning, defined: registered }
}
