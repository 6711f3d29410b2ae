//! The ways to cut what a peer sends, and to read what it is sent.

use crate::format::{Act, Kind, Scenario};

/// Flights up to this long are cut at each pair of places.
const SHORT: usize = 64;
/// Flights up to this long are cut at each place; longer ones at each of the first and last so many bytes, and at as many between.
const LONG: usize = 1024;

/// How a scenario is played.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) cuts: Cuts,
    pub(crate) reading: Reading,
}

#[derive(Clone, Debug)]
pub(crate) enum Cuts {
    /// Each flight in one piece.
    None,
    /// Pieces of so many bytes.
    Every(usize),
    /// The flight of that number (from 0) before those bytes; the others in one piece.
    At { flight: usize, places: Vec<usize> },
}

/// How the peer takes its replies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    /// As soon as they are there.
    AtOnce,
    /// Only when nothing else can happen.
    Late,
    /// So many bytes now and then.
    Trickle(usize),
}

impl Cuts {
    /// The pieces of a flight.
    pub(crate) fn pieces<'b>(&self, flight: usize, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        match self {
            Self::Every(n) => bytes.chunks((*n).max(1)).collect(),
            Self::At { flight: at, places } if *at == flight => {
                let mut start = 0;
                let mut pieces = Vec::new();
                for &place in places.iter().chain([&bytes.len()]) {
                    pieces.push(&bytes[start..place]);
                    start = place;
                }
                pieces
            }
            _ => vec![bytes],
        }
    }
}

/// All ways to play a scenario.
pub(crate) fn plans(scenario: &Scenario) -> Vec<Plan> {
    let mut plans = Vec::new();
    let readings = [Reading::AtOnce, Reading::Late, Reading::Trickle(1), Reading::Trickle(7)];
    for reading in readings {
        for cuts in [Cuts::None, Cuts::Every(1), Cuts::Every(2), Cuts::Every(3), Cuts::Every(512)] {
            plans.push(Plan { cuts, reading });
        }
    }
    let flights = scenario.steps.iter().filter_map(|step| match &step.kind {
        Kind::Do(Act::Send(bytes)) => Some(bytes.len()),
        _ => None,
    });
    for (flight, length) in flights.enumerate() {
        let mut cut = |places: Vec<usize>| {
            plans.push(Plan { cuts: Cuts::At { flight, places }, reading: Reading::AtOnce });
        };
        places(length).into_iter().for_each(|place| cut(vec![place]));
        if length <= SHORT {
            for first in 1..length {
                (first + 1..length).for_each(|second| cut(vec![first, second]));
            }
        }
    }
    plans
}

/// Where a flight is cut in two.
fn places(length: usize) -> Vec<usize> {
    let stride = if length <= LONG { 1 } else { (length / (LONG / 2)).max(1) };
    (1..length).filter(|&place| place <= LONG / 2 || length - place <= LONG / 2 || place % stride == 0).collect()
}

#[test]
fn a_flight_is_cut_at_each_place() {
    assert_eq!(places(4), [1, 2, 3]);
    assert_eq!(places(LONG).len(), LONG - 1);
    assert!(places(1_000_000).len() < 3 * LONG);
    let cuts = Cuts::At { flight: 1, places: vec![1, 3] };
    assert_eq!(cuts.pieces(1, b"abcd"), [&b"a"[..], b"bc", b"d"]);
    assert_eq!(cuts.pieces(0, b"abcd"), [&b"abcd"[..]]);
}
