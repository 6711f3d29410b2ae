//! The fuzz targets of the ehlo workspace, as functions.
//!
//! The workspace's tests take [`targets`] in as well and run it over pseudo-random input, with a stable compiler and without libFuzzer.

pub mod targets;

#[cfg(all(fuzzing, not(feature = "link")))]
compile_error!("libFuzzer is not linked: add `--features link`");
