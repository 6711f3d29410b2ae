//! AUTH (RFC 4954). What the messages of a mechanism say is the driver's; here they are carried.

use super::{Phase, Session};
use crate::event::{ApiMisuse, AuthOutcome, CloseReason, Event, Misbehaviour, Reason, Stage};
use ehlo_codec::{Base64, Command, MechanismName, ReplyClass, ReplyCode};
use std::time::Instant;

/// Octets of an AUTH command with its CRLF (RFC 5321 §4.5.3.1.4): with a longer initial response the response goes on a line of its own.
const MAX_LINE: usize = 512;

/// How far an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// A reply is awaited.
    Waiting,
    /// The server waits for an initial response that did not fit into the command, and stands in `challenge` meanwhile.
    Held,
    /// The driver is to answer a challenge.
    Challenged,
    /// It was given up: the reply to `*` is awaited.
    GivenUp(AuthOutcome),
}

/// What an exchange has to keep: a challenge, or a response that waits. It is wiped when it is over, and no log shows it.
#[derive(Default)]
pub(super) struct Secret(zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

impl Session {
    /// Begins an authentication, by a mechanism that the server offers ([`Capabilities::auth`](ehlo_codec::Capabilities::auth)) and with the
    /// client's first message, if the mechanism has one. Credentials that are sent are not kept.
    ///
    /// Whether the mechanism may be used without TLS is for the caller to know: this sends what it is given.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] unless the session is [ready](Self::is_ready), no transaction is open and none was authenticated before (RFC 4954 §4), and
    /// if the mechanism's name is none.
    pub fn authenticate(&mut self, now: Instant, mechanism: &str, initial: Option<&[u8]>) -> Result<(), ApiMisuse> {
        if self.phase != Phase::Ready || !self.open.is_empty() || self.authenticated {
            return Err(ApiMisuse("authenticate where it can't be done"));
        }
        let Some(mechanism) = MechanismName::parse(mechanism) else {
            return Err(ApiMisuse("authenticate with what is no mechanism's name"));
        };
        let mut encoded = zeroize::Zeroizing::new(Vec::new());
        if let Some(initial) = initial {
            encoded.reserve_exact(initial.len().div_ceil(3) * 4);
            Base64::encode(initial, &mut encoded);
        }
        // "AUTH" SP mechanism SP response CRLF; an empty response is "=".
        let fits = 4 + 1 + mechanism.as_str().len() + 1 + encoded.len().max(1) + 2 <= MAX_LINE;
        let text = std::str::from_utf8(&encoded).ok().and_then(Base64::parse);
        let initial_response = text.filter(|_| initial.is_some() && fits);
        self.script.push(Stage::Auth, &Command::Auth { mechanism, initial_response });
        self.script.conceal();
        self.forget_challenge();
        self.phase = if initial.is_some() && !fits {
            self.challenge.0.extend_from_slice(&encoded);
            Phase::Auth(Exchange::Held)
        } else {
            Phase::Auth(Exchange::Waiting)
        };
        self.await_reply(now);
        Ok(())
    }

    /// The server's challenge, of which [`Event::Challenge`] told.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        if self.phase == Phase::Auth(Exchange::Challenged) { &self.challenge.0 } else { &[] }
    }

    /// Answers the challenge; the answer may be empty.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if there is no challenge.
    pub fn respond(&mut self, now: Instant, response: &[u8]) -> Result<(), ApiMisuse> {
        if self.phase != Phase::Auth(Exchange::Challenged) {
            return Err(ApiMisuse("respond without a challenge"));
        }
        self.forget_challenge();
        let wire = self.script.wire_mut();
        wire.reserve_exact(response.len().div_ceil(3) * 4 + 2);
        Base64::encode(response, wire);
        self.end_line(now, Exchange::Waiting);
        Ok(())
    }

    /// Gives the exchange up, in answer to a challenge (RFC 4954 §4).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] if there is no challenge.
    pub fn cancel_auth(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        if self.phase != Phase::Auth(Exchange::Challenged) {
            return Err(ApiMisuse("cancel_auth without a challenge"));
        }
        self.give_up(now, AuthOutcome::Cancelled);
        Ok(())
    }

    fn give_up(&mut self, now: Instant, outcome: AuthOutcome) {
        self.forget_challenge();
        self.script.wire_mut().push(b'*');
        self.end_line(now, Exchange::GivenUp(outcome));
    }

    fn end_line(&mut self, now: Instant, exchange: Exchange) {
        self.script.wire_mut().extend_from_slice(b"\r\n");
        self.script.end_step(Stage::Auth);
        self.script.conceal();
        self.phase = Phase::Auth(exchange);
        self.await_reply(now);
    }

    pub(super) fn on_auth(&mut self, now: Instant, exchange: Exchange, code: ReplyCode) {
        if code.class() == ReplyClass::Intermediate {
            return match exchange {
                // RFC 4954 §4: a server must refuse behind `*`. One that goes on could do so for ever.
                Exchange::GivenUp(_) => {
                    self.close(CloseReason::PeerMisbehaved(Misbehaviour::OutOfPlace(Stage::Auth, code)));
                }
                Exchange::Held => {
                    let wire = self.script.wire_mut();
                    wire.reserve_exact(self.challenge.0.len() + 2);
                    wire.extend_from_slice(&self.challenge.0);
                    self.forget_challenge();
                    self.end_line(now, Exchange::Waiting);
                }
                Exchange::Waiting | Exchange::Challenged => self.on_challenge(now),
            };
        }
        self.forget_challenge();
        self.phase = Phase::Ready;
        let outcome = match exchange {
            Exchange::GivenUp(outcome) => outcome,
            _ if code.is_positive() => {
                self.authenticated = true;
                AuthOutcome::Succeeded
            }
            _ => AuthOutcome::Refused(code),
        };
        self.events.push(Event::Auth(outcome));
        self.rest(now);
    }

    fn on_challenge(&mut self, now: Instant) {
        self.forget_challenge();
        let decoded = self.reader.reply().is_some_and(|reply| {
            let mut lines = reply.lines();
            let text = lines.next().unwrap_or_default();
            let text = std::str::from_utf8(text).ok().and_then(Base64::parse);
            lines.next().is_none() && text.is_some_and(|text| text.decode(&mut self.challenge.0))
        });
        if decoded {
            self.phase = Phase::Auth(Exchange::Challenged);
            self.await_driver(now, Reason::AuthResponse);
            self.events.push(Event::Challenge);
        } else {
            self.give_up(now, AuthOutcome::BadChallenge);
        }
    }

    /// It may hold credentials, or what they can be guessed from.
    fn forget_challenge(&mut self) {
        zeroize::Zeroize::zeroize(&mut *self.challenge.0);
        self.challenge.0.clear();
    }
}
