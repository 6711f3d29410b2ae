//! What a policy asks, asked of the resolver of this host's settings.

use std::net::Ipv4Addr;

use ehlo_tokio::dns::{Answer, Records, Resolver as _, SystemResolver};

use super::{Found, Lookup, LookupError, MailDomain, Resolver};

impl From<ehlo_tokio::dns::LookupError> for LookupError {
    fn from(error: ehlo_tokio::dns::LookupError) -> Self {
        Self(error.to_string())
    }
}

impl<T> From<Answer<T>> for Found<Vec<T>> {
    fn from(answer: Answer<T>) -> Self {
        let ttl = answer.ttl;
        match answer.records {
            Records::Found(records) => Self { answer: Some(records), ttl },
            _ => Self { answer: None, ttl },
        }
    }
}

impl Resolver for SystemResolver {
    fn addresses(&self, name: &str) -> Lookup<Vec<Ipv4Addr>> {
        let found = self.ipv4(name);
        Box::pin(async move { Ok(found.await?.into()) })
    }

    fn text(&self, name: &str) -> Lookup<String> {
        let found = self.txt(name);
        Box::pin(async move {
            let Found { answer, ttl } = found.await?.into();
            let text = answer.and_then(|texts| Some(String::from_utf8_lossy(texts.first()?).into_owned()));
            Ok(Found { answer: text, ttl })
        })
    }

    fn mail_domain(&self, name: &str) -> Lookup<MailDomain> {
        let (resolver, name) = (self.clone(), name.to_owned());
        Box::pin(async move {
            let found = resolver.mx(&name).await?;
            let ttl = found.ttl;
            match found.records {
                // RFC 7505 §3.
                Records::Found(hosts) if hosts.iter().all(|mx| mx.exchange == ".") => {
                    return Ok(Found { answer: Some(MailDomain::NullMx), ttl });
                }
                Records::Found(_) => return Ok(Found { answer: Some(MailDomain::Reachable), ttl }),
                _ => {}
            }
            // RFC 5321 §5.1: without an MX, the host itself.
            let ipv4 = resolver.ipv4(&name).await?;
            if let Records::Found(_) = ipv4.records {
                return Ok(Found { answer: Some(MailDomain::Reachable), ttl: ipv4.ttl });
            }
            let ipv6 = resolver.ipv6(&name).await?;
            if let Records::Found(_) = ipv6.records {
                return Ok(Found { answer: Some(MailDomain::Reachable), ttl: ipv6.ttl });
            }
            Ok(Found { answer: None, ttl })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
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
