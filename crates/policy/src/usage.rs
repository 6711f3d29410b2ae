//! How full mailboxes and the whole store are.
//!
//! What a maildir holds is counted on the disk when it is first asked about, and again when it seems to be full, for its owner may have
//! removed something. In between, what is delivered is added. So the knowledge survives a restart without being written anywhere.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a count is good for, where it says that there is no room.
const FRESH: Duration = Duration::from_secs(5);

/// Folders below a root that are looked into: the parts of an address, and what stands around them.
const MAX_DEPTH: usize = 8;

/// So much mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
}

impl Amount {
    pub(crate) const fn message(bytes: u64) -> Self {
        Self { bytes, messages: 1 }
    }

    const fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), messages: self.messages.saturating_add(other.messages) }
    }

    const fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), messages: self.messages.saturating_sub(other.messages) }
    }
}

/// How much is allowed; `None` is any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) bytes: Option<u64>,
    pub(crate) messages: Option<u64>,
}

impl Quota {
    pub(crate) const fn is_any(&self) -> bool {
        self.bytes.is_none() && self.messages.is_none()
    }

    fn holds(&self, amount: Amount) -> bool {
        self.bytes.is_none_or(|most| amount.bytes <= most) && self.messages.is_none_or(|most| amount.messages <= most)
    }
}

/// Whose mail is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A maildir.
    Maildir(PathBuf),
    /// All maildirs below these folders.
    Roots(Vec<PathBuf>),
}

impl Holder {
    /// Counts on the disk. Blocks.
    fn count(&self) -> io::Result<Amount> {
        match self {
            Self::Maildir(path) => count_maildir(path),
            Self::Roots(roots) => {
                let mut sum = Amount::default();
                for root in roots {
                    sum = sum.plus(count_below(root, MAX_DEPTH)?);
                }
                Ok(sum)
            }
        }
    }
}

/// What may be known about room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It fits.
    Yes,
    /// It does not.
    No,
    /// It has to be [counted](Usage::count) first.
    Unknown,
}

#[derive(Debug, Default)]
struct Account {
    /// What was counted, and has come since.
    held: Amount,
    /// What is being delivered.
    coming: Amount,
    counted: Option<Instant>,
}

/// The accounts of all holders.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    accounts: Mutex<HashMap<Arc<Holder>, Account>>,
}

impl Usage {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<Holder>, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all but these.
    pub(crate) fn keep(&self, keep: impl Fn(&Holder) -> bool) {
        self.lock().retain(|holder, account| keep(holder) || account.coming != Amount::default());
    }

    /// Whether there is room for so much more.
    pub(crate) fn room(&self, now: Instant, holder: &Holder, more: Amount, quota: &Quota) -> Room {
        let accounts = self.lock();
        let Some(account) = accounts.get(holder) else { return Room::Unknown };
        let Some(counted) = account.counted else { return Room::Unknown };
        if quota.holds(account.held.plus(account.coming).plus(more)) {
            return Room::Yes;
        }
        if now.saturating_duration_since(counted) < FRESH { Room::No } else { Room::Unknown }
    }

    /// Counts what there is on the disk. Blocks. Where that fails, nothing is there as far as anybody knows: what can't be read is not full.
    pub(crate) fn count(&self, now: Instant, holder: &Arc<Holder>) {
        let held = holder.count().unwrap_or_else(|error| {
            tracing::warn!(%error, ?holder, "what a mailbox holds could not be counted");
            Amount::default()
        });
        let mut accounts = self.lock();
        let account = accounts.entry(Arc::clone(holder)).or_default();
        (account.held, account.counted) = (held, Some(now));
    }

    /// Reserves room for what is about to be delivered; gives whether there is any, or has to be counted first.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        now: Instant,
        holder: &Arc<Holder>,
        more: Amount,
        quota: &Quota,
    ) -> Result<Reservation, Room> {
        let mut accounts = self.lock();
        let account = accounts.entry(Arc::clone(holder)).or_default();
        let Some(counted) = account.counted else { return Err(Room::Unknown) };
        if !quota.holds(account.held.plus(account.coming).plus(more)) {
            let fresh = now.saturating_duration_since(counted) < FRESH;
            return Err(if fresh { Room::No } else { Room::Unknown });
        }
        account.coming = account.coming.plus(more);
        Ok(Reservation { usage: Arc::clone(self), holder: Arc::clone(holder), amount: more })
    }
}

