//! Events that wait for the driver.

use crate::event::Event;

/// The events that one call can cause.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: [Option<Event<'static>>; 3],
    first: u8,
    length: u8,
}

impl Queue {
    pub(super) fn push(&mut self, event: Event<'static>) {
        debug_assert!(self.length < 3, "a call causes few events");
        self.events[usize::from(self.first + self.length) % 3] = Some(event);
        self.length = (self.length + 1).min(3);
    }

    pub(super) fn pop(&mut self) -> Option<Event<'static>> {
        if self.length == 0 {
            return None;
        }
        let event = self.events[usize::from(self.first)].take();
        self.first = (self.first + 1) % 3;
        self.length -= 1;
        event
    }
}
