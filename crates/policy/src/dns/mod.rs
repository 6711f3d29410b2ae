//! What is asked of DNS, by a resolver of anybody's making, and how answers are kept.

mod list;
#[cfg(feature = "dns")]
mod system;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "dns")]
pub use ehlo_tokio::dns::SystemResolver;
pub(crate) use list::{Asking, List, listing_name};

/// An answer that takes time.
pub type Lookup<T> = Pin<Box<dyn Future<Output = Result<Found<T>, LookupError>> + Send>>;

/// Asks DNS.
///
/// A name is asked about as it is, without a search list. What a resolver answers is kept for its time, and each question has a deadline: it
/// need do neither.
pub trait Resolver: Send + Sync + 'static {
    /// The IPv4 addresses of a name.
    fn addresses(&self, name: &str) -> Lookup<Vec<Ipv4Addr>>;

    /// Its text.
    fn text(&self, name: &str) -> Lookup<String>;

    /// Whether it is a domain that mail can be sent to: by MX, or by an address where there is no MX (RFC 5321 §5.1).
    fn mail_domain(&self, name: &str) -> Lookup<MailDomain>;
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The answer; `None` if DNS says that there is none.
    pub answer: Option<T>,
    /// For how long it is good.
    pub ttl: Duration,
}

/// Whether mail can be sent to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailDomain {
    /// It can.
    Reachable,
    /// Its MX says that it takes none (RFC 7505).
    NullMx,
}

/// There is no answer for now: a timeout, or a server that fails. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError(pub String);

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LookupError {}

/// What is kept of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Not on the list, or nobody knows: who can't be asked about is let in.
    NotListed,
    /// On the list, and what that says about it.
    Listed(Arc<str>),
    /// Whether there is such a domain of a sender.
    Sender(SenderDomain),
}

/// What is known of a sender's domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderDomain {
    Exists,
    DoesNot,
    NullMx,
    /// DNS does not answer.
    Unknown,
}

/// Answers by what was asked, each until its time is over, and no more than so many.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Arc<str>, (Known, Instant)>,
    /// The one that ends first is first.
    order: BTreeSet<(Instant, Arc<str>)>,
}

impl Cache {
    pub(crate) fn get(&self, now: Instant, name: &str) -> Option<Known> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known.get(name).filter(|(_, until)| now < *until).map(|(known, _)| known.clone())
    }

    /// Keeps an answer until that time. Of too many, the one whose time is over first goes.
    pub(crate) fn put(&self, name: &str, known: Known, until: Instant, max_entries: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = name.into();
        if let Some((_, before)) = state.known.insert(Arc::clone(&name), (known, until)) {
            state.order.remove(&(before, Arc::clone(&name)));
        }
        state.order.insert((until, name));
        while state.known.len() > max_entries {
            let Some((_, first)) = state.order.pop_first() else { return };
            state.known.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_for_their_time_and_no_more_than_so_many() {
        let (cache, now) = (Cache::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        cache.put("a", Known::NotListed, later(10), 2);
        assert_eq!(cache.get(later(9), "a"), Some(Known::NotListed));
        assert_eq!(cache.get(later(10), "a"), None);
        cache.put("b", Known::NotListed, later(5), 2);
        cache.put("a", Known::Listed("x".into()), later(20), 2);
        assert_eq!(cache.get(later(15), "a"), Some(Known::Listed("x".into())), "the newer answer");
        for n in 0..1000 {
            cache.put(&format!("n{n}"), Known::NotListed, later(30), 2);
        }
        let state = cache.state.lock().unwrap();
        assert_eq!((state.known.len(), state.order.len()), (2, 2));
    }
}
