//! Bodies are read in blocks: whatever matters is found at every place in a block, across the border of two, and across two inputs.

use crate::model::{judge, judge_line_ends, judge_return, stuffed, unstuffed};

/// What matters, and what nearly does.
const EVENTS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n",
    b"\r\n.",
    b"\r\n..",
    b"\r\n.\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\n",
    b"\r\n.\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\n",
    b"\r\r\n.\r\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\n\r\n.x",
    b"\0\r\n.x",
];

/// Clean bytes to put them into: one long line, and lines of 72 octets.
fn grounds(length: usize) -> [Vec<u8>; 2] {
    let line = [&[b'y'; 70][..], b"\r\n"].concat();
    [vec![b'x'; length], line.iter().copied().cycle().take(length).collect()]
}

#[test]
fn every_event_is_found_at_every_offset() {
    for ground in grounds(460) {
        for event in EVENTS {
            for offset in 0..=300 {
                let mut stream = ground.clone();
                stream[offset..offset + event.len()].copy_from_slice(event);
                let wire = stuffed(&stream);
                judge(&[&stream], &unstuffed(&stream), &wire);
                judge_line_ends(&[&stream]);
                judge_return(&stream, &wire);
                // And as the last thing in the input.
                stream.truncate(offset + event.len());
                let wire = stuffed(&stream);
                judge(&[&stream], &unstuffed(&stream), &wire);
                judge_line_ends(&[&stream]);
                judge_return(&stream, &wire);
            }
        }
    }
}

#[test]
fn every_event_is_found_at_every_offset_wherever_the_input_is_cut() {
    for ground in grounds(310) {
        for event in EVENTS {
            for offset in 0..=300 {
                let mut stream = ground.clone();
                stream.truncate(300);
                stream.resize(stream.len().max(offset + event.len()), b'x');
                stream[offset..offset + event.len()].copy_from_slice(event);
                let (body, wire) = (unstuffed(&stream), stuffed(&stream));
                for cut in 0..=stream.len() {
                    judge(&[&stream[..cut], &stream[cut..]], &body, &wire);
                }
            }
        }
    }
}

#[test]
fn a_fault_behind_a_dot_is_told_only_once_the_dot_is_passed() {
    use ehlo_codec::{DataDecoder, DataStep};
    for front in 0..300 {
        for fault in [b'\0', b'\n', b'\r'] {
            let stream = [&vec![b'x'; front][..], b"\r\n.y", &[fault], &[b'z'; 200]].concat();
            let mut decoder = DataDecoder::new();
            let (used, step) = decoder.next(&stream);
            assert_eq!((used, step), (front + 2, DataStep::Body(&stream[..front + 2])));
            assert!(!decoder.faults().any(), "{front}");
            decoder.next(&stream[used..]);
            assert!(decoder.faults().any(), "{front}");
        }
    }
}
