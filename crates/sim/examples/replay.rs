//! Plays one seed and tells what happens in it, with times: `cargo run -p ehlo-sim --example replay -- SEED`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person")]
#![expect(clippy::disallowed_methods, reason = "a run begins with some instant")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(Ok(seed)) = std::env::args().nth(1).map(|text| text.parse()) else {
        eprintln!("usage: replay SEED");
        return ExitCode::FAILURE;
    };
    let report = ehlo_sim::run(std::time::Instant::now(), seed, Some(&mut |line| println!("{line}")));
    println!("{report:#?}");
    ExitCode::SUCCESS
}
