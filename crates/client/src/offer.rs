//! What may be sent, given what the server offers (RFC 5321 §2.2.1: no parameter of an extension that it does not list).

use crate::config::Config;
use crate::envelope::{Envelope, Recipient};
use crate::event::BeginError;
use ehlo_codec::{BodyType, ByMode, Capabilities, Expiry, Extension, MailParam, Notify, Param, RcptParam};

/// What becomes of a parameter.
enum Rule {
    /// The session writes it itself.
    Own,
    /// It goes along where the extension is offered, and is left out elsewhere.
    Optional(Extension),
    /// Nothing is sent where the extension is not offered.
    Essential(Extension),
    /// It belongs to an extension that is not known here, which must be offered by that name.
    Unknown,
}

fn mail_rule(param: &MailParam<'_>) -> Rule {
    match param {
        MailParam::Size(_) | MailParam::Body(_) | MailParam::SmtpUtf8 => Rule::Own,
        MailParam::Ret(_) | MailParam::Envid(_) => Rule::Optional(Extension::Dsn),
        MailParam::Auth(_) => Rule::Optional(Extension::Auth),
        // RFC 2852 §4.1.4: with notification the message is relayed without, with return it is not.
        MailParam::By(by) if by.mode() == ByMode::Notify => Rule::Optional(Extension::DeliverBy),
        MailParam::By(_) => Rule::Essential(Extension::DeliverBy),
        MailParam::Hold(_) => Rule::Essential(Extension::FutureRelease),
        MailParam::Priority(_) => Rule::Optional(Extension::MtPriority),
        MailParam::Tracking(_) => Rule::Optional(Extension::Mtrk),
        MailParam::Solicit(_) => Rule::Optional(Extension::NoSoliciting),
        MailParam::RequireTls => Rule::Essential(Extension::RequireTls),
        MailParam::ConversionPermitted => Rule::Optional(Extension::ConPerm),
        MailParam::Submitter(_) => Rule::Optional(Extension::Submitter),
        MailParam::TransactionId(_) => Rule::Optional(Extension::Checkpoint),
        MailParam::AltAddress(_) => Rule::Optional(Extension::Utf8Smtp),
        MailParam::PerRecipientReplies => Rule::Optional(Extension::Prdr),
        _ => Rule::Unknown,
    }
}

fn rcpt_rule(param: &RcptParam<'_>) -> Rule {
    match param {
        RcptParam::Notify(_) | RcptParam::OriginalRecipient(_) => Rule::Optional(Extension::Dsn),
        RcptParam::ValidSince(_) => Rule::Essential(Extension::Rrvs),
        RcptParam::ContentNegotiation => Rule::Optional(Extension::ConNeg),
        RcptParam::AltAddress(_) => Rule::Optional(Extension::Utf8Smtp),
        _ => Rule::Unknown,
    }
}

/// What is on offer in the present state of a session.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) config: &'a Config,
    pub(crate) capabilities: &'a Capabilities,
    /// The connection is inside TLS, and the server was verified.
    pub(crate) verified: bool,
}

