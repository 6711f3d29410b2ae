//! `cargo xtask check-report`: whether a report of `ehlo load --json` has the form that is promised, and its numbers agree.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

/// Check the JSON report of a load test: that every promised key is there, that its counts agree with each other, and that nothing
/// failed or was lost.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The report.
    file: PathBuf,
}

/// Runs the task.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    match read(&arguments.file).map(|report| faults(&report)) {
        Ok(faults) if faults.is_empty() => {
            println!("{}: whole, and its counts agree", arguments.file.display());
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            for fault in faults {
                eprintln!("{}: {fault}", arguments.file.display());
            }
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("{}: {message}", arguments.file.display());
            ExitCode::FAILURE
        }
    }
}

fn read(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("not JSON: {error}"))
}

const PHASES: [&str; 6] = ["connect", "banner", "ehlo", "flight", "reply_gap", "end_of_data"];
const QUANTILES: [&str; 6] = ["count", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"];

/// What is wrong with a report of a pipelined run against a server of its own.
fn faults(report: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut pointers: Vec<String> = [
        "schema",
        "config",
        "environment",
        "totals/accepted",
        "totals/refused",
        "totals/failed",
        "throughput/messages_per_second",
        "throughput/bytes_per_second",
        "replies",
        "errors",
        "cpu/generator_us_per_message",
        "cpu/target_us_per_message",
        "verdict/status",
        "verdict/reasons",
    ]
    .map(str::to_owned)
    .to_vec();
    for quantile in QUANTILES {
        pointers.extend(PHASES.map(|phase| format!("latency/{phase}/service/{quantile}")));
        pointers.extend(["service", "response", "lag"].map(|time| format!("latency/transaction/{time}/{quantile}")));
    }
    for pointer in &pointers {
        if report.pointer(&format!("/{pointer}")).is_none() {
            faults.push(format!("{pointer} is missing"));
        }
    }
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("it does not hold that {what}"));
        }
    };
    let accepted = number("/totals/accepted");
    demand(accepted > 0.0, "messages were accepted");
    demand(number("/totals/failed") == 0.0, "no message failed");
    demand(number("/totals/refused") == 0.0, "no message was refused");
    demand(number("/throughput/messages_per_second") > 0.0, "there is a throughput");
    demand(number("/replies/354") == accepted, "as many 354 replies came as messages were accepted");
    // MAIL, RCPT and the end of data of each message, and EHLO of each connection.
    demand(number("/replies/250") >= 3.0 * accepted, "each message has three 250 replies");
    let measured = number("/latency/transaction/service/count");
    demand(measured > 0.0 && measured <= accepted, "transactions were measured, no more than there were");
    demand(
        number("/latency/transaction/response/count") >= measured,
        "each measured transaction has a response time, and each that had not ended too",
    );
    for time in ["service", "response", "lag"] {
        let quantiles = QUANTILES[1..].iter().map(|q| number(&format!("/latency/transaction/{time}/{q}")));
        // One that is withheld for want of samples is null.
        let known: Vec<f64> = quantiles.filter(|q| !q.is_nan()).collect();
        demand(known.is_sorted(), &format!("the quantiles of {time} rise"));
    }
    let status = report.pointer("/verdict/status").and_then(Value::as_str).unwrap_or_default();
    demand(["VALID", "SUSPECT", "INVALID"].contains(&status), "the verdict is one of three");
    demand(report.pointer("/integrity/ok") == Some(&Value::Bool(true)), "what was acknowledged is what was stored");
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn whole() -> Value {
        let quantiles =
            json!({"count": 10, "p50_us": 1.0, "p90_us": 2.0, "p99_us": null, "p999_us": null, "max_us": 3.0});
        let mut latency = serde_json::Map::new();
        for phase in PHASES {
            latency.insert(phase.to_owned(), json!({"service": quantiles}));
        }
        latency
            .insert("transaction".to_owned(), json!({"service": quantiles, "response": quantiles, "lag": quantiles}));
        json!({
            "schema": "ehlo-load/1", "config": {}, "environment": {},
            "totals": {"accepted": 20, "refused": 0, "failed": 0},
            "throughput": {"messages_per_second": 5.0, "bytes_per_second": 50.0},
            "latency": latency,
            "replies": {"250": 62, "354": 20},
            "errors": {},
            "cpu": {"generator_us_per_message": 1.0, "target_us_per_message": 1.0},
            "verdict": {"status": "VALID", "reasons": []},
            "integrity": {"ok": true},
        })
    }

    #[test]
    fn a_whole_report_has_no_fault() {
        assert_eq!(faults(&whole()), Vec::<String>::new());
    }

    #[test]
    fn each_change_for_the_worse_is_seen() {
        for (pointer, value) in [
            ("/totals/failed", json!(1)),
            ("/totals/accepted", json!(0)),
            ("/replies/354", json!(19)),
            ("/replies/250", json!(59)),
            ("/latency/transaction/service/count", json!(21)),
            ("/latency/transaction/response/count", json!(9)),
            ("/latency/transaction/lag/max_us", json!(0.5)),
            ("/verdict/status", json!("FINE")),
            ("/integrity/ok", json!(false)),
        ] {
            let mut report = whole();
            *report.pointer_mut(pointer).expect("the key is there") = value;
            assert_ne!(faults(&report), Vec::<String>::new(), "{pointer}");
        }
        let mut report = whole();
        report["latency"]["flight"]["service"].as_object_mut().expect("an object").remove("p99_us");
        assert_eq!(faults(&report), ["latency/flight/service/p99_us is missing"]);
    }
}
