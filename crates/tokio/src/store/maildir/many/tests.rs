use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;
use crate::store::fake::{EIO, EMFILE, ENOSPC, FakeFiles};

fn fresh(names: &[String]) -> (FakeFiles, MaildirCommit<FakeFiles>) {
    let files = FakeFiles::default();
    for name in names {
        files.put(&format!("/m/tmp/{name}"), name.as_bytes(), UNIX_EPOCH);
    }
    (files.clone(), MaildirCommit::new(Arc::new(files)))
}

fn wait(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not come to hold");
        thread::sleep(Duration::from_millis(1));
    }
}

/// One is published and held up in its sync, and the others behind it.
fn publish_group(files: &FakeFiles, commit: &MaildirCommit<FakeFiles>, names: &[String]) -> Vec<io::Result<()>> {
    files.stop_at(Some("sync_dir"));
    let waiting =
        |count| commit.folders.lock().unwrap().values().any(|it| it.state.lock().unwrap().waiting.len() == count);
    let results = thread::scope(|scope| {
        let publish = |name: &'_ String| {
            let name = name.clone();
            scope.spawn(move || commit.publish(Path::new("/m"), &name))
        };
        let first = publish(&names[0]);
        wait(|| files.begun("sync_dir") == 1 || first.is_finished());
        let rest: Vec<_> = names[1..].iter().map(publish).collect();
        if !first.is_finished() {
            wait(|| waiting(names.len() - 1));
        }
        files.stop_at(None);
        std::iter::once(first).chain(rest).map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!commit.is_trusted(Path::new("/m")) || commit.folders.lock().unwrap().is_empty(), "all is forgotten");
    results
}

fn names() -> Vec<String> {
    (0..20).map(|i| format!("m{i}")).collect()
}

#[test]
fn messages_for_one_maildir_are_made_to_last_by_one_sync() {
    let names = names();
    let (files, commit) = fresh(&names);
    assert!(publish_group(&files, &commit, &names).iter().all(Result::is_ok));
    assert_eq!((files.begun("sync_dir"), files.begun("rename")), (2, 20), "one for the first, one for all others");
    assert_eq!(files.after_power_cut("/m/new").len(), 20);
    assert_eq!(files.names("/m/tmp"), 0);
}

#[test]
fn whichever_operation_fails_what_is_published_lasts_and_the_rest_is_gone() {
    let names = names();
    for error in [EIO, ENOSPC, EMFILE] {
        for operation in 0..names.len() + 2 {
            let (files, commit) = fresh(&names);
            files.fail_at(operation, 1, error);
            let results = publish_group(&files, &commit, &names);
            let case = format!("operation {operation}, {:?}, error {error}", files.failed());
            let lasting = files.after_power_cut("/m/new");
            let published = results.iter().filter(|result| result.is_ok()).count();
            assert!(published < names.len(), "{case}");
            for (name, result) in names.iter().zip(&results) {
                assert_eq!(lasting.contains(&name.clone().into_bytes()), result.is_ok(), "{case}");
                if let Err(failed) = result {
                    assert_eq!(failed.kind() == io::ErrorKind::StorageFull, error == ENOSPC, "{case}: {failed}");
                }
            }
            assert_eq!((files.names("/m/new"), files.names("/m/tmp")), (published, 0), "{case}");
            let lost = files.failed()[0].0 == "sync_dir new" && error == EIO;
            assert_eq!(commit.is_trusted(Path::new("/m")), !lost, "{case}");
            files.put("/m/tmp/again", b"again", UNIX_EPOCH);
            assert_eq!(commit.publish(Path::new("/m"), "again").is_ok(), !lost, "{case}");
            assert!(commit.is_trusted(Path::new("/other")), "{case}");
        }
    }
}

#[test]
fn many_maildirs_are_served_at_the_same_time_and_forgotten() {
    let files = FakeFiles::default();
    for folder in 0..8 {
        for message in 0..20 {
            files.put(&format!("/m{folder}/tmp/{message}"), b"x", UNIX_EPOCH);
        }
    }
    let commit = MaildirCommit::new(Arc::new(files.clone()));
    let start = Barrier::new(16);
    thread::scope(|scope| {
        for thread in 0..16 {
            let (commit, start) = (&commit, &start);
            scope.spawn(move || {
                start.wait();
                for i in (0..160).filter(|i| i % 16 == thread) {
                    commit.publish(Path::new(&format!("/m{}", i % 8)), &(i / 8).to_string()).unwrap();
                }
            });
        }
    });
    for folder in 0..8 {
        assert_eq!(files.after_power_cut(&format!("/m{folder}/new")).len(), 20);
    }
    assert!(commit.folders.lock().unwrap().is_empty());
    commit.take_back(Path::new("/m0"), "0");
    assert_eq!(files.after_power_cut("/m0/new").len(), 19);
}

#[test]
fn a_file_system_that_panics_costs_what_it_held() {
    let names = names();
    for operation in 0..names.len() + 2 {
        let (files, commit) = fresh(&names);
        files.fail_at(operation, 1, crate::store::fake::PANIC);
        let results = publish_group(&files, &commit, &names);
        let lasting = files.after_power_cut("/m/new");
        for (name, result) in names.iter().zip(&results) {
            assert!(result.is_err() || lasting.contains(&name.clone().into_bytes()), "operation {operation}");
        }
        files.put("/m/tmp/again", b"again", UNIX_EPOCH);
        assert!(commit.publish(Path::new("/m"), "again").is_ok(), "operation {operation}");
    }
}
