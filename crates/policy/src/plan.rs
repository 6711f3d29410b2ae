//! What a file says, in the form in which it is looked up: one version of it, which never changes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ehlo_tokio::Network;

use crate::config::{Action, Asking, Measure, Per, Stage, Verification};
use crate::directory::{Directory, Keeps};
use crate::dns;
use crate::grants::Grants;
use crate::names::NameRules;
use crate::place::{Place, Places};
use crate::rates::{Buckets, RateLimit};
use crate::usage::{Holder, Quota};

/// One version of the policy.
pub(crate) struct Plan {
    /// Everything goes into the place of that number.
    pub(crate) accept_all: Option<usize>,
    pub(crate) hostname: String,
    pub(crate) takes_no_mail: bool,
    pub(crate) directory: Directory,
    /// The names of places, and the places once they are open.
    pub(crate) place_names: Vec<String>,
    pub(crate) places: Vec<Arc<dyn Place>>,
    pub(crate) relay: RelayRules,
    pub(crate) grants: Option<Arc<Grants>>,
    pub(crate) names: NameRules,
    pub(crate) prefixes: Prefixes,
    pub(crate) rates: Vec<RateRule>,
    pub(crate) repeats: Option<RepeatRule>,
    pub(crate) clients: Vec<ClientRule>,
    pub(crate) senders: SenderRules,
    pub(crate) lists: Vec<ListRule>,
    pub(crate) dns: dns::Asking,
    pub(crate) vrfy: Asking,
    pub(crate) expn: Asking,
    pub(crate) etrn: Asking,
    pub(crate) quota_reply: u16,
    /// All maildirs, and what they may hold.
    pub(crate) total: Option<(Arc<Holder>, Quota)>,
    /// Bytes that are to stay free below these folders.
    pub(crate) min_free: Option<u64>,
    pub(crate) roots: Vec<PathBuf>,
}

/// Who may relay, and what the others are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelayRules {
    pub(crate) networks: Vec<Network>,
    pub(crate) authenticated: bool,
    pub(crate) denied: Option<u16>,
}

/// How many bits of an address are a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

impl Prefixes {
    /// The network of an address: it without its last bits.
    pub(crate) fn network(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.ipv4.min(32))).unwrap_or(0);
                Ipv4Addr::from_bits(ip.to_bits() & mask).into()
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6.min(128))).unwrap_or(0);
                Ipv6Addr::from_bits(ip.to_bits() & mask).into()
            }
        }
    }
}

/// One rate, and who has how much left.
#[derive(Clone, Debug)]
pub(crate) struct RateRule {
    pub(crate) of: Measure,
    pub(crate) per: Per,
    pub(crate) limit: RateLimit,
    pub(crate) max_entries: usize,
    pub(crate) reply: u16,
    pub(crate) buckets: Arc<Buckets<String>>,
}

/// How often the same message may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepeatRule {
    pub(crate) within: Duration,
    pub(crate) allowed: u32,
    pub(crate) reply: u16,
    pub(crate) max_entries: usize,
}

/// What becomes of clients of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientRule {
    pub(crate) network: Network,
    pub(crate) action: Action,
    pub(crate) reply: u16,
}

/// What senders have to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct SenderRules {
    pub(crate) verify_domain: Verification,
    pub(crate) verify_local: bool,
    /// By address, or `@DOMAIN`.
    pub(crate) refused: HashMap<String, u16>,
    /// What each user may send as; who is not there may as anybody.
    pub(crate) of_users: HashMap<String, Vec<String>>,
}

/// A list in DNS, and what becomes of who is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListRule {
    pub(crate) list: dns::List,
    pub(crate) at: Stage,
    pub(crate) reply: u16,
}

impl Plan {
    /// Opens all places. May block.
    pub(crate) fn open(&mut self, places: &Places) -> Result<(), String> {
        self.places = self.place_names.iter().map(|name| places.get(name, &self.hostname)).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Has all mail that is not relayed go into that place, whatever the file says.
    pub(crate) fn keep_all_in(&mut self, name: &str) {
        let number = self.place_names.len();
        self.place_names.push(name.to_owned());
        for mailbox in &mut self.directory.mailboxes {
            mailbox.keeps = Keeps::Place(number);
            mailbox.quota = Quota::default();
        }
        self.accept_all = self.accept_all.map(|_| number);
        (self.total, self.min_free, self.roots) = (None, None, Vec::new());
    }

    /// Takes over what another version has learned, wherever it was asked the same.
    pub(crate) fn adopt(&mut self, old: &Self) {
        for rule in &mut self.rates {
            let same = |other: &&RateRule| {
                (other.of, other.per, other.limit, other.max_entries)
                    == (rule.of, rule.per, rule.limit, rule.max_entries)
            };
            if let Some(same) = old.rates.iter().find(same)
                && self.prefixes == old.prefixes
            {
                rule.buckets = Arc::clone(&same.buckets);
            }
        }
    }

    /// Whether a message that went there can be taken back, or does no harm if it went there once more.
    pub(crate) fn is_final(&self, place: usize) -> bool {
        self.place_names.get(place).is_none_or(|name| name != "discard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_with_its_network() {
        let network = |ipv4, ipv6, address: &str| Prefixes { ipv4, ipv6 }.network(address.parse().unwrap()).to_string();
        assert_eq!(network(32, 64, "192.0.2.77"), "192.0.2.77");
        assert_eq!(network(24, 64, "::ffff:192.0.2.77"), "192.0.2.0");
        assert_eq!(network(0, 64, "192.0.2.77"), "0.0.0.0");
        assert_eq!(network(32, 64, "2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!(network(32, 0, "2001:db8::1"), "::");
        assert_eq!(network(32, 128, "2001:db8::1"), "2001:db8::1");
    }
}
