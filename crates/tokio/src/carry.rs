//! Input that was read and can't be handled yet.

use crate::hub::Slot;

/// What is left of some input: body bytes that the sink hasn't taken, and behind them what the session hasn't.
#[derive(Clone, Copy, Default)]
pub(crate) struct Left<'i> {
    pub(crate) owed: &'i [u8],
    pub(crate) input: &'i [u8],
}

/// Where the rest of carried bytes lies.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) enum Rest {
    Nothing,
    InPlace { start: usize, owed: usize },
    Copied { bytes: Vec<u8>, owed: usize },
}

impl Left<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.input.is_empty()
    }

    /// Looks where in `bytes` it lies, so that it need not be copied. The input is always the end of them. What is owed is usually right
    /// before it; but the session also hands out a byte that it had held back from an earlier read, and leaves out what is beyond a
    /// message's size limit.
    pub(crate) fn within(&self, bytes: &[u8]) -> Rest {
        let input = bytes.len() - self.input.len();
        match input.checked_sub(self.owed.len()) {
            _ if self.is_empty() => Rest::Nothing,
            Some(start) if self.owed.is_empty() || std::ptr::eq(&bytes[start..input], self.owed) => {
                Rest::InPlace { start, owed: self.owed.len() }
            }
            _ => Rest::Copied { bytes: [self.owed, self.input].concat(), owed: self.owed.len() },
        }
    }
}

/// A connection's unread rest of one read, kept only while the connection is parked.
#[derive(Default)]
pub(crate) struct Carry {
    bytes: Vec<u8>,
    start: usize,
    /// How many of the first bytes are decoded body bytes for the sink.
    owed: usize,
}

impl Carry {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// The body bytes for the sink, and what comes behind them.
    pub(crate) fn owed(&self) -> &[u8] {
        &self.bytes[self.start..][..self.owed]
    }

    /// The sink has taken so many, or doesn't want them any more.
    pub(crate) fn pay(&mut self, slot: &mut Slot, taken: usize) {
        self.start += taken;
        self.owed -= taken;
        if self.is_empty() {
            self.clear(slot);
        }
    }

    /// Copies what is left of a read. False if the server has no memory left for it.
    #[must_use]
    pub(crate) fn fill(&mut self, slot: &mut Slot, left: Left<'_>) -> bool {
        let length = left.owed.len() + left.input.len();
        if !slot.count_carry(length) {
            return false;
        }
        self.bytes.clear();
        self.bytes.reserve_exact(length);
        self.bytes.extend_from_slice(left.owed);
        self.bytes.extend_from_slice(left.input);
        (self.start, self.owed) = (0, left.owed.len());
        true
    }

    /// Takes the bytes out, to be handled from the given index on, and then given to [`put_back`](Self::put_back). Nothing may be owed.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        debug_assert_eq!(self.owed, 0, "the sink comes first");
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.start))
    }

    /// Keeps what is left of bytes that were taken out.
    pub(crate) fn put_back(&mut self, slot: &mut Slot, bytes: Vec<u8>, rest: Rest) {
        match rest {
            Rest::Nothing => self.clear(slot),
            Rest::InPlace { start, owed } => *self = Self { bytes, start, owed },
            Rest::Copied { bytes, owed } => *self = Self { bytes, start: 0, owed },
        }
    }

    /// Gives the memory back.
    pub(crate) fn clear(&mut self, slot: &mut Slot) {
        *self = Self::default();
        let given_back = slot.count_carry(0);
        debug_assert!(given_back, "nothing always fits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_carried_bytes_is_copied_only_when_it_must_be() {
        let bytes = b"0123456789";
        let left = |owed: &'static [u8], input| Left { owed, input };
        assert_eq!(left(b"", &bytes[10..]).within(bytes), Rest::Nothing);
        assert_eq!(left(b"", &bytes[4..]).within(bytes), Rest::InPlace { start: 4, owed: 0 });
        let beside = Left { owed: &bytes[2..4], input: &bytes[4..] };
        assert_eq!(beside.within(bytes), Rest::InPlace { start: 2, owed: 2 });
        let apart = Left { owed: &bytes[2..3], input: &bytes[4..] };
        assert_eq!(apart.within(bytes), Rest::Copied { bytes: b"2456789".to_vec(), owed: 1 });
        assert_eq!(left(b"\r", &bytes[..]).within(bytes), Rest::Copied { bytes: b"\r0123456789".to_vec(), owed: 1 });
    }
}
