//! Peers that are no sessions: they say what a script and chance make them say.

mod answerer;
mod talker;
mod words;

use crate::rng::Rng;
pub(crate) use answerer::Answerer;
pub(crate) use talker::{Acknowledged, Talker};

/// How a scripted peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Closes the connection.
    Close,
    /// Closes its side, and goes on reading.
    HalfClose,
    /// Breaks the connection.
    Reset,
    /// Does nothing more, for ever.
    Sleep,
}

#[derive(Debug)]
pub(crate) enum Role {
    Talker(Talker),
    Answerer(Answerer),
}

/// A scripted peer: what it has to say, and what it hears.
#[derive(Debug)]
pub(crate) struct Puppet {
    pub(crate) role: Role,
    out: Vec<u8>,
    written: usize,
    /// It reads what comes.
    pub(crate) reads: bool,
    /// It goes, once all that it has to say is written.
    leave: Option<Leave>,
    /// It has gone.
    pub(crate) gone: Option<Leave>,
    pub(crate) said: Vec<String>,
}

impl Puppet {
    pub(crate) fn new(role: Role, reads: bool) -> Self {
        let mut puppet = Self { role, out: Vec::new(), written: 0, reads, leave: None, gone: None, said: Vec::new() };
        if let Role::Answerer(answerer) = &puppet.role {
            puppet.out.extend_from_slice(&answerer.greeting);
        }
        puppet
    }

    /// Whether it still has the connection.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.gone, Some(Leave::Close | Leave::Reset))
    }

    pub(crate) fn hear(&mut self, bytes: &[u8], rng: &mut Rng) {
        match &mut self.role {
            Role::Talker(talker) => talker.hear(bytes),
            Role::Answerer(answerer) => {
                let mut fresh = Vec::new();
                let leave = answerer.hear(bytes, rng, &mut fresh);
                self.out.extend_from_slice(&fresh);
                self.leave = self.leave.or(leave);
            }
        }
    }

    /// Whether it could say something.
    pub(crate) fn has_work(&self) -> bool {
        self.written == self.out.len() && self.gone.is_none()
    }

    /// Says the next thing. Gives false if it waits for something, in which case it is to be asked again after more patience.
    pub(crate) fn work(&mut self, impatient: bool, rng: &mut Rng) -> bool {
        (self.out, self.written) = (Vec::new(), 0);
        if self.leave.is_some() {
            self.gone = self.leave;
            self.said.push(format!("leaves: {:?}", self.gone));
            return true;
        }
        match &mut self.role {
            Role::Talker(talker) => match talker.say(impatient, rng, &mut self.out) {
                talker::Said::Waits => return false,
                talker::Said::More => {}
                talker::Said::Last(leave) => self.leave = Some(leave),
            },
            Role::Answerer(answerer) => {
                if !impatient {
                    return false;
                }
                if answerer.mumble(rng, &mut self.out) {
                    self.leave = Some(Leave::Sleep);
                }
            }
        }
        true
    }

    pub(crate) fn output(&self) -> &[u8] {
        if self.gone.is_some() { &[] } else { &self.out[self.written..] }
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.written += n;
    }

    /// The other side has ended.
    pub(crate) fn eof(&mut self) {
        self.gone = Some(Leave::Close);
    }
}
