//! When a rule that fits is applied: by count and by chance, the same way each time for the same seed.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::value::{Delay, Probability};

/// Whoever is counted apart, for a rule. Beyond that, all of them are counted anew.
const MOST_KEYS: usize = 65_536;

/// When it is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    /// So many of the first are passed over.
    pub(super) after: u64,
    /// Behind them so many, and then none.
    pub(super) first: Option<NonZeroU64>,
    /// Of those, each so-manieth.
    pub(super) every: Option<NonZeroU64>,
    /// And of those, so many by chance.
    pub(super) probability: Option<Probability>,
}

impl When {
    pub(super) fn is_always(&self) -> bool {
        self.after == 0 && self.first.is_none() && self.every.is_none() && self.probability.is_none()
    }

    /// Whether it is at its `number`-th time, counted from 1.
    fn is_at(&self, number: u64, draw: Draw) -> bool {
        let Some(number) = number.checked_sub(self.after).filter(|number| *number > 0) else { return false };
        self.first.is_none_or(|first| number <= first.get())
            && self.every.is_none_or(|every| number % every == 0)
            && self.probability.is_none_or(|share| share.takes(draw.number(Purpose::Apply)))
    }
}

/// What is counted of a rule.
#[derive(Debug, Default)]
pub(super) struct Count {
    matched: AtomicU64,
    applied: AtomicU64,
    /// For those that are counted apart.
    keys: Mutex<HashMap<u64, u64>>,
}

impl Count {
    pub(super) fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// The rule fits once more, for this key if it counts keys apart. Gives what is drawn this time, if it is applied.
    pub(super) fn next(&self, when: &When, seed: u64, rule: usize, key: Option<u64>) -> Option<Draw> {
        let all = self.matched.fetch_add(1, Ordering::Relaxed) + 1;
        let number = key.map_or(all, |key| {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= MOST_KEYS && !keys.contains_key(&key) {
                keys.clear();
            }
            let number = keys.entry(key).or_default();
            *number += 1;
            *number
        });
        let draw = Draw { seed, rule: rule as u64, key: key.unwrap_or_default(), number };
        let applies = when.is_at(number, draw);
        if applies {
            self.applied.fetch_add(1, Ordering::Relaxed);
        }
        applies.then_some(draw)
    }
}

/// What numbers are drawn for. The same rule draws others for each.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Apply = 1,
    Wait = 2,
}

/// What chance is made of: nothing but the seed, the number of the rule in its file, for whom it counts, and how often it fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    seed: u64,
    rule: u64,
    key: u64,
    number: u64,
}

impl Draw {
    fn number(self, purpose: Purpose) -> u64 {
        [self.rule, self.key, self.number, purpose as u64]
            .into_iter()
            .fold(mix(self.seed), |state, part| mix(state ^ mix(part)))
    }

    /// A wait between the least and the most.
    pub(super) fn wait(self, delay: Delay) -> std::time::Duration {
        let span = delay.most - delay.least;
        // 32 bits of chance are more than a clock tells.
        delay.least + span.mul_f64((self.number(Purpose::Wait) >> 32) as f64 / f64::from(u32::MAX))
    }
}

/// SplitMix64's output function over a counter (Steele, Lea and Flood 2014): each input gives another output.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number for what is counted apart, the same on every machine.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts.into_iter().fold(0, |state, part| {
        let text = part.iter().fold(mix(part.len() as u64), |state, byte| mix(state ^ u64::from(*byte)));
        mix(state ^ text)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALWAYS: When = When { after: 0, first: None, every: None, probability: None };

    /// Which of so many times it is applied, counted from 1.
    fn applied(when: &When, seed: u64, times: u64) -> Vec<u64> {
        let count = Count::default();
        (1..=times).filter(|_| count.next(when, seed, 0, None).is_some()).collect()
    }

    fn share(text: &str) -> Option<Probability> {
        #[derive(serde::Deserialize)]
        struct Table {
            p: Probability,
        }
        Some(toml::from_str::<Table>(&format!("p = {text}")).unwrap().p)
    }

    #[test]
    fn counts_select_among_those_that_fit() {
        assert_eq!(applied(&ALWAYS, 0, 3), [1, 2, 3]);
        assert_eq!(applied(&When { every: NonZeroU64::new(3), ..ALWAYS }, 0, 10), [3, 6, 9]);
        assert_eq!(applied(&When { after: 2, ..ALWAYS }, 0, 4), [3, 4]);
        assert_eq!(applied(&When { first: NonZeroU64::new(2), ..ALWAYS }, 0, 4), [1, 2]);
        let when = When { after: 1, first: NonZeroU64::new(4), every: NonZeroU64::new(2), probability: None };
        assert_eq!(applied(&when, 0, 10), [3, 5]);
    }

    #[test]
    fn chance_depends_on_the_seed_and_on_nothing_else() {
        let when = When { probability: share("0.25"), ..ALWAYS };
        let first = applied(&when, 7, 4000);
        assert_eq!(first, applied(&when, 7, 4000));
        assert_ne!(first, applied(&when, 8, 4000));
        // Four standard deviations of 4000 throws.
        assert!((890..1110).contains(&first.len()), "{}", first.len());
        assert_eq!(applied(&When { probability: share("0"), ..ALWAYS }, 7, 1000), []);
        assert_eq!(applied(&When { probability: share("1.0"), ..ALWAYS }, 7, 1000).len(), 1000);
        let count = Count::default();
        let other: Vec<u64> = (1..=4000).filter(|_| count.next(&when, 7, 1, None).is_some()).collect();
        assert_ne!(first, other, "another rule draws others");
    }

    #[test]
    fn those_who_are_counted_apart_each_begin_at_one() {
        let (when, count) = (When { first: NonZeroU64::new(1), ..ALWAYS }, Count::default());
        let key = |name: &str| Some(key([name.as_bytes()]));
        let applied = ["a", "b", "a", "c", "b"].map(|name| count.next(&when, 0, 0, key(name)).is_some());
        assert_eq!(applied, [true, true, false, true, false]);
        assert_eq!((count.matched(), count.applied()), (5, 3));
    }

    #[test]
    fn no_more_is_kept_of_them_than_the_limit() {
        let count = Count::default();
        for number in 0..200_000 {
            count.next(&ALWAYS, 0, 0, Some(number));
        }
        assert!(count.keys.lock().unwrap().len() <= MOST_KEYS);
    }

    #[test]
    fn keys_of_several_parts_are_not_confused() {
        assert_ne!(key([&b"ab"[..], b"c"]), key([&b"a"[..], b"bc"]));
        assert_ne!(key([&b""[..], b"a"]), key([&b"a"[..], b""]));
    }

    #[test]
    fn a_wait_lies_between_its_ends() {
        let (count, second) = (Count::default(), Duration::from_secs(1));
        let delay = Delay { least: second, most: 5 * second };
        let mut waits: Vec<Duration> =
            (0..1000).filter_map(|_| count.next(&ALWAYS, 3, 0, None)).map(|draw| draw.wait(delay)).collect();
        waits.sort();
        assert!(waits[0] >= second && waits[0] < 2 * second && waits[999] > 4 * second && waits[999] <= 5 * second);
        assert_eq!(count.next(&ALWAYS, 3, 0, None).unwrap().wait(Delay { least: second, most: second }), second);
    }
}
