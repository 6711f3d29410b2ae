//! Which hosts and addresses, in which order (RFC 5321 §5.1): answers of DNS in, plans out, and no waiting.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ehlo_client::codec::Domain;

use super::address::{is_host_name, is_localhost};
use super::error::{Cause, Failure, Reason};
use super::random::Random;
use super::settings::Settings;
use crate::dns::{Answer, LookupError, Mx, Records, folded};

/// A host that takes mail for a domain, as the domain says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Host {
    /// Its name, as the MX has it; an address literal, with its brackets, where the domain is one.
    pub name: String,
    /// The preference of its MX; the smaller, the better. 0 where there is none (RFC 5321 §5.1).
    pub preference: u16,
}

impl Host {
    /// The name that a certificate of the host is compared with: its own, or for an address literal the address without its brackets.
    #[must_use]
    pub fn server_name(&self) -> Cow<'_, str> {
        match Domain::parse(&self.name).ok().and_then(|domain| domain.ip()) {
            Some(ip) => Cow::Owned(ip.to_string()),
            None => Cow::Borrowed(&self.name),
        }
    }
}

/// What stands right of the `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A name, about which DNS is asked.
    Name,
    /// An address: the host, without DNS (RFC 5321 §5, §4.1.3).
    Literal(IpAddr),
    /// This host, whatever DNS says (RFC 6761 §6.3).
    Localhost,
}

impl Destination {
    pub(super) fn parse(domain: &str) -> Result<Self, Reason> {
        let parsed = Domain::parse_utf8(domain).map_err(|_| Reason::BadDomain)?;
        Ok(match parsed.ip() {
            Some(ip) => Self::Literal(ip.to_canonical()),
            None if is_localhost(&folded(domain)) => Self::Localhost,
            None => Self::Name,
        })
    }
}

/// The hosts of a domain, best first.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) hosts: VecDeque<Host>,
    /// What was left out, and why.
    pub(super) failures: Vec<Failure>,
}

fn failure(host: &str, cause: Cause) -> Failure {
    Failure { host: host.to_owned(), address: None, cause }
}

/// Sorts what DNS says of a domain's mail exchangers.
pub(super) fn sort(
    domain: &str,
    answer: Result<Answer<Mx>, LookupError>,
    settings: &Settings,
    random: &mut Random,
) -> Result<Hosts, (Reason, Vec<Failure>)> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ LookupError::BadName(_)) => {
            return Err((Reason::NoSuchDomain, vec![failure(domain, Cause::Lookup(error))]));
        }
        // "If a temporary error is returned, the message MUST be queued and retried later."
        Err(error) => return Err((Reason::Lookup, vec![failure(domain, Cause::Lookup(error))])),
    };
    let records = match answer.records {
        // "If a non-existent domain error is returned, this situation MUST be reported as an error."
        Records::NoName => return Err((Reason::NoSuchDomain, Vec::new())),
        Records::Found(records) if !records.is_empty() => records,
        // "If an empty list of MXs is returned, the address is treated as if it was associated with an implicit MX RR, with a preference of 0, pointing to
        // that host": to the one that the aliases led to.
        Records::Found(_) | Records::NoData => vec![Mx { preference: 0, exchange: answer.name }],
    };
    // RFC 7505 §3: a single record with preference 0. One with another preference, or twice the same, can mean nothing else.
    if records.iter().all(|mx| mx.exchange == ".") {
        return Err((Reason::NullMx, Vec::new()));
    }
    let mut found = Hosts::default();
    let mut hosts: Vec<Host> = Vec::new();
    for mx in records {
        // Beside others, a null MX is a mistake (RFC 7505 §3), and no host.
        if is_host_name(&mx.exchange) {
            hosts.push(Host { name: mx.exchange, preference: mx.preference });
        } else if found.failures.len() < settings.limits.hosts {
            found.failures.push(failure(&mx.exchange, Cause::NoHostName));
        }
    }
    // "If there are multiple destinations with the same preference [...], then the sender-SMTP MUST randomize them". The sort is stable.
    random.shuffle(&mut hosts);
    hosts.sort_by_key(|host| host.preference);
    // "The relay host MUST then inspect the list for any of the names or addresses by which it might be known [...]. If a matching record is found, all
    // records at that preference level and higher-numbered ones MUST be discarded from consideration." Addresses are for `arrange`.
    if let Some(own) = hosts.iter().find(|host| settings.is_own_name(&host.name)) {
        found.failures.push(failure(&own.name, Cause::Own));
        let level = own.preference;
        hosts.retain(|host| host.preference < level);
    }
    let mut names: Vec<String> = Vec::new();
    hosts.retain(|host| {
        let (name, room) = (folded(&host.name), names.len() < settings.limits.hosts);
        let keep = room && !names.contains(&name);
        if keep {
            names.push(name);
        }
        keep
    });
    found.hosts = hosts.into();
    Ok(found)
}

