//! What is wrong with a server, or looks wrong.

use ehlo_codes::SaslMechanism;

use super::certificate::Certificate;
use super::look::{Found, TlsFault};
use super::seen::Offer;

/// Keywords that are shown of those that differ.
const SHOWN: usize = 20;

/// Something that somebody should look at.
#[derive(Debug)]
pub(super) struct Warning {
    /// For programs.
    pub(super) id: &'static str,
    /// For people.
    pub(super) text: String,
}

/// All of them, with what is the worst first.
pub(super) fn of(found: &Found, now: i64, days: u16) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |id, text: String| warnings.push(Warning { id, text });
    let seen = &found.seen;
    match &found.tls_fault {
        Some(TlsFault::Injected) => warn(
            "clear-behind-starttls",
            "octets in clear came behind the 220 that answers STARTTLS: somebody in between may have put them there, or the server is broken (RFC 3207 §6)"
                .to_owned(),
        ),
        Some(TlsFault::Other(cause)) => warn("tls-failed", format!("STARTTLS is offered, but there is no TLS: {cause}")),
        None => {}
    }
    if let Some(reply) = seen.starttls.as_ref().filter(|reply| reply.code != 220 && found.tls_fault.is_none()) {
        warn("starttls-refused", format!("STARTTLS is offered, and refused with {}", reply.text()));
    }
    if let Some(clear) = &seen.clear {
        let told: Vec<String> = clear.mechanisms().into_iter().filter(|name| reveals(name)).collect();
        if !told.is_empty() {
            let list = told.join(", ");
            warn("auth-in-clear", format!("AUTH {list} in clear: whoever listens learns the password (RFC 4954 §4)"));
        }
        if !clear.has("STARTTLS") && !found.is_local {
            warn("no-starttls", "STARTTLS is not offered: mail comes in clear".to_owned());
        }
    }
    if let Some(offer) = seen.inside.as_ref().or(seen.clear.as_ref())
        && offer.command == "HELO"
    {
        warn("no-ehlo", "EHLO is not understood, only HELO: there is no extension (RFC 5321 §2.2.1)".to_owned());
    }
    match &found.certificate {
        Some(Ok(certificate)) => self::certificate(found, certificate, now, days, &mut warn),
        Some(Err(fault)) => warn("certificate-unreadable", format!("the certificate can't be read: {fault}")),
        None => {}
    }
    if let Some(inside) = &seen.inside {
        if inside.has("STARTTLS") {
            warn("starttls-inside", "STARTTLS is offered inside TLS (RFC 3207 §4.2 forbids it)".to_owned());
        }
        if let Some(clear) = &seen.clear {
            differences(clear, inside, &mut warn);
        }
    }
    warnings
}

/// Whether who listens learns a password or a token.
fn reveals(mechanism: &str) -> bool {
    SaslMechanism::by_name(mechanism).is_some_and(|row| row.reveals_secret)
}

