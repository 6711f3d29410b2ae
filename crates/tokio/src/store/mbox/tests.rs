use std::task::{Context, Poll, Waker};
use std::time::{SystemTime, UNIX_EPOCH};

use ehlo_server::codec::Reply;

use super::*;
use crate::sink::BodySink as _;
use crate::store::fake::{FakeFiles, settle, until};
use crate::store::incoming::BUFFER;

pub(super) const BEGIN: &str = "From a@b Thu Jan  1 00:00:00 1970\nReturn-Path: <a@b>\n";

pub(super) fn fresh() -> (FakeFiles, Mbox<FakeFiles>) {
    let files = FakeFiles::default();
    let mbox = open(&files);
    files.lock().log.clear();
    (files, mbox)
}

fn open(files: &FakeFiles) -> Mbox<FakeFiles> {
    Mbox::with_patience(Path::new("/m/box"), files.clone(), Duration::from_millis(200)).unwrap()
}

/// Begins a message without an envelope, which only a session can make.
fn begin(mbox: &Mbox<FakeFiles>) -> MboxSink<FakeFiles> {
    let mut sink = mbox.sink();
    start(&mut sink);
    sink
}

pub(super) fn start(sink: &mut MboxSink<FakeFiles>) {
    let name = sink.handle.shared.names.next(UNIX_EPOCH);
    sink.start(&name, "a@b", UNIX_EPOCH, b"Return-Path: <a@b>\r\n");
}

pub(super) async fn write(sink: &mut MboxSink<FakeFiles>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = std::future::poll_fn(|cx| sink.poll_write(cx, bytes)).await?;
        assert!(taken > 0);
        bytes = &bytes[taken..];
    }
    Ok(())
}

pub(super) async fn commit(sink: &mut MboxSink<FakeFiles>) -> Result<Option<Reply>, Reply> {
    std::future::poll_fn(|cx| sink.poll_commit(cx)).await
}

/// What is in the file as programs see it.
pub(super) fn contents(files: &FakeFiles) -> String {
    String::from_utf8(files.contents("/m").concat()).unwrap()
}

/// What is in the file after a power cut.
pub(super) fn lasting(files: &FakeFiles) -> String {
    String::from_utf8(files.after_power_cut("/m").concat()).unwrap()
}

#[tokio::test]
async fn a_message_is_locked_written_and_synced_before_the_commit_is_ready() {
    let (files, mbox) = fresh();
    let mut sink = begin(&mbox);
    write(&mut sink, b"Subject: x\r\n\r\nFrom here\r\n").await.unwrap();
    assert_eq!(files.lock().log, Vec::<String>::new(), "a small message costs one job");
    let reply = commit(&mut sink).await.unwrap().unwrap().to_string();
    assert!(reply.starts_with("250 2.0.0 Stored as 0.M0P"), "{reply}");
    assert_eq!(files.lock().log, ["open box", "lock", "is_at", "length", "write", "sync_file"]);
    assert_eq!(lasting(&files), format!("{BEGIN}Subject: x\n\n>From here\n\n"));
    start(&mut sink);
    commit(&mut sink).await.unwrap();
    assert_eq!(lasting(&files), format!("{BEGIN}Subject: x\n\n>From here\n\n{BEGIN}\n"));
}

#[tokio::test]
async fn a_large_message_waits_in_a_file_without_a_name_and_comes_out_whole() {
    let (files, mbox) = fresh();
    let mut sink = begin(&mbox);
    // All of it is quoted.
    let body = "From \r\n".repeat(100_000);
    for piece in body.as_bytes().chunks(30_001) {
        write(&mut sink, piece).await.unwrap();
        let Some(message) = &sink.message else { panic!("it is coming in") };
        assert!(message.buffer.len() <= 2 * BUFFER && message.spare.capacity() <= 2 * BUFFER);
    }
    assert_eq!(files.names("/m"), 1, "only the mbox has a name");
    assert_eq!(contents(&files), "");
    commit(&mut sink).await.unwrap();
    assert_eq!(lasting(&files), format!("{BEGIN}{}\n", ">From \n".repeat(100_000)));
}