/// What DNS says of a host's addresses. `None` where it was not asked.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) ipv4: Option<Result<Answer<Ipv4Addr>, LookupError>>,
    pub(super) ipv6: Option<Result<Answer<Ipv6Addr>, LookupError>>,
}

/// A host, and its addresses that are to be tried, in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) addresses: VecDeque<SocketAddr>,
}

/// The hosts of one preference, with their addresses.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Those that can be tried.
    pub(super) targets: Vec<Target>,
    /// What was left out, and why.
    pub(super) failures: Vec<Failure>,
    /// Whether this host is among them. There are no targets then, and none of a later level are to be tried.
    pub(super) own: bool,
}

/// Arranges the hosts of one preference. They come with all that DNS says of them, since one of them may turn out to be this host, by its address.
pub(super) fn arrange(hosts: Vec<(Host, Addresses)>, settings: &Settings) -> Level {
    let mut level = Level::default();
    for (host, addresses) in hosts {
        let known = Known::of(addresses);
        let is_own = known.names.iter().any(|name| settings.is_own_name(name))
            || known.ipv4.iter().copied().map(IpAddr::from).any(|ip| settings.is_own_address(ip))
            || known.ipv6.iter().copied().map(IpAddr::from).any(|ip| settings.is_own_address(ip));
        if is_own {
            return Level { targets: Vec::new(), failures: vec![failure(&host.name, Cause::Own)], own: true };
        }
        let (ips, forbidden): (Vec<IpAddr>, Vec<IpAddr>) =
            interleave(&known.ipv6, &known.ipv4).into_iter().partition(|ip| settings.may_connect(*ip));
        let addresses: VecDeque<SocketAddr> =
            ips.into_iter().take(settings.limits.addresses).map(|ip| SocketAddr::new(ip, settings.port)).collect();
        if !addresses.is_empty() {
            level.targets.push(Target { host, addresses });
            continue;
        }
        let cause = match (forbidden.first(), known.error) {
            (Some(ip), _) => Cause::Forbidden(*ip),
            (None, Some(error)) => Cause::Lookup(error),
            (None, None) if known.no_name => Cause::NoSuchHost,
            (None, None) => Cause::NoAddress,
        };
        level.failures.push(failure(&host.name, cause));
    }
    level
}

/// What is known of a host.
#[derive(Default)]
struct Known {
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
    /// Names to which aliases led. An MX must not name an alias (RFC 5321 §5.1, RFC 2181 §10.3), but many do, and it is clear what they mean.
    names: Vec<String>,
    error: Option<LookupError>,
    no_name: bool,
}

impl Known {
    fn of(addresses: Addresses) -> Self {
        let mut known = Self::default();
        if let Some(answer) = addresses.ipv6 {
            known.ipv6 = known.take(answer);
        }
        if let Some(answer) = addresses.ipv4 {
            known.ipv4 = known.take(answer);
        }
        known
    }

    fn take<T>(&mut self, answer: Result<Answer<T>, LookupError>) -> Vec<T> {
        match answer {
            Ok(answer) => {
                self.no_name |= matches!(answer.records, Records::NoName);
                self.names.push(answer.name);
                answer.records.into_vec()
            }
            // What can be no name is not there.
            Err(LookupError::BadName(_)) => {
                self.no_name = true;
                Vec::new()
            }
            Err(error) => {
                self.error = Some(error);
                Vec::new()
            }
        }
    }
}

/// IPv6 and IPv4 in turns, IPv6 first (RFC 8305 §4), each in the order in which DNS has them, which RFC 5321 §5.1 wants kept; each once.
fn interleave(ipv6: &[Ipv6Addr], ipv4: &[Ipv4Addr]) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for turn in 0..ipv6.len().max(ipv4.len()) {
        let pair = [ipv6.get(turn).copied().map(IpAddr::from), ipv4.get(turn).copied().map(IpAddr::from)];
        for ip in pair.into_iter().flatten().map(|ip| ip.to_canonical()) {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
    }
    ips
}

#[cfg(test)]
mod tests;
