//! The parameters of MAIL.

use super::known::{Known, Table, ends, params};
use super::value::{self, BodyType, DeliverBy, Expiry, Priority, Return, Tracking};
use super::{Param, ParamFault, Params, Visit, scan};
use crate::text::{Charset, four};
use crate::{Mailbox, Timestamp, XText};
use core::fmt;

const SIZE: u8 = 0;
const BODY: u8 = 1;
const RET: u8 = 2;
const ENVID: u8 = 3;
const AUTH: u8 = 4;
const SMTPUTF8: u8 = 5;
const BY: u8 = 6;
const HOLDFOR: u8 = 7;
const HOLDUNTIL: u8 = 8;
const MT_PRIORITY: u8 = 9;
const MTRK: u8 = 10;
const SOLICIT: u8 = 11;
const REQUIRETLS: u8 = 12;
const CONPERM: u8 = 13;
const SUBMITTER: u8 = 14;
const TRANSID: u8 = 15;
const ALT_ADDRESS: u8 = 16;
const PRDR: u8 = 17;

struct MailTable;

impl Table for MailTable {
    const KEYWORDS: &[&str] = &[
        "SIZE",
        "BODY",
        "RET",
        "ENVID",
        "AUTH",
        "SMTPUTF8",
        "BY",
        "HOLDFOR",
        "HOLDUNTIL",
        "MT-PRIORITY",
        "MTRK",
        "SOLICIT",
        "REQUIRETLS",
        "CONPERM",
        "SUBMITTER",
        "TRANSID",
        "ALT-ADDRESS",
        "PRDR",
    ];

    #[inline(always)]
    fn number(keyword: &[u8]) -> Option<u8> {
        const SIZE_: u32 = four(b"SIZE");
        const BODY_: u32 = four(b"BODY");
        const AUTH_: u32 = four(b"AUTH");
        const MTRK_: u32 = four(b"MTRK");
        const PRDR_: u32 = four(b"PRDR");
        if let Ok(word) = keyword.try_into() {
            return match four(word) {
                SIZE_ => Some(SIZE),
                BODY_ => Some(BODY),
                AUTH_ => Some(AUTH),
                MTRK_ => Some(MTRK),
                PRDR_ => Some(PRDR),
                _ => None,
            };
        }
        longer(keyword)
    }

    #[inline(always)]
    fn is_valid(number: u8, value: Option<&[u8]>, charset: Charset) -> bool {
        match (number, value) {
            (SIZE, Some(digits)) => octets(digits).is_some(),
            (BODY, Some(kind)) => BodyType::from_bytes(kind).is_some(),
            _ => rarely_valid(number, value, charset),
        }
    }
}

fn longer(keyword: &[u8]) -> Option<u8> {
    let same = |name: &&str| name.as_bytes().eq_ignore_ascii_case(keyword);
    MailTable::KEYWORDS.iter().position(same).map(|number| number as u8)
}

#[cold]
fn rarely_valid(number: u8, value: Option<&[u8]>, charset: Charset) -> bool {
    let Some(value) = value else {
        return matches!(number, SMTPUTF8 | REQUIRETLS | CONPERM | PRDR);
    };
    let Ok(value) = core::str::from_utf8(value) else { return false };
    match number {
        RET => Return::parse(value).is_some(),
        ENVID => {
            value.len() <= MailParams::MAX_ENVID && XText::with(value, Charset::Ascii).is_some_and(XText::is_printable)
        }
        AUTH | ALT_ADDRESS | SUBMITTER => XText::with(value, charset).is_some(),
        BY => DeliverBy::parse(value).is_some(),
        HOLDFOR => value::seconds(value).is_some_and(|s| s > 0 && !value.starts_with('0')),
        // In UTC (RFC 4865 §3).
        HOLDUNTIL => value.ends_with(['Z', 'z']) && Timestamp::parse(value).is_ok(),
        MT_PRIORITY => Priority::parse(value).is_some(),
        MTRK => Tracking::parse(value).is_some(),
        SOLICIT => value::is_solicitation(value),
        TRANSID => value::is_transaction_id(value),
        _ => false,
    }
}

