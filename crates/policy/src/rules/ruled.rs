//! Rules in front of a policy.

use std::sync::Arc;

use ehlo_tokio::auth::Authenticator;
use ehlo_tokio::ehlo_server::Questions;
use ehlo_tokio::{Context, Decision, Etrn, Expn, Hello, Mail, Policy, Rcpt, Upcoming, Vrfy};

use super::Rules;

/// A policy with rules in front of it: what no rule is applied to goes on to the policy.
#[derive(Clone, Debug)]
pub struct Ruled<P> {
    rules: Rules,
    policy: P,
}

impl<P> Ruled<P> {
    /// These rules in front of this policy.
    pub const fn new(rules: Rules, policy: P) -> Self {
        Self { rules, policy }
    }
}

impl<P: Policy> Policy for Ruled<P> {
    type Sink = P::Sink;

    fn questions(&self) -> Questions {
        let questions = self.policy.questions();
        if self.rules.is_empty() { questions } else { questions | Questions::OVERRIDE }
    }

    fn sink(&self) -> Self::Sink {
        self.policy.sink()
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        self.policy.authenticator()
    }

    fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
        self.rules.intervene(upcoming).unwrap_or_else(|| self.policy.intervene(upcoming))
    }

    fn connect(&self, connect: &Context<'_>) -> Decision {
        self.policy.connect(connect)
    }

    fn hello(&self, hello: &Hello<'_>) -> Decision {
        self.policy.hello(hello)
    }

    fn mail(&self, mail: &Mail<'_>) -> Decision {
        self.policy.mail(mail)
    }

    fn rcpt(&self, rcpt: &Rcpt<'_>) -> Decision {
        self.policy.rcpt(rcpt)
    }

    fn data(&self, data: &Context<'_>) -> Decision {
        self.policy.data(data)
    }

    fn vrfy(&self, vrfy: &Vrfy<'_>) -> Decision {
        self.policy.vrfy(vrfy)
    }

    fn expn(&self, expn: &Expn<'_>) -> Decision {
        self.policy.expn(expn)
    }

    fn etrn(&self, etrn: &Etrn<'_>) -> Decision {
        self.policy.etrn(etrn)
    }
}
