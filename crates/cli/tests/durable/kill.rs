//! A server that is killed in the middle of its work.
//!
//! What a power cut leaves is another matter: the simulated disk in `crates/tokio/src/store/fake.rs` knows what of it was synced.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::common::{Folder, Server, files};
use crate::load::{Random, Sender, check};

/// How many times it is killed, unless this variable says something else.
const ROUNDS: u64 = 3;
const VARIABLE: &str = "EHLO_KILL_ROUNDS";

/// Connections that send at the same time, so that there are groups to be committed.
const CONNECTIONS: usize = 24;

/// It is killed within this time of the first connection.
const LONGEST: u64 = 500;

#[test]
fn whenever_it_is_killed_what_it_acknowledged_is_there_whole_and_once() {
    let rounds = std::env::var(VARIABLE).map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = Random(u64::from(seed));
    let folder = Folder::new();
    let store = format!("maildir:{}", folder.0.display());
    let ids = AtomicU64::new(0);
    let mut all = 0;
    for round in 0..rounds {
        // The same maildir again, with what the one before has left in it.
        let server = Server::start(&["--store", &store]);
        let address = server.address;
        let pause = Duration::from_millis(random.below(LONGEST));
        let acknowledged: BTreeSet<u64> = thread::scope(|scope| {
            let work = || {
                let mut taken = Vec::new();
                let Ok(mut sender) = Sender::connect(address) else { return taken };
                loop {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    match sender.send(id) {
                        Ok(reply) if reply.starts_with("250") => taken.push(id),
                        // It had no trouble but being killed.
                        Ok(reply) => panic!("message {id}: {reply}"),
                        Err(_) => return taken,
                    }
                }
            };
            let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
            thread::sleep(pause);
            server.signal(Signal::KILL);
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        });
        assert_eq!(server.finished().0, None);
        let case = format!("round {round}, seed {seed}, killed after {pause:?}, {} acknowledged", acknowledged.len());
        let mut stored = BTreeSet::new();
        for path in files(&folder.0.join("new")) {
            assert!(stored.insert(check(&path)), "{case}: {} is there twice", path.display());
            // As a reader does.
            fs::remove_file(path).unwrap();
        }
        let missing: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(missing.is_empty(), "{case}: {missing:?} are missing");
        // What was not acknowledged may be there: the reply was lost. But not more than was on its way.
        assert!(stored.len() <= acknowledged.len() + CONNECTIONS, "{case}: {} stored", stored.len());
        all += acknowledged.len();
    }
    assert!(all > 0, "none was acknowledged in {rounds} rounds");
}
