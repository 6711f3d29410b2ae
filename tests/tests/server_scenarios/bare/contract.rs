//! What a session promises whatever the scenario is.

use ehlo_server::codec::codes::ServiceExtension;
use std::time::Duration;

use ehlo_server::{Event, ResolveError, Shutdown};

use super::{Bare, Message};

impl<'s> Bare<'s> {
    /// What holds whenever no event waits.
    pub(super) fn check_quiet(&mut self) -> Result<(), String> {
        let config = &self.scenario.config;
        let cap = config.limits.output.max(1024);
        self.ensure(self.session.output().len() <= cap, "output below its limit")?;
        // What all extensions together let the line of a verb be longer: more than any scenario has on offer.
        let registry = ServiceExtension::ALL;
        let more: usize = registry.iter().map(|e| usize::from(e.mail_line.max(e.rcpt_line))).sum();
        let line = config.limits.command_line + 17 + more;
        // RFC 4954 §4: so may an exchange.
        let line = if config.auth.mechanisms.is_empty() { line } else { line.max(config.limits.auth_line) };
        self.ensure(self.session.held() <= line, "no more of a line kept than a line may have")?;
        match self.session.poll_timeout() {
            None => self.ensure(self.closed, "a deadline while the session is open")?,
            Some((at, _)) => {
                self.ensure(!self.closed, "no deadline after the end")?;
                self.ensure(at > self.now, "a deadline that lies ahead")?;
            }
        }
        self.ensure(!self.closed || self.session.output().is_empty() || !self.reading, "no output after the end")?;
        let before = self.state();
        self.session.handle_timeout(self.now);
        self.ensure(self.state() == before, "no change by a timeout before its time")?;
        let step = self.session.handle_input(self.now, b"");
        let nothing = step.used == 0 && step.event.is_none();
        self.ensure(nothing && self.state() == before, "no change by empty input")?;
        // In clear behind STARTTLS anything ends the session, which scenarios tell by themselves.
        if !self.session.wants_input() && !self.handshaking {
            let step = self.session.handle_input(self.now, b"QUIT\r\n");
            let nothing = step.used == 0 && step.event.is_none();
            self.ensure(nothing && self.state() == before, "no input used while none is wanted")?;
        }
        let event = self.session.poll_event();
        self.ensure(event.is_none(), "no event out of nothing")
    }

    fn state(&self) -> impl PartialEq + use<'s> {
        let session = &self.session;
        (session.output().len(), session.held(), session.poll_timeout(), session.wants_input(), session.in_message())
    }

    /// The scenario is over. What is still open ends like a broken connection, and then nothing happens any more.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        let mut ends = usize::from(self.closed);
        self.session.handle_reset(self.now);
        while let Some(event) = self.session.poll_event() {
            self.ensure(ends == 0, "nothing after the end")?;
            match event {
                Event::BodyAborted(_) => {
                    self.ensure(self.message != Message::None, "an abort within a message")?;
                    self.message = Message::None;
                }
                Event::Closed(_) => ends += 1,
                other => return self.fail(&format!("{other:?}"), "an end"),
            }
        }
        self.ensure(ends == 1, "an end, and one only")?;
        self.ensure(self.message == Message::None, "each message committed or aborted before the end")?;
        if let Some(question) = self.kept.take() {
            let result = self.session.resolve(self.now, question.defer());
            self.ensure(result == Err(ResolveError::Stale), "a stale answer after the end")?;
        }
        let later = self.now + Duration::from_secs(86_400);
        self.session.handle_timeout(later);
        self.session.handle_eof(later);
        self.session.abandon(later);
        self.session.body_paused(later);
        self.session.body_resumed(later);
        self.session.shutdown(later, Shutdown::Now);
        let step = self.session.handle_input(later, b"NOOP\r\n");
        let nothing = step.event.is_none() && self.session.poll_event().is_none();
        self.ensure(nothing, "nothing after the end")?;
        self.ensure(self.session.poll_timeout().is_none(), "no deadline after the end")
    }
}
