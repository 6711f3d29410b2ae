//! Whether the server has stored what it acknowledged, nothing else, and nothing twice.
//!
//! Both ends of a run note down each message by itself: its id, its length and a digest of its decoded bytes. The generator adds how the
//! transaction ended. [`compare`] holds the two lists against each other as multisets, so their order doesn't matter.

use std::fmt;

use serde::{Serialize, Serializer};

/// How many ids of each kind of finding are kept, the smallest first.
pub const MAX_EXAMPLES: usize = 5;

/// The name of the header line that carries a message's id, 32 hexadecimal digits. It is a message's first line.
pub const ID_HEADER: &str = "X-Ehlo-Id";

/// One message, as one end of the run noted it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The id out of the message's [`ID_HEADER`] line.
    pub id: u128,
    /// The length of the decoded message in bytes, the id's line included, without trace lines that a server adds.
    pub length: u64,
    /// XXH3-128 over the same bytes.
    pub digest: u128,
}

/// How a transaction ended in the eyes of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The reply to the end of data was 250: the server has the message and must have it once.
    Acknowledged,
    /// The reply was 4yz or 5yz: the server must not have the message.
    Refused,
    /// The end of data was on its way and no reply came: the server may have the message, once, or not (RFC 5321 §4.5.5 and §6.1).
    Unknown,
}

/// How many messages a finding is about, and the ids of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How many messages.
    pub count: u64,
    /// Up to [`MAX_EXAMPLES`] of their ids.
    #[serde(serialize_with = "hexadecimal")]
    pub examples: Vec<u128>,
}

impl Finding {
    fn add(&mut self, id: u128) {
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
            write!(f, "{}{id:032x}", if i == 0 { " (" } else { ", " })?;
        }
        match (self.examples.len(), self.count) {
            (0, _) => Ok(()),
            (shown, count) if (shown as u64) < count => f.write_str(", ...)"),
            _ => f.write_str(")"),
        }
    }
}

fn hexadecimal<S: Serializer>(ids: &[u128], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(|id| format!("{id:032x}")))
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

