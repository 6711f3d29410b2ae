//! What a message costs on a connection that is under way.

mod steady;

use ehlo_tokio::AcceptAll;
use ehlo_tokio::store::{Discard, Maildir, Verify};
use steady::{
    COUNTED, PER_MESSAGE_IN_MAILDIR, PER_MESSAGE_IN_TLS, WARM_UP, Way, allocations, allocations_in_tls, measure,
};

#[test]
fn a_message_that_is_discarded_allocates_nothing() {
    assert_eq!(allocations(AcceptAll(Discard)), 0);
}

#[test]
fn a_message_in_chunks_that_is_discarded_allocates_nothing() {
    assert_eq!(measure(AcceptAll(Discard), Way::Chunks, None), 0);
}

#[test]
fn a_message_that_is_verified_allocates_no_more_than_its_record_takes() {
    // The records are in a list that doubles now and then.
    let count = allocations(AcceptAll(Verify::default()));
    assert!(count < u64::from(COUNTED / 10), "{count} allocations for {COUNTED} messages");
}

#[test]
fn a_message_for_a_maildir_allocates_what_is_handed_to_the_threads_that_store_it() {
    let folder = std::env::temp_dir().join(format!("ehlo-steady-maildir-{}", std::process::id()));
    let count = allocations(AcceptAll(Maildir::open(&folder).unwrap()));
    let stored = std::fs::read_dir(folder.join("new")).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(stored, (WARM_UP + COUNTED) as usize);
    let most = PER_MESSAGE_IN_MAILDIR * u64::from(COUNTED) + u64::from(COUNTED / 10);
    assert!(count <= most, "{count} allocations for {COUNTED} messages");
}

#[test]
fn a_message_inside_tls_allocates_what_its_records_take() {
    // rustls puts each record that it decrypts, and each that it writes, into memory of its own: four of either are in a transaction
    // here. What the driver adds would show as more of them.
    let count = allocations_in_tls(AcceptAll(Discard));
    let most = PER_MESSAGE_IN_TLS * u64::from(COUNTED) + u64::from(COUNTED / 10);
    assert!(count <= most, "{count} allocations for {COUNTED} messages");
}
