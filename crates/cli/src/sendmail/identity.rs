//! Who sends, and when, where nobody said so.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, SystemTime};

use ehlo_tokio::ehlo_client::Recipient;
use ehlo_tokio::ehlo_client::codec::Timestamp;

/// The user and the host.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    user: String,
    host: String,
    /// What stands behind the @ of an address that has none.
    domain: String,
    now: Duration,
}

impl Identity {
    /// Addresses without a domain get that of `from`, or else the name of this host.
    pub(super) fn new(from: Option<&str>) -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let is_domain = |name: &str| !name.contains('@') && Recipient::parse(&format!("x@{name}")).is_ok();
        let host = if is_domain(&name) { name } else { "localhost".to_owned() };
        let domain =
            from.and_then(|from| from.rsplit_once('@')).map(|(_, domain)| domain.trim_end_matches('>').to_owned());
        Self {
            user: user(),
            domain: domain.filter(|domain| is_domain(domain)).unwrap_or_else(|| host.clone()),
            host,
            // A clock that stands before 1970 is wrong anyway.
            now: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// An address with a domain.
    pub(super) fn qualified(&self, address: &str) -> String {
        // An @ within quotes is not one.
        let quoted = address.ends_with('"');
        if address.contains('@') && !quoted { address.to_owned() } else { format!("{address}@{}", self.domain) }
    }

    /// The value of Date, in UTC.
    pub(super) fn date(&self) -> String {
        date(self.now.as_secs())
    }

    /// The value of Message-ID: by the time, the process and chance, no other one is the same.
    pub(super) fn message_id(&self) -> String {
        let chance = RandomState::new().build_hasher().finish();
        let (seconds, nanos) = (self.now.as_secs(), self.now.subsec_nanos());
        format!("<{seconds:x}.{nanos:x}.{:x}.{chance:x}@{}>", std::process::id(), self.host)
    }
}

fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let stamp = i64::try_from(seconds).ok().and_then(Timestamp::from_unix_seconds);
    // 2026-11-25T23:59:00Z
    let stamp = stamp.map(|stamp| stamp.to_string()).unwrap_or_default();
    let number =
        |from: usize, to: usize| stamp.get(from..to).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(1);
    let month = MONTHS[(number(5, 7) - 1) % 12];
    let time = stamp.get(11..19).unwrap_or("00:00:00");
    format!("{}, {} {month} {} {time} +0000", DAYS[(seconds / 86_400 % 7) as usize], number(8, 10), number(0, 4))
}

/// The name of the user who runs this, by the list of users, or else by what the environment says.
fn user() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = list.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == id).then(|| name.to_owned())
    });
    let is_name = |name: &String| !name.is_empty() && Recipient::parse(&format!("{name}@x")).is_ok();
    listed
        .or_else(|| std::env::var("LOGNAME").ok())
        .or_else(|| std::env::var("USER").ok())
        .filter(is_name)
        .unwrap_or_else(|| format!("uid{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_form_of_mail() {
        assert_eq!(date(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(date(1_709_210_096), "Thu, 29 Feb 2024 12:34:56 +0000");
    }

    #[test]
    fn addresses_without_a_domain_get_one() {
        let identity = Identity::new(Some("ada@x.example"));
        for (address, whole) in
            [("root", "root@x.example"), ("a@b", "a@b"), ("\"a@b\"", "\"a@b\"@x.example"), ("\"a@b\"@c", "\"a@b\"@c")]
        {
            assert_eq!(identity.qualified(address), whole);
        }
        assert!(Identity::new(Some("<a@y.example>")).qualified("b").ends_with("@y.example"));
    }
}
