//! The parameters of RCPT.

use super::known::{Known, Table, ends, params};
use super::value::{Notify, OriginalRecipient, RecipientValidSince};
use super::{Param, ParamFault, Params, Visit, scan};
use crate::XText;
use crate::text::{Charset, four};
use core::fmt;

const NOTIFY: u8 = 0;
const ORCPT: u8 = 1;
const RRVS: u8 = 2;
const CONNEG: u8 = 3;
const ALT_ADDRESS: u8 = 4;

struct RcptTable;

impl Table for RcptTable {
    const KEYWORDS: &[&str] = &["NOTIFY", "ORCPT", "RRVS", "CONNEG", "ALT-ADDRESS"];

    #[inline(always)]
    fn number(keyword: &[u8]) -> Option<u8> {
        const NOTI: u32 = four(b"NOTI");
        const RRVS_: u32 = four(b"RRVS");
        let (word, rest) = keyword.split_first_chunk()?;
        match (four(word), rest) {
            (NOTI, [b'f' | b'F', b'y' | b'Y']) => Some(NOTIFY),
            (RRVS_, []) => Some(RRVS),
            _ => longer(keyword),
        }
    }

    #[inline(always)]
    fn is_valid(number: u8, value: Option<&[u8]>, charset: Charset) -> bool {
        match (number, value) {
            (NOTIFY, Some(list)) => Notify::from_bytes(list).is_some(),
            _ => rarely_valid(number, value, charset),
        }
    }
}

fn longer(keyword: &[u8]) -> Option<u8> {
    let same = |name: &&str| name.as_bytes().eq_ignore_ascii_case(keyword);
    RcptTable::KEYWORDS.iter().position(same).map(|number| number as u8)
}

#[cold]
fn rarely_valid(number: u8, value: Option<&[u8]>, charset: Charset) -> bool {
    let Some(value) = value else { return number == CONNEG };
    let Ok(value) = core::str::from_utf8(value) else { return false };
    match number {
        ORCPT => OriginalRecipient::with(value, charset).is_some(),
        RRVS => RecipientValidSince::parse(value).is_some(),
        ALT_ADDRESS => XText::with(value, charset).is_some(),
        _ => false,
    }
}

/// The parameters of RCPT: checked by the grammar of their extensions, unknown ones kept.
///
/// Whether an extension was offered is not known here: a server that did not offer it answers 555 (RFC 5321 §4.1.1.11).
///
/// ```
/// use ehlo_codec::{Notify, RcptParams};
///
/// let params = RcptParams::parse("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.com")?;
/// assert_eq!(params.notify(), Some(Notify::SUCCESS | Notify::FAILURE));
/// assert_eq!(params.orcpt().map(|o| o.address.as_str()), Some("Bob@example.com"));
/// # Ok::<(), ehlo_codec::ParamFault>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RcptParams<'a> {
    known: Known<'a>,
    notify: Notify,
}

params!(RcptParams, RcptParam, RcptTable, "RCPT");

impl<'a> RcptParams<'a> {
    /// Most octets of an ORCPT value (RFC 3461 §4.2).
    pub const MAX_ORCPT: usize = 500;

    const fn new(bytes: &'a [u8]) -> Self {
        Self { known: Known::new(bytes), notify: Notify::NEVER }
    }

    /// NOTIFY; whatever else is left to the tables.
    #[inline(always)]
    fn usual_at(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let ([n, o, t, i, f, y, b'='], value) = bytes.get(at..)?.split_first_chunk::<7>()? else { return None };
        if four(&[*n, *o, *t, *i]) != four(b"NOTI") || (f | 0x20, y | 0x20) != (b'f', b'y') || self.known.has(NOTIFY) {
            return None;
        }
        let (notify, length) = Notify::prefix(value)?;
        if !ends(value, length) {
            return None;
        }
        self.notify = notify;
        self.known.seen |= 1 << NOTIFY;
        Some(at + 7 + length)
    }

