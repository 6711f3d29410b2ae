//! A store that keeps digests instead of messages.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ehlo_server::codec::Reply;
use xxhash_rust::xxh3::Xxh3;

use super::Store;
use crate::sink::{BodySink, MessageContext};

/// What a message's first line begins with if it holds an id: the field's name, colon and space. 32 lower-case hexadecimal digits and
/// CRLF follow.
pub const ID_FIELD: &str = "X-Ehlo-Id: ";

/// The length of the line with the id.
const ID_LINE: usize = ID_FIELD.len() + 32 + 2;

/// Records in one piece of the list. It grows by pieces, so that no accepted message waits for a copy of all those before it.
const PIECE: usize = 4096;

/// What is kept of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The id, if its first line is [`ID_FIELD`] and an id.
    pub id: Option<u128>,
    /// Its length in bytes, after dot-stuffing was removed.
    pub length: u64,
    /// XXH3-128 with seed 0 over those bytes.
    pub digest: u128,
}

/// Keeps id, length and digest of each accepted message, for a test that compares them with what was sent.
///
/// The digest is taken while the body streams by; nothing of it is stored. It finds loss, doubling and damage, not malice: XXH3 is no
/// cryptographic hash.
#[derive(Clone, Debug)]
pub struct Verify {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    records: Mutex<Vec<Vec<Record>>>,
    max_records: usize,
}

impl Default for Verify {
    /// Room for 10,000,000 records, of 64 bytes each.
    fn default() -> Self {
        Self::new(10_000_000)
    }
}

impl Verify {
    /// A store for so many records. A message beyond that is deferred with 452 4.3.1.
    #[must_use]
    pub fn new(max_records: usize) -> Self {
        Self { shared: Arc::new(Shared { records: Mutex::new(Vec::new()), max_records }) }
    }

    /// The records of all messages accepted so far, in the order of acceptance.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let pieces = self.shared.records.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.concat()
    }

    /// Messages accepted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.records.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Vec::len).sum()
    }

    /// Whether no message was accepted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    fn push(&self, record: Record) -> Result<(), Reply> {
        const FULL: Reply = Reply::fixed(452, Some((4, 3, 1)), "The list of records is full");
        let mut pieces = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let length = pieces.last().map_or(0, |last| (pieces.len() - 1) * PIECE + last.len());
        if length >= self.max_records {
            return Err(FULL);
        }
        if length.is_multiple_of(PIECE) {
            pieces.push(Vec::with_capacity(PIECE));
        }
        if let Some(last) = pieces.last_mut() {
            last.push(record);
        }
        Ok(())
    }
}

impl Store for Verify {
    type Sink = VerifySink;

    fn sink(&self) -> VerifySink {
        VerifySink { shared: Arc::clone(&self.shared), digest: Box::new(Xxh3::new()), length: 0, start: [0; ID_LINE] }
    }
}

/// The sink of [`Verify`].
pub struct VerifySink {
    shared: Arc<Shared>,
    digest: Box<Xxh3>,
    length: u64,
    /// The first bytes of the message, as far as they came: all that an id can stand in.
    start: [u8; ID_LINE],
}

impl std::fmt::Debug for VerifySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifySink").field("length", &self.length).finish_non_exhaustive()
    }
}

impl VerifySink {
    fn reset(&mut self) {
        if mem::take(&mut self.length) > 0 {
            self.digest.reset();
        }
    }
}

impl BodySink for VerifySink {
    fn begin(&mut self, _: &MessageContext<'_>) -> Result<(), Reply> {
        self.reset();
        Ok(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.length < ID_LINE as u64 {
            let room = &mut self.start[self.length as usize..];
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
        }
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_commit(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Reply>, Reply>> {
        let start = &self.start[..(self.length as usize).min(ID_LINE)];
        let record = Record { id: id_of(start), length: self.length, digest: self.digest.digest128() };
        self.reset();
        Poll::Ready(self.shared.push(record).map(|()| None))
    }

    fn abort(&mut self) {
        self.reset();
    }
}

/// Reads the id out of the first line of a message.
fn id_of(start: &[u8]) -> Option<u128> {
    let digits = start.strip_prefix(ID_FIELD.as_bytes())?.strip_suffix(b"\r\n")?;
    if digits.len() != 32 {
        return None;
    }
    digits.iter().try_fold(0, |id, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(id << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use xxhash_rust::xxh3::xxh3_128;

    fn feed(sink: &mut VerifySink, body: &[u8], piece: usize) -> Poll<Result<Option<Reply>, Reply>> {
        let mut cx = Context::from_waker(Waker::noop());
        sink.reset();
        for bytes in body.chunks(piece) {
            assert!(matches!(sink.poll_write(&mut cx, bytes), Poll::Ready(Ok(n)) if n == bytes.len()));
        }
        sink.poll_commit(&mut cx)
    }

    #[test]
    fn records_are_the_same_in_any_segmentation() {
        let body = b"X-Ehlo-Id: 000000000000000000000000000000ff\r\nSubject: x\r\n\r\nhello\r\n";
        let store = Verify::default();
        let mut sink = store.sink();
        for piece in 1..=body.len() {
            assert_eq!(feed(&mut sink, body, piece), Poll::Ready(Ok(None)));
        }
        let expected = Record { id: Some(255), length: body.len() as u64, digest: xxh3_128(body) };
        assert_eq!(store.records(), vec![expected; body.len()]);
    }

    #[test]
    fn messages_without_an_id_are_recorded_all_the_same() {
        let store = Verify::default();
        let mut sink = store.sink();
        for body in [
            &b""[..],
            b"X",
            b"Subject: x\r\nX-Ehlo-Id: 000000000000000000000000000000ff\r\n",
            b"X-Ehlo-Id: 000000000000000000000000000000f\r\n",
            b"X-Ehlo-Id: 000000000000000000000000000000fff\r\n",
            b"X-Ehlo-Id: 000000000000000000000000000000FF\r\n",
            b"X-Ehlo-Id: 000000000000000000000000000000ff",
            b"X-Ehlo-Id: +00000000000000000000000000000ff\r\n",
        ] {
            assert_eq!(feed(&mut sink, body, 7), Poll::Ready(Ok(None)));
            let last = store.records().last().copied();
            assert_eq!(last, Some(Record { id: None, length: body.len() as u64, digest: xxh3_128(body) }));
        }
    }

    #[test]
    fn an_aborted_message_leaves_nothing_behind() {
        let store = Verify::default();
        let mut sink = store.sink();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sink.poll_write(&mut cx, b"X-Ehlo-Id: 00000000000000000000000000000001\r\n").is_ready());
        sink.abort();
        assert!(feed(&mut sink, b"a\r\n", 9).is_ready());
        assert_eq!(store.records(), [Record { id: None, length: 3, digest: xxh3_128(b"a\r\n") }]);
    }

    #[test]
    fn a_full_list_defers() {
        for max in [1, PIECE, PIECE + 1] {
            let store = Verify::new(max);
            let mut sink = store.sink();
            for _ in 0..max {
                assert_eq!(feed(&mut sink, b"x", 1), Poll::Ready(Ok(None)));
            }
            let Poll::Ready(Err(reply)) = feed(&mut sink, b"x", 1) else { panic!("there is no room") };
            assert_eq!(reply.code().get(), 452);
            assert_eq!(store.len(), max);
        }
    }
}
