//! The error of the `FromStr` implementations.

use core::fmt;

/// A text is not a reply code or not an enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseCodeError {
    pub(crate) expected: Expected,
}

/// What the text should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Expected {
    Reply,
    Enhanced,
    Status,
}

impl fmt::Display for ParseCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.expected {
            Expected::Reply => "not a reply code: expected three digits from 100 to 999",
            Expected::Enhanced => {
                "not an enhanced status code: expected three numbers from 0 to 999 without leading zeros, joined by dots"
            }
            Expected::Status => "not a subject and detail: expected X and two numbers from 0 to 999, joined by dots",
        })
    }
}

impl core::error::Error for ParseCodeError {}