    /// Keeps the value of NOTIFY, which was found to be valid, when it is not written in the usual way.
    fn keep(&mut self, keyword: &[u8], value: &[u8]) {
        if let (Some(NOTIFY), Some(notify)) = (RcptTable::number(keyword), Notify::from_bytes(value)) {
            self.notify = notify;
        }
    }

    /// NOTIFY: when a report is wanted (RFC 3461 §4.1).
    #[must_use]
    pub const fn notify(&self) -> Option<Notify> {
        if self.known.has(NOTIFY) { Some(self.notify) } else { None }
    }

    /// ORCPT: the address as the sender wrote it (RFC 3461 §4.2).
    #[must_use]
    pub fn orcpt(&self) -> Option<OriginalRecipient<'a>> {
        self.known.value::<RcptTable>(ORCPT).and_then(OriginalRecipient::parse)
    }

    /// RRVS: since when the mailbox must have had its owner (RFC 7293 §3.1).
    #[must_use]
    pub fn valid_since(&self) -> Option<RecipientValidSince> {
        self.known.value::<RcptTable>(RRVS).and_then(RecipientValidSince::parse)
    }

    /// CONNEG: asks what content the recipient's device can take (RFC 4141 §5.1).
    #[must_use]
    pub const fn content_negotiation(&self) -> bool {
        self.known.has(CONNEG)
    }

    /// ALT-ADDRESS: an ASCII address to fall back to, of the experiment that SMTPUTF8 replaced (RFC 5336 §3.4).
    #[must_use]
    pub fn alt_address(&self) -> Option<XText<'a>> {
        self.known.value::<RcptTable>(ALT_ADDRESS).and_then(XText::parse)
    }
}

/// One parameter of RCPT, as what it means. `Display` writes it as it stands in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RcptParam<'a> {
    /// When a report is wanted (RFC 3461 §4.1).
    Notify(Notify),
    /// The address as the sender wrote it (RFC 3461 §4.2).
    OriginalRecipient(OriginalRecipient<'a>),
    /// Since when the mailbox must have had its owner (RFC 7293 §3.1).
    ValidSince(RecipientValidSince),
    /// Asks what content the recipient's device can take (RFC 4141 §5.1).
    ContentNegotiation,
    /// An ASCII address to fall back to (RFC 5336 §3.4).
    AltAddress(XText<'a>),
    /// Any other.
    Other(Param<'a>),
}

impl<'a> From<Param<'a>> for RcptParam<'a> {
    /// What does not fit the grammar of its keyword stays [`Other`](Self::Other).
    fn from(param: Param<'a>) -> Self {
        typed(param).unwrap_or(Self::Other(param))
    }
}

fn typed(param: Param<'_>) -> Option<RcptParam<'_>> {
    let number = RcptTable::number(param.keyword.as_bytes())?;
    if !RcptTable::is_valid(number, param.value.map(str::as_bytes), Charset::Utf8) {
        return None;
    }
    let text = param.value.unwrap_or_default();
    Some(match number {
        NOTIFY => RcptParam::Notify(Notify::parse(text)?),
        ORCPT => RcptParam::OriginalRecipient(OriginalRecipient::parse(text)?),
        RRVS => RcptParam::ValidSince(RecipientValidSince::parse(text)?),
        CONNEG => RcptParam::ContentNegotiation,
        ALT_ADDRESS => RcptParam::AltAddress(XText::parse(text)?),
        _ => return None,
    })
}

impl fmt::Display for RcptParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notify(notify) => write!(f, "NOTIFY={notify}"),
            Self::OriginalRecipient(address) => write!(f, "ORCPT={address}"),
            Self::ValidSince(since) => write!(f, "RRVS={since}"),
            Self::ContentNegotiation => f.write_str("CONNEG"),
            Self::AltAddress(address) => write!(f, "ALT-ADDRESS={address}"),
            Self::Other(param) => param.fmt(f),
        }
    }
}
