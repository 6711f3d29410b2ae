//! What the generator itself can do: a closed loop against the null responder, and where its time goes.
//!
//! `cargo run --release -p ehlo-load --example against_null -- [CONNECTIONS] [SECONDS] [HOST:PORT]`
#![allow(clippy::print_stdout, reason = "an example prints")]

use ehlo_load::{Message, MessageSet, Options, Phase, Target, null, percentile, run};
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let connections = arguments.next().map_or(Ok(100), |n| n.parse())?;
    let seconds = arguments.next().map_or(Ok(2), |n| n.parse())?;
    let responder = null::Thread::spawn()?;
    let target = match arguments.next() {
        Some(name) => Target::resolve(&name)?,
        None => responder.address().into(),
    };

    let body = format!("Subject: load\r\n\r\n{}", "All work and no play makes Jack a dull boy.\r\n".repeat(20));
    let message = Message {
        wire: format!("{body}.\r\n").into_bytes().into(),
        decoded: body.into_bytes().into(),
        eight_bit: false,
    };
    let messages = MessageSet::new(vec![message]).ok_or("there is one message")?;

    for pipelining in [false, true] {
        let mut options = Options::new(target.clone(), Arc::new(messages.clone()));
        options.connections = connections;
        options.pipelining = pipelining;
        options.warm_up = Duration::from_millis(200);
        options.stop.duration = Some(Duration::from_secs(seconds));
        let results = run(&options, &())?;
        let busy = results.generator.threads.first().map_or(0.0, ehlo_load::ThreadLoad::busy_fraction);
        println!(
            "pipelining {pipelining}: {:.0} messages/s, {:.1} us CPU per message, busy {:.0} %, {:?}",
            results.messages_per_second(),
            results.generator_us_per_message().unwrap_or(f64::NAN),
            busy * 100.0,
            results.totals,
        );
        for phase in Phase::ALL {
            let samples = &results.latency.phase(phase).accepted;
            if !samples.is_empty() {
                let us = |q| percentile(samples, q).ns().map_or("-".to_owned(), |ns| format!("{:.0}", ns as f64 / 1e3));
                println!("  {:12} {:>8}  p50 {:>6} us  p99 {:>6} us", phase.as_str(), samples.len(), us(0.5), us(0.99));
            }
        }
    }
    Ok(())
}
