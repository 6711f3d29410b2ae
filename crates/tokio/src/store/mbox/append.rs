//! Group commit: what many sessions have finished is appended together, and synced once. Everything here blocks.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::spool::Spool;
use super::{FileOps, Shared};
use crate::store::incoming::Finished;
use crate::store::is_full;
use crate::store::pool::Size;

/// One thread, since there is one file; and how much it appends before it syncs.
pub(super) const SIZE: Size = Size { threads: 1, share: 256 };

/// How often a file that another program keeps locked is looked at.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// How often another program may put another file in the place of the mbox while it is being locked.
const REPLACED: usize = 10;

impl<F: FileOps> Shared<F> {
    /// Appends messages, makes that last, and answers.
    pub(super) fn append(&self, group: Vec<Finished<Spool<F>>>) {
        let fail_all = |group: Vec<Finished<Spool<F>>>, error: &io::Error| {
            for message in group {
                message.fail(io::Error::new(error.kind(), error.to_string()));
            }
        };
        if self.poisoned.load(Ordering::Acquire) {
            return fail_all(group, &poisoned());
        }
        // The lock is given back when the file is closed, at the end of this function.
        let opened = self.open_locked().and_then(|(file, length)| {
            let separator = self.separator(&file, length)?;
            Ok((file, length, separator))
        });
        let (mut file, start, mut separator) = match opened {
            Ok(opened) => opened,
            Err(error) => return fail_all(group, &error),
        };
        let (mut stored, mut end, mut cut) = (Vec::with_capacity(group.len()), start, false);
        for message in group {
            if self.poisoned.load(Ordering::Acquire) {
                message.fail(poisoned());
                continue;
            }
            match self.append_one(&mut file, separator, &message) {
                Ok(length) => {
                    (end, separator) = (end + length, b"");
                    stored.push(message);
                }
                Err(error) => {
                    cut = true;
                    self.cut_off(&file, end);
                    message.fail(error);
                }
            }
        }
        if stored.is_empty() && !cut {
            return;
        }
        // That something was cut off has to last, too: a power cut must not bring it back.
        match self.files.sync_file(&file) {
            Ok(()) => {
                for message in stored {
                    message.answer(Ok(()));
                }
            }
            Err(error) => {
                if !is_full(&error) {
                    self.poison(&error, "it could not be synced");
                }
                self.cut_off(&file, start);
                fail_all(stored, &error);
            }
        }
    }

    /// Appends one message; gives how many bytes it takes. After an error a part of it may be there.
    fn append_one(&self, file: &mut F::File, separator: &[u8], message: &Finished<Spool<F>>) -> io::Result<u64> {
        message.deposit.cancelled.check()?;
        if !separator.is_empty() {
            self.files.write(file, separator)?;
        }
        let mut length = (separator.len() + message.rest.len()) as u64;
        message.deposit.read(|bytes| {
            length += bytes.len() as u64;
            self.files.write(file, bytes)
        })?;
        self.files.write(file, &message.rest)?;
        Ok(length)
    }

    /// What has to be put behind what is there so that a message can begin: nothing, unless someone has left an unfinished one.
    fn separator(&self, file: &F::File, end: u64) -> io::Result<&'static [u8]> {
        let mut last = [b'\n'; 2];
        let from = end.saturating_sub(2);
        let length = usize::try_from(end - from).unwrap_or(2);
        let mut read = 0;
        while read < length {
            match self.files.read_at(file, from + read as u64, &mut last[2 - length + read..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok(match last {
            [b'\n', b'\n'] => b"",
            [_, b'\n'] => b"\n",
            _ => b"\n\n",
        })
    }

    /// Takes back what stands behind that length.
    fn cut_off(&self, file: &F::File, length: u64) {
        if let Err(error) = self.files.truncate(file, length) {
            self.poison(&error, "what was half-written could not be cut off");
        }
    }

    fn poison(&self, error: &io::Error, what: &str) {
        self.poisoned.store(true, Ordering::Release);
        tracing::error!(%error, path = %self.path.display(), "{what}; no mail is taken until the mbox is opened anew");
    }

    /// The file, locked, and its length.
    fn open_locked(&self) -> io::Result<(F::File, u64)> {
        let until = Instant::now() + self.lock_patience;
        for _ in 0..REPLACED {
            let file = self.open_or_create()?;
            while !self.files.lock(&file)? {
                if Instant::now() >= until {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "another program keeps the mbox locked"));
                }
                thread::sleep(LOCK_LOOK);
            }
            // Whoever had it locked may have written a new one and put it in its place, or have removed it since it was empty.
            if self.files.is_at(&file, &self.path)? {
                let length = self.files.length(&file)?;
                return Ok((file, length));
            }
        }
        Err(io::Error::other("another program replaces the mbox again and again"))
    }

    /// The file, which is created if it isn't there, so that it outlives a power cut.
    pub(super) fn open_or_create(&self) -> io::Result<F::File> {
        match self.files.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.files.create(&self.path) {
                    Ok(_) => self.files.sync_dir(&self.parent)?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
                self.files.open(&self.path)
            }
            result => result,
        }
    }

    /// Makes sure that nothing else than mail is appended to.
    pub(super) fn check_format(&self, file: &F::File) -> io::Result<()> {
        let mut start = [0; 5];
        let mut read = 0;
        while read < start.len() {
            match self.files.read_at(file, read as u64, &mut start[read..])? {
                0 => break,
                more => read += more,
            }
        }
        if !b"From ".starts_with(&start[..read]) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is no mbox: it does not begin with \"From \"",
            ));
        }
        Ok(())
    }
}

/// Why nothing is taken any more.
pub(super) fn poisoned() -> io::Error {
    io::Error::other("a sync of the mbox has failed, or what was half-written could not be cut off")
}
