//! The client session against the server session: in memory, in virtual time, over a network that a seed decides.
//!
//! - `EHLO_SEEDS=n` runs n seeds instead of 1500.
//! - `EHLO_SEED=n` runs that seed and tells what happens, with times; `cargo test ... -- --nocapture` shows it.
//!
//! Nothing here opens a socket or waits. A seed is a run: the only clock is the world's, the only chance is [`rng::Rng`].

mod client;
mod dialogue;
mod net;
mod plan;
mod rng;
mod server;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;
use world::{Report, World};

const SEEDS: u64 = 1500;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

#[expect(clippy::print_stderr, reason = "the one who runs it wants the seed")]
fn run(epoch: Instant, seed: u64) -> Report {
    catch_unwind(AssertUnwindSafe(|| World::run(epoch, seed, false))).unwrap_or_else(|panic| {
        eprintln!("seed {seed} fails; EHLO_SEED={seed} tells what happens in it");
        resume_unwind(panic)
    })
}

#[test]
#[expect(clippy::print_stderr, reason = "the one who runs it wants the seeds and the counts")]
fn what_is_acknowledged_is_stored_whatever_happens() {
    let epoch = Instant::now();
    if let Some(seed) = number("EHLO_SEED") {
        let report = World::run(epoch, seed, true);
        eprintln!("{report:#?}");
        return;
    }
    let seeds = number("EHLO_SEEDS").unwrap_or(SEEDS);
    let mut sum = Report::default();
    for seed in 0..seeds {
        let report = run(epoch, seed);
        sum.add(&report);
    }
    eprintln!("seeds 0 to {}: {sum:?}", seeds.saturating_sub(1));
    // A run in which one of these never happens has shown nothing about it.
    if seeds >= SEEDS {
        for (count, what) in [
            (sum.accepted, "accepted"),
            (sum.refused, "refused"),
            (sum.unsent, "unsent"),
            (sum.unknown, "unknown"),
            (sum.unknown_but_stored, "unknown but stored"),
            (sum.unknown - sum.unknown_but_stored, "unknown and not stored"),
            (sum.aborted, "aborted"),
            (sum.stale, "answered too late"),
            (sum.misdirected, "answered to another session"),
        ] {
            assert!(count > 10, "only {count} were {what}");
        }
    }
}

#[test]
fn a_seed_is_a_run() {
    let epoch = Instant::now();
    for seed in 0..40 {
        assert_eq!(run(epoch, seed), run(epoch, seed), "seed {seed}");
    }
    assert_ne!(run(epoch, 1).digest, run(epoch, 2).digest);
}
