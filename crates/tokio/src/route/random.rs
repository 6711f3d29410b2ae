//! Which of equal hosts comes first.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Numbers of one seed: SplitMix64. They spread load, and keep no secret.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one each time.
    pub(super) fn unforeseen() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which isn't 0. The bias of at most `bound` / 2^64 doesn't matter here.
    const fn below(&mut self, bound: usize) -> usize {
        ((self.next() as u128 * bound as u128) >> 64) as usize
    }

    /// Puts the items into any order, each as likely as any other (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn each_order_is_as_likely_as_any_other() {
        const SEEDS: u64 = 24_000;
        let mut counts: HashMap<[u8; 4], f64> = HashMap::new();
        for seed in 0..SEEDS {
            let mut items = [0, 1, 2, 3];
            Random::new(seed).shuffle(&mut items);
            *counts.entry(items).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 24);
        let expected = SEEDS as f64 / 24.0;
        let chi_squared: f64 = counts.values().map(|count| (count - expected).powi(2) / expected).sum();
        // With 23 degrees of freedom, one in a thousand fair shuffles is beyond 49.7. The seeds are fixed, so this is not left to chance.
        assert!(chi_squared < 49.7, "{chi_squared}: {counts:?}");
    }

    #[test]
    fn without_a_seed_orders_differ() {
        let order = || {
            let mut items: Vec<u32> = (0..100).collect();
            Random::unforeseen().shuffle(&mut items);
            items
        };
        assert_ne!(order(), order());
    }
}
