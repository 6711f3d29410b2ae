//! Programs of others, which run in a folder of their own and end with the test.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::NAME;

/// How long a program may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Says that something could not be judged. Whole, since other tests write, too; and not by a macro, whose text is not shown of a test that
/// passes.
pub(crate) fn not_judged(what: &str) {
    let _ = std::io::stderr().write_all(format!("\nNOT JUDGED: {what}\n").as_bytes());
}

/// The peer's program, if it was seen to run.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let home = |path: &str| env::var_os("HOME").map(|home| PathBuf::from(home).join(path));
    let folder = env::var_os("EHLO_PEERS")
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("ehlo-peers")))
        .or_else(|| home(".cache/ehlo-peers"))
        .unwrap_or_default();
    let program = folder.join("bin").join(name);
    if program.exists() {
        return Some(program);
    }
    not_judged(&format!("{name} is not in {} (see tests/peers/README.md)", folder.display()));
    None
}

/// The same for one that only root can run.
pub(crate) fn peer_of_root(name: &str) -> Option<PathBuf> {
    let program = peer(name)?;
    if rustix::process::geteuid().is_root() {
        return Some(program);
    }
    not_judged(&format!("{name} has to be started by root"));
    None
}

/// A folder that everybody may enter, since servers change their users.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("ehlo-servers-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A certificate of the server's, and its key.
    pub(crate) fn certificate(&self) -> (PathBuf, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let (chain, key) = (self.0.join("chain.pem"), self.0.join("key.pem"));
        fs::write(&chain, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        (chain, key)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A running program. What it says is in a file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, and waits until it listens. The status with which it ended instead, with what it said.
    pub(crate) fn start(command: &mut Command, log: &Path, listens: SocketAddr) -> Result<Self, (Option<i32>, String)> {
        let file = fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut process = Self { child, log: log.to_owned() };
        let begin = Instant::now();
        while TcpStream::connect(listens).is_err() {
            if let Some(status) = process.child.try_wait().unwrap() {
                return Err((status.code(), process.said()));
            }
            assert!(begin.elapsed() < PATIENCE, "{command:?} does not listen: {}", process.said());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
