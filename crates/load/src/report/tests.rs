use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::*;
use crate::corpus::{self, LineEndings, Source};
use crate::latency::{Censored, Latency, Phase, new_histogram};
use crate::options::Target;
use crate::results::{Arrivals, ErrorKind, Failure, GeneratorLoad, Interval, ThreadLoad};

const ADDRESS: &str = "127.0.0.1:2525";

/// A run with 2,000 messages of which each took longer than the one before, by a microsecond.
fn results(mode: Mode) -> Results {
    let mut latency = Latency::new();
    for i in 1..=2_000 {
        for phase in [Phase::Flight, Phase::ReplyGap, Phase::EndOfData, Phase::Transaction] {
            latency.phase_mut(phase).record(true, i * 1_000);
        }
        latency.response.record(true, i * 2_000);
        latency.lag.record(true, i * 100);
    }
    for phase in [Phase::Connect, Phase::Banner, Phase::Ehlo] {
        for i in 1..=100 {
            latency.phase_mut(phase).record(true, i * 1_000);
        }
    }
    let counts = Counts { started: 2_000, accepted: 2_000, ..Counts::default() };
    let open = matches!(mode, Mode::Open { .. });
    Results {
        mode,
        address: ADDRESS.parse().unwrap(),
        connections: 100,
        reconnect: false,
        threads: 1,
        pipelined: true,
        started_at: SystemTime::UNIX_EPOCH,
        elapsed: Duration::from_secs(3),
        window: Duration::from_secs(2),
        ended: Ended::Duration,
        totals: counts,
        measured: counts,
        warm_up: Counts::default(),
        accepted_in_window: 2_000,
        octets_in_window: 8_192_000,
        octets_sent: 9_000_000,
        latency,
        arrivals: open.then(|| Arrivals {
            rate: 1_000.0,
            due: 2_000,
            placed: 2_000,
            unplaced: 0,
            waits: Censored(new_histogram()),
        }),
        replies: [(220, 100), (250, 6_100), (354, 2_000)].into(),
        refused_by_code: BTreeMap::new(),
        errors: BTreeMap::new(),
        first_failure: None,
        connections_opened: 100,
        connections_ready: 100,
        intervals: vec![Interval { second: 0, accepted: 1_000, p50_ns: 500_000, p99_ns: 990_000, max_ns: 1_000_000 }],
        generator: GeneratorLoad {
            threads: vec![ThreadLoad {
                wall: Duration::from_secs(2),
                busy: Duration::from_millis(500),
                cpu: Duration::from_millis(50),
                run_queue_wait: None,
                stalled: Duration::ZERO,
            }],
            batch_span: new_histogram(),
            steal: Some(0.0),
        },
        target_cpu: Some(Duration::from_millis(60)),
        ledger: Vec::new(),
    }
}

fn report(results: &Results, peak: Option<&Results>, integrity: Option<Integrity>) -> Report {
    let corpus = corpus::build(&Source::Sized(4096), LineEndings::Strict, 1).unwrap();
    let mut options = Options::new(Target::from(results.address), Arc::new(corpus.messages));
    options.mode = results.mode;
    Report::new(Parts {
        embedded: peak.is_some(),
        options: &options,
        corpus: &corpus.facts,
        environment: Environment::now(),
        calibration: Some(Calibration { messages_per_second: 50_000.0, us_per_message: 12.0, busy: 0.99 }),
        peak,
        results,
        integrity,
        verdict: Verdict {
            status: Status::Suspect,
            reasons: vec![
                Reason { status: Status::Suspect, text: "the machine was busy with something else".to_owned() },
                Reason { status: Status::Valid, text: "the generator was busy 25 % of the time".to_owned() },
            ],
        },
    })
}

fn json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

#[test]
fn the_json_report_has_the_promised_keys() {
    let open = results(Mode::Open { rate: 1_000.0 });
    let json = json(&report(&open, None, Some(Integrity::default())));
    for path in [
        "/schema",
        "/config/target",
        "/environment/kernel",
        "/corpus/messages",
        "/calibration/messages_per_second",
        "/totals/accepted",
        "/totals/refused",
        "/totals/failed",
        "/throughput/messages_per_second",
        "/throughput/bytes_per_second",
        "/latency/transaction/service/p999_us",
        "/latency/transaction/response/p50_us",
        "/latency/transaction/lag/p50_us",
        "/replies/250",
        "/errors",
        "/cpu/generator_us_per_message",
        "/cpu/target_us_per_message",
        "/integrity/ok",
        "/integrity/missing/count",
        "/verdict/status",
        "/verdict/reasons/0",
    ] {
        assert!(json.pointer(path).is_some(), "{path} is missing in {json:#}");
    }
    for phase in ["connect", "banner", "ehlo", "flight", "reply_gap", "end_of_data", "transaction"] {
        let service = json["latency"][phase]["service"].as_object().unwrap_or_else(|| panic!("{phase}"));
        let keys: Vec<&str> = service.keys().map(String::as_str).collect();
        assert_eq!(keys.len(), 6, "{phase}: {keys:?}");
        for key in ["count", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"] {
            assert!(keys.contains(&key), "{phase}: {keys:?}");
        }
    }
}