/// The parameters of MAIL: checked by the grammar of their extensions, unknown ones kept.
///
/// Whether an extension was offered is not known here: a server that did not offer it answers 555 (RFC 5321 §4.1.1.11).
///
/// ```
/// use ehlo_codec::{BodyType, MailParams};
///
/// let params = MailParams::parse("SIZE=12345 BODY=8BITMIME X-NEW=1")?;
/// assert_eq!(params.size(), Some(12345));
/// assert_eq!(params.body(), Some(BodyType::EightBitMime));
/// assert!(!params.require_tls());
/// assert_eq!(params.unknown().next().map(|p| p.keyword), Some("X-NEW"));
/// # Ok::<(), ehlo_codec::ParamFault>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailParams<'a> {
    known: Known<'a>,
    /// SIZE and BODY come with nearly every message.
    size: u64,
    body: BodyType,
}

params!(MailParams, MailParam, MailTable, "MAIL");

/// `1*20DIGIT` (RFC 1870 §4).
fn octets(digits: &[u8]) -> Option<u64> {
    let value = |n: u64, digit: &u8| n.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')));
    let fits = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, value))
}

impl<'a> MailParams<'a> {
    /// Most octets of an ENVID value (RFC 3461 §4.4).
    pub const MAX_ENVID: usize = 100;

    const fn new(bytes: &'a [u8]) -> Self {
        Self { known: Known::new(bytes), size: 0, body: BodyType::SevenBit }
    }

    /// SIZE and BODY as nearly every client writes them; whatever else is left to the tables.
    #[inline(always)]
    fn usual_at(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        const SIZE_: u32 = four(b"SIZE");
        const BODY_: u32 = four(b"BODY");
        let ([s, i, z, e, b'='], value) = bytes.get(at..)?.split_first_chunk::<5>()? else { return None };
        match four(&[*s, *i, *z, *e]) {
            SIZE_ if !self.known.has(SIZE) => {
                let mut length = 0;
                let mut size = 0;
                // Up to nineteen digits cannot overflow.
                while let Some(digit @ b'0'..=b'9') = value.get(length)
                    && length < 19
                {
                    size = size * 10 + u64::from(digit - b'0');
                    length += 1;
                }
                if length == 0 || !ends(value, length) {
                    return None;
                }
                self.size = size;
                self.known.seen |= 1 << SIZE;
                Some(at + 5 + length)
            }
            BODY_ if !self.known.has(BODY) => {
                // The digit has no other case; a letter has.
                let word = u64::from_be_bytes(*value.first_chunk()?) | 0x0020_2020_2020_2020;
                if word != u64::from_be_bytes(*b"8bitmime") || !ends(value, 8) {
                    return None;
                }
                self.body = BodyType::EightBitMime;
                self.known.seen |= 1 << BODY;
                Some(at + 13)
            }
            _ => None,
        }
    }

    /// Keeps the value of SIZE or BODY, which was found to be valid, when it is not written in the usual way.
    fn keep(&mut self, keyword: &[u8], value: &[u8]) {
        match MailTable::number(keyword) {
            Some(SIZE) => self.size = octets(value).unwrap_or(u64::MAX),
            Some(BODY) => self.body = BodyType::from_bytes(value).unwrap_or_default(),
            _ => {}
        }
    }

