//! An mbox: a file for all messages.

mod append;
mod format;
mod sink;
mod spool;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use self::sink::MboxSink;
use self::spool::Spool;
use super::files::{FileOps, StdFiles};
use super::incoming::Finished;
use super::names::Names;
use super::pool::Pool;
use super::{Store, sync_ancestors};

/// How long another program may keep the mbox locked before the messages that wait are deferred.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Appends every message, whoever its recipients are, to one file: a catch-all mailbox in the format "mboxrd".
///
/// What is finished at the same time is appended together: the file is locked (by `fcntl`, which is the lock that mail programs agree
/// upon), the messages are written, and the file is synced; only then are they acknowledged. When a write fails, the file is cut off where the message
/// began, and the message deferred; when the sync fails, where the first of them began. An mbox takes no more mail, and answers DATA with
/// 451 4.3.0, once a sync has failed for another reason than a full disk, or what was half-written could not be cut off: nothing that is
/// written behind that can be trusted. Opening it anew takes an administrator who knows why.
///
/// A crash in the middle of an append can leave the beginning of a message that nobody was told is stored; unlike a [`Maildir`], one file
/// can't hide it. The next message begins on a line of its own behind it.
///
/// Each message begins with `From SENDER DATE`, has `Return-Path`, `Received` and `X-Envelope-To` as in a [`Maildir`], and ends with an empty
/// line. Lines end in LF, as those who read such files expect: each CRLF becomes LF. Lines that begin with `From `, or with that behind
/// any number of `>`, get one more `>`, which readers of mboxrd take away again. A message that does not consist of lines (`BINARYMIME`) does not come out
/// as it came in.
///
/// A message of more than 64 KiB is kept in a nameless file beside the mbox until it is whole. No other `Mbox` of the same process may have
/// the same file: its locks would be one and the same.
///
/// [`Maildir`]: super::Maildir
#[derive(Debug)]
pub struct Mbox<F: FileOps = StdFiles> {
    handle: Arc<Handle<F>>,
}

impl<F: FileOps> Clone for Mbox<F> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

/// What all sinks share.
#[derive(Debug)]
struct Handle<F: FileOps> {
    shared: Arc<Shared<F>>,
    pool: Pool<Finished<Spool<F>>>,
}

/// What the thread of the pool shares with them.
#[derive(Debug)]
struct Shared<F> {
    files: F,
    path: PathBuf,
    /// The directory that it is in.
    parent: PathBuf,
    names: Names,
    lock_patience: Duration,
    /// What is in the file behind the messages that were acknowledged can't be told any more.
    poisoned: AtomicBool,
}

impl Mbox {
    /// The mbox at this path. It is created if it isn't there; its directory is not. This call blocks.
    ///
    /// # Errors
    ///
    /// What the file system says; [`InvalidData`](io::ErrorKind::InvalidData) if the file holds something else than an mbox.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_files(path, StdFiles)
    }
}

impl<F: FileOps> Mbox<F> {
    /// The mbox at this path of that file system.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Mbox::open).
    pub fn with_files(path: impl AsRef<Path>, files: F) -> io::Result<Self> {
        Self::with_patience(path.as_ref(), files, LOCK_PATIENCE)
    }

    fn with_patience(path: &Path, files: F, lock_patience: Duration) -> io::Result<Self> {
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(io::ErrorKind::IsADirectory.into()),
        };
        let (names, poisoned) = (Names::new(), AtomicBool::new(false));
        let (path, parent) = (path.to_owned(), parent.to_owned());
        let shared = Arc::new(Shared { files, path, parent, names, lock_patience, poisoned });
        let file = shared.open_or_create()?;
        shared.check_format(&file)?;
        // It may have been made by a process that was killed before it synced that.
        shared.files.sync_file(&file)?;
        sync_ancestors(&shared.files, &shared.path)?;
        let thread = Arc::clone(&shared);
        let pool = Pool::new("ehlo-mbox", append::SIZE, move |group| thread.append(group));
        Ok(Self { handle: Arc::new(Handle { shared, pool }) })
    }
}

impl<F: FileOps> Store for Mbox<F> {
    type Sink = MboxSink<F>;

    fn sink(&self) -> MboxSink<F> {
        MboxSink::new(Arc::clone(&self.handle))
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
