//! What is seen of a connection from outside: log lines, and counts.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ehlo_server::codec::{Reply, ReplyClass};
use ehlo_server::{AbortReason, CloseReason, CommandCounts, Pending, Question};
use tracing::Span;

use super::{Connection, clock};
use crate::log::{PeerLog, shown};
use crate::metrics::{self, Count, QUESTIONS};
use crate::policy::Policy;

/// Octets of recipients that a line shows.
const RECIPIENTS: usize = 128;

/// Writes a line about a connection, with its span, if that is wanted and its peer has not caused too many.
macro_rules! tell {
    ($connection:expr, $level:ident, $($rest:tt)+) => {
        if tracing::enabled!(tracing::Level::$level) && $connection.may_tell() {
            // Inside of the span, not with it as the parent, of which the JSON of tracing-subscriber knows nothing.
            $connection.seen.span($connection.who()).in_scope(|| tracing::event!(tracing::Level::$level, $($rest)+));
        }
    };
}
pub(super) use tell;

/// What a connection keeps to be seen by. Each has one, however idle it is, so it is small.
pub(super) struct Seen {
    /// Made when it is needed first. Its level is the highest, so that it stands beside whatever is logged.
    connection: OnceCell<Span>,
    /// That of the message that is coming.
    transaction: Option<Box<Transaction>>,
    log: Arc<PeerLog>,
    received: u64,
    sent: u64,
    /// What of `received` and `sent` is not counted for the server yet: no more than a poll takes.
    untold: (u32, u32),
    /// Messages that were begun.
    messages: u32,
    commands: u32,
    /// Replies of class 4yz and 5yz.
    errors: u32,
    /// Octets at the front of the output whose replies were counted, and whether the rest begins within a line.
    counted: u32,
    within_line: bool,
    /// The question that is waited for, as it was counted; or none.
    question: u8,
}

/// No question is waited for.
const NONE: u8 = u8::MAX;

struct Transaction {
    /// Disabled where no line is to be written.
    span: Span,
    begun: Instant,
    size: u64,
}

impl Seen {
    pub(super) fn new(log: Arc<PeerLog>) -> Self {
        Self {
            connection: OnceCell::new(),
            transaction: None,
            log,
            received: 0,
            sent: 0,
            untold: (0, 0),
            messages: 0,
            commands: 0,
            errors: 0,
            counted: 0,
            within_line: false,
            question: NONE,
        }
    }

    /// What is going on belongs to this.
    pub(super) fn span(&self, who: (u64, SocketAddr)) -> &Span {
        match &self.transaction {
            Some(transaction) if !transaction.span.is_none() => &transaction.span,
            _ => self.connection(who),
        }
    }

    fn connection(&self, (id, peer): (u64, SocketAddr)) -> &Span {
        self.connection.get_or_init(|| tracing::error_span!("connection", id, %peer))
    }

    pub(super) fn read(&mut self, octets: usize) {
        self.received += octets as u64;
        self.untold.0 = self.untold.0.saturating_add(small(octets));
    }

    /// Octets of a message were handed to the sink.
    pub(super) fn body(&mut self, octets: usize) {
        if let Some(transaction) = &mut self.transaction {
            transaction.size += octets as u64;
        }
    }

    /// The first octets of the output were written.
    pub(super) fn wrote(&mut self, octets: usize) {
        self.sent += octets as u64;
        self.untold.1 = self.untold.1.saturating_add(small(octets));
        self.counted = self.counted.saturating_sub(small(octets));
    }

    /// Calls with the code of each reply that has come into the output since the last time.
    fn replies(&mut self, output: &[u8], mut count: impl FnMut(u16)) {
        // A reply may have been taken back.
        let mut rest = output.get(self.counted as usize..).unwrap_or_default();
        self.counted = small(output.len());
        while !rest.is_empty() {
            if !self.within_line
                && let [a, b, c, b' ', ..] = *rest
                && [a, b, c].iter().all(u8::is_ascii_digit)
            {
                let code = [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
                self.errors += u32::from(code >= 400);
                count(code);
            }
            match rest.iter().position(|&byte| byte == b'\n') {
                Some(end) => (self.within_line, rest) = (false, &rest[end + 1..]),
                None => (self.within_line, rest) = (true, &[]),
            }
        }
    }
}

impl<P: Policy> Connection<P> {
    /// The number of the connection, and where it comes from.
    pub(super) fn who(&self) -> (u64, SocketAddr) {
        (self.slot.id(), self.transport.peer())
    }

    /// Whether one more line may be written about this peer.
    pub(super) fn may_tell(&self) -> bool {
        let hub = self.slot.hub();
        hub.logs.allows(&self.seen.log, &hub.metrics, clock())
    }

