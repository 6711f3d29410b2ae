//! Starting `ehlo serve` as a process of its own.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub(crate) fn ehlo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ehlo"))
}

/// A folder of a test's own, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ehlo-test-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Server {
    /// `ehlo serve` on a free port, with more options. It logs warnings only, unless they say something else.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = ehlo();
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(options);
        if !options.contains(&"--log-level") {
            command.args(["--log-level", "warn"]);
        }
        Self::start_command(command)
    }

    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.strip_prefix("listening on ") else {
            let mut errors = String::new();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("it does not listen: {line:?}, {errors}");
        };
        Self { address: address.trim_end().parse().unwrap(), child, stdout }
    }

    /// The address of the next line on the standard output, which has to end in that word.
    pub(crate) fn next_address(&mut self, suffix: &str) -> SocketAddr {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").and_then(|rest| rest.strip_suffix(suffix));
        address.and_then(|address| address.trim_end().parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives exit status and standard error. Nothing more may have come on the standard output.
    pub(crate) fn finished(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let mut more = String::new();
        self.stdout.read_to_string(&mut more).unwrap();
        assert_eq!(more, "", "one line is all that is printed");
        (self.child.wait().unwrap().code(), errors)
    }

    pub(crate) fn stop(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.finished()
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream: BufReader::new(stream) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client by hand.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Client {
    /// Sends and reads one reply.
    /// Gives the reply.
    pub(crate) fn say(&mut self, text: &str, code: &str) -> String {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.expect(code)
    }

    pub(crate) fn expect(&mut self, code: &str) -> String {
        let (mut line, mut reply) = (String::new(), String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{code} was expected: {line:?}");
            reply += &line;
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }
}

/// `ehlo send` with these arguments.
pub(crate) fn send(arguments: &[&str]) -> Output {
    ehlo().arg("send").args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The peer's program, if it was seen to run.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let home = |path: &str| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(path));
    let folder = std::env::var_os("EHLO_PEERS")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("ehlo-peers")))
        .or_else(|| home(".cache/ehlo-peers"))
        .unwrap_or_default();
    let program = folder.join("bin").join(name);
    if program.exists() {
        return Some(program);
    }
    // Not by a macro: of a test that passes, its text would not be shown. And whole, since other tests write, too.
    let line = format!("\nnot judged: {name} is not in {} (see tests/peers/README.md)\n", folder.display());
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}
