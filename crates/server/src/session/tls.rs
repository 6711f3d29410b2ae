//! TLS: asking for the handshake, and beginning anew behind it (RFC 3207, RFC 8314 §3.3).

use super::{Phase, Session};
use crate::config::TlsMode;
use crate::event::{AbortReason, CloseReason, Event, Reason};
use crate::extension::Offer;
use crate::limits::deadline;
use crate::replies;
use crate::table::State;
use crate::tls::TlsInfo;
use ehlo_codec::{LineFramer, Verb};
use std::time::Instant;

impl Session {
    /// The handshake that [`Event::StartTls`] has asked for is done; what comes from now on was inside TLS.
    ///
    /// Everything that the client has said is forgotten: its name, and with it that it said EHLO (RFC 3207 §4.2). What is counted
    /// against it is not. Without a handshake under way nothing is changed, which is a fault that a debug build panics at.
    pub fn handle_tls(&mut self, now: Instant, info: TlsInfo) {
        if self.phase != Phase::Handshaking {
            debug_assert!(self.phase == Phase::Closed, "a handshake that the session has asked for");
            return;
        }
        debug_assert!(self.output.is_empty(), "the handshake begins behind all output");
        self.tls = Some(Box::new(info));
        self.envelope.forget();
        self.subject.0.clear();
        self.framer = self.new_framer();
        if std::mem::take(&mut self.greeting_due) {
            self.begin(now);
        } else {
            self.enter(now, State::Greeted);
        }
        self.shutdown_if_asked(now);
    }

    /// The handshake that [`Event::StartTls`] has asked for has failed, or TLS was broken later on. There is no way back to clear
    /// text: nothing is written any more.
    pub fn handle_tls_failed(&mut self, _now: Instant) {
        self.asked = None;
        self.abort(AbortReason::Disconnected);
        self.finish(CloseReason::TlsFailed);
    }

    /// Tells whether the driver could do a handshake now. While it could not, STARTTLS is answered 454 4.7.0 (RFC 3207 §4). At first
    /// it is taken to be able to.
    pub fn set_tls_available(&mut self, available: bool) {
        self.tls_available = available;
    }

    /// The TLS that the connection is inside of.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    pub(super) fn offer(&self) -> Offer<'_> {
        Offer { config: &self.config, in_tls: self.tls.is_some(), tls: self.tls.as_deref() }
    }

    pub(super) fn new_framer(&self) -> LineFramer {
        let line = crate::extension::longest_line(self.offer());
        LineFramer::new(line).with_max_discard(self.config.limits.discarded_line)
    }

    /// Whether the command has to wait for TLS: each but four (RFC 3207 §4).
    pub(super) fn needs_tls(&self, verb: Verb) -> bool {
        let allowed = matches!(verb, Verb::Noop | Verb::Ehlo | Verb::Lhlo | Verb::Starttls | Verb::Quit);
        self.config.tls == TlsMode::Required && self.tls.is_none() && !allowed
    }

    /// STARTTLS, where it is allowed.
    pub(super) fn start_tls(&mut self, now: Instant) {
        if !self.tls_available {
            return self.reply(now, &replies::TLS_NOT_AVAILABLE);
        }
        self.reply(now, &replies::START_TLS);
        if !self.leaving {
            self.handshake(now);
        }
    }

    pub(super) fn handshake(&mut self, now: Instant) {
        self.phase = Phase::Handshaking;
        self.deadline = (deadline(now, self.patience(|t| t.handshake)), Reason::Handshake);
        self.events.push(Event::StartTls);
    }

    /// Input in clear while only a handshake may come. Whoever put it there wants it obeyed as if it had come inside TLS.
    pub(super) fn clear_behind_starttls(&mut self, now: Instant) {
        // Behind a 220 that is on its way already the peer takes whatever comes for a handshake.
        if self.output.retract(&replies::START_TLS) {
            self.close_with(now, &replies::CLEAR_BEHIND_STARTTLS, CloseReason::ClearBehindStartTls);
        } else {
            self.finish(CloseReason::ClearBehindStartTls);
        }
    }
}
