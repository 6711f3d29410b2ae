//! Programs that a run starts beside itself.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to say where it listens.
const READY: Duration = Duration::from_secs(20);

/// How long a program may take to end after SIGTERM before it is killed.
const END: Duration = Duration::from_secs(20);

/// The longest line that a program may say where it listens in, in bytes.
const MAX_LINE: u64 = 256;

/// How long the last words of a program that has ended are waited for: something that it started may hold the other end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The most that is kept of what a program says on its standard error, in bytes.
const MAX_SAID: u64 = 4096;

/// A server in a process of its own, which ends with this value.
pub(super) struct Listening {
    what: &'static str,
    child: Child,
    /// Closed when the child is to end with its parent.
    _stdin: Option<ChildStdin>,
    /// What it says on its standard error, up to [`MAX_SAID`]. Shown if it ends badly.
    said: Receiver<String>,
    address: SocketAddr,
}

impl Listening {
    /// Starts a program that prints `listening on ADDRESS` when it is ready.
    pub(super) fn start(
        what: &'static str,
        program: &Path,
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, String> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for the run, which ends the program in its turn.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {what} ({}): {error}", program.display()))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            let read = stdout.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            // Nobody may listen any more; and the program must never wait for somebody to read what else it says.
            let _ = sender.send(read.map(|_| String::from_utf8_lossy(&line).trim_end().to_owned()));
            let _ = io::copy(&mut stdout, &mut io::sink());
        });
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            // Nobody wants to know if the program ends well.
            let _ = tell.send(stderr.map_or_else(String::new, listen_to));
        });
        // Whatever happens from here on, the program ends with this value.
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut started = Self { what, child, _stdin: stdin, said, address: unspecified };
        let line = match receiver.recv_timeout(READY) {
            Ok(Ok(line)) if !line.is_empty() => line,
            Ok(Err(error)) => return Err(format!("cannot read from {what}: {error}")),
            Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => return Err(started.ended("ended before it was ready")),
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("{what} did not say within {} s where it listens", READY.as_secs()));
            }
        };
        let address = line.strip_prefix("listening on ").and_then(|it| it.parse().ok());
        started.address = address.ok_or_else(|| format!("{what} said \"{line}\" and not where it listens"))?;
        Ok(started)
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end, and waits for that. It is an error if it ends badly, or has ended before.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let what = self.what;
        let failed = |error: io::Error| format!("cannot end {what}: {error}");
        if self.child.try_wait().map_err(failed)?.is_some() {
            return Err(self.ended("ended before the run did"));
        }
        // A process that isn't waited for keeps its number, so this can't hit another one.
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| failed(error.into()))?;
        match self.wait() {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.ended("ended badly")),
            None => Err(format!("{what} did not end within {} s of SIGTERM", END.as_secs())),
        }
    }

    /// Its status, if it ends in time.
    fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + END;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }

    /// A sentence about a program that has ended, or is about to, with its status and its last words.
    fn ended(&mut self, how: &str) -> String {
        let status = self.wait().map_or_else(|| "and goes on".to_owned(), |status| status.to_string());
        let said = self.said.recv_timeout(LAST_WORDS).unwrap_or_default();
        let last = said.lines().last().map_or_else(String::new, |line| format!(": {line}"));
        format!("{} {how} ({status}){last}", self.what)
    }
}

/// The beginning of what a program says. All of it is read, so that the program never waits.
fn listen_to(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // What cannot be read isn't shown.
    let _ = stderr.by_ref().take(MAX_SAID).read_to_end(&mut said);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&said).into_owned()
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Nothing can be done if these fail, and nothing but a stray process is lost.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Listening, String> {
        Listening::start("the shell", Path::new("/bin/sh"), ["-c".into(), script.into()])
    }

    #[test]
    fn a_program_that_says_where_it_listens_is_started_and_stopped() {
        let script = "trap 'kill $!; exit 0' TERM; echo listening on 127.0.0.1:25; sleep 60 & wait";
        let server = shell(script).unwrap();
        assert_eq!(server.address().port(), 25);
        server.stop().unwrap();
    }

    #[test]
    fn a_program_that_ends_badly_is_named_with_its_last_words() {
        let error = |script| shell(script).and_then(Listening::stop).unwrap_err();
        assert_eq!(
            error("echo one >&2; echo two >&2; exit 3"),
            "the shell ended before it was ready (exit status: 3): two"
        );
        assert_eq!(error("echo hello; exec sleep 60"), "the shell said \"hello\" and not where it listens");
        assert_eq!(
            error("echo listening on 127.0.0.1:25; exec sleep 60"),
            "the shell ended badly (signal: 15 (SIGTERM))"
        );
        let missing = Listening::start("the server", Path::new("/nonexistent"), []).err().unwrap();
        assert!(missing.starts_with("cannot start the server (/nonexistent): "), "{missing}");
    }
}
