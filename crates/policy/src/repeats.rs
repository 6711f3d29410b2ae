//! Messages that come more than once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whose message, and which one: the network that it came from, and a digest of its octets.
pub(crate) type MessageKey = (IpAddr, u128);

/// Messages that were taken lately, of a bounded number.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// How often each was taken, since when, and its place in `order`.
    known: HashMap<MessageKey, Known>,
    /// The oldest first.
    order: BTreeMap<u64, MessageKey>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    count: u32,
    since: Instant,
    number: u64,
}

impl Repeats {
    /// Whether the message may come once more. The time begins with its first copy.
    pub(crate) fn may_come(&self, now: Instant, key: &MessageKey, within: Duration, allowed: u32) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.known.get(key);
        !known.is_some_and(|known| now.saturating_duration_since(known.since) < within && known.count >= allowed)
    }

    /// A message was taken.
    pub(crate) fn came(&self, now: Instant, key: MessageKey, within: Duration, max_entries: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { next, known, order } = &mut *state;
        if let Some(known) = known.get_mut(&key)
            && now.saturating_duration_since(known.since) < within
        {
            known.count = known.count.saturating_add(1);
            return;
        }
        *next += 1;
        if let Some(old) = known.insert(key, Known { count: 1, since: now, number: *next }) {
            order.remove(&old.number);
        }
        order.insert(*next, key);
        while known.len() > max_entries {
            let Some((_, oldest)) = order.pop_first() else { return };
            known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_come_so_often_in_a_time_and_again_behind_it() {
        let (repeats, start, hour) = (Repeats::default(), Instant::now(), Duration::from_secs(3600));
        let key = ("192.0.2.1".parse().unwrap(), 7);
        for minute in 0..2 {
            let now = start + Duration::from_secs(60 * minute);
            assert!(repeats.may_come(now, &key, hour, 2));
            repeats.came(now, key, hour, 10);
        }
        assert!(!repeats.may_come(start + Duration::from_secs(3599), &key, hour, 2));
        assert!(repeats.may_come(start + hour, &key, hour, 2));
        assert!(repeats.may_come(start, &("192.0.2.2".parse().unwrap(), 7), hour, 2), "another client's");
        assert!(repeats.may_come(start, &(key.0, 8), hour, 2), "another message");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (repeats, start, hour) = (Repeats::default(), Instant::now(), Duration::from_secs(3600));
        let key = |number| ("2001:db8::1".parse().unwrap(), number);
        for number in 0..1000 {
            repeats.came(start, key(number), hour, 10);
        }
        let state = repeats.state.lock().unwrap();
        assert_eq!((state.known.len(), state.order.len()), (10, 10));
        drop(state);
        assert!(repeats.may_come(start, &key(989), hour, 1) && !repeats.may_come(start, &key(990), hour, 1));
    }
}