    /// SIZE: the octets of the message, as far as the client knows (RFC 1870 §6). A number of up to twenty digits that is beyond 64 bits is
    /// `u64::MAX`, larger than any limit.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        if self.known.has(SIZE) { Some(self.size) } else { None }
    }

    /// BODY: what the body may hold (RFC 6152 §2, RFC 3030 §3).
    #[must_use]
    pub const fn body(&self) -> Option<BodyType> {
        if self.known.has(BODY) { Some(self.body) } else { None }
    }

    /// RET: what a failure report returns (RFC 3461 §4.3).
    #[must_use]
    pub fn ret(&self) -> Option<Return> {
        self.known.value::<MailTable>(RET).and_then(Return::parse)
    }

    /// ENVID: a name for the envelope, which reports repeat (RFC 3461 §4.4). What it decodes to is printable.
    #[must_use]
    pub fn envid(&self) -> Option<XText<'a>> {
        self.known.value::<MailTable>(ENVID).and_then(XText::parse)
    }

    /// AUTH: who submitted the message; `<>` when that is not known (RFC 4954 §5).
    #[must_use]
    pub fn auth(&self) -> Option<XText<'a>> {
        self.known.value::<MailTable>(AUTH).and_then(XText::parse)
    }

    /// SMTPUTF8: the message or its envelope needs UTF-8 (RFC 6531 §3.4).
    #[must_use]
    pub const fn smtputf8(&self) -> bool {
        self.known.has(SMTPUTF8)
    }

    /// BY: until when the message is to be delivered (RFC 2852 §4).
    #[must_use]
    pub fn by(&self) -> Option<DeliverBy> {
        self.known.value::<MailTable>(BY).and_then(DeliverBy::parse)
    }

    /// HOLDFOR: seconds for which the message is held, 1 to 999,999,999 (RFC 4865 §3). It excludes HOLDUNTIL.
    #[must_use]
    pub fn hold_for(&self) -> Option<u32> {
        self.known.value::<MailTable>(HOLDFOR).and_then(value::seconds)
    }

    /// HOLDUNTIL: until when the message is held, in UTC (RFC 4865 §3). It excludes HOLDFOR.
    #[must_use]
    pub fn hold_until(&self) -> Option<Timestamp> {
        self.known.value::<MailTable>(HOLDUNTIL).and_then(|v| Timestamp::parse(v).ok())
    }

    /// MT-PRIORITY: the priority (RFC 6710 §7).
    #[must_use]
    pub fn priority(&self) -> Option<Priority> {
        self.known.value::<MailTable>(MT_PRIORITY).and_then(Priority::parse)
    }

    /// MTRK: a proof for later questions (RFC 3885 §3.1).
    #[must_use]
    pub fn tracking(&self) -> Option<Tracking<'a>> {
        self.known.value::<MailTable>(MTRK).and_then(Tracking::parse)
    }

    /// SOLICIT: what kinds of solicitation the message is, without the commas between (RFC 3865 §2.3). Empty without the parameter.
    pub fn solicit(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.known.value::<MailTable>(SOLICIT).into_iter().flat_map(|v| v.split(','))
    }

    /// REQUIRETLS: verified TLS on each hop, or no delivery (RFC 8689 §2).
    #[must_use]
    pub const fn require_tls(&self) -> bool {
        self.known.has(REQUIRETLS)
    }

    /// CONPERM: conversions of the content are permitted (RFC 4141 §4.1).
    #[must_use]
    pub const fn conversion_permitted(&self) -> bool {
        self.known.has(CONPERM)
    }

    /// SUBMITTER: whoever submitted the message, as `xtext` of a mailbox (RFC 4405 §4.1).
    #[must_use]
    pub fn submitter(&self) -> Option<XText<'a>> {
        self.known.value::<MailTable>(SUBMITTER).and_then(XText::parse)
    }

    /// TRANSID: a name for the transaction, with its brackets (RFC 1845 §2).
    #[must_use]
    pub fn transaction_id(&self) -> Option<&'a str> {
        self.known.value::<MailTable>(TRANSID)
    }

    /// ALT-ADDRESS: an ASCII address to fall back to, of the experiment that SMTPUTF8 replaced (RFC 5336 §3.4).
    #[must_use]
    pub fn alt_address(&self) -> Option<XText<'a>> {
        self.known.value::<MailTable>(ALT_ADDRESS).and_then(XText::parse)
    }

    /// PRDR: asks for a reply per recipient behind the message. Not standardised.
    #[must_use]
    pub const fn per_recipient_replies(&self) -> bool {
        self.known.has(PRDR)
    }
}