/// Room that is kept for a message. Given back when it is dropped, unless the message was [delivered](Self::delivered).
#[derive(Debug)]
pub(crate) struct Reservation {
    usage: Arc<Usage>,
    holder: Arc<Holder>,
    amount: Amount,
}

impl Reservation {
    /// The message is there.
    pub(crate) fn delivered(self) {
        if let Some(account) = self.usage.lock().get_mut(&self.holder) {
            account.held = account.held.plus(self.amount);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(account) = self.usage.lock().get_mut(&self.holder) {
            account.coming = account.coming.minus(self.amount);
        }
    }
}

/// The messages of a maildir: the files in `new` and `cur`. One that is not there yet holds nothing.
fn count_maildir(path: &Path) -> io::Result<Amount> {
    let mut sum = Amount::default();
    for folder in ["new", "cur"] {
        let entries = match fs::read_dir(path.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // Read meanwhile, and moved or removed: it is counted where it is, or not at all.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                sum = sum.plus(Amount::message(metadata.len()));
            }
        }
    }
    Ok(sum)
}

/// The messages of all maildirs below a folder. Links are not followed.
fn count_below(folder: &Path, depth: usize) -> io::Result<Amount> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Amount::default()),
        Err(error) => return Err(error),
    };
    let mut sum = Amount::default();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || name == "cur" || name == "tmp" {
            continue;
        }
        // Where there is a `new` there is a maildir.
        if name == "new" {
            sum = sum.plus(count_maildir(folder)?);
        } else if depth > 0 {
            sum = sum.plus(count_below(&entry.path(), depth - 1)?);
        }
    }
    Ok(sum)
}

/// Bytes that are free for mail on the file system of a folder, or of the nearest one above it that is there. Blocks.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let mut folder = std::path::absolute(folder)?;
    loop {
        match rustix::fs::statvfs(&folder) {
            Ok(found) => return Ok(found.f_bavail.saturating_mul(found.f_frsize)),
            Err(rustix::io::Errno::NOENT) if folder.pop() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn quota(bytes: u64, messages: u64) -> Quota {
        Quota { bytes: Some(bytes), messages: Some(messages) }
    }

    #[test]
    fn a_mailbox_is_counted_on_the_disk_and_then_in_mind() {
        let folder = Folder::new();
        for name in ["ada/new/1", "ada/cur/2:2,S", "ada/tmp/3", "bob/new/4"] {
            folder.write(name, "12345");
        }
        let usage = Arc::new(Usage::default());
        let ada = Arc::new(Holder::Maildir(folder.path("ada")));
        let (now, one) = (Instant::now(), Amount::message(5));
        assert_eq!(usage.room(now, &ada, one, &quota(15, 3)), Room::Unknown);
        usage.count(now, &ada);
        assert_eq!(usage.room(now, &ada, one, &quota(15, 3)), Room::Yes);
        assert_eq!(usage.room(now, &ada, one, &quota(14, 3)), Room::No);
        assert_eq!(usage.room(now, &ada, one, &quota(15, 2)), Room::No);
        let first = usage.reserve(now, &ada, one, &quota(15, 3)).unwrap();
        assert_eq!(usage.reserve(now, &ada, one, &quota(15, 3)).unwrap_err(), Room::No, "it is as good as there");
        drop(first);
        usage.reserve(now, &ada, one, &quota(15, 3)).unwrap().delivered();
        assert_eq!(usage.room(now, &ada, one, &quota(15, 3)), Room::No);
        let later = now + FRESH;
        assert_eq!(usage.room(later, &ada, one, &quota(15, 3)), Room::Unknown, "its owner may have removed something");
        usage.count(later, &ada);
        assert_eq!(usage.room(later, &ada, one, &quota(15, 3)), Room::Yes, "nothing was written in this test");
        let all = Arc::new(Holder::Roots(vec![folder.0.clone(), folder.path("nowhere")]));
        usage.count(now, &all);
        assert_eq!(usage.room(now, &all, Amount::default(), &quota(15, 3)), Room::Yes);
        assert_eq!(usage.room(now, &all, Amount::default(), &quota(14, 3)), Room::No);
    }

    #[test]
    fn free_space_is_that_of_the_nearest_folder() {
        let folder = Folder::new();
        assert!(free_bytes(&folder.path("not/there/yet")).unwrap() > 0);
    }
}
