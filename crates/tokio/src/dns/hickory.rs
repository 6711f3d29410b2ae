//! The resolver of this host's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::{Found, Lookup, LookupError, MailDomain, Resolver};

/// For how long it is good that there is no such name, where DNS does not say.
const NEGATIVE: Duration = Duration::from_secs(300);

/// Asks the servers that `/etc/resolv.conf` names, by UDP and TCP. There with the feature `dns`.
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
        let options = builder.options_mut();
        // What is kept is kept by the policy, where it is bounded by the file.
        options.cache_size = 0;
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
        options.cache_size = 0;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.with_options(options).build().map(Self).map_err(told)
    }

    /// All records of a name; `None` if there are none.
    async fn records(&self, name: String, kind: RecordType) -> Result<Found<lookup::Lookup>, LookupError> {
        // Whole, so that no search list is tried.
        let mut whole = Name::from_utf8(&name).map_err(|error| LookupError(error.to_string()))?;
        whole.set_fqdn(true);
        match self.0.lookup(whole, kind).await {
            Ok(found) => {
                let ttl = found.valid_until().saturating_duration_since(Instant::now());
                Ok(Found { answer: Some(found), ttl })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let ttl = none.negative_ttl.map_or(NEGATIVE, |seconds| Duration::from_secs(seconds.into()));
                Ok(Found { answer: None, ttl })
            }
            Err(error) => Err(told(error)),
        }
    }
}

fn told(error: NetError) -> LookupError {
    LookupError(error.to_string())
}

impl Resolver for SystemResolver {
    fn addresses(&self, name: &str) -> Lookup<Vec<Ipv4Addr>> {
        let (resolver, name) = (self.clone(), name.to_owned());
        Box::pin(async move {
            let Found { answer, ttl } = resolver.records(name, RecordType::A).await?;
            let addresses = answer.map(|found| {
                let address = |data: &RData| if let RData::A(a) = data { Some(a.0) } else { None };
                found.answers().iter().filter_map(|record| address(&record.data)).collect()
            });
            Ok(Found { answer: addresses, ttl })
        })
    }

    fn text(&self, name: &str) -> Lookup<String> {
        let (resolver, name) = (self.clone(), name.to_owned());
        Box::pin(async move {
            let Found { answer, ttl } = resolver.records(name, RecordType::TXT).await?;
            let text = answer.and_then(|found| {
                let text = |data: &RData| if let RData::TXT(txt) = data { Some(txt.txt_data.concat()) } else { None };
                let first = found.answers().iter().find_map(|record| text(&record.data))?;
                Some(String::from_utf8_lossy(&first).into_owned())
            });
            Ok(Found { answer: text, ttl })
        })
    }

    fn mail_domain(&self, name: &str) -> Lookup<MailDomain> {
        let (resolver, name) = (self.clone(), name.to_owned());
        Box::pin(async move {
            let Found { answer, ttl } = resolver.records(name.clone(), RecordType::MX).await?;
            let hosts = answer.map(|found| {
                let host = |data: &RData| if let RData::MX(mx) = data { Some(mx.exchange.clone()) } else { None };
                found.answers().iter().filter_map(|record| host(&record.data)).collect::<Vec<Name>>()
            });
            match hosts.as_deref() {
                // RFC 7505 §3.
                Some([only]) if only.is_root() => return Ok(Found { answer: Some(MailDomain::NullMx), ttl }),
                Some([_, ..]) => return Ok(Found { answer: Some(MailDomain::Reachable), ttl }),
                _ => {}
            }
            // RFC 5321 §5.1: without an MX, the host itself.
            for kind in [RecordType::A, RecordType::AAAA] {
                let found = resolver.records(name.clone(), kind).await?;
                if found.answer.is_some_and(|found| !found.answers().is_empty()) {
                    return Ok(Found { answer: Some(MailDomain::Reachable), ttl: found.ttl });
                }
            }
            Ok(Found { answer: None, ttl })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UdpSocket;

    /// Records of a name server of this test: names, types, time and data.
    const ZONE: &[(&str, u16, &[u8])] = &[
        ("2.0.0.127.bl.example", 1, &[127, 0, 0, 2]),
        ("2.0.0.127.bl.example", 16, b"\x05see: \x03bl."),
        ("null.example", 15, b"\0\0\0"),
        ("mail.example", 15, b"\0\x0a\x02mx\x04mail\x07example\0"),
        ("host.example", 1, &[192, 0, 2, 1]),
        ("broken.example", 15, b"SERVFAIL"),
    ];

    /// A name server that answers questions of one name by UDP (RFC 1035 §4.1).
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[..length];
            let (mut name, mut at) = (Vec::new(), 12);
            while query[at] > 0 {
                let length = usize::from(query[at]);
                name.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
                at += 1 + length;
            }
            let name = name.join(".");
            let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
            let question = &query[12..at + 5];
            let known = ZONE.iter().any(|(owner, ..)| *owner == name);
            let found: Vec<_> = ZONE.iter().filter(|(owner, of, _)| *owner == name && *of == kind).collect();
            let broken = found.iter().any(|(.., data)| *data == b"SERVFAIL");
            let code = if broken { 2 } else { u8::from(!known) * 3 };
            let count = if broken { 0 } else { found.len() as u8 };
            let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
            reply.extend_from_slice(question);
            for (_, of, data) in found.iter().take(usize::from(count)) {
                reply.extend_from_slice(&[0xC0, 12]);
                reply.extend_from_slice(&of.to_be_bytes());
                reply.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
                reply.extend_from_slice(data);
            }
            let _ = socket.send_to(&reply, from).await;
        }
    }

    #[tokio::test]
    async fn a_name_server_is_asked() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = SystemResolver::at(socket.local_addr().unwrap()).unwrap();
        tokio::spawn(serve(socket));
        let asked = async {
            let found = resolver.addresses("2.0.0.127.bl.example").await.unwrap();
            assert_eq!(found.answer, Some(vec![Ipv4Addr::new(127, 0, 0, 2)]));
            assert!(found.ttl <= Duration::from_secs(60) && found.ttl > Duration::from_secs(50), "{:?}", found.ttl);
            assert_eq!(resolver.text("2.0.0.127.bl.example").await.unwrap().answer.as_deref(), Some("see: bl."));
            assert_eq!(resolver.addresses("3.0.0.127.bl.example").await.unwrap().answer, None);
            for (domain, expected) in [
                ("null.example", Some(MailDomain::NullMx)),
                ("mail.example", Some(MailDomain::Reachable)),
                ("host.example", Some(MailDomain::Reachable)),
                ("none.example", None),
            ] {
                assert_eq!(resolver.mail_domain(domain).await.unwrap().answer, expected, "{domain}");
            }
            assert!(resolver.mail_domain("broken.example").await.is_err());
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap();
    }
}
