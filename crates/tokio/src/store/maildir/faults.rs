//! Each file operation of a delivery fails in turn, once and for good, with each error that a disk can give.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::tests::{commit, fresh, write};
use super::*;
use crate::sink::{BodySink as _, storage_reply};
use crate::store::fake::{EIO, EMFILE, ENOSPC, ERRORS, FakeFiles, PANIC, until};
use crate::store::incoming::BUFFER;

/// What became of a message: its bytes, and the code of the reply to it.
type Outcome = (Vec<u8>, u16);

/// One message, and what became of it.
async fn deliver(sink: &mut MaildirSink<FakeFiles>, name: &str, body: Vec<u8>) -> Outcome {
    sink.start(name, Vec::new());
    let code = match write(sink, &body).await {
        Ok(()) => commit(sink).await.map_or_else(|reply| reply.code().get(), |_| 250),
        Err(error) => {
            sink.abort();
            storage_reply(&error).code().get()
        }
    };
    (body, code)
}

/// Four messages over two connections, one after the other, some small and some large.
async fn four_in_turn(maildir: &Maildir<FakeFiles>) -> Vec<Outcome> {
    let mut sinks = [maildir.sink(), maildir.sink()];
    let mut outcomes = Vec::new();
    for (i, size) in [10, 3 * BUFFER, 20, 2 * BUFFER + 1].into_iter().enumerate() {
        outcomes.push(deliver(&mut sinks[i % 2], &format!("m{i}"), vec![b'a' + i as u8; size]).await);
    }
    outcomes
}

/// Eight messages that are finished together: one goes ahead, and the others are made visible as a group while its directory is being synced.
async fn eight_together(files: &FakeFiles, maildir: &Maildir<FakeFiles>) -> Vec<Outcome> {
    files.stop_at(Some("sync_dir"));
    let mut sinks: Vec<_> = (0..8).map(|_| maildir.sink()).collect();
    let mut codes = [0; 8];
    let mut cx = Context::from_waker(Waker::noop());
    let body = |i: usize| vec![b'a' + i as u8; 10 + i];
    let poll = |sinks: &mut Vec<MaildirSink<FakeFiles>>, codes: &mut [u16; 8], cx: &mut Context<'_>, of: usize| {
        for (sink, code) in sinks.iter_mut().zip(codes).take(of).filter(|(_, code)| **code == 0) {
            if let Poll::Ready(result) = sink.poll_commit(cx) {
                *code = result.map_or_else(|reply| reply.code().get(), |_| 250);
            }
        }
    };
    for (i, sink) in sinks.iter_mut().enumerate() {
        sink.start(&format!("m{i}"), body(i));
    }
    for (of, syncs) in [(1, 1), (8, 8)] {
        // Each has synced its file, or has failed.
        until(|| {
            poll(&mut sinks, &mut codes, &mut cx, of);
            let refused = codes.iter().filter(|code| **code != 0).count();
            files.begun("sync_file") + refused >= syncs && (of > 1 || files.begun("sync_dir") + refused >= 1)
        })
        .await;
    }
    files.stop_at(None);
    until(|| {
        poll(&mut sinks, &mut codes, &mut cx, 8);
        codes.iter().all(|code| *code != 0)
    })
    .await;
    (0..8).map(body).zip(codes).collect()
}

/// What has to be so whatever has failed.
fn check(case: &str, files: &FakeFiles, outcomes: &[Outcome], error: i32) {
    let (visible, lasting) = (files.contents("/m/new"), files.after_power_cut("/m/new"));
    for (body, code) in outcomes {
        let there = lasting.iter().filter(|bytes| *bytes == body).count();
        match code {
            250 => assert_eq!(there, 1, "{case}: acknowledged, and not once on the disk"),
            452 => assert_eq!(error, ENOSPC, "{case}"),
            // What is left of a group whose disk is full is told that it is full, and not that something is broken.
            451 => assert_ne!(error, ENOSPC, "{case}"),
            _ => panic!("{case}: {code}"),
        }
    }
    for bytes in visible.iter().chain(&lasting) {
        assert!(outcomes.iter().any(|(body, _)| body == bytes), "{case}: something torn can be seen");
    }
    let different: BTreeSet<_> = visible.iter().collect();
    assert_eq!(different.len(), visible.len(), "{case}: something is there twice");
    assert!(!files.was_trusted_again(), "{case}: a file whose sync had failed was synced again");
}

