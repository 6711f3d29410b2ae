//! What a message costs whose peer may have no more lines in the log. In a program of its own: what a callsite is wanted for is known to the whole
//! process, and tests beside this one, which have no log, would have a say in it.

mod steady;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ehlo_tokio::AcceptAll;
use ehlo_tokio::store::Discard;
use steady::{WARM_UP, allocations};

/// Counts lines.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.iter().filter(|byte| **byte == b'\n').count(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Allocations, and lines, with a log of that level, of which this peer may cause so few lines that they are used up before it is counted.
fn with_log(level: tracing::Level) -> (u64, usize) {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(log);
    let count = allocations(AcceptAll(Discard));
    (count, lines.0.load(Ordering::Relaxed))
}

#[test]
fn a_message_allocates_nothing_for_a_log_that_has_no_line_for_it() {
    assert_eq!(with_log(tracing::Level::WARN), (0, 0));
    let (count, lines) = with_log(tracing::Level::INFO);
    assert_eq!(count, 0);
    // Those that it may cause, and the two that tell of the end and of those that were left out.
    assert_eq!(lines, WARM_UP as usize / 2 + 2);
}
