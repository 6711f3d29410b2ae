//! Long streams of clean runs and trouble, in any pieces.

use crate::model::{judge, judge_line_ends, judge_return, stuffed, unstuffed};
use proptest::prelude::*;

/// A run of clean bytes, or something that matters; mostly CRLF, so that messages may be legal as a whole.
fn run() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0_usize..400).prop_map(|length| vec![b'x'; length]),
        4 => (0_usize..12).prop_map(|length| vec![b'x'; length]),
        4 => (1_usize..90, 1_usize..8).prop_map(|(length, lines)| [&vec![b'l'; length][..], b"\r\n"].concat().repeat(lines)),
        8 => Just(b"\r\n".to_vec()),
        6 => Just(b"\r\n.".to_vec()),
        4 => Just(b".".to_vec()),
        1 => proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), Just(0)], 1..6),
        1 => proptest::collection::vec(any::<u8>(), 1..40),
    ]
}

/// Without CR and LF but in pairs.
fn clean_run() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0_usize..400).prop_map(|length| vec![b'x'; length]),
        (0_usize..4).prop_map(|length| b".".repeat(length)),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n.".to_vec()),
        proptest::collection::vec(any::<u8>().prop_filter("no line end", |b| !matches!(b, b'\r' | b'\n')), 1..40),
    ]
}

fn stream(run: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(run, 0..40).prop_map(|runs| runs.concat())
}

/// Cuts at these places, each a share of the length.
fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    places.push(stream.len());
    let mut start = 0;
    places.into_iter().map(|end| &stream[std::mem::replace(&mut start, end)..end]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn long_streams_agree_with_the_model_in_any_pieces(
        stream in stream(run()),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (body, wire) = (unstuffed(&stream), stuffed(&stream));
        judge(&[&stream], &body, &wire);
        judge_line_ends(&[&stream]);
        let pieces = cut(&stream, &cuts);
        judge(&pieces, &body, &wire);
        judge_line_ends(&pieces);
    }

    #[test]
    fn a_message_with_clean_line_ends_comes_back(
        message in stream(clean_run()),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let wire = stuffed(&message);
        prop_assert!(wire.is_ok());
        judge(&cut(&message, &cuts), &unstuffed(&message), &wire);
        judge_return(&message, &wire);
    }
}
