//! One message's way into some maildirs. Everything here blocks.
//!
//! The first maildir's file takes the message while it comes; the others are copies of it. All of them are written and synced before the
//! first one is moved to where it can be seen, and all of them are where they can be seen, and synced there, before the message is
//! acknowledged. What fails on the way removes what was made, in all of them.
//!
//! The commit is the group commit of `ehlo_tokio::store::Maildir`: files are synced by as many threads as messages, all at the same time, and the
//! messages that become visible in one maildir at the same time are made to last by one sync of it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ehlo_tokio::store::{FileOps, MaildirCommit};

/// Octets that are copied at a time.
const COPY: usize = 64 * 1024;

/// Makes names of files that no other message has, in any maildir of this server: the time, the process, a counter, and a number drawn at its
/// start against a clock that was set back and a process id that was used before.
pub(super) fn next_id(now: SystemTime) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    use std::sync::OnceLock;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The hasher's keys are the standard library's only source of randomness.
    static RANDOM: OnceLock<u32> = OnceLock::new();
    let random = RANDOM.get_or_init(|| RandomState::new().hash_one(()) as u32);
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}.M{}P{}R{random:08x}Q{count}", since.as_secs(), since.subsec_micros(), std::process::id())
}

/// A maildir that gets the message, and what stands in front of it there.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) head: Vec<u8>,
}

impl Folder {
    fn place(&self, part: &str, name: &str) -> PathBuf {
        self.path.join(part).join(name)
    }
}

/// What all messages share.
#[derive(Debug)]
pub(crate) struct Maildirs<F: FileOps> {
    ops: Arc<F>,
    commit: MaildirCommit<F>,
    /// Those whose places in the file system are known to last.
    lasting: Mutex<HashSet<PathBuf>>,
}

impl<F: FileOps> Maildirs<F> {
    pub(crate) fn new(files: F) -> Self {
        let ops = Arc::new(files);
        Self { commit: MaildirCommit::new(Arc::clone(&ops)), ops, lasting: Mutex::default() }
    }

    /// Whether what is delivered there could be trusted to last.
    pub(super) fn is_trusted(&self, maildir: &Path) -> bool {
        self.commit.is_trusted(maildir)
    }
}

/// A message's files. Dropped before they are [published](Self::publish), it removes what it made.
pub(super) struct Files<F: FileOps> {
    maildirs: Arc<Maildirs<F>>,
    folders: Vec<Folder>,
    name: String,
    cancelled: Arc<AtomicBool>,
    first: Option<F::File>,
    /// What has to be removed if the message isn't to stay.
    made: Vec<PathBuf>,
    /// The maildirs in which it can be seen, and from which it has to be taken back then.
    published: Vec<PathBuf>,
}

impl<F: FileOps> Files<F> {
    pub(super) const fn new(
        maildirs: Arc<Maildirs<F>>,
        folders: Vec<Folder>,
        name: String,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self { maildirs, folders, name, cancelled, first: None, made: Vec::new(), published: Vec::new() }
    }

    /// Whether there is anything to remove.
    pub(super) fn has_any(&self) -> bool {
        !self.made.is_empty() || !self.published.is_empty()
    }

    /// Appends to the first file, which is made if need be.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        let mut file = match self.first.take() {
            Some(file) => file,
            None => self.create(0)?,
        };
        self.maildirs.ops.write(&mut file, bytes)?;
        self.first = Some(file);
        Ok(())
    }

    /// Makes the maildir if it isn't there, and the file with its head.
    fn create(&mut self, index: usize) -> io::Result<F::File> {
        let Some(folder) = self.folders.get(index) else { return Err(io::ErrorKind::NotFound.into()) };
        self.make_last(&folder.path)?;
        let path = folder.place("tmp", &self.name);
        let mut file = self.maildirs.ops.create(&path)?;
        self.made.push(path);
        self.maildirs.ops.write(&mut file, &folder.head)?;
        Ok(file)
    }

    /// Makes a maildir, and its place in the file system last. One that is there already may have been made by a process that was killed
    /// before it synced it: mail that is accepted into it would be gone with it at the next power cut.
    fn make_last(&self, folder: &Path) -> io::Result<()> {
        if self.maildirs.lasting.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        for part in ["tmp", "new", "cur"] {
            self.maildirs.ops.create_dir(&folder.join(part))?;
        }
        self.maildirs.ops.sync_dir(folder)?;
        for (height, above) in std::path::absolute(folder)?.ancestors().skip(1).enumerate() {
            match self.maildirs.ops.sync_dir(above) {
                Ok(()) => {}
                // Whoever may not read it has not made anything in it lately, or can't do better.
                Err(error) if height > 0 || error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        self.maildirs.lasting.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }

    /// Leaves out the folders that do not fit. The first one may be among them: its file is still copied from.
    ///
    /// Makes the message last in all others, without being seen in any.
    pub(super) fn prepare(&mut self, wanted: &[bool]) -> io::Result<()> {
        let Some(first) = self.first.take() else { return Err(io::ErrorKind::NotFound.into()) };
        if wanted.first() == Some(&true) {
            self.maildirs.ops.sync_file(&first)?;
        }
        drop(first);
        let source = self.folders.first().map(|folder| (folder.place("tmp", &self.name), folder.head.len() as u64));
        let Some((source, skip)) = source else { return Err(io::ErrorKind::NotFound.into()) };
        for index in (1..self.folders.len()).filter(|&index| wanted.get(index) == Some(&true)) {
            self.check()?;
            let mut copy = self.create(index)?;
            let body = self.maildirs.ops.open(&source)?;
            let (mut buffer, mut offset) = (vec![0; COPY], skip);
            loop {
                let length = self.maildirs.ops.read_at(&body, offset, &mut buffer)?;
                if length == 0 {
                    break;
                }
                self.maildirs.ops.write(&mut copy, &buffer[..length])?;
                offset += length as u64;
            }
            self.maildirs.ops.sync_file(&copy)?;
        }
        if wanted.first() == Some(&false) {
            self.remove(&source)?;
        }
        self.folders = std::mem::take(&mut self.folders)
            .into_iter()
            .enumerate()
            .filter_map(|(index, folder)| (wanted.get(index) == Some(&true)).then_some(folder))
            .collect();
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.maildirs.ops.remove(path)?;
        self.made.retain(|made| made != path);
        Ok(())
    }

    /// Makes it visible everywhere, and makes that last.
    pub(super) fn publish(&mut self) -> io::Result<()> {
        self.check()?;
        for folder in &self.folders {
            let from = folder.place("tmp", &self.name);
            // Whatever comes of it, the file is no longer there, or not ours to remove.
            self.made.retain(|made| *made != from);
            self.maildirs.commit.publish(&folder.path, &self.name)?;
            self.published.push(folder.path.clone());
        }
        self.published.clear();
        Ok(())
    }

    /// Fails if nobody wants the message any more.
    fn check(&self) -> io::Result<()> {
        if self.cancelled.load(Ordering::Acquire) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Removes whatever was made of a message that isn't to be.
    pub(super) fn undo(&mut self) {
        self.first = None;
        for folder in std::mem::take(&mut self.published) {
            self.maildirs.commit.take_back(&folder, &self.name);
        }
        for path in std::mem::take(&mut self.made) {
            if let Err(error) = self.maildirs.ops.remove(&path) {
                tracing::error!(%error, path = %path.display(), "a file that holds no accepted message could not be removed");
            }
        }
    }
}

impl<F: FileOps> Drop for Files<F> {
    fn drop(&mut self) {
        self.undo();
    }
}