fn certificate(
    found: &Found,
    certificate: &Certificate,
    now: i64,
    days: u16,
    warn: &mut impl FnMut(&'static str, String),
) {
    let (begins, ends) = (&certificate.begins, &certificate.ends);
    let mut explained = false;
    if ends.seconds < now {
        let ago = self::days(certificate.days_over(now));
        warn("expired", format!("the certificate has expired: it ended at {}, {ago} ago", ends.text));
        explained = true;
    } else if begins.seconds > now {
        warn("not-yet-valid", format!("the certificate is not valid yet: it begins at {}", begins.text));
        explained = true;
    } else if certificate.days_left(now) < i64::from(days) {
        let left = self::days(certificate.days_left(now));
        warn("expires-soon", format!("the certificate ends soon: at {}, {left} left", ends.text));
    }
    if !certificate.fits {
        warn("wrong-name", format!("the certificate is not for {}; --tls-name says another name", found.name));
        explained = true;
    }
    let Some(cause) = &found.unverified else { return };
    let untrusted = cause == super::look::UNTRUSTED;
    if untrusted && certificate.self_issued {
        warn("not-trusted", "the certificate was issued by itself and is not trusted; --tls-ca trusts it".to_owned());
    } else if untrusted {
        let text = format!("the certificate's issuer is not trusted: {}; --tls-ca trusts another", certificate.issuer);
        warn("not-trusted", text);
    } else if !explained {
        warn("not-trusted", format!("the certificate is not trusted: {cause}"));
    }
}

/// A number of days in words.
pub(super) fn days(count: i64) -> String {
    match count {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        _ => format!("{count} days"),
    }
}

/// What is on offer in one of the two only, or with other parameters. Not what has to be so: STARTTLS is for in clear only, and REQUIRETLS for inside
/// (RFC 8689 §2); and AUTH may well be offered inside alone, or with more mechanisms.
fn differences(clear: &Offer, inside: &Offer, warn: &mut impl FnMut(&'static str, String)) {
    let only = |one: &Offer, other: &Offer, except: &[&str]| {
        let mut lines = Vec::new();
        for (keyword, rest) in one.keywords().filter(|(keyword, _)| !except.contains(&keyword.as_str())) {
            if other.keywords().any(|(name, text)| name == keyword && text.eq_ignore_ascii_case(rest)) {
                continue;
            }
            lines.push(if rest.is_empty() { keyword } else { format!("{keyword} {rest}") });
        }
        let more = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!lines.is_empty()).then(|| lines.join(", ") + &tail)
    };
    let lost: Vec<String> = clear
        .mechanisms()
        .into_iter()
        .filter(|name| !inside.mechanisms().iter().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|name| format!("AUTH {name}"))
        .collect();
    let in_clear = only(clear, inside, &["STARTTLS", "AUTH"]).into_iter().chain(lost).collect::<Vec<_>>().join(", ");
    if !in_clear.is_empty() {
        warn("only-in-clear", format!("offered in clear, but not inside TLS: {in_clear}"));
    }
    if let Some(list) = only(inside, clear, &["STARTTLS", "AUTH", "REQUIRETLS"]) {
        warn("only-inside", format!("offered inside TLS, but not in clear: {list}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::probe::Begin;
    use crate::probe::seen::{Reply, Seen};
    use ehlo_tokio::ehlo_client::codec::EhloReply;

    fn offer(text: &str) -> Offer {
        let lines = text.lines().map(str::to_owned).collect();
        Offer { command: "EHLO", reply: Reply { code: 250, lines }, capabilities: (&EhloReply::from_text(text)).into() }
    }

    fn warned(clear: &str, inside: &str) -> Vec<(&'static str, String)> {
        let seen = Seen { clear: Some(offer(clear)), inside: Some(offer(inside)), ..Seen::default() };
        let found = Found {
            server: "mx:25".to_owned(),
            is_local: false,
            name: "mx".to_owned(),
            begin: Begin::Starttls,
            seen,
            tls_fault: None,
            certificate: None,
            unverified: None,
            failure: None::<Failure>,
        };
        of(&found, 0, 14).into_iter().map(|warning| (warning.id, warning.text)).collect()
    }

    #[test]
    fn what_has_to_differ_inside_tls_is_no_warning() {
        let clear = "mx\nPIPELINING\nsize 10\nSTARTTLS\nAUTH SCRAM-SHA-256";
        assert_eq!(warned(clear, "mx\nPipelining\nSIZE 10\nAUTH PLAIN SCRAM-SHA-256\nREQUIRETLS"), []);
        assert_eq!(warned("mx\nSTARTTLS", "mx\nAUTH LOGIN"), []);
    }

    #[test]
    fn what_should_not_differ_inside_tls_is_told() {
        let told = warned("mx\nPIPELINING\nSIZE 10\nSTARTTLS\nAUTH CRAM-MD5", "mx\nSIZE 20\nDSN\nAUTH PLAIN");
        let text = |text: &str| text.to_owned();
        assert_eq!(
            told,
            [
                ("only-in-clear", text("offered in clear, but not inside TLS: PIPELINING, SIZE 10, AUTH CRAM-MD5")),
                ("only-inside", text("offered inside TLS, but not in clear: SIZE 20, DSN")),
            ]
        );
        let told = warned("mx\nSTARTTLS", "mx\nSTARTTLS");
        assert_eq!(told.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["starttls-inside"]);
    }

    #[test]
    fn mechanisms_that_tell_a_password_are_named_and_no_others() {
        let told = warned("mx\nSTARTTLS\nAUTH SCRAM-SHA-1 login XOAUTH2", "mx\nAUTH SCRAM-SHA-1 LOGIN XOAUTH2");
        assert_eq!(told[0].0, "auth-in-clear");
        assert!(told[0].1.starts_with("AUTH login, XOAUTH2 in clear"), "{told:?}");
    }

    #[test]
    fn a_list_of_differences_is_no_longer_than_its_bound() {
        let many: String = (0..SHOWN + 3).map(|number| format!("\nX{number}")).collect();
        let told = warned(&format!("mx\nSTARTTLS{many}"), "mx");
        assert!(told[0].1.ends_with(&format!("X{} and 3 more", SHOWN - 1)), "{told:?}");
    }
}