#[test]
fn figures_are_in_the_units_that_their_keys_name() {
    let json = json(&report(&results(Mode::Open { rate: 1_000.0 }), None, None));
    let near = |path: &str, expected: f64| {
        let found = json.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        assert!((found / expected - 1.0).abs() < 0.002, "{path}: {found}, not {expected}");
    };
    near("/latency/transaction/service/p50_us", 1_000.0);
    near("/latency/transaction/service/max_us", 2_000.0);
    near("/latency/transaction/response/p90_us", 3_600.0);
    near("/latency/transaction/lag/p99_us", 198.0);
    near("/throughput/messages_per_second", 1_000.0);
    near("/throughput/bytes_per_second", 4_096_000.0);
    near("/cpu/generator_us_per_message", 25.0);
    near("/cpu/target_us_per_message", 30.0);
    assert_eq!(json["verdict"]["status"], "SUSPECT");
    assert_eq!(json["verdict"]["reasons"][0], "SUSPECT: the machine was busy with something else");
    assert_eq!(json["verdict"]["reasons"][1], "the generator was busy 25 % of the time");
}

#[test]
fn percentiles_without_samples_beyond_are_null_and_a_dash() {
    // 100 connections: ten samples lie beyond the 90th percentile, one beyond the 99th.
    let report = report(&results(Mode::Open { rate: 1_000.0 }), None, None);
    let connect = &json(&report)["latency"]["connect"]["service"];
    assert!(connect["p90_us"].is_number() && connect["p99_us"].is_null() && connect["max_us"].is_number());
    let text = text(&report, Style::default());
    assert!(text.contains("-: fewer than ten samples"), "{text}");
    let row = text.lines().find(|line| line.starts_with("connect")).unwrap();
    assert_eq!(row.split_whitespace().filter(|cell| *cell == "-").count(), 2, "{row}");
}

#[test]
fn what_had_not_ended_makes_response_times_lower_bounds() {
    let mut open = results(Mode::Open { rate: 1_000.0 });
    let mut waits = new_histogram();
    waits.record_n(3_000_000_000, 100).unwrap();
    open.arrivals.as_mut().unwrap().waits = Censored(waits);
    let report = report(&open, None, None);
    let response = &json(&report)["latency"]["transaction"]["response"];
    assert_eq!(response["count"], 2_100);
    assert_eq!(response["at_least"], serde_json::json!(["p99_us", "max_us"]));
    assert!(text(&report, Style::default()).contains("≥ 3.00 s"));
}

#[test]
fn a_closed_loop_has_service_times_only() {
    let report = report(&results(Mode::Closed), None, None);
    let json = json(&report);
    let transaction = json["latency"]["transaction"].as_object().unwrap();
    assert!(transaction["service"].is_object() && transaction["response"].is_null() && transaction["lag"].is_null());
    assert!(json["arrivals"].is_null() && json["config"]["rate"].is_null());
    assert!(text(&report, Style::default()).contains("Under saturation"));
}

#[test]
fn a_run_that_ended_before_its_time_says_so() {
    let told = |ended| {
        let mut results = results(Mode::Closed);
        results.ended = ended;
        text(&report(&results, None, None), Style::default())
    };
    assert!(told(Ended::Stopped).contains("\nInterrupted   "));
    assert!(told(Ended::GaveUp).contains("\nGiven up      "));
    assert!(told(Ended::LedgerFull).contains("\nCut short     "));
    for ended in [Ended::Duration, Ended::Messages] {
        assert!(!told(ended).contains("before its time"));
    }
}

#[test]
fn nothing_is_said_of_a_server_that_was_not_reached() {
    let mut unreached = results(Mode::Closed);
    (unreached.latency, unreached.pipelined, unreached.accepted_in_window) = (Latency::new(), false, 0);
    (unreached.totals, unreached.measured) = (Counts::default(), Counts::default());
    let mut report = report(&unreached, None, None);
    report.verdict.status = Status::Invalid;
    let text = text(&report, Style::default());
    assert!(!text.contains("does not offer") && !text.contains("Under saturation"), "{text}");
    assert!(text.contains("INVALID: nothing was measured"), "{text}");
}

