//! Lines for whoever runs the command.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Says what went wrong, or what happened, on the standard error. If that is closed there is nobody to tell.
pub(crate) fn tell(command: &str, message: impl Display) {
    let line = format!("ehlo {command}: {message}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Prints a result line and flushes it, so that a program at the other end of a pipe sees it at once.
pub(crate) fn print(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
