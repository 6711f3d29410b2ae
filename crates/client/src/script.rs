//! Commands that are on their way, and which replies they wait for.

use crate::event::Stage;
use ehlo_codec::Command;
use std::collections::VecDeque;

/// Commands that are to be sent, and those that were sent and not answered yet. Its memory is kept from one transaction to the next.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// What is still to be sent begins at `sent`.
    wire: Vec<u8>,
    sent: usize,
    /// Octets that were sent before those in `wire`.
    before: u64,
    /// What waits for a reply, and where its command ends, in octets of all that was ever put out.
    steps: VecDeque<(u64, Stage)>,
    /// All may be sent at once; if not, the next command goes out when the last one was answered.
    pipelined: bool,
    /// There are credentials in `wire`.
    secret: bool,
}

impl Script {
    /// From now on commands are sent together, or one by one.
    pub(crate) const fn pipeline(&mut self, pipelined: bool) {
        self.pipelined = pipelined;
    }

    pub(crate) fn push(&mut self, stage: Stage, command: &Command<'_>) {
        command.write_to(&mut self.wire);
        self.end_step(stage);
    }

    /// Bytes of the command that is being written, before [`end_step`](Self::end_step).
    pub(crate) const fn wire_mut(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    /// The last bytes are credentials: they are wiped once they were sent.
    pub(crate) const fn conceal(&mut self) {
        self.secret = true;
    }

    pub(crate) const fn is_secret(&self) -> bool {
        self.secret
    }

    pub(crate) fn end_step(&mut self, stage: Stage) {
        self.steps.push_back((self.before + self.wire.len() as u64, stage));
    }

    /// What may be written now.
    pub(crate) fn output(&self) -> &[u8] {
        let end = if self.pipelined {
            self.wire.len()
        } else {
            self.steps.front().map_or(self.wire.len(), |step| self.place(step.0))
        };
        self.wire.get(self.sent..end).unwrap_or_default()
    }

    /// Where that octet is in `wire`; its beginning if it was sent long ago.
    fn place(&self, octet: u64) -> usize {
        usize::try_from(octet.saturating_sub(self.before)).unwrap_or(usize::MAX)
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.wire.len() {
            self.before += self.sent as u64;
            if self.secret {
                zeroize::Zeroize::zeroize(&mut self.wire);
                self.secret = false;
            }
            self.wire.clear();
            self.sent = 0;
        }
    }

    /// What the next reply answers, if the command was sent whole.
    pub(crate) fn awaited(&self) -> Option<Stage> {
        self.steps.front().filter(|step| self.before + self.sent as u64 >= step.0).map(|step| step.1)
    }

    /// What the next reply will answer, whether sent or not.
    pub(crate) fn next(&self) -> Option<Stage> {
        self.steps.front().map(|step| step.1)
    }

    /// Octets that were sent since the session began.
    pub(crate) const fn octets_sent(&self) -> u64 {
        self.before + self.sent as u64
    }

    /// Octets that were ever put out.
    pub(crate) fn octets(&self) -> u64 {
        self.before + self.wire.len() as u64
    }

    pub(crate) fn answer(&mut self) {
        self.steps.pop_front();
    }

    /// How many commands wait for a reply.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Forgets the commands that no reply has come to. Only where they are sent one by one, and so were not sent.
    pub(crate) fn cut(&mut self) {
        debug_assert!(!self.pipelined, "what was sent will be answered");
        self.steps.clear();
        self.wire.truncate(self.sent);
        self.sent(0);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if self.secret {
            zeroize::Zeroize::zeroize(&mut self.wire);
        }
    }
}

/// Its bytes may be credentials.
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("unsent", &(self.wire.len() - self.sent)).field("steps", &self.steps).finish()
    }
}
