//! The commands of one flight, encoded once, sent and answered in order.

use crate::event::Stage;
use ehlo_codec::Command;

/// Commands that are to be sent, and how far they were sent and answered. Its memory is kept from one transaction to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    wire: Vec<u8>,
    /// Where each command ends in `wire`, and what it is.
    steps: Vec<(u32, Stage)>,
    sent: usize,
    answered: usize,
    pipelined: bool,
}

impl Script {
    /// Empties it for new commands.
    pub(crate) fn restart(&mut self, pipelined: bool) {
        debug_assert!(self.answered == self.steps.len(), "every command was answered");
        self.wire.clear();
        self.steps.clear();
        (self.sent, self.answered, self.pipelined) = (0, 0, pipelined);
    }

    pub(crate) fn push(&mut self, stage: Stage, command: &Command<'_>) {
        command.write_to(&mut self.wire);
        self.end_step(stage);
    }

    /// Bytes of the command that is being written, before [`end_step`](Self::end_step).
    pub(crate) const fn wire_mut(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    pub(crate) fn end_step(&mut self, stage: Stage) {
        // A flight is bounded by the recipients' cap times a line's length, far below 4 GiB.
        self.steps.push((u32::try_from(self.wire.len()).unwrap_or(u32::MAX), stage));
    }

    /// What may be written now: all of it when pipelined, else up to the first command without an answer.
    pub(crate) fn output(&self) -> &[u8] {
        let end = if self.pipelined {
            self.wire.len()
        } else {
            self.steps.get(self.answered).map_or(self.sent, |s| s.0 as usize)
        };
        self.wire.get(self.sent..end).unwrap_or_default()
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
    }

    /// What the next reply answers, if the command was sent whole.
    pub(crate) fn awaited(&self) -> Option<Stage> {
        self.steps.get(self.answered).filter(|step| self.sent >= step.0 as usize).map(|step| step.1)
    }

    /// What the next reply will answer, whether sent or not.
    pub(crate) fn next(&self) -> Option<Stage> {
        self.steps.get(self.answered).map(|s| s.1)
    }

    pub(crate) const fn answer(&mut self) {
        self.answered += 1;
    }

    /// Forgets the commands that no reply has come to. Only for a script that is not pipelined: of it they were not sent.
    pub(crate) fn cut(&mut self) {
        debug_assert!(!self.pipelined, "what was sent will be answered");
        self.steps.truncate(self.answered);
        self.wire.truncate(self.steps.last().map_or(0, |step| step.0 as usize));
    }
}