    /// Counts the replies in the output, before they are written.
    pub(super) fn count_replies(&mut self) {
        let metrics = self.slot.metrics();
        self.seen.replies(self.session.output(), |code| metrics.reply(code));
    }

    pub(super) fn count_commands(&mut self, commands: &CommandCounts) {
        if !commands.is_empty() {
            let count: u32 = commands.iter().map(|(_, count)| count).sum();
            self.seen.commands = self.seen.commands.saturating_add(count);
            self.slot.metrics().commands(commands);
        }
    }

    /// Counts for the server what has happened since the last time.
    pub(super) fn publish(&mut self) {
        let metrics = self.slot.metrics();
        let (received, sent) = std::mem::take(&mut self.seen.untold);
        if received > 0 {
            metrics.add(Count::ReceivedBytes, received.into());
        }
        if sent > 0 {
            metrics.add(Count::SentBytes, sent.into());
        }
        let question = self.open.as_ref().map_or(NONE, super::decide::Open::number);
        if question != self.seen.question {
            self.count_question(question);
        }
    }

    fn count_question(&mut self, question: u8) {
        let metrics = self.slot.metrics();
        metrics.asked(question);
        metrics.answered(std::mem::replace(&mut self.seen.question, question));
    }

    /// The policy refuses something.
    pub(super) fn tell_refusal(&self, question: &Question, reply: &Reply) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let (mut sender, mut recipient) = (None, None);
        match self.session.pending() {
            Pending::Mail { from, .. } => sender = Some(shown(from.as_str())),
            Pending::Rcpt { to, .. } => recipient = Some(shown(to.as_str())),
            _ => {}
        }
        let envelope = self.session.envelope();
        if sender.is_none() && envelope.reverse_path().is_some() {
            sender = Some(shown(envelope.reverse_path_text()));
        }
        tell!(
            self,
            INFO,
            stage = QUESTIONS[usize::from(metrics::number(question))],
            helo = self.helo().as_deref(),
            sender = sender.as_deref(),
            recipient = recipient.as_deref(),
            reply = reply.code().get(),
            enhanced = enhanced(reply).as_deref(),
            "refused"
        );
    }

    fn helo(&self) -> Option<String> {
        self.session.envelope().client_name().map(|name| shown(name.as_str()))
    }

    /// A message begins, and with it its span.
    pub(super) fn begin_transaction(&mut self, now: Instant) {
        self.seen.messages = self.seen.messages.saturating_add(1);
        let span = if tracing::enabled!(tracing::Level::INFO) && self.may_tell() {
            let envelope = self.session.envelope();
            let mut to = String::new();
            for recipient in envelope.recipients() {
                if to.len() > RECIPIENTS {
                    to.push_str(" ...");
                    break;
                }
                to.push_str(if to.is_empty() { "<" } else { " <" });
                to.push_str(&shown(recipient.path.as_str()));
                to.push('>');
            }
            tracing::info_span!(
                parent: self.seen.connection(self.who()),
                "transaction",
                number = self.seen.messages,
                helo = self.helo().as_deref(),
                tls = self.session.tls().map(|tls| tls.version),
                identity = envelope.identity().map(shown).as_deref(),
                sender = shown(envelope.reverse_path_text()).as_str(),
                recipients = envelope.recipient_count() as u64,
                to = to.as_str(),
            )
        } else {
            Span::none()
        };
        let transaction = Transaction { span, begun: now, size: 0 };
        // Its memory is kept from one to the next.
        match &mut self.seen.transaction {
            Some(before) => **before = transaction,
            none => *none = Some(Box::new(transaction)),
        }
    }

    /// The message was answered at its end.
    pub(super) fn tell_committed(&mut self, now: Instant, taken: usize, reply: Option<&Reply>) {
        // What the session says by itself.
        let taken_silently = Reply::fixed(250, Some((2, 0, 0)), "");
        let reply = reply.unwrap_or(&taken_silently);
        let what = match reply.code().class() {
            _ if taken > 0 => "message accepted",
            ReplyClass::PermanentFailure => "message refused",
            _ => "message deferred",
        };
        self.tell_end(now, what, Some(taken), Some(reply), None);
    }

    /// The message will not be committed.
    pub(super) fn tell_aborted(&mut self, now: Instant, reason: AbortReason) {
        let (what, word) = match reason {
            AbortReason::TooLarge => ("message refused", "too_large"),
            AbortReason::BareLineEnd => ("message refused", "bare_line_end"),
            AbortReason::Loop => ("message refused", "loop"),
            AbortReason::NotStored => ("message deferred", "not_stored"),
            AbortReason::Reset => ("message given up", "reset"),
            AbortReason::Disconnected => ("message given up", "disconnected"),
            AbortReason::TimedOut(reason) => ("message given up", reason.as_str()),
            _ => ("message given up", "other"),
        };
        self.tell_end(now, what, None, reason.reply(), Some(word));
    }

