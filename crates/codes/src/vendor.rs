//! What large providers mean by a code.

use crate::generated::vendor as tables;
use crate::{EnhancedCode, ReplyCode};

/// What a provider means by an enhanced code, or by a range of them. It may differ from what the registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VendorCode {
    /// Whose code it is.
    pub provider: &'static str,
    /// The basic code it comes with. `None`: any of its class.
    pub reply: Option<ReplyCode>,
    /// The code, or the first one of the range.
    pub code: EnhancedCode,
    /// The last detail of the range; that of `code` for a single one.
    pub last_detail: u16,
    /// What it means there.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The provider's list, or that the code was seen in replies.
    pub source: &'static str,
}

impl VendorCode {
    /// Every row, by rising code.
    pub const ALL: &'static [Self] = tables::VENDORS;

    /// The rows that tell about `code`. With `reply` those for another basic code are left out.
    ///
    /// ```
    /// use ehlo_codes::{EnhancedCode, ReplyCode, VendorCode};
    /// let code = EnhancedCode::literal(5, 7, 620);
    /// let row = VendorCode::find(code, None).next().unwrap();
    /// assert_eq!((row.provider, row.code, row.last_detail), ("Microsoft", EnhancedCode::literal(5, 7, 606), 649));
    /// let quota = EnhancedCode::literal(4, 2, 2);
    /// assert!(VendorCode::find(quota, Some(ReplyCode::literal(452))).any(|row| row.provider == "Google"));
    /// assert!(!VendorCode::find(quota, Some(ReplyCode::literal(421))).any(|row| row.provider == "Google"));
    /// ```
    pub fn find(code: EnhancedCode, reply: Option<ReplyCode>) -> impl Iterator<Item = &'static Self> + Clone {
        Self::ALL
            .iter()
            .filter(move |row| row.covers(code) && reply.is_none_or(|reply| row.reply.is_none_or(|own| own == reply)))
    }

    /// Whether the row is about this code.
    #[must_use]
    pub const fn covers(&self, code: EnhancedCode) -> bool {
        self.code.class() == code.class()
            && self.code.subject() == code.subject()
            && self.code.detail() <= code.detail()
            && code.detail() <= self.last_detail
    }

    /// Whether it is a range of codes.
    #[must_use]
    pub const fn is_range(&self) -> bool {
        self.code.detail() != self.last_detail
    }
}
