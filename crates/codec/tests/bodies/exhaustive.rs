//! All strings of the five bytes that can make a difference: 2,441,406 of them up to length 9.

use crate::model::{Unstuffed, judge, judge_line_ends, judge_return, stuff, stuffed, unstuff, unstuff_into, unstuffed};

const ALPHABET: [u8; 5] = [b'\r', b'\n', b'.', b'a', 0];

/// Calls `judge` with each string of this length.
fn each(length: u32, mut judge: impl FnMut(&[u8])) {
    let mut string = vec![0; length as usize];
    for code in 0..5_usize.pow(length) {
        let mut rest = code;
        for byte in &mut string {
            *byte = ALPHABET[rest % 5];
            rest /= 5;
        }
        judge(&string);
    }
}

#[test]
fn unstuffing_agrees_with_the_model_on_all_short_strings() {
    let mut found = Unstuffed::default();
    let mut strings = 0;
    for length in 0..=9 {
        each(length, |stream| {
            unstuff_into(&[stream], &mut found);
            assert_eq!(found, unstuffed(stream), "{}", stream.escape_ascii());
            strings += 1;
        });
    }
    assert_eq!(strings, 2_441_406);
}

#[test]
fn unstuffing_agrees_with_the_model_on_all_short_strings_in_front_of_a_block() {
    // Behind the string is enough for the blocks to be taken from its front on.
    let mut found = Unstuffed::default();
    let mut stream = [b'a'; 42];
    for length in 0..=9 {
        each(length, |string| {
            stream[..string.len()].copy_from_slice(string);
            stream[string.len()] = b'a';
            unstuff_into(&[&stream], &mut found);
            assert_eq!(found, unstuffed(&stream), "{}", stream.escape_ascii());
        });
    }
}

#[test]
fn stuffing_agrees_with_the_model_on_all_short_strings_and_comes_back() {
    for length in 0..=9 {
        each(length, |message| {
            let wire = stuffed(message);
            assert_eq!(stuff(&[message]), wire, "{}", message.escape_ascii());
            judge_return(message, &wire);
        });
    }
}

#[test]
fn all_short_strings_are_the_same_in_any_two_pieces() {
    for length in 0..=6 {
        each(length, |string| {
            let (body, wire) = (unstuffed(string), stuffed(string));
            for cut in 0..=string.len() {
                let pieces = [&string[..cut], &string[cut..]];
                judge(&pieces, &body, &wire);
                judge_line_ends(&pieces);
            }
        });
    }
}

#[test]
fn all_short_strings_are_the_same_byte_by_byte() {
    for length in 0..=7 {
        each(length, |string| {
            let pieces: Vec<&[u8]> = string.chunks(1).collect();
            assert_eq!(unstuff(&pieces), unstuffed(string), "{}", string.escape_ascii());
            assert_eq!(stuff(&pieces), stuffed(string), "{}", string.escape_ascii());
        });
    }
}

#[test]
fn short_strings_within_long_ones_are_found_wherever_they_stand() {
    for length in 0..=5 {
        // Across the ends of narrow and of wide blocks, and across the overlap at the end of the input.
        for (front, back) in [(0, 300), (30, 64), (96, 300), (127, 129), (254, 200), (300, 0), (290, 30)] {
            let mut stream = vec![b'x'; front + length as usize + back];
            each(length, |string| {
                stream[front..front + string.len()].copy_from_slice(string);
                judge(&[&stream], &unstuffed(&stream), &stuffed(&stream));
                judge_line_ends(&[&stream]);
            });
        }
    }
}
