//! Looking through a message body for what matters, many bytes at a time.
//!
//! Four things matter: a CR without LF behind it, an LF without CR before it, a NUL, and a dot at the start of a line. Each can be told
//! from a byte and the two before it. So a block of bytes is compared, lane by lane and without a branch, with the same block taken
//! one byte earlier: loops over arrays of a fixed length, which the compiler turns into vector code on any target.
//!
//! A block is looked at in at most three ways:
//!
//! 1. [`clean`] says whether it holds any of these: nearly no block does.
//! 2. [`sort`] says which kinds it holds, still without saying where: faults are only told by kind.
//! 3. [`first_dot`] and [`first_event`] find the place, word by word, where a piece has to end there.
//!
//! A piece begins at the front of an input or behind a dot, so its first blocks are [`NARROW`]: where each line begins with a dot, looking
//! far ahead is work thrown away. No byte is looked at more often than a fixed number of times for each piece whose end is near it.

use crate::{DataFaults, LineEnding};

/// The blocks of a piece behind its front. Most of a body is read in these.
const WIDE: usize = 128;

/// The blocks at the front of a piece, and those at the end of an input, where the last one overlaps the one before.
const NARROW: usize = 32;

/// How far into a piece the blocks are narrow.
const NEAR: usize = 128;

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the very beginning, or behind CRLF.
    LineStart,
    /// Within a line.
    Text,
    /// Behind a CR.
    Cr,
}

impl Place {
    /// The place behind one more byte, whose faults are noted.
    const fn step(self, byte: u8, faults: &mut DataFaults) -> Self {
        let after_cr = matches!(self, Self::Cr);
        if byte == b'\n' {
            faults.bare_lf |= !after_cr;
            return if after_cr { Self::LineStart } else { Self::Text };
        }
        faults.bare_cr |= after_cr;
        faults.nul |= byte == 0;
        if byte == b'\r' { Self::Cr } else { Self::Text }
    }

    /// The place behind all of `bytes`.
    const fn behind(self, bytes: &[u8]) -> Self {
        match bytes {
            [] => self,
            [b'\n'] if matches!(self, Self::Cr) => Self::LineStart,
            [.., b'\r', b'\n'] => Self::LineStart,
            [.., b'\r'] => Self::Cr,
            _ => Self::Text,
        }
    }
}

/// How much of `bytes` stands before the next dot at the start of a line, where one at the very front doesn't count; all of it if
/// there is none. Notes the faults up to there and gives the place there.
pub(crate) fn to_dot(place: Place, bytes: &[u8], faults: &mut DataFaults) -> (usize, Place) {
    let mut at = 0;
    // The first two bytes don't have two before them. Of a short input, no byte has a block.
    let slow = if bytes.len() < NARROW + 2 { bytes.len() } else { 2 };
    let mut behind = place;
    while at < slow {
        behind = behind.step(bytes[at], faults);
        at += 1;
        if behind == Place::LineStart && bytes.get(at) == Some(&b'.') {
            return (at, behind);
        }
    }
    count(at);
    while at < bytes.len() {
        let dot = if at >= NEAR && bytes.len() - at >= WIDE {
            dot_in_block::<WIDE>(bytes, &mut at, faults)
        } else {
            at = at.min(bytes.len() - NARROW);
            dot_in_block::<NARROW>(bytes, &mut at, faults)
        };
        if let Some(dot) = dot {
            return (dot, Place::LineStart);
        }
    }
    (at, place.behind(bytes))
}

