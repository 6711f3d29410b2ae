//! Whether the server has stored what it acknowledged, nothing else, and nothing twice.
//!
//! Both ends of a run note down each message by itself: its id, its length and a digest of its decoded bytes. The generator adds how the
//! transaction ended. [`compare`] holds the two lists against each other as multisets, so their order doesn't matter.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::message::{Fate, LedgerEntry, MessageId};

/// How many ids of each kind of finding are kept, the smallest first.
pub const MAX_EXAMPLES: usize = 5;

/// One message in a server's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The id, or `None` if the message doesn't begin with the line that holds one.
    pub id: Option<MessageId>,
    /// The octets of the decoded message, the id's line included, without trace lines that the server adds.
    pub length: u64,
    /// XXH3-128 over the same octets.
    pub digest: u128,
}

/// How many messages a finding is about, and the ids of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How many messages.
    pub count: u64,
    /// Up to [`MAX_EXAMPLES`] of their ids.
    #[serde(serialize_with = "as_text")]
    pub examples: Vec<MessageId>,
}

impl Finding {
    fn add(&mut self, id: MessageId) {
        self.count += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(id);
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        for (i, id) in self.examples.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { " (" } else { ", " })?;
        }
        match (self.examples.len(), self.count) {
            (0, _) => Ok(()),
            (shown, count) if (shown as u64) < count => f.write_str(", ...)"),
            _ => f.write_str(")"),
        }
    }
}

fn as_text<S: Serializer>(ids: &[MessageId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(ToString::to_string))
}

/// What [`compare`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Messages that the server acknowledged to the generator.
    pub acknowledged: u64,
    /// Messages whose outcome the generator doesn't know.
    pub unknown: u64,
    /// Messages that the server has in its store.
    pub stored: u64,
    /// Messages acknowledged, and stored once and unaltered.
    pub matched: u64,
    /// Messages of unknown outcome that the server has stored, once and unaltered. Not a fault.
    pub unknown_stored: u64,
    /// Messages acknowledged and not stored: lost mail.
    pub missing: Finding,
    /// Messages stored more often than they were sent.
    pub doubled: Finding,
    /// Messages stored with another length or digest than they were sent with.
    pub altered: Finding,
    /// Messages stored although the server refused them, or was never given their end.
    pub unacknowledged: Finding,
    /// Messages stored without a readable id.
    pub unidentified: u64,
}

impl Integrity {
    /// Whether the store holds just what was acknowledged, and of the unknown at most what was sent.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.missing.count == 0
            && self.doubled.count == 0
            && self.altered.count == 0
            && self.unacknowledged.count == 0
            && self.unidentified == 0
    }
}

/// Compares the generator's account with what the server stored.
///
/// Both lists are held in memory and sorted: about 64 bytes for each message and side.
#[must_use]
pub fn compare(sent: impl IntoIterator<Item = LedgerEntry>, stored: impl IntoIterator<Item = Stored>) -> Integrity {
    let mut result = Integrity::default();
    let mut sent: Vec<LedgerEntry> = sent.into_iter().collect();
    let mut kept: Vec<(MessageId, Stored)> = Vec::new();
    for message in stored {
        result.stored += 1;
        match message.id {
            Some(id) => kept.push((id, message)),
            None => result.unidentified += 1,
        }
    }
    sent.sort_unstable_by_key(|entry| entry.id);
    kept.sort_unstable_by_key(|(id, _)| *id);

    let mut sent = sent.chunk_by(|a, b| a.id == b.id).peekable();
    let mut kept = kept.chunk_by(|a, b| a.0 == b.0).peekable();
    loop {
        let next_sent = sent.peek().map(|group| group[0].id);
        let next_kept = kept.peek().map(|group| group[0].0);
        let id = match (next_sent, next_kept) {
            (Some(sent), Some(kept)) => sent.min(kept),
            (Some(id), None) | (None, Some(id)) => id,
            (None, None) => return result,
        };
        let ours = if next_sent == Some(id) { sent.next() } else { None };
        let theirs = if next_kept == Some(id) { kept.next() } else { None };
        result.judge(id, ours.unwrap_or_default(), theirs.unwrap_or_default());
    }
}

