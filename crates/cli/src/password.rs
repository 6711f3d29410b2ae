//! Passwords that are typed or kept in files, and never on the command line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Octets of a line that is read as a password.
const MAX_LINE: u64 = 4096;

/// The first line of the standard input. On a terminal it is asked for, and not shown.
pub(crate) fn from_input() -> io::Result<String> {
    let input = io::stdin();
    if input.is_terminal() { silently(&input, input.lock(), "Password: ") } else { line(input.lock()) }
}

/// Asks for a password on the terminal, whatever the standard input is.
pub(crate) fn from_terminal(prompt: &str) -> io::Result<String> {
    let terminal = File::open("/dev/tty")?;
    silently(&terminal, &terminal, prompt)
}

/// The first line of a file, without its end.
pub(crate) fn from_file(path: &Path) -> io::Result<String> {
    line(File::open(path)?).map(|line| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn line(input: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(input).take(MAX_LINE).read_line(&mut line)?;
    Ok(line)
}

fn silently(terminal: &impl AsFd, input: impl Read, prompt: &str) -> io::Result<String> {
    let before = tcgetattr(terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    io::stderr().write_all(prompt.as_bytes())?;
    tcsetattr(terminal, OptionalActions::Flush, &silent)?;
    let result = line(input);
    tcsetattr(terminal, OptionalActions::Flush, &before)?;
    let _ = io::stderr().write_all(b"\n");
    result
}
