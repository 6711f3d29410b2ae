//! Whether the verdict tells a good measurement from a bad one.

mod common;

use common::{Act, Server, assert_adds_up, at_rate, options};
use ehlo_load::{Calibration, Results, Status, Stop, Verdict, calibrate, null, run, verdict};
use std::time::Duration;

fn worst(verdict: &Verdict) -> &str {
    verdict.reasons.first().map_or("", |r| r.text.as_str())
}

/// A run of which nothing bad can be said, whatever this machine was doing meanwhile.
fn quiet() -> Results {
    let server = Server::usual();
    let mut results = run(&at_rate(server.address, 100.0, Duration::from_millis(1100)), &()).unwrap();
    assert_adds_up(&results);
    results.generator.steal = Some(0.0);
    for thread in &mut results.generator.threads {
        (thread.wall, thread.busy) = (Duration::from_secs(1), Duration::from_millis(400));
        thread.stalled = Duration::ZERO;
        thread.run_queue_wait = Some(Duration::from_millis(10));
    }
    results.generator.batch_span.clear();
    results.latency.own_lag.clear();
    results
}

#[test]
fn each_figure_that_speaks_against_a_run_is_named() {
    let quiet = quiet();
    assert_eq!(verdict(&quiet, None).status, Status::Valid, "{:?}", verdict(&quiet, None));

    let changed = |change: &dyn Fn(&mut Results)| {
        let mut results = quiet.clone();
        change(&mut results);
        verdict(&results, None)
    };
    let busy = |ms| changed(&move |r| r.generator.threads[0].busy = Duration::from_millis(ms));
    assert_eq!(
        [busy(800).status, busy(900).status, busy(970).status],
        [Status::Valid, Status::Suspect, Status::Invalid]
    );
    assert!(worst(&busy(970)).contains("97 %"));

    let waits = |ms| changed(&move |r| r.generator.threads[0].run_queue_wait = Some(Duration::from_millis(ms)));
    assert_eq!(
        [waits(50).status, waits(150).status, waits(400).status],
        [Status::Valid, Status::Suspect, Status::Invalid]
    );

    let late = |ms| changed(&move |r| r.generator.threads[0].stalled = Duration::from_millis(ms));
    assert_eq!([late(3).status, late(20).status, late(100).status], [Status::Valid, Status::Suspect, Status::Invalid]);

    let steal = |share| changed(&move |r| r.generator.steal = Some(share));
    assert_eq!(
        [steal(0.01).status, steal(0.1).status, steal(0.3).status],
        [Status::Valid, Status::Suspect, Status::Invalid]
    );

    let lag = |ms: u64| {
        changed(&move |r| {
            r.latency.response.accepted.clear();
            r.latency.response.accepted.saturating_record_n(10_000_000, 2000);
            r.latency.own_lag.saturating_record_n(ms * 1_000_000, 2000);
        })
    };
    assert_eq!([lag(1).status, lag(4).status, lag(8).status], [Status::Valid, Status::Suspect, Status::Invalid]);

    let batch = changed(&|r| r.generator.batch_span.saturating_record_n(1_000_000_000, 100));
    assert_eq!(batch.status, Status::Suspect);
    assert!(worst(&batch).contains("batches"));

    let short = changed(&|r| r.window = Duration::from_millis(500));
    assert_eq!(short.status, Status::Suspect);
    let nothing = changed(&|r| r.accepted_in_window = 0);
    assert_eq!(nothing.status, Status::Invalid);
    let unplaced = changed(&|r| r.arrivals.as_mut().unwrap().unplaced = 5);
    assert_eq!(unplaced.status, Status::Suspect);
    let one_of_many = changed(&|r| {
        let arrivals = r.arrivals.as_mut().unwrap();
        (arrivals.unplaced, arrivals.due) = (1, 223_940);
    });
    assert_eq!(one_of_many.status, Status::Valid);
    assert!(one_of_many.reasons.iter().any(|r| r.text.contains("beyond p99.99 are lower bounds")), "{one_of_many:?}");
}

#[test]
fn a_rate_above_half_of_the_ceiling_is_not_believed() {
    let responder = null::Thread::spawn().unwrap();
    let mut options = options(responder.address(), 0);
    options.stop = Stop { messages: None, duration: Some(Duration::from_secs(1)) };
    let calibration = calibrate(&options, responder.address(), Duration::from_millis(300), &()).unwrap();
    assert!(calibration.messages_per_second > 100.0 && calibration.us_per_message > 0.0);

    let quiet = quiet();
    let mut low = calibration;
    low.messages_per_second = 1.0;
    assert_eq!(low.raised_by(&quiet).messages_per_second, quiet.messages_per_second());
    assert_eq!(calibration.raised_by(&quiet), calibration, "never lowered");
    let at = |ceiling: f64| {
        let mut calibration: Calibration = calibration;
        calibration.messages_per_second = ceiling;
        verdict(&quiet, Some(&calibration))
    };
    // It was made at 100 per second.
    assert_eq!(
        [at(250.0).status, at(150.0).status, at(101.0).status],
        [Status::Valid, Status::Suspect, Status::Invalid]
    );
    assert!(worst(&at(101.0)).contains("99 %"));
}

#[test]
fn a_calibration_that_cannot_be_made_says_why() {
    let server = Server::start(|_| Act::SayAndClose("421 no\r\n"));
    let options = options(server.address, 0);
    let error = calibrate(&options, server.address, Duration::from_millis(100), &()).unwrap_err().to_string();
    assert!(error.contains("calibration") && error.contains("421 no"), "{error}");
}

#[test]
fn a_rate_far_beyond_what_the_generator_can_do_is_invalid() {
    let responder = null::Thread::spawn().unwrap();
    let mut options = at_rate(responder.address(), 5e6, Duration::from_secs(1));
    options.connections = 64;
    let calibration = calibrate(&options, responder.address(), Duration::from_millis(300), &()).unwrap();
    let results = run(&options, &()).unwrap();
    assert_adds_up(&results);
    assert_eq!(results.arrivals.as_ref().unwrap().due, 5_000_000);
    let verdict = verdict(&results, Some(&calibration));
    assert_eq!(verdict.status, Status::Invalid, "{verdict:?}");
    assert!(verdict.reasons.iter().any(|r| r.text.contains("that the generator itself can do")));
}

#[test]
fn a_closed_loop_names_its_saturation() {
    let server = Server::usual();
    let results = run(&options(server.address, 500), &()).unwrap();
    let verdict = verdict(&results, None);
    assert!(verdict.reasons.iter().any(|r| r.text.contains("Closed loop")), "{verdict:?}");
    assert!(verdict.reasons.iter().any(|r| r.text.contains("p99.9")), "too few samples for it: {verdict:?}");
    assert!(results.arrivals.is_none());
}
