//! How much may come in which time: buckets of tokens, for a bounded number of keys.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A rate: so many in a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RateLimit {
    /// Tokens that come in `every`; at least 1.
    pub(crate) limit: u64,
    pub(crate) every: Duration,
    /// Tokens that a full bucket holds; at least 1.
    pub(crate) burst: u64,
}

/// Buckets of tokens for keys.
///
/// A bucket is one number: when it will be full again. One that is full says nothing and is not kept. When there are too many, the one goes
/// that is full soonest, since least is known of it; so a flood of new keys never frees the one that has used most.
///
/// Time is an argument, and counted in parts of a nanosecond of which a token takes a whole number: nothing is rounded.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    limit: RateLimit,
    max_entries: usize,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    /// What all times are counted from.
    start: Option<Instant>,
    full_at: HashMap<K, u128>,
    order: BTreeSet<(u128, K)>,
}

impl<K: Clone + Eq + Hash + Ord> Buckets<K> {
    pub(crate) fn new(limit: RateLimit, max_entries: usize) -> Self {
        let state = State { start: None, full_at: HashMap::new(), order: BTreeSet::new() };
        Self { limit, max_entries: max_entries.max(1), state: Mutex::new(state) }
    }

    /// Takes so many tokens if they are there.
    ///
    /// # Errors
    ///
    /// How long it takes until they are.
    pub(crate) fn take(&self, now: Instant, key: &K, count: u64) -> Result<(), Duration> {
        self.turn(now, key, count, true)
    }

    /// Whether so many could be taken.
    pub(crate) fn look(&self, now: Instant, key: &K, count: u64) -> Result<(), Duration> {
        self.turn(now, key, count, false)
    }

    /// Takes so many whether they are there or not: what is missing has to come before others can be taken.
    pub(crate) fn charge(&self, now: Instant, key: &K, count: u64) {
        let mut state = self.lock();
        let now = state.time(now, &self.limit);
        let full_at = state.full_at.get(key).copied().unwrap_or(now).max(now);
        state.set(key, full_at.saturating_add(self.cost(count)), now, self.max_entries);
    }

    fn turn(&self, now: Instant, key: &K, count: u64, take: bool) -> Result<(), Duration> {
        let mut state = self.lock();
        let now = state.time(now, &self.limit);
        let full_at = state.full_at.get(key).copied().unwrap_or(now).max(now);
        // More than a bucket holds can be had of a full one: it would never come otherwise.
        let asked = self.cost(count.min(self.limit.burst));
        let missing = full_at.saturating_add(asked).saturating_sub(now.saturating_add(self.cost(self.limit.burst)));
        if missing > 0 {
            let nanoseconds = missing.div_ceil(u128::from(self.limit.limit.max(1)));
            return Err(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)));
        }
        if take {
            state.set(key, full_at.saturating_add(self.cost(count)), now, self.max_entries);
        }
        Ok(())
    }

    /// How much time so many tokens are.
    fn cost(&self, count: u64) -> u128 {
        u128::from(count).saturating_mul(self.limit.every.as_nanos())
    }

    /// How many keys are kept in mind.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().full_at.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    fn time(&mut self, now: Instant, limit: &RateLimit) -> u128 {
        let start = *self.start.get_or_insert(now);
        now.saturating_duration_since(start).as_nanos().saturating_mul(u128::from(limit.limit))
    }

    fn set(&mut self, key: &K, full_at: u128, now: u128, max_entries: usize) {
        if let Some(before) = self.full_at.insert(key.clone(), full_at) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((full_at, key.clone()));
        // Those that are full, two at a time so that they get fewer, and whoever is one too many.
        for _ in 0..2 {
            let Some((first, _)) = self.order.first() else { return };
            if *first > now && self.full_at.len() <= max_entries {
                return;
            }
            if let Some((_, key)) = self.order.pop_first() {
                self.full_at.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn buckets(limit: u64, every: Duration, burst: u64, max: usize) -> Buckets<u32> {
        Buckets::new(RateLimit { limit, every, burst }, max)
    }

    #[test]
    fn tokens_come_back_at_the_rate_and_no_more_than_a_bucket_holds() {
        let start = Instant::now();
        let buckets = buckets(60, 60 * SECOND, 3, 10);
        for _ in 0..3 {
            assert_eq!(buckets.take(start, &1, 1), Ok(()));
        }
        assert_eq!(buckets.take(start, &1, 1), Err(SECOND));
        assert_eq!(buckets.take(start, &2, 1), Ok(()), "another key has a bucket of its own");
        assert_eq!(buckets.take(start + SECOND - Duration::from_nanos(1), &1, 1), Err(Duration::from_nanos(1)));
        assert_eq!(buckets.take(start + SECOND, &1, 1), Ok(()));
        let later = start + 3600 * SECOND;
        for _ in 0..3 {
            assert_eq!(buckets.take(later, &1, 1), Ok(()));
        }
        assert!(buckets.take(later, &1, 1).is_err());
    }

    #[test]
    fn looking_takes_nothing_and_charging_may_leave_a_debt() {
        let start = Instant::now();
        let buckets = buckets(100, SECOND, 100, 10);
        assert_eq!(buckets.look(start, &1, 100), Ok(()));
        buckets.charge(start, &1, 250);
        assert_eq!(buckets.look(start, &1, 1), Err(Duration::from_millis(1510)));
        assert_eq!(buckets.look(start + Duration::from_millis(1510), &1, 1), Ok(()));
        assert_eq!(
            buckets.look(start + 9 * SECOND, &1, 100_000),
            Ok(()),
            "a full bucket gives more than it holds, once"
        );
    }

    #[test]
    fn over_any_time_no_more_than_burst_and_rate_comes_through() {
        // Against a model that counts: a generator of times and counts, the same on every run.
        let start = Instant::now();
        let buckets = buckets(7, 3 * SECOND, 5, 10);
        let (mut seed, mut now, mut taken) = (1_u64, 0_u64, Vec::<(u64, u64)>::new());
        for _ in 0..3000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += (seed >> 33) % 900;
            let count = 1 + (seed >> 60) % 4;
            if buckets.take(start + Duration::from_millis(now), &1, count).is_ok() {
                taken.push((now, count));
            }
        }
        assert!(taken.len() > 100);
        for first in 0..taken.len() {
            let mut sum = 0;
            for &(at, count) in &taken[first..] {
                sum += count;
                let millis = at - taken[first].0;
                assert!(sum * 3000 <= 5 * 3000 + 7 * millis, "{sum} in {millis} ms");
            }
        }
    }

    #[test]
    fn of_too_many_keys_the_fullest_buckets_are_forgotten() {
        let start = Instant::now();
        let buckets = buckets(10, 10 * SECOND, 10, 100);
        buckets.charge(start, &0, 10);
        for key in 1..10_000 {
            buckets.charge(start, &key, 1);
            assert!(buckets.len() <= 100);
        }
        assert!(buckets.take(start, &0, 1).is_err(), "who has used most is remembered");
        buckets.charge(start + 3600 * SECOND, &1, 1);
        for _ in 0..100 {
            buckets.charge(start + 3600 * SECOND, &1, 1);
        }
        assert!(buckets.len() <= 2, "full buckets are not kept: {}", buckets.len());
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let start = Instant::now();
        let buckets = buckets(u64::MAX, Duration::from_secs(1 << 33), u64::MAX, 2);
        buckets.charge(start, &1, u64::MAX);
        assert!(buckets.look(start, &1, u64::MAX).is_err());
        assert!(buckets.look(start + Duration::from_secs(1 << 31), &1, 1).is_ok());
    }
}
