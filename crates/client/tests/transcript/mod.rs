//! Transcripts of a client session, read from text and played under a virtual clock. `scenarios/README.md` has the format.

mod parse;
mod play;

pub(crate) use parse::{Scenario, read};
pub(crate) use play::{Cut, play};