/// Compares what the generator sent with what the server stored. A stored message without a readable id is given as `None`.
///
/// Both lists are held in memory and sorted: about 50 bytes for each message and side.
pub fn compare(
    sent: impl IntoIterator<Item = (Record, Outcome)>,
    stored: impl IntoIterator<Item = Option<Record>>,
) -> Integrity {
    let mut result = Integrity::default();
    let mut sent: Vec<(Record, Outcome)> = sent.into_iter().collect();
    let mut kept: Vec<Record> = Vec::new();
    for record in stored {
        result.stored += 1;
        match record {
            Some(record) => kept.push(record),
            None => result.unidentified += 1,
        }
    }
    sent.sort_unstable_by_key(|(record, outcome)| (record.id, *outcome));
    kept.sort_unstable();

    let mut sent = sent.chunk_by(|a, b| a.0.id == b.0.id).peekable();
    let mut kept = kept.chunk_by(|a, b| a.id == b.id).peekable();
    loop {
        let next_sent = sent.peek().map(|group| group[0].0.id);
        let next_kept = kept.peek().map(|group| group[0].id);
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
    /// Judges all that both sides say of one id. In a sound generator an id is sent once, but nothing here relies on it.
    fn judge(&mut self, id: u128, sent: &[(Record, Outcome)], stored: &[Record]) {
        let mut stored = stored.to_vec();
        let mut take = |record: &Record| {
            let found = stored.iter().position(|other| other == record);
            found.map(|at| stored.remove(at)).is_some()
        };
        // First the exact matches, in the order acknowledged, unknown; a refused message has no claim on a stored one.
        let mut unmet_acknowledged = 0_u64;
        let mut unmet_unknown = 0_u64;
        let mut expected = false;
        for (record, outcome) in sent {
            match outcome {
                Outcome::Acknowledged => {
                    expected = true;
                    self.acknowledged += 1;
                    if take(record) { self.matched += 1 } else { unmet_acknowledged += 1 }
                }
                Outcome::Unknown => {
                    expected = true;
                    self.unknown += 1;
                    if take(record) { self.unknown_stored += 1 } else { unmet_unknown += 1 }
                }
                Outcome::Refused => {}
            }
        }
        // What is left in the store is explained as the mildest thing that it can be.
        for _ in stored {
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

    fn record(id: u128) -> Record {
        Record { id, length: 100 + id as u64, digest: id.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }

    fn acknowledged(ids: impl IntoIterator<Item = u128>) -> Vec<(Record, Outcome)> {
        ids.into_iter().map(|id| (record(id), Outcome::Acknowledged)).collect()
    }

    fn kept(ids: impl IntoIterator<Item = u128>) -> Vec<Option<Record>> {
        ids.into_iter().map(|id| Some(record(id))).collect()
    }

    #[test]
    fn the_same_messages_in_another_order_are_in_order() {
        let result = compare(acknowledged(0..1000), kept((0..1000).rev()));
        assert!(result.ok());
        assert_eq!((result.acknowledged, result.stored, result.matched), (1000, 1000, 1000));
        assert!(compare([], []).ok());
    }

    #[test]
    fn one_lost_message_is_missing() {
        let result = compare(acknowledged(0..10_000), kept((0..10_000).filter(|id| *id != 4711)));
        assert!(!result.ok());
        assert_eq!(result.missing, Finding { count: 1, examples: vec![4711] });
        assert_eq!(result.matched, 9_999);
        assert_eq!(result.missing.to_string(), "1 (00000000000000000000000000001267)");
    }

    #[test]
    fn one_message_stored_twice_is_doubled() {
        let result = compare(acknowledged(0..10_000), kept((0..10_000).chain([7])));
        assert!(!result.ok());
        assert_eq!(result.doubled, Finding { count: 1, examples: vec![7] });
        assert_eq!((result.matched, result.missing.count, result.unacknowledged.count), (10_000, 0, 0));
    }

    #[test]
    fn another_digest_or_length_is_altered_and_not_missing() {
        for change in [|r: &mut Record| r.digest ^= 1, |r: &mut Record| r.length += 1] {
            let mut stored = kept(0..100);
            change(stored[42].as_mut().unwrap());
            let result = compare(acknowledged(0..100), stored);
            assert!(!result.ok());
            assert_eq!(result.altered, Finding { count: 1, examples: vec![42] });
            assert_eq!((result.matched, result.missing.count, result.doubled.count), (99, 0, 0));
        }
    }

    #[test]
    fn an_altered_copy_beside_a_good_one_is_doubled() {
        let mut stored = kept([1, 1]);
        stored[0].as_mut().unwrap().digest = 0;
        let result = compare(acknowledged([1]), stored);
        assert_eq!((result.matched, result.doubled.count, result.altered.count), (1, 1, 0));
        assert!(!result.ok());
    }

    #[test]
    fn an_unknown_outcome_may_be_stored_or_not() {
        let sent = || [(record(1), Outcome::Unknown), (record(2), Outcome::Unknown)];
        let result = compare(sent(), kept([2]));
        assert!(result.ok());
        assert_eq!((result.unknown, result.unknown_stored, result.stored), (2, 1, 1));
        // But not twice, and not cut short.
        assert_eq!(compare(sent(), kept([2, 2])).doubled.count, 1);
        let cut = Record { length: 5, ..record(2) };
        assert_eq!(compare(sent(), [Some(cut)]).altered.count, 1);
    }

    #[test]
    fn a_refused_or_unheard_of_message_must_not_be_stored() {
        let sent = [(record(1), Outcome::Acknowledged), (record(2), Outcome::Refused)];
        let result = compare(sent, kept([1, 2, 3]));
        assert_eq!(result.unacknowledged, Finding { count: 2, examples: vec![2, 3] });
        assert!(!result.ok());
        assert!(compare(sent, kept([1])).ok());
    }

    #[test]
    fn a_message_without_an_id_is_told_apart() {
        let result = compare(acknowledged([1]), [Some(record(1)), None]);
        assert_eq!((result.unidentified, result.matched, result.stored), (1, 1, 2));
        assert!(!result.ok());
    }

    #[test]
    fn only_a_few_examples_are_kept() {
        let result = compare(acknowledged(0..100), []);
        assert_eq!(result.missing.count, 100);
        assert_eq!(result.missing.examples, [0, 1, 2, 3, 4]);
        assert!(result.missing.to_string().ends_with("4, ...)"));
    }
}
