//! The log of `ehlo serve`: its formats, and writing it without ever waiting for whoever reads it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::console::tell;

/// Bytes that wait to be written; a line that finds no room is lost, and counted. A server must not stand still because nobody reads what
/// it says.
const WAITING: usize = 1 << 20;

/// How long the end of the process waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Text for people, in colours on a terminal
    Human,
    /// An object of JSON on each line
    Json,
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    lost: u64,
    /// The writer has taken bytes and not written them yet.
    writing: bool,
}

/// Lines on their way to the standard error.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Queue>, Condvar)>);

impl Lines {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.queue();
        if queue.bytes.len() + line.len() > WAITING {
            queue.lost += 1;
            return;
        }
        let wake = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(line);
        drop(queue);
        if wake {
            self.0.1.notify_all();
        }
    }

    /// Writes lines as they come, for ever.
    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut queue = self.queue();
            while queue.bytes.is_empty() {
                queue = self.0.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut queue.bytes, &mut taken);
            let lost = std::mem::take(&mut queue.lost);
            queue.writing = true;
            drop(queue);
            // If nobody takes it there is nobody to tell.
            let _ = out.write_all(&taken);
            taken.clear();
            if lost > 0 {
                let _ = writeln!(out, "ehlo serve: {lost} log lines were lost, since nobody read them in time");
            }
            self.queue().writing = false;
            self.0.1.notify_all();
        }
    }

    /// Waits until all was written, or patience ends.
    fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut queue = self.queue();
        while !queue.bytes.is_empty() || queue.writing {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.0.1.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One line.
struct Line<'l>(&'l Lines);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line(self)
    }
}

static LINES: OnceLock<Lines> = OnceLock::new();

/// Begins to log on the standard error.
pub(super) fn begin(level: LevelFilter, format: Format) -> io::Result<()> {
    let lines = LINES.get_or_init(Lines::default);
    thread::Builder::new().name("ehlo-log".to_owned()).spawn(|| lines.write_to(io::stderr()))?;
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(lines.clone());
    match format {
        Format::Human => builder.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_target(false).init(),
    }
    Ok(())
}

/// Says something of the command's own, behind what was logged before.
pub(super) fn tell_last(message: impl std::fmt::Display) {
    if let Some(lines) = LINES.get() {
        lines.flush(PATIENCE);
    }
    tell("serve", message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Takes what is written, and blocks until it may.
    struct Gate {
        open: mpsc::Receiver<()>,
        out: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            let _ = self.out.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_lost_and_told_of_and_nobody_waits() {
        let lines = Lines::default();
        let ((open, gate), (out, written)) = (mpsc::channel(), mpsc::channel());
        let writer = lines.clone();
        thread::spawn(move || writer.write_to(Gate { open: gate, out }));
        let line = [&[b'x'; 999][..], b"\n"].concat();
        for _ in 0..5000 {
            lines.push(&line);
        }
        assert!(lines.queue().bytes.len() <= WAITING);
        assert!(lines.queue().lost >= 5000 - 2 * (WAITING as u64 / 1000 + 1));
        lines.flush(Duration::from_millis(10));
        drop(open);
        let mut all = Vec::new();
        while !all.ends_with(b"in time\n") {
            all.extend(written.recv().unwrap());
        }
        assert_eq!(all.len() % 1000, all.rsplit(|&byte| byte == b'\n').nth(1).unwrap().len() + 1, "all are whole");
        lines.push(b"more\n");
        lines.flush(PATIENCE);
        assert_eq!(written.try_iter().last().unwrap(), b"more\n");
    }
}
