//! What is worth knowing about a reply beyond its meaning.

use core::fmt;

use super::Explanation;
use super::read;
use crate::{EnhancedCode, Fault, ReplyCode};

/// Something worth knowing about a reply beyond its meaning.
///
/// More may be told later, hence `non_exhaustive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remark {
    /// Reply code and enhanced code disagree: the class is not the first digit.
    Mismatch(ReplyCode, EnhancedCode),
    /// Something else is wrong or unusual with the codes.
    Fault(Fault),
    /// The reply code is none that may be sent, and looks like this enhanced code without its dots, as old provider lists write it.
    DotsDropped(EnhancedCode),
    /// A later line of the reply has another code, which RFC 5321 §4.2.1 forbids.
    OtherReply(ReplyCode),
    /// A later line of the reply has another enhanced code, which RFC 2034 §4 forbids.
    OtherEnhanced(EnhancedCode),
    /// The enhanced code was not behind the reply code but somewhere in the text, so it may be a quotation.
    FromText(EnhancedCode),
    /// The reply is to be read as 452 (RFC 5321 §4.5.3.1.10).
    ReadAs452,
}

impl Remark {
    /// Whether an RFC forbids what it tells.
    #[must_use]
    pub const fn is_violation(self) -> bool {
        match self {
            Self::Mismatch(..) | Self::OtherReply(_) | Self::OtherEnhanced(_) => true,
            Self::Fault(fault) => fault.is_violation(),
            Self::DotsDropped(_) | Self::FromText(_) | Self::ReadAs452 => false,
        }
    }

    /// The RFC and section that says so, if one does.
    #[must_use]
    pub const fn reference(self) -> Option<&'static str> {
        match self {
            Self::Mismatch(..) | Self::OtherEnhanced(_) => Some("RFC 2034 §4"),
            Self::Fault(fault) => Some(fault.reference()),
            Self::OtherReply(_) => Some("RFC 5321 §4.2.1"),
            Self::ReadAs452 => Some("RFC 5321 §4.5.3.1.10"),
            Self::DotsDropped(_) | Self::FromText(_) => None,
        }
    }
}

/// A sentence without its dot.
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(reply, enhanced) => {
                let first = reply.get() / 100;
                write!(
                    f,
                    "{reply} and {enhanced} disagree: the class of the enhanced code must be {first}. A client goes by {reply}"
                )
            }
            Self::Fault(fault) => fault.fmt(f),
            Self::DotsDropped(code) => write!(f, "may stand for the enhanced code {code}, written without its dots"),
            Self::OtherReply(code) => write!(f, "a later line has the code {code}; all lines of a reply have the same"),
            Self::OtherEnhanced(code) => {
                write!(f, "a later line has the enhanced code {code}; all lines of a reply have the same")
            }
            Self::FromText(code) => write!(f, "{code} stands in the text, not where an enhanced code belongs"),
            Self::ReadAs452 => f.write_str("552 for too many recipients is to be read as 452: the rest may go later"),
        }
    }
}

pub(super) fn remarks<'t>(about: Explanation<'t>) -> impl Iterator<Item = Remark> + use<'t> {
    let (reply, enhanced) = (about.reply(), about.enhanced());
    let faults = about.faults();
    let mismatch = reply
        .zip(enhanced)
        .filter(|_| faults.contains(Fault::ClassDiffers))
        .map(|(reply, enhanced)| Remark::Mismatch(reply, enhanced));
    let dots = reply
        .filter(|_| enhanced.is_none_or(|code| code.info().is_none()))
        .filter(|code| code.info().is_none_or(|info| !info.standing.may_be_sent()))
        .and_then(undotted);
    let within = enhanced.filter(|_| about.reading.within);
    let other = read::other_lines(&about.reading);
    let as_452 = about.meaning().is_some_and(|meaning| meaning.retry == Some(true));
    [
        mismatch,
        as_452.then_some(Remark::ReadAs452),
        dots.map(Remark::DotsDropped),
        other.0.map(Remark::OtherReply),
        other.1.map(Remark::OtherEnhanced),
        within.map(Remark::FromText),
    ]
    .into_iter()
    .flatten()
    .chain(faults.iter().filter(|fault| *fault != Fault::ClassDiffers).map(Remark::Fault))
}

/// The registered enhanced code with these three digits as its numbers.
fn undotted(code: ReplyCode) -> Option<EnhancedCode> {
    let [class, subject, detail] = code.digits().map(|digit| u16::from(digit - b'0'));
    EnhancedCode::new(class, subject, detail).filter(|code| code.class_info().is_some() && code.info().is_some())
}
