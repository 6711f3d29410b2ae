//! One message's way from `tmp/` to `new/`. Everything here blocks.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{FileOps, Shared};

/// A file under way. Dropped before [`commit`](Self::commit) succeeded, it removes what it made.
#[derive(Debug)]
pub(super) struct Delivery<F: FileOps> {
    shared: Arc<Shared<F>>,
    cancelled: Arc<AtomicBool>,
    name: String,
    file: Option<F::File>,
    /// What has to be removed if the message isn't to stay.
    made: Option<PathBuf>,
}

impl<F: FileOps> Delivery<F> {
    /// A message of this name, of which nothing exists yet.
    pub(super) fn new(shared: Arc<Shared<F>>, name: &str, cancelled: Arc<AtomicBool>) -> Self {
        Self { shared, cancelled, name: name.to_owned(), file: None, made: None }
    }

    /// Whether there is anything to remove.
    pub(super) fn has_file(&self) -> bool {
        self.made.is_some()
    }

    /// Appends to the file, which is created first if need be.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        let files = &self.shared.files;
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let path = self.shared.tmp.join(&self.name);
                let file = files.create(&path)?;
                self.made = Some(path);
                none.insert(file)
            }
        };
        files.write(file, bytes)
    }

    /// Makes the message last, and then visible, and then its being visible last. After an error it is to be [undone](Self::undo).
    pub(super) fn commit(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let files = &self.shared.files;
        files.sync_file(&file)?;
        drop(file);
        self.check()?;
        let from = self.shared.tmp.join(&self.name);
        let to = self.shared.new.join(&self.name);
        files.rename(&from, &to)?;
        self.made = Some(to);
        files.sync_dir(&self.shared.new)?;
        self.made = None;
        Ok(())
    }

    /// Fails if nobody wants the message any more.
    fn check(&self) -> io::Result<()> {
        if self.cancelled.load(Ordering::Acquire) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    /// Removes whatever was made of a message that isn't to be.
    pub(super) fn undo(&mut self) {
        self.file = None;
        let Some(path) = self.made.take() else { return };
        let files = &self.shared.files;
        let mut result = files.remove(&path);
        if result.is_ok() && path.parent() == Some(&self.shared.new) {
            // Its entry may have reached the disk, and must not come back after a power cut.
            result = files.sync_dir(&self.shared.new);
        }
        if let Err(error) = result {
            tracing::error!(%error, path = %path.display(), "a file that holds no accepted message could not be removed");
        }
    }
}

impl<F: FileOps> Drop for Delivery<F> {
    fn drop(&mut self) {
        self.undo();
    }
}
