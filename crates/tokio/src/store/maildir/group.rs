//! Messages become visible together: one sync of `new/` for all whose files are on the disk. Everything here blocks.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::FileOps;
use crate::store::shows_loss;

/// A message whose file is on the disk, and which is not visible yet.
pub(super) trait Member {
    /// What it is called, for the log.
    fn name(&self) -> &str;

    /// Makes it visible. That has to be made last by a sync of the directory.
    fn publish(&mut self) -> io::Result<()>;

    /// It stays.
    fn keep(&mut self);

    /// Removes whatever was made of it.
    fn undo(&mut self);

    /// Tells its session what became of it.
    fn answer(self, result: io::Result<()>);
}

/// Makes messages visible in that directory, makes that last, and answers. `poisoned` is set once nothing that is done there can be
/// trusted to last.
pub(super) fn publish<F: FileOps, M: Member>(files: &F, new: &Path, poisoned: &AtomicBool, group: Vec<M>) {
    let mut visible = Vec::with_capacity(group.len());
    for mut message in group {
        let result = if poisoned.load(Ordering::Acquire) { Err(distrust()) } else { message.publish() };
        match result {
            Ok(()) => visible.push(message),
            Err(error) => {
                message.undo();
                message.answer(Err(error));
            }
        }
    }
    if visible.is_empty() {
        return;
    }
    let Err(error) = files.sync_dir(new) else {
        for mut message in visible {
            message.keep();
            message.answer(Ok(()));
        }
        return;
    };
    if shows_loss(&error) {
        poison(&error, new, poisoned);
    }
    for message in &mut visible {
        tracing::warn!(name = message.name(), "a message is taken back");
        message.undo();
    }
    sync_removal(files, new, poisoned);
    for message in visible {
        message.answer(Err(io::Error::new(error.kind(), error.to_string())));
    }
}

/// Makes it last that messages were removed from that directory, as far as that can be had.
pub(super) fn sync_removal<F: FileOps>(files: &F, new: &Path, poisoned: &AtomicBool) {
    if let Err(error) = files.sync_dir(new) {
        if shows_loss(&error) && !poisoned.load(Ordering::Acquire) {
            poison(&error, new, poisoned);
        }
        tracing::error!(%error, path = %new.display(), "messages that were taken back may reappear after a power cut");
    }
}

fn poison(error: &io::Error, new: &Path, poisoned: &AtomicBool) {
    poisoned.store(true, Ordering::Release);
    tracing::error!(%error, path = %new.display(), "the directory could not be synced; no mail is taken until the maildir is opened anew");
}

/// Why nothing is taken any more.
pub(super) fn distrust() -> io::Error {
    io::Error::other("a sync of the directory has failed")
}
