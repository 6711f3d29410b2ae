//! The open connections: who is to be woken, where they come from, and what they hold.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::task::Waker;

/// An open connection.
#[derive(Debug, Default)]
struct Entry {
    /// Of its task, once that has run.
    waker: Option<Waker>,
    /// Octets that its session holds.
    kept: usize,
    /// When it was active last: its place in the queue of those that hold something.
    turn: u64,
    /// It is to end.
    shed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// The number of the last connection.
    pub(super) next: u64,
    open: HashMap<u64, Entry>,
    per_address: HashMap<IpAddr, usize>,
    /// Connections that hold something, the one that was active least lately first.
    holding: BTreeMap<u64, u64>,
    turn: u64,
    /// What those hold that are to end.
    leaving: usize,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Gives a new connection its number.
    pub(super) fn open(&mut self) -> u64 {
        self.next += 1;
        self.open.insert(self.next, Entry::default());
        self.next
    }

    pub(super) fn close(&mut self, id: u64) {
        if let Some(entry) = self.open.remove(&id) {
            self.holding.remove(&entry.turn);
            if entry.shed {
                self.leaving -= entry.kept;
            }
        }
    }

    pub(super) fn watch(&mut self, id: u64, waker: &Waker) {
        if let Some(entry) = self.open.get_mut(&id) {
            entry.waker = Some(waker.clone());
        }
    }

    pub(super) fn wakers(&self) -> Vec<Waker> {
        self.open.values().filter_map(|entry| entry.waker.clone()).collect()
    }

    /// Counts one more connection from there; false if there are as many already.
    pub(super) fn count(&mut self, network: IpAddr, limit: usize) -> bool {
        let count = self.per_address.get(&network).copied().unwrap_or_default();
        if count < limit {
            self.per_address.insert(network, count + 1);
        }
        count < limit
    }

    pub(super) fn discount(&mut self, network: IpAddr) {
        if let Some(count) = self.per_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&network);
            }
        }
    }

    /// A connection is active, and holds so much.
    pub(super) fn keep(&mut self, id: u64, kept: usize) {
        let Some(entry) = self.open.get_mut(&id) else { return };
        if entry.shed {
            self.leaving = self.leaving - entry.kept + kept;
            entry.kept = kept;
            return;
        }
        self.holding.remove(&entry.turn);
        entry.kept = kept;
        self.turn += 1;
        entry.turn = self.turn;
        if kept > 0 {
            self.holding.insert(self.turn, id);
        }
    }

    /// Octets that will be given back by those that are to end.
    pub(super) const fn leaving(&self) -> usize {
        self.leaving
    }

    /// Has the connection that holds something, and has been idle the longest, end. Not that one: it is busy. False if there is none.
    pub(super) fn shed(&mut self, busy: u64, wakers: &mut Vec<Waker>) -> bool {
        let Some((&turn, &id)) = self.holding.iter().find(|(_, id)| **id != busy) else { return false };
        self.holding.remove(&turn);
        if let Some(entry) = self.open.get_mut(&id) {
            entry.shed = true;
            self.leaving += entry.kept;
            wakers.extend(entry.waker.clone());
        }
        true
    }

    /// Whether it is to end.
    pub(super) fn is_shed(&self, id: u64) -> bool {
        self.open.get(&id).is_some_and(|entry| entry.shed)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.per_address.is_empty() && self.holding.is_empty() && self.leaving == 0
    }
}