impl Integrity {
    /// Judges all that both sides say of one id. A sound generator sends an id once, but nothing here relies on it.
    fn judge(&mut self, id: MessageId, sent: &[LedgerEntry], stored: &[(MessageId, Stored)]) {
        // Copies in the store that nothing accounts for yet.
        let mut left: Vec<&Stored> = stored.iter().map(|(_, message)| message).collect();
        let mut take = |entry: &LedgerEntry| {
            let found = left.iter().position(|it| it.length == entry.length && it.digest == entry.digest);
            found.map(|at| left.swap_remove(at)).is_some()
        };
        // A message that was refused, or not sent whole, accounts for none.
        let (mut unmet_acknowledged, mut unmet_unknown) = (0_u64, 0_u64);
        let mut expected = false;
        for entry in sent.iter().filter(|entry| entry.fate == Fate::Acked) {
            expected = true;
            self.acknowledged += 1;
            if take(entry) {
                self.matched += 1;
            } else {
                unmet_acknowledged += 1;
            }
        }
        for entry in sent.iter().filter(|entry| entry.fate == Fate::Unknown) {
            expected = true;
            self.unknown += 1;
            if take(entry) {
                self.unknown_stored += 1;
            } else {
                unmet_unknown += 1;
            }
        }
        for _ in left {
            if unmet_acknowledged > 0 {
                unmet_acknowledged -= 1;
                self.altered.add(id);
            } else if unmet_unknown > 0 {
                unmet_unknown -= 1;
                self.altered.add(id);
            } else if expected {
                self.doubled.add(id);
            } else {
                self.unacknowledged.add(id);
            }
        }
        for _ in 0..unmet_acknowledged {
            self.missing.add(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> MessageId {
        MessageId { run: 1, sequence }
    }

    fn entry(sequence: u64, fate: Fate) -> LedgerEntry {
        let digest = u128::from(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        LedgerEntry { id: id(sequence), length: 100 + sequence, digest, fate }
    }

    fn acked(ids: impl IntoIterator<Item = u64>) -> Vec<LedgerEntry> {
        ids.into_iter().map(|id| entry(id, Fate::Acked)).collect()
    }

    fn kept(ids: impl IntoIterator<Item = u64>) -> Vec<Stored> {
        let stored = |LedgerEntry { id, length, digest, .. }| Stored { id: Some(id), length, digest };
        acked(ids).into_iter().map(stored).collect()
    }

    fn finding(sequence: u64) -> Finding {
        Finding { count: 1, examples: vec![id(sequence)] }
    }

    #[test]
    fn the_same_messages_in_another_order_are_in_order() {
        let result = compare(acked(0..1000), kept((0..1000).rev()));
        assert!(result.ok());
        assert_eq!((result.acknowledged, result.stored, result.matched), (1000, 1000, 1000));
        assert!(compare([], []).ok());
    }

    #[test]
    fn one_lost_message_is_missing() {
        let result = compare(acked(0..10_000), kept((0..10_000).filter(|id| *id != 0x1267)));
        assert!(!result.ok());
        assert_eq!(result.missing, finding(0x1267));
        assert_eq!(result.matched, 9_999);
        assert_eq!(result.missing.to_string(), "1 (00000000000000010000000000001267)");
    }

    #[test]
    fn one_message_stored_twice_is_doubled() {
        let result = compare(acked(0..10_000), kept((0..10_000).chain([7])));
        assert!(!result.ok());
        assert_eq!(result.doubled, finding(7));
        assert_eq!((result.matched, result.missing.count, result.unacknowledged.count), (10_000, 0, 0));
    }

    #[test]
    fn another_digest_or_length_is_altered_and_not_missing() {
        for change in [|it: &mut Stored| it.digest ^= 1, |it: &mut Stored| it.length += 1] {
            let mut stored = kept(0..100);
            change(&mut stored[42]);
            let result = compare(acked(0..100), stored);
            assert!(!result.ok());
            assert_eq!(result.altered, finding(42));
            assert_eq!((result.matched, result.missing.count, result.doubled.count), (99, 0, 0));
        }
    }

    #[test]
    fn an_altered_copy_beside_a_good_one_is_doubled() {
        let mut stored = kept([1, 1]);
        stored[0].digest = 0;
        let result = compare(acked([1]), stored);
        assert_eq!((result.matched, result.doubled.count, result.altered.count), (1, 1, 0));
        assert!(!result.ok());
    }

    #[test]
    fn an_unknown_outcome_may_be_stored_or_not() {
        let sent = || [entry(1, Fate::Unknown), entry(2, Fate::Unknown)];
        let result = compare(sent(), kept([2]));
        assert!(result.ok());
        assert_eq!((result.unknown, result.unknown_stored, result.stored), (2, 1, 1));
        // But not twice, and not cut short.
        assert_eq!(compare(sent(), kept([2, 2])).doubled, finding(2));
        let mut cut = kept([2]);
        cut[0].length = 5;
        assert_eq!(compare(sent(), cut).altered, finding(2));
    }

    #[test]
    fn what_was_refused_or_cut_off_or_never_sent_must_not_be_stored() {
        let sent = [entry(1, Fate::Acked), entry(2, Fate::Refused), entry(3, Fate::Failed)];
        let result = compare(sent, kept([1, 2, 3, 4]));
        assert_eq!(result.unacknowledged, Finding { count: 3, examples: vec![id(2), id(3), id(4)] });
        assert!(!result.ok());
        assert!(compare(sent, kept([1])).ok());
    }

    #[test]
    fn a_message_without_an_id_is_told_apart() {
        let mut stored = kept([1, 2]);
        stored[1].id = None;
        let result = compare(acked([1]), stored);
        assert_eq!((result.unidentified, result.matched, result.stored), (1, 1, 2));
        assert!(!result.ok());
    }

    #[test]
    fn only_a_few_examples_are_kept() {
        let result = compare(acked(0..100), []);
        assert_eq!(result.missing.count, 100);
        assert_eq!(result.missing.examples, [0, 1, 2, 3, 4].map(id));
        assert!(result.missing.to_string().ends_with("4, ...)"));
    }
}
