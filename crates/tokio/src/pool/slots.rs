//! Who may have a connection, without I/O: places for open connections, those that are idle, and those who wait, in order.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) each: usize,
    /// How long one may be idle.
    pub(super) idle: Duration,
}

/// What somebody gets who asks for a connection. Either counts as an open one until it is [given back](Slots::give_back).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<C> {
    /// One that was idle.
    Idle(C),
    /// A place, to open one.
    Open,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<C> {
    Granted(Grant<C>),
    /// By this number there will be a grant.
    Waits(u64),
}

/// Connections to be closed, and grants for those who waited.
#[derive(Debug)]
#[must_use]
pub(super) struct Changes<C> {
    pub(super) closed: Vec<C>,
    pub(super) granted: Vec<(u64, Grant<C>)>,
}

#[derive(Debug)]
struct Place<C> {
    /// In use or idle.
    open: usize,
    /// The one that was used last is at the end.
    idle: Vec<(C, Instant)>,
}

#[derive(Debug)]
pub(super) struct Slots<K, C> {
    bounds: Bounds,
    places: HashMap<K, Place<C>>,
    open: usize,
    waiting: VecDeque<(u64, K)>,
    next: u64,
}

impl<K: Clone + Eq + Hash, C> Slots<K, C> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, places: HashMap::new(), open: 0, waiting: VecDeque::new(), next: 0 }
    }

    /// Asks for a connection. Those who came before and wait for the same are served before.
    pub(super) fn ask(&mut self, key: &K) -> (Asked<C>, Vec<C>) {
        let mut closed = Vec::new();
        let first = !self.waiting.iter().any(|(_, waits)| waits == key);
        if first && let Some(grant) = self.grant(key, &mut closed) {
            return (Asked::Granted(grant), closed);
        }
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, key.clone()));
        (Asked::Waits(number), closed)
    }

    /// What can be granted at once.
    fn grant(&mut self, key: &K, closed: &mut Vec<C>) -> Option<Grant<C>> {
        let bounds = self.bounds;
        if let Some(place) = self.places.get_mut(key) {
            if let Some((connection, _)) = place.idle.pop() {
                return Some(Grant::Idle(connection));
            }
            if place.open >= bounds.each {
                return None;
            }
        }
        if self.open >= bounds.total {
            closed.push(self.evict()?);
        }
        self.open += 1;
        self.places.entry(key.clone()).or_insert_with(|| Place { open: 0, idle: Vec::new() }).open += 1;
        Some(Grant::Open)
    }

    /// Gives up the one that was idle longest.
    fn evict(&mut self) -> Option<C> {
        let (key, _) = self
            .places
            .iter()
            .filter_map(|(key, place)| Some((key.clone(), place.idle.first()?.1)))
            .min_by_key(|(_, since)| *since)?;
        let (connection, _) = self.places.get_mut(&key)?.idle.remove(0);
        self.forget(&key);
        Some(connection)
    }

    /// One connection of these is open no more.
    fn forget(&mut self, key: &K) {
        self.open = self.open.saturating_sub(1);
        if let Some(place) = self.places.get_mut(key) {
            place.open = place.open.saturating_sub(1);
            if place.open == 0 {
                self.places.remove(key);
            }
        }
    }

    /// A connection that was granted comes back, or is gone.
    pub(super) fn give_back(&mut self, key: &K, connection: Option<C>, now: Instant) -> Changes<C> {
        match (connection, self.places.get_mut(key)) {
            (Some(connection), Some(place)) => place.idle.push((connection, now)),
            _ => self.forget(key),
        }
        self.serve()
    }

    /// Somebody waits no more. False if there was a grant already, which is then to be given back.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waits, _)| *waits != number);
        self.waiting.len() < before
    }

    /// Grants what can be granted to those who wait, in their order. Whoever waits for a target that has no place holds nobody up.
    fn serve(&mut self) -> Changes<C> {
        let mut changes = Changes { closed: Vec::new(), granted: Vec::new() };
        let waiting = std::mem::take(&mut self.waiting);
        let mut refused: Vec<K> = Vec::new();
        for (number, key) in waiting {
            if !refused.contains(&key)
                && let Some(grant) = self.grant(&key, &mut changes.closed)
            {
                changes.granted.push((number, grant));
                continue;
            }
            if !refused.contains(&key) {
                refused.push(key.clone());
            }
            self.waiting.push_back((number, key));
        }
        changes
    }

    /// Takes out those that were idle for too long, and tells when that is the case next.
    pub(super) fn expire(&mut self, now: Instant) -> (Changes<C>, Option<Instant>) {
        let mut old = Vec::new();
        for (key, place) in &mut self.places {
            let until = place.idle.partition_point(|(_, since)| *since + self.bounds.idle <= now);
            old.extend(place.idle.drain(..until).map(|(connection, _)| (key.clone(), connection)));
        }
        let mut closed = Vec::new();
        for (key, connection) in old {
            self.forget(&key);
            closed.push(connection);
        }
        let mut changes = self.serve();
        changes.closed.extend(closed);
        let oldest = self.places.values().filter_map(|place| place.idle.first()).map(|(_, since)| *since).min();
        (changes, oldest.map(|since| since + self.bounds.idle))
    }

    /// Takes out all that are idle.
    pub(super) fn clear(&mut self) -> Vec<C> {
        let mut closed = Vec::new();
        while let Some(connection) = self.evict() {
            closed.push(connection);
        }
        closed
    }

    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let idle = self.places.values().map(|place| place.idle.len()).sum();
        (self.open, idle, self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Numbers that look random, by a seed (splitmix64).
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) % n as u64) as usize
        }
    }

    /// Who has what, and who waits, as a simulation knows it.
    struct World {
        slots: Slots<usize, u32>,
        bounds: Bounds,
        used: Vec<(usize, u32)>,
        waiting: BTreeMap<u64, usize>,
        open: BTreeMap<u32, usize>,
        next: u32,
        now: Instant,
    }

    impl World {
        fn new(bounds: Bounds) -> Self {
            let now = Instant::now();
            let slots = Slots::new(bounds);
            Self { slots, bounds, used: Vec::new(), waiting: BTreeMap::new(), open: BTreeMap::new(), next: 0, now }
        }

        fn take(&mut self, key: usize, grant: Grant<u32>) {
            let connection = match grant {
                Grant::Idle(connection) => {
                    assert_eq!(
                        self.open.get(&connection),
                        Some(&key),
                        "a connection of somebody else, or a closed one"
                    );
                    connection
                }
                Grant::Open => {
                    self.next += 1;
                    self.open.insert(self.next, key);
                    self.next
                }
            };
            assert!(self.used.iter().all(|(_, used)| *used != connection), "one connection for two");
            self.used.push((key, connection));
        }

        fn close(&mut self, closed: Vec<u32>) {
            for connection in closed {
                assert!(self.used.iter().all(|(_, used)| *used != connection), "a connection in use was closed");
                assert!(self.open.remove(&connection).is_some(), "closed twice");
            }
        }

        fn change(&mut self, changes: Changes<u32>) {
            self.close(changes.closed);
            for (number, grant) in changes.granted {
                let key = self.waiting.remove(&number).expect("a grant for nobody");
                let before = self.waiting.iter().any(|(other, waits)| *other < number && *waits == key);
                assert!(!before, "{number} was served before those who came before it");
                self.take(key, grant);
            }
        }

        fn step(&mut self, random: &mut Random) {
            self.now += Duration::from_millis(random.below(50) as u64);
            match random.below(10) {
                0..4 => {
                    let key = random.below(4);
                    let (asked, closed) = self.slots.ask(&key);
                    self.close(closed);
                    match asked {
                        Asked::Granted(grant) => self.take(key, grant),
                        Asked::Waits(number) => {
                            self.waiting.insert(number, key);
                        }
                    }
                }
                4..8 if !self.used.is_empty() => {
                    let (key, connection) = self.used.swap_remove(random.below(self.used.len()));
                    let broken = random.below(3) == 0;
                    if broken {
                        self.open.remove(&connection);
                    }
                    let changes = self.slots.give_back(&key, (!broken).then_some(connection), self.now);
                    self.change(changes);
                }
                8 if !self.waiting.is_empty() => {
                    let number = *self.waiting.keys().nth(random.below(self.waiting.len())).unwrap();
                    assert!(self.slots.leave(number));
                    assert!(!self.slots.leave(number), "it has left");
                    self.waiting.remove(&number);
                }
                9 => {
                    let (changes, next) = self.slots.expire(self.now);
                    self.change(changes);
                    assert!(next.is_none_or(|next| next > self.now));
                }
                _ => {}
            }
            self.check();
        }

        fn check(&self) {
            let (open, idle, waiting) = self.slots.counts();
            assert_eq!((open, waiting), (self.open.len(), self.waiting.len()));
            assert_eq!(open - idle, self.used.len());
            assert!(open <= self.bounds.total);
            for key in 0..4 {
                let of_key = self.open.values().filter(|open| **open == key).count();
                let used = self.used.iter().filter(|(used, _)| *used == key).count();
                assert!(of_key <= self.bounds.each);
                // Nobody waits for what is there: an idle connection, or a place for one.
                if self.waiting.values().any(|waits| *waits == key) {
                    assert_eq!(of_key, used, "somebody waits, and a connection is idle");
                    assert!(of_key == self.bounds.each || (open == self.bounds.total && idle == 0), "a lost wake-up");
                }
            }
        }
    }

    #[test]
    fn nobody_waits_for_what_is_there_and_no_bound_is_passed() {
        for seed in 0..2000 {
            let mut random = Random(seed);
            let bounds = Bounds {
                total: 1 + random.below(6),
                each: 1 + random.below(4),
                idle: Duration::from_millis(1 + random.below(300) as u64),
            };
            let mut world = World::new(bounds);
            for _ in 0..200 {
                world.step(&mut random);
            }
            // In the end everybody gets one.
            while !(world.used.is_empty() && world.waiting.is_empty()) {
                assert!(!world.used.is_empty(), "seed {seed}: {} wait for ever", world.waiting.len());
                let (key, connection) = world.used.pop().unwrap();
                let changes = world.slots.give_back(&key, Some(connection), world.now);
                world.change(changes);
                world.check();
            }
            let closed = world.slots.clear();
            world.close(closed);
            assert_eq!(world.slots.counts(), (0, 0, 0), "seed {seed}");
        }
    }
}
