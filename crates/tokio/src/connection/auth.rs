//! AUTH exchanges: the session carries the messages, `ehlo-sasl` knows what they mean, and the authenticator what is true.

use std::task::{Context, Poll};
use std::time::Instant;

use ehlo_sasl::{Failure, Mechanism, ServerExchange, Step};
use ehlo_server::codec::{Reply, ReplyClass};
use ehlo_server::{Answer, AuthToken, Pending};

use super::Connection;
use super::decide::Open;
use super::seen::tell;
use crate::auth::{Attempt, AuthDecision};
use crate::log::shown;
use crate::metrics::Count;
use crate::policy::Policy;

const MALFORMED: Reply = Reply::fixed(501, Some((5, 5, 2)), "Response is not one of this mechanism");
const NO_INITIAL_RESPONSE: Reply = Reply::fixed(501, Some((5, 7, 0)), "This mechanism has no initial response");
const TOO_LONG: Reply = Reply::fixed(500, Some((5, 5, 6)), "Response is too long");
const UNAVAILABLE: Reply = Reply::fixed(454, Some((4, 7, 0)), "Authentication not available at the moment");

impl<P: Policy> Connection<P> {
    /// The client has sent something: takes the exchange a step further.
    pub(super) fn ask_auth(&mut self, cx: &mut Context<'_>, now: Instant, token: AuthToken) {
        let Pending::Auth { mechanism, response, begins } = self.session.pending() else { return };
        let response = response.map(|response| response.as_bytes());
        let step = if begins {
            let options =
                self.auth.as_ref().zip(Mechanism::from_name(mechanism.as_bytes())).and_then(|(auth, mechanism)| {
                    let options = auth.options(mechanism, self.config.hostname(), self.session.tls());
                    Some((
                        mechanism,
                        options.inspect_err(|error| tell!(self, ERROR, %error, "AUTH cannot begin")).ok()?,
                    ))
                });
            options.map(|(mechanism, options)| {
                let (exchange, step) = ServerExchange::start(mechanism, options, response);
                self.exchange = Some(Box::new(exchange));
                step
            })
        } else {
            self.exchange.as_mut().map(|exchange| exchange.respond(response.unwrap_or_default()))
        };
        self.lead(cx, now, token, step.unwrap_or(Step::Failed(Failure::TemporaryFailure)));
    }

    /// Goes on from a step as far as it goes.
    fn lead(&mut self, cx: &mut Context<'_>, now: Instant, token: AuthToken, mut step: Step) {
        loop {
            let answer = match step {
                Step::Challenge(challenge) => token.challenge(&challenge),
                Step::Done(identity) => self.authenticated(token, &identity.authorization_id),
                Step::Failed(failure) => self.failed(token, failure),
                Step::Ask(request) => {
                    let mechanism = self.exchange.as_ref().map(|exchange| exchange.mechanism());
                    let Some((auth, mechanism)) = self.auth.clone().zip(mechanism) else {
                        return self.resolve(now, token.defer(UNAVAILABLE));
                    };
                    let attempt = Attempt { context: self.context(), mechanism };
                    match self.seen.span(self.who()).in_scope(|| auth.authenticator.answer(&attempt, request)) {
                        AuthDecision::Answer(answer) => {
                            step = self.answered(answer);
                            continue;
                        }
                        AuthDecision::Refuse(reply) => self.refused(token, reply),
                        AuthDecision::Later(later) => {
                            self.open = Some(Open::Auth(token, later));
                            // It may be there at once.
                            let _ = self.poll_open(cx, now);
                            return;
                        }
                    }
                }
            };
            return self.resolve(now, answer);
        }
    }

    /// What the authenticator has said, later.
    pub(super) fn decided(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        token: AuthToken,
        decision: AuthDecision,
    ) -> Poll<bool> {
        match decision {
            AuthDecision::Later(later) => {
                self.open = Some(Open::Auth(token, later));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            AuthDecision::Refuse(reply) => {
                let answer = self.refused(token, reply);
                self.resolve(now, answer);
            }
            AuthDecision::Answer(answer) => {
                let step = self.answered(answer);
                self.lead(cx, now, token, step);
            }
        }
        if self.open.is_some() { Poll::Pending } else { Poll::Ready(true) }
    }

    fn answered(&mut self, answer: ehlo_sasl::Answer) -> Step {
        match &mut self.exchange {
            Some(exchange) => exchange.answer(answer),
            None => Step::Failed(Failure::Misuse),
        }
    }

    fn authenticated(&mut self, token: AuthToken, identity: &str) -> Answer {
        let mechanism = self.end_exchange();
        self.slot.metrics().one(Count::Authentications);
        tell!(self, DEBUG, mechanism, identity = shown(identity).as_str(), "authenticated");
        token.accept(identity)
    }

    fn failed(&mut self, token: AuthToken, failure: Failure) -> Answer {
        let mechanism = self.end_exchange();
        // The name that was tried may be a password that was typed into the wrong field.
        match failure {
            Failure::TemporaryFailure | Failure::Misuse => {
                tell!(self, WARN, mechanism, %failure, "authentication impossible");
                return token.defer(UNAVAILABLE);
            }
            _ => tell!(self, INFO, mechanism, %failure, "authentication failed"),
        }
        self.slot.metrics().one(Count::FailedAuthentications);
        match failure {
            Failure::Malformed => token.reject(MALFORMED),
            Failure::UnexpectedInitialResponse => token.reject(NO_INITIAL_RESPONSE),
            Failure::TooLong => token.reject(TOO_LONG),
            _ => token.fail(),
        }
    }

    fn refused(&mut self, token: AuthToken, reply: Reply) -> Answer {
        let mechanism = self.end_exchange();
        let code = reply.code().get();
        tell!(self, INFO, mechanism, reply = code, "authentication refused");
        if reply.code().class() == ReplyClass::TransientFailure {
            return token.defer(reply);
        }
        self.slot.metrics().one(Count::FailedAuthentications);
        token.reject(reply)
    }

    /// Forgets the exchange, and what it holds of secrets. Gives the mechanism's name.
    fn end_exchange(&mut self) -> &'static str {
        self.exchange.take().map_or("", |exchange| exchange.mechanism().as_str())
    }
}
