//! From the greeting to where messages can be sent.

use super::{Phase, Session};
use crate::config::StartTls;
use crate::event::{ApiMisuse, CloseReason, Event, Misbehaviour, Reason, Stage};
use crate::tls::TlsInfo;
use ehlo_codec::{Capabilities, Command, Extension, ReplyClass, ReplyCode};
use std::time::Instant;

impl Session {
    pub(super) fn on_greeting(&mut self, now: Instant, code: ReplyCode) {
        match code.class() {
            ReplyClass::Completion => self.first_hello(now),
            _ if code == ReplyCode::SERVICE_NOT_AVAILABLE => self.close(CloseReason::ServiceNotAvailable),
            // RFC 5321 §3.1: behind a 554 the server waits for QUIT.
            ReplyClass::TransientFailure | ReplyClass::PermanentFailure => {
                self.start_quit(now, CloseReason::Refused(code))
            }
            _ => self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(Stage::Greeting, code))),
        }
    }

    fn first_hello(&mut self, now: Instant) {
        self.hello(now, if self.config.lmtp { Stage::Lhlo } else { Stage::Ehlo });
    }

    fn hello(&mut self, now: Instant, stage: Stage) {
        self.script.pipeline(false);
        let id = self.config.client_id();
        let command = match stage {
            Stage::Helo => Command::Helo(id),
            Stage::Lhlo => Command::Lhlo(id),
            _ => Command::Ehlo(id),
        };
        self.script.push(stage, &command);
        self.phase = Phase::Hello;
        self.await_reply(now);
    }

    pub(super) fn on_hello(&mut self, now: Instant, stage: Stage, code: ReplyCode) {
        if code.is_positive() {
            if stage != Stage::Helo
                && let Some(reply) = self.reader.reply()
            {
                self.capabilities = Capabilities::from_reply(&reply);
            }
            return self.secure(now);
        }
        // RFC 5321 §3.2: a server that does not know EHLO is asked with HELO.
        if stage == Stage::Ehlo && (code == ReplyCode::SYNTAX_ERROR || code == ReplyCode::NOT_IMPLEMENTED) {
            return self.hello(now, Stage::Helo);
        }
        self.start_quit(now, CloseReason::Refused(code));
    }

    /// Asks for TLS, if that is wanted and not there.
    fn secure(&mut self, now: Instant) {
        let offered = self.capabilities.has(Extension::StartTls);
        match self.config.starttls {
            _ if self.tls.is_some() => self.ready(now),
            StartTls::Opportunistic | StartTls::Required if offered => {
                self.script.push(Stage::StartTls, &Command::StartTls);
                self.await_reply(now);
            }
            StartTls::Required => self.start_quit(now, CloseReason::TlsNotAvailable(None)),
            StartTls::Off | StartTls::Opportunistic => self.ready(now),
        }
    }

    fn ready(&mut self, now: Instant) {
        let pipelined = self.offer().pipelining();
        self.script.pipeline(pipelined);
        self.events.push(Event::Ready);
        self.rest(now);
    }

    pub(super) fn on_starttls(&mut self, now: Instant, code: ReplyCode) {
        if code.is_positive() {
            self.phase = Phase::Tls;
            self.await_driver(now, Reason::TlsHandshake);
            self.events.push(Event::TlsWanted);
        } else if self.config.starttls == StartTls::Required {
            self.start_quit(now, CloseReason::TlsNotAvailable(Some(code)));
        } else {
            self.ready(now);
        }
    }

    /// The TLS handshake is made: behind STARTTLS, or at the very beginning of a connection that has TLS from its first byte on. What the
    /// server has said in clear is forgotten (RFC 3207 §4.2).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] where no TLS can begin.
    pub fn handle_tls(&mut self, now: Instant, tls: TlsInfo) -> Result<(), ApiMisuse> {
        match self.phase {
            Phase::Greeting if self.tls.is_none() && !self.reader.is_mid_reply() => self.tls = Some(tls),
            Phase::Tls => {
                self.tls = Some(tls);
                self.capabilities = Capabilities::default();
                self.first_hello(now);
            }
            _ => return Err(ApiMisuse("handle_tls where no TLS can begin")),
        }
        Ok(())
    }

    /// The TLS handshake failed, which ends the session: the connection can't be used in clear any more.
    pub fn tls_failed(&mut self, _now: Instant) {
        self.close(CloseReason::TlsFailed);
    }
}
