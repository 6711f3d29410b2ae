//! What a message for several maildirs costs when the file system fails, at each of its operations.

mod common;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::{Folder, start_with, within};
use ehlo_tokio::store::{FileOps, StdFiles};

const FILE: &str = "
[server]
hostname = 'mx.a.example'
postmaster = 'ada@a.example'
[store]
place = 'maildir:mail/{domain}/{local}'
[[domain]]
name = 'a.example'
mailboxes = ['ada', 'bob', 'carol']
";

const STRANGER: &str = "203.0.113.7";

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

/// The machine's files, of which one operation fails, or all from one on.
#[derive(Clone)]
struct Failing {
    state: Arc<State>,
}

struct State {
    /// Operations so far.
    count: AtomicUsize,
    from: usize,
    until: AtomicUsize,
    error: i32,
    /// Those that have failed.
    failed: Mutex<Vec<String>>,
}

impl Failing {
    fn new(from: usize, times: usize, error: i32) -> Self {
        let (count, until) = (AtomicUsize::new(0), AtomicUsize::new(from.saturating_add(times)));
        Self { state: Arc::new(State { count, from, until, error, failed: Mutex::default() }) }
    }

    fn step(&self, operation: &str, path: &Path) -> io::Result<()> {
        let State { count, from, until, error, failed } = &*self.state;
        let number = count.fetch_add(1, Ordering::SeqCst);
        if (*from..until.load(Ordering::SeqCst)).contains(&number) {
            let name = path.file_name().unwrap_or_default().display();
            failed.lock().unwrap().push(format!("{operation} {name}").trim_end().to_owned());
            return Err(io::Error::from_raw_os_error(*error));
        }
        Ok(())
    }

    /// The fault is gone.
    fn mend(&self) {
        self.state.until.store(0, Ordering::SeqCst);
    }

    fn failed(&self) -> Vec<String> {
        self.state.failed.lock().unwrap().clone()
    }
}

impl FileOps for Failing {
    type File = std::fs::File;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step("create_dir", path)?;
        StdFiles.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        self.step("create", Path::new(""))?;
        StdFiles.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Self::File> {
        self.step("open", Path::new(""))?;
        StdFiles.open(path)
    }

    fn is_at(&self, file: &Self::File, path: &Path) -> io::Result<bool> {
        self.step("is_at", path)?;
        StdFiles.is_at(file, path)
    }

    fn lock(&self, file: &Self::File) -> io::Result<bool> {
        self.step("lock", Path::new(""))?;
        StdFiles.lock(file)
    }

    fn length(&self, file: &Self::File) -> io::Result<u64> {
        self.step("length", Path::new(""))?;
        StdFiles.length(file)
    }

    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.step("read_at", Path::new(""))?;
        StdFiles.read_at(file, offset, buffer)
    }

    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()> {
        self.step("truncate", Path::new(""))?;
        StdFiles.truncate(file, length)
    }

    fn list(&self, path: &Path, file: &mut dyn FnMut(&Path, SystemTime)) -> io::Result<()> {
        self.step("list", path)?;
        StdFiles.list(path, file)
    }

    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()> {
        self.step("write", Path::new(""))?;
        StdFiles.write(file, bytes)
    }

    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        self.step("sync_file", Path::new(""))?;
        StdFiles.sync_file(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", Path::new(""))?;
        StdFiles.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step("sync_dir", path)?;
        StdFiles.sync_dir(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", Path::new(""))?;
        StdFiles.remove(path)
    }
}

#[tokio::test]
async fn whichever_operation_fails_nobody_has_the_message_and_the_next_one_goes_through() {
    within(async {
        for (error, expected) in [(ENOSPC, "452 4.3.1"), (EIO, "451 4.3.0"), (EMFILE, "451 4.3.0")] {
            for times in [1, usize::MAX] {
                let mut refused = 0;
                for operation in 0.. {
                    let folder = Folder::new();
                    let files = Failing::new(operation, times, error);
                    let given = files.clone();
                    let (server, _) = start_with(FILE, &folder, |builder| builder.files(given)).await;
                    let mut client = server.client(STRANGER).await;
                    client.say("MAIL FROM:<x@y.example>", "250").await;
                    for to in ["ada@a.example", "bob@a.example", "carol@a.example"] {
                        client.say(&format!("RCPT TO:<{to}>"), "250").await;
                    }
                    client.say("DATA", "354").await;
                    let reply = client.say("x\r\n.", "").await;
                    let failed = files.failed();
                    let case = format!("operation {operation}, {failed:?}, error {error}: {reply}");
                    if failed.is_empty() {
                        assert!(reply.starts_with("250"), "{case}");
                        break;
                    }
                    if reply.starts_with("250") {
                        // A folder above that can't be synced is no reason to refuse.
                        assert!(failed.iter().all(|it| it.starts_with("sync_dir") && it != "sync_dir new"), "{case}");
                        assert_eq!(folder.files().len(), 3, "{case}");
                        continue;
                    }
                    refused += 1;
                    assert!(reply.starts_with(expected), "{case}");
                    // While nothing can be removed, what was made stays; and it may be visible in what was not to be removed.
                    let sound = failed.iter().all(|it| it != "remove");
                    assert!(!sound || folder.files().is_empty(), "{case}: {:?}", folder.files());
                    files.mend();
                    let left = folder.files().len();
                    // Nothing that is written into a folder whose sync has failed can be trusted, and it is the first one's.
                    let poisoned = error == EIO && failed.iter().any(|it| it == "sync_dir new");
                    if poisoned && failed.len() == 1 {
                        let mut codes = Vec::new();
                        for to in ["ada@a.example", "bob@a.example", "carol@a.example"] {
                            client.say("MAIL FROM:<x@y.example>", "250").await;
                            client.say(&format!("RCPT TO:<{to}>"), "250").await;
                            let reply = client.say("DATA", "").await;
                            codes.push(reply[..3].to_owned());
                            let rest = if reply.starts_with("354") { "y\r\n." } else { "RSET" };
                            client.say(rest, "250").await;
                        }
                        codes.sort_unstable();
                        assert_eq!(codes, ["354", "354", "451"], "{case}: one of them is not trusted any more");
                        assert_eq!(folder.files().len(), 2, "{case}");
                    } else if !poisoned {
                        client.send("x@y.example", &["ada@a.example", "bob@a.example"], "y", "250").await;
                        assert_eq!(folder.files().len(), left + 2, "{case}");
                    }
                }
                assert!(refused > 20, "{refused} messages were refused");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn messages_for_a_mailbox_whose_maildir_is_made_at_the_same_time_are_all_taken() {
    within(async {
        let folder = Folder::new();
        let (server, _) = start_with(FILE, &folder, |builder| builder).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = server.client(STRANGER).await;
            client.say("MAIL FROM:<x@y.example>", "250").await;
            client.say("RCPT TO:<ada@a.example>", "250").await;
            client.say("RCPT TO:<bob@a.example>", "250").await;
            client.say("DATA", "354").await;
            clients.push(client);
        }
        for client in &mut clients {
            client.send_raw("x\r\n.\r\n").await;
        }
        for client in &mut clients {
            client.expect("250").await;
        }
        for maildir in ["mail/a.example/ada", "mail/a.example/bob"] {
            assert_eq!(folder.messages(maildir).len(), 20, "{maildir}");
        }
        assert_eq!(folder.files().len(), 40);
    })
    .await;
}
