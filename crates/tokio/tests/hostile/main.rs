//! Clients that mean ill, against the driver and with the clock stopped: what bounds each of them. `docs/src/guide/hostile.md` has the list.

#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod floods;
mod phases;
