//! What EHLO offers and which parameters that brings, one row an extension.

use crate::config::Config;
use crate::replies;
use ehlo_codec::{BodyType, Extension, MailParam, Reply};

/// What the parameters of MAIL say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MailParams {
    pub(crate) size: Option<u64>,
    pub(crate) body: BodyType,
}

/// What decides what is offered: the settings, and the state that the connection is in.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'c> {
    pub(crate) config: &'c Config,
    /// The connection is inside TLS.
    pub(crate) in_tls: bool,
}

/// One service extension.
pub(crate) struct Row {
    pub(crate) extension: Extension,
    pub(crate) offered: fn(Offer<'_>) -> bool,
    /// Appends what stands behind the keyword in the EHLO reply.
    pub(crate) write_parameter: fn(&Config, &mut Vec<u8>),
    /// Octets by which the MAIL line may be longer.
    pub(crate) mail_line: usize,
    /// The parameter of MAIL that it brings.
    pub(crate) mail: Option<MailParameter>,
}

/// A parameter of MAIL.
pub(crate) struct MailParameter {
    pub(crate) keyword: &'static str,
    pub(crate) read: fn(&Config, MailParam<'_>, &mut MailParams) -> Result<(), Reply>,
}

const fn nothing(_: &Config, _: &mut Vec<u8>) {}

/// In the order in which EHLO lists them.
pub(crate) const ROWS: &[Row] = &[
    // RFC 2920.
    Row {
        extension: Extension::Pipelining,
        offered: |o| o.config.pipelining,
        write_parameter: nothing,
        mail_line: 0,
        mail: None,
    },
    // RFC 1870.
    Row {
        extension: Extension::Size,
        offered: |_| true,
        write_parameter: |config, out| {
            out.push(b' ');
            out.extend_from_slice(config.limits.message_size.to_string().as_bytes());
        },
        mail_line: 26,
        mail: Some(MailParameter { keyword: "SIZE", read: size }),
    },
    // RFC 6152.
    Row {
        extension: Extension::EightBitMime,
        offered: |o| o.config.eight_bit_mime,
        write_parameter: nothing,
        mail_line: 17,
        mail: Some(MailParameter { keyword: "BODY", read: body }),
    },
    // RFC 2034.
    Row {
        extension: Extension::EnhancedStatusCodes,
        offered: |o| o.config.enhanced_status_codes,
        write_parameter: nothing,
        mail_line: 0,
        mail: None,
    },
    // RFC 3207; never inside TLS (§4.2).
    Row {
        extension: Extension::StartTls,
        offered: |o| o.config.tls.has_starttls() && !o.in_tls,
        write_parameter: nothing,
        mail_line: 0,
        mail: None,
    },
];

/// Octets that a MAIL line may have at the most.
pub(crate) fn mail_line(offer: Offer<'_>) -> usize {
    offer.config.limits.command_line + offered(offer).map(|row| row.mail_line).sum::<usize>()
}

/// What is on offer.
pub(crate) fn offered(offer: Offer<'_>) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| (row.offered)(offer))
}

/// Reads the parameters of MAIL. Without EHLO there are none (RFC 5321 §4.1.1.11: what is not recognized is 555).
pub(crate) fn read_mail_params(
    offer: Offer<'_>,
    extended: bool,
    params: &ehlo_codec::MailParams<'_>,
) -> Result<MailParams, Reply> {
    let mut read = MailParams::default();
    for param in params.raw().iter() {
        let row = offered(offer)
            .filter(|_| extended)
            .filter_map(|row| row.mail.as_ref())
            .find(|mail| mail.keyword.eq_ignore_ascii_case(param.keyword))
            .ok_or(replies::UNKNOWN_PARAMETER)?;
        (row.read)(offer.config, MailParam::from(param), &mut read)?;
    }
    Ok(read)
}

/// Whether a message of the size that is declared is too large (RFC 1870 §6.1). A number beyond 64 bits is larger than any limit.
fn size(config: &Config, param: MailParam<'_>, params: &mut MailParams) -> Result<(), Reply> {
    let MailParam::Size(size) = param else { return Err(replies::UNKNOWN_PARAMETER) };
    if size > config.limits.message_size {
        return Err(replies::TOO_LARGE);
    }
    params.size = Some(size);
    Ok(())
}

/// `body-value ::= "7BIT" / "8BITMIME"` (RFC 6152 §2).
fn body(_: &Config, param: MailParam<'_>, params: &mut MailParams) -> Result<(), Reply> {
    match param {
        MailParam::Body(body @ (BodyType::SevenBit | BodyType::EightBitMime)) => {
            params.body = body;
            Ok(())
        }
        _ => Err(replies::BAD_BODY),
    }
}
