//! Whether a reply is legal where it comes, and what is wrong with it.

use core::fmt;

use crate::{EnhancedCode, ReplyClass, ReplyCode, ReplyText, Stage, Verb};

/// Something wrong with a reply, or worth a look.
///
/// More may be told apart later, hence `non_exhaustive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Fault {
    /// The first digit is none of 2 to 5, which a server must not send (RFC 5321 §4.3.2).
    NoSmtpReply,
    /// The reply code is not registered; the client goes by its first digit (RFC 5321 §4.3.2).
    UnregisteredReply,
    /// The reply code stands in the registry, but is not to be sent: obsolete, nonstandard, or defined nowhere.
    NotToBeSent,
    /// No RFC has this reply at this stage (RFC 5321 §4.3.2). Clients must bear it.
    NotAtThisStage,
    /// The class of the enhanced code differs from the first digit of the reply (RFC 2034 §4).
    ClassDiffers,
    /// A reply that carries no enhanced code has one: 3yz, the greeting, an answer to HELO, EHLO or LHLO (RFC 2034 §4).
    EnhancedOutOfPlace,
    /// The class of the enhanced code is none of 2, 4 and 5 (RFC 3463 §2).
    UnknownClass,
    /// Subject and detail of the enhanced code are not registered (RFC 5248 §2).
    UnregisteredEnhanced,
    /// The definition of the enhanced code has other classes in mind (RFC 3463 §3).
    ClassNotMeant,
    /// The registration of the enhanced code names other reply codes (RFC 5248 §2.4). Often harmless: it names examples.
    OtherReplyNamed,
    /// The text lacks what the client needs of it: a forward-path, a mailbox, the server's name, base64.
    TextLacking,
}

impl Fault {
    /// Every fault, the gravest first among those of one kind.
    pub const ALL: &'static [Self] = &[
        Self::NoSmtpReply,
        Self::UnregisteredReply,
        Self::NotToBeSent,
        Self::NotAtThisStage,
        Self::ClassDiffers,
        Self::EnhancedOutOfPlace,
        Self::UnknownClass,
        Self::UnregisteredEnhanced,
        Self::ClassNotMeant,
        Self::OtherReplyNamed,
        Self::TextLacking,
    ];

    /// Whether an RFC forbids it. The others are unusual, and allowed.
    #[must_use]
    pub const fn is_violation(self) -> bool {
        matches!(self, Self::NoSmtpReply | Self::ClassDiffers | Self::UnknownClass | Self::TextLacking)
    }

    /// What is wrong, as a sentence without its dot.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSmtpReply => "the first digit is none of 2 to 5: no SMTP server may send it",
            Self::UnregisteredReply => "the reply code is not registered: clients go by its first digit",
            Self::NotToBeSent => "the reply code is to be understood, not to be sent",
            Self::NotAtThisStage => "no RFC has this reply here",
            Self::ClassDiffers => "the class of the enhanced code differs from the first digit of the reply",
            Self::EnhancedOutOfPlace => "a reply of this kind carries no enhanced code",
            Self::UnknownClass => "the class of the enhanced code is none of 2, 4 and 5",
            Self::UnregisteredEnhanced => {
                "the enhanced code is not registered: only its class and subject say something"
            }
            Self::ClassNotMeant => "the enhanced code is defined for another class",
            Self::OtherReplyNamed => "the enhanced code is registered with other reply codes",
            Self::TextLacking => "the text lacks what the client needs of it",
        }
    }

    /// The RFC and section that says so.
    #[must_use]
    pub const fn reference(self) -> &'static str {
        match self {
            Self::NoSmtpReply | Self::UnregisteredReply | Self::NotAtThisStage => "RFC 5321 §4.3.2",
            Self::NotToBeSent => "RFC 5321 §4.2",
            Self::ClassDiffers | Self::EnhancedOutOfPlace => "RFC 2034 §4",
            Self::UnknownClass => "RFC 3463 §2",
            Self::UnregisteredEnhanced => "RFC 5248 §2",
            Self::ClassNotMeant => "RFC 3463 §3",
            Self::OtherReplyNamed => "RFC 5248 §2.4",
            Self::TextLacking => "RFC 5321 §4.2.1",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of [`Fault`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    bits: u16,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self { bits: 0 };

    /// What is wrong with a reply code and its enhanced code, wherever they come. Either may be missing.
    ///
    /// ```
    /// use ehlo_codes::{EnhancedCode, Fault, Faults, ReplyCode};
    /// let faults = Faults::of(Some(ReplyCode::TRANSACTION_FAILED), Some(EnhancedCode::literal(4, 4, 7)));
    /// assert!(faults.contains(Fault::ClassDiffers));
    /// ```
    #[must_use]
    pub fn of(reply: Option<ReplyCode>, enhanced: Option<EnhancedCode>) -> Self {
        let mut faults = Self::NONE;
        if let Some(code) = reply {
            faults.reply(code);
        }
        if let Some(code) = enhanced {
            faults.enhanced(code);
        }
        if let (Some(reply), Some(enhanced)) = (reply, enhanced) {
            match reply.class() {
                ReplyClass::Intermediate => faults.add(Fault::EnhancedOutOfPlace),
                _ if !enhanced.agrees_with(reply) => faults.add(Fault::ClassDiffers),
                _ => {}
            }
            if let Some(info) = enhanced.info()
                && !info.replies.is_empty()
                && !info.replies.contains(&reply)
            {
                faults.add(Fault::OtherReplyNamed);
            }
        }
        faults
    }

    fn reply(&mut self, code: ReplyCode) {
        if matches!(code.class(), ReplyClass::Preliminary | ReplyClass::Other) {
            self.add(Fault::NoSmtpReply);
        }
        match code.info() {
            None => self.add(Fault::UnregisteredReply),
            Some(info) if !info.standing.may_be_sent() => self.add(Fault::NotToBeSent),
            Some(_) => {}
        }
    }

    fn enhanced(&mut self, code: EnhancedCode) {
        if code.class_info().is_none() {
            self.add(Fault::UnknownClass);
        }
        match code.info() {
            None => self.add(Fault::UnregisteredEnhanced),
            Some(info) if !info.classes.contains(&code.class()) => self.add(Fault::ClassNotMeant),
            Some(_) => {}
        }
    }

    const fn add(&mut self, fault: Fault) {
        self.bits |= fault.bit();
    }

    /// Whether `fault` is among them.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.bits & fault.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether one of them is forbidden by an RFC: see [`Fault::is_violation`].
    #[must_use]
    pub fn has_violation(self) -> bool {
        self.iter().any(Fault::is_violation)
    }

    /// Each, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> + Clone {
        Fault::ALL.iter().copied().filter(move |fault| self.contains(*fault))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The sentences, joined by semicolons.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "; " })?;
            f.write_str(fault.as_str())?;
        }
        Ok(())
    }
}

