//! What `ehlo serve` has acknowledged is on the disk: when it is killed, when the disk is full, and in each of its durable stores.

#[path = "../common/mod.rs"]
mod common;

mod descriptors;
mod full;
mod kill;
mod load;
mod stores;
