//! Events that wait to be told.

use crate::event::Event;
use std::collections::VecDeque;

/// The events that one call can cause: a reply, what it decides, and the end; at the end one for each open transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(VecDeque<Event>);

impl Queue {
    pub(super) fn push(&mut self, event: Event) {
        self.0.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