/// One parameter of MAIL, as what it means. `Display` writes it as it stands in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MailParam<'a> {
    /// The octets of the message (RFC 1870 §6).
    Size(u64),
    /// What the body may hold (RFC 6152 §2, RFC 3030 §3).
    Body(BodyType),
    /// What a failure report returns (RFC 3461 §4.3).
    Ret(Return),
    /// A name for the envelope (RFC 3461 §4.4).
    Envid(XText<'a>),
    /// Who submitted the message, or `<>` (RFC 4954 §5).
    Auth(XText<'a>),
    /// The message or its envelope needs UTF-8 (RFC 6531 §3.4).
    SmtpUtf8,
    /// Until when the message is to be delivered (RFC 2852 §4).
    By(DeliverBy),
    /// For how long or until when the message is held (RFC 4865 §3).
    Hold(Expiry),
    /// Its priority (RFC 6710 §7).
    Priority(Priority),
    /// A proof for later questions (RFC 3885 §3.1).
    Tracking(Tracking<'a>),
    /// What kinds of solicitation the message is, with commas between (RFC 3865 §2.3).
    Solicit(&'a str),
    /// Verified TLS on each hop (RFC 8689 §2).
    RequireTls,
    /// Conversions of the content are permitted (RFC 4141 §4.1).
    ConversionPermitted,
    /// Whoever submitted the message (RFC 4405 §4.1).
    Submitter(XText<'a>),
    /// A name for the transaction, with its brackets (RFC 1845 §2).
    TransactionId(&'a str),
    /// An ASCII address to fall back to (RFC 5336 §3.4).
    AltAddress(XText<'a>),
    /// Asks for a reply per recipient behind the message.
    PerRecipientReplies,
    /// Any other.
    Other(Param<'a>),
}

impl<'a> From<Param<'a>> for MailParam<'a> {
    /// What does not fit the grammar of its keyword stays [`Other`](Self::Other).
    fn from(param: Param<'a>) -> Self {
        typed(param).unwrap_or(Self::Other(param))
    }
}

fn typed(param: Param<'_>) -> Option<MailParam<'_>> {
    let number = MailTable::number(param.keyword.as_bytes())?;
    if !MailTable::is_valid(number, param.value.map(str::as_bytes), Charset::Utf8) {
        return None;
    }
    let text = param.value.unwrap_or_default();
    Some(match number {
        SIZE => MailParam::Size(text.parse().unwrap_or(u64::MAX)),
        BODY => MailParam::Body(BodyType::parse(text)?),
        RET => MailParam::Ret(Return::parse(text)?),
        ENVID => MailParam::Envid(XText::parse(text)?),
        AUTH => MailParam::Auth(XText::parse(text)?),
        SMTPUTF8 => MailParam::SmtpUtf8,
        BY => MailParam::By(DeliverBy::parse(text)?),
        HOLDFOR => MailParam::Hold(Expiry::For(value::seconds(text)?)),
        HOLDUNTIL => MailParam::Hold(Expiry::Until(Timestamp::parse(text).ok()?)),
        MT_PRIORITY => MailParam::Priority(Priority::parse(text)?),
        MTRK => MailParam::Tracking(Tracking::parse(text)?),
        SOLICIT => MailParam::Solicit(text),
        REQUIRETLS => MailParam::RequireTls,
        CONPERM => MailParam::ConversionPermitted,
        SUBMITTER => MailParam::Submitter(XText::parse(text)?),
        TRANSID => MailParam::TransactionId(text),
        ALT_ADDRESS => MailParam::AltAddress(XText::parse(text)?),
        PRDR => MailParam::PerRecipientReplies,
        _ => return None,
    })
}

impl fmt::Display for MailParam<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(octets) => write!(f, "SIZE={octets}"),
            Self::Body(kind) => write!(f, "BODY={kind}"),
            Self::Ret(what) => write!(f, "RET={what}"),
            Self::Envid(id) => write!(f, "ENVID={id}"),
            Self::Auth(who) => write!(f, "AUTH={who}"),
            Self::SmtpUtf8 => f.write_str("SMTPUTF8"),
            Self::By(by) => write!(f, "BY={by}"),
            Self::Hold(Expiry::For(seconds)) => write!(f, "HOLDFOR={seconds}"),
            Self::Hold(Expiry::Until(time)) => write!(f, "HOLDUNTIL={time}"),
            Self::Priority(priority) => write!(f, "MT-PRIORITY={priority}"),
            Self::Tracking(tracking) => write!(f, "MTRK={tracking}"),
            Self::Solicit(keywords) => write!(f, "SOLICIT={keywords}"),
            Self::RequireTls => f.write_str("REQUIRETLS"),
            Self::ConversionPermitted => f.write_str("CONPERM"),
            Self::Submitter(who) => write!(f, "SUBMITTER={who}"),
            Self::TransactionId(id) => write!(f, "TRANSID={id}"),
            Self::AltAddress(address) => write!(f, "ALT-ADDRESS={address}"),
            Self::PerRecipientReplies => f.write_str("PRDR"),
            Self::Other(param) => param.fmt(f),
        }
    }
}

/// The address in an AUTH or SUBMITTER value, when it is one and needs no decoding.
impl<'a> XText<'a> {
    /// Whether it is `<>`, which says that the submitter is not known (RFC 4954 §5).
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self.as_str() == "<>"
    }

    /// The mailbox that it is, if nothing in it had to be encoded.
    #[must_use]
    pub fn plain_mailbox(self) -> Option<Mailbox<'a>> {
        if self.as_str().contains('+') { None } else { Mailbox::parse_utf8(self.as_str()).ok() }
    }
}