impl core::error::Error for Faults {}

impl Stage {
    /// Whether a server may send this reply at this stage. `text` is that of one line, without code and enhanced code; with `None` it
    /// is not looked at.
    ///
    /// # Errors
    ///
    /// Everything that is wrong or unusual; [`Faults::has_violation`] tells whether an RFC forbids it.
    ///
    /// ```
    /// use ehlo_codes::{EnhancedCode, Fault, ReplyCode, Stage, Verb};
    /// let rcpt = Stage::Verb(Verb::Rcpt);
    /// let refused = Some(EnhancedCode::literal(5, 1, 1));
    /// assert!(rcpt.check(ReplyCode::MAILBOX_UNAVAILABLE, refused, None).is_ok());
    ///
    /// let faults = rcpt.check(ReplyCode::START_MAIL_INPUT, None, None).unwrap_err();
    /// assert!(faults.contains(Fault::NotAtThisStage) && !faults.has_violation());
    ///
    /// let faults = rcpt.check(ReplyCode::USER_NOT_LOCAL, None, Some(b"go away")).unwrap_err();
    /// assert!(faults.contains(Fault::TextLacking) && faults.has_violation());
    /// ```
    pub fn check(self, code: ReplyCode, enhanced: Option<EnhancedCode>, text: Option<&[u8]>) -> Result<(), Faults> {
        let mut faults = Faults::of(Some(code), enhanced);
        if !self.permits(code) {
            faults.add(Fault::NotAtThisStage);
        }
        if enhanced.is_some() && self.has_no_enhanced_codes() {
            faults.add(Fault::EnhancedOutOfPlace);
        }
        let carried = self.text_of(code);
        if carried != ReplyText::Free && text.is_some_and(|text| !carried.is_in(text)) {
            faults.add(Fault::TextLacking);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether replies at this stage carry no enhanced code: the greeting and answers to HELO and EHLO (RFC 2034 §4), and so to
    /// LHLO, which is EHLO by another name (RFC 2033 §4.1).
    #[must_use]
    pub const fn has_no_enhanced_codes(self) -> bool {
        matches!(self, Self::Connect | Self::Verb(Verb::Helo | Verb::Ehlo | Verb::Lhlo))
    }
}
