//! The resolver of this host's settings.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::{Answer, Lookup, LookupError, Mx, Records, Resolver};

/// For how long it is good that there is no such name, where DNS does not say.
const NEGATIVE: Duration = Duration::from_secs(300);

/// Aliases of one name that are followed within an answer. The resolver follows as many from one answer to the next.
const MAX_ALIASES: usize = 8;

/// Asks the servers that `/etc/resolv.conf` names, by UDP and TCP. There with the feature `dns`. Clones are one.
///
/// It asks DNS alone: `/etc/hosts` does not count (RFC 5321 §5.1). It keeps no answers. More than eight aliases in a row are
/// followed no further, and are no answer.
#[derive(Clone)]
pub struct SystemResolver(TokioResolver);

impl std::fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl SystemResolver {
    /// With the settings of this host.
    ///
    /// # Errors
    ///
    /// Why they can't be used.
    pub fn new() -> Result<Self, LookupError> {
        let mut builder = TokioResolver::builder_tokio().map_err(told)?;
        configure(builder.options_mut());
        builder.build().map(Self).map_err(told)
    }

    /// With one server.
    ///
    /// # Errors
    ///
    /// Why it can't be used.
    pub fn at(server: SocketAddr) -> Result<Self, LookupError> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut options = ResolverOpts::default();
        configure(&mut options);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.with_options(options).build().map(Self).map_err(told)
    }

    /// The texts of a name, each put together of its parts.
    #[must_use]
    pub fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        self.look_up(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
    }

    fn look_up<T: Send + 'static>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T> + Send + 'static,
    ) -> Lookup<T> {
        let (resolver, name) = (self.0.clone(), name.to_owned());
        Box::pin(async move {
            let mut whole = Name::from_utf8(&name).map_err(|error| LookupError::BadName(format!("{name}: {error}")))?;
            // Whole, so that no search list is tried.
            whole.set_fqdn(true);
            match resolver.lookup(whole.clone(), kind).await {
                Ok(found) => {
                    let ttl = found.valid_until().saturating_duration_since(Instant::now());
                    let name = follow(whole, found.answers());
                    // What stands beside the records of that name, nobody has asked for.
                    let own = found.answers().iter().filter(|record| record.name == name);
                    let records: Vec<T> = own.filter_map(|record| pick(&record.data)).collect();
                    let records = if records.is_empty() { Records::NoData } else { Records::Found(records) };
                    Ok(Answer::new(text(&name), records, ttl))
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                    let records = match none.response_code {
                        ResponseCode::NoError => Records::NoData,
                        ResponseCode::NXDomain => Records::NoName,
                        code => return Err(LookupError::Temporary(format!("{name}: {code}"))),
                    };
                    // Where aliases are followed no further, it looks the same, but for the SOA that says that there is nothing (RFC 2308 §2.2).
                    let last = none.query.name();
                    let is_told = none.soa.is_some() || matches!(records, Records::NoName);
                    if !is_told && resolver.lookup(last.clone(), RecordType::CNAME).await.is_ok() {
                        let why = format!("{name}: too many aliases, the last one is {}", text(last));
                        return Err(LookupError::Temporary(why));
                    }
                    let ttl = none.negative_ttl.map_or(NEGATIVE, |seconds| Duration::from_secs(seconds.into()));
                    Ok(Answer::new(text(last), records, ttl))
                }
                Err(error) => Err(LookupError::Temporary(format!("{name}: {error}"))),
            }
        })
    }
}

fn configure(options: &mut ResolverOpts) {
    // What is kept is kept by who asks, where it is bounded.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // Aliases are followed here once more, to tell where they led.
    options.preserve_intermediates = true;
}

/// Where the aliases in an answer lead.
fn follow(mut name: Name, answers: &[Record]) -> Name {
    for _ in 0..MAX_ALIASES {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some(target.0.clone()),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    name
}

/// A name without its last dot; the root is one.
fn text(name: &Name) -> String {
    let text = name.to_ascii();
    match text.strip_suffix('.') {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => text,
    }
}

fn told(error: NetError) -> LookupError {
    LookupError::Temporary(error.to_string())
}

impl Resolver for SystemResolver {
    fn mx(&self, domain: &str) -> Lookup<Mx> {
        self.look_up(domain, RecordType::MX, |data| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: text(&mx.exchange) }),
            _ => None,
        })
    }

    fn ipv4(&self, host: &str) -> Lookup<Ipv4Addr> {
        self.look_up(host, RecordType::A, |data| if let RData::A(a) = data { Some(a.0) } else { None })
    }

    fn ipv6(&self, host: &str) -> Lookup<Ipv6Addr> {
        self.look_up(host, RecordType::AAAA, |data| if let RData::AAAA(aaaa) = data { Some(aaaa.0) } else { None })
    }
}
