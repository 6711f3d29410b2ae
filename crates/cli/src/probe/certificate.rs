//! What a server's certificate says (RFC 5280).

use std::borrow::Cow;
use std::net::IpAddr;

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{ASN1Time, FromDer as _, GeneralName, X509Certificate, X509Name};

use super::shown::{MOST_LINES, shown};

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// A certificate, as far as it is shown.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// The DNS names and addresses that it is for, up to a bound.
    pub(super) names: Vec<String>,
    /// How many more there are.
    pub(super) more_names: usize,
    /// Whether the name that was asked for is among all of them.
    pub(super) fits: bool,
    /// Subject and issuer are the same.
    pub(super) self_issued: bool,
    pub(super) begins: Moment,
    pub(super) ends: Moment,
}

/// A moment, in seconds since 1970 and as text.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) text: String,
}

impl Moment {
    fn of(time: ASN1Time) -> Self {
        let clock = time.to_datetime();
        let text = format!("{}T{:02}:{:02}:{:02}Z", clock.date(), clock.hour(), clock.minute(), clock.second());
        Self { seconds: time.timestamp(), text }
    }
}

impl Certificate {
    /// Reads it, and looks whether it is for that name.
    pub(super) fn read(der: &[u8], name: &str) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| shown(&error.to_string()))?;
        let extension = certificate.subject_alternative_name().map_err(|error| shown(&error.to_string()))?;
        let general = extension.map(|extension| &extension.value.general_names[..]).unwrap_or_default();
        let names: Vec<String> = general.iter().filter_map(text).collect();
        Ok(Self {
            subject: shown(&distinguished(certificate.subject())),
            issuer: shown(&distinguished(certificate.issuer())),
            fits: names.iter().any(|pattern| fits(pattern, name)),
            more_names: names.len().saturating_sub(MOST_LINES),
            names: names.iter().take(MOST_LINES).map(|name| shown(name)).collect(),
            self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            begins: Moment::of(certificate.validity().not_before),
            ends: Moment::of(certificate.validity().not_after),
        })
    }

    /// Whole days until it ends; below 0 once it has.
    pub(super) const fn days_left(&self, now: i64) -> i64 {
        self.ends.seconds.saturating_sub(now).div_euclid(DAY)
    }

    /// Whole days since it ended.
    pub(super) const fn days_over(&self, now: i64) -> i64 {
        now.saturating_sub(self.ends.seconds).div_euclid(DAY)
    }
}

/// A distinguished name in the order in which it stands there. What would end a value is escaped (RFC 4514 §2.4): a value could look like more of
/// them otherwise.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    for set in name.iter_rdn() {
        for (number, attribute) in set.iter().enumerate() {
            if number > 0 {
                out.push('+');
            } else if !out.is_empty() {
                out.push_str(", ");
            }
            match oid2abbrev(attribute.attr_type(), oid_registry()) {
                Ok(short) => out.push_str(short),
                Err(_) => out.push_str(&attribute.attr_type().to_id_string()),
            }
            out.push('=');
            let value =
                attribute.as_str().map_or_else(|_| String::from_utf8_lossy(attribute.as_slice()), Cow::Borrowed);
            for c in value.chars() {
                if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

/// Those names that a host can be verified by.
fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Whether a name of a certificate covers a host's: the same, or with `*` for its first label (RFC 9525 §6.3).
fn fits(pattern: &str, name: &str) -> bool {
    if let Ok(address) = name.parse::<IpAddr>() {
        return pattern.parse::<IpAddr>().is_ok_and(|other| other == address);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    match pattern.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate() -> Vec<u8> {
        let names = ["mx.example", "*.mail.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Ä, CN=b");
        params.distinguished_name.push(DnType::CommonName, "mx\u{1b}[2J");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_times_are_read_and_control_characters_escaped() {
        let read = Certificate::read(&certificate(), "mx.example").unwrap();
        assert_eq!(read.subject, "O=Ä\\, CN\\=b, CN=mx\\u{1b}[2J");
        assert_eq!(read.names, ["mx.example", "*.mail.example", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(read.begins.text, "2026-01-01T00:00:00Z");
        assert_eq!((read.ends.seconds, read.self_issued, read.fits), (1_772_323_200, true, true));
        for (now, days) in [(-DAY, 1), (1 - DAY, 0), (0, 0), (1, -1)] {
            assert_eq!(read.days_left(read.ends.seconds + now), days);
        }
    }

    #[test]
    fn a_certificate_is_for_its_names_and_for_one_label_in_place_of_an_asterisk() {
        let der = certificate();
        let fits = |name| Certificate::read(&der, name).unwrap().fits;
        for name in ["mx.example", "MX.example.", "a.mail.example", "192.0.2.1", "2001:db8:0::1"] {
            assert!(fits(name), "{name}");
        }
        for name in ["example", "mail.example", "a.b.mail.example", "192.0.2.2", "x.mx.example", ""] {
            assert!(!fits(name), "{name}");
        }
    }

    #[test]
    fn no_octets_are_too_wrong_to_be_looked_at() {
        let der = certificate();
        for length in 0..der.len() {
            assert!(Certificate::read(&der[..length], "mx.example").is_err());
        }
        for at in 0..der.len() {
            for octet in [0, 0x7F, 0x80, 0x84, 0xFF] {
                let mut wrong = der.clone();
                wrong[at] = octet;
                let _ = Certificate::read(&wrong, "mx.example");
            }
        }
    }
}
