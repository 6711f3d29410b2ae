//! Messages that come more than once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::plan::RepeatRule;

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
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message that is about to be taken; `None` if it came often enough. The time begins with its first copy. Of too many messages
    /// the oldest are forgotten.
    pub(crate) fn take(self: &Arc<Self>, now: Instant, key: MessageKey, rule: &RepeatRule) -> Option<Copy> {
        let mut state = self.lock();
        let State { next, known, order } = &mut *state;
        let copy = || Some(Copy { repeats: Arc::clone(self), key, taken: false });
        if let Some(known) = known.get_mut(&key)
            && now.saturating_duration_since(known.since) < rule.within
        {
            if known.count >= rule.allowed {
                return None;
            }
            known.count += 1;
            return copy();
        }
        *next += 1;
        if let Some(old) = known.insert(key, Known { count: 1, since: now, number: *next }) {
            order.remove(&old.number);
        }
        order.insert(*next, key);
        while known.len() > rule.max_entries {
            let Some((_, oldest)) = order.pop_first() else { break };
            known.remove(&oldest);
        }
        copy()
    }
}

/// A copy of a message that was counted, and counts no more when this is dropped, unless it was [taken](Self::taken).
#[derive(Debug)]
pub(crate) struct Copy {
    repeats: Arc<Repeats>,
    key: MessageKey,
    taken: bool,
}

impl Copy {
    /// The message is there.
    pub(crate) fn taken(mut self) {
        self.taken = true;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        if let Some(known) = self.repeats.lock().known.get_mut(&self.key) {
            known.count = known.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn rule(allowed: u32) -> RepeatRule {
        RepeatRule { within: HOUR, allowed, reply: 557, max_entries: 10 }
    }

    #[test]
    fn a_message_may_come_so_often_in_a_time_and_again_behind_it() {
        let (repeats, start) = (Arc::new(Repeats::default()), Instant::now());
        let key = ("192.0.2.1".parse().unwrap(), 7);
        let comes = |at: u64, key| match repeats.take(start + Duration::from_secs(at), key, &rule(2)) {
            Some(copy) => {
                copy.taken();
                true
            }
            None => false,
        };
        assert!(comes(0, key) && comes(60, key) && !comes(3599, key));
        assert!(comes(3599, ("192.0.2.2".parse().unwrap(), 7)), "another client's");
        assert!(comes(3599, (key.0, 8)), "another message");
        assert!(comes(3600, key));
    }

    #[test]
    fn one_that_was_not_taken_does_not_count_and_one_under_way_does() {
        let (repeats, now) = (Arc::new(Repeats::default()), Instant::now());
        let key = ("192.0.2.1".parse().unwrap(), 7);
        let first = repeats.take(now, key, &rule(1)).unwrap();
        assert!(repeats.take(now, key, &rule(1)).is_none(), "both at once are one too many");
        drop(first);
        repeats.take(now, key, &rule(1)).unwrap().taken();
        assert!(repeats.take(now, key, &rule(1)).is_none());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (repeats, now) = (Arc::new(Repeats::default()), Instant::now());
        let key = |number| ("2001:db8::1".parse().unwrap(), number);
        for number in 0..1000 {
            repeats.take(now, key(number), &rule(1)).unwrap().taken();
        }
        let state = repeats.lock();
        assert_eq!((state.known.len(), state.order.len()), (10, 10));
        drop(state);
        assert!(repeats.take(now, key(990), &rule(1)).is_none());
        assert!(repeats.take(now, key(989), &rule(1)).is_some());
    }
}
