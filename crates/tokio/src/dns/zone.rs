//! Answers that are in memory.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Answer, Lookup, LookupError, MAX_LABEL, MAX_NAME, Mx, Records, Resolver, folded};

/// Aliases that are followed from one name: as many as common resolvers follow.
const MAX_ALIASES: usize = 8;

/// Questions that are remembered.
const MAX_ASKED: usize = 10_000;

/// For how long an answer is good.
const TTL: Duration = Duration::from_secs(3600);

/// A resolver whose answers are in memory, for tests of programs that deliver mail. Clones are one.
///
/// It is read from lines that each have a name, a type and data: `A`, `AAAA`, `MX`, and `CNAME`. `TXT` makes a name that is there and has none of those.
/// Whoever asks about a name with `SERVFAIL` is told that there is no answer for now, and about one with `TIMEOUT`, nothing at all. What follows `;` is a
/// remark. A name is there, without data, if there is one below it; every other one is not there (NXDOMAIN).
///
/// ```
/// use ehlo_tokio::dns::{Records, Resolver, Zone};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let zone: Zone = "
///     example.org      MX     10 mx.example.org
///     mx.example.org   A      192.0.2.1
///     mx.example.org   AAAA   2001:db8::1
///     www.example.org  CNAME  example.org
///     null.example     MX     0 .              ; takes no mail (RFC 7505)
///     broken.example   SERVFAIL
/// "
/// .parse()?;
/// assert_eq!(zone.ipv4("mx.example.org").await?.records, Records::Found(vec!["192.0.2.1".parse()?]));
/// assert_eq!(zone.mx("www.example.org").await?.name, "example.org");
/// assert_eq!(zone.ipv4("nowhere.example").await?.records, Records::NoName);
/// assert!(zone.mx("broken.example").await.is_err());
/// assert_eq!(zone.asked().len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: Arc<HashMap<String, Data>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a name has.
#[derive(Clone, Debug, Default)]
struct Data {
    mx: Vec<Mx>,
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
    alias: Option<String>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Fails,
    Hangs,
}

/// A line that is none of a [`Zone`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    line: usize,
    what: &'static str,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ZoneError {}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let mut names: HashMap<String, Data> = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split(';').next().unwrap_or_default();
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some((name, rest)) = fields.split_first() else { continue };
            let name = folded(name);
            // A name makes those above it be there.
            for (at, _) in name.match_indices('.') {
                names.entry(name[at + 1..].to_owned()).or_default();
            }
            add(names.entry(name).or_default(), rest).map_err(|what| ZoneError { line: index + 1, what })?;
        }
        Ok(Self { names: Arc::new(names), asked: Arc::default() })
    }
}

/// Adds what one line says.
fn add(data: &mut Data, fields: &[&str]) -> Result<(), &'static str> {
    match fields {
        ["A", address] => data.ipv4.push(address.parse().map_err(|_| "A has an IPv4 address")?),
        ["AAAA", address] => data.ipv6.push(address.parse().map_err(|_| "AAAA has an IPv6 address")?),
        ["MX", preference, exchange] => {
            let preference = preference.parse().map_err(|_| "the preference of MX is a number up to 65535")?;
            let exchange = exchange.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(exchange);
            data.mx.push(Mx { preference, exchange: exchange.to_owned() });
        }
        ["CNAME", target] => data.alias = Some(folded(target)),
        ["SERVFAIL"] => data.fault = Some(Fault::Fails),
        ["TIMEOUT"] => data.fault = Some(Fault::Hangs),
        ["TXT", ..] => {}
        _ => {
            return Err(
                "a line is NAME A|AAAA|CNAME DATA, NAME MX PREFERENCE HOST, NAME TXT, NAME SERVFAIL, or NAME TIMEOUT",
            );
        }
    }
    Ok(())
}

