//! A generator that starves. Alone in this program: it starves whatever runs beside it, too.

mod common;

use common::at_rate;
use ehlo_load::{Status, null, run, verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

#[test]
fn a_generator_without_a_core_of_its_own_is_not_believed() {
    let responder = null::Thread::spawn().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let cores = available_parallelism().map_or(2, usize::from);
    let rivals: Vec<_> = (0..4 * cores)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let mut options = at_rate(responder.address(), 2000.0, Duration::from_millis(1200));
    options.connections = 32;
    let results = run(&options, &());
    stop.store(true, Ordering::Relaxed);
    rivals.into_iter().for_each(|rival| rival.join().unwrap());
    let verdict = verdict(&results.unwrap(), None);
    assert_ne!(verdict.status, Status::Valid, "{verdict:?}");
}
