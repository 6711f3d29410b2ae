//! One message's way from `tmp/` to `new/`. Everything here blocks.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{FileOps, Shared};
use crate::store::incoming::{Cancelled, Deposit};

/// A file under way. Dropped before it was [kept](Self::keep), it removes what it made.
#[derive(Debug)]
pub(super) struct Delivery<F: FileOps> {
    shared: Arc<Shared<F>>,
    cancelled: Cancelled,
    name: Arc<str>,
    file: Option<F::File>,
    /// What has to be removed if the message isn't to stay.
    made: Option<PathBuf>,
}

impl<F: FileOps> Delivery<F> {
    /// A message of this name, of which nothing exists yet.
    pub(super) fn new(shared: Arc<Shared<F>>, name: Arc<str>, cancelled: Cancelled) -> Self {
        Self { shared, cancelled, name, file: None, made: None }
    }

    /// What it is called, for the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The file will be synced behind others.
    pub(super) fn start_write_back(&self) {
        if let Some(file) = &self.file {
            self.shared.files.start_write_back(file);
        }
    }

    /// Makes the file last, and closes it. There is no second try: the file is gone with the error.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Err(io::ErrorKind::NotFound.into()) };
        self.shared.files.sync_file(&file)
    }

    /// Makes the message visible. That has to be made last by a sync of the directory.
    pub(super) fn publish(&mut self) -> io::Result<()> {
        self.cancelled.check()?;
        let Some(from) = &self.made else { return Err(io::ErrorKind::NotFound.into()) };
        let to = self.shared.new.join(&*self.name);
        self.shared.files.rename(from, &to)?;
        self.made = Some(to);
        Ok(())
    }

    /// The message stays.
    pub(super) fn keep(&mut self) {
        self.made = None;
    }
}

impl<F: FileOps> Deposit for Delivery<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cancelled.check()?;
        let files = &self.shared.files;
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let path = self.shared.tmp.join(&*self.name);
                let file = files.create(&path)?;
                self.made = Some(path);
                none.insert(file)
            }
        };
        files.write(file, bytes)
    }

    /// Removes whatever was made of a message that isn't to be. Where it had become visible, the directory is then to be synced: the
    /// entry may have reached the disk, and must not come back after a power cut.
    fn undo(&mut self) {
        self.file = None;
        let Some(path) = self.made.take() else { return };
        if let Err(error) = self.shared.files.remove(&path) {
            tracing::error!(%error, path = %path.display(), "a file that holds no accepted message could not be removed");
        }
    }

    fn is_made(&self) -> bool {
        self.made.is_some()
    }
}

impl<F: FileOps> Drop for Delivery<F> {
    fn drop(&mut self) {
        self.undo();
    }
}
