//! What a run tells while it goes on, and how it is told to end.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ehlo_load::report::units::{count, duration, number};
use ehlo_load::{Observer, Snapshot, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::tell;

/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar: what is done, how far it is, and the live figures, cut at the width of the terminal.
const BAR: &str = "{prefix:<11} {bar:12} {wide_msg}";

/// Ctrl-C and SIGTERM, as a flag. The second one ends the process at once.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(super) fn install() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The order matters: at the first signal the flag isn't set yet when this is looked at.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where progress goes.
enum Display {
    Nowhere,
    /// A line now and then; when the last one was written.
    Lines(Cell<Instant>),
    Bar(ProgressBar),
}

/// The progress of one part of a run, on the standard error: a bar on a terminal, otherwise a line now and then.
pub(super) struct Progress {
    what: &'static str,
    interrupt: Interrupt,
    display: Display,
}

impl Progress {
    /// `what` is done; `how` says more to those who see no bar.
    pub(super) fn new(what: &'static str, how: &str, interrupt: &Interrupt, quiet: bool) -> Self {
        let display = if quiet {
            Display::Nowhere
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(what);
            Display::Bar(bar)
        } else {
            tell("load", format_args!("{what}: {how}"));
            Display::Lines(Cell::new(Instant::now()))
        };
        Self { what, interrupt: interrupt.clone(), display }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn snapshot(&self, snapshot: &Snapshot) {
        match &self.display {
            Display::Nowhere => {}
            Display::Bar(bar) => {
                let (position, length) = extent(snapshot);
                bar.set_length(length);
                bar.set_position(position);
                // Shorter, to fit into 80 columns.
                bar.set_message(figures(snapshot).replace(" messages/s", "/s"));
                bar.tick();
            }
            Display::Lines(last) => {
                if last.get().elapsed() >= LINE_EVERY {
                    last.set(Instant::now());
                    tell("load", format_args!("{}: {}", self.what, figures(snapshot)));
                }
            }
        }
    }

    fn should_stop(&self) -> bool {
        self.interrupt.is_set()
    }
}

/// How far it is, of how much: in messages if these are limited, otherwise in milliseconds.
fn extent(snapshot: &Snapshot) -> (u64, u64) {
    if let Some(messages) = snapshot.messages {
        return (snapshot.sent.min(messages), messages);
    }
    let ms = |it: Duration| it.as_millis() as u64;
    match snapshot.expected_end {
        Some(end) => (ms(snapshot.elapsed.min(end)), ms(end).max(1)),
        None => (0, 1),
    }
}

fn figures(snapshot: &Snapshot) -> String {
    match snapshot.step {
        Step::Connecting => format!("connecting, {} open", count(snapshot.open)),
        Step::WarmUp | Step::Measuring | Step::Draining => {
            let mut text = format!("{} messages/s", number(snapshot.rate));
            if let (Some(p50), Some(p99)) = (snapshot.p50_ns, snapshot.p99_ns) {
                text += &format!(", p50 {}, p99 {}", duration(p50 as f64), duration(p99 as f64));
            }
            text += &format!("; {} accepted", count(snapshot.acknowledged));
            if snapshot.not_accepted > 0 {
                text += &format!(", {} not", count(snapshot.not_accepted));
            }
            if snapshot.step != Step::Measuring {
                text += &format!(" ({})", snapshot.step.as_str());
            }
            text
        }
    }
}
