//! Replies on their way to the peer, under a cap.

use ehlo_codec::{Base64, MAX_REPLY_LINE, Reply};
use std::collections::VecDeque;

/// Replies that wait to be written, never more of them than the cap. One that does not fit waits behind the buffer, and is written line
/// by line as there is room; a session begins nothing new then, so few ever wait there: those to one command, or to one message under
/// LMTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    sent: usize,
    cap: usize,
    enhanced: bool,
    /// A greeting or a reply to EHLO is in the buffer: longer than what follows, and many clients wait behind it.
    plain: bool,
    waiting: VecDeque<Waiting>,
}

/// Octets that the buffer keeps behind a greeting or a reply to EHLO: enough for a usual reply.
const KEPT: usize = 64;

/// What is not in the buffer yet.
#[derive(Clone, Debug)]
enum Waiting {
    /// A reply whose first lines may be in the buffer already, where in its text the next one begins, and how often it is still to be
    /// written.
    Reply { reply: Reply, times: usize, next: usize, enhanced: bool },
    /// The rest of octets that are no reply: a challenge, whose line may be longer.
    Octets(Vec<u8>),
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
        self.waiting.is_empty() && self.room() >= MAX_REPLY_LINE
    }

    /// Octets that it takes beside its fixed size, the texts of replies that wait behind the buffer not among them: they are the
    /// application's, and few.
    pub(crate) fn memory(&self) -> usize {
        let octets = |waiting: &Waiting| if let Waiting::Octets(rest) = waiting { rest.capacity() } else { 0 };
        self.buffer.capacity() + self.waiting.iter().map(octets).sum::<usize>()
    }

    fn room(&self) -> usize {
        self.cap.saturating_sub(self.bytes().len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.buffer.len() && self.waiting.is_empty()
    }

    /// Forgets all replies: nobody reads them any more.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.buffer.clear();
        self.sent = 0;
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.buffer.len() {
            self.buffer.clear();
            self.sent = 0;
            if std::mem::take(&mut self.plain) {
                self.buffer.shrink_to(KEPT);
            }
        } else if self.sent >= self.cap / 2 {
            // A peer that is always a little behind must not make the buffer grow.
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
        self.fill();
    }

    pub(crate) fn push(&mut self, reply: &Reply) {
        self.push_as(reply, self.enhanced);
    }

    /// Pushes the same reply so many times.
    pub(crate) fn push_times(&mut self, reply: &Reply, times: usize) {
        self.push_times_as(reply, times, self.enhanced);
    }

    /// The same with its enhanced code if it has one, whatever it answers.
    pub(crate) fn push_as_built(&mut self, reply: &Reply, times: usize) {
        self.push_times_as(reply, times, reply.enhanced().is_some());
    }

    fn push_times_as(&mut self, reply: &Reply, times: usize, enhanced: bool) {
        if times == 1 {
            self.push_as(reply, enhanced);
        } else if times > 0 {
            self.waiting.push_back(Waiting::Reply { reply: reply.clone(), times, next: 0, enhanced });
            self.fill();
        }
    }

    /// The greeting and the replies to EHLO and HELO carry no enhanced codes (RFC 2034 §4).
    pub(crate) fn push_plain(&mut self, reply: &Reply) {
        self.plain = true;
        self.push_as(reply, false);
    }

    /// Takes back the reply that was pushed last, if no octet of it was sent. Gives whether that was so. A reply to a command is never
    /// behind the buffer: there was room for it when the command was looked at.
    pub(crate) fn retract(&mut self, last: &Reply) -> bool {
        let mut text = Vec::new();
        last.write_to(&mut text, self.enhanced);
        let whole = self.waiting.is_empty() && self.bytes().ends_with(&text);
        if whole {
            self.buffer.truncate(self.buffer.len() - text.len());
        }
        whole
    }

    /// 334 with these octets in base64 and nothing else (RFC 4954 §4).
    pub(crate) fn push_challenge(&mut self, octets: &[u8]) {
        let mut line = b"334 ".to_vec();
        Base64::encode(octets, &mut line);
        line.extend_from_slice(b"\r\n");
        self.push_octets(line);
    }

    /// These octets, whatever they are.
    pub(crate) fn push_octets(&mut self, mut octets: Vec<u8>) {
        if self.waiting.is_empty() && octets.len() <= self.room() {
            self.buffer.append(&mut octets);
        } else {
            self.waiting.push_back(Waiting::Octets(octets));
            self.fill();
        }
    }

    fn push_as(&mut self, reply: &Reply, enhanced: bool) {
        if self.waiting.is_empty() && reply.max_len() <= self.room() {
            reply.write_to(&mut self.buffer, enhanced);
        } else {
            self.waiting.push_back(Waiting::Reply { reply: reply.clone(), times: 1, next: 0, enhanced });
            self.fill();
        }
    }

    fn fill(&mut self) {
        while self.room() >= MAX_REPLY_LINE {
            let room = self.room();
            match self.waiting.front_mut() {
                None => return,
                Some(Waiting::Reply { reply, times, next, enhanced }) => {
                    if let Some(at) = reply.write_line_to(&mut self.buffer, *next, *enhanced) {
                        *next = at;
                        continue;
                    }
                    if *times > 1 {
                        (*times, *next) = (*times - 1, 0);
                        continue;
                    }
                }
                Some(Waiting::Octets(rest)) => {
                    self.buffer.extend(rest.drain(..room.min(rest.len())));
                    if !rest.is_empty() {
                        continue;
                    }
                }
            }
            self.waiting.pop_front();
        }
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
                let n = step.min(output.bytes().len());
                written.extend_from_slice(&output.bytes()[..n]);
                output.sent(n);
            }
            assert!(written == whole, "steps of {step}");
        }
    }

    #[test]
    fn an_idle_session_does_not_keep_the_room_of_its_greeting() {
        let mut output = Output::new(4096, true);
        let long = Reply::new(ehlo_codec::ReplyCode::OK, None, "line\n".repeat(100) + "end").unwrap();
        output.push_plain(&long);
        let all = output.bytes().len();
        output.sent(all - 1);
        assert!(output.memory() >= all, "it is not written yet");
        output.sent(1);
        assert!(output.memory() <= KEPT, "{} octets are kept", output.memory());
        // What a later reply needed stays, so that the next takes no memory.
        output.push(&long);
        output.sent(output.bytes().len());
        assert!(output.memory() >= all);
    }

    #[test]
    fn a_long_reply_goes_on_where_it_stopped_and_not_at_its_beginning() {
        let reply = Reply::new(ehlo_codec::ReplyCode::HELP, None, "0123456789\n".repeat(20_000) + "end").unwrap();
        let mut output = Output::new(1024, false);
        output.push(&reply);
        let (mut lines, mut steps) = (0, 0);
        while let Some(Waiting::Reply { next, .. }) = output.waiting.front() {
            lines += output.bytes().split(|b| *b == b'\n').count() - 1;
            // Each line before was looked at, and no other will be: the codec looks at one line a call, from where it is told.
            assert_eq!(*next, lines * "0123456789\n".len());
            output.sent(output.bytes().len());
            steps += 1;
        }
        // A line is put in as long as the longest would fit; behind the last step nothing waits.
        assert_eq!(steps, 20_000 / 33);
    }

    #[test]
    fn a_long_challenge_goes_on_as_the_peer_reads() {
        let mut whole = b"334 ".to_vec();
        Base64::encode(&[7; 9000], &mut whole);
        whole.extend_from_slice(b"\r\n");
        let mut output = Output::new(1024, true);
        output.push_challenge(&[7; 9000]);
        let mut written = Vec::new();
        while !output.is_empty() {
            assert!((1..=1024).contains(&output.bytes().len()));
            written.extend_from_slice(&output.bytes()[..1]);
            output.sent(1);
        }
        assert!(written == whole);
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
        let mut written = Vec::new();
        while !output.is_empty() {
            assert!((1..=1024).contains(&output.bytes().len()));
            written.extend_from_slice(output.bytes());
            output.sent(output.bytes().len());
        }
        assert!(written == whole);
    }

    #[test]
    fn a_reply_for_each_of_many_goes_on_as_the_peer_reads() {
        let reply = Reply::new(ehlo_codec::ReplyCode::OK, None, "two\nlines").unwrap();
        let mut output = Output::new(1024, true);
        output.push_times(&reply, 0);
        assert!(output.is_empty());
        output.push_times(&reply, 1000);
        let mut written = Vec::new();
        while !output.is_empty() {
            assert!((1..=1024).contains(&output.bytes().len()));
            written.extend_from_slice(output.bytes());
            output.sent(output.bytes().len());
        }
        assert!(written == b"250-2.0.0 two\r\n250 2.0.0 lines\r\n".repeat(1000));
    }

    #[test]
    fn a_peer_that_is_always_behind_does_not_make_the_buffer_grow() {
        let reply = Reply::fixed(250, Some((2, 0, 0)), "Ok");
        let mut output = Output::new(4096, true);
        output.push(&reply);
        for _ in 0..100_000 {
            output.push(&reply);
            output.sent("250 2.0.0 Ok\r\n".len());
        }
        assert!(output.bytes() == b"250 2.0.0 Ok\r\n");
        assert!(output.buffer.capacity() <= 2 * 4096, "{}", output.buffer.capacity());
    }
}