/// Where the first dot at the start of a line is in the block at `at`. If there is none, steps over the block and notes its faults.
fn dot_in_block<const N: usize>(bytes: &[u8], at: &mut usize, faults: &mut DataFaults) -> Option<usize> {
    count(N);
    let (before, here) = (block::<N>(bytes, *at - 1), block::<N>(bytes, *at));
    if clean::<N, true, true>(before, here) {
        *at += N;
        return None;
    }
    count(N);
    let event = *at + first_event::<N, true>(before, here);
    if bytes[event - 2..].starts_with(b"\r\n.") {
        return Some(event);
    }
    count(N);
    let earlier = block::<N>(bytes, *at - 2);
    let (dot, found) = sort(earlier, before, here);
    if !dot {
        *faults = faults.with(found);
        *at += N;
        return None;
    }
    count(N);
    let dot = *at + first_dot(earlier, before, here);
    if faults.with(found) != *faults {
        // Those behind the dot are not of this piece.
        count(N);
        let mut place = if bytes[*at - 1] == b'\r' { Place::Cr } else { Place::Text };
        for &byte in &bytes[*at..dot] {
            place = place.step(byte, faults);
        }
    }
    Some(dot)
}

/// As [`to_dot`], but a CR or LF that stands alone before the dot is an error, told with its offset. NUL is not looked for. The caller sees
/// to it that a CR before `bytes` has its LF.
pub(crate) fn to_dot_or_fault(place: Place, bytes: &[u8]) -> Result<(usize, Place), (LineEnding, usize)> {
    let mut at = 0;
    let slow = if bytes.len() < NARROW + 1 { bytes.len() } else { 1 };
    let mut behind = place;
    while at < slow {
        let mut faults = DataFaults::default();
        behind = behind.step(bytes[at], &mut faults);
        if faults.bare_lf {
            return Err((LineEnding::BareLf, at));
        }
        if faults.bare_cr {
            return Err((LineEnding::BareCr, at.saturating_sub(1)));
        }
        at += 1;
        if behind == Place::LineStart && bytes.get(at) == Some(&b'.') {
            return Ok((at, behind));
        }
    }
    count(at);
    while at < bytes.len() {
        let event = if at >= NEAR && bytes.len() - at >= WIDE {
            event_in_block::<WIDE>(bytes, &mut at)
        } else {
            at = at.min(bytes.len() - NARROW);
            event_in_block::<NARROW>(bytes, &mut at)
        };
        if let Some(event) = event {
            return match (bytes[event - 1], bytes[event]) {
                // All before it is without fault, so there is a CR before this LF.
                (b'\n', b'.') => Ok((event, Place::LineStart)),
                (b'\r', _) => Err((LineEnding::BareCr, event - 1)),
                _ => Err((LineEnding::BareLf, event)),
            };
        }
    }
    Ok((at, place.behind(bytes)))
}

/// Where the first thing of note but NUL is in the block at `at`. If there is none, steps over the block.
fn event_in_block<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<usize> {
    count(N);
    let (before, here) = (block::<N>(bytes, *at - 1), block::<N>(bytes, *at));
    if clean::<N, true, false>(before, here) {
        *at += N;
        return None;
    }
    count(N);
    Some(*at + first_event::<N, false>(before, here))
}

/// Notes the faults of `bytes` and gives the place behind it. Dots don't matter.
pub(crate) fn line_ends(place: Place, bytes: &[u8], faults: &mut DataFaults) -> Place {
    let mut at = 0;
    let slow = if bytes.len() < NARROW + 1 { bytes.len() } else { 1 };
    let mut behind = place;
    while at < slow {
        behind = behind.step(bytes[at], faults);
        at += 1;
    }
    count(at);
    // Once each kind was found there is nothing left to look for.
    while at < bytes.len() && *faults != DataFaults::ALL {
        if bytes.len() - at >= WIDE {
            faults_of_block::<WIDE>(bytes, &mut at, faults);
        } else {
            at = at.min(bytes.len() - NARROW);
            faults_of_block::<NARROW>(bytes, &mut at, faults);
        }
    }
    place.behind(bytes)
}

/// Notes the faults of the block at `at` and steps over it.
fn faults_of_block<const N: usize>(bytes: &[u8], at: &mut usize, faults: &mut DataFaults) {
    count(N);
    let (before, here) = (block::<N>(bytes, *at - 1), block::<N>(bytes, *at));
    if !clean::<N, false, true>(before, here) {
        count(N);
        // There is no dot to be found behind this.
        let (_, found) = sort(&[0; N], before, here);
        *faults = faults.with(found);
    }
    *at += N;
}

