//! Addresses as keys: in one form, however they were written.

use ehlo_tokio::ehlo_server::codec::{Domain, Mailbox, MailboxBuf};

/// A domain in small letters; an address literal as the address that it means.
///
/// A name beyond ASCII is compared as it is written, and not by its A-label: that needs tables of IDNA. Name a domain in both forms.
pub(crate) fn domain_key(domain: Domain<'_>) -> String {
    match domain.ip() {
        Some(ip) => format!("[{}]", ip.to_canonical()),
        None => domain.as_str().to_lowercase(),
    }
}

/// A local part as what it means (RFC 5321 §4.1.2), in small letters: mailboxes here do not differ by case (RFC 2505 §2).
pub(crate) fn local_key(mailbox: Mailbox<'_>) -> String {
    mailbox.unquoted_local_part().to_lowercase()
}

/// A whole address in that form.
pub(crate) fn mailbox_key(mailbox: Mailbox<'_>) -> String {
    format!("{}@{}", local_key(mailbox), domain_key(mailbox.domain()))
}

/// Characters by which a local part names a way over other hosts: `user%remote@here`, `remote!user@here`, `"user@remote"@here`
/// (RFC 5321 §3.6.1, appendix F.2).
pub(crate) fn has_route(local_key: &str) -> bool {
    local_key.contains(['%', '!', '@'])
}

/// Makes an address of a key's parts, with quotes where the local part needs them.
pub(crate) fn compose(local_key: &str, domain_key: &str) -> Option<MailboxBuf> {
    let domain = match domain_key.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ip) if ip.contains(':') => format!("[IPv6:{ip}]"),
        _ => domain_key.to_owned(),
    };
    if let Ok(plain) = format!("{local_key}@{domain}").parse() {
        return Some(plain);
    }
    let quoted: String =
        local_key.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("\"{quoted}\"@{domain}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        mailbox_key(Mailbox::parse_utf8(text).unwrap())
    }

    #[test]
    fn one_address_has_one_key() {
        assert_eq!(key("Ada@Example.ORG"), "ada@example.org");
        assert_eq!(key("\"a\\da\"@example.org"), "ada@example.org");
        assert_eq!(key("ada@[IPv6:2001:DB8:0::1]"), "ada@[2001:db8::1]");
        assert_eq!(key("ÄDA@Bücher.example"), "äda@bücher.example");
    }

    #[test]
    fn a_key_becomes_the_address_again() {
        for text in [
            "ada@example.org",
            "\"a b\"@example.org",
            "\"a\\\"b\\\\c\"@example.org",
            "\"a@b\"@c.example",
            "ada@[IPv6:::1]",
            "ada@[192.0.2.1]",
        ] {
            let mailbox = Mailbox::parse_utf8(text).unwrap();
            let made = compose(&local_key(mailbox), &domain_key(mailbox.domain())).unwrap();
            assert_eq!(key(made.as_str()), key(text), "{text}");
        }
        assert!(compose("a\r\nb", "example.org").is_none());
    }

    #[test]
    fn ways_over_other_hosts_are_seen() {
        for (text, route) in [
            ("user%remote@here", true),
            ("remote!user@here", true),
            ("\"user@remote\"@here", true),
            ("user+tag@here", false),
        ] {
            assert_eq!(has_route(&local_key(Mailbox::parse(text).unwrap())), route, "{text}");
        }
    }
}
