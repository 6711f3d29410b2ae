//! What EHLO offers and which parameters that brings, one row an extension.

use crate::config::Config;
use crate::replies;
use crate::tls::TlsInfo;
use ehlo_codec::{BodyType, ByMode, Extension, FutureRelease, Limit, MailParams, Mailbox, RcptParams, Reply, Verb};
use std::fmt;

/// What decides what is offered: the settings, and the state that the connection is in.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'c> {
    pub(crate) config: &'c Config,
    /// The connection is inside TLS.
    pub(crate) in_tls: bool,
    /// What is known of that TLS.
    pub(crate) tls: Option<&'c TlsInfo>,
}

/// One service extension.
pub(crate) struct Row {
    pub(crate) extension: Extension,
    pub(crate) offered: fn(Offer<'_>) -> bool,
    /// Appends what stands behind the keyword in the EHLO reply.
    pub(crate) write_parameter: fn(Offer<'_>, &mut String),
    /// Octets by which a line may be longer, for each verb that has room for parameters.
    pub(crate) longer: &'static [(Verb, usize)],
    /// The parameters of MAIL that it brings.
    pub(crate) mail: &'static [MailParameter],
    /// The parameters of RCPT that it brings.
    pub(crate) rcpt: &'static [RcptParameter],
}

/// A parameter of MAIL. Its grammar is the codec's; `check` sees what fits it, and what stands beside it.
pub(crate) struct MailParameter {
    pub(crate) keyword: &'static str,
    pub(crate) check: fn(Offer<'_>, &MailParams<'_>) -> Result<(), Reply>,
}

/// A parameter of RCPT.
pub(crate) struct RcptParameter {
    pub(crate) keyword: &'static str,
    pub(crate) check: fn(Offer<'_>, &RcptParams<'_>) -> Result<(), Reply>,
}

const fn mail(keyword: &'static str) -> MailParameter {
    MailParameter { keyword, check: |_, _| Ok(()) }
}

const fn rcpt(keyword: &'static str) -> RcptParameter {
    RcptParameter { keyword, check: |_, _| Ok(()) }
}

/// A row of a keyword without anything else.
const fn plain(extension: Extension, offered: fn(Offer<'_>) -> bool) -> Row {
    Row { extension, offered, write_parameter: |_, _| {}, longer: &[], mail: &[], rcpt: &[] }
}

fn append(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _: fmt::Result = fmt::Write::write_fmt(out, text);
}

/// In the order in which EHLO lists them.
pub(crate) const ROWS: &[Row] = &[
    // RFC 2920.
    plain(Extension::Pipelining, |o| o.config.pipelining),
    // RFC 1870.
    Row {
        write_parameter: |o, out| append(out, format_args!(" {}", o.config.limits.message_size)),
        longer: &[(Verb::Mail, 26)],
        mail: &[MailParameter { keyword: "SIZE", check: size }],
        ..plain(Extension::Size, |_| true)
    },
    // RFC 6152, which says nothing of the line; BODY's value of either document fits in RFC 1652's 17.
    Row {
        longer: &[(Verb::Mail, 17)],
        mail: &[MailParameter { keyword: "BODY", check: body }],
        ..plain(Extension::EightBitMime, |o| o.config.eight_bit_mime)
    },
    // RFC 3030 §2.
    plain(Extension::Chunking, |o| o.config.chunking),
    // RFC 3030 §3: only with CHUNKING.
    Row {
        longer: &[(Verb::Mail, 16)],
        mail: &[MailParameter { keyword: "BODY", check: body }],
        ..plain(Extension::BinaryMime, |o| has_binary_mime(o.config))
    },
    // RFC 6531 §3.1; it needs 8BITMIME.
    Row {
        longer: &[(Verb::Mail, 10)],
        mail: &[mail("SMTPUTF8")],
        ..plain(Extension::SmtpUtf8, |o| o.config.smtputf8 && o.config.eight_bit_mime)
    },
    // RFC 3461 §3, §5.4.
    Row {
        longer: &[(Verb::Mail, 524), (Verb::Rcpt, 524)],
        mail: &[mail("RET"), mail("ENVID")],
        rcpt: &[rcpt("NOTIFY"), rcpt("ORCPT")],
        ..plain(Extension::Dsn, |o| o.config.dsn)
    },
    // RFC 2034.
    plain(Extension::EnhancedStatusCodes, |o| o.config.enhanced_status_codes),
    // RFC 3207; never inside TLS (§4.2).
    plain(Extension::StartTls, |o| o.config.tls.has_starttls() && !o.in_tls),
    // RFC 8689 §2: never outside of TLS.
    Row {
        longer: &[(Verb::Mail, 11)],
        mail: &[mail("REQUIRETLS")],
        ..plain(Extension::RequireTls, |o| o.config.requiretls && o.in_tls)
    },
    // RFC 9422.
    Row {
        write_parameter: |o, out| {
            for limit in limits(o.config).into_iter().flatten() {
                append(out, format_args!(" {limit}"));
            }
        },
        ..plain(Extension::Limits, |o| o.config.announce_limits)
    },
    // RFC 2852.
    Row {
        write_parameter: |o, out| {
            if let Some(seconds) = o.config.deliver_by.filter(|seconds| *seconds > 0) {
                append(out, format_args!(" {}", seconds.min(MOST_SECONDS)));
            }
        },
        longer: &[(Verb::Mail, 17)],
        mail: &[MailParameter { keyword: "BY", check: by }],
        ..plain(Extension::DeliverBy, |o| o.config.deliver_by.is_some())
    },
    // RFC 4865.
    Row {
        write_parameter: |o, out| {
            if let Some(FutureRelease { max_until, .. }) = o.config.future_release {
                append(out, format_args!(" {} {max_until}", longest_hold(o.config)));
            }
        },
        longer: &[(Verb::Mail, 34)],
        mail: &[MailParameter { keyword: "HOLDFOR", check: hold }, MailParameter { keyword: "HOLDUNTIL", check: hold }],
        ..plain(Extension::FutureRelease, |o| o.config.future_release.is_some())
    },
    // RFC 6710. Without a parameter it names no policy (§3). What becomes of the priority is `Session::priority`.
    Row {
        longer: &[(Verb::Mail, 15)],
        mail: &[mail("MT-PRIORITY")],
        ..plain(Extension::MtPriority, |o| o.config.mt_priority)
    },
    // RFC 7293.
    Row { longer: &[(Verb::Rcpt, 33)], rcpt: &[rcpt("RRVS")], ..plain(Extension::Rrvs, |o| o.config.rrvs) },
    // RFC 3865.
    Row {
        write_parameter: |o, out| {
            if let Some(classes) = o.config.no_soliciting.as_ref().filter(|classes| !classes.as_str().is_empty()) {
                append(out, format_args!(" {}", classes.as_str()));
            }
        },
        longer: &[(Verb::Mail, 1007)],
        mail: &[mail("SOLICIT")],
        ..plain(Extension::NoSoliciting, |o| o.config.no_soliciting.is_some())
    },
    // RFC 1985.
    plain(Extension::Etrn, |o| o.config.etrn),
    // RFC 5321 §3.5.2: a server that does EXPN must list it.
    plain(Extension::Expn, |o| o.config.expn),
    // RFC 5321 §4.1.1.1: a server that does HELP lists it.
    plain(Extension::Help, |o| o.config.help),
    // RFC 4954 §3. It stays when the client has authenticated: clients may compare (§4), and MAIL keeps its parameter.
    Row {
        write_parameter: |o, out| {
            for mechanism in o.config.auth.available(o.tls) {
                append(out, format_args!(" {}", mechanism.name()));
            }
        },
        longer: &[(Verb::Mail, 500)],
        mail: &[MailParameter { keyword: "AUTH", check: submitter }],
        ..plain(Extension::Auth, |o| o.config.auth.available(o.tls).next().is_some())
    },
];

/// Octets that a command line may have at the most, CRLF included: what the document of each extension on offer adds to the line of
/// its verb (RFC 5321 §4.5.3.1.4).
pub(crate) fn line_limit(offer: Offer<'_>, verb: Option<Verb>) -> usize {
    let more = |row: &Row| -> usize { row.longer.iter().filter(|(v, _)| Some(*v) == verb).map(|(_, n)| n).sum() };
    let limits = &offer.config.limits;
    if verb == Some(Verb::Auth) && !offer.config.auth.mechanisms.is_empty() {
        // A client must keep to the length of a command (RFC 4954 §4); those that send a token along do not.
        return limits.auth_line;
    }
    limits.command_line + offered(offer).map(more).sum::<usize>()
}

/// Octets that any line may have at the most, those of an AUTH exchange among them.
pub(crate) fn longest_line(offer: Offer<'_>) -> usize {
    let verbs = ROWS.iter().flat_map(|row| row.longer).map(|(verb, _)| Some(*verb));
    verbs
        .chain([None, Some(Verb::Auth)])
        .map(|verb| line_limit(offer, verb))
        .max()
        .unwrap_or(offer.config.limits.command_line)
}

/// What is on offer.
pub(crate) fn offered(offer: Offer<'_>) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| (row.offered)(offer))
}

/// Whether an extension is on offer.
pub(crate) fn is_offered(offer: Offer<'_>, extension: Extension) -> bool {
    offered(offer).any(|row| row.extension == extension)
}

/// Checks the parameters of MAIL. Without EHLO there are none (RFC 5321 §4.1.1.11: what is not recognized is 555).
pub(crate) fn check_mail(offer: Offer<'_>, extended: bool, params: &MailParams<'_>) -> Result<(), Reply> {
    for param in params.raw().iter() {
        let known = offered(offer)
            .filter(|_| extended)
            .flat_map(|row| row.mail)
            .find(|known| known.keyword.eq_ignore_ascii_case(param.keyword))
            .ok_or(replies::UNKNOWN_PARAMETER)?;
        (known.check)(offer, params)?;
    }
    Ok(())
}

/// Checks the parameters of RCPT.
pub(crate) fn check_rcpt(offer: Offer<'_>, extended: bool, params: &RcptParams<'_>) -> Result<(), Reply> {
    for param in params.raw().iter() {
        let known = offered(offer)
            .filter(|_| extended)
            .flat_map(|row| row.rcpt)
            .find(|known| known.keyword.eq_ignore_ascii_case(param.keyword))
            .ok_or(replies::UNKNOWN_PARAMETER)?;
        (known.check)(offer, params)?;
    }
    Ok(())
}

/// Whether a message of the size that is declared is too large (RFC 1870 §6.1). A number beyond 64 bits is larger than any limit.
fn size(offer: Offer<'_>, params: &MailParams<'_>) -> Result<(), Reply> {
    match params.size() {
        Some(size) if size > offer.config.limits.message_size => Err(replies::TOO_LARGE),
        _ => Ok(()),
    }
}

const fn has_binary_mime(config: &Config) -> bool {
    config.chunking && config.binary_mime
}

/// `body-value ::= "7BIT" / "8BITMIME" / "BINARYMIME"` (RFC 6152 §2, RFC 3030 §3).
fn body(offer: Offer<'_>, params: &MailParams<'_>) -> Result<(), Reply> {
    match params.body() {
        Some(BodyType::BinaryMime) if !has_binary_mime(offer.config) => Err(replies::BAD_BODY),
        Some(BodyType::EightBitMime) if !offer.config.eight_bit_mime => Err(replies::BAD_BODY),
        _ => Ok(()),
    }
}

/// `<>`, or a mailbox (RFC 4954 §5). What it is worth is [`EnvelopeView::submitter`](crate::EnvelopeView::submitter).
fn submitter(_: Offer<'_>, params: &MailParams<'_>) -> Result<(), Reply> {
    match params.auth() {
        Some(text) if !text.is_unknown() && text.plain_mailbox().is_none() => {
            let decoded = text.decode();
            let mailbox = std::str::from_utf8(&decoded).ok().and_then(|text| Mailbox::parse_utf8(text).ok());
            mailbox.map(|_| ()).ok_or(replies::BAD_SUBMITTER)
        }
        _ => Ok(()),
    }
}

/// The most that nine digits tell.
const MOST_SECONDS: u32 = 999_999_999;

/// Less time than the server said it needs, if the message is to be returned then, is refused with 55z (RFC 2852 §3).
fn by(offer: Offer<'_>, params: &MailParams<'_>) -> Result<(), Reply> {
    let least = offer.config.deliver_by.unwrap_or_default().min(MOST_SECONDS);
    match params.by() {
        Some(by) if by.mode() == ByMode::Return && i64::from(by.seconds()) < i64::from(least) => {
            Err(replies::BY_TOO_SHORT)
        }
        _ => Ok(()),
    }
}

/// The interval that is announced, which is never 0 (RFC 4865 §3).
fn longest_hold(config: &Config) -> u32 {
    config.future_release.map_or(1, |release| release.max_interval.clamp(1, MOST_SECONDS))
}

/// One of HOLDFOR and HOLDUNTIL, not both, and not beyond what was announced (RFC 4865 §4.2); and not past the time by which the
/// message is to be delivered (§5.2.2).
///
/// A session knows no date: whether HOLDUNTIL has passed, or is behind BY, is for the application to see at MAIL.
fn hold(offer: Offer<'_>, params: &MailParams<'_>) -> Result<(), Reply> {
    let Some(FutureRelease { max_until, .. }) = offer.config.future_release else { return Ok(()) };
    let (seconds, until) = (params.hold_for(), params.hold_until());
    if seconds.is_some() && until.is_some() {
        return Err(replies::HOLD_TWICE);
    }
    let latest = (max_until.unix_seconds(), max_until.subsec_nanos());
    let too_late = until.is_some_and(|until| (until.unix_seconds(), until.subsec_nanos()) > latest);
    if too_late || seconds.is_some_and(|seconds| seconds > longest_hold(offer.config)) {
        return Err(replies::HOLD_TOO_LONG);
    }
    match (seconds, params.by()) {
        (Some(seconds), Some(by)) if i64::from(seconds) > i64::from(by.seconds()) => Err(replies::HOLD_BEHIND_BY),
        _ => Ok(()),
    }
}

/// What LIMITS tells (RFC 9422 §4): numbers of up to six digits, not 0. A limit beyond them is told as the most that can be.
fn limits(config: &Config) -> [Option<Limit<'static>>; 3] {
    const MOST: u32 = 999_999;
    let limits = &config.limits;
    let recipients = u32::try_from(limits.recipients).unwrap_or(MOST);
    [
        limits.transactions.map(|n| Limit::MailMax(n.clamp(1, MOST))),
        Some(Limit::RcptMax(recipients.clamp(1, MOST))),
        limits.recipient_domains.map(|n| Limit::RcptDomainMax(n.clamp(1, MOST))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ehlo_codec::codes::ServiceExtension;

    #[test]
    fn lines_are_longer_by_what_the_registry_says() {
        for row in ROWS {
            let keyword = row.extension.keyword();
            let registered = ServiceExtension::by_keyword(keyword).unwrap();
            let longer = |verb| row.longer.iter().filter(|(v, _)| *v == verb).map(|(_, n)| *n).sum::<usize>();
            // The registry has what the documents state; RFC 6152 states nothing.
            let mail = if keyword == "8BITMIME" { 17 } else { usize::from(registered.mail_line) };
            assert_eq!(longer(Verb::Mail), mail, "{keyword}");
            assert_eq!(longer(Verb::Rcpt), usize::from(registered.rcpt_line), "{keyword}");
        }
    }

    #[test]
    fn each_parameter_is_one_of_its_extension() {
        for row in ROWS {
            let registered = ServiceExtension::by_keyword(row.extension.keyword()).unwrap();
            let of = |verb: Verb| -> Vec<&str> {
                registered.parameters().filter(|p| p.verb == verb).map(|p| p.name).collect()
            };
            assert_eq!(row.mail.iter().map(|p| p.keyword).collect::<Vec<_>>(), of(Verb::Mail));
            assert_eq!(row.rcpt.iter().map(|p| p.keyword).collect::<Vec<_>>(), of(Verb::Rcpt));
        }
    }
}
