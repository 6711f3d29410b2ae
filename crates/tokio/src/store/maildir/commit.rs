//! Group commit: what many sessions have finished becomes durable together. Everything here blocks.
//!
//! A message is durable when its data and its inode are on the disk, and behind that its entry in `new/`. Each file is synced by itself,
//! since nothing else tells whether *this* file is on the disk: `syncfs` would write what all other programs have left dirty there, too,
//! and fail for their errors. But the files of many threads are synced at the same time, which a journaling file system does by one commit
//! of its journal; and the entries are a matter of one directory, which is synced once for all that are ready.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};

use super::delivery::Delivery;
use super::group::{self, Member};
use super::{FileOps, Shared};
use crate::store::incoming::{Deposit as _, Finished};
use crate::store::pool::Size;

/// Threads that write and sync files. They wait for the disk, hence far more than processors: what they wait for together costs one
/// commit of its journal. At four files each, no more than 128 are open.
pub(super) const SIZE: Size = Size { threads: 32, share: 4 };

/// Messages that become visible by one sync of the directory, at the most.
const GROUP: usize = 256;

/// Messages whose files are on the disk, and which are not visible yet.
#[derive(Debug)]
pub(super) struct Ready<F: FileOps> {
    messages: VecDeque<Finished<Delivery<F>>>,
    /// A thread makes them visible.
    led: bool,
}

impl<F: FileOps> Default for Ready<F> {
    fn default() -> Self {
        Self { messages: VecDeque::new(), led: false }
    }
}

impl<F: FileOps> Shared<F> {
    /// A thread's share of the messages: writes and syncs their files, and sees to it that they become visible.
    pub(super) fn store(&self, mut share: Vec<Finished<Delivery<F>>>) {
        let several = share.len() > 1;
        let mut results = Vec::with_capacity(share.len());
        for message in &mut share {
            let result = message.deposit.write(&message.rest);
            if several && result.is_ok() {
                message.deposit.start_write_back();
            }
            results.push(result);
        }
        for (message, result) in share.iter_mut().zip(&mut results) {
            if result.is_ok() {
                *result = message.deposit.sync();
            }
        }
        let mut synced = VecDeque::with_capacity(share.len());
        for (message, result) in share.into_iter().zip(results) {
            match result {
                Ok(()) => synced.push_back(message),
                Err(error) => message.fail(error),
            }
        }
        if !synced.is_empty() {
            self.ready().messages.append(&mut synced);
            self.lead();
        }
    }

    fn ready(&self) -> MutexGuard<'_, Ready<F>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes visible what is ready, group by group, unless another thread does so already: it will find these, too.
    fn lead(&self) {
        let mut ready = self.ready();
        if ready.led {
            return;
        }
        ready.led = true;
        loop {
            let count = ready.messages.len().min(GROUP);
            if count == 0 {
                // Under the same lock as the look: whoever adds one behind it leads.
                ready.led = false;
                return;
            }
            let group = ready.messages.drain(..count).collect::<Vec<_>>();
            drop(ready);
            // Should a file system of someone else's panic, then the others still have to be led.
            let publish = || group::publish(&self.files, &self.new, &self.poisoned, group);
            if catch_unwind(AssertUnwindSafe(publish)).is_err() {
                tracing::error!("the file system panicked; a group of messages is lost and was not acknowledged");
            }
            ready = self.ready();
        }
    }
}

impl<F: FileOps> Member for Finished<Delivery<F>> {
    fn name(&self) -> &str {
        self.deposit.name()
    }

    fn publish(&mut self) -> io::Result<()> {
        self.deposit.publish()
    }

    fn keep(&mut self) {
        self.deposit.keep();
    }

    fn undo(&mut self) {
        self.deposit.undo();
    }

    fn answer(self, result: io::Result<()>) {
        // Its own method, which comes before that of the trait.
        Self::answer(self, result);
    }
}