/// Once the fault is gone: mail is taken again, unless the directory is not to be trusted any more.
async fn check_recovery(case: &str, files: &FakeFiles, maildir: &Maildir<FakeFiles>) {
    let (poisoned, failed) = (maildir.handle.shared.poisoned.load(Ordering::Acquire), files.failed());
    let loss = failed.iter().any(|(name, error)| name == "sync_dir new" && *error == EIO);
    assert_eq!(poisoned, loss, "{case}: {failed:?}");
    files.mend();
    let mut sink = maildir.sink();
    let (body, code) = deliver(&mut sink, "afterwards", b"afterwards".to_vec()).await;
    assert_eq!(code, if poisoned { 451 } else { 250 }, "{case}");
    assert_eq!(files.after_power_cut("/m/new").contains(&body), !poisoned, "{case}");
}

/// Makes each operation fail in turn; gives how many there are, and how many messages that has cost.
async fn each_operation(
    least: usize,
    messages: usize,
    run: impl AsyncFn(&FakeFiles, &Maildir<FakeFiles>) -> Vec<Outcome>,
) {
    let (files, maildir) = fresh();
    let opened = files.count();
    assert!(run(&files, &maildir).await.iter().all(|(_, code)| *code == 250));
    let all = files.count();
    assert!(all - opened >= least, "{} operations", all - opened);
    for operation in opened..all {
        for (error, times) in ERRORS.into_iter().flat_map(|error| [(error, 1), (error, usize::MAX)]) {
            let (files, maildir) = fresh();
            files.fail_at(operation, times, error);
            let outcomes = run(&files, &maildir).await;
            let failed = files.failed();
            let case = format!("operation {operation} of {all}, {:?}, error {error}, {times} times", failed.first());
            let taken = outcomes.iter().filter(|(_, code)| *code == 250).count();
            check(&case, &files, &outcomes, error);
            if times == 1 && !failed.is_empty() {
                // What was made is removed by those who made it, or a moment later by another thread.
                until(|| files.names("/m/tmp") == 0).await;
                assert_eq!(files.names("/m/new"), taken, "{case}");
                // A sync of the directory is for all that are ready; anything else costs one message.
                let group = failed[0].0 == "sync_dir new";
                assert!(taken < messages && (group || taken == messages - 1), "{case}: {taken} taken");
            }
            check_recovery(&case, &files, &maildir).await;
        }
    }
}

#[tokio::test]
async fn whichever_operation_fails_no_message_is_acknowledged_that_does_not_last_and_mail_is_taken_again() {
    each_operation(20, 4, async |_, maildir| four_in_turn(maildir).await).await;
}

#[tokio::test]
async fn the_same_holds_for_messages_that_are_committed_together() {
    each_operation(8 * 4 + 2, 8, async |files, maildir| eight_together(files, maildir).await).await;
}

#[tokio::test]
async fn a_file_system_that_panics_costs_what_it_held_and_nothing_that_was_acknowledged() {
    let (files, maildir) = fresh();
    let opened = files.count();
    four_in_turn(&maildir).await;
    let all = files.count();
    for operation in opened..all {
        let (files, maildir) = fresh();
        files.fail_at(operation, 1, PANIC);
        let outcomes = four_in_turn(&maildir).await;
        check(&format!("operation {operation} of {all}"), &files, &outcomes, PANIC);
        assert_eq!(outcomes.iter().filter(|(_, code)| *code == 250).count(), 3, "operation {operation} of {all}");
        until(|| files.names("/m/tmp") == 0).await;
    }
}

#[tokio::test]
async fn want_of_a_descriptor_is_no_loss() {
    let (files, maildir) = fresh();
    let mut sink = maildir.sink();
    let sync = files.count() + 4;
    files.fail_at(sync, 1, EMFILE);
    assert_eq!(deliver(&mut sink, "one", b"one".to_vec()).await.1, 451);
    assert_eq!(files.failed(), [("sync_dir new".to_owned(), EMFILE)]);
    assert_eq!(deliver(&mut sink, "two", b"two".to_vec()).await.1, 250);
    assert_eq!(files.after_power_cut("/m/new"), [b"two"]);
}
