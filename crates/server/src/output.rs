//! Replies on their way to the peer, under a cap.

use ehlo_codec::{MAX_REPLY_LINE, Reply};

/// Replies that wait to be written. One of many lines is written as there is room for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    sent: usize,
    cap: usize,
    enhanced: bool,
    long: Option<Long>,
}

/// A reply whose first lines are in the buffer.
#[derive(Clone, Debug)]
struct Long {
    reply: Reply,
    next_line: usize,
    enhanced: bool,
}

impl Output {
    pub(crate) fn new(cap: usize, enhanced: bool) -> Self {
        Self { cap: cap.max(2 * MAX_REPLY_LINE), enhanced, ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.sent..]
    }

    /// Whether another reply may be begun.
    pub(crate) fn has_room(&self) -> bool {
        self.long.is_none() && self.room() >= MAX_REPLY_LINE
    }

    fn room(&self) -> usize {
        self.cap.saturating_sub(self.buffer.len() - self.sent)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.buffer.len() && self.long.is_none()
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.buffer.len() {
            self.buffer.clear();
            self.sent = 0;
        }
        self.fill();
    }

    pub(crate) fn push(&mut self, reply: &Reply) {
        self.push_as(reply, self.enhanced);
    }

    /// The greeting and the replies to EHLO and HELO carry no enhanced codes (RFC 2034 §4).
    pub(crate) fn push_plain(&mut self, reply: &Reply) {
        self.push_as(reply, false);
    }

    fn push_as(&mut self, reply: &Reply, enhanced: bool) {
        // A last reply must not be cut off by a longer one before it: write what is left of that.
        if let Some(mut long) = self.long.take() {
            while self.write_line(&mut long) {}
        }
        if reply.max_len() <= self.room().max(MAX_REPLY_LINE) {
            reply.write_to(&mut self.buffer, enhanced);
        } else {
            self.long = Some(Long { reply: reply.clone(), next_line: 0, enhanced });
            self.fill();
        }
    }

    fn fill(&mut self) {
        let Some(mut long) = self.long.take() else { return };
        while self.room() >= MAX_REPLY_LINE {
            if !self.write_line(&mut long) {
                return;
            }
        }
        self.long = Some(long);
    }

    /// Writes the next line, if there is one.
    fn write_line(&mut self, long: &mut Long) -> bool {
        let there = long.reply.write_line_to(&mut self.buffer, long.next_line, long.enhanced);
        long.next_line += 1;
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reply_goes_on_as_the_peer_reads_and_never_passes_the_cap() {
        let text = (0..100).map(|i| format!("line {i} {}", "x".repeat(90))).collect::<Vec<_>>().join("\n");
        let reply = Reply::new(ehlo_codec::ReplyCode::HELP, None, text).unwrap();
        let mut whole = Vec::new();
        reply.write_to(&mut whole, true);
        for step in [1, 7, 512, 4096] {
            let mut output = Output::new(2048, true);
            output.push(&reply);
            let mut written = Vec::new();
            while !output.is_empty() {
                assert!(output.bytes().len() <= 2048);
                assert!(!output.has_room() || output.long.is_none());
                let n = step.min(output.bytes().len());
                written.extend_from_slice(&output.bytes()[..n]);
                output.sent(n);
            }
            assert!(written == whole, "steps of {step}");
        }
    }

    #[test]
    fn a_reply_behind_a_long_one_comes_behind_all_of_it() {
        let reply = Reply::new(ehlo_codec::ReplyCode::HELP, None, "a line\n".repeat(500) + "end").unwrap();
        let last = Reply::fixed(221, None, "Bye");
        let mut output = Output::new(1024, true);
        output.push(&reply);
        output.push(&last);
        let mut whole = Vec::new();
        reply.write_to(&mut whole, true);
        last.write_to(&mut whole, true);
        assert!(output.bytes() == whole);
    }
}