#[test]
fn a_ceiling_is_ascribed_to_where_it_was_reached() {
    let (peak, open) = (results(Mode::Closed), results(Mode::Open { rate: 500.0 }));
    let told = |report: &Report| text(report, Style::default());
    let mut report = report(&open, Some(&peak), None);
    assert!(told(&report).contains("reaches 50,000 messages/s against a responder"), "{}", told(&report));
    // A calibration that was disturbed is raised to what the peak has shown.
    report.calibration.as_mut().unwrap().messages_per_second =
        report.peak.as_ref().unwrap().throughput.messages_per_second;
    assert!(told(&report).contains("reached 1,000 messages/s at the peak"), "{}", told(&report));
}

#[test]
fn the_totals_are_those_of_the_peak_too() {
    let (peak, open) = (results(Mode::Closed), results(Mode::Open { rate: 1_000.0 }));
    let report = report(&open, Some(&peak), None);
    let json = json(&report);
    assert_eq!(json["totals"]["accepted"], 4_000);
    assert_eq!(json["peak"]["totals"]["accepted"], 2_000);
    assert_eq!(json["peak"]["saturated"], true);
    assert_eq!(json["replies"]["354"], 4_000);
    assert_eq!(json["latency"]["transaction"]["service"]["count"], 2_000);
}

#[test]
fn anything_amiss_makes_the_run_fail() {
    let good = results(Mode::Closed);
    assert!(report(&good, None, None).ok());
    assert!(report(&good, None, Some(Integrity::default())).ok());

    let with = |change: fn(&mut Results)| {
        let mut results = results(Mode::Closed);
        change(&mut results);
        report(&results, None, None)
    };
    assert!(!with(|it| it.totals.refused = 1).ok());
    assert!(!with(|it| it.totals.failed = 1).ok());
    assert!(!with(|it| it.totals.unknown = 1).ok());
    assert!(!with(|it| it.totals.unfinished = 1).ok());
    assert!(!with(|it| it.totals = Counts::default()).ok(), "nothing accepted is nothing shown");
    assert!(!with(|it| it.errors = [(ErrorKind::Closed, 1)].into()).ok());

    let mut lost = Integrity::default();
    lost.missing.count = 1;
    assert!(!report(&good, None, Some(lost)).ok());
}

#[test]
fn the_text_says_what_went_wrong() {
    let mut bad = results(Mode::Closed);
    bad.totals.refused = 3;
    bad.refused_by_code = [(552, 3)].into();
    bad.errors = [(ErrorKind::ClosedMidTransaction, 2)].into();
    bad.first_failure = Some(Failure {
        kind: None,
        text: "MAIL was answered 552 5.3.4 too big".to_owned(),
        at: Duration::from_secs(1),
    });
    let lost = crate::integrity::compare(
        [crate::LedgerEntry {
            id: crate::MessageId { run: 1, sequence: 2 },
            length: 3,
            digest: 4,
            fate: crate::Fate::Acked,
        }],
        [],
    );
    let text = text(&report(&bad, None, Some(lost)), Style::default());
    for part in [
        "3 refused",
        "552 × 3",
        "closed mid transaction × 2",
        "552 5.3.4 too big",
        "BROKEN",
        "missing: 1 (00000000000000010000000000000002)",
        "SUSPECT",
        "- ! the machine was busy",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn the_text_fits_on_a_terminal_and_has_no_escape_unless_asked() {
    let (mut peak, mut open) = (results(Mode::Closed), results(Mode::Open { rate: 12_345.6 }));
    peak.replies = (200..260).map(|code| (code, 1_000_000)).collect();
    open.totals.unknown = 7;
    let report = report(&open, Some(&peak), Some(Integrity::default()));
    let closed = self::report(&peak, None, None);
    let plain = text(&report, Style::default()) + &text(&closed, Style::default());
    assert!(!plain.contains('\x1b') && plain.ends_with('\n'));
    for line in plain.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    let coloured = text(&report, Style { colour: true });
    assert!(coloured.contains("\x1b[1;33mSUSPECT\x1b[0m"));
}

#[test]
fn a_target_without_an_address_is_a_counted_error() {
    let corpus = corpus::build(&Source::Sized(4096), LineEndings::Strict, 1).unwrap();
    let target = Target { name: "nowhere.invalid:25".to_owned(), addresses: Vec::new() };
    let options = Options::new(target, Arc::new(corpus.messages));
    let text_of_failure = "nowhere.invalid:25 has no address".to_owned();
    let report = Report::unreached(&options, &corpus.facts, Environment::now(), "no_address", text_of_failure);
    assert!(!report.ok());
    assert_eq!(json(&report)["errors"]["no_address"], 1);
    let text = text(&report, Style::default());
    assert!(text.contains("nowhere.invalid:25 has no address") && !text.contains("latency"), "{text}");
}
