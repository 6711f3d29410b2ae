//! One direction of a connection: a byte stream with delays, a bound on what is under way, and an end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The writer has closed it; what it wrote arrives.
    Closed,
    /// The connection is broken; what has not been read is lost.
    Reset,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    /// Bytes that may be written and not read.
    capacity: usize,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    arrived: VecDeque<u8>,
    /// When the last segment arrives: a later one cannot overtake it.
    last_arrival: Instant,
    end: Option<(Instant, End)>,
    /// Nobody reads any more: what is written goes nowhere.
    deaf: bool,
}

impl Pipe {
    pub(crate) fn new(now: Instant, capacity: usize) -> Self {
        Self {
            capacity,
            under_way: VecDeque::new(),
            arrived: VecDeque::new(),
            last_arrival: now,
            end: None,
            deaf: false,
        }
    }

    /// How much may be written.
    pub(crate) fn room(&self) -> usize {
        if self.deaf {
            return self.capacity;
        }
        let held = self.arrived.len() + self.under_way.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        self.capacity - held
    }

    pub(crate) fn write(&mut self, now: Instant, latency: Duration, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "more was written than there is room for");
        if self.end.is_none() && !self.deaf {
            self.last_arrival = self.last_arrival.max(now + latency);
            self.under_way.push_back((self.last_arrival, bytes.to_vec()));
        }
    }

    /// Ends the stream. A reset overrules an orderly end, and is the last word.
    pub(crate) fn end(&mut self, now: Instant, latency: Duration, end: End) {
        if matches!(self.end, Some((_, End::Reset))) || (end == End::Closed && self.end.is_some()) {
            return;
        }
        self.last_arrival = self.last_arrival.max(now + latency);
        self.end = Some((if end == End::Reset { now + latency } else { self.last_arrival }, end));
    }

    /// The reader is gone.
    pub(crate) fn deafen(&mut self) {
        self.deaf = true;
        self.under_way.clear();
        self.arrived.clear();
    }

    /// Nothing more arrives before that time: what is under way waits, and what is written later waits behind it.
    pub(crate) fn stall(&mut self, until: Instant) {
        self.last_arrival = self.last_arrival.max(until);
        for (at, _) in &mut self.under_way {
            *at = until.max(*at);
        }
        if let Some((at, End::Closed)) = &mut self.end {
            *at = self.last_arrival.max(*at);
        }
    }

    /// Whether anything was written that was not read.
    pub(crate) fn holds_any(&self) -> bool {
        !self.arrived.is_empty() || !self.under_way.is_empty()
    }

    /// Throws away what was written and not read.
    pub(crate) fn drop_all(&mut self) {
        self.under_way.clear();
        self.arrived.clear();
    }

    /// When something arrives that has not arrived yet.
    pub(crate) fn next_arrival(&self, now: Instant) -> Option<Instant> {
        let segment = self.under_way.front().map(|(at, _)| *at);
        let end = self.end.map(|(at, _)| at).filter(|at| *at > now);
        segment.into_iter().chain(end).min()
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        while self.under_way.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.under_way.pop_front().expect("it was there a moment ago");
            self.arrived.extend(bytes);
        }
        if matches!(self.end, Some((at, End::Reset)) if at <= now) {
            self.under_way.clear();
            self.arrived.clear();
        }
    }

    /// How much can be read.
    pub(crate) fn readable(&self) -> usize {
        self.arrived.len()
    }

    pub(crate) fn read(&mut self, length: usize) -> Vec<u8> {
        self.arrived.drain(..length).collect()
    }

    /// The end, once all before it was read.
    pub(crate) fn ended(&self, now: Instant) -> Option<End> {
        let (_, end) = self.end.filter(|(at, _)| *at <= now)?;
        (self.arrived.is_empty() && self.under_way.is_empty()).then_some(end)
    }
}
