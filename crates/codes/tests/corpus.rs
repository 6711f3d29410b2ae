//! Replies that servers really sent: each can be explained, and the judgement equals the label where both come from the same code.
//!
//! `EHLO_CORPUS` names the folder with `replies-dev.tsv` and `replies-crisp-dev.tsv`. Without it nothing is judged, which the test says.
#![expect(clippy::print_stderr, reason = "a test that cannot run says so")]

use std::path::PathBuf;

use ehlo_codes::explain::{Remark, Verdict};
use ehlo_codes::{EnhancedCode, Explanation, ReplyCode};

/// The rows of a file behind its line of names, or `None` where it is not there.
fn rows(file: &str) -> Option<Vec<Vec<String>>> {
    let Some(folder) = std::env::var_os("EHLO_CORPUS").map(PathBuf::from) else {
        eprintln!("not judged: EHLO_CORPUS does not name the folder of {file}");
        return None;
    };
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows: Vec<Vec<String>> =
        text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    assert!(rows.len() > 50, "{} rows in {}", rows.len(), path.display());
    Some(rows)
}

/// What a class says.
fn verdict_of(class: &str) -> Option<Verdict> {
    Some(match class.as_bytes().first()? {
        b'2' => Verdict::Done,
        b'4' => Verdict::RetryLater,
        b'5' => Verdict::DoNotRetry,
        _ => return None,
    })
}

#[test]
fn every_reply_with_a_code_is_explained_as_its_own_code_says() {
    let Some(rows) = rows("replies-dev.tsv") else { return };
    let (mut explained, mut judged, mut mismatches) = (0, 0, 0);
    for row in &rows {
        let [id, kind, reply, from_code, _, status, ..] = row.as_slice() else { panic!("{row:?}") };
        if from_code.is_empty() || kind == "synthetic-test" {
            continue;
        }
        let explanation = Explanation::of(from_code.as_bytes()).unwrap_or_else(|error| panic!("{id}: {error}"));
        let code = explanation.reply().unwrap_or_else(|| panic!("{id}: no reply code"));
        assert_eq!(code.to_string(), from_code[..3], "{id}");
        // The whole diagnostic text quotes the same reply, with more or less around it.
        assert!(Explanation::of(reply.as_bytes()).is_ok(), "{id}: {reply}");
        explained += 1;
        if explanation.remarks().any(|remark| matches!(remark, Remark::Mismatch(..))) {
            mismatches += 1;
            continue;
        }
        // Labels with a code that is not in the text come from another rule than the text's own code.
        if explanation.enhanced().is_some_and(|own| own.to_string() == *status) {
            assert_eq!(Some(explanation.verdict()), verdict_of(status), "{id}: {from_code}");
            judged += 1;
        }
    }
    eprintln!("{explained} explained, {judged} judged alike, {mismatches} with codes that disagree");
    assert!(explained > 100 && judged > 50);
}

#[test]
fn temporary_and_permanent_are_told_apart_as_labelled() {
    let Some(rows) = rows("replies-crisp-dev.tsv") else { return };
    let (mut judged, mut others) = (0, 0);
    for row in &rows {
        let [fixture, _, basic, enhanced, _, temporary, ..] = row.as_slice() else { panic!("{row:?}") };
        let codes: (Option<ReplyCode>, Option<EnhancedCode>) = (basic.parse().ok(), enhanced.parse().ok());
        let Some(explanation) = Explanation::of_codes(codes.0, codes.1) else { continue };
        let expected = if temporary == "true" { Verdict::RetryLater } else { Verdict::DoNotRetry };
        // A label that contradicts the first digit is not derived from the code: somebody knows what that provider means.
        if verdict_of(basic) != Some(expected) {
            eprintln!("{fixture}: labelled against its own code");
            others += 1;
            continue;
        }
        assert_eq!(explanation.verdict(), expected, "{fixture}");
        judged += 1;
    }
    eprintln!("{judged} judged alike, {others} labelled otherwise");
    assert!(judged > 40 && others * 20 <= judged);
}
