//! What is a host, and which addresses mail goes to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::{MAX_LABEL, MAX_NAME};

/// Whether a text names a host. Wider than the `Domain` of RFC 5321 §4.1.2: an underscore stands in the names of many hosts, which DNS does not mind
/// (RFC 2181 §11), and they are never said to a server. An address is no name: a name does not end in a number (RFC 1123 §2.1).
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL
            && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_NAME && name.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a name always means the host that asks (RFC 6761 §6.3).
pub(super) fn is_localhost(folded: &str) -> bool {
    folded == "localhost" || folded.ends_with(".localhost")
}

/// Whether an address is one host's within a network that mail can go to, rather than nobody's, or everybody's, or that of whichever host is on the same
/// wire. It is what it is mapped into (RFC 4291 §2.5.5.2).
pub(super) fn is_destination(ip: IpAddr, allow_loopback: bool) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => allow_loopback,
        IpAddr::V6(ip) if ip.is_loopback() => allow_loopback,
        IpAddr::V4(ip) => is_destination_v4(ip),
        IpAddr::V6(ip) => is_destination_v6(ip),
    }
}

fn is_destination_v4(ip: Ipv4Addr) -> bool {
    // "This network" (RFC 6890 §2.2.2), and what is reserved, with the broadcast address at its end.
    let first = ip.octets()[0];
    first != 0 && first < 240 && !ip.is_multicast() && !ip.is_link_local()
}

fn is_destination_v6(ip: Ipv6Addr) -> bool {
    // ::/96 is unspecified, loopback, and an old way to write IPv4 addresses (RFC 4291 §2.5.5.1).
    ip.to_bits() >> 32 != 0 && !ip.is_multicast() && !ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_and_not_an_address() {
        for good in [
            "mx.example",
            "_dc-mx.0a1b.example",
            "a",
            "1.2.3.4.example",
            "xn--bcher-kva.example",
            "bücher.example",
            &"x".repeat(63),
        ] {
            assert!(is_host_name(good), "{good}");
        }
        let long = ["x"; 127].join(".");
        for bad in
            ["", ".", "a..b", "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "a b", "a\\.b", "a@b", "a.", &"x".repeat(64)]
        {
            assert!(!is_host_name(bad), "{bad}");
        }
        assert!(is_host_name(&long) && !is_host_name(&format!("{long}.x")));
    }

    #[test]
    fn mail_goes_to_no_address_that_is_nobodys_or_everybodys() {
        for (ip, allowed) in [
            ("192.0.2.1", true),
            ("10.1.2.3", true),
            ("127.0.0.1", false),
            ("127.255.0.9", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("169.254.1.1", false),
            ("224.0.0.1", false),
            ("239.1.1.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2001:db8::1", true),
            ("fd00::1", true),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:0.0.0.0", false),
            ("::ffff:192.0.2.1", true),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_destination(ip.parse().unwrap(), false), allowed, "{ip}");
        }
        for (ip, allowed) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("169.254.1.1", false),
        ] {
            assert_eq!(is_destination(ip.parse().unwrap(), true), allowed, "{ip}");
        }
    }
}
