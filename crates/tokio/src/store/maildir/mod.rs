//! A maildir: a file for each message.

mod commit;
mod delivery;
mod group;
mod many;
mod sink;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use self::commit::Ready;
use self::delivery::Delivery;
pub use self::many::MaildirCommit;
pub use self::sink::MaildirSink;
use super::files::{FileOps, StdFiles};
use super::incoming::Finished;
use super::names::Names;
use super::pool::Pool;
use super::{Store, sync_ancestors};

/// How old a file in `tmp/` is that nobody will finish: the time that maildir gives a delivery.
const STALE: Duration = Duration::from_secs(36 * 60 * 60);

/// Puts every message, whoever its recipients are, as a file into one maildir: a catch-all mailbox.
///
/// A message is written to `tmp/`, synced, renamed into `new/`, and the directory is synced; only then is it acknowledged. A power cut
/// at any moment leaves either no message, or the whole message and perhaps no reply. When a sync fails, the file is removed and the
/// message deferred: a file whose sync failed once is never trusted, for a second sync may well report success without having written
/// anything. For the same reason a maildir takes no more mail, and answers DATA with 451 4.3.0, once a sync of `new/` has failed for
/// another reason than a full disk or want of a file descriptor; opening it anew takes an administrator who knows why.
///
/// Messages that are finished at the same time are committed together: their files are synced by up to 32 threads, and `new/` once for all
/// that are ready. A message that comes alone is committed at once.
///
/// A message that ends early leaves nothing. After a crash, files may remain in `tmp/`; [`open`](Self::open) removes those that are older
/// than 36 hours, which is the time that maildir gives a delivery.
///
/// The file holds, with CRLF line ends throughout: `Return-Path` and `Received` as RFC 5321 §4.4 asks for a final delivery, an
/// `X-Envelope-To` for each recipient that was accepted, and the message as it was sent. The recipients stand there, blind copies
/// included, because nothing else tells for whom a message in a catch-all mailbox is: keep it from readers who mustn't know.
///
/// All file operations run on threads that may block: tokio's while a message comes in, the store's own to commit it. While they fall
/// behind, the peer is made to wait.
#[derive(Debug)]
pub struct Maildir<F: FileOps = StdFiles> {
    handle: Arc<Handle<F>>,
}

impl<F: FileOps> Clone for Maildir<F> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

/// What all sinks share.
#[derive(Debug)]
struct Handle<F: FileOps> {
    shared: Arc<Shared<F>>,
    pool: Pool<Finished<Delivery<F>>>,
}

/// What the threads of the pool share with them.
#[derive(Debug)]
struct Shared<F: FileOps> {
    files: F,
    tmp: PathBuf,
    new: PathBuf,
    names: Names,
    ready: Mutex<Ready<F>>,
    /// A sync of `new/` has failed.
    poisoned: AtomicBool,
}

impl Maildir {
    /// The maildir at this path. It and its three directories are created if they aren't there. This call blocks.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::with_files(path, StdFiles)
    }
}

impl<F: FileOps> Maildir<F> {
    /// The maildir at this path of that file system.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn with_files(path: impl AsRef<Path>, files: F) -> io::Result<Self> {
        let path = path.as_ref();
        let [tmp, new, cur] = ["tmp", "new", "cur"].map(|name| path.join(name));
        for directory in [path, &tmp, &new, &cur] {
            files.create_dir(directory)?;
        }
        // A directory that is there already may have been made by a process that was killed before it synced it: mail that is accepted
        // into it would be gone with it at the next power cut.
        files.sync_dir(path)?;
        sync_ancestors(&files, path)?;
        remove_stale(&files, &tmp, SystemTime::now());
        let (names, poisoned) = (Names::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { files, tmp, new, names, ready: Mutex::default(), poisoned });
        let threads = Arc::clone(&shared);
        let pool = Pool::new("ehlo-maildir", commit::SIZE, move |share| threads.store(share));
        Ok(Self { handle: Arc::new(Handle { shared, pool }) })
    }
}

/// Removes what deliveries have left in `tmp/` that were killed. That it can't is no reason to take no mail.
fn remove_stale(files: &impl FileOps, tmp: &Path, now: SystemTime) {
    let (mut stale, mut removed) = (Vec::new(), 0_u64);
    // Some at a time, so that a directory with very many needs no memory for all of them.
    const SOME: usize = 1000;
    loop {
        let listed = files.list(tmp, &mut |path, used| {
            if stale.len() < SOME && now.duration_since(used).is_ok_and(|age| age > STALE) {
                stale.push(path.to_owned());
            }
        });
        let more = stale.len() == SOME;
        let mut result = listed;
        for path in stale.drain(..) {
            match files.remove(&path) {
                Ok(()) => removed += 1,
                Err(error) => result = result.and(Err(error)),
            }
        }
        if let Err(error) = &result {
            tracing::warn!(%error, path = %tmp.display(), "files that deliveries have left could not be removed");
        }
        if result.is_err() || !more {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, path = %tmp.display(), "files that deliveries have left were removed");
    }
}

impl<F: FileOps> Store for Maildir<F> {
    type Sink = MaildirSink<F>;

    fn sink(&self) -> MaildirSink<F> {
        MaildirSink::new(Arc::clone(&self.handle))
    }
}

/// The name of a message's file. The server's name is the last part of it, by custom.
fn file_name(id: &str, hostname: &str) -> String {
    // It may not hold a slash, which would make a path of it, nor a colon, which begins the flags.
    format!("{id}.{}", hostname.replace(['/', ':'], "_"))
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
