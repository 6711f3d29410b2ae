//! AUTH: the exchange between the client and the application (RFC 4954 §4). What the messages mean is the application's to know.

use super::{Kind, Phase, Session};
use crate::auth::{Exchange, SaslResponse};
use crate::event::{CloseReason, Event};
use crate::question::{AuthToken, Pending, Question, Verdict};
use crate::replies;
use crate::table::State;
use ehlo_codec::{AuthResponse, Base64, LineFault, MechanismName, Reply, ReplyClass, ReplyCode, Verb};
use std::time::Instant;

impl Session {
    /// The authorization identity that the client has proven, as the application named it; `None` before authentication, and again
    /// inside TLS if that came later (RFC 3207 §4.2).
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.envelope.identity()
    }

    /// Whether AUTH is known.
    pub(super) fn has_auth(&self) -> bool {
        !self.config.auth.mechanisms.is_empty()
    }

    /// Whether the command has to wait for authentication: those that RFC 4954 §6 does not except, and that a sequence of commands can
    /// begin with.
    pub(super) fn needs_auth(&self, verb: Verb) -> bool {
        let asks = matches!(verb, Verb::Mail | Verb::Vrfy | Verb::Expn | Verb::Etrn | Verb::Atrn);
        asks && self.config.auth.require_auth && self.identity().is_none()
    }

    /// AUTH, where it is allowed.
    pub(super) fn begin_auth(&mut self, now: Instant, name: MechanismName<'_>, initial: Option<Base64<'_>>) {
        let config = &self.config.auth;
        let found = config.mechanisms.iter().enumerate().find(|(_, mechanism)| name.is(mechanism.name()));
        let refusal = match found {
            None => Some(replies::UNKNOWN_MECHANISM),
            Some((_, mechanism)) if !mechanism.is_available(config, self.tls.as_deref()) => {
                let clear = self.tls.is_none();
                Some(if clear { replies::ENCRYPTION_REQUIRED } else { replies::UNKNOWN_MECHANISM })
            }
            Some((_, mechanism)) if initial.is_some() && mechanism.is_server_first() => {
                Some(replies::NO_INITIAL_RESPONSE)
            }
            Some(_) => None,
        };
        let (Some((mechanism, _)), None) = (found, &refusal) else {
            return self.bad_command(now, &refusal.unwrap_or(replies::UNKNOWN_MECHANISM));
        };
        let response = match initial {
            None => None,
            Some(text) if text.is_empty_response() => Some(Vec::new()),
            Some(text) => match decode(text) {
                None => return self.bad_command(now, &replies::NOT_BASE64),
                response => response,
            },
        };
        self.phase = Phase::Authenticating;
        self.ask_auth(now, Exchange { mechanism, response, begins: true });
    }

    /// A line of the exchange.
    pub(super) fn handle_response(&mut self, now: Instant, line: &[u8]) {
        if line.len() + 2 > self.config.limits.auth_line {
            return self.fail_auth(now, &replies::AUTH_LINE_TOO_LONG);
        }
        // There is none if the client was challenged by what was said in place of a reply.
        let Some(exchange) = &self.exchange else { return self.defer_auth(now, &replies::AUTH_UNAVAILABLE) };
        let mechanism = exchange.mechanism;
        match AuthResponse::parse(line) {
            Some(AuthResponse::Cancel) => self.fail_auth(now, &replies::AUTH_CANCELLED),
            Some(AuthResponse::Response(text)) => match decode(text) {
                None => self.fail_auth(now, &replies::NOT_BASE64),
                response => self.ask_auth(now, Exchange { mechanism, response, begins: false }),
            },
            None => self.fail_auth(now, &replies::NOT_BASE64),
        }
    }

    /// A line of the exchange that cannot be one.
    pub(super) fn handle_response_fault(&mut self, now: Instant, fault: LineFault) {
        let reply = match fault {
            LineFault::TooLong => &replies::AUTH_LINE_TOO_LONG,
            fault => super::commands::fault_reply(fault),
        };
        self.fail_auth(now, reply);
    }

    fn ask_auth(&mut self, now: Instant, exchange: Exchange) {
        self.exchange = Some(Box::new(exchange));
        let token = self.ask(now, Kind::Auth);
        self.events.push(Event::Ask(Question::Auth(AuthToken(token))));
    }

    /// What the open question is about.
    pub(super) fn pending_auth(&self) -> Pending<'_> {
        let Some(exchange) = &self.exchange else { return Pending::Nothing };
        let Some(mechanism) = self.config.auth.mechanisms.get(exchange.mechanism) else { return Pending::Nothing };
        Pending::Auth {
            mechanism: mechanism.name(),
            response: exchange.response.as_deref().map(SaslResponse),
            begins: exchange.begins,
        }
    }

    /// The application's answer.
    pub(super) fn decide_auth(&mut self, now: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Challenge(octets) => {
                if self.overriding.is_some() {
                    let challenge = Reply::fixed(334, None, "");
                    self.reply_plain(now, &challenge);
                } else {
                    self.output.push_challenge(&octets);
                    self.note_output(now);
                }
                if let Some(exchange) = &mut self.exchange {
                    exchange.response = None;
                }
                self.await_response(now);
            }
            Verdict::Identity(identity) => {
                self.exchange = None;
                self.envelope.set_identity(identity);
                self.reply(now, &replies::AUTHENTICATED);
                self.enter(now, State::Ready);
            }
            Verdict::Reply(reply) if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE => {
                self.close_with(now, &reply, CloseReason::Refused);
            }
            Verdict::Reply(reply) if reply.code().class() == ReplyClass::TransientFailure => {
                self.defer_auth(now, &reply);
            }
            Verdict::Reply(reply) => self.fail_auth(now, &reply),
            // No token of this question makes them.
            Verdict::Accept | Verdict::AcceptAt(_) | Verdict::Each(_) | Verdict::Override(_) => {
                self.defer_auth(now, &replies::AUTH_UNAVAILABLE);
            }
        }
    }

    /// The exchange ends without a decision, which is not the client's fault.
    pub(super) fn defer_auth(&mut self, now: Instant, reply: &Reply) {
        self.exchange = None;
        self.reply(now, reply);
        self.enter(now, State::Ready);
    }

    /// The exchange has failed; so does the session, if that was one too many.
    fn fail_auth(&mut self, now: Instant, reply: &Reply) {
        self.defer_auth(now, reply);
        if self.temper.auth_failure() {
            self.close_with(now, &replies::TOO_MANY_AUTH_FAILURES, CloseReason::TooManyAuthFailures);
        }
    }
}

fn decode(text: Base64<'_>) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    text.decode(&mut octets).then_some(octets)
}