    fn tell_end(
        &mut self,
        now: Instant,
        what: &str,
        taken: Option<usize>,
        reply: Option<&Reply>,
        reason: Option<&str>,
    ) {
        let Some(transaction) = &mut self.seen.transaction else { return };
        let span = std::mem::replace(&mut transaction.span, Span::none());
        if span.is_none() {
            return;
        }
        let text = reply.and_then(|reply| reply.text().lines().next()).filter(|text| !text.is_empty()).map(shown);
        let _entered = span.enter();
        tracing::info!(
            size = transaction.size,
            taken = taken.map(|taken| taken as u64),
            reason,
            reply = reply.map(|reply| reply.code().get()),
            enhanced = reply.and_then(enhanced).as_deref(),
            text = text.as_deref(),
            duration_ms = milliseconds(transaction.begun, now),
            "{what}"
        );
    }

    /// The connection ends; without a reason, since its peer did not read its last reply in time.
    pub(super) fn tell_closed(&self, now: Instant, reason: Option<CloseReason>) {
        if let Some(reason) = reason {
            self.slot.metrics().closed(reason);
        }
        if !tracing::enabled!(tracing::Level::INFO) || !self.may_tell() {
            return;
        }
        let waited_for = match reason {
            Some(CloseReason::TimedOut(waited_for)) => Some(waited_for.as_str()),
            _ => None,
        };
        let _entered = self.seen.connection(self.who()).enter();
        tracing::info!(
            reason = reason.map_or("cut_off", CloseReason::as_str),
            deadline = waited_for,
            helo = self.helo().as_deref(),
            tls = self.session.tls().map(|tls| tls.version),
            identity = self.session.identity().map(shown).as_deref(),
            commands = self.seen.commands,
            errors = self.seen.errors,
            messages = self.seen.messages,
            received = self.seen.received,
            sent = self.seen.sent,
            duration_ms = milliseconds(self.session.begun(), now),
            "closed"
        );
    }
}

impl<P: Policy> Drop for Connection<P> {
    fn drop(&mut self) {
        self.count_question(NONE);
    }
}

fn enhanced(reply: &Reply) -> Option<String> {
    reply.enhanced().map(|code| code.to_string())
}

/// What fits: more is not read or written in one go.
fn small(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

fn milliseconds(begun: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogLimits, PeerLogs};

    fn seen() -> Seen {
        let logs = PeerLogs::new(LogLimits::default(), clock());
        Seen::new(logs.of("192.0.2.1".parse().unwrap()))
    }

    /// The codes that are counted when a stream comes into the output and is written in pieces of these lengths.
    fn count(stream: &[u8], come: usize, go: usize) -> Vec<u16> {
        let (mut seen, mut output, mut codes) = (seen(), Vec::new(), Vec::new());
        for piece in stream.chunks(come) {
            output.extend_from_slice(piece);
            seen.replies(&output, |code| codes.push(code));
            let written = go.min(output.len());
            output.drain(..written);
            seen.wrote(written);
        }
        codes
    }

    #[test]
    fn each_reply_is_counted_once_however_it_is_written() {
        let stream = b"220 mx ESMTP\r\n250-mx\r\n250-HELP\r\n250 DSN\r\n334 MjUwIHg=\r\n550 5.1.1 No 250 here\r\n";
        // The session puts whole lines, or at least the beginning of one, into its output.
        for come in [stream.len(), 14] {
            for go in [1, 5, 14, 100] {
                let codes = count(stream, come, go);
                let expected = if come == 14 { vec![220] } else { vec![220, 250, 334, 550] };
                assert!(
                    codes.starts_with(&expected[..1]) && (come == 14 || codes == expected),
                    "{come} {go}: {codes:?}"
                );
            }
        }
        let mut seen = seen();
        let mut codes = Vec::new();
        seen.replies(b"334 aGVs", |code| codes.push(code));
        seen.wrote(8);
        seen.replies(b"250 bG8=\r\n421 4.3.2 x\r\n", |code| codes.push(code));
        assert_eq!(codes, [334, 421]);
        assert_eq!(seen.errors, 1);
    }

    #[test]
    fn a_reply_that_was_taken_back_does_no_harm() {
        let mut seen = seen();
        let mut codes = Vec::new();
        seen.replies(b"250 a\r\n220 b\r\n", |code| codes.push(code));
        seen.replies(b"250 a\r\n", |code| codes.push(code));
        seen.replies(b"250 a\r\n421 c\r\n", |code| codes.push(code));
        assert_eq!(codes, [250, 220, 421]);
    }
}
