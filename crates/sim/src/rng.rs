//! The only source of chance.

use std::time::Duration;

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): 64 bits of state, integer arithmetic only,
/// so that a seed gives the same numbers on every machine. It is far from unpredictable, and need not be.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero. The bias of the remainder is of no matter here.
    pub const fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number from `from` to `to`, both included.
    pub const fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// True in `percent` of 100 cases.
    pub const fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of some, which are not none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Mostly no time at all, often some milliseconds, and in `long` of 100 cases minutes.
    pub fn delay(&mut self, long: usize) -> Duration {
        if self.percent(long) {
            return Duration::from_secs(self.between(20, 700) as u64);
        }
        match self.below(3) {
            0 => Duration::ZERO,
            1 => Duration::from_micros(self.between(1, 900) as u64),
            _ => Duration::from_millis(self.between(1, 200) as u64),
        }
    }

    /// How much of `most` is taken at a time: all of it, one, or anything in between.
    pub const fn portion(&mut self, most: usize) -> usize {
        match self.below(4) {
            0 => 1,
            1 => self.between(1, most),
            _ => most,
        }
    }
}
