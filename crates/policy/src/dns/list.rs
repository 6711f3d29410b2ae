//! Lists of hosts in DNS (RFC 5782).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ehlo_tokio::Network;

use super::{Cache, Known, Resolver};

/// Characters of a list's own text that a client is told.
const MAX_TEXT: usize = 200;

/// For how long it is not asked again what DNS had no answer to.
const FAILED: Duration = Duration::from_secs(30);

/// The shortest time for which an answer is kept.
const MIN_TTL: Duration = Duration::from_secs(10);

/// A list, and which of its answers count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) zone: String,
    /// Those that count; all of 127.0.0.0/8 if there are none.
    pub(crate) answers: Vec<Network>,
}

/// How DNS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asking {
    pub(crate) timeout: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) max_cached: usize,
}

/// The name under which a list has an address (RFC 5782 §2.1, §2.4).
pub(crate) fn listing_name(address: IpAddr, zone: &str) -> String {
    let mut name = String::with_capacity(zone.len() + 65);
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            for octet in ip.octets().iter().rev() {
                // A String takes everything; there is no error to hand on.
                let _ = write!(name, "{octet}.");
            }
        }
        IpAddr::V6(ip) => {
            for octet in ip.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
        }
    }
    name + zone
}

impl List {
    /// Whether an answer means that the address is listed. One outside of 127.0.0.0/8 is none of a list (RFC 5782 §2.1): the zone is gone, and
    /// somebody answers for all names that there are not.
    fn counts(&self, answer: Ipv4Addr) -> bool {
        answer.octets()[0] == 127
            && (self.answers.is_empty() || self.answers.iter().any(|net| net.contains(answer.into())))
    }

    /// Asks about an address, and keeps the answer. Whom DNS does not know is not listed.
    pub(crate) async fn ask(&self, resolver: &Arc<dyn Resolver>, cache: &Cache, address: IpAddr, asking: &Asking) {
        let name = listing_name(address, &self.zone);
        let addresses = tokio::time::timeout(asking.timeout, resolver.addresses(&name)).await;
        let (known, ttl) = match addresses {
            Ok(Ok(found)) => {
                let listed = found.answer.is_some_and(|answers| answers.into_iter().any(|answer| self.counts(answer)));
                let known = if listed {
                    let text = tokio::time::timeout(asking.timeout, resolver.text(&name)).await;
                    let text = text.ok().and_then(Result::ok).and_then(|found| found.answer).unwrap_or_default();
                    Known::Listed(sanitize(&text).into())
                } else {
                    Known::NotListed
                };
                (known, found.ttl.clamp(MIN_TTL, asking.max_ttl.max(MIN_TTL)))
            }
            Ok(Err(error)) => {
                tracing::warn!(zone = %self.zone, %error, "a DNS list does not answer; its client is let in");
                (Known::NotListed, FAILED)
            }
            Err(_) => {
                tracing::warn!(zone = %self.zone, "a DNS list does not answer in time; its client is let in");
                (Known::NotListed, FAILED)
            }
        };
        cache.put(&name, known, now() + ttl, asking.max_cached);
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What a stranger wrote, as it can stand in a reply: printable ASCII, in one line, not long.
pub(crate) fn sanitize(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= MAX_TEXT {
            out.push_str("...");
            break;
        }
        out.push(if matches!(c, ' '..='~') { c } else { '?' });
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_up_backwards() {
        let name = |address: &str| listing_name(address.parse().unwrap(), "bl.example");
        assert_eq!(name("192.0.2.99"), "99.2.0.192.bl.example");
        assert_eq!(name("::ffff:192.0.2.99"), "99.2.0.192.bl.example");
        // The example of RFC 5782 §2.4.
        assert_eq!(
            name("2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        );
    }

    #[test]
    fn only_answers_of_a_list_count() {
        let mut list = List { zone: "bl.example".to_owned(), answers: Vec::new() };
        assert!(list.counts(Ipv4Addr::new(127, 0, 0, 2)) && list.counts(Ipv4Addr::new(127, 1, 2, 3)));
        assert!(!list.counts(Ipv4Addr::new(203, 0, 113, 1)));
        list.answers = vec!["127.0.0.4/30".parse().unwrap()];
        assert!(list.counts(Ipv4Addr::new(127, 0, 0, 7)) && !list.counts(Ipv4Addr::new(127, 0, 0, 8)));
    }

    #[test]
    fn a_text_cannot_end_a_line_or_fill_it() {
        assert_eq!(
            sanitize("see https://bl.example/?ip=1\r\n250 ok\0\u{7f}ä"),
            "see https://bl.example/?ip=1??250 ok???"
        );
        assert!(sanitize(&"x".repeat(10_000)).len() <= MAX_TEXT + 3);
        assert_eq!(sanitize(" \t "), "?");
    }
}
