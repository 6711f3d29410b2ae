//! Each file operation of an append fails in turn, once, twice and for good, with each error that a disk can give.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::tests::{BEGIN, commit, contents, fresh, lasting, start, write};
use super::*;
use crate::sink::{BodySink as _, storage_reply};
use crate::store::fake::{ENOSPC, ERRORS, FakeFiles, PANIC, until};
use crate::store::incoming::BUFFER;

/// What became of a message: what it is in the file, and the code of the reply to it.
type Outcome = (String, u16);

/// One message, and what became of it.
async fn deliver(sink: &mut MboxSink<FakeFiles>, body: &str) -> Outcome {
    start(sink);
    let code = match write(sink, body.as_bytes()).await {
        Ok(()) => commit(sink).await.map_or_else(|reply| reply.code().get(), |_| 250),
        Err(error) => {
            sink.abort();
            storage_reply(&error).code().get()
        }
    };
    (format!("{BEGIN}{body}\n\n"), code)
}

/// Four messages over two connections, one after the other, some small and some large.
async fn four_in_turn(mbox: &Mbox<FakeFiles>) -> Vec<Outcome> {
    let mut sinks = [mbox.sink(), mbox.sink()];
    let mut outcomes = Vec::new();
    for (i, size) in [10, 3 * BUFFER, 20, 2 * BUFFER + 1].into_iter().enumerate() {
        let body = char::from(b'a' + i as u8).to_string().repeat(size);
        outcomes.push(deliver(&mut sinks[i % 2], &body).await);
    }
    outcomes
}

/// Six messages: one goes ahead, and the others are appended together while the file is being synced.
async fn six_together(files: &FakeFiles, mbox: &Mbox<FakeFiles>) -> Vec<Outcome> {
    files.stop_at(Some("sync_file"));
    let mut sinks: Vec<_> = (0..6).map(|_| mbox.sink()).collect();
    let mut codes = [0; 6];
    let mut cx = Context::from_waker(Waker::noop());
    for (i, sink) in sinks.iter_mut().enumerate() {
        start(sink);
        write(sink, format!("{i}").as_bytes()).await.unwrap();
    }
    let poll = |sinks: &mut Vec<MboxSink<FakeFiles>>, codes: &mut [u16; 6], cx: &mut Context<'_>, of: usize| {
        for (sink, code) in sinks.iter_mut().zip(codes).take(of).filter(|(_, code)| **code == 0) {
            if let Poll::Ready(result) = sink.poll_commit(cx) {
                *code = result.map_or_else(|reply| reply.code().get(), |_| 250);
            }
        }
    };
    until(|| {
        poll(&mut sinks, &mut codes, &mut cx, 1);
        codes[0] != 0 || files.begun("sync_file") == 1
    })
    .await;
    poll(&mut sinks, &mut codes, &mut cx, 6);
    files.stop_at(None);
    until(|| {
        poll(&mut sinks, &mut codes, &mut cx, 6);
        codes.iter().all(|code| *code != 0)
    })
    .await;
    (0..6).map(|i| format!("{BEGIN}{i}\n\n")).zip(codes).collect()
}

/// Makes each operation fail in turn.
async fn each_operation(
    least: usize,
    messages: usize,
    run: impl AsyncFn(&FakeFiles, &Mbox<FakeFiles>) -> Vec<Outcome>,
) {
    let (files, mbox) = fresh();
    let opened = files.count();
    assert!(run(&files, &mbox).await.iter().all(|(_, code)| *code == 250));
    let all = files.count();
    assert!(all - opened >= least, "{} operations", all - opened);
    for operation in opened..all {
        for (error, times) in ERRORS.into_iter().flat_map(|error| [1, 2, usize::MAX].map(|times| (error, times))) {
            let (files, mbox) = fresh();
            files.fail_at(operation, times, error);
            let outcomes = run(&files, &mbox).await;
            let failed = files.failed();
            let case = format!("operation {operation} of {all}, {:?}, error {error}, {times} times", failed.first());
            let poisoned = || mbox.handle.shared.poisoned.load(Ordering::Acquire);
            for (_, code) in &outcomes {
                // Where nothing can be trusted any more, it is no longer the room that is missing.
                let expected = if error == ENOSPC && !poisoned() { &[250, 452][..] } else { &[250, 451, 452] };
                assert!(expected.contains(code) && (*code != 452 || error == ENOSPC), "{case}: {code}");
            }
            let acknowledged: String =
                outcomes.iter().filter(|(_, code)| *code == 250).map(|(text, _)| &**text).collect();
            // A power cut brings back nothing that was cut off, as long as anything can be said of the file.
            assert!(lasting(&files).starts_with(&*acknowledged), "{case}");
            assert!(poisoned() || lasting(&files) == acknowledged, "{case}: {:?}", lasting(&files).len());
            assert!(poisoned() || contents(&files) == acknowledged, "{case}: {:?}", contents(&files).len());
            assert!(!files.was_trusted_again(), "{case}: the file was synced again after its sync had failed");
            if times == 1 && !failed.is_empty() {
                assert_eq!(contents(&files), acknowledged, "{case}");
                assert!(files.names("/m") <= 2, "{case}");
                let taken = outcomes.iter().filter(|(_, code)| *code == 250).count();
                let group = messages > 4 || poisoned();
                assert!(taken < messages && (group || taken == messages - 1), "{case}: {taken} taken");
                assert!(!poisoned() || failed[0].0 == "sync_file", "{case}");
            }
            files.mend();
            let (text, code) = deliver(&mut mbox.sink(), "afterwards").await;
            assert_eq!(code, if poisoned() { 451 } else { 250 }, "{case}");
            assert!(poisoned() || lasting(&files) == acknowledged + &text, "{case}");
        }
    }
}

#[tokio::test]
async fn whichever_operation_fails_no_message_is_acknowledged_that_does_not_last_and_nothing_torn_is_in_the_file() {
    each_operation(40, 4, async |_, mbox| four_in_turn(mbox).await).await;
}

#[tokio::test]
async fn the_same_holds_for_messages_that_are_appended_together() {
    each_operation(16, 6, async |files, mbox| six_together(files, mbox).await).await;
}

#[tokio::test]
async fn a_file_system_that_panics_loses_nothing_that_was_acknowledged() {
    let (files, mbox) = fresh();
    let opened = files.count();
    four_in_turn(&mbox).await;
    let all = files.count();
    for operation in opened..all {
        let (files, mbox) = fresh();
        files.fail_at(operation, 1, PANIC);
        let outcomes = four_in_turn(&mbox).await;
        // It leaves what it leaves.
        for (text, code) in &outcomes {
            assert!(*code != 250 || lasting(&files).contains(&**text), "operation {operation} of {all}");
        }
    }
}
