//! Counting commands, for whoever watches a server.

use crate::table::ROWS;
use ehlo_codec::Verb;

/// The verbs of the table, and one place for all other lines.
const KINDS: usize = ROWS.len() + 1;

/// How many command lines of each verb a session has looked at in one call, whatever became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandCounts {
    counts: [u16; KINDS],
    /// A bit for each of them that is not 0, so that those who add them up look at nothing else.
    seen: u32,
}

/// The kind of each verb, by its number.
const KIND: [u8; 256] = {
    let mut kinds = [ROWS.len() as u8; 256];
    let mut i = 0;
    while i < ROWS.len() {
        kinds[ROWS[i].verb as usize] = i as u8;
        i += 1;
    }
    kinds
};

const _: () = assert!(KINDS <= u32::BITS as usize, "each kind has a bit");

impl Default for CommandCounts {
    fn default() -> Self {
        Self { counts: [0; KINDS], seen: 0 }
    }
}

impl CommandCounts {
    /// The verbs that are told apart: those of the [table](crate::table::ROWS). Lines of all others, and those that are no command,
    /// count as `None`.
    pub fn kinds() -> impl Iterator<Item = Option<Verb>> {
        ROWS.iter().map(|row| Some(row.verb)).chain([None])
    }

    /// Each kind that was seen, by its place in [`kinds`](Self::kinds), and how often.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        let mut seen = self.seen;
        let counts = self.counts;
        std::iter::from_fn(move || {
            let kind = seen.trailing_zeros() as usize;
            let count = counts.get(kind)?;
            seen &= seen - 1;
            Some((kind, u32::from(*count)))
        })
    }

    /// Whether there were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// Counts a line. One read has fewer of them than a count can hold, and more in a row are not counted.
    pub(crate) fn count(&mut self, verb: Option<Verb>) {
        let kind = verb.map_or(ROWS.len(), |verb| usize::from(KIND[verb as usize]));
        self.counts[kind] = self.counts[kind].saturating_add(1);
        self.seen |= 1 << kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_count_of_its_own_and_the_others_share_one() {
        let mut counts = CommandCounts::default();
        assert!(counts.is_empty());
        for verb in Verb::ALL {
            counts.count(Some(*verb));
        }
        counts.count(None);
        let kinds: Vec<_> = CommandCounts::kinds().collect();
        let total: u32 = counts.iter().map(|(_, count)| count).sum();
        assert_eq!(total as usize, Verb::ALL.len() + 1);
        for (kind, count) in counts.iter() {
            assert!(count == 1 || kinds[kind].is_none(), "{:?}", kinds[kind]);
        }
        assert_eq!(counts.iter().count(), kinds.len());
    }

    #[test]
    fn a_count_that_is_full_stays_so() {
        let mut counts = CommandCounts::default();
        for _ in 0..70_000 {
            counts.count(Some(Verb::Noop));
        }
        assert_eq!(counts.iter().map(|(_, count)| count).collect::<Vec<_>>(), [65_535]);
    }
}
