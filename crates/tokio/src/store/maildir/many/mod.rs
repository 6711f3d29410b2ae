//! Group commit for whoever delivers one message into several maildirs. Everything here blocks.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::FileOps;
use super::group::{Member, distrust, publish, sync_removal};

/// Makes messages visible in any number of maildirs, those of one maildir together: while `new/` is synced for one message, others are
/// moved behind it, and the next sync is for all of them.
///
/// It is for programs that write the files in `tmp/` themselves, and have synced them; [`Maildir`](super::Maildir) does all of that for
/// one maildir. The promises are the same: what is [published](Self::publish) is on the disk, what is not is taken back, and a maildir
/// whose `new/` could not be synced takes nothing any more, unless its disk was full or the process had no descriptor left.
///
/// All methods block.
#[derive(Debug)]
pub struct MaildirCommit<F: FileOps> {
    files: Arc<F>,
    /// Those in which something is being published, and those that are not to be trusted.
    folders: Mutex<HashMap<PathBuf, Arc<Folder>>>,
}

/// A maildir.
#[derive(Debug)]
struct Folder {
    new: PathBuf,
    poisoned: AtomicBool,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// A thread makes some visible. The others wait, and one of those that are left is the next.
    led: bool,
}

/// A message that waits to become visible, and whose thread waits for the answer.
#[derive(Debug)]
struct Waiting {
    name: String,
    answer: Arc<Mutex<Option<io::Result<()>>>>,
}

/// The same while it is being made visible. Dropped before it was kept, it removes the file, and its thread gets an error.
struct Entry<'f, F: FileOps> {
    files: &'f F,
    waiting: Waiting,
    to: PathBuf,
    /// Where the file is, unless it stays there.
    made: Option<PathBuf>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: FileOps> MaildirCommit<F> {
    /// For maildirs of that file system.
    pub fn new(files: Arc<F>) -> Self {
        Self { files, folders: Mutex::default() }
    }

    /// Whether anything that is delivered into this maildir could be trusted to last. Takes no time.
    #[must_use]
    pub fn is_trusted(&self, maildir: &Path) -> bool {
        lock(&self.folders).get(maildir).is_none_or(|folder| !folder.poisoned.load(Ordering::Acquire))
    }

    /// Moves a file of that name, which has been synced, from `tmp/` to `new/`, and makes that last.
    ///
    /// # Errors
    ///
    /// What the file system says. The file has been removed.
    pub fn publish(&self, maildir: &Path, name: &str) -> io::Result<()> {
        let folder = self.folder(maildir);
        let answer = Arc::new(Mutex::new(None));
        let mut state = lock(&folder.state);
        state.waiting.push(Waiting { name: name.to_owned(), answer: Arc::clone(&answer) });
        let result = loop {
            if let Some(result) = lock(&answer).take() {
                break result;
            }
            if state.led {
                state = folder.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.led = true;
            let group = std::mem::take(&mut state.waiting);
            drop(state);
            // Should a file system of someone else's panic, then the others still have to be led.
            if catch_unwind(AssertUnwindSafe(|| self.lead(maildir, &folder, group))).is_err() {
                tracing::error!("the file system panicked; a group of messages is lost and was not acknowledged");
            }
            state = lock(&folder.state);
            state.led = false;
            folder.done.notify_all();
        };
        drop(state);
        self.forget(maildir, folder);
        result
    }

    fn lead(&self, maildir: &Path, folder: &Folder, group: Vec<Waiting>) {
        let tmp = maildir.join("tmp");
        let entry = |waiting: Waiting| Entry {
            files: &*self.files,
            to: folder.new.join(&waiting.name),
            made: Some(tmp.join(&waiting.name)),
            waiting,
        };
        publish(&*self.files, &folder.new, &folder.poisoned, group.into_iter().map(entry).collect());
    }

    /// Removes a message that was published and isn't to stay after all, and makes that last as far as it can be had.
    pub fn take_back(&self, maildir: &Path, name: &str) {
        let folder = self.folder(maildir);
        let path = folder.new.join(name);
        match self.files.remove(&path) {
            Ok(()) => sync_removal(&*self.files, &folder.new, &folder.poisoned),
            Err(error) => not_removed(&error, &path),
        }
        self.forget(maildir, folder);
    }

    fn folder(&self, maildir: &Path) -> Arc<Folder> {
        let mut folders = lock(&self.folders);
        if let Some(folder) = folders.get(maildir) {
            return Arc::clone(folder);
        }
        let (state, done, poisoned) = (Mutex::default(), Condvar::new(), AtomicBool::new(false));
        let folder = Arc::new(Folder { new: maildir.join("new"), poisoned, state, done });
        folders.insert(maildir.to_owned(), Arc::clone(&folder));
        folder
    }

    /// Keeps in mind only what has to be.
    fn forget(&self, maildir: &Path, folder: Arc<Folder>) {
        let mut folders = lock(&self.folders);
        // This thread's and the map's: while that is locked nobody can get another one.
        if Arc::strong_count(&folder) == 2 && !folder.poisoned.load(Ordering::Acquire) {
            folders.remove(maildir);
        }
    }
}

fn not_removed(error: &io::Error, path: &Path) {
    tracing::error!(%error, path = %path.display(), "a file that holds no accepted message could not be removed");
}

impl<F: FileOps> Member for Entry<'_, F> {
    fn name(&self) -> &str {
        &self.waiting.name
    }

    fn publish(&mut self) -> io::Result<()> {
        let Some(from) = &self.made else { return Err(distrust()) };
        self.files.rename(from, &self.to)?;
        self.made = Some(self.to.clone());
        Ok(())
    }

    fn keep(&mut self) {
        self.made = None;
    }

    fn undo(&mut self) {
        let Some(path) = self.made.take() else { return };
        if let Err(error) = self.files.remove(&path) {
            not_removed(&error, &path);
        }
    }

    fn answer(self, result: io::Result<()>) {
        *lock(&self.waiting.answer) = Some(result);
    }
}

impl<F: FileOps> Drop for Entry<'_, F> {
    fn drop(&mut self) {
        self.undo();
        let mut answer = lock(&self.waiting.answer);
        if answer.is_none() {
            *answer = Some(Err(io::Error::other("the thread that had the message panicked")));
        }
    }
}

#[cfg(test)]
mod tests;
