//! Where accepted messages go.
//!
//! | store | keeps | 250 means |
//! |---|---|---|
//! | [`Discard`] | nothing | the message was read to its end |
//! | [`Memory`] | envelope and bytes, up to a cap | it is in this process's memory |
//! | [`Verify`] | id, length and digest | it was counted: for load tests that compare both ends |
//! | [`Maildir`] | a file for each message | the file and its directory entry are on disk |
//! | [`Mbox`] | all messages in one file | they are on disk in it |
//! | [`Lmtp`] | nothing | an LMTP server has taken it, for all recipients |

mod discard;
#[cfg(test)]
mod fake;
mod files;
mod incoming;
mod lmtp;
mod maildir;
mod mbox;
mod memory;
mod names;
mod pool;
mod verify;

pub use discard::{Discard, DiscardSink};
pub use files::{FileOps, StdFiles};
pub use lmtp::{Lmtp, LmtpAddress, LmtpSink};
pub use maildir::{Maildir, MaildirCommit, MaildirSink};
pub use mbox::{Mbox, MboxSink};
pub use memory::{Memory, MemorySink, Message, TooFew};
pub use verify::{ID_FIELD, Record, Verify, VerifySink};

use std::io;
use std::path::Path;

use crate::sink::BodySink;

/// Makes a sink for each connection.
///
/// A store is shared by all connections of a server; a sink belongs to one and takes one message after the other. Use a store with
/// [`AcceptAll`](crate::AcceptAll), or from a [`Policy`](crate::Policy) of your own.
pub trait Store: Send + Sync + 'static {
    /// What takes the messages of one connection.
    type Sink: BodySink;

    /// A sink for a new connection. It should hold little until a message begins: most connections of a busy server are idle.
    fn sink(&self) -> Self::Sink;
}

/// Syncs the directories above this one, so that what a killed process has made there lasts.
fn sync_ancestors(files: &impl FileOps, path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    for (height, directory) in path.ancestors().skip(1).enumerate() {
        match files.sync_dir(directory) {
            Ok(()) => {}
            // Whoever may not read it has not made anything in it lately, or can't do better.
            Err(error) if height > 0 || error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::debug!(%error, path = %directory.display(), "a directory above the store was not synced");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether there is no room, which passes, and of which a file system tells before it throws anything away.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether a failed sync tells that something was thrown away, so that the next one can't be believed. It doesn't where there is no room, or
/// where the directory could not even be opened for want of a descriptor: then nothing was tried.
fn shows_loss(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let no_descriptor =
            Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::MFILE | Errno::NFILE));
        !is_full(error) && !no_descriptor
    }
    #[cfg(not(unix))]
    !is_full(error)
}