impl Offer<'_> {
    fn has(&self, extension: Extension) -> bool {
        self.capabilities.has(extension)
    }

    pub(crate) fn pipelining(&self) -> bool {
        self.config.pipelining && self.has(Extension::Pipelining)
    }

    /// Whether a body goes by BDAT.
    pub(crate) fn chunking(&self, body: BodyType) -> bool {
        self.has(Extension::Chunking) && (self.config.chunking || body == BodyType::BinaryMime)
    }

    /// Whether the envelope can be sent at all.
    pub(crate) fn check(&self, envelope: &Envelope<'_>) -> Result<(), BeginError> {
        if let (Some(size), Some(limit)) = (envelope.size, self.capabilities.max_size())
            && size > limit
        {
            return Err(BeginError::TooLarge { limit });
        }
        let body = match envelope.body {
            BodyType::SevenBit => true,
            BodyType::EightBitMime => self.has(Extension::EightBitMime),
            BodyType::BinaryMime => self.has(Extension::BinaryMime) && self.has(Extension::Chunking),
        };
        if !body {
            return Err(BeginError::BodyNotOffered);
        }
        if envelope.needs_utf8() && !self.has(Extension::SmtpUtf8) {
            return Err(BeginError::Utf8NotOffered);
        }
        // Nearly every envelope has none.
        if !envelope.params.is_empty() {
            for param in envelope.params.raw().iter() {
                self.check_mail(param)?;
            }
        }
        for recipient in envelope.to.iter().filter(|recipient| !recipient.params.is_empty()) {
            for param in recipient.params.raw().iter() {
                self.check_param(&rcpt_rule(&param.into()), &param)?;
            }
        }
        Ok(())
    }

    fn check_mail(&self, param: Param<'_>) -> Result<(), BeginError> {
        let typed = MailParam::from(param);
        self.check_param(&mail_rule(&typed), &param)?;
        match typed {
            MailParam::RequireTls if !self.verified => Err(BeginError::TlsNotAssured),
            MailParam::Hold(until) => match (self.capabilities.future_release(), until) {
                (Some(most), Expiry::For(seconds)) if seconds > most.max_interval => Err(BeginError::HeldTooLong),
                (Some(most), Expiry::Until(time)) if time.unix_seconds() > most.max_until.unix_seconds() => {
                    Err(BeginError::HeldTooLong)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check_param(&self, rule: &Rule, param: &Param<'_>) -> Result<(), BeginError> {
        match rule {
            Rule::Own | Rule::Optional(_) => Ok(()),
            Rule::Essential(extension) if self.has(*extension) => Ok(()),
            Rule::Essential(Extension::RequireTls) => Err(BeginError::TlsNotAssured),
            Rule::Unknown if self.is_listed(param.keyword) => Ok(()),
            Rule::Essential(_) | Rule::Unknown => Err(BeginError::ParamNotOffered),
        }
    }

    fn is_listed(&self, keyword: &str) -> bool {
        let first = |line: &str| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.capabilities.lines().any(first)
    }

    fn goes_along(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Own => false,
            Rule::Optional(extension) => self.has(*extension),
            Rule::Essential(_) | Rule::Unknown => true,
        }
    }

    /// MAIL with the parameters that the server understands.
    pub(crate) fn write_mail(&self, envelope: &Envelope<'_>, wire: &mut Vec<u8>) {
        wire.extend_from_slice(b"MAIL FROM:<");
        wire.extend_from_slice(envelope.from.as_str().as_bytes());
        wire.push(b'>');
        if let Some(size) = envelope.size.filter(|_| self.has(Extension::Size)) {
            wire.extend_from_slice(b" SIZE=");
            decimal(size, wire);
        }
        if envelope.body != BodyType::SevenBit {
            wire.extend_from_slice(b" BODY=");
            wire.extend_from_slice(envelope.body.as_str().as_bytes());
        }
        if envelope.needs_utf8() {
            wire.extend_from_slice(b" SMTPUTF8");
        }
        if !envelope.params.is_empty() {
            for param in envelope.params.raw().iter().filter(|param| self.goes_along(&mail_rule(&(*param).into()))) {
                write_param(&param, wire);
            }
        }
        wire.extend_from_slice(b"\r\n");
    }

    /// RCPT likewise. Whether a report of success was asked for, and is not.
    pub(crate) fn write_rcpt(&self, recipient: &Recipient<'_>, wire: &mut Vec<u8>) -> bool {
        wire.extend_from_slice(b"RCPT TO:<");
        wire.extend_from_slice(recipient.to.as_str().as_bytes());
        wire.push(b'>');
        let params = &recipient.params;
        if !params.is_empty() {
            for param in params.raw().iter().filter(|param| self.goes_along(&rcpt_rule(&(*param).into()))) {
                write_param(&param, wire);
            }
        }
        wire.extend_from_slice(b"\r\n");
        !self.has(Extension::Dsn) && params.notify().is_some_and(|notify| notify.contains(Notify::SUCCESS))
    }
}

fn write_param(param: &Param<'_>, wire: &mut Vec<u8>) {
    wire.push(b' ');
    wire.extend_from_slice(param.keyword.as_bytes());
    if let Some(value) = param.value {
        wire.push(b'=');
        wire.extend_from_slice(value.as_bytes());
    }
}

/// `BDAT` with its count (RFC 3030 §2).
pub(crate) fn write_chunk(octets: u64, last: bool, wire: &mut Vec<u8>) {
    wire.extend_from_slice(b"BDAT ");
    decimal(octets, wire);
    wire.extend_from_slice(if last { b" LAST\r\n" } else { b"\r\n" });
}

fn decimal(mut number: u64, wire: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return wire.extend_from_slice(&digits[at..]);
        }
    }
}
