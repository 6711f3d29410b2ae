//! Rules in front of a policy.

use std::sync::{Arc, PoisonError, RwLock};

use ehlo_tokio::auth::Authenticator;
use ehlo_tokio::ehlo_server::Questions;
use ehlo_tokio::{Context, Decision, Etrn, Expn, Hello, Mail, Policy, Rcpt, Upcoming, Vrfy};

use super::Rules;

/// A policy with rules in front of it: what no rule is applied to goes on to the policy. Clones have the same rules, also when they are replaced.
#[derive(Clone, Debug)]
pub struct Ruled<P> {
    rules: Arc<RwLock<Rules>>,
    /// Whether there were rules when it was made.
    asks: bool,
    policy: P,
}

impl<P> Ruled<P> {
    /// These rules in front of this policy.
    pub fn new(rules: Rules, policy: P) -> Self {
        Self { asks: !rules.is_empty(), rules: Arc::new(RwLock::new(rules)), policy }
    }

    /// The rules that are in force.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other rules into force, for what comes next over any connection. What was counted of the old ones is theirs.
    ///
    /// Gives whether they are: a server asks nothing of a policy that had no rules when it was built, since each question costs something, so that
    /// the first ones need another server.
    pub fn replace(&self, rules: Rules) -> bool {
        let in_force = self.asks || rules.is_empty();
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        in_force
    }
}

impl<P: Policy> Policy for Ruled<P> {
    type Sink = P::Sink;

    fn questions(&self) -> Questions {
        let questions = self.policy.questions();
        if self.asks { questions | Questions::OVERRIDE } else { questions }
    }

    fn sink(&self) -> Self::Sink {
        self.policy.sink()
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        self.policy.authenticator()
    }

    fn intervene(&self, upcoming: &Upcoming<'_>) -> Decision {
        self.rules().intervene(upcoming).unwrap_or_else(|| self.policy.intervene(upcoming))
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