impl Zone {
    /// What it was asked so far, such as `MX example.org`, in that order; no more than the first 10,000 questions.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look_up<T: Clone + Send + 'static>(&self, kind: &str, name: &str, pick: impl Fn(&Data) -> &Vec<T>) -> Lookup<T> {
        let answer = self.answer(kind, name, pick);
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    /// The answer; `None` if there never is one.
    fn answer<T: Clone>(
        &self,
        kind: &str,
        name: &str,
        pick: impl Fn(&Data) -> &Vec<T>,
    ) -> Option<Result<Answer<T>, LookupError>> {
        let mut name = folded(name);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MAX_ASKED {
            asked.push(format!("{kind} {name}"));
        }
        drop(asked);
        if name.len() > MAX_NAME || name.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL) {
            return Some(Err(LookupError::BadName(name)));
        }
        for _ in 0..=MAX_ALIASES {
            let Some(data) = self.names.get(&name) else {
                return Some(Ok(Answer::new(name, Records::NoName, TTL)));
            };
            match (data.fault, &data.alias) {
                (Some(Fault::Hangs), _) => return None,
                (Some(Fault::Fails), _) => return Some(Err(LookupError::Temporary(format!("SERVFAIL for {name}")))),
                (None, Some(target)) => name.clone_from(target),
                (None, None) => {
                    let records = pick(data);
                    let records = if records.is_empty() { Records::NoData } else { Records::Found(records.clone()) };
                    return Some(Ok(Answer::new(name, records, TTL)));
                }
            }
        }
        Some(Err(LookupError::Temporary(format!("too many aliases, the last one is {name}"))))
    }
}

impl Resolver for Zone {
    fn mx(&self, domain: &str) -> Lookup<Mx> {
        self.look_up("MX", domain, |data| &data.mx)
    }

    fn ipv4(&self, host: &str) -> Lookup<Ipv4Addr> {
        self.look_up("A", host, |data| &data.ipv4)
    }

    fn ipv6(&self, host: &str) -> Lookup<Ipv6Addr> {
        self.look_up("AAAA", host, |data| &data.ipv6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        "
        a.example        CNAME b.example
        B.Example.       MX 10 Mx.B.Example.
        b.example        MX 0 .
        mx.b.example     A 192.0.2.2
        mx.b.example     A 192.0.2.1
        round.example    CNAME trip.example
        trip.example     CNAME round.example
        gone.example     CNAME nowhere.test
        deep.a.b.c.test  TXT anything
        slow.example     TIMEOUT
        "
        .parse()
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_those_of_dns() {
        let zone = zone();
        let answer = zone.mx("A.example.").await.unwrap();
        assert_eq!(answer.name, "b.example");
        let (mx, null) = ("Mx.B.Example".to_owned(), ".".to_owned());
        let expected = [Mx { preference: 10, exchange: mx }, Mx { preference: 0, exchange: null }];
        assert_eq!(answer.records, Records::Found(expected.to_vec()));
        let addresses = zone.ipv4("MX.b.example").await.unwrap().records.into_vec();
        assert_eq!(addresses, [Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1)], "in the order of the zone");
        for (name, expected) in [
            ("mx.b.example", Records::NoData),
            ("deep.a.b.c.test", Records::NoData),
            ("b.c.test", Records::NoData),
            ("x.c.test", Records::NoName),
            ("gone.example", Records::NoName),
        ] {
            assert_eq!(zone.ipv6(name).await.unwrap().records, expected, "{name}");
        }
        assert!(matches!(zone.mx("round.example").await, Err(LookupError::Temporary(_))));
        for bad in ["", "a..example", ".example", &"x".repeat(64), &["x"; 200].join(".")] {
            assert!(matches!(zone.mx(bad).await, Err(LookupError::BadName(_))), "{bad}");
        }
        assert!(tokio::time::timeout(Duration::from_secs(1000), zone.mx("slow.example")).await.is_err());
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number() {
        for (text, line, what) in [
            ("a A 1.2.3", 1, "A has an IPv4 address"),
            ("\na AAAA 192.0.2.1", 2, "AAAA has an IPv6 address"),
            ("a MX 65536 b", 1, "the preference of MX is a number up to 65535"),
            ("; remark\n\na MX b", 3, "a line is NAME"),
            ("a", 1, "a line is NAME"),
        ] {
            let error = text.parse::<Zone>().unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