#[tokio::test]
async fn messages_that_are_finished_together_are_made_to_last_by_one_sync() {
    let (files, mbox) = fresh();
    files.stop_at(Some("sync_file"));
    let mut sinks: Vec<_> = (0..20).map(|_| begin(&mbox)).collect();
    let mut cx = Context::from_waker(Waker::noop());
    for (i, sink) in sinks.iter_mut().enumerate() {
        assert!(matches!(sink.poll_write(&mut cx, format!("{i}\r\n").as_bytes()), Poll::Ready(Ok(_))));
        assert!(sink.poll_commit(&mut cx).is_pending());
        if i == 0 {
            // The first one does not wait for company.
            until(|| files.begun("sync_file") == 1).await;
        }
    }
    settle(&files).await;
    assert!(
        sinks.iter_mut().all(|sink| sink.poll_commit(&mut cx).is_pending()),
        "none is acknowledged before its sync"
    );
    files.stop_at(None);
    for sink in &mut sinks {
        assert!(commit(sink).await.is_ok());
    }
    assert_eq!((files.begun("sync_file"), files.begun("lock")), (2, 2), "once for the first, once for all others");
    assert_eq!(lasting(&files), (0..20).map(|i| format!("{BEGIN}{i}\n\n")).collect::<String>());
}

#[tokio::test]
async fn a_message_that_does_not_fit_is_cut_off_and_those_around_it_stay() {
    let (files, mbox) = fresh();
    files.stop_at(Some("sync_file"));
    // Of the second group the second message.
    files.lock().fail = Some(("write", 2, io::ErrorKind::StorageFull));
    let mut sinks: Vec<_> = (0..4).map(|_| begin(&mbox)).collect();
    let mut cx = Context::from_waker(Waker::noop());
    for (i, sink) in sinks.iter_mut().enumerate() {
        assert!(matches!(sink.poll_write(&mut cx, format!("{i}\r\n").as_bytes()), Poll::Ready(Ok(_))));
        assert!(sink.poll_commit(&mut cx).is_pending());
        if i == 0 {
            until(|| files.begun("sync_file") == 1).await;
        }
    }
    files.stop_at(None);
    let mut codes = Vec::new();
    for sink in &mut sinks {
        codes.push(commit(sink).await.map_or_else(|reply| reply.code().get(), |_| 250));
    }
    assert_eq!(codes, [250, 250, 452, 250]);
    let expected: String = [0, 1, 3].map(|i| format!("{BEGIN}{i}\n\n")).concat();
    assert_eq!((lasting(&files), contents(&files)), (expected.clone(), expected));
}

#[tokio::test]
async fn a_failed_sync_is_never_tried_again() {
    let (files, mbox) = fresh();
    let mut sink = begin(&mbox);
    assert!(commit(&mut sink).await.is_ok());
    files.lock().fail = Some(("sync_file", 0, io::ErrorKind::Other));
    for _ in 0..3 {
        start(&mut sink);
        assert_eq!(commit(&mut sink).await.unwrap_err().code().get(), 451);
    }
    assert_eq!(files.begun("sync_file"), 2);
    assert_eq!(contents(&files), format!("{BEGIN}\n"));
}

#[tokio::test]
async fn a_disk_that_was_full_is_used_again() {
    for operation in ["write", "sync_file", "open"] {
        let (files, mbox) = fresh();
        files.lock().fail = Some((operation, 0, io::ErrorKind::StorageFull));
        let mut sink = begin(&mbox);
        let reply = commit(&mut sink).await.unwrap_err();
        assert_eq!(reply.to_string(), "452 4.3.1 Insufficient system storage");
        if operation == "write" {
            until(|| files.begun("sync_file") == 1).await;
            let log = files.lock().log.clone();
            assert_eq!(log[4..], ["write", "truncate", "sync_file"], "that it was cut off is made to last");
        }
        start(&mut sink);
        assert!(commit(&mut sink).await.is_ok(), "{operation}");
        let expected = format!("{BEGIN}\n");
        assert_eq!((lasting(&files), contents(&files)), (expected.clone(), expected), "{operation}");
    }
}

