//! Seeds, one after the other.
//!
//! - `EHLO_SIM_SEEDS=n` runs n seeds instead of 10,000.
//! - `EHLO_SIM_SEED=n` runs that seed alone and tells what happens, with times: `cargo test -p ehlo-sim -- --nocapture` shows it.

#![expect(
    clippy::disallowed_methods,
    reason = "a run begins with some instant, and a failing seed is named by the environment"
)]

use ehlo_sim::{Report, run};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Runs a seed; one that fails is run again, and told.
#[expect(clippy::print_stderr, reason = "the one who runs it wants the transcript")]
fn run_or_tell(epoch: Instant, seed: u64) -> Report {
    catch_unwind(AssertUnwindSafe(|| run(epoch, seed, None))).unwrap_or_else(|panic| {
        let again = catch_unwind(AssertUnwindSafe(|| run(epoch, seed, Some(&mut |line| eprintln!("{line}")))));
        eprintln!("seed {seed} fails{}", if again.is_ok() { ", but not when it is run again" } else { "" });
        eprintln!("EHLO_SIM_SEED={seed} runs it alone, and so does `cargo run -p ehlo-sim --example replay -- {seed}`");
        resume_unwind(panic)
    })
}

#[test]
#[expect(clippy::print_stderr, reason = "the one who runs it wants the seeds and the counts")]
fn the_invariants_hold_whatever_happens() {
    let epoch = Instant::now();
    if let Some(seed) = number("EHLO_SIM_SEED") {
        let report = run(epoch, seed, Some(&mut |line| eprintln!("{line}")));
        eprintln!("{report:#?}");
        return;
    }
    let seeds = number("EHLO_SIM_SEEDS").unwrap_or(SEEDS);
    // Each seed is alone in its world, so they can be shared out; the sum is the same.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(8);
    let sum = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                scope.spawn(move || {
                    let mut sum = Report::default();
                    (part..seeds).step_by(threads as usize).for_each(|seed| sum.add(&run_or_tell(epoch, seed)));
                    sum
                })
            })
            .collect();
        let mut sum = Report::default();
        for part in parts {
            match part.join() {
                Ok(part) => sum.add(&part),
                Err(panic) => resume_unwind(panic),
            }
        }
        sum
    });
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
            (sum.scripted, "taken from scripted clients"),
            (sum.scripted_acknowledged, "acknowledged to scripted clients"),
            (sum.recipients_acknowledged, "acknowledged for a recipient under LMTP"),
            (sum.answered, "taken by scripted servers"),
            (sum.aborted, "aborted"),
            (sum.stale, "answered too late"),
            (sum.partly, "taken for some of their recipients"),
            (sum.authenticated, "authenticated"),
            (sum.misdirected, "answered to another session"),
            (sum.client_handshakes, "handshakes of client sessions"),
            (sum.logins, "client sessions that authenticated"),
            (sum.chunked, "accepted in chunks"),
            (sum.surplus, "client sessions that heard clear text behind STARTTLS"),
            (sum.divided, "accepted for some of their recipients"),
            (sum.handshakes.0, "handshakes"),
            (sum.handshakes.1, "failed handshakes"),
            (sum.broken_tls, "sessions that lost their TLS"),
            (sum.injections, "injections behind STARTTLS"),
        ] {
            assert!(count > 50, "only {count} were {what}");
        }
    }
}

#[test]
fn a_seed_is_a_run() {
    let epoch = Instant::now();
    for seed in 0..40 {
        assert_eq!(run_or_tell(epoch, seed), run_or_tell(epoch, seed), "seed {seed}");
    }
    assert_ne!(run(epoch, 1, None).digest, run(epoch, 2, None).digest);
}