/// The N bytes from `at` on, which are there.
#[inline]
fn block<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    bytes[at..].first_chunk().expect("a block that was measured before")
}

/// Whether nothing of note is in the block `here`; `before` is the same block taken one byte earlier.
///
/// A CR is of note if the byte behind it is no LF, in the lane of that byte. So the last byte of `here` is not judged as a CR, and the
/// one before its first byte is. A dot counts behind any LF: an LF without CR is of note in any case.
#[inline]
fn clean<const N: usize, const DOTS: bool, const NULS: bool>(before: &[u8; N], here: &[u8; N]) -> bool {
    let (mut event, mut least) = (0, u8::MAX);
    for (&before, &here) in before.iter().zip(here) {
        let dot = DOTS & (before == b'\n') & (here == b'.');
        event |= u8::from(((before == b'\r') ^ (here == b'\n')) | dot);
        // A minimum is one operation for each lane where a comparison is two, but one more test at the end of the block.
        if NULS && N > NARROW {
            least = least.min(here);
        } else if NULS {
            event |= u8::from(here == 0);
        }
    }
    event == 0 && least != 0
}

/// Whether a dot at the start of a line is in the block `here`, and the faults in it.
#[inline]
fn sort<const N: usize>(earlier: &[u8; N], before: &[u8; N], here: &[u8; N]) -> (bool, DataFaults) {
    let (mut cr, mut lf, mut least, mut dot) = (0, 0, u8::MAX, 0);
    for ((&earlier, &before), &here) in earlier.iter().zip(before).zip(here) {
        let (after_cr, is_lf) = (before == b'\r', here == b'\n');
        cr |= u8::from(after_cr & !is_lf);
        lf |= u8::from(is_lf & !after_cr);
        dot |= u8::from((earlier == b'\r') & (before == b'\n') & (here == b'.'));
        least = least.min(here);
    }
    (dot != 0, DataFaults { bare_cr: cr != 0, bare_lf: lf != 0, nul: least == 0 })
}

/// The offset of the first dot at the start of a line; N if there is none.
fn first_dot<const N: usize>(earlier: &[u8; N], before: &[u8; N], here: &[u8; N]) -> usize {
    for (index, at) in (0..N).step_by(8).enumerate() {
        let found = equal(word(earlier, at), b'\r') & equal(word(before, at), b'\n') & equal(word(here, at), b'.');
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    N
}

/// The offset of the first lane that [`clean`] takes note of; N if there is none.
fn first_event<const N: usize, const NULS: bool>(before: &[u8; N], here: &[u8; N]) -> usize {
    for at in (0..N).step_by(8) {
        let (before, here) = (word(before, at), word(here, at));
        let mut found = (equal(before, b'\r') ^ equal(here, b'\n')) | (equal(before, b'\n') & equal(here, b'.'));
        if NULS {
            found |= equal(here, 0);
        }
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
    }
    N
}

/// Eight bytes, the first of them lowest.
#[inline]
fn word<const N: usize>(block: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(*block[at..].first_chunk().expect("a block is whole words"))
}

/// The top bit of each byte of `word` that is `byte`, and no other bit.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let difference = word ^ u64::from_le_bytes([byte; 8]);
    // No sum carries into the next byte.
    !(((difference & LOW) + LOW) | difference | LOW)
}

/// Tests count the bytes that are looked at, so that linear time is counted and not timed.
#[cfg(not(test))]
#[inline]
const fn count(_bytes: usize) {}