#[tokio::test]
async fn the_lock_of_another_program_is_waited_for_but_not_for_ever() {
    let (files, mbox) = fresh();
    files.lock_file("/m/box", 3);
    let mut sink = begin(&mbox);
    assert!(commit(&mut sink).await.is_ok());
    assert_eq!(files.begun("lock"), 4);
    files.lock_file("/m/box", usize::MAX);
    start(&mut sink);
    assert_eq!(commit(&mut sink).await.unwrap_err().code().get(), 451);
    files.lock_file("/m/box", 0);
    start(&mut sink);
    assert!(commit(&mut sink).await.is_ok());
    assert_eq!(contents(&files), format!("{BEGIN}\n").repeat(2));
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_the_mbox_gets_the_message() {
    let (files, mbox) = fresh();
    files.stop_at(Some("lock"));
    let mut sink = begin(&mbox);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sink.poll_commit(&mut cx).is_pending());
    until(|| files.begun("lock") == 1).await;
    // A reader writes a new one, without the messages that it has deleted.
    files.put("/m/box", b"From kept\n\n", SystemTime::now());
    files.stop_at(None);
    assert!(commit(&mut sink).await.is_ok());
    assert_eq!(contents(&files), format!("From kept\n\n{BEGIN}\n"));
    // Another one removes it: it was empty.
    files.take("/m/box");
    start(&mut sink);
    assert!(commit(&mut sink).await.is_ok());
    assert_eq!(lasting(&files), format!("{BEGIN}\n"), "the new file's name lasts, too");
}

#[tokio::test]
async fn what_others_have_left_unfinished_is_kept_apart() {
    for (left, between) in
        [("", ""), ("From x\n\na\n\n", ""), ("From x\n\na\n", "\n"), ("From x\n\nhalf a li", "\n\n"), ("F", "\n\n")]
    {
        let files = FakeFiles::default();
        files.put("/m/box", left.as_bytes(), SystemTime::now());
        let mut sink = begin(&open(&files));
        assert!(commit(&mut sink).await.is_ok());
        assert_eq!(contents(&files), format!("{left}{between}{BEGIN}\n"));
    }
}

#[tokio::test]
async fn a_file_that_is_no_mbox_is_refused_and_left_alone() {
    let files = FakeFiles::default();
    files.put("/m/box", b"root:x:0:0", SystemTime::now());
    let error = Mbox::with_files("/m/box", files.clone()).map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(contents(&files), "root:x:0:0");
    assert!(Mbox::with_files("/", files).is_err());
}

#[tokio::test]
async fn an_abandoned_message_is_not_appended() {
    let (files, mbox) = fresh();
    files.stop_at(Some("open"));
    let (mut one, mut two) = (begin(&mbox), begin(&mbox));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(one.poll_commit(&mut cx).is_pending());
    until(|| files.begun("open") == 1).await;
    one.abort();
    write(&mut two, &vec![b'x'; 3 * BUFFER]).await.unwrap();
    drop(two);
    files.stop_at(None);
    settle(&files).await;
    assert_eq!(contents(&files), "");
}

#[tokio::test]
async fn on_a_real_file_system_it_is_created_for_its_owner_and_appended_to() {
    let root = std::env::temp_dir().join(format!("ehlo-mbox-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let path = root.join("box");
    for count in 1..=2 {
        let mbox = Mbox::open(&path).unwrap();
        let mut sink = mbox.sink();
        sink.start("name", "a@b", UNIX_EPOCH, b"Return-Path: <a@b>\r\n");
        let large = "x".repeat(3 * BUFFER) + "\r\n";
        let mut rest = large.as_bytes();
        while !rest.is_empty() {
            let taken = std::future::poll_fn(|cx| sink.poll_write(cx, rest)).await.unwrap();
            rest = &rest[taken..];
        }
        std::future::poll_fn(|cx| sink.poll_commit(cx)).await.unwrap();
        let expected = format!("{BEGIN}{}\n\n", "x".repeat(3 * BUFFER)).repeat(count);
        assert!(std::fs::read_to_string(&path).unwrap() == expected);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1, "nothing else is left");
    }
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(Mbox::open(root.join("no/such/folder")).is_err());
    assert!(Mbox::open(&root).is_err());
    std::fs::remove_dir_all(root).unwrap();
}
