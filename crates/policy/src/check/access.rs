//! Who is let in, how often, and the whole of it.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use ehlo_tokio::ehlo_sasl::prepare_name;
use ehlo_tokio::ehlo_server::codec::{Domain, MailboxBuf};

use super::Checker;
use crate::address::{domain_key, mailbox_key};
use crate::config::{At, Bytes, Measure, Per, Period, Stage};
use crate::directory::Directory;
use crate::dns;
use crate::grants::Grants;
use crate::names::NameRules;
use crate::plan::{ClientRule, ListRule, Plan, Prefixes, RateRule, RelayRules, RepeatRule, SenderRules};
use crate::rates::{Buckets, RateLimit};
use crate::usage::{Holder, Quota};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most tokens of a rate. Their product with the longest time fits in what is counted with.
const MAX_TOKENS: u64 = 1 << 50;

impl Checker<'_> {
    pub(super) fn plan(&mut self) -> Plan {
        let accept_all = self.accept_all();
        let (directory, roots) = self.directory();
        let store = &self.file.store;
        let max_bytes = store.max_bytes.as_ref().map(|bytes| bytes.get_ref().0);
        let quota_reply = self.code(store.quota_reply.as_ref(), 452, &[452, 552], "the reply of a full mailbox");
        let total = max_bytes
            .map(|bytes| (Arc::new(Holder::Roots(roots.clone())), Quota { bytes: Some(bytes), messages: None }));
        let prefixes = self.prefixes();
        let relay = self.relay();
        let server = &self.file.server;
        let mut plan = Plan {
            accept_all,
            hostname: server.hostname.as_ref().map_or_else(|| "localhost".to_owned(), |name| name.get_ref().clone()),
            takes_no_mail: server.takes_no_mail,
            relay,
            grants: self.grants(),
            names: self.names(),
            prefixes,
            rates: self.rates(),
            repeats: self.repeats(),
            clients: self.clients(),
            senders: self.senders(&directory),
            lists: self.lists(),
            dns: self.dns(),
            vrfy: server.vrfy,
            expn: server.expn,
            etrn: server.etrn,
            quota_reply,
            total,
            min_free: store.min_free.as_ref().map(|bytes| bytes.get_ref().0),
            roots,
            directory,
            place_names: Vec::new(),
            places: Vec::new(),
        };
        plan.place_names = std::mem::take(&mut self.place_names);
        plan
    }

    fn accept_all(&mut self) -> Option<usize> {
        self.file.accept_all.as_ref().filter(|all| *all.get_ref())?;
        let file = self.file;
        for (name, span) in [
            ("domain", file.domain.first().map(|it| it.get_ref().name.span())),
            ("mailbox", file.mailbox.first().map(|it| it.get_ref().address.span())),
            ("alias", file.alias.first().map(|it| it.get_ref().address.span())),
            ("moved", file.moved.first().map(|it| it.get_ref().address.span())),
            ("route", file.route.first().map(|it| it.get_ref().domain.span())),
            ("relay", file.relay.networks.first().map(At::span)),
            ("grants", file.grants.as_ref().map(|it| it.get_ref().file.span())),
        ] {
            if let Some(span) = span {
                self.problem(span, format!("with accept_all, {name} means nothing"), "leave one of them out");
            }
        }
        match &file.store.place {
            Some(place) => self.shared_place(place),
            None => Some(self.place_number("discard".to_owned())),
        }
    }

    fn relay(&mut self) -> RelayRules {
        let given = &self.file.relay;
        let denied = given
            .denied
            .as_ref()
            .map(|code| self.code(Some(code), 550, &[550, 554, 530, 450, 451], "the reply to who may not relay"));
        if denied == Some(530) && self.file.auth.is_none() && self.file.grants.is_none() {
            let span = given.denied.as_ref().map_or(0..0, At::span);
            self.missing(span, "530 asks for authentication, and nobody can authenticate", "add [auth], or write 550");
        }
        let networks: Vec<_> = given.networks.iter().map(|net| net.get_ref().0).collect();
        for (net, network) in given.networks.iter().zip(&networks) {
            if network.to_string().ends_with("/0") {
                self.problem(net.span(), "that is everybody: an open relay", "name your own networks");
            }
        }
        RelayRules { networks, authenticated: given.authenticated.as_ref().is_none_or(|yes| *yes.get_ref()), denied }
    }

    fn grants(&mut self) -> Option<Arc<Grants>> {
        let given = self.file.grants.as_ref()?.get_ref();
        let longest = self.period(given.longest.as_ref(), DAY, SECOND, 366 * DAY);
        Some(Arc::new(Grants::new(&self.path(given.file.get_ref()), longest)))
    }

    /// A time within bounds, or the default.
    fn period(&mut self, value: Option<&At<Period>>, default: Duration, least: Duration, most: Duration) -> Duration {
        let Some(value) = value else { return default };
        let Period(time) = *value.get_ref();
        if time < least || time > most {
            self.problem(value.span(), format!("{time:?} is out of range"), format!("write {least:?} to {most:?}"));
        }
        time
    }

    fn max_entries(&mut self, value: Option<&At<NonZeroUsize>>) -> usize {
        let default = NonZeroUsize::new(10_000).expect("it is not zero");
        let Some(value) = value else { return default.get() };
        let count = value.get_ref().get();
        if count > 10_000_000 {
            self.problem(value.span(), format!("{count} entries are too many to keep"), "write 10000000 at the most");
        }
        count
    }

    fn names(&mut self) -> NameRules {
        let given = &self.file.names;
        let min_length = self.within(given.min_length.as_ref(), 0, 0, 64);
        let max_length = given.max_length.as_ref().map(|most| self.within(Some(most), 64, min_length.max(1), 64));
        for pattern in given.forbid.iter().filter(|pattern| pattern.get_ref().len() > 256) {
            self.problem(pattern.span(), "the pattern is longer than any local part", "write a shorter one");
        }
        for pattern in given.forbid.iter().filter(|pattern| pattern.get_ref().chars().all(|c| c == '*')) {
            self.problem(pattern.span(), "the pattern forbids all names", "write which ones are meant");
        }
        NameRules {
            forbid: given.forbid.iter().map(|pattern| pattern.get_ref().to_lowercase()).collect(),
            min_length,
            max_length,
            ascii: given.ascii,
        }
    }

    fn prefixes(&mut self) -> Prefixes {
        let given = &self.file.rates;
        Prefixes {
            ipv4: self.within(given.ipv4_prefix.as_ref(), 32, 0, 32),
            ipv6: self.within(given.ipv6_prefix.as_ref(), 64, 0, 128),
        }
    }

    fn rates(&mut self) -> Vec<RateRule> {
        let max_entries = self.max_entries(self.file.rates.max_entries.as_ref());
        let mut rules = Vec::new();
        for rate in &self.file.rate {
            let given = rate.get_ref();
            let (of, per) = (*given.of.get_ref(), *given.per.get_ref());
            let tokens = |checker: &mut Self, value: &At<Bytes>| {
                let count = value.get_ref().0;
                if count == 0 || count > MAX_TOKENS {
                    checker.problem(
                        value.span(),
                        format!("{count} is out of range"),
                        format!("write 1 to {MAX_TOKENS}"),
                    );
                }
                count.max(1)
            };
            let limit = tokens(self, &given.limit);
            let burst = given.burst.as_ref().map_or(limit, |burst| tokens(self, burst));
            let every = self.period(Some(&given.every), SECOND, Duration::from_millis(1), 366 * DAY);
            let (default, allowed): (u16, &[u16]) = match of {
                Measure::Connections => (421, &[421]),
                Measure::Messages | Measure::Bytes => (450, &[421, 450, 451, 452]),
                Measure::Recipients => (452, &[421, 450, 451, 452]),
            };
            let reply = self.code(given.reply.as_ref(), default, allowed, "the reply of this rate");
            if of == Measure::Connections && per != Per::Network {
                self.problem(
                    given.per.span(),
                    "who connects has neither a sender nor a user yet",
                    "write per = \"network\"",
                );
            }
            if per == Per::User && self.file.auth.is_none() {
                self.missing(given.per.span(), "nobody can authenticate", "add [auth]");
            }
            let limit = RateLimit { limit, every, burst };
            let buckets = Arc::new(Buckets::new(limit, max_entries));
            rules.push(RateRule { of, per, limit, max_entries, reply, buckets });
        }
        rules
    }

    fn repeats(&mut self) -> Option<RepeatRule> {
        let given = self.file.repeats.as_ref()?.get_ref();
        Some(RepeatRule {
            within: self.period(Some(&given.within), SECOND, SECOND, 366 * DAY),
            allowed: given.allowed.as_ref().map_or(1, |count| NonZeroU32::get(*count.get_ref())),
            reply: self.code(given.reply.as_ref(), 557, &[557, 554, 550, 450, 451], "the reply to a repeated message"),
            max_entries: self.max_entries(given.max_entries.as_ref()),
        })
    }

    fn clients(&mut self) -> Vec<ClientRule> {
        let mut rules = Vec::new();
        for client in &self.file.client {
            let given = client.get_ref();
            rules.push(ClientRule {
                network: given.network.get_ref().0,
                action: *given.action.get_ref(),
                reply: self.code(given.reply.as_ref(), 554, &[554, 521, 421], "a greeting that refuses"),
            });
        }
        rules
    }

    fn senders(&mut self, directory: &Directory) -> SenderRules {
        let mut refused = HashMap::new();
        for sender in &self.file.sender {
            let given = sender.get_ref();
            let reply = self.code(given.reply.as_ref(), 550, &[550, 553, 554, 450, 451], "the reply to a sender");
            let Some((key, domain)) = self.sender(&given.address) else { continue };
            // RFC 2505 §2.6.2: reports and lists come back to those who sent them.
            if directory.domains.contains_key(&domain) {
                let what =
                    format!("{domain} is a domain of this server, whose senders must not be refused (RFC 2505 §2.6.2)");
                self.problem(given.address.span(), what, "refuse clients instead: [[client]]");
            }
            if refused.insert(key, reply).is_some() {
                self.problem(given.address.span(), "that sender is there already", "leave one of them out");
            }
        }
        let mut of_users = HashMap::new();
        for user in &self.file.user {
            let user = user.get_ref();
            let Some(senders) = &user.senders else { continue };
            let keys = senders.iter().filter_map(|sender| self.sender(sender)).map(|(key, _)| key).collect();
            if let Some(name) = prepare_name(user.name.get_ref()) {
                of_users.insert(name, keys);
            }
        }
        SenderRules {
            verify_domain: self.file.senders.verify_domain,
            verify_local: self.file.senders.verify_local,
            refused,
            of_users,
        }
    }

    /// An address or `@DOMAIN`, with its domain.
    fn sender(&mut self, text: &At<String>) -> Option<(String, String)> {
        let found = match text.get_ref().strip_prefix('@') {
            Some(domain) => {
                Domain::parse_utf8(domain).ok().map(domain_key).map(|domain| (format!("@{domain}"), domain))
            }
            None => text
                .get_ref()
                .parse::<MailboxBuf>()
                .ok()
                .map(|mailbox| (mailbox_key(mailbox.as_mailbox()), domain_key(mailbox.as_mailbox().domain()))),
        };
        if found.is_none() {
            self.problem(
                text.span(),
                format!("{:?} is no sender", text.get_ref()),
                "write local@domain, or @domain for all of it",
            );
        }
        found
    }

    fn lists(&mut self) -> Vec<ListRule> {
        let mut rules = Vec::new();
        for list in &self.file.dnsbl {
            let given = list.get_ref();
            let allowed: &[u16] = match given.at {
                Stage::Connect => &[554, 421],
                Stage::Recipient => &[554, 550, 450, 451],
            };
            let reply = self.code(given.reply.as_ref(), 554, allowed, "the reply to who is listed");
            let loopback: ehlo_tokio::Network = "127.0.0.0/8".parse().expect("it is a network");
            for answer in &given.answers {
                let first = answer.get_ref().0.to_string();
                let inside =
                    first.split('/').next().and_then(|ip| ip.parse().ok()).is_some_and(|ip| loopback.contains(ip));
                if !inside {
                    self.problem(
                        answer.span(),
                        "a list answers within 127.0.0.0/8 (RFC 5782 §2.1)",
                        "write such addresses",
                    );
                }
            }
            match Domain::parse(given.zone.get_ref()) {
                Ok(zone) if !zone.is_literal() && zone.as_str().len() <= 180 => rules.push(ListRule {
                    list: dns::List {
                        zone: domain_key(zone),
                        answers: given.answers.iter().map(|answer| answer.get_ref().0).collect(),
                    },
                    at: given.at,
                    reply,
                }),
                _ => self.problem(
                    given.zone.span(),
                    format!("{:?} is no zone of a list", given.zone.get_ref()),
                    "write a domain",
                ),
            }
        }
        rules
    }

    fn dns(&mut self) -> dns::Asking {
        let given = &self.file.dns;
        dns::Asking {
            timeout: self.period(given.timeout.as_ref(), 5 * SECOND, Duration::from_millis(10), 60 * SECOND),
            max_ttl: self.period(given.max_ttl.as_ref(), 3600 * SECOND, 10 * SECOND, 7 * DAY),
            max_cached: self.max_entries(given.max_cached.as_ref()),
        }
    }
}
