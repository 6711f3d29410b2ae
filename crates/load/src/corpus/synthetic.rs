//! Messages made of a seed: plausible headers, and text in lines of 72 bytes.

use super::random::Random;

/// How many different messages a synthetic set has.
pub(super) const DISTINCT: usize = 64;

/// The default mix: the median size in bytes.
const MEDIAN: f64 = 4096.0;

/// The default mix: how far sizes spread. The logarithm of the size follows a logistic distribution of this scale, which has the standard
/// deviation of a lognormal distribution with sigma 1.2: many small messages, few large ones.
const SCALE: f64 = 0.66;

/// The default mix: no message is smaller than this.
const SMALLEST: usize = 512;

/// The bytes of a full body line, without its CRLF.
const LINE: usize = 72;

/// One line in so many begins with dots, so that every run has some to stuff (RFC 5321 §4.5.2).
const DOT_EVERY: usize = 24;

/// The header lines. There is no Message-ID: one message is sent many times, and some stores drop what they have seen.
const HEADERS: [&[u8]; 6] = [
    b"From: Ada Example <ada@load.example>\r\n",
    b"To: Bob Example <bob@load.example>\r\n",
    b"Subject: Minutes of the meeting on Thursday\r\n",
    b"Date: Thu, 02 Jan 2025 09:30:00 +0000\r\n",
    b"MIME-Version: 1.0\r\n",
    b"Content-Type: text/plain; charset=us-ascii\r\n",
];

const WORDS: [&[u8]; 32] = [
    b"a",
    b"and",
    b"answer",
    b"at",
    b"before",
    b"draft",
    b"figures",
    b"for",
    b"from",
    b"he",
    b"in",
    b"is",
    b"last",
    b"letter",
    b"meeting",
    b"not",
    b"of",
    b"on",
    b"please",
    b"question",
    b"reply",
    b"send",
    b"she",
    b"table",
    b"that",
    b"the",
    b"they",
    b"to",
    b"tomorrow",
    b"was",
    b"week",
    b"with",
];

/// The sizes of the default mix. They are the distribution's quantiles in an order given by the seed, so that the mean is the same for
/// every seed and two runs can be compared.
pub(super) fn mixed_sizes(random: &mut Random) -> Vec<usize> {
    let mut sizes: Vec<usize> = (0..DISTINCT)
        .map(|i| {
            let p = (i as f64 + 0.5) / DISTINCT as f64;
            let size = MEDIAN * (p / (1.0 - p)).powf(SCALE);
            (size as usize).max(SMALLEST)
        })
        .collect();
    for i in (1..sizes.len()).rev() {
        sizes.swap(i, random.below(i + 1));
    }
    sizes
}

/// A message of exactly `size` bytes, or 0 for less than 2. Headers that don't fit are left out, the last ones first.
pub(super) fn message(size: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::with_capacity(size);
    for header in HEADERS {
        // Behind the header there is room for the empty line, and for nothing or a line more.
        if fits(size, out.len() + header.len() + 2) {
            out.extend_from_slice(header);
        }
    }
    if fits(size, out.len() + 2) {
        out.extend_from_slice(b"\r\n");
    }
    let mut number = 0;
    while out.len() + 2 <= size {
        let left = size - out.len() - 2;
        // What is left behind this line must be nothing or have room for a CRLF.
        let mut length = left.min(LINE);
        if left - length == 1 {
            length -= 1;
        }
        line(&mut out, length, number, random);
        number += 1;
    }
    out
}

/// Whether a message of `size` bytes can begin with `used` bytes: the rest is empty or has room for a CRLF.
const fn fits(size: usize, used: usize) -> bool {
    used == size || used + 2 <= size
}

fn line(out: &mut Vec<u8>, length: usize, number: usize, random: &mut Random) {
    let end = out.len() + length;
    if number % DOT_EVERY == 1 {
        out.extend_from_slice(if random.below(2) == 0 { b"." } else { b".. " });
    }
    while out.len() < end {
        out.extend_from_slice(WORDS[random.below(WORDS.len())]);
        out.push(b' ');
    }
    out.truncate(end);
    // No line ends in a space: some programs take it for something (RFC 3676).
    if let Some(last) = out[end - length..].last_mut().filter(|byte| **byte == b' ') {
        *last = b'.';
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_exactly_the_size_asked_for() {
        let mut random = Random::new(1);
        assert_eq!(message(0, &mut random).len(), 0);
        for size in (2..1200).chain([4051, 1 << 20]) {
            let message = message(size, &mut random);
            assert_eq!(message.len(), size);
            assert!(message.ends_with(b"\r\n"), "{size}");
        }
    }

    #[test]
    fn lines_are_ascii_and_at_most_72_bytes_long() {
        let message = message(20_000, &mut Random::new(2));
        let text = std::str::from_utf8(&message).unwrap();
        assert!(text.is_ascii() && !text.contains("\r\r") && !text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.split("\r\n").all(|line| line.len() <= LINE));
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(header.lines().count(), HEADERS.len());
        let dots = body.lines().filter(|line| line.starts_with('.')).count();
        assert!(dots >= 20_000 / (LINE + 2) / DOT_EVERY - 1, "{dots}");
    }

    #[test]
    fn the_same_seed_gives_the_same_mix() {
        let sizes = |seed| mixed_sizes(&mut Random::new(seed));
        assert_eq!(sizes(1), sizes(1));
        assert_ne!(sizes(1), sizes(2));
        let sorted = |seed| {
            let mut all = sizes(seed);
            all.sort_unstable();
            all
        };
        assert_eq!(sorted(1), sorted(2), "another seed is another order of the same sizes");
    }

    #[test]
    fn the_mix_has_a_median_of_4_kib_and_a_long_tail() {
        let mut sizes = mixed_sizes(&mut Random::new(3));
        sizes.sort_unstable();
        let median = (sizes[DISTINCT / 2 - 1] + sizes[DISTINCT / 2]) / 2;
        assert!((4000..4200).contains(&median), "{median}");
        assert_eq!(sizes[0], SMALLEST);
        assert!((50_000..150_000).contains(&sizes[DISTINCT - 1]), "{sizes:?}");
        let mean = sizes.iter().sum::<usize>() / DISTINCT;
        assert!((7_000..11_000).contains(&mean), "{mean}");
    }
}