#[cfg(test)]
use tests::count;

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{WIDE, to_dot, to_dot_or_fault};
    use crate::{DataDecoder, DataStep, LineCheck, Stuffed, Stuffer};
    use alloc::vec::Vec;
    use core::cell::Cell;

    const LENGTH: usize = 64 << 10;

    std::thread_local! {
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(bytes: usize) {
        LOOKED_AT.set(LOOKED_AT.get() + bytes);
    }

    /// How many bytes are looked at meanwhile; one that is looked at twice counts twice.
    fn looked_at(run: impl FnOnce()) -> usize {
        LOOKED_AT.set(0);
        run();
        LOOKED_AT.get()
    }

    fn unstuff(body: &[u8], input: usize) -> usize {
        looked_at(|| {
            let mut decoder = DataDecoder::new();
            for mut input in body.chunks(input) {
                while let (used, DataStep::Body(_)) = decoder.next(input) {
                    input = &input[used..];
                }
            }
        })
    }

    fn stuff(body: &[u8], input: usize) -> usize {
        looked_at(|| {
            let mut stuffer = Stuffer::new();
            for mut input in body.chunks(input) {
                loop {
                    match stuffer.next(input) {
                        Ok((_, Stuffed::NeedMore)) => break,
                        Ok((used, _)) => input = &input[used..],
                        // It ends there.
                        Err(_) => return,
                    }
                }
            }
        })
    }

    fn check(body: &[u8], input: usize) -> usize {
        looked_at(|| {
            let mut check = LineCheck::new();
            body.chunks(input).for_each(|input| check.feed(input));
        })
    }

    /// What a peer may repeat to make work: dots, faults, and both, in lines of lengths about those of the blocks.
    fn units() -> Vec<Vec<u8>> {
        let mut units: Vec<Vec<u8>> = [
            "a", "\r", "\n", "\0", ".", "\r\n", "\n.", "\r.", "\r\n.", "..\r\n", ".\0\r\n", ".\n\r\n", ".\r\r\n",
            "\r\n.\r",
        ]
        .into_iter()
        .map(|unit| unit.as_bytes().to_vec())
        .collect();
        for length in [5, 30, 31, 32, 33, 64, 66, 98, 126, 127, 128, 129, 130, 200, 258] {
            for start in ["..", ".\0", ".\n", ".\r", "."] {
                let mut unit = start.as_bytes().to_vec();
                unit.resize(length, b'x');
                unit.extend_from_slice(b"\r\n");
                units.push(unit);
            }
        }
        units
    }

    #[test]
    fn a_clean_body_is_looked_at_once() {
        let body = b"0123456789\r\n".repeat(1000);
        for look in [unstuff, stuff, check] {
            let looked = look(&body, body.len());
            assert!((body.len()..body.len() + WIDE).contains(&looked), "{looked}");
        }
    }

    #[test]
    fn no_body_is_looked_at_more_often_than_a_fixed_number_of_times() {
        // A piece behind a dot has three bytes at least, and looks at four narrow blocks at most. Faults of a new kind are looked at once
        // more, three times in all.
        for unit in units() {
            let body = unit.repeat(LENGTH / unit.len());
            for input in [1, 2, 33, 34, 35, 129, 1000, LENGTH] {
                for look in [unstuff, stuff, check] {
                    let looked = look(&body, input);
                    assert!(
                        looked <= 40 * (body.len() + WIDE),
                        "{looked} for {} in pieces of {input}",
                        unit.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn twice_the_body_is_twice_the_work() {
        for unit in units() {
            let body = unit.repeat(2 * LENGTH / unit.len());
            for look in [unstuff, stuff, check] {
                let (half, whole) = (look(&body[..body.len() / 2], body.len()), look(&body, body.len()));
                assert!(whole <= 2 * half + 10 * WIDE, "{half}, {whole} for {}", unit.escape_ascii());
            }
        }
    }

    #[test]
    fn a_dot_at_the_front_is_for_the_caller() {
        let mut faults = crate::DataFaults::default();
        assert_eq!(to_dot(super::Place::LineStart, b".a", &mut faults).0, 2);
        assert_eq!(to_dot_or_fault(super::Place::LineStart, b".a"), Ok((2, super::Place::Text)));
    }
}
